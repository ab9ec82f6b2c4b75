/* SPDX-License-Identifier: MIT */
/* place - putting a file's pages at an address. */
#include "map/map.h"
#include "os/os.h"

#include <errno.h>

/*
 * A map for reading is shared, too, so that no mprotect can ever make it writable. An executable one is private:
 * debuggers set breakpoints by copy-on-write. Where shared is refused (an old kernel's sealed memory file, FUSE with
 * direct I/O), private does as well, since nothing is stored.
 */
int verso__map_place(const struct verso_map *map, int fd, uint64_t file_offset, void *wanted, size_t bytes,
                     unsigned os_flags, void **out_address)
{
    bool is_shared = !(map->flags & (VERSO_MAP_PRIVATE | VERSO_MAP_EXEC));
    unsigned sharing = is_shared ? VERSO__OS_MAP_SHARED : 0;
    int r;

    if (map->flags & VERSO_MAP_DURABLE)
        os_flags |= VERSO__OS_MAP_SYNC;
    r = verso__os_map(wanted, bytes, map->access, os_flags | sharing, fd, file_offset, out_address);
    if ((r == -ENODEV || r == -EPERM) && is_shared && !(map->flags & VERSO_MAP_WRITE))
        r = verso__os_map(wanted, bytes, map->access, os_flags, fd, file_offset, out_address);
    return r;
}
