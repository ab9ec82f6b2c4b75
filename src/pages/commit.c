/* SPDX-License-Identifier: MIT */
/*
 * commit - addresses become memory, and addresses again.
 *
 * Committing is all or nothing, though the kernel's calls are not: pieces that were changed before the one that failed
 * are changed back. What can't be changed back, because even that is refused, is remembered as what it is.
 */
#include "pages/pages.h"

#include <errno.h>

const char verso__pages_sealed_hint[] = "the span was sealed by verso_pages_seal(), for as long as the process lives";

int verso__pages_reserve_again(struct verso_pages *pages, size_t start, size_t end)
{
    void *same;
    int r = verso__os_map(pages->data + start, end - start, VERSO__OS_ACCESS_NONE, VERSO__OS_MAP_OVER, -1, 0, &same);

    if (r == 0 && pages->is_named)
        (void)verso__os_name(pages->data + start, end - start, pages->name);
    return r;
}

/* Makes one piece readable and writable. */
static int commit_piece(struct verso_pages *pages, const struct verso__pages_piece *piece, const char **out_step)
{
    *out_step = "mprotect";
    return verso__os_protect(pages->data + piece->start, piece->end - piece->start,
                             VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE);
}

static bool is_to_commit(const struct verso__pages_piece *piece)
{
    return piece->state != VERSO__PAGES_WRITE && !(piece->state & VERSO__PAGES_GUARD);
}

/*
 * Marks in the page table would not survive a mapping over them, so where there may be some, only the access goes back:
 * the charge, if some of the piece was charged, stays until the pages are given back.
 */
static int undo_piece(struct verso_pages *pages, const struct verso__pages_piece *piece)
{
    if (piece->state == VERSO__PAGES_RESERVED && !atomic_load(&pages->has_markers))
        return verso__pages_reserve_again(pages, piece->start, piece->end);
    return verso__os_protect(pages->data + piece->start, piece->end - piece->start,
                             verso__pages_access_of(piece->state));
}

static void undo(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;

    for (size_t at = start; verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end)
        if (is_to_commit(&piece) && undo_piece(pages, &piece) < 0)
            verso__pages_runs_set(&pages->runs, piece.start, piece.end, VERSO__PAGES_WRITE);
}

/* The pieces are what they are now; guards that are mappings go on standing over committed pages. */
static void note_committed(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;

    for (size_t at = start; verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end)
        verso__pages_runs_set(&pages->runs, piece.start, piece.end,
                              VERSO__PAGES_WRITE | (piece.state & VERSO__PAGES_GUARD));
}

/* Guards that are mappings stand in the way of what needs access. */
static int bring_in(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;
    int r = 0;

    for (size_t at = start; r == 0 && verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end)
        if (!(piece.state & VERSO__PAGES_GUARD))
            r = verso__os_populate(pages->data + piece.start, piece.end - piece.start, true);
    return r;
}

int verso__pages_commit_range(struct verso_pages *pages, size_t start, size_t end, const char **out_step)
{
    struct verso__pages_piece piece;
    int r = verso__pages_runs_prepare(&pages->runs);

    *out_step = "malloc";
    for (size_t at = start; r == 0 && verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end) {
        if (!is_to_commit(&piece))
            continue;
        r = commit_piece(pages, &piece, out_step);
        if (r < 0)
            undo(pages, start, piece.end);
    }
    if (r == 0 && (pages->flags & VERSO_PAGES_POPULATE)) {
        *out_step = "populate";
        r = bring_in(pages, start, end);
        if (r < 0)
            undo(pages, start, end);
    }
    if (r == 0)
        note_committed(pages, start, end);
    return r;
}

int verso_pages_commit(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes)
{
    const char *step = "mprotect";
    size_t start, end;
    int r;

    r = verso__pages_range(pages, offset_bytes, length_bytes, false, &start, &end);
    if (r < 0 || start == end)
        return r;
    if (pages->sealed)
        return verso__pages_fail(pages, -EPERM, step, verso__pages_sealed_hint);
    verso__pages_lock_take();
    r = verso__pages_commit_range(pages, start, end, &step);
    verso__pages_lock_give();
    if (r < 0)
        return verso__pages_fail(pages, r, step, r == -ENOMEM ? verso__pages_why_no_memory(length_bytes) : NULL);
    return 0;
}

static int decommit(struct verso_pages *pages, size_t start, size_t end, const char **out_step)
{
    int r = verso__pages_runs_prepare(&pages->runs);

    *out_step = "malloc";
    if (r < 0)
        return r;
    *out_step = "mmap";
    r = verso__pages_reserve_again(pages, start, end);
    if (r == 0)
        verso__pages_runs_set(&pages->runs, start, end, VERSO__PAGES_RESERVED);
    return r;
}

int verso_pages_decommit(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes)
{
    const char *step = "mmap";
    size_t start, end;
    int r;

    r = verso__pages_range(pages, offset_bytes, length_bytes, false, &start, &end);
    if (r < 0 || start == end)
        return r;
    if (pages->sealed)
        return verso__pages_fail(pages, -EPERM, step, verso__pages_sealed_hint);
    verso__pages_lock_take();
    r = decommit(pages, start, end, &step);
    verso__pages_lock_give();
    return r < 0 ? verso__pages_fail(pages, r, step, r == -ENOMEM ? verso__pages_why_no_memory(0) : NULL) : 0;
}
