/* SPDX-License-Identifier: MIT */
/*
 * wait - looking for a while, then sleeping at a bell and at the life words of the other side.
 *
 *     sleeper                                    mover
 *     seen = bell |= 1                           publishes
 *     barrier, in all processes                  (only the compiler is held back)
 *     looks again: not yet                       looks at the bell: bit 0? then adds one, and wakes
 *     sleeps while the bell is `seen`
 *
 * Before each sleep the other side's places are looked through: the dead are put in order, and told of; the living are
 * watched while it sleeps.
 */
#include "channel/channel.h"

#include "base/pause.h"
#include "base/sums.h"

#include <errno.h>

#define SLICE_NS UINT64_C(100000000)
#define SLICE_UNSURE_NS UINT64_C(1000000) /* where a death could be seen by looking alone */
#define SLICE_WANTED_NS UINT64_C(1000000) /* how long a writer holds out for more room than it needs */
#define LOOKS_OF_ONE_CLOCK 64
#define SPIN_NS 2000 /* in one go: the one that is waited for may stand in line for this processor */

#define YIELDS 2
#define YIELD_LONG_NS 20000 /* longer than any message takes */
#define YIELDS_OFF 100

void verso__channel_ring_slowly(const struct verso__channel_side *side, struct verso__channel_bell *bell,
                                unsigned count)
{
    uint32_t word = atomic_load(&bell->word);

    while (word & 1)
        if (atomic_compare_exchange_weak(&bell->word, &word, word + 1)) {
            verso__share_wake(&bell->word, count);
            if (atomic_load(&bell->armed))
                verso__channel_ring_armed(side, bell);
            return;
        }
}

/* Looks until @end_ns. As the look. */
static int look_until(const struct verso__channel_wait *wait, uint64_t end_ns)
{
    int r;

    do {
        for (int i = 0; i < LOOKS_OF_ONE_CLOCK; i++) {
            r = wait->look(wait->end, wait->arg);
            if (r != -EAGAIN)
                return r;
            verso__pause();
        }
    } while (verso__os_clock_ns() < end_ns);
    return r;
}

/*
 * Lets the other side run, should it stand in line for this processor: it can answer without any of the two going to
 * sleep. Where others stand in line who take long, this is left alone for a while.
 */
static int look_after_yielding(const struct verso__channel_wait *wait)
{
    struct verso__channel_side *side = wait->side;
    uint64_t start, now = verso__os_clock_ns();
    int r = -EAGAIN;

    if (side->yields_off > 0) {
        side->yields_off--;
        return -EAGAIN;
    }
    for (int i = 0; r == -EAGAIN && i < YIELDS; i++) {
        start = now;
        verso__os_yield();
        r = wait->look(wait->end, wait->arg);
        now = verso__os_clock_ns();
        if (r == -EAGAIN && now - start > YIELD_LONG_NS) {
            side->yields_off = YIELDS_OFF;
            break;
        }
    }
    return r;
}

/* ---- The other side ---- */

static _Atomic uint64_t *deaths_of(const struct verso__channel_wait *wait)
{
    return wait->is_writer ? &wait->side->lane->dead_readers : &wait->side->lane->dead_writers;
}

static _Atomic uint64_t *opened_of(const struct verso__channel_wait *wait)
{
    return wait->is_writer ? &wait->side->lane->opened_readers : &wait->side->lane->opened_writers;
}

/* *out_alive: of the other side. */
static int see_others(const struct verso__channel_wait *wait, bool is_thorough,
                      struct verso__channel_others *out_others, unsigned *out_alive)
{
    struct verso__channel_side *side = wait->side;
    int r = wait->is_writer ? verso__channel_see_readers(side, is_thorough, out_others)
                            : verso__channel_see_writers(side, is_thorough, out_others);

    *out_alive = out_others->alive;
    if (r == 0 && !wait->is_writer && side->flags & VERSO_CHANNEL_REDELIVER)
        r = verso__channel_see_readers(side, is_thorough, out_others); /* what they hold may come back */
    if (r == 0 && wait->is_writer && side->way->make_room && side->writers_most > 1)
        r = verso__channel_see_writers(side, is_thorough, out_others); /* what they reserve may be in the way */
    return r;
}

/* 0; VERSO_E_PEER_DIED, until it has been told; -EPIPE: none is left. */
int verso__channel_look_at_others(const struct verso__channel_wait *wait, bool is_thorough,
                                  struct verso__channel_others *out_others)
{
    struct verso__channel_side *side = wait->side;
    unsigned alive;
    bool is_never_full = wait->is_writer && side->way == &verso__channel_each; /* without readers */
    int r;

    verso__channel_see_nobody(out_others);
    if (side->see)
        return side->see(side, is_thorough, out_others);
    r = see_others(wait, is_thorough, out_others, &alive);
    if (r < 0)
        return r;
    if (atomic_load(deaths_of(wait)) != side->deaths_told)
        return VERSO_E_PEER_DIED;
    if (alive == 0 && atomic_load(opened_of(wait)) != 0 && !is_never_full && !(side->flags & VERSO_CHANNEL_LASTING))
        return -EPIPE;
    return 0;
}

/* ---- Sleeping ---- */

int verso__channel_barrier(const struct verso__channel_side *side)
{
    if (side->channel->has_barrier)
        return verso__os_barrier_shared();
    atomic_thread_fence(memory_order_seq_cst); /* movers have theirs: see `fences` */
    return 0;
}

static uint64_t slice_of(const struct verso__channel_wait *wait, const struct verso__channel_others *others)
{
    if (others->is_unsure)
        return SLICE_UNSURE_NS;
    return wait->wanted && !wait->is_impatient ? SLICE_WANTED_NS : SLICE_NS;
}

/* One sleep at most. 0: look again; -ETIMEDOUT: the deadline is over. *out_doubts: look thoroughly. */
static int sleep_once(struct verso__channel_wait *wait, const struct verso__channel_others *others, uint32_t seen,
                      uint64_t deadline_ns, bool *out_doubts)
{
    uint64_t now = verso__os_clock_ns();
    int r;

    if (now >= deadline_ns)
        return -ETIMEDOUT;
    verso__channel_publish(&wait->sleeps->count, atomic_load_explicit(&wait->sleeps->count, memory_order_relaxed) + 1);
    verso__channel_publish(&wait->sleeps->is_asleep, 1);
    r = verso__share_wait(&wait->bell->word, seen, others->seats, others->seat_count,
                          verso__min_u64(deadline_ns, now + slice_of(wait, others)));
    verso__channel_publish(&wait->sleeps->is_asleep, 0);
    wait->is_impatient |= r == -ETIMEDOUT;
    *out_doubts = r == -EOWNERDEAD || r == -ETIMEDOUT;
    return *out_doubts ? 0 : r;
}

/* The step that failed is in *out_step. */
static int sleep_until(struct verso__channel_wait *wait, uint64_t deadline_ns, const char **out_step)
{
    struct verso__channel_others others;
    bool doubts = false;
    int r, told;

    for (;;) {
        uint32_t seen;

        if (wait->wanted)
            atomic_store(&wait->bell->wanted, wait->is_impatient ? 0 : wait->wanted(wait->end, wait->arg));
        seen = atomic_fetch_or(&wait->bell->word, 1) | 1;
        *out_step = "membarrier";
        r = verso__channel_barrier(wait->side);
        if (r < 0)
            return r;
        told = verso__channel_look_at_others(wait, doubts, &others);
        r = wait->look(wait->end, wait->arg); /* after: who has gone left nothing behind that this does not see */
        if (r != -EAGAIN)
            return r;
        *out_step = "peers";
        if (told < 0)
            return told;
        *out_step = "futex";
        r = sleep_once(wait, &others, seen, deadline_ns, &doubts);
        if (r < 0)
            return r;
        if (!wait->is_writer && wait->side->way->wakes < wait->side->readers_most) {
            (void)atomic_fetch_or(&wait->bell->word, 1); /* others may sleep still, and who sends now wakes them: */
            *out_step = "membarrier";
            r = verso__channel_barrier(wait->side); /* or what is sent is seen behind what is taken here */
            if (r < 0)
                return r;
        }
        r = wait->look(wait->end, wait->arg);
        if (r != -EAGAIN)
            return r;
    }
}

/* Who never sleeps is told of no death but by looking. */
static bool is_time_to_ask(struct verso__channel_side *side, uint64_t now)
{
    if (now - side->asked_ns < SLICE_NS)
        return false;
    side->asked_ns = now;
    return true;
}

static int spin_until(const struct verso__channel_wait *wait, uint64_t deadline_ns, const char **out_step)
{
    struct verso__channel_others others;
    uint64_t seen_ns = verso__os_clock_ns();
    int r, told;

    for (;;) {
        uint64_t now = verso__os_clock_ns();

        if (now >= deadline_ns)
            return -ETIMEDOUT;
        r = look_until(wait, verso__min_u64(deadline_ns, now + SPIN_NS));
        if (r != -EAGAIN)
            return r;
        verso__os_yield();
        if (now - seen_ns < SLICE_UNSURE_NS)
            continue;
        seen_ns = now;
        told = verso__channel_look_at_others(wait, is_time_to_ask(wait->side, now), &others);
        r = wait->look(wait->end, wait->arg);
        *out_step = "peers";
        if (r != -EAGAIN || told < 0)
            return r != -EAGAIN ? r : told;
    }
}

int verso__channel_peek(const struct verso__channel_wait *wait)
{
    struct verso__channel_others others;
    int r = wait->look(wait->end, wait->arg), told;
    uint64_t now;

    if (r != -EAGAIN)
        return r;
    now = verso__os_clock_ns();
    if (now - wait->side->looked_ns < SLICE_UNSURE_NS)
        return -EAGAIN;
    wait->side->looked_ns = now;
    told = verso__channel_look_at_others(wait, is_time_to_ask(wait->side, now), &others);
    r = wait->look(wait->end, wait->arg);
    return r == -EAGAIN && told < 0 ? told : r;
}

int verso__channel_fail_wait(const struct verso__channel_wait *wait, int code, const char *step)
{
    static const char *const hints[2][3] = {
        { "nothing is there: give a time limit to wait", "nothing came in time", "the last writer has left" },
        { "the ring is full: give a time limit to wait", "no room came in time", "the last reader has left" },
    };
    const char *hint = NULL;

    if (code == VERSO_E_PEER_DIED && !wait->side->see)
        wait->side->deaths_told = atomic_load(deaths_of(wait));
    if (code == -EAGAIN || code == -ETIMEDOUT || code == -EPIPE) {
        hint = hints[wait->is_writer][code == -EAGAIN ? 0 : code == -ETIMEDOUT ? 1 : 2];
        step = wait->is_writer ? "send" : "receive";
    }
    return verso__fail_hint(code, step, wait->side->channel->share->path, hint);
}

int verso__channel_wait_for(const struct verso__channel_wait *given, int timeout_ms)
{
    struct verso__channel_wait wait = *given;
    const char *step = "look";
    uint64_t now, deadline_ns;
    int r = timeout_ms == 0 ? verso__channel_peek(&wait) : wait.look(wait.end, wait.arg);

    if (r == -EAGAIN && timeout_ms != 0) {
        now = verso__os_clock_ns();
        deadline_ns = timeout_ms < 0 ? VERSO__OS_NEVER : now + (uint64_t)timeout_ms * 1000000U;
        if (wait.side->look_ns == VERSO_CHANNEL_NEVER_SLEEP) {
            r = spin_until(&wait, deadline_ns, &step);
        } else {
            if (wait.side->look_ns)
                r = look_until(&wait, verso__min_u64(deadline_ns, now + wait.side->look_ns));
            if (r == -EAGAIN)
                r = look_after_yielding(&wait);
            if (r == -EAGAIN)
                r = sleep_until(&wait, deadline_ns, &step);
        }
    }
    return r == 0 ? 0 : verso__channel_fail_wait(&wait, r, step);
}
