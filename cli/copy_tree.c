/* SPDX-License-Identifier: MIT */
/* copy_tree - goes through a source, a level down and up at a time, so that depth costs memory but no stack. */
#include "copy.h"
#include "copy_links.h"
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* Anything but a directory. */
static void visit(struct copy_directory *directory, const char *source, const char *target, const struct stat *status)
{
    const bool is_linked = copy_request.archive && status->st_nlink > 1;

    if (copy_is_there(directory, target, status)) {
        copy_count(up_to_date);
        if (is_linked)
            copy_link_add(status, directory, target);
    } else if (is_linked) {
        copy_linked(directory, source, target, status);
    } else if (S_ISREG(status->st_mode) || !copy_request.recursive) {
        copy_jobs_put(directory, source, target, (uint64_t)status->st_size);
    } else {
        copy_special(directory, source, target, status);
    }
}

static bool is_elsewhere(const struct copy_directory *directory)
{
    return copy_request.one_file_system && directory->source.st_dev != directory->root_device;
}

/* An entry that turns out to be a directory only now was made meanwhile: the walk has passed the directories by. */
static struct copy_directory *visit_entry(struct copy_directory *directory, const struct copy_name *entry)
{
    const char *name = directory->names.text + entry->offset;
    struct copy_directory *below;
    struct stat status;

    if (entry->is_directory) {
        copy_jobs_flush();
        below = copy_directory_enter(directory, name, name);
        if (below && is_elsewhere(below))
            below->names.next = below->names.count;
        return below ? below : directory;
    }
    if (fstatat(directory->source_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0) {
        copy_trouble(directory, name, name, "stat");
    } else if (S_ISDIR(status.st_mode)) {
        errno = EISDIR;
        copy_trouble(directory, name, name, "became a directory while it was copied");
    } else {
        visit(directory, name, name, &status);
    }
    return directory;
}

static void walk(struct copy_directory *top, const char *source, const char *target)
{
    struct copy_directory *directory = copy_directory_enter(top, source, target);

    while (directory && directory != top) {
        struct copy_names *names = &directory->names;

        if (interrupted())
            names->next = names->count;
        if (names->next < names->count) {
            directory = visit_entry(directory, &names->names[names->next++]);
        } else {
            copy_jobs_flush();
            directory = copy_directory_leave(directory);
        }
    }
}

void copy_tree(struct copy_directory *top, const char *source, const char *target)
{
    struct stat status;

    if (fstatat(AT_FDCWD, source, &status, copy_request.recursive ? AT_SYMLINK_NOFOLLOW : 0) < 0) {
        copy_trouble(top, source, target, "stat");
    } else if (!S_ISDIR(status.st_mode)) {
        visit(top, source, target, &status);
    } else if (copy_request.recursive) {
        walk(top, source, target);
    } else {
        char *shown = name_shown(source);

        trouble("%s: is a directory; --recursive copies it with all it holds", shown);
        free(shown);
        copy_count(troubles);
    }
}
