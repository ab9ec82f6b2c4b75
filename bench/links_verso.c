/* SPDX-License-Identifier: MIT */
/* links_verso - the channel, as its users use it: copies in, and out again or looked at where it lies. */
#include "bench.h"
#include "links.h"

#include <stdlib.h>
#include <string.h>
#include <verso/channel.h>

struct verso_link {
    struct verso_channel_end end;
    struct verso_channel *direction[2];
    struct verso_channel_writer *writer;
    struct verso_channel_reader *reader;
};

static void *channels_make(const struct link_plan *plan, const char **out_why)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    struct verso_link *link = calloc(1, sizeof(*link));

    (void)out_why;
    if (!link)
        bench_die("calloc");
    options.kind = plan->shape == LINK_MANY ? VERSO_CHANNEL_MPSC : VERSO_CHANNEL_SPSC;
    options.flags = VERSO_CHANNEL_LASTING;
    options.capacity_bytes = plan->message_bytes * 16;
    if (options.capacity_bytes < 256 << 10)
        options.capacity_bytes = 256 << 10;
    link->end = (struct verso_channel_end)VERSO_CHANNEL_END_INIT;
    if (plan->wait == LINK_SPINS)
        link->end.look_ns = VERSO_CHANNEL_NEVER_SLEEP;
    for (int i = 0; i < 2; i++)
        bench_check(verso_channel_create(NULL, &options, &link->direction[i]));
    return link;
}

static void channels_join(void *arg, int side)
{
    struct verso_link *link = arg;

    bench_check(verso_channel_writer_open(link->direction[side], &link->end, &link->writer));
    if (side == 1 || verso_channel_reader_open(link->direction[1], &link->end, &link->reader) < 0)
        link->reader = NULL; /* one of several senders, who never receives */
    if (side == 1)
        bench_check(verso_channel_reader_open(link->direction[0], &link->end, &link->reader));
}

static void channels_send(void *arg, int side, const void *data, size_t bytes)
{
    const struct verso_link *link = arg;

    (void)side;
    bench_check(verso_channel_send(link->writer, data, bytes, -1));
}

static const void *channels_receive(void *arg, int side, void *out_data, size_t bytes)
{
    const struct verso_link *link = arg;

    (void)side;
    bench_check(verso_channel_read(link->reader, out_data, bytes, -1, NULL));
    return out_data;
}

static const void *channels_show(void *arg, int side, void *room, size_t bytes)
{
    const struct verso_link *link = arg;
    struct verso_channel_message message;

    (void)side;
    (void)room;
    bench_check(verso_channel_receive(link->reader, -1, &message));
    return message.bytes == bytes ? message.data : NULL;
}

static void channels_unmake(void *arg)
{
    struct verso_link *link = arg;

    for (int i = 0; i < 2; i++)
        verso_channel_close(link->direction[i]);
    free(link);
}

const struct link_kind link_verso = {
    "verso",
    LINK_SPINS | LINK_SLEEPS,
    LINK_BOTH_WAYS | LINK_ONE_WAY | LINK_MANY,
    channels_make,
    channels_join,
    channels_send,
    channels_receive,
    channels_unmake,
};

const struct link_kind link_verso_in_place = {
    "verso, in place",
    LINK_SPINS | LINK_SLEEPS,
    LINK_BOTH_WAYS | LINK_ONE_WAY,
    channels_make,
    channels_join,
    channels_send,
    channels_show,
    channels_unmake,
};
