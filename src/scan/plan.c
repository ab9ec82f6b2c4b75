/* SPDX-License-Identifier: MIT */
/*
 * plan - in which order the parts of a file are passed.
 *
 *      cached     |......######......###########|
 *      legs       |  2   | 0  |  3  |    1      |      what is cached first, before the rest drives it out
 *
 * A pass from start to end over a file that does not fit in memory finds nothing in the cache, ever: what it reads
 * drives out what it is about to read. So, where any order will do, what is cached is passed first. Few long legs: each
 * has a sum of its own.
 */
#include "base/sums.h"
#include "scan/scan.h"

#include <stdlib.h>
#include <string.h>

/* In smaller files nothing is gained. */
#define PLANNED_BYTES_LEAST ((uint64_t)16 << 20)

/* Legs begin and end at multiples of this: no large folio lies across, and any window divides it. */
#define STEP_BYTES ((uint64_t)4 << 20)

#define RESIDENT_LEGS_MAX (VERSO__SCAN_LEGS_MAX / 2 - 1)

struct part {
    uint64_t start;
    uint64_t end;
};

struct parts {
    struct part list[RESIDENT_LEGS_MAX];
    unsigned count;
};

/* When there are too many, the shortest goes. */
static void add_resident(struct parts *parts, struct part part)
{
    unsigned shortest = 0;

    if (part.start == part.end)
        return;
    if (parts->count < RESIDENT_LEGS_MAX) {
        parts->list[parts->count++] = part;
        return;
    }
    for (unsigned i = 1; i < parts->count; i++)
        if (parts->list[i].end - parts->list[i].start < parts->list[shortest].end - parts->list[shortest].start)
            shortest = i;
    if (parts->list[shortest].end - parts->list[shortest].start >= part.end - part.start)
        return;
    memmove(&parts->list[shortest], &parts->list[shortest + 1], (parts->count - 1 - shortest) * sizeof(parts->list[0]));
    parts->list[parts->count - 1] = part;
}

/*
 * What is missing in the midst of what is cached is read, and drives out as much: the oldest, which is what would be
 * passed next, and so on to the end. So it must be little.
 */
static bool is_nearly_whole(uint64_t cached_bytes, uint64_t bytes)
{
    return cached_bytes >= bytes - bytes / 8;
}

/* False: it can't be known. */
static bool find_resident(const struct verso__scan_source *source, struct parts *parts)
{
    uint64_t page = verso__os_page_bytes(), next;
    struct part part = { source->start, source->start };
    struct verso__os_cache_counts counts;

    for (uint64_t at = source->start; at < source->end; at = next) {
        next = verso__min_u64(verso__round_down(at, STEP_BYTES) + STEP_BYTES, source->end);
        if (verso__os_cache_counts(source->fd, at, next - at, &counts) < 0)
            return false;
        if (is_nearly_whole(counts.cached_pages * page, next - at)) {
            part.end = next;
            continue;
        }
        add_resident(parts, part);
        part = (struct part){ next, next };
    }
    add_resident(parts, part);
    return true;
}

/* False without memory. Nearly all scans have one leg. */
static bool make_leg(struct verso_scan *scan)
{
    struct verso__scan_leg *legs = realloc(scan->legs, (scan->legs_made + 1) * sizeof(*legs));

    if (!legs)
        return false;
    scan->legs = legs;
    if (!verso__scan_summary_make(&legs[scan->legs_made].sum, &scan->jobs))
        return false;
    scan->legs_made++;
    return true;
}

/* False without memory. */
static bool add_leg(struct verso_scan *scan, uint64_t start, uint64_t end)
{
    struct verso__scan_run *run = &scan->run;
    struct verso__scan_leg *leg;

    if (start == end)
        return true;
    if (run->leg_count == scan->legs_made && !make_leg(scan))
        return false;
    leg = &scan->legs[run->leg_count];
    verso__scan_summary_reset(&scan->jobs, &leg->sum);
    leg->start = start;
    leg->end = end;
    leg->dropped_to = start;
    leg->outcome = (struct verso__scan_outcome){ .reached = start };
    leg->first_window = start / run->window_bytes;
    leg->first_ticket = run->tickets;
    run->tickets += (end - 1) / run->window_bytes + 1 - leg->first_window;
    run->leg_count++;
    return true;
}

static bool is_worth_it(const struct verso_scan *scan)
{
    const struct verso__scan_run *run = &scan->run;
    uint64_t bytes = run->source.end - run->source.start;

    return run->source.kind == VERSO__SCAN_FILE && !run->is_ordered && !(scan->options.flags & VERSO_SCAN_IN_ORDER) &&
           bytes >= PLANNED_BYTES_LEAST && run->cached_bytes != VERSO_OFFSET_NONE && run->cached_bytes >= bytes / 32 &&
           run->cached_bytes < bytes - bytes / 32;
}

bool verso__scan_plan(struct verso_scan *scan)
{
    struct verso__scan_run *run = &scan->run;
    uint64_t at = run->source.start;
    struct parts parts = { .count = 0 };
    bool done = true;

    if (is_worth_it(scan) && !find_resident(&run->source, &parts))
        parts.count = 0;
    for (unsigned i = 0; done && i < parts.count; i++)
        done = add_leg(scan, parts.list[i].start, parts.list[i].end);
    run->is_resident_first = run->leg_count > 0 && parts.list[0].end - parts.list[0].start < run->source.end - at;
    for (unsigned i = 0; done && i < parts.count; i++) {
        done = add_leg(scan, at, parts.list[i].start);
        at = parts.list[i].end;
    }
    return done && add_leg(scan, at, run->source.end);
}

/* ---- Together again ---- */

/* The leg that goes on at @offset; NULL: none. */
static const struct verso__scan_leg *leg_from(const struct verso_scan *scan, uint64_t offset)
{
    for (unsigned i = 0; i < scan->run.leg_count; i++)
        if (scan->legs[i].start == offset)
            return &scan->legs[i];
    return NULL;
}

void verso__scan_gather(struct verso_scan *scan)
{
    struct verso__scan_run *run = &scan->run;
    struct verso__scan_outcome *outcome = &run->outcome;
    const struct verso__scan_leg *leg;

    verso__scan_summary_reset(&scan->jobs, &scan->sum);
    *outcome = (struct verso__scan_outcome){ .reached = run->source.start };
    while (outcome->status == 0 && (leg = leg_from(scan, outcome->reached))) {
        verso__scan_summary_join(&scan->jobs, &scan->sum, &leg->sum);
        *outcome = leg->outcome;
        if (outcome->reached < leg->end)
            break;
    }
    if (outcome->reached < run->source.end && run->cancelled_by)
        (void)verso__scan_stop(outcome, VERSO_E_CANCELLED, run->cancelled_by, outcome->reached);
}
