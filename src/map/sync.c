/* SPDX-License-Identifier: MIT */
/*
 * sync - making stores durable, at three levels, and never forgetting a failure.
 *
 * The kernel tells of a failed write-back once to each *open file* that was there at the time, and then takes the pages
 * for clean. So the question goes to the mapping's own open file: that is what msync() asks. A descriptor opened
 * afterwards would be told nothing, and its fsync() would succeed over lost data; it serves for what is not in pages
 * (metadata), after msync() has spoken. The first failure stays with the map: it is poisoned.
 */
#include "map/map.h"

#include "base/sums.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

struct syncing {
    struct verso_map *map;
    uint64_t offset_bytes; /* of the map */
    uint64_t length_bytes;
    const char *step;
    const char *hint;
};

static int failed(struct syncing *syncing, int code, const char *step, const char *hint)
{
    syncing->step = step;
    syncing->hint = hint;
    return code;
}

/* A write-back failed. What says only that the question was wrong does not count. */
static int failed_for_ever(struct syncing *syncing, int code, const char *step)
{
    int none = 0;

    if (code != -EINVAL && code != -EBADF && code != -ENOSYS)
        (void)atomic_compare_exchange_strong(&syncing->map->poison, &none, code);
    return failed(syncing, code, step, NULL);
}

static int check(struct syncing *syncing)
{
    const struct verso_map *map = syncing->map;

    if (!verso__within(syncing->offset_bytes, syncing->length_bytes, map->length_bytes))
        return failed(syncing, VERSO_E_RANGE, "sync", NULL);
    if (map->kind == VERSO_MAP_KIND_BUFFER || map->kind == VERSO_MAP_KIND_MEMORY)
        return failed(syncing, VERSO_E_NOT_MAPPED, "sync", NULL);
    if (map->flags & VERSO_MAP_PRIVATE)
        return failed(syncing, VERSO_E_NOT_MAPPED, "sync", "stores into a PRIVATE map never reach the file");
    if (!(map->flags & VERSO_MAP_WRITE))
        return failed(syncing, VERSO_E_READ_ONLY, "sync", "nothing was stored through this map");
    if (syncing->length_bytes == 0)
        syncing->length_bytes = map->length_bytes - syncing->offset_bytes;
    if (atomic_load(&map->poison))
        return failed(syncing, VERSO_E_POISONED, "sync", NULL);
    return 0;
}

/* Zeros that stand in for lost pages are no file: what was stored into them went nowhere. */
static int check_torn(struct syncing *syncing)
{
    const struct verso_map *map = syncing->map;
    uint64_t torn = atomic_load(&map->range.torn_offset_bytes);

    if (!(map->flags & VERSO_MAP_SUBSTITUTE) ||
        torn >= map->offset_bytes + syncing->offset_bytes + syncing->length_bytes)
        return 0;
    return failed(syncing, VERSO_E_TORN, "sync", "stores into the zeros were lost; verso_map_refresh() ends that");
}

static int start(struct syncing *syncing)
{
    struct verso_map *map = syncing->map;
    bool fd_is_own;
    int fd, r;

    if (syncing->length_bytes == 0)
        return 0;
    r = verso__map_descriptor(map, VERSO__OS_OPEN_READ, &fd, &fd_is_own);
    if (r < 0)
        return failed(syncing, r, "sync", NULL);
    r = verso__os_sync_start(fd, map->offset_bytes + syncing->offset_bytes, syncing->length_bytes);
    if (fd_is_own)
        verso__os_close(fd);
    return r < 0 ? failed_for_ever(syncing, r, "sync_file_range") : 0;
}

static int sync_pages(struct syncing *syncing)
{
    void *address;
    size_t bytes;
    int r;

    r = verso__map_pages_of(syncing->map, syncing->offset_bytes, syncing->length_bytes, false, &address, &bytes);
    if (r < 0)
        return failed(syncing, r, "sync", NULL);
    r = bytes ? verso__os_sync_mapping(address, bytes) : 0;
    return r < 0 ? failed_for_ever(syncing, r, "msync") : 0;
}

/* ---- The file's name ------------------------------------------------------------------------------------------ */

/* Cuts a path down to its directory. */
static void to_directory(char *path)
{
    char *slash = strrchr(path, '/');

    if (!slash)
        memcpy(path, ".", 2);
    else if (slash == path)
        slash[1] = '\0';
    else
        *slash = '\0';
}

/*
 * The directory that holds the file's name, whatever way led to it: the kernel's name for the descriptor has no
 * symbolic links in it and follows renames. Where that name is no use (another root), the one that was given is. A file
 * that has no name any more answers -ENOENT.
 */
static int open_directory(const struct verso_map *map, int fd, int *out_fd)
{
    struct verso__os_file_info info = { 0 };
    char path[PATH_MAX];
    int r;

    r = verso__os_path_of(fd, path, sizeof(path));
    if (r == 0)
        r = verso__os_path_info(path, false, &info);
    if (r < 0 || info.device != map->device || info.inode != map->inode) {
        if (strlen(map->path) >= sizeof(path))
            return -ENAMETOOLONG;
        memcpy(path, map->path, strlen(map->path) + 1);
        r = verso__os_path_info(path, false, &info);
        if (r < 0 || info.device != map->device || info.inode != map->inode)
            return -ENOENT;
    }
    to_directory(path);
    return verso__os_open(path, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_DIRECTORY, 0, out_fd);
}

/* A directory that may be searched but not read can't be opened to be synced; then the whole file system is. */
static int sync_name(struct syncing *syncing, int fd)
{
    int directory, r;

    if (!syncing->map->path_is_name)
        return 0;
    r = open_directory(syncing->map, fd, &directory);
    if (r == -ENOENT)
        return 0;
    if (r == 0) {
        r = verso__os_sync_full(directory);
        verso__os_close(directory);
    }
    if (r == -EACCES || r == -EINVAL)
        r = verso__os_sync_file_system(fd);
    return r < 0 ? failed_for_ever(syncing, r, "fsync") : 0;
}

static int sync_file(struct syncing *syncing)
{
    bool fd_is_own;
    int fd, r;

    r = verso__map_descriptor(syncing->map, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE, &fd, &fd_is_own);
    if (r < 0)
        return failed(syncing, r, "sync", NULL);
    r = verso__os_sync_full(fd);
    r = r < 0 ? failed_for_ever(syncing, r, "fsync") : sync_name(syncing, fd);
    if (fd_is_own)
        verso__os_close(fd);
    return r;
}

/* An empty map has no pages to ask about; yet that the file is empty now may have to last. */
static int sync_emptiness(struct syncing *syncing)
{
    bool fd_is_own;
    int fd, r;

    if (verso__map_descriptor(syncing->map, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE, &fd, &fd_is_own) < 0)
        return 0;
    r = verso__os_sync_data(fd);
    if (fd_is_own)
        verso__os_close(fd);
    return r < 0 ? failed_for_ever(syncing, r, "fdatasync") : 0;
}

int verso_map_sync(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes, enum verso_map_sync_level level)
{
    struct syncing syncing = { .map = map, .offset_bytes = offset_bytes, .length_bytes = length_bytes };
    int r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    if (level < VERSO_MAP_SYNC_START || level > VERSO_MAP_SYNC_FULL)
        return verso__fail_hint(VERSO_E_OPTIONS, "sync", verso__map_path(map), "the level is START, DATA or FULL");
    r = check(&syncing);
    if (r == 0 && level == VERSO_MAP_SYNC_START)
        r = start(&syncing);
    else if (r == 0)
        r = syncing.length_bytes ? sync_pages(&syncing) : sync_emptiness(&syncing);
    if (r == 0 && level == VERSO_MAP_SYNC_FULL)
        r = sync_file(&syncing);
    if (r == 0)
        r = check_torn(&syncing);
    if (r == 0)
        return 0;
    return verso__fail_with(&(struct verso__failure){
        .code = r,
        .cause = r == VERSO_E_POISONED ? atomic_load(&map->poison) : 0,
        .step = syncing.step,
        .path = verso__map_path(map),
        .offset_bytes = VERSO_OFFSET_NONE,
        .hint = syncing.hint,
    });
}
