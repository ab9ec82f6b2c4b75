/* SPDX-License-Identifier: MIT */
/*
 * runs - the pages of a range in runs of equal state.
 *
 * PAGEMAP_SCAN walks the page tables inside the kernel and hands out runs; a huge page is one step. Without it, pagemap
 * is read page by page, though only where something is mapped: address space is mostly nothing.
 */
#include "base/sums.h"
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>

#define BATCH ((size_t)512)

struct run_list {
    struct verso_inspect_run *items;
    size_t count;
    size_t room;
};

static int append(struct run_list *list, uint64_t start, uint64_t end, unsigned state)
{
    struct verso_inspect_run *last = list->count ? &list->items[list->count - 1] : NULL;
    struct verso_inspect_run *items;

    if (last && last->end == start && last->state == state) {
        last->end = end;
        return 0;
    }
    items = verso__inspect_grow(list->items, &list->room, list->count, sizeof(*items));
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->count++] = (struct verso_inspect_run){ start, end, state };
    return 0;
}

static int finish(int r, struct run_list *list, struct verso_inspect_run **out_runs, size_t *out_count)
{
    if (r < 0) {
        free(list->items);
        return r;
    }
    *out_runs = list->items;
    *out_count = list->count;
    return 0;
}

static unsigned state_of(uint64_t categories)
{
    static const struct {
        uint64_t category;
        unsigned state;
    } rows[] = {
        { VERSO__OS_PAGE_PRESENT, VERSO_INSPECT_PAGE_PRESENT }, { VERSO__OS_PAGE_SWAPPED, VERSO_INSPECT_PAGE_SWAPPED },
        { VERSO__OS_PAGE_FILE, VERSO_INSPECT_PAGE_FILE },       { VERSO__OS_PAGE_GUARD, VERSO_INSPECT_PAGE_GUARD },
        { VERSO__OS_PAGE_HUGE, VERSO_INSPECT_PAGE_HUGE },
    };
    unsigned state = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (categories & rows[i].category)
            state |= rows[i].state;
    return state;
}

static int scan(int pagemap_fd, uint64_t start, uint64_t end, uint64_t wanted, struct run_list *list)
{
    struct verso__os_page_run batch[BATCH];

    while (start < end) {
        uint64_t walked = end;
        size_t count = 0;
        int r = verso__os_page_scan(pagemap_fd, start, end, wanted, batch, BATCH, &count, &walked);

        for (size_t i = 0; r == 0 && i < count; i++)
            r = append(list, batch[i].start, batch[i].end, state_of(batch[i].categories));
        if (r < 0)
            return r;
        start = walked;
    }
    return 0;
}

int verso__inspect_runs_by_scan(int pagemap_fd, uint64_t start, uint64_t end, struct verso_inspect_run **out_runs,
                                size_t *out_count)
{
    const uint64_t wanted = VERSO__OS_PAGE_PRESENT | VERSO__OS_PAGE_SWAPPED;
    struct run_list list = { 0 };
    int r = scan(pagemap_fd, start, end, wanted | VERSO__OS_PAGE_GUARD, &list);

    if (r == -EINVAL && list.count == 0) /* a kernel that scans, but knows no guards */
        r = scan(pagemap_fd, start, end, wanted, &list);
    return finish(r, &list, out_runs, out_count);
}

struct reading {
    int pagemap_fd;
    uint64_t start;
    uint64_t end;
    struct run_list *list;
};

/* What PAGEMAP_SCAN would say too, so that both ways answer alike as far as pagemap can. */
#define SHOWN (VERSO_INSPECT_PAGE_PRESENT | VERSO_INSPECT_PAGE_SWAPPED | VERSO_INSPECT_PAGE_GUARD)

static int read_mapping(const struct verso__os_mapping *mapping, void *arg)
{
    const struct reading *reading = arg;
    uint64_t words[BATCH], page_bytes = verso__os_page_bytes();
    uint64_t at = verso__max_u64(mapping->start, reading->start);
    uint64_t end = verso__min_u64(mapping->end, reading->end);
    int r = 0;

    while (r == 0 && at < end) {
        size_t count = (size_t)verso__min_u64((end - at) / page_bytes, BATCH);

        r = verso__os_pagemap(reading->pagemap_fd, at, count, words);
        for (size_t i = 0; r == 0 && i < count; i++, at += page_bytes) {
            unsigned state = verso__inspect_page_of(words[i]).state;

            if (state & SHOWN)
                r = append(reading->list, at, at + page_bytes, state & (SHOWN | VERSO_INSPECT_PAGE_FILE));
        }
    }
    return r;
}

int verso__inspect_runs_by_pagemap(pid_t pid, int pagemap_fd, uint64_t start, uint64_t end,
                                   struct verso_inspect_run **out_runs, size_t *out_count)
{
    struct run_list list = { 0 };
    struct reading reading = { pagemap_fd, start, end, &list };

    return finish(verso__os_mappings(pid, read_mapping, &reading), &list, out_runs, out_count);
}

int verso_inspect_runs(pid_t pid, uint64_t start, uint64_t end, struct verso_inspect_run **out_runs, size_t *out_count)
{
    uint64_t page_bytes = verso__os_page_bytes();
    int fd, r;

    if (start % page_bytes != 0 || end % page_bytes != 0 || end < start)
        return verso__inspect_fail_pid(VERSO_E_RANGE, "scan pages", pid);
    r = verso__os_pagemap_open(pid, &fd);
    if (r < 0)
        return verso__inspect_fail_pid(r, "open pagemap", pid);
    r = verso__inspect_runs_by_scan(fd, start, end, out_runs, out_count);
    if (r == -ENOTTY)
        r = verso__inspect_runs_by_pagemap(pid, fd, start, end, out_runs, out_count);
    verso__os_close(fd);
    return r < 0 ? verso__inspect_fail_pid(r == -EFAULT ? VERSO_E_RANGE : r, "scan pages", pid) : 0;
}
