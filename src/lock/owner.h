/* SPDX-License-Identifier: MIT */
/*
 * owner.h - a word that says who owns something, and goes on saying it when the owner is dead.
 *
 *      63          32 31 30 29 28 27                 0
 *     |  generation  | W| S| D| C|  seat number + 1  |        all 0: free
 *
 * A seat's number and generation name one thread, for as long as it has that seat, and nobody else ever: so a word that
 * names the dead can't be mistaken for one that names the living, and of those who find it, exactly one replaces it.
 * The states, and what the next one finds when the owner dies in them:
 *
 *     free (S?) --take--> owned (S?) --give--> free (S?)          S: suspect, goes through hands and giving unchanged
 *                          owned (S) --absolve--> owned
 *                          owner dies --take--> owned (S)          by whoever comes first, who is told
 *                          owned (C) dies --take--> owned (S?)     it had only claimed: the data is as it was
 *
 * All of an owner's doing to the word is one atomic instruction each: to take, to give, to absolve. Before it the owner
 * was not the owner, or still was. Waking comes after giving, and dying between the two leaves a free word with
 * sleepers: they watch the one that died, and look (wait.h).
 *
 * W: somebody may sleep until it is free. The sleeper sets it; giving clears it, and wakes one; who was woken sets it
 * again when it takes the word, since it can't know whether others sleep on.
 */
#ifndef VERSO_SRC_LOCK_OWNER_H
#define VERSO_SRC_LOCK_OWNER_H

#include "lock/wait.h"

#include <errno.h>

#define VERSO__OWNER_WAITERS ((uint64_t)1 << 31)
#define VERSO__OWNER_SUSPECT ((uint64_t)1 << 30)
#define VERSO__OWNER_DONE ((uint64_t)1 << 29)    /* a once's: nobody will ever own it again */
#define VERSO__OWNER_CLAIMED ((uint64_t)1 << 28) /* a writer's that waits for readers: it has not been inside */
#define VERSO__OWNER_FLAGS ((uint64_t)0xf << 28)

static inline uint64_t verso__owner_name(const struct verso__share_seat *seat)
{
    return (uint64_t)seat->generation << 32 | (seat->number + 1);
}

/* Who owns it: a name, or 0. */
static inline uint64_t verso__owner_of(uint64_t word)
{
    return word & ~VERSO__OWNER_FLAGS;
}

/* The half that sleepers sleep on. */
static inline const uint32_t *verso__owner_half(const uint64_t *word)
{
    return (const uint32_t *)(const void *)word + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
}

/* Whether it was free and is ours now: nobody has died. Sequentially consistent, for readers' sake (rwlock.c). */
static inline bool verso__owner_take_free(uint64_t *word, const struct verso__share_seat *seat)
{
    uint64_t is_free = 0;

    return __atomic_compare_exchange_n(word, &is_free, verso__owner_name(seat), false, __ATOMIC_SEQ_CST,
                                       __ATOMIC_RELAXED);
}

/*
 * Takes it, waiting. 0; VERSO_E_OWNER_DIED: it is ours, and suspect; -EDEADLK: it was ours; -ETIMEDOUT; -errno of
 * futex. @flags: CLAIMED, to stand in the word; DONE: where that stands, don't take, but answer -EALREADY.
 */
int verso__owner_take(uint64_t *word, const struct verso__share_seat *seat, uint64_t flags,
                      struct verso__lock_wait *wait);

/* Whose word it is, once it is somebody's. A number that no seat has, which only a scribbler can have left, is as good
 * as dead. */
static inline struct verso__share_seat verso__owner_seat(struct verso_share *share, uint64_t word)
{
    uint64_t owner = verso__owner_of(word);

    return (struct verso__share_seat){ share, (uint32_t)owner - 1, (uint32_t)(owner >> 32) };
}

/* Sleeps while @seen stands in the word, which is @owner's; answers as verso__lock_sleep(). */
int verso__owner_sleep(uint64_t *word, uint64_t seen, const struct verso__share_seat *owner,
                       struct verso__lock_wait *wait);

/* Frees it, when @seen still stands in it: somebody who is dead. */
void verso__owner_bury(uint64_t *word, uint64_t seen);

/* Puts @next in place of an owner, and its S with it, and wakes up to @count. -EPERM: not ours. */
static inline int verso__owner_give(uint64_t *word, const struct verso__share_seat *seat, uint64_t next, uint32_t count)
{
    uint64_t seen = __atomic_load_n(word, __ATOMIC_RELAXED);

    if (verso__owner_of(seen) != verso__owner_name(seat))
        return -EPERM;
    seen = __atomic_exchange_n(word, next | (seen & VERSO__OWNER_SUSPECT), __ATOMIC_RELEASE);
    if (seen & VERSO__OWNER_WAITERS)
        verso__lock_wake(verso__owner_half(word), count);
    return 0;
}

/* Whether it was ours, with no flags, and is free now: then there is nobody to wake. */
static inline bool verso__owner_give_bare(uint64_t *word, const struct verso__share_seat *seat)
{
    uint64_t own = verso__owner_name(seat);

    return __atomic_compare_exchange_n(word, &own, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* No longer suspect. -EPERM: not ours, or only claimed. */
int verso__owner_absolve(uint64_t *word, const struct verso__share_seat *seat);

#endif
