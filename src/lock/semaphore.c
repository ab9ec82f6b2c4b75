/* SPDX-License-Identifier: MIT */
/*
 * semaphore - units, and how many sleep until there are some.
 *
 *     sleeper                                    poster
 *     sleepers + 1                               units + n
 *     sleep while units is 0                     look at sleepers: 0, nobody to wake
 *
 * The kernel compares units when it puts the sleeper to bed, so one of the two looks finds the other's store. Who is
 * killed asleep stays counted: posting then wakes nobody, at the price of a system call. Who is killed between being
 * woken and taking leaves a unit that others sleep beside: they look for themselves after a slice (wait.h).
 */
#include "lock/wait.h"

#include <verso/lock.h>

#include <errno.h>

#define STEP "semaphore"

int verso_semaphore_post(struct verso_semaphore *semaphore, uint32_t count)
{
    uint32_t units;

    if (!semaphore)
        return verso__fail(-EINVAL, "arguments", NULL);
    units = __atomic_load_n(&semaphore->units, __ATOMIC_RELAXED);
    do
        if (units > VERSO_SEMAPHORE_MAX || count > VERSO_SEMAPHORE_MAX - units)
            return verso__fail(-EOVERFLOW, STEP, NULL);
    while (!__atomic_compare_exchange_n(&semaphore->units, &units, units + count, true, __ATOMIC_SEQ_CST,
                                        __ATOMIC_RELAXED));
    if (__atomic_load_n(&semaphore->sleepers, __ATOMIC_SEQ_CST) != 0)
        verso__lock_wake(&semaphore->units, count);
    return 0;
}

static inline bool take_unit(struct verso_semaphore *semaphore)
{
    uint32_t units = __atomic_load_n(&semaphore->units, __ATOMIC_RELAXED);

    while (units != 0)
        if (__atomic_compare_exchange_n(&semaphore->units, &units, units - 1, true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return true;
    return false;
}

static VERSO__SLOW int wait_slowly(struct verso_semaphore *semaphore, int timeout_ms)
{
    struct verso__lock_wait wait = verso__lock_wait_begin(timeout_ms);
    int slept = 0;

    while (verso__lock_look_again(&wait))
        if (take_unit(semaphore))
            return 0;
    if (!verso__lock_may_sleep(&wait))
        return verso__lock_fail(-ETIMEDOUT, timeout_ms, STEP);
    (void)__atomic_fetch_add(&semaphore->sleepers, 1, __ATOMIC_SEQ_CST);
    while (slept == 0) {
        slept = verso__lock_doze(&wait, &semaphore->units, 0);
        if (take_unit(semaphore))
            slept = 1;
    }
    (void)__atomic_fetch_sub(&semaphore->sleepers, 1, __ATOMIC_RELAXED);
    return slept > 0 ? 0 : verso__lock_fail(slept, timeout_ms, STEP);
}

int verso_semaphore_wait(struct verso_semaphore *semaphore, int timeout_ms)
{
    if (!semaphore)
        return verso__fail(-EINVAL, "arguments", NULL);
    return take_unit(semaphore) ? 0 : wait_slowly(semaphore, timeout_ms);
}
