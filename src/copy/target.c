/* SPDX-License-Identifier: MIT */
/*
 * target - the end that is made: where, under which name meanwhile, and with whose permissions.
 *
 *      target --> "a/link" --> "a/b/file"             links are followed here, for the new name must stand beside the
 *                              "a/b/.file.verso-copy"             file that it is to replace
 *
 * Nobody shall be able to read the copy before it is whole who could not read it in the end. So a new file is made with
 * the permissions that it will have, of which the kernel takes away what umask or the directory's list says; with
 * VERSO_COPY_MODE, when its group may not be its last, with what others have of them; one that replaces another 0600.
 * Opened up it is when it is done (settle.c).
 */
#include "copy/copy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINKS_MAX 40       /* as the kernel has it */
#define NAME_BYTES_MAX 255 /* of all file systems that Linux has */

static int fail(struct verso__copy *copy, int code, const char *step)
{
    return verso__copy_fail_target(copy, code, step, VERSO_OFFSET_NONE);
}

/* ---- Finding it ---- */

/* The length of what stands before the last part of a path: "a/b/" of "a/b/c". */
static size_t directory_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) + 1 : 0;
}

/* One link further: its text takes the place of the name, or of the last part of it. */
static int follow_one(struct verso__copy_target *target)
{
    char text[PATH_MAX];
    size_t before, bytes;
    int r = verso__os_link_text(target->directory, target->name, text, sizeof(text));

    if (r < 0)
        return r;
    before = *text == '/' ? 0 : directory_bytes(target->name);
    bytes = strlen(text);
    if (before + bytes >= sizeof(target->name))
        return -ENAMETOOLONG;
    memcpy(target->name + before, text, bytes + 1);
    return 0;
}

/* What has the name now. 1: nothing. */
static int look(struct verso__copy_target *target)
{
    int r = verso__os_path_info_at(target->directory, target->name, false, &target->info);

    if (r == -ENOENT) {
        target->info = (struct verso__os_file_info){ 0 };
        return 1;
    }
    return r;
}

/* The kernel is asked to follow first: it refuses loops, and links that somebody has planted in a directory for all. */
static int follow(struct verso__copy_target *target)
{
    struct verso__os_file_info ignored;
    int r = verso__os_path_info_at(target->directory, target->name, true, &ignored);

    for (int i = 0; (r == 0 || r == -ENOENT) && i < LINKS_MAX; i++) {
        r = follow_one(target);
        if (r == 0)
            r = look(target);
        if (r != 0 || target->info.kind != VERSO__OS_FILE_LINK)
            return r < 0 ? r : 0;
    }
    return r < 0 ? r : -ELOOP;
}

static int check_kind(struct verso__copy *copy)
{
    const struct verso__os_file_info *info = &copy->target.info;

    if (info->kind == VERSO__OS_FILE_DIRECTORY)
        return fail(copy, -EISDIR, "target");
    if (verso__copy_is_source(copy, info))
        return fail(copy, VERSO_E_SAME_FILE, "target");
    if (info->kind == VERSO__OS_FILE_LINK && verso__copy_in_place(copy))
        return fail(copy, -ELOOP, "target");
    if (info->kind != VERSO__OS_FILE_REGULAR && info->kind != VERSO__OS_FILE_LINK && !verso__copy_in_place(copy))
        return verso__copy_fail(copy, VERSO_E_OPTIONS, "target", copy->target.path, VERSO_OFFSET_NONE,
                                "it is a device, a FIFO or a socket: VERSO_COPY_IN_PLACE writes into it");
    return 0;
}

/* What may not be replaced is met by the call that gives the name as well: a question less for each file of a tree. */
static bool is_told_soon_enough(const struct verso__copy *copy)
{
    return verso__copy_wants(copy, VERSO_COPY_NO_REPLACE) && !copy->source.is_stream &&
           copy->end <= VERSO__COPY_SMALL_BYTES;
}

int verso__copy_target_find(struct verso__copy *copy)
{
    struct verso__copy_target *target = &copy->target;
    size_t bytes = strlen(target->path);
    int r;

    if (bytes >= sizeof(target->name))
        return fail(copy, -ENAMETOOLONG, "target");
    memcpy(target->name, target->path, bytes + 1);
    if (bytes == 0)
        return fail(copy, -ENOENT, "target");
    if (target->path[bytes - 1] == '/')
        return fail(copy, -EISDIR, "target");
    if (is_told_soon_enough(copy))
        return 0;
    r = look(target);
    if (r < 0)
        return fail(copy, r, "stat");
    if (r == 0 && verso__copy_wants(copy, VERSO_COPY_NO_REPLACE))
        return fail(copy, -EEXIST, "target");
    if (target->info.kind == VERSO__OS_FILE_LINK && !verso__copy_wants(copy, VERSO_COPY_NOFOLLOW_TARGET)) {
        r = follow(target);
        if (r < 0)
            return fail(copy, r, "link");
    }
    return target->info.kind ? check_kind(copy) : 0;
}

/* ---- Opening it ---- */

/* The source's permissions are for files that nobody had before. */
static unsigned permissions_of_new(const struct verso__copy *copy)
{
    if (copy->source.info.kind != VERSO__OS_FILE_REGULAR)
        return 0666;
    return copy->source.info.mode & 0777;
}

/* "a/b/.file.verso-copy" beside "a/b/file"; of a name too long for that, its beginning. */
int verso__copy_name_beside(const struct verso__copy_target *target, const char *word, char *out_path, size_t room)
{
    size_t before = directory_bytes(target->name);
    const char *base = target->name + before;
    size_t kept = strlen(base), ours = strlen(".") + strlen(word);
    int n;

    if (kept > NAME_BYTES_MAX - ours)
        kept = NAME_BYTES_MAX - ours;
    n = snprintf(out_path, room, "%.*s.%.*s%s", (int)before, target->name, (int)kept, base, word);
    return n >= 0 && (size_t)n < room ? 0 : -ENAMETOOLONG;
}

static bool is_worth_a_journal(const struct verso__copy *copy)
{
    return verso__copy_wants(copy, VERSO_COPY_RESUME) && copy->source.info.kind == VERSO__OS_FILE_REGULAR &&
           copy->end >= VERSO__COPY_JOURNAL_BYTES_MIN;
}

static int open_temporary(struct verso__copy *copy)
{
    bool is_new = copy->target.info.kind == 0 || copy->target.info.kind == VERSO__OS_FILE_LINK;
    unsigned mode = 0600;
    int r;

    copy->target.has_offsets = true;
    if (verso__copy_wants(copy, VERSO_COPY_MODE))
        mode = verso__copy_mode_for_all(permissions_of_new(copy));
    else if (is_new)
        mode = permissions_of_new(copy);
    if (is_worth_a_journal(copy))
        return verso__copy_journal_open(copy, mode);
    r = verso__copy_temporary_open(copy, mode);
    if (r == -EACCES || r == -EPERM || r == -EROFS)
        return verso__copy_fail(copy, r, "create", copy->target.path, VERSO_OFFSET_NONE,
                                "a new name must be allowed beside the target; VERSO_COPY_IN_PLACE needs none");
    return r < 0 ? fail(copy, r, "create") : 0;
}

/* A target that may be written but not read will do, but for comparing; what has no content to keep never does. */
static int open_in_place(struct verso__copy *copy)
{
    const bool compares = verso__copy_wants(copy, VERSO_COPY_DELTA | VERSO_COPY_VERIFY);
    struct verso__copy_target *target = &copy->target;
    bool is_file = target->info.kind == VERSO__OS_FILE_REGULAR || target->info.kind == VERSO__OS_FILE_BLOCK ||
                   target->info.kind == 0;
    unsigned how = VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_NOFOLLOW;
    int r = -EACCES;

    if (!is_file && compares)
        return verso__copy_fail(copy, VERSO_E_OPTIONS, "target", copy->target.path, VERSO_OFFSET_NONE,
                                "what is written to a device, a FIFO or a socket can't be read back to be compared");
    if (target->info.kind == 0)
        how |= VERSO__OS_OPEN_CREATE | (verso__copy_wants(copy, VERSO_COPY_NO_REPLACE) ? VERSO__OS_OPEN_EXCLUSIVE : 0U);
    if (is_file)
        r = verso__os_open_at(target->directory, target->name, how | VERSO__OS_OPEN_READ, permissions_of_new(copy),
                              &target->fd);
    if (r == -EACCES && !compares)
        r = verso__os_open_at(target->directory, target->name, how, permissions_of_new(copy), &target->fd);
    return r < 0 ? fail(copy, r, "open") : 0;
}

/* What was opened in place, which need not be what was looked at. */
static int look_in_place(struct verso__copy *copy)
{
    struct verso__copy_target *target = &copy->target;
    bool was_there = target->info.kind != 0;
    struct verso__os_file_info info;
    int r = verso__os_file_info(target->fd, &info);

    if (r < 0)
        return fail(copy, r, "stat");
    if (verso__copy_is_source(copy, &info))
        return fail(copy, VERSO_E_SAME_FILE, "target");
    target->has_offsets = info.kind == VERSO__OS_FILE_REGULAR || info.kind == VERSO__OS_FILE_BLOCK;
    target->old_bytes = target->has_offsets ? info.bytes : 0;
    if (was_there)
        target->info = info;
    return 0;
}

int verso__copy_target_open(struct verso__copy *copy)
{
    int r;

    if (!verso__copy_in_place(copy))
        return open_temporary(copy);
    r = open_in_place(copy);
    return r == 0 ? look_in_place(copy) : r;
}

/* ---- Ending ---- */

int verso__copy_target_commit(struct verso__copy *copy)
{
    struct verso__copy_target *target = &copy->target;
    int r;

    if (target->is_unnamed) {
        r = verso__copy_temporary_name(copy);
        if (r < 0)
            return fail(copy, r, "link");
    }
    if (!*target->temporary)
        return 0;
    r = verso__os_rename(target->directory, target->temporary, target->name,
                         !verso__copy_wants(copy, VERSO_COPY_NO_REPLACE));
    if (r < 0)
        return fail(copy, r, "rename");
    *target->temporary = '\0';
    return 0;
}

int verso__copy_target_directory_path(const struct verso__copy_target *target, char *out_path, size_t room)
{
    size_t bytes = directory_bytes(target->name);

    if (bytes >= room)
        return -ENAMETOOLONG;
    memcpy(out_path, bytes > 0 ? target->name : ".", bytes > 0 ? bytes : 1);
    out_path[bytes > 0 ? bytes : 1] = '\0';
    return 0;
}

int verso__copy_target_directory(const struct verso__copy_target *target, int *out_fd)
{
    char path[PATH_MAX];
    int r = verso__copy_target_directory_path(target, path, sizeof(path));

    if (r < 0)
        return r;
    return verso__os_open_at(target->directory, path, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_DIRECTORY, 0, out_fd);
}

/* ---- What stands beside it ---- */

bool verso__copy_is_ours(const struct verso__os_file_info *info)
{
    return info->kind == VERSO__OS_FILE_REGULAR && info->user == verso__os_user() && info->link_count == 1;
}

bool verso__copy_is_named(const struct verso__copy *copy, int fd, const char *path)
{
    struct verso__os_file_info named, ours;

    return verso__os_file_info(fd, &ours) == 0 &&
           verso__os_path_info_at(copy->target.directory, path, false, &named) == 0 && named.device == ours.device &&
           named.inode == ours.inode;
}

/* What a part was copied from is not what is there now, or it is not what was copied: it is of no use. */
static bool is_useless(int result)
{
    return result == VERSO_E_CHANGED || result == VERSO_E_TORN || result == VERSO_E_VERIFY;
}

void verso__copy_target_close(struct verso__copy *copy, int result)
{
    struct verso__copy_target *target = &copy->target;
    bool stays = copy->journal.fd >= 0 && !is_useless(result);

    if (target->fd >= 0)
        verso__os_close(target->fd);
    if (*target->temporary && !stays)
        (void)verso__os_remove_at(target->directory, target->temporary); /* what failed is told already */
    verso__copy_journal_close(copy, !*target->temporary || !stays);
}
