/* SPDX-License-Identifier: MIT */
/*
 * mappers - who maps a file.
 *
 * /proc/PID/maps names a file by device and inode, and the device is not always what fstat says: btrfs and overlayfs
 * give each subvolume or layer a number of its own to stat, and show another here. So the file is asked in the same
 * words: mapped once without access, looked up, unmapped.
 */
#include "base/fail.h"
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

struct search {
    struct verso__os_mapping file; /* its device and inode */
    struct verso_inspect_mapper *mappers;
    size_t count;
    size_t room;
    size_t hidden_count;
    pid_t pid; /* being looked at */
};

/* How a file that can't be mapped at all would be named: nobody maps it then, but asking is no mistake. */
static void identify_by_stat(const struct verso__os_file_info *info, struct verso__os_mapping *out_file)
{
    *out_file = (struct verso__os_mapping){
        .device_major = major(info->device),
        .device_minor = minor(info->device),
        .inode = info->inode,
        .name = "",
    };
}

static int identify_by_map(int fd, struct verso__os_mapping *out_file)
{
    size_t bytes = verso__os_file_page_bytes(fd);
    void *address;
    int r = verso__os_map(NULL, bytes, VERSO__OS_ACCESS_NONE, VERSO__OS_MAP_NORESERVE, fd, 0, &address);

    if (r < 0)
        return r;
    r = verso__os_mapping_at(0, (uintptr_t)address, out_file, NULL, 0);
    (void)verso__os_unmap(address, bytes);
    return r;
}

/* Maps want a descriptor that can read. */
static int identify_reopened(int fd, struct verso__os_mapping *out_file)
{
    int reader, r = verso__os_reopen(fd, VERSO__OS_OPEN_READ, &reader);

    if (r < 0)
        return r;
    r = identify_by_map(reader, out_file);
    verso__os_close(reader);
    return r;
}

static int identify(int fd, struct verso__os_mapping *out_file)
{
    struct verso__os_file_info info;
    int r = verso__os_file_info(fd, &info);

    if (r < 0)
        return r;
    if (info.kind == VERSO__OS_FILE_DIRECTORY)
        return -EISDIR;
    r = identify_by_map(fd, out_file);
    if (r == -EACCES && info.kind == VERSO__OS_FILE_REGULAR) /* opening another kind may wait, or do something */
        r = identify_reopened(fd, out_file);
    if (r == -ENODEV || r == -EACCES) {
        identify_by_stat(&info, out_file);
        return 0;
    }
    return r;
}

static int compare(const struct verso__os_mapping *mapping, void *arg)
{
    struct search *search = arg;
    struct verso_inspect_mapper *mappers;

    if (mapping->inode != search->file.inode || mapping->device_major != search->file.device_major ||
        mapping->device_minor != search->file.device_minor)
        return 0;
    mappers = verso__inspect_grow(search->mappers, &search->room, search->count, sizeof(*mappers));
    if (!mappers)
        return -ENOMEM;
    search->mappers = mappers;
    mappers[search->count++] = (struct verso_inspect_mapper){
        .pid = search->pid,
        .start = mapping->start,
        .end = mapping->end,
        .offset_bytes = mapping->offset,
        .access = mapping->access | (mapping->shared ? (unsigned)VERSO_INSPECT_SHARED : 0U),
    };
    return 0;
}

static void name_mappers(struct search *search, size_t from)
{
    struct verso__os_process_info info;

    if (from == search->count || verso__os_process_info(search->pid, &info) < 0)
        return; /* it ended since: its mappings were true when they were read, its name stays "" */
    for (size_t i = from; i < search->count; i++)
        memcpy(search->mappers[i].command, info.command, sizeof(info.command));
}

static int look_into(pid_t pid, void *arg)
{
    struct search *search = arg;
    size_t before = search->count;
    int r;

    search->pid = pid;
    r = verso__os_mappings(pid, compare, search);
    if (r == -ESRCH || r == -EACCES || r == -EPERM) {
        search->count = before;              /* half a list, when it ended meanwhile */
        search->hidden_count += r != -ESRCH; /* the lists of the kernel's threads are empty, and all may read them */
        return 0;
    }
    name_mappers(search, before);
    return r;
}

int verso_inspect_mappers(int fd, struct verso_inspect_mapper **out_mappers, size_t *out_count,
                          size_t *out_hidden_count)
{
    struct search search = { 0 };
    int r = identify(fd, &search.file);

    if (r < 0)
        return verso__inspect_fail_fd(r, "identify the file", fd);
    r = verso__os_processes(look_into, &search);
    if (r < 0) {
        free(search.mappers);
        return verso__fail(r, "read processes", "/proc");
    }
    *out_mappers = search.mappers;
    *out_count = search.count;
    if (out_hidden_count)
        *out_hidden_count = search.hidden_count;
    return 0;
}
