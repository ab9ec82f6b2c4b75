/* SPDX-License-Identifier: MIT */
/* run - a function under guard for one map: the guard knows ranges, the map knows its file's name. */
#include "base/fail.h"
#include "map/map.h"

int verso_guard_run(struct verso_map *map, verso_guard_function *function, void *arg)
{
    uint64_t offset = VERSO_OFFSET_NONE;
    int answer;

    if (!verso__guard_is_active())
        return verso__fail(VERSO_E_GUARD, "guard", map ? verso__map_path(map) : NULL);
    answer = verso__guard_run(map ? &map->range : NULL, function, arg, &offset);
    if (offset == VERSO_OFFSET_NONE)
        return answer; /* no fault; an error in it is the function's own, with its own record */
    return verso__fail_at(VERSO_E_TORN, "guard", map ? verso__map_path(map) : NULL, offset);
}
