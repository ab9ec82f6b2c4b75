/* SPDX-License-Identifier: MIT */
/*
 * settle - from a leased file to a copy of our own, under the eyes of readers.
 *
 *      memory    |== the file's pages ==|          the copy is made elsewhere, sealed, and checked: the lease still
 *                          |                       stood, or nothing has changed since
 *                          v one mmap
 *      memory    |== the copy's pages ==|          a reader meets the one or the other, never a gap, and the same bytes
 *
 * Only then is the lease given up, and the writer who waits for it goes on.
 */
#include "map/stability.h"

#include <errno.h>

struct settling {
    struct verso_map *map;
    int copy_fd;
    struct verso__failure failure; /* all but the path */
};

static int failed(struct settling *settling, int code, const char *step, uint64_t offset, const char *hint)
{
    settling->failure = (struct verso__failure){ .code = code, .step = step, .offset_bytes = offset, .hint = hint };
    return code;
}

static int copy_failed(struct settling *settling, uint64_t bad_offset, int code)
{
    if (bad_offset == VERSO_OFFSET_NONE)
        return failed(settling, code, "copy", bad_offset, NULL); /* it was the copy that could not be made */
    if (code == -EFAULT && settling->map->narrowed)
        return failed(settling, code, "copy", bad_offset,
                      "part of the map may not be read now: undo verso_map_protect() before");
    (void)failed(settling, VERSO_E_TORN, "copy", bad_offset, NULL);
    settling->failure.cause = code;
    verso__map_mark_torn(settling->map, bad_offset);
    return VERSO_E_TORN;
}

/* Private stores are in memory only; all else is read from the file, whatever access the pages have now. */
static int make_copy(struct settling *settling)
{
    struct verso_map *map = settling->map;
    struct verso__map_copy copy = {
        .name = "verso",
        .offset_bytes = verso__map_base_offset(map),
        .length_bytes = map->lead_bytes + map->length_bytes,
        .is_executable = map->flags & VERSO_MAP_EXEC,
    };
    int r;

    if (map->flags & VERSO_MAP_PRIVATE)
        r = verso__map_copy_memory(&copy, map->base, &settling->copy_fd);
    else
        r = verso__map_copy_file(&copy, map->lease_fd, &settling->copy_fd);
    return r < 0 ? copy_failed(settling, copy.bad_offset_bytes, r) : 0;
}

/*
 * One mmap over the old pages. It takes no more mappings than there were, so what can fail is the kernel's own memory;
 * a kernel that has by then let the old pages go gets them placed again.
 */
static int replace_pages(struct settling *settling)
{
    struct verso_map *map = settling->map;
    uint64_t offset = verso__map_base_offset(map);
    void *address;
    int r;

    r = verso__map_place(map, settling->copy_fd, offset, map->base, map->mapped_bytes, VERSO__OS_MAP_OVER, &address);
    if (r == 0)
        return 0;
    (void)verso__map_place(map, map->lease_fd, offset, map->base, map->mapped_bytes, VERSO__OS_MAP_OVER, &address);
    return failed(settling, r, "mmap", VERSO_OFFSET_NONE, NULL);
}

/* The map is one of its own memory from here on. */
static void let_go(struct settling *settling)
{
    struct verso_map *map = settling->map;
    struct verso__os_file_info info;
    int before = -1;

    if (!map->path_is_name && map->fd >= 0)
        verso__map_path_remember(map, map->fd);
    verso__map_lease_drop(map);
    if (verso__os_file_info(settling->copy_fd, &info) == 0) {
        map->device = info.device;
        map->inode = info.inode;
    }
    if (map->fd >= 0) {
        before = map->fd;
        map->fd = settling->copy_fd;
        settling->copy_fd = -1;
    }
    map->kind = VERSO_MAP_KIND_MEMORY;
    map->stability = VERSO_MAP_COPY;
    map->stability_why = "the lease was settled";
    map->narrowed = false;
    atomic_store(&map->range.fd, map->flags & VERSO_MAP_SUBSTITUTE ? map->fd : -1);
    if (before >= 0)
        verso__os_close(before); /* not before a handler can't come upon it any more */
}

static int settle(struct settling *settling)
{
    struct verso_map *map = settling->map;
    const struct verso__map_lease lease = { map->lease_fd, map->witness };
    const char *step, *hint;
    int r;

    r = make_copy(settling);
    if (r < 0)
        return r;
    if (!verso__map_lease_kept(&lease))
        return failed(settling, VERSO_E_CHANGED, "lease", VERSO_OFFSET_NONE,
                      "the time to settle ran out (fs.lease-break-time), and the file was written to");
    r = replace_pages(settling);
    if (r < 0)
        return r;
    let_go(settling);
    verso__map_huge_ask(map);
    r = verso__map_dress(map, map->base, map->mapped_bytes, &step, &hint);
    return r < 0 ? failed(settling, r, step, VERSO_OFFSET_NONE, hint) : 0;
}

int verso_map_settle(struct verso_map *map)
{
    struct settling settling = { .map = map, .copy_fd = -1 };
    int r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    if (map->lease_fd < 0)
        return verso__fail_hint(VERSO_E_NOT_MAPPED, "settle", verso__map_path(map),
                                "only a leased map has something to settle: see stability in verso_map_info()");
    r = settle(&settling);
    if (settling.copy_fd >= 0)
        verso__os_close(settling.copy_fd);
    if (r == 0)
        return 0;
    settling.failure.path = verso__map_path(map);
    return verso__fail_with(&settling.failure);
}
