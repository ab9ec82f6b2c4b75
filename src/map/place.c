/* SPDX-License-Identifier: MIT */
/* place - putting a file's pages at an address, and what else every newly placed page needs. */
#include "map/map.h"

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

#define FLAGS_OF_PAGES (unsigned)(VERSO_MAP_NO_CORE | VERSO_MAP_NO_FORK | VERSO_MAP_LOCK | VERSO_MAP_POPULATE)

/* One flag's wish, and what to say when it is refused. */
static int dress(int r, const char *step, const char *hint, const char **out_step, const char **out_hint)
{
    if (r < 0) {
        *out_step = step;
        *out_hint = hint;
    }
    return r;
}

int verso__map_dress(struct verso_map *map, void *address, size_t bytes, const char **out_step, const char **out_hint)
{
    int r = 0;

    if (bytes == 0 || !(map->flags & FLAGS_OF_PAGES))
        return 0;
    if (map->flags & VERSO_MAP_NO_CORE)
        r = dress(verso__os_advise(address, bytes, VERSO__OS_ADVICE_NO_CORE), "madvise", NULL, out_step, out_hint);
    if (r == 0 && (map->flags & VERSO_MAP_NO_FORK))
        r = dress(verso__os_advise(address, bytes, VERSO__OS_ADVICE_NO_FORK), "madvise", NULL, out_step, out_hint);
    if (r == 0 && (map->flags & VERSO_MAP_LOCK))
        r = dress(verso__os_lock(address, bytes, false), "mlock",
                  "more than may be locked: see ulimit -l (RLIMIT_MEMLOCK), or CAP_IPC_LOCK", out_step, out_hint);
    if (r == 0 &&
        (map->flags & VERSO_MAP_POPULATE)) /* for reading: all pages dirty, or all copied, is not what was asked */
        r = dress(verso__map_populate_pages(map, address, bytes, false, NULL), "populate", NULL, out_step, out_hint);
    return r;
}

int verso__map_watch(struct verso_map *map)
{
    struct verso__guard_range *range = &map->range;
    uintptr_t start = (uintptr_t)map->base, end = start + map->mapped_bytes;
    int r;

    if (map->watched) {
        verso__guard_range_move(range, start, end, verso__map_base_offset(map));
        return 0;
    }
    range->start = start;
    range->end = end;
    range->file_offset_bytes = verso__map_base_offset(map);
    range->granule_bytes = map->granule_bytes;
    /* Relaxed: adding the range is what shows it to others. */
    atomic_store_explicit(&range->substitute, (map->flags & VERSO_MAP_SUBSTITUTE) != 0, memory_order_relaxed);
    atomic_store_explicit(&range->fd, map->flags & VERSO_MAP_SUBSTITUTE ? map->fd : -1, memory_order_relaxed);
    atomic_store_explicit(&range->access, map->access, memory_order_relaxed);
    r = verso__guard_range_add(range);
    map->watched = r == 0;
    return r;
}
