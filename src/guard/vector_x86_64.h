/* SPDX-License-Identifier: MIT */
/*
 * vector_x86_64.h - the words that the guarded loops on x86-64 are written in.
 *
 * Every touch of memory that could be missing is in a block of assembly, covered by a row of the fix-up table. There
 * are two kinds:
 *
 *   blocked   many bytes at a time; tells how many whole blocks were done. After a fault nobody knows yet which byte it
 *             was, so the caller goes on with the exact kind.
 *   exact     in order; stops at the very byte.
 *
 * Most loops come in three widths with the same shape, so they are written once, for a vector V: SSE2, which every
 * x86-64 has, AVX2 and AVX-512. What the processor has is found out once (cpu_x86_64.c).
 */
#ifndef VERSO_SRC_GUARD_VECTOR_X86_64_H
#define VERSO_SRC_GUARD_VECTOR_X86_64_H

#include "guard/fixup.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum verso__guard_cpu {
    VERSO__GUARD_CPU_KNOWN = 1 << 0,
    VERSO__GUARD_CPU_AVX2 = 1 << 1,
    VERSO__GUARD_CPU_AVX512 = 1 << 2,        /* with BW and VL, and of a kind that does not slow down for it */
    VERSO__GUARD_CPU_STRINGS = 1 << 3,       /* rep movsb and rep stosb are fast (ERMS) */
    VERSO__GUARD_CPU_SHORT_STRINGS = 1 << 4, /* and quick to begin (FSRM) */
};

/* What the processor has, 0 before it was asked. Tests take bits away. */
extern atomic_uint verso__guard_cpu_features;
unsigned verso__guard_cpu_ask(void);

static inline unsigned verso__guard_cpu(void)
{
    unsigned features = atomic_load_explicit(&verso__guard_cpu_features, memory_order_relaxed);

    return __builtin_expect(features != 0, 1) ? features : verso__guard_cpu_ask();
}

/* clang-format off */

/* Around the instructions that may fault. A blocked one names where to go on; one that is told stores what it was told
 * in @fault, and goes on at torn. */
#define BLOCK "1:\n"
#define BLOCK_END(landing) "2:\n" VERSO__FIXUP("1b", "2b", landing, VERSO__FIXUP_BLOCKED)
#define TOLD_END                                                                                                       \
    "2:\n.pushsection .text.unlikely,\"ax\",@progbits\n"                                                               \
    "3: mov %%rax, %[fault]\n jmp %l[torn]\n.popsection\n"                                                             \
    VERSO__FIXUP("1b", "2b", "3b", VERSO__FIXUP_TOLD)
#define EXACT "1:\n"
#define EXACT_END "2:\n" VERSO__FIXUP("1b", "2b", "2b", VERSO__FIXUP_EXACT)

/*
 * For each vector: its width in bytes; register i of eight; moving; giving every byte the value of the register named @from
 * (in vector register 7); leaving; and what the compiler must know is used.
 */
#define SSE_WIDTH 16
#define SSE_R(i) "%%xmm" #i
#define SSE_MOVE "movdqu"
#define SSE_BROADCAST(from)                                                                                            \
    "movd %k[" from "], %%xmm7\n punpcklbw %%xmm7, %%xmm7\n punpcklwd %%xmm7, %%xmm7\n pshufd $0, %%xmm7, %%xmm7\n"
#define SSE_OP(op, from, to) "p" op " %%xmm" #from ", %%xmm" #to "\n"
#define SSE_ZERO(i) "pxor %%xmm" #i ", %%xmm" #i "\n"
#define SSE_MASK(i, to) "pmovmskb %%xmm" #i ", %k[" to "]\n"
#define SSE_LEAVE ""
#define SSE_USED "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",

#define AVX_WIDTH 32
#define AVX_R(i) "%%ymm" #i
#define AVX_MOVE "vmovdqu"
#define AVX_BROADCAST(from) "vmovd %k[" from "], %%xmm7\n vpbroadcastb %%xmm7, %%ymm7\n"
#define AVX_OP(op, from, to) "vp" op " %%ymm" #from ", %%ymm" #to ", %%ymm" #to "\n"
#define AVX_ZERO(i) "vpxor %%xmm" #i ", %%xmm" #i ", %%xmm" #i "\n"
#define AVX_MASK(i, to) "vpmovmskb %%ymm" #i ", %k[" to "]\n"
#define AVX_LEAVE "vzeroupper\n"
#define AVX_USED SSE_USED

/* Registers 16 and up need no vzeroupper; a compiler that was not told of AVX-512 neither uses nor knows them. */
#define AVX512_WIDTH 64
#define AVX512_R(i) "%%zmm2" #i
#define AVX512_MOVE "vmovdqu64"
#define AVX512_BROADCAST(from) "vpbroadcastb %k[" from "], %%zmm27\n"
#define AVX512_LEAVE ""
#ifdef __AVX512F__
#define AVX512_USED "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27",
#else
#define AVX512_USED
#endif

/* Half of it, for what is shorter than a whole one. */
#define EVEX_WIDTH 32
#define EVEX_R(i) "%%ymm2" #i
#define EVEX_MOVE AVX512_MOVE
#define EVEX_BROADCAST(from) "vpbroadcastb %k[" from "], %%ymm27\n"
#define EVEX_LEAVE ""
#define EVEX_USED AVX512_USED

/* Vector number @place from a pointer; vector number @place before the end, @n bytes behind it. */
#define WIDTH(V) VERSO__FIXUP_TEXT(V##_WIDTH)
#define FRONT(V, place, pointer) #place "*" WIDTH(V) "(%[" pointer "])"
#define BACK(V, place, pointer) "-" #place "*" WIDTH(V) "(%[" pointer "],%[n])"
#define LOAD(V, i, from) V##_MOVE " " from ", " V##_R(i) "\n"
#define STORE(V, i, to) V##_MOVE " " V##_R(i) ", " to "\n"

/* clang-format on */

#endif
