/* SPDX-License-Identifier: MIT */
/*
 * send - a record is content, a 0 behind it, and last of all its header: S1 to S5 and C1 to C11 in channel.md.
 *
 * The one store that makes a message is that of its header. What is in front of it is in the message, and what died
 * before it has not been sent.
 */
#include "channel/channel.h"

#include "base/sums.h"

#include <errno.h>
#include <string.h>

/* Longer copies are made without the claim's lock. */
#define COPY_UNDER_LOCK_MOST 1024

/* Waking takes longer than copying so much: who sleeps is woken first, and finds it whole. */
#define COPY_LONG 8192

/* ---- Room ---- */

static inline bool has_room(const struct verso_channel_writer *writer, uint64_t tail, uint64_t span)
{
    return span + VERSO__CHANNEL_HEADER_BYTES <= verso__channel_capacity(&writer->side) - (tail - writer->head);
}

/* 0, -EAGAIN, VERSO_E_CORRUPT. */
static int look_at_head(struct verso_channel_writer *writer, uint64_t tail, uint64_t span)
{
    uint64_t head = writer->side.way->head(&writer->side);

    if (head & 7 || head - writer->head > tail - writer->head || tail - head > writer->side.mask)
        return VERSO_E_CORRUPT;
    writer->head = head;
    return has_room(writer, tail, span) ? 0 : -EAGAIN;
}

/* Under the claim's lock, if not alone. */
static int look_for_room(struct verso_channel_writer *writer, uint64_t tail, uint64_t span)
{
    int r = look_at_head(writer, tail, span);

    if (r != -EAGAIN || !writer->side.way->make_room)
        return r;
    r = writer->side.way->make_room(writer, tail, span);
    return r < 0 ? r : look_at_head(writer, tail, span);
}

static int look_alone(void *end, uint64_t span)
{
    struct verso_channel_writer *writer = end;

    return look_for_room(writer, writer->tail, span);
}

/* @messages more have a number. The tail comes last: who finds it lagging walks on, and counts what it passes. */
static inline void set_tail(struct verso_channel_writer *writer, uint64_t tail, uint64_t messages)
{
    if (verso__channel_is_numbered(&writer->side))
        atomic_store_explicit(&writer->side.lane->number, writer->number += messages, memory_order_release);
    writer->tail = tail;
    atomic_store_explicit(&writer->side.lane->tail, tail, memory_order_release);
}

/*
 * Under the lock: where the record begins, and whether there is room for it. As look_for_room(). A tail that lags is
 * put right at once, since who waits for room goes by it.
 */
static int look_at_tail(struct verso_channel_writer *writer, uint64_t span)
{
    uint64_t tail = atomic_load_explicit(&writer->side.lane->tail, memory_order_relaxed);
    int r = verso__channel_find_end(&writer->side, &writer->tail, &writer->number);

    if (r < 0)
        return r;
    if (__builtin_expect(writer->tail != tail, 0))
        set_tail(writer, writer->tail, 0);
    if (writer->tail - writer->head <= writer->side.mask && has_room(writer, writer->tail, span))
        return 0;
    return look_for_room(writer, writer->tail, span);
}

/* What can be seen is not all when a writer may make room. */
static int try_among_others(struct verso_channel_writer *writer, uint64_t span)
{
    int r = verso__channel_lock_for(&writer->side.lane->claim, 0);

    if (r < 0)
        return r;
    r = look_at_tail(writer, span);
    verso__channel_unlock(&writer->side.lane->claim);
    return r;
}

/* Others may claim what is seen here: a hint, which the lock then decides. */
static int look_among_others(void *end, uint64_t span)
{
    struct verso_channel_writer *writer = end;
    uint64_t tail = atomic_load_explicit(&writer->side.lane->tail, memory_order_acquire);
    uint64_t head = writer->side.way->head(&writer->side);

    if (writer->side.way->may_have_room && writer->side.way->may_have_room(writer, tail, span) < 0)
        return -EAGAIN;
    if (writer->side.way->make_room)
        return try_among_others(writer, span);
    if (tail - head > writer->side.mask) /* the tail lags behind the reader: after a death */
        return 0;
    return span + VERSO__CHANNEL_HEADER_BYTES <= verso__channel_capacity(&writer->side) - (tail - head) ? 0 : -EAGAIN;
}

/*
 * Room worth waking up for, in terms of the head: an eighth of the ring, and half of it where others write, too, since
 * they all wake up and find but so much. (They may also have taken what there was before.)
 */
static uint64_t wanted_head(void *end, uint64_t span)
{
    const struct verso_channel_writer *writer = end;
    uint64_t capacity = verso__channel_capacity(&writer->side);
    uint64_t room = verso__max_u64(capacity / (writer->is_alone ? 8 : 2), span + VERSO__CHANNEL_HEADER_BYTES);
    uint64_t tail =
        writer->is_alone ? writer->tail : atomic_load_explicit(&writer->side.lane->tail, memory_order_relaxed);

    return tail + room - capacity;
}

int verso__channel_look_for_room(struct verso_channel_writer *writer, uint64_t span)
{
    return writer->is_alone ? look_alone(writer, span) : look_among_others(writer, span);
}

static int drop_newest(struct verso_channel_writer *writer)
{
    verso__channel_publish(&writer->own->dropped,
                           atomic_load_explicit(&writer->own->dropped, memory_order_relaxed) + 1);
    return VERSO_CHANNEL_DROPPED;
}

static bool may_wait(const struct verso_channel_writer *writer)
{
    return writer->side.full != VERSO_CHANNEL_FULL_REFUSE && writer->side.full != VERSO_CHANNEL_FULL_DROP_NEWEST;
}

static int wait_for_room(struct verso_channel_writer *writer, uint64_t span, int timeout_ms)
{
    struct verso__channel_wait wait = { .side = &writer->side,
                                        .bell = &writer->side.lane->room_bell,
                                        .sleeps = &writer->own->sleeps,
                                        .is_writer = true,
                                        .look = writer->is_alone ? look_alone : look_among_others,
                                        .end = writer,
                                        .arg = span,
                                        .wanted = wanted_head };
    uint32_t full = writer->side.full;
    int r = full == VERSO_CHANNEL_FULL_DROP_NEWEST ? verso__channel_peek(&wait)
                                                   : verso__channel_wait_for(&wait, may_wait(writer) ? timeout_ms : 0);

    writer->refused_span = r == 0 ? 0 : span;
    if (full != VERSO_CHANNEL_FULL_DROP_NEWEST)
        return r;
    if (r != -EAGAIN && r != -EPIPE && r != VERSO_E_PEER_DIED)
        return r == 0 ? 0 : verso__fail(r, "send", writer->side.channel->share->path);
    return drop_newest(writer);
}

/* ---- A record's beginning: room for it, and among others the lock ---- */

/* What is left of a time limit; at least 1. */
static int left_of(uint64_t deadline_ns)
{
    uint64_t now = verso__os_clock_ns();

    return now < deadline_ns ? (int)((deadline_ns - now + 999999) / 1000000) : 1;
}

/* There was room, or the lock was free, but others were faster. */
static int too_late(struct verso_channel_writer *writer, int timeout_ms)
{
    if (writer->side.full == VERSO_CHANNEL_FULL_DROP_NEWEST)
        return drop_newest(writer);
    return verso__fail(timeout_ms == 0 ? -EAGAIN : -ETIMEDOUT, "send", NULL);
}

/* Again and again, since others may be faster; but no longer than @timeout_ms says. */
static int claim(struct verso_channel_writer *writer, uint64_t span, int timeout_ms)
{
    struct verso_mutex *mutex = &writer->side.lane->claim;
    uint64_t deadline_ns = 0;
    bool is_late = false;
    int r, left_ms = timeout_ms = may_wait(writer) ? timeout_ms : 0;

    if (timeout_ms != 0)
        deadline_ns = timeout_ms < 0 ? VERSO__OS_NEVER : verso__os_clock_ns() + (uint64_t)timeout_ms * 1000000U;
    for (;;) {
        r = verso__channel_lock_for(mutex, left_ms);
        if (r == -EAGAIN)
            return too_late(writer, 0);
        if (r < 0)
            return r; /* the record is filled */
        r = look_at_tail(writer, span);
        if (r == 0)
            return 0;
        verso__channel_unlock(mutex);
        if (r != -EAGAIN)
            return verso__fail(r, "claim", NULL);
        if (is_late)
            return too_late(writer, timeout_ms);
        if (timeout_ms > 0)
            left_ms = left_of(deadline_ns);
        r = wait_for_room(writer, span, left_ms);
        if (r != 0)
            return r;
        is_late = verso__os_clock_ns() >= deadline_ns;
        if (timeout_ms > 0)
            left_ms = left_of(deadline_ns);
    }
}

static inline int begin(struct verso_channel_writer *writer, uint64_t span, int timeout_ms)
{
    if (!writer->is_alone)
        return claim(writer, span, timeout_ms);
    if (__builtin_expect(has_room(writer, writer->tail, span), 1))
        return 0;
    return wait_for_room(writer, span, timeout_ms);
}

/* ---- Its end ---- */

static inline void put_nothing_behind(struct verso_channel_writer *writer, uint64_t end)
{
    atomic_store_explicit(verso__channel_at(&writer->side, end), VERSO__CHANNEL_NOTHING, memory_order_relaxed);
}

static inline void put_number(struct verso_channel_writer *writer, uint64_t position, uint64_t number)
{
    if (verso__channel_is_numbered(&writer->side))
        atomic_store_explicit(verso__channel_at(&writer->side, position) + 1, number, memory_order_relaxed);
}

static inline void publish(struct verso_channel_writer *writer, uint64_t position, enum verso__channel_state state,
                           size_t bytes)
{
    atomic_store_explicit(verso__channel_at(&writer->side, position),
                          verso__channel_header(state, writer->side.place, bytes), memory_order_release);
}

static void make_void(struct verso_channel_writer *writer, uint64_t position, uint64_t span)
{
    atomic_store_explicit(verso__channel_at(&writer->side, position), verso__channel_void(writer->side.place, span),
                          memory_order_release);
}

static inline void count(struct verso_channel_writer *writer, uint64_t messages, uint64_t bytes)
{
    verso__channel_publish(&writer->own->sent, writer->sent += messages);
    verso__channel_publish(&writer->own->sent_bytes, writer->sent_bytes += bytes);
}

static inline unsigned char *content_at(const struct verso_channel_writer *writer, uint64_t position)
{
    return writer->side.ring + (position & writer->side.mask) + writer->side.header_bytes;
}

static inline void copy_in(struct verso_channel_writer *writer, uint64_t position, const void *data, size_t bytes)
{
    void *room = content_at(writer, position);

    if (bytes >= COPY_LONG)
        verso__channel_ring(&writer->side, &writer->side.lane->data_bell, writer->side.way->wakes);
    if (__builtin_expect(writer->side.is_overwritten, 0))
        verso__channel_words_in(room, data, bytes);
    else if (bytes > 0)
        memcpy(room, data, bytes);
}

/* Long messages are claimed first, and copied without the lock. */
static int send_long(struct verso_channel_writer *writer, const void *data, size_t bytes, int timeout_ms)
{
    void *room;
    int r = verso_channel_reserve(writer, bytes, timeout_ms, &room);

    if (r != 0)
        return r;
    copy_in(writer, writer->reserved_at, data, bytes);
    return verso_channel_commit(writer, bytes);
}

static int refuse(const struct verso_channel_writer *writer, size_t bytes)
{
    if (!verso__channel_is_here(&writer->side))
        return verso__channel_fail_fork();
    if (writer->has_reserved)
        return verso__fail_hint(-EBUSY, "send", NULL, "something is reserved: commit it, or abandon it");
    if (bytes > writer->side.bytes_most)
        return verso__fail_hint(VERSO_E_RANGE, "send", NULL,
                                "longer than a message may be: see verso_channel_message_bytes_most()");
    return 0;
}

static inline bool may_send(const struct verso_channel_writer *writer, size_t bytes)
{
    return __builtin_expect(
        bytes <= writer->side.bytes_most && !writer->has_reserved && verso__channel_is_here(&writer->side), 1);
}

int verso_channel_send(struct verso_channel_writer *writer, const void *data, size_t bytes, int timeout_ms)
{
    uint64_t span;
    int r;

    if (!writer || (!data && bytes > 0))
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!may_send(writer, bytes))
        return refuse(writer, bytes);
    if (!writer->is_alone && bytes > COPY_UNDER_LOCK_MOST)
        return send_long(writer, data, bytes, timeout_ms);
    span = verso__channel_span(&writer->side, bytes);
    r = begin(writer, span, timeout_ms);
    if (r != 0)
        return r;
    copy_in(writer, writer->tail, data, bytes);
    put_nothing_behind(writer, writer->tail + span);
    put_number(writer, writer->tail, writer->number);
    publish(writer, writer->tail, VERSO__CHANNEL_COMMITTED, bytes);
    set_tail(writer, writer->tail + span, 1);
    if (!writer->is_alone)
        verso__channel_unlock(&writer->side.lane->claim);
    count(writer, 1, bytes);
    verso__channel_ring(&writer->side, &writer->side.lane->data_bell, writer->side.way->wakes);
    return 0;
}

/* ---- Several at once: the first header comes last, so they are seen together ---- */

static int check_many(const struct verso_channel_writer *writer, const struct verso_channel_part *messages,
                      size_t number)
{
    for (size_t i = 0; i < number; i++) {
        int r = messages[i].data || messages[i].bytes == 0 ? refuse(writer, messages[i].bytes) : -EINVAL;

        if (r < 0)
            return r == -EINVAL ? verso__fail(r, "arguments", NULL) : r;
    }
    return 0;
}

/* How many of them fit into the room there is, by what is known of the reader; *out_span is what they take. */
static size_t fitting(const struct verso_channel_writer *writer, const struct verso_channel_part *messages,
                      size_t number, uint64_t *out_span)
{
    uint64_t span = 0;
    size_t i = 0;

    while (i < number && has_room(writer, writer->tail, span + verso__channel_span(&writer->side, messages[i].bytes)))
        span += verso__channel_span(&writer->side, messages[i++].bytes);
    *out_span = span;
    return i;
}

/* What all of them take, or as much of it as a ring can hold. */
static uint64_t span_of_all(const struct verso_channel_writer *writer, const struct verso_channel_part *messages,
                            size_t number)
{
    uint64_t most = verso__channel_capacity(&writer->side) - VERSO__CHANNEL_HEADER_BYTES, span = 0, sum;

    for (size_t i = 0; i < number; i++) {
        sum = span + verso__channel_span(&writer->side, messages[i].bytes);
        if (sum > most)
            break;
        span = sum;
    }
    return span;
}

/* What was claimed is not wanted after all. */
static int give_back(struct verso_channel_writer *writer, int code)
{
    if (!writer->is_alone)
        verso__channel_unlock(&writer->side.lane->claim);
    return verso__fail(code, "send", writer->side.channel->share->path);
}

int verso_channel_send_many(struct verso_channel_writer *writer, const struct verso_channel_part *messages,
                            size_t number, int timeout_ms, size_t *out_count)
{
    uint64_t span, at, bytes = 0;
    size_t fit;
    int r;

    if (!writer || (!messages && number > 0) || !out_count)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = check_many(writer, messages, number);
    if (r == 0 && number > 0)
        r = begin(writer, verso__channel_span(&writer->side, messages[0].bytes), timeout_ms);
    if (r != 0 || number == 0) {
        if (r == 0)
            *out_count = 0;
        return r;
    }
    fit = fitting(writer, messages, number, &span);
    if (fit < number) {
        r = look_for_room(writer, writer->tail, span_of_all(writer, messages, number));
        if (r < 0 && r != -EAGAIN)
            return give_back(writer, r);
        fit = fitting(writer, messages, number, &span); /* some of what was asked for may be there */
    }
    put_nothing_behind(writer, writer->tail + span);
    at = writer->tail + span;
    for (size_t i = fit; i-- > 0;) {
        at -= verso__channel_span(&writer->side, messages[i].bytes);
        copy_in(writer, at, messages[i].data, messages[i].bytes);
        put_number(writer, at, writer->number + i);
        publish(writer, at, VERSO__CHANNEL_COMMITTED, messages[i].bytes);
        bytes += messages[i].bytes;
    }
    set_tail(writer, writer->tail + span, fit);
    if (!writer->is_alone)
        verso__channel_unlock(&writer->side.lane->claim);
    count(writer, fit, bytes);
    verso__channel_ring(&writer->side, &writer->side.lane->data_bell, writer->side.way->wakes);
    *out_count = fit;
    return 0;
}

/* ---- In place ---- */

int verso_channel_reserve(struct verso_channel_writer *writer, size_t bytes, int timeout_ms, void **out_data)
{
    uint64_t span;
    int r;

    if (!writer || !out_data)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!may_send(writer, bytes))
        return refuse(writer, bytes);
    span = verso__channel_span(&writer->side, bytes);
    r = begin(writer, span, timeout_ms);
    if (r != 0)
        return r;
    if (writer->side.is_overwritten)
        atomic_thread_fence(memory_order_release); /* as in verso__channel_words_in(), for what the caller writes */
    writer->reserved_at = writer->tail;
    writer->reserved_bytes = bytes;
    writer->has_reserved = true;
    *out_data = content_at(writer, writer->tail);
    if (writer->is_alone)
        return 0; /* nobody else needs to know of it */
    put_nothing_behind(writer, writer->tail + span);
    put_number(writer, writer->tail, writer->number);
    publish(writer, writer->tail, VERSO__CHANNEL_RESERVED, bytes);
    set_tail(writer, writer->tail + span, 1);
    verso__channel_unlock(&writer->side.lane->claim);
    return 0;
}

/* The part of a reservation that was not used. */
static void void_rest(struct verso_channel_writer *writer, size_t bytes)
{
    uint64_t used = verso__channel_span(&writer->side, bytes);
    uint64_t all = verso__channel_span(&writer->side, writer->reserved_bytes);

    if (used == all)
        return;
    if (all - used >= VERSO__CHANNEL_NUMBERED_BYTES)
        put_number(writer, writer->reserved_at + used, VERSO__CHANNEL_NO_NUMBER);
    make_void(writer, writer->reserved_at + used, all - used);
}

/* Where writers make room for themselves, a reservation can be all that was in their way. */
static void ring_for_reserved(struct verso_channel_writer *writer)
{
    verso__channel_ring(&writer->side, &writer->side.lane->data_bell, writer->side.way->wakes);
    if (writer->side.way->make_room && !writer->is_alone)
        verso__channel_ring(&writer->side, &writer->side.lane->room_bell, VERSO__CHANNEL_ALL);
}

int verso_channel_commit(struct verso_channel_writer *writer, size_t bytes)
{
    if (!writer)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!verso__channel_is_here(&writer->side))
        return verso__channel_fail_fork();
    if (!writer->has_reserved || bytes > writer->reserved_bytes)
        return verso__fail_hint(VERSO_E_RANGE, "commit", NULL, "commit at most what verso_channel_reserve() gave");
    if (writer->is_alone) {
        put_nothing_behind(writer, writer->tail + verso__channel_span(&writer->side, bytes));
        put_number(writer, writer->reserved_at, writer->number);
    } else {
        void_rest(writer, bytes);
    }
    publish(writer, writer->reserved_at, VERSO__CHANNEL_COMMITTED, bytes);
    if (writer->is_alone)
        set_tail(writer, writer->tail + verso__channel_span(&writer->side, bytes), 1);
    writer->has_reserved = false;
    count(writer, 1, bytes);
    ring_for_reserved(writer);
    return 0;
}

void verso_channel_abandon(struct verso_channel_writer *writer)
{
    if (!writer || !writer->has_reserved || !verso__channel_is_here(&writer->side))
        return;
    writer->has_reserved = false;
    if (writer->is_alone)
        return;
    make_void(writer, writer->reserved_at, verso__channel_span(&writer->side, writer->reserved_bytes));
    atomic_fetch_add_explicit(&writer->side.lane->given_up, 1, memory_order_relaxed);
    ring_for_reserved(writer);
}
