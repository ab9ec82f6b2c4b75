/* SPDX-License-Identifier: MIT */
/*
 * primitives.h - the guarded primitives in their two makes.
 *
 * Where the processor has loops of its own (x86-64, aarch64), the public functions are those. The portable make, by
 * verso__guard_run(), stands behind them everywhere else. It is built and tested on every processor, and can be made
 * the public one by -DVERSO_GUARD_PORTABLE.
 */
#ifndef VERSO_SRC_GUARD_PRIMITIVES_H
#define VERSO_SRC_GUARD_PRIMITIVES_H

#include <verso/guard.h>

#if !defined(VERSO_GUARD_PORTABLE) && \
    ((defined(__x86_64__) && defined(__LP64__)) || (defined(__aarch64__) && !defined(__AARCH64EB__)))
#define VERSO__GUARD_HAS_LOOPS
#endif

/* Of the loops: what is left to do after a fault at the address @fault. How many bytes were done in the end. */
__attribute__((cold)) size_t verso__guard_copy_again(unsigned char *target, const unsigned char *source, size_t bytes,
                                                     uintptr_t fault);
__attribute__((cold)) size_t verso__guard_fill_again(unsigned char *target, uint64_t value, size_t bytes,
                                                     uintptr_t fault);

size_t verso__guard_portable_copy(void *target, const void *source, size_t bytes);
size_t verso__guard_portable_fill(void *target, unsigned char value, size_t bytes);
struct verso_guard_scan verso__guard_portable_find(const void *data, unsigned char value, size_t bytes);
struct verso_guard_scan verso__guard_portable_count(const void *data, unsigned char value, size_t bytes);
struct verso_guard_scan verso__guard_portable_compare(const void *a, const void *b, size_t bytes);

#endif
