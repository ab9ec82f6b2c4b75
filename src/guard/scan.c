/* SPDX-License-Identifier: MIT */
/*
 * scan - finding, counting, comparing, up to a fault.
 *
 * From coarse to fine: blocks of four vectors while nothing happens; then spans of one or two vectors, of which the
 * last overlaps what is done, so that no odd bytes are left; and byte by byte only what is shorter than a vector, or
 * what follows where a span could not be read, up to the very byte that can't. What each step does is the processor's
 * matter (scan_x86_64.h, scan_aarch64.h); the order of steps is here.
 */
#include "guard/primitives.h"

#ifdef VERSO__GUARD_HAS_LOOPS

#if defined(__x86_64__)
#include "guard/scan_x86_64.h"
#else
#include "guard/scan_aarch64.h"
#endif

/* Each step in both widths; @wide is a constant where these are used. */
#define FORCED static inline __attribute__((always_inline))

FORCED size_t width_of(bool wide)
{
    return wide ? SCAN_WIDE_BYTES : SCAN_NARROW_BYTES;
}

FORCED bool match(const unsigned char *data, size_t bytes, unsigned value, bool wide, uint64_t *out_mask)
{
    return wide ? scan_match_wide(data, bytes, value, out_mask) : scan_match_narrow(data, bytes, value, out_mask);
}

FORCED bool differ(const unsigned char *a, const unsigned char *b, size_t bytes, bool wide, uint64_t *out_mask)
{
    return wide ? scan_differ_wide(a, b, bytes, out_mask) : scan_differ_narrow(a, b, bytes, out_mask);
}

/* What to look at next, in one or two vectors: from @done, or before it when less than a vector is left. */
struct span {
    size_t start;
    size_t bytes;
};

FORCED struct span span_at(size_t done, size_t bytes, bool wide)
{
    const size_t width = width_of(wide);
    size_t left = bytes - done;

    if (left < width)
        return (struct span){ bytes - width, width };
    return (struct span){ done, left < 2 * width ? left : 2 * width };
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
    const unsigned char *end = data + bytes;
    struct span span;
    size_t done = 0;
    uint64_t mask;

    if (bytes < width_of(wide))
        return find_exact(data, 0, value, bytes);
    if (bytes >= 4 * width_of(wide))
        done = (size_t)((wide ? scan_find_blocks_wide(data, end, value) : scan_find_blocks_narrow(data, end, value)) -
                        data);
    for (; done < bytes; done = span.start + span.bytes) {
        span = span_at(done, bytes, wide);
        if (!match(data + span.start, span.bytes, value, wide, &mask))
            return find_exact(data, done, value, bytes);
        if (mask)
            return found_at(span.start + (size_t)__builtin_ctzll(mask));
    }
    return not_found(bytes, bytes);
}

struct verso_guard_scan verso_guard_find(const void *data, unsigned char value, size_t bytes)
{
    return bytes >= SCAN_WIDE_BYTES && scan_has_wide() ? find(data, value, bytes, true)
                                                       : find(data, value, bytes, false);
}

/* ---- Count ---------------------------------------------------------------------------------------------------- */

/* From @done on; how far it came: less than @bytes after a fault. */
FORCED size_t count_spans(const unsigned char *data, size_t done, size_t bytes, unsigned value, size_t *counted,
                          bool wide)
{
    while (done < bytes) {
        struct span span = span_at(done, bytes, wide);
        uint64_t mask;

        if (!match(data + span.start, span.bytes, value, wide, &mask))
            break;
        *counted += (size_t)__builtin_popcountll(mask >> (done - span.start)); /* not again what has been counted */
        done = span.start + span.bytes;
    }
    return done;
}

FORCED struct verso_guard_scan count(const unsigned char *data, unsigned value, size_t bytes, bool wide)
{
    const unsigned char *end = data + bytes, *at = data;
    struct verso_guard_scan scan;
    size_t counted = 0;

    if (bytes >= 4 * width_of(wide))
        at = wide ? scan_count_blocks_wide(at, end, value, &counted)
                  : scan_count_blocks_narrow(at, end, value, &counted);
    if (bytes >= width_of(wide))
        at = data + count_spans(data, (size_t)(at - data), bytes, value, &counted, wide);
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
    struct span span;
    size_t done = 0;
    uint64_t mask;

    if (bytes < width_of(wide))
        return compare_exact(a, b, 0, bytes);
    if (bytes >= 4 * width_of(wide))
        done = wide ? scan_compare_blocks_wide(a, b, bytes) : scan_compare_blocks_narrow(a, b, bytes);
    for (; done < bytes; done = span.start + span.bytes) {
        span = span_at(done, bytes, wide);
        if (!differ(a + span.start, b + span.start, span.bytes, wide, &mask))
            return compare_exact(a, b, done, bytes);
        if (mask)
            return found_at(span.start + (size_t)__builtin_ctzll(mask));
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
