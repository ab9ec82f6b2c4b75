/* SPDX-License-Identifier: MIT */
/*
 * name - opening by name, making files, and taking back what was made when a later step fails.
 *
 * Only the call that made a file may remove it. open(2) with O_CREAT alone does not tell who made it; with O_EXCL it
 * does. So: open what is there; else make it exclusively; and when that finds something after all (another process was
 * faster, or a symbolic link points to nothing yet) leave it to O_CREAT, and count the file as not ours.
 */
#include "base/sums.h"
#include "map/opening.h"

#include <errno.h>

/*
 * NONBLOCK keeps a FIFO or terminal from holding us up here; buffer.c waits for data with the caller's time limit. For
 * regular files it means one thing: not to wait until a lease on the file is given up, which is right to wait for.
 */
int verso__map_open_patiently(const char *path, unsigned flags, unsigned mode, int *out_fd)
{
    int r = verso__os_open(path, flags | VERSO__OS_OPEN_NONBLOCK, mode, out_fd);

    return r == -EWOULDBLOCK ? verso__os_open(path, flags, mode, out_fd) : r;
}

static int create(struct verso__map_opening *opening, unsigned how)
{
    unsigned flags = opening->options.flags;
    unsigned mode = opening->options.mode ? opening->options.mode : 0600;
    int r;

    if (!(flags & VERSO_MAP_EXCLUSIVE)) {
        r = verso__map_open_patiently(opening->path, how, 0, &opening->fd);
        if (r != -ENOENT)
            return r;
    }
    how |= VERSO__OS_OPEN_CREATE;
    r = verso__map_open_patiently(opening->path, how | VERSO__OS_OPEN_EXCLUSIVE, mode, &opening->fd);
    if (r == 0)
        opening->made_file = true;
    if (r != -EEXIST || (flags & VERSO_MAP_EXCLUSIVE))
        return r;
    return verso__map_open_patiently(opening->path, how, mode, &opening->fd);
}

int verso__map_open_name(struct verso__map_opening *opening)
{
    unsigned flags = opening->options.flags;
    unsigned how = VERSO__OS_OPEN_READ;
    const char *hint = NULL;
    int r;

    if (flags & VERSO_MAP_WRITE)
        how |= VERSO__OS_OPEN_WRITE;
    if (flags & VERSO_MAP_NOFOLLOW)
        how |= VERSO__OS_OPEN_NOFOLLOW;
    r = flags & VERSO_MAP_CREATE ? create(opening, how)
                                 : verso__map_open_patiently(opening->path, how, 0, &opening->fd);
    opening->fd_is_own = r == 0;
    if (r == -ENXIO)
        hint = "nothing answers behind this name: a socket must be connected to, a device needs its driver";
    return r < 0 ? verso__map_failed(opening, r, "open", hint) : 0;
}

int verso__map_grow_file(struct verso__map_opening *opening, uint64_t bytes)
{
    uint64_t before = opening->file.bytes;
    bool is_sparse = opening->options.flags & VERSO_MAP_SPARSE;
    int r;

    opening->grown_to = bytes; /* even when it fails: part of the way may have been gone */
    if (is_sparse)
        r = verso__os_truncate(opening->fd, bytes);
    else
        r = verso__map_allocate(opening->fd, before, bytes - before, before);
    return r < 0 ? verso__map_failed(opening, r, is_sparse ? "ftruncate" : "fallocate", NULL) : 0;
}

/* Whether the name still stands for the file that was made: fstat itself may be what failed. */
static bool is_ours(const struct verso__map_opening *opening)
{
    struct verso__os_file_info made, named;

    return verso__os_file_info(opening->fd, &made) == 0 && verso__os_path_info(opening->path, false, &named) == 0 &&
           made.device == named.device && made.inode == named.inode;
}

void verso__map_undo_file(struct verso__map_opening *opening)
{
    if (opening->made_file) {
        if (is_ours(opening))
            (void)verso__os_remove(opening->path);
    } else if (opening->grown_to) {
        (void)verso__map_ungrow(opening->fd, opening->file.bytes, opening->grown_to);
    }
}
