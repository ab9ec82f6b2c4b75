/* SPDX-License-Identifier: MIT */
/*
 * place - addresses for a segment, within reach of given code if need be.
 *
 * The kernel has no call for "about here", so what is mapped is looked through for gaps, and the best one is asked for
 * by MAP_FIXED_NOREPLACE: another thread may have been quicker, then we look again.
 *
 *      |..window...........................................................|
 *      ...... gap ......][ near_start, the code to reach ][heap]... gap .....
 *                  ^ first choice: right below        second: as far above as reach goes ^
 *
 * The heap grows upwards behind the program, and the stack downwards: room next to them is left alone.
 */
#include "code/code.h"

#include "base/sums.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

#define TRIES_MAX 8
#define STACK_ROOM_BYTES ((uint64_t)256 << 20)

struct search {
    uint64_t start; /* of the window */
    uint64_t end;
    uint64_t near;
    uint64_t bytes;
    uint64_t gap_start; /* where the last mapping seen ended */
    uint64_t below;     /* best so far; 0: none */
    uint64_t above;
};

static void look_at_gap(struct search *search, uint64_t gap_start, uint64_t gap_end)
{
    uint64_t start = verso__max_u64(gap_start, search->start), end = verso__min_u64(gap_end, search->end);

    if (start >= end || end - start < search->bytes)
        return;
    if (end <= search->near)
        search->below = end - search->bytes;
    else
        search->above = end - search->bytes;
}

static int look_at_mapping(const struct verso__os_mapping *mapping, void *arg)
{
    struct search *search = arg;
    uint64_t kept = strcmp(mapping->name, "[stack]") == 0 ? verso__min_u64(mapping->start, STACK_ROOM_BYTES) : 0;

    look_at_gap(search, search->gap_start, mapping->start - kept);
    search->gap_start = mapping->end;
    return mapping->start >= search->end; /* the rest lies too high */
}

static int reserve_near(const struct verso_code *code, size_t bytes, unsigned char **out_address)
{
    void *address;
    int r = -EEXIST;

    for (int tries = 0; r == -EEXIST && tries < TRIES_MAX; tries++) {
        struct search search = { code->window_start, code->window_end, code->near, bytes, 0, 0, 0 };

        r = verso__os_mappings(0, look_at_mapping, &search);
        if (r < 0)
            return r;
        look_at_gap(&search, search.gap_start, search.end);
        if (!search.below && !search.above)
            return VERSO_E_NEAR;
        r = verso__os_map((void *)(uintptr_t)(search.below ? search.below : search.above), bytes, VERSO__OS_ACCESS_NONE,
                          VERSO__OS_MAP_NORESERVE | VERSO__OS_MAP_AT, -1, 0, &address);
    }
    if (r < 0)
        return r == -EEXIST ? VERSO_E_NEAR : r;
    *out_address = address;
    return 0;
}

int verso__code_reserve(const struct verso_code *code, size_t bytes, unsigned char **out_address)
{
    void *address;
    int r;

    if (code->near)
        return reserve_near(code, bytes, out_address);
    r = verso__os_reserve(bytes, verso__os_page_bytes(), &address);
    if (r == 0)
        *out_address = address;
    return r;
}
