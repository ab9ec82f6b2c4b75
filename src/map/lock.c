/* SPDX-License-Identifier: MIT */
/*
 * lock - keeping a range in memory.
 *
 * mlock2 answers ENOMEM for three things: the limit, too many mappings, and pages that the file does not have. Only the
 * last leaves something locked. Locking the same on fault tells them apart: it brings no page in, so when that works,
 * it was the pages.
 */
#include "map/map.h"

#include "os/os.h"

#include <errno.h>

static const char limit_hint[] = "over the limit of locked memory (RLIMIT_MEMLOCK; `ulimit -l` says it): raise it in "
                                 "/etc/security/limits.conf, or lock less";

/* After -ENOMEM: was it pages that can't be had? Then what was locked on the way is given back. */
static bool is_torn(struct verso_map *map, void *address, size_t bytes, uint64_t *out_offset)
{
    if (verso__os_lock(address, bytes, true) < 0)
        return false;
    (void)verso__os_unlock(address, bytes);
    return verso__map_find_torn(map, address, bytes, false, out_offset);
}

int verso_map_lock(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes, int on_fault)
{
    uint64_t torn_offset;
    void *address;
    size_t bytes;
    int r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    r = verso__map_pages_of(map, offset_bytes, length_bytes, false, &address, &bytes);
    if (r < 0)
        return verso__map_fail_range(map, r, offset_bytes);
    if (bytes == 0)
        return 0;
    r = verso__os_lock(address, bytes, on_fault != 0);
    if (r == -ENOMEM && !on_fault && is_torn(map, address, bytes, &torn_offset))
        return verso__map_fail_torn(map, "mlock", torn_offset, false);
    if (r == -EAGAIN) /* no memory for some pages; the others are locked */
        (void)verso__os_unlock(address, bytes);
    if (r < 0)
        return verso__fail_hint(r, "mlock", verso__map_path(map), r == -ENOMEM || r == -EPERM ? limit_hint : NULL);
    return 0;
}

int verso_map_unlock(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes)
{
    void *address;
    size_t bytes;
    int r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    r = verso__map_pages_of(map, offset_bytes, length_bytes, false, &address, &bytes);
    if (r < 0)
        return verso__map_fail_range(map, r, offset_bytes);
    r = bytes ? verso__os_unlock(address, bytes) : 0;
    return r < 0 ? verso__fail(r, "munlock", verso__map_path(map)) : 0;
}
