/* SPDX-License-Identifier: MIT */
/*
 * copy_directory - a directory on both sides, from the moment it is entered until all in it is copied.
 *
 * A tree may have more levels than a process may have descriptors. So only the lowest levels stay open; what was closed
 * is opened again on the way up, as ".." of its child, and has to be the same directory as before.
 *
 *     top     a     b     c     d     e        <- the walk is here
 *     open    closed .....     open  open
 */
#include "copy.h"
#include "file_set.h"
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define LEVELS_MIN 4

static struct file_set made = FILE_SET_INIT; /* directories that this run made */
static size_t levels_open, levels_max;       /* of the walk, which alone enters and leaves */

/* ---- Paths, put together only when somebody wants to read them ---- */

static char *path_of(const struct copy_directory *directory, const char *name, bool is_target, bool from_top)
{
    size_t bytes = strlen(name) + 1, length;
    char *path, *at;

    for (const struct copy_directory *up = directory; up && (from_top || up->parent); up = up->parent) {
        const char *part = is_target ? up->target_name : up->source_name;

        bytes += part ? strlen(part) + 1 : 0;
    }
    path = allocate(NULL, bytes, 1);
    at = path + bytes - strlen(name) - 1;
    memcpy(at, name, strlen(name) + 1);
    for (const struct copy_directory *up = directory; up && (from_top || up->parent); up = up->parent) {
        const char *part = is_target ? up->target_name : up->source_name;

        if (!part)
            continue;
        length = strlen(part);
        if (length && part[length - 1] != '/')
            *--at = '/';
        at -= length;
        memcpy(at, part, length);
    }
    return memmove(path, at, strlen(at) + 1);
}

static char *shown(char *path)
{
    char *text = name_shown(path);

    free(path);
    return text;
}

char *copy_source_shown(const struct copy_directory *directory, const char *name)
{
    return shown(path_of(directory, name, false, true));
}

char *copy_target_shown(const struct copy_directory *directory, const char *name)
{
    return shown(path_of(directory, name, true, true));
}

char *copy_source_path(const struct copy_directory *directory, const char *name)
{
    return path_of(directory, name, false, true);
}

char *copy_target_path(const struct copy_directory *directory, const char *name, bool from_top)
{
    return path_of(directory, name, true, from_top);
}

/* ---- Reading ---- */

static bool is_directory(int fd, const struct dirent *entry)
{
    struct stat status;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(fd, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

static void add_name(struct copy_names *names, size_t *text_room, size_t *room, int fd, const struct dirent *entry)
{
    size_t bytes = strlen(entry->d_name) + 1;

    if (names->count == *room) {
        *room = *room ? *room * 2 : 32;
        names->names = allocate(names->names, *room, sizeof(*names->names));
    }
    while (names->bytes + bytes > *text_room) {
        *text_room = *text_room ? *text_room * 2 : 1024;
        names->text = allocate(names->text, *text_room, 1);
    }
    names->names[names->count++] = (struct copy_name){ names->bytes, entry->d_ino, is_directory(fd, entry) };
    memcpy(names->text + names->bytes, entry->d_name, bytes);
    names->bytes += bytes;
}

/* Files first, so that a handful of them is not broken up by directories; and by inode, which is mostly the order in
 * which the disk has them. */
static int compare(const void *a, const void *b)
{
    const struct copy_name *left = a, *right = b;

    if (left->is_directory != right->is_directory)
        return left->is_directory - right->is_directory;
    return (left->inode > right->inode) - (left->inode < right->inode);
}

static bool read_names(struct copy_directory *directory)
{
    int fd = fcntl(directory->source_fd, F_DUPFD_CLOEXEC, 0);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    size_t text_room = 0, room = 0;
    const struct dirent *entry;
    int error;

    if (!stream) {
        error = errno;
        if (fd >= 0)
            close(fd);
        errno = error;
        return false;
    }
    errno = 0;
    while ((entry = readdir(stream))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            add_name(&directory->names, &text_room, &room, directory->source_fd, entry);
        errno = 0;
    }
    error = errno;
    closedir(stream);
    if (directory->names.count)
        qsort(directory->names.names, directory->names.count, sizeof(*directory->names.names), compare);
    errno = error;
    return error == 0;
}

/* ---- Refusals ---- */

static bool same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Whether the directory behind @fd is @outer, or lies in it: by what "." and ".." are, not by what paths say. */
static bool is_inside(int fd, const struct stat *outer)
{
    struct stat here = { 0 }, below;
    bool inside = false;

    fd = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0) {
        int up;

        below = here;
        if (fstat(fd, &here) < 0 || same(&here, &below)) /* the root is its own parent */
            break;
        inside = same(&here, outer);
        if (inside)
            break;
        up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = up;
    }
    if (fd >= 0)
        close(fd);
    return inside;
}

static bool refuse(const struct copy_directory *directory, const char *source, const char *target, const char *why)
{
    char *from = copy_source_shown(directory, source), *to = copy_target_shown(directory, target);

    trouble("%s: not copied to %s: %s", from, to, why);
    free(from);
    free(to);
    copy_count(troubles);
    return false;
}

/* ---- Entering ---- */

static bool open_source(struct copy_directory *directory, struct copy_directory *parent)
{
    const char *source = directory->source_name, *target = directory->target_name;

    directory->source_fd = openat(parent->source_fd, source, DIRECTORY_FLAGS);
    if (directory->source_fd < 0 || fstat(directory->source_fd, &directory->source) < 0) {
        copy_trouble(parent, source, target, "open directory");
        return false;
    }
    directory->root_device = parent->parent ? parent->root_device : directory->source.st_dev;
    if (file_set_has(&made, directory->source.st_dev, directory->source.st_ino) ||
        (!parent->parent && is_inside(parent->target_fd, &directory->source)))
        return refuse(parent, source, target, "a directory cannot be copied into itself");
    return true;
}

/* With --archive nobody else may look in until all is as it shall be; else as the umask, and a default ACL, want it. */
static bool make_target(struct copy_directory *directory, struct copy_directory *parent)
{
    const char *source = directory->source_name, *target = directory->target_name;
    mode_t mode = copy_request.archive ? S_IRWXU : S_IRWXU | (directory->source.st_mode & (S_IRWXG | S_IRWXO));

    directory->is_fresh = mkdirat(parent->target_fd, target, mode) == 0;
    if (!directory->is_fresh && errno != EEXIST) {
        copy_trouble(parent, source, target, "make directory");
        return false;
    }
    directory->target_fd = openat(parent->target_fd, target, DIRECTORY_FLAGS);
    if (directory->target_fd < 0 && (errno == ENOTDIR || errno == ELOOP))
        return refuse(parent, source, target, "there is something that is no directory");
    if (directory->target_fd < 0 || fstat(directory->target_fd, &directory->target) < 0) {
        copy_trouble(parent, source, target, "open directory");
        return false;
    }
    if (same(&directory->source, &directory->target))
        return refuse(parent, source, target, "both are the same directory");
    if (directory->is_fresh)
        file_set_add(&made, directory->target.st_dev, directory->target.st_ino);
    else
        directory->is_fresh = file_set_has(&made, directory->target.st_dev, directory->target.st_ino);
    return true;
}

static void close_both(struct copy_directory *directory)
{
    if (directory->source_fd >= 0)
        close(directory->source_fd);
    if (directory->target_fd >= 0)
        close(directory->target_fd);
    directory->source_fd = directory->target_fd = -1;
}

static void directory_free(struct copy_directory *directory)
{
    close_both(directory);
    free(directory->names.text);
    free(directory->names.names);
    free(directory->source_name);
    free(directory->target_name);
    free(directory);
}

static struct copy_directory *directory_new(struct copy_directory *parent, const char *source, const char *target)
{
    struct copy_directory *directory = allocate(NULL, 1, sizeof(*directory));

    *directory = (struct copy_directory){ .parent = parent, .source_fd = -1, .target_fd = -1 };
    directory->source_name = source ? copy_of(source) : NULL;
    directory->target_name = target ? copy_of(target) : NULL;
    atomic_init(&directory->users, 1);
    return directory;
}

/* Closes the upper half of the levels, but not the top one. Nobody may be at work in them. */
static void close_upper_levels(struct copy_directory *lowest)
{
    size_t kept = 0;

    copy_jobs_drain();
    for (struct copy_directory *up = lowest; up->parent; up = up->parent)
        if (++kept > levels_max / 2 && up->source_fd >= 0) {
            close_both(up);
            levels_open--;
        }
}

struct copy_directory *copy_directory_enter(struct copy_directory *parent, const char *source, const char *target)
{
    struct copy_directory *directory = directory_new(parent, source, target);

    if (levels_open >= levels_max)
        close_upper_levels(parent);
    if (!open_source(directory, parent) || !make_target(directory, parent)) {
        directory_free(directory);
        return NULL;
    }
    copy_directory_use(parent);
    levels_open++;
    copy_count(directories);
    if (!read_names(directory)) /* what could be read is copied all the same */
        copy_trouble(parent, source, target, "read directory");
    return directory;
}

/* ---- Finishing ---- */

/* Some file systems know no fsync of directories: EINVAL. */
static int sync_directory(int fd)
{
    return fsync(fd) < 0 && errno != EINVAL ? -1 : 0;
}

static void finish_archived(struct copy_directory *directory)
{
    const struct timespec times[2] = { directory->source.st_atim, directory->source.st_mtim };
    const unsigned flags = copy_request.options.flags & (VERSO_COPY_MODE | VERSO_COPY_OWNER | VERSO_COPY_XATTRS);
    unsigned lost = 0;

    if (verso_copy_attributes_at(directory->source_fd, ".", directory->target_fd, ".", flags, &lost) < 0)
        copy_trouble_library(directory->parent, directory->source_name, directory->target_name);
    if (futimens(directory->target_fd, times) < 0)
        lost |= VERSO_COPY_TIMES;
    copy_report_lost(directory->parent, directory->target_name, lost);
}

/* All in it is copied. The times last: what was made in it changed them. */
static void finish(struct copy_directory *directory)
{
    const mode_t not_allowed = S_IRWXU & ~directory->source.st_mode;

    if (copy_request.archive)
        finish_archived(directory);
    else if (directory->is_fresh && not_allowed &&
             fchmod(directory->target_fd, directory->target.st_mode & ~not_allowed & 07777) < 0)
        copy_trouble(directory->parent, directory->source_name, directory->target_name, "change permissions");
    if ((copy_request.options.flags & VERSO_COPY_DURABLE) && sync_directory(directory->target_fd) < 0)
        copy_trouble(directory->parent, directory->source_name, directory->target_name, "fsync directory");
}

/* The names that were made in it: files have seen to their own, but not trees, links, devices. */
static void finish_top(const struct copy_directory *top)
{
    int fd;

    if (!(copy_request.options.flags & VERSO_COPY_DURABLE) || !copy_request.recursive)
        return;
    fd = openat(top->target_fd, ".", DIRECTORY_FLAGS);
    if (fd < 0 || sync_directory(fd) < 0)
        copy_trouble(NULL, NULL, top->target_name ? top->target_name : ".", "fsync directory");
    if (fd >= 0)
        close(fd);
}

void copy_directory_use(struct copy_directory *directory)
{
    atomic_fetch_add(&directory->users, 1);
}

void copy_directory_release(struct copy_directory *directory)
{
    while (directory && atomic_fetch_sub(&directory->users, 1) == 1) {
        struct copy_directory *parent = directory->parent;

        if (parent && directory->target_fd >= 0)
            finish(directory);
        else if (!parent && directory->target_fd >= 0)
            finish_top(directory);
        directory_free(directory);
        directory = parent;
    }
}

/* ---- Leaving ---- */

static bool reopen(int *fd, int child_fd, const struct stat *before)
{
    struct stat now;

    *fd = openat(child_fd, "..", DIRECTORY_FLAGS);
    if (*fd < 0)
        return false;
    if (fstat(*fd, &now) == 0 && same(&now, before))
        return true;
    close(*fd);
    *fd = -1;
    errno = ESTALE;
    return false;
}

/* A level that cannot be found again: what is left of it and of those above cannot be copied either. */
static void give_up(struct copy_directory *directory)
{
    copy_trouble(directory->parent, directory->source_name, directory->target_name,
                 "was moved while it was copied, so the rest of it is not copied");
    directory->names.next = directory->names.count;
}

struct copy_directory *copy_directory_leave(struct copy_directory *directory)
{
    struct copy_directory *parent = directory->parent;

    if (parent->parent && parent->source_fd < 0 && directory->source_fd >= 0) {
        if (reopen(&parent->source_fd, directory->source_fd, &parent->source) &&
            reopen(&parent->target_fd, directory->target_fd, &parent->target))
            levels_open++;
        else
            close_both(parent);
    }
    if (parent->parent && parent->source_fd < 0)
        give_up(parent);
    levels_open -= directory->source_fd >= 0;
    copy_directory_release(directory);
    return parent;
}

/* ---- The top ---- */

/* Descriptors for levels: what the files in work, and the directories of waiting handfuls, leave of them. */
static void set_levels(void)
{
    const size_t others = 32 + 8 * (size_t)copy_request.job_count;
    struct rlimit limit = { 1024, 1024 };
    size_t most;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            (void)getrlimit(RLIMIT_NOFILE, &limit);
    }
    most = limit.rlim_cur > 1 << 16 ? 1 << 16 : (size_t)limit.rlim_cur;
    most = most > others ? (most - others) / 4 : 0;
    levels_max = most > LEVELS_MIN ? most : LEVELS_MIN;
}

size_t copy_directory_levels(void)
{
    return levels_max;
}

struct copy_directory *copy_directory_top(const char *target)
{
    struct copy_directory *top = directory_new(NULL, NULL, target);

    set_levels();
    top->source_fd = AT_FDCWD;
    top->target_fd = open(target ? target : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (top->target_fd >= 0)
        return top;
    copy_trouble(NULL, NULL, target, "open directory");
    directory_free(top);
    return NULL;
}
