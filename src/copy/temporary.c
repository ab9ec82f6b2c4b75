/* SPDX-License-Identifier: MIT */
/*
 * temporary - the file that becomes the target once it is whole, and why nothing of it stays when the copy is killed.
 *
 *      without a name (O_TMPFILE)  ----------------------------------------- link ---> target, where there was none
 *                                  -- link ---> .target.verso-copy --- rename ------> target, in the place of another
 *      .target.verso-copy  ------------------------------------------- rename ------> target, where it must have a name
 *
 * What has no name goes with the process. It is also the cheaper way: one change of the directory in place of two
 * (measured: 10,000 files of 4 KiB on ext4, 184 ms against 220). A name from the start it has where the file system
 * knows no other way, and with DURABLE: fsync(2) promises little of a file that no directory has yet.
 *
 * The name is always the same, so that the next copy to the target finds what a killed one has left there. Whoever is
 * at work holds a lock on it; what is ours and has no lock is nobody's, and is taken away. Of two copies at once the
 * second takes another name.
 */
#include "copy/copy.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define TRIES_MAX 100

/* ---- Names ---- */

/* Names nobody else has: a chance of 2^-24 that two meet, and then the next is tried. */
static uint32_t some_number(void)
{
    static _Atomic uint32_t count;
    uint64_t place = (uintptr_t)&place; /* another in each process */
    uint64_t seed = verso__os_clock_ns() ^ (place << 24) ^ atomic_fetch_add(&count, 1) * 64U;

    return (uint32_t)((seed * UINT64_C(0x9e3779b97f4a7c15)) >> 40);
}

/* The first two are the same: what is in the way may be gone after the first. */
static int name_of_try(const struct verso__copy_target *target, int i, char *out_path, size_t room)
{
    char word[32] = ".verso-copy";

    if (i > 1)
        (void)snprintf(word, sizeof(word), ".verso-copy-%06x", some_number());
    return verso__copy_name_beside(target, word, out_path, room);
}

/* Takes away what a killed copy has left, but for who copies from just that. What can't be opened, or is not to be had,
 * stays. */
static void sweep(struct verso__copy *copy, const char *path)
{
    const unsigned how = VERSO__OS_OPEN_READ | VERSO__OS_OPEN_NOFOLLOW | VERSO__OS_OPEN_NONBLOCK;
    struct verso__os_file_info info;
    int fd;

    if (verso__os_open_at(copy->target.directory, path, how, 0, &fd) < 0)
        return;
    if (verso__os_file_info(fd, &info) == 0 && verso__copy_is_ours(&info) && !verso__copy_is_source(copy, &info) &&
        verso__os_lock_file(fd) == 0 && verso__copy_is_named(copy, fd, path))
        (void)verso__os_remove_at(copy->target.directory, path);
    verso__os_close(fd);
}

/* Locks what was just made; not so when somebody who swept was faster, or where nothing can be locked. */
static bool is_held(struct verso__copy *copy, int fd, const char *path)
{
    int r = verso__os_lock_file(fd);

    if (r == 0 && verso__copy_is_named(copy, fd, path))
        return true;
    if (r < 0 && r != -EBUSY)
        (void)verso__os_remove_at(copy->target.directory, path);
    return false;
}

/* ---- With a name from the start ---- */

static int make_named(struct verso__copy *copy, const char *path, unsigned mode, bool is_found)
{
    const unsigned how = VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_CREATE | VERSO__OS_OPEN_EXCLUSIVE |
                         VERSO__OS_OPEN_NOFOLLOW;
    int fd, r = verso__os_open_at(copy->target.directory, path, how, mode, &fd);

    if (r < 0)
        return r;
    if (is_found && !is_held(copy, fd, path)) {
        verso__os_close(fd);
        return -EEXIST;
    }
    copy->target.fd = fd;
    return 0;
}

/* ---- Without ---- */

static bool may_be_unnamed(const struct verso__copy *copy)
{
    return !verso__copy_wants(copy, VERSO_COPY_DURABLE) && verso__os_can_name_file();
}

static int make_unnamed(struct verso__copy *copy, unsigned mode)
{
    const unsigned how = VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_UNNAMED;
    struct verso__copy_target *target = &copy->target;
    char path[PATH_MAX];
    int r = verso__copy_target_directory_path(target, path, sizeof(path));

    if (r == 0)
        r = verso__os_open_at(target->directory, path, how, mode, &target->fd);
    target->is_unnamed = r == 0;
    return r;
}

/* ---- Both ---- */

/* Of an unnamed file, or of none yet: then it is made. */
static int take_name(struct verso__copy *copy, unsigned mode)
{
    struct verso__copy_target *target = &copy->target;
    char path[PATH_MAX];
    int r = -EEXIST;

    for (int i = 0; r == -EEXIST && i < TRIES_MAX; i++) {
        r = name_of_try(target, i, path, sizeof(path));
        if (r == 0 && target->is_unnamed)
            r = verso__os_name_file(target->fd, target->directory, path);
        else if (r == 0)
            r = make_named(copy, path, mode, i <= 1);
        if (r == -EEXIST && i == 0)
            sweep(copy, path);
    }
    if (r == 0)
        memcpy(target->temporary, path, sizeof(path));
    return r;
}

int verso__copy_temporary_open(struct verso__copy *copy, unsigned mode)
{
    if (may_be_unnamed(copy) && make_unnamed(copy, mode) == 0)
        return 0;
    return take_name(copy, mode); /* what is wrong, if anything, this answers */
}

int verso__copy_temporary_name(struct verso__copy *copy)
{
    struct verso__copy_target *target = &copy->target;
    int r = -EEXIST;

    if (target->info.kind == 0)
        r = verso__os_name_file(target->fd, target->directory, target->name);
    if (r == -EEXIST && !verso__copy_wants(copy, VERSO_COPY_NO_REPLACE)) {
        (void)verso__os_lock_file(target->fd); /* before it can be found; without, it is not safe from being swept */
        r = take_name(copy, 0);
    }
    return r;
}
