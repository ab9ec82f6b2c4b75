/* SPDX-License-Identifier: MIT */
/*
 * copy_aarch64.h - copying and filling that may fault, on aarch64.
 *
 * As on x86-64 (copy_x86_64.h): small sizes by moves that overlap in the middle, larger ones in blocks of 64 bytes with
 * the target aligned, all loads of a block before its first store. There is no instruction that copies a whole range
 * here, so the exact kind is a loop over bytes; it only runs over what is left of a block after a fault.
 */
#ifndef VERSO_SRC_GUARD_COPY_AARCH64_H
#define VERSO_SRC_GUARD_COPY_AARCH64_H

#include "guard/fixup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COPY_SMALL_BYTES 128U
#define FILL_SMALL_BYTES 64U

/* clang-format off */

/* Around the instructions that may fault. A blocked one names where to go on. */
#define BLOCK "1:\n"
#define BLOCK_END(landing) "2:\n" VERSO__FIXUP("1b", "2b", landing, VERSO__FIXUP_BLOCKED)
#define EXACT "1:\n"
#define EXACT_END "2:\n" VERSO__FIXUP("1b", "2b", "2b", VERSO__FIXUP_EXACT)

/* ---- Copying ---------------------------------------------------------------------------------------------------- */

/* bool name(target, source, bytes): false after a fault. The ends are named by te and se. */
#define COPY_BLOCK(name, used, text)                                                                                   \
    static inline bool name(unsigned char *target, const unsigned char *source, size_t bytes)                          \
    {                                                                                                                  \
        __asm__ goto(BLOCK text BLOCK_END("%l[torn]")                                                                  \
                     :                                                                                                 \
                     : [t] "r"(target), [s] "r"(source), [te] "r"(target + bytes), [se] "r"(source + bytes)            \
                     : used "memory"                                                                                   \
                     : torn);                                                                                          \
        return true;                                                                                                   \
    torn:                                                                                                              \
        return false;                                                                                                  \
    }
#define SCALARS_USED "x9", "x10",
#define VECTORS_USED "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7",

COPY_BLOCK(copy_1, SCALARS_USED,
           "ldrb w9, [%[s]]\n strb w9, [%[t]]\n")
COPY_BLOCK(copy_2_to_4, SCALARS_USED,
           "ldrh w9, [%[s]]\n ldurh w10, [%[se], #-2]\n strh w9, [%[t]]\n sturh w10, [%[te], #-2]\n")
COPY_BLOCK(copy_4_to_8, SCALARS_USED,
           "ldr w9, [%[s]]\n ldur w10, [%[se], #-4]\n str w9, [%[t]]\n stur w10, [%[te], #-4]\n")
COPY_BLOCK(copy_8_to_16, SCALARS_USED,
           "ldr x9, [%[s]]\n ldur x10, [%[se], #-8]\n str x9, [%[t]]\n stur x10, [%[te], #-8]\n")
COPY_BLOCK(copy_16_to_32, VECTORS_USED,
           "ldr q0, [%[s]]\n ldur q1, [%[se], #-16]\n str q0, [%[t]]\n stur q1, [%[te], #-16]\n")
COPY_BLOCK(copy_32_to_64, VECTORS_USED,
           "ldp q0, q1, [%[s]]\n ldp q2, q3, [%[se], #-32]\n"
           "stp q0, q1, [%[t]]\n stp q2, q3, [%[te], #-32]\n")
COPY_BLOCK(copy_64_to_128, VECTORS_USED,
           "ldp q0, q1, [%[s]]\n ldp q2, q3, [%[s], #32]\n ldp q4, q5, [%[se], #-64]\n ldp q6, q7, [%[se], #-32]\n"
           "stp q0, q1, [%[t]]\n stp q2, q3, [%[t], #32]\n stp q4, q5, [%[te], #-64]\n stp q6, q7, [%[te], #-32]\n")
#undef COPY_BLOCK

/* clang-format on */

/* Blocks of 64 bytes, at least one, while there are any. Moves the pointers; how many bytes are left. */
static inline size_t copy_blocks(unsigned char **target, const unsigned char **source, size_t bytes)
{
    __asm__ volatile(BLOCK "ldp q0, q1, [%[s]]\n"
                           "ldp q2, q3, [%[s], #32]\n"
                           "stp q0, q1, [%[t]]\n"
                           "stp q2, q3, [%[t], #32]\n"
                           "add %[s], %[s], #64\n"
                           "add %[t], %[t], #64\n"
                           "sub %[n], %[n], #64\n"
                           "cmp %[n], #64\n"
                           "b.hs 1b\n" BLOCK_END("2b")
                     : [t] "+r"(*target), [s] "+r"(*source), [n] "+r"(bytes)
                     :
                     : "v0", "v1", "v2", "v3", "cc", "memory");
    return bytes;
}

/* How many bytes are left: 0, or what follows from the byte that could not be had. */
static inline size_t copy_exact(unsigned char *target, const unsigned char *source, size_t bytes)
{
    if (bytes)
        __asm__ volatile(EXACT "ldrb w9, [%[s]]\n"
                               "strb w9, [%[t]]\n"
                               "add %[s], %[s], #1\n"
                               "add %[t], %[t], #1\n"
                               "subs %[n], %[n], #1\n"
                               "b.ne 1b\n" EXACT_END
                         : [t] "+r"(target), [s] "+r"(source), [n] "+r"(bytes)
                         :
                         : "x9", "cc", "memory");
    return bytes;
}

static inline bool copy_small(unsigned char *target, const unsigned char *source, size_t bytes)
{
    if (bytes > 64)
        return copy_64_to_128(target, source, bytes);
    if (bytes > 32)
        return copy_32_to_64(target, source, bytes);
    if (bytes >= 16)
        return copy_16_to_32(target, source, bytes);
    if (bytes >= 8)
        return copy_8_to_16(target, source, bytes);
    if (bytes >= 4)
        return copy_4_to_8(target, source, bytes);
    if (bytes >= 2)
        return copy_2_to_4(target, source, bytes);
    return bytes == 0 || copy_1(target, source, bytes);
}

/* How many bytes are left; *out_exact: the first of them is the one that can't be had. */
static inline size_t copy_large(unsigned char *target, const unsigned char *source, size_t bytes, bool *out_exact)
{
    size_t skip = 16 - ((uintptr_t)target & 15);
    size_t left = bytes - skip;

    *out_exact = false;
    if (!copy_16_to_32(target, source, 16))
        return bytes;
    target += skip;
    source += skip;
    left = copy_blocks(&target, &source, left);
    if (left >= 64)
        return left; /* a fault */
    return left == 0 || copy_32_to_64(target + left - 64, source + left - 64, 64) ? 0 : left;
}

/* ---- Filling ---------------------------------------------------------------------------------------------------- */

/* clang-format off */

/* @value: the byte, eight times. bool name(target, value, bytes): false after a fault. */
#define FILL_BLOCK(name, before, used, text)                                                                           \
    static inline bool name(unsigned char *target, uint64_t value, size_t bytes)                                       \
    {                                                                                                                  \
        __asm__ goto(before BLOCK text BLOCK_END("%l[torn]")                                                           \
                     :                                                                                                 \
                     : [t] "r"(target), [te] "r"(target + bytes), [v] "r"(value)                                       \
                     : used "memory"                                                                                   \
                     : torn);                                                                                          \
        return true;                                                                                                   \
    torn:                                                                                                              \
        return false;                                                                                                  \
    }
#define BROADCAST "dup v0.2d, %[v]\n"

FILL_BLOCK(fill_1, "", , "strb %w[v], [%[t]]\n")
FILL_BLOCK(fill_2_to_4, "", , "strh %w[v], [%[t]]\n sturh %w[v], [%[te], #-2]\n")
FILL_BLOCK(fill_4_to_8, "", , "str %w[v], [%[t]]\n stur %w[v], [%[te], #-4]\n")
FILL_BLOCK(fill_8_to_16, "", , "str %[v], [%[t]]\n stur %[v], [%[te], #-8]\n")
FILL_BLOCK(fill_16_to_32, BROADCAST, VECTORS_USED, "str q0, [%[t]]\n stur q0, [%[te], #-16]\n")
FILL_BLOCK(fill_32_to_64, BROADCAST, VECTORS_USED, "stp q0, q0, [%[t]]\n stp q0, q0, [%[te], #-32]\n")
#undef FILL_BLOCK

/* clang-format on */

static inline size_t fill_blocks(unsigned char **target, uint64_t value, size_t bytes)
{
    __asm__ volatile(BROADCAST BLOCK "stp q0, q0, [%[t]]\n"
                                     "stp q0, q0, [%[t], #32]\n"
                                     "add %[t], %[t], #64\n"
                                     "sub %[n], %[n], #64\n"
                                     "cmp %[n], #64\n"
                                     "b.hs 1b\n" BLOCK_END("2b")
                     : [t] "+r"(*target), [n] "+r"(bytes)
                     : [v] "r"(value)
                     : "v0", "cc", "memory");
    return bytes;
}

static inline size_t fill_exact(unsigned char *target, uint64_t value, size_t bytes)
{
    if (bytes)
        __asm__ volatile(EXACT "strb %w[v], [%[t]]\n"
                               "add %[t], %[t], #1\n"
                               "subs %[n], %[n], #1\n"
                               "b.ne 1b\n" EXACT_END
                         : [t] "+r"(target), [n] "+r"(bytes)
                         : [v] "r"(value)
                         : "cc", "memory");
    return bytes;
}

static inline bool fill_small(unsigned char *target, uint64_t value, size_t bytes)
{
    if (bytes > 32)
        return fill_32_to_64(target, value, bytes);
    if (bytes >= 16)
        return fill_16_to_32(target, value, bytes);
    if (bytes >= 8)
        return fill_8_to_16(target, value, bytes);
    if (bytes >= 4)
        return fill_4_to_8(target, value, bytes);
    if (bytes >= 2)
        return fill_2_to_4(target, value, bytes);
    return bytes == 0 || fill_1(target, value, bytes);
}

static inline size_t fill_large(unsigned char *target, uint64_t value, size_t bytes, bool *out_exact)
{
    size_t skip = 16 - ((uintptr_t)target & 15);
    size_t left = bytes - skip;

    *out_exact = false;
    if (!fill_16_to_32(target, value, 16))
        return bytes;
    target += skip;
    if (left >= 64)
        left = fill_blocks(&target, value, left);
    if (left >= 64)
        return left;
    return left == 0 || fill_32_to_64(target + left - 64, value, 64) ? 0 : left;
}

#endif
