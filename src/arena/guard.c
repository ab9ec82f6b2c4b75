/* SPDX-License-Identifier: MIT */
/*
 * guard - blocks that end where a page ends, with a guard behind it.
 *
 *      next                     block                          next
 *       |.....|=====page======|=====page==[######block######]|G|      [: rounded down to the block's alignment
 *             ^ first page boundary
 */
#include "arena/arena.h"
#include "base/sums.h"

/* xorshift: not to be guessed by a pattern of blocks, no more. */
static uint64_t random_next(struct verso__arena *arena)
{
    uint64_t x = arena->random;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return arena->random = x;
}

/* 1 to 2n - 1, and so n in the mean. */
uint64_t verso__arena_countdown(struct verso__arena *arena)
{
    return arena->guard_one_in ? 1 + random_next(arena) % (2 * (uint64_t)arena->guard_one_in - 1) : 0;
}

bool verso__arena_guards_next(struct verso__arena *arena)
{
    if (arena->guard_one_in == 0 || --arena->countdown > 0)
        return false;
    arena->countdown = verso__arena_countdown(arena);
    return true;
}

/* Where it begins, and where the guard does. False: not in any address space. */
static bool place(const struct verso__arena *arena, size_t bytes, size_t align, uint64_t *out_start, uint64_t *out_end)
{
    uint64_t first, end, page = arena->page_bytes;

    if (!verso__round_up((uintptr_t)arena->head.next, align > page ? align : page, &first) ||
        !verso__add_u64(first, bytes, &end) || !verso__round_up(end, page, &end) || end > UINT64_MAX - page)
        return false;
    *out_start = verso__round_down(end - bytes, align);
    *out_end = end;
    return true;
}

void *verso__arena_guarded(struct verso__arena *arena, size_t bytes, size_t align)
{
    uint64_t start, end;
    size_t offset;

    if (!place(arena, bytes, align, &start, &end)) {
        (void)verso__arena_fail(arena, VERSO_E_OVERFLOW, "alloc", "no address space holds a block of that size");
        return NULL;
    }
    if (verso__arena_ensure(arena, end + arena->page_bytes) < 0)
        return NULL;
    offset = (size_t)(end - (uintptr_t)arena->data);
    if (verso_pages_guard(arena->pages, offset, arena->page_bytes) < 0)
        return NULL;
    arena->guards++;
    arena->head.blocks++;
    verso__arena_move_to(arena, arena->data + offset + arena->page_bytes);
    verso__arena_unpoison(arena, arena->data + (start - (uintptr_t)arena->data),
                          arena->data + (start - (uintptr_t)arena->data) + bytes);
    return arena->data + (start - (uintptr_t)arena->data);
}

int verso__arena_guard_over(struct verso__arena *arena, unsigned char *block, size_t bytes)
{
    uint64_t start = verso__round_down((uint64_t)(block - arena->data), arena->page_bytes);
    unsigned char *end = verso__arena_page_up(arena, block + bytes);

    return verso_pages_guard(arena->pages, start, (uint64_t)(end - arena->data) - start);
}
