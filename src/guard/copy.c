/* SPDX-License-Identifier: MIT */
/*
 * copy - memcpy and memset that stop at a fault.
 *
 * The fast way copies in blocks, and after a fault only knows how many of them were done. What is left goes the exact
 * way once more, from the first byte that is not known to be done, up to the one that can't be. So a fault may cost two
 * signals, and its absence nothing.
 */
#include "guard/primitives.h"

#ifdef VERSO__GUARD_HAS_LOOPS

#if defined(__x86_64__)
#include "guard/copy_x86_64.h"
#else
#include "guard/copy_aarch64.h"
#endif

#define EVERY_BYTE (UINT64_MAX / 255)

static __attribute__((noinline, cold)) size_t copy_rest(unsigned char *target, const unsigned char *source,
                                                        size_t bytes, size_t left)
{
    return bytes - copy_exact(target + bytes - left, source + bytes - left, left);
}

static __attribute__((noinline)) size_t copy_more(unsigned char *target, const unsigned char *source, size_t bytes)
{
    bool exact = false;
    size_t left = copy_large(target, source, bytes, &exact);

    return left == 0 || exact ? bytes - left : copy_rest(target, source, bytes, left);
}

size_t verso_guard_copy(void *target, const void *source, size_t bytes)
{
    if (bytes > COPY_SMALL_BYTES)
        return copy_more(target, source, bytes);
    return copy_small(target, source, bytes) ? bytes : copy_rest(target, source, bytes, bytes);
}

static __attribute__((noinline, cold)) size_t fill_rest(unsigned char *target, uint64_t value, size_t bytes,
                                                        size_t left)
{
    return bytes - fill_exact(target + bytes - left, value, left);
}

static __attribute__((noinline)) size_t fill_more(unsigned char *target, uint64_t value, size_t bytes)
{
    bool exact = false;
    size_t left = fill_large(target, value, bytes, &exact);

    return left == 0 || exact ? bytes - left : fill_rest(target, value, bytes, left);
}

size_t verso_guard_fill(void *target, unsigned char value, size_t bytes)
{
    uint64_t values = value * EVERY_BYTE;

    if (bytes > FILL_SMALL_BYTES)
        return fill_more(target, values, bytes);
    return fill_small(target, values, bytes) ? bytes : fill_rest(target, values, bytes, bytes);
}

#else

size_t verso_guard_copy(void *target, const void *source, size_t bytes)
{
    return verso__guard_portable_copy(target, source, bytes);
}

size_t verso_guard_fill(void *target, unsigned char value, size_t bytes)
{
    return verso__guard_portable_fill(target, value, bytes);
}

#endif
