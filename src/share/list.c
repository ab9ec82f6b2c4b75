/* SPDX-License-Identifier: MIT */
/*
 * list - looking at regions by name, and taking away what nobody needs.
 *
 * Looking leaves no trace: no place as a member, no mapping. What is abandoned is judged by the kernel's locks alone,
 * and removed behind the closed gate (attach.c), so that nobody can come back to it meanwhile.
 */
#include "share/region.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNFINISHED_FOR_NS INT64_C(60000000000)

typedef int each_entry(const struct verso_share_entry *entry, void *arg);

struct crowd {
    struct verso_share_member *members;
    unsigned count;
    unsigned room;
};

static int gather(const struct verso_share_member *member, void *arg)
{
    struct crowd *crowd = arg;

    if (crowd->count < crowd->room)
        crowd->members[crowd->count++] = *member;
    return 0;
}

/* What stands behind an open file; *out_made for who wants to remove it. */
static int look_at(int fd, const char *name, struct crowd *crowd, struct verso__share_header *out_made,
                   struct verso_share_entry *out_entry, struct verso__share_trouble *trouble)
{
    struct verso_share_options any = VERSO_SHARE_OPTIONS_INIT;
    struct verso__os_file_info file;
    int r;

    any.flags = VERSO_SHARE_ANY_OWNER;
    r = verso__share_read(fd, &any, out_made, &file, trouble);
    if (r < 0)
        return r;
    trouble->step = "malloc";
    crowd->members = calloc(out_made->member_count, sizeof(*crowd->members));
    if (!crowd->members)
        return -ENOMEM;
    crowd->room = out_made->member_count;
    trouble->step = "members";
    r = verso__share_visit(fd, out_made, UINT32_MAX, gather, crowd);
    if (r == 0)
        r = verso__share_describe(fd, out_made, UINT32_MAX, &file, &out_entry->info);
    if (r == 0)
        r = verso__share_is_abandoned(fd, out_made);
    if (r < 0)
        return r;
    out_entry->is_abandoned = r;
    out_entry->info.members = crowd->count; /* one look's answer in both */
    out_entry->name = name;
    out_entry->member = crowd->members;
    return 0;
}

/* ---- One after the other ---- */

struct walk {
    const char *directory;
    each_entry *each;
    void *arg;
    bool collects;
};

static int tell(const struct walk *walk, const struct verso_share_entry *entry)
{
    return walk->each ? walk->each(entry, walk->arg) : 0;
}

/* What a creation that was killed left, where a file could not be without a name. The living hold its gate. */
static void remove_unfinished(const char *path)
{
    struct verso__os_file_info file;
    int fd;

    if (verso__os_open(path, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_NOFOLLOW, 0, &fd) < 0)
        return;
    if (verso__os_file_info(fd, &file) == 0 && file.kind == VERSO__OS_FILE_REGULAR &&
        verso__os_date_ns() - file.modified_ns > UNFINISHED_FOR_NS &&
        verso__os_byte_lock(fd, VERSO__SHARE_GATE_BYTE, VERSO__OS_BYTE_EXCLUSIVE) == 0)
        (void)verso__os_remove(path);
    verso__os_close(fd);
}

/* What one left who was killed: nobody can be rung there any more. */
static void remove_bell(const char *directory, const char *name)
{
    int fd, line, r = verso__os_open(directory, VERSO__OS_OPEN_PLACE | VERSO__OS_OPEN_DIRECTORY, 0, &fd);

    if (r < 0)
        return;
    r = verso__os_bell_open(fd, name, &line);
    if (r == 0)
        verso__os_close(line);
    else if (r == -ECONNREFUSED)
        (void)verso__os_remove_at(fd, name);
    verso__os_close(fd);
}

static int open_to_look(const struct walk *walk, const char *path, int *out_fd)
{
    unsigned flags = VERSO__OS_OPEN_READ | VERSO__OS_OPEN_NOFOLLOW | VERSO__OS_OPEN_NONBLOCK;

    return verso__os_open(path, flags | (walk->collects ? VERSO__OS_OPEN_WRITE : 0U), 0, out_fd);
}

static int visit_open(const struct walk *walk, int fd, const char *name, const char *path, struct crowd *crowd)
{
    struct verso__share_trouble trouble = { 0 };
    struct verso_share_entry entry = { 0 };
    struct verso__share_header made;
    int r = look_at(fd, name, crowd, &made, &entry, &trouble);

    if (r == -ENOMEM)
        return r;
    if (r == 0 && walk->collects && entry.is_abandoned && !(made.flags & VERSO_SHARE_KEEP))
        entry.is_removed = verso__share_remove_if_abandoned(fd, &made, path) == 1;
    if (walk->collects && !entry.is_removed)
        return 0;
    if (r < 0)
        entry = (struct verso_share_entry){ .name = name, .error = r };
    return tell(walk, &entry);
}

static int visit(const char *name, void *arg)
{
    const struct walk *walk = arg;
    struct crowd crowd = { 0 };
    struct verso_share_entry entry = { .name = name };
    char path[PATH_MAX];
    int fd, r;

    if (snprintf(path, sizeof(path), "%s/%s", walk->directory, name) >= (int)sizeof(path))
        return 0; /* not a name of ours: those fit */
    if (*name == '.') {
        if (walk->collects && strncmp(name, VERSO__SHARE_UNFINISHED, strlen(VERSO__SHARE_UNFINISHED)) == 0)
            remove_unfinished(path);
        if (walk->collects && strncmp(name, VERSO__SHARE_BELL, strlen(VERSO__SHARE_BELL)) == 0)
            remove_bell(walk->directory, name);
        return 0;
    }
    r = open_to_look(walk, path, &fd);
    if (r == -ENOENT || (r < 0 && walk->collects))
        return 0;
    if (r < 0) {
        entry.error = r;
        return tell(walk, &entry);
    }
    r = visit_open(walk, fd, name, path, &crowd);
    verso__os_close(fd);
    free(crowd.members);
    return r;
}

static int walk_directory(each_entry *each, void *arg, bool collects)
{
    struct verso__share_trouble trouble = { "name", NULL };
    char directory[PATH_MAX];
    struct walk walk = { directory, each, arg, collects };
    int r = verso__share_directory(directory, &trouble);

    if (r == 0)
        r = verso__share_check_directory(directory, &trouble);
    if (r == 0)
        r = verso__os_names(directory, visit, &walk);
    if (r == -ENOENT)
        return 0;
    return r < 0 ? verso__fail_hint(r, trouble.step, directory, trouble.hint) : r;
}

int verso_share_list(each_entry *each, void *arg)
{
    return each ? walk_directory(each, arg, false) : verso__fail(-EINVAL, "arguments", NULL);
}

int verso_share_collect(each_entry *each, void *arg)
{
    return walk_directory(each, arg, true);
}

int verso_share_look(const char *name, each_entry *each, void *arg)
{
    struct verso__share_trouble trouble = { 0 };
    struct verso_share_entry entry = { 0 };
    struct verso__share_header made;
    struct crowd crowd = { 0 };
    char path[PATH_MAX];
    int fd, r;

    if (!each)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = verso__share_path(name, false, path, &trouble);
    if (r < 0)
        return verso__fail_hint(r, trouble.step, name, trouble.hint);
    r = verso__os_open(path, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_NOFOLLOW | VERSO__OS_OPEN_NONBLOCK, 0, &fd);
    if (r < 0)
        return verso__fail(r, "open", path);
    r = look_at(fd, name, &crowd, &made, &entry, &trouble);
    verso__os_close(fd);
    if (r < 0)
        r = verso__fail_hint(r, trouble.step, path, trouble.hint);
    else
        r = each(&entry, arg);
    free(crowd.members);
    return r;
}

/* ---- Removing ---- */

/* In the directory of names everything is ours to take away, also what is damaged; elsewhere only regions are. */
static int remove_open(int fd, const char *name, const char *path, struct verso__share_trouble *trouble)
{
    const struct verso_share_options own = VERSO_SHARE_OPTIONS_INIT;
    struct verso__share_header made;
    struct verso__os_file_info file;
    int r = verso__share_read(fd, &own, &made, &file, trouble);

    if (r < 0 && ((r != VERSO_E_FORMAT && r != VERSO_E_MACHINE) || strchr(name, '/')))
        return r;
    trouble->hint = NULL;
    trouble->step = "lock";
    r = verso__share_lock(fd, VERSO__SHARE_GATE_BYTE, VERSO__OS_BYTE_EXCLUSIVE);
    if (r == 0) {
        trouble->step = "unlink";
        r = verso__share_unlink_own(fd, path);
    }
    return r;
}

int verso_share_remove(const char *name)
{
    struct verso__share_trouble trouble = { 0 };
    char path[PATH_MAX];
    int fd, r = verso__share_path(name, false, path, &trouble);

    if (r < 0)
        return verso__fail_hint(r, trouble.step, name, trouble.hint);
    r = verso__os_open(
        path, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE | VERSO__OS_OPEN_NOFOLLOW | VERSO__OS_OPEN_NONBLOCK, 0, &fd);
    if (r < 0)
        return verso__fail(r, "open", path);
    r = remove_open(fd, name, path, &trouble);
    verso__os_close(fd);
    return r < 0 ? verso__fail_hint(r, trouble.step, path, trouble.hint) : 0;
}
