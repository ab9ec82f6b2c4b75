/* SPDX-License-Identifier: MIT */
/*
 * waking - who sleeps is woken by what it sleeps for. A wake-up that is lost would only make others late, as they look
 * for themselves now and then; so here somebody sleeps who doesn't: at the very word, as the kernel knows it.
 */
#include "locks.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#define WAITERS ((uint64_t)1 << 31)

struct raw_sleep {
    const uint32_t *word;
    uint32_t expected;
};

/* 0: woken, or the word had changed before. */
static int sleep_raw(void *arg)
{
    const struct raw_sleep *sleep = arg;
    const struct timespec limit = { 20, 0 };

    if (syscall(SYS_futex, sleep->word, FUTEX_WAIT, sleep->expected, &limit, NULL, 0) == 0 || errno == EAGAIN)
        return 0;
    return errno;
}

#define SLEEPERS 2

static struct other sleepers[SLEEPERS];
static struct raw_sleep raw;

static const uint32_t *low_half(const uint64_t *word)
{
    return (const uint32_t *)(const void *)word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

static void put_to_sleep(const uint32_t *word, size_t count)
{
    raw = (struct raw_sleep){ word, __atomic_load_n(word, __ATOMIC_RELAXED) };
    for (size_t i = 0; i < count; i++) {
        sleepers[i] = (struct other){ .act = sleep_raw, .arg = &raw };
        other_start(&sleepers[i]);
    }
    sleep_ms(20); /* should one not sleep by now, it sees that the word has changed */
}

static void all_are_awake(size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(other_join(&sleepers[i]), 0);
}

static void sleep_at_word(uint64_t *word, size_t count)
{
    (void)__atomic_fetch_or(word, WAITERS, __ATOMIC_RELAXED);
    put_to_sleep(low_half(word), count);
}

static void test_mutex(void **state)
{
    (void)state;
    assert_ok(verso_mutex_lock(&stage->mutex, 0));
    sleep_at_word(&stage->mutex.word, 1);
    assert_ok(verso_mutex_unlock(&stage->mutex));
    all_are_awake(1);
}

static int lock_and_look(void *arg)
{
    struct verso_mutex *mutex = arg;
    int r = verso_mutex_lock(mutex, 20000);
    bool is_marked = __atomic_load_n(&mutex->word, __ATOMIC_RELAXED) & WAITERS;

    if (r == 0)
        r = verso_mutex_unlock(mutex);
    return r < 0 ? r : is_marked;
}

/* Who has slept can't know who sleeps on, and wakes one more. */
static void test_woken_to_wake(void **state)
{
    struct other other = { .act = lock_and_look, .arg = &stage->mutex };

    (void)state;
    assert_ok(verso_mutex_lock(&stage->mutex, 0));
    other_start(&other);
    while (!(__atomic_load_n(&stage->mutex.word, __ATOMIC_RELAXED) & WAITERS))
        sleep_ms(1);
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_int_equal(other_join(&other), 1);
}

static void test_rwlock_by_the_writer(void **state)
{
    (void)state;
    assert_ok(verso_rwlock_write(&stage->rwlock, 0));
    sleep_at_word(&stage->rwlock.word, SLEEPERS);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    all_are_awake(SLEEPERS);
}

static uint32_t *own_entry(void)
{
    for (size_t i = 0; i < VERSO_RWLOCK_READERS; i++)
        if (stage->rwlock.readers[i] != 0)
            return &stage->rwlock.readers[i];
    fail();
    return NULL;
}

static void test_rwlock_by_a_reader(void **state)
{
    uint32_t *entry;

    (void)state;
    assert_ok(verso_rwlock_read(&stage->rwlock, 0));
    entry = own_entry();
    (void)__atomic_fetch_or(entry, (uint32_t)WAITERS, __ATOMIC_RELAXED);
    put_to_sleep(entry, SLEEPERS);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    all_are_awake(SLEEPERS);
}

/* A reader finds the dead writer first: those who sleep for it are to look as well. */
static void test_rwlock_of_the_dead(void **state)
{
    (void)state;
    assert_int_equal(in_killed_child(write_it, &stage->rwlock), 0);
    sleep_at_word(&stage->rwlock.word, SLEEPERS);
    assert_fails(verso_rwlock_read(&stage->rwlock, 0), VERSO_E_OWNER_DIED);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    all_are_awake(SLEEPERS);
}

static void test_once(void **state)
{
    (void)state;
    assert_int_equal(verso_once_begin(&stage->once, 0), VERSO_ONCE_DO);
    sleep_at_word(&stage->once.word, 1);
    assert_ok(verso_once_end(&stage->once, 0));
    all_are_awake(1);
    assert_int_equal(verso_once_begin(&stage->once, 0), VERSO_ONCE_DO);
    sleep_at_word(&stage->once.word, SLEEPERS);
    assert_ok(verso_once_end(&stage->once, 1));
    all_are_awake(SLEEPERS);
}

static void test_event(void **state)
{
    (void)state;
    assert_fails(verso_event_wait(&stage->event, 1), -ETIMEDOUT); /* leaves its mark */
    put_to_sleep(&stage->event.word, SLEEPERS);
    assert_ok(verso_event_set(&stage->event));
    all_are_awake(SLEEPERS);
}

static void test_semaphore(void **state)
{
    (void)state;
    stage->semaphore.sleepers = SLEEPERS;
    put_to_sleep(&stage->semaphore.units, SLEEPERS);
    assert_ok(verso_semaphore_post(&stage->semaphore, SLEEPERS));
    all_are_awake(SLEEPERS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_mutex),
        stage_test(test_woken_to_wake),
        stage_test(test_rwlock_by_the_writer),
        stage_test(test_rwlock_by_a_reader),
        stage_test(test_rwlock_of_the_dead),
        stage_test(test_once),
        stage_test(test_event),
        stage_test(test_semaphore),
    };

    return run_test_list(tests);
}
