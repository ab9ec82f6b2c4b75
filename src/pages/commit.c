/* SPDX-License-Identifier: MIT */
/*
 * commit - addresses become memory, and addresses again.
 *
 * Committing is all or nothing, though the kernel's calls are not: pieces that were changed before the one that failed
 * are changed back.
 */
#include "huge/huge.h"
#include "pages/pages.h"

#include "base/sums.h"

#include <errno.h>

static bool is_guard(const struct verso__pages_piece *piece)
{
    return (piece->state & VERSO__PAGES_GUARD) != 0;
}

static bool is_to_commit(const struct verso__pages_piece *piece)
{
    return piece->state != VERSO__PAGES_WRITE && !is_guard(piece);
}

static int dress_piece(struct verso_pages *pages, const struct verso__pages_piece *piece, const char **out_step)
{
    *out_step = "madvise";
    return verso__pages_dress(pages, piece->start, piece->end);
}

/* Makes one piece readable and writable. */
static int commit_piece(struct verso_pages *pages, const struct verso__pages_piece *piece, const char **out_step)
{
    int r = 0;

    if (piece->state == VERSO__PAGES_RESERVED)
        r = dress_piece(pages, piece, out_step);
    if (r == 0 && piece->state == VERSO__PAGES_RESERVED) {
        *out_step = "fallocate";
        r = verso__pages_promise(pages, piece->start, piece->end);
    }
    if (r == 0) {
        *out_step = "mprotect";
        r = verso__os_protect(pages->data + piece->start, piece->end - piece->start,
                              verso__pages_access_of(VERSO__PAGES_WRITE));
    }
    return r;
}

/*
 * Markers of guards would not survive a mapping over them, so where there may be some, only the access goes back: the
 * charge, if some of the piece was charged, stays until the pages are given back. What refuses is still noted as not
 * committed, so that it will be committed again.
 */
static void undo_piece(struct verso_pages *pages, const struct verso__pages_piece *piece)
{
    if (piece->state != VERSO__PAGES_RESERVED)
        verso__pages_restore(pages, piece->start, piece->end);
    else if (pages->fd >= 0 || atomic_load(&pages->has_markers))
        (void)verso__pages_shut(pages, piece->start, piece->end);
    else
        (void)verso__pages_bare(pages, piece->start, piece->end);
}

static void undo(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;

    for (size_t at = start; verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end)
        if (is_to_commit(&piece))
            undo_piece(pages, &piece);
}

/* The pieces are what they are now; guards that are mappings go on standing over committed pages. */
static void note_committed(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;

    for (size_t at = start; verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end)
        if ((piece.state & ~(unsigned)VERSO__PAGES_GUARD) != VERSO__PAGES_WRITE)
            verso__pages_runs_set(&pages->runs, piece.start, piece.end,
                                  VERSO__PAGES_WRITE | (piece.state & VERSO__PAGES_GUARD));
}

/* Once, when the first pages come that a huge one could hold: whether they do come huge. */
static void try_huge(struct verso_pages *pages, size_t start, size_t end)
{
    const char *why;

    if (!(pages->flags & VERSO_PAGES_HUGE) || pages->huge_is_tried || end - start < verso__os_huge_page_bytes())
        return;
    why = verso__huge_try(pages->fd >= 0 ? VERSO__HUGE_OF_MEMORY_FILE : VERSO__HUGE_OF_ANONYMOUS, pages->data + start,
                          end - start, true);
    pages->huge_is_tried = true;
    if (why)
        pages->size_why = why;
    else
        pages->size = VERSO_PAGES_SIZE_THP;
}

/*
 * The kernel stops at a marker and does not say where: so halves are tried, until what is left is a guard. Nothing else
 * can be it, for these pages may be written to, and memory was promised.
 */
static int populate_around_guards(struct verso_pages *pages, size_t start, size_t end)
{
    size_t middle = start + (size_t)verso__round_down((end - start) / 2, pages->page_bytes);
    int r = verso__pages_bring_in(pages, start, end, false);

    if (r != -EFAULT || !atomic_load(&pages->has_markers))
        return r;
    if (middle == start)
        return 0;
    r = populate_around_guards(pages, start, middle);
    return r < 0 ? r : populate_around_guards(pages, middle, end);
}

/* What the flags want once pages may be used. Space in a file of memory is taken in small pages; huge ones are promised
 * by bringing them in. */
static int furnish(struct verso_pages *pages, size_t start, size_t end, const char **out_step)
{
    bool is_locked = (pages->flags & VERSO_PAGES_LOCK) != 0;
    bool is_promise = pages->kind == VERSO_PAGES_SHARED && (pages->flags & VERSO_PAGES_HUGE);
    struct verso__pages_piece piece;
    int r = 0;

    try_huge(pages, start, end);
    if (!is_locked && !is_promise && !(pages->flags & VERSO_PAGES_POPULATE))
        return 0;
    *out_step = is_locked ? "mlock" : "populate";
    for (size_t at = start; r == 0 && verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end)
        if (!is_guard(&piece))
            r = is_locked ? verso__pages_bring_in(pages, piece.start, piece.end, true)
                          : populate_around_guards(pages, piece.start, piece.end);
    return r;
}

int verso__pages_commit_range(struct verso_pages *pages, size_t start, size_t end, const char **out_step)
{
    struct verso__pages_piece piece;
    size_t reached = start;
    int r = verso__pages_runs_prepare(&pages->runs);

    *out_step = "malloc";
    for (size_t at = start; r == 0 && verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end) {
        if (is_to_commit(&piece))
            r = commit_piece(pages, &piece, out_step);
        else if (piece.state == (VERSO__PAGES_RESERVED | VERSO__PAGES_GUARD))
            r = dress_piece(pages, &piece, out_step); /* for the time when the guard is gone */
        reached = piece.end;
    }
    if (r == 0)
        r = furnish(pages, start, end, out_step);
    if (r == 0)
        note_committed(pages, start, end);
    else
        undo(pages, start, reached);
    verso__pages_changed(pages);
    return r;
}

static int decommit_range(struct verso_pages *pages, size_t start, size_t end, const char **out_step)
{
    int r = verso__pages_runs_prepare(&pages->runs);

    *out_step = "malloc";
    if (r < 0)
        return r;
    *out_step = "mmap";
    r = verso__pages_bare(pages, start, end);
    if (r == 0)
        verso__pages_runs_set(&pages->runs, start, end, VERSO__PAGES_RESERVED);
    verso__pages_changed(pages);
    return r;
}

typedef int change(struct verso_pages *pages, size_t start, size_t end, const char **out_step);

static int change_range(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes, change *change_it,
                        uint64_t needed_bytes)
{
    const char *step = "range";
    size_t start, end;
    int r;

    r = verso__pages_range(pages, offset_bytes, length_bytes, false, &start, &end);
    if (r < 0 || start == end)
        return r;
    if (atomic_load(&pages->sealed))
        return verso__pages_fail(pages, -EPERM, "mseal", verso__pages_sealed_hint);
    verso__pages_lock_take();
    r = change_it(pages, start, end, &step);
    verso__pages_lock_give();
    return r < 0 ? verso__pages_fail(pages, r, step, verso__pages_refused(r, step, needed_bytes)) : 0;
}

int verso_pages_commit(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes)
{
    return change_range(pages, offset_bytes, length_bytes, verso__pages_commit_range, length_bytes);
}

int verso_pages_decommit(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes)
{
    return change_range(pages, offset_bytes, length_bytes, decommit_range, 0);
}
