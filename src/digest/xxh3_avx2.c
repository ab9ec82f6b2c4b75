/* SPDX-License-Identifier: MIT */
/* xxh3_avx2 - XXH3 by vectors of 32 bytes. */
#define XXH_VECTOR XXH_AVX2
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#include "digest/xxh3_loops.h"
#if defined(__clang__)
#pragma clang attribute pop
#endif

const struct verso__xxh3 verso__xxh3_avx2 = XXH3_TABLE;
