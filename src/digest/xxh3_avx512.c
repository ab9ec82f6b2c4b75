/* SPDX-License-Identifier: MIT */
/* xxh3_avx512 - XXH3 by vectors of 64 bytes. */
#define XXH_VECTOR XXH_AVX512
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f"))), apply_to = function)
#else
#pragma GCC target("avx512f")
#endif
#include "digest/xxh3_loops.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif

const struct verso__xxh3 verso__xxh3_avx512 = XXH3_TABLE;
