/* SPDX-License-Identifier: MIT */
/*
 * bench_arena - blocks of 16 to 256 bytes, against malloc and free of glibc, mimalloc and jemalloc.
 *
 * All sides do the same with a block: write the pointer to the one before and its size into its first bytes. Peers free
 * each block along that chain, as programs do; arenas take back all at once, which is their point.
 */
#include "allocators.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <verso.h>

#define SIZES 4096 /* a power of two */
#define FILL_BLOCKS 20000
#define REQUESTS 64
#define ARRAY_ITEMS 200000
#define STEP_BYTES ((size_t)2 << 20)

struct block {
    struct block *before;
    size_t bytes;
};

struct work {
    uint16_t sizes[SIZES];
    uint8_t counts[REQUESTS]; /* blocks of each request: 50 to 200 */
    struct verso_arena *arena;
    struct verso_arena *sampled;
    struct verso_pages *pages;
    const struct allocator *peer;
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005U + 1442695040888963407U;
    return *state >> 33;
}

static struct block *chain(struct block *block, struct block *before, size_t bytes)
{
    if (!block)
        abort();
    block->before = before;
    block->bytes = bytes;
    return block;
}

static void free_chain(const struct allocator *peer, struct block *last)
{
    while (last) {
        struct block *before = last->before;

        peer->release(last);
        last = before;
    }
}

/* ---- Allocate all, free all ---- */

static uint64_t fill_arena(void *arg)
{
    struct work *work = arg;
    struct block *last = NULL;
    uint64_t sum = 0;

    for (size_t i = 0; i < FILL_BLOCKS; i++) {
        size_t bytes = work->sizes[i % SIZES];

        last = chain(verso_arena_alloc(work->arena, bytes, 0), last, bytes);
        sum += bytes;
    }
    bench_use(last);
    if (verso_arena_reset(work->arena, 0, VERSO_ARENA_KEEP) < 0)
        abort();
    return sum;
}

static uint64_t fill_peer(void *arg)
{
    struct work *work = arg;
    struct block *last = NULL;
    uint64_t sum = 0;

    for (size_t i = 0; i < FILL_BLOCKS; i++) {
        size_t bytes = work->sizes[i % SIZES];

        last = chain(work->peer->allocate(bytes), last, bytes);
        sum += bytes;
    }
    free_chain(work->peer, last);
    return sum;
}

/* ---- Requests: some blocks, then all go ---- */

/* Inlined: whether zeros are wanted is known before the loops begin. */
static inline __attribute__((always_inline)) uint64_t serve_from(struct work *work, struct verso_arena *arena,
                                                                 bool zero)
{
    uint64_t sum = 0;
    size_t at = 0;

    for (size_t request = 0; request < REQUESTS; request++) {
        struct verso_arena_mark mark = verso_arena_mark(arena);
        struct block *last = NULL;

        for (size_t i = 0; i < work->counts[request]; i++) {
            size_t bytes = work->sizes[at++ % SIZES];
            void *block = zero ? verso_arena_alloc_zero(arena, bytes, 0) : verso_arena_alloc(arena, bytes, 0);

            last = chain(block, last, bytes);
            sum += bytes;
        }
        bench_use(last);
        if (verso_arena_release(arena, mark) < 0)
            abort();
    }
    return sum;
}

static inline __attribute__((always_inline)) uint64_t serve_by(struct work *work, const struct allocator *peer,
                                                               bool zero)
{
    uint64_t sum = 0;
    size_t at = 0;

    for (size_t request = 0; request < REQUESTS; request++) {
        struct block *last = NULL;

        for (size_t i = 0; i < work->counts[request]; i++) {
            size_t bytes = work->sizes[at++ % SIZES];

            last = chain(zero ? peer->allocate_zero(1, bytes) : peer->allocate(bytes), last, bytes);
            sum += bytes;
        }
        free_chain(peer, last);
    }
    return sum;
}

static uint64_t serve_arena(void *arg)
{
    struct work *work = arg;

    return serve_from(work, work->arena, false);
}

static uint64_t serve_sampled(void *arg)
{
    struct work *work = arg;

    return serve_from(work, work->sampled, false);
}

static uint64_t serve_zeros_arena(void *arg)
{
    struct work *work = arg;

    return serve_from(work, work->arena, true);
}

static uint64_t serve_peer(void *arg)
{
    struct work *work = arg;

    return serve_by(work, work->peer, false);
}

static uint64_t serve_zeros_peer(void *arg)
{
    struct work *work = arg;

    return serve_by(work, work->peer, true);
}

/* ---- An array that doubles ---- */

static uint64_t grow_arena(void *arg)
{
    struct work *work = arg;
    struct verso_arena_mark mark = verso_arena_mark(work->arena);
    size_t room = 8, count = 0;
    uint64_t *items = verso_arena_new(work->arena, uint64_t, room), sum;

    while (items && count < ARRAY_ITEMS) {
        items[count] = count;
        if (++count == room) {
            items = verso_arena_renew(work->arena, uint64_t, items, room, 2 * room);
            room *= 2;
        }
    }
    if (!items)
        abort();
    sum = items[0] + items[ARRAY_ITEMS / 2] + items[ARRAY_ITEMS - 1];
    if (verso_arena_release(work->arena, mark) < 0)
        abort();
    return sum;
}

static uint64_t grow_peer(void *arg)
{
    struct work *work = arg;
    size_t room = 8, count = 0;
    uint64_t *items = work->peer->allocate_zero(room, sizeof(*items)), sum;

    while (items && count < ARRAY_ITEMS) {
        items[count] = count;
        if (++count == room) {
            items = work->peer->reallocate(items, 2 * room * sizeof(*items));
            room *= 2;
        }
    }
    if (!items)
        abort();
    sum = items[0] + items[ARRAY_ITEMS / 2] + items[ARRAY_ITEMS - 1];
    work->peer->release(items);
    return sum;
}

/* ---- Texts ---- */

static uint64_t print_arena(void *arg)
{
    struct work *work = arg;
    struct verso_arena_mark mark = verso_arena_mark(work->arena);
    uint64_t sum = 0;

    for (int i = 0; i < 1000; i++) {
        const char *text = verso_arena_printf(work->arena, "%s/%d", "/var/lib/something", i);

        if (!text)
            abort();
        sum += (uint64_t)text[19];
    }
    if (verso_arena_release(work->arena, mark) < 0)
        abort();
    return sum;
}

static uint64_t print_peer(void *arg)
{
    uint64_t sum = 0;

    (void)arg;
    for (int i = 0; i < 1000; i++) {
        char *text;

        if (asprintf(&text, "%s/%d", "/var/lib/something", i) < 0)
            abort();
        sum += (uint64_t)text[19];
        free(text);
    }
    return sum;
}

/* ---- Memory beneath: a step of 2 MiB committed and given back, untouched ---- */

static uint64_t step_verso(void *arg)
{
    struct work *work = arg;

    if (verso_pages_commit(work->pages, 0, STEP_BYTES) < 0 || verso_pages_decommit(work->pages, 0, STEP_BYTES) < 0)
        abort();
    return STEP_BYTES;
}

static uint64_t step_kernel(void *arg)
{
    struct work *work = arg;
    void *data = verso_pages_data(work->pages);

    if (mprotect(data, STEP_BYTES, PROT_READ | PROT_WRITE) < 0 ||
        mmap(data, STEP_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != data)
        abort();
    return STEP_BYTES;
}

/* ---- Rows ---- */

static void compare(struct work *work, const char *name, double operations, bench_function *verso, bench_function *peer)
{
    const struct bench_case one = { .name = name,
                                    .peer = work->peer->name,
                                    .unit = "ns",
                                    .operations = operations,
                                    .verso = verso,
                                    .peer_side = peer,
                                    .arg = work };

    bench_compare(&one);
}

static double prepare(struct work *work)
{
    struct verso_arena_options sampled = VERSO_ARENA_OPTIONS_INIT;
    uint64_t random = 1;
    double blocks = 0;

    for (size_t i = 0; i < SIZES; i++)
        work->sizes[i] = (uint16_t)(16 + next_random(&random) % 241);
    for (size_t i = 0; i < REQUESTS; i++) {
        work->counts[i] = (uint8_t)(50 + next_random(&random) % 151);
        blocks += work->counts[i];
    }
    sampled.guard_one_in = 1000;
    if (verso_arena_open(NULL, &work->arena) < 0 || verso_arena_open(&sampled, &work->sampled) < 0 ||
        verso_pages_open(STEP_BYTES, NULL, &work->pages) < 0)
        abort();
    return blocks;
}

int main(int count, char **arguments)
{
    struct allocator peers[ALLOCATORS_MAX];
    const struct allocator asprintf_peer = { .name = "asprintf, free" }, kernel = { .name = "mprotect, mmap" };
    struct work work;
    size_t peer_count;
    double blocks;

    allocators_make_room(arguments);
    bench_start(count, arguments, "arena");
    blocks = prepare(&work);
    peer_count = allocators_load(peers);
    for (size_t i = 0; i < peer_count; i++) {
        work.peer = &peers[i];
        compare(&work, "allocate all, free all", FILL_BLOCKS, fill_arena, fill_peer);
        compare(&work, "requests of 50-200 blocks", blocks, serve_arena, serve_peer);
        compare(&work, "requests, zeroed", blocks, serve_zeros_arena, serve_zeros_peer);
        compare(&work, "requests, guards 1/1000", blocks, serve_sampled, serve_peer);
        compare(&work, "array doubling to 1.6 MB", ARRAY_ITEMS, grow_arena, grow_peer);
    }
    work.peer = &asprintf_peer;
    compare(&work, "printf", 1000, print_arena, print_peer);
    work.peer = &kernel;
    compare(&work, "commit, decommit 2 MiB", 1, step_verso, step_kernel);
    verso_arena_close(work.arena);
    verso_arena_close(work.sampled);
    verso_pages_close(work.pages);
    return bench_finish();
}
