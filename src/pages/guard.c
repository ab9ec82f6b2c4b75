/* SPDX-License-Identifier: MIT */
/*
 * guard - pages that answer every access with SIGSEGV, and back.
 *
 *      markers     |==========G====G=======|   one mapping; the page table knows
 *      mappings    |==========|G|==|G|=====|   two more for each; our runs know, for the kernel can't tell a guard from
 *                                              pages that are not committed
 *
 * Markers are tried first, each time: which pages take them depends on the kernel and on what else was done to them
 * (locking). Where one is refused, the pages are emptied and protected.
 */
#include "pages/pages.h"

#include <errno.h>

static const char why_mappings[] = "MADV_GUARD_INSTALL is missing here (it came with Linux 6.13), or the pages are "
                                   "locked or of a kind that takes no markers";

/* ---- Markers -------------------------------------------------------------------------------------------------- */

static int install_markers(struct verso_pages *pages, size_t start, size_t end)
{
    int r = verso__os_advise(pages->data + start, end - start, VERSO__OS_ADVICE_GUARD_INSTALL);

    if (r == 0)
        atomic_store(&pages->has_markers, true);
    return r;
}

static int remove_markers(struct verso_pages *pages, size_t start, size_t end)
{
    if (!atomic_load(&pages->has_markers))
        return 0;
    return verso__os_advise(pages->data + start, end - start, VERSO__OS_ADVICE_GUARD_REMOVE);
}

/* ---- Mappings ------------------------------------------------------------------------------------------------- */

/* First no access, which may be refused, then no content, which is not. */
static int wall_off(struct verso_pages *pages, const struct verso__pages_piece *piece)
{
    unsigned char *address = pages->data + piece->start;
    size_t bytes = piece->end - piece->start;
    int r;

    if (piece->state == VERSO__PAGES_RESERVED)
        return 0;
    r = verso__os_protect(address, bytes, VERSO__OS_ACCESS_NONE);
    if (r < 0)
        return r;
    (void)verso__os_unlock(address, bytes); /* locked pages could not be emptied */
    r = verso__os_advise(address, bytes, VERSO__OS_ADVICE_DONTNEED);
    if (r < 0)
        (void)verso__os_protect(address, bytes, verso__pages_access_of(piece->state));
    return r;
}

static int install_mappings(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;
    int r;

    verso__pages_lock_take();
    r = verso__pages_runs_prepare(&pages->runs);
    for (size_t at = start; r == 0 && verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end) {
        if (piece.state & VERSO__PAGES_GUARD)
            continue;
        r = wall_off(pages, &piece);
        if (r == 0)
            verso__pages_runs_set(&pages->runs, piece.start, piece.end, piece.state | VERSO__PAGES_GUARD);
    }
    verso__pages_lock_give();
    return r;
}

static int remove_mappings(struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;
    int r;

    verso__pages_lock_take();
    r = verso__pages_runs_prepare(&pages->runs);
    for (size_t at = start; r == 0 && verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end) {
        unsigned state = piece.state & ~(unsigned)VERSO__PAGES_GUARD;

        if (state == piece.state)
            continue;
        if (state != VERSO__PAGES_RESERVED)
            r = verso__os_protect(pages->data + piece.start, piece.end - piece.start, verso__pages_access_of(state));
        if (r == 0)
            verso__pages_runs_set(&pages->runs, piece.start, piece.end, state);
    }
    verso__pages_lock_give();
    return r;
}

/* ---- The calls ------------------------------------------------------------------------------------------------ */

int verso_pages_guard(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes)
{
    size_t start, end;
    int r;

    r = verso__pages_range(pages, offset_bytes, length_bytes, false, &start, &end);
    if (r < 0 || start == end)
        return r;
    if (pages->sealed)
        return verso__pages_fail(pages, -EPERM, "madvise", verso__pages_sealed_hint);
    r = install_markers(pages, start, end);
    if (r == 0)
        return 0;
    if (r != -EINVAL)
        return verso__pages_fail(pages, r, "madvise", NULL);
    r = install_mappings(pages, start, end);
    if (r < 0)
        return verso__pages_fail(pages, r, "mprotect", r == -ENOMEM ? verso__pages_why_no_memory(0) : NULL);
    atomic_store(&pages->guard_why, why_mappings);
    atomic_store(&pages->guard_method, VERSO_PAGES_GUARD_MAPPINGS);
    return 0;
}

int verso_pages_unguard(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes)
{
    size_t start, end;
    int r;

    r = verso__pages_range(pages, offset_bytes, length_bytes, false, &start, &end);
    if (r < 0 || start == end)
        return r;
    if (pages->sealed)
        return verso__pages_fail(pages, -EPERM, "madvise", verso__pages_sealed_hint);
    r = remove_markers(pages, start, end);
    if (r < 0)
        return verso__pages_fail(pages, r, "madvise", NULL);
    if (atomic_load(&pages->guard_method) == VERSO_PAGES_GUARD_MARKERS)
        return 0;
    r = remove_mappings(pages, start, end);
    return r < 0 ? verso__pages_fail(pages, r, "mprotect", r == -ENOMEM ? verso__pages_why_no_memory(0) : NULL) : 0;
}
