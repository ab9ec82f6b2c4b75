/* SPDX-License-Identifier: MIT */
/*
 * resize - file and map together become longer or shorter.
 *
 *                  base            old end       new end                 span end
 *      before       |--- mapped ----|~~~~~~~~~~~~~~ reserved ~~~~~~~~~~~~~|
 *      after        |--- mapped ----|== placed ===|~~~~~~~ reserved ~~~~~~|
 *
 * With GROW, pages are placed over the reserved ones behind the map; what was mapped is not touched, so readers of it
 * go on. Without GROW the mapping is stretched by mremap, which may move it.
 *
 * The order makes failures harmless. Growing: first disk space, then memory, and a failure gives the file its size
 * back. Shrinking: first the file, which can't be undone, then memory, whose failure hurts nobody: pages past the end
 * of a file that stay mapped are as good as reserved ones.
 */
#include "map/map.h"

#include "base/sums.h"

#include <errno.h>

#define HINT_FIXED "something stands behind the map's fixed address: add GROW"
#define HINT_RANGE "the file goes on behind the map: resize a map that reaches to its end"

/* One resize while it lasts. */
struct resizing {
    struct verso_map *map;
    int fd;
    uint64_t file_bytes;  /* before */
    uint64_t file_wanted; /* the file's size after: the map's end */
    size_t length_bytes;  /* the map's */
    size_t mapped_bytes;  /* whole pages for it */
    const char *step;
    const char *hint;
};

static int failed(struct resizing *resizing, int code, const char *step, const char *hint)
{
    resizing->step = step;
    resizing->hint = hint;
    return code;
}

static int check_map(struct resizing *resizing)
{
    const struct verso_map *map = resizing->map;

    if (map->kind == VERSO_MAP_KIND_BUFFER || map->kind == VERSO_MAP_KIND_MEMORY)
        return failed(resizing, VERSO_E_NOT_MAPPED, "resize", NULL);
    if (!(map->flags & VERSO_MAP_WRITE))
        return failed(resizing, VERSO_E_READ_ONLY, "resize",
                      map->flags & VERSO_MAP_PRIVATE ? "a PRIVATE map never changes the file: open it with WRITE"
                                                     : "open it with VERSO_MAP_WRITE");
    if (map->sealed)
        return failed(resizing, -EPERM, "resize", "the map is sealed: its memory stays as it is");
    return 0;
}

/* How long the file is when the map is @bytes long. Files of huge pages (hugetlbfs) consist of whole ones. */
static bool file_size_for(const struct verso_map *map, uint64_t bytes, uint64_t *out_bytes)
{
    uint64_t end;

    if (!verso__add_u64(map->offset_bytes, bytes, &end))
        return false;
    if (map->granule_bytes > verso__os_page_bytes() && !verso__round_up(end, map->granule_bytes, &end))
        return false;
    *out_bytes = end;
    return end <= INT64_MAX;
}

static int lay_out(struct resizing *resizing, uint64_t bytes)
{
    const struct verso_map *map = resizing->map;
    uint64_t mapped;

    if (!file_size_for(map, bytes, &resizing->file_wanted))
        return failed(resizing, VERSO_E_OVERFLOW, "resize", NULL);
    if (!verso__round_up(map->lead_bytes + bytes, map->granule_bytes, &mapped) || mapped > PTRDIFF_MAX)
        return failed(resizing, VERSO_E_OVERFLOW, "resize",
                      "it does not fit in this process's memory: slide a window over it (verso/window.h)");
    if ((map->flags & VERSO_MAP_GROW) && bytes && mapped > map->span_bytes)
        return failed(resizing, VERSO_E_SPAN, "resize", NULL);
    resizing->length_bytes = (size_t)bytes;
    resizing->mapped_bytes = bytes ? (size_t)mapped : 0;
    return 0;
}

static int check_file(struct resizing *resizing)
{
    const struct verso_map *map = resizing->map;
    struct verso__os_file_info info;
    uint64_t ours;
    int r = verso__os_file_info(resizing->fd, &info);

    if (r < 0)
        return failed(resizing, r, "fstat", NULL);
    if (info.kind != VERSO__OS_FILE_REGULAR)
        return failed(resizing, VERSO_E_UNSUPPORTED, "resize", "a device has the size it has");
    if (file_size_for(map, map->length_bytes, &ours) && info.bytes > verso__max_u64(ours, map->left_bytes))
        return failed(resizing, VERSO_E_RANGE, "resize", HINT_RANGE);
    resizing->file_bytes = info.bytes;
    return 0;
}

/* ---- The file ------------------------------------------------------------------------------------------------- */

static int grow_file(struct resizing *resizing)
{
    const struct verso_map *map = resizing->map;
    uint64_t from = verso__min_u64(resizing->file_bytes, resizing->file_wanted);
    int r;

    if (map->flags & VERSO_MAP_SPARSE) {
        r = verso__os_truncate(resizing->fd, resizing->file_wanted);
        return r < 0 ? failed(resizing, r, "ftruncate", NULL) : 0;
    }
    r = verso__map_allocate(resizing->fd, from, resizing->file_wanted - from, resizing->file_bytes);
    return r < 0 ? failed(resizing, r, "fallocate", NULL) : 0;
}

/* When even this fails, the next resize must know that what lies behind the map is its own. */
static void ungrow_file(const struct resizing *resizing)
{
    if (verso__map_ungrow(resizing->fd, resizing->file_bytes, resizing->file_wanted) < 0)
        resizing->map->left_bytes = verso__max_u64(resizing->map->left_bytes, resizing->file_wanted);
}

static int resize_file(struct resizing *resizing)
{
    int r;

    if (resizing->file_wanted > resizing->file_bytes) {
        r = grow_file(resizing);
        if (r < 0)
            ungrow_file(resizing);
        return r;
    }
    r = resizing->file_wanted < resizing->file_bytes ? verso__os_truncate(resizing->fd, resizing->file_wanted) : 0;
    return r < 0 ? failed(resizing, r, "ftruncate", NULL) : 0;
}

/* ---- The memory ----------------------------------------------------------------------------------------------- */

static int reserve_again(unsigned char *address, size_t bytes)
{
    void *same;

    return verso__os_map(address, bytes, VERSO__OS_ACCESS_NONE, VERSO__OS_MAP_OVER | VERSO__OS_MAP_NORESERVE, -1, 0,
                         &same);
}

/* Pages behind those that are mapped, over reserved ones of ours. On failure those are reserved again. */
static int place_behind(struct resizing *resizing, size_t bytes)
{
    struct verso_map *map = resizing->map;
    unsigned char *end = map->base + map->mapped_bytes;
    const char *step = "mmap", *hint = NULL;
    void *address;
    int r;

    if (bytes == 0)
        return 0;
    r = verso__map_place(map, resizing->fd, verso__map_base_offset(map) + map->mapped_bytes, end, bytes,
                         VERSO__OS_MAP_OVER, &address);
    if (r < 0)
        return failed(resizing, r, step, NULL);
    r = verso__map_dress(map, end, bytes, &step, &hint);
    if (r == 0)
        return 0;
    (void)reserve_again(end, bytes);
    return failed(resizing, r, step, hint);
}

/*
 * What populating and locking would refuse shows here, with the new pages at a place of their own: once the map has
 * moved, there would be no way back to its old address.
 */
static int rehearse(struct resizing *resizing, size_t old_bytes)
{
    struct verso_map *map = resizing->map;
    size_t bytes = resizing->mapped_bytes - old_bytes;
    const char *step = "mmap", *hint = NULL;
    void *address;
    int r;

    if (!(map->flags & (VERSO_MAP_LOCK | VERSO_MAP_POPULATE)))
        return 0;
    r = verso__map_place(map, resizing->fd, verso__map_base_offset(map) + old_bytes, NULL, bytes, 0, &address);
    if (r < 0)
        return failed(resizing, r, step, NULL);
    r = verso__map_dress(map, address, bytes, &step, &hint);
    (void)verso__os_unmap(address, bytes);
    return r < 0 ? failed(resizing, r, step, hint) : 0;
}

/* Mappings of huge pages can't be stretched: the file is mapped anew, and the old mapping goes. */
static int map_anew(struct resizing *resizing)
{
    struct verso_map *map = resizing->map;
    const char *step = "mmap", *hint = NULL;
    void *address;
    int r;

    if (map->address_is_fixed)
        return failed(resizing, VERSO_E_SPAN, "mremap", "huge pages don't grow in place: add GROW");
    r = verso__map_place(map, resizing->fd, verso__map_base_offset(map), NULL, resizing->mapped_bytes, 0, &address);
    if (r < 0)
        return failed(resizing, r, step, NULL);
    r = verso__map_dress(map, address, resizing->mapped_bytes, &step, &hint);
    if (r == 0)
        r = verso__os_unmap(map->base, map->span_bytes);
    if (r < 0) {
        (void)verso__os_unmap(address, resizing->mapped_bytes);
        return failed(resizing, r, step, hint);
    }
    map->base = address;
    map->span_bytes = resizing->mapped_bytes;
    return 0;
}

/*
 * mremap stretches one mapping, and advice, locks or access given to a part have made the map several. Then the new
 * pages are put right behind, where nothing may stand; else all of it moves, and what parts had by advice is lost.
 */
static int stretch_pieces(struct resizing *resizing)
{
    struct verso_map *map = resizing->map;
    size_t bytes = resizing->mapped_bytes - map->span_bytes;
    unsigned char *end = map->base + map->span_bytes;
    const char *step, *hint;
    void *address;

    if (verso__map_place(map, resizing->fd, verso__map_base_offset(map) + map->span_bytes, end, bytes, VERSO__OS_MAP_AT,
                         &address) == 0) {
        map->span_bytes = resizing->mapped_bytes;
        (void)verso__map_dress(map, address, bytes, &step, &hint); /* rehearsed */
        return 0;
    }
    if (map->address_is_fixed)
        return failed(resizing, VERSO_E_SPAN, "mmap", HINT_FIXED);
    if (map->narrowed)
        return failed(resizing, VERSO_E_SPAN, "mmap",
                      "parts of the map have another access, so it can't move: add GROW");
    return map_anew(resizing);
}

/* Without GROW: makes the room itself longer, all of which is mapped. The new pages inherit what the old ones have. */
static int stretch(struct resizing *resizing)
{
    struct verso_map *map = resizing->map;
    const char *step, *hint;
    void *address;
    int r;

    if (resizing->mapped_bytes <= map->span_bytes)
        return 0;
    if (map->granule_bytes > verso__os_page_bytes())
        return map_anew(resizing);
    r = rehearse(resizing, map->span_bytes);
    if (r < 0)
        return r;
    r = verso__os_remap(map->base, map->span_bytes, resizing->mapped_bytes, !map->address_is_fixed, &address);
    if (r == -EFAULT)
        return stretch_pieces(resizing);
    if (r == -ENOMEM && map->address_is_fixed)
        return failed(resizing, VERSO_E_SPAN, "mremap", HINT_FIXED);
    if (r < 0)
        return failed(resizing, r, "mremap", NULL);
    map->base = address;
    map->span_bytes = resizing->mapped_bytes;
    (void)verso__map_dress(map, address, resizing->mapped_bytes, &step, &hint); /* rehearsed */
    return 0;
}

static int grow_memory(struct resizing *resizing)
{
    struct verso_map *map = resizing->map;
    size_t in_room = (size_t)verso__min_u64(resizing->mapped_bytes, map->span_bytes);
    size_t placed = in_room > map->mapped_bytes ? in_room - map->mapped_bytes : 0;
    int r;

    r = place_behind(resizing, placed);
    if (r == 0)
        r = stretch(resizing);
    else
        return r;
    if (r < 0 && placed)
        (void)reserve_again(map->base + map->mapped_bytes, placed);
    return r;
}

/* Pages that can't be given back stay mapped past the file's end, where the next growth finds them. */
static void shrink_memory(struct resizing *resizing)
{
    struct verso_map *map = resizing->map;
    size_t keep = resizing->mapped_bytes, had = map->mapped_bytes;
    size_t room = keep ? keep : map->granule_bytes; /* an empty map keeps one page, that nobody can read */

    if (map->flags & VERSO_MAP_GROW)
        room = map->span_bytes;
    if (keep < room && reserve_again(map->base + keep, (room < had ? room : had) - keep) < 0) {
        resizing->mapped_bytes = had;
    } else if (room < map->span_bytes) {
        if (verso__os_unmap(map->base + room, map->span_bytes - room) == 0)
            map->span_bytes = room;
        else if (keep > 0)
            resizing->mapped_bytes = had;
    }
}

static int resize_memory(struct resizing *resizing)
{
    if (resizing->mapped_bytes > resizing->map->mapped_bytes)
        return grow_memory(resizing);
    if (resizing->mapped_bytes < resizing->map->mapped_bytes)
        shrink_memory(resizing);
    return 0;
}

/* ---- The call ------------------------------------------------------------------------------------------------- */

/* A bad page that lay behind the new end went with it. */
static void forget_torn(struct verso_map *map)
{
    uint64_t torn = atomic_load(&map->range.torn_offset_bytes);

    if (torn != VERSO_OFFSET_NONE && torn >= verso__map_base_offset(map) + map->mapped_bytes)
        (void)atomic_compare_exchange_strong(&map->range.torn_offset_bytes, &torn, VERSO_OFFSET_NONE);
}

static int resize(struct resizing *resizing)
{
    struct verso_map *map = resizing->map;
    enum verso_map_kind kind;
    int r;

    r = check_file(resizing);
    if (r == 0)
        r = resize_file(resizing);
    if (r < 0)
        return r;
    r = resize_memory(resizing);
    if (r < 0) {
        ungrow_file(resizing);
        return r;
    }
    kind = resizing->length_bytes ? VERSO_MAP_KIND_FILE : VERSO_MAP_KIND_EMPTY;
    if (map->kind != kind) /* else others may be looking at it */
        map->kind = kind;
    map->mapped_bytes = resizing->mapped_bytes;
    map->length_bytes = resizing->length_bytes;
    map->left_bytes = 0;
    forget_torn(map);
    return verso__map_watch(map); /* can't fail: it was watched before */
}

int verso_map_resize(struct verso_map *map, uint64_t bytes)
{
    struct resizing resizing = { .map = map };
    bool fd_is_own = false;
    int r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    r = check_map(&resizing);
    if (r == 0)
        r = lay_out(&resizing, bytes);
    if (r == 0) {
        r = verso__map_descriptor(map, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE, &resizing.fd, &fd_is_own);
        if (r < 0)
            (void)failed(&resizing, r, "resize", NULL);
    }
    if (r == 0)
        r = resize(&resizing);
    if (fd_is_own)
        verso__os_close(resizing.fd);
    return r < 0 ? verso__fail_hint(r, resizing.step, verso__map_path(map), resizing.hint) : 0;
}
