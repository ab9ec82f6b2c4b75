/* SPDX-License-Identifier: MIT */
/* open - a scan, and its end. */
#include "base/fail.h"
#include "base/options.h"
#include "scan/scan.h"

#include <errno.h>
#include <stdlib.h>

#define THREADS_MAX 1024
#define BUDGET_BYTES_LEAST ((uint64_t)1 << 20)
#define BUDGET_BYTES_DEFAULT ((uint64_t)32 << 20)

static int options_read(const struct verso_scan_options *given, struct verso_scan_options *out_options)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;

    if (given && !verso__options_take(given, &options, sizeof(options), sizeof(options)))
        return VERSO_E_OPTIONS;
    if (options.cache > VERSO_SCAN_CACHE_DROP || options.flags & ~(unsigned)VERSO_SCAN_IN_ORDER)
        return VERSO_E_OPTIONS;
    if (options.method > VERSO_SCAN_READ || (options.budget_bytes && options.budget_bytes < BUDGET_BYTES_LEAST))
        return VERSO_E_OPTIONS;
    if (options.budget_bytes == 0)
        options.budget_bytes = BUDGET_BYTES_DEFAULT;
    if (options.thread_count == 0)
        options.thread_count = verso__os_processor_count();
    if (options.thread_count > THREADS_MAX)
        options.thread_count = THREADS_MAX;
    *out_options = options;
    return 0;
}

static bool make_pool(struct verso_scan *scan)
{
    scan->workers = calloc(scan->options.thread_count, sizeof(*scan->workers));
    if (!scan->workers)
        return false;
    for (unsigned i = 0; i < scan->options.thread_count; i++) {
        scan->workers[i] = (struct verso__scan_worker){ .scan = scan, .number = i };
        verso__guard_range_init(&scan->workers[i].view.range);
    }
    /* None of these can fail: glibc's need nothing but the memory they are given. */
    (void)pthread_mutex_init(&scan->lock, NULL);
    (void)pthread_cond_init(&scan->to_work, NULL);
    (void)pthread_cond_init(&scan->to_go_on, NULL);
    return true;
}

int verso_scan_open(const struct verso_scan_options *given, struct verso_scan **out_scan)
{
    struct verso_scan_options options;
    struct verso_scan *scan;
    int r;

    if (!out_scan)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = options_read(given, &options);
    if (r < 0)
        return verso__fail(r, "options", NULL);
    r = verso_guard_install();
    if (r < 0)
        return r;
    scan = calloc(1, sizeof(*scan));
    if (scan)
        scan->options = options;
    if (!scan || !make_pool(scan)) {
        free(scan);
        (void)verso_guard_remove();
        return verso__fail(-ENOMEM, "malloc", NULL);
    }
    scan->result = (struct verso_scan_result){ .why = "", .kernel = "" };
    *out_scan = scan;
    return 0;
}

void verso_scan_close(struct verso_scan *scan)
{
    if (!scan)
        return;
    verso__scan_end_threads(scan);
    for (unsigned i = 0; i < scan->options.thread_count; i++) {
        verso__scan_view_close(&scan->workers[i].view);
        free(scan->workers[i].buffer);
    }
    (void)verso_guard_remove(); /* refused when another handler is over ours, which then passes on what is not ours */
    for (unsigned i = 0; i < scan->slot_count; i++)
        verso__scan_summary_free(&scan->slots[i].summary);
    verso__scan_jobs_free(&scan->jobs);
    for (unsigned i = 0; i < scan->legs_made; i++)
        verso__scan_summary_free(&scan->legs[i].sum);
    verso__scan_summary_free(&scan->sum);
    verso__scan_before_forget(&scan->before);
    free(scan->legs);
    (void)pthread_cond_destroy(&scan->to_go_on);
    (void)pthread_cond_destroy(&scan->to_work);
    (void)pthread_mutex_destroy(&scan->lock);
    free(scan->slots);
    free(scan->workers);
    free(scan);
}
