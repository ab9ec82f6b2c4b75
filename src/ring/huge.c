/* SPDX-License-Identifier: MIT */
/*
 * huge - which pages a ring got.
 *
 * Settings don't tell: the kernel gives huge pages where it finds them. So the page table is looked at, after all was
 * brought in; settings only explain a refusal.
 */
#include "ring/ring.h"

#include <string.h>

size_t verso__ring_pool_page_bytes(void)
{
    size_t bytes;
    int fd;

    if (verso__os_memory_file("verso", VERSO__OS_MEMORY_FILE_HUGE, &fd) < 0)
        return 0;
    bytes = verso__os_file_page_bytes(fd);
    verso__os_close(fd);
    return bytes > verso__os_page_bytes() ? bytes : 0;
}

static int has_huge(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory, void *arg)
{
    const uint64_t *address = arg;

    if (*address < mapping->start || *address >= mapping->end)
        return 0;
    return memory->file_huge > 0 ? 1 : 2;
}

/* Whether the page table holds a huge page at @data: 1, 0, or negative when this kernel tells in no way. */
static int is_mapped_huge(const unsigned char *data, size_t huge_bytes)
{
    struct verso__os_page_run run;
    uint64_t start = (uintptr_t)data, walked;
    size_t count;
    int fd, r;

    r = verso__os_pagemap_open(0, &fd);
    if (r < 0)
        return r;
    r = verso__os_page_scan(fd, start, start + huge_bytes, VERSO__OS_PAGE_HUGE, &run, 1, &count, &walked);
    verso__os_close(fd);
    if (r == 0)
        return count > 0;
    r = verso__os_mappings_memory(0, has_huge, &start);
    return r < 0 ? r : r == 1;
}

static const char *why_small(size_t huge_bytes, int seen)
{
    char word[16];

    if (!huge_bytes)
        return "this machine, or this kernel, has no transparent huge pages";
    if (seen < 0)
        return "whether huge pages came can't be seen on this kernel";
    if (verso__os_setting("/sys/kernel/mm/transparent_hugepage/shmem_enabled", NULL, word, sizeof(word)) == 0 &&
        (strcmp(word, "never") == 0 || strcmp(word, "deny") == 0))
        return "huge pages for memory files are off: see /sys/kernel/mm/transparent_hugepage/shmem_enabled";
    return "the kernel found no huge page for the ring, or gives none to this process";
}

void verso__ring_see_pages(struct verso_ring *ring)
{
    size_t huge_bytes = verso__os_huge_page_bytes();
    int seen = huge_bytes ? is_mapped_huge(ring->data, huge_bytes) : 0;

    if (seen == 1) {
        ring->pages = VERSO_RING_PAGES_THP; /* pages_why stays: why they are not from the pool */
    } else {
        ring->pages = VERSO_RING_PAGES_BASE;
        ring->pages_why = why_small(huge_bytes, seen);
    }
}
