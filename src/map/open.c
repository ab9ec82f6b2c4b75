/* SPDX-License-Identifier: MIT */
/*
 * open - from a name or a descriptor to a map.
 *
 * The plain case makes the four system calls that one would make by hand (open, fstat, mmap, close) and one allocation.
 */
#include "map/map.h"

#include "base/fail.h"
#include "base/options.h"
#include "base/sums.h"
#include "os/os.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#define FLAGS_KNOWN ((unsigned)VERSO_MAP_DURABLE * 2 - 1)
#define OFFSET_MAX ((uint64_t)INT64_MAX)

/* One call of open, while it lasts. */
struct opening {
    struct verso_map_options options;
    const char *path; /* NULL for open_fd */
    int fd;
    struct verso__os_file_info file;
    uint64_t length_bytes; /* resolved: never "to the end" */
    const char *step;      /* of the first failure; NULL: none */
    const char *hint;
};

static int failed(struct opening *opening, int code, const char *step, const char *hint)
{
    opening->step = step;
    opening->hint = hint;
    return code;
}

static int take_options(struct opening *opening, const struct verso_map_options *given)
{
    struct verso_map_options *options = &opening->options;

    if (!given)
        return 0;
    if (!verso__options_take(given, options, sizeof(*options), sizeof(*options)))
        return failed(opening, VERSO_E_OPTIONS, "options", NULL);
    if (options->flags & ~FLAGS_KNOWN)
        return failed(opening, VERSO_E_OPTIONS, "options", NULL);
    if ((options->flags & VERSO_MAP_EXEC) && (options->flags & (VERSO_MAP_WRITE | VERSO_MAP_PRIVATE)))
        return failed(opening, VERSO_E_WX, "options", NULL);
    if ((options->flags & VERSO_MAP_WRITE) && (options->flags & VERSO_MAP_PRIVATE))
        return failed(opening, VERSO_E_OPTIONS, "options", "WRITE and PRIVATE exclude each other");
    return 0;
}

static int find_range(struct opening *opening)
{
    const struct verso_map_options *options = &opening->options;
    uint64_t end;

    if (!verso__add_u64(options->offset_bytes, options->length_bytes, &end) || end > OFFSET_MAX)
        return failed(opening, VERSO_E_OVERFLOW, "range", NULL);
    if (end > opening->file.bytes)
        return failed(opening, VERSO_E_RANGE, "range", NULL);
    opening->length_bytes = options->length_bytes ? options->length_bytes : opening->file.bytes - options->offset_bytes;
    return 0;
}

static int map_file(struct opening *opening, struct verso_map *map)
{
    size_t page = verso__os_page_bytes();
    uint64_t bytes;
    void *address;
    int r;

    map->lead_bytes = (size_t)(opening->options.offset_bytes & (page - 1));
    if (!verso__round_up(map->lead_bytes + opening->length_bytes, page, &bytes) || bytes > SIZE_MAX)
        return failed(opening, VERSO_E_OVERFLOW, "range", NULL);
    map->offset_bytes = opening->options.offset_bytes;
    map->length_bytes = (size_t)opening->length_bytes;
    map->mapped_bytes = map->length_bytes ? (size_t)bytes : 0;
    map->span_bytes = map->length_bytes ? (size_t)bytes : page;
    if (map->length_bytes) {
        map->kind = VERSO_MAP_KIND_FILE;
        r = verso__map_place(map, opening->fd, verso__map_base_offset(map), NULL, (size_t)bytes, 0, &address);
    } else {
        map->kind = VERSO_MAP_KIND_EMPTY;
        r = verso__os_reserve(page, page, &address);
    }
    if (r < 0)
        return failed(opening, r, "mmap", NULL);
    map->base = address;
    return 0;
}

static int make_map(struct opening *opening, struct verso_map **out_map)
{
    const char *path = opening->path ? opening->path : "";
    size_t path_bytes = strlen(path) + 1;
    struct verso_map *map;
    int r;

    r = verso__os_file_info(opening->fd, &opening->file);
    if (r < 0)
        return failed(opening, r, "fstat", NULL);
    if (opening->file.kind == VERSO__OS_FILE_DIRECTORY)
        return failed(opening, -EISDIR, "open", NULL);
    r = find_range(opening);
    if (r < 0)
        return r;
    map = calloc(1, sizeof(*map) + path_bytes);
    if (!map)
        return failed(opening, -ENOMEM, "malloc", NULL);
    map->path = memcpy(map + 1, path, path_bytes);
    map->path_is_name = opening->path != NULL;
    map->fd = map->lease_fd = -1;
    map->granule_bytes = verso__os_page_bytes();
    map->flags = opening->options.flags;
    map->access = VERSO__OS_ACCESS_READ;
    if (map->flags & (VERSO_MAP_WRITE | VERSO_MAP_PRIVATE))
        map->access |= VERSO__OS_ACCESS_WRITE;
    if (map->flags & VERSO_MAP_EXEC)
        map->access |= VERSO__OS_ACCESS_EXEC;
    map->pages = VERSO_MAP_PAGES_BASE;
    map->stability_why = map->pages_why = "";
    map->device = opening->file.device;
    map->inode = opening->file.inode;
    r = map_file(opening, map);
    if (r == 0 && (map->flags & (VERSO_MAP_KEEP_FD | VERSO_MAP_GROW | VERSO_MAP_SUBSTITUTE))) {
        r = verso__os_duplicate(opening->fd, &map->fd);
        if (r < 0)
            (void)failed(opening, r, "dup", NULL);
    }
    if (r < 0) {
        verso_map_close(map);
        return r;
    }
    *out_map = map;
    return 0;
}

static int report(const struct opening *opening, int code)
{
    char name[PATH_MAX];
    const struct verso__failure failure = {
        .code = code,
        .step = opening->step,
        .path = opening->path,
        .offset_bytes = VERSO_OFFSET_NONE,
        .hint = opening->hint,
    };

    if (!failure.path && opening->fd >= 0 && verso__os_path_of(opening->fd, name, sizeof(name)) == 0)
        return verso__fail_hint(code, opening->step, name, opening->hint);
    return verso__fail_with(&failure);
}

int verso_map_open(const char *path, const struct verso_map_options *options, struct verso_map **out_map)
{
    struct opening opening = { .options = VERSO_MAP_OPTIONS_INIT, .path = path, .fd = -1 };
    unsigned flags = VERSO__OS_OPEN_READ;
    int r;

    r = take_options(&opening, options);
    if (r == 0) {
        if (opening.options.flags & VERSO_MAP_WRITE)
            flags |= VERSO__OS_OPEN_WRITE;
        if (opening.options.flags & VERSO_MAP_CREATE)
            flags |= VERSO__OS_OPEN_CREATE;
        r = verso__os_open(path, flags, opening.options.mode ? opening.options.mode : 0600, &opening.fd);
        if (r < 0)
            (void)failed(&opening, r, "open", NULL);
    }
    if (r == 0) {
        r = make_map(&opening, out_map);
        verso__os_close(opening.fd);
    }
    return r < 0 ? report(&opening, r) : 0;
}

int verso_map_open_fd(int fd, const struct verso_map_options *options, struct verso_map **out_map)
{
    struct opening opening = { .options = VERSO_MAP_OPTIONS_INIT, .path = NULL, .fd = fd };
    int r;

    r = take_options(&opening, options);
    if (r == 0)
        r = make_map(&opening, out_map);
    return r < 0 ? report(&opening, r) : 0;
}
