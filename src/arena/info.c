/* SPDX-License-Identifier: MIT */
/* info - what it has, what it does, and why not more. */
#include "arena/arena.h"

#include <string.h>

int verso_arena_info(const struct verso_arena *head, struct verso_arena_info *out_info)
{
    const struct verso__arena *arena = verso__arena_of(head);
    const unsigned char *highest = head->next > arena->highest ? head->next : arena->highest;
    struct verso_arena_info info = { .struct_bytes = out_info->struct_bytes };
    struct verso_pages_info pages = VERSO_PAGES_INFO_INIT;
    int r;

    if (info.struct_bytes < sizeof(info))
        return verso__arena_fail(arena, VERSO_E_OPTIONS, "info", "start from VERSO_ARENA_INFO_INIT");
    r = verso_pages_info(arena->pages, &pages);
    if (r < 0)
        return r;
    info.reserved_bytes = (uint64_t)(arena->limit - arena->data);
    info.committed_bytes = pages.committed_bytes;
    info.used_bytes = (uint64_t)(head->next - arena->data);
    info.high_bytes = (uint64_t)(highest - arena->data);
    info.blocks = head->blocks;
    info.guards = arena->guards;
    info.reserve_why = arena->reserve_why;
    info.size = pages.size;
    info.size_why = pages.size_why;
    info.guard_method = pages.guard_method;
    info.guard_why = pages.guard_why;
    info.poisons = arena->poisoned ? 1 : 0;
    memcpy(out_info, &info, sizeof(info));
    return 0;
}
