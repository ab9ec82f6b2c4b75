/* SPDX-License-Identifier: MIT */
/* owner - taking the word from the living and the dead. */
#include "lock/owner.h"

/* What is left of a dead owner's word when it is taken or freed: whether the data is suspect. */
static uint64_t legacy(uint64_t seen)
{
    bool was_inside = verso__owner_of(seen) != 0 && !(seen & VERSO__OWNER_CLAIMED);

    return (seen & VERSO__OWNER_SUSPECT) | (was_inside ? VERSO__OWNER_SUSPECT : 0);
}

/* -EAGAIN: somebody who seems to live has it; *out_seen is what stands in the word. */
static int try_to_take(uint64_t *word, const struct verso__share_seat *seat, uint64_t flags,
                       const struct verso__lock_wait *wait, uint64_t *out_seen)
{
    uint64_t seen = __atomic_load_n(word, __ATOMIC_ACQUIRE);

    for (;;) {
        uint64_t kept = (seen & VERSO__OWNER_WAITERS) | (flags & ~VERSO__OWNER_DONE) | legacy(seen);
        uint64_t taken = verso__owner_name(seat) | kept;
        struct verso__share_seat owner = verso__owner_seat(seat->share, seen);

        *out_seen = seen;
        if (seen & flags & VERSO__OWNER_DONE)
            return -EALREADY;
        if (verso__owner_of(seen) == verso__owner_name(seat))
            return -EDEADLK;
        if (verso__owner_of(seen) != 0 && !verso__lock_is_dead(wait, &owner))
            return -EAGAIN;
        if (__atomic_compare_exchange_n(word, &seen, taken, false, __ATOMIC_SEQ_CST, __ATOMIC_ACQUIRE))
            return taken & VERSO__OWNER_SUSPECT ? VERSO_E_OWNER_DIED : 0;
    }
}

int verso__owner_take(uint64_t *word, const struct verso__share_seat *seat, uint64_t flags,
                      struct verso__lock_wait *wait)
{
    struct verso__share_seat owner;
    uint64_t seen;
    int r, slept = 0;

    while (verso__owner_of(__atomic_load_n(word, __ATOMIC_RELAXED)) != 0 && verso__lock_look_again(wait))
        ;
    for (;;) {
        r = try_to_take(word, seat, flags, wait, &seen);
        if (r != -EAGAIN)
            return r;
        if (slept < 0)
            return slept;
        owner = verso__owner_seat(seat->share, seen);
        slept = verso__owner_sleep(word, seen, &owner, wait);
        flags |= VERSO__OWNER_WAITERS;
    }
}

int verso__owner_sleep(uint64_t *word, uint64_t seen, const struct verso__share_seat *owner,
                       struct verso__lock_wait *wait)
{
    uint64_t marked = seen | VERSO__OWNER_WAITERS;

    if (!verso__lock_may_sleep(wait))
        return -ETIMEDOUT;
    if (seen != marked && !__atomic_compare_exchange_n(word, &seen, marked, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        return 0;
    return verso__lock_sleep(wait, verso__owner_half(word), (uint32_t)marked, owner);
}

void verso__owner_bury(uint64_t *word, uint64_t seen)
{
    if (__atomic_compare_exchange_n(word, &seen, legacy(seen), false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED) &&
        seen & VERSO__OWNER_WAITERS)
        verso__lock_wake(verso__owner_half(word), VERSO__LOCK_ALL);
}

int verso__owner_absolve(uint64_t *word, const struct verso__share_seat *seat)
{
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);

    if (verso__owner_of(seen) != verso__owner_name(seat) || seen & VERSO__OWNER_CLAIMED)
        return -EPERM;
    (void)__atomic_fetch_and(word, ~VERSO__OWNER_SUSPECT, __ATOMIC_RELAXED);
    return 0;
}
