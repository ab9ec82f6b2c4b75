/* SPDX-License-Identifier: MIT */
/* guard - blocks that fault behind their end, and after their release. */
#include "arenas.h"

#include "child.h"

#define MADV_GUARD_INSTALL_HERE 102

static void each_block_faults_behind_its_end(void)
{
    const size_t page = verso_page_bytes();
    const size_t sizes[] = { 1, 7, 16, page - 1, page, page + 1, 3 * page + 5 };
    struct verso_arena *arena = opened(64 * MIB, 1);
    unsigned char *blocks[7];

    for (size_t i = 0; i < 7; i++) {
        blocks[i] = verso_arena_alloc_zero(arena, sizes[i], 1);
        assert_non_null(blocks[i]);
        assert_true(is_filled(blocks[i], sizes[i], 0));
        memset(blocks[i], (int)i, sizes[i]);
    }
    for (size_t i = 0; i < 7; i++) {
        assert_true(is_filled(blocks[i], sizes[i], (unsigned char)i));
        assert_touchable(blocks[i] + sizes[i] - 1);
        assert_faults(blocks[i] + sizes[i]);
        assert_faults(blocks[i] + sizes[i] + page - 1);
    }
    assert_int_equal(info_of(arena).guards, 7);
    assert_int_equal(info_of(arena).blocks, 7);
    verso_arena_close(arena);
}

static void test_each_block_faults_behind_its_end(void **state)
{
    (void)state;
    each_block_faults_behind_its_end();
}

static void some_blocks_at_random(void)
{
    enum {
        BLOCKS = 20000,
        ONE_IN = 50
    };
    struct verso_arena *arena = opened(256 * MIB, ONE_IN);
    struct verso_arena_mark mark = verso_arena_mark(arena);
    uint64_t guards, between = 0, before = 0;
    unsigned gaps_seen = 0;

    for (unsigned i = 0; i < BLOCKS; i++) {
        unsigned char *block = verso_arena_alloc_zero(arena, 40, 8);

        assert_non_null(block);
        assert_true(is_filled(block, 40, 0));
        memset(block, 3, 40);
        guards = info_of(arena).guards;
        if (guards > before) {
            assert_int_equal(guards, before + 1);
            if (gaps_seen < 20)
                assert_faults(block + 40);
            gaps_seen += between != i % ONE_IN;
            between = i % ONE_IN;
            before = guards;
        }
    }
    guards = info_of(arena).guards;
    assert_true(guards > BLOCKS / ONE_IN / 2 && guards < 2 * BLOCKS / ONE_IN);
    assert_true(gaps_seen > guards / 2); /* not each fiftieth */
    assert_ok(verso_arena_release(arena, mark));
    assert_int_equal(info_of(arena).guards, 0);
    /* The same addresses, and no guard of before in the middle of a block. */
    for (int i = 0; i < 30; i++) {
        unsigned char *block = verso_arena_alloc_zero(arena, 100000, 8);

        assert_non_null(block);
        assert_true(is_filled(block, 100000, 0));
        memset(block, 3, 100000);
    }
    verso_arena_close(arena);
}

static int as_an_old_kernel(void *arg)
{
    struct verso_arena *arena;

    (void)arg;
    if (!old_kernel_without(SYS_madvise, 2, MADV_GUARD_INSTALL_HERE, MADV_GUARD_INSTALL_HERE + 1, EINVAL))
        return CHILD_SKIPS;
    each_block_faults_behind_its_end();
    some_blocks_at_random();
    arena = opened(MIB, 1);
    assert_non_null(verso_arena_alloc(arena, 1, 0));
    child_assert(info_of(arena).guard_method == VERSO_PAGES_GUARD_MAPPINGS);
    child_assert(*info_of(arena).guard_why);
    verso_arena_close(arena);
    return 0;
}

static void test_guards_by_mappings(void **state)
{
    (void)state;
    assert_child_ok(as_an_old_kernel, NULL);
}

static void test_alignment_before_exactness(void **state)
{
    struct verso_arena *arena = opened(64 * MIB, 1);
    unsigned char *before = NULL;

    (void)state;
    for (size_t align = 1; align <= 4 * verso_page_bytes(); align *= 2) {
        unsigned char *block = verso_arena_alloc(arena, 3, align);
        size_t reach = align < verso_page_bytes() ? (align > 3 ? align : 3 + (align == 2)) : verso_page_bytes();

        assert_non_null(block);
        assert_int_equal((uintptr_t)block & (align - 1), 0);
        assert_true(!before || block > before + verso_page_bytes());
        before = block;
        assert_touchable(block + reach - 1);
        assert_faults(block + reach);
    }
    verso_arena_close(arena);
}

static void test_a_released_block_faults(void **state)
{
    struct verso_arena *arena = opened(64 * MIB, 1);
    unsigned char *kept = verso_arena_alloc(arena, 100, 4), *gone, *again;
    struct verso_arena_mark outer = verso_arena_mark(arena), mark;

    (void)state;
    assert_non_null(kept);
    memset(kept, 1, 100);
    for (int i = 0; i < 20; i++) {
        mark = verso_arena_mark(arena);
        gone = verso_arena_alloc(arena, 100, 4);
        assert_non_null(gone);
        memset(gone, 2, 100);
        assert_ok(verso_arena_release(arena, mark));
        assert_faults(gone);
        again = verso_arena_alloc(arena, 100, 4);
        assert_non_null(again);
        assert_ptr_not_equal(again, gone); /* so that the stale pointer goes on faulting */
        assert_faults(gone);
        assert_true(is_filled(kept, 100, 1));
        assert_int_equal(info_of(arena).guards, i + 2);
    }
    assert_ok(verso_arena_release(arena, outer));
    assert_int_equal(info_of(arena).guards, 1);
    assert_faults(again);
    assert_touchable(kept);
    assert_ok(verso_arena_reset(arena, MIB, VERSO_ARENA_KEEP));
    assert_faults(kept);
    assert_int_equal(info_of(arena).guards, 0);
    assert_int_equal(info_of(arena).blocks, 0);
    again = verso_arena_alloc_zero(arena, 10000, 1);
    assert_non_null(again);
    assert_true(is_filled(again, 10000, 0));
    assert_faults(again + 10000);
    verso_arena_close(arena);
}

/* Each release takes addresses along, but the span does not run out of them. */
static void test_a_small_span_goes_round(void **state)
{
    struct verso_arena *arena = opened(16 * verso_page_bytes(), 1);

    (void)state;
    for (int i = 0; i < 500; i++) {
        struct verso_arena_mark mark = verso_arena_mark(arena);
        unsigned char *block = verso_arena_alloc_zero(arena, 300, 1);

        assert_non_null(block);
        assert_true(is_filled(block, 300, 0));
        memset(block, 7, 300);
        assert_ok(verso_arena_release(arena, mark));
    }
    assert_ok(verso_arena_reset(arena, 0, VERSO_ARENA_DISCARD));
    assert_non_null(verso_arena_alloc(arena, 300, 1));
    verso_arena_close(arena);
}

static void test_realloc_leaves_a_fault(void **state)
{
    struct verso_arena *arena = opened(64 * MIB, 1);
    unsigned char *block = verso_arena_alloc(arena, 100, 1), *larger, *smaller;

    (void)state;
    assert_non_null(block);
    memset(block, 5, 100);
    larger = verso_arena_realloc(arena, block, 100, 9000, 1);
    assert_non_null(larger);
    assert_true(is_filled(larger, 100, 5));
    assert_faults(block);
    assert_faults(larger + 9000);
    smaller = verso_arena_realloc(arena, larger, 9000, 50, 1);
    assert_non_null(smaller);
    assert_true(is_filled(smaller, 50, 5));
    assert_faults(larger);
    assert_faults(larger + 8999);
    assert_faults(smaller + 50);
    verso_arena_close(arena);
}

static void test_some_blocks_at_random(void **state)
{
    (void)state;
    some_blocks_at_random();
}

static void test_many_guarded_blocks(void **state)
{
    struct verso_arena *arena = opened(0, 1);
    size_t before = support_mapping_count();

    (void)state;
    for (int i = 0; i < 5000; i++) {
        unsigned char *block = verso_arena_alloc(arena, 32, 1);

        assert_non_null(block);
        memset(block, 1, 32);
    }
    if (info_of(arena).guard_method == VERSO_PAGES_GUARD_MARKERS)
        assert_true(support_mapping_count() <= before + 2);
    verso_arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_each_block_faults_behind_its_end),
        cmocka_unit_test(test_guards_by_mappings),
        cmocka_unit_test(test_alignment_before_exactness),
        cmocka_unit_test(test_a_released_block_faults),
        cmocka_unit_test(test_a_small_span_goes_round),
        cmocka_unit_test(test_realloc_leaves_a_fault),
        cmocka_unit_test(test_some_blocks_at_random),
        cmocka_unit_test(test_many_guarded_blocks),
    };

    return run_test_list(list);
}
