/* SPDX-License-Identifier: MIT */
/*
 * populate - bringing a range in, with errors instead of faults.
 *
 * MADV_POPULATE_* does it in one call that fails where touching would kill. Where the kernel has no such call, pages
 * are touched one by one under guard.
 */
#include "map/map.h"

#include "os/os.h"

#include <errno.h>

struct touch {
    unsigned char *address;
    size_t bytes;
    size_t page_bytes;
    bool for_writing;
};

/*
 * Writing must not change what a neighbour thread may be storing: exchanging a byte for itself is a store to the
 * kernel and nothing to others. (Adding zero would do, if compilers did not turn it into a load.)
 */
static int touch_pages(void *arg)
{
    const struct touch *touch = arg;

    for (size_t at = 0; at < touch->bytes; at += touch->page_bytes) {
        unsigned char *byte = touch->address + at;
        unsigned char value = __atomic_load_n((volatile unsigned char *)byte, __ATOMIC_RELAXED);

        while (touch->for_writing &&
               !__atomic_compare_exchange_n(byte, &value, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            ;
    }
    return 0;
}

int verso__map_populate_pages(struct verso_map *map, void *address, size_t bytes, bool for_writing,
                              uint64_t *out_offset)
{
    uint64_t offset = VERSO_OFFSET_NONE;
    int r = verso__os_populate(address, bytes, for_writing);

    if (r == -EFAULT || r == -EHWPOISON) {
        r = verso__map_find_torn(map, address, bytes, for_writing, &offset) ? VERSO_E_TORN : 0;
    } else if (r == -EINVAL && !map->narrowed && verso__os_populate(address, 0, for_writing) == -EINVAL) {
        /* Even of no bytes: it is the call that is not known. The guard's handler marks the map torn. */
        struct touch touch = { address, bytes, map->granule_bytes, for_writing };

        r = verso__guard_run(&map->range, touch_pages, &touch, &offset);
    }
    if (r == VERSO_E_TORN && out_offset)
        *out_offset = offset;
    return r;
}

static const char *refused(int error)
{
    switch (error) {
    case VERSO_E_GUARD:
        return "this kernel has no MADV_POPULATE_READ, so pages must be touched: call verso_guard_install() first";
    case -EINVAL:
        return "part of the range may not be used so now: verso_map_protect() took that away";
    default:
        return NULL;
    }
}

int verso_map_populate(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes, int writable)
{
    bool for_writing = writable != 0;
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
    if (for_writing && !(map->access & VERSO__OS_ACCESS_WRITE))
        return verso__fail(VERSO_E_READ_ONLY, "populate", verso__map_path(map));
    r = bytes ? verso__map_populate_pages(map, address, bytes, for_writing, &torn_offset) : 0;
    if (r == VERSO_E_TORN)
        return verso__map_fail_torn(map, "populate", torn_offset, for_writing);
    return r < 0 ? verso__fail_hint(r, "populate", verso__map_path(map), refused(r)) : 0;
}
