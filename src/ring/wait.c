/* SPDX-License-Identifier: MIT */
/*
 * wait - sleeping until the other side has moved, and being told that it never will.
 *
 *     sleeper                                    mover
 *     asleep = 1                                 moved = n
 *     barrier (in every thread of the process)   (only the compiler is held back)
 *     look at moved: not enough                  look at asleep: 0, nobody to wake
 *     futex: sleep while asleep is 1
 *
 * One of the two looks must find the other's store, or the sleep would have no end. Both could pass each other in the
 * processors' store buffers; a full barrier between store and look, on both sides, forbids it. That barrier would cost
 * every commit more than the rest of it (5 to 8 ns). So the sleeper, who is about to lose microseconds anyway, has the
 * kernel run it on both (membarrier); where there is none, both sides use sequentially consistent accesses instead.
 */
#include "base/pause.h"
#include "ring/ring.h"

#include <errno.h>

/* About what falling asleep and being woken cost: looking no longer than that is never more than twice as dear as
 * having known how long it takes. */
#define LOOK_NS 2000

/* Milliseconds from now as a deadline; negative: never. */
static uint64_t deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? VERSO__OS_NEVER : verso__os_clock_ns() + (uint64_t)timeout_ms * 1000000U;
}

/* Looks a while. As verso__ring_check(). */
static int look_for_a_while(struct verso_ring *ring, enum verso__ring_role role, size_t least)
{
    uint64_t end = verso__os_clock_ns() + LOOK_NS;
    int r;

    do {
        verso__pause();
        r = verso__ring_check(ring, role, least);
    } while (r == -EAGAIN && verso__os_clock_ns() < end);
    return r;
}

/* Says what is slept for, and from now on the other side knows. */
static int go_to_bed(const struct verso_ring *ring, struct verso__ring_side *side, size_t least)
{
    atomic_store_explicit(&side->wanted, atomic_load_explicit(&side->moved, memory_order_relaxed) + least,
                          memory_order_relaxed);
    atomic_store(&side->asleep, 1);
    return ring->has_barrier ? verso__os_barrier() : 0;
}

/* One sleep at most; 0: look again. @out_step: what failed. */
static int sleep_once(struct verso_ring *ring, enum verso__ring_role role, size_t least, uint64_t deadline_ns,
                      const char **out_step)
{
    struct verso__ring_side *side = &ring->sides[role];
    int r = go_to_bed(ring, side, least);

    *out_step = "membarrier";
    if (r == 0 && verso__ring_check(ring, role, least) == -EAGAIN) {
        *out_step = "futex";
        atomic_fetch_add_explicit(&side->sleeps, 1, memory_order_relaxed);
        r = verso__os_futex_wait(&side->asleep, 1, deadline_ns, 0);
    }
    atomic_store_explicit(&side->asleep, 0, memory_order_relaxed);
    return r;
}

static int wait_for(struct verso_ring *ring, enum verso__ring_role role, size_t least, int timeout_ms)
{
    const char *step = "wait";
    uint64_t deadline_ns;
    int r, slept = 0;

    if (!ring)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (least == 0)
        least = 1;
    if (verso__ring_is_known(ring, role, least))
        return 0;
    r = verso__ring_check(ring, role, least);
    if (r == -EAGAIN && timeout_ms != 0) {
        deadline_ns = deadline_of(timeout_ms);
        r = look_for_a_while(ring, role, least);
        while (r == -EAGAIN && slept == 0) {
            slept = sleep_once(ring, role, least, deadline_ns, &step);
            r = verso__ring_check(ring, role, least); /* after a failure, too: what came in the last moment counts */
        }
    }
    if (r == 0)
        return 0;
    if (r != -EAGAIN)
        return verso__ring_refuse(ring, role, r, "wait");
    if (slept == 0 || slept == -ETIMEDOUT)
        return verso__fail_hint(-ETIMEDOUT, "wait", NULL, "the other side did not move so far in time");
    return verso__fail(slept, step, NULL);
}

int verso_ring_wait_room(struct verso_ring *ring, size_t least_bytes, int timeout_ms)
{
    return wait_for(ring, VERSO__RING_PRODUCER, least_bytes, timeout_ms);
}

int verso_ring_wait_data(struct verso_ring *ring, size_t least_bytes, int timeout_ms)
{
    return wait_for(ring, VERSO__RING_CONSUMER, least_bytes, timeout_ms);
}

/* ---- Waking ---- */

static void wake(struct verso__ring_side *side)
{
    if (atomic_exchange(&side->asleep, 0))
        verso__os_futex_wake(&side->asleep, 1, 0);
}

void verso__ring_wake(struct verso_ring *ring, enum verso__ring_role role, uint64_t limit)
{
    struct verso__ring_side *side = &ring->sides[role];

    /* Acquire: what is wanted was stored before. The counters wrap, so their difference is what can be compared. */
    if (atomic_load_explicit(&side->asleep, memory_order_acquire) &&
        (int64_t)(limit - atomic_load_explicit(&side->wanted, memory_order_relaxed)) >= 0)
        wake(side);
}

void verso_ring_shutdown(struct verso_ring *ring)
{
    if (!ring)
        return;
    atomic_store(&ring->is_shut_down, true);
    wake(&ring->sides[VERSO__RING_PRODUCER]);
    wake(&ring->sides[VERSO__RING_CONSUMER]);
}
