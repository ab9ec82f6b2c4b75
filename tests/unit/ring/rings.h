/* SPDX-License-Identifier: MIT */
/* rings.h - rings to test with, and streams of bytes whose every byte depends on its place. */
#ifndef VERSO_TESTS_RINGS_H
#define VERSO_TESTS_RINGS_H

#include "support.h"

#include <verso/ring.h>

static inline struct verso_ring *opened_ring(uint64_t capacity_bytes, unsigned flags)
{
    struct verso_ring_options options = VERSO_RING_OPTIONS_INIT;
    struct verso_ring *ring = NULL;

    options.flags = flags;
    assert_ok(verso_ring_open(capacity_bytes, &options, &ring));
    assert_non_null(ring);
    return ring;
}

static inline struct verso_ring_info info_of(const struct verso_ring *ring)
{
    struct verso_ring_info info = VERSO_RING_INFO_INIT;

    assert_ok(verso_ring_info(ring, &info));
    return info;
}

static inline void pattern_fill(unsigned char *data, uint64_t offset, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = support_byte(offset + i);
}

/* Puts @bytes of the pattern in, by reserve and commit. */
static inline void put(struct verso_ring *ring, uint64_t offset, size_t bytes)
{
    void *data;

    assert_ok(verso_ring_reserve(ring, bytes, &data, NULL));
    pattern_fill(data, offset, bytes);
    assert_ok(verso_ring_commit(ring, bytes));
}

/* Takes @bytes out, which must be the pattern from @offset on. */
static inline void take(struct verso_ring *ring, uint64_t offset, size_t bytes)
{
    void *data;

    assert_ok(verso_ring_peek(ring, bytes, &data, NULL));
    assert_true(support_matches(data, offset, bytes));
    assert_ok(verso_ring_consume(ring, bytes));
}

/* Moves both sides of an empty ring on, so that the next span begins at @position. */
static inline void move_to(struct verso_ring *ring, size_t position)
{
    const size_t capacity = verso_ring_capacity_bytes(ring);
    const size_t at = (size_t)(info_of(ring).written_bytes % capacity);
    const size_t distance = (position + capacity - at) % capacity;
    void *data;

    if (distance == 0)
        return;
    assert_ok(verso_ring_reserve(ring, capacity, &data, NULL));
    assert_ok(verso_ring_commit(ring, distance));
    assert_ok(verso_ring_peek(ring, distance, &data, NULL));
    assert_ok(verso_ring_consume(ring, distance));
}

#endif
