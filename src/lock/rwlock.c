/* SPDX-License-Identifier: MIT */
/*
 * rwlock - a writer's word, and an entry for each seat that may read.
 *
 *     word     whose it is for writing (owner.h); C while that one waits for readers to leave
 *     lines    which lines of entries were ever used: what a writer has to look at
 *     readers  [16 entries][16 entries]...     an entry is 0, or the generation of the seat that reads; W: who wants to
 *              seat 0 16   seat 1 17           write sleeps until it is 0
 *
 * The hard idea is that a reader needs no count. A count can't be put right when one that it counts dies; an entry says
 * who is reading, so the dead are told from the living, and their entries are cleared by the writer that meets them.
 * Entries of seats with near numbers lie in different cache lines: readers store to no line that another one uses.
 *
 *     reader                                     writer
 *     entry = generation                         word = own name
 *     look at word: free                         look at lines, entries: all 0
 *
 * One of the two looks must find the other's store, so all four are sequentially consistent. The reader gives way.
 *
 * Who sits beyond the entries reads alone: as a writer that never stops claiming.
 */
#include "lock/owner.h"

#include <verso/lock.h>

#define STEP "rwlock"

#define LINE_ENTRIES 16U
#define LINES (VERSO_RWLOCK_READERS / LINE_ENTRIES)
#define ENTRY_WAITERS ((uint32_t)1 << 31)

_Static_assert(sizeof(struct verso_rwlock) == 64 + 4 * VERSO_RWLOCK_READERS, "the layout is fixed");

static uint32_t *entry_of(struct verso_rwlock *rwlock, uint32_t number)
{
    return &rwlock->readers[number % LINES * LINE_ENTRIES + number / LINES];
}

static bool has_entry(const struct verso__share_seat *seat)
{
    return seat->number < VERSO_RWLOCK_READERS;
}

static uint64_t line_of(const struct verso__share_seat *seat)
{
    return (uint64_t)1 << seat->number % LINES;
}

static bool is_reading(struct verso_rwlock *rwlock, const struct verso__share_seat *seat)
{
    if (!has_entry(seat))
        return false;
    return (__atomic_load_n(entry_of(rwlock, seat->number), __ATOMIC_RELAXED) & ~ENTRY_WAITERS) == seat->generation;
}

static int no_seat(const struct verso_rwlock *rwlock, int error)
{
    return verso__fail(rwlock ? error : -EINVAL, rwlock ? "seat" : "arguments", NULL);
}

/* ---- Alone: to write ---- */

/* What a writer knows while it waits for readers. */
struct drain {
    struct verso_rwlock *rwlock;
    struct verso_share *share;
    struct verso__lock_wait wait;
};

/* Until nobody who lives reads by this entry. */
static int await_reader(struct drain *drain, uint32_t number)
{
    uint32_t *entry = entry_of(drain->rwlock, number);
    int slept = 0;

    for (;;) {
        uint32_t seen = __atomic_load_n(entry, __ATOMIC_SEQ_CST), marked = seen | ENTRY_WAITERS;
        struct verso__share_seat reader = { drain->share, number, seen & ~ENTRY_WAITERS };

        if (reader.generation == 0)
            return 0;
        if (verso__lock_is_dead(&drain->wait, &reader)) {
            (void)__atomic_compare_exchange_n(entry, &seen, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
            continue;
        }
        if (slept < 0 || !verso__lock_may_sleep(&drain->wait))
            return slept < 0 ? slept : -ETIMEDOUT;
        if (verso__lock_look_again(&drain->wait))
            continue;
        if (seen == marked ||
            __atomic_compare_exchange_n(entry, &seen, marked, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            slept = verso__lock_sleep(&drain->wait, entry, marked, &reader);
    }
}

static int await_readers(struct drain *drain)
{
    uint64_t lines = __atomic_load_n(&drain->rwlock->lines, __ATOMIC_SEQ_CST);
    int r = 0;

    for (uint32_t number = 0; r == 0 && number < VERSO_RWLOCK_READERS; number++)
        if (lines >> number % LINES & 1)
            r = await_reader(drain, number);
    return r;
}

/* Whether all entries are 0. */
static bool has_no_readers(const struct verso_rwlock *rwlock)
{
    uint64_t lines = __atomic_load_n(&rwlock->lines, __ATOMIC_SEQ_CST);
    uint32_t any = 0;

    for (lines &= ((uint64_t)1 << LINES) - 1; lines != 0; lines &= lines - 1) {
        const uint32_t *entries = &rwlock->readers[(unsigned)__builtin_ctzll(lines) * LINE_ENTRIES];

        for (unsigned i = 0; i < LINE_ENTRIES; i++)
            any |= __atomic_load_n(&entries[i], __ATOMIC_SEQ_CST);
    }
    return any == 0;
}

/* @is_taken: the word is ours already, the readers are to be waited for. @to_write: else C stays: our death does no
 * harm. */
static int enter_alone(struct verso_rwlock *rwlock, const struct verso__share_seat *seat, bool is_taken, bool to_write,
                       int timeout_ms)
{
    struct drain drain = { rwlock, seat->share, { 0 } };
    int r = 0, drained;

    if (is_taken)
        (void)__atomic_fetch_or(&rwlock->word, VERSO__OWNER_CLAIMED, __ATOMIC_RELAXED);
    drain.wait = verso__lock_wait_begin(timeout_ms);
    if (!is_taken)
        r = verso__owner_take(&rwlock->word, seat, VERSO__OWNER_CLAIMED, &drain.wait);
    if (r < 0 && r != VERSO_E_OWNER_DIED)
        return r;
    drained = await_readers(&drain);
    if (drained < 0)
        (void)verso__owner_give(&rwlock->word, seat, 0, VERSO__LOCK_ALL);
    else if (to_write)
        (void)__atomic_fetch_and(&rwlock->word, ~VERSO__OWNER_CLAIMED, __ATOMIC_RELAXED);
    return drained < 0 ? drained : r;
}

static VERSO__SLOW int write_slowly(struct verso_rwlock *rwlock, int timeout_ms)
{
    const struct verso__share_seat *seat;
    int r = verso__share_seat_of(rwlock, &seat);

    if (r < 0)
        return no_seat(rwlock, r);
    if (is_reading(rwlock, seat))
        return verso__fail(-EDEADLK, STEP, NULL);
    r = enter_alone(rwlock, seat, false, true, timeout_ms);
    return r < 0 ? verso__lock_fail(r, timeout_ms, STEP) : 0;
}

/* The word is ours, but there are readers. */
static VERSO__SLOW int wait_to_write(struct verso_rwlock *rwlock, const struct verso__share_seat *seat, int timeout_ms)
{
    int r = enter_alone(rwlock, seat, true, true, timeout_ms);

    return r < 0 ? verso__lock_fail(r, timeout_ms, STEP) : 0;
}

int verso_rwlock_write(struct verso_rwlock *rwlock, int timeout_ms)
{
    const struct verso__share_seat *seat = verso__share_seat_here(rwlock);

    if (__builtin_expect(!seat || is_reading(rwlock, seat) || !verso__owner_take_free(&rwlock->word, seat), 0))
        return write_slowly(rwlock, timeout_ms);
    if (__builtin_expect(has_no_readers(rwlock), 1))
        return 0;
    return wait_to_write(rwlock, seat, timeout_ms);
}

/* ---- Together: to read ---- */

/* Stores to an entry of ours. A writer may sleep there until the seat's last tenant, or we, are gone. */
static void entry_set(uint32_t *entry, uint32_t value)
{
    if (__atomic_exchange_n(entry, value, __ATOMIC_SEQ_CST) & ENTRY_WAITERS)
        verso__lock_wake(entry, VERSO__LOCK_ALL);
}

/* 0; VERSO_E_OWNER_DIED: we read, and the data is suspect; -EDEADLK; -EAGAIN: *out_seen is a writer's. */
static int try_to_read(struct verso_rwlock *rwlock, const struct verso__share_seat *seat, uint64_t *out_seen)
{
    uint64_t line = line_of(seat), seen = __atomic_load_n(&rwlock->word, __ATOMIC_RELAXED);
    uint32_t *entry = entry_of(rwlock, seat->number);

    if (is_reading(rwlock, seat))
        return -EDEADLK;
    if (verso__owner_of(seen) == 0) {
        if (!(__atomic_load_n(&rwlock->lines, __ATOMIC_SEQ_CST) & line))
            (void)__atomic_fetch_or(&rwlock->lines, line, __ATOMIC_SEQ_CST);
        entry_set(entry, seat->generation);
        seen = __atomic_load_n(&rwlock->word, __ATOMIC_SEQ_CST);
        if (verso__owner_of(seen) == 0)
            return seen & VERSO__OWNER_SUSPECT ? VERSO_E_OWNER_DIED : 0;
        entry_set(entry, 0);
    }
    *out_seen = seen;
    return verso__owner_of(seen) == verso__owner_name(seat) ? -EDEADLK : -EAGAIN;
}

/* Until the writer that was @seen is gone. */
static int read_slowly(struct verso_rwlock *rwlock, const struct verso__share_seat *seat, uint64_t seen, int timeout_ms)
{
    struct verso__lock_wait wait = verso__lock_wait_begin(timeout_ms);
    struct verso__share_seat writer;
    int r, slept = 0;

    do {
        writer = verso__owner_seat(seat->share, seen);
        if (verso__lock_is_dead(&wait, &writer))
            verso__owner_bury(&rwlock->word, seen);
        else if (slept < 0)
            return slept;
        else if (!verso__lock_look_again(&wait))
            slept = verso__owner_sleep(&rwlock->word, seen, &writer, &wait);
        r = try_to_read(rwlock, seat, &seen);
    } while (r == -EAGAIN);
    return r;
}

static VERSO__SLOW int read_otherwise(struct verso_rwlock *rwlock, int timeout_ms)
{
    const struct verso__share_seat *seat;
    uint64_t seen;
    int r = verso__share_seat_of(rwlock, &seat);

    if (r < 0)
        return no_seat(rwlock, r);
    if (has_entry(seat)) {
        r = try_to_read(rwlock, seat, &seen);
        if (r == -EAGAIN)
            r = read_slowly(rwlock, seat, seen, timeout_ms);
    } else {
        r = enter_alone(rwlock, seat, false, false, timeout_ms);
    }
    return r < 0 ? verso__lock_fail(r, timeout_ms, STEP) : 0;
}

int verso_rwlock_read(struct verso_rwlock *rwlock, int timeout_ms)
{
    const struct verso__share_seat *seat = verso__share_seat_here(rwlock);
    uint32_t *entry, is_free = 0;

    if (__builtin_expect(!seat || !has_entry(seat) || __atomic_load_n(&rwlock->word, __ATOMIC_RELAXED) != 0 ||
                             !(__atomic_load_n(&rwlock->lines, __ATOMIC_SEQ_CST) & line_of(seat)),
                         0))
        return read_otherwise(rwlock, timeout_ms);
    entry = entry_of(rwlock, seat->number);
    if (__builtin_expect(
            !__atomic_compare_exchange_n(entry, &is_free, seat->generation, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED),
            0))
        return read_otherwise(rwlock, timeout_ms);
    if (__builtin_expect(__atomic_load_n(&rwlock->word, __ATOMIC_SEQ_CST) == 0, 1))
        return 0;
    entry_set(entry, 0);
    return read_otherwise(rwlock, timeout_ms);
}

/* ---- Both ---- */

static VERSO__SLOW int unlock_slowly(struct verso_rwlock *rwlock)
{
    const struct verso__share_seat *seat;
    int r = verso__share_seat_of(rwlock, &seat);

    if (r < 0)
        return no_seat(rwlock, r);
    if (is_reading(rwlock, seat)) {
        entry_set(entry_of(rwlock, seat->number), 0);
        return 0;
    }
    r = verso__owner_give(&rwlock->word, seat, 0, VERSO__LOCK_ALL);
    return r < 0 ? verso__fail(r, STEP, NULL) : 0;
}

/* Whether we read, nobody waits for us, and now we don't. */
static bool stop_reading(struct verso_rwlock *rwlock, const struct verso__share_seat *seat)
{
    uint32_t *entry = entry_of(rwlock, seat->number), own = seat->generation;

    return __atomic_load_n(entry, __ATOMIC_RELAXED) == own &&
           __atomic_compare_exchange_n(entry, &own, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

int verso_rwlock_unlock(struct verso_rwlock *rwlock)
{
    const struct verso__share_seat *seat = verso__share_seat_here(rwlock);

    if (__builtin_expect(seat && has_entry(seat), 1))
        if (stop_reading(rwlock, seat) || verso__owner_give_bare(&rwlock->word, seat))
            return 0;
    return unlock_slowly(rwlock);
}

int verso_rwlock_consistent(struct verso_rwlock *rwlock)
{
    const struct verso__share_seat *seat;
    int r = verso__share_seat_of(rwlock, &seat);

    if (r < 0)
        return no_seat(rwlock, r);
    r = verso__owner_absolve(&rwlock->word, seat);
    return r < 0 ? verso__fail(r, STEP, NULL) : 0;
}
