/* SPDX-License-Identifier: MIT */
/* pass - one window: bring it in, look at it. */
#include "base/sums.h"
#include "scan/scan.h"

#include <errno.h>
#include <stdlib.h>

static void look(struct verso__scan_worker *worker, struct verso__scan_slot *slot,
                 const struct verso__scan_stretch *stretch)
{
    struct verso_scan *scan = worker->scan;

    verso__scan_look(&scan->jobs, stretch, &slot->summary);
    if (scan->run.is_ordered) {
        verso__scan_take_turn(worker, slot);
        if (slot->leg->outcome.status == 0) /* else it has ended before this window, which is thrown away */
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
    const struct verso__scan_source *source = &worker->scan->run.source;

    verso__scan_summary_reset(&slot->summary);
    slot->outcome = (struct verso__scan_outcome){ slot->start, VERSO__SCAN_WHOLE, NULL };
    if (source->kind == VERSO__SCAN_MEMORY)
        look(worker, slot,
             &(struct verso__scan_stretch){ source->memory + slot->start, (size_t)(slot->end - slot->start),
                                            slot->start });
    else
        pass_by_reading(worker, slot);
}
