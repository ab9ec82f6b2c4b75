/* SPDX-License-Identifier: MIT */
/*
 * resize - a span becomes longer or shorter.
 *
 *      in place   |G|==== span ====|G|            the guard behind becomes a page of the span, and a new one follows
 *                 |G|==== span ====~~~~~~~~|G|
 *
 *      moved      |G|==== span ====|G|                          what is committed, in one call: before it, nothing has
 *                    `-----------------> |G|==== span ====~~~~|G|     changed; after it, nothing can fail
 *
 * New pages are committed where they will stand, before anything is moved.
 */
#include "pages/pages.h"

#include "base/registry.h"
#include "base/sums.h"

#include <errno.h>
#include <string.h>

struct resizing {
    struct verso_pages *pages;
    size_t old_bytes;
    size_t new_bytes;
    const char *step;
    const char *hint;
};

static int failed(struct resizing *resizing, int code, const char *step, const char *hint)
{
    resizing->step = step;
    resizing->hint = hint;
    return code;
}

static unsigned char *outer_end(const struct verso_pages *pages)
{
    return pages->outer + pages->outer_bytes;
}

static void set_bytes(struct verso_pages *pages, size_t bytes)
{
    atomic_store_explicit(&pages->bytes, bytes, memory_order_relaxed);
}

/* ---- Shorter -------------------------------------------------------------------------------------------------- */

/*
 * Bare addresses over all that is cut off, in one call that works or changes nothing; then they go. Those that the
 * kernel keeps, because they have become part of a larger mapping, are room to grow in.
 */
static int shrink(struct resizing *resizing)
{
    struct verso_pages *pages = resizing->pages;
    size_t guard = verso__pages_end_bytes(pages);
    unsigned char *end = pages->data + resizing->new_bytes;
    size_t rest = (size_t)(outer_end(pages) - end);
    void *same;
    int r = 0;

    if (pages->fd >= 0) { /* what is behind the span goes by itself only when the span closes */
        r = verso__pages_shut(pages, resizing->new_bytes, resizing->old_bytes);
        if (r < 0)
            return failed(resizing, r, "fallocate", NULL);
        verso__pages_runs_set(&pages->runs, resizing->new_bytes, resizing->old_bytes, VERSO__PAGES_RESERVED);
    }
    r = verso__os_map(end, rest, VERSO__OS_ACCESS_NONE, VERSO__OS_MAP_OVER, -1, 0, &same);
    if (r < 0)
        return failed(resizing, r, "mmap", verso__pages_refused(r, "mmap", 0));
    if (verso__os_unmap(end + guard, rest - guard) == 0)
        pages->outer_bytes -= rest - guard;
    verso__pages_runs_resize(&pages->runs, resizing->new_bytes);
    set_bytes(pages, resizing->new_bytes);
    return 0;
}

/* ---- Longer, in place ----------------------------------------------------------------------------------------- */

/* Commits what is new where the span is committed from the start. */
static int commit_new(struct resizing *resizing, struct verso_pages *pages)
{
    int r;

    if (!(pages->flags & VERSO_PAGES_COMMIT))
        return 0;
    r = verso__pages_commit_range(pages, resizing->old_bytes, resizing->new_bytes, &resizing->step);
    if (r < 0)
        resizing->hint =
            verso__pages_refused(r, resizing->step, (uint64_t)resizing->new_bytes - (uint64_t)resizing->old_bytes);
    return r;
}

/* -EEXIST: the room behind is taken. */
static int extend_room(struct resizing *resizing, size_t more)
{
    struct verso_pages *pages = resizing->pages;
    unsigned char *end = outer_end(pages);
    void *address;
    int r;

    if (more == 0)
        return 0;
    if (more > verso__os_address_space_bytes() - pages->page_bytes - (uintptr_t)end)
        return -EEXIST; /* addresses end before that, which the kernel would call -ENOMEM */
    r = verso__os_map(end, more, VERSO__OS_ACCESS_NONE, VERSO__OS_MAP_AT, -1, 0, &address);
    if (r == -EEXIST)
        return r;
    if (r < 0)
        return failed(resizing, r, "mmap", verso__pages_refused(r, "mmap", more));
    if (pages->is_named)
        (void)verso__os_name(end, more, pages->name);
    pages->outer_bytes += more;
    return 0;
}

static int grow_in_place(struct resizing *resizing)
{
    struct verso_pages *pages = resizing->pages;
    size_t had = pages->outer_bytes, front = (size_t)(pages->data - pages->outer);
    size_t room = had - front - verso__pages_end_bytes(pages), more;
    int r;

    more = resizing->new_bytes > room ? resizing->new_bytes - room : 0;
    r = extend_room(resizing, more);
    if (r < 0)
        return r;
    verso__pages_runs_resize(&pages->runs, resizing->new_bytes);
    if (pages->kind == VERSO_PAGES_DROPPABLE) {
        r = verso__pages_bare(pages, resizing->old_bytes, resizing->new_bytes);
        if (r < 0)
            r = failed(resizing, r, "mmap", verso__pages_refused(r, "mmap", more));
    }
    if (r == 0)
        r = commit_new(resizing, pages);
    if (r == 0) {
        set_bytes(pages, resizing->new_bytes);
        return 0;
    }
    verso__pages_runs_resize(&pages->runs, resizing->old_bytes);
    if (more && verso__os_unmap(pages->outer + had, more) == 0)
        pages->outer_bytes = had;
    return r;
}

/* ---- Longer, elsewhere ---------------------------------------------------------------------------------------- */

/* The part that holds anything: all of it where the page table alone knows of guards. */
static void find_content(const struct verso_pages *pages, size_t *out_start, size_t *out_end)
{
    struct verso__pages_piece piece;
    size_t bytes = pages->runs.bytes, start = bytes, end = 0;

    for (size_t at = 0; verso__pages_runs_piece(&pages->runs, at, bytes, &piece); at = piece.end) {
        if (piece.state == VERSO__PAGES_RESERVED)
            continue;
        start = piece.start < start ? piece.start : start;
        end = piece.end;
    }
    *out_start = atomic_load(&pages->has_markers) ? 0 : start;
    *out_end = atomic_load(&pages->has_markers) ? bytes : end;
}

/* Where what is left of [start, end) begins, by halves: the kernel moves mapping by mapping, from below. */
static size_t find_unmoved(const struct verso_pages *from, size_t start, size_t end)
{
    while (start < end) {
        size_t middle = start + (size_t)verso__round_down((end - start) / 2, from->page_bytes);

        if (verso__os_check_mapped(from->data + middle, end - middle) == 0)
            end = middle;
        else
            start = middle + from->page_bytes;
    }
    return end;
}

/*
 * A move that stopped half-way: what has gone comes back, into its old place, taken before anybody else takes it. Of
 * @to nothing stays, for what was moved out of it may be somebody else's by now.
 */
static void move_back(const struct verso_pages *from, struct verso_pages *to, size_t start, size_t end)
{
    size_t moved_end = find_unmoved(from, start, end);
    unsigned char *content = from->data + start, *moved = to->data + start;
    void *same;

    if (moved_end == start)
        return;
    (void)verso__os_unmap(to->outer, (size_t)(moved - to->outer));
    (void)verso__os_unmap(to->data + moved_end, (size_t)(outer_end(to) - to->data) - moved_end);
    to->outer = NULL;
    if (verso__os_map(content, moved_end - start, VERSO__OS_ACCESS_NONE, VERSO__OS_MAP_AT, -1, 0, &same) < 0 ||
        verso__os_move(moved, moved_end - start, content) < 0)
        (void)verso__os_unmap(moved, moved_end - start); /* nothing had moved, or there is no way back */
}

/* Moves the content, and lets go of what stood around it; the hole may be somebody else's by now. */
static int move_content(struct resizing *resizing, struct verso_pages *to)
{
    const struct verso_pages *from = resizing->pages;
    unsigned char *content;
    size_t start, end;
    int r = 0;

    find_content(from, &start, &end);
    if (start >= end) {
        (void)verso__os_unmap(from->outer, from->outer_bytes);
        return 0;
    }
    content = from->data + start;
    r = verso__os_move(content, end - start, to->data + start);
    if (r < 0)
        move_back(from, to, start, end);
    if (r == -EFAULT)
        return failed(resizing, VERSO_E_SPAN, "mremap",
                      "the span is several mappings, and the kernel moves only one (before Linux 6.17), or one of them "
                      "is being watched: open it with room to grow in");
    if (r < 0)
        return failed(resizing, r, "mremap", verso__pages_refused(r, "mremap", end - start));
    if (content > from->outer)
        (void)verso__os_unmap(from->outer, (size_t)(content - from->outer));
    if (from->data + end < outer_end(from))
        (void)verso__os_unmap(from->data + end, (size_t)(outer_end(from) - from->data) - end);
    return 0;
}

/* What the new place got becomes the span's. */
static void settle(struct verso_pages *pages, const struct verso_pages *to)
{
    struct verso__pages_piece piece;
    size_t old_bytes = pages->runs.bytes;

    verso__pages_runs_resize(&pages->runs, to->runs.bytes);
    for (size_t at = old_bytes; verso__pages_runs_piece(&to->runs, at, to->runs.bytes, &piece); at = piece.end)
        verso__pages_runs_set(&pages->runs, piece.start, piece.end, piece.state);
    pages->data = to->data;
    pages->outer = to->outer;
    pages->outer_bytes = to->outer_bytes;
    pages->is_named = to->is_named;
    pages->size = to->size;
    pages->size_why = to->size_why;
    pages->nodes_why = to->nodes_why;
    pages->huge_is_tried = to->huge_is_tried;
    set_bytes(pages, to->runs.bytes);
}

static int grow_elsewhere(struct resizing *resizing)
{
    struct verso_pages *pages = resizing->pages;
    struct verso_pages to = {
        .align_bytes = pages->align_bytes,
        .kind = pages->kind,
        .flags = pages->flags,
        .nodes = pages->nodes,
        .page_bytes = pages->page_bytes,
        .size = pages->size,
        .size_why = pages->size_why,
        .nodes_why = pages->nodes_why,
        .huge_is_tried = pages->huge_is_tried,
        .fd = -1,
        .forks = pages->forks,
        .slot = VERSO__REGISTRY_NONE,
    };
    int r;

    memcpy(to.name, pages->name, sizeof(to.name));
    r = verso__pages_place(&to, NULL, resizing->new_bytes);
    if (r < 0)
        return failed(resizing, r, "mmap", verso__pages_refused(r, "mmap", resizing->new_bytes));
    r = verso__pages_runs_init(&to.runs, resizing->new_bytes, VERSO__PAGES_RESERVED);
    if (r < 0)
        r = failed(resizing, r, "malloc", NULL);
    if (r == 0)
        r = commit_new(resizing, &to);
    if (r == 0)
        r = move_content(resizing, &to);
    if (r == 0)
        settle(pages, &to);
    else if (to.outer)
        (void)verso__os_unmap(to.outer, to.outer_bytes);
    verso__pages_runs_free(&to.runs);
    return r;
}

/* ---- The call ------------------------------------------------------------------------------------------------- */

static int grow(struct resizing *resizing, bool may_move)
{
    const struct verso_pages *pages = resizing->pages;
    int r;

    if (pages->kind == VERSO_PAGES_SHARED || pages->kind == VERSO_PAGES_SECRET ||
        pages->size == VERSO_PAGES_SIZE_HUGETLB)
        return failed(resizing, VERSO_E_UNSUPPORTED, "resize",
                      "shared, secret and hugetlb memory has the size it was opened with: open it larger");
    r = grow_in_place(resizing);
    if (r != -EEXIST)
        return r;
    if (!may_move)
        return failed(resizing, VERSO_E_SPAN, "mmap",
                      "something stands behind the span: let it move, or open it with room to grow in");
    return grow_elsewhere(resizing);
}

static int resize(struct resizing *resizing, bool may_move)
{
    struct verso_pages *pages = resizing->pages;
    int r = verso__pages_runs_prepare(&pages->runs);

    if (r < 0)
        return failed(resizing, r, "malloc", NULL);
    resizing->old_bytes = pages->runs.bytes;
    if (resizing->new_bytes < resizing->old_bytes)
        r = shrink(resizing);
    else if (resizing->new_bytes > resizing->old_bytes)
        r = grow(resizing, may_move);
    if (r == 0)
        verso__pages_moved(pages);
    verso__pages_changed(pages);
    return r;
}

int verso_pages_resize(struct verso_pages *pages, uint64_t bytes, int may_move)
{
    struct resizing resizing = { .pages = pages, .step = "mmap" };
    uint64_t wanted;
    int r;

    if (bytes == 0)
        return verso__pages_fail(pages, VERSO_E_RANGE, "range", "a span has one page at least");
    if (!verso__round_up(bytes, pages->page_bytes, &wanted) || wanted > PTRDIFF_MAX)
        return verso__pages_fail(pages, VERSO_E_OVERFLOW, "range", "no address space is that large");
    if (verso__pages_is_left_behind(pages))
        return verso__pages_fail(pages, -EPERM, "fork", verso__pages_left_behind_hint);
    if (atomic_load(&pages->sealed))
        return verso__pages_fail(pages, -EPERM, "mseal", verso__pages_sealed_hint);
    resizing.new_bytes = (size_t)wanted;
    verso__pages_lock_take();
    r = resize(&resizing, may_move != 0);
    verso__pages_lock_give();
    return r < 0 ? verso__pages_fail(pages, r, resizing.step, resizing.hint) : 0;
}
