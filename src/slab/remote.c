/* SPDX-License-Identifier: MIT */
/*
 * remote - objects freed by threads that do not own their block, and blocks that lost their thread.
 *
 *      freer:  freed[w] |= bit;    was it 0?  summary |= word;      was it 0?  push on the owner's stack
 *      owner:  take the stack;     each:      summary -> 0;         each word: freed[w] -> 0, into free[w]
 *
 * Each step is one atomic operation, and nobody waits. A word whose bits are not in the summary yet is fetched the next
 * time: the freer that found it 0 is still on its way.
 */
#include "slab/slab.h"

static void push(const struct verso__slab *slab, struct verso__slab_cache *owner, size_t index)
{
    struct verso__slab_remote *remote = verso__slab_remote_at(slab, index);
    uint32_t first = atomic_load_explicit(&owner->pending, memory_order_relaxed);

    do
        remote->next_pending = first;
    while (!atomic_compare_exchange_weak_explicit(&owner->pending, &first, (uint32_t)index + 1, memory_order_acq_rel,
                                                  memory_order_relaxed));
}

int verso__slab_give_remote(struct verso__slab *slab, struct verso__slab_place place)
{
    struct verso__slab_remote *remote = verso__slab_remote_at(slab, place.block);
    size_t w = place.object / VERSO__SLAB_WORD_OBJECTS;
    uint64_t bit = (uint64_t)1 << (place.object % VERSO__SLAB_WORD_OBJECTS), was;
    struct verso__slab_cache *owner;

    was = atomic_fetch_or_explicit(&remote->freed[w], bit, memory_order_release);
    if (was & bit)
        return VERSO_E_STALE;
    if (was || atomic_fetch_or_explicit(&remote->summary, (uint64_t)1 << w, memory_order_acq_rel))
        return 0;
    owner = verso__slab_owner(slab, place.block);
    if (owner != &verso__slab_nobody)
        push(slab, owner, place.block);
    return 0;
}

/* What others freed of a block of the cache's own becomes its own. */
static void fetch(struct verso__slab_cache *cache, size_t index)
{
    struct verso__slab *slab = cache->slab;
    struct verso__slab_block *block = verso__slab_block_at(slab, index);
    struct verso__slab_remote *remote = verso__slab_remote_at(slab, index);
    uint64_t words = atomic_exchange_explicit(&remote->summary, 0, memory_order_acq_rel);

    for (; words; words &= words - 1) {
        unsigned w = (unsigned)__builtin_ctzll(words);
        uint64_t freed = atomic_exchange_explicit(&remote->freed[w], 0, memory_order_acquire);
        uint64_t was = verso__slab_bits(&block->words[w].free);

        if (freed & was)
            atomic_fetch_add_explicit(&slab->double_free_count, (uint64_t)__builtin_popcountll(freed & was),
                                      memory_order_relaxed);
        verso__slab_bits_set(&block->words[w].free, was | freed);
    }
    verso__slab_block_look(cache, index);
}

void verso__slab_drain(struct verso__slab_cache *from, struct verso__slab_cache *cache)
{
    const struct verso__slab *slab = cache->slab;
    uint32_t next;

    if (!atomic_load_explicit(&from->pending, memory_order_relaxed))
        return;
    next = atomic_exchange_explicit(&from->pending, 0, memory_order_acq_rel);
    while (next) {
        size_t index = next - 1;
        struct verso__slab_cache *owner = verso__slab_owner(slab, index);

        next = verso__slab_remote_at(slab, index)->next_pending;
        if (owner == from) {
            verso__slab_owner_set(slab, index, cache);
            owner = cache;
        }
        if (owner == cache)
            fetch(cache, index);
        else if (owner != &verso__slab_nobody)
            push(slab, owner, index); /* it was handed over while somebody pushed it here */
    }
}

static void take_over(struct verso__slab_cache *from, struct verso__slab_cache *cache)
{
    while (from->listed) {
        size_t index = from->listed - 1;

        verso__slab_unlist(from, index);
        verso__slab_owner_set(cache->slab, index, cache);
        verso__slab_list(cache, index);
    }
    verso__slab_drain(from, cache);
}

/* Meanwhile no thread can have them. Blocks that are full stay theirs, until something of them is freed. */
void verso__slab_inherit(struct verso__slab_cache *cache)
{
    struct verso__slab *slab = cache->slab;
    struct verso__slab_cache *orphans, *last = NULL;

    verso__slab_lock(slab);
    orphans = slab->orphans;
    slab->orphans = NULL;
    verso__slab_unlock(slab);
    for (struct verso__slab_cache *orphan = orphans; orphan; orphan = orphan->orphan) {
        take_over(orphan, cache);
        last = orphan;
    }
    if (!last)
        return;
    verso__slab_lock(slab);
    last->orphan = slab->orphans;
    slab->orphans = orphans;
    verso__slab_unlock(slab);
}
