/* SPDX-License-Identifier: MIT */
/*
 * range - from bytes to pages, from a map to its file.
 *
 *        lead |<------------- the map ------------->| rest
 *      |------+------|-------------|-------------|--+------|      pages
 *      ^                                                   ^
 *      the map's own ends count as page borders: what lies between them and the first or last byte
 *      is in no map of the caller's, so a whole-page action on it takes nothing from anybody
 */
#include "map/map.h"

#include "base/sums.h"
#include "os/os.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

int verso__map_pages_of(const struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes, bool inside,
                        void **out_address, size_t *out_bytes)
{
    uint64_t page = map->granule_bytes;
    uint64_t all = map->length_bytes; /* once: another thread may be resizing what comes after the range */
    uint64_t length, start, end;

    if (!verso__within(offset_bytes, length_bytes, all))
        return VERSO_E_RANGE;
    length = length_bytes ? length_bytes : all - offset_bytes;
    start = map->lead_bytes + offset_bytes;
    end = start + length;
    if (offset_bytes == 0)
        start = 0;
    if (offset_bytes + length == all) /* nobody else's bytes are in the last page */
        end = verso__round_down(end + page - 1, page);
    if (inside) {
        start = verso__round_down(start + page - 1, page);
        end = verso__round_down(end, page);
    } else {
        start = verso__round_down(start, page);
        end = verso__round_down(end + page - 1, page);
    }
    if (length == 0 || end < start)
        end = start;
    *out_address = map->base + start;
    *out_bytes = (size_t)(end - start);
    return 0;
}

int verso__map_fail_range(const struct verso_map *map, int code, uint64_t offset_bytes)
{
    uint64_t offset;

    if (!verso__add_u64(map->offset_bytes, offset_bytes, &offset))
        offset = VERSO_OFFSET_NONE;
    return verso__fail_at(code, "range", verso__map_path(map), offset);
}

static bool is_same_file(const struct verso_map *map, int fd)
{
    struct verso__os_file_info info;

    return verso__os_file_info(fd, &info) == 0 && info.device == map->device && info.inode == map->inode;
}

int verso__map_descriptor(const struct verso_map *map, unsigned flags, int *out_fd, bool *out_owned)
{
    int fd;

    if (map->fd >= 0) {
        *out_fd = map->fd;
        *out_owned = false;
        return 0;
    }
    /* NONBLOCK: by now the name may stand for a FIFO, whose other end nobody holds. */
    if (!map->path_is_name || verso__os_open(map->path, flags | VERSO__OS_OPEN_NONBLOCK, 0, &fd) < 0)
        return VERSO_E_NO_DESCRIPTOR;
    if (!is_same_file(map, fd)) {
        verso__os_close(fd);
        return VERSO_E_NO_DESCRIPTOR;
    }
    *out_fd = fd;
    *out_owned = true;
    return 0;
}

void verso__map_path_remember(struct verso_map *map, int fd)
{
    char name[PATH_MAX];

    if (!map->path_is_name && !atomic_load(&map->kernel_path) && verso__os_path_of(fd, name, sizeof(name)) == 0)
        atomic_store(&map->kernel_path, strdup(name)); /* without memory it stays nameless */
}

/* A mapping can be asked for its file's name at any time, and seldom is; so opening spends nothing on it. */
static char *name_from_kernel(const struct verso_map *map)
{
    struct verso__os_mapping mapping;
    char name[PATH_MAX];

    if (map->fd >= 0 && verso__os_path_of(map->fd, name, sizeof(name)) == 0)
        return strdup(name);
    if (map->kind == VERSO_MAP_KIND_FILE && !verso__map_is_left_behind(map) &&
        verso__os_mapping_at(0, (uintptr_t)map->base, &mapping, name, sizeof(name)) == 0)
        return strdup(name);
    return NULL;
}

const char *verso__map_path(const struct verso_map *map)
{
    struct verso_map *keeper = (struct verso_map *)map; /* remembering does not change the map for anybody */
    char *known = atomic_load(&keeper->kernel_path);
    char *found;

    if (*map->path || known)
        return known ? known : map->path;
    found = name_from_kernel(map);
    if (!found)
        return map->path;
    if (atomic_compare_exchange_strong(&keeper->kernel_path, &known, found))
        return found;
    free(found); /* another thread was first */
    return known;
}
