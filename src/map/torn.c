/* SPDX-License-Identifier: MIT */
/*
 * torn - pages that can't be had: finding the first, remembering it, saying why.
 *
 *      |good|good|good|BAD |????|????|      the kernel says that one of them failed, not which;
 *                      ^                    halving finds it in log2(pages) calls, since what came in stays in
 */
#include "map/map.h"

#include "os/os.h"

#include <errno.h>

void verso__map_mark_torn(struct verso_map *map, uint64_t file_offset)
{
    uint64_t lowest = atomic_load(&map->range.torn_offset_bytes);

    atomic_fetch_add(&map->range.torn_count, 1);
    while (file_offset < lowest && !atomic_compare_exchange_weak(&map->range.torn_offset_bytes, &lowest, file_offset))
        ;
}

bool verso__map_find_torn(struct verso_map *map, void *address, size_t bytes, bool for_writing, uint64_t *out_offset)
{
    unsigned char *start = address;
    size_t page = map->granule_bytes;
    size_t good = 0, end = bytes;

    while (end - good > page) {
        size_t half = (end - good) / page / 2 * page;

        if (verso__os_populate(start + good, half, for_writing) < 0)
            end = good + half;
        else
            good += half;
    }
    if (verso__os_populate(start + good, page, for_writing) == 0)
        return false;
    *out_offset = VERSO_OFFSET_NONE;
    if (start >= map->base && start + bytes <= map->base + map->mapped_bytes) {
        *out_offset = verso__map_base_offset(map) + (uint64_t)(start - map->base) + good;
        verso__map_mark_torn(map, *out_offset);
    }
    return true;
}

/* A hint, or NULL: the table's own, which speaks of a file that was cut. */
static const char *why_torn(const struct verso_map *map, uint64_t file_offset, bool for_writing)
{
    struct verso__os_file_info info;
    bool owned;
    int fd, r;

    if (verso__map_descriptor(map, VERSO__OS_OPEN_READ, &fd, &owned) < 0)
        return NULL;
    r = verso__os_file_info(fd, &info);
    if (owned)
        verso__os_close(fd);
    if (r < 0 || file_offset >= info.bytes)
        return NULL;
    return for_writing ? "the disk is full under a hole of the file, or its storage failed (see dmesg)"
                       : "the file is long enough, so its storage failed; see the kernel's log (dmesg)";
}

int verso__map_fail_torn(const struct verso_map *map, const char *step, uint64_t file_offset, bool for_writing)
{
    const struct verso__failure failure = {
        .code = VERSO_E_TORN,
        .step = step,
        .path = verso__map_path(map),
        .offset_bytes = file_offset,
        .hint = why_torn(map, file_offset, for_writing),
    };

    return verso__fail_with(&failure);
}
