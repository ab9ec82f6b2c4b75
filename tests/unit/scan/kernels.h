/* SPDX-License-Identifier: MIT */
/* kernels.h - every form of the loops that this machine has, each held to plain loops over bytes. */
#ifndef VERSO_TESTS_SCAN_KERNELS_H
#define VERSO_TESTS_SCAN_KERNELS_H

#include "support.h"

#include "scan/kernels.h"

static const char *const kernel_names[] = { "portable", "NEON", "AVX2", "AVX-512" };
#define KERNEL_COUNT (sizeof(kernel_names) / sizeof(kernel_names[0]))

/* Runs @check with each form that is here; each form that is not is named. */
static inline void with_each_kernel(void (*check)(void))
{
    for (size_t i = 0; i < KERNEL_COUNT; i++) {
        if (!verso__scan_kernel_force(kernel_names[i]))
            continue;
        assert_string_equal(verso__scan_kernel_name(), kernel_names[i]);
        check();
    }
    assert_true(verso__scan_kernel_force(NULL));
}

/* The same numbers in every run. */
static inline uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

#endif
