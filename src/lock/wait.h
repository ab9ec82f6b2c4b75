/* SPDX-License-Identifier: MIT */
/*
 * wait.h - how every lock here waits: looks for a while, then sleeps in slices, with an eye on whoever it waits for.
 *
 * Death ends a sleep because verso__share_wait() watches the owner. But a sleeper can watch only the owner it saw, and
 * the lock may go from hand to hand while it sleeps: nobody wakes it when the third in line dies. Somebody may also
 * die between letting go of a lock and waking the next. So no sleep is longer than a slice. While the owner stays the
 * same, slices grow, from 1 ms to 64; as soon as it has changed, they are short again. A lock that is held long costs
 * its sleepers nothing worth naming, and each of them soon watches the right one.
 */
#ifndef VERSO_SRC_LOCK_WAIT_H
#define VERSO_SRC_LOCK_WAIT_H

#include "base/fail.h"
#include "share/share.h"

#include <stdbool.h>

struct verso__lock_wait {
    uint64_t look_until_ns;
    uint64_t deadline_ns;             /* 0: there is no waiting at all */
    struct verso__share_seat watched; /* who was slept for last */
    uint64_t slice_ns;
    unsigned pauses;
    bool doubts; /* whether it lives is to be asked thoroughly, not of its mark alone */
};

struct verso__lock_wait verso__lock_wait_begin(int timeout_ms);

/* False: a time limit of 0. */
static inline bool verso__lock_may_sleep(const struct verso__lock_wait *wait)
{
    return wait->deadline_ns != 0;
}

/* Pauses; false when it is time to sleep instead. */
bool verso__lock_look_again(struct verso__lock_wait *wait);

/* Whether @owner is proven dead: by its mark, one load, since a sleep looks at the other proofs; by all of them when no
 * sleep will come, or the sleep has said so. */
bool verso__lock_is_dead(const struct verso__lock_wait *wait, const struct verso__share_seat *owner);

/*
 * Sleeps a slice at most, while *@word is @expected and @owner lives. 0: look again; -ETIMEDOUT: the deadline is over,
 * look a last time; else -errno of futex.
 */
int verso__lock_sleep(struct verso__lock_wait *wait, const uint32_t *word, uint32_t expected,
                      const struct verso__share_seat *owner);

/* The same, for nobody in particular. */
int verso__lock_doze(const struct verso__lock_wait *wait, const uint32_t *word, uint32_t expected);

/* What a common way leaves behind for the others: apart, so that it needs no more registers than it has work for. */
#define VERSO__SLOW __attribute__((noinline, cold))

/* Any number of sleepers. */
#define VERSO__LOCK_ALL 0x7fffffffU

void verso__lock_wake(const uint32_t *word, uint32_t count);

/* What a public call answers when a wait has failed. */
int verso__lock_fail(int error, int timeout_ms, const char *step);

#endif
