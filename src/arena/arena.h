/* SPDX-License-Identifier: MIT */
/*
 * arena.h (inner) - what an arena is made of.
 *
 *      data          head.next        head.end == frontier       limit
 *       |==blocks=====|....committed....|~~~~~~~~reserved~~~~~~~~~|G|
 *                          ^ head.fresh: zeros from here on, if that is above head.next
 *
 * Where each block needs care (a guard, AddressSanitizer), head.end is kept at head.next: then the inline way never has
 * room, and every block comes through verso_arena_alloc_slowly().
 */
#ifndef VERSO_SRC_ARENA_H
#define VERSO_SRC_ARENA_H

#include "base/fail.h"

#include <stdbool.h>
#include <verso/arena.h>

#define VERSO__ARENA_MARKS 64 /* levels whose misuse is always seen; see mark.c */

struct verso__arena {
    struct verso_arena head; /* what callers hold is its address */
    struct verso_pages *pages;
    unsigned char *data;
    unsigned char *frontier; /* nothing from here on is committed; between head.next and here all is, without guards */
    unsigned char *limit;    /* the end of the span */
    unsigned char *highest;  /* of head.next, ever; when it was last looked at */
    unsigned char *poisoned; /* up to here AddressSanitizer has been told of; else data */
    size_t page_bytes;
    size_t step_bytes; /* to commit next */
    bool owns_pages;
    bool is_careful; /* each block needs care: see above */
    const char *reserve_why;
    unsigned guard_one_in;
    uint64_t guards;    /* behind blocks that have not been taken back */
    uint64_t countdown; /* blocks until the next that gets a guard */
    uint64_t random;
    uint64_t serial; /* of the last mark */
    uint64_t depth;  /* marks that stand */
    uint64_t marks[VERSO__ARENA_MARKS];
};

static inline struct verso__arena *verso__arena_of(const struct verso_arena *head)
{
    return (struct verso__arena *)(uintptr_t)head;
}

/* ---- open.c ---- */

/* As the public call, of checked options. @may_be_less: a smaller span will do where that is all there is. */
int verso__arena_open(const struct verso_arena_options *options, bool may_be_less, struct verso_arena **out_arena);

/* ---- span.c: where the next block may begin, and which memory there is ------------------------------------------ */

/* Moves the end of what is handed out; within [data, frontier]. */
void verso__arena_move_to(struct verso__arena *arena, unsigned char *next);

/* Commits up to @end at least. 0; else with the record filled: VERSO_E_SPAN, -ENOMEM, ... and all is as before. */
int verso__arena_ensure(struct verso__arena *arena, uint64_t end);

/* Gives memory, promise and guards of [@start, frontier) back: the frontier is @start then, whole pages. 0, or as
 * verso_pages_decommit(), the record filled, all as before. */
int verso__arena_retreat(struct verso__arena *arena, unsigned char *start);

/* The page boundary at @address or behind it. */
unsigned char *verso__arena_page_up(const struct verso__arena *arena, unsigned char *address);

int verso__arena_fail(const struct verso__arena *arena, int code, const char *step, const char *hint);

/* ---- guard.c: blocks with a guard page behind them --------------------------------------------------------------- */

/* Whether the next block is to be one; counts down. */
bool verso__arena_guards_next(struct verso__arena *arena);

/* Such a block; @bytes > 0, @align a power of two, both below half of the address space. NULL as the public call. */
void *verso__arena_guarded(struct verso__arena *arena, size_t bytes, size_t align);

/* Makes the pages of such a block guards: it has moved. 0, or with the record filled. */
int verso__arena_guard_over(struct verso__arena *arena, unsigned char *block, size_t bytes);

/* Blocks until the next one with a guard. */
uint64_t verso__arena_countdown(struct verso__arena *arena);

/* ---- poison.c: AddressSanitizer, when this program has it -------------------------------------------------------- */

bool verso__arena_poisons(void);

/* Neither does anything without it. [start, end) may not be touched; or it may, to the exact byte. */
void verso__arena_poison(const struct verso__arena *arena, unsigned char *start, const unsigned char *end);
void verso__arena_unpoison(const struct verso__arena *arena, unsigned char *start, const unsigned char *end);

/* Pointers in the arena's blocks keep what they point to from being a leak; begin and end. */
void verso__arena_is_root(const struct verso__arena *arena, bool is_root);

/* Bytes behind each block that are of none. */
size_t verso__arena_red_zone(const struct verso__arena *arena);

#endif
