/* SPDX-License-Identifier: MIT */
/*
 * lock - keeping a range in memory.
 *
 * mlock2 answers ENOMEM for three things: the limit, too many mappings, and pages that can't be had. Only the last
 * leaves something done, so it is told apart and undone.
 */
#include "map/map.h"

#include "os/os.h"

#include <errno.h>

static const char limit_hint[] = "over the limit of locked memory (RLIMIT_MEMLOCK; `ulimit -l` says it): raise it in "
                                 "/etc/security/limits.conf, or lock less";

int verso_map_lock(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes, int on_fault)
{
    uint64_t torn_offset;
    void *address;
    size_t bytes;
    int r;

    r = verso__map_pages_of(map, offset_bytes, length_bytes, false, &address, &bytes);
    if (r < 0)
        return verso__map_fail_range(map, r, offset_bytes);
    if (bytes == 0)
        return 0;
    r = verso__os_lock(address, bytes, on_fault != 0);
    if (r == -ENOMEM && !on_fault && verso__os_populate(address, bytes, false) == -EFAULT &&
        verso__map_find_torn(map, address, bytes, false, &torn_offset)) {
        (void)verso__os_unlock(address, bytes);
        return verso__map_fail_torn(map, "mlock", torn_offset, false);
    }
    if (r < 0)
        return verso__fail_hint(r, "mlock", verso__map_path(map),
                                r == -ENOMEM || r == -EAGAIN || r == -EPERM ? limit_hint : NULL);
    return 0;
}

int verso_map_unlock(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes)
{
    void *address;
    size_t bytes;
    int r;

    r = verso__map_pages_of(map, offset_bytes, length_bytes, false, &address, &bytes);
    if (r < 0)
        return verso__map_fail_range(map, r, offset_bytes);
    r = bytes ? verso__os_unlock(address, bytes) : 0;
    return r < 0 ? verso__fail(r, "munlock", verso__map_path(map)) : 0;
}
