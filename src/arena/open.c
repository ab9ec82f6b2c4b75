/* SPDX-License-Identifier: MIT */
/* open - an arena and its span, and their end. */
#include "arena/arena.h"
#include "base/options.h"
#include "base/sums.h"
#include "os/os.h"
#include "pages/pages.h"

#include <errno.h>
#include <stdlib.h>

#define FLAGS_KNOWN ((unsigned)VERSO_ARENA_POPULATE * 2 - 1)
#define SHARE_OF_ADDRESSES 1024
#define RESERVE_BYTES_USUAL_LEAST ((uint64_t)64 << 20) /* on 32-bit systems */
#define RESERVE_BYTES_LEAST ((uint64_t)256 << 10)
#define STEP_BYTES_FIRST ((size_t)64 << 10)

/* ---- Options ---------------------------------------------------------------------------------------------------- */

static const char *options_wrong(const struct verso_arena_options *options)
{
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;

    if (options->flags & ~FLAGS_KNOWN)
        return "a flag is unknown to this version";
    if (!options->pages)
        return NULL;
    if (options->reserve_bytes || options->name || options->flags)
        return "reserve_bytes, name and flags are for a span of the arena's own: give them, or pages";
    if (verso_pages_info(options->pages, &info) < 0 || !(info.flags & VERSO_PAGES_GUARD_ENDS))
        return "a span for an arena is opened with VERSO_PAGES_GUARD_ENDS";
    return NULL;
}

/* ---- How much to reserve ---------------------------------------------------------------------------------------- */

static bool fits(uint64_t bytes)
{
    void *address;

    if (bytes > PTRDIFF_MAX || verso__os_reserve((size_t)bytes, verso__os_page_bytes(), &address) < 0)
        return false;
    (void)verso__os_unmap(address, (size_t)bytes);
    return true;
}

/* Found by trying. Where there is less than wanted, the rest of the program wants most of it. */
static uint64_t what_fits(uint64_t wanted, const char **out_why)
{
    uint64_t bytes = wanted;

    while (bytes > RESERVE_BYTES_LEAST && !fits(bytes))
        bytes /= 2;
    if (bytes == wanted)
        return wanted;
    *out_why = "this process may not have that many addresses (RLIMIT_AS; `ulimit -v` says it), or the machine has not";
    return verso__max_u64(bytes / 4, RESERVE_BYTES_LEAST);
}

static uint64_t usual_reserve(void)
{
    return verso__max_u64(verso__os_address_space_bytes() / SHARE_OF_ADDRESSES, RESERVE_BYTES_USUAL_LEAST);
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

static int open_span(struct verso__arena *arena, const struct verso_arena_options *options, bool may_be_less)
{
    struct verso_pages_options pages_options = VERSO_PAGES_OPTIONS_INIT;
    uint64_t bytes = options->reserve_bytes ? options->reserve_bytes : usual_reserve();

    if (may_be_less)
        bytes = what_fits(bytes, &arena->reserve_why);
    pages_options.name = options->name ? options->name : "arena";
    pages_options.flags = VERSO_PAGES_GUARD_ENDS;
    if (options->flags & VERSO_ARENA_HUGE)
        pages_options.flags |= VERSO_PAGES_HUGE;
    if (options->flags & VERSO_ARENA_POPULATE)
        pages_options.flags |= VERSO_PAGES_POPULATE;
    arena->owns_pages = true;
    return verso_pages_open(bytes, &pages_options, &arena->pages);
}

/* Of a span of somebody else: what is committed there may hold anything, and have holes. */
static bool may_hold_bytes(const struct verso__arena *arena)
{
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;

    return !arena->owns_pages && (verso_pages_info(arena->pages, &info) < 0 || info.committed_bytes > 0);
}

static size_t first_step(const struct verso__arena *arena, unsigned flags)
{
    size_t huge = flags & VERSO_ARENA_HUGE ? verso__os_huge_page_bytes() : 0;
    size_t least = arena->page_bytes > huge ? arena->page_bytes : huge;

    return least > STEP_BYTES_FIRST ? least : STEP_BYTES_FIRST;
}

static void set_up(struct verso__arena *arena, const struct verso_arena_options *options)
{
    arena->data = verso_pages_data(arena->pages);
    arena->frontier = arena->data;
    arena->limit = arena->data + verso_pages_bytes(arena->pages);
    arena->highest = arena->data;
    arena->poisoned = verso__arena_poisons() ? arena->data : NULL;
    arena->page_bytes = arena->pages->page_bytes;
    arena->step_bytes = first_step(arena, options->flags);
    arena->guard_one_in = options->guard_one_in;
    arena->is_careful = arena->guard_one_in > 0 || arena->poisoned;
    arena->random = (verso__os_clock_ns() ^ (uintptr_t)arena->data) | 1;
    arena->countdown = verso__arena_countdown(arena);
    arena->head.next = arena->data;
    arena->head.end = arena->data;
    arena->head.fresh = may_hold_bytes(arena) ? arena->limit : arena->data;
    verso__arena_is_root(arena, true);
}

int verso__arena_open(const struct verso_arena_options *options, bool may_be_less, struct verso_arena **out_arena)
{
    struct verso__arena *arena = calloc(1, sizeof(*arena));
    int r = 0;

    if (!arena)
        return verso__fail(-ENOMEM, "malloc", options->name);
    arena->reserve_why = "";
    arena->pages = options->pages;
    if (!arena->pages)
        r = open_span(arena, options, may_be_less);
    if (r < 0) {
        free(arena);
        return r;
    }
    set_up(arena, options);
    *out_arena = &arena->head;
    return 0;
}

int verso_arena_open(const struct verso_arena_options *given, struct verso_arena **out_arena)
{
    struct verso_arena_options options = VERSO_ARENA_OPTIONS_INIT;
    const char *wrong;

    if (given && !verso__options_take(given, &options, sizeof(options), sizeof(options)))
        return verso__fail(VERSO_E_OPTIONS, "options", NULL);
    wrong = options_wrong(&options);
    if (wrong)
        return verso__fail_hint(VERSO_E_OPTIONS, "options", options.name, wrong);
    return verso__arena_open(&options, options.reserve_bytes == 0, out_arena);
}

void verso_arena_close(struct verso_arena *head)
{
    struct verso__arena *arena = verso__arena_of(head);

    if (!head)
        return;
    verso__arena_unpoison(arena, arena->data, arena->poisoned);
    verso__arena_is_root(arena, false);
    if (arena->owns_pages)
        verso_pages_close(arena->pages);
    free(arena);
}
