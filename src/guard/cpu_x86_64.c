/* SPDX-License-Identifier: MIT */
/* cpu_x86_64 - which of the loops this processor runs best. */
#include "guard/vector_x86_64.h"

#include <cpuid.h>

atomic_uint verso__guard_cpu_features;

static bool has_fast_strings(void)
{
    unsigned a, b, c, d;

    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & 1U << 9); /* leaf 7, EBX bit 9: ERMS */
}

/* The builtins also ask whether the system saves the registers. Two threads may do this at once, and agree. */
unsigned verso__guard_cpu_ask(void)
{
    unsigned features = VERSO__GUARD_CPU_KNOWN;

    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2"))
        features |= VERSO__GUARD_CPU_AVX2;
    /* Processors before VNNI run slower for a while after a 512-bit instruction; later ones don't for mere moves. */
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vnni"))
        features |= VERSO__GUARD_CPU_AVX512;
    if (has_fast_strings())
        features |= VERSO__GUARD_CPU_STRINGS;
    atomic_store_explicit(&verso__guard_cpu_features, features, memory_order_relaxed);
    return features;
}
