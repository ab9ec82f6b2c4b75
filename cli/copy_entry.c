/* SPDX-License-Identifier: MIT */
/*
 * copy_entry - one entry of a directory, by its kind.
 *
 * Whatever is made takes the place of what is there at once: links, FIFOs and devices are made under a name that is
 * free, and renamed.
 */
#include "copy.h"
#include "copy_links.h"
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FREE_NAME_BYTES 64
#define JOURNAL_BYTES_MIN (1 << 20) /* smaller files have none: verso_copy(3) */

/* ---- Regular files ---- */

static void tell_there(const struct copy_directory *directory, const char *source, const char *target, bool just_made)
{
    char *to = copy_target_shown(directory, target), *from = copy_source_shown(directory, source);

    if (just_made) {
        trouble("%s: not overwritten by %s, for it was made just now", to, from);
        copy_count(troubles);
    } else {
        note("%s: is there, and stays (--no-replace)", to);
        copy_count(left);
    }
    free(from);
    free(to);
}

bool copy_regular(struct copy_worker *worker, struct copy_directory *directory, const char *source, const char *target)
{
    struct verso_copy_report report = VERSO_COPY_REPORT_INIT;
    struct verso_copy_options options = copy_request.options;
    int code;

    if (copy_made_has(directory, target)) {
        tell_there(directory, source, target, true);
        return false;
    }
    options.progress = copy_progress_step;
    options.progress_arg = worker;
    if (copy_request.recursive)
        options.flags |= VERSO_COPY_NOFOLLOW | VERSO_COPY_NOFOLLOW_TARGET | VERSO_COPY_REGULAR;
    if (directory->is_fresh)
        options.flags |= VERSO_COPY_NO_REPLACE;
    worker->counted_bytes = 0;
    code = verso_copy_file_at(directory->source_fd, source, directory->target_fd, target, &options, &report);
    if (code == 0) {
        copy_made_add(directory, target);
        copy_report_file(directory, source, target, &report);
    } else if (code == VERSO_E_CANCELLED) {
        copy_count(cancelled);
    } else if (code == -EEXIST) {
        tell_there(directory, source, target, directory->is_fresh); /* what is there, this run has made */
    } else {
        copy_trouble_library(directory, source, target);
    }
    return code == 0;
}

/* A copy was killed after it had given the name, and before it took its journal away: the next one does. */
static bool has_journal(const struct copy_directory *directory, const char *target, const struct stat *source)
{
    const int kept = NAME_MAX - (int)strlen("..verso-journal"); /* longer names lose their end */
    char name[NAME_MAX + 1];

    if (source->st_size < JOURNAL_BYTES_MIN)
        return false;
    (void)snprintf(name, sizeof(name), ".%.*s.verso-journal", kept, target);
    return faccessat(directory->target_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* With --resume only what has the source's size and its very time is taken for a copy of it. */
static bool is_copy(const struct stat *there, const struct stat *source)
{
    const unsigned wanted = VERSO_COPY_RESUME | VERSO_COPY_TIMES;

    return S_ISREG(source->st_mode) && (copy_request.options.flags & wanted) == wanted &&
           there->st_size == source->st_size && there->st_mtim.tv_sec == source->st_mtim.tv_sec &&
           there->st_mtim.tv_nsec == source->st_mtim.tv_nsec;
}

static bool is_newer(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

bool copy_is_there(const struct copy_directory *directory, const char *target, const struct stat *source)
{
    struct stat there;

    if (directory->is_fresh || !(copy_request.update || (copy_request.options.flags & VERSO_COPY_RESUME)))
        return false;
    if (fstatat(directory->target_fd, target, &there, copy_request.recursive ? AT_SYMLINK_NOFOLLOW : 0) < 0 ||
        (there.st_mode & S_IFMT) != (source->st_mode & S_IFMT))
        return false;
    return (is_copy(&there, source) && !has_journal(directory, target, source)) ||
           (copy_request.update && !is_newer(&source->st_mtim, &there.st_mtim));
}

/* ---- Making what is no regular file ---- */

/* What to make: one of three. */
struct thing {
    const char *link_text;           /* a symbolic link */
    const struct copy_link *another; /* a further name */
    const struct stat *special;      /* a FIFO, a device */
};

static int make(const struct thing *thing, int directory, const char *name)
{
    if (thing->link_text)
        return symlinkat(thing->link_text, directory, name);
    if (thing->another)
        return copy_link_make(thing->another, directory, name);
    /* Permissions come with the attributes, if at all. */
    return mknodat(directory, name,
                   (thing->special->st_mode & S_IFMT) |
                       (copy_request.archive ? S_IRUSR | S_IWUSR : thing->special->st_mode & ACCESSPERMS),
                   thing->special->st_rdev);
}

/* In the place of what is there. */
static int make_instead(const struct thing *thing, const struct copy_directory *directory, const char *target)
{
    char name[FREE_NAME_BYTES];
    struct stat there;
    int error;

    if (fstatat(directory->target_fd, target, &there, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(there.st_mode)) {
        errno = EISDIR;
        return -1;
    }
    for (unsigned i = 0; i < UINT16_MAX; i++) {
        (void)snprintf(name, sizeof(name), ".verso-copy-%ld-%u", (long)getpid(), i);
        if (make(thing, directory->target_fd, name) == 0) {
            if (renameat(directory->target_fd, name, directory->target_fd, target) == 0)
                return 0;
            error = errno;
            (void)unlinkat(directory->target_fd, name, 0);
            errno = error;
            return -1;
        }
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

/* Makes @thing at @target. 0, or -errno: -EEXIST when something is there that stays. */
static int put(const struct thing *thing, const struct copy_directory *directory, const char *target)
{
    bool may_replace = !directory->is_fresh && !(copy_request.options.flags & VERSO_COPY_NO_REPLACE);
    int answer;

    if (copy_made_has(directory, target))
        return -EEXIST;
    answer = make(thing, directory->target_fd, target);
    if (answer < 0 && errno == EEXIST && may_replace)
        answer = make_instead(thing, directory, target);
    if (answer < 0)
        return -errno;
    copy_made_add(directory, target);
    return 0;
}

static void tell(const struct copy_directory *directory, const char *source, const char *target, int code,
                 const char *step)
{
    if (code == -EEXIST) {
        tell_there(directory, source, target, directory->is_fresh || copy_made_has(directory, target));
        return;
    }
    errno = -code;
    copy_trouble(directory, source, target, step);
}

static void give_attributes(const struct copy_directory *directory, const char *source, const char *target,
                            unsigned flags)
{
    unsigned lost = 0;

    flags &= copy_request.options.flags & VERSO_COPY_ARCHIVE;
    if (flags && verso_copy_attributes_at(directory->source_fd, source, directory->target_fd, target, flags, &lost) < 0)
        copy_trouble_library(directory, source, target);
    else
        copy_report_lost(directory, target, lost);
}

/* The text of a symbolic link; NULL with errno. Caller frees. */
static char *read_link(const struct copy_directory *directory, const char *name, const struct stat *status)
{
    size_t room = status->st_size > 0 ? (size_t)status->st_size + 1 : 64;

    for (char *text = NULL;; room *= 2) {
        ssize_t length;

        text = allocate(text, room, 1);
        length = readlinkat(directory->source_fd, name, text, room);
        if (length >= 0 && (size_t)length < room) {
            text[length] = '\0';
            return text;
        }
        if (length < 0) {
            int error = errno;

            free(text);
            errno = error;
            return NULL;
        }
    }
}

static bool copy_symbolic_link(struct copy_directory *directory, const char *source, const char *target,
                               const struct stat *status)
{
    char *text = read_link(directory, source, status);
    const struct thing thing = { .link_text = text };
    const char *step = text ? "make symbolic link" : "read symbolic link";
    int code = text ? put(&thing, directory, target) : -errno;

    free(text);
    if (code < 0) {
        tell(directory, source, target, code, step);
        return false;
    }
    copy_count(symbolic_links);
    give_attributes(directory, source, target, VERSO_COPY_ARCHIVE & ~(unsigned)VERSO_COPY_MODE);
    return true;
}

static bool copy_node(struct copy_directory *directory, const char *source, const char *target,
                      const struct stat *status)
{
    const struct thing thing = { .special = status };
    int code = put(&thing, directory, target);

    if (code < 0) {
        tell(directory, source, target, code, S_ISFIFO(status->st_mode) ? "make FIFO" : "make device");
        return false;
    }
    copy_count(specials);
    give_attributes(directory, source, target, VERSO_COPY_ARCHIVE);
    return true;
}

static bool leave_socket(struct copy_directory *directory, const char *source)
{
    char *shown = copy_source_shown(directory, source);

    note("%s: is a socket, and left out: it means nothing without the program that made it", shown);
    free(shown);
    copy_count(sockets);
    return false;
}

static bool copy_once(struct copy_directory *directory, const char *source, const char *target,
                      const struct stat *status)
{
    if (S_ISREG(status->st_mode))
        return copy_regular(copy_jobs_walker(), directory, source, target);
    if (S_ISLNK(status->st_mode))
        return copy_symbolic_link(directory, source, target, status);
    if (S_ISSOCK(status->st_mode))
        return leave_socket(directory, source);
    return copy_node(directory, source, target, status);
}

void copy_special(struct copy_directory *directory, const char *source, const char *target, const struct stat *status)
{
    (void)copy_once(directory, source, target, status);
}

/* ---- Further names ---- */

/* Whether @target is another name of @first's copy already: linking again would change nothing. */
static bool is_linked(const struct copy_directory *directory, const char *target, const struct copy_link *first)
{
    struct stat there;

    return fstatat(directory->target_fd, target, &there, AT_SYMLINK_NOFOLLOW) == 0 && there.st_dev == first->device &&
           there.st_ino == first->inode;
}

/* Where no link can be made (another file system, too many names, a first copy that is gone), a copy of its own has the
 * content at least. */
void copy_linked(struct copy_directory *directory, const char *source, const char *target, const struct stat *status)
{
    const struct copy_link *first = copy_link_find(status);
    const struct thing thing = { .another = first };
    int code = !first ? -ENOENT : is_linked(directory, target, first) ? 0 : put(&thing, directory, target);

    if (code == 0) {
        copy_count(hard_links);
    } else if (code == -EEXIST || code == -EISDIR) {
        tell(directory, source, target, code, "make hard link");
    } else if (copy_once(directory, source, target, status)) {
        copy_link_add(status, directory, target);
        if (first)
            copy_count(lost_links);
    }
}
