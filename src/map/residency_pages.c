/* SPDX-License-Identifier: MIT */
/*
 * residency_pages - the same page by page, from two sides.
 *
 *      page cache      |cached|cached|      |cached|      mincore
 *      page table      |mapped|      |      |mapped|      PAGEMAP_SCAN, else pagemap
 *
 * A page may be cached and not mapped; that it is mapped proves that it is in memory, even where mincore would not tell
 * the truth.
 */
#include "map/map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RUNS_AT_ONCE 128
#define ENTRIES_AT_ONCE 512

/* Words of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst). */
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE (UINT64_C(1) << 61)

static unsigned char state_of_run(uint64_t categories)
{
    unsigned state = 0;

    if (categories & VERSO__OS_PAGE_PRESENT)
        state |= VERSO_MAP_PAGE_MAPPED | VERSO_MAP_PAGE_CACHED;
    if ((categories & VERSO__OS_PAGE_PRESENT) && !(categories & (VERSO__OS_PAGE_FILE | VERSO__OS_PAGE_ZERO)))
        state |= VERSO_MAP_PAGE_PRIVATE;
    if (categories & VERSO__OS_PAGE_HUGE)
        state |= VERSO_MAP_PAGE_HUGE;
    if (categories & VERSO__OS_PAGE_SWAPPED)
        state |= VERSO_MAP_PAGE_SWAPPED;
    return (unsigned char)state;
}

/* The frame is not told without privilege, so the shared page of zeros counts as private here. */
static unsigned char state_of_entry(uint64_t entry)
{
    uint64_t categories = 0;

    if (entry & ENTRY_PRESENT)
        categories |= VERSO__OS_PAGE_PRESENT;
    if (entry & ENTRY_FILE)
        categories |= VERSO__OS_PAGE_FILE;
    if (entry & ENTRY_SWAPPED)
        categories |= VERSO__OS_PAGE_SWAPPED;
    return state_of_run(categories);
}

static int scan(int pagemap, uintptr_t start, size_t count, unsigned char *states)
{
    const uint64_t wanted = VERSO__OS_PAGE_PRESENT | VERSO__OS_PAGE_SWAPPED | VERSO__OS_PAGE_ZERO;
    struct verso__os_page_run runs[RUNS_AT_ONCE];
    size_t page = verso__os_page_bytes(), found;
    uint64_t at = start, end = start + (uint64_t)count * page;
    int r;

    while (at < end) {
        r = verso__os_page_scan(pagemap, at, end, wanted, runs, RUNS_AT_ONCE, &found, &at);
        if (r < 0)
            return r;
        for (size_t i = 0; i < found; i++)
            for (uint64_t place = runs[i].start; place < runs[i].end; place += page)
                states[(place - start) / page] |= state_of_run(runs[i].categories);
    }
    return 0;
}

static int read_entries(int pagemap, uintptr_t start, size_t count, unsigned char *states)
{
    uint64_t entries[ENTRIES_AT_ONCE];
    size_t page = verso__os_page_bytes(), n;
    int r;

    for (size_t done = 0; done < count; done += n) {
        n = count - done < ENTRIES_AT_ONCE ? count - done : ENTRIES_AT_ONCE;
        r = verso__os_pagemap(pagemap, start + done * page, n, entries);
        if (r < 0)
            return r;
        for (size_t i = 0; i < n; i++)
            states[done + i] |= state_of_entry(entries[i]);
    }
    return 0;
}

static int add_page_table(uintptr_t start, size_t count, unsigned char *states)
{
    int pagemap, r;

    r = verso__os_pagemap_open(0, &pagemap);
    if (r < 0)
        return r;
    r = scan(pagemap, start, count, states);
    if (r == -ENOTTY || r == -EINVAL) /* before 6.7 */
        r = read_entries(pagemap, start, count, states);
    verso__os_close(pagemap);
    return r;
}

static int add_page_cache(const struct verso_map *map, void *address, size_t bytes, unsigned char *states)
{
    size_t count = bytes / verso__os_page_bytes();
    int r;

    if (!verso__map_mincore_is_true(map)) {
        memset(states, VERSO_MAP_PAGE_UNKNOWN, count);
        return 0;
    }
    r = verso__os_resident(address, bytes, states);
    for (size_t i = 0; r == 0 && i < count; i++)
        states[i] = states[i] & 1 ? VERSO_MAP_PAGE_CACHED : 0;
    return r;
}

static int look(struct verso_map *map, void *address, size_t bytes, unsigned char *states, const char **out_step)
{
    size_t count = bytes / verso__os_page_bytes();
    int r;

    *out_step = "mincore";
    r = add_page_cache(map, address, bytes, states);
    if (r < 0)
        return r;
    *out_step = "pagemap";
    r = add_page_table((uintptr_t)address, count, states);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (states[i] & VERSO_MAP_PAGE_MAPPED)
            states[i] &= (unsigned char)~(unsigned)VERSO_MAP_PAGE_UNKNOWN;
    return r;
}

int verso_map_residency_pages(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes,
                              unsigned char *out_pages, size_t room_pages, size_t *out_count)
{
    const char *step = "malloc";
    unsigned char *states;
    size_t bytes, count;
    void *address;
    int r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    r = verso__map_pages_of(map, offset_bytes, length_bytes, false, &address, &bytes);
    if (r < 0)
        return verso__map_fail_range(map, r, offset_bytes);
    count = bytes / verso__os_page_bytes();
    if (room_pages < count)
        return verso__fail_hint(VERSO_E_RANGE, "residency", verso__map_path(map),
                                "out_pages has less room than the range has pages");
    if (count > 0) {
        states = malloc(count); /* what is told is told whole or not at all */
        r = states ? look(map, address, bytes, states, &step) : -ENOMEM;
        if (r == 0)
            memcpy(out_pages, states, count);
        free(states);
    }
    if (r < 0)
        return verso__fail(r, step, verso__map_path(map));
    *out_count = count;
    return 0;
}
