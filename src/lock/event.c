/* SPDX-License-Identifier: MIT */
/*
 * event - a word that is 0 until it is SET; or SLEPT_FOR, so that setting it wakes.
 *
 * Whoever sets it may die before it has woken anybody: sleepers look for themselves after a slice (wait.h).
 */
#include "lock/wait.h"

#include <verso/lock.h>

#include <errno.h>

#define STEP "event"

#define SET 1U
#define SLEPT_FOR 2U

int verso_event_set(struct verso_event *event)
{
    if (!event)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (__atomic_exchange_n(&event->word, SET, __ATOMIC_RELEASE) == SLEPT_FOR)
        verso__lock_wake(&event->word, VERSO__LOCK_ALL);
    return 0;
}

int verso_event_reset(struct verso_event *event)
{
    uint32_t set = SET;

    if (!event)
        return verso__fail(-EINVAL, "arguments", NULL);
    (void)__atomic_compare_exchange_n(&event->word, &set, 0, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
    return 0;
}

static VERSO__SLOW int wait_slowly(struct verso_event *event, int timeout_ms)
{
    struct verso__lock_wait wait = verso__lock_wait_begin(timeout_ms);
    int slept = 0;

    for (;;) {
        uint32_t seen = __atomic_load_n(&event->word, __ATOMIC_ACQUIRE);

        if (seen == SET)
            return 0;
        if (!verso__lock_may_sleep(&wait))
            slept = -ETIMEDOUT;
        if (slept < 0)
            return verso__lock_fail(slept, timeout_ms, STEP);
        if (!verso__lock_look_again(&wait) &&
            (seen == SLEPT_FOR ||
             __atomic_compare_exchange_n(&event->word, &seen, SLEPT_FOR, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)))
            slept = verso__lock_doze(&wait, &event->word, SLEPT_FOR);
    }
}

int verso_event_wait(struct verso_event *event, int timeout_ms)
{
    if (!event)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (__atomic_load_n(&event->word, __ATOMIC_ACQUIRE) == SET)
        return 0;
    return wait_slowly(event, timeout_ms);
}
