/* SPDX-License-Identifier: MIT */
/*
 * thread - who is here: a cache for each thread that uses a SHARED slab, its end, and fork().
 *
 * A thread is known by its thread pointer, hashed into a table of the slab; no thread-local storage is read on the
 * common way, which in a shared library is a call. An entry that has been filled is never emptied, only reused, so
 * that whoever looks for his own entry behind it goes on looking.
 *
 * Locks, in the order of taking: all, a slab's, that of pages.
 */
#include "slab/slab.h"

#include <errno.h>
#include <stdlib.h>

static pthread_mutex_t all = PTHREAD_MUTEX_INITIALIZER; /* over the two that follow */
static struct verso__slab *slabs;                       /* SHARED ones */
static _Thread_local struct verso__slab_cache *visits;  /* the thread's caches in all slabs */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool has_key;
static int key_error;

/* ---- A cache ----------------------------------------------------------------------------------------------------- */

struct verso__slab_cache *verso__slab_cache_make(struct verso__slab *slab)
{
    struct verso__slab_cache *cache = calloc(1, sizeof(*cache));

    if (!cache)
        return NULL;
    cache->front.word = &verso__slab_none;
    cache->slab = slab;
    cache->next = slab->caches;
    slab->caches = cache;
    return cache;
}

/* Both locks are held. Its blocks stay its own, for who takes it over or takes from it. */
static void orphan(struct verso__slab_cache *cache)
{
    cache->front.word = &verso__slab_none;
    cache->orphan = cache->slab->orphans;
    cache->slab->orphans = cache;
    verso__slab_thread_set(cache, VERSO__SLAB_NOBODY);
}

static void visit_begin(struct verso__slab_cache *cache)
{
    cache->sibling = visits;
    if (visits)
        visits->sibling_from = &cache->sibling;
    cache->sibling_from = &visits;
    visits = cache;
}

static void visit_end(struct verso__slab_cache *cache)
{
    if (!cache->sibling_from)
        return;
    *cache->sibling_from = cache->sibling;
    if (cache->sibling)
        cache->sibling->sibling_from = cache->sibling_from;
    cache->sibling_from = NULL;
}

/* A thread ends. Should it use a slab again in what is left of its life, this runs again. */
static void leave(void *arg)
{
    struct verso__slab_cache **own = (struct verso__slab_cache **)arg;

    (void)pthread_mutex_lock(&all);
    while (*own) {
        struct verso__slab_cache *cache = *own;

        visit_end(cache);
        verso__slab_lock(cache->slab);
        orphan(cache);
        verso__slab_unlock(cache->slab);
    }
    (void)pthread_mutex_unlock(&all);
}

void verso__slab_caches_close(struct verso__slab *slab)
{
    if (slab->is_shared)
        (void)pthread_mutex_lock(&all);
    for (struct verso__slab_cache *cache = slab->caches; cache; cache = cache->next)
        visit_end(cache);
    if (slab->is_shared)
        (void)pthread_mutex_unlock(&all);
    while (slab->caches) {
        struct verso__slab_cache *cache = slab->caches;

        slab->caches = cache->next;
        free(cache);
    }
}

/* ---- Entering ---------------------------------------------------------------------------------------------------- */

static struct verso__slab_cache *in_slot(const struct verso__slab *slab, size_t slot)
{
    return (struct verso__slab_cache *)(void *)__atomic_load_n(&slab->head.fronts[slot], __ATOMIC_ACQUIRE);
}

static struct verso__slab_cache *find(const struct verso__slab *slab, uintptr_t thread)
{
    for (size_t i = 0, slot = VERSO_SLAB_SLOT(thread); i < VERSO__SLAB_THREADS_MAX; i++, slot++) {
        struct verso__slab_cache *cache = in_slot(slab, slot % VERSO__SLAB_THREADS_MAX);

        if (!cache)
            return NULL;
        if (verso__slab_thread_of(cache) == thread)
            return cache;
    }
    return NULL;
}

/* The lock is held. An entry is free when its cache has moved on to another, or has no thread. -EAGAIN. */
static int find_slot(const struct verso__slab *slab, uintptr_t thread, unsigned *out_slot)
{
    size_t first = VERSO_SLAB_SLOT(thread);

    for (size_t i = 0; i < VERSO__SLAB_THREADS_MAX; i++) {
        size_t slot = (first + i) % VERSO__SLAB_THREADS_MAX;
        const struct verso__slab_cache *cache = in_slot(slab, slot);

        if (!cache || cache->slot != slot || verso__slab_thread_of(cache) == VERSO__SLAB_NOBODY) {
            *out_slot = (unsigned)slot;
            return 0;
        }
    }
    return -EAGAIN;
}

/* The locks are held. One that has lost its thread, else a new one. */
static int enter(struct verso__slab *slab, uintptr_t thread, struct verso__slab_cache **out_cache)
{
    struct verso__slab_cache *cache = slab->orphans;
    unsigned slot;
    int r = find_slot(slab, thread, &slot);

    if (r < 0)
        return r;
    if (cache)
        slab->orphans = cache->orphan;
    else
        cache = verso__slab_cache_make(slab);
    if (!cache)
        return -ENOMEM;
    cache->slot = slot;
    verso__slab_thread_set(cache, thread);
    __atomic_store_n(&slab->head.fronts[slot], &cache->front, __ATOMIC_RELEASE);
    visit_begin(cache);
    *out_cache = cache;
    return 0;
}

struct verso__slab_cache *verso__slab_enter(struct verso__slab *slab)
{
    uintptr_t thread = verso__slab_thread();
    struct verso__slab_cache *cache = find(slab, thread);
    int r;

    if (cache)
        return cache;
    r = -pthread_setspecific(key, &visits);
    if (r == 0) {
        (void)pthread_mutex_lock(&all);
        verso__slab_lock(slab);
        r = enter(slab, thread, &cache);
        verso__slab_unlock(slab);
        (void)pthread_mutex_unlock(&all);
    }
    if (r < 0)
        (void)verso__slab_fail(slab, r, "thread",
                               r == -EAGAIN ? "more than 4,096 threads allocate from this slab" : NULL);
    return cache;
}

/* ---- fork() ------------------------------------------------------------------------------------------------------ */

static void lock_all(void)
{
    (void)pthread_mutex_lock(&all);
    for (struct verso__slab *slab = slabs; slab; slab = slab->other)
        verso__slab_lock(slab);
}

static void unlock_all(void)
{
    for (struct verso__slab *slab = slabs; slab; slab = slab->other)
        verso__slab_unlock(slab);
    (void)pthread_mutex_unlock(&all);
}

/* A block as its bits say; with what others freed, wherever they were in the midst of saying so. */
static void restore_block(struct verso__slab *slab, size_t index, struct verso__slab_cache *heir)
{
    struct verso__slab_block *block = verso__slab_block_at(slab, index);
    struct verso__slab_remote *remote = verso__slab_remote_at(slab, index);

    for (unsigned w = 0; w < slab->word_count; w++) {
        uint64_t freed = atomic_exchange_explicit(&remote->freed[w], 0, memory_order_relaxed);

        verso__slab_bits_set(&block->words[w].free, verso__slab_bits(&block->words[w].free) | freed);
    }
    atomic_store_explicit(&remote->summary, 0, memory_order_relaxed);
    verso__slab_owner_set(slab, index, heir);
    block->is_listed = false;
    block->head.frees = 1;
    if (verso__slab_block_has_some(slab, block))
        verso__slab_list(heir, index);
}

/*
 * The one thread of the child becomes the owner of all blocks that had one. The locks are held since before the fork,
 * so what they are over is whole; what is not, is made anew from the bits.
 */
static void restore(struct verso__slab *slab)
{
    struct verso__slab_cache *own = find(slab, verso__slab_thread());
    struct verso__slab_cache *heir = own ? own : slab->caches;

    if (!heir || (heir == own && !heir->next && slab->caches == heir))
        return; /* nobody else was here */
    slab->orphans = NULL;
    for (struct verso__slab_cache *cache = slab->caches; cache; cache = cache->next) {
        atomic_store_explicit(&cache->pending, 0, memory_order_relaxed);
        cache->listed = 0;
        cache->front.word = &verso__slab_none;
        if (cache == own)
            continue;
        cache->sibling_from = NULL; /* the list was another thread's */
        orphan(cache);
    }
    for (size_t i = 0; i < slab->made_bytes >> slab->block_bits; i++)
        if (verso__slab_owner(slab, i) != &verso__slab_nobody)
            restore_block(slab, i, heir);
}

static void restore_all(void)
{
    for (struct verso__slab *slab = slabs; slab; slab = slab->other)
        restore(slab);
    unlock_all();
}

/* Handlers before a fork run in the reverse order of their coming: that of pages has to be there first. */
static void set_up(void)
{
    verso__pages_lock_take();
    verso__pages_lock_give();
    key_error = -pthread_key_create(&key, leave);
    has_key = key_error == 0;
    if (has_key)
        key_error = -pthread_atfork(lock_all, unlock_all, restore_all);
}

/* When the library goes before the process does, no thread may come back to it. */
static __attribute__((destructor)) void tear_down(void)
{
    if (has_key)
        (void)pthread_key_delete(key);
}

int verso__slab_enroll(struct verso__slab *slab)
{
    (void)pthread_once(&once, set_up);
    if (key_error < 0)
        return key_error;
    (void)pthread_mutex_lock(&all);
    slab->other = slabs;
    slabs = slab;
    slab->is_enrolled = true;
    (void)pthread_mutex_unlock(&all);
    return 0;
}

void verso__slab_leave(struct verso__slab *slab)
{
    if (!slab->is_enrolled)
        return;
    (void)pthread_mutex_lock(&all);
    for (struct verso__slab **at = &slabs; *at; at = &(*at)->other)
        if (*at == slab) {
            *at = slab->other;
            break;
        }
    (void)pthread_mutex_unlock(&all);
}
