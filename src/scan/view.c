/* SPDX-License-Identifier: MIT */
/*
 * view - the window that a worker has mapped.
 *
 *      span     |....[== window ==========]........|      no access but for the window
 *                    ^ address = offset, modulo the size of a huge page: else none could be mapped
 *
 * The next window is mapped over the last one, in one call; so it is never more than one, in memory and in page tables.
 */
#include "base/sums.h"
#include "scan/scan.h"

#include <errno.h>

void verso__scan_view_leave(struct verso__scan_view *view)
{
    size_t bytes = view->range.end - view->range.start;
    void *mapped;

    if (bytes == 0)
        return;
    /* Without memory for that the window stays until the next one: it is ours, and within the budget. */
    if (verso__os_map((void *)view->range.start, bytes, VERSO__OS_ACCESS_NONE,
                      VERSO__OS_MAP_NORESERVE | VERSO__OS_MAP_OVER, -1, 0, &mapped) == 0)
        verso__guard_range_move(&view->range, view->range.start, view->range.start, 0);
}

void verso__scan_view_close(struct verso__scan_view *view)
{
    verso__guard_range_drop(&view->range);
    view->range.end = view->range.start;
    if (view->span)
        (void)verso__os_unmap(view->span, view->span_bytes);
    view->span = NULL;
}

static bool make_span(struct verso__scan_view *view, size_t bytes, size_t align)
{
    void *address;

    if (view->span && view->span_bytes >= bytes)
        return true;
    verso__scan_view_close(view);
    if (verso__os_reserve(bytes, align, &address) < 0)
        return false;
    view->span = address;
    view->span_bytes = bytes;
    view->range.start = (uintptr_t)address;
    view->range.end = view->range.start; /* nothing yet */
    if (verso__guard_range_add(&view->range) == 0)
        return true;
    verso__scan_view_close(view);
    return false;
}

/* Kernels without the call (before 5.14) fault page by page as it is touched. */
static bool bring_in(unsigned char *address, size_t bytes)
{
    int r = verso__os_populate(address, bytes, false);

    return r == 0 || r == -EINVAL;
}

const unsigned char *verso__scan_view_place(struct verso__scan_view *view, const struct verso__scan_source *source,
                                            uint64_t offset, size_t bytes)
{
    size_t page = verso__os_page_bytes();
    size_t huge = (size_t)verso__max_u64(verso__os_huge_page_bytes(), page);
    uint64_t start = verso__round_down(offset, page), whole;
    unsigned char *address;
    void *mapped;

    if (!verso__round_up(offset - start + bytes, page, &whole) || whole > SIZE_MAX - huge ||
        !make_span(view, (size_t)whole + huge, huge))
        return NULL;
    address = view->span + start % huge;
    if (view->range.start < (uintptr_t)address || view->range.end > (uintptr_t)address + (uintptr_t)whole)
        verso__scan_view_leave(view);
    if (verso__os_map(address, (size_t)whole, VERSO__OS_ACCESS_READ, VERSO__OS_MAP_SHARED | VERSO__OS_MAP_OVER,
                      source->fd, start, &mapped) < 0)
        return NULL;
    verso__guard_range_move(&view->range, (uintptr_t)address, (uintptr_t)address + (uintptr_t)whole, start);
    return bring_in(address, (size_t)whole) ? address + (offset - start) : NULL;
}

/* ---- Which pages they are ---- */

static int add_huge(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory, void *arg)
{
    uint64_t *place = arg; /* of the view; then how much of it is huge */

    if (place[0] < mapping->start || place[0] >= mapping->end)
        return 0;
    place[1] = memory->file_huge + memory->hugetlb;
    return 1;
}

int verso__scan_view_is_huge(const struct verso__scan_view *view)
{
    struct verso__os_page_run runs[16];
    uint64_t at = view->range.start, place[2] = { view->range.start, 0 };
    size_t count = 0;
    int fd, r = verso__os_pagemap_open(0, &fd);

    if (r < 0)
        return r;
    r = verso__os_page_scan(fd, view->range.start, view->range.end, VERSO__OS_PAGE_HUGE, runs,
                            sizeof(runs) / sizeof(runs[0]), &count, &at);
    verso__os_close(fd);
    for (size_t i = 0; r == 0 && i < count; i++)
        place[1] += runs[i].end - runs[i].start;
    if (r < 0) /* before Linux 6.7 */
        r = verso__os_mappings_memory(0, add_huge, place);
    return r < 0 ? r : place[1] >= (view->range.end - view->range.start) / 2;
}
