/* SPDX-License-Identifier: MIT */
/* alloc - blocks: where they stand, what is in them, and what can't be had. */
#include "arenas.h"

#include <pthread.h>

static void test_blocks_of_any_size_and_alignment(void **state)
{
    struct verso_arena *arena = opened(256 * MIB, 0);
    unsigned char *before = NULL;
    uint64_t random = 1;
    size_t before_bytes = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t bytes = 1 + (size_t)next_random(&random) % (i % 100 ? 300 : 100000);
        size_t align = (size_t)1 << next_random(&random) % 13;
        unsigned char *block = verso_arena_alloc(arena, bytes, i % 7 ? align : 0);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block & ((i % 7 ? align : VERSO_ARENA_ALIGN) - 1), 0);
        if (before) {
            assert_true(block >= before + before_bytes);
            assert_true(is_filled(before, before_bytes, (unsigned char)(i - 1)));
        }
        memset(block, (unsigned char)i, bytes);
        before = block;
        before_bytes = bytes;
    }
    assert_int_equal(info_of(arena).blocks, 20000);
    verso_arena_close(arena);
}

static void test_alignment_beyond_a_page(void **state)
{
    struct verso_arena *arena = opened(256 * MIB, 0);

    (void)state;
    for (size_t align = 1; align <= 32 * MIB; align *= 2) {
        unsigned char *block = verso_arena_alloc(arena, 3, align);

        assert_non_null(block);
        assert_int_equal((uintptr_t)block & (align - 1), 0);
        memset(block, 1, 3);
    }
    assert_no_block(verso_arena_alloc(arena, 3, (size_t)1 << 40), VERSO_E_SPAN);
    verso_arena_close(arena);
}

static void test_sizes_around_a_page_and_a_step(void **state)
{
    const size_t page = verso_page_bytes();
    const size_t sizes[] = { 1, page - 1, page, page + 1, 65536 - 1, 65536, 65536 + 1, 2 * MIB, 5 * MIB + 3 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct verso_arena *arena = opened(64 * MIB, 0);

        for (int repeat = 0; repeat < 3; repeat++) {
            unsigned char *block = verso_arena_alloc_zero(arena, sizes[i], 1);

            assert_non_null(block);
            assert_true(is_filled(block, sizes[i], 0));
            memset(block, 0xff, sizes[i]);
        }
        verso_arena_close(arena);
    }
}

static void test_nothing_moves_over_hundreds_of_mib(void **state)
{
    enum {
        BLOCKS = 400
    };
    struct verso_arena *arena = opened(0, 0);
    unsigned char *blocks[BLOCKS];
    uint64_t committed;

    (void)state;
    if (sizeof(void *) < 8)
        skip_because("not that many addresses here");
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = verso_arena_alloc(arena, MIB, 0);
        assert_non_null(blocks[i]);
        blocks[i][0] = (unsigned char)i;
        blocks[i][MIB - 1] = (unsigned char)(i >> 8);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_int_equal(blocks[i][0], i & 255);
        assert_int_equal(blocks[i][MIB - 1], i >> 8);
        assert_true(i == 0 || blocks[i] >= blocks[i - 1] + MIB);
    }
    committed = info_of(arena).committed_bytes;
    assert_true(committed >= BLOCKS * MIB && committed < (BLOCKS + 4) * MIB);
    verso_arena_close(arena);
}

static void test_commits_in_steps(void **state)
{
    struct verso_arena *arena = opened(64 * MIB, 0);

    (void)state;
    assert_int_equal(info_of(arena).committed_bytes, 0);
    assert_non_null(verso_arena_alloc(arena, 1, 0));
    assert_int_equal(info_of(arena).committed_bytes, verso_page_bytes() > 65536 ? verso_page_bytes() : 65536);
    assert_non_null(verso_arena_alloc(arena, 65536, 0));
    assert_int_equal(info_of(arena).committed_bytes, 65536 + 131072);
    verso_arena_close(arena);
}

static void test_the_byte_past_the_committed_end_faults(void **state)
{
    struct verso_arena *arena = opened(8 * MIB, 0);
    unsigned char *first = verso_arena_alloc(arena, 1, 1);

    (void)state;
    assert_non_null(first);
    assert_faults(first - 1); /* the guard before the span */
    for (int i = 0; i < 40; i++) {
        uint64_t committed = info_of(arena).committed_bytes;

        assert_touchable(first + committed - 1);
        assert_faults(first + committed);
        if (!verso_arena_alloc(arena, 200000, 0))
            break;
    }
    while (verso_arena_alloc(arena, 64, 1))
        ;
    assert_int_equal(verso_error_last()->code, VERSO_E_SPAN);
    assert_int_equal(info_of(arena).committed_bytes, 8 * MIB);
    assert_touchable(first + 8 * MIB - 1);
    assert_faults(first + 8 * MIB);
    verso_arena_close(arena);
}

static void test_zero_bytes(void **state)
{
    for (unsigned guard_one_in = 0; guard_one_in < 2; guard_one_in++) {
        struct verso_arena *arena = opened(MIB, guard_one_in);
        unsigned char *nothing = verso_arena_alloc(arena, 0, 0), *block;

        (void)state;
        assert_non_null(nothing);
        assert_faults(nothing);
        assert_int_equal(info_of(arena).blocks, 0);
        assert_int_equal(info_of(arena).used_bytes, 0);
        block = verso_arena_alloc(arena, 8, 8);
        assert_non_null(block);
        nothing = verso_arena_alloc_zero(arena, 0, 1);
        assert_non_null(nothing);
        assert_faults(nothing);
        assert_non_null(verso_arena_new(arena, int, 0));
        assert_int_equal(info_of(arena).blocks, 1);
        nothing = verso_arena_realloc(arena, nothing, 0, 10, 1);
        assert_non_null(nothing);
        memset(nothing, 1, 10);
        assert_int_equal(info_of(arena).blocks, 2);
        verso_arena_close(arena);
    }
}

static void test_sizes_that_can_not_be(void **state)
{
    struct verso_arena *arena;
    volatile size_t most = SIZE_MAX; /* so that the compiler does not warn of what is tried here */

    (void)state;
    for (unsigned guard_one_in = 0; guard_one_in < 3; guard_one_in++) {
        struct verso_arena_info before, after;

        arena = opened(MIB, guard_one_in);
        assert_non_null(verso_arena_alloc(arena, 24, 8));
        before = info_of(arena);
        assert_no_block(verso_arena_alloc(arena, most, 0), VERSO_E_OVERFLOW);
        assert_no_block(verso_arena_alloc(arena, most, 1), VERSO_E_OVERFLOW);
        assert_no_block(verso_arena_alloc(arena, most - 15, 16), VERSO_E_OVERFLOW);
        assert_no_block(verso_arena_alloc(arena, most / 2 + 1, 1), VERSO_E_OVERFLOW);
        assert_no_block(verso_arena_alloc(arena, most / 2, 1), VERSO_E_SPAN);
        assert_no_block(verso_arena_alloc(arena, MIB + 1, 1), VERSO_E_SPAN);
        assert_no_block(verso_arena_alloc(arena, MIB, 1), VERSO_E_SPAN);
        assert_no_block(verso_arena_alloc(arena, 1, most / 2 + 1), VERSO_E_OVERFLOW);
        assert_no_block(verso_arena_alloc(arena, 1, 3), VERSO_E_OPTIONS);
        assert_no_block(verso_arena_alloc(arena, 1, most), VERSO_E_OPTIONS);
        assert_no_block(verso_arena_new(arena, uint64_t, most / 8 + 1), VERSO_E_OVERFLOW);
        assert_no_block(verso_arena_new(arena, uint64_t, most / 2), VERSO_E_OVERFLOW);
        assert_no_block(verso_arena_alloc_zero(arena, most, 0), VERSO_E_OVERFLOW);
        after = info_of(arena);
        assert_int_equal(after.used_bytes, before.used_bytes);
        assert_int_equal(after.blocks, before.blocks);
        assert_non_null(verso_arena_alloc(arena, 24, 8));
        verso_arena_close(arena);
    }
    assert_true(verso_arena_bytes(3, 5) == 15);
    assert_true(verso_arena_bytes(most, 0) == 0);
    assert_true(verso_arena_bytes(most / 2, 3) == SIZE_MAX);
}

static void test_exactly_full(void **state)
{
    struct verso_arena *arena = opened(MIB, 0);
    unsigned char *block;

    (void)state;
    if (info_of(arena).poisons) {
        verso_arena_close(arena);
        skip_because("red zones take room");
    }
    block = verso_arena_alloc(arena, MIB, 1);
    assert_non_null(block);
    memset(block, 1, MIB);
    assert_no_block(verso_arena_alloc(arena, 1, 1), VERSO_E_SPAN);
    assert_non_null(verso_arena_alloc(arena, 0, 1));
    assert_ok(verso_arena_reset(arena, 0, VERSO_ARENA_KEEP));
    assert_ptr_equal(verso_arena_alloc(arena, MIB, 1), block);
    verso_arena_close(arena);
}

static void test_zeros_again_after_use(void **state)
{
    struct verso_arena *arena = opened(16 * MIB, 0);

    (void)state;
    for (int round = 0; round < 50; round++) {
        struct verso_arena_mark mark = verso_arena_mark(arena);
        uint64_t random = (uint64_t)round;

        for (int i = 0; i < 200; i++) {
            size_t bytes = 1 + (size_t)next_random(&random) % 3000;
            unsigned char *block = verso_arena_alloc_zero(arena, bytes, 1);

            assert_non_null(block);
            assert_true(is_filled(block, bytes, 0));
            memset(block, 0xee, bytes);
        }
        assert_ok(verso_arena_release(arena, mark));
    }
    verso_arena_close(arena);
}

struct point {
    double x;
    int weight;
};

static void test_typed(void **state)
{
    struct verso_arena *arena = opened(MIB, 0);
    struct point *points = verso_arena_new(arena, struct point, 100), *more;

    (void)state;
    assert_non_null(points);
    assert_int_equal((uintptr_t)points % _Alignof(struct point), 0);
    for (int i = 0; i < 100; i++) {
        assert_true(points[i].x == 0 && points[i].weight == 0);
        points[i].weight = i;
    }
    more = verso_arena_renew(arena, struct point, points, 100, 200);
    assert_ptr_equal(more, points); /* the last block grows where it stands */
    assert_non_null(verso_arena_new(arena, char, 1));
    more = verso_arena_renew(arena, struct point, points, 200, 300);
    assert_non_null(more);
    assert_ptr_not_equal(more, points);
    for (int i = 0; i < 100; i++)
        assert_int_equal(more[i].weight, i);
    assert_no_block(verso_arena_renew(arena, struct point, more, 300, SIZE_MAX / 2), VERSO_E_OVERFLOW);
    assert_int_equal(more[99].weight, 99);
    verso_arena_close(arena);
}

static void test_an_array_that_grows(void **state)
{
    struct verso_arena *arena = opened(64 * MIB, 0);
    unsigned char *array = NULL, *first = NULL;
    size_t bytes = 0;

    (void)state;
    for (size_t wanted = 1; wanted <= 32 * MIB; wanted *= 2) {
        array = verso_arena_realloc(arena, array, bytes, wanted, 1);
        assert_non_null(array);
        first = first ? first : array;
        assert_ptr_equal(array, first);
        assert_true(is_filled(array, bytes, 7));
        memset(array, 7, wanted);
        bytes = wanted;
    }
    assert_no_block(verso_arena_realloc(arena, array, bytes, 64 * MIB + 1, 1), VERSO_E_SPAN);
    assert_no_block(verso_arena_realloc(arena, array, bytes, SIZE_MAX, 1), VERSO_E_OVERFLOW);
    assert_no_block(verso_arena_realloc(arena, array, bytes, bytes + 1, 3), VERSO_E_OPTIONS);
    assert_true(is_filled(array, bytes, 7));
    assert_int_equal(info_of(arena).blocks, 1);
    assert_ptr_equal(verso_arena_realloc(arena, array, bytes, 10, 1), array);
    assert_true(info_of(arena).used_bytes < 100);
    assert_true(info_of(arena).high_bytes >= bytes);
    assert_non_null(verso_arena_realloc(arena, array, 10, 0, 1));
    assert_int_equal(info_of(arena).used_bytes, 0);
    assert_int_equal(info_of(arena).blocks, 0);
    array = verso_arena_alloc_zero(arena, MIB, 1); /* where sevens were */
    assert_non_null(array);
    assert_true(is_filled(array, MIB, 0));
    verso_arena_close(arena);
}

static void test_a_block_that_is_not_the_last(void **state)
{
    struct verso_arena *arena = opened(MIB, 0);
    unsigned char *block = verso_arena_alloc(arena, 100, 1), *other = verso_arena_alloc(arena, 100, 1), *moved;

    (void)state;
    assert_non_null(block);
    assert_non_null(other);
    memset(block, 1, 100);
    memset(other, 2, 100);
    assert_ptr_equal(verso_arena_realloc(arena, block, 100, 50, 1), block);
    moved = verso_arena_realloc(arena, block, 50, 200, 64);
    assert_non_null(moved);
    assert_ptr_not_equal(moved, block);
    assert_int_equal((uintptr_t)moved % 64, 0);
    assert_true(is_filled(moved, 50, 1));
    memset(moved, 3, 200);
    assert_true(is_filled(other, 100, 2));
    assert_no_block(verso_arena_realloc(arena, &block, 8, 9, 1), VERSO_E_RANGE);
    assert_no_block(verso_arena_realloc(arena, moved, MIB, 2 * MIB, 1), VERSO_E_RANGE);
    assert_no_block(verso_arena_realloc(arena, moved + 4096, 1, 2, 1), VERSO_E_RANGE);
    verso_arena_close(arena);
}

static void *use_one(void *arg)
{
    uint64_t random = (uintptr_t)arg;
    struct verso_arena *arena = opened(64 * MIB, (uintptr_t)arg % 3 == 0);

    for (int round = 0; round < 20; round++) {
        struct verso_arena_mark mark = verso_arena_mark(arena);

        for (int i = 0; i < 50; i++) {
            size_t bytes = 1 + (size_t)next_random(&random) % 5000;
            unsigned char *block = verso_arena_alloc_zero(arena, bytes, 1);

            if (!block || !is_filled(block, bytes, 0))
                return arg;
            memset(block, 1, bytes);
        }
        if (verso_arena_release(arena, mark) < 0)
            return arg;
    }
    verso_arena_close(arena);
    return NULL;
}

static void test_an_arena_for_each_thread(void **state)
{
    pthread_t threads[6];
    void *failed;

    (void)state;
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_one, (void *)(i + 1)), 0);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

static void test_nothing_is_left(void **state)
{
    size_t before = support_mapping_count();

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct verso_arena *arena = opened(16 * MIB, i % 3);

        for (int k = 0; k < 10; k++)
            assert_non_null(verso_arena_alloc(arena, 10000, 0));
        verso_arena_close(arena);
    }
    assert_true(support_mapping_count() <= before + 2); /* what malloc may have needed */
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_blocks_of_any_size_and_alignment),
        cmocka_unit_test(test_alignment_beyond_a_page),
        cmocka_unit_test(test_sizes_around_a_page_and_a_step),
        cmocka_unit_test(test_nothing_moves_over_hundreds_of_mib),
        cmocka_unit_test(test_commits_in_steps),
        cmocka_unit_test(test_the_byte_past_the_committed_end_faults),
        cmocka_unit_test(test_zero_bytes),
        cmocka_unit_test(test_sizes_that_can_not_be),
        cmocka_unit_test(test_exactly_full),
        cmocka_unit_test(test_zeros_again_after_use),
        cmocka_unit_test(test_typed),
        cmocka_unit_test(test_an_array_that_grows),
        cmocka_unit_test(test_a_block_that_is_not_the_last),
        cmocka_unit_test(test_an_arena_for_each_thread),
        cmocka_unit_test(test_nothing_is_left),
    };

    return run_test_list(list);
}
