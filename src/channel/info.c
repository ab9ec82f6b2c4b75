/* SPDX-License-Identifier: MIT */
/* info - what can be seen from outside: sums over the places, and who has them. */
#include "channel/channel.h"

#include "base/options.h"
#include "base/sums.h"

#include <errno.h>
#include <string.h>

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static void add_writers(const struct verso_channel *channel, struct verso_channel_info *info)
{
    for (uint32_t i = 0; i < channel->plan.writers_most; i++) {
        const struct verso__channel_writer_place *place = &channel->lane->writers[i];
        uint64_t owner = load(&place->owner);

        info->sent += load(&place->sent);
        info->sent_bytes += load(&place->sent_bytes);
        info->dropped += load(&place->dropped);
        info->room_sleeps += load(&place->sleeps.count);
        info->writers += owner != 0 && !verso__channel_is_dead(channel, owner);
    }
}

static void add_readers(const struct verso_channel *channel, struct verso_channel_info *info)
{
    for (uint32_t i = 0; i < channel->plan.readers_most; i++) {
        const struct verso__channel_reader_place *place = &channel->lane->readers[i];
        uint64_t owner = load(&place->owner);

        info->received += load(&place->received);
        info->received_bytes += load(&place->received_bytes);
        info->lost += load(&place->lost);
        info->data_sleeps += load(&place->sleeps.count);
        info->readers += owner != 0 && !verso__channel_is_dead(channel, owner);
    }
}

static unsigned count_clients(const struct verso_channel *channel)
{
    unsigned count = 0;

    for (uint32_t lane = 1; lane <= channel->plan.clients_most; lane++) {
        uint64_t owner = load(&verso__channel_lane_at(channel, lane)->readers[0].owner);

        count += owner != 0 && !verso__channel_is_dead(channel, owner);
    }
    return count;
}

int verso_channel_info(const struct verso_channel *channel, struct verso_channel_info *out_info)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    const struct verso__channel_lane *lane;
    struct verso__channel_side side;
    size_t struct_bytes;

    if (!channel || !out_info)
        return verso__fail(-EINVAL, "arguments", NULL);
    struct_bytes = out_info->struct_bytes;
    if (struct_bytes < sizeof(info))
        return verso__fail(VERSO_E_OPTIONS, "options", NULL);
    lane = channel->lane;
    info.kind = (enum verso_channel_kind)channel->plan.kind;
    info.full = (enum verso_channel_full)channel->plan.full;
    info.flags = channel->plan.flags;
    info.capacity_bytes = channel->plan.capacity_bytes;
    info.message_bytes_most = channel->bytes_most;
    verso__channel_stand(channel, 0, &side);
    info.used_bytes = side.way == &verso__channel_each
                          ? verso__channel_each_used(&side)
                          : verso__min_u64(load(&lane->tail) - side.way->head(&side), info.capacity_bytes);
    add_writers(channel, &info);
    add_readers(channel, &info);
    info.dropped += load(&lane->dropped_oldest);
    info.lost += load(&lane->lost_held);
    info.given_up = load(&lane->given_up);
    info.dead_writers = load(&lane->dead_writers);
    info.dead_readers = load(&lane->dead_readers);
    info.opened_writers = load(&lane->opened_writers);
    info.opened_readers = load(&lane->opened_readers);
    info.writer_room = channel->plan.writers_most;
    info.reader_room = channel->plan.readers_most;
    info.client_room = channel->plan.clients_most;
    info.clients = count_clients(channel);
    info.barrier = atomic_load(&lane->data_bell.fences) ? "fence" : "membarrier";
    info.struct_bytes = struct_bytes;
    *out_info = info;
    return 0;
}
