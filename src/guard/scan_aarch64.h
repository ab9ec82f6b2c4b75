/* SPDX-License-Identifier: MIT */
/*
 * scan_aarch64.h - looking at memory that may fault, on aarch64.
 *
 * Only loading may fault, and every aarch64 has vectors of 16 bytes, so only the loads are assembly; what is done with
 * the vectors is written in C.
 */
#ifndef VERSO_SRC_GUARD_SCAN_AARCH64_H
#define VERSO_SRC_GUARD_SCAN_AARCH64_H

#include "guard/fixup.h"

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* There is one width. */
#define SCAN_NARROW_BYTES 16U
#define SCAN_WIDE_BYTES SCAN_NARROW_BYTES
#define scan_match_wide scan_match_narrow
#define scan_differ_wide scan_differ_narrow
#define scan_find_blocks_wide scan_find_blocks_narrow
#define scan_count_blocks_wide scan_count_blocks_narrow
#define scan_compare_blocks_wide scan_compare_blocks_narrow

#define scan_match_masked scan_match_narrow
#define scan_differ_masked scan_differ_narrow
#define scan_find_blocks_masked scan_find_blocks_narrow
#define scan_count_blocks_masked scan_count_blocks_narrow
#define scan_compare_blocks_masked scan_compare_blocks_narrow

static inline bool scan_has_wide(void)
{
    return false;
}

static inline bool scan_has_masks(void)
{
    return false;
}

/* ---- Loading ---------------------------------------------------------------------------------------------------- */

/* The first and the last 16 of 16 to 32 bytes. False: a fault. */
static inline bool load_ends(const unsigned char *data, size_t bytes, uint8x16_t *out_front, uint8x16_t *out_back)
{
    unsigned torn = 1;

    __asm__ volatile("1:\n"
                     "ldr %q[f], [%[p]]\n"
                     "ldur %q[b], [%[e], #-16]\n"
                     "mov %w[torn], wzr\n"
                     "2:\n" VERSO__FIXUP("1b", "2b", "2b", VERSO__FIXUP_BLOCKED)
                     : [f] "=&w"(*out_front), [b] "=&w"(*out_back), [torn] "+r"(torn)
                     : [p] "r"(data), [e] "r"(data + bytes)
                     : "memory");
    return !torn;
}

/* 64 bytes. */
static inline bool load_block(const unsigned char *data, uint8x16_t out[4])
{
    unsigned torn = 1;

    __asm__ volatile("1:\n"
                     "ldp %q[a], %q[b], [%[p]]\n"
                     "ldp %q[c], %q[d], [%[p], #32]\n"
                     "mov %w[torn], wzr\n"
                     "2:\n" VERSO__FIXUP("1b", "2b", "2b", VERSO__FIXUP_BLOCKED)
                     : [a] "=&w"(out[0]), [b] "=&w"(out[1]), [c] "=&w"(out[2]), [d] "=&w"(out[3]), [torn] "+r"(torn)
                     : [p] "r"(data)
                     : "memory");
    return !torn;
}

/* ---- One to two vectors, which overlap when there is less than two of them --------------------------------------- */

/* From bytes that are all ones or all zeros, a bit each: three times adding neighbours leaves eight bytes in one. */
static inline uint64_t mask_of(uint8x16_t front, uint8x16_t back, size_t bytes)
{
    static const uint8_t places[16] = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128 };
    const uint8x16_t bits = vld1q_u8(places);
    uint8x16_t sums = vpaddq_u8(vandq_u8(front, bits), vandq_u8(back, bits));
    uint32_t both;

    sums = vpaddq_u8(sums, sums);
    sums = vpaddq_u8(sums, sums);
    both = vgetq_lane_u32(vreinterpretq_u32_u8(sums), 0);
    return (both & 0xffff) | (uint64_t)(both >> 16) << (bytes - 16);
}

static inline bool scan_match_narrow(const unsigned char *data, size_t bytes, unsigned value, uint64_t *out_mask)
{
    const uint8x16_t wanted = vdupq_n_u8((uint8_t)value);
    uint8x16_t front, back;

    if (!load_ends(data, bytes, &front, &back))
        return false;
    *out_mask = mask_of(vceqq_u8(front, wanted), vceqq_u8(back, wanted), bytes);
    return true;
}

static inline bool scan_differ_narrow(const unsigned char *a, const unsigned char *b, size_t bytes, uint64_t *out_mask)
{
    uint8x16_t a_front, a_back, b_front, b_back;

    if (!load_ends(a, bytes, &a_front, &a_back) || !load_ends(b, bytes, &b_front, &b_back))
        return false;
    *out_mask = mask_of(vmvnq_u8(vceqq_u8(a_front, b_front)), vmvnq_u8(vceqq_u8(a_back, b_back)), bytes);
    return true;
}

/* ---- Blocks of four vectors ---------------------------------------------------------------------------------------
 *
 * Each stops before the first block that holds what is looked for or could not be read, or that is not whole.
 */

static inline const unsigned char *scan_find_blocks_narrow(const unsigned char *data, const unsigned char *end,
                                                           unsigned value)
{
    const uint8x16_t wanted = vdupq_n_u8((uint8_t)value);
    uint8x16_t v[4];

    for (; end - data >= 64 && load_block(data, v); data += 64) {
        uint8x16_t any = vorrq_u8(vorrq_u8(vceqq_u8(v[0], wanted), vceqq_u8(v[1], wanted)),
                                  vorrq_u8(vceqq_u8(v[2], wanted), vceqq_u8(v[3], wanted)));

        if (vmaxvq_u8(any))
            break;
    }
    return data;
}

/* Adds to *count. A byte that matches is -1, so that four of them make at most 4 a byte. */
static inline const unsigned char *scan_count_blocks_narrow(const unsigned char *data, const unsigned char *end,
                                                            unsigned value, size_t *count)
{
    const uint8x16_t wanted = vdupq_n_u8((uint8_t)value);
    uint8x16_t v[4];

    for (; end - data >= 64 && load_block(data, v); data += 64) {
        uint8x16_t sum = vaddq_u8(vaddq_u8(vceqq_u8(v[0], wanted), vceqq_u8(v[1], wanted)),
                                  vaddq_u8(vceqq_u8(v[2], wanted), vceqq_u8(v[3], wanted)));

        *count += vaddvq_u8(vreinterpretq_u8_s8(vnegq_s8(vreinterpretq_s8_u8(sum))));
    }
    return data;
}

/* How many bytes were equal. */
static inline size_t scan_compare_blocks_narrow(const unsigned char *a, const unsigned char *b, size_t bytes)
{
    uint8x16_t x[4], y[4];
    size_t done = 0;

    for (; bytes - done >= 64 && load_block(a + done, x) && load_block(b + done, y); done += 64) {
        uint8x16_t all = vandq_u8(vandq_u8(vceqq_u8(x[0], y[0]), vceqq_u8(x[1], y[1])),
                                  vandq_u8(vceqq_u8(x[2], y[2]), vceqq_u8(x[3], y[3])));

        if (vminvq_u8(all) == 0)
            break;
    }
    return done;
}

/* ---- Byte by byte ------------------------------------------------------------------------------------------------ */

/* A byte goes into a register of its own before it is judged, so that a fault leaves the last judgement standing. */

/* Where it stopped: at a match (*out_found), at a byte that could not be read, or at the end. */
static inline const unsigned char *scan_find_exact(const unsigned char *data, const unsigned char *end, unsigned value,
                                                   bool *out_found)
{
    unsigned byte = value ^ 1;

    if (data < end)
        __asm__ volatile("1:\n"
                         "ldrb %w[byte], [%[p]]\n"
                         "cmp %w[byte], %w[v]\n"
                         "b.eq 2f\n"
                         "add %[p], %[p], #1\n"
                         "cmp %[p], %[end]\n"
                         "b.lo 1b\n"
                         "2:\n" VERSO__FIXUP("1b", "2b", "2b", VERSO__FIXUP_EXACT)
                         : [p] "+r"(data), [byte] "+r"(byte)
                         : [v] "r"(value), [end] "r"(end)
                         : "cc", "memory");
    *out_found = byte == value;
    return data;
}

static inline const unsigned char *scan_count_exact(const unsigned char *data, const unsigned char *end, unsigned value,
                                                    size_t *count)
{
    unsigned byte;

    if (data < end)
        __asm__ volatile("1:\n"
                         "ldrb %w[byte], [%[p]]\n"
                         "add %[p], %[p], #1\n"
                         "cmp %w[byte], %w[v]\n"
                         "cinc %[count], %[count], eq\n"
                         "cmp %[p], %[end]\n"
                         "b.lo 1b\n"
                         "2:\n" VERSO__FIXUP("1b", "2b", "2b", VERSO__FIXUP_EXACT)
                         : [p] "+r"(data), [byte] "=&r"(byte), [count] "+r"(*count)
                         : [v] "r"(value), [end] "r"(end)
                         : "cc", "memory");
    return data;
}

/* How many bytes were equal before a difference (*out_found), a byte that could not be read, or the end. */
static inline size_t scan_compare_exact(const unsigned char *a, const unsigned char *b, size_t bytes, bool *out_found)
{
    unsigned of_a, of_b, difference = 0;
    size_t done = 0;

    if (bytes)
        __asm__ volatile("1:\n"
                         "ldrb %w[x], [%[a], %[i]]\n"
                         "ldrb %w[y], [%[b], %[i]]\n"
                         "eor %w[difference], %w[x], %w[y]\n"
                         "cbnz %w[difference], 2f\n"
                         "add %[i], %[i], #1\n"
                         "cmp %[i], %[n]\n"
                         "b.lo 1b\n"
                         "2:\n" VERSO__FIXUP("1b", "2b", "2b", VERSO__FIXUP_EXACT)
                         : [i] "+r"(done), [x] "=&r"(of_a), [y] "=&r"(of_b), [difference] "+r"(difference)
                         : [a] "r"(a), [b] "r"(b), [n] "r"(bytes)
                         : "cc", "memory");
    *out_found = difference != 0;
    return done;
}

#endif
