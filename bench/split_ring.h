/* SPDX-License-Identifier: MIT */
/*
 * split_ring.h - the ring as one writes it without mirrored memory, and well: a peer for bench_ring.
 *
 * The same two counters on lines of their own, each side keeping what it last saw of the other's; a power-of-two
 * capacity; everything inline. A copy that meets the end is done in two parts, and so is a read or a write, by readv(2)
 * and writev(2). What must be contiguous, such as a record to be parsed, is copied out when it wraps. It can't wait.
 */
#ifndef VERSO_BENCH_SPLIT_RING_H
#define VERSO_BENCH_SPLIT_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

struct split {
    unsigned char *data;
    size_t mask;
    _Alignas(128) _Atomic uint64_t head; /* the producer's, and what it last saw of the tail */
    uint64_t tail_seen;
    _Alignas(128) _Atomic uint64_t tail; /* the consumer's, and what it last saw of the head */
    uint64_t head_seen;
};

static inline void split_make(struct split *split, size_t bytes)
{
    memset(split, 0, sizeof(*split));
    split->data = aligned_alloc(4096, bytes);
    split->mask = bytes - 1;
    if (!split->data)
        exit(2);
    memset(split->data, 0, bytes);
}

/* Where the next write goes, in two parts; false when fewer than @bytes fit. */
static inline bool split_room(struct split *split, size_t bytes, uint64_t *out_head)
{
    uint64_t head = atomic_load_explicit(&split->head, memory_order_relaxed);

    if (split->mask + 1 - (head - split->tail_seen) < bytes) {
        split->tail_seen = atomic_load_explicit(&split->tail, memory_order_acquire);
        if (split->mask + 1 - (head - split->tail_seen) < bytes)
            return false;
    }
    *out_head = head;
    return true;
}

static inline bool split_write(struct split *split, const void *data, size_t bytes)
{
    uint64_t head;
    size_t at, first;

    if (!split_room(split, bytes, &head))
        return false;
    at = head & split->mask;
    first = split->mask + 1 - at;
    if (bytes <= first) {
        memcpy(split->data + at, data, bytes);
    } else {
        memcpy(split->data + at, data, first);
        memcpy(split->data, (const unsigned char *)data + first, bytes - first);
    }
    atomic_store_explicit(&split->head, head + bytes, memory_order_release);
    return true;
}

static inline size_t split_used(struct split *split, size_t least, uint64_t *out_tail)
{
    uint64_t tail = atomic_load_explicit(&split->tail, memory_order_relaxed);

    if (split->head_seen - tail < least)
        split->head_seen = atomic_load_explicit(&split->head, memory_order_acquire);
    *out_tail = tail;
    return (size_t)(split->head_seen - tail);
}

static inline void split_copy_out(const struct split *split, uint64_t from, void *out_data, size_t bytes)
{
    size_t at = from & split->mask, first = split->mask + 1 - at;

    if (bytes <= first) {
        memcpy(out_data, split->data + at, bytes);
    } else {
        memcpy(out_data, split->data + at, first);
        memcpy((unsigned char *)out_data + first, split->data, bytes - first);
    }
}

static inline bool split_read(struct split *split, void *out_data, size_t bytes)
{
    uint64_t tail;

    if (split_used(split, bytes, &tail) < bytes)
        return false;
    split_copy_out(split, tail, out_data, bytes);
    atomic_store_explicit(&split->tail, tail + bytes, memory_order_release);
    return true;
}

/* [from, from + bytes) as one or two parts. */
static inline int split_parts(const struct split *split, uint64_t from, size_t bytes, struct iovec parts[2])
{
    size_t at = from & split->mask, first = split->mask + 1 - at;

    parts[0] = (struct iovec){ split->data + at, bytes < first ? bytes : first };
    parts[1] = (struct iovec){ split->data, bytes < first ? 0 : bytes - first };
    return parts[1].iov_len ? 2 : 1;
}

#endif
