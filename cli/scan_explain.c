/* SPDX-License-Identifier: MIT */
/*
 * scan_explain - how files were passed, and how near that came to what the machine can do.
 *
 * The limit is measured here and now: the same loops, with as many threads, over memory of this process. Where a file
 * is passed in order, as for a checksum, more threads than one can bring it in but not do the work: the limit is what
 * one thread does, times the files that were passed at once.
 */
#include "scan_files.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT_BYTES ((size_t)64 << 20) /* more than the caches of most processors */
#define LIMIT_ROUNDS 5

static double gigabytes_per_second(uint64_t bytes, uint64_t duration_ns)
{
    return duration_ns ? (double)bytes / (double)duration_ns : 0;
}

static const char *method_shown(unsigned method)
{
    return method == VERSO_SCAN_MAPPED ? "mapped" : method == VERSO_SCAN_MEMORY ? "memory" : "read";
}

static const char *if_text(const char *text)
{
    return text ? text : "";
}

void scan_explain_json(json_t *object, const struct verso_scan_result *result)
{
    json_object_set_new(object, "changed", json_boolean(result->changed));
    json_object_set_new(object, "method", json_string(method_shown(result->method)));
    json_object_set_new(object, "why", json_string(if_text(result->why)));
    json_object_set_new(object, "kernel", json_string(if_text(result->kernel)));
    json_object_set_new(object, "threads", json_integer(result->thread_count));
    json_object_set_new(object, "resident_first", json_boolean(result->resident_first));
    json_object_set_new(object, "cached_bytes",
                        result->cached_bytes == VERSO_OFFSET_NONE ? json_null()
                                                                  : json_integer((json_int_t)result->cached_bytes));
    json_object_set_new(object, "duration_ns", json_integer((json_int_t)result->duration_ns));
}

void scan_explain_file(const struct scan_file *file)
{
    const struct verso_scan_result *result = &file->result;
    char size[32], cached[64] = "", rest[32];
    char *shown = name_shown(file->name);

    if (result->cached_bytes != VERSO_OFFSET_NONE && result->bytes)
        (void)snprintf(cached, sizeof(cached), ", %s of it cached%s", bytes_shown(result->cached_bytes, rest),
                       result->resident_first ? " and passed first" : "");
    if (result->duration_ns == 0) /* nothing was measured: no scan of it as a whole */
        note("%s: %s", shown, if_text(result->why));
    else
        note("%s: %s, %u thread%s, %s: %s%s in %.3f ms, %.1f GB/s; %s", shown, method_shown(result->method),
             result->thread_count, result->thread_count == 1 ? "" : "s", if_text(result->kernel),
             bytes_shown(result->bytes, size), cached, (double)result->duration_ns / 1e6,
             gigabytes_per_second(result->bytes, result->duration_ns), if_text(result->why));
    free(shown);
}

static double measure_limit(struct verso_scan *scan)
{
    static const char line[] = "the quick brown fox jumps over the lazy dog, and back it comes\n";
    char *memory = allocate(NULL, LIMIT_BYTES, 1);
    double best = 0;

    for (size_t at = 0; at < LIMIT_BYTES; at += sizeof(line) - 1)
        memcpy(memory + at, line, LIMIT_BYTES - at < sizeof(line) - 1 ? LIMIT_BYTES - at : sizeof(line) - 1);
    for (int round = 0; round < LIMIT_ROUNDS && !interrupted(); round++) {
        struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
        double rate;

        if (verso_scan_memory(scan, memory, LIMIT_BYTES) < 0 || verso_scan_result(scan, &result) < 0)
            break;
        rate = gigabytes_per_second(result.bytes, result.duration_ns);
        best = rate > best ? rate : best;
    }
    free(memory);
    return best;
}

void scan_explain_limit(const struct scan_job *job, uint64_t bytes, uint64_t duration_ns, unsigned lanes)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    struct verso_scan *scan = NULL;
    void *state = memset(allocate(NULL, 1, job->state_bytes), 0, job->state_bytes);
    double limit = 0, rate = gigabytes_per_second(bytes, duration_ns);
    char size[32];

    options.thread_count = job->is_in_order ? 1 : (unsigned)scan_request.thread_count;
    if (verso_scan_open(&options, &scan) < 0 || job->prepare(scan, state) < 0)
        (void)trouble_error();
    else
        limit = measure_limit(scan) * (job->is_in_order ? lanes : 1);
    if (limit > 0)
        note("all together: %s in %.3f ms, %.1f GB/s: %.0f %% of this machine's limit (the same loops over memory%s: "
             "%.1f GB/s)",
             bytes_shown(bytes, size), (double)duration_ns / 1e6, rate, 100 * rate / limit,
             !job->is_in_order ? ""
             : lanes > 1       ? ", by one thread for each file"
                               : ", by one thread, as order wants it",
             limit);
    if (job->clear)
        job->clear(state);
    verso_scan_close(scan);
    free(state);
}
