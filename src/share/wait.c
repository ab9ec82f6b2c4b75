/* SPDX-License-Identifier: MIT */
/*
 * wait - sleeping at a word, and at the life words of those who should change it.
 *
 * The kernel wakes one of those who sleep at a life word when its thread ends, and that one may die itself; so whoever
 * sees a death wakes the others. And all of it may fail: a process that scribbles, a library that took the robust list
 * away from glibc, a kernel without futex_waitv. Therefore no sleep is longer than a slice, and after each slice the
 * proofs are looked at that nobody can hide.
 */
#include "share/region.h"

#include "base/sums.h"

#include <errno.h>
#include <limits.h>

#define SEATS_MAX VERSO__SHARE_WATCHED_MAX
#define SLICE_NS UINT64_C(100000000)
#define SLICE_WITHOUT_LIFE_NS UINT64_C(10000000)

/* ---- Proofs ---- */

bool verso__share_seat_is_marked(const struct verso__share_seat *seat)
{
    const struct verso_share *share = seat->share;
    const struct verso__share_chair *chair;

    if (seat->number >= verso__share_seats_made(share))
        return true;
    chair = verso__share_chair(share, seat->number);
    if (atomic_load(&chair->generation) != seat->generation || atomic_load(&chair->member) == 0)
        return true;
    return atomic_load(&chair->has_life) && atomic_load(verso__share_life(share, seat->number)) & VERSO__OS_LIFE_OVER;
}

int verso__share_seat_member(const struct verso__share_seat *seat, uint32_t *out_number, uint32_t *out_generation)
{
    const struct verso__share_chair *chair;
    uint32_t member, generation;

    if (seat->number >= verso__share_seats_made(seat->share))
        return -ESRCH;
    chair = verso__share_chair(seat->share, seat->number);
    member = atomic_load(&chair->member);
    generation = atomic_load(&chair->member_generation);
    if (member == 0 || member > seat->share->made.member_count || atomic_load(&chair->generation) != seat->generation)
        return -ESRCH;
    *out_number = member - 1;
    *out_generation = generation;
    return 0;
}

bool verso__share_seat_is_dead(const struct verso__share_seat *seat)
{
    const struct verso_share *share = seat->share;
    uint32_t member, generation;

    if (verso__share_seat_is_marked(seat) || verso__share_seat_member(seat, &member, &generation) < 0)
        return true;
    if (verso__share_member_is_dead(share, member, generation))
        return true;
    if (atomic_load(&verso__share_chair(share, seat->number)->has_life))
        return false;
    return verso__share_thread_is_gone(share, seat->number, member);
}

/* ---- Sleeping ---- */

static int report(const struct verso__share_seat *dead)
{
    if (dead->number < verso__share_seats_made(dead->share))
        verso__os_futex_wake(verso__share_life(dead->share, dead->number), INT_MAX, VERSO__OS_FUTEX_SHARED);
    return -EOWNERDEAD;
}

static int find_dead(const struct verso__share_seat *seats, size_t count,
                     bool is_dead(const struct verso__share_seat *seat))
{
    for (size_t i = 0; i < count; i++)
        if (is_dead(&seats[i]))
            return report(&seats[i]);
    return 0;
}

/* The words to sleep at: what life words said is looked at once more by the kernel. False: not all have one. */
static bool gather(const struct verso__share_seat *seats, size_t count, struct verso__os_futex_word *words,
                   unsigned *out_count)
{
    bool all_tell = true;
    unsigned n = 1;

    for (size_t i = 0; i < count; i++) {
        const struct verso__share_seat *seat = &seats[i];
        const _Atomic uint32_t *life;

        if (seat->number >= verso__share_seats_made(seat->share) ||
            !atomic_load(&verso__share_chair(seat->share, seat->number)->has_life)) {
            all_tell = false;
            continue;
        }
        life = verso__share_life(seat->share, seat->number);
        words[n++] = (struct verso__os_futex_word){ life, atomic_load(life) };
    }
    *out_count = n;
    return all_tell;
}

static int sleep_until(const struct verso__os_futex_word *words, unsigned count, bool all_tell, uint64_t deadline_ns)
{
    static atomic_bool is_missing; /* futex_waitv */
    uint64_t now = verso__os_clock_ns(), slice_ns = all_tell ? SLICE_NS : SLICE_WITHOUT_LIFE_NS;
    int r = -ENOSYS;

    if (count == 1)
        return verso__os_futex_wait(words[0].word, words[0].expected, verso__min_u64(deadline_ns, now + slice_ns),
                                    VERSO__OS_FUTEX_SHARED);
    if (!atomic_load_explicit(&is_missing, memory_order_relaxed))
        r = verso__os_futex_wait_any(words, count, verso__min_u64(deadline_ns, now + slice_ns));
    if (r != -ENOSYS && r != -EPERM)
        return r;
    atomic_store_explicit(&is_missing, true, memory_order_relaxed);
    return verso__os_futex_wait(words[0].word, words[0].expected,
                                verso__min_u64(deadline_ns, now + SLICE_WITHOUT_LIFE_NS), VERSO__OS_FUTEX_SHARED);
}

int verso__share_wait(const _Atomic uint32_t *word, uint32_t expected, const struct verso__share_seat *seats,
                      size_t count, uint64_t deadline_ns)
{
    struct verso__os_futex_word words[SEATS_MAX + 1] = { { word, expected } };
    unsigned words_count;
    bool all_tell;
    int r;

    if (count == 0)
        return verso__os_futex_wait(word, expected, deadline_ns, VERSO__OS_FUTEX_SHARED);
    if (count > SEATS_MAX)
        return -EINVAL;
    all_tell = gather(seats, count, words, &words_count);
    r = find_dead(seats, count, verso__share_seat_is_marked);
    if (r < 0)
        return r;
    r = sleep_until(words, words_count, all_tell, deadline_ns);
    if (r == 0)
        return find_dead(seats, count, verso__share_seat_is_marked);
    if (r != -ETIMEDOUT)
        return r;
    r = find_dead(seats, count, verso__share_seat_is_dead);
    return r < 0 || verso__os_clock_ns() < deadline_ns ? r : -ETIMEDOUT;
}
