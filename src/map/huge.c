/* SPDX-License-Identifier: MIT */
/*
 * huge - the ladder of pages: hugetlb, transparent, base.
 *
 *      file      |....|####################|####################|..|      # = one huge page
 *      memory    |....|####################|####################|..|      congruent: address = offset modulo its size,
 *                     ^                                                   else no huge page can ever be mapped
 *
 * Whether huge pages came can't be known from settings: the file system, how the file was cached, and what memory is
 * free all have their say. So one is tried, and the page table is looked at. Settings only explain a refusal.
 */
#include "base/sums.h"
#include "map/map.h"

#include <errno.h>
#include <string.h>

static const char pool_empty[] = "too few huge pages are free in the pool: see vm.nr_hugepages";

size_t verso__map_hugetlb_bytes(void)
{
    size_t bytes;
    int fd;

    if (verso__os_memory_file("verso", VERSO__OS_MEMORY_FILE_HUGE, &fd) < 0)
        return 0;
    bytes = verso__os_file_page_bytes(fd);
    verso__os_close(fd);
    return bytes > verso__os_page_bytes() ? bytes : 0;
}

int verso__map_huge_reserve(uint64_t base_offset, size_t bytes, void **out_address)
{
    size_t huge = verso__os_huge_page_bytes();
    size_t skip = huge ? (size_t)(base_offset & (huge - 1)) : 0;
    unsigned char *room;
    void *address;
    int r;

    if (bytes > SIZE_MAX - skip)
        return -ENOMEM;
    r = verso__os_reserve(skip + bytes, huge ? huge : verso__os_page_bytes(), &address);
    if (r < 0)
        return r;
    room = address;
    if (skip)
        (void)verso__os_unmap(room, skip);
    *out_address = room + skip;
    return 0;
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

static const char *why_small(enum verso_map_kind kind, bool was_cached)
{
    if (kind == VERSO_MAP_KIND_MEMORY)
        return is_switched_off("/sys/kernel/mm/transparent_hugepage/shmem_enabled")
                   ? "huge pages for memory files are off: /sys/kernel/mm/transparent_hugepage/shmem_enabled says never"
                   : "the kernel found no huge page for the copy";
    if (kind == VERSO_MAP_KIND_FILE)
        return was_cached ? "the file was in the page cache before, in smaller pages, which stay until they are evicted"
                          : "the file's pages came small: its file system has no huge ones, or this process gets none";
    return is_switched_off("/sys/kernel/mm/transparent_hugepage/enabled")
               ? "transparent huge pages are off: /sys/kernel/mm/transparent_hugepage/enabled says never"
               : "the kernel found no huge page, or gives none to this process";
}

/* Asks for transparent huge pages, brings in one page, and looks. NULL: they came; else the reason. */
static const char *try_transparent(enum verso_map_kind kind, void *address, size_t bytes)
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
    r = verso__os_populate(whole, verso__os_page_bytes(), kind == VERSO_MAP_KIND_BUFFER);
    if (r == 0)
        r = is_mapped_huge(whole, huge);
    if (r < 0)
        return "whether huge pages came can't be seen on this kernel";
    return r == 1 ? NULL : why_small(kind, was_cached & 1);
}

void verso__map_huge_ask(struct verso_map *map)
{
    const char *why;

    if (map->pages == VERSO_MAP_PAGES_HUGETLB || map->granule_bytes > verso__os_page_bytes()) {
        map->pages = VERSO_MAP_PAGES_HUGETLB;
        map->pages_why = "";
        return;
    }
    map->pages = VERSO_MAP_PAGES_BASE;
    map->pages_why = "";
    if (!(map->flags & VERSO_MAP_HUGE))
        return;
    if (map->mapped_bytes == 0) {
        map->pages_why = "there is nothing to map";
        return;
    }
    why = try_transparent(map->kind, map->base, map->mapped_bytes);
    if (why)
        map->pages_why = why;
    else
        map->pages = VERSO_MAP_PAGES_THP;
}

static int map_anonymous(void *wanted, size_t bytes, unsigned flags, void **out_address)
{
    return verso__os_map(wanted, bytes, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE, flags, -1, 0, out_address);
}

/* From the pool, which reserves as it maps: what is mapped can be had. */
static const char *try_pool(size_t bytes, void **out_address, size_t *out_granule)
{
    size_t granule = verso__map_hugetlb_bytes();
    uint64_t whole;

    if (granule == 0)
        return "this kernel has no pool of huge pages (hugetlb)";
    if (bytes < granule)
        return "the range is smaller than a huge page of the pool";
    if (!verso__round_up(bytes, granule, &whole) || whole > SIZE_MAX)
        return "the range is too large";
    if (map_anonymous(NULL, (size_t)whole, VERSO__OS_MAP_HUGE, out_address) < 0)
        return pool_empty;
    *out_granule = granule;
    return NULL;
}

static int map_aligned(size_t bytes, void **out_address)
{
    void *room;
    int r = verso__map_huge_reserve(0, bytes, &room);

    if (r < 0)
        return r;
    r = map_anonymous(room, bytes, VERSO__OS_MAP_OVER, out_address);
    if (r < 0)
        (void)verso__os_unmap(room, bytes);
    return r;
}

int verso__map_memory(struct verso_map *map, const char *name, size_t bytes, void **out_address, size_t *out_bytes)
{
    size_t granule = verso__os_page_bytes();
    const char *why_no_pool = "", *why;
    uint64_t whole;
    void *address;
    int r = 0;

    map->pages = VERSO_MAP_PAGES_BASE;
    map->pages_why = "";
    if (!verso__round_up(bytes, granule, &whole) || whole > PTRDIFF_MAX)
        return -ENOMEM;
    if (map->flags & VERSO_MAP_HUGE)
        why_no_pool = try_pool(bytes, &address, &granule);
    if (!why_no_pool) {
        map->pages = VERSO_MAP_PAGES_HUGETLB;
        whole = verso__round_down(bytes + granule - 1, granule);
    } else if (map->flags & VERSO_MAP_HUGE) {
        r = map_aligned((size_t)whole, &address);
        why = r == 0 ? try_transparent(VERSO_MAP_KIND_BUFFER, address, (size_t)whole) : NULL;
        map->pages = why ? VERSO_MAP_PAGES_BASE : VERSO_MAP_PAGES_THP;
        map->pages_why = why ? why : why_no_pool;
    } else {
        r = map_anonymous(NULL, (size_t)whole, 0, &address);
    }
    if (r < 0)
        return r;
    (void)verso__os_name(address, (size_t)whole, name); /* before 5.17 there are no names */
    map->granule_bytes = granule;
    *out_address = address;
    *out_bytes = (size_t)whole;
    return 0;
}
