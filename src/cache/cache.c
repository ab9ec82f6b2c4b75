/* SPDX-License-Identifier: MIT */
/*
 * cache - bringing files into the page cache, and asking the kernel to let them go.
 *
 * Reading a file only to have it read would copy every byte for nothing. So it is mapped a stretch at a time, and the
 * kernel faults the stretch in: as fast as its readahead, a few faults for each large folio. The map says that it will
 * be read in sequence; pages of such maps are not taken for used ones when they are unmapped. What can't be mapped, or
 * fails in the map, is read: then the failure has a name and a place.
 */
#include "base/fail.h"
#include "base/sums.h"
#include "os/os.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <verso/cache.h>

#define STRETCH_BYTES ((uint64_t)8 << 20)
#define READ_BYTES ((size_t)64 << 10)

static int fail_fd(int code, const char *step, int fd, uint64_t offset_bytes)
{
    char path[PATH_MAX];

    if (verso__os_path_of(fd, path, sizeof(path)) < 0)
        path[0] = '\0';
    return verso__fail_at(code, step, path, offset_bytes);
}

/* Checks a range and finds where it ends; @length_bytes 0 is to the end of all files. */
static int range_end(int fd, uint64_t offset_bytes, uint64_t length_bytes, uint64_t *out_end)
{
    uint64_t end;

    if (!verso__add_u64(offset_bytes, length_bytes, &end) || end > INT64_MAX)
        return fail_fd(VERSO_E_OVERFLOW, "range", fd, offset_bytes);
    *out_end = length_bytes ? end : INT64_MAX;
    return 0;
}

/* Faults whole pages in; any failure is only a reason to read instead. */
static int fault_in(int fd, uint64_t start, uint64_t end)
{
    size_t bytes = (size_t)(end - start);
    void *address;
    int r = verso__os_map(NULL, bytes, VERSO__OS_ACCESS_READ, VERSO__OS_MAP_SHARED, fd, start, &address);

    if (r < 0)
        return r;
    (void)verso__os_advise(address, bytes, VERSO__OS_ADVICE_SEQUENTIAL);
    r = verso__os_populate(address, bytes, false);
    (void)verso__os_unmap(address, bytes);
    return r;
}

/* Reads until @end or the file's, whichever comes first. */
static int read_through(int fd, uint64_t start, uint64_t end)
{
    size_t room_bytes = (size_t)verso__min_u64(end - start, READ_BYTES), done;
    void *room = malloc(room_bytes ? room_bytes : 1);
    int r;

    if (!room)
        return verso__fail(-ENOMEM, "malloc", NULL);
    do {
        done = 0;
        r = verso__os_read_at(fd, start, room, (size_t)verso__min_u64(end - start, room_bytes), &done);
        if (r < 0)
            r = fail_fd(r, "read", fd, start);
        start += done;
    } while (r == 0 && done == room_bytes && start < end);
    free(room);
    return r;
}

int verso_cache_fetch(int fd, uint64_t offset_bytes, uint64_t length_bytes)
{
    uint64_t page_bytes = verso__os_page_bytes(), end = 0, at = offset_bytes;
    struct verso__os_file_info info;
    int r = range_end(fd, offset_bytes, length_bytes, &end);

    if (r < 0)
        return r;
    r = verso__os_file_info(fd, &info);
    if (r < 0)
        return fail_fd(r, "fstat", fd, VERSO_OFFSET_NONE);
    if (info.kind == VERSO__OS_FILE_CHARACTER) /* some never end, and none is cached */
        return fail_fd(-ENODEV, "fstat", fd, VERSO_OFFSET_NONE);
    if (info.bytes == 0) /* files that do not know their size: /proc */
        return read_through(fd, at, end);
    end = verso__min_u64(info.bytes, end);
    while (r == 0 && at < end) {
        uint64_t start = verso__round_down(at, page_bytes), next = verso__min_u64(end, start + STRETCH_BYTES);

        if (next - start <= READ_BYTES ||
            fault_in(fd, start, next) < 0) /* one call beats four where little is copied */
            r = read_through(fd, at, next);
        at = next;
    }
    return r;
}

int verso_cache_drop(int fd, uint64_t offset_bytes, uint64_t length_bytes, unsigned flags)
{
    uint64_t end;
    int r = range_end(fd, offset_bytes, length_bytes, &end);

    if (r < 0)
        return r;
    if (flags & ~(unsigned)VERSO_CACHE_WRITE_BACK)
        return fail_fd(VERSO_E_OPTIONS, "flags", fd, VERSO_OFFSET_NONE);
    if (flags & VERSO_CACHE_WRITE_BACK) {
        r = verso__os_write_back(fd, offset_bytes, length_bytes);
        if (r < 0)
            return fail_fd(r, "sync_file_range", fd, offset_bytes);
    }
    r = verso__os_cache_drop(fd, offset_bytes, length_bytes);
    return r < 0 ? fail_fd(r, "posix_fadvise", fd, offset_bytes) : 0;
}
