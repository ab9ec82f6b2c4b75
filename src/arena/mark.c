/* SPDX-License-Identifier: MIT */
/*
 * mark - taking back what was handed out since.
 *
 *      marks   [0] 7   [1] 9   [2] 12      the serial of the mark that stands at each level; three stand
 *                               ^ mark 12 may be released; 10 was released, or a mark around it was: it isn't here
 *
 * Guards among what is taken back must go before it is handed out again. Where every block has one, the memory goes
 * with them, so that it faults; where some have, it stays, since programs in use shall not pay for new pages.
 */
#include "arena/arena.h"
#include "base/sums.h"

struct verso_arena_mark verso_arena_mark(struct verso_arena *head)
{
    struct verso__arena *arena = verso__arena_of(head);
    struct verso_arena_mark mark = { head->next, head->blocks, arena->guards, ++arena->serial, arena->depth++ };

    if (mark.depth < VERSO__ARENA_MARKS)
        arena->marks[mark.depth] = mark.serial;
    return mark;
}

static bool stands(const struct verso__arena *arena, const struct verso_arena_mark *mark)
{
    const unsigned char *next = mark->next;

    if (mark->depth >= arena->depth || next < arena->data || next > arena->head.next)
        return false;
    return mark->depth >= VERSO__ARENA_MARKS || arena->marks[mark->depth] == mark->serial;
}

/* Where an arena whose every block is guarded goes on after a release down to @start. */
static unsigned char *restart(const struct verso__arena *arena, unsigned char *start)
{
    size_t used = (size_t)(arena->head.next - arena->data), span = (size_t)(arena->limit - arena->data);

    return used < span / 2 ? arena->head.next : start;
}

/* The guards in [@page, head.next) go, and where every block has one, the memory. 0, or with the record filled. */
static int remove_guards(struct verso__arena *arena, unsigned char *page)
{
    uint64_t start = (uint64_t)(page - arena->data);

    if (arena->guard_one_in == 1)
        return verso__arena_retreat(arena, page);
    return verso_pages_unguard(arena->pages, start,
                               (uint64_t)(verso__arena_page_up(arena, arena->head.next) - arena->data) - start);
}

/* Everything from @start on is free. @had_guards: some stand there. 0, or with the record filled, all as before. */
static int take_back(struct verso__arena *arena, unsigned char *start, bool had_guards)
{
    unsigned char *next = start, *page = verso__arena_page_up(arena, start);
    bool is_gone = had_guards && arena->guard_one_in == 1;

    if (had_guards) {
        int r = remove_guards(arena, page);

        if (r < 0)
            return r;
    }
    if (is_gone)
        next = restart(arena, start);
    verso__arena_poison(arena, start, arena->head.next < arena->frontier ? arena->head.next : arena->frontier);
    if (next > arena->frontier)
        arena->frontier = next; /* what lies between stays as it is: released */
    verso__arena_move_to(arena, next);
    if (is_gone && arena->head.fresh > page)
        arena->head.fresh = page;
    return 0;
}

int verso_arena_release(struct verso_arena *head, struct verso_arena_mark mark)
{
    struct verso__arena *arena = verso__arena_of(head);
    int r;

    if (!stands(arena, &mark))
        return verso__arena_fail(arena, VERSO_E_RANGE, "release",
                                 "the mark is of another arena, or it, or one around it, has been released");
    r = take_back(arena, mark.next, arena->guards > mark.guards);
    if (r < 0)
        return r;
    head->blocks = mark.blocks;
    arena->guards = mark.guards;
    arena->depth = mark.depth;
    return 0;
}

/* What held blocks, from @keep up to the frontier; the arena is empty. */
static int give_back(struct verso__arena *arena, unsigned char *keep, enum verso_arena_memory memory)
{
    uint64_t start = (uint64_t)(keep - arena->data), bytes = (uint64_t)(arena->frontier - keep);
    int r;

    if (memory == VERSO_ARENA_FREE)
        return verso_pages_advise(arena->pages, start, bytes, VERSO_PAGES_ADVICE_FREE);
    if (memory == VERSO_ARENA_DISCARD)
        r = verso_pages_advise(arena->pages, start, bytes, VERSO_PAGES_ADVICE_DISCARD);
    else
        r = verso__arena_retreat(arena, keep);
    if (r < 0)
        return r;
    if (arena->head.fresh > keep)
        arena->head.fresh = keep;
    verso__arena_move_to(arena, arena->head.next); /* the end may have moved */
    return 0;
}

int verso_arena_reset(struct verso_arena *head, uint64_t keep_bytes, enum verso_arena_memory memory)
{
    struct verso__arena *arena = verso__arena_of(head);
    uint64_t keep;
    int r;

    if (memory < VERSO_ARENA_KEEP || memory > VERSO_ARENA_DECOMMIT)
        return verso__arena_fail(arena, VERSO_E_OPTIONS, "reset", "use a value of enum verso_arena_memory");
    r = take_back(arena, arena->data, arena->guards > 0);
    if (r < 0)
        return r;
    head->blocks = 0;
    arena->guards = 0;
    arena->depth = 0;
    if (arena->guard_one_in == 1 || memory == VERSO_ARENA_KEEP ||
        !verso__round_up(keep_bytes, arena->page_bytes, &keep) || keep >= (uint64_t)(arena->frontier - arena->data))
        return 0; /* with a guard behind each block, all that was used is decommitted by now */
    return give_back(arena, arena->data + keep, memory);
}
