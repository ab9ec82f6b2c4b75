/* SPDX-License-Identifier: MIT */
/*
 * records - functions of the caller, for stretches and for what lies between two delimiters.
 *
 *      stretches   |......,...........,.....,.....|.............,......|
 *      records      -----> ----------> ---->             inside one: in any order, when that is allowed
 *                                            -----------------> across two: put together, by who has the turn
 */
#include "scan/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct verso__scan_caller *verso__scan_caller_add(struct verso__scan_jobs *jobs)
{
    struct verso__scan_caller *callers = realloc(jobs->callers, (jobs->caller_count + 1) * sizeof(*callers));

    if (!callers)
        return NULL;
    jobs->callers = callers;
    return &callers[jobs->caller_count++];
}

static int call(const struct verso__scan_caller *caller, const struct verso__scan_stretch *stretch, size_t from,
                size_t bytes, struct verso__scan_outcome *outcome)
{
    const struct verso_scan_piece piece = { stretch->offset + from, stretch->data + from, bytes, stretch->worker };

    if (caller->is_records && bytes > caller->record_bytes_max)
        return verso__scan_stop(outcome, VERSO_E_TOO_LARGE, "record", piece.offset_bytes);
    if (caller->each(&piece, caller->arg) == 0)
        return 0;
    return verso__scan_stop(outcome, VERSO_E_CANCELLED, "function", piece.offset_bytes);
}

/* Calls for all records that end in [from, bytes) and begin there. *out_rest: where the unfinished one begins. */
static int call_for_whole(const struct verso__scan_caller *caller, const struct verso__scan_stretch *stretch,
                          size_t from, size_t *out_rest, struct verso__scan_outcome *outcome)
{
    const unsigned char *end;
    int r = 0;

    while (r == 0 && from < stretch->bytes &&
           (end = memchr(stretch->data + from, caller->delimiter, stretch->bytes - from))) {
        size_t bytes = (size_t)(end - (stretch->data + from));

        r = call(caller, stretch, from, bytes, outcome);
        from += bytes + 1;
    }
    *out_rest = from;
    return r;
}

/* Behind the first delimiter: where the first record begins that is known to begin here. */
static size_t first_begin(const struct verso__scan_caller *caller, const struct verso__scan_stretch *stretch)
{
    const unsigned char *end = memchr(stretch->data, caller->delimiter, stretch->bytes);

    return end ? (size_t)(end - stretch->data) + 1 : stretch->bytes;
}

static size_t last_begin(const struct verso__scan_caller *caller, const struct verso__scan_stretch *stretch)
{
    const unsigned char *end = memrchr(stretch->data, caller->delimiter, stretch->bytes);

    return end ? (size_t)(end - stretch->data) + 1 : 0;
}

static int carry(struct verso__scan_caller *caller, const struct verso__scan_stretch *stretch, size_t from,
                 size_t bytes, struct verso__scan_outcome *outcome)
{
    if (caller->carried_bytes == 0)
        caller->carried_offset = stretch->offset + from;
    if (bytes > caller->record_bytes_max - caller->carried_bytes)
        return verso__scan_stop(outcome, VERSO_E_TOO_LARGE, "record", caller->carried_offset);
    if (caller->carried_bytes + bytes > caller->carry_room) {
        size_t room = 2 * (caller->carried_bytes + bytes);
        unsigned char *more = realloc(caller->carried, room);

        if (!more)
            return verso__scan_stop(outcome, -ENOMEM, "malloc", caller->carried_offset);
        caller->carried = more;
        caller->carry_room = room;
    }
    if (bytes)
        memcpy(caller->carried + caller->carried_bytes, stretch->data + from, bytes);
    caller->carried_bytes += bytes;
    return 0;
}

/* The record that was begun is whole. */
static int call_for_carried(struct verso__scan_caller *caller, unsigned worker, struct verso__scan_outcome *outcome)
{
    const struct verso__scan_stretch whole = { .data = caller->carried ? caller->carried : (unsigned char *)"",
                                               .bytes = caller->carried_bytes,
                                               .offset = caller->carried_offset,
                                               .worker = worker };

    caller->carried_bytes = 0;
    return call(caller, &whole, 0, whole.bytes, outcome);
}

/* ---- The two parts ---- */

int verso__scan_call_any_order(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                               struct verso__scan_outcome *outcome)
{
    size_t rest;
    int r = 0;

    for (size_t i = 0; r == 0 && i < jobs->caller_count; i++) {
        const struct verso__scan_caller *caller = &jobs->callers[i];

        if (!(caller->flags & VERSO_SCAN_ANY_ORDER))
            continue;
        r = caller->is_records ? call_for_whole(caller, stretch, first_begin(caller, stretch), &rest, outcome)
                               : call(caller, stretch, 0, stretch->bytes, outcome);
    }
    return r;
}

static int call_for_records(struct verso__scan_caller *caller, const struct verso__scan_stretch *stretch,
                            struct verso__scan_outcome *outcome)
{
    size_t first = first_begin(caller, stretch), rest = last_begin(caller, stretch);
    int r;

    if (rest == 0) /* no delimiter at all */
        return carry(caller, stretch, 0, stretch->bytes, outcome);
    r = carry(caller, stretch, 0, first - 1, outcome);
    if (r == 0)
        r = call_for_carried(caller, stretch->worker, outcome);
    if (r == 0 && !(caller->flags & VERSO_SCAN_ANY_ORDER))
        r = call_for_whole(caller, stretch, first, &rest, outcome);
    return r == 0 && rest < stretch->bytes ? carry(caller, stretch, rest, stretch->bytes - rest, outcome) : r;
}

int verso__scan_call_in_order(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                              struct verso__scan_outcome *outcome)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < jobs->caller_count; i++) {
        struct verso__scan_caller *caller = &jobs->callers[i];

        if (caller->is_records)
            r = call_for_records(caller, stretch, outcome);
        else if (!(caller->flags & VERSO_SCAN_ANY_ORDER))
            r = call(caller, stretch, 0, stretch->bytes, outcome);
    }
    return r;
}

int verso__scan_call_at_end(const struct verso__scan_jobs *jobs, struct verso__scan_outcome *outcome)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < jobs->caller_count; i++)
        if (jobs->callers[i].carried_bytes > 0)
            r = call_for_carried(&jobs->callers[i], 0, outcome);
    return r;
}
