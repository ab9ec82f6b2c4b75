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
    return !jobs->histogram || summary->histogram;
}

void verso__scan_summary_free(struct verso__scan_summary *summary)
{
    free(summary->histogram);
    summary->histogram = NULL;
}

void verso__scan_summary_reset(struct verso__scan_summary *summary)
{
    uint64_t *histogram = summary->histogram;

    *summary = (struct verso__scan_summary){ .histogram = histogram };
    if (histogram)
        memset(histogram, 0, BYTE_VALUES * sizeof(*histogram));
}

static void add(uint64_t *counts, const uint64_t *more, size_t count)
{
    for (size_t i = 0; i < count; i++)
        counts[i] += more[i];
}

void verso__scan_summary_join(struct verso__scan_summary *left, const struct verso__scan_summary *right)
{
    left->bytes += right->bytes;
    verso__scan_text_join(&left->text, &right->text);
    if (left->histogram)
        add(left->histogram, right->histogram, BYTE_VALUES);
}

void verso__scan_look(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                      struct verso__scan_summary *summary)
{
    struct verso__scan_text text;

    if (jobs->counts) {
        verso__scan_text(stretch->data, stretch->bytes, jobs->counts, &text);
        verso__scan_text_join(&summary->text, &text);
    }
    if (jobs->histogram)
        verso__scan_histogram(stretch->data, stretch->bytes, summary->histogram);
    summary->bytes += stretch->bytes;
}

bool verso__scan_is_ordered(const struct verso__scan_jobs *jobs)
{
    for (size_t kind = 0; kind < VERSO__SCAN_DIGESTS; kind++)
        if (jobs->digests[kind])
            return true;
    return false;
}

void verso__scan_look_ordered(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch)
{
    for (size_t kind = 0; kind < VERSO__SCAN_DIGESTS; kind++)
        if (jobs->digests[kind])
            verso_digest_update(jobs->digests[kind], stretch->data, stretch->bytes);
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
