/* SPDX-License-Identifier: MIT */
/*
 * attributes - owner, extended attributes, access control list, permissions, times; in this order:
 *
 *      owner          clears set-id bits, so before the permissions
 *      attributes     some may only be set while the file is ours to write
 *      list           its mask is what chmod calls the group's permissions, so before those
 *      permissions    open the file to others: all that could narrow it has been done
 *      times          last, as all the others change them
 *
 * What can't be had is no failure but noted; and nobody gets more for it. What is there already is left: each of these
 * calls is a transaction of the file system, which a tree of small files would feel.
 */
#include "copy/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ACCESS_LIST "system.posix_acl_access"
#define DEFAULT_LIST "system.posix_acl_default"

struct attributes {
    int source;
    int target;
    const struct verso__os_file_info *info; /* the source's */
    struct verso__os_file_info now;         /* the target's */
    unsigned flags;
    unsigned lost;
    const char *step; /* that failed */
};

/* Not allowed, or not known there: to be noted, not to fail for. */
static bool is_not_to_be_had(int error)
{
    return error == -EPERM || error == -EACCES || error == -EOPNOTSUPP || error == -ENOSYS || error == -EINVAL ||
           error == -EROFS;
}

static int settle(struct attributes *copy, int r, unsigned flag, const char *step)
{
    if (r < 0 && is_not_to_be_had(r)) {
        copy->lost |= flag;
        return 0;
    }
    if (r < 0)
        copy->step = step;
    return r;
}

/* ---- Owner ---- */

/* Group alone is often allowed where the owner is not. */
static int give_owner(struct attributes *copy)
{
    int r;

    if (copy->now.user == copy->info->user && copy->now.group == copy->info->group)
        return 0;
    r = verso__os_set_owner(copy->target, copy->info->user, copy->info->group);
    if (r < 0 && is_not_to_be_had(r)) {
        copy->lost |= VERSO_COPY_OWNER;
        r = verso__os_set_owner(copy->target, UINT32_MAX, copy->info->group);
    }
    r = settle(copy, r, VERSO_COPY_OWNER, "chown");
    if (r == 0) {
        r = verso__os_file_info(copy->target, &copy->now);
        copy->step = "stat";
    }
    return r;
}

/* ---- Extended attributes ---- */

/* Whatever is not told whole is asked for again with more room. */
static int names_of(int fd, char **out_names, size_t *out_bytes)
{
    size_t room = 256;
    char *names = NULL, *more;
    int r;

    do {
        more = realloc(names, room);
        if (!more) {
            free(names);
            return -ENOMEM;
        }
        names = more;
        r = verso__os_attribute_names(fd, names, room, out_bytes);
        room *= 4;
    } while (r == -ERANGE && room <= (size_t)1 << 20);
    if (r < 0)
        free(names);
    else
        *out_names = names;
    return r;
}

static int value_of(int fd, const char *name, void **out_value, size_t *out_bytes)
{
    size_t room = 1024;
    void *value = NULL, *more;
    int r;

    do {
        more = realloc(value, room);
        if (!more) {
            free(value);
            return -ENOMEM;
        }
        value = more;
        r = verso__os_attribute_get(fd, name, value, room, out_bytes);
        room *= 4;
    } while (r == -ERANGE && room <= (size_t)1 << 20);
    if (r < 0)
        free(value);
    else
        *out_value = value;
    return r;
}

static int give_value(struct attributes *copy, const char *name, unsigned flag)
{
    void *value;
    size_t bytes;
    int r = value_of(copy->source, name, &value, &bytes);

    if (r == -ENODATA)
        return 0; /* taken away meanwhile */
    if (r == 0) {
        r = verso__os_attribute_set(copy->target, name, value, bytes);
        free(value);
    }
    return settle(copy, r, flag, "setxattr");
}

static bool is_list(const char *name)
{
    return strcmp(name, ACCESS_LIST) == 0 || strcmp(name, DEFAULT_LIST) == 0;
}

/* Powers that a program has, and checksums of files: whoever writes into a file loses them. */
static bool is_of_content(const char *name)
{
    return strcmp(name, "security.capability") == 0 || strcmp(name, "security.ima") == 0 ||
           strcmp(name, "security.evm") == 0;
}

/* @has_list: the source has an access control list. */
static int give_extended(struct attributes *copy, bool *has_list)
{
    char *names = NULL;
    size_t bytes = 0;
    int r = names_of(copy->source, &names, &bytes);

    *has_list = r == -ENOSYS; /* for all that is known */
    if (r == -ENOSYS)
        copy->lost |= copy->flags & (VERSO_COPY_XATTRS | VERSO_COPY_MODE);
    if (r < 0)
        return r == -EOPNOTSUPP ? 0 : settle(copy, r, copy->flags & VERSO_COPY_XATTRS, "listxattr");
    for (const char *name = names; r == 0 && name < names + bytes; name += strlen(name) + 1) {
        if (strcmp(name, ACCESS_LIST) == 0)
            *has_list = true;
        if ((copy->flags & VERSO__COPY_OF_OLD_CONTENT) && is_of_content(name))
            continue;
        if (is_list(name) && (copy->flags & VERSO_COPY_MODE))
            r = give_value(copy, name, VERSO_COPY_MODE);
        else if (!is_list(name) && (copy->flags & VERSO_COPY_XATTRS))
            r = give_value(copy, name, VERSO_COPY_XATTRS);
    }
    free(names);
    return r;
}

/* ---- Permissions ---- */

/* Set-id bits lend the owner's power, and the group's: only if they are who they were. */
static unsigned mode_to_give(struct attributes *copy)
{
    const unsigned set_id = 06000;
    unsigned mode = copy->info->mode;

    if ((mode & set_id) && (copy->now.user != copy->info->user || copy->now.group != copy->info->group)) {
        mode &= ~set_id;
        copy->lost |= VERSO_COPY_MODE;
    }
    return mode;
}

/* A list that the directory gave the new file. */
static int take_list(struct attributes *copy)
{
    size_t bytes;
    int r = verso__os_attribute_get(copy->target, ACCESS_LIST, NULL, 0, &bytes);

    if (r == 0)
        r = verso__os_attribute_remove(copy->target, ACCESS_LIST);
    if (r == -ENODATA || r == -EOPNOTSUPP)
        return 0;
    return settle(copy, r, VERSO_COPY_MODE, "removexattr");
}

/*
 * With a list, the group's permissions are the most that anybody named in the list gets: where the list could not be
 * had, the group gets what others have.
 */
static int give_mode(struct attributes *copy, bool has_list)
{
    unsigned mode = mode_to_give(copy);
    int r = has_list ? 0 : take_list(copy);

    if (r < 0)
        return r;
    if (has_list && (copy->lost & VERSO_COPY_MODE))
        mode = verso__copy_mode_for_all(mode);
    if (!has_list && copy->now.mode == mode)
        return 0;
    return settle(copy, verso__os_set_mode(copy->target, mode), VERSO_COPY_MODE, "chmod");
}

int verso__copy_attributes(int source, const struct verso__os_file_info *info, int target, unsigned flags,
                           unsigned *lost, const char **out_step)
{
    struct attributes copy = { .source = source, .target = target, .info = info, .flags = flags, .step = "stat" };
    bool is_link = info->kind == VERSO__OS_FILE_LINK, has_list = false;
    int r = verso__os_file_info(target, &copy.now);

    if (r == 0 && flags & VERSO_COPY_OWNER)
        r = give_owner(&copy);
    if (r == 0 && flags & (VERSO_COPY_XATTRS | VERSO_COPY_MODE))
        r = give_extended(&copy, &has_list);
    if (r == 0 && flags & VERSO_COPY_MODE && !is_link) /* links have none */
        r = give_mode(&copy, has_list);
    if (r == 0 && flags & VERSO_COPY_TIMES)
        r = settle(&copy, verso__os_set_times(target, info->accessed_ns, info->modified_ns), VERSO_COPY_TIMES,
                   "utimensat");
    *lost |= copy.lost;
    *out_step = copy.step;
    return r;
}

/* ---- The public edge ---- */

static int open_place(int directory, const char *path, int *out_fd)
{
    int r = verso__os_open_at(directory, path, VERSO__OS_OPEN_PLACE | VERSO__OS_OPEN_NOFOLLOW, 0, out_fd);

    return r < 0 ? verso__fail(r, "open", path) : 0;
}

int verso_copy_attributes_at(int source_directory, const char *source, int target_directory, const char *target,
                             unsigned flags, unsigned *out_lost)
{
    struct verso__os_file_info info;
    unsigned lost = 0;
    const char *step;
    int from, to, r;

    if (!source || !target)
        return verso__fail(-EINVAL, "arguments", target);
    if (flags & ~(unsigned)VERSO_COPY_ARCHIVE)
        return verso__fail(VERSO_E_OPTIONS, "options", target);
    r = open_place(source_directory, source, &from);
    if (r < 0)
        return r;
    r = open_place(target_directory, target, &to);
    if (r == 0) {
        r = verso__os_file_info(from, &info);
        if (r < 0)
            r = verso__fail(r, "stat", source);
        if (r == 0) {
            r = verso__copy_attributes(from, &info, to, flags, &lost, &step);
            if (r < 0)
                r = verso__fail(r, step, target);
        }
        verso__os_close(to);
    }
    verso__os_close(from);
    if (r == 0 && out_lost)
        *out_lost = lost;
    return r;
}
