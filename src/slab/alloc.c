/* SPDX-License-Identifier: MIT */
/*
 * alloc - taking an object and giving it back, where the inline functions of verso/slab.h do not do: another word or
 * block is needed, a block may be empty, an object needs care or is another thread's, an address is wrong.
 */
#include "slab/slab.h"

/* The functions that users inline, for those who can't. */
extern inline void *verso_slab_alloc(struct verso_slab *slab);
extern inline int verso_slab_free(struct verso_slab *slab, void *object);

struct verso_slab_word verso__slab_none;
struct verso__slab_cache verso__slab_nobody = { .front.word = &verso__slab_none };

/* ---- Taking ------------------------------------------------------------------------------------------------------ */

/* The lowest object of a word that has some. */
static void *take_lowest(const struct verso__slab *slab, struct verso_slab_word *word)
{
    uint64_t bits = verso__slab_bits(&word->free);

    verso__slab_bits_set(&word->free, bits & (bits - 1));
    return word->first + (size_t)__builtin_ctzll(bits) * slab->head.stride_bytes;
}

/* The first word in [w, end) that has a free object; @end when none has. */
static unsigned find_some(const struct verso__slab_block *block, unsigned w, unsigned end)
{
    while (w < end && !verso__slab_bits(&block->words[w].free))
        w++;
    return w;
}

/* From the first listed block that has some; those that turn out to be full are no longer listed. */
static void *take_listed(struct verso__slab_cache *cache)
{
    const struct verso__slab *slab = cache->slab;

    while (cache->listed) {
        size_t index = cache->listed - 1;
        struct verso__slab_block *block = verso__slab_block_at(slab, index);
        unsigned last = block->last, w = find_some(block, last, slab->word_count);

        if (w == slab->word_count)
            w = find_some(block, 0, last);
        if (verso__slab_bits(&block->words[w].free)) {
            block->last = (uint8_t)w;
            cache->front.word = &block->words[w];
            return take_lowest(slab, cache->front.word);
        }
        verso__slab_unlist(cache, index);
    }
    return NULL;
}

/* What the slab has, the nearest first, before the kernel is asked for memory. */
static void *take_searching(struct verso__slab_cache *cache)
{
    struct verso__slab *slab = cache->slab;
    void *object = take_listed(cache);

    if (!object && slab->is_shared) {
        verso__slab_drain(cache, cache);
        object = take_listed(cache);
    }
    if (!object && verso__slab_block_get(cache, true) == 0)
        object = take_listed(cache);
    if (!object && slab->is_shared) {
        verso__slab_inherit(cache);
        object = take_listed(cache);
    }
    if (!object && verso__slab_block_get(cache, false) == 0)
        object = take_listed(cache);
    return object;
}

void *verso__slab_take(struct verso__slab_cache *cache)
{
    bool has_some = verso__slab_bits(&cache->front.word->free) != 0;

    return has_some ? take_lowest(cache->slab, cache->front.word) : take_searching(cache);
}

void *verso_slab_alloc_slowly(struct verso_slab *head)
{
    struct verso__slab *slab = verso__slab_of(head);
    struct verso__slab_cache *cache = verso__slab_cache_of_thread(slab);
    void *object = cache ? verso__slab_take(cache) : NULL;

    return object && slab->care ? verso__slab_prepare(slab, object) : object;
}

/* ---- Giving back ------------------------------------------------------------------------------------------------- */

static int stale(const struct verso__slab *slab, const void *object)
{
    return verso__slab_fail_at(slab, VERSO_E_STALE, "free", object, NULL);
}

/* To the cache's own block; where frees is 0, the inline way has done all but the rest. */
static int give(struct verso__slab_cache *cache, struct verso__slab_place place, const void *object)
{
    struct verso__slab_block *block = verso__slab_block_at(cache->slab, place.block);
    struct verso_slab_word *word = &block->words[place.object / VERSO__SLAB_WORD_OBJECTS];
    uint64_t bits = verso__slab_bits(&word->free), bit = (uint64_t)1 << (place.object % VERSO__SLAB_WORD_OBJECTS);

    if (block->head.frees > 0) {
        if (bits & bit)
            return stale(cache->slab, object);
        verso__slab_bits_set(&word->free, bits | bit);
        cache->front.word = word;
        block->head.frees--;
    }
    if (block->head.frees == 0)
        verso__slab_block_look(cache, place.block);
    return 0;
}

int verso__slab_release(struct verso__slab *slab, struct verso__slab_place place, uint32_t generation)
{
    const unsigned char *object = verso__slab_address(slab, place);
    struct verso__slab_cache *owner;

    if (slab->care && verso__slab_retire(slab, place, generation) < 0)
        return stale(slab, object);
    owner = verso__slab_owner(slab, place.block);
    if (owner == &verso__slab_nobody)
        return stale(slab, object);
    if (slab->only || verso__slab_is_mine(owner))
        return give(owner, place, object);
    return verso__slab_give_remote(slab, place) < 0 ? stale(slab, object) : 0;
}

int verso_slab_free_slowly(struct verso_slab *head, void *object)
{
    struct verso__slab *slab = verso__slab_of(head);
    size_t offset = (size_t)((uintptr_t)object - (uintptr_t)head->base);
    const char *hint = "no object of this slab has that address: look for where it comes from";
    struct verso__slab_place place;

    if (!object)
        return 0;
    if (verso__slab_locate(slab, object, &place))
        return verso__slab_release(slab, place, 0);
    if (offset < slab->made_bytes)
        hint = "the address lies within the slab, but at no object's first byte";
    return verso__slab_fail_at(slab, VERSO_E_FOREIGN, "free", object, hint);
}
