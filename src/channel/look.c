/* SPDX-License-Identifier: MIT */
/*
 * look - who is in a channel, place by place; and a channel seen from outside.
 *
 * Nothing is locked and nothing is written: what is read is of several moments, each word checked on its own.
 */
#include "channel/channel.h"

#include "base/sums.h"

#include <errno.h>
#include <string.h>

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* ---- What is held ---- */

/* What a walk over the places goes by. */
struct look {
    const struct verso_channel *channel;
    struct verso__channel_side side;
    uint64_t writers_hold, readers_hold; /* a bit for each place */
};

/* From the head to the tail: who has reserved, who has taken. Records that are written over meanwhile end the walk. */
static void find_held(struct look *look)
{
    const struct verso__channel_side *side = &look->side;
    uint64_t head = side->way->head(side) & ~UINT64_C(7);
    uint64_t room = verso__min_u64(load(&side->lane->tail) - head, verso__channel_capacity(side));
    uint64_t span;

    for (uint64_t walked = 0; walked < room; walked += span) {
        uint64_t header = atomic_load_explicit(verso__channel_at(side, head + walked), memory_order_acquire);
        uint32_t place = verso__channel_place(header);

        span = verso__channel_span_of(side, header);
        if (span == 0 || verso__channel_state(header) == VERSO__CHANNEL_NOTHING)
            break;
        if (place < VERSO__CHANNEL_PLACES && verso__channel_state(header) == VERSO__CHANNEL_RESERVED)
            look->writers_hold |= UINT64_C(1) << place;
        if (place < VERSO__CHANNEL_PLACES && verso__channel_state(header) == VERSO__CHANNEL_TAKEN)
            look->readers_hold |= UINT64_C(1) << place;
    }
}

/* ---- Places ---- */

static void add_owner(const struct verso_channel *channel, uint64_t owner, struct verso_channel_place *place)
{
    struct verso_share_member member;

    if (owner == 0)
        return;
    place->is_alive = !verso__channel_is_dead(channel, owner);
    place->process = -1;
    if (verso__share_member_describe(channel->share, (uint32_t)owner - 1, (uint32_t)(owner >> 32), &member) < 0)
        return;
    place->process = member.process;
    memcpy(place->name, member.name, sizeof(place->name));
}

static bool see_writer(const struct look *look, uint32_t number, struct verso_channel_place *out_place)
{
    const struct verso__channel_writer_place *own = &look->side.lane->writers[number];
    uint64_t owner = load(&own->owner);

    *out_place = (struct verso_channel_place){
        .number = number,
        .is_writer = 1,
        .messages = load(&own->sent),
        .bytes = load(&own->sent_bytes),
        .lost = load(&own->dropped),
        .sleeps = load(&own->sleeps.count),
        .is_asleep = owner != 0 && load(&own->sleeps.is_asleep) != 0,
        .holds = owner != 0 && look->writers_hold >> number & 1,
    };
    add_owner(look->channel, owner, out_place);
    return owner != 0 || out_place->messages || out_place->lost || out_place->sleeps;
}

/* How much of the ring lies before a reader: of those that share a queue, before whoever takes next. */
static uint64_t lag_of(const struct look *look, const struct verso__channel_reader_place *own)
{
    const struct verso__channel_side *side = &look->side;
    bool has_own = side->way == &verso__channel_direct || look->channel->plan.kind == VERSO_CHANNEL_BROADCAST;
    uint64_t position = load(has_own ? &own->position : &side->lane->next);
    uint64_t lag = load(&side->lane->tail) - position;

    if (lag > UINT64_MAX / 2) /* the tail lags itself: after a death */
        return 0;
    return verso__min_u64(lag, verso__channel_capacity(side));
}

static bool see_reader(const struct look *look, uint32_t number, struct verso_channel_place *out_place)
{
    const struct verso__channel_reader_place *own = &look->side.lane->readers[number];
    uint64_t owner = load(&own->owner);
    bool has_passed = look->side.way == &verso__channel_direct && load(&own->passed) != load(&own->position);

    *out_place = (struct verso_channel_place){
        .number = number,
        .messages = load(&own->received),
        .bytes = load(&own->received_bytes),
        .lost = load(&own->lost),
        .sleeps = load(&own->sleeps.count),
        .is_asleep = owner != 0 && load(&own->sleeps.is_asleep) != 0,
        .holds = owner != 0 && (has_passed || look->readers_hold >> number & 1),
    };
    if (owner != 0)
        out_place->lag_bytes = lag_of(look, own);
    add_owner(look->channel, owner, out_place);
    return owner != 0 || out_place->messages || out_place->lost || out_place->sleeps;
}

int verso_channel_places(const struct verso_channel *channel,
                         int (*each)(const struct verso_channel_place *place, void *arg), void *arg)
{
    struct look look = { .channel = channel };
    struct verso_channel_place place;
    int r = 0;

    if (!channel || !each)
        return verso__fail(-EINVAL, "arguments", NULL);
    verso__channel_stand(channel, 0, &look.side);
    find_held(&look);
    for (uint32_t i = 0; r == 0 && i < look.side.writers_most; i++)
        if (see_writer(&look, i, &place))
            r = each(&place, arg);
    for (uint32_t i = 0; r == 0 && i < look.side.readers_most; i++)
        if (see_reader(&look, i, &place))
            r = each(&place, arg);
    return r;
}

/* ---- From outside ---- */

int verso_channel_look(const char *name, struct verso_channel_info *out_info)
{
    const struct verso_channel_options any = VERSO_CHANNEL_OPTIONS_INIT;
    struct verso_channel channel = { 0 };
    const char *hint = NULL;
    int r;

    if (!name || !out_info)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = verso__share_peek(name, VERSO__CHANNEL_KIND, VERSO__CHANNEL_VERSION, &channel.share);
    if (r < 0)
        return r;
    r = verso__channel_plan_read(&channel, &any, &hint);
    if (r < 0)
        r = verso__fail_hint(r, "plan", channel.share->path, r == VERSO_E_KIND ? hint : NULL);
    else
        r = verso_channel_info(&channel, out_info);
    verso_share_close(channel.share);
    return r;
}
