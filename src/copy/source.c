/* SPDX-License-Identifier: MIT */
/* source - the end that is read. */
#include "copy/copy.h"

#include <errno.h>

/*
 * Opened so that a FIFO which somebody has put in a file's place can't hold us up. A lease on a regular file would be
 * told by -EAGAIN then: it is waited for, as by any open.
 */
static int open_regular(const struct verso__copy_source *source, unsigned how, int *out_fd)
{
    struct verso__os_file_info info;
    bool follow = !(how & VERSO__OS_OPEN_NOFOLLOW);
    int r = verso__os_open_at(source->directory, source->path, how | VERSO__OS_OPEN_NONBLOCK, 0, out_fd);

    if (r != -EAGAIN)
        return r;
    r = verso__os_path_info_at(source->directory, source->path, follow, &info);
    if (r == 0 && info.kind != VERSO__OS_FILE_REGULAR)
        return -EINVAL;
    return r == 0 ? verso__os_open_at(source->directory, source->path, how, 0, out_fd) : r;
}

/* Whether a file that claims to be empty has content all the same, as those in /proc. */
static int has_content(int fd, bool *out_has)
{
    unsigned char byte;
    size_t done;
    int r = verso__os_read_at(fd, 0, &byte, 1, &done);

    *out_has = r == 0 && done > 0;
    return r == -ESPIPE ? 0 : r;
}

static int look(struct verso__copy *copy)
{
    struct verso__copy_source *source = &copy->source;
    int r = verso__os_file_info(source->fd, &source->info);

    if (r < 0)
        return verso__copy_fail_source(copy, r, "stat", VERSO_OFFSET_NONE);
    if (source->info.kind == VERSO__OS_FILE_DIRECTORY)
        return verso__copy_fail_source(copy, -EISDIR, "open", VERSO_OFFSET_NONE);
    if (source->info.kind == VERSO__OS_FILE_REGULAR && source->info.bytes == 0) {
        r = has_content(source->fd, &source->is_stream);
        if (r < 0)
            return verso__copy_fail_source(copy, r, "read", 0);
    } else if (source->info.kind != VERSO__OS_FILE_REGULAR && source->info.kind != VERSO__OS_FILE_BLOCK) {
        source->is_stream = true;
        source->info.bytes = 0;
    }
    copy->end = source->info.bytes;
    copy->report.bytes = source->info.bytes;
    return 0;
}

int verso__copy_source_open(struct verso__copy *copy)
{
    struct verso__copy_source *source = &copy->source;
    unsigned how = VERSO__OS_OPEN_READ;
    int r;

    if (verso__copy_wants(copy, VERSO_COPY_NOFOLLOW))
        how |= VERSO__OS_OPEN_NOFOLLOW;
    if (verso__copy_wants(copy, VERSO_COPY_REGULAR))
        r = open_regular(source, how, &source->fd);
    else
        r = verso__os_open_at(source->directory, source->path, how, 0, &source->fd);
    if (r < 0)
        return verso__copy_fail_source(copy, r, "open", VERSO_OFFSET_NONE);
    r = look(copy);
    if (r == 0 && verso__copy_wants(copy, VERSO_COPY_REGULAR) && source->info.kind != VERSO__OS_FILE_REGULAR)
        r = verso__copy_fail(copy, -EINVAL, "source", source->path, VERSO_OFFSET_NONE,
                             "only regular files were asked for (VERSO_COPY_REGULAR)");
    return r;
}
