/* SPDX-License-Identifier: MIT */
/* alloc - blocks that need more than moving a pointer, and blocks that change their size. */
#include "arena/arena.h"
#include "base/sums.h"

#include <string.h>

/* The functions that users inline, for those who can't. */
extern inline void *verso_arena_alloc(struct verso_arena *arena, size_t bytes, size_t align_bytes);
extern inline void *verso_arena_alloc_zero(struct verso_arena *arena, size_t bytes, size_t align_bytes);
extern inline size_t verso_arena_bytes(size_t count, size_t bytes_each);

/* AddressSanitizer sees eight bytes as one. */
#define POISON_ALIGN 8

static void *out_of_addresses(const struct verso__arena *arena)
{
    (void)verso__arena_fail(arena, VERSO_E_OVERFLOW, "alloc", "no address space holds a block of that size");
    return NULL;
}

static void *plain_block(struct verso__arena *arena, size_t bytes, size_t align)
{
    uint64_t start, end;

    if (arena->poisoned && align < POISON_ALIGN)
        align = POISON_ALIGN;
    if (!verso__round_up((uintptr_t)arena->head.next, align, &start) || !verso__add_u64(start, bytes, &end) ||
        !verso__add_u64(end, verso__arena_red_zone(arena), &end))
        return out_of_addresses(arena);
    if (verso__arena_ensure(arena, end) < 0)
        return NULL;
    arena->head.blocks++;
    verso__arena_move_to(arena, arena->data + (end - (uintptr_t)arena->data));
    verso__arena_unpoison(arena, arena->data + (start - (uintptr_t)arena->data),
                          arena->head.next - verso__arena_red_zone(arena));
    return arena->data + (start - (uintptr_t)arena->data);
}

/* Where some blocks are guarded, most are not, and shall cost a program in use little. NULL: this is not one. */
static void *passed_block(struct verso__arena *arena, size_t bytes, size_t align)
{
    struct verso_arena *head = &arena->head;
    size_t room = (size_t)(arena->frontier - head->next), skip = (size_t)(0 - (uintptr_t)head->next) & (align - 1);
    unsigned char *block;

    if (arena->countdown <= 1 || arena->poisoned || bytes - 1 >= room || skip > room - bytes)
        return NULL;
    block = head->next + skip;
    arena->countdown--;
    head->blocks++;
    head->next = block + bytes;
    head->end = head->next;
    return block;
}

void *verso_arena_alloc_slowly(struct verso_arena *head, size_t bytes, size_t align_bytes)
{
    struct verso__arena *arena = verso__arena_of(head);
    size_t align = align_bytes ? align_bytes : VERSO_ARENA_ALIGN;
    void *block = (align & (align - 1)) == 0 ? passed_block(arena, bytes, align) : NULL;

    if (block)
        return block;
    if (align & (align - 1)) {
        (void)verso__arena_fail(arena, VERSO_E_OPTIONS, "alloc", "align_bytes is a power of two");
        return NULL;
    }
    if (bytes > PTRDIFF_MAX || align > PTRDIFF_MAX / 2)
        return out_of_addresses(arena);
    if (bytes == 0)
        return arena->limit; /* the guard behind the span */
    return verso__arena_guards_next(arena) ? verso__arena_guarded(arena, bytes, align)
                                           : plain_block(arena, bytes, align);
}

/* ---- Other sizes ------------------------------------------------------------------------------------------------ */

/* Where the last block would end, and what follows it begin. A guarded one has its guard in between. */
static bool is_last(const struct verso__arena *arena, const unsigned char *block, size_t bytes)
{
    return block + bytes + verso__arena_red_zone(arena) == arena->head.next;
}

static void *resize_last(struct verso__arena *arena, unsigned char *block, size_t old_bytes, size_t new_bytes)
{
    size_t red_zone = new_bytes ? verso__arena_red_zone(arena) : 0;
    uint64_t end;

    if (!verso__add_u64((uintptr_t)block, new_bytes, &end) || !verso__add_u64(end, red_zone, &end))
        return out_of_addresses(arena);
    if (verso__arena_ensure(arena, end) < 0)
        return NULL;
    verso__arena_move_to(arena, arena->data + (end - (uintptr_t)arena->data));
    verso__arena_unpoison(arena, block + old_bytes, block + new_bytes);
    verso__arena_poison(arena, block + new_bytes, block + old_bytes);
    if (new_bytes > 0)
        return block;
    arena->head.blocks--;
    return arena->limit;
}

static void *move_block(struct verso__arena *arena, unsigned char *block, size_t old_bytes, size_t new_bytes,
                        size_t align_bytes)
{
    void *moved = verso_arena_alloc(&arena->head, new_bytes, align_bytes);

    if (!moved)
        return NULL;
    memcpy(moved, block, old_bytes < new_bytes ? old_bytes : new_bytes);
    if (arena->guard_one_in == 1 && verso__arena_guard_over(arena, block, old_bytes) < 0)
        return NULL; /* the new one is released with the rest */
    verso__arena_poison(arena, block, block + old_bytes);
    return moved;
}

static bool was_handed_out(const struct verso__arena *arena, const unsigned char *block, size_t bytes)
{
    return block >= arena->data && block < arena->head.next && bytes <= (size_t)(arena->head.next - block);
}

void *verso_arena_realloc(struct verso_arena *head, void *block, size_t old_bytes, size_t new_bytes, size_t align_bytes)
{
    struct verso__arena *arena = verso__arena_of(head);
    size_t align = align_bytes ? align_bytes : VERSO_ARENA_ALIGN;
    bool is_aligned = ((uintptr_t)block & (align - 1)) == 0;

    if (!block || old_bytes == 0)
        return verso_arena_alloc(head, new_bytes, align_bytes);
    if (!was_handed_out(arena, block, old_bytes)) {
        (void)verso__arena_fail(arena, VERSO_E_RANGE, "realloc",
                                "block and old_bytes are those of a block of this arena");
        return NULL;
    }
    if (new_bytes > PTRDIFF_MAX)
        return out_of_addresses(arena);
    if (arena->guard_one_in == 1 || (align & (align - 1)) || !is_aligned)
        return move_block(arena, block, old_bytes, new_bytes, align_bytes);
    if (is_last(arena, block, old_bytes))
        return resize_last(arena, block, old_bytes, new_bytes);
    if (new_bytes > old_bytes || new_bytes == 0)
        return move_block(arena, block, old_bytes, new_bytes, align_bytes);
    verso__arena_poison(arena, (unsigned char *)block + new_bytes, (unsigned char *)block + old_bytes);
    return block;
}
