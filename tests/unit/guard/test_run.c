/* SPDX-License-Identifier: MIT */
/* run - a function is left when a fault comes, by the innermost guard that covers it. */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "ranges.h"

struct reading {
    const unsigned char *data;
    size_t bytes;
    volatile uint64_t sum;
};

static int read_all(void *arg)
{
    struct reading *reading = arg;

    for (size_t i = 0; i < reading->bytes; i++)
        reading->sum += ((const volatile unsigned char *)reading->data)[i];
    return 7;
}

static void test_answer_is_passed_on(void **state)
{
    struct watched file;
    struct reading reading;
    uint64_t offset = 1;

    (void)state;
    guard_on();
    watch_file(&file, "whole", 3 * verso__os_page_bytes());
    reading = (struct reading){ file.data, file.bytes, 0 };
    assert_int_equal(verso__guard_run(&file.range, read_all, &reading, &offset), 7);
    assert_int_equal(verso__guard_run(NULL, read_all, &reading, NULL), 7);
    assert_int_equal(offset, 1);
    assert_int_equal(file.range.torn_count, 0);
    assert_true(file.range.torn_offset_bytes == VERSO_OFFSET_NONE);
    unwatch(&file);
    guard_off();
}

static void test_a_cut_file_ends_it_at_the_page_behind_its_end(void **state)
{
    size_t page = verso__os_page_bytes();
    struct watched file;
    struct reading reading;
    uint64_t offset = 0;

    (void)state;
    guard_on();
    watch_file(&file, "cut", 5 * page);
    cut(&file, 2 * page + 1);
    reading = (struct reading){ file.data, file.bytes, 0 };
    assert_int_equal(verso__guard_run(&file.range, read_all, &reading, &offset), VERSO_E_TORN);
    assert_int_equal(offset, 3 * page);
    assert_int_equal(file.range.torn_offset_bytes, 3 * page);
    assert_int_equal(file.range.torn_count, 1);
    assert_int_equal(verso__guard_run(NULL, read_all, &reading, NULL), VERSO_E_TORN);
    assert_int_equal(file.range.torn_count, 2);
    unwatch(&file);
    guard_off();
}

static void test_without_a_guard_nothing_runs(void **state)
{
    struct reading reading = { NULL, 1, 0 };
    uint64_t offset = 5;

    (void)state;
    assert_int_equal(verso__guard_run(NULL, read_all, &reading, &offset), VERSO_E_GUARD);
    assert_int_equal(offset, 5);
}

/* ---- Nesting ---------------------------------------------------------------------------------------------------- */

struct nest {
    struct watched *outer, *inner;
    struct watched *faulting;
    int inner_answer;
    uint64_t inner_offset;
};

static int inner_body(void *arg)
{
    struct nest *nest = arg;
    struct reading reading = { nest->faulting->data, nest->faulting->bytes, 0 };

    return read_all(&reading);
}

static int outer_body(void *arg)
{
    struct nest *nest = arg;

    nest->inner_answer = verso__guard_run(&nest->inner->range, inner_body, nest, &nest->inner_offset);
    return 1;
}

static void test_the_innermost_that_covers_is_left(void **state)
{
    size_t page = verso__os_page_bytes();
    struct watched a, b;
    struct nest nest = { &a, &b, NULL, 0, 0 };
    uint64_t offset = 0;

    (void)state;
    guard_on();
    watch_file(&a, "a", 2 * page);
    watch_file(&b, "b", 3 * page);
    cut(&a, page);
    cut(&b, 2 * page);
    nest.faulting = &b;
    assert_int_equal(verso__guard_run(&a.range, outer_body, &nest, &offset), 1);
    assert_int_equal(nest.inner_answer, VERSO_E_TORN);
    assert_int_equal(nest.inner_offset, 2 * page);
    assert_int_equal(offset, 0);
    nest.faulting = &a; /* the inner does not cover it: both are left */
    nest.inner_answer = 0;
    assert_int_equal(verso__guard_run(&a.range, outer_body, &nest, &offset), VERSO_E_TORN);
    assert_int_equal(nest.inner_answer, 0);
    assert_int_equal(offset, page);
    /* The list is as it was before: the next fault does not find what has been left. */
    nest.faulting = &b;
    assert_int_equal(verso__guard_run(NULL, outer_body, &nest, &offset), 1);
    assert_int_equal(nest.inner_answer, VERSO_E_TORN);
    unwatch(&a);
    unwatch(&b);
    guard_off();
}

/* Two maps of one file are two ranges: each has its own guard and its own mark. */
static void test_two_maps_of_one_file(void **state)
{
    size_t page = verso__os_page_bytes();
    struct watched a, b;
    struct nest nest = { &a, &b, NULL, 0, 0 };
    uint64_t offset = 0;

    (void)state;
    guard_on();
    watch_file(&a, "both", 3 * page);
    watch_fd(&b, dup(a.fd), 3 * page, PROT_READ, MAP_PRIVATE);
    cut(&a, page);
    nest.faulting = &b;
    assert_int_equal(verso__guard_run(&a.range, outer_body, &nest, &offset), 1);
    assert_int_equal(nest.inner_answer, VERSO_E_TORN);
    assert_int_equal(a.range.torn_count, 0);
    assert_int_equal(b.range.torn_count, 1);
    nest.faulting = &a;
    assert_int_equal(verso__guard_run(&a.range, outer_body, &nest, &offset), VERSO_E_TORN);
    assert_int_equal(a.range.torn_count, 1);
    assert_int_equal(b.range.torn_count, 1);
    unwatch(&b);
    unwatch(&a);
    guard_off();
}

/* A guarded copy inside: the short count is nearer to the fault than the scope around it. */
static int copy_inside(void *arg)
{
    static unsigned char target[10];

    return (int)verso_guard_copy(target, arg, sizeof(target));
}

static void test_a_count_is_nearer_than_a_scope(void **state)
{
    size_t page = verso__os_page_bytes();
    struct watched file;

    (void)state;
    guard_on();
    watch_file(&file, "near", 2 * page);
    cut(&file, page);
    assert_int_equal(verso__guard_run(&file.range, copy_inside, file.data + page - 4, NULL), 4);
    assert_int_equal(file.range.torn_count, 1);
    unwatch(&file);
    guard_off();
}

/* ---- What is not covered ---------------------------------------------------------------------------------------- */

static int fault_outside(void *arg)
{
    struct nest *nest = arg;

    (void)signal(SIGBUS, SIG_DFL);
    if (verso_guard_install() < 0)
        return 1;
    return verso__guard_run(&nest->inner->range, inner_body, nest, NULL);
}

static void test_a_fault_outside_kills(void **state)
{
    size_t page = verso__os_page_bytes();
    struct watched a, b;
    struct nest nest = { &a, &b, &a, 0, 0 };
    int status;

    (void)state;
    guard_on();
    watch_file(&a, "a2", 2 * page);
    watch_file(&b, "b2", 2 * page);
    cut(&a, page);
    status = support_child(fault_outside, &nest);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    unwatch(&a);
    unwatch(&b);
    guard_off();
}

/* ---- Threads ---------------------------------------------------------------------------------------------------- */

static struct watched shared;

static void *fault_often(void *arg)
{
    for (int i = 0; i < 500; i++) {
        struct reading reading = { shared.data, shared.bytes, 0 };
        uint64_t offset = 0;

        if (verso__guard_run(&shared.range, read_all, &reading, &offset) != VERSO_E_TORN || offset != shared.bytes / 2)
            return arg;
    }
    return NULL;
}

static void test_many_threads_at_once(void **state)
{
    size_t page = verso__os_page_bytes();
    pthread_t threads[8];

    (void)state;
    guard_on();
    watch_file(&shared, "shared", 2 * page);
    cut(&shared, page);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, fault_often, &shared), 0);
    for (size_t i = 0; i < 8; i++) {
        void *wrong;

        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_int_equal(shared.range.torn_count, 8 * 500);
    assert_int_equal(shared.range.torn_offset_bytes, page);
    unwatch(&shared);
    guard_off();
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_answer_is_passed_on),
        cmocka_unit_test(test_a_cut_file_ends_it_at_the_page_behind_its_end),
        cmocka_unit_test(test_without_a_guard_nothing_runs),
        cmocka_unit_test(test_the_innermost_that_covers_is_left),
        cmocka_unit_test(test_two_maps_of_one_file),
        cmocka_unit_test(test_a_count_is_nearer_than_a_scope),
        cmocka_unit_test(test_a_fault_outside_kills),
        cmocka_unit_test(test_many_threads_at_once),
    };

    return run_test_list(list);
}
