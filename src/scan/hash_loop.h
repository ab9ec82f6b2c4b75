/* SPDX-License-Identifier: MIT */
/* hash_loop.h - the filter for many needles, a place at a time; included by each form that has no better one. */
#ifndef VERSO_SRC_SCAN_HASH_LOOP_H
#define VERSO_SRC_SCAN_HASH_LOOP_H

#include "scan/form.h"

#include <string.h>

TARGET static uint64_t hashes(const void *filter, const unsigned char *at, size_t blocks, uint64_t *masks)
{
    const struct verso__scan_hashes f = *(const struct verso__scan_hashes *)filter;
    uint64_t marked = 0;

    for (size_t block = 0; block < blocks; block++) {
        const unsigned char *place = at + VERSO__SCAN_BLOCK * block + f.offset;
        uint64_t mask = 0;

        for (unsigned i = 0; i < VERSO__SCAN_BLOCK; i++) {
            uint32_t hash, print;

            memcpy(&print, place + i, sizeof(print));
            hash = verso__scan_hash((print | f.fold) & f.mask, f.shift);
            mask |= (f.bits[hash / 64] >> hash % 64 & 1) << i;
        }
        masks[block] = mask;
        marked += (unsigned)__builtin_popcountll(mask);
    }
    return marked;
}

#endif
