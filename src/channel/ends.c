/* SPDX-License-Identifier: MIT */
/*
 * ends - writers and readers: opened at a place that is free, or whose owner is dead, and closed.
 *
 * Places of writers change under the claim's lock, those of readers under the one that their way names. Owner is stored
 * last when a place is taken, and first of all that is visible when it is freed.
 */
#include "channel/channel.h"

#include <errno.h>
#include <stdlib.h>

#define LOOKS_FOR_A_PLACE 4
#define LOOKS_APART_NS 1000000

int verso__channel_fail_fork(void)
{
    return verso__fail_hint(VERSO_E_RANGE, "fork", NULL, "writers and readers stay the parent's: open others here");
}

static int end_options(const struct verso_channel_end *given, struct verso_channel_end *out_end)
{
    struct verso_channel_end end = VERSO_CHANNEL_END_INIT;

    if (given && (given->struct_bytes != sizeof(end) || given->from > VERSO_CHANNEL_FROM_LAST))
        return VERSO_E_OPTIONS;
    if (given)
        end = *given;
    if (end.look_ns == 0)
        end.look_ns = verso__os_processor_count() > 1 ? 2000 : 0;
    *out_end = end;
    return 0;
}

/* Answers: to one reader, from as many servers as may be. */
static void stand_at_answers(const struct verso_channel *channel, uint32_t lane, struct verso__channel_side *out_side)
{
    *out_side = (struct verso__channel_side){
        .way = &verso__channel_direct,
        .lane = verso__channel_lane_at(channel, lane),
        .ring = channel->answers[lane - 1].ring,
        .mask = channel->plan.answers_bytes - 1,
        .bytes_most = channel->plan.answers_bytes - (uint64_t)2 * VERSO__CHANNEL_HEADER_BYTES,
        .header_bytes = VERSO__CHANNEL_HEADER_BYTES,
        .full = VERSO_CHANNEL_FULL_WAIT,
        .flags = channel->plan.flags & (uint32_t)VERSO_CHANNEL_LASTING,
        .writers_most = channel->plan.readers_most,
        .readers_most = 1,
    };
}

void verso__channel_stand(const struct verso_channel *channel, uint32_t lane, struct verso__channel_side *out_side)
{
    if (lane > 0) {
        stand_at_answers(channel, lane, out_side);
        return;
    }
    *out_side = (struct verso__channel_side){
        .way = channel->way,
        .lane = channel->lane,
        .ring = channel->ring.ring,
        .mask = channel->plan.capacity_bytes - 1,
        .bytes_most = channel->bytes_most,
        .header_bytes = channel->plan.header_bytes,
        .full = channel->plan.full,
        .flags = channel->plan.flags,
        .is_overwritten = channel->way == &verso__channel_each && channel->plan.full == VERSO_CHANNEL_FULL_DROP_OLDEST,
        .writers_most = channel->plan.writers_most,
        .readers_most = channel->plan.readers_most,
    };
}

static void side_fill(struct verso__channel_side *side, struct verso_channel *channel, uint32_t lane,
                      const struct verso_channel_end *end)
{
    verso__channel_stand(channel, lane, side);
    side->channel = channel;
    side->forks = verso__os_forks();
    side->look_ns = end->look_ns;
    if (side->forks != channel->forks) /* fork() copies no page table of shared memory: its faults would be latency */
        (void)verso__os_populate(side->ring, 2 * (size_t)(side->mask + 1), true);
}

/* Under the lock. The place of nobody, or -EUSERS. */
static int writer_settle(struct verso_channel_writer *writer, uint64_t owner, uint64_t seat)
{
    struct verso__channel_lane *lane = writer->side.lane;
    uint32_t place = 0;
    int r;

    while (place < writer->side.writers_most && atomic_load(&lane->writers[place].owner) != 0)
        place++;
    if (place == writer->side.writers_most)
        return -EUSERS;
    r = verso__channel_find_end(&writer->side, &writer->tail, &writer->number);
    if (r < 0)
        return r;
    writer->side.place = place;
    writer->own = &lane->writers[place];
    writer->head = writer->side.way->head(&writer->side);
    writer->sent = atomic_load(&writer->own->sent);
    writer->sent_bytes = atomic_load(&writer->own->sent_bytes);
    writer->side.deaths_told = atomic_load(&lane->dead_readers);
    if (writer->head & 7 || writer->tail - writer->head > writer->side.mask)
        return VERSO_E_CORRUPT;
    atomic_store(&writer->own->seat, seat);
    atomic_fetch_add(&lane->opened_writers, 1);
    atomic_store(&writer->own->owner, owner);
    return 0;
}

static int writer_enter(struct verso_channel_writer *writer, uint64_t owner, uint64_t seat)
{
    struct verso__channel_others others;
    int r;

    verso__channel_see_nobody(&others);
    r = verso__channel_see_writers(&writer->side, true, &others);
    if (r == 0)
        r = verso__channel_lock(&writer->side.lane->claim);
    if (r < 0)
        return r;
    r = writer_settle(writer, owner, seat);
    verso__channel_unlock(&writer->side.lane->claim);
    return r;
}

/* All places seem to be taken; but in the moment in which another process takes the place that a dead one had in the
 * share, nothing is known of the dead. */
static bool is_to_look_again(unsigned *looks)
{
    _Atomic uint32_t word = 0;

    if (++*looks == LOOKS_FOR_A_PLACE)
        return false;
    (void)verso__os_futex_wait(&word, 0, verso__os_clock_ns() + LOOKS_APART_NS, 0); /* a nap: nobody wakes */
    return true;
}

int verso__channel_writer_open(struct verso_channel *channel, uint32_t lane, const struct verso_channel_end *given,
                               struct verso_channel_writer **out_writer)
{
    struct verso_channel_writer *writer;
    struct verso_channel_end end;
    uint64_t owner, seat;
    unsigned looks = 0;
    int r;

    r = end_options(given, &end);
    if (r < 0)
        return verso__fail(r, "options", NULL);
    writer = calloc(1, sizeof(*writer));
    if (!writer)
        return verso__fail(-ENOMEM, "calloc", NULL);
    side_fill(&writer->side, channel, lane, &end);
    writer->is_alone = writer->side.writers_most == 1;
    r = verso__channel_who(channel, &owner, &seat);
    if (r == 0) {
        do
            r = writer_enter(writer, owner, seat);
        while (r == -EUSERS && is_to_look_again(&looks));
    }
    if (r < 0) {
        free(writer);
        return verso__fail(r, "writer", channel->share->path);
    }
    verso__channel_lists_lock();
    writer->next = channel->writers;
    channel->writers = writer;
    verso__channel_lists_unlock();
    *out_writer = writer;
    return 0;
}

int verso_channel_writer_open(struct verso_channel *channel, const struct verso_channel_end *end,
                              struct verso_channel_writer **out_writer)
{
    if (!channel || !out_writer)
        return verso__fail(-EINVAL, "arguments", NULL);
    return verso__channel_writer_open(channel, 0, end, out_writer);
}

/* Under the lock. The place of nobody, or -EUSERS. */
static int reader_settle(struct verso_channel_reader *reader, const struct verso_channel_end *end, uint64_t owner,
                         uint64_t seat)
{
    struct verso__channel_lane *lane = reader->side.lane;
    uint32_t place = 0;
    int r;

    while (place < reader->side.readers_most && atomic_load(&lane->readers[place].owner) != 0)
        place++;
    if (place == reader->side.readers_most)
        return -EUSERS;
    reader->side.place = place;
    reader->own = &lane->readers[place];
    reader->received = atomic_load(&reader->own->received);
    reader->received_bytes = atomic_load(&reader->own->received_bytes);
    reader->side.deaths_told = atomic_load(&lane->dead_writers);
    r = reader->side.way->settle(reader, end);
    if (r < 0)
        return r;
    atomic_store(&reader->own->seat, seat);
    verso__channel_server_begin(reader, atomic_fetch_add(&lane->opened_readers, 1) + 1);
    atomic_store(&reader->own->owner, owner);
    return 0;
}

static int reader_enter(struct verso_channel_reader *reader, const struct verso_channel_end *end, uint64_t owner,
                        uint64_t seat)
{
    struct verso_mutex *mutex = reader->side.way->readers_lock(reader->side.lane);
    struct verso__channel_others others;
    int r;

    verso__channel_see_nobody(&others);
    r = verso__channel_see_readers(&reader->side, true, &others);
    if (r == 0)
        r = verso__channel_lock(mutex);
    if (r < 0)
        return r;
    r = reader_settle(reader, end, owner, seat);
    verso__channel_unlock(mutex);
    return r;
}

int verso__channel_reader_open(struct verso_channel *channel, uint32_t lane, const struct verso_channel_end *given,
                               struct verso_channel_reader **out_reader)
{
    struct verso_channel_reader *reader;
    struct verso_channel_end end;
    uint64_t owner, seat;
    unsigned looks = 0;
    int r;

    r = end_options(given, &end);
    if (r < 0)
        return verso__fail(r, "options", NULL);
    reader = calloc(1, sizeof(*reader));
    if (!reader)
        return verso__fail(-ENOMEM, "calloc", NULL);
    side_fill(&reader->side, channel, lane, &end);
    r = verso__channel_who(channel, &owner, &seat);
    if (r == 0) {
        do
            r = reader_enter(reader, &end, owner, seat);
        while (r == -EUSERS && is_to_look_again(&looks));
    }
    if (r < 0) {
        free(reader);
        return verso__fail(r, "reader", channel->share->path);
    }
    verso__channel_lists_lock();
    reader->next = channel->readers;
    channel->readers = reader;
    verso__channel_lists_unlock();
    *out_reader = reader;
    return 0;
}

int verso_channel_reader_open(struct verso_channel *channel, const struct verso_channel_end *end,
                              struct verso_channel_reader **out_reader)
{
    if (!channel || !out_reader)
        return verso__fail(-EINVAL, "arguments", NULL);
    return verso__channel_reader_open(channel, 0, end, out_reader);
}

/* Whoever waits for the last one to come must learn that it has gone. */
void verso_channel_writer_close(struct verso_channel_writer *writer)
{
    struct verso_channel_writer **link;
    int r;

    if (!writer)
        return;
    verso__channel_lists_lock();
    for (link = &writer->side.channel->writers; *link != writer;)
        link = &(*link)->next;
    *link = writer->next;
    verso__channel_lists_unlock();
    verso__channel_unpoll(&writer->side, writer->poll, false);
    if (verso__channel_is_here(&writer->side)) {
        verso_channel_abandon(writer);
        r = verso__channel_lock(&writer->side.lane->claim);
        atomic_store(&writer->own->owner, 0); /* also without the lock, which somebody keeps: it is one store */
        if (r == 0)
            verso__channel_unlock(&writer->side.lane->claim);
        atomic_thread_fence(memory_order_seq_cst);
        verso__channel_ring(&writer->side, &writer->side.lane->data_bell, VERSO__CHANNEL_ALL);
    }
    free(writer);
}

void verso_channel_reader_close(struct verso_channel_reader *reader)
{
    struct verso_channel_reader **link;
    struct verso_mutex *mutex;
    int r;

    if (!reader)
        return;
    verso__channel_lists_lock();
    for (link = &reader->side.channel->readers; *link != reader;)
        link = &(*link)->next;
    *link = reader->next;
    verso__channel_lists_unlock();
    verso__channel_server_end(reader);
    verso__channel_unpoll(&reader->side, reader->poll, true);
    if (verso__channel_is_here(&reader->side)) {
        for (int i = 0; reader->held_bytes && i < VERSO__CHANNEL_KEPT_MS / VERSO__CHANNEL_MOMENT_MS; i++)
            (void)verso_channel_release(reader);
        mutex = reader->side.way->readers_lock(reader->side.lane);
        r = verso__channel_lock(mutex);
        if (!reader->held_bytes) /* else its place goes with this process, and whoever finds it dead clears up */
            atomic_store(&reader->own->owner, 0); /* also without the lock: as a writer's */
        if (r == 0)
            verso__channel_unlock(mutex);
        atomic_thread_fence(memory_order_seq_cst);
        verso__channel_ring(&reader->side, &reader->side.lane->room_bell, VERSO__CHANNEL_ALL);
        verso__channel_server_left(reader);
    }
    free(reader);
}
