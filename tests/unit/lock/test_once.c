/* SPDX-License-Identifier: MIT */
/* once - one does it, the others wait; somebody else does it when that one dies. */
#include "locks.h"

static void test_the_first_does_it(void **state)
{
    (void)state;
    assert_int_equal(verso_once_begin(&stage->once, -1), VERSO_ONCE_DO);
    assert_ok(verso_once_end(&stage->once, 1));
    assert_int_equal(verso_once_begin(&stage->once, -1), VERSO_ONCE_DONE);
    assert_int_equal(verso_once_begin(&stage->once, 0), VERSO_ONCE_DONE);
    assert_int_equal(in_thread(begin_it, &stage->once), VERSO_ONCE_DONE);
    assert_int_equal(in_killed_child(begin_it, &stage->once), VERSO_ONCE_DONE);
    assert_fails_in(verso_once_end(&stage->once, 1), -EPERM, "once");
    assert_fails(verso_once_end(&stage->once, 0), -EPERM);
    assert_int_equal(verso_once_begin(&stage->once, 0), VERSO_ONCE_DONE);
}

static int begin_at_once(void *arg)
{
    return verso_once_begin(arg, 0);
}

static int begin_for_10_ms(void *arg)
{
    return verso_once_begin(arg, 10);
}

static int end_it(void *arg)
{
    return verso_once_end(arg, 1);
}

static void test_the_others_wait(void **state)
{
    struct other other = { .act = begin_it, .arg = &stage->once };

    (void)state;
    assert_fails(verso_once_end(&stage->once, 1), -EPERM);
    assert_int_equal(verso_once_begin(&stage->once, 0), VERSO_ONCE_DO);
    assert_fails_in(verso_once_begin(&stage->once, -1), -EDEADLK, "once");
    assert_int_equal(in_thread(begin_at_once, &stage->once), -EBUSY);
    assert_int_equal(in_thread(begin_for_10_ms, &stage->once), -ETIMEDOUT);
    assert_int_equal(in_thread(end_it, &stage->once), -EPERM);
    other_start(&other);
    sleep_ms(5);
    assert_ok(verso_once_end(&stage->once, 1));
    assert_int_equal(other_join(&other), VERSO_ONCE_DONE);
}

/* Who could not do it leaves it as it was; one of those who wait gets its turn. */
static void test_given_back(void **state)
{
    struct other other = { .act = begin_it, .arg = &stage->once };

    (void)state;
    assert_int_equal(verso_once_begin(&stage->once, -1), VERSO_ONCE_DO);
    assert_ok(verso_once_end(&stage->once, 0));
    assert_true(stage->once.word == 0);
    assert_int_equal(verso_once_begin(&stage->once, -1), VERSO_ONCE_DO);
    other_start(&other);
    sleep_ms(5);
    assert_ok(verso_once_end(&stage->once, 0));
    assert_int_equal(other_join(&other), VERSO_ONCE_DO);
    /* That one has ended, and said nothing. */
    assert_int_equal(verso_once_begin(&stage->once, 0), VERSO_ONCE_DO_OVER);
    assert_ok(verso_once_end(&stage->once, 0));
    assert_int_equal(verso_once_begin(&stage->once, 0), VERSO_ONCE_DO);
    assert_ok(verso_once_end(&stage->once, 1));
}

static void test_after_the_dead(void **state)
{
    (void)state;
    assert_int_equal(in_killed_child(begin_it, &stage->once), VERSO_ONCE_DO);
    assert_int_equal(in_killed_child(begin_it, &stage->once), VERSO_ONCE_DO_OVER);
    assert_int_equal(in_thread(begin_it, &stage->once), VERSO_ONCE_DO_OVER);
    assert_int_equal(verso_once_begin(&stage->once, 0), VERSO_ONCE_DO_OVER);
    assert_ok(verso_once_end(&stage->once, 1));
    assert_int_equal(in_thread(begin_it, &stage->once), VERSO_ONCE_DONE);
}

static int begin_and_stay(void)
{
    int r = verso_once_begin(&stage->once, 0);

    __atomic_store_n(&stage->signal, 1, __ATOMIC_RELEASE);
    for (;;)
        (void)pause();
    return r;
}

static int do_it(void *arg)
{
    int turn = verso_once_begin(arg, 10000);

    if (turn > 0) {
        stage->pair[0] += 1;
        return verso_once_end(arg, 1) < 0 ? -1 : turn;
    }
    return turn;
}

/* Of those who sleep, one is told to do it over, the others that it has been done. */
static void test_death_wakes_the_next(void **state)
{
    struct other others[3];
    int sum = 0;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        _exit(begin_and_stay());
    while (!__atomic_load_n(&stage->signal, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    for (size_t i = 0; i < 3; i++) {
        others[i] = (struct other){ .act = do_it, .arg = &stage->once };
        other_start(&others[i]);
    }
    sleep_ms(10);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    for (size_t i = 0; i < 3; i++)
        sum += other_join(&others[i]);
    assert_int_equal(sum, VERSO_ONCE_DO_OVER);
    assert_true(stage->pair[0] == 1);
}

static void test_many_at_once(void **state)
{
    struct other others[8];
    int sum = 0;

    (void)state;
    for (int round = 0; round < 50; round++) {
        stage->once.word = 0;
        stage->pair[0] = 0;
        for (size_t i = 0; i < 8; i++) {
            others[i] = (struct other){ .act = do_it, .arg = &stage->once };
            other_start(&others[i]);
        }
        for (size_t i = 0; i < 8; i++)
            sum += other_join(&others[i]);
        assert_true(stage->pair[0] == 1);
    }
    assert_int_equal(sum, 50 * VERSO_ONCE_DO);
}

static void test_not_in_a_share(void **state)
{
    struct verso_once here = { 0 };

    (void)state;
    assert_fails_in(verso_once_begin(&here, 0), VERSO_E_RANGE, "seat");
    assert_fails(verso_once_end(&here, 1), VERSO_E_RANGE);
    assert_fails_in(verso_once_begin(NULL, 0), -EINVAL, "arguments");
    assert_fails(verso_once_end(NULL, 1), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_the_first_does_it), stage_test(test_the_others_wait),      stage_test(test_given_back),
        stage_test(test_after_the_dead),    stage_test(test_death_wakes_the_next), stage_test(test_many_at_once),
        stage_test(test_not_in_a_share),
    };

    return run_test_list(tests);
}
