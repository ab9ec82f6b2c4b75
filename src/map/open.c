/* SPDX-License-Identifier: MIT */
/*
 * open - from a name or a descriptor to a map.
 *
 *      open -> fstat -+-> regular, block --> range -> disk space -> stability -> room -> mmap -> dress -> guard
 *                     |                        '-- the kernel refuses, or says "0 bytes" --.
 *                     '-> pipe, socket, character device ------------------------------> read in (buffer.c)
 *
 * The plain case makes the system calls that one would make by hand (open, fstat, mmap, close) and one allocation;
 * everything else is behind a flag or a refusal.
 */
#include "base/sums.h"
#include "map/opening.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define SPAN_BYTES_MAX ((uint64_t)8 << 40)

int verso__map_failed(struct verso__map_opening *opening, int code, const char *step, const char *hint)
{
    *opening->failure =
        (struct verso__failure){ .code = code, .step = step, .offset_bytes = VERSO_OFFSET_NONE, .hint = hint };
    return code;
}

/* The range in a file whose size can be believed. */
static int find_range(struct verso__map_opening *opening)
{
    uint64_t offset = opening->options.offset_bytes;
    uint64_t end = offset + opening->length_bytes; /* does not overflow: options.c */
    int r;

    if (end > opening->file.bytes && opening->length_bytes && (opening->options.flags & VERSO_MAP_CREATE)) {
        r = verso__map_grow_file(opening, end);
        if (r < 0)
            return r;
    } else if (end > opening->file.bytes) {
        (void)verso__map_failed(opening, VERSO_E_RANGE, "range", NULL);
        opening->failure->offset_bytes = opening->file.bytes;
        return VERSO_E_RANGE;
    }
    if (opening->length_bytes == 0)
        opening->length_bytes = opening->file.bytes - offset;
    return 0;
}

/* What the mapping's borders obey; only hugetlbfs differs, and there blocks are pages. */
static size_t granule_of(const struct verso__map_opening *opening)
{
    size_t page = verso__os_page_bytes();

    return opening->file.block_bytes > page ? verso__os_file_page_bytes(opening->fd) : page;
}

/* Where the range lies in whole granules. */
static int lay_out(struct verso__map_opening *opening, struct verso_map *map, size_t granule_bytes)
{
    uint64_t offset = opening->options.offset_bytes;
    uint64_t bytes;

    map->granule_bytes = granule_bytes;
    map->lead_bytes = (size_t)(offset & (map->granule_bytes - 1));
    if (!verso__round_up(map->lead_bytes + opening->length_bytes, map->granule_bytes, &bytes) || bytes > PTRDIFF_MAX)
        return verso__map_failed(opening, VERSO_E_OVERFLOW, "range",
                                 "it does not fit in this process's memory: slide a window over it (verso/window.h)");
    map->offset_bytes = offset;
    atomic_store_explicit(&map->length_bytes, (size_t)opening->length_bytes, memory_order_relaxed); /* not yet shared */
    atomic_store_explicit(&map->mapped_bytes, opening->length_bytes ? (size_t)bytes : 0, memory_order_relaxed);
    return 0;
}

/* A file opened for writing gets disk space under its holes, so that a store meets a full disk here and not later. */
static int fill_holes(struct verso__map_opening *opening)
{
    const struct verso_map_options *options = &opening->options;
    int r;

    if (!(options->flags & VERSO_MAP_WRITE) || (options->flags & VERSO_MAP_SPARSE) || opening->length_bytes == 0 ||
        opening->file.kind != VERSO__OS_FILE_REGULAR)
        return 0;
    r = verso__map_fill_holes(opening->fd, opening->fd_is_own, options->offset_bytes, opening->length_bytes,
                              verso__max_u64(opening->file.bytes, opening->grown_to));
    return r < 0 ? verso__map_failed(opening, r, "fallocate", NULL) : 0;
}

/* ---- Room: address space that the pages are then placed over --------------------------------------------------- */

static int reserve(const struct verso__map_opening *opening, const struct verso_map *map, size_t bytes,
                   void **out_address)
{
    char *wanted = opening->options.address;

    if (wanted)
        return verso__os_map(wanted - map->lead_bytes, bytes, VERSO__OS_ACCESS_NONE,
                             VERSO__OS_MAP_AT | VERSO__OS_MAP_NORESERVE, -1, 0, out_address);
    if ((map->flags & VERSO_MAP_HUGE) && map->granule_bytes == verso__os_page_bytes())
        return verso__map_huge_reserve(verso__map_base_offset(map), bytes, out_address);
    return verso__os_reserve(bytes, map->granule_bytes, out_address);
}

/*
 * The default span is a wish: where address space is limited (ulimit -v), or something stands behind a fixed address,
 * it is halved until it fits, and once more, so that something is left for everybody else.
 */
static int reserve_default_span(const struct verso__map_opening *opening, struct verso_map *map, size_t bytes,
                                void **out_address)
{
    size_t least = map->mapped_bytes ? map->mapped_bytes : map->granule_bytes;
    bool was_refused = false;
    int r;

    while ((r = reserve(opening, map, bytes, out_address)) < 0 && (r == -ENOMEM || r == -EEXIST) && bytes > least) {
        bytes = (size_t)verso__max_u64(verso__round_down(bytes / 2, map->granule_bytes), least);
        was_refused = true;
    }
    if (r == 0 && was_refused && bytes / 2 >= least) {
        size_t half = (size_t)verso__round_down(bytes / 2, map->granule_bytes);

        if (half >= least && verso__os_unmap((char *)*out_address + half, bytes - half) == 0)
            bytes = half;
    }
    map->span_bytes = bytes;
    return r;
}

static int reserve_span(struct verso__map_opening *opening, struct verso_map *map, void **out_address)
{
    uint64_t wanted = opening->options.span_bytes;
    uint64_t span = wanted ? wanted : verso__min_u64(verso__os_address_space_bytes() / 16, SPAN_BYTES_MAX);
    uint64_t bytes;

    if (wanted && wanted < map->length_bytes)
        return verso__map_failed(opening, VERSO_E_SPAN, "reserve", "span_bytes is smaller than the range");
    span = verso__max_u64(span, map->length_bytes);
    if (!verso__add_u64(span, map->lead_bytes, &bytes) || !verso__round_up(bytes, map->granule_bytes, &bytes) ||
        bytes > PTRDIFF_MAX)
        return verso__map_failed(opening, VERSO_E_OVERFLOW, "reserve", "span_bytes is more than addresses can reach");
    if (!wanted)
        return reserve_default_span(opening, map, (size_t)bytes, out_address);
    map->span_bytes = (size_t)bytes;
    return reserve(opening, map, (size_t)bytes, out_address);
}

/* Sets base and span. *out_reserved: the pages are to be placed over them; else they go straight to the address. */
static int take_room(struct verso__map_opening *opening, struct verso_map *map, bool *out_reserved)
{
    void *address = NULL;
    int r = 0;

    *out_reserved = true;
    map->address_is_fixed = opening->options.address != NULL;
    map->span_bytes = map->mapped_bytes ? map->mapped_bytes : map->granule_bytes;
    if (map->flags & VERSO_MAP_GROW)
        r = reserve_span(opening, map, &address);
    else if (map->mapped_bytes == 0 || ((map->flags & VERSO_MAP_HUGE) && !opening->options.address))
        r = reserve(opening, map, map->span_bytes, &address);
    else
        *out_reserved = false;
    if (r == 0)
        map->base = address;
    else if (opening->failure->code == 0)
        (void)verso__map_failed(opening, r, "mmap", NULL);
    return r;
}

/* ---- Placing -------------------------------------------------------------------------------------------------- */

static int place(struct verso__map_opening *opening, struct verso_map *map, int fd)
{
    char *wanted = opening->options.address;
    bool is_reserved;
    void *address;
    int r;

    r = take_room(opening, map, &is_reserved);
    if (r < 0 || map->mapped_bytes == 0)
        return r;
    if (is_reserved)
        r = verso__map_place(map, fd, verso__map_base_offset(map), map->base, map->mapped_bytes, VERSO__OS_MAP_OVER,
                             &address);
    else
        r = verso__map_place(map, fd, verso__map_base_offset(map), wanted ? wanted - map->lead_bytes : NULL,
                             map->mapped_bytes, wanted ? VERSO__OS_MAP_AT : 0, &address);
    if (r == 0)
        map->base = address;
    opening->refuses_mmap = r == -ENODEV || r == -EIO;
    return r < 0 ? verso__map_failed(opening, r, "mmap", NULL) : 0;
}

/* What mmap's refusal means, where its errno says too little. Answers the code to go on with. */
static int explain_refusal(struct verso__map_opening *opening, int code)
{
    unsigned flags = opening->options.flags, mode;
    int cause = code;

    if ((code == -ENODEV || code == -EIO) && (flags & (VERSO_MAP_WRITE | VERSO_MAP_EXEC)))
        code = verso__map_failed(opening, VERSO_E_NOT_MAPPED, "mmap", VERSO__MAP_HINT_NOT_MAPPED);
    else if (code == -EOPNOTSUPP && (flags & VERSO_MAP_DURABLE))
        code = verso__map_failed(opening, VERSO_E_UNSUPPORTED, "mmap",
                                 "DURABLE needs a file on persistent memory, mounted with -o dax");
    else if (code == -EACCES && verso__os_open_mode(opening->fd, &mode) == 0 && !(mode & VERSO__OS_OPEN_READ))
        code =
            verso__map_failed(opening, code, "mmap", "the descriptor is open for writing only; a map must also read");
    else if (code == -EPERM && (flags & VERSO_MAP_EXEC))
        code = verso__map_failed(opening, code, "mmap", "the file system is mounted noexec");
    else
        return code;
    opening->failure->cause = cause == code ? 0 : cause;
    return code;
}

static int finish(struct verso__map_opening *opening, struct verso_map *map)
{
    const char *step = "", *hint = NULL;
    int r;

    if (map->kind != VERSO_MAP_KIND_BUFFER &&
        ((map->flags & VERSO_MAP_HUGE) || map->granule_bytes > verso__os_page_bytes()))
        verso__map_huge_ask(map);
    r = verso__map_dress(map, map->base, map->mapped_bytes, &step, &hint);
    if (r < 0) {
        (void)verso__map_failed(opening, r, step, hint);
        if (r == VERSO_E_TORN)
            opening->failure->offset_bytes = atomic_load(&map->range.torn_offset_bytes);
        return r;
    }
    if (map->flags & VERSO_MAP_KEEP_FD && map->fd < 0) {
        if (opening->source_fd >= 0)
            map->fd = opening->source_fd;
        else if (opening->fd_is_own)
            map->fd = opening->fd;
        else
            r = verso__os_duplicate(opening->fd, &map->fd);
        if (r < 0)
            return verso__map_failed(opening, r, "dup", NULL);
    }
    r = verso__map_watch(map);
    return r < 0 ? verso__map_failed(opening, r, "guard", NULL) : 0;
}

/*
 * The size of a file that can't be mapped (/sys) is not that of its content, so no rung must go by it. What else mmap
 * may refuse is met when the pages are placed.
 */
static bool can_be_mapped(struct verso__map_opening *opening, const struct verso_map *map)
{
    void *address;
    int r = verso__os_map(NULL, map->granule_bytes, VERSO__OS_ACCESS_READ, VERSO__OS_MAP_NORESERVE, opening->fd,
                          verso__map_base_offset(map), &address);

    if (r == 0)
        (void)verso__os_unmap(address, map->granule_bytes);
    opening->refuses_mmap = r == -ENODEV || r == -EIO;
    return !opening->refuses_mmap;
}

/* Takes the rung that was asked for. A snapshot or a copy is mapped in the file's place. */
static int take_rung(struct verso__map_opening *opening, struct verso_map *map)
{
    struct verso__os_file_info info;
    int r;

    map->stability = opening->options.stability;
    if (map->stability == VERSO_MAP_RAW)
        return 0;
    if (map->length_bytes == 0 && !(map->flags & VERSO_MAP_WRITE))
        return 0; /* nothing can't be changed, so nothing has every rung; but what is written to may grow */
    if (!can_be_mapped(opening, map))
        return explain_refusal(opening, verso__map_failed(opening, -ENODEV, "mmap", NULL));
    r = verso__map_stability_source(map, opening->fd, &opening->options, &opening->source_fd, opening->failure);
    if (r < 0 || opening->source_fd < 0)
        return r;
    if (!opening->path)
        verso__map_path_remember(map, opening->fd);
    r = verso__os_file_info(opening->source_fd, &info);
    if (r < 0)
        return verso__map_failed(opening, r, "fstat", NULL);
    map->device = info.device;
    map->inode = info.inode;
    return lay_out(opening, map, map->granule_bytes); /* a copy may be in huge pages */
}

static int map_range(struct verso__map_opening *opening, struct verso_map *map)
{
    int r;

    r = find_range(opening);
    if (r == 0)
        r = lay_out(opening, map, granule_of(opening));
    map->kind = map->length_bytes ? VERSO_MAP_KIND_FILE : VERSO_MAP_KIND_EMPTY;
    if (r == 0)
        r = fill_holes(opening);
    if (r == 0)
        r = take_rung(opening, map);
    if (r < 0)
        return r;
    r = place(opening, map, opening->source_fd >= 0 ? opening->source_fd : opening->fd);
    return r < 0 ? explain_refusal(opening, r) : 0;
}

/* ---- What can't be mapped ------------------------------------------------------------------------------------- */

static void drop_room(struct verso_map *map)
{
    if (map->base)
        (void)verso__os_unmap(map->base, map->span_bytes);
    map->base = NULL;
}

__attribute__((cold)) static int read_in(struct verso__map_opening *opening, struct verso_map *map)
{
    bool reserved;
    int r;

    *opening->failure = (struct verso__failure){ 0 }; /* that mmap refused is no failure any more */
    drop_room(map);
    verso__map_lease_drop(map);
    map->granule_bytes = verso__os_page_bytes();
    if (opening->file.kind != VERSO__OS_FILE_REGULAR)
        map->flags &= ~(unsigned)(VERSO_MAP_GROW | VERSO_MAP_KEEP_FD | VERSO_MAP_SUBSTITUTE);
    r = verso__map_read_in(opening, map);
    if (r < 0 || map->kind != VERSO_MAP_KIND_EMPTY)
        return r;
    opening->length_bytes = 0;
    r = lay_out(opening, map, granule_of(opening));
    if (r == 0)
        r = take_rung(opening, map);
    return r < 0 ? r : take_room(opening, map, &reserved);
}

/*
 * A regular file of no bytes is either empty or made up by the kernel as it is read (/proc). Just made: it is empty.
 * The rest of a refusal by mmap is ENODEV (/sys, FUSE) or EIO (/proc files that do have a size).
 */
static int map_or_read(struct verso__map_opening *opening, struct verso_map *map)
{
    bool may_read_in = !(opening->options.flags & (VERSO_MAP_WRITE | VERSO_MAP_EXEC));
    int r;

    switch (opening->file.kind) {
    case VERSO__OS_FILE_DIRECTORY:
        return verso__map_failed(opening, -EISDIR, "open", NULL);
    case VERSO__OS_FILE_REGULAR:
    case VERSO__OS_FILE_BLOCK:
        break;
    default:
        return read_in(opening, map);
    }
    if (opening->file.bytes == 0 && !opening->made_file &&
        !((opening->options.flags & VERSO_MAP_CREATE) && opening->length_bytes))
        return read_in(opening, map);
    r = map_range(opening, map);
    return opening->refuses_mmap && may_read_in ? read_in(opening, map) : r;
}

/* ---- The call ------------------------------------------------------------------------------------------------- */

static struct verso_map *new_map(const struct verso__map_opening *opening)
{
    const char *path = opening->path ? opening->path : "";
    size_t path_bytes = strlen(path) + 1;
    struct verso_map *map = malloc(sizeof(*map) + path_bytes); /* calloc() would pass by the thread's own cache */

    if (!map)
        return NULL;
    memset(map, 0, sizeof(*map));
    map->path = memcpy(map + 1, path, path_bytes);
    map->path_is_name = opening->path != NULL;
    map->fd = map->lease_fd = -1;
    map->flags = opening->options.flags;
    map->forks = map->flags & VERSO_MAP_NO_FORK ? verso__os_forks() : 0;
    map->access = VERSO__OS_ACCESS_READ;
    if (map->flags & (VERSO_MAP_WRITE | VERSO_MAP_PRIVATE))
        map->access |= VERSO__OS_ACCESS_WRITE;
    if (map->flags & VERSO_MAP_EXEC)
        map->access |= VERSO__OS_ACCESS_EXEC;
    map->pages = VERSO_MAP_PAGES_BASE;
    map->stability_why = map->pages_why = "";
    map->device = opening->file.device;
    map->inode = opening->file.inode;
    verso__guard_range_init(&map->range);
    return map;
}

static int make_map(struct verso__map_opening *opening, struct verso_map **out_map)
{
    struct verso_map *map;
    unsigned mode;
    int r;

    r = verso__os_file_info(opening->fd, &opening->file);
    if (r < 0)
        return verso__map_failed(opening, r, "fstat", NULL);
    if (!opening->path && (opening->options.flags & VERSO_MAP_WRITE) && verso__os_open_mode(opening->fd, &mode) == 0 &&
        mode != (VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE))
        return verso__map_failed(opening, -EACCES, "mmap", "WRITE needs a descriptor open for reading and writing");
    map = new_map(opening);
    if (!map)
        return verso__map_failed(opening, -ENOMEM, "malloc", NULL);
    r = map_or_read(opening, map);
    if (r == 0)
        r = finish(opening, map);
    if (r == 0) {
        if (map->fd == opening->fd)
            opening->fd_is_own = false; /* it is the map's now */
        if (map->fd == opening->source_fd)
            opening->source_fd = -1;
        *out_map = map;
        return 0;
    }
    if (map->fd == opening->fd || map->fd == opening->source_fd)
        map->fd = -1; /* still needed, to undo what was done to the file */
    verso_map_close(map);
    return r;
}

/* Only a failure is worth a system call for the name of a descriptor. */
__attribute__((cold)) static int report(const struct verso__map_opening *opening)
{
    struct verso__failure failure = *opening->failure;
    char name[PATH_MAX];

    failure.path = opening->path;
    if (!failure.path && verso__os_path_of(opening->fd, name, sizeof(name)) == 0)
        failure.path = name;
    return verso__fail_with(&failure);
}

static int open_map(const char *path, int fd, const struct verso_map_options *given, struct verso_map **out_map)
{
    struct verso__failure failure = { 0 };
    struct verso__map_opening opening; /* field by field: clearing all of it showed in the cost of a small map */
    int r;

    opening.options = (struct verso_map_options)VERSO_MAP_OPTIONS_INIT;
    opening.path = path;
    opening.fd = fd;
    opening.fd_is_own = false;
    opening.source_fd = -1;
    opening.made_file = false;
    opening.grown_to = 0;
    opening.refuses_mmap = false;
    opening.failure = &failure;
    r = verso__map_options_take(&opening, given);
    if (r == 0 && path)
        r = verso__map_open_name(&opening);
    if (r == 0)
        r = make_map(&opening, out_map);
    if (r < 0)
        verso__map_undo_file(&opening);
    if (opening.fd_is_own)
        verso__os_close(opening.fd);
    if (opening.source_fd >= 0)
        verso__os_close(opening.source_fd);
    return r < 0 ? report(&opening) : 0;
}

int verso_map_open(const char *path, const struct verso_map_options *options, struct verso_map **out_map)
{
    if (!path)
        return verso__fail_hint(-EINVAL, "open", NULL, "the path is NULL");
    return open_map(path, -1, options, out_map);
}

int verso_map_open_fd(int fd, const struct verso_map_options *options, struct verso_map **out_map)
{
    return open_map(NULL, fd, options, out_map);
}
