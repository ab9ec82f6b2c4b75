/* SPDX-License-Identifier: MIT */
/* arena - a working day of one, with every call beneath failing in turn: no block is lost, none handed out twice. */
#include "torture.h"

#include <verso/arena.h>

/* What attempt() wants of a call that answers an address. */
#define code_of(address) ((address) ? 0 : verso_error_last()->code)

static struct verso_arena *opened(unsigned guard_one_in, unsigned flags)
{
    struct verso_arena_options options = VERSO_ARENA_OPTIONS_INIT;
    struct verso_arena *arena = UNTOUCHED;

    options.reserve_bytes = (uint64_t)8 << 20;
    options.guard_one_in = guard_one_in;
    options.flags = flags;
    attempt(verso_arena_open(&options, &arena)) assert_ptr_equal(arena, UNTOUCHED);
    return arena;
}

static bool is_filled(const unsigned char *bytes, size_t count, unsigned char with)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != with)
            return false;
    return true;
}

static void work(unsigned guard_one_in, unsigned flags)
{
    struct verso_arena *arena = opened(guard_one_in, flags);
    unsigned char *kept = NULL, *block = NULL, *grown = NULL;
    struct verso_arena_mark mark;
    char *text = NULL;

    attempt(code_of(kept = verso_arena_alloc(arena, 3000, 1)))
    {
    }
    memset(kept, 1, 3000);
    mark = verso_arena_mark(arena);
    for (unsigned char i = 2; i < 5; i++) {
        attempt(code_of(block = verso_arena_alloc_zero(arena, 100000, 8))) assert_true(is_filled(kept, 3000, 1));
        assert_true(is_filled(block, 100000, 0));
        memset(block, i, 100000);
    }
    attempt(code_of(grown = verso_arena_realloc(arena, block, 100000, 300000, 8)))
        assert_true(is_filled(block, 100000, 4));
    assert_true(is_filled(grown, 100000, 4));
    memset(grown, 5, 300000);
    attempt(code_of(text = verso_arena_printf(arena, "%200000d", 7))) assert_true(is_filled(grown, 300000, 5));
    assert_int_equal(strlen(text), 200000);
    attempt(verso_arena_release(arena, mark))
    {
        assert_int_equal(strlen(text), 200000); /* nothing was released */
    }
    assert_true(is_filled(kept, 3000, 1));
    attempt(code_of(block = verso_arena_alloc_zero(arena, 500000, 8)))
    {
    }
    assert_true(is_filled(block, 500000, 0));
    memset(block, 6, 500000);
    attempt(verso_arena_reset(arena, 4096, VERSO_ARENA_DISCARD))
    {
    }
    attempt(code_of(block = verso_arena_alloc_zero(arena, 500000, 8)))
    {
    }
    assert_true(is_filled(block, 500000, 0));
    memset(block, 7, 500000);
    attempt(verso_arena_reset(arena, 0, VERSO_ARENA_DECOMMIT))
    {
    }
    attempt(code_of(block = verso_arena_alloc_zero(arena, 500000, 8)))
    {
    }
    assert_true(is_filled(block, 500000, 0));
    verso_arena_close(arena);
}

static void plain(void)
{
    work(0, 0);
}

static void populated(void)
{
    work(0, VERSO_ARENA_POPULATE | VERSO_ARENA_HUGE);
}

static void every_block_guarded(void)
{
    work(1, 0);
}

static void usual_span(void)
{
    struct verso_arena *arena = UNTOUCHED;
    void *block = NULL;

    attempt(verso_arena_open(NULL, &arena)) assert_ptr_equal(arena, UNTOUCHED);
    attempt(code_of(block = verso_arena_alloc(arena, 100, 0)))
    {
    }
    verso_arena_close(arena);
}

static void test_plain(void **state)
{
    (void)state;
    torture(plain);
}

static void test_populated(void **state)
{
    (void)state;
    torture(populated);
}

static void test_every_block_guarded(void **state)
{
    (void)state;
    torture(every_block_guarded);
}

static void test_usual_span(void **state)
{
    (void)state;
    torture(usual_span);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_plain),
        torture_test(test_populated),
        torture_test(test_every_block_guarded),
        torture_test(test_usual_span),
    };

    return run_test_list(list);
}
