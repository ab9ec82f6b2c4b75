/* SPDX-License-Identifier: MIT */
/* quiet - where nobody is in the way no call makes a system call: the kernel is told to kill for one. And the layout.
 * */
#include "locks.h"

#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* A thousand of each. Answers the number of failures. */
static unsigned use_all(void)
{
    unsigned failures = 0;

    for (int i = 0; i < 1000; i++) {
        failures += verso_mutex_lock(&stage->mutex, -1) != 0;
        failures += verso_mutex_unlock(&stage->mutex) != 0;
        failures += verso_rwlock_read(&stage->rwlock, 0) != 0;
        failures += verso_rwlock_unlock(&stage->rwlock) != 0;
        failures += verso_rwlock_write(&stage->rwlock, 5) != 0;
        failures += verso_rwlock_unlock(&stage->rwlock) != 0;
        failures += verso_once_begin(&stage->once, -1) != VERSO_ONCE_DONE;
        failures += verso_event_set(&stage->event) != 0;
        failures += verso_event_wait(&stage->event, -1) != 0;
        failures += verso_event_reset(&stage->event) != 0;
        failures += verso_semaphore_post(&stage->semaphore, 1) != 0;
        failures += verso_semaphore_wait(&stage->semaphore, -1) != 0;
    }
    return failures;
}

/* In strict mode a thread may read, write and exit; anything else is SIGKILL. */
static int use_all_strictly(void *arg)
{
    unsigned failures;

    (void)arg;
    if (verso_once_begin(&stage->once, 0) != VERSO_ONCE_DO || verso_once_end(&stage->once, 1) != 0)
        return 2;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
        return 77;
    failures = use_all();
    return (int)syscall(SYS_exit, failures == 0 ? 0 : 1);
}

static void test_no_system_call(void **state)
{
    int status;

    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("a sanitizer may make system calls of its own");
    status = support_child(use_all_strictly, NULL);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip_because("no seccomp here");
    assert_int_equal(status, 0);
}

/* After a fight, too: who waited is gone, and no mark of it stays. */
static void test_no_mark_stays(void **state)
{
    struct other other = { .act = lock_it, .arg = &stage->mutex };

    (void)state;
    assert_ok(verso_mutex_lock(&stage->mutex, 0));
    other_start(&other);
    sleep_ms(10);
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_int_equal(other_join(&other), 0);
    assert_fails(verso_mutex_lock(&stage->mutex, 0), VERSO_E_OWNER_DIED);
    assert_ok(verso_mutex_consistent(&stage->mutex));
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_true(stage->mutex.word == 0);
}

/* docs/internals/locks.md, byte by byte. */
static void test_layout(void **state)
{
    uint32_t halves[2];
    uint64_t word;

    (void)state;
    assert_int_equal(sizeof(struct verso_mutex), 8);
    assert_int_equal(sizeof(struct verso_once), 8);
    assert_int_equal(sizeof(struct verso_event), 4);
    assert_int_equal(sizeof(struct verso_semaphore), 8);
    assert_int_equal(offsetof(struct verso_semaphore, sleepers), 4);
    assert_int_equal(sizeof(struct verso_rwlock), 1088);
    assert_int_equal(offsetof(struct verso_rwlock, lines), 8);
    assert_int_equal(offsetof(struct verso_rwlock, readers), 64);
    assert_ok(verso_mutex_lock(&stage->mutex, 0));
    word = stage->mutex.word;
    halves[0] = (uint32_t)word;
    halves[1] = (uint32_t)(word >> 32);
    assert_in_range(halves[0], 1, 256); /* seat number + 1, no flag */
    assert_in_range(halves[1], 1, 0x7fffffff);
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_ok(verso_rwlock_read(&stage->rwlock, 0));
    assert_true(stage->rwlock.lines == (uint64_t)1 << (halves[0] - 1) % 16);
    assert_int_equal(stage->rwlock.readers[(halves[0] - 1) % 16 * 16 + (halves[0] - 1) / 16], halves[1]);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_ok(verso_rwlock_write(&stage->rwlock, 0));
    assert_true(stage->rwlock.word == word);
    assert_ok(verso_rwlock_unlock(&stage->rwlock));
    assert_int_equal(verso_once_begin(&stage->once, 0), VERSO_ONCE_DO);
    assert_true(stage->once.word == word);
    assert_ok(verso_once_end(&stage->once, 1));
    assert_true(stage->once.word == (uint64_t)1 << 29);
    assert_int_equal(in_thread(lock_it, &stage->mutex), 0);
    assert_fails(verso_mutex_lock(&stage->mutex, 0), VERSO_E_OWNER_DIED);
    assert_ok(verso_mutex_unlock(&stage->mutex));
    assert_true(stage->mutex.word == (uint64_t)1 << 30);
    assert_ok(verso_event_set(&stage->event));
    assert_int_equal(stage->event.word, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stage_test(test_no_system_call),
        stage_test(test_no_mark_stays),
        stage_test(test_layout),
    };

    return run_test_list(tests);
}
