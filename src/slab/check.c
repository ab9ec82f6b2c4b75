/* SPDX-License-Identifier: MIT */
/*
 * check - what is done with an object beyond handing it out: generations, fill patterns, zeros, ASan's shadow.
 *
 * A generation is odd while the object lives. Freeing makes it even by one compare-and-swap, so of two that free the
 * same object, in whatever threads, one is told.
 */
#include "slab/slab.h"

#include <string.h>

/* Of a program that is built with ASan, even when this library is not. */
extern void __asan_poison_memory_region(const volatile void *address, size_t bytes) __attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *address, size_t bytes) __attribute__((weak));

unsigned verso__slab_care_of(unsigned flags)
{
    unsigned care = 0;

    if (flags & VERSO_SLAB_ZERO)
        care |= VERSO__SLAB_CARE_ZERO;
    if (flags & VERSO_SLAB_HANDLES)
        care |= VERSO__SLAB_CARE_GENERATION;
    if (flags & VERSO_SLAB_CHECK)
        care |= VERSO__SLAB_CARE_FILL;
    if (__asan_poison_memory_region && __asan_unpoison_memory_region)
        care |= VERSO__SLAB_CARE_POISON;
    return care;
}

static void poison(const struct verso__slab *slab, const void *memory, size_t bytes)
{
    if (slab->care & VERSO__SLAB_CARE_POISON)
        __asan_poison_memory_region(memory, bytes);
}

static void unpoison(const struct verso__slab *slab, const void *memory, size_t bytes)
{
    if (slab->care & VERSO__SLAB_CARE_POISON)
        __asan_unpoison_memory_region(memory, bytes);
}

static _Atomic uint32_t *generation_of(const struct verso__slab *slab, struct verso__slab_place place)
{
    return &slab->generations[(place.block << slab->index_bits) + place.object];
}

/* Looks at memory that is poisoned, on purpose. */
__attribute__((no_sanitize("address"))) static bool is_filled(const unsigned char *object, size_t bytes)
{
    const uint64_t wanted = VERSO__SLAB_FILL * 0x0101010101010101ULL;
    size_t i = 0;

    for (uint64_t word; i + sizeof(word) <= bytes; i += sizeof(word)) {
        __builtin_memcpy(&word, object + i, sizeof(word));
        if (word != wanted)
            return false;
    }
    for (; i < bytes; i++)
        if (object[i] != VERSO__SLAB_FILL)
            return false;
    return true;
}

void verso__slab_fresh(struct verso__slab *slab, size_t index)
{
    unsigned char *start = slab->head.base + (index << slab->block_bits);

    unpoison(slab, start, slab->used_bytes);
    if (slab->care & VERSO__SLAB_CARE_FILL)
        memset(start, VERSO__SLAB_FILL, slab->used_bytes);
    poison(slab, start, slab->used_bytes);
}

void verso__slab_forget(struct verso__slab *slab)
{
    unpoison(slab, slab->head.base, slab->made_bytes);
}

static void *set_aside(struct verso__slab *slab, void *object)
{
    poison(slab, object, slab->object_bytes);
    atomic_fetch_add_explicit(&slab->set_aside_count, 1, memory_order_relaxed);
    (void)verso__slab_fail_at(slab, VERSO_E_OVERWRITTEN, "alloc", object, NULL);
    return NULL;
}

void *verso__slab_prepare(struct verso__slab *slab, void *object)
{
    struct verso__slab_place place;
    _Atomic uint32_t *generation;

    unpoison(slab, object, slab->object_bytes);
    if ((slab->care & VERSO__SLAB_CARE_FILL) && !is_filled(object, slab->object_bytes))
        return set_aside(slab, object);
    if (slab->generations && verso__slab_locate(slab, object, &place)) {
        generation = generation_of(slab, place); /* nobody else changes it while the object is neither free nor live */
        atomic_store_explicit(generation, atomic_load_explicit(generation, memory_order_relaxed) + 1,
                              memory_order_release);
    }
    if (slab->care & VERSO__SLAB_CARE_ZERO)
        memset(object, 0, slab->object_bytes);
    return object;
}

/* From odd to even: of several threads, one does it. */
static bool end_life(const struct verso__slab *slab, struct verso__slab_place place, uint32_t meant)
{
    _Atomic uint32_t *generation = generation_of(slab, place);
    uint32_t now = atomic_load_explicit(generation, memory_order_relaxed);

    if (!(now & 1) || (meant && now != meant))
        return false;
    if (slab->is_shared)
        return atomic_compare_exchange_strong_explicit(generation, &now, now + 1, memory_order_acq_rel,
                                                       memory_order_relaxed);
    atomic_store_explicit(generation, now + 1, memory_order_relaxed);
    return true;
}

int verso__slab_retire(struct verso__slab *slab, struct verso__slab_place place, uint32_t generation)
{
    unsigned char *object = verso__slab_address(slab, place);

    if (slab->generations && !end_life(slab, place, generation))
        return VERSO_E_STALE;
    if (slab->care & VERSO__SLAB_CARE_FILL)
        memset(object, VERSO__SLAB_FILL, slab->object_bytes);
    poison(slab, object, slab->object_bytes);
    return 0;
}

/* ---- Live or not ------------------------------------------------------------------------------------------------- */

/* The live objects among those of a word. */
static uint64_t live_of(const struct verso__slab *slab, size_t index, unsigned w)
{
    uint64_t live = verso__slab_mask(slab, w) & ~verso__slab_bits(&verso__slab_block_at(slab, index)->words[w].free);

    if (slab->is_shared)
        live &= ~atomic_load_explicit(&verso__slab_remote_at(slab, index)->freed[w], memory_order_relaxed);
    if (!slab->generations)
        return live;
    for (uint64_t left = live; left; left &= left - 1) {
        struct verso__slab_place place = { index, (size_t)w * VERSO__SLAB_WORD_OBJECTS };

        place.object += (size_t)__builtin_ctzll(left);
        if (!(atomic_load_explicit(generation_of(slab, place), memory_order_relaxed) & 1))
            live &= ~(left & -left);
    }
    return live;
}

uint64_t verso__slab_live_count(const struct verso__slab *slab, size_t index)
{
    uint64_t count = 0;

    for (unsigned w = 0; w < slab->word_count; w++)
        count += (uint64_t)__builtin_popcountll(live_of(slab, index, w));
    return count;
}

void *verso_slab_next(struct verso_slab *head, const void *previous)
{
    const struct verso__slab *slab = verso__slab_of(head);
    struct verso__slab_place place = { 0, 0 };
    size_t block_count = slab->made_bytes >> slab->block_bits;
    uint64_t skip = 0; /* lanes of the first word */

    if (previous) {
        if (!verso__slab_locate(slab, previous, &place))
            return NULL;
        skip = (uint64_t)2 << (place.object % VERSO__SLAB_WORD_OBJECTS);
        skip -= 1;
    }
    for (size_t w = place.object / VERSO__SLAB_WORD_OBJECTS; place.block < block_count; place.block++, w = 0)
        for (; w < slab->word_count; w++, skip = 0) {
            uint64_t live = live_of(slab, place.block, (unsigned)w) & ~skip;

            if (!live)
                continue;
            place.object = w * VERSO__SLAB_WORD_OBJECTS + (size_t)__builtin_ctzll(live);
            return verso__slab_address(slab, place);
        }
    return NULL;
}

static void *find_overwritten(struct verso__slab *slab, size_t index)
{
    if (verso__slab_block_at(slab, index)->is_bare)
        return NULL;
    for (struct verso__slab_place place = { index, 0 }; place.object < slab->block_objects; place.object++) {
        unsigned w = (unsigned)(place.object / VERSO__SLAB_WORD_OBJECTS);

        if (!(live_of(slab, index, w) >> (place.object % VERSO__SLAB_WORD_OBJECTS) & 1) &&
            !is_filled(verso__slab_address(slab, place), slab->object_bytes))
            return verso__slab_address(slab, place);
    }
    return NULL;
}

int verso_slab_verify(struct verso_slab *head, void **out_object)
{
    struct verso__slab *slab = verso__slab_of(head);

    if (!(slab->flags & VERSO_SLAB_CHECK))
        return verso__slab_fail(slab, VERSO_E_OPTIONS, "verify", "open it with VERSO_SLAB_CHECK");
    for (size_t i = 0; i < slab->made_bytes >> slab->block_bits; i++) {
        void *object = find_overwritten(slab, i);

        if (!object)
            continue;
        if (out_object)
            *out_object = object;
        return verso__slab_fail_at(slab, VERSO_E_OVERWRITTEN, "verify", object, NULL);
    }
    return 0;
}

/* ---- Handles ----------------------------------------------------------------------------------------------------- */

static const char no_handles[] = "open it with VERSO_SLAB_HANDLES";

int verso_slab_handle(struct verso_slab *head, const void *object, struct verso_slab_handle *out_handle)
{
    const struct verso__slab *slab = verso__slab_of(head);
    struct verso__slab_place place;
    uint32_t generation;

    if (!slab->generations)
        return verso__slab_fail(slab, VERSO_E_OPTIONS, "handle", no_handles);
    if (!verso__slab_locate(slab, object, &place))
        return verso__slab_fail_at(slab, VERSO_E_FOREIGN, "handle", object, NULL);
    generation = atomic_load_explicit(generation_of(slab, place), memory_order_acquire);
    if (!(generation & 1))
        return verso__slab_fail_at(slab, VERSO_E_STALE, "handle", object, NULL);
    out_handle->index = (uint32_t)((place.block << slab->index_bits) + place.object);
    out_handle->generation = generation;
    return 0;
}

static bool find_meant(const struct verso__slab *slab, struct verso_slab_handle handle, struct verso__slab_place *out)
{
    out->block = handle.index >> slab->index_bits;
    out->object = handle.index & (((size_t)1 << slab->index_bits) - 1);
    return slab->generations && (handle.generation & 1) && out->object < slab->block_objects &&
           out->block < atomic_load_explicit(&slab->made_bytes, memory_order_acquire) >> slab->block_bits &&
           atomic_load_explicit(generation_of(slab, *out), memory_order_acquire) == handle.generation;
}

void *verso_slab_get(struct verso_slab *head, struct verso_slab_handle handle)
{
    const struct verso__slab *slab = verso__slab_of(head);
    struct verso__slab_place place;

    return find_meant(slab, handle, &place) ? verso__slab_address(slab, place) : NULL;
}

int verso_slab_free_handle(struct verso_slab *head, struct verso_slab_handle handle)
{
    struct verso__slab *slab = verso__slab_of(head);
    struct verso__slab_place place;

    if (!slab->generations)
        return verso__slab_fail(slab, VERSO_E_OPTIONS, "free", no_handles);
    if (!find_meant(slab, handle, &place))
        return verso__slab_fail(slab, VERSO_E_STALE, "free", "the handle's object has been freed, or it never was one");
    return verso__slab_release(slab, place, handle.generation);
}
