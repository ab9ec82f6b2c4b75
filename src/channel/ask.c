/* SPDX-License-Identifier: MIT */
/*
 * ask - requests through the channel, answers through a lane of the client's own.
 *
 *     client                          lane 0                             server
 *     served[n] = {n, nobody}
 *     request n           ---------> |  |request n|  |  ---------->      served[n] = {n, me}, then takes it
 *     waits at its lane   <--------- |answer n|    lane k <---------     answers
 *
 * The hard part is a server that dies in between: who had the request? What is in the ring says it while it is there,
 * but a server may release a request and answer later. So a server writes into the client's lane that it has it, before
 * it takes it: whoever is named there and is gone, while the request is not in the ring any more, died with it. A name
 * that is too early (dead before taking it) does no harm, since the request then still stands in the ring.
 */
#include "channel/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What stands before the content: of a request, of an answer. */
struct request {
    uint64_t mark;
    uint64_t client;
    uint64_t number;
};
struct answer {
    uint64_t client;
    uint64_t number;
};
#define MARK UINT64_C(0x3f6b73616f737276) /* "vrsoask?" on a little-endian machine */

/* A client: its lane, in bit 16 whether it only calls, and in the upper half which of those who had that lane. */
#define CLIENT_LANE UINT64_C(0xffff)
#define CLIENT_CALLS (UINT64_C(1) << 16)

/* A request that has not been answered, as far as deaths are watched. */
struct pending {
    uint64_t number; /* 0: none */
    uint64_t position;
    bool is_call;
};

struct verso_channel_client {
    struct verso_channel *channel;
    struct verso_channel_writer *writer;
    struct verso_channel_reader *reader;
    uint64_t name;
    uint64_t asked;
    uint64_t calling; /* the request that is waited for; 0: any that was asked */
    uint64_t lost;    /* the one whose server has died */
    struct pending pending[VERSO__CHANNEL_SERVED];
    struct verso_channel_client *next;
};

/* ---- Who has a request: its number in the upper half, in the lower one which server, 0: nobody yet ---- */

#define PLACE_BITS 6
#define SERIAL_MASK ((UINT64_C(1) << (31 - PLACE_BITS)) - 1)

static uint32_t tag_of(uint32_t place, uint64_t serial)
{
    return (uint32_t)((serial & SERIAL_MASK) << (PLACE_BITS + 1)) | place << 1 | 1;
}

static _Atomic uint64_t *served_at(struct verso__channel_lane *lane, uint64_t number)
{
    return &lane->served[number % VERSO__CHANNEL_SERVED];
}

/* Whether that server is still there, for all that has been buried. */
static bool is_open(const struct verso__channel_side *side, uint32_t tag)
{
    uint32_t place = tag >> 1 & ((1U << PLACE_BITS) - 1);
    const struct verso__channel_reader_place *own;

    if (place >= side->readers_most)
        return false;
    own = &side->lane->readers[place];
    return atomic_load(&own->owner) != 0 && tag_of(place, atomic_load(&own->serial)) == tag;
}

/* Nobody can take it from the ring any more. Whose place has been put in order, what he held was so before. */
static bool was_taken(const struct verso__channel_side *side, uint64_t position)
{
    const struct verso__channel_lane *lane = side->lane;
    uint64_t end = atomic_load(side->way == &verso__channel_direct ? &lane->readers[0].passed : &lane->next);

    return (int64_t)(end - position) > 0 || (int64_t)(side->way->head(side) - position) > 0;
}

static bool is_lost(const struct verso_channel_client *client, const struct pending *pending)
{
    _Atomic uint64_t *served = served_at(client->reader->side.lane, pending->number);
    uint64_t who = atomic_load(served);

    if ((uint32_t)(who >> 32) != (uint32_t)pending->number || (uint32_t)who == 0)
        return false;
    if (is_open(&client->writer->side, (uint32_t)who) || !was_taken(&client->writer->side, pending->position))
        return false;
    return atomic_load(served) == who; /* else another one has taken it */
}

/* ---- The server's side ---- */

static bool is_of_client(const struct verso_channel *channel, uint64_t client)
{
    return (client & CLIENT_LANE) >= 1 && (client & CLIENT_LANE) <= channel->plan.clients_most;
}

/* Whether the lane is still that client's. */
static bool is_at(const struct verso__channel_lane *lane, uint64_t client)
{
    return (uint32_t)atomic_load(&lane->opened_readers) == (uint32_t)(client >> 32) &&
           atomic_load(&lane->readers[0].owner) != 0;
}

static bool request_read(const void *data, size_t bytes, struct request *out_request)
{
    if (bytes < sizeof(*out_request))
        return false;
    memcpy(out_request, data, sizeof(*out_request));
    return out_request->mark == MARK;
}

void verso__channel_note_request(const struct verso_channel_reader *reader, const struct verso_channel_message *message)
{
    struct verso__channel_lane *lane;
    struct request request;
    uint64_t who;

    if (!request_read(message->data, message->bytes, &request) || !is_of_client(reader->side.channel, request.client))
        return;
    lane = verso__channel_lane_at(reader->side.channel, (uint32_t)(request.client & CLIENT_LANE));
    who = atomic_load(served_at(lane, request.number));
    while ((uint32_t)(who >> 32) == (uint32_t)request.number)
        if (atomic_compare_exchange_weak(served_at(lane, request.number), &who, request.number << 32 | reader->tag))
            return;
}

void verso__channel_server_begin(struct verso_channel_reader *reader, uint64_t serial)
{
    atomic_store(&reader->own->serial, serial);
    if (reader->side.channel->plan.clients_most && reader->side.lane == reader->side.channel->lane)
        reader->tag = tag_of(reader->side.place, serial);
}

void verso__channel_server_end(struct verso_channel_reader *reader)
{
    for (uint32_t i = 0; reader->answers && i < reader->side.channel->plan.clients_most; i++)
        verso_channel_writer_close(reader->answers[i]);
    free(reader->answers);
    reader->answers = NULL;
}

/* Who waits for its answers sleeps at a lane where nothing else may ever ring. */
void verso__channel_server_left(const struct verso_channel_reader *reader)
{
    struct verso__channel_side side = reader->side;

    for (uint32_t lane = 1; reader->tag && lane <= side.channel->plan.clients_most; lane++) {
        side.lane = verso__channel_lane_at(side.channel, lane);
        verso__channel_ring(&side, &side.lane->data_bell, VERSO__CHANNEL_ALL);
    }
}

int verso_channel_request_of(const struct verso_channel_message *message, struct verso_channel_request *out_request)
{
    struct request request;

    if (!message || !out_request || (!message->data && message->bytes > 0))
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!request_read(message->data, message->bytes, &request))
        return verso__fail_hint(VERSO_E_CORRUPT, "request", NULL, "it was sent, not asked: nobody waits for an answer");
    *out_request = (struct verso_channel_request){
        .data = (const unsigned char *)message->data + sizeof(request),
        .bytes = message->bytes - sizeof(request),
        .client = request.client,
        .number = request.number,
    };
    return 0;
}

/* Who waits for room in a client's ring waits for that client, and for none that comes after it. */
static int see_client(struct verso__channel_side *side, bool is_thorough, struct verso__channel_others *out_others)
{
    const struct verso_channel_reader *server = side->see_arg;
    int r = verso__channel_see_readers(side, is_thorough, out_others);

    return r == 0 && !is_at(side->lane, server->answering) ? -EPIPE : r;
}

/* The server's writer in a client's lane; kept for the next answer. */
static int writer_to(struct verso_channel_reader *server, uint32_t lane, struct verso_channel_writer **out_writer)
{
    struct verso_channel *channel = server->side.channel;
    struct verso_channel_end end = VERSO_CHANNEL_END_INIT;
    struct verso_channel_writer *writer;
    int r;

    if (!server->answers)
        server->answers = calloc(channel->plan.clients_most, sizeof(struct verso_channel_writer *));
    if (!server->answers)
        return verso__fail(-ENOMEM, "calloc", NULL);
    if (!server->answers[lane - 1]) {
        r = verso__channel_map_answers(channel, lane);
        if (r < 0)
            return verso__fail(r, "mmap", channel->share->path);
        end.look_ns = server->side.look_ns;
        r = verso__channel_writer_open(channel, lane, &end, &writer);
        if (r < 0)
            return r;
        writer->side.see = see_client;
        writer->side.see_arg = server;
        server->answers[lane - 1] = writer;
    }
    *out_writer = server->answers[lane - 1];
    return 0;
}

/* Without a system call, unless the kernel has marked the client as dead. */
static bool has_gone(const struct verso_channel_writer *writer, uint64_t client)
{
    const struct verso__channel_reader_place *place = &writer->side.lane->readers[0];
    uint64_t owner = atomic_load(&place->owner), seat = atomic_load(&place->seat);
    struct verso__share_seat one = { writer->side.channel->share, (uint32_t)seat - 1, (uint32_t)(seat >> 32) };

    if (!is_at(writer->side.lane, client))
        return true;
    return verso__share_seat_is_marked(&one) && verso__channel_is_dead(writer->side.channel, owner);
}

static int fail_gone(const struct verso_channel_reader *server)
{
    return verso__fail_hint(-EPIPE, "answer", server->side.channel->share->path, "the client has gone");
}

int verso_channel_answer(struct verso_channel_reader *server, const struct verso_channel_request *request,
                         const void *data, size_t bytes, int timeout_ms)
{
    struct verso_channel_writer *writer = NULL;
    struct answer front;
    void *room;
    int r;

    if (!server || !request || (!data && bytes > 0))
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!verso__channel_is_here(&server->side))
        return verso__channel_fail_fork();
    if (!server->tag || !is_of_client(server->side.channel, request->client))
        return verso__fail_hint(VERSO_E_CORRUPT, "answer", server->side.channel->share->path, "no client asked that");
    r = writer_to(server, (uint32_t)(request->client & CLIENT_LANE), &writer);
    if (!writer)
        return r;
    if (bytes > writer->side.bytes_most - sizeof(front))
        return verso__fail_hint(VERSO_E_RANGE, "answer", NULL,
                                "longer than an answer may be: make answers_bytes larger");
    if (has_gone(writer, request->client))
        return fail_gone(server);
    server->answering = request->client;
    r = verso_channel_reserve(writer, sizeof(front) + bytes, timeout_ms, &room);
    if (r != 0)
        return r == -EPIPE ? fail_gone(server) : r;
    front = (struct answer){ request->client, request->number };
    memcpy(room, &front, sizeof(front));
    if (bytes > 0)
        memcpy((unsigned char *)room + sizeof(front), data, bytes);
    return verso_channel_commit(writer, sizeof(front) + bytes);
}

/* ---- The client's side ---- */

static struct pending *pending_at(struct verso_channel_client *client, uint64_t number)
{
    return &client->pending[number % VERSO__CHANNEL_SERVED];
}

static void forget(struct verso_channel_client *client, uint64_t number)
{
    if (pending_at(client, number)->number == number)
        pending_at(client, number)->number = 0;
}

/* 0, or VERSO_E_PEER_DIED: the server has died that had the request which is called for, or one that was asked. */
static int find_lost(struct verso_channel_client *client)
{
    for (size_t i = 0; i < VERSO__CHANNEL_SERVED; i++) {
        const struct pending *pending = &client->pending[i];
        bool is_wanted = client->calling ? pending->number == client->calling : !pending->is_call;

        if (pending->number != 0 && is_wanted && is_lost(client, pending)) {
            client->lost = pending->number;
            return VERSO_E_PEER_DIED;
        }
    }
    return 0;
}

/* Whoever serves is watched. What servers that died have left half-written in the lane of answers is put in order. */
static int see_servers(struct verso__channel_side *side, bool is_thorough, struct verso__channel_others *out_others)
{
    struct verso_channel_client *client = side->see_arg;
    const struct verso_channel *channel = client->channel;
    int r = verso__channel_see_writers(side, is_thorough, out_others);

    out_others->alive = 0; /* who has only answered before does not count */
    if (r == 0)
        r = verso__channel_see_readers(&client->writer->side, is_thorough, out_others);
    if (r == 0)
        r = find_lost(client);
    if (r < 0)
        return r;
    if (out_others->alive == 0 && atomic_load(&channel->lane->opened_readers) != 0 &&
        !(channel->plan.flags & VERSO_CHANNEL_LASTING))
        return -EPIPE;
    return 0;
}

/* The first lane that is nobody's. */
static int take_lane(struct verso_channel_client *client, const struct verso_channel_end *end)
{
    struct verso_channel *channel = client->channel;
    int r = -EUSERS;

    for (uint32_t lane = 1; lane <= channel->plan.clients_most && r == -EUSERS; lane++) {
        r = verso__channel_map_answers(channel, lane);
        if (r < 0)
            return verso__fail(r, "mmap", channel->share->path);
        r = verso__channel_reader_open(channel, lane, end, &client->reader);
        if (r == 0)
            client->name = atomic_load(&client->reader->side.lane->opened_readers) << 32 | lane;
    }
    return r;
}

static void client_free(struct verso_channel_client *client)
{
    verso_channel_reader_close(client->reader);
    verso_channel_writer_close(client->writer);
    free(client);
}

int verso_channel_client_open(struct verso_channel *channel, const struct verso_channel_end *end,
                              struct verso_channel_client **out_client)
{
    struct verso_channel_client *client;
    int r;

    if (!channel || !out_client)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (channel->plan.clients_most == 0)
        return verso__fail_hint(VERSO_E_OPTIONS, "client", channel->share->path, "it was made without clients_most");
    client = calloc(1, sizeof(*client));
    if (!client)
        return verso__fail(-ENOMEM, "calloc", NULL);
    client->channel = channel;
    r = verso__channel_writer_open(channel, 0, end, &client->writer);
    if (r == 0)
        r = take_lane(client, end);
    if (r < 0) {
        client_free(client);
        return r;
    }
    client->asked = atomic_load(&client->reader->side.lane->asked);
    client->reader->side.see = see_servers;
    client->reader->side.see_arg = client;
    verso__channel_lists_lock();
    client->next = channel->clients;
    channel->clients = client;
    verso__channel_lists_unlock();
    *out_client = client;
    return 0;
}

void verso_channel_client_close(struct verso_channel_client *client)
{
    struct verso_channel_client **link;

    if (!client)
        return;
    verso__channel_lists_lock();
    for (link = &client->channel->clients; *link != client;)
        link = &(*link)->next;
    *link = client->next;
    verso__channel_lists_unlock();
    client_free(client);
}

/* Nobody may find the request before its number stands among those that are served. */
static int ask(struct verso_channel_client *client, const void *data, size_t bytes, int timeout_ms, bool is_call,
               uint64_t *out_number)
{
    struct verso__channel_lane *lane = client->reader->side.lane;
    struct request front = { MARK, client->name | (is_call ? CLIENT_CALLS : 0), client->asked + 1 };
    void *room;
    int r;

    if (bytes > client->writer->side.bytes_most - sizeof(front))
        return verso__fail_hint(VERSO_E_RANGE, "ask", NULL, "longer than a request may be: a message less 24 bytes");
    r = verso_channel_reserve(client->writer, sizeof(front) + bytes, timeout_ms, &room);
    if (r != 0)
        return r;
    client->asked = front.number;
    *pending_at(client, front.number) = (struct pending){ front.number, client->writer->reserved_at, is_call };
    atomic_store(&lane->asked, front.number);
    atomic_store(served_at(lane, front.number), front.number << 32);
    memcpy(room, &front, sizeof(front));
    if (bytes > 0)
        memcpy((unsigned char *)room + sizeof(front), data, bytes);
    *out_number = front.number;
    return verso_channel_commit(client->writer, sizeof(front) + bytes);
}

static int remaining_ms(uint64_t deadline_ns, int timeout_ms)
{
    uint64_t now;

    if (timeout_ms <= 0)
        return timeout_ms;
    now = verso__os_clock_ns();
    return now >= deadline_ns ? 0 : (int)((deadline_ns - now + 999999) / 1000000);
}

static uint64_t deadline_of(int timeout_ms)
{
    return timeout_ms > 0 ? verso__os_clock_ns() + (uint64_t)timeout_ms * 1000000U : 0;
}

/* Waiting as what is left of the time allows; when there is nothing left of it, it was over. */
static int receive(struct verso_channel_client *client, uint64_t deadline_ns, int timeout_ms,
                   struct verso_channel_message *out_message)
{
    int left_ms = remaining_ms(deadline_ns, timeout_ms);
    int r = verso_channel_receive(client->reader, left_ms, out_message);

    if (r == -EAGAIN && timeout_ms > 0)
        return verso__fail_hint(-ETIMEDOUT, "answer", client->channel->share->path, "no answer came in time");
    if (r == VERSO_E_PEER_DIED) {
        forget(client, client->lost);
        return verso__fail_at(r, "answer", client->channel->share->path, client->lost);
    }
    if (r == -EPIPE)
        return verso__fail_hint(r, "answer", client->channel->share->path, "the last server has left");
    return r;
}

/* Whether @answer is the one that is waited for. */
static bool is_wanted(const struct verso_channel_client *client, const struct answer *answer)
{
    if ((answer->client & ~CLIENT_CALLS) != client->name)
        return false;
    return client->calling ? answer->number == client->calling : !(answer->client & CLIENT_CALLS);
}

/* Drops what is held. False: the time is over, and of such answers there were more since than the ring can have held:
 * somebody makes them up as fast as they are read. */
static bool may_drop(struct verso_channel_client *client, size_t bytes, uint64_t deadline_ns, int timeout_ms,
                     uint64_t *late_bytes)
{
    const struct verso__channel_side *side = &client->reader->side;

    (void)verso_channel_release(client->reader);
    if (remaining_ms(deadline_ns, timeout_ms) == 0)
        *late_bytes += verso__channel_span(side, bytes);
    return *late_bytes <= verso__channel_capacity(side);
}

static int next_answer(struct verso_channel_client *client, uint64_t deadline_ns, int timeout_ms,
                       struct verso_channel_message *out_answer)
{
    struct verso_channel_message message;
    uint64_t late_bytes = 0;
    struct answer front;
    int r;

    while ((r = receive(client, deadline_ns, timeout_ms, &message)) == 0) {
        if (message.bytes < sizeof(front)) {
            (void)verso_channel_release(client->reader);
            return verso__fail(VERSO_E_CORRUPT, "answer", client->channel->share->path);
        }
        memcpy(&front, message.data, sizeof(front));
        if (is_wanted(client, &front))
            break;
        if (!may_drop(client, message.bytes, deadline_ns, timeout_ms, &late_bytes))
            return verso__fail(timeout_ms == 0 ? -EAGAIN : -ETIMEDOUT, "answer", client->channel->share->path);
    }
    if (r < 0)
        return r;
    forget(client, front.number);
    message.data = (const unsigned char *)message.data + sizeof(front);
    message.bytes -= sizeof(front);
    message.number = front.number;
    *out_answer = message;
    return 0;
}

int verso_channel_call(struct verso_channel_client *client, const void *data, size_t bytes, int timeout_ms,
                       struct verso_channel_message *out_answer)
{
    uint64_t number = 0, deadline_ns = deadline_of(timeout_ms);
    int r;

    if (!client || !out_answer || (!data && bytes > 0))
        return verso__fail(-EINVAL, "arguments", NULL);
    r = ask(client, data, bytes, timeout_ms, true, &number);
    if (r != 0)
        return r;
    client->calling = number;
    r = next_answer(client, deadline_ns, timeout_ms, out_answer);
    client->calling = 0;
    forget(client, number);
    return r;
}

int verso_channel_ask(struct verso_channel_client *client, const void *data, size_t bytes, int timeout_ms,
                      uint64_t *out_number)
{
    uint64_t number = 0;
    int r;

    if (!client || !out_number || (!data && bytes > 0))
        return verso__fail(-EINVAL, "arguments", NULL);
    r = ask(client, data, bytes, timeout_ms, false, &number);
    if (r == 0)
        *out_number = number;
    return r;
}

int verso_channel_answer_receive(struct verso_channel_client *client, int timeout_ms,
                                 struct verso_channel_message *out_answer)
{
    if (!client || !out_answer)
        return verso__fail(-EINVAL, "arguments", NULL);
    return next_answer(client, deadline_of(timeout_ms), timeout_ms, out_answer);
}

int verso_channel_client_release(struct verso_channel_client *client)
{
    return client ? verso_channel_release(client->reader) : verso__fail(-EINVAL, "arguments", NULL);
}
