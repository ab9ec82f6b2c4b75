/* SPDX-License-Identifier: MIT */
/* scratch - each thread's own arenas, from first use to the thread's end. */
#include "arenas.h"

#include <pthread.h>

static void test_two_that_are_not_the_same(void **state)
{
    struct verso_arena *first = verso_arena_scratch(NULL), *second, *own = opened(MIB, 0);

    (void)state;
    assert_non_null(first);
    assert_ptr_equal(verso_arena_scratch(NULL), first);
    second = verso_arena_scratch(first);
    assert_non_null(second);
    assert_ptr_not_equal(second, first);
    assert_ptr_equal(verso_arena_scratch(second), first);
    assert_ptr_equal(verso_arena_scratch(first), second);
    assert_ptr_equal(verso_arena_scratch(own), first);
    verso_arena_close(own);
}

/* A function that works in scratch memory and leaves its result in the caller's arena, whichever that is. */
static char *join(struct verso_arena *results, const char *left, const char *right)
{
    struct verso_arena *scratch = verso_arena_scratch(results);
    struct verso_arena_mark mark = verso_arena_mark(scratch);
    char *joined = verso_arena_printf(scratch, "%s%s", left, right);
    char *result = joined ? verso_arena_strdup(results, joined) : NULL;

    return verso_arena_release(scratch, mark) == 0 ? result : NULL;
}

static void test_results_outlive_the_work(void **state)
{
    struct verso_arena *first = verso_arena_scratch(NULL);
    struct verso_arena *second = verso_arena_scratch(first);
    struct verso_arena_mark first_mark = verso_arena_mark(first), second_mark = verso_arena_mark(second);
    char *one = join(first, "a", "b"), *two;

    (void)state;
    assert_non_null(one);
    two = join(second, one, "c");
    assert_non_null(two);
    assert_string_equal(join(first, two, one), "abcab");
    assert_string_equal(one, "ab");
    assert_string_equal(two, "abc");
    assert_ok(verso_arena_release(first, first_mark));
    assert_ok(verso_arena_release(second, second_mark));
}

static void *fill_scratch(void *arg)
{
    struct verso_arena *scratch = verso_arena_scratch(NULL), *other = verso_arena_scratch(scratch);

    for (int i = 0; scratch && other && i < 100; i++) {
        unsigned char *block = verso_arena_alloc(scratch, 1000, 0), *more = verso_arena_alloc(other, 1000, 0);

        if (!block || !more)
            return arg;
        memset(block, 1, 1000);
        memset(more, 2, 1000);
    }
    return scratch && other && scratch != verso_arena_scratch(scratch) ? NULL : arg;
}

static void test_threads_take_theirs_along(void **state)
{
    size_t before = 0;

    (void)state;
    for (int round = 0; round < 20; round++) {
        pthread_t threads[8];
        void *failed;

        for (size_t i = 0; i < 8; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, fill_scratch, (void *)1), 0);
        for (size_t i = 0; i < 8; i++) {
            assert_int_equal(pthread_join(threads[i], &failed), 0);
            assert_null(failed);
        }
        if (round == 9)
            before = support_mapping_count();
    }
    assert_true(support_mapping_count() <= before + 64); /* what libc keeps for threads; lost arenas: hundreds */
}

static pthread_key_t last_key;

/* Runs as the thread ends, maybe after its arenas were closed: it gets new ones, and they are closed too. */
static void use_at_the_end(void *arg)
{
    if (fill_scratch(arg) != NULL)
        abort();
}

static void *end_with_scratch(void *arg)
{
    if (fill_scratch(arg) != NULL || pthread_setspecific(last_key, arg) != 0)
        return arg;
    return NULL;
}

static void test_scratch_while_a_thread_ends(void **state)
{
    size_t before = 0;

    (void)state;
    assert_int_equal(pthread_key_create(&last_key, use_at_the_end), 0);
    for (int round = 0; round < 40; round++) {
        pthread_t thread;
        void *failed;

        assert_int_equal(pthread_create(&thread, NULL, end_with_scratch, (void *)1), 0);
        assert_int_equal(pthread_join(thread, &failed), 0);
        assert_null(failed);
        if (round == 9)
            before = support_mapping_count();
    }
    assert_true(support_mapping_count() <= before + 40); /* as above */
    assert_int_equal(pthread_key_delete(last_key), 0);
}

static int use_in_child(void *arg)
{
    struct verso_arena *scratch = verso_arena_scratch(NULL);

    if (scratch != verso_arena_scratch(NULL) || strcmp(arg, "of the parent") != 0)
        return 1;
    memset(arg, 'x', 3);
    return fill_scratch((void *)1) != NULL;
}

static void test_a_child_has_its_copy(void **state)
{
    struct verso_arena *scratch = verso_arena_scratch(NULL);
    struct verso_arena_mark mark = verso_arena_mark(scratch);
    char *text = verso_arena_strdup(scratch, "of the parent");

    (void)state;
    assert_non_null(text);
    assert_int_equal(support_child(use_in_child, text), 0);
    assert_string_equal(text, "of the parent");
    assert_ok(verso_arena_release(scratch, mark));
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_two_that_are_not_the_same), cmocka_unit_test(test_results_outlive_the_work),
        cmocka_unit_test(test_threads_take_theirs_along), cmocka_unit_test(test_scratch_while_a_thread_ends),
        cmocka_unit_test(test_a_child_has_its_copy),
    };

    return run_test_list(list);
}
