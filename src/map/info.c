/* SPDX-License-Identifier: MIT */
/* info - what a map tells about itself, and its end. */
#include "map/map.h"

#include "base/fail.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void *verso_map_data(const struct verso_map *map)
{
    return map->base + map->lead_bytes;
}

size_t verso_map_bytes(const struct verso_map *map)
{
    return map->length_bytes;
}

bool verso__map_is_left_behind(const struct verso_map *map)
{
    return (map->flags & VERSO_MAP_NO_FORK) && map->forks != verso__os_forks();
}

int verso__map_check_here(const struct verso_map *map)
{
    if (!verso__map_is_left_behind(map))
        return 0;
    return verso__fail_hint(-EPERM, "fork", map->path,
                            "a child has no part of this map (NO_FORK): all it can do is close it");
}

void verso_map_close(struct verso_map *map)
{
    if (!map)
        return;
    verso__guard_range_drop(&map->range);
    if (map->base && !map->sealed && !verso__map_is_left_behind(map))
        (void)verso__os_unmap(map->base, map->span_bytes);
    if (map->lease_fd >= 0)
        verso__map_lease_drop(map);
    if (map->fd >= 0)
        verso__os_close(map->fd);
    free(atomic_load_explicit(&map->kernel_path, memory_order_relaxed));
    free(map);
}

int verso_map_info(const struct verso_map *map, struct verso_map_info *out_info)
{
    size_t room_bytes = out_info->struct_bytes;
    struct verso_map_info info = {
        .struct_bytes = room_bytes,
        .kind = map->kind,
        .stability = map->stability,
        .stability_why = map->stability_why,
        .pages = map->pages,
        .pages_why = map->pages_why,
        .path = verso__map_path(map),
        .offset_bytes = map->offset_bytes,
        .span_bytes = map->span_bytes - map->lead_bytes,
        .torn_offset_bytes = map->watched ? atomic_load(&map->range.torn_offset_bytes) : VERSO_OFFSET_NONE,
        .torn_count = map->watched ? atomic_load(&map->range.torn_count) : 0,
        .poison = atomic_load(&map->poison),
        .fd = map->fd,
        .flags = map->flags,
    };

    if (room_bytes < sizeof(info))
        return verso__fail(VERSO_E_OPTIONS, "info", map->path);
    memcpy(out_info, &info, sizeof(info));
    return 0;
}
