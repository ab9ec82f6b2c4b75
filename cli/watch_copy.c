/* SPDX-License-Identifier: MIT */
/*
 * watch_copy - the kernel tells what is cached of a file only to those who own it or may write it. A library is neither
 * for an ordinary user, so a copy of it is watched: real blocks, real frames, and no one else is disturbed.
 */
#include "watch_copy.h"
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <verso/inspect.h>

#define STEP_BYTES ((size_t)4 << 20)

bool copy_is_needed(int fd)
{
    struct verso_inspect_cache cache;

    return verso_inspect_cache(fd, 0, 0, &cache) == 0 && cache.cached.error != 0;
}

/* Whether a copy of @bytes leaves most of what is free as it is. */
static bool has_room(const char *folder, uint64_t bytes)
{
    struct statvfs system;

    return statvfs(folder, &system) == 0 && (uint64_t)system.f_bavail * system.f_frsize / 4 > bytes;
}

/* Whether files in it have disk blocks to show; those of a tmpfs have none. */
static bool has_blocks(int fd)
{
    struct verso_inspect_extent *extents = NULL;
    size_t count;
    int r = verso_inspect_extents(fd, &extents, &count);

    free(extents);
    return r == 0;
}

static int open_unnamed(uint64_t bytes)
{
    const char *folders[] = { "/var/tmp", getenv("TMPDIR"), getenv("HOME"), "/tmp" };

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        int fd;

        if (!folders[i] || !folders[i][0] || !has_room(folders[i], bytes))
            continue;
        fd = open(folders[i], O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
        if (fd >= 0 && has_blocks(fd))
            return fd;
        if (fd >= 0)
            close(fd);
    }
    errno = ENOSPC;
    return -1;
}

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t done = write(fd, data, bytes);

        if (done < 0 && errno != EINTR)
            return false;
        data += done > 0 ? done : 0;
        bytes -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

/* By read and write: the copy shall have blocks of its own, where copy_file_range might share them. */
static bool copy_content(int from_fd, int to_fd, struct progress *progress)
{
    char *block = malloc(STEP_BYTES);
    bool ok = block != NULL;
    uint64_t done = 0;
    ssize_t got = 1;

    while (ok && got > 0 && !interrupted()) {
        got = pread(from_fd, block, STEP_BYTES, (off_t)done);
        ok = got >= 0 && write_all(to_fd, block, (size_t)got);
        done += got > 0 ? (uint64_t)got : 0;
        progress_step(progress, done);
    }
    free(block);
    return ok && !interrupted();
}

int copy_make(int fd)
{
    struct progress progress;
    struct stat status;
    int copy_fd, error;
    bool ok;

    if (fstat(fd, &status) < 0)
        return -1;
    copy_fd = open_unnamed((uint64_t)status.st_size);
    if (copy_fd < 0)
        return -1;
    progress_start(&progress, "copying", (uint64_t)status.st_size, true);
    ok = copy_content(fd, copy_fd, &progress) && fdatasync(copy_fd) == 0;
    error = errno;
    progress_end(&progress);
    if (!ok) {
        close(copy_fd);
        errno = error;
        return -1;
    }
    (void)posix_fadvise(copy_fd, 0, 0, POSIX_FADV_DONTNEED); /* so that its way from the disk can be seen */
    return copy_fd;
}
