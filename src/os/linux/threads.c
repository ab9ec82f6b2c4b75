/* SPDX-License-Identifier: MIT */
/* threads - sleeping and waking (futex), and barriers that one thread pays for all (membarrier). */
#include "os/linux/kernel.h"
#include "os/os.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static int operation(int what, unsigned flags)
{
    return flags & VERSO__OS_FUTEX_SHARED ? what : what | FUTEX_PRIVATE_FLAG;
}

/* FUTEX_WAIT_BITSET, since plain FUTEX_WAIT takes its timeout from now on: each signal would start it over. */
int verso__os_futex_wait(const _Atomic uint32_t *word, uint32_t expected, uint64_t deadline_ns, unsigned flags)
{
    struct timespec deadline = { .tv_sec = (time_t)(deadline_ns / 1000000000U),
                                 .tv_nsec = (long)(deadline_ns % 1000000000U) };
    long r;

    do
        r = syscall(SYS_futex, word, operation(FUTEX_WAIT_BITSET, flags), expected,
                    deadline_ns == VERSO__OS_NEVER ? NULL : &deadline, NULL, FUTEX_BITSET_MATCH_ANY);
    while (r < 0 && errno == EINTR);
    return r < 0 && errno != EAGAIN ? -errno : 0;
}

void verso__os_futex_wake(const _Atomic uint32_t *word, unsigned count, unsigned flags)
{
    int before = errno; /* may be called by a signal handler */

    (void)syscall(SYS_futex, word, operation(FUTEX_WAKE, flags), count, NULL, NULL, 0);
    errno = before;
}

int verso__os_futex_wait_any(const struct verso__os_futex_word *words, unsigned count, uint64_t deadline_ns)
{
    struct timespec deadline = { .tv_sec = (time_t)(deadline_ns / 1000000000U),
                                 .tv_nsec = (long)(deadline_ns % 1000000000U) };
    struct verso__futex_waitv entries[VERSO__OS_FUTEX_WORDS_MAX] = { 0 };
    long r;

    if (count > VERSO__OS_FUTEX_WORDS_MAX)
        return -EINVAL;
    for (unsigned i = 0; i < count; i++)
        entries[i] = (struct verso__futex_waitv){ .value = words[i].expected,
                                                  .address = (uintptr_t)words[i].word,
                                                  .flags = VERSO__FUTEX_32 };
    do
        r = syscall(SYS_futex_waitv, entries, count, 0, deadline_ns == VERSO__OS_NEVER ? NULL : &deadline,
                    CLOCK_MONOTONIC);
    while (r < 0 && errno == EINTR);
    return r < 0 && errno != EAGAIN ? -errno : 0;
}

void verso__os_yield(void)
{
    (void)sched_yield(); /* can't fail on Linux */
}

int verso__os_barrier_announce(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) < 0 ? -errno : 0;
}

int verso__os_barrier(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) < 0 ? -errno : 0;
}

int verso__os_barrier_shared_announce(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) < 0 ? -errno : 0;
}

int verso__os_barrier_shared(void)
{
    return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0) < 0 ? -errno : 0;
}

static pthread_once_t forks_once = PTHREAD_ONCE_INIT;
static atomic_uint forks;

static void count_fork(void)
{
    atomic_fetch_add_explicit(&forks, 1, memory_order_relaxed);
}

static void watch_forks(void)
{
    (void)pthread_atfork(NULL, NULL, count_fork);
}

unsigned verso__os_forks(void)
{
    (void)pthread_once(&forks_once, watch_forks);
    return atomic_load_explicit(&forks, memory_order_relaxed);
}
