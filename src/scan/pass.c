/* SPDX-License-Identifier: MIT */
/*
 * pass - one window: bring it in, look at it.
 *
 * A mapped window is looked at under the guard. Whatever goes wrong with it (it can't be mapped, it is torn under our
 * eyes, the file has become shorter than what was seen), nothing of it is kept, and the window is read instead: reading
 * says exactly how far it came, and why not further. A file that is cut in the middle of a page shows zeros behind its
 * end, without a fault; so its size is looked at after each look.
 */
#include "base/sums.h"
#include "scan/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Doubled a few times, it is what is read at once. */
#define BUFFER_BYTES_LEAST ((size_t)16 << 10)

struct attempt {
    const struct verso__scan_jobs *jobs;
    struct verso__scan_stretch stretch;
    struct verso__scan_slot *slot;
};

static int try_to_look(void *arg)
{
    struct attempt *attempt = arg;

    verso__scan_look(attempt->jobs, &attempt->stretch, &attempt->slot->summary, &attempt->slot->outcome);
    return 0;
}

static int try_to_look_ordered(void *arg)
{
    struct attempt *attempt = arg;

    verso__scan_look_ordered(attempt->jobs, &attempt->stretch, &attempt->slot->outcome);
    return 0;
}

/* Runs @function under guard, and holds that all of the window was part of the file until it was done. */
static bool came_through(struct verso__scan_worker *worker, verso_guard_function *function, struct attempt *attempt)
{
    int64_t file_bytes;

    if (verso__guard_run(&worker->view.range, function, attempt, NULL) < 0)
        return false;
    file_bytes = verso__os_file_bytes_now(worker->scan->run.source.fd);
    return file_bytes < 0 || (uint64_t)file_bytes >= attempt->slot->end; /* below 0: a block device */
}

/* The leg has not ended before this window: then what is found here is thrown away. */
static bool is_wanted(const struct verso__scan_slot *slot)
{
    return slot->leg->outcome.status == 0;
}

/* @lines: of the window, before the stretch; whose turn it is may look at the sum of all before the window. */
static void tell_matches(struct verso_scan *scan, const struct verso__scan_stretch *stretch, uint64_t lines,
                         struct verso__scan_slot *slot)
{
    int r = 0;

    if (slot->outcome.status >= 0)
        r = verso__scan_tell_matches(&scan->jobs, stretch, slot->leg->sum.text.lines + lines, &slot->summary.kept);

    if (r < 0)
        (void)verso__scan_stop(&slot->outcome, r, "matches", stretch->offset + stretch->bytes);
}

/* False: digests are as they were, and no match has been told of. */
static bool pass_in_order(struct verso__scan_worker *worker, struct attempt *attempt)
{
    const struct verso__scan_jobs *jobs = attempt->jobs;

    verso__scan_take_turn(worker, attempt->slot);
    if (!is_wanted(attempt->slot))
        return true;
    verso__scan_remember(jobs);
    if (!came_through(worker, try_to_look_ordered, attempt)) {
        verso__scan_go_back(jobs);
        return false;
    }
    tell_matches(worker->scan, &attempt->stretch, 0, attempt->slot);
    return true;
}

static size_t lead_of(const struct verso__scan_run *run, const struct verso__scan_slot *slot)
{
    return (size_t)verso__min_u64(run->lead_bytes, slot->start - run->source.start);
}

/* False: nothing that was found is worth keeping. */
static bool pass_by_mapping(struct verso__scan_worker *worker, struct verso__scan_slot *slot)
{
    struct verso_scan *scan = worker->scan;
    size_t lead = lead_of(&scan->run, slot), bytes = (size_t)(slot->end - slot->start);
    const unsigned char *mapped =
        verso__scan_view_place(&worker->view, &scan->run.source, slot->start - lead, lead + bytes);
    struct attempt attempt = { &scan->jobs, { NULL, bytes, slot->start, lead, worker->number }, slot };

    if (!mapped)
        return false;
    attempt.stretch.data = mapped + lead;
    if (!came_through(worker, try_to_look, &attempt))
        return false;
    /* Matches that are not kept are looked for again while they are told of: not in a map, which may fault then. */
    if (scan->run.is_ordered && verso__scan_needs_turn(&scan->jobs, &slot->summary) &&
        (slot->summary.kept.lacks_some || !pass_in_order(worker, &attempt)))
        return false;
    slot->outcome.reached = slot->end;
    return true;
}

/* What stays as it is: private copies, and the memory of the caller. */
static void look(struct verso__scan_worker *worker, struct verso__scan_slot *slot,
                 const struct verso__scan_stretch *stretch)
{
    struct verso_scan *scan = worker->scan;
    uint64_t lines = slot->summary.text.lines;

    verso__scan_look(&scan->jobs, stretch, &slot->summary, &slot->outcome);
    if (scan->run.is_ordered && verso__scan_needs_turn(&scan->jobs, &slot->summary)) {
        verso__scan_take_turn(worker, slot);
        if (is_wanted(slot)) {
            verso__scan_look_ordered(&scan->jobs, stretch, &slot->outcome);
            tell_matches(scan, stretch, lines, slot);
        }
    }
    slot->outcome.reached += stretch->bytes;
}

static void pass_memory(struct verso__scan_worker *worker, struct verso__scan_slot *slot)
{
    const struct verso__scan_run *run = &worker->scan->run;
    const struct verso__scan_stretch stretch = { run->source.memory + slot->start, (size_t)(slot->end - slot->start),
                                                 slot->start, lead_of(run, slot), worker->number };

    look(worker, slot, &stretch);
}

/* Small files are many: they shall not pay for a large buffer, which malloc() maps, and whose pages are made anew. */
static unsigned char *buffer_of(struct verso__scan_worker *worker)
{
    const struct verso__scan_run *run = &worker->scan->run;
    size_t bytes = BUFFER_BYTES_LEAST;

    while (bytes < VERSO__SCAN_PIECE_BYTES && bytes < run->source.end - run->source.start)
        bytes *= 2;
    if (worker->buffer_bytes < bytes) {
        free(worker->buffer);
        worker->buffer = malloc(run->lead_bytes + bytes);
        worker->buffer_bytes = worker->buffer ? bytes : 0;
    }
    return worker->buffer;
}

/*
 * Piece by piece through the worker's buffer:
 *
 *      buffer    |......[ lead ][ piece .................]
 *
 * The first lead is read with its piece; then the end of each piece becomes the lead of the next.
 */
static void pass_by_reading(struct verso__scan_worker *worker, struct verso__scan_slot *slot)
{
    struct verso_scan *scan = worker->scan;
    struct verso__scan_outcome *outcome = &slot->outcome;
    size_t lead = lead_of(&scan->run, slot), fresh = lead, room = scan->run.lead_bytes;
    unsigned char *data = buffer_of(worker);

    if (!data) {
        (void)verso__scan_stop(outcome, -ENOMEM, "malloc", slot->start);
        return;
    }
    data += room;
    while (outcome->status == 0 && outcome->reached < slot->end) {
        uint64_t offset = outcome->reached;
        size_t want = (size_t)verso__min_u64(slot->end - offset, VERSO__SCAN_PIECE_BYTES);
        struct verso__scan_outcome end = { 0 };
        size_t got = verso__scan_read(scan, offset - fresh, data - fresh, fresh + want, &worker->seen, &end);

        if (got <= fresh) { /* what is before the window is for others to tell of */
            (void)verso__scan_stop(outcome, end.status, end.step, offset);
            break;
        }
        got -= fresh;
        look(worker, slot, &(struct verso__scan_stretch){ data, got, offset, lead, worker->number });
        fresh = 0;
        lead = (size_t)verso__min_u64(room, lead + got);
        memmove(data - lead, data + got - lead, lead);
        if (end.status)
            (void)verso__scan_stop(outcome, end.status, end.step, end.place);
        if (scan->run.tickets == 1 && !verso__scan_tell_progress(scan, outcome->reached, false))
            (void)verso__scan_stop(outcome, VERSO_E_CANCELLED, "progress", outcome->reached);
    }
}

void verso__scan_pass(struct verso__scan_worker *worker, struct verso__scan_slot *slot)
{
    const struct verso_scan *scan = worker->scan;

    verso__scan_summary_reset(&scan->jobs, &slot->summary);
    slot->outcome = (struct verso__scan_outcome){ .reached = slot->start };
    if (scan->run.method == VERSO_SCAN_MEMORY) {
        pass_memory(worker, slot);
        return;
    }
    if (scan->run.method == VERSO_SCAN_MAPPED) {
        if (pass_by_mapping(worker, slot))
            return;
        verso__scan_summary_reset(&scan->jobs, &slot->summary);
        slot->outcome = (struct verso__scan_outcome){ .reached = slot->start };
    }
    pass_by_reading(worker, slot);
}
