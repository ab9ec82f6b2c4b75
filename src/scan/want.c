/* SPDX-License-Identifier: MIT */
/* want - what a scan shall find out. */
#include "base/fail.h"
#include "scan/scan.h"

#include <errno.h>

#define RECORD_BYTES_MAX_DEFAULT ((size_t)64 << 20)
#define COUNTS_KNOWN (unsigned)(VERSO_SCAN_LINES | VERSO_SCAN_WORDS | VERSO_SCAN_LONGEST | VERSO_SCAN_CHARACTERS)

/* What a scan wants stays once it has run: its memory is laid out for that. */
static int check_wish(const struct verso_scan *scan)
{
    if (!scan)
        return verso__fail(-EINVAL, "arguments", NULL);
    return scan->has_run ? verso__fail_hint(-EBUSY, "want", NULL, "this scan has run: open another") : 0;
}

int verso_scan_want_counts(struct verso_scan *scan, unsigned counts)
{
    int r = check_wish(scan);

    if (r < 0)
        return r;
    if (counts & ~COUNTS_KNOWN)
        return verso__fail(VERSO_E_OPTIONS, "counts", NULL);
    scan->jobs.counts |= counts;
    return 0;
}

int verso_scan_want_histogram(struct verso_scan *scan)
{
    int r = check_wish(scan);

    if (r < 0)
        return r;
    scan->jobs.histogram = true;
    return 0;
}

int verso_scan_want_digest(struct verso_scan *scan, enum verso_digest_kind kind)
{
    int r = check_wish(scan);

    if (r < 0)
        return r;
    if (kind <= VERSO_DIGEST_NONE || kind >= VERSO__SCAN_DIGESTS)
        return verso__fail(VERSO_E_OPTIONS, "kind", NULL);
    if (!scan->jobs.earlier[kind])
        r = verso_digest_open(kind, &scan->jobs.earlier[kind]);
    if (r == 0 && !scan->jobs.digests[kind])
        r = verso_digest_open(kind, &scan->jobs.digests[kind]);
    return r;
}

int verso_scan_want_needles(struct verso_scan *scan, const struct verso_scan_needle *needles, size_t count,
                            unsigned flags, verso_scan_match_function *each, void *arg)
{
    int r = check_wish(scan);

    if (r < 0)
        return r;
    if (!needles && count > 0)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (scan->jobs.finder)
        return verso__fail_hint(-EEXIST, "needles", NULL, "needles can be asked for once: give all of them together");
    if (!each && (flags & VERSO_SCAN_WITH_CONTENT))
        return verso__fail(VERSO_E_OPTIONS, "needles", NULL);
    r = verso__scan_finder_open(needles, count, flags, &scan->jobs.finder);
    if (r < 0)
        return verso__fail(r, "needles", NULL);
    scan->jobs.needle_count = count;
    scan->jobs.needle_flags = flags;
    scan->jobs.each_match = each;
    scan->jobs.match_arg = arg;
    return 0;
}

static int add_caller(struct verso_scan *scan, const struct verso__scan_caller *wanted, unsigned flags_known)
{
    struct verso__scan_caller *caller;
    int r = check_wish(scan);

    if (r < 0)
        return r;
    if (!wanted->each)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (wanted->flags & ~flags_known)
        return verso__fail(VERSO_E_OPTIONS, "flags", NULL);
    caller = verso__scan_caller_add(&scan->jobs);
    if (!caller)
        return verso__fail(-ENOMEM, "malloc", NULL);
    *caller = *wanted;
    return 0;
}

int verso_scan_want_windows(struct verso_scan *scan, unsigned flags, verso_scan_piece_function *each, void *arg)
{
    const struct verso__scan_caller wanted = { .each = each, .arg = arg, .flags = flags };

    return add_caller(scan, &wanted, VERSO_SCAN_ANY_ORDER | VERSO_SCAN_RESTARTABLE);
}

int verso_scan_want_records(struct verso_scan *scan, unsigned char delimiter, size_t record_bytes_max, unsigned flags,
                            verso_scan_piece_function *each, void *arg)
{
    const struct verso__scan_caller wanted = {
        .each = each,
        .arg = arg,
        .flags = flags,
        .is_records = true,
        .delimiter = delimiter,
        .record_bytes_max = record_bytes_max ? record_bytes_max : RECORD_BYTES_MAX_DEFAULT,
    };

    return add_caller(scan, &wanted, VERSO_SCAN_ANY_ORDER);
}
