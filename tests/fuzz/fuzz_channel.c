/* SPDX-License-Identifier: MIT */
/*
 * channel - a peer scribbles over a channel between any two calls: header, tables, plan, lane, places, ring. Each call
 * gives an answer that is documented, touches nothing outside of ring and lane, and ends.
 *
 *     the peer's mapping    |header|members|seats|plan|lane             |ring                |     all of the file
 *     ours                  |header|members|seats|####|lane ...canary...|####################|     #: can't be touched
 *     ours, of the ring                                                 |ring|ring again|####|
 *
 * The first byte of the input chooses the channel; then come steps of twelve bytes: what to scribble where (see
 * step()), and a call. With bit 7 of the first byte the peer does not wait for its turn: a thread scribbles all it has,
 * over and over, while the calls are made again and again. Nobody else is there, so the only living name that
 * scribbling can hit upon is our own.
 */
#include "must.h"

#include "channel/channel.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define RING_BYTES 4096
#define STEP_BYTES 12
#define STEPS_MOST 64
#define RACING 0x80
#define RACES 20
#define CANARY 0xa5
#define HANGS_AFTER_S 60 /* no call waits for more than a few seconds, whatever is scribbled */
#define LASTS_MOST_S 5   /* but many may: then the input is left */

static struct {
    struct verso_channel *channel;
    struct verso_channel_writer *writers[2];
    struct verso_channel_reader *reader;
    struct verso_channel_client *client;
    unsigned char *there; /* the peer's */
    size_t there_bytes;
    unsigned char *plan, *lane; /* ours */
    uint64_t content_offset;
    unsigned held_sum;
} here;

/* ---- What may be answered ---- */

#define SENT                                                                                                          \
    0, VERSO_CHANNEL_DROPPED, -EAGAIN, -ETIMEDOUT, VERSO_E_RANGE, -EBUSY, -EPIPE, VERSO_E_PEER_DIED, VERSO_E_CORRUPT, \
        -EUSERS, -ENOSPC
#define RECEIVED 0, -EAGAIN, -ETIMEDOUT, -EPIPE, VERSO_E_PEER_DIED, VERSO_E_CORRUPT, -EUSERS, -ENOSPC
#define RELEASED 0, VERSO_E_OVERRUN, VERSO_E_RANGE, VERSO_E_CORRUPT, -EBUSY, -EUSERS, -ENOSPC
#define OPENED 0, -EUSERS, -EBUSY, VERSO_E_CORRUPT, -ENOSPC, VERSO_E_OPTIONS

/* ---- A channel, and the two views of it ---- */

static void forbid(void *address, size_t bytes)
{
    must(mprotect(address, bytes, PROT_NONE) == 0);
}

/* Behind lane @number, where nobody writes. */
static unsigned char *padding(uint32_t number)
{
    return here.lane + number * here.channel->plan.lane_bytes + sizeof(struct verso__channel_lane);
}

/* Bits 0 and 1 say which kind, 2 and 3 what happens when it is full, 5 whether it has a client. False: there is no such
 * channel. */
static bool make(unsigned choice)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    const struct verso__channel_plan *plan;
    struct verso_share *share;
    int r;

    options.kind = (enum verso_channel_kind)(VERSO_CHANNEL_SPSC + (choice & 3));
    options.full = (enum verso_channel_full)(choice >> 2 & 3);
    options.flags = options.kind == VERSO_CHANNEL_MPMC && choice & 16 ? VERSO_CHANNEL_REDELIVER : 0;
    options.writers_most = options.kind == VERSO_CHANNEL_BROADCAST && choice & 16 ? 1 : 0;
    options.capacity_bytes = options.answers_bytes = RING_BYTES;
    options.clients_most = choice & 32 ? 1 : 0;
    r = verso_channel_create(NULL, &options, &here.channel);
    must(r == 0 || r == VERSO_E_OPTIONS);
    if (r < 0)
        return false;
    share = verso_channel_share(here.channel);
    here.there_bytes = share->span_bytes;
    here.there = mmap(NULL, here.there_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, share->fd, 0);
    must(here.there != MAP_FAILED);
    here.content_offset = share->made.content_offset;
    plan = &here.channel->plan;
    here.plan = verso_share_data(share);
    here.lane = here.plan + plan->lanes_offset;
    for (uint32_t i = 0; i <= plan->clients_most; i++)
        memset(padding(i), CANARY, plan->lane_bytes - sizeof(struct verso__channel_lane));
    forbid(here.plan, plan->lanes_offset);
    forbid(here.plan + plan->ring_offset, plan->capacity_bytes + plan->clients_most * plan->answers_bytes);
    return true;
}

static void unmake(void)
{
    const struct verso__channel_plan *plan = &here.channel->plan;

    for (uint32_t i = 0; i <= plan->clients_most; i++)
        for (size_t at = 0; at < plan->lane_bytes - sizeof(struct verso__channel_lane); at++)
            must(padding(i)[at] == CANARY);
    verso_channel_close(here.channel);
    must(munmap(here.there, here.there_bytes) == 0);
    memset(&here, 0, sizeof(here));
}

/* ---- Scribbling ---- */

/* Which part of the file, and how much of it; where there is a client, its lane and ring are in place of who is
 * there. */
static unsigned char *part(unsigned which, size_t *out_bytes)
{
    const struct verso_share *share = verso_channel_share(here.channel);
    const struct verso__channel_plan *plan = &here.channel->plan;
    unsigned char *content = here.there + here.content_offset, *lane = content + plan->lanes_offset;

    if (plan->clients_most && (which == 1 || which == 2)) {
        *out_bytes = which == 1 ? sizeof(struct verso__channel_lane) : RING_BYTES;
        return which == 1 ? lane + plan->lane_bytes : content + plan->ring_offset + RING_BYTES;
    }
    switch (which) {
    case 0:
        *out_bytes = sizeof(struct verso__share_header);
        return here.there;
    case 1:
        *out_bytes = 4 * sizeof(struct verso__share_place);
        return here.there + share->made.members_offset;
    case 2:
        *out_bytes = share->made.page_bytes;
        return here.there + share->made.seats_offset;
    case 3:
        *out_bytes = sizeof(*plan);
        return content;
    case 4:
        *out_bytes = offsetof(struct verso__channel_lane, writers);
        return lane;
    case 5:
        *out_bytes = 4 * sizeof(struct verso__channel_writer_place);
        return lane + offsetof(struct verso__channel_lane, writers);
    case 6:
        *out_bytes = 4 * sizeof(struct verso__channel_reader_place);
        return lane + offsetof(struct verso__channel_lane, readers);
    default:
        *out_bytes = RING_BYTES;
        return content + plan->ring_offset;
    }
}

/* Eight bytes, over what is there or added to it; an address that is a multiple of @align. */
static void scribble(const uint8_t *data, bool is_added, unsigned align)
{
    uint64_t value, was = 0;
    size_t bytes, at;
    unsigned char *start = part(data[0] & 7, &bytes);

    at = ((size_t)(data[0] >> 3) << 8 | data[1]) * align % bytes;
    if (bytes - at < sizeof(value))
        return;
    memcpy(&value, data + 2, sizeof(value));
    if (is_added)
        memcpy(&was, start + at, sizeof(was));
    value += was;
    memcpy(start + at, &value, sizeof(value));
}

/* ---- Calls ---- */

static unsigned sum_of(const void *data, size_t bytes)
{
    unsigned sum = 0;

    for (size_t i = 0; i < bytes; i++)
        sum += ((const volatile unsigned char *)data)[i];
    return sum;
}

static void look_at(const struct verso_channel_message *message)
{
    must(message->bytes <= verso_channel_message_bytes_most(here.channel));
    must((uintptr_t)message->data % 8 == 0);
    here.held_sum += sum_of(message->data, message->bytes);
}

static void send_some(struct verso_channel_writer *writer, size_t bytes, int timeout_ms)
{
    static const unsigned char content[RING_BYTES];

    answers(verso_channel_send(writer, content, bytes, timeout_ms), SENT);
}

static void send_several(struct verso_channel_writer *writer, size_t bytes, int timeout_ms)
{
    static const unsigned char content[RING_BYTES];
    const struct verso_channel_part parts[] = { { content, bytes }, { content, 0 }, { content, bytes / 2 } };
    size_t count = 77;
    int r = verso_channel_send_many(writer, parts, 3, timeout_ms, &count);

    answers(r, SENT);
    must(r == 0 ? count >= 1 && count <= 3 : count == 77);
}

static void reserve(struct verso_channel_writer *writer, size_t bytes, int timeout_ms)
{
    void *room = NULL;
    int r = verso_channel_reserve(writer, bytes, timeout_ms, &room);

    answers(r, SENT);
    must((r == 0) == (room != NULL));
    if (r == 0)
        memset(room, 'r', bytes);
}

static void receive(int timeout_ms)
{
    struct verso_channel_message message;
    int r = verso_channel_receive(here.reader, timeout_ms, &message);

    answers(r, RECEIVED);
    if (r == 0)
        look_at(&message);
}

static void receive_several(int timeout_ms)
{
    struct verso_channel_message messages[5];
    size_t count = 77;
    int r = verso_channel_receive_many(here.reader, timeout_ms, messages, 5, &count);

    answers(r, RECEIVED);
    must(r == 0 ? count >= 1 && count <= 5 : count == 77);
    for (size_t i = 0; r == 0 && i < count; i++)
        look_at(&messages[i]);
}

static void read_one(size_t room_bytes, int timeout_ms)
{
    static unsigned char room[RING_BYTES];
    struct verso_channel_message message;
    int r = verso_channel_read(here.reader, room, room_bytes, timeout_ms, &message);

    answers(r, RECEIVED, -EMSGSIZE);
    must(r != 0 || message.bytes <= room_bytes);
}

static void turn_writer(size_t which)
{
    if (here.writers[which]) {
        verso_channel_writer_close(here.writers[which]);
        here.writers[which] = NULL;
    } else {
        answers(verso_channel_writer_open(here.channel, NULL, &here.writers[which]), OPENED);
    }
}

static void turn_reader(void)
{
    struct verso_channel_end end = VERSO_CHANNEL_END_INIT;

    end.from = VERSO_CHANNEL_FROM_LAST; /* of a BROADCAST: looks through the ring */
    end.history = 2;
    if (here.reader) {
        verso_channel_reader_close(here.reader);
        here.reader = NULL;
    } else {
        answers(verso_channel_reader_open(here.channel, &end, &here.reader), OPENED);
    }
}

static void inform(void)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;

    answers(verso_channel_info(here.channel, &info), 0);
    must(info.capacity_bytes == RING_BYTES && info.used_bytes <= RING_BYTES);
    must(info.writers <= info.writer_room && info.readers <= info.reader_room);
}

static int look_at_place(const struct verso_channel_place *place, void *arg)
{
    must(place->number < VERSO__CHANNEL_PLACES && place->lag_bytes <= RING_BYTES);
    must(strnlen(place->name, sizeof(place->name)) < sizeof(place->name));
    ++*(unsigned *)arg;
    return 0;
}

static void look_at_places(void)
{
    unsigned count = 0;

    answers(verso_channel_places(here.channel, look_at_place, &count), 0);
    must(count <= 2 * VERSO__CHANNEL_PLACES);
}

static void arm(struct verso_channel_writer *writer)
{
    int fd;

    if (here.reader && verso_channel_descriptor(here.reader, &fd) == 0)
        answers(verso_channel_arm(here.reader), 1, RECEIVED);
    if (writer && verso_channel_writer_descriptor(writer, &fd) == 0)
        answers(verso_channel_writer_arm(writer), SENT);
}

/* Asks; or takes the next answer. */
static void ask(bool is_asking, size_t bytes, int timeout_ms)
{
    static const unsigned char content[RING_BYTES];
    struct verso_channel_message answer;
    uint64_t number;
    int r;

    if (!here.client) {
        answers(verso_channel_client_open(here.channel, NULL, &here.client), OPENED);
    } else if (is_asking) {
        answers(verso_channel_ask(here.client, content, bytes, timeout_ms, &number), SENT);
    } else {
        r = verso_channel_answer_receive(here.client, timeout_ms, &answer);
        answers(r, RECEIVED);
        if (r == 0)
            look_at(&answer);
        answers(verso_channel_client_release(here.client), RELEASED);
    }
}

static void serve(size_t bytes, int timeout_ms)
{
    static const unsigned char content[RING_BYTES];
    struct verso_channel_message message;
    struct verso_channel_request request;
    int r = verso_channel_receive(here.reader, timeout_ms, &message);

    answers(r, RECEIVED);
    if (r < 0)
        return;
    look_at(&message);
    r = verso_channel_request_of(&message, &request);
    answers(r, 0, VERSO_E_CORRUPT);
    if (r == 0)
        answers(verso_channel_answer(here.reader, &request, content, bytes, timeout_ms), SENT, VERSO_E_OPTIONS);
}

/* Who comes anew believes nothing of what is there. */
static void attach(void)
{
    struct verso_share *share = NULL;
    struct verso_channel *channel = NULL;
    int r = verso_share_attach_descriptor(verso_share_descriptor(verso_channel_share(here.channel)), NULL, &share);

    answers(r, 0, VERSO_E_FORMAT, VERSO_E_MACHINE, VERSO_E_KIND, VERSO_E_OWNER, VERSO_E_UNSEALED, -EUSERS, -EBUSY,
            -ENOMEM);
    if (r < 0)
        return;
    r = verso_channel_attach_share(share, NULL, &channel);
    answers(r, 0, VERSO_E_KIND, VERSO_E_CORRUPT);
    if (r < 0)
        verso_share_close(share);
    else
        verso_channel_close(channel);
}

static void write_something(struct verso_channel_writer *writer, unsigned which, size_t bytes, int timeout_ms)
{
    switch (which) {
    case 2:
        send_several(writer, bytes, timeout_ms);
        break;
    case 3:
        reserve(writer, bytes, timeout_ms);
        break;
    case 4:
        answers(verso_channel_commit(writer, bytes), 0, VERSO_E_RANGE);
        break;
    case 5:
        verso_channel_abandon(writer);
        break;
    default:
        send_some(writer, bytes, timeout_ms);
    }
}

static void read_something(unsigned which, size_t bytes, int timeout_ms)
{
    switch (which) {
    case 8:
        receive_several(timeout_ms);
        break;
    case 9:
        read_one(bytes, timeout_ms);
        break;
    case 10:
        answers(verso_channel_release(here.reader), RELEASED);
        break;
    default:
        receive(timeout_ms);
    }
}

static void see(unsigned which, struct verso_channel_writer *writer)
{
    if (which == 13) {
        inform();
        look_at_places();
    } else if (which == 14) {
        attach();
    } else {
        arm(writer);
    }
}

static void call(unsigned which, size_t bytes, int timeout_ms)
{
    size_t number = which >> 4 & 1;

    which &= 15;
    if (which == 11 || (which <= 5 && !here.writers[number]))
        turn_writer(number);
    else if (which == 12 || (which > 5 && which <= 10 && !here.reader))
        turn_reader();
    else if (which <= 5)
        write_something(here.writers[number], which, bytes, timeout_ms);
    else if (which <= 10)
        read_something(which, bytes, timeout_ms);
    else if (number == 0 || which == 13)
        see(which, here.writers[number]);
    else if (which == 14 && here.reader)
        serve(bytes, timeout_ms);
    else
        ask(bytes % 2 == 0, bytes, timeout_ms);
}

/*
 * A step's bytes: 0 call, 1 length in units of 33 bytes and the time limit (bit 0: 1 ms), 2 to 11 as scribble() says.
 * Bits 5 to 7 of the call: scribble, add, at any address.
 */
static void scribble_of(const uint8_t *step)
{
    if (step[0] & 0x20)
        scribble(step + 2, step[0] & 0x40, step[0] & 0x80 ? 1 : 8);
}

static void call_of(const uint8_t *step)
{
    (void)alarm(HANGS_AFTER_S);
    call(step[0] & 0x1f, (size_t)(step[1] >> 1) * 33, step[1] & 1);
}

/* ---- The input ---- */

struct script {
    const uint8_t *steps;
    size_t count;
    atomic_bool is_over;
    time_t began;
};

static void *race(void *arg)
{
    struct script *script = arg;

    while (!atomic_load(&script->is_over))
        for (size_t i = 0; i < script->count; i++)
            scribble_of(script->steps + i * STEP_BYTES);
    return NULL;
}

static bool is_time_left(const struct script *script)
{
    return time(NULL) - script->began < LASTS_MOST_S;
}

static void run_racing(struct script *script)
{
    pthread_t peer;

    must(pthread_create(&peer, NULL, race, script) == 0);
    for (unsigned round = 0; round < RACES; round++)
        for (size_t i = 0; i < script->count && is_time_left(script); i++)
            call_of(script->steps + i * STEP_BYTES);
    atomic_store(&script->is_over, true);
    must(pthread_join(peer, NULL) == 0);
}

static void run_in_turn(const struct script *script)
{
    for (size_t i = 0; i < script->count && is_time_left(script); i++) {
        scribble_of(script->steps + i * STEP_BYTES);
        call_of(script->steps + i * STEP_BYTES);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct script script = { .steps = data + 1, .began = time(NULL) };

    if (bytes < 1 + STEP_BYTES)
        return 0;
    script.count = (bytes - 1) / STEP_BYTES < STEPS_MOST ? (bytes - 1) / STEP_BYTES : STEPS_MOST;
    if (!make(data[0] % RACING))
        return 0;
    (void)alarm(HANGS_AFTER_S);
    turn_writer(0);
    turn_reader();
    if (data[0] & RACING)
        run_racing(&script);
    else
        run_in_turn(&script);
    unmake();
    (void)alarm(0);
    return 0;
}
