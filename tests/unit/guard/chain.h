/* SPDX-License-Identifier: MIT */
/*
 * chain.h - what the tests of the guard among other handlers share: each case is played in a child, which begins with
 * the default action and may die as it should.
 */
#ifndef VERSO_TESTS_CHAIN_H
#define VERSO_TESTS_CHAIN_H

#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "ranges.h"

/* In a child: says what went wrong and where, and ends it. */
#define expect(condition)                                                                 \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            _exit(99);                                                                    \
        }                                                                                 \
    } while (0)

#define assert_exits(function, wanted)                     \
    do {                                                   \
        int status_now = support_child(function, NULL);    \
        assert_true(WIFEXITED(status_now));                \
        assert_int_equal(WEXITSTATUS(status_now), wanted); \
    } while (0)

#define assert_dies_of(function, wanted)                \
    do {                                                \
        int status_now = support_child(function, NULL); \
        assert_true(WIFSIGNALED(status_now));           \
        assert_int_equal(WTERMSIG(status_now), wanted); \
    } while (0)

/* Memory past the end of its file: one page watched by the guard, one that is nobody's. */
static struct watched ours;
static unsigned char *foreign;
static size_t page;

static inline int set_up(void **state)
{
    int fd;

    if (support_setup(state) < 0)
        return -1;
    page = verso__os_page_bytes();
    fd = memfd_create("empty", MFD_CLOEXEC);
    assert_true(fd >= 0);
    foreign = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true((void *)foreign != MAP_FAILED);
    watch_fd(&ours, fd, page, PROT_READ | PROT_WRITE, MAP_SHARED);
    return 0;
}

static inline int tear_down(void **state)
{
    unwatch(&ours);
    assert_int_equal(munmap(foreign, page), 0);
    return support_teardown(state);
}

static inline void touch(unsigned char *data)
{
    *(volatile unsigned char *)data = 1;
}

/* One that only the guard can answer. */
static inline bool guard_answers(void)
{
    return verso_guard_fill(ours.data, 1, 1) == 0;
}

static inline void mend(void *address)
{
    expect(mmap(address, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == address);
}

static inline void handle_with(void (*handler)(int, siginfo_t *, void *), int flags, int blocked)
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO };

    expect(sigemptyset(&action.sa_mask) == 0);
    if (blocked)
        expect(sigaddset(&action.sa_mask, blocked) == 0);
    expect(sigaction(SIGBUS, &action, NULL) == 0);
}

static inline bool is_blocked(int number)
{
    sigset_t now;

    expect(pthread_sigmask(SIG_SETMASK, NULL, &now) == 0);
    return sigismember(&now, number) == 1;
}

#endif
