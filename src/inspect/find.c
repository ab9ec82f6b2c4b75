/* SPDX-License-Identifier: MIT */
/* find - one mapping, by an address in it. */
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>
#include <sys/sysmacros.h>

_Static_assert((int)VERSO_INSPECT_READ == (int)VERSO__OS_ACCESS_READ &&
                   (int)VERSO_INSPECT_WRITE == (int)VERSO__OS_ACCESS_WRITE &&
                   (int)VERSO_INSPECT_EXEC == (int)VERSO__OS_ACCESS_EXEC,
               "access is passed on as it is");

void verso__inspect_mapping_of(const struct verso__os_mapping *mapping, struct verso_inspect_mapping *out_mapping)
{
    *out_mapping = (struct verso_inspect_mapping){
        .start = mapping->start,
        .end = mapping->end,
        .access = mapping->access | (mapping->shared ? (unsigned)VERSO_INSPECT_SHARED : 0U),
        .offset_bytes = mapping->offset,
        .device = makedev((unsigned)mapping->device_major, (unsigned)mapping->device_minor),
        .inode = mapping->inode,
        .name = mapping->name,
        .flags = "",
        .memory_error = -ENODATA,
    };
}

int verso_inspect_find(pid_t pid, uint64_t address, struct verso_inspect_mapping *out_mapping, char *out_name,
                       size_t name_room_bytes)
{
    struct verso__os_mapping mapping;
    int r = verso__os_mapping_at(pid, address, &mapping, out_name, name_room_bytes);

    if (r == -ENOENT)
        return verso__inspect_fail_pid_hint(r, "find a mapping", pid, "nothing is mapped at that address");
    if (r < 0)
        return verso__inspect_fail_pid(r, "find a mapping", pid);
    verso__inspect_mapping_of(&mapping, out_mapping);
    return 0;
}
