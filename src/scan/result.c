/* SPDX-License-Identifier: MIT */
/* result - what the last run found. */
#include "base/fail.h"
#include "scan/scan.h"

#include <errno.h>
#include <string.h>

int verso_scan_result(const struct verso_scan *scan, struct verso_scan_result *out_result)
{
    size_t room_bytes;

    if (!scan || !out_result)
        return verso__fail(-EINVAL, "arguments", NULL);
    room_bytes = out_result->struct_bytes;
    if (room_bytes < sizeof(*out_result))
        return verso__fail(VERSO_E_OPTIONS, "result", NULL);
    *out_result = scan->result;
    out_result->struct_bytes = room_bytes;
    return 0;
}

int verso_scan_result_digest(const struct verso_scan *scan, enum verso_digest_kind kind,
                             struct verso_digest_value *out_value)
{
    if (!scan || !out_value)
        return verso__fail(-EINVAL, "arguments", NULL);
    if ((unsigned)kind >= VERSO__SCAN_DIGESTS || !scan->jobs.digests[kind])
        return verso__fail_hint(VERSO_E_OPTIONS, "digest", NULL, "this kind was not asked for");
    verso_digest_value(scan->jobs.digests[kind], out_value);
    return 0;
}

int verso_scan_result_bytes(const struct verso_scan *scan, uint64_t out_counts[256])
{
    if (!scan || !out_counts)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!scan->jobs.histogram)
        return verso__fail_hint(VERSO_E_OPTIONS, "histogram", NULL, "it was not asked for");
    if (!scan->has_run) {
        memset(out_counts, 0, 256 * sizeof(*out_counts));
        return 0;
    }
    memcpy(out_counts, scan->sum.histogram, 256 * sizeof(*out_counts));
    return 0;
}

int verso_scan_result_needles(const struct verso_scan *scan, uint64_t *out_counts, size_t count)
{
    if (!scan || !out_counts)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!scan->jobs.finder || count != scan->jobs.needle_count || (scan->jobs.needle_flags & VERSO_SCAN_ONLY_LINES))
        return verso__fail_hint(VERSO_E_OPTIONS, "needles", NULL, "not asked for, or another number of needles");
    if (scan->has_run)
        memcpy(out_counts, scan->sum.needle_counts, count * sizeof(*out_counts));
    else
        memset(out_counts, 0, count * sizeof(*out_counts));
    return 0;
}
