/* SPDX-License-Identifier: MIT */
/*
 * move - reserve and commit, peek and consume: the same two steps, hold and pass, for either side.
 *
 * The order that makes it safe: a side stores its counter with release after the last access to what it passes, and the
 * other loads it with acquire (or stronger) before its first. So data are seen whole by the consumer, and room is never
 * written to by the producer while the consumer still reads there.
 */
#include "ring/ring.h"

#include <errno.h>
#include <string.h>

int verso__ring_check(struct verso_ring *ring, enum verso__ring_role role, size_t least)
{
    /* Before the counter is looked at: what was committed before the end must be found. */
    bool is_shut_down = atomic_load(&ring->is_shut_down);

    if (least > ring->capacity_bytes)
        return VERSO_E_RANGE;
    if (is_shut_down && role == VERSO__RING_PRODUCER)
        return -EPIPE;
    verso__ring_look(ring, role);
    if (verso__ring_known(&ring->sides[role]) >= least)
        return 0;
    return is_shut_down ? -EPIPE : -EAGAIN;
}

static const char *hint_of(const struct verso_ring *ring, enum verso__ring_role role, int code)
{
    bool is_producer = role == VERSO__RING_PRODUCER;

    switch (code) {
    case VERSO_E_RANGE:
        return ring->capacity_bytes ? "the ring never holds so much: see verso_ring_capacity_bytes()"
                                    : "a child of fork() has no ring: open one of its own there";
    case -EPIPE:
        return is_producer ? "the ring was shut down: nobody takes more data"
                           : "the ring was shut down, and so much is not left in it";
    case -EAGAIN:
        return is_producer ? "not so much room is free: verso_ring_wait_room() waits for it"
                           : "not so much data is there: verso_ring_wait_data() waits for it";
    default:
        return NULL;
    }
}

int verso__ring_refuse(const struct verso_ring *ring, enum verso__ring_role role, int code, const char *step)
{
    return verso__fail_hint(code, step, NULL, hint_of(ring, role, code));
}

static inline int hold(struct verso_ring *ring, enum verso__ring_role role, size_t least, void **out_data,
                       size_t *out_bytes, const char *step)
{
    struct verso__ring_side *side = &ring->sides[role];

    if (least == 0)
        least = 1;
    if (out_bytes || !verso__ring_is_known(ring, role, least)) {
        int r = verso__ring_check(ring, role, least);

        if (r < 0) {
            (void)verso__ring_refuse(ring, role, r, step);
            return r;
        }
    }
    side->held = out_bytes ? (size_t)verso__ring_known(side) : least;
    side->holds_record = false;
    *out_data = ring->data + side->at;
    if (out_bytes)
        *out_bytes = side->held;
    return 0;
}

int verso__ring_hold(struct verso_ring *ring, enum verso__ring_role role, size_t least, void **out_data,
                     size_t *out_bytes, const char *step)
{
    return hold(ring, role, least, out_data, out_bytes, step);
}

/*
 * Publishes the counter, then asks whether the other side sleeps. The store must be visible before that load is done,
 * or both could miss each other: the sleeper its data, and this side the sleeper. With membarrier the sleeper sees to
 * it, and here only the compiler must not swap the two; without, both accesses are sequentially consistent.
 */
static inline bool publish(const struct verso_ring *ring, struct verso__ring_side *side,
                           const struct verso__ring_side *other, uint64_t moved)
{
    if (!ring->has_barrier) {
        atomic_store(&side->moved, moved);
        return atomic_load(&other->asleep);
    }
    atomic_store_explicit(&side->moved, moved, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
    return atomic_load_explicit(&other->asleep, memory_order_relaxed);
}

static inline void pass(struct verso_ring *ring, enum verso__ring_role role, size_t bytes)
{
    struct verso__ring_side *side = &ring->sides[role];
    uint64_t moved = atomic_load_explicit(&side->moved, memory_order_relaxed) + bytes;
    size_t at = side->at + bytes;

    side->held -= bytes;
    side->at = at < ring->capacity_bytes ? at : at - ring->capacity_bytes;
    if (publish(ring, side, &ring->sides[!role], moved))
        verso__ring_wake(ring, !role, role == VERSO__RING_CONSUMER ? moved + ring->capacity_bytes : moved);
}

void verso__ring_pass(struct verso_ring *ring, enum verso__ring_role role, size_t bytes)
{
    pass(ring, role, bytes);
}

int verso_ring_reserve(struct verso_ring *ring, size_t least_bytes, void **out_data, size_t *out_bytes)
{
    if (!ring || !out_data)
        return verso__fail(-EINVAL, "arguments", NULL);
    return hold(ring, VERSO__RING_PRODUCER, least_bytes, out_data, out_bytes, "reserve");
}

int verso_ring_peek(struct verso_ring *ring, size_t least_bytes, void **out_data, size_t *out_bytes)
{
    if (!ring || !out_data)
        return verso__fail(-EINVAL, "arguments", NULL);
    return hold(ring, VERSO__RING_CONSUMER, least_bytes, out_data, out_bytes, "peek");
}

int verso_ring_commit(struct verso_ring *ring, size_t bytes)
{
    if (!ring)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (bytes > ring->sides[VERSO__RING_PRODUCER].held)
        return verso__fail_hint(VERSO_E_RANGE, "commit", NULL, "commit at most what verso_ring_reserve() gave");
    pass(ring, VERSO__RING_PRODUCER, bytes);
    return 0;
}

int verso_ring_consume(struct verso_ring *ring, size_t bytes)
{
    if (!ring)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (bytes > ring->sides[VERSO__RING_CONSUMER].held)
        return verso__fail_hint(VERSO_E_RANGE, "consume", NULL, "consume at most what verso_ring_peek() gave");
    pass(ring, VERSO__RING_CONSUMER, bytes);
    return 0;
}

int verso_ring_write(struct verso_ring *ring, const void *data, size_t bytes)
{
    void *room;
    int r;

    if (!ring || (!data && bytes > 0))
        return verso__fail(-EINVAL, "arguments", NULL);
    if (bytes == 0)
        return 0;
    r = hold(ring, VERSO__RING_PRODUCER, bytes, &room, NULL, "write");
    if (r < 0)
        return r;
    memcpy(room, data, bytes);
    pass(ring, VERSO__RING_PRODUCER, bytes);
    return 0;
}

/* Looks at the other side only when what is known of does not fill the caller's room. */
int verso_ring_read(struct verso_ring *ring, void *out_data, size_t room_bytes, size_t *out_bytes)
{
    size_t bytes;
    void *data;
    int r;

    if (!ring || !out_bytes || (!out_data && room_bytes > 0))
        return verso__fail(-EINVAL, "arguments", NULL);
    if (room_bytes == 0) {
        *out_bytes = 0;
        return 0;
    }
    if (verso__ring_known(&ring->sides[VERSO__RING_CONSUMER]) >= room_bytes) {
        bytes = room_bytes;
        r = hold(ring, VERSO__RING_CONSUMER, bytes, &data, NULL, "read");
    } else {
        r = hold(ring, VERSO__RING_CONSUMER, 1, &data, &bytes, "read");
    }
    if (r < 0)
        return r;
    if (bytes > room_bytes)
        bytes = room_bytes;
    memcpy(out_data, data, bytes);
    ring->sides[VERSO__RING_CONSUMER].held = bytes;
    pass(ring, VERSO__RING_CONSUMER, bytes);
    *out_bytes = bytes;
    return 0;
}
