/* SPDX-License-Identifier: MIT */
/* finder.h - needles as they are looked for. */
#ifndef VERSO_SRC_SCAN_FINDER_H
#define VERSO_SRC_SCAN_FINDER_H

#include "scan/form.h"

/* How often a byte value is met, of 65536; 1 at least. */
extern const uint16_t verso__scan_byte_share[256];

/* Its first and last eight bytes settle most comparisons; needles of up to 16 bytes have no others. */
struct verso__scan_compiled {
    uint64_t head, head_fold, head_mask; /* fold is or-ed to what is compared, as in struct verso__scan_pair */
    uint64_t tail, tail_fold;            /* of needles longer than 8 bytes */
    const unsigned char *want;           /* all of it, in lower case where case is folded */
    const unsigned char *fold;           /* NULL: nothing is folded */
    uint32_t bytes;
    bool has_newline;
};

/* Needles that begin with the same print, in the order of their numbers: members[first] and so on. */
struct verso__scan_group {
    uint32_t print;
    uint32_t first;
    uint32_t count; /* 0: an empty slot */
};

struct verso__scan_finder {
    size_t count;
    size_t shortest_bytes, longest_bytes;
    struct verso__scan_compiled *needles;
    unsigned char *bytes; /* what their want and fold point to */

    size_t reach_bytes;               /* from a place on, that the filter reads */
    struct verso__scan_pair pair;     /* of one needle */
    struct verso__scan_others others; /* of one needle of up to 16 bytes */
    size_t period_bytes;              /* of one longer needle: the least distance at which it can stand again */

    /* Of several: their prints, and which needles to compare with at a place: a hash table of groups. */
    struct verso__scan_buckets buckets;
    size_t print_offset, print_bytes;
    uint32_t print_mask, print_fold;
    unsigned bit_shift, slot_shift;
    uint64_t *bits; /* by a print's hash: whether a needle has such a one */
    struct verso__scan_group *slots;
    uint32_t *members;
};

/* Multiplicative hashing: by 2^32 over the golden ratio, which spreads neighbours best. */
static inline uint32_t verso__scan_hash(uint32_t print, unsigned shift)
{
    return (print * 0x9E3779B1U) >> shift;
}

/* Chooses and fills the filter of compiled needles; -ENOMEM. */
int verso__scan_filter_make(struct verso__scan_finder *finder);

#endif
