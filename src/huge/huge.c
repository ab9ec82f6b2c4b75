/* SPDX-License-Identifier: MIT */
/* huge - see huge.h: a pool to take from, and a kernel to be asked and then looked at. */
#include "huge/huge.h"

#include "os/os.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

const char verso__huge_pool_is_empty[] = "too few huge pages are free in the pool: see vm.nr_hugepages";

size_t verso__huge_pool_bytes(void)
{
    size_t bytes;
    int fd;

    if (verso__os_memory_file("verso", VERSO__OS_MEMORY_FILE_HUGE, &fd) < 0)
        return 0;
    bytes = verso__os_file_page_bytes(fd);
    verso__os_close(fd);
    return bytes > verso__os_page_bytes() ? bytes : 0;
}

/* The first place in the range that a huge page could fill; NULL: none. */
static unsigned char *first_whole(void *address, size_t bytes, size_t huge)
{
    size_t skip = (size_t)(-(uintptr_t)address & (huge - 1));

    return skip <= bytes && bytes - skip >= huge ? (unsigned char *)address + skip : NULL;
}

static int count_huge(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory, void *arg)
{
    uint64_t *address = arg;

    if (*address < mapping->start || *address >= mapping->end)
        return 0;
    return memory->anonymous_huge + memory->file_huge > 0 ? 1 : 2;
}

/* Whether the page table holds a huge page there: 1, 0, or negative when this kernel tells neither way. */
static int is_mapped_huge(unsigned char *whole, size_t huge)
{
    struct verso__os_page_run run;
    uint64_t start = (uintptr_t)whole, walked;
    size_t count;
    int fd, r;

    r = verso__os_pagemap_open(0, &fd);
    if (r < 0)
        return r;
    r = verso__os_page_scan(fd, start, start + huge, VERSO__OS_PAGE_HUGE, &run, 1, &count, &walked);
    verso__os_close(fd);
    if (r == 0)
        return count > 0;
    r = verso__os_mappings_memory(0, count_huge, &start);
    return r < 0 ? r : r == 1;
}

static bool is_switched_off(const char *setting)
{
    char word[16];

    return verso__os_setting(setting, NULL, word, sizeof(word)) == 0 && strcmp(word, "never") == 0;
}

static const char *why_small(enum verso__huge_of what, bool was_cached)
{
    if (what == VERSO__HUGE_OF_MEMORY_FILE)
        return is_switched_off("/sys/kernel/mm/transparent_hugepage/shmem_enabled")
                   ? "huge pages for memory files are off: /sys/kernel/mm/transparent_hugepage/shmem_enabled says never"
                   : "the kernel found no huge page for this memory file, or gives none to this process";
    if (what == VERSO__HUGE_OF_FILE)
        return was_cached ? "the file was in the page cache before, in smaller pages, which stay until they are evicted"
                          : "the file's pages came small: its file system has no huge ones, or this process gets none";
    return is_switched_off("/sys/kernel/mm/transparent_hugepage/enabled")
               ? "transparent huge pages are off: /sys/kernel/mm/transparent_hugepage/enabled says never"
               : "the kernel found no huge page, or gives none to this process";
}

const char *verso__huge_try(enum verso__huge_of what, void *address, size_t bytes, int for_writing)
{
    size_t huge = verso__os_huge_page_bytes();
    unsigned char *whole = huge ? first_whole(address, bytes, huge) : NULL;
    unsigned char was_cached = 0;
    int r;

    if (!huge)
        return "this machine, or this kernel, has no transparent huge pages";
    if (!whole)
        return "no huge page fits in: the range is too short, or its address was fixed to one that does not suit";
    r = verso__os_advise(address, bytes, VERSO__OS_ADVICE_HUGE);
    if (r < 0)
        return "the kernel refuses transparent huge pages for this kind of map";
    if (verso__os_resident(whole, verso__os_page_bytes(), &was_cached) < 0)
        was_cached = 0;
    r = verso__os_populate(whole, verso__os_page_bytes(), for_writing != 0);
    if (r == 0)
        r = is_mapped_huge(whole, huge);
    if (r < 0)
        return "whether huge pages came can't be seen on this kernel";
    return r == 1 ? NULL : why_small(what, was_cached & 1);
}
