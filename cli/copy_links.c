/* SPDX-License-Identifier: MIT */
/*
 * copy_links - the copies of files with several names are remembered by path, for descriptors would be too many.
 *
 * A path can come to mean another file while the copy runs. So it is walked without following links, and a new name
 * counts only when it is one of the very file that was made.
 */
#include "copy_links.h"
#include "file_set.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *links; /* tsearch(3) */
static struct file_set made = FILE_SET_INIT;

static int compare(const void *a, const void *b)
{
    const struct copy_link *left = a, *right = b;

    if (left->source_inode != right->source_inode)
        return left->source_inode < right->source_inode ? -1 : 1;
    return (left->source_device > right->source_device) - (left->source_device < right->source_device);
}

const struct copy_link *copy_link_find(const struct stat *source)
{
    const struct copy_link key = { .source_device = source->st_dev, .source_inode = source->st_ino };
    struct copy_link *const *found = tfind(&key, &links, compare);

    return found ? *found : NULL;
}

/* Replaces an older one: that could not be linked to. */
void copy_link_add(const struct stat *source, const struct copy_directory *directory, const char *target)
{
    const struct copy_directory *top = directory;
    struct copy_link *link, **slot;
    struct stat status;

    if (fstatat(directory->target_fd, target, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    while (top->parent)
        top = top->parent;
    link = allocate(NULL, 1, sizeof(*link));
    *link = (struct copy_link){ source->st_dev, source->st_ino, status.st_dev, status.st_ino, top->target_fd, NULL };
    slot = tsearch(link, &links, compare);
    if (!slot) {
        free(link); /* out of memory: its other names become copies */
        return;
    }
    if (*slot != link) {
        struct copy_link *old = *slot;

        *slot = link;
        free(old->path);
        free(old);
    }
    link->path = copy_target_path(directory, target, false);
}

/* The directory that holds the last part of @path, which *out_name becomes. */
static int open_parent(int fd, const char *path, const char **out_name)
{
    char part[NAME_MAX + 1];
    const char *slash;

    fd = openat(fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (; fd >= 0 && (slash = strchr(path, '/')); path = slash + 1) {
        const size_t length = (size_t)(slash - path);
        int next = -1, error = ENAMETOOLONG;

        if (length < sizeof(part)) {
            memcpy(part, path, length);
            part[length] = '\0';
            next = openat(fd, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            error = errno;
        }
        close(fd);
        errno = error;
        fd = next;
    }
    *out_name = path;
    return fd;
}

int copy_link_make(const struct copy_link *link, int directory_fd, const char *name)
{
    const char *last;
    struct stat status;
    int parent = open_parent(link->top_fd, link->path, &last), answer, error;

    if (parent < 0)
        return -1;
    answer = linkat(parent, last, directory_fd, name, 0);
    error = errno;
    close(parent);
    if (answer == 0 && (fstatat(directory_fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
                        status.st_dev != link->device || status.st_ino != link->inode)) {
        (void)unlinkat(directory_fd, name, 0);
        error = ESTALE;
        answer = -1;
    }
    errno = error;
    return answer;
}

static void link_free(void *item)
{
    struct copy_link *link = item;

    free(link->path);
    free(link);
}

void copy_links_clear(void)
{
    tdestroy(links, link_free);
    links = NULL;
    file_set_clear(&made);
}

bool copy_made_has(const struct copy_directory *directory, const char *target)
{
    struct stat status;

    return copy_request.merging && fstatat(directory->target_fd, target, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           file_set_has(&made, status.st_dev, status.st_ino);
}

void copy_made_add(const struct copy_directory *directory, const char *target)
{
    struct stat status;

    if (copy_request.merging && fstatat(directory->target_fd, target, &status, AT_SYMLINK_NOFOLLOW) == 0)
        file_set_add(&made, status.st_dev, status.st_ino);
}
