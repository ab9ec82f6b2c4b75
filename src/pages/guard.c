/* SPDX-License-Identifier: MIT */
/*
 * guard - pages that answer every access with SIGSEGV, and back.
 *
 *      markers     |==========G====G=======|   one mapping; the page table knows
 *      mappings    |==========|G|==|G|=====|   two more for each; our runs know, for the kernel can't tell a guard from
 *                                              pages that are not committed
 *
 * Markers are tried first, each time: which pages take them depends on the kernel and on what else was done to them
 * (locking). Where one is refused, the pages are emptied and protected. Spans with LOCK never have markers: the kernel
 * could not bring in what is committed around them.
 */
#include "pages/pages.h"

#include <errno.h>

static const char why_mappings[] =
    "MADV_GUARD_INSTALL is missing here (it came with Linux 6.13, for shared memory with "
    "6.15), or the pages are locked";

static const char *why_no_markers(const struct verso_pages *pages)
{
    if (pages->size == VERSO_PAGES_SIZE_HUGETLB)
        return "pages of the huge pool take no markers";
    if (pages->kind == VERSO_PAGES_SECRET || (pages->flags & VERSO_PAGES_LOCK))
        return "locked pages take no markers";
    return NULL;
}

/* ---- Markers -------------------------------------------------------------------------------------------------- */

/* What a file of memory holds goes with the pages only when told so. */
static int install_markers(struct verso_pages *pages, size_t start, size_t end)
{
    int r = verso__os_advise(pages->data + start, end - start, VERSO__OS_ADVICE_GUARD_INSTALL);

    if (r == -EINVAL) { /* after some pages of the range took theirs, perhaps */
        (void)verso__os_advise(pages->data + start, end - start, VERSO__OS_ADVICE_GUARD_REMOVE);
        return r;
    }
    atomic_store(&pages->has_markers, true);
    if (r == 0 && pages->fd >= 0)
        r = verso__pages_empty(pages, start, end);
    if (r < 0)
        (void)verso__os_advise(pages->data + start, end - start, VERSO__OS_ADVICE_GUARD_REMOVE);
    return r;
}

static int remove_markers(struct verso_pages *pages, size_t start, size_t end)
{
    if (!atomic_load(&pages->has_markers))
        return 0;
    return verso__os_advise(pages->data + start, end - start, VERSO__OS_ADVICE_GUARD_REMOVE);
}

/* ---- Mappings; the lock is held --------------------------------------------------------------------------------- */

static int install_mappings(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;
    int r = verso__pages_runs_prepare(&pages->runs);

    for (size_t at = start; r == 0 && verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end) {
        if (piece.state & VERSO__PAGES_GUARD)
            continue;
        if (piece.state != VERSO__PAGES_RESERVED)
            r = verso__pages_shut(pages, piece.start, piece.end);
        if (r == 0)
            verso__pages_runs_set(&pages->runs, piece.start, piece.end, piece.state | VERSO__PAGES_GUARD);
    }
    return r;
}

static int remove_mapping(struct verso_pages *pages, const struct verso__pages_piece *piece, unsigned state)
{
    int r = 0;

    if (state != VERSO__PAGES_RESERVED)
        r = verso__os_protect(pages->data + piece->start, piece->end - piece->start, verso__pages_access_of(state));
    if (r == 0 && state == VERSO__PAGES_WRITE && (pages->flags & VERSO_PAGES_LOCK))
        r = verso__pages_bring_in(pages, piece->start, piece->end, true);
    if (r < 0)
        verso__pages_restore(pages, piece->start, piece->end);
    return r;
}

static int remove_mappings(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;
    int r = verso__pages_runs_prepare(&pages->runs);

    for (size_t at = start; r == 0 && verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end) {
        unsigned state = piece.state & ~(unsigned)VERSO__PAGES_GUARD;

        if (state == piece.state)
            continue;
        r = remove_mapping(pages, &piece, state);
        if (r == 0)
            verso__pages_runs_set(&pages->runs, piece.start, piece.end, state);
    }
    return r;
}

/* A guard on shared memory gave up the space beneath it, which what was committed had been promised. */
static int promise_again(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;
    int r = 0;

    for (size_t at = start; r == 0 && verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end)
        if ((piece.state & ~(unsigned)VERSO__PAGES_GUARD) != VERSO__PAGES_RESERVED)
            r = verso__pages_promise(pages, piece.start, piece.end);
    return r;
}

/* ---- The calls ------------------------------------------------------------------------------------------------ */

static int guard_by_mappings(struct verso_pages *pages, size_t start, size_t end)
{
    const char *why = why_no_markers(pages);
    int r;

    verso__pages_lock_take();
    r = install_mappings(pages, start, end);
    if (r == 0) {
        atomic_store(&pages->guard_why, why ? why : why_mappings);
        atomic_store(&pages->guard_method, VERSO_PAGES_GUARD_MAPPINGS);
        verso__pages_changed(pages);
    }
    verso__pages_lock_give();
    return r;
}

int verso_pages_guard(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes)
{
    size_t start, end;
    int r;

    r = verso__pages_range(pages, offset_bytes, length_bytes, false, &start, &end);
    if (r < 0 || start == end)
        return r;
    if (atomic_load(&pages->sealed))
        return verso__pages_fail(pages, -EPERM, "mseal", verso__pages_sealed_hint);
    r = why_no_markers(pages) ? -EINVAL : install_markers(pages, start, end);
    if (r != -EINVAL)
        return r < 0 ? verso__pages_fail(pages, r, "madvise", verso__pages_refused(r, "madvise", 0)) : 0;
    r = guard_by_mappings(pages, start, end);
    return r < 0 ? verso__pages_fail(pages, r, "mprotect", verso__pages_refused(r, "mprotect", 0)) : 0;
}

static int unguard(struct verso_pages *pages, size_t start, size_t end, const char **out_step)
{
    int r = 0;

    if (pages->kind == VERSO_PAGES_SHARED || atomic_load(&pages->guard_method) == VERSO_PAGES_GUARD_MAPPINGS) {
        verso__pages_lock_take();
        *out_step = "fallocate";
        r = promise_again(pages, start, end);
        if (r == 0) {
            *out_step = "mprotect";
            r = remove_mappings(pages, start, end);
        }
        verso__pages_lock_give();
    }
    if (r == 0) {
        *out_step = "madvise";
        r = remove_markers(pages, start, end);
    }
    return r;
}

int verso_pages_unguard(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes)
{
    const char *step = "range";
    size_t start, end;
    int r;

    r = verso__pages_range(pages, offset_bytes, length_bytes, false, &start, &end);
    if (r < 0 || start == end)
        return r;
    if (atomic_load(&pages->sealed))
        return verso__pages_fail(pages, -EPERM, "mseal", verso__pages_sealed_hint);
    r = unguard(pages, start, end, &step);
    return r < 0 ? verso__pages_fail(pages, r, step, verso__pages_refused(r, step, end - start)) : 0;
}

bool verso__pages_takes_markers(const struct verso_pages *pages, const char **out_why)
{
    const char *why = why_no_markers(pages);

    /* Of no bytes: only whether the call is known. */
    if (!why && !atomic_load(&pages->has_markers) &&
        verso__os_advise(pages->data, 0, VERSO__OS_ADVICE_GUARD_INSTALL) == -EINVAL)
        why = why_mappings;
    *out_why = why ? why : "";
    return !why;
}
