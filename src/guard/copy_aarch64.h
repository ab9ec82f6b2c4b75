/* SPDX-License-Identifier: MIT */
/*
 * copy_aarch64.h - copying and filling that may fault, on aarch64.
 *
 * As on x86-64 (copy_x86_64.h): small sizes by moves that overlap in the middle, larger ones in blocks of 64 bytes with
 * the target aligned, all loads of a block before its first store. There is no instruction that copies a whole range
 * here, so the exact kind is a loop over bytes; it only runs when a fault can't be told of by its address.
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

/* Around the instructions that may fault. One that is told stores what it was told in @fault, and goes on at torn. */
#define BLOCK "1:\n"
#define TOLD_END                                                                                                       \
    "2:\n.pushsection .text.unlikely,\"ax\",@progbits\n"                                                               \
    "3: str x16, %[fault]\n b %l[torn]\n.popsection\n"                                                                 \
    VERSO__FIXUP("1b", "2b", "3b", VERSO__FIXUP_TOLD)
#define EXACT "1:\n"
#define EXACT_END "2:\n" VERSO__FIXUP("1b", "2b", "2b", VERSO__FIXUP_EXACT)

/* ---- Copying ---------------------------------------------------------------------------------------------------- */

/* bool name(target, source, bytes, out_fault): false after a fault at *out_fault. The ends are named by te and se. */
#define COPY_BLOCK(name, used, text)                                                                                   \
    static inline bool name(unsigned char *target, const unsigned char *source, size_t bytes, uintptr_t *out_fault)    \
    {                                                                                                                  \
        __asm__ goto(BLOCK text TOLD_END                                                                               \
                     :                                                                                                 \
                     : [t] "r"(target), [s] "r"(source), [te] "r"(target + bytes), [se] "r"(source + bytes),           \
                       [fault] "m"(*out_fault)                                                                         \
                     : used "x16", "memory"                                                                            \
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

/* In x9 the target, aligned; x10 the source beside it; x11 is where the last four begin. */
#define MANY_USED VECTORS_USED "x9", "x10", "x11", "cc",
COPY_BLOCK(copy_many, MANY_USED,
           "ldr q0, [%[s]]\n str q0, [%[t]]\n"
           "add x9, %[t], #16\n and x9, x9, #-16\n sub x10, x9, %[t]\n add x10, %[s], x10\n sub x11, %[te], #64\n"
           "4: ldp q0, q1, [x10]\n ldp q2, q3, [x10, #32]\n stp q0, q1, [x9]\n stp q2, q3, [x9, #32]\n"
           "add x9, x9, #64\n add x10, x10, #64\n cmp x9, x11\n b.lo 4b\n"
           "ldp q0, q1, [%[se], #-64]\n ldp q2, q3, [%[se], #-32]\n"
           "stp q0, q1, [%[te], #-64]\n stp q2, q3, [%[te], #-32]\n")
#undef COPY_BLOCK

/* clang-format on */

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

static inline bool copy_small(unsigned char *target, const unsigned char *source, size_t bytes, uintptr_t *out_fault)
{
    if (bytes > 64)
        return copy_64_to_128(target, source, bytes, out_fault);
    if (bytes > 32)
        return copy_32_to_64(target, source, bytes, out_fault);
    if (bytes >= 16)
        return copy_16_to_32(target, source, bytes, out_fault);
    if (bytes >= 8)
        return copy_8_to_16(target, source, bytes, out_fault);
    if (bytes >= 4)
        return copy_4_to_8(target, source, bytes, out_fault);
    if (bytes >= 2)
        return copy_2_to_4(target, source, bytes, out_fault);
    return bytes == 0 || copy_1(target, source, bytes, out_fault);
}

static inline size_t copy_large(unsigned char *target, const unsigned char *source, size_t bytes)
{
    uintptr_t fault;

    return copy_many(target, source, bytes, &fault) ? bytes : verso__guard_copy_again(target, source, bytes, fault);
}

/* ---- Filling ---------------------------------------------------------------------------------------------------- */

/* clang-format off */

/* @value: the byte, eight times. bool name(target, value, bytes, out_fault): false after a fault at *out_fault. */
#define FILL_BLOCK(name, before, used, text)                                                                           \
    static inline bool name(unsigned char *target, uint64_t value, size_t bytes, uintptr_t *out_fault)                 \
    {                                                                                                                  \
        __asm__ goto(before BLOCK text TOLD_END                                                                        \
                     :                                                                                                 \
                     : [t] "r"(target), [te] "r"(target + bytes), [v] "r"(value), [fault] "m"(*out_fault)              \
                     : used "x16", "memory"                                                                            \
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
FILL_BLOCK(fill_many, BROADCAST, MANY_USED,
           "str q0, [%[t]]\n add x9, %[t], #16\n and x9, x9, #-16\n sub x11, %[te], #64\n cmp x9, x11\n b.hs 5f\n"
           "4: stp q0, q0, [x9]\n stp q0, q0, [x9, #32]\n add x9, x9, #64\n cmp x9, x11\n b.lo 4b\n5:\n"
           "stp q0, q0, [%[te], #-64]\n stp q0, q0, [%[te], #-32]\n")
#undef FILL_BLOCK

/* clang-format on */

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

static inline bool fill_small(unsigned char *target, uint64_t value, size_t bytes, uintptr_t *out_fault)
{
    if (bytes > 32)
        return fill_32_to_64(target, value, bytes, out_fault);
    if (bytes >= 16)
        return fill_16_to_32(target, value, bytes, out_fault);
    if (bytes >= 8)
        return fill_8_to_16(target, value, bytes, out_fault);
    if (bytes >= 4)
        return fill_4_to_8(target, value, bytes, out_fault);
    if (bytes >= 2)
        return fill_2_to_4(target, value, bytes, out_fault);
    return bytes == 0 || fill_1(target, value, bytes, out_fault);
}

static inline size_t fill_large(unsigned char *target, uint64_t value, size_t bytes)
{
    uintptr_t fault;

    return fill_many(target, value, bytes, &fault) ? bytes : verso__guard_fill_again(target, value, bytes, fault);
}

#endif
