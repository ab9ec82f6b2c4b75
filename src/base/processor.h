/* SPDX-License-Identifier: MIT */
/*
 * processor.h - whether this x86-64 has something, and the system lets it be used.
 *
 * glibc asked when the program was loaded, and passes on what it learnt. Asking again is dear in a virtual machine,
 * which is left each time (10 us measured); and the compiler's own answer, __builtin_cpu_supports(), comes with a
 * constructor that asks a dozen times in each program, needed or not: 110 us, a tenth of what a small one takes to run.
 */
#ifndef VERSO_SRC_BASE_PROCESSOR_H
#define VERSO_SRC_BASE_PROCESSOR_H

#if defined(__x86_64__)
#if __has_include(<sys/platform/x86.h>) /* glibc 2.33 and later */

#include <stdbool.h>
#include <sys/platform/x86.h>

/* As CPU_FEATURE_ACTIVE() of that header, which shifts 1 into the sign of an int. */
static inline bool verso__processor_has(unsigned feature)
{
    const struct cpuid_feature *leaf = __x86_get_cpuid_feature_leaf(feature / 128); /* four registers */

    return leaf->active_array[feature / 32 % 4] >> feature % 32 & 1;
}

#define VERSO__PROCESSOR_HAS(feature) verso__processor_has(x86_cpu_##feature)

#else

#define VERSO__PROCESSOR_HAS(feature) (__builtin_cpu_init(), __builtin_cpu_supports(VERSO__PROCESSOR_##feature) != 0)
#define VERSO__PROCESSOR_AVX2 "avx2"
#define VERSO__PROCESSOR_AVX512F "avx512f"
#define VERSO__PROCESSOR_AVX512BW "avx512bw"
#define VERSO__PROCESSOR_AVX512VL "avx512vl"
#define VERSO__PROCESSOR_AVX512_VBMI "avx512vbmi"
#define VERSO__PROCESSOR_AVX512_VNNI "avx512vnni"
#define VERSO__PROCESSOR_BMI1 "bmi"
#define VERSO__PROCESSOR_POPCNT "popcnt"

#endif
#endif

#endif
