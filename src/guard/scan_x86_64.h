/* SPDX-License-Identifier: MIT */
/* scan_x86_64.h - looking at memory that may fault, on x86-64: blocks of four vectors, one vector, one byte. */
#ifndef VERSO_SRC_GUARD_SCAN_X86_64_H
#define VERSO_SRC_GUARD_SCAN_X86_64_H

#include "guard/vector_x86_64.h"

#define SCAN_WIDE_BYTES AVX_WIDTH
#define SCAN_NARROW_BYTES SSE_WIDTH

static inline bool scan_has_wide(void)
{
    return verso__guard_cpu() & VERSO__GUARD_CPU_AVX2;
}

static inline bool scan_has_masks(void)
{
    return verso__guard_cpu() & VERSO__GUARD_CPU_AVX512;
}

/* clang-format off */

/* ---- One to two vectors, which overlap when there is less than two of them ----------------------------------------
 *
 * *out_mask: one bit a byte, the first byte lowest. False: a fault.
 */

#define SCAN_MATCH(V, name)                                                                                            \
    static inline bool name(const unsigned char *data, size_t bytes, unsigned value, uint64_t *out_mask)               \
    {                                                                                                                  \
        unsigned front, back, torn = 1;                                                                                \
                                                                                                                       \
        __asm__ volatile(V##_BROADCAST("v")                                                                            \
                         BLOCK LOAD(V, 0, FRONT(V, 0, "p")) LOAD(V, 1, BACK(V, 1, "p"))                                \
                         V##_OP("cmpeqb", 7, 0) V##_OP("cmpeqb", 7, 1) V##_MASK(0, "f") V##_MASK(1, "b")               \
                         "xor %[torn], %[torn]\n" BLOCK_END("2b") V##_LEAVE                                            \
                         : [f] "=&r"(front), [b] "=&r"(back), [torn] "+r"(torn)                                        \
                         : [p] "r"(data), [n] "r"(bytes), [v] "r"(value)                                               \
                         : V##_USED "cc", "memory");                                                                   \
        *out_mask = front | (uint64_t)back << (bytes - V##_WIDTH);                                                     \
        return !torn;                                                                                                  \
    }
SCAN_MATCH(SSE, scan_match_narrow)
SCAN_MATCH(AVX, scan_match_wide)
#undef SCAN_MATCH

#define SCAN_DIFFER(V, name)                                                                                           \
    static inline bool name(const unsigned char *a, const unsigned char *b, size_t bytes, uint64_t *out_mask)          \
    {                                                                                                                  \
        unsigned front, back, torn = 1;                                                                                \
                                                                                                                       \
        __asm__ volatile(BLOCK LOAD(V, 0, FRONT(V, 0, "a")) LOAD(V, 1, FRONT(V, 0, "b"))                               \
                         LOAD(V, 2, BACK(V, 1, "a")) LOAD(V, 3, BACK(V, 1, "b"))                                       \
                         V##_OP("cmpeqb", 1, 0) V##_OP("cmpeqb", 3, 2) V##_MASK(0, "f") V##_MASK(2, "k")               \
                         "xor %[torn], %[torn]\n" BLOCK_END("2b") V##_LEAVE                                            \
                         : [f] "=&r"(front), [k] "=&r"(back), [torn] "+r"(torn)                                        \
                         : [a] "r"(a), [b] "r"(b), [n] "r"(bytes)                                                      \
                         : V##_USED "cc", "memory");                                                                   \
        *out_mask = ~(front | (uint64_t)back << (bytes - V##_WIDTH)) & UINT64_MAX >> (64 - bytes);                     \
        return !torn;                                                                                                  \
    }
SCAN_DIFFER(SSE, scan_differ_narrow)
SCAN_DIFFER(AVX, scan_differ_wide)
#undef SCAN_DIFFER

/* ---- Blocks of four vectors, at least one ------------------------------------------------------------------------
 *
 * Each stops before the first block that holds what is looked for or could not be read, or that is not whole.
 */

#define SCAN_FIND_BLOCKS(V, name)                                                                                      \
    static inline const unsigned char *name(const unsigned char *data, const unsigned char *end, unsigned value)       \
    {                                                                                                                  \
        const unsigned char *last = end - 4 * V##_WIDTH;                                                               \
        unsigned mask;                                                                                                 \
                                                                                                                       \
        __asm__ volatile(V##_BROADCAST("v")                                                                            \
                         BLOCK LOAD(V, 0, FRONT(V, 0, "p")) LOAD(V, 1, FRONT(V, 1, "p"))                               \
                         LOAD(V, 2, FRONT(V, 2, "p")) LOAD(V, 3, FRONT(V, 3, "p"))                                     \
                         V##_OP("cmpeqb", 7, 0) V##_OP("cmpeqb", 7, 1)                                                 \
                         V##_OP("cmpeqb", 7, 2) V##_OP("cmpeqb", 7, 3)                                                 \
                         V##_OP("or", 0, 1) V##_OP("or", 2, 3) V##_OP("or", 1, 3) V##_MASK(3, "m")                     \
                         "test %[m], %[m]\n jnz 2f\n"                                                                  \
                         "add $4*" WIDTH(V) ", %[p]\n cmp %[last], %[p]\n jbe 1b\n"                                   \
                         BLOCK_END("2b") V##_LEAVE                                                                     \
                         : [p] "+r"(data), [m] "=&r"(mask)                                                             \
                         : [v] "r"(value), [last] "r"(last)                                                            \
                         : V##_USED "cc", "memory");                                                                   \
        return data;                                                                                                   \
    }
SCAN_FIND_BLOCKS(SSE, scan_find_blocks_narrow)
SCAN_FIND_BLOCKS(AVX, scan_find_blocks_wide)
#undef SCAN_FIND_BLOCKS

/* Adds to *count. A byte that matches is -1: the sum of four, taken from zero, is at most 4 a byte; then sideways. */
#define SCAN_COUNT_BLOCKS(V, name)                                                                                     \
    static inline const unsigned char *name(const unsigned char *data, const unsigned char *end, unsigned value,       \
                                            size_t *count)                                                             \
    {                                                                                                                  \
        const unsigned char *last = end - 4 * V##_WIDTH;                                                               \
        uint64_t sums[V##_WIDTH / sizeof(uint64_t)];                                                                   \
                                                                                                                       \
        __asm__ volatile(V##_BROADCAST("v") V##_ZERO(5) V##_ZERO(6)                                                    \
                         BLOCK LOAD(V, 0, FRONT(V, 0, "p")) LOAD(V, 1, FRONT(V, 1, "p"))                               \
                         LOAD(V, 2, FRONT(V, 2, "p")) LOAD(V, 3, FRONT(V, 3, "p"))                                     \
                         V##_OP("cmpeqb", 7, 0) V##_OP("cmpeqb", 7, 1)                                                 \
                         V##_OP("cmpeqb", 7, 2) V##_OP("cmpeqb", 7, 3)                                                 \
                         V##_OP("addb", 0, 1) V##_OP("addb", 2, 3) V##_OP("addb", 1, 3)                                \
                         V##_ZERO(4) V##_OP("subb", 3, 4) V##_OP("sadbw", 5, 4) V##_OP("addq", 4, 6)                   \
                         "add $4*" WIDTH(V) ", %[p]\n cmp %[last], %[p]\n jbe 1b\n"                                   \
                         BLOCK_END("2b") V##_MOVE " " V##_R(6) ", %[sums]\n" V##_LEAVE                                 \
                         : [p] "+r"(data), [sums] "=m"(sums)                                                           \
                         : [v] "r"(value), [last] "r"(last)                                                            \
                         : V##_USED "cc", "memory");                                                                   \
        for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++)                                                    \
            *count += sums[i];                                                                                         \
        return data;                                                                                                   \
    }
SCAN_COUNT_BLOCKS(SSE, scan_count_blocks_narrow)
SCAN_COUNT_BLOCKS(AVX, scan_count_blocks_wide)
#undef SCAN_COUNT_BLOCKS

/* How many bytes were equal, of @bytes. */
#define SCAN_COMPARE_BLOCKS(V, name, all)                                                                              \
    static inline size_t name(const unsigned char *a, const unsigned char *b, size_t bytes)                            \
    {                                                                                                                  \
        size_t last = bytes - 4 * V##_WIDTH, done = 0;                                                                 \
        unsigned mask;                                                                                                 \
                                                                                                                       \
        __asm__ volatile(BLOCK SCAN_PAIR(V, 0, 4, "0") SCAN_PAIR(V, 1, 5, "1")                                         \
                         SCAN_PAIR(V, 2, 6, "2") SCAN_PAIR(V, 3, 7, "3")                                               \
                         V##_OP("and", 0, 1) V##_OP("and", 2, 3) V##_OP("and", 1, 3) V##_MASK(3, "m")                  \
                         "cmp $" all ", %[m]\n jne 2f\n"                                                               \
                         "add $4*" WIDTH(V) ", %[i]\n cmp %[last], %[i]\n jbe 1b\n"                                   \
                         BLOCK_END("2b") V##_LEAVE                                                                     \
                         : [i] "+r"(done), [m] "=&r"(mask)                                                             \
                         : [a] "r"(a), [b] "r"(b), [last] "r"(last)                                                    \
                         : V##_USED "cc", "memory");                                                                   \
        return done;                                                                                                   \
    }
#define SCAN_PAIR(V, x, y, place)                                                                                      \
    LOAD(V, x, place "*" WIDTH(V) "(%[a],%[i])") LOAD(V, y, place "*" WIDTH(V) "(%[b],%[i])") V##_OP("cmpeqb", y, x)
SCAN_COMPARE_BLOCKS(SSE, scan_compare_blocks_narrow, "0xffff")
SCAN_COMPARE_BLOCKS(AVX, scan_compare_blocks_wide, "-1")
#undef SCAN_COMPARE_BLOCKS
#undef SCAN_PAIR

/* ---- Masks: a vector of 64 bytes, of which some need not be there (AVX-512) ---------------------------------------
 *
 * Compares straight from memory into registers of one bit a byte. Again one to 64 bytes, then blocks of four vectors.
 */

#ifdef __AVX512F__
#define SCAN_MASKS_USED AVX512_USED "k1", "k2", "k3", "k4",
#else
#define SCAN_MASKS_USED
#endif

static inline bool scan_match_masked(const unsigned char *data, size_t bytes, unsigned value, uint64_t *out_mask)
{
    unsigned torn = 1;

    __asm__ volatile(AVX512_BROADCAST("v") "kmovq %[w], %%k1\n"
                     BLOCK "vpcmpeqb (%[p]), %%zmm27, %%k2%{%%k1%}\n"
                     "xor %[torn], %[torn]\n" BLOCK_END("2b") "kmovq %%k2, %[m]\n"
                     : [m] "=r"(*out_mask), [torn] "+&r"(torn)
                     : [p] "r"(data), [w] "r"(UINT64_MAX >> (64 - bytes)), [v] "r"(value)
                     : SCAN_MASKS_USED "cc", "memory");
    return !torn;
}

static inline bool scan_differ_masked(const unsigned char *a, const unsigned char *b, size_t bytes, uint64_t *out_mask)
{
    unsigned torn = 1;

    __asm__ volatile("kmovq %[w], %%k1\n"
                     BLOCK "vmovdqu8 (%[a]), %%zmm20%{%%k1%}%{z%}\n vpcmpneqb (%[b]), %%zmm20, %%k2%{%%k1%}\n"
                     "xor %[torn], %[torn]\n" BLOCK_END("2b") "kmovq %%k2, %[m]\n"
                     : [m] "=r"(*out_mask), [torn] "+&r"(torn)
                     : [a] "r"(a), [b] "r"(b), [w] "r"(UINT64_MAX >> (64 - bytes))
                     : SCAN_MASKS_USED "cc", "memory");
    return !torn;
}

static inline const unsigned char *scan_find_blocks_masked(const unsigned char *data, const unsigned char *end,
                                                           unsigned value)
{
    const unsigned char *last = end - 256;

    __asm__ volatile(AVX512_BROADCAST("v") ".p2align 5\n"
                     BLOCK "vpcmpeqb (%[p]), %%zmm27, %%k1\n vpcmpeqb 64(%[p]), %%zmm27, %%k2\n"
                     "vpcmpeqb 128(%[p]), %%zmm27, %%k3\n vpcmpeqb 192(%[p]), %%zmm27, %%k4\n"
                     "korq %%k1, %%k2, %%k1\n korq %%k3, %%k4, %%k3\n kortestq %%k1, %%k3\n jnz 2f\n"
                     "add $256, %[p]\n cmp %[last], %[p]\n jbe 1b\n" BLOCK_END("2b")
                     : [p] "+r"(data)
                     : [v] "r"(value), [last] "r"(last)
                     : SCAN_MASKS_USED "cc", "memory");
    return data;
}

static inline const unsigned char *scan_count_blocks_masked(const unsigned char *data, const unsigned char *end,
                                                            unsigned value, size_t *count)
{
    while ((size_t)(end - data) >= 64) {
        uint64_t mask;

        if (!scan_match_masked(data, 64, value, &mask))
            break;
        *count += (size_t)__builtin_popcountll(mask);
        data += 64;
    }
    return data;
}

static inline size_t scan_compare_blocks_masked(const unsigned char *a, const unsigned char *b, size_t bytes)
{
    size_t last = bytes - 256, done = 0;

    __asm__ volatile(".p2align 5\n"
                     BLOCK "vmovdqu64 (%[a],%[i]), %%zmm20\n vmovdqu64 64(%[a],%[i]), %%zmm21\n"
                     "vmovdqu64 128(%[a],%[i]), %%zmm22\n vmovdqu64 192(%[a],%[i]), %%zmm23\n"
                     "vpcmpneqb (%[b],%[i]), %%zmm20, %%k1\n vpcmpneqb 64(%[b],%[i]), %%zmm21, %%k2\n"
                     "vpcmpneqb 128(%[b],%[i]), %%zmm22, %%k3\n vpcmpneqb 192(%[b],%[i]), %%zmm23, %%k4\n"
                     "korq %%k1, %%k2, %%k1\n korq %%k3, %%k4, %%k3\n kortestq %%k1, %%k3\n jnz 2f\n"
                     "add $256, %[i]\n cmp %[last], %[i]\n jbe 1b\n" BLOCK_END("2b")
                     : [i] "+r"(done)
                     : [a] "r"(a), [b] "r"(b), [last] "r"(last)
                     : SCAN_MASKS_USED "cc", "memory");
    return done;
}

/* clang-format on */

/* ---- Byte by byte --------------------------------------------------------------------------------------------- */

/* A byte goes into a register of its own before it is judged, so that a fault leaves the last judgement standing. */

/* Where it stopped: at a match (*out_found), at a byte that could not be read, or at the end. */
static inline const unsigned char *scan_find_exact(const unsigned char *data, const unsigned char *end, unsigned value,
                                                   bool *out_found)
{
    unsigned byte = value ^ 1;

    if (data < end)
        __asm__ volatile(EXACT "movzbl (%[p]), %[byte]\n"
                               "cmp %[v], %[byte]\n"
                               "je 2f\n"
                               "inc %[p]\n"
                               "cmp %[end], %[p]\n"
                               "jb 1b\n" EXACT_END
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
        __asm__ volatile(EXACT "movzbl (%[p]), %[byte]\n"
                               "inc %[p]\n"
                               "xor %[v], %[byte]\n"
                               "cmp $1, %[byte]\n"
                               "adc $0, %[count]\n" /* 0 is below 1: the carry is the match */
                               "cmp %[end], %[p]\n"
                               "jb 1b\n" EXACT_END
                         : [p] "+r"(data), [byte] "=&r"(byte), [count] "+r"(*count)
                         : [v] "r"(value), [end] "r"(end)
                         : "cc", "memory");
    return data;
}

/* How many bytes were equal before a difference (*out_found), a byte that could not be read, or the end. */
static inline size_t scan_compare_exact(const unsigned char *a, const unsigned char *b, size_t bytes, bool *out_found)
{
    unsigned byte, difference = 0;
    size_t done = 0;

    if (bytes)
        __asm__ volatile(EXACT "movzbl (%[a],%[i]), %[byte]\n"
                               "xorb (%[b],%[i]), %b[byte]\n"
                               "mov %[byte], %[difference]\n"
                               "jnz 2f\n" /* mov leaves the flags of xor */
                               "inc %[i]\n"
                               "cmp %[n], %[i]\n"
                               "jb 1b\n" EXACT_END
                         : [i] "+r"(done), [byte] "=&q"(byte), [difference] "+r"(difference)
                         : [a] "r"(a), [b] "r"(b), [n] "r"(bytes)
                         : "cc", "memory");
    *out_found = difference != 0;
    return done;
}

#endif
