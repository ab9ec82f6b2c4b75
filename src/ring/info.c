/* SPDX-License-Identifier: MIT */
/* info - what a ring is, and what has gone through it. */
#include "ring/ring.h"

#include "base/sums.h"

#include <errno.h>

size_t verso_ring_capacity_bytes(const struct verso_ring *ring)
{
    return ring->capacity_bytes;
}

int verso_ring_info(const struct verso_ring *ring, struct verso_ring_info *out_info)
{
    const struct verso__ring_side *producer, *consumer;
    uint64_t consumed, produced;

    if (!ring || !out_info)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (out_info->struct_bytes < sizeof(*out_info))
        return verso__fail(VERSO_E_OPTIONS, "info", NULL);
    producer = &ring->sides[VERSO__RING_PRODUCER];
    consumer = &ring->sides[VERSO__RING_CONSUMER];
    /* In this order the producer is never behind; but it may have gone more than a round on meanwhile. */
    consumed = atomic_load(&consumer->moved);
    produced = atomic_load(&producer->moved);
    *out_info = (struct verso_ring_info){
        .struct_bytes = out_info->struct_bytes,
        .capacity_bytes = ring->capacity_bytes,
        .used_bytes = verso__min_u64(produced - consumed, ring->capacity_bytes),
        .written_bytes = produced,
        .read_bytes = consumed,
        .room_sleeps = atomic_load_explicit(&producer->sleeps, memory_order_relaxed),
        .data_sleeps = atomic_load_explicit(&consumer->sleeps, memory_order_relaxed),
        .pages = ring->pages,
        .pages_why = ring->pages_why ? ring->pages_why : "",
        .barrier = ring->has_barrier ? "membarrier" : "fence",
        .is_shut_down = atomic_load(&ring->is_shut_down),
        .flags = ring->flags,
    };
    return 0;
}
