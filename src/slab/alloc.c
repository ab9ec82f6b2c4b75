/* SPDX-License-Identifier: MIT */
/*
 * alloc - taking an object and giving it back: the common way, and what it turns to once in a while.
 *
 * A word of bits is common when it has some bits set but not all; one addition tells. At none, another word is looked
 * for; at all, the word is about to be no longer wholly free, which its block has to know.
 */
#include "slab/slab.h"

#include <string.h>

/* Objects are taken by address, mostly, and stored to at once: the line that is wanted some calls later is asked for
 * now. A third of the time for cold objects of 64 and 256 bytes; an address where nothing stands costs nothing. */
#define AHEAD_BYTES 512

_Atomic uint64_t verso__slab_none;
struct verso__slab_cache verso__slab_nobody;

static inline bool is_common(uint64_t bits)
{
    return bits + 1 > 1;
}

/* The lowest object of the cache's word, whose bits are @bits, not 0. */
static inline void *take_lowest(struct verso__slab_cache *cache, _Atomic uint64_t *word, uint64_t bits, size_t stride)
{
    unsigned char *object = cache->base + (unsigned)__builtin_ctzll(bits) * stride;

    verso__slab_bits_set(word, bits & (bits - 1));
    __builtin_prefetch(object + AHEAD_BYTES, 1);
    return object;
}

static inline void use_word(struct verso__slab_cache *cache, _Atomic uint64_t *word, unsigned char *base)
{
    cache->word = word;
    cache->base = base;
}

/* ---- Taking ------------------------------------------------------------------------------------------------------ */

/* Takes from word @w of a block, which has some bits. */
static void *take_from(struct verso__slab_cache *cache, size_t index, unsigned w)
{
    struct verso_slab *slab = cache->slab;
    struct verso__slab_block *block = verso__slab_block_at(slab, index);
    struct verso__slab_place first = { index, (size_t)w * VERSO__SLAB_WORD_OBJECTS };

    block->whole &= ~((uint64_t)1 << w);
    block->last = (uint8_t)w;
    use_word(cache, &block->free[w], verso__slab_address(slab, first));
    return take_lowest(cache, &block->free[w], verso__slab_bits(&block->free[w]), slab->stride_bytes);
}

/* The first word in [w, end) that has a free object; @end when none has. */
static unsigned find_some(struct verso__slab_block *block, unsigned w, unsigned end)
{
    uint64_t eight;

    for (; w < end; w++) {
        if (block->some[w]) {
            if (verso__slab_bits(&block->free[w]))
                return w;
            block->some[w] = 0;
        }
        memcpy(&eight, &block->some[w / sizeof(eight) * sizeof(eight)], sizeof(eight));
        if (eight == 0)
            w |= sizeof(eight) - 1;
    }
    return end;
}

/* From the first listed block that has some; those that turn out to be full are no longer listed. */
static void *take_listed(struct verso__slab_cache *cache)
{
    const struct verso_slab *slab = cache->slab;

    while (cache->listed) {
        size_t index = cache->listed - 1;
        struct verso__slab_block *block = verso__slab_block_at(slab, index);
        unsigned last = block->last, w = find_some(block, last, slab->word_count);

        if (w == slab->word_count)
            w = find_some(block, 0, last);
        if (w < slab->word_count && verso__slab_bits(&block->free[w]))
            return take_from(cache, index, w);
        verso__slab_unlist(cache, index);
    }
    return NULL;
}

/* What the slab has, the nearest first, before the kernel is asked for memory. */
static void *take_searching(struct verso__slab_cache *cache)
{
    struct verso_slab *slab = cache->slab;
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

__attribute__((noinline)) void *verso__slab_take(struct verso__slab_cache *cache)
{
    _Atomic uint64_t *word = cache->word;
    uint64_t bits = verso__slab_bits(word);
    struct verso__slab_place place = { 0, 0 };

    if (bits == 0)
        return take_searching(cache);
    if (is_common(bits))
        return take_lowest(cache, word, bits, cache->slab->stride_bytes);
    (void)verso__slab_locate(cache->slab, cache->base, &place);
    return take_from(cache, place.block, (unsigned)(place.object / VERSO__SLAB_WORD_OBJECTS));
}

/* With everything that the common way leaves out. */
static __attribute__((noinline)) void *alloc_carefully(struct verso_slab *slab)
{
    struct verso__slab_cache *cache = verso__slab_cache_of_thread(slab);
    void *object = cache ? verso__slab_take(cache) : NULL;

    return object && slab->care ? verso__slab_prepare(slab, object) : object;
}

void *verso_slab_alloc(struct verso_slab *slab)
{
    struct verso__slab_cache *cache = slab->common;
    _Atomic uint64_t *word;
    uint64_t bits;

    if (!cache) {
        cache = slab->care ? NULL : verso__slab_guess(slab);
        if (__builtin_expect(!cache, 0))
            return alloc_carefully(slab);
    }
    word = cache->word;
    bits = verso__slab_bits(word);
    if (__builtin_expect(!is_common(bits), 0))
        return verso__slab_take(cache);
    return take_lowest(cache, word, bits, slab->stride_bytes);
}

/* ---- Giving back; what is rare ends in calls, so that the common way saves no registers -------------------------- */

/* A block becomes listed again; or all of a word's objects are free now. A block that has nothing else goes, unless it
 * is all that the cache has. Where all this is comes from the object again: the common way need not keep it. */
static __attribute__((noinline)) int note(struct verso__slab_cache *cache, const void *object)
{
    struct verso_slab *slab = cache->slab;
    struct verso__slab_place place = { 0, 0 };
    struct verso__slab_block *block;
    size_t w;

    (void)verso__slab_locate(slab, object, &place);
    block = verso__slab_block_at(slab, place.block);
    w = place.object / VERSO__SLAB_WORD_OBJECTS;
    if (!block->is_listed)
        verso__slab_list(cache, place.block);
    if (w < slab->whole_word_count && verso__slab_bits(&block->free[w]) == UINT64_MAX)
        block->whole |= (uint64_t)1 << w;
    if (verso__slab_block_is_free(slab, block) && (cache->listed != place.block + 1 || block->next))
        verso__slab_block_put(cache, place.block);
    return 0;
}

static __attribute__((noinline)) int stale(const struct verso_slab *slab, const void *object)
{
    return verso__slab_fail_at(slab, VERSO_E_STALE, "free", object, NULL);
}

/* @full: the bits of a word that is wholly free. */
static inline int give(struct verso_slab *slab, struct verso__slab_cache *cache, struct verso__slab_place place,
                       unsigned char *object, uint64_t full)
{
    struct verso__slab_block *block = verso__slab_block_at(slab, place.block);
    size_t w = place.object / VERSO__SLAB_WORD_OBJECTS;
    size_t lane = place.object % VERSO__SLAB_WORD_OBJECTS;
    uint64_t was = verso__slab_bits(&block->free[w]), bits = was | (uint64_t)1 << lane;

    if (__builtin_expect(bits == was, 0))
        return stale(slab, object);
    verso__slab_bits_set(&block->free[w], bits);
    use_word(cache, &block->free[w], object - lane * slab->stride_bytes);
    block->some[w] = 1;
    if (__builtin_expect(!block->is_listed, 0))
        return note(cache, object);
    if (__builtin_expect(bits == full, 0))
        return note(cache, object);
    return 0;
}

int verso__slab_release(struct verso_slab *slab, struct verso__slab_place place, uint32_t generation)
{
    unsigned char *object = verso__slab_address(slab, place);
    uint64_t full = place.object / VERSO__SLAB_WORD_OBJECTS < slab->whole_word_count ? UINT64_MAX : slab->last_mask;
    struct verso__slab_cache *owner;

    if (slab->care && verso__slab_retire(slab, place, generation) < 0)
        return stale(slab, object);
    owner = verso__slab_owner(slab, place.block);
    if (owner == &verso__slab_nobody)
        return stale(slab, object);
    if (slab->only || verso__slab_is_mine(owner))
        return give(slab, owner, place, object, full);
    return verso__slab_give_remote(slab, place) < 0 ? stale(slab, object) : 0;
}

/* Objects of a word that their block does not fill, those that need care, those of other threads, and what is none. */
static __attribute__((noinline)) int free_carefully(struct verso_slab *slab, void *object)
{
    size_t offset = (size_t)((uintptr_t)object - (uintptr_t)slab->base);
    const char *hint = "no object of this slab has that address: look for where it comes from";
    struct verso__slab_place place;
    bool is_exact = verso__slab_locate(slab, object, &place);

    if (!object)
        return 0;
    if (is_exact && place.object < slab->block_objects)
        return verso__slab_release(slab, place, 0);
    if (offset < slab->made_bytes)
        hint = "the address lies within the slab, but at no object's first byte";
    return verso__slab_fail_at(slab, VERSO_E_FOREIGN, "free", object, hint);
}

int verso_slab_free(struct verso_slab *slab, void *object)
{
    struct verso__slab_cache *cache = slab->only;
    struct verso__slab_place place;

    if (__builtin_expect(!verso__slab_locate_in(slab, object, VERSO__SLAB_BLOCK_BITS, &place) ||
                             place.object >= slab->common_count,
                         0))
        return free_carefully(slab, object);
    if (!cache) {
        cache = verso__slab_owner(slab, place.block);
        if (!verso__slab_is_mine(cache))
            return free_carefully(slab, object);
    }
    return give(slab, cache, place, object, UINT64_MAX);
}
