/* SPDX-License-Identifier: MIT */
/* cache - bringing files into the page cache by reading them, and asking the kernel to let them go. */
#include "base/fail.h"
#include "base/sums.h"
#include "os/os.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <verso/cache.h>

/* Long enough that readahead takes over, short enough to stay in the processor's cache while being thrown away. */
#define FETCH_BYTES ((size_t)256 << 10)

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

int verso_cache_fetch(int fd, uint64_t offset_bytes, uint64_t length_bytes)
{
    uint64_t end = 0;
    size_t done;
    void *room;
    int r = range_end(fd, offset_bytes, length_bytes, &end);

    if (r < 0)
        return r;
    room = malloc(FETCH_BYTES);
    if (!room)
        return verso__fail(-ENOMEM, "malloc", NULL);
    do {
        size_t wanted = (size_t)verso__min_u64(end - offset_bytes, FETCH_BYTES);

        done = 0;
        r = wanted ? verso__os_read_at(fd, offset_bytes, room, wanted, &done) : 0;
        if (r < 0)
            r = fail_fd(r, "read", fd, offset_bytes);
        offset_bytes += done;
    } while (r == 0 && done == FETCH_BYTES);
    free(room);
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
