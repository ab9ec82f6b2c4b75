/* SPDX-License-Identifier: MIT */
/* watch_virtual - runs of present pages, spliced and summed. */
#include "watch_virtual.h"

#include <stdlib.h>
#include <string.h>

/* The first run that ends after @address; run_count when none does. */
static size_t run_at(const struct watch_mapping *mapping, uint64_t address)
{
    size_t low = 0, high = mapping->run_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (mapping->runs[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Adds a run, joining it to the last one where they touch in the same state. */
static void append(struct verso_inspect_run *runs, size_t *count, uint64_t start, uint64_t end, unsigned state)
{
    if (start >= end)
        return;
    if (*count > 0 && runs[*count - 1].end == start && runs[*count - 1].state == state)
        runs[*count - 1].end = end;
    else
        runs[(*count)++] = (struct verso_inspect_run){ .start = start, .end = end, .state = state };
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

bool mapping_splice(struct watch_mapping *mapping, uint64_t start, uint64_t end, const struct verso_inspect_run *fresh,
                    size_t fresh_count)
{
    size_t room = mapping->run_count + fresh_count + 1, count = 0, at = 0;
    struct verso_inspect_run *runs = malloc(room * sizeof(*runs));
    const struct verso_inspect_run *old = mapping->runs;

    if (!runs)
        return false;
    for (; at < mapping->run_count && old[at].start < start; at++)
        append(runs, &count, old[at].start, smaller(old[at].end, start), old[at].state);
    for (size_t i = 0; i < fresh_count; i++)
        append(runs, &count, larger(fresh[i].start, start), smaller(fresh[i].end, end), fresh[i].state);
    for (at = run_at(mapping, end); at < mapping->run_count; at++)
        append(runs, &count, larger(old[at].start, end), old[at].end, old[at].state);
    free(mapping->runs);
    mapping->runs = runs;
    mapping->run_count = count;
    return true;
}

unsigned mapping_state(const struct watch_mapping *mapping, uint64_t address)
{
    size_t at = run_at(mapping, address);

    return at < mapping->run_count && mapping->runs[at].start <= address ? mapping->runs[at].state : 0;
}

bool mapping_address(const struct watch_mapping *mapping, uint64_t page, uint64_t page_bytes, uint64_t *out_address)
{
    uint64_t first = mapping->offset_bytes / page_bytes;

    if (page < first || page - first >= (mapping->end - mapping->start) / page_bytes)
        return false;
    *out_address = mapping->start + (page - first) * page_bytes;
    return true;
}

static void add_run(struct virtual_sums *sums, uint64_t pages, unsigned state)
{
    if (state & VERSO_INSPECT_PAGE_PRESENT) {
        sums->present += pages;
        if (!(state & VERSO_INSPECT_PAGE_FILE))
            sums->own += pages;
        if (state & VERSO_INSPECT_PAGE_HUGE)
            sums->huge += pages;
    }
    if (state & VERSO_INSPECT_PAGE_SWAPPED)
        sums->swapped += pages;
    if (state & VERSO_INSPECT_PAGE_GUARD)
        sums->guard += pages;
}

static void add_mapping(struct virtual_sums *sums, const struct watch_mapping *mapping, uint64_t first_page,
                        uint64_t page_count, uint64_t page_bytes)
{
    uint64_t map_first = mapping->offset_bytes / page_bytes;
    uint64_t map_end = map_first + (mapping->end - mapping->start) / page_bytes;
    uint64_t from = larger(first_page, map_first);
    uint64_t to = smaller(page_count > UINT64_MAX - first_page ? UINT64_MAX : first_page + page_count, map_end);
    uint64_t start, end;

    if (from >= to)
        return;
    sums->mapped += to - from;
    start = mapping->start + (from - map_first) * page_bytes;
    end = mapping->start + (to - map_first) * page_bytes;
    for (size_t i = run_at(mapping, start); i < mapping->run_count && mapping->runs[i].start < end; i++)
        add_run(sums, (smaller(mapping->runs[i].end, end) - larger(mapping->runs[i].start, start)) / page_bytes,
                mapping->runs[i].state);
}

struct virtual_sums virtual_sum(const struct watch_process *process, uint64_t first_page, uint64_t page_count,
                                uint64_t page_bytes)
{
    struct virtual_sums sums = { 0 };

    for (size_t i = 0; i < process->mapping_count; i++)
        add_mapping(&sums, &process->mappings[i], first_page, page_count, page_bytes);
    return sums;
}

bool process_is_sweeping(const struct watch_process *process)
{
    for (size_t i = 0; i < process->mapping_count; i++)
        if (process->mappings[i].swept < process->mappings[i].end)
            return true;
    return process->sweep_asked;
}

void process_clear(struct watch_process *process)
{
    for (size_t i = 0; i < process->mapping_count; i++)
        free(process->mappings[i].runs);
    free(process->mappings);
    process->mappings = NULL;
    process->mapping_count = 0;
}
