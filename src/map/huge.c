/* SPDX-License-Identifier: MIT */
/* huge - which pages a map gets (huge/huge.h), and where it must stand for huge ones. */
#include "huge/huge.h"
#include "base/sums.h"
#include "map/map.h"

#include <errno.h>

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

static enum verso__huge_of made_of(enum verso_map_kind kind)
{
    switch (kind) {
    case VERSO_MAP_KIND_FILE:
        return VERSO__HUGE_OF_FILE;
    case VERSO_MAP_KIND_MEMORY:
        return VERSO__HUGE_OF_MEMORY_FILE;
    default:
        return VERSO__HUGE_OF_ANONYMOUS;
    }
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
    why = verso__huge_try(made_of(map->kind), map->base, map->mapped_bytes, map->kind == VERSO_MAP_KIND_BUFFER);
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
    size_t granule = verso__huge_pool_bytes();
    uint64_t whole;

    if (granule == 0)
        return "this kernel has no pool of huge pages (hugetlb)";
    if (bytes < granule)
        return "the range is smaller than a huge page of the pool";
    if (!verso__round_up(bytes, granule, &whole) || whole > SIZE_MAX)
        return "the range is too large";
    if (map_anonymous(NULL, (size_t)whole, VERSO__OS_MAP_HUGE, out_address) < 0)
        return verso__huge_pool_is_empty;
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
        why = r == 0 ? verso__huge_try(VERSO__HUGE_OF_ANONYMOUS, address, (size_t)whole, true) : NULL;
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
