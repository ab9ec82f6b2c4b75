/* SPDX-License-Identifier: MIT */
/* event, semaphore - waiting for what has no owner. */
#include "locks.h"

#include "os/os.h"

static int wait_for_event(void *arg)
{
    return verso_event_wait(arg, 10000);
}

static void test_event(void **state)
{
    (void)state;
    assert_fails_in(verso_event_wait(&stage->event, 0), -EBUSY, "event");
    assert_ok(verso_event_set(&stage->event));
    assert_ok(verso_event_wait(&stage->event, 0));
    assert_ok(verso_event_wait(&stage->event, -1));
    assert_ok(verso_event_set(&stage->event));
    assert_int_equal(in_killed_child(wait_for_event, &stage->event), 0);
    assert_ok(verso_event_reset(&stage->event));
    assert_ok(verso_event_reset(&stage->event));
    assert_fails(verso_event_wait(&stage->event, 0), -EBUSY);
}

static void test_event_time_runs_out(void **state)
{
    uint64_t start = verso__os_clock_ns();

    (void)state;
    assert_fails_in(verso_event_wait(&stage->event, 20), -ETIMEDOUT, "event");
    assert_true(verso__os_clock_ns() - start >= 20000000U);
    assert_ok(verso_event_set(&stage->event));
    assert_ok(verso_event_reset(&stage->event));
    /* Longer than a slice of sleep. */
    start = verso__os_clock_ns();
    assert_fails(verso_event_wait(&stage->event, 150), -ETIMEDOUT);
    assert_true(verso__os_clock_ns() - start >= 150000000U);
}

static void test_event_wakes_all(void **state)
{
    struct other others[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        others[i] = (struct other){ .act = wait_for_event, .arg = &stage->event };
        other_start(&others[i]);
    }
    sleep_ms(10);
    assert_ok(verso_event_reset(&stage->event)); /* changes nothing for who waits */
    stage->pair[0] = 7;
    assert_ok(verso_event_set(&stage->event));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(other_join(&others[i]), 0);
}

static int wait_for_unit(void *arg)
{
    return verso_semaphore_wait(arg, 10000);
}

static int try_unit(void *arg)
{
    return verso_semaphore_wait(arg, 0);
}

static void test_semaphore(void **state)
{
    (void)state;
    assert_fails_in(verso_semaphore_wait(&stage->semaphore, 0), -EBUSY, "semaphore");
    assert_ok(verso_semaphore_post(&stage->semaphore, 0));
    assert_fails(verso_semaphore_wait(&stage->semaphore, 0), -EBUSY);
    assert_ok(verso_semaphore_post(&stage->semaphore, 3));
    assert_ok(verso_semaphore_wait(&stage->semaphore, -1));
    assert_int_equal(in_thread(try_unit, &stage->semaphore), 0);
    assert_int_equal(in_killed_child(try_unit, &stage->semaphore), 0);
    assert_int_equal(in_killed_child(try_unit, &stage->semaphore), -EBUSY);
    assert_true(stage->semaphore.units == 0 && stage->semaphore.sleepers == 0);
}

static void test_semaphore_is_full(void **state)
{
    (void)state;
    assert_fails_in(verso_semaphore_post(&stage->semaphore, VERSO_SEMAPHORE_MAX + 1), -EOVERFLOW, "semaphore");
    assert_fails(verso_semaphore_post(&stage->semaphore, UINT32_MAX), -EOVERFLOW);
    assert_ok(verso_semaphore_post(&stage->semaphore, VERSO_SEMAPHORE_MAX));
    assert_fails(verso_semaphore_post(&stage->semaphore, 1), -EOVERFLOW);
    assert_ok(verso_semaphore_wait(&stage->semaphore, 0));
    assert_ok(verso_semaphore_post(&stage->semaphore, 1));
    assert_true(stage->semaphore.units == VERSO_SEMAPHORE_MAX);
    stage->semaphore.units = UINT32_MAX; /* rubbish */
    assert_fails(verso_semaphore_post(&stage->semaphore, 1), -EOVERFLOW);
}

static void test_semaphore_time_runs_out(void **state)
{
    uint64_t start = verso__os_clock_ns();

    (void)state;
    assert_fails(verso_semaphore_wait(&stage->semaphore, 20), -ETIMEDOUT);
    assert_true(verso__os_clock_ns() - start >= 20000000U);
    assert_true(stage->semaphore.sleepers == 0);
}

static void test_semaphore_wakes_as_many(void **state)
{
    struct other others[4];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        others[i] = (struct other){ .act = wait_for_unit, .arg = &stage->semaphore };
        other_start(&others[i]);
    }
    while (__atomic_load_n(&stage->semaphore.sleepers, __ATOMIC_RELAXED) != 4)
        sleep_ms(1);
    sleep_ms(5);
    assert_ok(verso_semaphore_post(&stage->semaphore, 3));
    while (__atomic_load_n(&stage->semaphore.sleepers, __ATOMIC_RELAXED) != 1)
        sleep_ms(1);
    sleep_ms(5);
    assert_int_equal(__atomic_load_n(&stage->semaphore.sleepers, __ATOMIC_RELAXED), 1);
    assert_ok(verso_semaphore_post(&stage->semaphore, 1));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(other_join(&others[i]), 0);
    assert_true(stage->semaphore.units == 0 && stage->semaphore.sleepers == 0);
}

/* Who dies asleep stays counted; units still reach those who live. */
static void test_semaphore_after_a_dead_sleeper(void **state)
{
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        _exit(wait_for_unit(&stage->semaphore));
    while (__atomic_load_n(&stage->semaphore.sleepers, __ATOMIC_RELAXED) != 1)
        sleep_ms(1);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_ok(verso_semaphore_post(&stage->semaphore, 1));
    assert_ok(verso_semaphore_wait(&stage->semaphore, 0));
}

#define PASSED 5000

static int pass_on(void *arg)
{
    (void)arg;
    for (int i = 0; i < PASSED; i++) {
        if (verso_semaphore_wait(&stage->semaphore, 10000) < 0)
            return 1;
        stage->pair[0]++; /* the units are one at a time: it is a mutex */
        if (verso_semaphore_post(&stage->semaphore, 1) < 0)
            return 2;
    }
    return 0;
}

static void test_semaphore_is_seen_through(void **state)
{
    struct other others[3];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        others[i] = (struct other){ .act = pass_on };
        other_start(&others[i]);
    }
    assert_ok(verso_semaphore_post(&stage->semaphore, 1));
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(other_join(&others[i]), 0);
    assert_true(stage->pair[0] == 3 * PASSED);
}

static void test_no_arguments(void **state)
{
    struct verso_semaphore semaphore = { 1, 0 }; /* neither needs a share */
    struct verso_event event = { 0 };

    (void)state;
    assert_ok(verso_event_set(&event));
    assert_ok(verso_event_wait(&event, 0));
    assert_ok(verso_semaphore_wait(&semaphore, 0));
    assert_fails_in(verso_event_set(NULL), -EINVAL, "arguments");
    assert_fails(verso_event_reset(NULL), -EINVAL);
    assert_fails(verso_event_wait(NULL, 0), -EINVAL);
    assert_fails(verso_semaphore_post(NULL, 1), -EINVAL);
    assert_fails(verso_semaphore_wait(NULL, 0), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_event),
        stage_test(test_event_time_runs_out),
        stage_test(test_event_wakes_all),
        stage_test(test_semaphore),
        stage_test(test_semaphore_is_full),
        stage_test(test_semaphore_time_runs_out),
        stage_test(test_semaphore_wakes_as_many),
        stage_test(test_semaphore_after_a_dead_sleeper),
        stage_test(test_semaphore_is_seen_through),
        stage_test(test_no_arguments),
    };

    return run_test_list(tests);
}
