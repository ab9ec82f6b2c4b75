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

static inline uint8x16_t is_wanted(const unsigned char *at, struct verso__scan_byte byte)
{
    return vceqq_u8(vorrq_u8(vld1q_u8(at + byte.offset), vdupq_n_u8(byte.fold)), vdupq_n_u8(byte.want));
}

static inline uint8x16_t pair16(const struct verso__scan_pair *f, const unsigned char *at)
{
    return vandq_u8(is_wanted(at, f->bytes[0]), is_wanted(at, f->bytes[1]));
}

static uint64_t pair(const struct verso__scan_pair *f, const unsigned char *at, size_t blocks, uint64_t *masks)
{
    uint64_t marked = 0;

    for (size_t block = 0; block < blocks; block++, at += VERSO__SCAN_BLOCK) {
        verso__scan_ask_ahead(at);
        masks[block] = gather(pair16(f, at), pair16(f, at + 16), pair16(f, at + 32), pair16(f, at + 48));
        marked += (unsigned)__builtin_popcountll(masks[block]);
    }
    return marked;
}

static inline uint64_t where(const unsigned char *at, struct verso__scan_byte byte)
{
    return gather(is_wanted(at, byte), is_wanted(at + 16, byte), is_wanted(at + 32, byte), is_wanted(at + 48, byte));
}

static uint64_t others(const struct verso__scan_others *others, const unsigned char *at, size_t blocks, uint64_t *masks)
{
    uint64_t marked = 0;

    for (size_t i = 0; i < others->count; i++) {
        for (size_t block = 0; block < blocks; block++)
            masks[block] &= where(at + VERSO__SCAN_BLOCK * block, others->bytes[i]);
    }
    for (size_t block = 0; block < blocks; block++)
        marked += (unsigned)__builtin_popcountll(masks[block]);
    return marked;
}

static inline uint8x16_t buckets16(const struct verso__scan_buckets *f, const unsigned char *at)
{
    uint8x16_t left = vdupq_n_u8(0xff);

    for (size_t k = 0; k < f->byte_count; k++) {
        uint8x16_t bytes = vld1q_u8(at + k);
        uint8x16_t low = vqtbl1q_u8(vld1q_u8(f->low[k]), vandq_u8(bytes, vdupq_n_u8(15)));

        left = vandq_u8(left, vandq_u8(low, vqtbl1q_u8(vld1q_u8(f->high[k]), vshrq_n_u8(bytes, 4))));
    }
    return vtstq_u8(left, left);
}

static uint64_t buckets(const struct verso__scan_buckets *f, const unsigned char *at, size_t blocks, uint64_t *masks)
{
    uint64_t marked = 0;

    at += f->offset;
    for (size_t block = 0; block < blocks; block++, at += VERSO__SCAN_BLOCK) {
        verso__scan_ask_ahead(at);
        masks[block] = gather(buckets16(f, at), buckets16(f, at + 16), buckets16(f, at + 32), buckets16(f, at + 48));
        marked += (unsigned)__builtin_popcountll(masks[block]);
    }
    return marked;
}

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
