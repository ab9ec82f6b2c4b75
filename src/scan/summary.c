/* SPDX-License-Identifier: MIT */
/* summary - what a stretch holds, and what two hold together. */
#include "scan/scan.h"

#include <stdlib.h>
#include <string.h>

#define BYTE_VALUES 256

bool verso__scan_summary_make(struct verso__scan_summary *summary, const struct verso__scan_jobs *jobs)
{
    *summary = (struct verso__scan_summary){ 0 };
    if (jobs->histogram)
        summary->histogram = calloc(BYTE_VALUES, sizeof(*summary->histogram));
    if (jobs->finder)
        summary->needle_counts = calloc(jobs->needle_count, sizeof(*summary->needle_counts));
    if ((!jobs->histogram || summary->histogram) && (!jobs->finder || summary->needle_counts))
        return true;
    verso__scan_summary_free(summary);
    return false;
}

void verso__scan_summary_free(struct verso__scan_summary *summary)
{
    free(summary->histogram);
    free(summary->needle_counts);
    free(summary->kept.list);
    *summary = (struct verso__scan_summary){ 0 };
}

void verso__scan_summary_reset(const struct verso__scan_jobs *jobs, struct verso__scan_summary *summary)
{
    *summary = (struct verso__scan_summary){ .histogram = summary->histogram,
                                             .needle_counts = summary->needle_counts,
                                             .kept = summary->kept };
    if (summary->histogram)
        memset(summary->histogram, 0, BYTE_VALUES * sizeof(*summary->histogram));
    if (summary->needle_counts)
        memset(summary->needle_counts, 0, jobs->needle_count * sizeof(*summary->needle_counts));
}

static void add(uint64_t *counts, const uint64_t *more, size_t count)
{
    for (size_t i = 0; i < count; i++)
        counts[i] += more[i];
}

void verso__scan_summary_join(const struct verso__scan_jobs *jobs, struct verso__scan_summary *left,
                              const struct verso__scan_summary *right)
{
    left->bytes += right->bytes;
    left->matches += right->matches;
    verso__scan_text_join(&left->text, &right->text);
    verso__scan_lines_join(&left->lines, &right->lines);
    if (left->histogram)
        add(left->histogram, right->histogram, BYTE_VALUES);
    if (left->needle_counts)
        add(left->needle_counts, right->needle_counts, jobs->needle_count);
}

void verso__scan_look(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                      struct verso__scan_summary *summary, struct verso__scan_outcome *outcome)
{
    struct verso__scan_text text;

    if (jobs->counts) {
        verso__scan_text(stretch->data, stretch->bytes, jobs->counts, &text);
        verso__scan_text_join(&summary->text, &text);
    }
    if (jobs->histogram)
        verso__scan_histogram(stretch->data, stretch->bytes, summary->histogram);
    if (jobs->finder)
        verso__scan_find_all(jobs, stretch, summary);
    summary->bytes += stretch->bytes;
    if (jobs->caller_count)
        (void)verso__scan_call_any_order(jobs, stretch, outcome);
}

void verso__scan_look_ordered(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                              struct verso__scan_outcome *outcome)
{
    for (size_t kind = 0; kind < VERSO__SCAN_DIGESTS; kind++)
        if (jobs->digests[kind])
            verso_digest_update(jobs->digests[kind], stretch->data, stretch->bytes);
    if (outcome->status == 0)
        (void)verso__scan_call_in_order(jobs, stretch, outcome);
}

static bool is_ordered_but_for_matches(const struct verso__scan_jobs *jobs)
{
    for (size_t kind = 0; kind < VERSO__SCAN_DIGESTS; kind++)
        if (jobs->digests[kind])
            return true;
    for (size_t i = 0; i < jobs->caller_count; i++)
        if (jobs->callers[i].is_records || !(jobs->callers[i].flags & VERSO_SCAN_ANY_ORDER))
            return true;
    return false;
}

bool verso__scan_is_ordered(const struct verso__scan_jobs *jobs)
{
    return jobs->each_match || is_ordered_but_for_matches(jobs);
}

bool verso__scan_needs_turn(const struct verso__scan_jobs *jobs, const struct verso__scan_summary *summary)
{
    return summary->kept.count > 0 || summary->kept.lacks_some || is_ordered_but_for_matches(jobs) ||
           !verso__scan_finder_has_one_length(jobs->finder);
}

bool verso__scan_wants_copies(const struct verso__scan_jobs *jobs)
{
    for (size_t i = 0; i < jobs->caller_count; i++)
        if (!(jobs->callers[i].flags & VERSO_SCAN_RESTARTABLE))
            return true;
    return jobs->needle_flags & VERSO_SCAN_WITH_CONTENT;
}

void verso__scan_jobs_reset(struct verso__scan_jobs *jobs)
{
    for (size_t kind = 0; kind < VERSO__SCAN_DIGESTS; kind++)
        if (jobs->digests[kind])
            verso_digest_reset(jobs->digests[kind]);
    for (size_t i = 0; i < jobs->caller_count; i++)
        jobs->callers[i].carried_bytes = 0;
    jobs->pending.count = 0;
}

void verso__scan_jobs_free(struct verso__scan_jobs *jobs)
{
    for (size_t kind = 0; kind < VERSO__SCAN_DIGESTS; kind++) {
        verso_digest_close(jobs->digests[kind]);
        verso_digest_close(jobs->earlier[kind]);
    }
    for (size_t i = 0; i < jobs->caller_count; i++)
        free(jobs->callers[i].carried);
    free(jobs->callers);
    free(jobs->pending.list);
    verso__scan_finder_close(jobs->finder);
}

void verso__scan_remember(const struct verso__scan_jobs *jobs)
{
    for (size_t kind = 0; kind < VERSO__SCAN_DIGESTS; kind++)
        if (jobs->digests[kind])
            verso_digest_copy(jobs->earlier[kind], jobs->digests[kind]);
}

void verso__scan_go_back(const struct verso__scan_jobs *jobs)
{
    for (size_t kind = 0; kind < VERSO__SCAN_DIGESTS; kind++)
        if (jobs->digests[kind])
            verso_digest_copy(jobs->digests[kind], jobs->earlier[kind]);
}
