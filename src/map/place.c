/* SPDX-License-Identifier: MIT */
/* place - putting a file's pages at an address. */
#include "map/map.h"
#include "os/os.h"

int verso__map_place(struct verso_map *map, int fd, void *wanted, size_t bytes, unsigned os_flags, void **out_address)
{
    if (map->flags & VERSO_MAP_WRITE)
        os_flags |= VERSO__OS_MAP_SHARED;
    if (map->flags & VERSO_MAP_DURABLE)
        os_flags |= VERSO__OS_MAP_SYNC;
    return verso__os_map(wanted, bytes, map->access, os_flags, fd, verso__map_base_offset(map), out_address);
}
