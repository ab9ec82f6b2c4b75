/* SPDX-License-Identifier: MIT */
/*
 * bench_slab - objects of 16, 64 and 256 bytes against malloc and free of glibc, mimalloc and jemalloc.
 *
 * All sides do the same with an object: write a number into its first bytes when it is had, and read it when it is
 * given back.
 */
#include "allocators.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <verso.h>

#define OBJECTS 100000 /* taken, then given back: 1.6 to 26 MB */
#define LIVE 10000     /* that churn replaces one by one */
#define STEPS 200000
#define SLOTS 1024 /* between two threads; a power of two */

struct work {
    size_t bytes;
    struct verso_slab *slab;
    const struct allocator *peer;
    const uint32_t *order;
};

static void *objects[OBJECTS];
static uint32_t in_order[OBJECTS], in_reverse[OBJECTS], in_disorder[OBJECTS];

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Both sides of every comparison are the same loop; the macro makes of each what it is for a program: inline functions
 * of the slab, calls of a peer through a pointer. */
#define TAKE_SLAB(work) verso_slab_alloc((work)->slab)
#define GIVE_SLAB(work, object) give_slab((work)->slab, object)
#define TAKE_PEER(work) (work)->peer->allocate((work)->bytes)
#define GIVE_PEER(work, object) (work)->peer->release(object)

static inline void give_slab(struct verso_slab *slab, void *object)
{
    if (verso_slab_free(slab, object) < 0)
        abort();
}

static inline void *write_number(void *object, uint64_t number)
{
    if (!object)
        abort();
    *(uint64_t *)object = number;
    return object;
}

static inline uint64_t read_number(const void *object)
{
    return *(const uint64_t *)object;
}

/* ---- Take all, give all back ------------------------------------------------------------------------------------- */

#define FILL(name, TAKE, GIVE)                        \
    static uint64_t name(void *arg)                   \
    {                                                 \
        const struct work *work = arg;                \
        uint64_t sum = 0;                             \
                                                      \
        for (size_t i = 0; i < OBJECTS; i++)          \
            objects[i] = write_number(TAKE(work), i); \
        for (size_t i = 0; i < OBJECTS; i++) {        \
            void *object = objects[work->order[i]];   \
                                                      \
            sum = sum * 31 + read_number(object);     \
            GIVE(work, object);                       \
        }                                             \
        return sum;                                   \
    }

FILL(fill_slab, TAKE_SLAB, GIVE_SLAB)
FILL(fill_peer, TAKE_PEER, GIVE_PEER)

/* ---- Churn, as larson: an array of live objects, one after the other replaced ------------------------------------ */

struct churn {
    const struct work *work;
    uint64_t seed;
    uint64_t sum;
    void *live[LIVE];
};

#define CHURN(name, TAKE, GIVE)                                \
    static void *name(void *arg)                               \
    {                                                          \
        struct churn *churn = arg;                             \
        const struct work *work = churn->work;                 \
        uint64_t random = churn->seed, sum = 0;                \
                                                               \
        for (size_t i = 0; i < LIVE; i++)                      \
            churn->live[i] = write_number(TAKE(work), i);      \
        for (size_t i = 0; i < STEPS; i++) {                   \
            size_t at = (size_t)(next_random(&random) % LIVE); \
                                                               \
            sum += read_number(churn->live[at]);               \
            GIVE(work, churn->live[at]);                       \
            churn->live[at] = write_number(TAKE(work), i);     \
        }                                                      \
        for (size_t i = 0; i < LIVE; i++) {                    \
            sum += read_number(churn->live[i]);                \
            GIVE(work, churn->live[i]);                        \
        }                                                      \
        churn->sum = sum;                                      \
        return NULL;                                           \
    }

CHURN(churn_slab, TAKE_SLAB, GIVE_SLAB)
CHURN(churn_peer, TAKE_PEER, GIVE_PEER)

static struct churn churns[2];

static uint64_t churn_alone(void *arg, void *(*function)(void *))
{
    churns[0].work = arg;
    churns[0].seed = 88172645463325252U;
    (void)function(&churns[0]);
    return churns[0].sum;
}

static uint64_t churn_together(void *arg, void *(*function)(void *))
{
    pthread_t other;

    churns[1].work = arg;
    churns[1].seed = 362436069U;
    if (pthread_create(&other, NULL, function, &churns[1]) != 0)
        abort();
    (void)churn_alone(arg, function);
    if (pthread_join(other, NULL) != 0)
        abort();
    return churns[0].sum + churns[1].sum;
}

static uint64_t churn_slab_alone(void *arg)
{
    return churn_alone(arg, churn_slab);
}

static uint64_t churn_peer_alone(void *arg)
{
    return churn_alone(arg, churn_peer);
}

static uint64_t churn_slab_together(void *arg)
{
    return churn_together(arg, churn_slab);
}

static uint64_t churn_peer_together(void *arg)
{
    return churn_together(arg, churn_peer);
}

/* ---- Freed by the other thread: one takes and hands over, one gives back ----------------------------------------- */

static struct {
    _Alignas(64) _Atomic size_t head; /* handed over so far */
    _Alignas(64) _Atomic size_t tail; /* given back so far */
    _Alignas(64) void *slots[SLOTS];
} belt;

static const struct work *belt_work;
static uint64_t belt_sum;

#define BELT(name, TAKE, GIVE)                                                          \
    static void *name##_give(void *arg)                                                 \
    {                                                                                   \
        uint64_t sum = 0;                                                               \
                                                                                        \
        (void)arg;                                                                      \
        for (size_t at = 0; at < STEPS;) {                                              \
            size_t end = atomic_load_explicit(&belt.head, memory_order_acquire);        \
                                                                                        \
            if (at == end)                                                              \
                (void)sched_yield();                                                    \
            for (; at < end; at++) {                                                    \
                sum += read_number(belt.slots[at % SLOTS]);                             \
                GIVE(belt_work, belt.slots[at % SLOTS]);                                \
            }                                                                           \
            atomic_store_explicit(&belt.tail, at, memory_order_release);                \
        }                                                                               \
        belt_sum = sum;                                                                 \
        return NULL;                                                                    \
    }                                                                                   \
                                                                                        \
    static uint64_t name(void *arg)                                                     \
    {                                                                                   \
        const struct work *work = arg;                                                  \
        pthread_t other;                                                                \
                                                                                        \
        belt_work = work;                                                               \
        atomic_store(&belt.head, 0);                                                    \
        atomic_store(&belt.tail, 0);                                                    \
        if (pthread_create(&other, NULL, name##_give, NULL) != 0)                       \
            abort();                                                                    \
        for (size_t i = 0; i < STEPS; i++) {                                            \
            while (i - atomic_load_explicit(&belt.tail, memory_order_acquire) == SLOTS) \
                (void)sched_yield();                                                    \
            belt.slots[i % SLOTS] = write_number(TAKE(work), i);                        \
            if (i % 64 == 63 || i == STEPS - 1)                                         \
                atomic_store_explicit(&belt.head, i + 1, memory_order_release);         \
        }                                                                               \
        if (pthread_join(other, NULL) != 0)                                             \
            abort();                                                                    \
        return belt_sum;                                                                \
    }

BELT(belt_slab, TAKE_SLAB, GIVE_SLAB)
BELT(belt_peer, TAKE_PEER, GIVE_PEER)

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

static struct allocator peers[ALLOCATORS_MAX];
static size_t peer_count;

static void compare(struct work *work, const char *what, const char *how, double operations, bench_function *verso,
                    bench_function *peer)
{
    char name[64];

    (void)snprintf(name, sizeof(name), "%zu B, %s%s", work->bytes, what, how);
    for (size_t i = 0; i < peer_count; i++) {
        work->peer = &peers[i];
        bench_compare(&(struct bench_case){
            .name = name,
            .peer = peers[i].name,
            .unit = "ns",
            .operations = operations,
            .verso = verso,
            .peer_side = peer,
            .arg = work,
        });
    }
}

static struct verso_slab *open_slab(size_t bytes, unsigned flags)
{
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;
    struct verso_slab *slab;

    options.flags = flags;
    if (verso_slab_open(bytes, &options, &slab) < 0)
        abort();
    return slab;
}

static void one_thread(size_t bytes, unsigned flags, const char *how)
{
    struct work work = { .bytes = bytes, .slab = open_slab(bytes, flags) };

    work.order = in_order;
    compare(&work, "free in order", how, OBJECTS, fill_slab, fill_peer);
    work.order = in_reverse;
    compare(&work, "free in reverse", how, OBJECTS, fill_slab, fill_peer);
    work.order = in_disorder;
    compare(&work, "free in disorder", how, OBJECTS, fill_slab, fill_peer);
    compare(&work, "churn", how, STEPS + LIVE, churn_slab_alone, churn_peer_alone);
    verso_slab_close(work.slab);
}

static void two_threads(size_t bytes)
{
    struct work work = { .bytes = bytes, .slab = open_slab(bytes, VERSO_SLAB_SHARED) };

    compare(&work, "churn", ", 2 threads", STEPS + LIVE, churn_slab_together, churn_peer_together);
    compare(&work, "freed by the other", ", 2 threads", STEPS, belt_slab, belt_peer);
    verso_slab_close(work.slab);
}

static void make_orders(void)
{
    uint64_t random = 2463534242U;

    for (uint32_t i = 0; i < OBJECTS; i++) {
        in_order[i] = in_disorder[i] = i;
        in_reverse[i] = OBJECTS - 1 - i;
    }
    for (size_t i = OBJECTS - 1; i > 0; i--) {
        size_t other = (size_t)(next_random(&random) % (i + 1));
        uint32_t swapped = in_disorder[i];

        in_disorder[i] = in_disorder[other];
        in_disorder[other] = swapped;
    }
}

int main(int count, char **arguments)
{
    static const size_t sizes[] = { 16, 64, 256 };

    allocators_make_room(arguments);
    bench_start(count, arguments, "slab");
    peer_count = allocators_load(peers);
    make_orders();
    bench_note("ns for one object, taken, written to, read, given back");
    for (size_t i = 0; i < 3; i++)
        one_thread(sizes[i], 0, "");
    for (size_t i = 0; i < 3; i++)
        one_thread(sizes[i], VERSO_SLAB_SHARED, ", shared");
    for (size_t i = 0; i < 3; i++)
        two_threads(sizes[i]);
    one_thread(64, VERSO_SLAB_HANDLES, ", handles");
    one_thread(64, VERSO_SLAB_CHECK, ", checked");
    return bench_finish();
}
