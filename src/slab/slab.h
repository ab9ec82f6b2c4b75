/* SPDX-License-Identifier: MIT */
/*
 * slab.h (inner) - what a slab is made of.
 *
 *      objects span   |== block 0 ==|G|== block 1 ==|G|== ...        a power of two from one block to the next
 *      notes span     [who][owners][block 0: bits][block 1: bits] ... [generations]
 *
 *      of a block     frees       that may come before the block has to be looked at
 *                     words[0]    free: 00000100, a bit for each of 64 objects, 1 free; first: where they begin
 *                     words[1] ...
 *
 * The bits are the truth: which objects are free is written there, by one store, and nowhere else. All the rest (lists,
 * frees, which word a thread takes from) only says where to look, may say too much, and can be made anew from the bits:
 * that is what happens after fork().
 *
 * The common way is inline, in the public header. A free makes its word the one to take from next, so what was given
 * back last, and is warm, is handed out first; and no branch depends on how the free objects lie, which is what a churn
 * of random frees costs others. Whether a block has become empty, or is to be listed again, is asked once in as many
 * frees as it had objects when it was last looked at: taking objects can only put that off, and so need not count.
 *
 * SHARED: each block belongs to one thread's cache, which alone changes its words. Who frees an object of another's
 * block sets its bit in freed[], on cache lines apart; the first to do so puts the block on its owner's stack of
 * pending ones, and the owner, when it has nothing left, fetches them with one exchange a word. Only who took a block
 * from such a stack may fetch, so it is never on two.
 */
#ifndef VERSO_SRC_SLAB_H
#define VERSO_SRC_SLAB_H

#include "base/fail.h"
#include "pages/pages.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <verso/slab.h>

#define VERSO__SLAB_WORD_OBJECTS 64
#define VERSO__SLAB_WORDS_MAX 64 /* of a block: the summary of what others freed has a bit for each */
#define VERSO__SLAB_BLOCK_OBJECTS_MAX (VERSO__SLAB_WORDS_MAX * VERSO__SLAB_WORD_OBJECTS)
#define VERSO__SLAB_THREADS_MAX 4096
#define VERSO__SLAB_FILL 0xdb

#define VERSO__SLAB_NOBODY ((uintptr_t)0) /* a cache that no thread has */
#define VERSO__SLAB_LINE 64

/* Who takes objects: the slab's only user, or one of its threads. What it alone writes and what others write are lines
 * apart. */
struct verso__slab_cache {
    struct verso_slab_front front; /* its word is never NULL */
    uint32_t listed;               /* 1 + index of the first of its blocks with free objects; 0: none */
    unsigned slot;                 /* in the table of threads */
    struct verso__slab *slab;
    struct verso__slab_cache *next;                    /* of all caches of the slab */
    struct verso__slab_cache *orphan;                  /* the next that has no thread */
    struct verso__slab_cache *sibling, **sibling_from; /* of its thread, in other slabs */
    unsigned char apart[VERSO__SLAB_LINE];
    _Atomic uint32_t pending; /* 1 + index of the first block that others have freed objects of; 0: none */
    unsigned char apart_too[VERSO__SLAB_LINE];
};

/* Of a block, for its owner. */
struct verso__slab_block {
    /* Before so many frees it is listed, and not empty; 1 says nothing. 0 only within the call that made it so. */
    struct verso_slab_block head;
    uint32_t next; /* 1 + index; in its owner's list, or among the empty ones */
    uint32_t previous;
    uint8_t last; /* word that was taken from: where to look on */
    uint8_t held; /* word that had objects handed out: where to look first */
    bool is_listed;
    bool is_bare; /* empty, its memory given back */
    struct verso_slab_word words[];
};

_Static_assert(offsetof(struct verso__slab_block, words) == VERSO_SLAB_WORDS_AT, "where the inline way looks");

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

struct verso__slab {
    struct verso_slab head;         /* what callers hold is its address */
    struct verso__slab_cache *only; /* NULL: SHARED */
    struct verso__slab_cache own;   /* unless SHARED */
    _Atomic size_t made_bytes;      /* blocks made so far, in bytes of the span */
    size_t remote_bytes;            /* where, in a note, the others' part begins */
    unsigned block_bits;
    unsigned care; /* enum verso__slab_care; 0: the inline way is all there is */

    size_t object_bytes;
    size_t align_bytes;
    size_t used_bytes; /* of a block: its objects, in whole pages */
    unsigned word_count;
    bool is_shared;
    uint64_t last_mask; /* of a block's last word: the objects that there are */
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
    struct verso__slab *other; /* the next SHARED slab of the process */
    bool is_enrolled;

    _Atomic uint64_t double_free_count;
    _Atomic uint64_t set_aside_count;
};

static inline struct verso__slab *verso__slab_of(const struct verso_slab *head)
{
    return (struct verso__slab *)(uintptr_t)head;
}

/* Where an object stands. */
struct verso__slab_place {
    size_t block;
    size_t object; /* in its block */
};

/* What most slabs have, and the inline functions know. */
#define VERSO__SLAB_BLOCK_BITS 16

static inline struct verso__slab_block *verso__slab_block_at(const struct verso__slab *slab, size_t index)
{
    return (struct verso__slab_block *)(void *)(slab->head.blocks + index * slab->head.note_bytes);
}

static inline struct verso__slab_remote *verso__slab_remote_at(const struct verso__slab *slab, size_t index)
{
    return (struct verso__slab_remote *)(void *)(slab->head.blocks + index * slab->head.note_bytes +
                                                 slab->remote_bytes);
}

static inline size_t verso__slab_block_bytes(const struct verso__slab *slab)
{
    return (size_t)1 << slab->block_bits;
}

static inline unsigned char *verso__slab_address(const struct verso__slab *slab, struct verso__slab_place place)
{
    return slab->head.base + (place.block << slab->block_bits) + place.object * slab->head.stride_bytes;
}

/* Relaxed, as each word has one writer; atomic, as others look. */
static inline uint64_t verso__slab_bits(const uint64_t *word)
{
    return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline void verso__slab_bits_set(uint64_t *word, uint64_t bits)
{
    __atomic_store_n(word, bits, __ATOMIC_RELAXED);
}

/* The bits of a word all of whose objects are free. */
static inline uint64_t verso__slab_mask(const struct verso__slab *slab, size_t w)
{
    return w + 1 < slab->word_count ? UINT64_MAX : slab->last_mask;
}

/* Where an object stands; false: none does. In blocks of the usual size as verso_slab_free() does it. */
static inline bool verso__slab_locate(const struct verso__slab *slab, const void *object, struct verso__slab_place *out)
{
    size_t offset = (size_t)((uintptr_t)object - (uintptr_t)slab->head.base);
    size_t inside = offset & (verso__slab_block_bytes(slab) - 1);
    uint64_t number = inside * slab->head.inverse;

    if (offset >= atomic_load_explicit(&slab->made_bytes, memory_order_relaxed))
        return false;
    out->block = offset >> slab->block_bits;
    if (slab->block_bits == VERSO__SLAB_BLOCK_BITS) {
        out->object = (size_t)(number >> 32);
        return (uint32_t)number < slab->head.excess_end;
    }
    out->object = inside / slab->head.stride_bytes;
    return inside % slab->head.stride_bytes == 0 && out->object < slab->block_objects;
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

/* Whose a cache is, which others ask. */
static inline uintptr_t verso__slab_thread_of(const struct verso__slab_cache *cache)
{
    return __atomic_load_n(&cache->front.thread, __ATOMIC_RELAXED);
}

static inline void verso__slab_thread_set(struct verso__slab_cache *cache, uintptr_t thread)
{
    __atomic_store_n(&cache->front.thread, thread, __ATOMIC_RELEASE);
}

static inline bool verso__slab_is_mine(const struct verso__slab_cache *cache)
{
    return verso__slab_thread_of(cache) == verso__slab_thread();
}

/* A front is what its cache begins with. */
static inline struct verso__slab_cache *verso__slab_owner(const struct verso__slab *slab, size_t block)
{
    return (struct verso__slab_cache *)(void *)__atomic_load_n(&slab->head.owners[block], __ATOMIC_ACQUIRE);
}

static inline void verso__slab_owner_set(const struct verso__slab *slab, size_t block, struct verso__slab_cache *owner)
{
    __atomic_store_n(&slab->head.owners[block], &owner->front, __ATOMIC_RELEASE);
}

/* Fills the record; returns @code. */
int verso__slab_fail(const struct verso__slab *slab, int code, const char *step, const char *hint);
int verso__slab_fail_at(const struct verso__slab *slab, int code, const char *step, const void *object,
                        const char *hint);

static inline void verso__slab_lock(struct verso__slab *slab)
{
    if (slab->is_shared)
        (void)pthread_mutex_lock(&slab->lock);
}

static inline void verso__slab_unlock(struct verso__slab *slab)
{
    if (slab->is_shared)
        (void)pthread_mutex_unlock(&slab->lock);
}

/* ---- alloc.c ----------------------------------------------------------------------------------------------------- */

extern struct verso_slab_word verso__slab_none;     /* without free objects */
extern struct verso__slab_cache verso__slab_nobody; /* the owner of empty blocks: no thread's */

/* A free object, its bit taken; NULL, with the record filled. */
void *verso__slab_take(struct verso__slab_cache *cache);

/* An object is free again; @generation as verso__slab_retire(). VERSO_E_STALE when it was, with the record filled. */
int verso__slab_release(struct verso__slab *slab, struct verso__slab_place place, uint32_t generation);

/* ---- block.c: lists, and memory from the kernel and back --------------------------------------------------------- */

void verso__slab_list(struct verso__slab_cache *cache, size_t index);
void verso__slab_unlist(struct verso__slab_cache *cache, size_t index);

/* Whether any object of a block is free; whether all are. */
bool verso__slab_block_has_some(const struct verso__slab *slab, const struct verso__slab_block *block);
bool verso__slab_block_is_free(const struct verso__slab *slab, const struct verso__slab_block *block);

/* After a free: a block that has something free is listed, one that has nothing else goes, unless it is all that the
 * cache has. */
void verso__slab_block_look(struct verso__slab_cache *cache, size_t index);

/* An empty block, now the cache's and listed: one that was kept, one without memory, or a new one. A record on
 * failure. */
int verso__slab_block_get(struct verso__slab_cache *cache, bool only_warm);

/* A block all of whose objects are free: nobody's from now on. */
void verso__slab_block_put(struct verso__slab_cache *cache, size_t index);

/* Gives the memory of all empty blocks back; the lock is held. Bare code. */
int verso__slab_block_strip(struct verso__slab *slab);

/* ---- remote.c: what others freed; the caches of threads ---------------------------------------------------------- */

/* Sets an object's bit for its block's owner to fetch. VERSO_E_STALE when it is set. No record. */
int verso__slab_give_remote(struct verso__slab *slab, struct verso__slab_place place);

/* Fetches what others have freed of @from's blocks. They are @from's own, or it has no thread and the lock is held. */
void verso__slab_drain(struct verso__slab_cache *from, struct verso__slab_cache *cache);

/* Takes over what caches without a thread have ready. */
void verso__slab_inherit(struct verso__slab_cache *cache);

/* ---- thread.c ---------------------------------------------------------------------------------------------------- */

/* The calling thread's cache, made if need be. NULL, with the record filled. */
struct verso__slab_cache *verso__slab_enter(struct verso__slab *slab);

/* A cache of nobody's, in the slab's list. NULL without memory. */
struct verso__slab_cache *verso__slab_cache_make(struct verso__slab *slab);
void verso__slab_caches_close(struct verso__slab *slab);

/* From now on fork() keeps the slab whole. -errno. And no more. */
int verso__slab_enroll(struct verso__slab *slab);
void verso__slab_leave(struct verso__slab *slab);

static inline struct verso__slab_cache *verso__slab_cache_of_thread(struct verso__slab *slab)
{
    return slab->only ? slab->only : verso__slab_enter(slab);
}

/* ---- check.c: what is done with an object beyond handing it out -------------------------------------------------- */

/* Before it is handed out, its bit taken. NULL, with the record filled: it is set aside. */
void *verso__slab_prepare(struct verso__slab *slab, void *object);

/* Before its bit is set. VERSO_E_STALE: it is not live. No record. @generation: of the handle; 0: any. */
int verso__slab_retire(struct verso__slab *slab, struct verso__slab_place place, uint32_t generation);

/* A block that comes from the kernel: zeros. */
void verso__slab_fresh(struct verso__slab *slab, size_t index);

/* Which care the flags and the program ask for; the end of it. */
unsigned verso__slab_care_of(unsigned flags);
void verso__slab_forget(struct verso__slab *slab);

/* How many of a block's objects are handed out. SHARED: about, while others are at it. */
uint64_t verso__slab_live_count(const struct verso__slab *slab, size_t index);

#endif
