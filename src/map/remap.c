/* SPDX-License-Identifier: MIT */
/*
 * remap - another range of the same file.
 *
 *      room      |-------- span --------|
 *      before    |== range ==|~ reserved|
 *      rehearsed                             |==== new range ====|      elsewhere: whatever refuses it refuses it here
 *      after     |==== new range ====|~~|    fits: over the old pages, at the same address
 *
 * A failed mmap over old pages may leave neither the old nor the new (mmap(2), MAP_FIXED), so the new range is first
 * had at a place of its own. When it does not fit in the old room, that place is simply where the map is from then on.
 */
#include "base/sums.h"
#include "map/map.h"

#include <errno.h>

struct remapping {
    struct verso_map *map;
    int fd;
    bool fd_is_own;
    uint64_t offset_bytes; /* the new range */
    size_t length_bytes;
    size_t lead_bytes;
    size_t mapped_bytes;
    void *elsewhere; /* the rehearsal, while it stands */
    const char *step;
    const char *hint;
};

static int failed(struct remapping *remapping, int code, const char *step, const char *hint)
{
    remapping->step = step;
    remapping->hint = hint;
    return code;
}

static int check_map(struct remapping *remapping)
{
    const struct verso_map *map = remapping->map;
    unsigned flags = VERSO__OS_OPEN_READ;
    int r;

    if (map->kind == VERSO_MAP_KIND_BUFFER || map->kind == VERSO_MAP_KIND_MEMORY)
        return failed(remapping, VERSO_E_NOT_MAPPED, "remap", NULL);
    if (map->sealed)
        return failed(remapping, -EPERM, "remap", verso__map_sealed_hint);
    if (map->flags & VERSO_MAP_WRITE)
        flags |= VERSO__OS_OPEN_WRITE;
    r = verso__map_descriptor(map, flags, &remapping->fd, &remapping->fd_is_own);
    return r < 0 ? failed(remapping, r, "remap", NULL) : 0;
}

static int lay_out(struct remapping *remapping, uint64_t offset, uint64_t length)
{
    const struct verso_map *map = remapping->map;
    struct verso__os_file_info info;
    uint64_t end, mapped;
    int r;

    if (!verso__add_u64(offset, length, &end) || end > INT64_MAX)
        return failed(remapping, VERSO_E_OVERFLOW, "range", NULL);
    r = verso__os_file_info(remapping->fd, &info);
    if (r < 0)
        return failed(remapping, r, "fstat", NULL);
    if (info.kind != VERSO__OS_FILE_REGULAR && info.kind != VERSO__OS_FILE_BLOCK)
        return failed(remapping, VERSO_E_NOT_MAPPED, "remap", NULL);
    if (end > info.bytes)
        return failed(remapping, VERSO_E_RANGE, "range", NULL);
    length = length ? length : info.bytes - offset;
    remapping->lead_bytes = (size_t)(offset & (map->granule_bytes - 1));
    if (!verso__round_up(remapping->lead_bytes + length, map->granule_bytes, &mapped) || mapped > PTRDIFF_MAX)
        return failed(remapping, VERSO_E_OVERFLOW, "range",
                      "it does not fit in this process's memory: slide a window over it (verso/window.h)");
    if (map->address_is_fixed && length && mapped > map->span_bytes)
        return failed(remapping, VERSO_E_SPAN, "remap", "the range is larger than the room at the map's fixed address");
    if ((map->flags & VERSO_MAP_WRITE) && !(map->flags & VERSO_MAP_SPARSE) && length &&
        info.kind == VERSO__OS_FILE_REGULAR) {
        r = verso__map_fill_holes(remapping->fd, remapping->fd_is_own, offset, length, info.bytes);
        if (r < 0)
            return failed(remapping, r, "fallocate", NULL);
    }
    remapping->offset_bytes = offset;
    remapping->length_bytes = (size_t)length;
    remapping->mapped_bytes = length ? (size_t)mapped : 0;
    return 0;
}

/* The new pages somewhere, with all that the flags want of them. */
static int place_elsewhere(struct remapping *remapping)
{
    const struct verso_map *map = remapping->map;
    uint64_t offset = remapping->offset_bytes - remapping->lead_bytes;
    size_t bytes = remapping->mapped_bytes;
    void *room = NULL;
    int r = 0;

    if (map->flags & VERSO_MAP_HUGE)
        r = verso__map_huge_reserve(offset, bytes, &room);
    if (r == 0)
        r = verso__map_place(map, remapping->fd, offset, room, bytes, room ? VERSO__OS_MAP_OVER : 0,
                             &remapping->elsewhere);
    if (r < 0 && room)
        (void)verso__os_unmap(room, bytes);
    return r < 0 ? failed(remapping, r, "mmap", NULL) : 0;
}

static int rehearse(struct remapping *remapping)
{
    struct verso_map *map = remapping->map;
    const char *step = "mmap", *hint = NULL;
    int r;

    r = place_elsewhere(remapping);
    if (r < 0)
        return r;
    if ((map->flags & VERSO_MAP_LOCK) && map->mapped_bytes)
        (void)verso__os_unlock(map->base, map->mapped_bytes); /* so that the limit need not hold both */
    r = verso__map_dress(map, remapping->elsewhere, remapping->mapped_bytes, &step, &hint);
    if (r == 0)
        return 0;
    if ((map->flags & VERSO_MAP_LOCK) && map->mapped_bytes)
        (void)verso__os_lock(map->base, map->mapped_bytes, false);
    (void)verso__os_unmap(remapping->elsewhere, remapping->mapped_bytes);
    return failed(remapping, r, step, hint);
}

/* The map is where it was rehearsed; its old room goes. */
static void move_out(struct remapping *remapping)
{
    struct verso_map *map = remapping->map;

    (void)verso__os_unmap(map->base, map->span_bytes);
    map->base = remapping->elsewhere;
    map->span_bytes = remapping->mapped_bytes;
}

/* What is left of the old pages becomes reserved room again. */
static int reserve_rest(const struct verso_map *map, size_t from)
{
    void *address;

    if (from >= map->mapped_bytes)
        return 0;
    return verso__os_map(map->base + from, map->mapped_bytes - from, VERSO__OS_ACCESS_NONE,
                         VERSO__OS_MAP_OVER | VERSO__OS_MAP_NORESERVE, -1, 0, &address);
}

/* Over the old pages. When even the rehearsed fails, the rehearsal itself takes their place. */
static int move_in(struct remapping *remapping)
{
    struct verso_map *map = remapping->map;
    uint64_t offset = remapping->offset_bytes - remapping->lead_bytes;
    const char *step, *hint;
    void *address;
    int r;

    r = verso__map_place(map, remapping->fd, offset, map->base, remapping->mapped_bytes, VERSO__OS_MAP_OVER, &address);
    if (r == 0)
        r = reserve_rest(map, remapping->mapped_bytes);
    if (r < 0 && !map->address_is_fixed) {
        move_out(remapping);
        return 0;
    }
    (void)verso__os_unmap(remapping->elsewhere, remapping->mapped_bytes);
    if (r < 0)
        return failed(remapping, r, "mmap", NULL);
    (void)verso__map_dress(map, address, remapping->mapped_bytes, &step, &hint); /* rehearsed */
    return 0;
}

static int move(struct remapping *remapping)
{
    struct verso_map *map = remapping->map;
    int r;

    if (remapping->mapped_bytes == 0) {
        r = reserve_rest(map, 0);
        return r < 0 ? failed(remapping, r, "mmap", NULL) : 0;
    }
    r = rehearse(remapping);
    if (r < 0)
        return r;
    if (remapping->mapped_bytes <= map->span_bytes)
        return move_in(remapping);
    move_out(remapping);
    return 0;
}

static int remap(struct remapping *remapping, uint64_t offset, uint64_t length)
{
    struct verso_map *map = remapping->map;
    int r;

    r = lay_out(remapping, offset, length);
    if (r == 0)
        r = move(remapping);
    if (r < 0)
        return r;
    map->offset_bytes = remapping->offset_bytes;
    map->lead_bytes = remapping->lead_bytes;
    map->length_bytes = remapping->length_bytes;
    map->mapped_bytes = remapping->mapped_bytes;
    map->kind = remapping->length_bytes ? VERSO_MAP_KIND_FILE : VERSO_MAP_KIND_EMPTY;
    map->narrowed = false;
    atomic_store(&map->range.torn_offset_bytes, VERSO_OFFSET_NONE);
    verso__map_huge_ask(map);
    return verso__map_watch(map); /* can't fail: it was watched before */
}

int verso_map_remap(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes)
{
    struct remapping remapping = { .map = map, .fd = -1 };
    int r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    r = check_map(&remapping);
    if (r == 0)
        r = remap(&remapping, offset_bytes, length_bytes);
    if (remapping.fd_is_own)
        verso__os_close(remapping.fd);
    if (r == VERSO_E_RANGE)
        return verso__fail_at(r, remapping.step, verso__map_path(map), offset_bytes);
    return r < 0 ? verso__fail_hint(r, remapping.step, verso__map_path(map), remapping.hint) : 0;
}
