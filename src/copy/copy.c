/* SPDX-License-Identifier: MIT */
/*
 * copy - the public edge, and the order in which a copy is made.
 *
 *      source open --> target found --> temporary file --> content --> settled --> named --> name on disk
 *                      (nothing is changed up to here)                             ^ before: nobody has seen anything
 */
#include "copy/copy.h"

#include "base/options.h"

#include <errno.h>
#include <string.h>

int verso__copy_fail(struct verso__copy *copy, int code, const char *step, const char *path, uint64_t offset_bytes,
                     const char *hint)
{
    copy->failure = (struct verso__failure){ code, 0, step, path, offset_bytes, hint };
    return code;
}

int verso__copy_fail_source(struct verso__copy *copy, int code, const char *step, uint64_t offset_bytes)
{
    return verso__copy_fail(copy, code, step, copy->source.path, offset_bytes, NULL);
}

int verso__copy_fail_target(struct verso__copy *copy, int code, const char *step, uint64_t offset_bytes)
{
    return verso__copy_fail(copy, code, step, copy->target.path, offset_bytes, NULL);
}

uint64_t verso__copy_done(const struct verso_copy_report *report)
{
    return report->reflinked_bytes + report->offloaded_bytes + report->hole_bytes + report->copied_bytes +
           report->same_bytes;
}

/* ---- One copy ---- */

static int make(struct verso__copy *copy)
{
    int r = verso__copy_source_open(copy);

    if (r == 0)
        r = verso__copy_target_find(copy);
    if (r == 0)
        r = verso__copy_target_open(copy);
    if (r < 0)
        return r;
    verso__copy_plan(copy);
    r = verso__copy_cache_open(copy);
    if (r == 0)
        r = verso__copy_tell(copy, VERSO_COPY_COPYING, 0, copy->end, true);
    if (r == 0)
        r = verso__copy_content(copy);
    if (r == 0)
        r = verso__copy_tell(copy, VERSO_COPY_COPYING, copy->end, copy->end, true);
    if (r == 0)
        r = verso__copy_settle(copy);
    if (r == 0)
        r = verso__copy_target_commit(copy);
    return r == 0 ? verso__copy_sync_name(copy) : r;
}

static unsigned method_of_most(const struct verso__copy *copy)
{
    const struct verso_copy_report *report = &copy->report;

    if (report->reflinked_bytes > 0)
        return VERSO_COPY_METHOD_REFLINK;
    if (report->offloaded_bytes > report->copied_bytes)
        return copy->source.is_stream || !copy->target.has_offsets || copy->method == VERSO_COPY_METHOD_SPLICE
                   ? VERSO_COPY_METHOD_SPLICE
                   : VERSO_COPY_METHOD_RANGE;
    return copy->method;
}

static void hand_out(struct verso__copy *copy, uint64_t began_ns, struct verso_copy_report *out_report)
{
    size_t room = out_report->struct_bytes;

    copy->report.done_bytes = verso__copy_done(&copy->report);
    copy->report.method = method_of_most(copy);
    copy->report.duration_ns = verso__os_clock_ns() - began_ns;
    copy->report.struct_bytes = room;
    memcpy(out_report, &copy->report, room < sizeof(copy->report) ? room : sizeof(copy->report));
}

static int copy_file(struct verso__copy *copy, struct verso_copy_report *out_report)
{
    uint64_t began_ns = verso__os_clock_ns();
    int r = make(copy);

    verso__copy_view_close(&copy->from);
    verso__copy_view_close(&copy->old);
    verso_digest_close(copy->digest);
    verso__copy_cache_finish(copy, r == 0);
    verso__copy_cache_close(copy);
    verso__copy_target_close(copy, r);
    if (copy->source.fd >= 0)
        verso__os_close(copy->source.fd);
    if (out_report)
        hand_out(copy, began_ns, out_report);
    return r < 0 ? verso__fail_with(&copy->failure) : 0;
}

/* ---- The public edge ---- */

static int options_take(const struct verso_copy_options *given, struct verso_copy_options *out_options)
{
    const struct verso_copy_options init = VERSO_COPY_OPTIONS_INIT;

    *out_options = init;
    if (given && !verso__options_take(given, out_options, sizeof(*out_options), sizeof(*out_options)))
        return VERSO_E_OPTIONS;
    return verso__copy_options_check(out_options);
}

int verso_copy_file_at(int source_directory, const char *source, int target_directory, const char *target,
                       const struct verso_copy_options *options, struct verso_copy_report *out_report)
{
    struct verso__copy copy;
    int r;

    if (!source || !target || (out_report && out_report->struct_bytes < sizeof(out_report->struct_bytes)))
        return verso__fail(-EINVAL, "arguments", target);
    memset(&copy, 0, sizeof(copy));
    r = options_take(options, &copy.options);
    if (r < 0)
        return verso__fail(r, "options", target);
    copy.source = (struct verso__copy_source){ .directory = source_directory, .path = source, .fd = -1 };
    copy.target.directory = target_directory;
    copy.target.path = target;
    copy.target.fd = -1;
    copy.journal.fd = -1;
    copy.report.struct_bytes = sizeof(copy.report);
    copy.report.why = "";
    return copy_file(&copy, out_report);
}

int verso_copy_file(const char *source, const char *target, const struct verso_copy_options *options,
                    struct verso_copy_report *out_report)
{
    return verso_copy_file_at(VERSO__OS_HERE, source, VERSO__OS_HERE, target, options, out_report);
}
