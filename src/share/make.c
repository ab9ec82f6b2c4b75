/* SPDX-License-Identifier: MIT */
/*
 * make - a region from nothing, whole before anybody can see it.
 *
 *      a file without a name -> memory -> header -> member 0 -> what the caller prepares -> seals, or its name
 *
 * Who dies on the way leaves nothing behind: what has no name goes with its last descriptor. Where such files can't
 * be had, a name that no region can have stands in for it; verso_share_collect() takes away what stays of it.
 */
#include "share/region.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_WRITE_FILE (VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE)

/* ---- The file ---- */

/* The directory of a path, as a path; never empty. */
static void directory_of(const char *path, char out_directory[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t bytes = slash ? (size_t)(slash - path) + 1 : 0;

    memcpy(out_directory, path, bytes);
    memcpy(out_directory + bytes, ".", 2);
}

static int make_under_other_name(const char *directory, char out_name[PATH_MAX], int *out_fd)
{
    int bytes = snprintf(out_name, PATH_MAX, "%s/" VERSO__SHARE_UNFINISHED "%u-%llx", directory,
                         (unsigned)verso__os_process_id(), (unsigned long long)verso__os_clock_ns());
    int r;

    if (bytes < 0 || bytes >= PATH_MAX)
        return -ENAMETOOLONG;
    r = verso__os_open(out_name, READ_WRITE_FILE | VERSO__OS_OPEN_CREATE | VERSO__OS_OPEN_EXCLUSIVE, 0600, out_fd);
    if (r == 0) /* the sign that its maker lives; should it not be had, a minute is left */
        (void)verso__os_byte_lock(*out_fd, VERSO__SHARE_GATE_BYTE, VERSO__OS_BYTE_EXCLUSIVE);
    return r;
}

/* *out_name: the name it has meanwhile, "" for none. */
static int make_file(const char *path, char out_name[PATH_MAX], int *out_fd)
{
    char directory[PATH_MAX];
    int r;

    directory_of(path, directory);
    *out_name = '\0';
    r = verso__os_can_name_file() ? verso__os_open(directory, READ_WRITE_FILE | VERSO__OS_OPEN_UNNAMED, 0600, out_fd)
                                  : -EOPNOTSUPP;
    if (r == -EOPNOTSUPP || r == -EISDIR || r == -EINVAL)
        r = make_under_other_name(directory, out_name, out_fd);
    return r;
}

static int give_name(int fd, const char *name, const char *path)
{
    int r;

    if (!*name)
        return verso__os_name_file(fd, VERSO__OS_HERE, path);
    r = verso__os_rename(VERSO__OS_HERE, name, path, false);
    if (r == 0)
        verso__os_byte_unlock(fd, VERSO__SHARE_GATE_BYTE);
    return r;
}

/* ---- Its memory ---- */

/* A file of memory takes page after page until there is none left for anybody; so what can't be is refused before. */
static int check_memory(uint64_t bytes, struct verso__share_trouble *trouble)
{
    uint64_t memory_bytes, swap_bytes;
    int r = verso__os_memory_totals(&memory_bytes, &swap_bytes);

    trouble->step = "sysinfo";
    if (r < 0 || bytes <= memory_bytes || bytes - memory_bytes <= swap_bytes)
        return r;
    trouble->step = "fallocate";
    trouble->hint = "a region takes its memory at once, and that is more than this machine has";
    return -ENOMEM;
}

static int give_memory(int fd, const struct verso__share_header *made, struct verso__share_trouble *trouble)
{
    int r;

    trouble->step = "ftruncate";
    r = verso__os_truncate(fd, made->file_bytes);
    if (r < 0)
        return r;
    trouble->step = "fallocate";
    r = verso__os_allocate(fd, 0, made->seats_offset);
    if (r == 0)
        r = verso__os_allocate(fd, made->content_offset, made->bytes);
    return r;
}

/* ---- The region ---- */

static int prepare(const struct verso_share *share, const struct verso_share_options *options,
                   struct verso__share_trouble *trouble)
{
    trouble->step = "prepare";
    if (!options->prepare)
        return 0;
    return options->prepare(verso_share_data(share), verso_share_bytes(share), options->prepare_arg);
}

static int fill(struct verso_share *share, const struct verso_share_options *options,
                struct verso__share_trouble *trouble)
{
    int r;

    share->flags = options->flags;
    r = verso__share_map(share, trouble);
    if (r < 0)
        return r;
    memcpy(share->base, &share->made, sizeof(share->made));
    r = verso__share_settle(share, trouble);
    if (r < 0)
        return r;
    trouble->step = "lock";
    r = verso__share_join(share);
    if (r == 0)
        r = prepare(share, options, trouble);
    return r;
}

int verso__share_make_named(const char *path, const struct verso_share_options *options, struct verso_share *share,
                            struct verso__share_trouble *trouble)
{
    char name[PATH_MAX];
    int r;

    trouble->step = "open";
    r = make_file(path, name, &share->fd);
    if (r < 0)
        return r;
    r = give_memory(share->fd, &share->made, trouble);
    if (r == 0 && options->mode) {
        trouble->step = "fchmod";
        r = verso__os_set_mode(share->fd, options->mode);
    }
    if (r == 0)
        r = fill(share, options, trouble);
    if (r == 0) {
        trouble->step = "link";
        r = give_name(share->fd, name, path);
    }
    if (r != 0 && *name)
        (void)verso__os_remove(name);
    return r;
}

int verso__share_make_anonymous(const struct verso_share_options *options, struct verso_share *share,
                                struct verso__share_trouble *trouble)
{
    unsigned seals = VERSO__OS_SEAL_SHRINK | VERSO__OS_SEAL_GROW | VERSO__OS_SEAL_SEAL;
    int r = check_memory(share->made.bytes, trouble);

    if (r < 0)
        return r;
    trouble->step = "memfd_create";
    r = verso__os_memory_file("verso-share", 0, &share->fd);
    if (r < 0)
        return r;
    r = give_memory(share->fd, &share->made, trouble);
    if (r == 0)
        r = fill(share, options, trouble);
    if (r != 0)
        return r;
    if (share->made.flags & VERSO_SHARE_ONE_WRITER)
        seals |= VERSO__OS_SEAL_FUTURE_WRITE;
    trouble->step = "seal";
    return verso__os_seals_add(share->fd, seals);
}
