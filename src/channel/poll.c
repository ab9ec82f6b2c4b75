/* SPDX-License-Identifier: MIT */
/*
 * poll - a descriptor for who waits for other things as well.
 *
 *     sleeper's process                                          whoever sends
 *     epoll --- socket, bound to a name  <-- a datagram --------- socket, connected to it; kept
 *           --- ends of the peers' processes (pidfd)
 *           --- a clock: 100 ms after it was armed
 *
 * An eventfd has no name, and another process can't open it without the right to trace this one. What has a name, and
 * is its owner's alone, is a datagram socket in the directory of names (0700). The name follows from what the kernel
 * says of the region's file, from the lane and the place: nothing that others could write to says where to ring.
 *
 * Arming is as going to sleep (wait.c): a bit of the bell's `armed`, then the bell itself. Whoever rings takes the
 * bits, and rings at each. Who can't (another user, another directory, no descriptors left) leaves it to the clock,
 * as a death in between does: what is late, is so by 100 ms at most, and nothing is lost.
 */
#include "channel/channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK_NS UINT64_C(100000000)

/* What is in the epoll, as it names them. */
enum {
    BELL,
    CLOCK,
    PEERS, /* + place */
};

struct verso__channel_poll {
    int all;
    int bell;
    int clock;
    struct {
        uint64_t owner;
        int fd; /* -1: nobody, this process, or not to be had */
    } peers[VERSO__CHANNEL_PLACES];
};

/* ---- Names ---- */

#define NAME_BYTES 96

static uint32_t lane_of(const struct verso__channel_side *side)
{
    return (uint32_t)((uint64_t)((unsigned char *)side->lane - (unsigned char *)side->channel->lane) /
                      side->channel->plan.lane_bytes);
}

static void name_of(const struct verso_channel *channel, uint32_t lane, bool is_reader, uint32_t place,
                    char out_name[NAME_BYTES])
{
    (void)snprintf(out_name, NAME_BYTES, VERSO__SHARE_BELL "%llx-%llx-%llx-%u%c%u", (unsigned long long)channel->device,
                   (unsigned long long)channel->inode, (unsigned long long)channel->share->made.created_ns, lane,
                   is_reader ? 'r' : 'w', place);
}

static void remove_name(const struct verso_channel *channel, uint32_t lane, bool is_reader, uint32_t place)
{
    char name[NAME_BYTES];
    int directory;

    if (verso__share_open_directory(false, &directory) < 0)
        return; /* then nobody finds it there either; verso_share_collect() comes by */
    name_of(channel, lane, is_reader, place, name);
    (void)verso__os_remove_at(directory, name);
    verso__os_close(directory);
}

/* ---- Ringing ---- */

static int line_open(const struct verso_channel *channel, struct verso__channel_line *line)
{
    char name[NAME_BYTES];
    int directory, r = verso__share_open_directory(false, &directory);

    if (r < 0)
        return r;
    name_of(channel, line->lane, line->is_reader, line->place, name);
    r = verso__os_bell_open(directory, name, &line->fd);
    verso__os_close(directory);
    return r;
}

/* Under the lists' lock. NULL: no memory. */
static struct verso__channel_line *line_to(struct verso_channel *channel, uint32_t lane, bool is_reader, uint32_t place)
{
    struct verso__channel_line *line;

    for (line = channel->lines; line; line = line->next)
        if (line->lane == lane && line->is_reader == is_reader && line->place == place)
            return line;
    line = malloc(sizeof(*line));
    if (line) {
        *line = (struct verso__channel_line){ channel->lines, lane, place, is_reader, -1 };
        channel->lines = line;
    }
    return line;
}

/* Twice: who was there before may have gone, and another one be there. */
static void ring(struct verso_channel *channel, uint32_t lane, bool is_reader, uint32_t place)
{
    struct verso__channel_line *line = line_to(channel, lane, is_reader, place);

    for (int turn = 0; line && turn < 2; turn++) {
        if (line->fd < 0 && line_open(channel, line) < 0)
            return;
        if (verso__os_bell_ring(line->fd) == 0)
            return;
        verso__os_close(line->fd);
        line->fd = -1;
    }
}

void verso__channel_ring_armed(const struct verso__channel_side *side, struct verso__channel_bell *bell)
{
    bool is_reader = bell == &side->lane->data_bell;
    uint64_t armed = atomic_exchange(&bell->armed, 0);

    verso__channel_lists_lock();
    for (uint32_t place = 0; place < (is_reader ? side->readers_most : side->writers_most); place++)
        if (armed >> place & 1)
            ring(side->channel, lane_of(side), is_reader, place);
    verso__channel_lists_unlock();
}

void verso__channel_hang_up(struct verso_channel *channel)
{
    while (channel->lines) {
        struct verso__channel_line *line = channel->lines;

        channel->lines = line->next;
        if (line->fd >= 0)
            verso__os_close(line->fd);
        free(line);
    }
}

/* ---- Making, and closing ---- */

static void close_fd(int fd)
{
    if (fd >= 0)
        verso__os_close(fd);
}

static void poll_free(struct verso__channel_poll *poll)
{
    for (uint32_t i = 0; i < VERSO__CHANNEL_PLACES; i++)
        close_fd(poll->peers[i].fd);
    close_fd(poll->clock);
    close_fd(poll->bell);
    close_fd(poll->all);
    free(poll);
}

/* What has the name was left by one who had this place before, and died. */
static int bell_make(const struct verso__channel_side *side, bool is_reader, int *out_fd)
{
    char name[NAME_BYTES];
    int directory, r = verso__share_open_directory(true, &directory);

    if (r < 0)
        return r;
    name_of(side->channel, lane_of(side), is_reader, side->place, name);
    r = verso__os_bell_make(directory, name, out_fd);
    if (r == -EADDRINUSE) {
        r = verso__os_remove_at(directory, name);
        if (r == 0)
            r = verso__os_bell_make(directory, name, out_fd);
    }
    verso__os_close(directory);
    return r;
}

static int poll_fill(struct verso__channel_poll *poll, const struct verso__channel_side *side, bool is_reader,
                     const char **out_step)
{
    int r;

    *out_step = "epoll_create";
    r = verso__os_poll_make(&poll->all);
    if (r < 0)
        return r;
    *out_step = "timerfd_create";
    r = verso__os_timer_make(&poll->clock);
    if (r == 0)
        r = verso__os_poll_add(poll->all, poll->clock, CLOCK);
    if (r < 0)
        return r;
    *out_step = "bind";
    r = bell_make(side, is_reader, &poll->bell);
    if (r == 0)
        r = verso__os_poll_add(poll->all, poll->bell, BELL);
    return r == -ENOENT || r == -ENOSYS ? VERSO_E_UNSUPPORTED : r;
}

/* @has_bell: at the side's place, for whoever has to clear up behind it. */
static int poll_make(const struct verso__channel_side *side, bool is_reader, _Atomic uint64_t *has_bell,
                     struct verso__channel_poll **out_poll)
{
    struct verso__channel_poll *poll = calloc(1, sizeof(*poll));
    const char *step;
    int r;

    if (!poll)
        return verso__fail(-ENOMEM, "calloc", NULL);
    poll->all = poll->bell = poll->clock = -1;
    for (uint32_t i = 0; i < VERSO__CHANNEL_PLACES; i++)
        poll->peers[i].fd = -1;
    atomic_store(has_bell, 1);
    r = poll_fill(poll, side, is_reader, &step);
    if (r < 0) {
        if (poll->bell >= 0)
            remove_name(side->channel, lane_of(side), is_reader, side->place);
        atomic_store(has_bell, 0);
        poll_free(poll);
        return verso__fail(r, step, side->channel->share->path);
    }
    *out_poll = poll;
    return 0;
}

void verso__channel_unpoll(const struct verso__channel_side *side, struct verso__channel_poll *poll, bool is_reader)
{
    if (!poll)
        return;
    if (verso__channel_is_here(side))
        verso__channel_clear_bell(side, is_reader, side->place);
    poll_free(poll);
}

void verso__channel_clear_bell(const struct verso__channel_side *side, bool is_reader, uint32_t place)
{
    _Atomic uint64_t *has_bell = is_reader ? &side->lane->readers[place].bell : &side->lane->writers[place].bell;

    if (!atomic_load(has_bell))
        return;
    atomic_fetch_and(is_reader ? &side->lane->data_bell.armed : &side->lane->room_bell.armed, ~(UINT64_C(1) << place));
    remove_name(side->channel, lane_of(side), is_reader, place);
    atomic_store(has_bell, 0);
}

/* ---- Arming ---- */

static void forget_peer(struct verso__channel_poll *poll, uint32_t place)
{
    if (poll->peers[place].fd < 0)
        return;
    verso__os_poll_remove(poll->all, poll->peers[place].fd);
    verso__os_close(poll->peers[place].fd);
    poll->peers[place].fd = -1;
}

/* Who can't be watched so, is looked at when the clock goes. */
static void watch_peer(struct verso__channel_poll *poll, const struct verso_channel *channel, uint32_t place,
                       uint64_t owner)
{
    int fd;

    forget_peer(poll, place);
    poll->peers[place].owner = owner;
    if (owner == 0 || verso__share_member_open(channel->share, (uint32_t)owner - 1, (uint32_t)(owner >> 32), &fd) < 0)
        return;
    if (verso__os_poll_add(poll->all, fd, PEERS + place) == 0)
        poll->peers[place].fd = fd;
    else
        verso__os_close(fd);
}

static void watch(struct verso__channel_poll *poll, const struct verso__channel_wait *wait)
{
    const struct verso__channel_side *side = wait->side;

    for (uint32_t i = 0; i < (wait->is_writer ? side->readers_most : side->writers_most); i++) {
        uint64_t owner = atomic_load(wait->is_writer ? &side->lane->readers[i].owner : &side->lane->writers[i].owner);

        if (owner != poll->peers[i].owner)
            watch_peer(poll, side->channel, i, owner);
    }
}

/* Takes back what made it readable. A process that has ended is told of once. *out_doubts: somebody may be dead. */
static int hear(struct verso__channel_poll *poll, bool *out_doubts)
{
    uint64_t names[VERSO__OS_POLL_MOST];
    size_t count;
    int r = verso__os_poll_look(poll->all, names, VERSO__OS_POLL_MOST, &count);

    if (r < 0)
        return r;
    *out_doubts = false;
    for (size_t i = 0; i < count; i++) {
        *out_doubts |= names[i] != BELL;
        if (names[i] == BELL)
            verso__os_bell_hush(poll->bell);
        else if (names[i] != CLOCK)
            forget_peer(poll, (uint32_t)(names[i] - PEERS));
    }
    return 0;
}

/* @wanted: room: the head that will do; 0: each time there is some. */
static int arm(struct verso__channel_poll *poll, const struct verso__channel_wait *wait, uint64_t wanted)
{
    struct verso__channel_side *side = wait->side;
    const uint64_t bit = UINT64_C(1) << side->place;
    struct verso__channel_others others;
    int r = wait->look(wait->end, wait->arg), told;
    bool doubts;

    if (r != -EAGAIN)
        return r == 0 ? 1 : verso__channel_fail_wait(wait, r, "look");
    r = hear(poll, &doubts);
    if (r < 0)
        return verso__channel_fail_wait(wait, r, "epoll_wait");
    r = verso__os_timer_set(poll->clock, TICK_NS);
    if (r < 0)
        return verso__channel_fail_wait(wait, r, "timerfd_settime");
    watch(poll, wait);
    atomic_fetch_or(&wait->bell->armed, bit);
    atomic_store(&wait->bell->wanted, wanted);
    atomic_fetch_or(&wait->bell->word, 1);
    r = verso__channel_barrier(side);
    if (r == 0) {
        told = verso__channel_look_at_others(wait, doubts, &others);
        r = wait->look(wait->end, wait->arg); /* after: as in sleep_until() of wait.c */
        if (r == -EAGAIN && told == 0)
            return 0;
        r = r == -EAGAIN ? told : r;
    }
    atomic_fetch_and(&wait->bell->armed, ~bit);
    return r == 0 ? 1 : verso__channel_fail_wait(wait, r, "peers");
}

/* ---- The public calls ---- */

static int look_for_room(void *end, uint64_t span)
{
    return verso__channel_look_for_room(end, span);
}

int verso_channel_descriptor(struct verso_channel_reader *reader, int *out_fd)
{
    int r = 0;

    if (!reader || !out_fd)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!verso__channel_is_here(&reader->side))
        return verso__channel_fail_fork();
    if (!reader->poll)
        r = poll_make(&reader->side, true, &reader->own->bell, &reader->poll);
    if (reader->poll)
        *out_fd = reader->poll->all;
    return r;
}

int verso_channel_writer_descriptor(struct verso_channel_writer *writer, int *out_fd)
{
    int r = 0;

    if (!writer || !out_fd)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!verso__channel_is_here(&writer->side))
        return verso__channel_fail_fork();
    if (!writer->poll)
        r = poll_make(&writer->side, false, &writer->own->bell, &writer->poll);
    if (writer->poll)
        *out_fd = writer->poll->all;
    return r;
}

static const char no_descriptor[] = "ask for the descriptor first";

int verso_channel_arm(struct verso_channel_reader *reader)
{
    struct verso__channel_wait wait = { .look = verso__channel_look_for_data, .end = reader };

    if (!reader)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!verso__channel_is_here(&reader->side))
        return verso__channel_fail_fork();
    if (!reader->poll)
        return verso__fail_hint(-EINVAL, "arm", NULL, no_descriptor);
    if (reader->held_bytes)
        (void)verso_channel_release(reader); /* as receive does; what it may have lost, the next receive counts */
    wait.side = &reader->side;
    wait.bell = &reader->side.lane->data_bell;
    return arm(reader->poll, &wait, 0);
}

int verso_channel_writer_arm(struct verso_channel_writer *writer)
{
    struct verso__channel_wait wait = { .is_writer = true, .look = look_for_room, .end = writer };
    uint64_t wanted = 0;

    if (!writer)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!verso__channel_is_here(&writer->side))
        return verso__channel_fail_fork();
    if (!writer->poll)
        return verso__fail_hint(-EINVAL, "arm", NULL, no_descriptor);
    if (writer->side.full == VERSO_CHANNEL_FULL_DROP_OLDEST && !writer->refused_span)
        return 1; /* it makes room itself, when it sends */
    wait.side = &writer->side;
    wait.bell = &writer->side.lane->room_bell;
    wait.arg = writer->refused_span ? writer->refused_span : verso__channel_span(&writer->side, 0);
    if (writer->is_alone)
        wanted = writer->tail + wait.arg + VERSO__CHANNEL_HEADER_BYTES - verso__channel_capacity(&writer->side);
    return arm(writer->poll, &wait, wanted);
}
