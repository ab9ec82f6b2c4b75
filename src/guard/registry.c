/* SPDX-License-Identifier: MIT */
/* registry - the ranges whose faults are ours, found without a lock (base/registry.h). */
#include "guard/registry.h"

#include "base/registry.h"
#include "os/os.h"

#include <errno.h>

enum words {
    WORD_RANGE = VERSO__REGISTRY_OWN, /* the range itself */
    WORD_SHIFT,                       /* file offset less address */
    WORDS,
};

static struct verso__registry registry = VERSO__REGISTRY_INIT(WORDS);

static void describe(struct verso__guard_range *range, uint64_t *out_words)
{
    out_words[VERSO__REGISTRY_START] = range->start;
    out_words[VERSO__REGISTRY_END] = range->end;
    out_words[WORD_RANGE] = (uintptr_t)range;
    out_words[WORD_SHIFT] = range->file_offset_bytes - range->start;
}

void verso__guard_range_init(struct verso__guard_range *range)
{
    range->start = 0;
    range->end = 0;
    range->file_offset_bytes = 0;
    range->granule_bytes = verso__os_page_bytes();
    atomic_init(&range->fd, -1);
    atomic_init(&range->substitute, false);
    atomic_init(&range->access, 0);
    atomic_init(&range->torn_offset_bytes, VERSO_OFFSET_NONE);
    atomic_init(&range->torn_count, 0);
    range->slot = VERSO__REGISTRY_NONE;
}

int verso__guard_range_add(struct verso__guard_range *range)
{
    uint64_t words[WORDS];

    describe(range, words);
    range->slot = verso__registry_add(&registry, words);
    return range->slot == VERSO__REGISTRY_NONE ? -ENOMEM : 0;
}

void verso__guard_range_drop(struct verso__guard_range *range)
{
    if (range->slot == VERSO__REGISTRY_NONE)
        return;
    verso__registry_drop(&registry, range->slot);
    range->slot = VERSO__REGISTRY_NONE;
}

void verso__guard_range_move(struct verso__guard_range *range, uintptr_t start, uintptr_t end,
                             uint64_t file_offset_bytes)
{
    bool in_place = start == range->start && file_offset_bytes == range->file_offset_bytes;
    uint64_t words[WORDS];

    range->start = start;
    range->end = end;
    range->file_offset_bytes = file_offset_bytes;
    if (range->slot == VERSO__REGISTRY_NONE)
        return;
    describe(range, words);
    if (in_place)
        verso__registry_store(&registry, range->slot, VERSO__REGISTRY_END, end);
    else
        verso__registry_refill(&registry, range->slot, words);
}

/* ---- The handler's side --------------------------------------------------------------------------------------- */

bool verso__guard_place_find(uintptr_t address, struct verso__guard_place *out_place)
{
    uint64_t words[WORDS];

    if (!verso__registry_find(&registry, address, words))
        return false;
    out_place->range = (struct verso__guard_range *)(uintptr_t)words[WORD_RANGE];
    out_place->address = address;
    out_place->start = (uintptr_t)words[VERSO__REGISTRY_START];
    out_place->end = (uintptr_t)words[VERSO__REGISTRY_END];
    out_place->file_shift = words[WORD_SHIFT];
    return true;
}

void verso__guard_place_mark(const struct verso__guard_place *place, uint64_t file_offset_bytes)
{
    uint64_t lowest = atomic_load(&place->range->torn_offset_bytes);

    while (file_offset_bytes < lowest &&
           !atomic_compare_exchange_weak(&place->range->torn_offset_bytes, &lowest, file_offset_bytes))
        ;
    atomic_fetch_add(&place->range->torn_count, 1);
}
