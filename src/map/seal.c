/* SPDX-License-Identifier: MIT */
/*
 * seal - memory that stays as it is until the process ends.
 *
 * A seal is for ever, so it is refused where it would break a promise of the map: torn pages that are to become zeros,
 * and a lease that is to be settled, both need the pages replaced.
 */
#include "map/map.h"

#include "os/os.h"

#include <errno.h>

const char verso__map_sealed_hint[] = "the map was sealed by verso_map_seal(), for as long as the process lives";

int verso_map_seal(struct verso_map *map)
{
    int r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    if (map->sealed)
        return 0;
    if (map->flags & VERSO_MAP_SUBSTITUTE)
        return verso__fail_hint(VERSO_E_OPTIONS, "mseal", verso__map_path(map),
                                "a map whose torn pages become zeros (SUBSTITUTE, GUARDED) must stay replaceable");
    if (map->stability == VERSO_MAP_LEASED)
        return verso__fail_hint(VERSO_E_OPTIONS, "mseal", verso__map_path(map), "call verso_map_settle() first");
    r = verso__os_seal_mapping(map->base, map->span_bytes);
    if (r == -ENOSYS || r == -EPERM) {
        const struct verso__failure failure = { VERSO_E_UNSUPPORTED, r,   "mseal", verso__map_path(map),
                                                VERSO_OFFSET_NONE,   NULL };

        return verso__fail_with(&failure);
    }
    if (r < 0)
        return verso__fail(r, "mseal", verso__map_path(map));
    map->sealed = true;
    return 0;
}
