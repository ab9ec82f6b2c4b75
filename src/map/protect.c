/* SPDX-License-Identifier: MIT */
/*
 * protect - what may be done with whole pages of a map.
 *
 * Rounding, which is harmless for a hint, would here take rights from a neighbour's bytes or give them. So borders must
 * be page borders; the map's own ends count as such, since nobody else's bytes lie behind them.
 */
#include "map/map.h"

#include "os/os.h"

#include <errno.h>

static int access_of(const struct verso_map *map, enum verso_map_access wanted, unsigned *out_access)
{
    switch (wanted) {
    case VERSO_MAP_ACCESS_NONE:
        *out_access = VERSO__OS_ACCESS_NONE;
        return 0;
    case VERSO_MAP_ACCESS_READ:
        *out_access = VERSO__OS_ACCESS_READ;
        return 0;
    case VERSO_MAP_ACCESS_WRITE:
        if (!(map->flags & (VERSO_MAP_WRITE | VERSO_MAP_PRIVATE)))
            return VERSO_E_READ_ONLY;
        *out_access = VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE;
        return 0;
    case VERSO_MAP_ACCESS_EXEC:
        *out_access = VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC;
        return 0;
    default:
        return VERSO_E_OPTIONS;
    }
}

/* The pages of a range that begins and ends on page borders; VERSO_E_RANGE else: rounding in and out must agree. */
static int whole_pages(const struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes, void **out_address,
                       size_t *out_bytes)
{
    void *inside, *outside;
    size_t inside_bytes, outside_bytes;

    if (verso__map_pages_of(map, offset_bytes, length_bytes, true, &inside, &inside_bytes) < 0 ||
        verso__map_pages_of(map, offset_bytes, length_bytes, false, &outside, &outside_bytes) < 0 ||
        inside_bytes != outside_bytes)
        return VERSO_E_RANGE;
    *out_address = outside;
    *out_bytes = outside_bytes;
    return 0;
}

static const char *refused(int error, enum verso_map_access wanted)
{
    switch (error) {
    case -EACCES:
        return wanted == VERSO_MAP_ACCESS_EXEC
                   ? "the file system is mounted noexec, or the memory was made unexecutable"
                   : "the file was not opened for this";
    case -ENOMEM:
        return "too many mappings: each change of rights in the middle of a map splits it; see vm.max_map_count";
    default:
        return NULL;
    }
}

int verso_map_protect(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes, enum verso_map_access wanted)
{
    unsigned access;
    void *address;
    size_t bytes;
    int r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    r = access_of(map, wanted, &access);
    if (r < 0)
        return verso__fail(r, "mprotect", verso__map_path(map));
    r = whole_pages(map, offset_bytes, length_bytes, &address, &bytes);
    if (r < 0)
        return verso__map_fail_range(map, r, offset_bytes);
    if (map->sealed)
        return verso__fail_hint(-EPERM, "mprotect", verso__map_path(map), verso__map_sealed_hint);
    if (access != map->access)
        map->narrowed = true;
    r = bytes ? verso__os_protect(address, bytes, access) : 0;
    return r < 0 ? verso__fail_hint(r, "mprotect", verso__map_path(map), refused(r, wanted)) : 0;
}
