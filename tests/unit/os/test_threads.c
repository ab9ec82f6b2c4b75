/* SPDX-License-Identifier: MIT */
/* threads - what os.h promises of sleeping, waking and barriers. */
#include "support.h"

#include "os/os.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_another_value_does_not_sleep(void **state)
{
    _Atomic uint32_t word = 7;

    (void)state;
    assert_int_equal(verso__os_futex_wait(&word, 8, VERSO__OS_NEVER, 0), 0);
    assert_int_equal(verso__os_futex_wait(&word, 8, VERSO__OS_NEVER, VERSO__OS_FUTEX_SHARED), 0);
}

static void test_deadlines_are_moments(void **state)
{
    _Atomic uint32_t word = 7;
    uint64_t start = verso__os_clock_ns();

    (void)state;
    assert_int_equal(verso__os_futex_wait(&word, 7, 0, 0), -ETIMEDOUT); /* long past */
    assert_int_equal(verso__os_futex_wait(&word, 7, start + 5000000, 0), -ETIMEDOUT);
    assert_true(verso__os_clock_ns() >= start + 5000000);
    assert_int_equal(verso__os_futex_wait(&word, 7, start + 5000000, 0), -ETIMEDOUT); /* and now it is past */
}

static void test_what_is_no_word(void **state)
{
    static _Atomic uint32_t words[2];

    (void)state;
    assert_int_equal(verso__os_futex_wait((void *)((char *)words + 1), 0, 0, 0), -EINVAL);
    errno = 1234;
    verso__os_futex_wake(words, 1, 0); /* nobody sleeps */
    verso__os_futex_wake(NULL, 1, 0);
    assert_int_equal(errno, 1234);
}

struct sleeper {
    _Atomic uint32_t *word;
    unsigned flags;
    uint64_t deadline_ns;
    atomic_int state; /* 1: about to sleep, 2: awake */
    int answer;
    pthread_t thread;
};

static void *sleep_in_thread(void *arg)
{
    struct sleeper *sleeper = arg;

    atomic_store(&sleeper->state, 1);
    sleeper->answer = verso__os_futex_wait(sleeper->word, 0, sleeper->deadline_ns, sleeper->flags);
    atomic_store(&sleeper->state, 2);
    return NULL;
}

static void until_about_to_sleep(struct sleeper *sleeper)
{
    while (atomic_load(&sleeper->state) < 1)
        (void)usleep(100);
}

/* Until it wakes, whenever it has got to bed; a wake-up that finds nobody is no loss here. */
static void wake_up(struct sleeper *sleeper)
{
    while (atomic_load(&sleeper->state) < 2) {
        verso__os_futex_wake(sleeper->word, 1, sleeper->flags);
        (void)usleep(100);
    }
    assert_int_equal(pthread_join(sleeper->thread, NULL), 0);
    assert_int_equal(sleeper->answer, 0);
}

static void test_waking(void **state)
{
    static _Atomic uint32_t word;
    struct sleeper sleeper = { .word = &word, .deadline_ns = VERSO__OS_NEVER };

    (void)state;
    assert_int_equal(pthread_create(&sleeper.thread, NULL, sleep_in_thread, &sleeper), 0);
    until_about_to_sleep(&sleeper);
    (void)usleep(5000);
    assert_int_equal(atomic_load(&sleeper.state), 1); /* asleep, as nobody woke it */
    wake_up(&sleeper);
}

static atomic_int signals;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

/* Neither ends the sleep nor makes it longer. */
static void test_signals_leave_it_asleep(void **state)
{
    static _Atomic uint32_t word;
    struct sigaction action = { .sa_handler = count_signal };
    struct sleeper sleeper = { .word = &word, .deadline_ns = verso__os_clock_ns() + 300000000U };

    (void)state;
    if (support_is_tsan())
        skip_because("ThreadSanitizer keeps a handler waiting as long as its thread sleeps in a call unknown to it");
    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
    assert_int_equal(pthread_create(&sleeper.thread, NULL, sleep_in_thread, &sleeper), 0);
    until_about_to_sleep(&sleeper);
    for (int i = 1; i <= 20; i++) {
        assert_int_equal(pthread_kill(sleeper.thread, SIGUSR1), 0);
        while (atomic_load(&signals) < i)
            (void)usleep(100);
    }
    assert_int_equal(pthread_join(sleeper.thread, NULL), 0);
    assert_int_equal(sleeper.answer, -ETIMEDOUT);
    assert_true(verso__os_clock_ns() >= sleeper.deadline_ns);
    (void)signal(SIGUSR1, SIG_DFL);
}

static int sleep_in_child(void *arg)
{
    uint64_t limit = verso__os_clock_ns() + 20000000000U;

    return verso__os_futex_wait(arg, 0, limit, VERSO__OS_FUTEX_SHARED) == 0 ? 0 : 1;
}

static void *wake_shared(void *arg)
{
    _Atomic uint32_t *word = arg;

    while (atomic_load(word) == 0) {
        verso__os_futex_wake(word, 1, VERSO__OS_FUTEX_SHARED);
        (void)usleep(200);
    }
    return NULL;
}

/* A word in shared memory wakes a sleeper in another process. */
static void test_shared_words(void **state)
{
    _Atomic uint32_t *word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_t thread;
    int status;

    (void)state;
    assert_true(word != MAP_FAILED);
    assert_int_equal(pthread_create(&thread, NULL, wake_shared, word), 0);
    status = support_child(sleep_in_child, word);
    atomic_store(word, 1);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(munmap(word, sizeof(*word)), 0);
}

static void test_barrier(void **state)
{
    (void)state;
    if (verso__os_barrier_announce() < 0)
        skip_because("this kernel has no membarrier, or it is forbidden here");
    assert_int_equal(verso__os_barrier_announce(), 0); /* again */
    assert_int_equal(verso__os_barrier(), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_another_value_does_not_sleep),
        cmocka_unit_test(test_deadlines_are_moments),
        cmocka_unit_test(test_what_is_no_word),
        cmocka_unit_test(test_waking),
        cmocka_unit_test(test_signals_leave_it_asleep),
        cmocka_unit_test(test_shared_words),
        cmocka_unit_test(test_barrier),
    };

    return run_test_list(list);
}
