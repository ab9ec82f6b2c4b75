/* SPDX-License-Identifier: MIT */
/*
 * scan - finding, counting, comparing, up to a fault.
 *
 * From coarse to fine: blocks of four vectors while nothing happens; then vectors; the last vector overlaps the one
 * before, so that no odd bytes are left; and byte by byte only what is shorter than a vector, or what follows where a
 * block could not be read, up to the very byte that can't. What each step does is the processor's matter
 * (scan_x86_64.h, scan_aarch64.h); the order of steps is here.
 */
#include "base/sums.h"
#include "guard/primitives.h"

#ifdef VERSO__GUARD_HAS_LOOPS

#if defined(__x86_64__)
#include "guard/scan_x86_64.h"
#else
#include "guard/scan_aarch64.h"
#endif

/* Each step in both widths; @wide is a constant where these are used. */
#define FORCED static inline __attribute__((always_inline))

FORCED uint64_t match(const unsigned char *data, unsigned value, bool wide)
{
    return wide ? scan_match_wide(data, value) : scan_match_narrow(data, value);
}

FORCED uint64_t differ(const unsigned char *a, const unsigned char *b, bool wide)
{
    return wide ? scan_differ_wide(a, b) : scan_differ_narrow(a, b);
}

FORCED struct verso_guard_scan found_at(size_t offset)
{
    return (struct verso_guard_scan){ .done_bytes = offset + 1, .found_bytes = offset, .count = 0, .torn = 0 };
}

FORCED struct verso_guard_scan not_found(size_t done, size_t bytes)
{
    return (struct verso_guard_scan){ .done_bytes = done, .found_bytes = SIZE_MAX, .count = 0, .torn = done < bytes };
}

/* ---- Find ----------------------------------------------------------------------------------------------------- */

static struct verso_guard_scan find_exact(const unsigned char *data, size_t done, unsigned value, size_t bytes)
{
    bool found;
    const unsigned char *at = scan_find_exact(data + done, data + bytes, value, &found);

    return found ? found_at((size_t)(at - data)) : not_found((size_t)(at - data), bytes);
}

FORCED struct verso_guard_scan find(const unsigned char *data, unsigned value, size_t bytes, bool wide)
{
    const size_t width = wide ? SCAN_WIDE_BYTES : SCAN_NARROW_BYTES;
    const unsigned char *blocks_end = data;

    if (bytes < width)
        return find_exact(data, 0, value, bytes);
    if (bytes >= 4 * width)
        blocks_end = wide ? scan_find_blocks_wide(data, data + bytes, value)
                          : scan_find_blocks_narrow(data, data + bytes, value);
    for (size_t done = (size_t)(blocks_end - data), next; done < bytes; done = next + width) {
        uint64_t mask;

        next = (size_t)verso__min_u64(done, bytes - width);
        mask = match(data + next, value, wide);
        if (mask == SCAN_TORN)
            return find_exact(data, done, value, bytes);
        if (mask)
            return found_at(next + scan_first(mask));
    }
    return not_found(bytes, bytes);
}

struct verso_guard_scan verso_guard_find(const void *data, unsigned char value, size_t bytes)
{
    return bytes >= SCAN_WIDE_BYTES && scan_has_wide() ? find(data, value, bytes, true)
                                                       : find(data, value, bytes, false);
}

/* ---- Count ---------------------------------------------------------------------------------------------------- */

/* Vector by vector from *at, the last one overlapping. False: a fault, in a vector that *at stops before. */
FORCED bool count_vectors(const unsigned char **at, const unsigned char *end, unsigned value, size_t *counted,
                          bool wide)
{
    const size_t width = wide ? SCAN_WIDE_BYTES : SCAN_NARROW_BYTES;

    while (*at < end) {
        size_t fresh = (size_t)verso__min_u64(width, (size_t)(end - *at));
        uint64_t mask = match(*at + fresh - width, value, wide);

        if (mask == SCAN_TORN)
            return false;
        *counted += scan_count_last(mask, fresh, width);
        *at += fresh;
    }
    return true;
}

FORCED struct verso_guard_scan count(const unsigned char *data, unsigned value, size_t bytes, bool wide)
{
    const size_t width = wide ? SCAN_WIDE_BYTES : SCAN_NARROW_BYTES;
    const unsigned char *at = data, *end = data + bytes;
    struct verso_guard_scan scan;
    size_t counted = 0;

    if (bytes >= 4 * width)
        at = wide ? scan_count_blocks_wide(at, end, value, &counted)
                  : scan_count_blocks_narrow(at, end, value, &counted);
    if (bytes < width || !count_vectors(&at, end, value, &counted, wide))
        at = scan_count_exact(at, end, value, &counted);
    scan = not_found((size_t)(at - data), bytes);
    scan.count = counted;
    return scan;
}

struct verso_guard_scan verso_guard_count(const void *data, unsigned char value, size_t bytes)
{
    return bytes >= SCAN_WIDE_BYTES && scan_has_wide() ? count(data, value, bytes, true)
                                                       : count(data, value, bytes, false);
}

/* ---- Compare -------------------------------------------------------------------------------------------------- */

static struct verso_guard_scan compare_exact(const unsigned char *a, const unsigned char *b, size_t done, size_t bytes)
{
    bool found;

    done += scan_compare_exact(a + done, b + done, bytes - done, &found);
    return found ? found_at(done) : not_found(done, bytes);
}

FORCED struct verso_guard_scan compare(const unsigned char *a, const unsigned char *b, size_t bytes, bool wide)
{
    const size_t width = wide ? SCAN_WIDE_BYTES : SCAN_NARROW_BYTES;
    size_t blocks_bytes = 0;

    if (bytes < width)
        return compare_exact(a, b, 0, bytes);
    if (bytes >= 4 * width)
        blocks_bytes = wide ? scan_compare_blocks_wide(a, b, bytes) : scan_compare_blocks_narrow(a, b, bytes);
    for (size_t done = blocks_bytes, next; done < bytes; done = next + width) {
        uint64_t mask;

        next = (size_t)verso__min_u64(done, bytes - width);
        mask = differ(a + next, b + next, wide);
        if (mask == SCAN_TORN)
            return compare_exact(a, b, done, bytes);
        if (mask)
            return found_at(next + scan_first(mask));
    }
    return not_found(bytes, bytes);
}

struct verso_guard_scan verso_guard_compare(const void *a, const void *b, size_t bytes)
{
    return bytes >= SCAN_WIDE_BYTES && scan_has_wide() ? compare(a, b, bytes, true) : compare(a, b, bytes, false);
}

#else

struct verso_guard_scan verso_guard_find(const void *data, unsigned char value, size_t bytes)
{
    return verso__guard_portable_find(data, value, bytes);
}

struct verso_guard_scan verso_guard_count(const void *data, unsigned char value, size_t bytes)
{
    return verso__guard_portable_count(data, value, bytes);
}

struct verso_guard_scan verso_guard_compare(const void *a, const void *b, size_t bytes)
{
    return verso__guard_portable_compare(a, b, bytes);
}

#endif
