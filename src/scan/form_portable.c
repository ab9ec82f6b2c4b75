/* SPDX-License-Identifier: MIT */
/*
 * form_portable - the loops in plain C: for processors without a form of their own, and to hold the others to.
 *
 * Eight bytes at a time, in a word: what a byte is becomes its highest bit, and a multiplication gathers the eight
 * bits. No sum here carries from one byte into the next.
 */
#include "scan/form.h"

#include <string.h>

#define TARGET
#define EACH ((uint64_t)0x0101010101010101)
#define HIGH ((uint64_t)0x8080808080808080)

/* The byte at the lowest address is the lowest. */
static inline uint64_t word_at(const unsigned char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Bit i: the highest of byte i. */
static inline uint64_t gather(uint64_t high)
{
    return ((high & HIGH) >> 7) * 0x0102040810204080 >> 56;
}

/* The highest bit of each byte that is 0. */
static inline uint64_t zero_bytes(uint64_t word)
{
    return ~(((word & ~HIGH) + ~HIGH) | word) & HIGH;
}

/* The highest bit of each byte below 128 that is at least @from. */
static inline uint64_t from(uint64_t word, unsigned char least)
{
    return ((word & ~HIGH) + EACH * (128U - least)) & ~word & HIGH;
}

static inline uint64_t newlines_in(const unsigned char *at)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < 8; i++)
        mask |= gather(zero_bytes(word_at(at + 8 * (size_t)i) ^ EACH * '\n')) << 8 * i;
    return mask;
}

static inline uint64_t words_in(const unsigned char *at)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < 8; i++) {
        uint64_t word = word_at(at + 8 * (size_t)i);

        mask |= gather(zero_bytes(word ^ EACH * ' ') | (from(word, '\t') & ~from(word, '\r' + 1))) << 8 * i;
    }
    return ~mask;
}

/* 10xxxxxx: the highest bit set, the next one not. */
static inline uint64_t characters_in(const unsigned char *at)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < 8; i++) {
        uint64_t word = word_at(at + 8 * (size_t)i);

        mask |= gather(word & ~(word << 1)) << 8 * i;
    }
    return ~mask;
}

#include "scan/lines_loop.h"
#include "scan/text_loop.h"

/* ---- Filters ---- */

/* 0 in each byte where it stands. */
static inline uint64_t differs(const unsigned char *at, struct verso__scan_byte byte)
{
    return (word_at(at + byte.offset) | EACH * byte.fold) ^ EACH * byte.want;
}

static uint64_t pair(const struct verso__scan_pair *f, const unsigned char *at, size_t blocks, uint64_t *masks)
{
    uint64_t marked = 0;

    for (size_t block = 0; block < blocks; block++) {
        masks[block] = 0;
        for (unsigned i = 0; i < 8; i++, at += 8)
            masks[block] |= gather(zero_bytes(differs(at, f->bytes[0]) | differs(at, f->bytes[1]))) << 8 * i;
        marked += (unsigned)__builtin_popcountll(masks[block]);
    }
    return marked;
}

static inline uint64_t where(const unsigned char *at, struct verso__scan_byte byte)
{
    uint64_t mask = 0;

    for (unsigned i = 0; i < 8; i++)
        mask |= gather(zero_bytes(differs(at + 8 * (size_t)i, byte))) << 8 * i;
    return mask;
}

static uint64_t others(const struct verso__scan_others *others, const unsigned char *at, size_t blocks, uint64_t *masks)
{
    uint64_t marked = 0;

    for (size_t block = 0; block < blocks; block++, at += VERSO__SCAN_BLOCK) {
        for (size_t i = 0; i < others->count && masks[block]; i++)
            masks[block] &= where(at, others->bytes[i]);
        marked += (unsigned)__builtin_popcountll(masks[block]);
    }
    return marked;
}

static inline bool is_in_bucket(const struct verso__scan_buckets *f, const unsigned char *print)
{
    unsigned buckets = 0xff;

    for (size_t k = 0; k < f->byte_count; k++)
        buckets &= f->low[k][print[k] & 15] & f->high[k][print[k] >> 4];
    return buckets != 0;
}

static uint64_t buckets(const struct verso__scan_buckets *f, const unsigned char *at, size_t blocks, uint64_t *masks)
{
    uint64_t marked = 0;

    for (size_t block = 0; block < blocks; block++) {
        const unsigned char *print = at + VERSO__SCAN_BLOCK * block + f->offset;
        uint64_t mask = 0;

        for (unsigned i = 0; i < VERSO__SCAN_BLOCK; i++)
            mask |= (uint64_t)is_in_bucket(f, print + i) << i;
        masks[block] = mask;
        marked += (unsigned)__builtin_popcountll(mask);
    }
    return marked;
}

static bool is_supported(void)
{
    return true;
}

const struct verso__scan_form verso__scan_portable = {
    .name = "portable",
    .is_supported = is_supported,
    .text = text,
    .pair = pair,
    .others = others,
    .buckets = buckets,
    .lines = lines,
};
