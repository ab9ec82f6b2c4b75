/* SPDX-License-Identifier: MIT */
/*
 * copy_x86_64.h - copying and filling that may fault, on x86-64.
 *
 * Small sizes are done by moves that overlap in the middle: 20 bytes are two moves of 16, one from the front and one
 * from the back. All loads of such a block come before its first store, so that nothing is stored from behind a byte
 * that could not be read.
 *
 *      up to 64 bytes    one block of two or four moves
 *      up to 8 vectors   one block of the widest vectors there are
 *      more              blocks of four vectors, the target aligned; the last block overlaps the one before
 *      a lot             rep movsb, which is as fast there and exact by itself: after a fault, its registers say how
 *                        far it got
 */
#ifndef VERSO_SRC_GUARD_COPY_X86_64_H
#define VERSO_SRC_GUARD_COPY_X86_64_H

#include "guard/vector_x86_64.h"

/* Where rep movsb and rep stosb take over; measured, `./dev bench guard`. */
#define STRINGS_MIN_BYTES_SSE 2048U
#define STRINGS_MIN_BYTES_AVX 3072U
#define STRINGS_MIN_BYTES_AVX512 16384U

/* ---- Blocks of copying ---------------------------------------------------------------------------------------- */

/* clang-format off */

/* bool name(target, source, bytes): false after a fault. */
#define COPY_BLOCK(name, leave, used, ...)                                                                             \
    static inline bool name(unsigned char *target, const unsigned char *source, size_t bytes)                          \
    {                                                                                                                  \
        __asm__ goto(BLOCK __VA_ARGS__ BLOCK_END("%l[torn]") leave                                                     \
                     :                                                                                                 \
                     : [t] "r"(target), [s] "r"(source), [n] "r"(bytes)                                                \
                     : used "memory"                                                                                   \
                     : torn);                                                                                          \
        return true;                                                                                                   \
    torn:                                                                                                              \
        __asm__ volatile(leave "");                                                                                    \
        return false;                                                                                                  \
    }

#define SCALARS_USED "rax", "rcx",
#define COPY_TWO_SCALARS(name, move, a, b, width)                                                                      \
    COPY_BLOCK(name, "", SCALARS_USED,                                                                                 \
               move " (%[s]), %%" a "\n" move " -" width "(%[s],%[n]), %%" b "\n"                                      \
               move " %%" a ", (%[t])\n" move " %%" b ", -" width "(%[t],%[n])\n")
COPY_TWO_SCALARS(copy_1_to_2, "movb", "al", "cl", "1")
COPY_TWO_SCALARS(copy_2_to_4, "movw", "ax", "cx", "2")
COPY_TWO_SCALARS(copy_4_to_8, "movl", "eax", "ecx", "4")
COPY_TWO_SCALARS(copy_8_to_16, "movq", "rax", "rcx", "8")
#undef COPY_TWO_SCALARS

#define COPY_TWO(V, name)                                                                                              \
    COPY_BLOCK(name, V##_LEAVE, V##_USED,                                                                              \
               LOAD(V, 0, FRONT(V, 0, "s")) LOAD(V, 1, BACK(V, 1, "s"))                                                \
               STORE(V, 0, FRONT(V, 0, "t")) STORE(V, 1, BACK(V, 1, "t")))
#define COPY_FOUR(V, name)                                                                                             \
    COPY_BLOCK(name, V##_LEAVE, V##_USED,                                                                              \
               LOAD(V, 0, FRONT(V, 0, "s")) LOAD(V, 1, FRONT(V, 1, "s"))                                               \
               LOAD(V, 2, BACK(V, 2, "s")) LOAD(V, 3, BACK(V, 1, "s"))                                                 \
               STORE(V, 0, FRONT(V, 0, "t")) STORE(V, 1, FRONT(V, 1, "t"))                                             \
               STORE(V, 2, BACK(V, 2, "t")) STORE(V, 3, BACK(V, 1, "t")))
#define COPY_EIGHT(V, name)                                                                                            \
    COPY_BLOCK(name, V##_LEAVE, V##_USED,                                                                              \
               LOAD(V, 0, FRONT(V, 0, "s")) LOAD(V, 1, FRONT(V, 1, "s"))                                               \
               LOAD(V, 2, FRONT(V, 2, "s")) LOAD(V, 3, FRONT(V, 3, "s"))                                               \
               LOAD(V, 4, BACK(V, 4, "s")) LOAD(V, 5, BACK(V, 3, "s"))                                                 \
               LOAD(V, 6, BACK(V, 2, "s")) LOAD(V, 7, BACK(V, 1, "s"))                                                 \
               STORE(V, 0, FRONT(V, 0, "t")) STORE(V, 1, FRONT(V, 1, "t"))                                             \
               STORE(V, 2, FRONT(V, 2, "t")) STORE(V, 3, FRONT(V, 3, "t"))                                             \
               STORE(V, 4, BACK(V, 4, "t")) STORE(V, 5, BACK(V, 3, "t"))                                               \
               STORE(V, 6, BACK(V, 2, "t")) STORE(V, 7, BACK(V, 1, "t")))
COPY_TWO(SSE, copy_16_to_32)
COPY_FOUR(SSE, copy_32_to_64)
COPY_EIGHT(SSE, copy_64_to_128)
COPY_TWO(AVX, copy_32_to_64_avx)
COPY_FOUR(AVX, copy_64_to_128_avx)
COPY_EIGHT(AVX, copy_128_to_256_avx)
COPY_TWO(AVX512, copy_64_to_128_avx512)
COPY_FOUR(AVX512, copy_128_to_256_avx512)
COPY_EIGHT(AVX512, copy_256_to_512_avx512)
#undef COPY_TWO
#undef COPY_FOUR
#undef COPY_EIGHT
#undef COPY_BLOCK

/* Blocks of four vectors, at least one, while there are any. Moves the pointers; how many bytes are left. */
#define COPY_BLOCKS(V, name)                                                                                           \
    static inline size_t name(unsigned char **target, const unsigned char **source, size_t bytes)                      \
    {                                                                                                                  \
        __asm__ volatile(BLOCK LOAD(V, 0, FRONT(V, 0, "s")) LOAD(V, 1, FRONT(V, 1, "s"))                               \
                         LOAD(V, 2, FRONT(V, 2, "s")) LOAD(V, 3, FRONT(V, 3, "s"))                                     \
                         STORE(V, 0, FRONT(V, 0, "t")) STORE(V, 1, FRONT(V, 1, "t"))                                   \
                         STORE(V, 2, FRONT(V, 2, "t")) STORE(V, 3, FRONT(V, 3, "t"))                                   \
                         "add $4*" WIDTH(V) ", %[s]\n add $4*" WIDTH(V) ", %[t]\n"                                   \
                         "sub $4*" WIDTH(V) ", %[n]\n cmp $4*" WIDTH(V) ", %[n]\n jae 1b\n"                          \
                         BLOCK_END("2b") V##_LEAVE                                                                     \
                         : [t] "+r"(*target), [s] "+r"(*source), [n] "+r"(bytes)                                       \
                         :                                                                                             \
                         : V##_USED "cc", "memory");                                                                   \
        return bytes;                                                                                                  \
    }
COPY_BLOCKS(SSE, copy_blocks_sse)
COPY_BLOCKS(AVX, copy_blocks_avx)
COPY_BLOCKS(AVX512, copy_blocks_avx512)
#undef COPY_BLOCKS

/* clang-format on */

/* How many bytes are left: 0, or what follows from the byte that could not be had. */
static inline size_t copy_exact(unsigned char *target, const unsigned char *source, size_t bytes)
{
    __asm__ volatile(EXACT "rep movsb\n" EXACT_END : "+D"(target), "+S"(source), "+c"(bytes) : : "memory");
    return bytes;
}

/* ---- Copying by size ------------------------------------------------------------------------------------------ */

#define COPY_SMALL_BYTES 64U

static inline bool copy_small(unsigned char *target, const unsigned char *source, size_t bytes)
{
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
    return bytes == 0 || copy_1_to_2(target, source, bytes);
}

typedef bool copy_block(unsigned char *target, const unsigned char *source, size_t bytes);
typedef size_t copy_blocks(unsigned char **target, const unsigned char **source, size_t bytes);

/* Blocks of four vectors of @width bytes; the target aligned by a first vector that they overlap. At least 4
 * vectors. */
static inline __attribute__((always_inline)) size_t copy_in_blocks(unsigned char *target, const unsigned char *source,
                                                                   size_t bytes, size_t width, copy_block *one,
                                                                   copy_block *four, copy_blocks *blocks)
{
    size_t skip = width - ((uintptr_t)target & (width - 1));
    size_t left;

    if (!one(target, source, width))
        return bytes;
    target += skip;
    source += skip;
    left = bytes - skip;
    if (left >= 4 * width)
        left = blocks(&target, &source, left);
    if (left >= 4 * width)
        return left; /* a fault */
    return left == 0 || four(target + left - 4 * width, source + left - 4 * width, 4 * width) ? 0 : left;
}

/* The target aligned; for sizes where a first block of 64 bytes costs nothing. */
static inline size_t copy_by_string(unsigned char *target, const unsigned char *source, size_t bytes)
{
    size_t skip = 64 - ((uintptr_t)target & 63);

    if (!copy_32_to_64(target, source, 64))
        return copy_exact(target, source, bytes);
    return copy_exact(target + skip, source + skip, bytes - skip);
}

/* How many bytes are left; *out_exact: the first of them is the one that can't be had. */
static inline size_t copy_large(unsigned char *target, const unsigned char *source, size_t bytes, bool *out_exact)
{
    unsigned cpu = verso__guard_cpu();
    bool strings = cpu & VERSO__GUARD_CPU_STRINGS;

    if (cpu & VERSO__GUARD_CPU_AVX512) {
        if (bytes <= 128)
            return copy_64_to_128_avx512(target, source, bytes) ? 0 : bytes;
        if (bytes <= 256)
            return copy_128_to_256_avx512(target, source, bytes) ? 0 : bytes;
        if (bytes <= 512)
            return copy_256_to_512_avx512(target, source, bytes) ? 0 : bytes;
        if (bytes < STRINGS_MIN_BYTES_AVX512 || !strings)
            return copy_in_blocks(target, source, bytes, 64, copy_64_to_128_avx512, copy_128_to_256_avx512,
                                  copy_blocks_avx512);
    } else if (cpu & VERSO__GUARD_CPU_AVX2) {
        if (bytes <= 128)
            return copy_64_to_128_avx(target, source, bytes) ? 0 : bytes;
        if (bytes <= 256)
            return copy_128_to_256_avx(target, source, bytes) ? 0 : bytes;
        if (bytes < STRINGS_MIN_BYTES_AVX || !strings)
            return copy_in_blocks(target, source, bytes, 32, copy_32_to_64_avx, copy_64_to_128_avx, copy_blocks_avx);
    } else {
        if (bytes <= 128)
            return copy_64_to_128(target, source, bytes) ? 0 : bytes;
        if (bytes < STRINGS_MIN_BYTES_SSE || !strings)
            return copy_in_blocks(target, source, bytes, 16, copy_16_to_32, copy_32_to_64, copy_blocks_sse);
    }
    *out_exact = true;
    return copy_by_string(target, source, bytes);
}

/* ---- Filling -------------------------------------------------------------------------------------------------- */

/* clang-format off */

/* @value: the byte, eight times. bool name(target, value, bytes): false after a fault. */
#define FILL_BLOCK(name, broadcast, leave, used, ...)                                                                  \
    static inline bool name(unsigned char *target, uint64_t value, size_t bytes)                                       \
    {                                                                                                                  \
        __asm__ goto(broadcast BLOCK __VA_ARGS__ BLOCK_END("%l[torn]") leave                                           \
                     :                                                                                                 \
                     : [t] "r"(target), [v] "r"(value), [n] "r"(bytes)                                                 \
                     : used "memory"                                                                                   \
                     : torn);                                                                                          \
        return true;                                                                                                   \
    torn:                                                                                                              \
        __asm__ volatile(leave "");                                                                                    \
        return false;                                                                                                  \
    }
#define FILL_TWO_SCALARS(name, move, part, width)                                                                      \
    FILL_BLOCK(name, "", "", , move " %" part "[v], (%[t])\n" move " %" part "[v], -" width "(%[t],%[n])\n")
FILL_TWO_SCALARS(fill_1_to_2, "movb", "b", "1")
FILL_TWO_SCALARS(fill_2_to_4, "movw", "w", "2")
FILL_TWO_SCALARS(fill_4_to_8, "movl", "k", "4")
FILL_TWO_SCALARS(fill_8_to_16, "movq", "q", "8")
#undef FILL_TWO_SCALARS

#define FILL_TWO(V, name)                                                                                              \
    FILL_BLOCK(name, V##_BROADCAST("v"), V##_LEAVE, V##_USED,                                                          \
               STORE(V, 7, FRONT(V, 0, "t")) STORE(V, 7, BACK(V, 1, "t")))
#define FILL_FOUR(V, name)                                                                                             \
    FILL_BLOCK(name, V##_BROADCAST("v"), V##_LEAVE, V##_USED,                                                          \
               STORE(V, 7, FRONT(V, 0, "t")) STORE(V, 7, FRONT(V, 1, "t"))                                             \
               STORE(V, 7, BACK(V, 2, "t")) STORE(V, 7, BACK(V, 1, "t")))
FILL_TWO(SSE, fill_16_to_32)
FILL_FOUR(SSE, fill_32_to_64)
FILL_TWO(AVX, fill_32_to_64_avx)
FILL_FOUR(AVX, fill_64_to_128_avx)
FILL_TWO(AVX512, fill_64_to_128_avx512)
FILL_FOUR(AVX512, fill_128_to_256_avx512)
#undef FILL_TWO
#undef FILL_FOUR
#undef FILL_BLOCK

/* As the blocks of copying. */
#define FILL_BLOCKS(V, name)                                                                                           \
    static inline size_t name(unsigned char **target, uint64_t value, size_t bytes)                                    \
    {                                                                                                                  \
        __asm__ volatile(V##_BROADCAST("v")                                                                            \
                         BLOCK STORE(V, 7, FRONT(V, 0, "t")) STORE(V, 7, FRONT(V, 1, "t"))                             \
                         STORE(V, 7, FRONT(V, 2, "t")) STORE(V, 7, FRONT(V, 3, "t"))                                   \
                         "add $4*" WIDTH(V) ", %[t]\n"                                                                \
                         "sub $4*" WIDTH(V) ", %[n]\n cmp $4*" WIDTH(V) ", %[n]\n jae 1b\n"                          \
                         BLOCK_END("2b") V##_LEAVE                                                                     \
                         : [t] "+r"(*target), [n] "+r"(bytes)                                                          \
                         : [v] "r"(value)                                                                              \
                         : V##_USED "cc", "memory");                                                                   \
        return bytes;                                                                                                  \
    }
FILL_BLOCKS(SSE, fill_blocks_sse)
FILL_BLOCKS(AVX, fill_blocks_avx)
FILL_BLOCKS(AVX512, fill_blocks_avx512)
#undef FILL_BLOCKS

/* clang-format on */

static inline size_t fill_exact(unsigned char *target, uint64_t value, size_t bytes)
{
    __asm__ volatile(EXACT "rep stosb\n" EXACT_END : "+D"(target), "+c"(bytes) : "a"(value) : "memory");
    return bytes;
}

/* ---- Filling by size ------------------------------------------------------------------------------------------ */

#define FILL_SMALL_BYTES 64U

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
    return bytes == 0 || fill_1_to_2(target, value, bytes);
}

typedef bool fill_block(unsigned char *target, uint64_t value, size_t bytes);
typedef size_t fill_blocks(unsigned char **target, uint64_t value, size_t bytes);

static inline __attribute__((always_inline)) size_t fill_in_blocks(unsigned char *target, uint64_t value, size_t bytes,
                                                                   size_t width, fill_block *one, fill_block *four,
                                                                   fill_blocks *blocks)
{
    size_t skip = width - ((uintptr_t)target & (width - 1));
    size_t left;

    if (!one(target, value, width))
        return bytes;
    target += skip;
    left = bytes - skip;
    if (left >= 4 * width)
        left = blocks(&target, value, left);
    if (left >= 4 * width)
        return left;
    return left == 0 || four(target + left - 4 * width, value, 4 * width) ? 0 : left;
}

static inline size_t fill_by_string(unsigned char *target, uint64_t value, size_t bytes)
{
    size_t skip = 64 - ((uintptr_t)target & 63);

    if (!fill_32_to_64(target, value, 64))
        return fill_exact(target, value, bytes);
    return fill_exact(target + skip, value, bytes - skip);
}

static inline size_t fill_large(unsigned char *target, uint64_t value, size_t bytes, bool *out_exact)
{
    unsigned cpu = verso__guard_cpu();
    bool strings = cpu & VERSO__GUARD_CPU_STRINGS;

    if (cpu & VERSO__GUARD_CPU_AVX512) {
        if (bytes <= 128)
            return fill_64_to_128_avx512(target, value, bytes) ? 0 : bytes;
        if (bytes <= 256)
            return fill_128_to_256_avx512(target, value, bytes) ? 0 : bytes;
        if (bytes < STRINGS_MIN_BYTES_AVX512 || !strings)
            return fill_in_blocks(target, value, bytes, 64, fill_64_to_128_avx512, fill_128_to_256_avx512,
                                  fill_blocks_avx512);
    } else if (cpu & VERSO__GUARD_CPU_AVX2) {
        if (bytes <= 128)
            return fill_64_to_128_avx(target, value, bytes) ? 0 : bytes;
        if (bytes < STRINGS_MIN_BYTES_AVX || !strings)
            return fill_in_blocks(target, value, bytes, 32, fill_32_to_64_avx, fill_64_to_128_avx, fill_blocks_avx);
    } else if (bytes < STRINGS_MIN_BYTES_SSE || !strings) {
        return fill_in_blocks(target, value, bytes, 16, fill_16_to_32, fill_32_to_64, fill_blocks_sse);
    }
    *out_exact = true;
    return fill_by_string(target, value, bytes);
}

#endif
