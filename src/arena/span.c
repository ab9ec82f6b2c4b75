/* SPDX-License-Identifier: MIT */
/*
 * span - which of the reserved addresses are memory.
 *
 * Committing is a system call of a microsecond, so it is done in steps: small ones for the arena that stays small,
 * larger ones for that which grows. A step that is refused is tried again with just what the block needs.
 */
#include "arena/arena.h"
#include "base/sums.h"
#include "pages/pages.h"

#include <errno.h>

#define STEP_BYTES_MOST ((size_t)2 << 20)

int verso__arena_fail(const struct verso__arena *arena, int code, const char *step, const char *hint)
{
    return verso__pages_fail(arena->pages, code, step, hint);
}

void verso__arena_move_to(struct verso__arena *arena, unsigned char *next)
{
    struct verso_arena *head = &arena->head;

    if (head->next > head->fresh)
        head->fresh = head->next;
    if (head->next > arena->highest)
        arena->highest = head->next;
    head->next = next;
    head->end = arena->is_careful ? next : arena->frontier;
}

unsigned char *verso__arena_page_up(const struct verso__arena *arena, unsigned char *address)
{
    return arena->data + verso__round_down((size_t)(address - arena->data) + arena->page_bytes - 1, arena->page_bytes);
}

/* From the frontier to @end, an offset; bare code. */
static int commit_to(struct verso__arena *arena, size_t end, const char **out_step)
{
    size_t start = (size_t)(arena->frontier - arena->data);
    int r;

    verso__pages_lock_take();
    r = verso__pages_commit_range(arena->pages, start, end, out_step);
    verso__pages_lock_give();
    return r;
}

static void advance(struct verso__arena *arena, size_t end)
{
    unsigned char *frontier = arena->frontier;

    arena->frontier = arena->data + end;
    arena->head.end = arena->is_careful ? arena->head.next : arena->frontier;
    if (arena->step_bytes < STEP_BYTES_MOST)
        arena->step_bytes *= 2;
    verso__arena_poison(arena, frontier, arena->frontier);
    if (arena->poisoned && arena->frontier > arena->poisoned)
        arena->poisoned = arena->frontier;
}

int verso__arena_ensure(struct verso__arena *arena, uint64_t end)
{
    size_t start = (size_t)(arena->frontier - arena->data), span = (size_t)(arena->limit - arena->data), least, wanted;
    const char *step = "mseal";
    int r;

    if (end <= (uintptr_t)arena->frontier)
        return 0;
    if (end > (uintptr_t)arena->limit)
        return verso__arena_fail(arena, VERSO_E_SPAN, "alloc", "open the arena with a larger reserve_bytes");
    if (verso__pages_is_left_behind(arena->pages))
        return verso__arena_fail(arena, -EPERM, "fork", verso__pages_left_behind_hint);
    if (atomic_load(&arena->pages->sealed))
        return verso__arena_fail(arena, -EPERM, step, verso__pages_sealed_hint);
    least =
        (size_t)verso__round_down((size_t)(end - (uintptr_t)arena->data) + arena->page_bytes - 1, arena->page_bytes);
    wanted = span - start > arena->step_bytes ? start + arena->step_bytes : span;
    if (wanted < least)
        wanted = least;
    r = commit_to(arena, wanted, &step);
    if (r < 0 && wanted > least) {
        wanted = least;
        r = commit_to(arena, wanted, &step);
    }
    if (r < 0)
        return verso__arena_fail(arena, r, step, verso__pages_refused(r, step, wanted - start));
    advance(arena, wanted);
    return 0;
}

int verso__arena_retreat(struct verso__arena *arena, unsigned char *start)
{
    int r;

    if (start >= arena->frontier)
        return 0;
    r = verso_pages_decommit(arena->pages, (uint64_t)(start - arena->data), (uint64_t)(arena->frontier - start));
    if (r < 0)
        return r;
    verso__arena_poison(arena, start, arena->frontier);
    arena->frontier = start;
    return 0;
}
