/* SPDX-License-Identifier: MIT */
/*
 * scratch - two arenas for each thread.
 *
 * The thread finds them in its own storage; a key for thread-specific data is there only so that somebody is told when
 * the thread ends. Their spans are small beside an ordinary arena's: there may be thousands of threads.
 */
#include "arena/arena.h"
#include "os/os.h"

#include <errno.h>
#include <pthread.h>

#define SCRATCH_ARENAS 2
#define SHARE_OF_ADDRESSES 16384 /* 8 GiB of 128 TiB */
#define RESERVE_BYTES_LEAST ((uint64_t)16 << 20)

static _Thread_local struct verso_arena *arenas[SCRATCH_ARENAS];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static int key_error = EAGAIN;

/* May run again for the same thread, when what ends after it makes new ones. */
static void close_all(void *unused)
{
    (void)unused;
    for (size_t i = 0; i < SCRATCH_ARENAS; i++) {
        verso_arena_close(arenas[i]);
        arenas[i] = NULL;
    }
}

static void make_key(void)
{
    key_error = pthread_key_create(&key, close_all);
}

/* When the library is unloaded, threads that go on must not end in code that has gone. */
__attribute__((destructor)) static void drop_key(void)
{
    if (key_error == 0)
        (void)pthread_key_delete(key);
    key_error = EAGAIN;
}

static int open_one(struct verso_arena **out_arena)
{
    struct verso_arena_options options = VERSO_ARENA_OPTIONS_INIT;
    int r;

    (void)pthread_once(&once, make_key);
    r = key_error ? key_error : pthread_setspecific(key, arenas);
    if (r != 0)
        return verso__fail_hint(-r, "pthread_setspecific", "scratch", "no memory or no key for thread-specific data");
    options.reserve_bytes = verso__os_address_space_bytes() / SHARE_OF_ADDRESSES;
    if (options.reserve_bytes < RESERVE_BYTES_LEAST)
        options.reserve_bytes = RESERVE_BYTES_LEAST;
    options.name = "scratch";
    return verso__arena_open(&options, true, out_arena);
}

struct verso_arena *verso_arena_scratch(const struct verso_arena *other)
{
    size_t i = other && other == arenas[0];

    if (!arenas[i] && open_one(&arenas[i]) < 0)
        return NULL;
    return arenas[i];
}
