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

/* Each step in three kinds; @kind is a constant where these are used. */
#define FORCED static inline __attribute__((always_inline))

enum kind {
    NARROW,
    WIDE,
    MASKED, /* vectors of 64 bytes, shorter ones by a mask */
};

FORCED size_t width_of(enum kind kind)
{
    return kind == MASKED ? 64 : kind == WIDE ? SCAN_WIDE_BYTES : SCAN_NARROW_BYTES;
}

FORCED bool match(const unsigned char *data, size_t bytes, unsigned value, enum kind kind, uint64_t *out_mask)
{
    if (kind == MASKED)
        return scan_match_masked(data, bytes, value, out_mask);
    return kind == WIDE ? scan_match_wide(data, bytes, value, out_mask)
                        : scan_match_narrow(data, bytes, value, out_mask);
}

FORCED bool differ(const unsigned char *a, const unsigned char *b, size_t bytes, enum kind kind, uint64_t *out_mask)
{
    if (kind == MASKED)
        return scan_differ_masked(a, b, bytes, out_mask);
    return kind == WIDE ? scan_differ_wide(a, b, bytes, out_mask) : scan_differ_narrow(a, b, bytes, out_mask);
}

/* Too little for one step. */
FORCED bool is_too_short(size_t bytes, enum kind kind)
{
    return kind == MASKED ? bytes == 0 : bytes < width_of(kind);
}

/* What to look at next, in one step: from @done, or before it when less than a vector is left. */
struct span {
    size_t start;
    size_t bytes;
};

FORCED struct span span_at(size_t done, size_t bytes, enum kind kind)
{
    const size_t width = width_of(kind), most = kind == MASKED ? width : 2 * width;
    size_t left = bytes - done;

    if (left < width)
        return bytes < width ? (struct span){ done, left } : (struct span){ bytes - width, width };
    return (struct span){ done, left < most ? left : most };
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

FORCED const unsigned char *find_blocks(const unsigned char *data, const unsigned char *end, unsigned value,
                                        enum kind kind)
{
    if (kind == MASKED)
        return scan_find_blocks_masked(data, end, value);
    return kind == WIDE ? scan_find_blocks_wide(data, end, value) : scan_find_blocks_narrow(data, end, value);
}

FORCED struct verso_guard_scan find(const unsigned char *data, unsigned value, size_t bytes, enum kind kind)
{
    struct span span;
    size_t done = 0;
    uint64_t mask;

    if (is_too_short(bytes, kind))
        return find_exact(data, 0, value, bytes);
    if (bytes >= 4 * width_of(kind))
        done = (size_t)(find_blocks(data, data + bytes, value, kind) - data);
    for (; done < bytes; done = span.start + span.bytes) {
        span = span_at(done, bytes, kind);
        if (!match(data + span.start, span.bytes, value, kind, &mask))
            return find_exact(data, done, value, bytes);
        if (mask)
            return found_at(span.start + (size_t)__builtin_ctzll(mask));
    }
    return not_found(bytes, bytes);
}

struct verso_guard_scan verso_guard_find(const void *data, unsigned char value, size_t bytes)
{
    if (scan_has_masks())
        return find(data, value, bytes, MASKED);
    return bytes >= SCAN_WIDE_BYTES && scan_has_wide() ? find(data, value, bytes, WIDE)
                                                       : find(data, value, bytes, NARROW);
}

/* ---- Count ---------------------------------------------------------------------------------------------------- */

/* From @done on; how far it came: less than @bytes after a fault. */
FORCED size_t count_spans(const unsigned char *data, size_t done, size_t bytes, unsigned value, size_t *counted,
                          enum kind kind)
{
    while (done < bytes) {
        struct span span = span_at(done, bytes, kind);
        uint64_t mask;

        if (!match(data + span.start, span.bytes, value, kind, &mask))
            break;
        *counted += (size_t)__builtin_popcountll(mask >> (done - span.start)); /* not again what has been counted */
        done = span.start + span.bytes;
    }
    return done;
}

FORCED const unsigned char *count_blocks(const unsigned char *data, const unsigned char *end, unsigned value,
                                         size_t *counted, enum kind kind)
{
    if (kind == MASKED)
        return scan_count_blocks_masked(data, end, value, counted);
    return kind == WIDE ? scan_count_blocks_wide(data, end, value, counted)
                        : scan_count_blocks_narrow(data, end, value, counted);
}

FORCED struct verso_guard_scan count(const unsigned char *data, unsigned value, size_t bytes, enum kind kind)
{
    const unsigned char *end = data + bytes, *at = data;
    struct verso_guard_scan scan;
    size_t counted = 0;

    if (bytes >= 4 * width_of(kind))
        at = count_blocks(at, end, value, &counted, kind);
    if (!is_too_short(bytes, kind))
        at = data + count_spans(data, (size_t)(at - data), bytes, value, &counted, kind);
    at = scan_count_exact(at, end, value, &counted);
    scan = not_found((size_t)(at - data), bytes);
    scan.count = counted;
    return scan;
}

struct verso_guard_scan verso_guard_count(const void *data, unsigned char value, size_t bytes)
{
    if (scan_has_masks())
        return count(data, value, bytes, MASKED);
    return bytes >= SCAN_WIDE_BYTES && scan_has_wide() ? count(data, value, bytes, WIDE)
                                                       : count(data, value, bytes, NARROW);
}

/* ---- Compare -------------------------------------------------------------------------------------------------- */

static struct verso_guard_scan compare_exact(const unsigned char *a, const unsigned char *b, size_t done, size_t bytes)
{
    bool found;

    done += scan_compare_exact(a + done, b + done, bytes - done, &found);
    return found ? found_at(done) : not_found(done, bytes);
}

FORCED size_t compare_blocks(const unsigned char *a, const unsigned char *b, size_t bytes, enum kind kind)
{
    if (kind == MASKED)
        return scan_compare_blocks_masked(a, b, bytes);
    return kind == WIDE ? scan_compare_blocks_wide(a, b, bytes) : scan_compare_blocks_narrow(a, b, bytes);
}

FORCED struct verso_guard_scan compare(const unsigned char *a, const unsigned char *b, size_t bytes, enum kind kind)
{
    struct span span;
    size_t done = 0;
    uint64_t mask;

    if (is_too_short(bytes, kind))
        return compare_exact(a, b, 0, bytes);
    if (bytes >= 4 * width_of(kind))
        done = compare_blocks(a, b, bytes, kind);
    for (; done < bytes; done = span.start + span.bytes) {
        span = span_at(done, bytes, kind);
        if (!differ(a + span.start, b + span.start, span.bytes, kind, &mask))
            return compare_exact(a, b, done, bytes);
        if (mask)
            return found_at(span.start + (size_t)__builtin_ctzll(mask));
    }
    return not_found(bytes, bytes);
}

struct verso_guard_scan verso_guard_compare(const void *a, const void *b, size_t bytes)
{
    if (scan_has_masks())
        return compare(a, b, bytes, MASKED);
    return bytes >= SCAN_WIDE_BYTES && scan_has_wide() ? compare(a, b, bytes, WIDE) : compare(a, b, bytes, NARROW);
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
