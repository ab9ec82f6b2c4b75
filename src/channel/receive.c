/* SPDX-License-Identifier: MIT */
/*
 * receive - the public calls, and the direct way: the one reader of a queue, which owns its position, D1 to D5 in
 * channel.md.
 *
 * It looks at headers and at nothing else. What it has received ends at `passed`, what it has released at `position`:
 * a reader that comes after its death begins at the first, so nobody receives a message twice.
 */
#include "channel/channel.h"

#include "base/sums.h"

#include <errno.h>
#include <string.h>

static inline bool is_direct(const struct verso_channel_reader *reader)
{
    return __builtin_expect(reader->side.way == &verso__channel_direct, 1);
}

static inline uint64_t load_header(const struct verso_channel_reader *reader, uint64_t position)
{
    return atomic_load_explicit(verso__channel_at(&reader->side, position), memory_order_acquire);
}

/* Nothing is held. */
static void move_on(struct verso_channel_reader *reader, uint64_t span)
{
    reader->position += span;
    atomic_store_explicit(&reader->own->position, reader->position, memory_order_release);
    verso__channel_ring(&reader->side, &reader->side.lane->room_bell, VERSO__CHANNEL_ALL);
}

/* Passes what is void. 0: a message stands at the position; -EAGAIN; VERSO_E_CORRUPT, also for more void than a ring
 * holds. What a dead writer has reserved is made void by whoever looks at the writers (wait.c). */
static int look(struct verso_channel_reader *reader)
{
    uint64_t passed = 0;

    for (;;) {
        uint64_t header = load_header(reader, reader->position);
        uint64_t span = verso__channel_span_of(&reader->side, header);

        if (span == 0 || passed > reader->side.mask)
            return VERSO_E_CORRUPT;
        switch (verso__channel_state(header)) {
        case VERSO__CHANNEL_COMMITTED:
            return 0;
        case VERSO__CHANNEL_VOID:
            move_on(reader, span);
            passed += span;
            break;
        case VERSO__CHANNEL_NOTHING:
        case VERSO__CHANNEL_RESERVED:
            return -EAGAIN;
        default:
            return VERSO_E_CORRUPT;
        }
    }
}

int verso__channel_look_for_data(void *end, uint64_t unused)
{
    struct verso_channel_reader *reader = end;

    (void)unused;
    return reader->side.way->look(reader);
}

int verso__channel_wait_for_data(struct verso_channel_reader *reader, int timeout_ms)
{
    const struct verso__channel_wait wait = { .side = &reader->side,
                                              .bell = &reader->side.lane->data_bell,
                                              .sleeps = &reader->own->sleeps,
                                              .look = verso__channel_look_for_data,
                                              .end = reader };

    return verso__channel_wait_for(&wait, timeout_ms);
}

/* Fills in what stands at @position if it is a message; its span, or 0. */
static inline uint64_t show(const struct verso_channel_reader *reader, uint64_t position,
                            struct verso_channel_message *out_message)
{
    uint64_t header = load_header(reader, position);
    size_t length = verso__channel_length(header);

    if (verso__channel_state(header) != VERSO__CHANNEL_COMMITTED || length > reader->side.bytes_most)
        return 0;
    *out_message = (struct verso_channel_message){
        .data = reader->side.ring + (position & reader->side.mask) + VERSO__CHANNEL_HEADER_BYTES,
        .bytes = length,
        .writer = verso__channel_place(header),
    };
    return verso__channel_span(&reader->side, length);
}

static inline void release(struct verso_channel_reader *reader)
{
    reader->position += reader->held_bytes;
    reader->held_bytes = 0;
    atomic_store_explicit(&reader->own->position, reader->position, memory_order_release);
    if (verso__channel_is_asleep(&reader->side.lane->room_bell) &&
        (int64_t)(reader->position - atomic_load(&reader->side.lane->room_bell.wanted)) >= 0)
        verso__channel_ring_slowly(&reader->side, &reader->side.lane->room_bell, VERSO__CHANNEL_ALL);
}

static inline void hold(struct verso_channel_reader *reader, uint64_t span, uint64_t messages, uint64_t bytes)
{
    reader->held_bytes = span;
    atomic_store_explicit(&reader->own->passed, reader->position + span, memory_order_relaxed);
    verso__channel_publish(&reader->own->received, reader->received += messages);
    verso__channel_publish(&reader->own->received_bytes, reader->received_bytes += bytes);
}

/* The next message: its span in *out_span. What was held is released. */
static inline int next(struct verso_channel_reader *reader, int timeout_ms, struct verso_channel_message *out_message,
                       uint64_t *out_span)
{
    if (reader->held_bytes)
        release(reader);
    *out_span = show(reader, reader->position, out_message);
    while (__builtin_expect(*out_span == 0, 0)) {
        int r = verso__channel_wait_for_data(reader, timeout_ms);

        if (r != 0)
            return r;
        *out_span = show(reader, reader->position, out_message);
    }
    return 0;
}

/* ---- The way: places, and the head ---- */

static struct verso_mutex *readers_lock(struct verso__channel_lane *lane)
{
    return &lane->take;
}

static int settle(struct verso_channel_reader *reader, const struct verso_channel_end *end)
{
    (void)end;
    reader->position = atomic_load(&reader->own->position);
    if (reader->position & 7)
        return VERSO_E_CORRUPT;
    atomic_store(&reader->own->passed, reader->position);
    return 0;
}

/* How many messages lie in [position, position + bytes), which a reader that died held. */
static uint64_t count_messages(const struct verso__channel_side *side, uint64_t position, uint64_t bytes)
{
    uint64_t count = 0, span;

    for (uint64_t walked = 0; walked < bytes; walked += span) {
        uint64_t header = atomic_load_explicit(verso__channel_at(side, position + walked), memory_order_acquire);

        count += verso__channel_state(header) == VERSO__CHANNEL_COMMITTED;
        span = verso__channel_span_of(side, header);
        if (span == 0)
            break;
    }
    return count;
}

/* What it had received and not released counts as received. */
static int bury(struct verso__channel_side *side, uint32_t place)
{
    struct verso__channel_reader_place *own = &side->lane->readers[place];
    uint64_t position = atomic_load(&own->position), passed = atomic_load(&own->passed);

    if (passed - position <= side->mask && passed > position && (position & 7) == 0) {
        atomic_fetch_add_explicit(&side->lane->lost_held, count_messages(side, position, passed - position),
                                  memory_order_relaxed);
        atomic_store(&own->position, passed);
    }
    return 0;
}

static uint64_t head(const struct verso__channel_side *side)
{
    return atomic_load_explicit(&side->lane->readers[0].position, memory_order_acquire);
}

const struct verso__channel_way verso__channel_direct = {
    .wakes = VERSO__CHANNEL_ALL,
    .readers_lock = readers_lock,
    .settle = settle,
    .look = look,
    .bury = bury,
    .head = head,
};

/* ---- The public calls ---- */

int verso__channel_fail_long(void)
{
    return verso__fail_hint(-EMSGSIZE, "read", NULL, "the message is longer than the room for it: it is still next");
}

int verso_channel_receive(struct verso_channel_reader *reader, int timeout_ms,
                          struct verso_channel_message *out_message)
{
    struct verso_channel_message message;
    uint64_t span;
    int r;

    size_t count;

    if (!reader || !out_message)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (__builtin_expect(!verso__channel_is_here(&reader->side), 0))
        return verso__channel_fail_fork();
    if (!is_direct(reader))
        return reader->side.way->receive(reader, timeout_ms, out_message, 1, &count);
    r = next(reader, timeout_ms, &message, &span);
    if (r < 0)
        return r;
    verso__channel_note(reader, &message);
    hold(reader, span, 1, message.bytes);
    *out_message = message;
    return 0;
}

int verso_channel_receive_many(struct verso_channel_reader *reader, int timeout_ms,
                               struct verso_channel_message *out_messages, size_t room, size_t *out_count)
{
    struct verso_channel_message message;
    uint64_t span, one, bytes;
    size_t number = 1;
    int r;

    if (!reader || !out_messages || room == 0 || !out_count)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!verso__channel_is_here(&reader->side))
        return verso__channel_fail_fork();
    if (!is_direct(reader))
        return reader->side.way->receive(reader, timeout_ms, out_messages, room, out_count);
    r = next(reader, timeout_ms, &message, &span);
    if (r < 0)
        return r;
    verso__channel_note(reader, &message);
    out_messages[0] = message;
    bytes = message.bytes;
    while (number < room && span <= reader->side.mask &&
           (one = show(reader, reader->position + span, &out_messages[number])) != 0) {
        verso__channel_note(reader, &out_messages[number]);
        bytes += out_messages[number++].bytes;
        span += one;
    }
    hold(reader, span, number, bytes);
    *out_count = number;
    return 0;
}

int verso_channel_release(struct verso_channel_reader *reader)
{
    if (!reader)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!verso__channel_is_here(&reader->side))
        return verso__channel_fail_fork();
    if (!reader->held_bytes)
        return verso__fail_hint(VERSO_E_RANGE, "release", NULL, "nothing is held");
    if (!is_direct(reader))
        return reader->side.way->release(reader);
    release(reader);
    return 0;
}

int verso_channel_read(struct verso_channel_reader *reader, void *out_data, size_t room_bytes, int timeout_ms,
                       struct verso_channel_message *out_message)
{
    struct verso_channel_message message;
    uint64_t span;
    int r;

    if (!reader || (!out_data && room_bytes > 0))
        return verso__fail(-EINVAL, "arguments", NULL);
    if (__builtin_expect(!verso__channel_is_here(&reader->side), 0))
        return verso__channel_fail_fork();
    if (!is_direct(reader))
        return reader->side.way->read(reader, out_data, room_bytes, timeout_ms, out_message);
    r = next(reader, timeout_ms, &message, &span);
    if (r < 0)
        return r;
    if (message.bytes > room_bytes) {
        if (out_message) {
            *out_message = message;
            out_message->data = NULL;
        }
        return verso__channel_fail_long();
    }
    if (message.bytes > 0)
        memcpy(out_data, message.data, message.bytes);
    verso__channel_note(reader, &message);
    reader->held_bytes = span;
    verso__channel_publish(&reader->own->received, ++reader->received);
    verso__channel_publish(&reader->own->received_bytes, reader->received_bytes += message.bytes);
    release(reader);
    if (out_message) {
        *out_message = message;
        out_message->data = out_data;
    }
    return 0;
}
