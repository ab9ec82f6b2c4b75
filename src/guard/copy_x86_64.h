/* SPDX-License-Identifier: MIT */
/*
 * copy_x86_64.h - copying and filling that may fault, on x86-64.
 *
 * Small sizes are done by moves that overlap in the middle: 20 bytes are two moves of 16, one from the front and one
 * from the back. All loads of such a block come before its first store, so that nothing is stored from behind a byte
 * that could not be read.
 *
 *      up to 32 bytes    one block of two moves
 *      up to 8 vectors   one block of the widest vectors there are
 *      more              a first vector, blocks of four with the target aligned, and four last that overlap
 *      a lot             rep movsb, which is as fast there and exact by itself: after a fault, its registers say how
 *                        far it got
 */
#ifndef VERSO_SRC_GUARD_COPY_X86_64_H
#define VERSO_SRC_GUARD_COPY_X86_64_H

#include "guard/primitives.h"
#include "guard/vector_x86_64.h"

/* Where rep movsb and rep stosb take over; measured, `./dev bench guard`. */
#define STRINGS_MIN_BYTES_SSE 2048U
#define STRINGS_MIN_BYTES_AVX 3072U
#define STRINGS_MIN_BYTES_AVX512 16384U
#define STRINGS_MIN_BYTES_ALIASING 4096U

/* ---- Blocks of copying ---------------------------------------------------------------------------------------- */

/* clang-format off */

/* bool name(target, source, bytes, out_fault): false after a fault at *out_fault. */
#define COPY_BLOCK(name, leave, used, ...)                                                                             \
    static inline bool name(unsigned char *target, const unsigned char *source, size_t bytes, uintptr_t *out_fault)    \
    {                                                                                                                  \
        __asm__ goto(BLOCK __VA_ARGS__ TOLD_END leave                                                                  \
                     :                                                                                                 \
                     : [t] "r"(target), [s] "r"(source), [n] "r"(bytes), [fault] "m"(*out_fault)                       \
                     : used "rax", "memory"                                                                            \
                     : torn);                                                                                          \
        return true;                                                                                                   \
    torn:                                                                                                              \
        __asm__ volatile(leave "");                                                                                    \
        return false;                                                                                                  \
    }

#define SCALARS_USED "rcx",
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
COPY_TWO(EVEX, copy_32_to_64_evex)
COPY_TWO(AVX512, copy_64_to_128_avx512)
COPY_FOUR(AVX512, copy_128_to_256_avx512)
COPY_EIGHT(AVX512, copy_256_to_512_avx512)
#undef COPY_TWO
#undef COPY_FOUR
#undef COPY_EIGHT

/* At least five vectors. In rcx the target, aligned; rax leads from there to the source; at r8 the last four begin. */
#define MANY_USED "rcx", "r8", "cc",
#define COPY_MANY(V, name)                                                                                             \
    COPY_BLOCK(name, V##_LEAVE, V##_USED MANY_USED,                                                                    \
               LOAD(V, 0, FRONT(V, 0, "s"))                                                                            \
               "lea " WIDTH(V) "(%[t]), %%rcx\n and $-" WIDTH(V) ", %%rcx\n"                                           \
               "lea -4*" WIDTH(V) "(%[t],%[n]), %%r8\n mov %[s], %%rax\n sub %[t], %%rax\n"                            \
               STORE(V, 0, FRONT(V, 0, "t"))                                                                           \
               ".p2align 5\n4:\n"                                                                                      \
               LOAD(V, 0, "(%%rcx,%%rax)") LOAD(V, 1, WIDTH(V) "(%%rcx,%%rax)")                                        \
               LOAD(V, 2, "2*" WIDTH(V) "(%%rcx,%%rax)") LOAD(V, 3, "3*" WIDTH(V) "(%%rcx,%%rax)")                     \
               STORE(V, 0, "(%%rcx)") STORE(V, 1, WIDTH(V) "(%%rcx)")                                                  \
               STORE(V, 2, "2*" WIDTH(V) "(%%rcx)") STORE(V, 3, "3*" WIDTH(V) "(%%rcx)")                               \
               "add $4*" WIDTH(V) ", %%rcx\n cmp %%r8, %%rcx\n jb 4b\n"                                               \
               LOAD(V, 0, BACK(V, 4, "s")) LOAD(V, 1, BACK(V, 3, "s"))                                                 \
               LOAD(V, 2, BACK(V, 2, "s")) LOAD(V, 3, BACK(V, 1, "s"))                                                 \
               STORE(V, 0, BACK(V, 4, "t")) STORE(V, 1, BACK(V, 3, "t"))                                               \
               STORE(V, 2, BACK(V, 2, "t")) STORE(V, 3, BACK(V, 1, "t")))
COPY_MANY(SSE, copy_many_sse)
COPY_MANY(AVX, copy_many_avx)
COPY_MANY(AVX512, copy_many_avx512)
#undef COPY_MANY
#undef COPY_BLOCK

/* clang-format on */

/* How many bytes are left: 0, or what follows from the byte that could not be had. */
static inline size_t copy_exact(unsigned char *target, const unsigned char *source, size_t bytes)
{
    __asm__ volatile(EXACT "rep movsb\n" EXACT_END : "+D"(target), "+S"(source), "+c"(bytes) : : "memory");
    return bytes;
}

/* ---- Copying by size ------------------------------------------------------------------------------------------ */

#define COPY_SMALL_BYTES 32U

static inline bool copy_small(unsigned char *target, const unsigned char *source, size_t bytes, uintptr_t *out_fault)
{
    if (bytes >= 16)
        return copy_16_to_32(target, source, bytes, out_fault);
    if (bytes >= 8)
        return copy_8_to_16(target, source, bytes, out_fault);
    if (bytes >= 4)
        return copy_4_to_8(target, source, bytes, out_fault);
    if (bytes >= 2)
        return copy_2_to_4(target, source, bytes, out_fault);
    return bytes == 0 || copy_1_to_2(target, source, bytes, out_fault);
}

/* The target aligned; for sizes where a first block of 64 bytes costs nothing. */
static __attribute__((noinline)) size_t copy_by_string(unsigned char *target, const unsigned char *source, size_t bytes)
{
    size_t skip = 64 - ((uintptr_t)target & 63), left;
    uintptr_t fault;

    if (!copy_32_to_64(target, source, 64, &fault))
        return verso__guard_copy_again(target, source, bytes, fault);
    left = copy_exact(target + skip, source + skip, bytes - skip);
    return bytes - left;
}

static __attribute__((noinline)) size_t copy_by_string_at_once(unsigned char *target, const unsigned char *source,
                                                               size_t bytes)
{
    return bytes - copy_exact(target, source, bytes);
}

static inline size_t copy_ended(bool whole, unsigned char *target, const unsigned char *source, size_t bytes,
                                const uintptr_t *fault)
{
    return __builtin_expect(whole, 1) ? bytes : verso__guard_copy_again(target, source, bytes, *fault);
}

/* Whether loads and stores of one block look alike to the processor, which compares the lower 12 bits first and then
 * makes a load wait for a store that has nothing to do with it. */
static inline bool copy_aliases(const unsigned char *target, const unsigned char *source)
{
    uintptr_t apart = (uintptr_t)target - (uintptr_t)source;

    return (apart + 64) % 4096 < 128 && ((uintptr_t)target | (uintptr_t)source) % 64 != 0;
}

static __attribute__((noinline, cold)) size_t copy_unasked(unsigned char *target, const unsigned char *source,
                                                           size_t bytes)
{
    (void)verso__guard_cpu_ask();
    return verso_guard_copy(target, source, bytes);
}

static inline size_t copy_large(unsigned char *target, const unsigned char *source, size_t bytes)
{
    unsigned cpu = atomic_load_explicit(&verso__guard_cpu_features, memory_order_relaxed);
    bool strings = cpu & VERSO__GUARD_CPU_STRINGS;
    uintptr_t fault;

    if (__builtin_expect(cpu == 0, 0))
        return copy_unasked(target, source, bytes);
    if (cpu & VERSO__GUARD_CPU_AVX512) {
        if (bytes <= 64)
            return copy_ended(copy_32_to_64_evex(target, source, bytes, &fault), target, source, bytes, &fault);
        if (bytes <= 128)
            return copy_ended(copy_64_to_128_avx512(target, source, bytes, &fault), target, source, bytes, &fault);
        if (bytes <= 256)
            return copy_ended(copy_128_to_256_avx512(target, source, bytes, &fault), target, source, bytes, &fault);
        if (bytes <= 512)
            return copy_ended(copy_256_to_512_avx512(target, source, bytes, &fault), target, source, bytes, &fault);
        if (bytes >= STRINGS_MIN_BYTES_ALIASING && cpu & VERSO__GUARD_CPU_SHORT_STRINGS && copy_aliases(target, source))
            return copy_by_string_at_once(target, source, bytes);
        if (bytes < STRINGS_MIN_BYTES_AVX512 || !strings)
            return copy_ended(copy_many_avx512(target, source, bytes, &fault), target, source, bytes, &fault);
    } else if (cpu & VERSO__GUARD_CPU_AVX2) {
        if (bytes <= 64)
            return copy_ended(copy_32_to_64_avx(target, source, bytes, &fault), target, source, bytes, &fault);
        if (bytes <= 128)
            return copy_ended(copy_64_to_128_avx(target, source, bytes, &fault), target, source, bytes, &fault);
        if (bytes <= 256)
            return copy_ended(copy_128_to_256_avx(target, source, bytes, &fault), target, source, bytes, &fault);
        if (bytes < STRINGS_MIN_BYTES_AVX || !strings)
            return copy_ended(copy_many_avx(target, source, bytes, &fault), target, source, bytes, &fault);
    } else {
        if (bytes <= 64)
            return copy_ended(copy_32_to_64(target, source, bytes, &fault), target, source, bytes, &fault);
        if (bytes <= 128)
            return copy_ended(copy_64_to_128(target, source, bytes, &fault), target, source, bytes, &fault);
        if (bytes < STRINGS_MIN_BYTES_SSE || !strings)
            return copy_ended(copy_many_sse(target, source, bytes, &fault), target, source, bytes, &fault);
    }
    return copy_by_string(target, source, bytes);
}

/* ---- Filling -------------------------------------------------------------------------------------------------- */

/* clang-format off */

/* @value: the byte, eight times. bool name(target, value, bytes, out_fault): false after a fault at *out_fault. */
#define FILL_BLOCK(name, broadcast, leave, used, ...)                                                                  \
    static inline bool name(unsigned char *target, uint64_t value, size_t bytes, uintptr_t *out_fault)                 \
    {                                                                                                                  \
        __asm__ goto(broadcast BLOCK __VA_ARGS__ TOLD_END leave                                                        \
                     :                                                                                                 \
                     : [t] "r"(target), [v] "r"(value), [n] "r"(bytes), [fault] "m"(*out_fault)                        \
                     : used "rax", "memory"                                                                            \
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
FILL_TWO(EVEX, fill_32_to_64_evex)
FILL_TWO(AVX512, fill_64_to_128_avx512)
FILL_FOUR(AVX512, fill_128_to_256_avx512)
#undef FILL_TWO
#undef FILL_FOUR

/* More than four vectors; as copying many. */
#define FILL_MANY(V, name)                                                                                             \
    FILL_BLOCK(name, V##_BROADCAST("v"), V##_LEAVE, V##_USED MANY_USED,                                                \
               "lea " WIDTH(V) "(%[t]), %%rcx\n and $-" WIDTH(V) ", %%rcx\n"                                           \
               "lea -4*" WIDTH(V) "(%[t],%[n]), %%r8\n"                                                                \
               STORE(V, 7, FRONT(V, 0, "t"))                                                                           \
               "cmp %%r8, %%rcx\n jae 5f\n"                                                                            \
               ".p2align 5\n4:\n"                                                                                      \
               STORE(V, 7, "(%%rcx)") STORE(V, 7, WIDTH(V) "(%%rcx)")                                                  \
               STORE(V, 7, "2*" WIDTH(V) "(%%rcx)") STORE(V, 7, "3*" WIDTH(V) "(%%rcx)")                               \
               "add $4*" WIDTH(V) ", %%rcx\n cmp %%r8, %%rcx\n jb 4b\n5:\n"                                           \
               STORE(V, 7, BACK(V, 4, "t")) STORE(V, 7, BACK(V, 3, "t"))                                               \
               STORE(V, 7, BACK(V, 2, "t")) STORE(V, 7, BACK(V, 1, "t")))
FILL_MANY(SSE, fill_many_sse)
FILL_MANY(AVX, fill_many_avx)
FILL_MANY(AVX512, fill_many_avx512)
#undef FILL_MANY
#undef FILL_BLOCK

/* clang-format on */

static inline size_t fill_exact(unsigned char *target, uint64_t value, size_t bytes)
{
    __asm__ volatile(EXACT "rep stosb\n" EXACT_END : "+D"(target), "+c"(bytes) : "a"(value) : "memory");
    return bytes;
}

/* ---- Filling by size ------------------------------------------------------------------------------------------ */

#define FILL_SMALL_BYTES 32U

static inline bool fill_small(unsigned char *target, uint64_t value, size_t bytes, uintptr_t *out_fault)
{
    if (bytes >= 16)
        return fill_16_to_32(target, value, bytes, out_fault);
    if (bytes >= 8)
        return fill_8_to_16(target, value, bytes, out_fault);
    if (bytes >= 4)
        return fill_4_to_8(target, value, bytes, out_fault);
    if (bytes >= 2)
        return fill_2_to_4(target, value, bytes, out_fault);
    return bytes == 0 || fill_1_to_2(target, value, bytes, out_fault);
}

static __attribute__((noinline)) size_t fill_by_string(unsigned char *target, uint64_t value, size_t bytes)
{
    size_t skip = 64 - ((uintptr_t)target & 63), left;
    uintptr_t fault;

    if (!fill_32_to_64(target, value, 64, &fault))
        return verso__guard_fill_again(target, value, bytes, fault);
    left = fill_exact(target + skip, value, bytes - skip);
    return bytes - left;
}

static inline size_t fill_ended(bool whole, unsigned char *target, uint64_t value, size_t bytes, const uintptr_t *fault)
{
    return __builtin_expect(whole, 1) ? bytes : verso__guard_fill_again(target, value, bytes, *fault);
}

static __attribute__((noinline, cold)) size_t fill_unasked(unsigned char *target, uint64_t value, size_t bytes)
{
    (void)verso__guard_cpu_ask();
    return verso_guard_fill(target, (unsigned char)value, bytes);
}

static inline size_t fill_large(unsigned char *target, uint64_t value, size_t bytes)
{
    unsigned cpu = atomic_load_explicit(&verso__guard_cpu_features, memory_order_relaxed);
    bool strings = cpu & VERSO__GUARD_CPU_STRINGS;
    uintptr_t fault;

    if (__builtin_expect(cpu == 0, 0))
        return fill_unasked(target, value, bytes);
    if (cpu & VERSO__GUARD_CPU_AVX512) {
        if (bytes <= 64)
            return fill_ended(fill_32_to_64_evex(target, value, bytes, &fault), target, value, bytes, &fault);
        if (bytes <= 128)
            return fill_ended(fill_64_to_128_avx512(target, value, bytes, &fault), target, value, bytes, &fault);
        if (bytes <= 256)
            return fill_ended(fill_128_to_256_avx512(target, value, bytes, &fault), target, value, bytes, &fault);
        if (bytes < STRINGS_MIN_BYTES_AVX512 || !strings)
            return fill_ended(fill_many_avx512(target, value, bytes, &fault), target, value, bytes, &fault);
    } else if (cpu & VERSO__GUARD_CPU_AVX2) {
        if (bytes <= 64)
            return fill_ended(fill_32_to_64_avx(target, value, bytes, &fault), target, value, bytes, &fault);
        if (bytes <= 128)
            return fill_ended(fill_64_to_128_avx(target, value, bytes, &fault), target, value, bytes, &fault);
        if (bytes < STRINGS_MIN_BYTES_AVX || !strings)
            return fill_ended(fill_many_avx(target, value, bytes, &fault), target, value, bytes, &fault);
    } else {
        if (bytes <= 64)
            return fill_ended(fill_32_to_64(target, value, bytes, &fault), target, value, bytes, &fault);
        if (bytes < STRINGS_MIN_BYTES_SSE || !strings)
            return fill_ended(fill_many_sse(target, value, bytes, &fault), target, value, bytes, &fault);
    }
    return fill_by_string(target, value, bytes);
}

#endif
