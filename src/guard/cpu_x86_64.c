/* SPDX-License-Identifier: MIT */
/* cpu_x86_64 - which of the loops this processor runs best. */
#include "guard/vector_x86_64.h"

#include <cpuid.h>

atomic_uint verso__guard_cpu_features;

static unsigned strings(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & 1U << 9)) /* leaf 7, EBX bit 9: ERMS */
        return 0;
    return VERSO__GUARD_CPU_STRINGS | (d & 1U << 4 ? VERSO__GUARD_CPU_SHORT_STRINGS : 0U); /* EDX bit 4: FSRM */
}

/* The builtins also ask whether the system saves the registers. Two threads may do this at once, and agree. */
unsigned verso__guard_cpu_ask(void)
{
    unsigned features = VERSO__GUARD_CPU_KNOWN | strings();

    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2"))
        features |= VERSO__GUARD_CPU_AVX2;
    /* Processors before VNNI run slower for a while after a 512-bit instruction; later ones don't for mere moves. */
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni"))
        features |= VERSO__GUARD_CPU_AVX512;
    atomic_store_explicit(&verso__guard_cpu_features, features, memory_order_relaxed);
    return features;
}
