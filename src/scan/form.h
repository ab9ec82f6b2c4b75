/* SPDX-License-Identifier: MIT */
/*
 * form.h - the loops that depend on the processor, and what they share with those that don't.
 *
 * All of them look at 64 bytes at a time and say what they see in 64 bits: bit i is the byte (or the place) i. The rest
 * is arithmetic on such masks, the same for every processor.
 *
 * Needles are found in two steps. A filter, here, marks places where a needle may begin, and may be wrong about a few:
 *
 *     pair      one needle: two of its bytes, the rarest, stand at their distance
 *     buckets   several needles: their prints, four bytes each, in eight groups, one bit each; a place remains while a
 *               group agrees with all of its bytes
 *
 * Then find.c compares what is there with the needles. Filters are asked for many places at once, so a call
 * costs nothing.
 */
#ifndef VERSO_SRC_SCAN_FORM_H
#define VERSO_SRC_SCAN_FORM_H

#include "scan/kernels.h"

enum {
    VERSO__SCAN_BLOCK = 64,       /* places in a mask */
    VERSO__SCAN_REACH_MAX = 256,  /* no filter looks further than this from a place */
    VERSO__SCAN_PRINT_BYTES = 4,  /* most bytes of a needle that buckets look at */
    VERSO__SCAN_BUCKET_COUNT = 8, /* bits in a byte */
    VERSO__SCAN_OTHERS_MAX = 14,  /* besides a pair: needles of up to 16 bytes */
};

/*
 * Each loop over new bytes asks for those AHEAD bytes further on. The processor's own prefetching begins anew at each
 * page of 4 KiB; asked for a page ahead, memory was read 1.15 times as fast where newlines are counted, 1.5 times with
 * words, 1.4 times by a pair, 1.7 times by buckets (512 bytes ahead: nothing; 2 KiB: nearly as much). Behind the end of
 * a stretch it asks for what nobody needs, which is allowed of any address.
 */
enum {
    VERSO__SCAN_AHEAD_BYTES = 4096
};

static inline void verso__scan_ask_ahead(const unsigned char *at)
{
    __builtin_prefetch((const void *)((uintptr_t)at + VERSO__SCAN_AHEAD_BYTES));
}

/* A byte that must stand at a distance from a place. */
struct verso__scan_byte {
    size_t offset;
    unsigned char want; /* lower case where case is folded */
    unsigned char fold; /* or-ed to what is compared: 0x20 for letters whose case is folded, else 0 */
};

struct verso__scan_pair {
    struct verso__scan_byte bytes[2];
};

/* All other bytes of a short needle: what a pair marked and they agree to is a match. */
struct verso__scan_others {
    size_t count;
    struct verso__scan_byte bytes[VERSO__SCAN_OTHERS_MAX];
};

/* For byte k of a needle's print: which buckets hold a needle with this byte there. */
struct verso__scan_buckets {
    size_t offset;                                   /* from the place to the print */
    size_t byte_count;                               /* of the print: 1 to 4 */
    unsigned char low[VERSO__SCAN_PRINT_BYTES][16];  /* by the byte's low nibble */
    unsigned char high[VERSO__SCAN_PRINT_BYTES][16]; /* and by its high one: a bucket must be in both */
    unsigned char six[VERSO__SCAN_PRINT_BYTES][64];  /* by its low six bits, for those who can look that up */
};

/*
 * Filters mark the places [at, at + 64 * blocks), a mask each 64, and answer how many they marked. Bytes up to the
 * reach of the filter behind the last place can be read.
 */
struct verso__scan_form {
    const char *name;
    bool (*is_supported)(void);
    void (*text)(const unsigned char *data, size_t bytes, unsigned counts, struct verso__scan_text *out);
    uint64_t (*pair)(const struct verso__scan_pair *pair, const unsigned char *at, size_t blocks, uint64_t *masks);
    /* Takes marks away again, where one of the others does not stand; answers how many are left. */
    uint64_t (*others)(const struct verso__scan_others *others, const unsigned char *at, size_t blocks,
                       uint64_t *masks);
    uint64_t (*buckets)(const struct verso__scan_buckets *buckets, const unsigned char *at, size_t blocks,
                        uint64_t *masks);
    /* How many lines that end here hold a mark. @carry: whether the line that is open where they begin, and then the
     * one that is open where they end, does. */
    uint64_t (*lines)(const unsigned char *at, size_t blocks, const uint64_t *masks, bool *carry);
};

extern const struct verso__scan_form verso__scan_avx512, verso__scan_avx2, verso__scan_neon, verso__scan_portable;

/* The form in use. */
const struct verso__scan_form *verso__scan_form(void);

#endif
