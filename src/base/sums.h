/* SPDX-License-Identifier: MIT */
/*
 * sums.h - sums that cannot overflow.
 *
 * Offsets and lengths come from callers and from files; added up without care, they wrap and pass every check that
 * follows. These say false instead, and leave the result alone.
 */
#ifndef VERSO_SRC_SUMS_H
#define VERSO_SRC_SUMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool verso__add_u64(uint64_t a, uint64_t b, uint64_t *out_sum)
{
    uint64_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out_sum = sum;
    return true;
}

static inline bool verso__multiply_u64(uint64_t a, uint64_t b, uint64_t *out_product)
{
    uint64_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out_product = product;
    return true;
}

/* @granule is a power of two. */
static inline uint64_t verso__round_down(uint64_t value, uint64_t granule)
{
    return value & ~(granule - 1);
}

/* @granule is a power of two. False when the rounded value does not fit. */
static inline bool verso__round_up(uint64_t value, uint64_t granule, uint64_t *out_value)
{
    uint64_t sum;

    if (!verso__add_u64(value, granule - 1, &sum))
        return false;
    *out_value = verso__round_down(sum, granule);
    return true;
}

/* Whether [offset, offset + length) lies within [0, bytes); never adds. */
static inline bool verso__within(uint64_t offset, uint64_t length, uint64_t bytes)
{
    return offset <= bytes && length <= bytes - offset;
}

static inline uint64_t verso__min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t verso__max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
