/* SPDX-License-Identifier: MIT */
/* mark - taking back: in order, out of order, and all of it. */
#include "arenas.h"

#include <sys/mman.h>

static void test_release_takes_back_what_came_after(void **state)
{
    struct verso_arena *arena = opened(MIB, 0);
    unsigned char *kept = verso_arena_alloc(arena, 100, 1), *first, *second;
    struct verso_arena_mark mark = verso_arena_mark(arena);

    (void)state;
    assert_non_null(kept);
    memset(kept, 1, 100);
    first = verso_arena_alloc(arena, 5000, 1);
    assert_non_null(first);
    memset(first, 2, 5000);
    assert_int_equal(info_of(arena).blocks, 2);
    assert_ok(verso_arena_release(arena, mark));
    assert_int_equal(info_of(arena).blocks, 1);
    assert_true(info_of(arena).high_bytes >= 5100);
    second = verso_arena_alloc(arena, 10, 1);
    assert_ptr_equal(second, first);
    assert_true(is_filled(kept, 100, 1));
    verso_arena_close(arena);
}

static void test_marks_nest(void **state)
{
    struct verso_arena *arena = opened(4 * MIB, 0);
    struct verso_arena_mark marks[100];
    unsigned char *blocks[100];

    (void)state;
    for (int i = 0; i < 100; i++) {
        marks[i] = verso_arena_mark(arena);
        blocks[i] = verso_arena_alloc(arena, 64, 1);
        assert_non_null(blocks[i]);
        memset(blocks[i], i, 64);
    }
    for (int i = 99; i >= 0; i--) {
        assert_true(is_filled(blocks[i], 64, (unsigned char)i));
        assert_ok(verso_arena_release(arena, marks[i]));
        assert_int_equal(info_of(arena).blocks, i);
    }
    assert_int_equal(info_of(arena).used_bytes, 0);
    verso_arena_close(arena);
}

static void test_an_outer_mark_takes_the_inner_ones(void **state)
{
    struct verso_arena *arena = opened(MIB, 0);
    struct verso_arena_mark outer, inner, later;

    (void)state;
    assert_non_null(verso_arena_alloc(arena, 8, 1));
    outer = verso_arena_mark(arena);
    assert_non_null(verso_arena_alloc(arena, 100, 1));
    inner = verso_arena_mark(arena);
    assert_non_null(verso_arena_alloc(arena, 100, 1));
    assert_ok(verso_arena_release(arena, outer));
    assert_fails_in(verso_arena_release(arena, inner), VERSO_E_RANGE, "release");
    assert_fails(verso_arena_release(arena, outer), VERSO_E_RANGE);
    /* The arena is filled beyond the inner mark again: it must not cut into that. */
    assert_non_null(verso_arena_alloc(arena, 1000, 1));
    assert_fails(verso_arena_release(arena, inner), VERSO_E_RANGE);
    later = verso_arena_mark(arena);
    assert_fails(verso_arena_release(arena, outer), VERSO_E_RANGE); /* at the same level, but another */
    (void)verso_arena_mark(arena);
    assert_fails(verso_arena_release(arena, inner), VERSO_E_RANGE);
    assert_int_equal(info_of(arena).blocks, 2);
    assert_ok(verso_arena_release(arena, later));
    assert_fails(verso_arena_release(arena, later), VERSO_E_RANGE);
    verso_arena_close(arena);
}

static void test_beyond_the_levels_that_are_kept(void **state)
{
    struct verso_arena *arena = opened(MIB, 0);
    struct verso_arena_mark outer, inner;

    (void)state;
    for (int i = 0; i < 70; i++)
        (void)verso_arena_mark(arena);
    outer = verso_arena_mark(arena);
    assert_non_null(verso_arena_alloc(arena, 100, 1));
    inner = verso_arena_mark(arena);
    assert_ok(verso_arena_release(arena, outer));
    assert_fails(verso_arena_release(arena, inner), VERSO_E_RANGE);
    (void)verso_arena_mark(arena);
    (void)verso_arena_mark(arena);
    assert_fails(verso_arena_release(arena, inner), VERSO_E_RANGE); /* beyond what is handed out */
    verso_arena_close(arena);
}

static void test_marks_of_others_and_after_reset(void **state)
{
    struct verso_arena *arena = opened(MIB, 0), *other = opened(MIB, 0);
    struct verso_arena_mark mark = verso_arena_mark(arena), of_other = verso_arena_mark(other), nothing = { 0 };

    (void)state;
    assert_fails(verso_arena_release(arena, of_other), VERSO_E_RANGE);
    assert_fails(verso_arena_release(arena, nothing), VERSO_E_RANGE);
    assert_ok(verso_arena_reset(arena, 0, VERSO_ARENA_KEEP));
    assert_fails(verso_arena_release(arena, mark), VERSO_E_RANGE);
    assert_ok(verso_arena_release(other, of_other));
    verso_arena_close(arena);
    verso_arena_close(other);
}

static void test_marks_in_a_loop_cost_no_level(void **state)
{
    struct verso_arena *arena = opened(MIB, 0);
    struct verso_arena_mark dead = verso_arena_mark(arena);

    (void)state;
    assert_ok(verso_arena_release(arena, dead));
    for (int i = 0; i < 1000; i++) {
        struct verso_arena_mark mark = verso_arena_mark(arena);

        assert_non_null(verso_arena_alloc(arena, 100, 1));
        assert_fails(verso_arena_release(arena, dead), VERSO_E_RANGE);
        assert_ok(verso_arena_release(arena, mark));
    }
    verso_arena_close(arena);
}

static size_t resident(unsigned char *start, size_t bytes)
{
    static unsigned char pages[4096];
    size_t page = verso_page_bytes(), count = 0;

    assert_true(bytes / page <= sizeof(pages));
    assert_int_equal(mincore(start, bytes, pages), 0);
    for (size_t i = 0; i < bytes / page; i++)
        count += pages[i] & 1;
    return count;
}

static void test_what_reset_does_to_memory(void **state)
{
    static const enum verso_arena_memory all[] = { VERSO_ARENA_KEEP, VERSO_ARENA_FREE, VERSO_ARENA_DISCARD,
                                                   VERSO_ARENA_DECOMMIT };
    const size_t bytes = 4 * MIB, page = verso_page_bytes(), kept = 16 * page;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct verso_arena *arena = opened(16 * MIB, 0);
        unsigned char *block = verso_arena_alloc(arena, bytes, 1);
        struct verso_arena_info info;

        assert_non_null(block);
        memset(block, 9, bytes);
        assert_ok(verso_arena_reset(arena, kept - 1, all[i])); /* rounded up */
        info = info_of(arena);
        assert_int_equal(info.used_bytes, 0);
        assert_int_equal(info.blocks, 0);
        assert_true(info.high_bytes >= bytes);
        assert_int_equal(resident(block, kept), 16);
        if (all[i] == VERSO_ARENA_DECOMMIT) {
            assert_int_equal(info.committed_bytes, kept);
            assert_faults(block + kept);
        } else {
            assert_true(info.committed_bytes >= bytes);
            assert_int_equal(resident(block + kept, bytes - kept),
                             all[i] == VERSO_ARENA_DISCARD ? 0 : (bytes - kept) / page);
        }
        assert_ptr_equal(verso_arena_alloc_zero(arena, bytes, 1), block);
        assert_true(is_filled(block, bytes, 0));
        verso_arena_close(arena);
    }
}

static void test_reset_of_more_than_there_is(void **state)
{
    struct verso_arena *arena = opened(MIB, 0);

    (void)state;
    assert_ok(verso_arena_reset(arena, 0, VERSO_ARENA_DECOMMIT)); /* of nothing */
    assert_non_null(verso_arena_alloc(arena, 1000, 1));
    assert_fails(verso_arena_reset(arena, 0, (enum verso_arena_memory)0), VERSO_E_OPTIONS);
    assert_fails(verso_arena_reset(arena, 0, (enum verso_arena_memory)5), VERSO_E_OPTIONS);
    assert_int_equal(info_of(arena).blocks, 1);
    assert_ok(verso_arena_reset(arena, UINT64_MAX, VERSO_ARENA_DECOMMIT));
    assert_int_equal(info_of(arena).committed_bytes, 65536 > verso_page_bytes() ? 65536 : verso_page_bytes());
    assert_ok(verso_arena_reset(arena, 0, VERSO_ARENA_DECOMMIT));
    assert_int_equal(info_of(arena).committed_bytes, 0);
    assert_non_null(verso_arena_alloc(arena, 1000, 1));
    verso_arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_release_takes_back_what_came_after),
        cmocka_unit_test(test_marks_nest),
        cmocka_unit_test(test_an_outer_mark_takes_the_inner_ones),
        cmocka_unit_test(test_beyond_the_levels_that_are_kept),
        cmocka_unit_test(test_marks_of_others_and_after_reset),
        cmocka_unit_test(test_marks_in_a_loop_cost_no_level),
        cmocka_unit_test(test_what_reset_does_to_memory),
        cmocka_unit_test(test_reset_of_more_than_there_is),
    };

    return run_test_list(list);
}
