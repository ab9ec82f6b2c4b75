/* SPDX-License-Identifier: MIT */
/* locks.h - a share with locks in it, and others who use them: threads, processes, and the dead. */
#ifndef VERSO_TESTS_LOCKS_H
#define VERSO_TESTS_LOCKS_H

#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <verso/lock.h>
#include <verso/share.h>

/* The content of each test's share. */
struct stage {
    struct verso_mutex mutex;
    struct verso_mutex other;
    struct verso_mutex bench; /* to sit down by */
    struct verso_once once;
    struct verso_event event;
    struct verso_semaphore semaphore;
    struct verso_rwlock rwlock __attribute__((aligned(64)));
    uint64_t pair[2]; /* equal, but in the middle of a change */
    uint32_t signal;  /* for tests to pass the word: atomically */
};

static struct verso_share *stage_share;
static struct stage *stage;

static inline int stage_open(void **state)
{
    (void)state;
    if (verso_share_create_anonymous(sizeof(struct stage), NULL, &stage_share) < 0)
        return -1;
    stage = verso_share_data(stage_share);
    return 0;
}

static inline int stage_close(void **state)
{
    (void)state;
    verso_share_close(stage_share);
    return 0;
}

#define stage_test(test) cmocka_unit_test_setup_teardown(test, stage_open, stage_close)

static inline void sleep_ms(unsigned ms)
{
    const struct timespec time = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

    (void)nanosleep(&time, NULL);
}

/* ---- Others ---- */

/* In another thread, or another process: answers what @act does, which asserts nothing itself. */
typedef int act_function(void *arg);

struct other {
    act_function *act;
    void *arg;
    int answer;
    pthread_t thread;
};

static inline void *other_run(void *arg)
{
    struct other *other = arg;

    other->answer = other->act(other->arg);
    return NULL;
}

static inline void other_start(struct other *other)
{
    other->answer = 12345;
    assert_int_equal(pthread_create(&other->thread, NULL, other_run, other), 0);
}

static inline int other_join(struct other *other)
{
    assert_int_equal(pthread_join(other->thread, NULL), 0);
    return other->answer;
}

/* In a thread, which then ends: what it still holds is a dead owner's. */
static inline int in_thread(act_function *act, void *arg)
{
    struct other other = { .act = act, .arg = arg };

    other_start(&other);
    return other_join(&other);
}

/* In a child that then kills itself; what it answered comes through the share. */
static inline int in_killed_child(act_function *act, void *arg)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        __atomic_store_n(&stage->signal, (uint32_t)act(arg), __ATOMIC_RELEASE);
        (void)kill(getpid(), SIGKILL);
        _exit(99);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return (int)__atomic_load_n(&stage->signal, __ATOMIC_ACQUIRE);
}

/* ---- What others do ---- */

static inline int lock_it(void *arg)
{
    return verso_mutex_lock(arg, 10000);
}

static inline int unlock_it(void *arg)
{
    return verso_mutex_unlock(arg);
}

/* Takes a seat, so that what follows is the common way and not a thread's first. */
static inline int sit_down(void)
{
    int r = verso_mutex_lock(&stage->bench, 10000);

    return r == 0 ? verso_mutex_unlock(&stage->bench) : r;
}

static inline int try_it(void *arg)
{
    int r = sit_down() < 0 ? 1 : verso_mutex_lock(arg, 0);

    return r == 0 ? verso_mutex_unlock(arg) : r;
}

static inline int read_it(void *arg)
{
    return verso_rwlock_read(arg, 10000);
}

static inline int write_it(void *arg)
{
    return verso_rwlock_write(arg, 10000);
}

static inline int try_read(void *arg)
{
    int r = sit_down() < 0 ? 1 : verso_rwlock_read(arg, 0);

    return r == 0 ? verso_rwlock_unlock(arg) : r;
}

static inline int try_write(void *arg)
{
    int r = sit_down() < 0 ? 1 : verso_rwlock_write(arg, 0);

    return r == 0 ? verso_rwlock_unlock(arg) : r;
}

static inline int begin_it(void *arg)
{
    return verso_once_begin(arg, 10000);
}

#endif
