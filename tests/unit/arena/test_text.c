/* SPDX-License-Identifier: MIT */
/* text - copies, and what printf makes. */
#include "arenas.h"

#include <limits.h>

static void test_copies(void **state)
{
    struct verso_arena *arena = opened(MIB, 0);
    const char unterminated[4] = { 'a', 'b', 'c', 'd' };

    (void)state;
    assert_string_equal(verso_arena_strdup(arena, ""), "");
    assert_string_equal(verso_arena_strdup(arena, "one"), "one");
    assert_string_equal(verso_arena_strndup(arena, "three", 2), "th");
    assert_string_equal(verso_arena_strndup(arena, "three", 100), "three");
    assert_string_equal(verso_arena_strndup(arena, unterminated, 4), "abcd");
    assert_string_equal(verso_arena_strndup(arena, unterminated, 0), "");
    assert_int_equal(info_of(arena).blocks, 6);
    verso_arena_close(arena);
}

static void test_formats_of_any_length(void **state)
{
    for (unsigned guard_one_in = 0; guard_one_in < 2; guard_one_in++) {
        struct verso_arena *arena = opened(64 * MIB, guard_one_in);

        (void)state;
        assert_string_equal(verso_arena_printf(arena, "%s %d", "x", 42), "x 42");
        assert_string_equal(verso_arena_printf(arena, "%s", ""), "");
        for (int length = 1; length < 400000; length = length * 3 + 1) {
            char *text = verso_arena_printf(arena, "%*d", length, 7), *next;

            assert_non_null(text);
            assert_int_equal(strlen(text), length);
            assert_true(is_filled((unsigned char *)text, (size_t)length - 1, ' '));
            assert_int_equal(text[length - 1], '7');
            next = verso_arena_alloc_zero(arena, 5000, 1);
            assert_true(next > text + length);
            assert_true(is_filled((unsigned char *)next, 5000, 0));
        }
        verso_arena_close(arena);
    }
}

/* Exactly as long as what is committed, and one byte more or less. */
static void test_at_the_committed_end(void **state)
{
    for (int more = -2; more <= 2; more++) {
        struct verso_arena *arena = opened(MIB, 0);
        char *text;
        size_t room;

        (void)state;
        assert_non_null(verso_arena_alloc(arena, 1, 1));
        room = (size_t)(info_of(arena).committed_bytes - info_of(arena).used_bytes);
        text = verso_arena_printf(arena, "%*s", (int)room + more, "x");
        assert_non_null(text);
        assert_int_equal(strlen(text), room + (size_t)more);
        verso_arena_close(arena);
    }
}

static void test_too_long(void **state)
{
    struct verso_arena *arena = opened(65536, 0);
    volatile int widest = INT_MAX; /* so that the compiler does not warn of what is tried here */
    unsigned char *block;

    (void)state;
    assert_non_null(verso_arena_alloc(arena, 10, 1));
    assert_no_block(verso_arena_printf(arena, "%100000d", 1), VERSO_E_SPAN);
    assert_int_equal(info_of(arena).blocks, 1);
    block = verso_arena_alloc_zero(arena, 60000, 1); /* where the text did not fit */
    assert_non_null(block);
    assert_true(is_filled(block, 60000, 0));
    assert_no_block(verso_arena_printf(arena, "%*d%d", widest, 1, 1), -EOVERFLOW);
    verso_arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_formats_of_any_length),
        cmocka_unit_test(test_at_the_committed_end),
        cmocka_unit_test(test_too_long),
    };

    return run_test_list(list);
}
