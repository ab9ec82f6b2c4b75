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

struct attempt {
    const struct verso__scan_jobs *jobs;
    struct verso__scan_stretch stretch;
    struct verso__scan_summary *summary;
};

static int try_to_look(void *arg)
{
    struct attempt *attempt = arg;

    verso__scan_look(attempt->jobs, &attempt->stretch, attempt->summary);
    return 0;
}

static int try_to_look_ordered(void *arg)
{
    struct attempt *attempt = arg;

    verso__scan_look_ordered(attempt->jobs, &attempt->stretch);
    return 0;
}

/* Runs @function under guard, and holds that all of the window was part of the file until it was done. */
static bool came_through(struct verso__scan_worker *worker, const struct verso__scan_slot *slot,
                         verso_guard_function *function, struct attempt *attempt)
{
    int64_t file_bytes;

    if (verso__guard_run(&worker->view.range, function, attempt, NULL) < 0)
        return false;
    file_bytes = verso__os_file_bytes_now(worker->scan->run.source.fd);
    return file_bytes < 0 || (uint64_t)file_bytes >= slot->end; /* below 0: a block device */
}

/* The leg has not ended before this window: then what is found here is thrown away. */
static bool is_wanted(const struct verso__scan_slot *slot)
{
    return slot->leg->outcome.status == 0;
}

/* False: nothing was kept. */
static bool pass_by_mapping(struct verso__scan_worker *worker, struct verso__scan_slot *slot)
{
    struct verso_scan *scan = worker->scan;
    struct attempt attempt = { &scan->jobs, { NULL, (size_t)(slot->end - slot->start), slot->start }, &slot->summary };

    attempt.stretch.data = verso__scan_view_place(&worker->view, &scan->run.source, slot->start, attempt.stretch.bytes);
    if (!attempt.stretch.data || !came_through(worker, slot, try_to_look, &attempt))
        return false;
    if (scan->run.is_ordered) {
        verso__scan_take_turn(worker, slot);
        verso__scan_remember(&scan->jobs);
        if (is_wanted(slot) && !came_through(worker, slot, try_to_look_ordered, &attempt)) {
            verso__scan_go_back(&scan->jobs);
            return false;
        }
    }
    slot->outcome.reached = slot->end;
    return true;
}

/* What stays as it is: private copies, and the memory of the caller. */
static void look(struct verso__scan_worker *worker, struct verso__scan_slot *slot,
                 const struct verso__scan_stretch *stretch)
{
    struct verso_scan *scan = worker->scan;

    verso__scan_look(&scan->jobs, stretch, &slot->summary);
    if (scan->run.is_ordered) {
        verso__scan_take_turn(worker, slot);
        if (is_wanted(slot))
            verso__scan_look_ordered(&scan->jobs, stretch);
    }
    slot->outcome.reached += stretch->bytes;
}

/* Piece by piece through the worker's buffer. */
static void pass_by_reading(struct verso__scan_worker *worker, struct verso__scan_slot *slot)
{
    const struct verso__scan_source *source = &worker->scan->run.source;
    struct verso__scan_outcome *outcome = &slot->outcome;

    if (!worker->buffer)
        worker->buffer = malloc(VERSO__SCAN_PIECE_BYTES);
    if (!worker->buffer) {
        *outcome = (struct verso__scan_outcome){ slot->start, -ENOMEM, "malloc" };
        return;
    }
    while (outcome->status == 0 && outcome->reached < slot->end) {
        uint64_t offset = outcome->reached;
        size_t want = (size_t)verso__min_u64(slot->end - offset, VERSO__SCAN_PIECE_BYTES);
        size_t got = verso__scan_read(source, offset, worker->buffer, want, &worker->seen, outcome);

        if (got)
            look(worker, slot, &(struct verso__scan_stretch){ worker->buffer, got, offset });
    }
}

void verso__scan_pass(struct verso__scan_worker *worker, struct verso__scan_slot *slot)
{
    const struct verso__scan_run *run = &worker->scan->run;

    verso__scan_summary_reset(&slot->summary);
    slot->outcome = (struct verso__scan_outcome){ slot->start, VERSO__SCAN_WHOLE, NULL };
    if (run->method == VERSO_SCAN_MEMORY) {
        look(worker, slot,
             &(struct verso__scan_stretch){ run->source.memory + slot->start, (size_t)(slot->end - slot->start),
                                            slot->start });
        return;
    }
    if (run->method == VERSO_SCAN_MAPPED) {
        if (pass_by_mapping(worker, slot))
            return;
        verso__scan_summary_reset(&slot->summary);
    }
    pass_by_reading(worker, slot);
}
