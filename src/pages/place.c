/* SPDX-License-Identifier: MIT */
/*
 * place - where a span stands.
 *
 *      reserved     |~~ skip ~~|G|~~~~~~~~ span ~~~~~~~~|G|     skip: so that the span, not its guard, is aligned
 *      laid over               |G|======== kind ========|G|
 *
 * Private memory is what was reserved, with another access. Every other kind is a mapping of its own, and takes the
 * place of the reservation: not by mapping over it, which may fail after the old mapping has gone, but by asking for
 * just that place, now free, and for nothing if somebody was quicker.
 */
#include "pages/pages.h"

#include <errno.h>

/* How often another thread's mmap may be quicker than ours before open gives up. */
#define TRIES_MAX 16

/* Room from which the span begins at a multiple of the alignment. */
static int reserve_anywhere(struct verso_pages *pages, size_t inner)
{
    size_t guard = verso__pages_end_bytes(pages), align = pages->align_bytes, skip = guard ? align - guard : 0;
    unsigned char *room;
    void *address;
    int r;

    if (inner > PTRDIFF_MAX - align - guard)
        return VERSO_E_OVERFLOW;
    r = verso__os_reserve(skip + guard + inner + guard, align, &address);
    if (r < 0)
        return r;
    room = address;
    if (skip)
        (void)verso__os_unmap(room, skip);
    pages->outer = room + skip;
    return 0;
}

static int reserve_at(struct verso_pages *pages, unsigned char *wanted, size_t inner)
{
    size_t guard = verso__pages_end_bytes(pages);
    void *address;
    int r;

    if ((uintptr_t)wanted < guard || inner > PTRDIFF_MAX - 2 * guard)
        return VERSO_E_OVERFLOW;
    r = verso__os_map(wanted - guard, inner + 2 * guard, VERSO__OS_ACCESS_NONE, VERSO__OS_MAP_AT, -1, 0, &address);
    if (r == 0)
        pages->outer = address;
    return r;
}

/* The guards are all there is, then: what stands between them may be somebody else's by now. */
static int lay_kind(struct verso_pages *pages, size_t inner)
{
    size_t guard = verso__pages_end_bytes(pages);
    int r;

    (void)verso__os_unmap(pages->outer + guard, inner);
    r = verso__pages_lay(pages, pages->outer + guard, inner, VERSO__OS_MAP_AT);
    if (r < 0 && guard) {
        (void)verso__os_unmap(pages->outer, guard);
        (void)verso__os_unmap(pages->outer + guard + inner, guard);
    }
    return r;
}

static int place_once(struct verso_pages *pages, void *address, size_t inner)
{
    int r = address ? reserve_at(pages, address, inner) : reserve_anywhere(pages, inner);

    if (r == 0 && (pages->kind != VERSO_PAGES_PRIVATE || pages->size == VERSO_PAGES_SIZE_HUGETLB))
        r = lay_kind(pages, inner);
    return r;
}

int verso__pages_place(struct verso_pages *pages, void *address, size_t inner)
{
    size_t guard = verso__pages_end_bytes(pages);
    int r = place_once(pages, address, inner);

    for (int tries = 1; r == -EEXIST && !address && tries < TRIES_MAX; tries++)
        r = place_once(pages, address, inner); /* anywhere else will do */
    if (r < 0) {
        pages->outer = NULL;
        return r;
    }
    pages->outer_bytes = inner + 2 * guard;
    pages->data = pages->outer + guard;
    atomic_store_explicit(&pages->bytes, inner, memory_order_relaxed);
    pages->is_named = verso__os_name(pages->outer, pages->outer_bytes, pages->name) == 0; /* before 5.17: none */
    return 0;
}
