/* SPDX-License-Identifier: MIT */
/*
 * registry - see registry.h.
 *
 * Slots never move and are never freed. Adding takes the head of the free list or the next fresh slot; dropping puts
 * it back: a few atomic operations each. The list's head carries a count, so that a slot that went and came back is not
 * taken for one that stayed.
 *
 * A slot is full while its version is odd. The reader notes the version, reads the rest, and looks at the version
 * again; every word is stored with release and loaded with acquire, so a word of a later filling can't be seen
 * without that filling's version. A slot caught in the middle counts as empty: its range is being opened, closed or
 * moved, and nobody else may use it then. Only changes of one word go on under readers.
 *
 * The reader looks at every slot. Faults are rare, the kernel allows a process some 65,000 mappings, and slots are read
 * in order: the worst case is below a tenth of a millisecond.
 */
#include "base/registry.h"

#include <stdlib.h>

#define FIRST_CHUNK_SLOTS 64U

struct slot {
    _Atomic uint32_t version;
    _Atomic uint32_t next_free; /* 1 + index, 0: none */
    _Atomic uint64_t words[];
};

static size_t slot_bytes(const struct verso__registry *registry)
{
    return sizeof(struct slot) + registry->words * sizeof(uint64_t);
}

static unsigned chunk_of(uint32_t index)
{
    return 31U - (unsigned)__builtin_clz(index / FIRST_CHUNK_SLOTS + 1);
}

static struct slot *slot_at(struct verso__registry *registry, uint32_t index)
{
    unsigned chunk = chunk_of(index);
    unsigned char *slots = atomic_load_explicit(&registry->chunks[chunk], memory_order_acquire);
    size_t in_chunk = index - FIRST_CHUNK_SLOTS * ((1U << chunk) - 1);

    return (struct slot *)(void *)(slots + in_chunk * slot_bytes(registry));
}

/* ---- Taking and giving back slots ----------------------------------------------------------------------------- */

static uint32_t slot_reuse(struct verso__registry *registry)
{
    uint64_t head = atomic_load(&registry->free_head);
    uint64_t next;

    do {
        if ((uint32_t)head == 0)
            return VERSO__REGISTRY_NONE;
        next = ((head >> 32) + 1) << 32 | atomic_load(&slot_at(registry, (uint32_t)head - 1)->next_free);
    } while (!atomic_compare_exchange_weak(&registry->free_head, &head, next));
    return (uint32_t)head - 1;
}

static bool chunk_ensure(struct verso__registry *registry, unsigned chunk)
{
    void *expected = NULL, *made;

    if (chunk >= VERSO__REGISTRY_CHUNKS)
        return false;
    if (atomic_load(&registry->chunks[chunk]))
        return true;
    made = calloc((size_t)FIRST_CHUNK_SLOTS << chunk, slot_bytes(registry));
    if (made && !atomic_compare_exchange_strong(&registry->chunks[chunk], &expected, made))
        free(made); /* another thread was quicker */
    return made != NULL;
}

static uint32_t slot_take(struct verso__registry *registry)
{
    uint32_t index = slot_reuse(registry);
    uint32_t next;

    if (index != VERSO__REGISTRY_NONE)
        return index;
    next = atomic_load(&registry->fresh);
    do {
        if (!chunk_ensure(registry, chunk_of(next)))
            return VERSO__REGISTRY_NONE;
    } while (!atomic_compare_exchange_weak(&registry->fresh, &next, next + 1));
    return next;
}

static void slot_give_back(struct verso__registry *registry, uint32_t index)
{
    uint64_t head = atomic_load(&registry->free_head);
    uint64_t next;

    do {
        /* Relaxed: shown by the head. */
        atomic_store_explicit(&slot_at(registry, index)->next_free, (uint32_t)head, memory_order_relaxed);
        next = ((head >> 32) + 1) << 32 | (index + 1);
    } while (!atomic_compare_exchange_weak(&registry->free_head, &head, next));
}

/* ---- Filling and emptying them -------------------------------------------------------------------------------- */

/* Between full and empty; one thread at a time writes a slot. */
static void slot_turn(struct slot *slot)
{
    uint32_t version = atomic_load_explicit(&slot->version, memory_order_relaxed);

    atomic_store_explicit(&slot->version, version + 1, memory_order_release);
}

static void slot_fill(const struct verso__registry *registry, struct slot *slot, const uint64_t *words)
{
    for (size_t i = 0; i < registry->words; i++)
        atomic_store_explicit(&slot->words[i], words[i], memory_order_release);
    slot_turn(slot);
}

uint32_t verso__registry_add(struct verso__registry *registry, const uint64_t *words)
{
    uint32_t index = slot_take(registry);

    if (index != VERSO__REGISTRY_NONE)
        slot_fill(registry, slot_at(registry, index), words);
    return index;
}

void verso__registry_drop(struct verso__registry *registry, uint32_t slot)
{
    slot_turn(slot_at(registry, slot));
    slot_give_back(registry, slot);
}

void verso__registry_store(struct verso__registry *registry, uint32_t slot, size_t word, uint64_t value)
{
    atomic_store_explicit(&slot_at(registry, slot)->words[word], value, memory_order_release);
}

void verso__registry_refill(struct verso__registry *registry, uint32_t slot, const uint64_t *words)
{
    slot_turn(slot_at(registry, slot));
    slot_fill(registry, slot_at(registry, slot), words);
}

/* ---- The reader's side ---------------------------------------------------------------------------------------- */

/* True: the slot is full and holds the address; the words are whole. */
static bool slot_holds(const struct verso__registry *registry, struct slot *slot, uintptr_t address,
                       uint64_t *out_words)
{
    uint32_t version = atomic_load_explicit(&slot->version, memory_order_acquire);

    for (;;) {
        uint32_t now;

        if (version % 2 == 0)
            return false;
        for (size_t i = 0; i < registry->words; i++)
            out_words[i] = atomic_load_explicit(&slot->words[i], memory_order_acquire);
        now = atomic_load_explicit(&slot->version, memory_order_acquire);
        if (now == version)
            return out_words[VERSO__REGISTRY_START] <= address && address < out_words[VERSO__REGISTRY_END];
        version = now;
    }
}

bool verso__registry_find(struct verso__registry *registry, uintptr_t address, uint64_t *out_words)
{
    uint32_t count = atomic_load(&registry->fresh);

    for (uint32_t index = 0; index < count; index++)
        if (slot_holds(registry, slot_at(registry, index), address, out_words))
            return true;
    return false;
}
