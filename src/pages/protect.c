/* SPDX-License-Identifier: MIT */
/* protect - what may be done with committed pages. */
#include "pages/pages.h"

#include <errno.h>

static int state_of(enum verso_pages_access access, unsigned *out_state)
{
    switch (access) {
    case VERSO_PAGES_ACCESS_NONE:
        *out_state = VERSO__PAGES_NONE;
        return 0;
    case VERSO_PAGES_ACCESS_READ:
        *out_state = VERSO__PAGES_READ;
        return 0;
    case VERSO_PAGES_ACCESS_WRITE:
        *out_state = VERSO__PAGES_WRITE;
        return 0;
    default:
        return VERSO_E_OPTIONS;
    }
}

static bool is_committed(const struct verso_pages *pages, size_t start, size_t end)
{
    struct verso__pages_piece piece;

    for (size_t at = start; verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end)
        if ((piece.state & ~(unsigned)VERSO__PAGES_GUARD) == VERSO__PAGES_RESERVED)
            return false;
    return true;
}

/* Guards by mappings keep their place, and remember what will be beneath them. */
static int protect_range(struct verso_pages *pages, size_t start, size_t end, unsigned state)
{
    struct verso__pages_piece piece;
    size_t reached = start;
    int r = verso__pages_runs_prepare(&pages->runs);

    for (size_t at = start; r == 0 && verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end) {
        if (piece.state != state && !(piece.state & VERSO__PAGES_GUARD))
            r = verso__os_protect(pages->data + piece.start, piece.end - piece.start, verso__pages_access_of(state));
        reached = piece.end;
    }
    if (r < 0) {
        verso__pages_restore(pages, start, reached);
        return r;
    }
    for (size_t at = start; verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end)
        verso__pages_runs_set(&pages->runs, piece.start, piece.end, state | (piece.state & VERSO__PAGES_GUARD));
    return 0;
}

int verso_pages_protect(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes,
                        enum verso_pages_access access)
{
    size_t start, end;
    unsigned state;
    bool committed;
    int r;

    if (state_of(access, &state) < 0)
        return verso__pages_fail(pages, VERSO_E_OPTIONS, "mprotect", "use a value of enum verso_pages_access");
    r = verso__pages_range(pages, offset_bytes, length_bytes, false, &start, &end);
    if (r < 0 || start == end)
        return r;
    if (atomic_load(&pages->sealed))
        return verso__pages_fail(pages, -EPERM, "mseal", verso__pages_sealed_hint);
    verso__pages_lock_take();
    committed = is_committed(pages, start, end);
    r = committed ? protect_range(pages, start, end, state) : VERSO_E_RANGE;
    verso__pages_lock_give();
    if (!committed)
        return verso__pages_fail(pages, r, "range", "part of the range is not committed: verso_pages_commit()");
    return r < 0 ? verso__pages_fail(pages, r, "mprotect", verso__pages_refused(r, "mprotect", end - start)) : 0;
}
