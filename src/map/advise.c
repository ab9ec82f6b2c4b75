/* SPDX-License-Identifier: MIT */
/*
 * advise - how a range will be used.
 *
 *      asked            |<------------------>|
 *      pages     |---------|---------|---------|---------|
 *      inside              |<------->|                       COLD PAGEOUT DONTNEED FREE: never a neighbour's bytes
 *      outside   |<--------------------------->|             the others: a hint too much hurts nobody
 */
#include "map/map.h"

#include "os/os.h"

#include <errno.h>

struct advice {
    enum verso__os_advice kernel;
    bool inside;
    const char *refused; /* what -EINVAL means here */
};

static const char no_such_advice[] = "this kernel, or this kind of map, has no such advice";
static const char locked_stays[] = "locked pages stay until verso_map_unlock(); hugetlb pages and kernels before 5.4 "
                                   "have no such advice";

static const struct advice advices[] = {
    [VERSO_MAP_ADVICE_NORMAL] = { VERSO__OS_ADVICE_NORMAL, false, no_such_advice },
    [VERSO_MAP_ADVICE_RANDOM] = { VERSO__OS_ADVICE_RANDOM, false, no_such_advice },
    [VERSO_MAP_ADVICE_SEQUENTIAL] = { VERSO__OS_ADVICE_SEQUENTIAL, false, no_such_advice },
    [VERSO_MAP_ADVICE_WILLNEED] = { VERSO__OS_ADVICE_WILLNEED, false, no_such_advice },
    [VERSO_MAP_ADVICE_COLD] = { VERSO__OS_ADVICE_COLD, true, locked_stays },
    [VERSO_MAP_ADVICE_PAGEOUT] = { VERSO__OS_ADVICE_PAGEOUT, true, locked_stays },
    [VERSO_MAP_ADVICE_DONTNEED] = { VERSO__OS_ADVICE_DONTNEED, true, "locked pages stay until verso_map_unlock()" },
    [VERSO_MAP_ADVICE_FREE] = { VERSO__OS_ADVICE_FREE, true,
                                "only unlocked memory that was read in (pipes, devices, /proc) can be freed" },
    [VERSO_MAP_ADVICE_HUGE] = { VERSO__OS_ADVICE_HUGE, false, "this kernel was built without transparent huge pages" },
    [VERSO_MAP_ADVICE_COLLAPSE] = { VERSO__OS_ADVICE_COLLAPSE, false,
                                    "no huge pages for this kind of map, or a kernel before 6.1; it works on with "
                                    "small ones" },
    [VERSO_MAP_ADVICE_NO_CORE] = { VERSO__OS_ADVICE_NO_CORE, false, no_such_advice },
};

int verso_map_advise(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes, enum verso_map_advice advice)
{
    const struct advice *row;
    void *address;
    size_t bytes;
    int r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    if (advice < VERSO_MAP_ADVICE_NORMAL || (size_t)advice >= sizeof(advices) / sizeof(advices[0]))
        return verso__fail_hint(VERSO_E_OPTIONS, "madvise", verso__map_path(map),
                                "use a value of enum verso_map_advice");
    row = &advices[advice];
    r = verso__map_pages_of(map, offset_bytes, length_bytes, row->inside, &address, &bytes);
    if (r < 0)
        return verso__map_fail_range(map, r, offset_bytes);
    if (advice == VERSO_MAP_ADVICE_DONTNEED && map->kind == VERSO_MAP_KIND_BUFFER)
        return verso__fail_hint(VERSO_E_NOT_MAPPED, "madvise", verso__map_path(map),
                                "what was read in cannot be read again; if it is not needed any more, advise FREE");
    r = bytes ? verso__os_advise(address, bytes, row->kernel) : 0;
    return r < 0 ? verso__fail_hint(r, "madvise", verso__map_path(map), r == -EINVAL ? row->refused : NULL) : 0;
}
