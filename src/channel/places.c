/* SPDX-License-Identifier: MIT */
/*
 * places - who may send and receive here, and what is to be done when one of them has died.
 *
 * A place names a member, and the member's lock tells whether it lives. Places of writers change under the claim's
 * lock, those of readers under the one that their way names. Owner is stored last when a place is taken and when it is
 * freed: who dies on the way leaves it as it was, and the next one does all of it again.
 */
#include "channel/channel.h"

#include <errno.h>

/* ---- Names ---- */

static uint64_t name_of(uint32_t number, uint32_t generation)
{
    return (uint64_t)generation << 32 | (number + 1);
}

int verso__channel_who(struct verso_channel *channel, uint64_t *out_owner, uint64_t *out_seat)
{
    const struct verso__share_seat *seat;
    uint32_t number, generation;
    int r = verso__share_seat_of(channel->lane, &seat); /* all lanes lie in one share */

    if (r < 0)
        return r;
    *out_seat = name_of(seat->number, seat->generation);
    r = verso__share_member_here(channel->share, &number, &generation);
    if (r == 0)
        *out_owner = name_of(number, generation);
    return r;
}

bool verso__channel_is_dead(const struct verso_channel *channel, uint64_t owner)
{
    return verso__share_member_is_dead(channel->share, (uint32_t)owner - 1, (uint32_t)(owner >> 32));
}

/* ---- Locks ---- */

static int lock(struct verso_mutex *mutex, int timeout_ms, int too_late)
{
    int r = verso_mutex_lock(mutex, timeout_ms);

    if (r == VERSO_E_OWNER_DIED)
        r = verso_mutex_consistent(mutex);
    if (r == -ETIMEDOUT)
        return verso__fail_hint(too_late, "lock", NULL, "another one keeps the lock of the channel: it is stopped?");
    if (r == -EDEADLK || r == -EPERM) /* our name was written there, or written over */
        return verso__fail(VERSO_E_CORRUPT, "lock", NULL);
    return r;
}

int verso__channel_lock_for(struct verso_mutex *mutex, int timeout_ms)
{
    return timeout_ms == 0 ? lock(mutex, VERSO__CHANNEL_MOMENT_MS, -EAGAIN) : lock(mutex, timeout_ms, -ETIMEDOUT);
}

int verso__channel_lock(struct verso_mutex *mutex)
{
    return lock(mutex, VERSO__CHANNEL_KEPT_MS, -EBUSY);
}

void verso__channel_unlock(struct verso_mutex *mutex)
{
    (void)verso_mutex_unlock(mutex); /* fails only where somebody has scribbled over it: then it is not ours any more */
}

/* ---- What the dead leave in the ring ---- */

int verso__channel_find_end(const struct verso__channel_side *side, uint64_t *out_tail, uint64_t *out_number)
{
    uint64_t tail = atomic_load_explicit(&side->lane->tail, memory_order_acquire);
    uint64_t number =
        atomic_load_explicit(&side->lane->number, memory_order_acquire); /* after: never behind the tail */
    uint64_t walked = 0, span, header;

    if (tail & 7)
        return VERSO_E_CORRUPT;
    for (;;) {
        header = atomic_load_explicit(verso__channel_at(side, tail + walked), memory_order_acquire);
        if (verso__channel_state(header) == VERSO__CHANNEL_NOTHING)
            break;
        span = verso__channel_span_of(side, header);
        if (verso__channel_has_number(side, tail + walked, span))
            number = verso__channel_number(side, tail + walked) + 1;
        walked += span;
        if (span == 0 || walked > side->mask)
            return VERSO_E_CORRUPT;
    }
    *out_tail = tail + walked;
    *out_number = number;
    return 0;
}

void verso__channel_give_up(struct verso__channel_side *side, uint64_t position, uint64_t header)
{
    uint64_t expected = header;

    if (atomic_compare_exchange_strong(
            verso__channel_at(side, position), &expected,
            verso__channel_void(verso__channel_place(header), verso__channel_span_of(side, header))))
        atomic_fetch_add_explicit(&side->lane->given_up, 1, memory_order_relaxed);
}

/* Under the claim's lock: no reservation of @place is left between the head and the tail. */
static int bury_reservations(struct verso__channel_side *side, uint32_t place)
{
    uint64_t position = side->way->head(side), walked = 0, span, header;

    if (position & 7)
        return VERSO_E_CORRUPT;
    for (;;) {
        header = atomic_load_explicit(verso__channel_at(side, position + walked), memory_order_acquire);
        if (verso__channel_state(header) == VERSO__CHANNEL_NOTHING)
            return 0;
        if (verso__channel_state(header) == VERSO__CHANNEL_RESERVED && verso__channel_place(header) == place)
            verso__channel_give_up(side, position + walked, header);
        span = verso__channel_span_of(side, header);
        walked += span;
        if (span == 0 || walked > side->mask)
            return VERSO_E_CORRUPT;
    }
}

/* Under the claim's lock. */
static int bury_writer(struct verso__channel_side *side, uint32_t place)
{
    struct verso__channel_lane *lane = side->lane;
    int r = bury_reservations(side, place);

    if (r < 0)
        return r;
    verso__channel_clear_bell(side, false, place);
    atomic_fetch_add(&lane->dead_writers, 1);
    atomic_store(&lane->writers[place].owner, 0);
    return 0;
}

/* Under the readers' lock. */
static int bury_reader(struct verso__channel_side *side, uint32_t place)
{
    int r = side->way->bury(side, place);

    if (r < 0)
        return r;
    verso__channel_clear_bell(side, true, place);
    atomic_fetch_add(&side->lane->dead_readers, 1);
    atomic_store(&side->lane->readers[place].owner, 0);
    return 0;
}

/* ---- Looking ---- */

/* How to go through the places of one side. */
struct look {
    struct verso__channel_side *side;
    struct verso__channel_others *others;
    bool is_thorough;
    bool has_lock;
    bool found_dead;
};

/* Whether the owner of a place is to be buried; the living are to be watched. */
static bool is_over(struct look *look, uint64_t owner, uint64_t seat)
{
    struct verso_channel *channel = look->side->channel;
    struct verso__share_seat one = { channel->share, (uint32_t)seat - 1, (uint32_t)(seat >> 32) };
    bool is_marked = verso__share_seat_is_marked(&one);

    if ((is_marked || look->is_thorough) && verso__channel_is_dead(channel, owner)) {
        look->found_dead = true;
        return look->has_lock;
    }
    look->others->alive++;
    if (is_marked)
        look->others->is_unsure = true; /* its thread has ended, and the process has not, or not yet */
    else
        look->others->seats[look->others->seat_count++] = one;
    return false;
}

static int look_at_writers(struct look *look)
{
    for (uint32_t i = 0; i < look->side->writers_most; i++) {
        struct verso__channel_writer_place *place = &look->side->lane->writers[i];
        uint64_t owner = atomic_load(&place->owner);

        if (owner != 0 && is_over(look, owner, atomic_load(&place->seat))) {
            int r = bury_writer(look->side, i);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

static int look_at_readers(struct look *look)
{
    for (uint32_t i = 0; i < look->side->readers_most; i++) {
        struct verso__channel_reader_place *place = &look->side->lane->readers[i];
        uint64_t owner = atomic_load(&place->owner);

        if (owner != 0 && is_over(look, owner, atomic_load(&place->seat))) {
            int r = bury_reader(look->side, i);

            if (r < 0)
                return r;
        }
    }
    return 0;
}

void verso__channel_see_nobody(struct verso__channel_others *out_others)
{
    out_others->alive = 0;
    out_others->seat_count = 0;
    out_others->is_unsure = false;
}

/* Once without the lock; and only when somebody is dead, once more with it. */
static int see(struct verso__channel_side *side, bool is_thorough, struct verso_mutex *mutex,
               int (*look_at)(struct look *look), struct verso__channel_others *out_others)
{
    struct look look = { side, out_others, is_thorough, false, false };
    unsigned alive = out_others->alive;
    size_t seat_count = out_others->seat_count;
    int r;

    r = look_at(&look);
    if (r < 0 || !look.found_dead)
        return r;
    r = verso__channel_lock_for(mutex, 0);
    if (r == -EAGAIN) {
        out_others->is_unsure = true; /* they are buried another time */
        return 0;
    }
    if (r < 0)
        return r;
    out_others->alive = alive;
    out_others->seat_count = seat_count;
    look.has_lock = true;
    r = look_at(&look);
    verso__channel_unlock(mutex);
    return r;
}

int verso__channel_see_writers(struct verso__channel_side *side, bool is_thorough,
                               struct verso__channel_others *out_others)
{
    return see(side, is_thorough, &side->lane->claim, look_at_writers, out_others);
}

int verso__channel_see_readers(struct verso__channel_side *side, bool is_thorough,
                               struct verso__channel_others *out_others)
{
    return see(side, is_thorough, side->way->readers_lock(side->lane), look_at_readers, out_others);
}
