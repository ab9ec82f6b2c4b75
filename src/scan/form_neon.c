/* SPDX-License-Identifier: MIT */
/*
 * form_neon - the loops for aarch64, whose vectors have 16 bytes: 64 are four.
 *
 * There is no instruction that makes a mask of comparisons. Each byte keeps the bit of its place in eight, and three
 * rounds of adding neighbours gather 64 bytes into eight.
 */
#include "scan/form.h"

#include <arm_neon.h>

#define TARGET

/* Bit i: byte i of the four is 0xff; all are that or 0. */
static inline uint64_t gather(uint8x16_t a, uint8x16_t b, uint8x16_t c, uint8x16_t d)
{
    const uint8x16_t places = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 };
    uint8x16_t low = vpaddq_u8(vandq_u8(a, places), vandq_u8(b, places));
    uint8x16_t high = vpaddq_u8(vandq_u8(c, places), vandq_u8(d, places));
    uint8x16_t both = vpaddq_u8(low, high);

    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(both, both)), 0);
}

static inline uint8x16_t newlines16(const unsigned char *at)
{
    return vceqq_u8(vld1q_u8(at), vdupq_n_u8('\n'));
}

static inline uint64_t newlines_in(const unsigned char *at)
{
    return gather(newlines16(at), newlines16(at + 16), newlines16(at + 32), newlines16(at + 48));
}

/* \t to \r are what is at most 4 when \t is taken away. */
static inline uint8x16_t words16(const unsigned char *at)
{
    uint8x16_t bytes = vld1q_u8(at), above = vsubq_u8(bytes, vdupq_n_u8('\t'));

    return vbicq_u8(vcgtq_u8(above, vdupq_n_u8('\r' - '\t')), vceqq_u8(bytes, vdupq_n_u8(' ')));
}

static inline uint64_t words_in(const unsigned char *at)
{
    return gather(words16(at), words16(at + 16), words16(at + 32), words16(at + 48));
}

/* 10xxxxxx are the lowest of signed bytes. */
static inline uint8x16_t characters16(const unsigned char *at)
{
    return vcgtq_s8(vreinterpretq_s8_u8(vld1q_u8(at)), vdupq_n_s8(-65));
}

static inline uint64_t characters_in(const unsigned char *at)
{
    return gather(characters16(at), characters16(at + 16), characters16(at + 32), characters16(at + 48));
}

#include "scan/lines_loop.h"
#include "scan/text_loop.h"

/* ---- Filters ---- */

/* A byte to compare with, in all bytes of a vector. */
struct wanted {
    uint8x16_t want, fold;
};

static inline struct wanted wanted(const struct verso__scan_byte *byte)
{
    return (struct wanted){ vdupq_n_u8(byte->want), vdupq_n_u8(byte->fold) };
}

static inline uint8x16_t is_wanted(const unsigned char *at, struct wanted byte)
{
    return vceqq_u8(vorrq_u8(vld1q_u8(at), byte.fold), byte.want);
}

static inline uint64_t where(const unsigned char *at, struct wanted byte, uint64_t among)
{
    return among &
           gather(is_wanted(at, byte), is_wanted(at + 16, byte), is_wanted(at + 32, byte), is_wanted(at + 48, byte));
}

static uint64_t pair(const struct verso__scan_pair *f, const unsigned char *at, size_t blocks, uint64_t *masks)
{
    struct wanted first = wanted(&f->bytes[0]), second = wanted(&f->bytes[1]);
    uint64_t marked = 0;

    for (size_t block = 0; block < blocks; block++, at += VERSO__SCAN_BLOCK) {
        const unsigned char *a = at + f->bytes[0].offset, *b = at + f->bytes[1].offset;
        uint8x16_t both[4];

        verso__scan_ask_ahead(at);
        for (size_t i = 0; i < 4; i++)
            both[i] = vandq_u8(is_wanted(a + 16 * i, first), is_wanted(b + 16 * i, second));
        masks[block] = gather(both[0], both[1], both[2], both[3]);
        marked += (unsigned)__builtin_popcountll(masks[block]);
    }
    return marked;
}

#include "scan/others_loop.h"

/* What a byte of the print is looked up in, by either nibble. */
struct table {
    uint8x16_t low, high;
};

static inline struct table table_of(const struct verso__scan_buckets *f, size_t k)
{
    return (struct table){ vld1q_u8(f->low[k]), vld1q_u8(f->high[k]) };
}

static inline uint8x16_t buckets_of(uint8x16_t bytes, struct table table)
{
    return vandq_u8(vqtbl1q_u8(table.low, vandq_u8(bytes, vdupq_n_u8(15))),
                    vqtbl1q_u8(table.high, vshrq_n_u8(bytes, 4)));
}

/* 0xff where a bucket is left. */
static inline uint8x16_t left16(const unsigned char *at, const struct table *tables, size_t count)
{
    uint8x16_t left = buckets_of(vld1q_u8(at), tables[0]);

    for (size_t k = 1; k < count; k++)
        left = vandq_u8(left, buckets_of(vld1q_u8(at + k), tables[k]));
    return vtstq_u8(left, left);
}

static inline uint64_t left_in(const unsigned char *at, const struct table *tables, size_t count)
{
    return gather(left16(at, tables, count), left16(at + 16, tables, count), left16(at + 32, tables, count),
                  left16(at + 48, tables, count));
}

#include "scan/buckets_loop.h"

/* Every aarch64 has it. */
static bool is_supported(void)
{
    return true;
}

const struct verso__scan_form verso__scan_neon = {
    .name = "NEON",
    .is_supported = is_supported,
    .text = text,
    .pair = pair,
    .others = others,
    .buckets = buckets,
    .lines = lines,
};
