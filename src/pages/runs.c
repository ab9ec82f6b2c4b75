/* SPDX-License-Identifier: MIT */
/* runs - see runs.h: a sorted array, searched by halves; a change replaces what lies in its range by one run. */
#include "pages/runs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 8 /* most spans never have more runs than this */

int verso__pages_runs_init(struct verso__pages_runs *runs, size_t bytes, unsigned state)
{
    runs->list = malloc(ROOM_FIRST * sizeof(*runs->list));
    if (!runs->list)
        return -ENOMEM;
    runs->list[0] = (struct verso__pages_run){ 0, state };
    runs->count = 1;
    runs->room = ROOM_FIRST;
    runs->bytes = bytes;
    runs->committed_bytes = state == VERSO__PAGES_RESERVED ? 0 : bytes;
    return 0;
}

void verso__pages_runs_free(struct verso__pages_runs *runs)
{
    free(runs->list);
    runs->list = NULL;
}

/* A range has two borders, and each can split one run. */
int verso__pages_runs_prepare(struct verso__pages_runs *runs)
{
    struct verso__pages_run *list;

    if (runs->count + 2 <= runs->room)
        return 0;
    list = realloc(runs->list, 2 * runs->room * sizeof(*list));
    if (!list)
        return -ENOMEM;
    runs->list = list;
    runs->room *= 2;
    return 0;
}

/* The run that holds @at. */
static size_t find(const struct verso__pages_runs *runs, size_t at)
{
    size_t low = 0, high = runs->count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (runs->list[middle].start <= at)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static size_t end_of(const struct verso__pages_runs *runs, size_t index)
{
    return index + 1 < runs->count ? runs->list[index + 1].start : runs->bytes;
}

static bool is_committed(unsigned state)
{
    return (state & ~(unsigned)VERSO__PAGES_GUARD) != VERSO__PAGES_RESERVED;
}

bool verso__pages_runs_piece(const struct verso__pages_runs *runs, size_t at, size_t end,
                             struct verso__pages_piece *out_piece)
{
    size_t index, run_end;

    if (at >= end)
        return false;
    index = find(runs, at);
    run_end = end_of(runs, index);
    *out_piece = (struct verso__pages_piece){ at, run_end < end ? run_end : end, runs->list[index].state };
    return true;
}

/* The last run that a range from within @first on touches; on the way, what was committed is no longer counted. */
static size_t discount(struct verso__pages_runs *runs, size_t first, size_t start, size_t end)
{
    size_t index = first, run_end = end_of(runs, index);

    for (; run_end < end; start = run_end, run_end = end_of(runs, ++index))
        if (is_committed(runs->list[index].state))
            runs->committed_bytes -= run_end - start;
    if (is_committed(runs->list[index].state))
        runs->committed_bytes -= end - start;
    return index;
}

void verso__pages_runs_set(struct verso__pages_runs *runs, size_t start, size_t end, unsigned state)
{
    size_t first = find(runs, start), last = discount(runs, first, start, end), made_count = 0;
    struct verso__pages_run made[3];
    bool is_split = runs->list[first].start < start;
    unsigned before = is_split ? runs->list[first].state : first > 0 ? runs->list[first - 1].state : ~state;

    if (is_committed(state))
        runs->committed_bytes += end - start;
    if (is_split)
        made[made_count++] = runs->list[first];
    if (before != state)
        made[made_count++] = (struct verso__pages_run){ start, state };
    if (end < end_of(runs, last)) {
        if (runs->list[last].state != state)
            made[made_count++] = (struct verso__pages_run){ end, runs->list[last].state };
    } else if (last + 1 < runs->count && runs->list[last + 1].state == state) {
        last++;
    }
    if (first + made_count != last + 1)
        memmove(&runs->list[first + made_count], &runs->list[last + 1], (runs->count - last - 1) * sizeof(*runs->list));
    memcpy(&runs->list[first], made, made_count * sizeof(*made));
    runs->count = runs->count - (last - first + 1) + made_count;
}

void verso__pages_runs_resize(struct verso__pages_runs *runs, size_t bytes)
{
    size_t had = runs->bytes;

    if (bytes < had) {
        (void)discount(runs, find(runs, bytes), bytes, had);
        runs->count = find(runs, bytes - 1) + 1;
        runs->bytes = bytes;
    } else if (bytes > had) {
        if (runs->list[runs->count - 1].state != VERSO__PAGES_RESERVED)
            runs->list[runs->count++] = (struct verso__pages_run){ had, VERSO__PAGES_RESERVED };
        runs->bytes = bytes;
    }
}
