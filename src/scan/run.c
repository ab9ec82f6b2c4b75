/* SPDX-License-Identifier: MIT */
/* run - what the content is, how it is passed, and what comes out. */
#include "base/fail.h"
#include "base/sums.h"
#include "scan/scan.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define SLOTS_PER_THREAD 4

static int fail(const struct verso__scan_source *source, int code, const char *step, uint64_t offset)
{
    char path[PATH_MAX] = "";

    if (source->path)
        return verso__fail_at(code, step, source->path, offset);
    if (source->fd >= 0 && verso__os_path_of(source->fd, path, sizeof(path)) < 0)
        path[0] = '\0';
    return verso__fail_at(code, step, path, offset);
}

/* ---- Setting up ---- */

static int set_up(struct verso_scan *scan, const struct verso__scan_source *source)
{
    struct verso__scan_run *run = &scan->run;

    if (!scan->has_run && !verso__scan_summary_make(&scan->sum, &scan->jobs))
        return -ENOMEM;
    scan->has_run = true;
    *run = (struct verso__scan_run){
        .source = *source,
        .is_ordered = verso__scan_is_ordered(&scan->jobs),
        .lead_bytes = scan->jobs.finder ? verso__scan_finder_lead_bytes(scan->jobs.finder) : 0,
        .told_ns = verso__os_clock_ns(),
        .limit = UINT64_MAX,
    };
    verso__scan_jobs_reset(&scan->jobs);
    verso__scan_before_look(scan);
    verso__scan_choose(scan);
    if (!verso__scan_plan(scan))
        return -ENOMEM;
    run->slot_count = (unsigned)verso__min_u64(run->tickets, run->thread_count * SLOTS_PER_THREAD);
    return verso__scan_make_slots(scan, run->slot_count) ? 0 : -ENOMEM;
}

/* ---- What came out ---- */

/* Whether the file is another than when the run began. When one thread read it as one piece, that is known already. */
static int has_changed(const struct verso_scan *scan)
{
    const struct verso__scan_run *run = &scan->run;
    const struct verso__os_file_info *before = &run->source.before;
    struct verso__os_file_info now = scan->workers[0].seen;

    if (run->source.kind != VERSO__SCAN_FILE)
        return 0;
    if ((run->method != VERSO_SCAN_READ || run->tickets > 1 ||
         run->source.end - run->source.start > VERSO__SCAN_PIECE_BYTES) &&
        verso__os_file_info(run->source.fd, &now) < 0)
        return 1;
    return run->tickets > 0 && (now.bytes != before->bytes || now.modified_ns != before->modified_ns);
}

static void describe(struct verso_scan *scan, uint64_t began_ns)
{
    const struct verso__scan_run *run = &scan->run;
    const struct verso__scan_summary *sum = &scan->sum;
    struct verso_scan_result result = {
        .bytes = sum->bytes,
        .is_partial = run->outcome.status < 0,
        .changed = has_changed(scan),
        .lines = sum->text.lines,
        .words = sum->text.words,
        .characters = sum->text.characters,
        .longest_bytes = sum->text.longest_bytes,
        .matches = sum->matches,
        .matched_lines = verso__scan_lines_total(&sum->lines),
        .method = run->method,
        .thread_count = run->thread_count,
        .resident_first = run->is_resident_first,
        .cached_bytes = run->cached_bytes,
        .why = run->why,
        .kernel = verso__scan_kernel_name(),
        .duration_ns = verso__os_clock_ns() - began_ns,
    };

    scan->result = result;
}

/* What had to wait for the end: matches until it was sure that none comes before them, a record without a delimiter. */
static void finish(struct verso_scan *scan)
{
    struct verso__scan_outcome *outcome = &scan->run.outcome;
    int r = 0;

    if (outcome->status != VERSO_E_CANCELLED)
        r = verso__scan_tell_pending(&scan->jobs);
    if (r < 0)
        (void)verso__scan_stop(outcome, r, "matches", outcome->reached);
    if (outcome->status == VERSO__SCAN_ENDED)
        outcome->status = VERSO__SCAN_WHOLE;
    if (outcome->status == VERSO__SCAN_WHOLE)
        (void)verso__scan_call_at_end(&scan->jobs, outcome);
    verso__scan_drop_ahead(scan);
}

int verso__scan_run(struct verso_scan *scan, const struct verso__scan_source *source)
{
    uint64_t began_ns = verso__os_clock_ns();
    struct verso__scan_outcome *outcome = &scan->run.outcome;
    int r = set_up(scan, source);

    if (r < 0)
        return verso__fail(r, "malloc", source->path);
    verso__scan_work(scan);
    verso__scan_gather(scan);
    finish(scan);
    describe(scan, began_ns);
    return outcome->status < 0 ? fail(source, outcome->status, outcome->step, outcome->place) : 0;
}

int verso_scan_memory(struct verso_scan *scan, const void *data, size_t bytes)
{
    if (!scan || (!data && bytes > 0))
        return verso__fail(-EINVAL, "arguments", NULL);
    return verso__scan_run(scan, &(struct verso__scan_source){
                                     .kind = VERSO__SCAN_MEMORY, .fd = -1, .memory = data, .end = bytes, .path = "" });
}

/* ---- Files ---- */

/* Files in /proc say that they are empty, so one that says so is read all the same. */
static enum verso__scan_kind kind_of(const struct verso__os_file_info *info)
{
    if (info->kind != VERSO__OS_FILE_REGULAR && info->kind != VERSO__OS_FILE_BLOCK)
        return VERSO__SCAN_STREAM;
    return info->bytes > 0 ? VERSO__SCAN_FILE : VERSO__SCAN_UNSIZED;
}

/* @end UINT64_MAX: all of it. */
static int run_fd(struct verso_scan *scan, int fd, const char *path, uint64_t start, uint64_t end)
{
    struct verso__scan_source source = { .fd = fd, .path = path };
    int r = verso__os_file_info(fd, &source.before);

    if (r < 0)
        return fail(&source, r, "fstat", VERSO_OFFSET_NONE);
    if (source.before.kind == VERSO__OS_FILE_DIRECTORY)
        return fail(&source, -EISDIR, "read", VERSO_OFFSET_NONE);
    source.kind = kind_of(&source.before);
    if (source.kind == VERSO__SCAN_STREAM && (start != 0 || end != UINT64_MAX))
        return fail(&source, -ESPIPE, "range", start);
    source.end = source.kind == VERSO__SCAN_FILE ? verso__min_u64(end, source.before.bytes) : end;
    source.start = verso__min_u64(start, source.end);
    return verso__scan_run(scan, &source);
}

int verso_scan_fd(struct verso_scan *scan, int fd)
{
    if (!scan)
        return verso__fail(-EINVAL, "arguments", NULL);
    return run_fd(scan, fd, NULL, 0, UINT64_MAX);
}

int verso_scan_range(struct verso_scan *scan, int fd, uint64_t offset_bytes, uint64_t length_bytes)
{
    uint64_t end;

    if (!scan)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!verso__add_u64(offset_bytes, length_bytes, &end) || end > INT64_MAX)
        return verso__fail(VERSO_E_OVERFLOW, "range", NULL);
    return run_fd(scan, fd, NULL, offset_bytes, length_bytes ? end : UINT64_MAX);
}

int verso_scan_file(struct verso_scan *scan, const char *path)
{
    int fd, r;

    if (!scan || !path)
        return verso__fail(-EINVAL, "arguments", path);
    r = verso__os_open(path, VERSO__OS_OPEN_READ, 0, &fd);
    if (r < 0)
        return verso__fail(r, "open", path);
    r = run_fd(scan, fd, path, 0, UINT64_MAX);
    verso__os_close(fd);
    return r;
}
