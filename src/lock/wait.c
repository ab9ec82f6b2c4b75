/* SPDX-License-Identifier: MIT */
/* wait - looking, sleeping in slices, waking, and what is said when it was in vain. */
#include "lock/wait.h"

#include "base/pause.h"
#include "os/os.h"

#include <errno.h>

/* About what falling asleep and being woken cost: looking no longer than that is never more than twice as dear as
 * having known how long it takes. */
#define LOOK_NS 2000U

#define SLICE_LEAST_NS 1000000U
#define SLICE_MOST_NS 64000000U

struct verso__lock_wait verso__lock_wait_begin(int timeout_ms)
{
    uint64_t now = verso__os_clock_ns();
    struct verso__lock_wait wait = { .look_until_ns = now + LOOK_NS, .deadline_ns = VERSO__OS_NEVER };

    if (timeout_ms == 0)
        return (struct verso__lock_wait){ .doubts = true };
    if (timeout_ms > 0)
        wait.deadline_ns = now + (uint64_t)timeout_ms * 1000000U;
    return wait;
}

bool verso__lock_look_again(struct verso__lock_wait *wait)
{
    /* Fewer and fewer looks: each takes the cache line away from the owner. */
    wait->pauses = wait->pauses < 32 ? wait->pauses * 2 + 1 : wait->pauses;
    for (unsigned i = 0; i < wait->pauses; i++)
        verso__pause();
    return verso__os_clock_ns() < wait->look_until_ns;
}

/* Where a slice of @slice_ns from now ends. */
static uint64_t slice_end(const struct verso__lock_wait *wait, uint64_t slice_ns)
{
    uint64_t end = verso__os_clock_ns() + slice_ns;

    return end < wait->deadline_ns ? end : wait->deadline_ns;
}

bool verso__lock_is_dead(const struct verso__lock_wait *wait, const struct verso__share_seat *owner)
{
    return wait->doubts ? verso__share_seat_is_dead(owner) : verso__share_seat_is_marked(owner);
}

int verso__lock_sleep(struct verso__lock_wait *wait, const uint32_t *word, uint32_t expected,
                      const struct verso__share_seat *owner)
{
    bool is_same = wait->watched.number == owner->number && wait->watched.generation == owner->generation;
    uint64_t end;
    int r;

    if (!is_same)
        wait->slice_ns = SLICE_LEAST_NS;
    else if (wait->slice_ns < SLICE_MOST_NS)
        wait->slice_ns *= 2;
    wait->watched = *owner;
    end = slice_end(wait, wait->slice_ns);
    r = verso__share_wait((const _Atomic uint32_t *)(const void *)word, expected, owner, 1, end);
    wait->doubts = r == -EOWNERDEAD;
    return r == -EOWNERDEAD || (r == -ETIMEDOUT && end != wait->deadline_ns) ? 0 : r;
}

int verso__lock_doze(const struct verso__lock_wait *wait, const uint32_t *word, uint32_t expected)
{
    uint64_t end = slice_end(wait, SLICE_MOST_NS);
    int r;

    r = verso__os_futex_wait((const _Atomic uint32_t *)(const void *)word, expected, end, VERSO__OS_FUTEX_SHARED);
    return r == -ETIMEDOUT && end != wait->deadline_ns ? 0 : r;
}

void verso__lock_wake(const uint32_t *word, uint32_t count)
{
    verso__os_futex_wake((const _Atomic uint32_t *)(const void *)word, count, VERSO__OS_FUTEX_SHARED);
}

int verso__lock_fail(int error, int timeout_ms, const char *step)
{
    if (error != -ETIMEDOUT)
        return verso__fail(error, step, NULL);
    return verso__fail_hint(timeout_ms == 0 ? -EBUSY : -ETIMEDOUT, step, NULL,
                            timeout_ms == 0 ? "a time limit of 0 does not wait" : "it did not come free in time");
}
