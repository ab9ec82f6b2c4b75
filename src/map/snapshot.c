/* SPDX-License-Identifier: MIT */
/*
 * snapshot - a file of our own that shares the other's blocks.
 *
 *      file      |block 1|block 2|block 3|      whoever writes the file gets new blocks;
 *                    |       |       |          the old ones stay as long as somebody has them
 *      snapshot  |block 1|block 2|block 3|      unnamed: nobody else can open it
 *
 * The file system makes it in one step, stores through other people's maps included. It must lie on the same file
 * system, so it is made in the file's own directory; what it is called there is asked of the kernel, since a descriptor
 * has no name of its own.
 */
#include "map/stability.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

static const char *why_no_file(int error)
{
    switch (error) {
    case -EOPNOTSUPP:
    case -EISDIR: /* how old file systems say that they don't know O_TMPFILE */
        return "this file system has no unnamed files to hold a snapshot";
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return "no snapshot can be made in the file's directory: it may not be written to";
    case -ENOSPC:
    case -EDQUOT:
        return "the disk is full, so no snapshot could be made";
    default:
        return "no unnamed file for a snapshot could be made next to the file";
    }
}

static const char *why_no_clone(int error)
{
    switch (error) {
    case -EXDEV:
        return "the file is not on the file system that its directory is on, so no snapshot can share its blocks";
    case -ENOSPC:
    case -EDQUOT:
        return "the disk is full, so no snapshot could be made";
    case -EIO:
        return "the storage failed while a snapshot was made";
    default:
        return "this file system can't share blocks between files (reflink): xfs and btrfs can";
    }
}

static int open_unnamed(int fd, int *out_fd)
{
    char path[PATH_MAX];
    char *slash;
    int r;

    r = verso__os_path_of(fd, path, sizeof(path));
    if (r < 0)
        return r;
    slash = strrchr(path, '/');
    if (!slash)
        return -ENOENT; /* a pipe:[...] or such */
    slash[slash == path ? 1 : 0] = '\0';
    return verso__os_open(path,
                          VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_UNNAMED |
                              VERSO__OS_OPEN_EXCLUSIVE, /* and never to be given a name */
                          0600, out_fd);
}

int verso__map_snapshot(int fd, uint64_t bytes_min, int *out_fd, const char **out_why)
{
    struct verso__os_file_info info;
    int clone, r;

    r = open_unnamed(fd, &clone);
    if (r < 0) {
        *out_why = why_no_file(r);
        return r;
    }
    r = verso__os_clone_file(fd, clone);
    if (r < 0)
        *out_why = why_no_clone(r);
    if (r == 0) {
        r = verso__os_file_info(clone, &info);
        if (r == 0 && info.bytes < bytes_min)
            r = VERSO_E_CHANGED; /* cut between open's look at it and now */
        if (r == 0)
            r = verso__os_reopen(clone, VERSO__OS_OPEN_READ, out_fd); /* so that not even we can store into it */
        if (r < 0)
            *out_why = r == VERSO_E_CHANGED ? "the file was cut while a snapshot was made"
                                            : "the snapshot could not be opened for reading";
    }
    verso__os_close(clone);
    return r;
}
