/* SPDX-License-Identifier: MIT */
/*
 * registry - the ranges whose faults are ours, for a reader that can't wait.
 *
 * A fault handler may run at any instruction of any thread, so it may take no lock: the thread that holds it could be
 * the very one that was interrupted, or, after fork(), one that does not exist any more. So nothing here is locked.
 *
 *      chunks[0] --> 64 slots      free list:  head --> slot 7 --> slot 2 --> none
 *      chunks[1] --> 128 slots     fresh:      slots from here on were never used
 *      chunks[2] --> 256 ...
 *
 * Slots never move and are never freed. Adding takes the head of the free list or the next fresh slot; dropping puts
 * it back: a few atomic operations each. The list's head carries a count, so that a slot that went and came back is not
 * taken for one that stayed.
 *
 * A slot is full while its version is odd. The reader notes the version, reads the rest, and looks at the version
 * again; every field is stored with release and loaded with acquire, so a field of a later filling can't be seen
 * without that filling's version. A slot caught in the middle counts as empty: its map is being opened, closed or
 * moved, and nobody else may use it then. Only growing and shrinking in place go on under readers, and those store one
 * word.
 *
 * The handler looks at every slot. Faults are rare, the kernel allows a process some 65,000 mappings, and they are read
 * in order: the worst case is below a tenth of a millisecond.
 */
#include "guard/registry.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>

#define CHUNK_COUNT 24 /* 64 * (2^24 - 1) slots: more than addresses can hold maps */
#define FIRST_CHUNK_SLOTS 64U
#define SLOT_NONE UINT32_MAX

struct slot {
    _Atomic uint32_t version;
    _Atomic uint32_t next_free; /* 1 + index, 0: none */
    _Atomic(struct verso__guard_range *) range;
    _Atomic uintptr_t start;
    _Atomic uintptr_t end;
    _Atomic uint64_t file_shift;
};

static _Atomic(struct slot *) chunks[CHUNK_COUNT];
static _Atomic uint32_t fresh;     /* index of the first slot never used */
static _Atomic uint64_t free_head; /* count << 32 | 1 + index */

static unsigned chunk_of(uint32_t index)
{
    return 31U - (unsigned)__builtin_clz(index / FIRST_CHUNK_SLOTS + 1);
}

static struct slot *slot_at(uint32_t index)
{
    unsigned chunk = chunk_of(index);
    struct slot *slots = atomic_load_explicit(&chunks[chunk], memory_order_acquire);

    return slots + (index - FIRST_CHUNK_SLOTS * ((1U << chunk) - 1));
}

/* ---- Taking and giving back slots ----------------------------------------------------------------------------- */

static uint32_t slot_reuse(void)
{
    uint64_t head = atomic_load(&free_head);
    uint64_t next;

    do {
        if ((uint32_t)head == 0)
            return SLOT_NONE;
        next = ((head >> 32) + 1) << 32 | atomic_load(&slot_at((uint32_t)head - 1)->next_free);
    } while (!atomic_compare_exchange_weak(&free_head, &head, next));
    return (uint32_t)head - 1;
}

static bool chunk_ensure(unsigned chunk)
{
    struct slot *expected = NULL, *made;

    if (chunk >= CHUNK_COUNT)
        return false;
    if (atomic_load(&chunks[chunk]))
        return true;
    made = calloc((size_t)FIRST_CHUNK_SLOTS << chunk, sizeof(*made));
    if (made && !atomic_compare_exchange_strong(&chunks[chunk], &expected, made))
        free(made); /* another thread was quicker */
    return made != NULL;
}

static uint32_t slot_take(void)
{
    uint32_t index = slot_reuse();
    uint32_t next;

    if (index != SLOT_NONE)
        return index;
    next = atomic_load(&fresh);
    do {
        if (!chunk_ensure(chunk_of(next)))
            return SLOT_NONE;
    } while (!atomic_compare_exchange_weak(&fresh, &next, next + 1));
    return next;
}

static void slot_give_back(uint32_t index)
{
    uint64_t head = atomic_load(&free_head);
    uint64_t next;

    do {
        atomic_store_explicit(&slot_at(index)->next_free, (uint32_t)head, memory_order_relaxed); /* shown by the head */
        next = ((head >> 32) + 1) << 32 | (index + 1);
    } while (!atomic_compare_exchange_weak(&free_head, &head, next));
}

/* ---- Filling and emptying them -------------------------------------------------------------------------------- */

static void slot_fill(struct slot *slot, struct verso__guard_range *range)
{
    uint32_t version = atomic_load_explicit(&slot->version, memory_order_relaxed);

    atomic_store_explicit(&slot->range, range, memory_order_release);
    atomic_store_explicit(&slot->start, range->start, memory_order_release);
    atomic_store_explicit(&slot->end, range->end, memory_order_release);
    atomic_store_explicit(&slot->file_shift, range->file_offset_bytes - range->start, memory_order_release);
    atomic_store_explicit(&slot->version, version + 1, memory_order_release);
}

static void slot_empty(struct slot *slot)
{
    uint32_t version = atomic_load_explicit(&slot->version, memory_order_relaxed); /* one thread at a time writes it */

    atomic_store_explicit(&slot->version, version + 1, memory_order_release);
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
    range->slot = SLOT_NONE;
}

int verso__guard_range_add(struct verso__guard_range *range)
{
    uint32_t index = slot_take();

    if (index == SLOT_NONE)
        return -ENOMEM;
    range->slot = index;
    slot_fill(slot_at(index), range);
    return 0;
}

void verso__guard_range_drop(struct verso__guard_range *range)
{
    if (range->slot == SLOT_NONE)
        return;
    slot_empty(slot_at(range->slot));
    slot_give_back(range->slot);
    range->slot = SLOT_NONE;
}

void verso__guard_range_move(struct verso__guard_range *range, uintptr_t start, uintptr_t end,
                             uint64_t file_offset_bytes)
{
    bool in_place = start == range->start && file_offset_bytes == range->file_offset_bytes;

    range->start = start;
    range->end = end;
    range->file_offset_bytes = file_offset_bytes;
    if (range->slot == SLOT_NONE)
        return;
    if (in_place) {
        atomic_store_explicit(&slot_at(range->slot)->end, end, memory_order_release);
    } else {
        slot_empty(slot_at(range->slot));
        slot_fill(slot_at(range->slot), range);
    }
}

/* ---- The handler's side --------------------------------------------------------------------------------------- */

/* True: the slot is full and holds the address; *place is whole. */
static bool slot_holds(struct slot *slot, struct verso__guard_place *place)
{
    uint32_t version = atomic_load_explicit(&slot->version, memory_order_acquire);

    for (;;) {
        uint32_t now;

        if (version % 2 == 0)
            return false;
        place->range = atomic_load_explicit(&slot->range, memory_order_acquire);
        place->start = atomic_load_explicit(&slot->start, memory_order_acquire);
        place->end = atomic_load_explicit(&slot->end, memory_order_acquire);
        place->file_shift = atomic_load_explicit(&slot->file_shift, memory_order_acquire);
        now = atomic_load_explicit(&slot->version, memory_order_acquire);
        if (now == version)
            return place->start <= place->address && place->address < place->end;
        version = now;
    }
}

bool verso__guard_place_find(uintptr_t address, struct verso__guard_place *out_place)
{
    uint32_t count = atomic_load(&fresh);
    struct verso__guard_place place = { .address = address };

    for (uint32_t index = 0; index < count; index++) {
        if (slot_holds(slot_at(index), &place)) {
            *out_place = place;
            return true;
        }
    }
    return false;
}

void verso__guard_place_mark(const struct verso__guard_place *place, uint64_t file_offset_bytes)
{
    uint64_t lowest = atomic_load(&place->range->torn_offset_bytes);

    while (file_offset_bytes < lowest &&
           !atomic_compare_exchange_weak(&place->range->torn_offset_bytes, &lowest, file_offset_bytes))
        ;
    atomic_fetch_add(&place->range->torn_count, 1);
}
