/* SPDX-License-Identifier: MIT */
/* check - whether the content is still what it was promised to be. */
#include "map/stability.h"

#include <errno.h>

/* The file ends where the caller's bytes do not. */
static int check_end(const struct verso_map *map, int fd)
{
    struct verso__os_file_info info;
    int r = verso__os_file_info(fd, &info);

    if (r < 0)
        return verso__fail(r, "fstat", verso__map_path(map));
    if (info.bytes < map->offset_bytes + map->length_bytes)
        return verso__fail_at(VERSO_E_CHANGED, "check", verso__map_path(map), info.bytes);
    return 0;
}

/*
 * The file's name is gone or stands for another, and no descriptor was kept. The memory itself can still be asked: a
 * page past the file's end can't be brought in.
 */
static int check_last_page(const struct verso_map *map)
{
    unsigned char *last = map->base + map->mapped_bytes - map->granule_bytes;

    if (verso__os_populate(last, map->granule_bytes, false) != -EFAULT)
        return 0;
    return verso__fail_at(VERSO_E_CHANGED, "check", verso__map_path(map),
                          verso__map_base_offset(map) + (uint64_t)(last - map->base));
}

static int check_size(const struct verso_map *map)
{
    bool owned;
    int fd, r;

    if (verso__map_descriptor(map, VERSO__OS_OPEN_READ, &fd, &owned) < 0)
        return check_last_page(map);
    r = check_end(map, fd);
    if (owned)
        verso__os_close(fd);
    return r;
}

static int check_lease(const struct verso_map *map)
{
    const struct verso__map_lease lease = { map->lease_fd, map->witness };
    int state = verso__os_lease_state(lease.fd);

    if (state == 0)
        return 0;
    if (!verso__map_lease_kept(&lease))
        return verso__fail_hint(VERSO_E_CHANGED, "lease", verso__map_path(map),
                                "the time to settle ran out (fs.lease-break-time), and the file was written to");
    return verso__fail_hint(VERSO_E_LEASE, "lease", verso__map_path(map),
                            state == -ENOLCK ? "the time to settle ran out (fs.lease-break-time), but nothing was "
                                               "written yet: call verso_map_settle() now"
                                             : NULL);
}

int verso_map_check(struct verso_map *map)
{
    uint64_t torn_offset = atomic_load(&map->range.torn_offset_bytes);
    int poison = atomic_load(&map->poison);

    if (poison) {
        const struct verso__failure failure = { VERSO_E_POISONED,  poison, "check", verso__map_path(map),
                                                VERSO_OFFSET_NONE, NULL };

        return verso__fail_with(&failure);
    }
    if (torn_offset != VERSO_OFFSET_NONE)
        return verso__map_fail_torn(map, "check", torn_offset, false);
    if (map->lease_fd >= 0)
        return check_lease(map);
    return map->kind == VERSO_MAP_KIND_FILE && map->stability <= VERSO_MAP_GUARDED ? check_size(map) : 0;
}
