/* SPDX-License-Identifier: MIT */
/*
 * refresh - the file's own pages again, where zeros were put.
 *
 *      torn        |file|file|0000|0000|0000|        from the first bad page on: what is before it was never replaced,
 *      refreshed   |file|file|file|file| ?  |        and keeps its private stores
 *                            ^ first bad page        ? still short: marked again at the next fault
 */
#include "base/sums.h"
#include "map/map.h"

#include <errno.h>

static int fail(const struct verso_map *map, int code, const char *step)
{
    return verso__fail_hint(code, step, verso__map_path(map), code == -EPERM ? verso__map_sealed_hint : NULL);
}

/* Disk space under what the file has of the range by now, as open promised it for maps that are stored to. */
static int fill_holes(const struct verso_map *map, int fd, bool fd_is_own, uint64_t from, uint64_t end)
{
    struct verso__os_file_info info;
    int r;

    if (!(map->flags & VERSO_MAP_WRITE) || (map->flags & VERSO_MAP_SPARSE))
        return 0;
    r = verso__os_file_info(fd, &info);
    if (r < 0 || info.kind != VERSO__OS_FILE_REGULAR || info.bytes <= from)
        return r;
    end = verso__min_u64(end, info.bytes);
    return verso__map_fill_holes(fd, fd_is_own, from, end - from, info.bytes);
}

static int refresh_from(struct verso_map *map, int fd, bool fd_is_own, uint64_t torn_offset)
{
    uint64_t start = verso__map_base_offset(map);
    uint64_t from = verso__round_down(verso__max_u64(torn_offset, start), map->granule_bytes);
    unsigned char *address = map->base + (from - start);
    size_t bytes = map->mapped_bytes - (size_t)(from - start);
    const char *step = "mmap", *hint = NULL;
    void *placed;
    int r;

    r = fill_holes(map, fd, fd_is_own, from, map->offset_bytes + map->length_bytes);
    if (r < 0)
        return fail(map, r, "fallocate");
    r = verso__map_place(map, fd, from, address, bytes, VERSO__OS_MAP_OVER, &placed);
    if (r < 0)
        return fail(map, r, "mmap");
    r = verso__map_dress(map, address, bytes, &step, &hint);
    if (r < 0)
        return verso__fail_hint(r, step, verso__map_path(map), hint);
    verso__map_huge_ask(map);
    atomic_store(&map->range.torn_offset_bytes, VERSO_OFFSET_NONE);
    return 0;
}

int verso_map_refresh(struct verso_map *map)
{
    uint64_t torn_offset = atomic_load(&map->range.torn_offset_bytes);
    unsigned flags = VERSO__OS_OPEN_READ;
    bool fd_is_own;
    int fd, r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    if (map->kind == VERSO_MAP_KIND_BUFFER || map->kind == VERSO_MAP_KIND_MEMORY)
        return fail(map, VERSO_E_NOT_MAPPED, "refresh");
    if (torn_offset == VERSO_OFFSET_NONE)
        return 0;
    if (map->sealed)
        return fail(map, -EPERM, "refresh");
    if (map->flags & VERSO_MAP_WRITE)
        flags |= VERSO__OS_OPEN_WRITE;
    r = verso__map_descriptor(map, flags, &fd, &fd_is_own);
    if (r < 0)
        return fail(map, r, "refresh");
    r = refresh_from(map, fd, fd_is_own, torn_offset);
    if (fd_is_own)
        verso__os_close(fd);
    return r;
}
