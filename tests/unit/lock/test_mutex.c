/* SPDX-License-Identifier: MIT */
/* mutex - one at a time, whoever asks wrongly is told, and who comes after the dead is, too. */
#include "locks.h"

#include "os/os.h"
#include "share/region.h"

static void test_zeros_are_a_free_mutex(void **state)
{
    (void)state;
    assert_true(stage->mutex.word == 0);
    assert_ok(verso_mutex_lock(&stage->mutex, -1));
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_true(stage->mutex.word == 0);
}

static void test_one_at_a_time(void **state)
{
    (void)state;
    assert_ok(verso_mutex_lock(&stage->mutex, -1));
    assert_int_equal(in_thread(try_it, &stage->mutex), -EBUSY);
    assert_int_equal(in_killed_child(try_it, &stage->mutex), -EBUSY);
    assert_int_equal(in_thread(try_it, &stage->other), 0);
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_int_equal(in_thread(try_it, &stage->mutex), 0);
    assert_int_equal(in_killed_child(try_it, &stage->mutex), 0);
}

static void test_asking_again_would_wait_for_oneself(void **state)
{
    (void)state;
    assert_ok(verso_mutex_lock(&stage->mutex, 0));
    assert_fails_in(verso_mutex_lock(&stage->mutex, -1), -EDEADLK, "mutex");
    assert_fails(verso_mutex_lock(&stage->mutex, 0), -EDEADLK);
    assert_fails(verso_mutex_lock(&stage->mutex, 5), -EDEADLK);
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_ok(verso_mutex_lock(&stage->mutex, 5));
    assert_ok(verso_mutex_unlock(&stage->mutex));
}

static void test_only_the_owner_unlocks(void **state)
{
    (void)state;
    assert_fails_in(verso_mutex_unlock(&stage->mutex), -EPERM, "mutex");
    assert_fails(verso_mutex_consistent(&stage->mutex), -EPERM);
    assert_ok(verso_mutex_lock(&stage->mutex, -1));
    assert_int_equal(in_thread(unlock_it, &stage->mutex), -EPERM);
    assert_int_equal(in_killed_child(unlock_it, &stage->mutex), -EPERM);
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_fails(verso_mutex_unlock(&stage->mutex), -EPERM);
}

static int lock_for_20_ms(void *arg)
{
    uint64_t start = verso__os_clock_ns();
    int r = verso_mutex_lock(arg, 20);

    return verso__os_clock_ns() - start >= 20000000U ? r : 1;
}

static void test_time_runs_out(void **state)
{
    (void)state;
    assert_ok(verso_mutex_lock(&stage->mutex, -1));
    assert_int_equal(in_thread(lock_for_20_ms, &stage->mutex), -ETIMEDOUT);
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_true(stage->mutex.word == 0);
    assert_int_equal(in_thread(try_it, &stage->mutex), 0);
}

/* What a timeout left in the word must not keep anybody asleep. */
static void test_the_next_one_is_woken(void **state)
{
    struct other others[4];

    (void)state;
    assert_ok(verso_mutex_lock(&stage->mutex, -1));
    for (size_t i = 0; i < 4; i++) {
        others[i] = (struct other){ .act = i == 0 ? lock_for_20_ms : lock_it, .arg = &stage->mutex };
        other_start(&others[i]);
    }
    assert_int_equal(other_join(&others[0]), -ETIMEDOUT);
    assert_ok(verso_mutex_unlock(&stage->mutex));
    /* Each ends with the lock, so the next one is told; nobody waits for ever. */
    for (size_t i = 1; i < 4; i++) {
        int r = other_join(&others[i]);

        assert_true(r == 0 || r == VERSO_E_OWNER_DIED);
    }
}

static void inherit_from_the_dead(int lived)
{
    assert_int_equal(lived, 0);
    assert_fails_in(verso_mutex_lock(&stage->mutex, 0), VERSO_E_OWNER_DIED, "mutex");
    assert_int_equal(in_thread(try_it, &stage->mutex), -EBUSY); /* it is ours all the same */
    /* Unlocked without a word: the next one is told. */
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_fails(verso_mutex_lock(&stage->mutex, -1), VERSO_E_OWNER_DIED);
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_fails(verso_mutex_consistent(&stage->mutex), -EPERM);
    assert_fails(verso_mutex_lock(&stage->mutex, 10), VERSO_E_OWNER_DIED);
    assert_ok(verso_mutex_consistent(&stage->mutex));
    assert_ok(verso_mutex_consistent(&stage->mutex));
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_true(stage->mutex.word == 0);
    assert_ok(verso_mutex_lock(&stage->mutex, -1));
    assert_ok(verso_mutex_consistent(&stage->mutex)); /* nothing to be said, nothing happens */
    assert_ok(verso_mutex_unlock(&stage->mutex));
}

static void test_after_a_thread_that_ended(void **state)
{
    (void)state;
    inherit_from_the_dead(in_thread(lock_it, &stage->mutex));
}

static void test_after_a_process_that_was_killed(void **state)
{
    (void)state;
    inherit_from_the_dead(in_killed_child(lock_it, &stage->mutex));
}

/* Dead with a suspect lock in the hand: still suspect. */
static void test_after_two_deaths(void **state)
{
    (void)state;
    assert_int_equal(in_killed_child(lock_it, &stage->mutex), 0);
    assert_int_equal(in_killed_child(lock_it, &stage->mutex), VERSO_E_OWNER_DIED);
    assert_int_equal(in_thread(lock_it, &stage->mutex), VERSO_E_OWNER_DIED);
    assert_fails(verso_mutex_lock(&stage->mutex, -1), VERSO_E_OWNER_DIED);
    assert_ok(verso_mutex_unlock(&stage->mutex));
}

static int lock_and_wait(void *arg)
{
    int r = verso_mutex_lock(arg, -1);

    __atomic_store_n(&stage->signal, 1, __ATOMIC_RELEASE);
    for (;;)
        (void)pause();
    return r;
}

/* Sleepers are told of a death while they sleep. */
static void test_death_wakes_who_waits(void **state)
{
    struct other others[3];
    unsigned told = 0;
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        _exit(lock_and_wait(&stage->mutex));
    while (!__atomic_load_n(&stage->signal, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    for (size_t i = 0; i < 3; i++) {
        others[i] = (struct other){ .act = lock_it, .arg = &stage->mutex };
        other_start(&others[i]);
    }
    sleep_ms(20); /* so that they sleep; if they don't yet, they find the dead */
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    for (size_t i = 0; i < 3; i++)
        told += other_join(&others[i]) == VERSO_E_OWNER_DIED;
    assert_int_equal(told, 3); /* each ends with it, and it was never said to be whole */
}

/* Where the mark of a death is gone, as after a scribbler, the proofs that nobody can hide are enough. */
static void test_a_death_without_a_mark(void **state)
{
    (void)state;
    assert_ok(sit_down()); /* else the seat of the dead would be ours */
    for (int timeout_ms = 0; timeout_ms <= 30000; timeout_ms += 30000) {
        assert_int_equal(in_killed_child(lock_it, &stage->mutex), 0);
        atomic_store(verso__share_life(stage_share, (uint32_t)stage->mutex.word - 1), 0x80000001);
        assert_fails(verso_mutex_lock(&stage->mutex, timeout_ms), VERSO_E_OWNER_DIED);
        assert_ok(verso_mutex_consistent(&stage->mutex));
        assert_ok(verso_mutex_unlock(&stage->mutex));
    }
}

/* The first to have it dies with it at once, the other one is told. */
static pid_t heir(void)
{
    pid_t child = fork();
    int r;

    assert_true(child >= 0);
    if (child > 0)
        return child;
    (void)__atomic_fetch_add(&stage->signal, 1, __ATOMIC_RELEASE);
    r = verso_mutex_lock(&stage->mutex, 60000);
    if (r == 0)
        (void)kill(getpid(), SIGKILL);
    _exit(r == VERSO_E_OWNER_DIED && verso_mutex_consistent(&stage->mutex) == 0 &&
                  verso_mutex_unlock(&stage->mutex) == 0
              ? 0
              : 1);
}

/* Both sleep for us; the one that dies is not whom the other one went to sleep for. */
static void test_death_behind_a_change_of_owners(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        int status[2], killed = 0;
        pid_t heirs[2];

        __atomic_store_n(&stage->signal, 0, __ATOMIC_RELAXED);
        assert_ok(verso_mutex_lock(&stage->mutex, 0));
        heirs[0] = heir();
        heirs[1] = heir();
        while (__atomic_load_n(&stage->signal, __ATOMIC_ACQUIRE) != 2)
            sleep_ms(1);
        sleep_ms(5);
        assert_ok(verso_mutex_unlock(&stage->mutex));
        for (int i = 0; i < 2; i++) {
            assert_int_equal(waitpid(heirs[i], &status[i], 0), heirs[i]);
            killed += WIFSIGNALED(status[i]) && WTERMSIG(status[i]) == SIGKILL;
        }
        assert_int_equal(killed, 1);
        assert_true(status[0] == 0 || status[1] == 0);
    }
}

static int is_another_owner(void *arg)
{
    if (verso_mutex_lock(arg, 0) != -EBUSY || verso_mutex_unlock(arg) != -EPERM)
        return 1;
    return verso_mutex_lock(&stage->other, 0);
}

/* A child owns nothing that its parent owns, also when the parent had locked before; nor the other way about. */
static void test_a_child_is_another_owner(void **state)
{
    (void)state;
    assert_ok(verso_mutex_lock(&stage->mutex, -1));
    assert_int_equal(support_child(is_another_owner, &stage->mutex), 0);
    assert_fails(verso_mutex_lock(&stage->other, 0), VERSO_E_OWNER_DIED); /* it ended with that one */
    assert_ok(verso_mutex_unlock(&stage->other));
    assert_ok(verso_mutex_unlock(&stage->mutex));
}

static void test_not_in_a_share(void **state)
{
    struct verso_mutex here = { 0 };

    (void)state;
    assert_fails_in(verso_mutex_lock(&here, 0), VERSO_E_RANGE, "seat");
    assert_fails(verso_mutex_unlock(&here), VERSO_E_RANGE);
    assert_fails(verso_mutex_consistent(&here), VERSO_E_RANGE);
    assert_fails_in(verso_mutex_lock(NULL, 0), -EINVAL, "arguments");
    assert_fails(verso_mutex_unlock(NULL), -EINVAL);
    assert_fails(verso_mutex_consistent(NULL), -EINVAL);
}

/* Names that nobody has: as good as dead. */
static void test_rubbish_is_a_dead_owner(void **state)
{
    static const uint64_t rubbish[] = {
        1, UINT64_MAX, 0xffff, (uint64_t)7 << 32, (uint64_t)1 << 32 | 60000, 0x0fffffff, (uint64_t)UINT32_MAX << 32 | 1
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
        stage->mutex.word = rubbish[i];
        assert_fails(verso_mutex_unlock(&stage->mutex), -EPERM);
        assert_int_equal(in_thread(lock_it, &stage->mutex), VERSO_E_OWNER_DIED);
        stage->mutex.word = 0;
    }
}

static int count_up(void *arg)
{
    for (int i = 0; i < *(int *)arg; i++) {
        if (verso_mutex_lock(&stage->mutex, 60000) < 0)
            return 1;
        stage->pair[0]++;
        stage->pair[1]++;
        if (verso_mutex_unlock(&stage->mutex) < 0)
            return 2;
    }
    return 0;
}

static void test_threads_and_processes_count(void **state)
{
    int rounds = support_is_tsan() || support_is_asan() ? 2000 : 50000, status;
    struct other others[3];
    pid_t child = fork();

    (void)state;
    assert_true(child >= 0);
    if (child == 0)
        _exit(count_up(&rounds));
    for (size_t i = 0; i < 3; i++) {
        others[i] = (struct other){ .act = count_up, .arg = &rounds };
        other_start(&others[i]);
    }
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(other_join(&others[i]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(stage->pair[0] == 4 * (uint64_t)rounds && stage->pair[1] == stage->pair[0]);
    assert_true(stage->mutex.word == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_zeros_are_a_free_mutex),
        stage_test(test_one_at_a_time),
        stage_test(test_asking_again_would_wait_for_oneself),
        stage_test(test_only_the_owner_unlocks),
        stage_test(test_time_runs_out),
        stage_test(test_the_next_one_is_woken),
        stage_test(test_after_a_thread_that_ended),
        stage_test(test_after_a_process_that_was_killed),
        stage_test(test_after_two_deaths),
        stage_test(test_death_wakes_who_waits),
        stage_test(test_a_death_without_a_mark),
        stage_test(test_death_behind_a_change_of_owners),
        stage_test(test_a_child_is_another_owner),
        stage_test(test_not_in_a_share),
        stage_test(test_rubbish_is_a_dead_owner),
        stage_test(test_threads_and_processes_count),
    };

    return run_test_list(tests);
}
