/* SPDX-License-Identifier: MIT */
/*
 * buckets_loop.h - places where a bucket is left; included, as text_loop.h, by each form that has vectors, after it has
 * defined
 *
 *     struct table                   what one byte of the print is looked up in
 *     table_of(f, k)                 that of byte @k
 *     left_in(at, tables, count)     which of the 64 places at @at have a bucket left, after @count bytes
 *
 * Tables stay in registers, as far as there are enough, when their count is a constant: each count has a loop.
 */
#include "scan/form.h"

TARGET static inline __attribute__((always_inline)) uint64_t buckets_by(const struct verso__scan_buckets *f,
                                                                        size_t count, const unsigned char *at,
                                                                        size_t blocks, uint64_t *masks)
{
    struct table tables[VERSO__SCAN_PRINT_BYTES];
    uint64_t marked = 0;

    for (size_t k = 0; k < count; k++)
        tables[k] = table_of(f, k);
    at += f->offset;
    for (size_t block = 0; block < blocks; block++, at += VERSO__SCAN_BLOCK) {
        verso__scan_ask_ahead(at);
        masks[block] = left_in(at, tables, count);
        marked += (unsigned)__builtin_popcountll(masks[block]);
    }
    return marked;
}

TARGET static uint64_t buckets(const struct verso__scan_buckets *f, const unsigned char *at, size_t blocks,
                               uint64_t *masks)
{
    switch (f->byte_count) {
    case 1:
        return buckets_by(f, 1, at, blocks, masks);
    case 2:
        return buckets_by(f, 2, at, blocks, masks);
    case 3:
        return buckets_by(f, 3, at, blocks, masks);
    default:
        return buckets_by(f, 4, at, blocks, masks);
    }
}
