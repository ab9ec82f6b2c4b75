/* SPDX-License-Identifier: MIT */
/* cpu_x86_64 - which of the loops this processor runs best. */
#include "base/processor.h"
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

/* Two threads may do this at once, and agree. */
unsigned verso__guard_cpu_ask(void)
{
    unsigned features = VERSO__GUARD_CPU_KNOWN | strings();

    if (VERSO__PROCESSOR_HAS(AVX2))
        features |= VERSO__GUARD_CPU_AVX2;
    /* Processors before VNNI run slower for a while after a 512-bit instruction; later ones don't for mere moves. */
    if (VERSO__PROCESSOR_HAS(AVX512BW) && VERSO__PROCESSOR_HAS(AVX512VL) && VERSO__PROCESSOR_HAS(AVX512_VNNI))
        features |= VERSO__GUARD_CPU_AVX512;
    atomic_store_explicit(&verso__guard_cpu_features, features, memory_order_relaxed);
    return features;
}
