/* SPDX-License-Identifier: MIT */
/*
 * slab.h (inner) - what a slab is made of.
 *
 *      objects span   |== block 0 ==|G|== block 1 ==|G|== ...        a power of two from one block to the next
 *      notes span     [who][owners][block 0: bits][block 1: bits] ... [generations]
 *
 *      of a block     some      1 0 0 1 ..  a byte for each word: it may hold a free object
 *                     free[0]   00000100    a bit for each object: 1 free
 *                     free[1] ...
 *
 * The bits are the truth: which objects are free is written there, by one store, and nowhere else. All the rest (some,
 * lists, which word a thread takes from) only says where to look, may say too much, and can be made anew from the bits:
 * that is what happens after fork().
 *
 * A free makes its word the one to take from next, so what was given back last, and is warm, is handed out first; and
 * no branch of the common way depends on how the free objects lie, which is what a churn of random frees costs others.
 *
 * SHARED: each block belongs to one thread's cache, which alone changes free[]. Who frees an object of another's block
 * sets its bit in freed[], on cache lines apart; the first to do so puts the block on its owner's stack of pending
 * ones, and the owner, when it has nothing left, fetches them with one exchange a word. Only who took a block from
 * such a stack may fetch, so it is never on two.
 */
#ifndef VERSO_SRC_SLAB_H
#define VERSO_SRC_SLAB_H

#include "base/fail.h"
#include "pages/pages.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <verso/slab.h>

#define VERSO__SLAB_WORD_OBJECTS 64
#define VERSO__SLAB_WORDS_MAX 64 /* of a block: `whole` has a bit for each */
#define VERSO__SLAB_BLOCK_OBJECTS_MAX (VERSO__SLAB_WORDS_MAX * VERSO__SLAB_WORD_OBJECTS)
#define VERSO__SLAB_THREADS_MAX 4096
#define VERSO__SLAB_INVERSE_BITS 44
#define VERSO__SLAB_FILL 0xdb

#define VERSO__SLAB_NOBODY ((uintptr_t)0) /* a cache that no thread has */
#define VERSO__SLAB_LINE 64

/* Who takes objects: the slab's only user, or one of its threads. What others read, what it alone writes, and what
 * others write are lines apart. */
struct verso__slab_cache {
    _Atomic uintptr_t thread; /* its thread pointer */
    unsigned slot;            /* in the table of threads */
    struct verso_slab *slab;
    struct verso__slab_cache *next;                    /* of all caches of the slab */
    struct verso__slab_cache *orphan;                  /* the next that has no thread */
    struct verso__slab_cache *sibling, **sibling_from; /* of its thread, in other slabs */
    unsigned char apart[VERSO__SLAB_LINE];
    uint32_t listed;        /* 1 + index of the first of its blocks with free objects; 0: none */
    _Atomic uint64_t *word; /* to take from next; never NULL */
    unsigned char *base;    /* the object of that word's lowest bit */
    unsigned char apart_too[VERSO__SLAB_LINE];
    _Atomic uint32_t pending; /* 1 + index of the first block that others have freed objects of; 0: none */
    unsigned char apart_as_well[VERSO__SLAB_LINE];
};

/* Of a block, for its owner. */
struct verso__slab_block {
    uint64_t whole; /* words all of whose objects are free; never the last word when the block does not fill it */
    uint32_t next;  /* 1 + index; in its owner's list, or among the empty ones */
    uint32_t previous;
    bool is_listed;
    uint8_t last; /* word that was taken from: where to look on */
    bool is_bare; /* empty, its memory given back */
    /* Bytes, as one is set by a store that waits for nothing. */
    _Alignas(VERSO__SLAB_LINE) uint8_t some[VERSO__SLAB_WORDS_MAX];
    _Atomic uint64_t free[];
};

/* Of a block, for the others. */
struct verso__slab_remote {
    _Atomic uint64_t summary; /* words of freed[] that are not 0 */
    uint32_t next_pending;
    _Alignas(VERSO__SLAB_LINE) _Atomic uint64_t freed[];
};

/* A part of a span that is used from its beginning on. */
struct verso__slab_region {
    struct verso_pages *pages;
    size_t start;
    size_t bytes;
    size_t committed;
};

enum verso__slab_care {
    VERSO__SLAB_CARE_ZERO = 1 << 0,
    VERSO__SLAB_CARE_GENERATION = 1 << 1,
    VERSO__SLAB_CARE_FILL = 1 << 2,
    VERSO__SLAB_CARE_POISON = 1 << 3, /* the program runs under ASan */
};

struct verso_slab {
    /* What the common way reads; it does not change. */
    unsigned char *base;
    unsigned char *blocks; /* block notes, of note_bytes each */
    size_t stride_bytes;
    uint64_t inverse; /* of the stride; 0: one object a block */
    size_t note_bytes;
    size_t remote_bytes; /* where, in a note, the others' part begins */
    size_t common_count; /* of a block's objects: those that the common way may free; 0: none */
    unsigned block_bits;
    unsigned care;                    /* enum verso__slab_care; 0: the common way is all there is */
    struct verso__slab_cache *only;   /* NULL: SHARED */
    struct verso__slab_cache *common; /* the same; NULL also when care is needed */
    _Atomic(struct verso__slab_cache *) *table;
    _Atomic(struct verso__slab_cache *) *owners; /* of each block */

    _Atomic size_t made_bytes; /* blocks made so far, in bytes of the span */

    size_t object_bytes;
    size_t align_bytes;
    size_t used_bytes; /* of a block: its objects, in whole pages */
    unsigned word_count;
    unsigned whole_word_count; /* words that the block fills */
    bool is_shared;
    uint64_t whole_all;
    uint64_t last_mask; /* of the word that the block does not fill; 0: it fills all */
    unsigned block_objects;
    unsigned index_bits; /* of an object in its block, in handles */
    unsigned flags;
    uint64_t block_max;
    uint64_t retain_bytes;
    _Atomic uint32_t *generations;
    struct verso_pages *objects_pages;
    struct verso_pages *notes_pages;

    /* SHARED: under the lock. */
    pthread_mutex_t lock;
    struct verso__slab_region objects, notes, states;
    uint32_t warm; /* empty blocks, 1 + index of the first: with memory */
    uint32_t bare; /* without */
    uint64_t retained_bytes;
    uint64_t returned_bytes;
    struct verso__slab_cache *caches;
    struct verso__slab_cache *orphans;
    struct verso_slab *other; /* the next SHARED slab of the process */
    bool is_enrolled;

    _Atomic uint64_t double_free_count;
    _Atomic uint64_t set_aside_count;
};

/* Where an object stands. */
struct verso__slab_place {
    size_t block;
    size_t object; /* in its block */
};

/* What most slabs have; a constant, as shifting by it is on the common way. */
#define VERSO__SLAB_BLOCK_BITS 16

static inline struct verso__slab_block *verso__slab_block_at(const struct verso_slab *slab, size_t index)
{
    return (struct verso__slab_block *)(void *)(slab->blocks + index * slab->note_bytes);
}

static inline struct verso__slab_remote *verso__slab_remote_at(const struct verso_slab *slab, size_t index)
{
    return (struct verso__slab_remote *)(void *)(slab->blocks + index * slab->note_bytes + slab->remote_bytes);
}

static inline size_t verso__slab_block_bytes(const struct verso_slab *slab)
{
    return (size_t)1 << slab->block_bits;
}

static inline unsigned char *verso__slab_address(const struct verso_slab *slab, struct verso__slab_place place)
{
    return slab->base + (place.block << slab->block_bits) + place.object * slab->stride_bytes;
}

/* Relaxed, as each word has one writer; atomic, as others look. */
static inline uint64_t verso__slab_bits(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void verso__slab_bits_set(_Atomic uint64_t *word, uint64_t bits)
{
    atomic_store_explicit(word, bits, memory_order_relaxed);
}

/* The quotient is exact: an object's offset times a rounded-up inverse, whose error stays below one in 2^44. */
static inline bool verso__slab_locate_in(const struct verso_slab *slab, const void *object, unsigned block_bits,
                                         struct verso__slab_place *out)
{
    size_t offset = (size_t)((uintptr_t)object - (uintptr_t)slab->base);
    size_t inside = offset & (((size_t)1 << block_bits) - 1);

    if (offset >= atomic_load_explicit(&slab->made_bytes, memory_order_relaxed))
        return false;
    out->block = offset >> block_bits;
    out->object = (size_t)((inside * slab->inverse) >> VERSO__SLAB_INVERSE_BITS);
    return out->object * slab->stride_bytes == inside;
}

static inline bool verso__slab_locate(const struct verso_slab *slab, const void *object, struct verso__slab_place *out)
{
    return verso__slab_locate_in(slab, object, slab->block_bits, out);
}

/* Which thread this is: an address that no other living thread has. */
static inline uintptr_t verso__slab_thread(void)
{
#if defined(__x86_64__) || defined(__aarch64__)
    return (uintptr_t)__builtin_thread_pointer();
#else
    static _Thread_local char here;

    return (uintptr_t)&here;
#endif
}

static inline size_t verso__slab_slot(uintptr_t thread)
{
    return (size_t)(((uint64_t)thread * 0x9e3779b97f4a7c15ULL) >> 52); /* 12 bits, for 4,096 slots */
}

static inline bool verso__slab_is_mine(const struct verso__slab_cache *cache)
{
    return atomic_load_explicit(&cache->thread, memory_order_relaxed) == verso__slab_thread();
}

static inline struct verso__slab_cache *verso__slab_owner(const struct verso_slab *slab, size_t block)
{
    return atomic_load_explicit(&slab->owners[block], memory_order_acquire);
}

/* Fills the record; returns @code. */
int verso__slab_fail(const struct verso_slab *slab, int code, const char *step, const char *hint);
int verso__slab_fail_at(const struct verso_slab *slab, int code, const char *step, const void *object,
                        const char *hint);

static inline void verso__slab_lock(struct verso_slab *slab)
{
    if (slab->is_shared)
        (void)pthread_mutex_lock(&slab->lock);
}

static inline void verso__slab_unlock(struct verso_slab *slab)
{
    if (slab->is_shared)
        (void)pthread_mutex_unlock(&slab->lock);
}

/* ---- alloc.c ----------------------------------------------------------------------------------------------------- */

extern _Atomic uint64_t verso__slab_none;           /* a word without free objects */
extern struct verso__slab_cache verso__slab_nobody; /* the owner of empty blocks: no thread's */

/* A free object, its bit taken; NULL, with the record filled. */
void *verso__slab_take(struct verso__slab_cache *cache);

/* An object is free again; @generation as verso__slab_retire(). VERSO_E_STALE when it was, with the record filled. */
int verso__slab_release(struct verso_slab *slab, struct verso__slab_place place, uint32_t generation);

/* ---- block.c: lists, and memory from the kernel and back --------------------------------------------------------- */

void verso__slab_list(struct verso__slab_cache *cache, size_t index);
void verso__slab_unlist(struct verso__slab_cache *cache, size_t index);

/* Whether all objects of a block are free. */
bool verso__slab_block_is_free(const struct verso_slab *slab, const struct verso__slab_block *block);

/* Which words have some, which are whole, from the bits. Whether any has some. */
bool verso__slab_sum_up(const struct verso_slab *slab, struct verso__slab_block *block);

/* An empty block, now the cache's and listed: one that was kept, one without memory, or a new one. A record on
 * failure. */
int verso__slab_block_get(struct verso__slab_cache *cache, bool only_warm);

/* A block all of whose objects are free: nobody's from now on. */
void verso__slab_block_put(struct verso__slab_cache *cache, size_t index);

/* Gives the memory of all empty blocks back; the lock is held. Bare code. */
int verso__slab_block_strip(struct verso_slab *slab);

/* ---- remote.c: what others freed; the caches of threads ---------------------------------------------------------- */

/* Sets an object's bit for its block's owner to fetch. VERSO_E_STALE when it is set. No record. */
int verso__slab_give_remote(struct verso_slab *slab, struct verso__slab_place place);

/* Fetches what others have freed of @from's blocks. They are @from's own, or it has no thread and the lock is held. */
void verso__slab_drain(struct verso__slab_cache *from, struct verso__slab_cache *cache);

/* Takes over what caches without a thread have ready. */
void verso__slab_inherit(struct verso__slab_cache *cache);

/* ---- thread.c ---------------------------------------------------------------------------------------------------- */

/* The calling thread's cache, made if need be. NULL, with the record filled. */
struct verso__slab_cache *verso__slab_enter(struct verso_slab *slab);

/* A cache of nobody's, in the slab's list. NULL without memory. */
struct verso__slab_cache *verso__slab_cache_make(struct verso_slab *slab);
void verso__slab_caches_close(struct verso_slab *slab);

/* From now on fork() keeps the slab whole. -errno. And no more. */
int verso__slab_enroll(struct verso_slab *slab);
void verso__slab_leave(struct verso_slab *slab);

/* SHARED: the calling thread's cache, where it is looked for first. NULL: it may be elsewhere, or not be. */
static inline struct verso__slab_cache *verso__slab_guess(const struct verso_slab *slab)
{
    size_t slot = verso__slab_slot(verso__slab_thread());
    struct verso__slab_cache *cache = atomic_load_explicit(&slab->table[slot], memory_order_acquire);

    return cache && verso__slab_is_mine(cache) ? cache : NULL;
}

static inline struct verso__slab_cache *verso__slab_cache_of_thread(struct verso_slab *slab)
{
    return slab->only ? slab->only : verso__slab_enter(slab);
}

/* ---- check.c: what is done with an object beyond handing it out -------------------------------------------------- */

/* Before it is handed out, its bit taken. NULL, with the record filled: it is set aside. */
void *verso__slab_prepare(struct verso_slab *slab, void *object);

/* Before its bit is set. VERSO_E_STALE: it is not live. No record. @generation: of the handle; 0: any. */
int verso__slab_retire(struct verso_slab *slab, struct verso__slab_place place, uint32_t generation);

/* A block that comes from the kernel: zeros. */
void verso__slab_fresh(struct verso_slab *slab, size_t index);

/* Which care the flags and the program ask for; the end of it. */
unsigned verso__slab_care_of(unsigned flags);
void verso__slab_forget(struct verso_slab *slab);

/* How many of a block's objects are handed out. SHARED: about, while others are at it. */
uint64_t verso__slab_live_count(const struct verso_slab *slab, size_t index);

#endif
