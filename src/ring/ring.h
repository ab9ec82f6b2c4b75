/* SPDX-License-Identifier: MIT */
/*
 * ring.h (inner) - two sides that chase each other around the same memory.
 *
 * Each side counts the bytes it has moved, without end: 64 bits, and only differences matter, so that wrapping does no
 * harm. The consumer may move up to where the producer is; the producer up to where the consumer is, one capacity on.
 * Seen like this both sides are the same thing: a counter, and a limit that is the other's counter plus a slack.
 *
 *          consumer.moved                        producer.moved                    consumer.moved + capacity
 *     ---------|====== data: the consumer's =========|------ room: the producer's -------|---------
 *                                                    ^ the consumer's limit              ^ the producer's limit
 *
 * A side keeps the limit it saw last, and looks at the other's counter (a cache line that the other core writes) only
 * when that is not enough. What a side writes at each move stands on lines of its own, and the word that says it sleeps
 * on another, which the other side can read again and again without a miss.
 */
#ifndef VERSO_SRC_RING_H
#define VERSO_SRC_RING_H

#include "base/fail.h"
#include "os/os.h"

#include <stdatomic.h>
#include <verso/ring.h>

/* Two cache lines of 64 bytes: x86 processors fetch them in pairs. */
#define VERSO__RING_LINE_BYTES 128

enum verso__ring_role {
    VERSO__RING_PRODUCER = 0,
    VERSO__RING_CONSUMER = 1,
};

struct verso__ring_side {
    _Alignas(VERSO__RING_LINE_BYTES) _Atomic uint64_t moved; /* written by this side alone */
    uint64_t limit;                                          /* how far it may move, as last seen */
    size_t at;                                               /* moved modulo the capacity */
    size_t held;                                             /* how much is reserved, or peeked, and not yet passed */
    size_t record_bytes;                                     /* content of the record that is held */
    bool holds_record;
    _Atomic uint64_t sleeps;

    _Alignas(VERSO__RING_LINE_BYTES) _Atomic uint32_t asleep; /* the futex: 1 while it sleeps or is about to */
    _Atomic uint64_t wanted;                                  /* and which limit it sleeps for */
};

/*
 * Stands in a page of its own before the data. A child of fork() finds zeros here (and no data): a capacity of 0, which
 * every call that could touch the data meets first.
 */
struct verso_ring {
    unsigned char *data; /* capacity_bytes, then the same again */
    size_t capacity_bytes;
    size_t span_bytes; /* of address space, from the ring itself on */
    bool has_barrier;  /* membarrier: sleepers pay for noticing, not the side that moves */
    atomic_bool is_shut_down;
    enum verso_ring_pages pages;
    const char *pages_why;
    unsigned flags;
    struct verso__ring_side sides[2];
};

/* Bytes that a side may move, as far as it has seen. Never more than the capacity. */
static inline uint64_t verso__ring_known(const struct verso__ring_side *side)
{
    return side->limit - atomic_load_explicit(&side->moved, memory_order_relaxed);
}

/* The counter of the side opposite @role, as a limit: always sequentially consistent, for verso__ring_wait(). */
static inline void verso__ring_look(struct verso_ring *ring, enum verso__ring_role role)
{
    uint64_t slack = role == VERSO__RING_PRODUCER ? ring->capacity_bytes : 0;

    ring->sides[role].limit = atomic_load(&ring->sides[!role].moved) + slack;
}

/* Whether the limit seen before will do. A producer must also hear of a shutdown while there is room. */
static inline bool verso__ring_is_known(const struct verso_ring *ring, enum verso__ring_role role, size_t least)
{
    return verso__ring_known(&ring->sides[role]) >= least &&
           !(role == VERSO__RING_PRODUCER && atomic_load_explicit(&ring->is_shut_down, memory_order_relaxed));
}

/* Looks whether @least bytes (at least 1) can be moved. 0, -EAGAIN, -EPIPE, VERSO_E_RANGE; fills no record. */
int verso__ring_check(struct verso_ring *ring, enum verso__ring_role role, size_t least);

/* Holds at least @least bytes for @role, all there are when @out_bytes is not NULL. Fills the record. */
int verso__ring_hold(struct verso_ring *ring, enum verso__ring_role role, size_t least, void **out_data,
                     size_t *out_bytes, const char *step);

/* Moves a side on by @bytes, which must be held, and wakes the other when that is what it sleeps for. */
void verso__ring_pass(struct verso_ring *ring, enum verso__ring_role role, size_t bytes);

/* Fills the record: @code of verso__ring_check() and what to do about it. Returns @code. */
int verso__ring_refuse(const struct verso_ring *ring, enum verso__ring_role role, int code, const char *step);

/* The side of @role may be asleep, and its limit is now @limit: wakes it if that is enough. */
void verso__ring_wake(struct verso_ring *ring, enum verso__ring_role role, uint64_t limit);

/* ---- Which pages: huge.c ---- */

/* The size of a page of the pool of huge pages; 0 when this kernel has none. */
size_t verso__ring_pool_page_bytes(void);

/* Looks which pages stand at ring->data, where transparent huge ones were asked for; fills pages and pages_why. */
void verso__ring_see_pages(struct verso_ring *ring);

#endif
