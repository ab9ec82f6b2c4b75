/* SPDX-License-Identifier: MIT */
/* lookup - one mapping by its address: PROCMAP_QUERY costs a look into a tree, the text the whole list. */
#include "os/linux/kernel.h"
#include "os/linux/proc.h"

#include <errno.h>
#include <string.h>

static void copy_name(const char *name, char *out_name, size_t room_bytes)
{
    size_t bytes = strlen(name);

    if (room_bytes == 0)
        return;
    if (bytes < room_bytes) {
        memcpy(out_name, name, bytes + 1);
    } else {
        size_t dots = room_bytes > 3 ? 3 : room_bytes - 1;

        memcpy(out_name, name, room_bytes - 1 - dots);
        memcpy(out_name + room_bytes - 1 - dots, "...", dots);
        out_name[room_bytes - 1] = '\0';
    }
}

int verso__procmap_query(int maps_fd, uint64_t address, struct verso__os_mapping *out_mapping,
                         char name[VERSO__PROCMAP_NAME_BYTES])
{
    struct procmap_query query = {
        .size = sizeof(query),
        .query_addr = address,
        .vma_name_addr = (uintptr_t)name,
        .vma_name_size = VERSO__PROCMAP_NAME_BYTES,
    };
    int r;

    do
        r = ioctl(maps_fd, PROCMAP_QUERY, &query);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    if (query.vma_name_size == 0)
        name[0] = '\0';
    *out_mapping = (struct verso__os_mapping){
        .start = query.vma_start,
        .end = query.vma_end,
        .offset = query.vma_offset,
        .device_major = query.dev_major,
        .device_minor = query.dev_minor,
        .inode = query.inode,
        .access = (query.vma_flags & PROCMAP_QUERY_VMA_READABLE ? VERSO__OS_ACCESS_READ : 0U) |
                  (query.vma_flags & PROCMAP_QUERY_VMA_WRITABLE ? VERSO__OS_ACCESS_WRITE : 0U) |
                  (query.vma_flags & PROCMAP_QUERY_VMA_EXECUTABLE ? VERSO__OS_ACCESS_EXEC : 0U),
        .shared = (query.vma_flags & PROCMAP_QUERY_VMA_SHARED) != 0,
        .name = name,
    };
    return 0;
}

struct wanted {
    uint64_t address;
    struct verso__os_mapping *out_mapping;
    char *out_name;
    size_t room_bytes;
};

static int match(const struct verso__os_mapping *mapping, void *arg)
{
    const struct wanted *wanted = arg;

    if (wanted->address < mapping->start || wanted->address >= mapping->end)
        return 0;
    *wanted->out_mapping = *mapping;
    copy_name(mapping->name, wanted->out_name, wanted->room_bytes);
    wanted->out_mapping->name = wanted->room_bytes ? wanted->out_name : "";
    return 1;
}

int verso__mapping_at_by_text(pid_t pid, uint64_t address, struct verso__os_mapping *out_mapping, char *out_name,
                              size_t room_bytes)
{
    struct wanted wanted = { address, out_mapping, out_name, out_name ? room_bytes : 0 };
    int r = verso__os_mappings(pid, match, &wanted);

    if (r < 0)
        return r;
    return r == 0 ? -ENOENT : 0;
}

/* The kernel's own half, where only the text lists something ([vsyscall]). */
static bool is_kernel_half(uint64_t address)
{
    return address >> 63;
}

/* Closes @fd. */
static int query(int fd, uint64_t address, struct verso__os_mapping *out_mapping, char name[VERSO__PROCMAP_NAME_BYTES])
{
    int r = verso__procmap_query(fd, address, out_mapping, name);

    verso__os_close(fd);
    return r;
}

int verso__os_mapping_at(pid_t pid, uint64_t address, struct verso__os_mapping *out_mapping, char *out_name,
                         size_t room_bytes)
{
    struct wanted wanted = { address, out_mapping, out_name, out_name ? room_bytes : 0 };
    char name[VERSO__PROCMAP_NAME_BYTES];
    struct verso__os_mapping mapping;
    int fd, r = verso__proc_open(pid, "maps", &fd);

    if (r == 0)
        r = query(fd, address, &mapping, name);
    if (r == -ESRCH && verso__proc_open_other_thread(pid, "maps", &fd) == 0)
        r = query(fd, address, &mapping, name);
    if (r == 0)
        (void)match(&mapping, &wanted);
    else if (r == -ENOTTY || r == -ENAMETOOLONG || (r == -ENOENT && is_kernel_half(address)))
        r = verso__mapping_at_by_text(pid, address, out_mapping, out_name, room_bytes);
    return r;
}
