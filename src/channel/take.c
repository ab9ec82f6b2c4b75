/* SPDX-License-Identifier: MIT */
/*
 * take - the taken way: readers that share a queue, and queues that drop their oldest; T1 to T9 in channel.md.
 *
 *     head                    next                            tail
 *     |TAKEN |DONE  |TAKEN   |COMMITTED |COMMITTED |RESERVED |0
 *
 * Who has a message is said in its header, under the taking's lock, and nowhere else: whoever comes upon a header whose
 * reader is dead knows what to do with it. next and head lag behind the headers when somebody dies between two steps,
 * and whoever has the lock next walks on over what is there.
 */
#include "channel/channel.h"

#include "base/sums.h"

#include <errno.h>
#include <string.h>

/* Longer ones are taken first, and copied without the lock. */
#define COPY_UNDER_LOCK_MOST 1024

/* ---- Under the lock: where next and head stand ---- */

struct marks {
    uint64_t head;
    uint64_t next;
    uint64_t header; /* at next, as find_next() saw it */
};

static inline uint64_t load_header(const struct verso__channel_side *side, uint64_t position)
{
    return atomic_load_explicit(verso__channel_at(side, position), memory_order_acquire);
}

static inline void store_header(const struct verso__channel_side *side, uint64_t position, uint64_t header)
{
    atomic_store_explicit(verso__channel_at(side, position), header, memory_order_release);
}

static inline int marks_load(const struct verso__channel_side *side, struct marks *out_marks)
{
    uint64_t head = atomic_load_explicit(&side->lane->head, memory_order_relaxed);
    uint64_t next = atomic_load_explicit(&side->lane->next, memory_order_relaxed);

    if ((head | next) & 7 || next - head > side->mask)
        return VERSO_E_CORRUPT;
    *out_marks = (struct marks){ .head = head, .next = next };
    return 0;
}

/* T2: over what nobody can take, to a message, a reservation, or nothing. */
static inline int find_next(const struct verso__channel_side *side, struct marks *marks)
{
    for (;;) {
        uint64_t header = load_header(side, marks->next), span;

        switch (verso__channel_state(header)) {
        case VERSO__CHANNEL_NOTHING:
        case VERSO__CHANNEL_RESERVED:
        case VERSO__CHANNEL_COMMITTED:
            marks->header = header;
            return 0;
        case VERSO__CHANNEL_VOID:
        case VERSO__CHANNEL_TAKEN:
        case VERSO__CHANNEL_DONE:
            break;
        default:
            return VERSO_E_CORRUPT;
        }
        span = verso__channel_span_of(side, header);
        if (span == 0 || marks->next + span - marks->head > side->mask)
            return VERSO_E_CORRUPT;
        marks->next += span;
    }
}

/* T8: over what is done with. */
static inline int move_head(const struct verso__channel_side *side, struct marks *marks)
{
    while (marks->head != marks->next) {
        uint64_t header = load_header(side, marks->head), span = verso__channel_span_of(side, header);

        switch (verso__channel_state(header)) {
        case VERSO__CHANNEL_TAKEN:
            return 0;
        case VERSO__CHANNEL_VOID:
        case VERSO__CHANNEL_DONE:
            break;
        default:
            return VERSO_E_CORRUPT;
        }
        if (span == 0 || span > marks->next - marks->head)
            return VERSO_E_CORRUPT;
        marks->head += span;
    }
    return 0;
}

/* What is stored here may lag, but is never ahead. @before: as loaded. */
static inline void marks_store(const struct verso__channel_side *side, const struct marks *before,
                               const struct marks *marks)
{
    if (marks->next != before->next)
        atomic_store_explicit(&side->lane->next, marks->next, memory_order_release);
    if (marks->head != before->head)
        atomic_store_explicit(&side->lane->head, marks->head, memory_order_release);
}

/* ---- Under the lock: taking, and being done ---- */

/* Of TAKEN, who sent it stands beside who took it: should it go to another reader, that one is told, too. */
static inline uint64_t taken_of(uint64_t header, uint32_t reader)
{
    return verso__channel_header(VERSO__CHANNEL_TAKEN, reader, verso__channel_length(header)) |
           (uint64_t)(verso__channel_place(header) & 0xff) << 8;
}

static inline uint64_t committed_of(uint64_t taken)
{
    return verso__channel_header(VERSO__CHANNEL_COMMITTED, (uint32_t)(taken >> 8) & 0xff, verso__channel_length(taken));
}

static inline uint64_t done_of(uint64_t header, uint32_t reader)
{
    return verso__channel_header(VERSO__CHANNEL_DONE, reader, verso__channel_length(header));
}

static inline bool is_held_by(uint64_t header, uint32_t reader)
{
    return verso__channel_state(header) == VERSO__CHANNEL_TAKEN && verso__channel_place(header) == reader;
}

/* T7: of all that the reader holds. Others' records lie between, where messages were delivered again. */
static inline int done_with_held(struct verso_channel_reader *reader)
{
    const struct verso__channel_side *side = &reader->side;
    uint64_t walked = 0;

    while (walked < reader->held_bytes) {
        uint64_t position = reader->position + walked, header = load_header(side, position);
        uint64_t span = verso__channel_span_of(side, header);

        if (span == 0)
            return VERSO_E_CORRUPT;
        if (is_held_by(header, side->place))
            store_header(side, position, done_of(header, side->place));
        walked += span;
    }
    reader->held_bytes = 0;
    return 0;
}

/* What a call wants, and what it was given. */
struct wish {
    struct verso_channel_reader *reader;
    struct verso_channel_message *messages;
    size_t room;  /* for so many */
    size_t count; /* so many there are */
    bool is_copy; /* of one, to: */
    void *data;
    size_t data_bytes;
    bool is_too_long; /* there is one, and it stays where it is */
};

static inline void show(struct wish *wish, uint64_t position, uint64_t header)
{
    const struct verso__channel_side *side = &wish->reader->side;

    wish->messages[wish->count++] = (struct verso_channel_message){
        .data = side->ring + (position & side->mask) + VERSO__CHANNEL_HEADER_BYTES,
        .bytes = verso__channel_length(header),
        .writer = verso__channel_place(header),
    };
}

static inline void count_received(struct verso_channel_reader *reader, uint64_t bytes)
{
    verso__channel_publish(&reader->own->received, ++reader->received);
    verso__channel_publish(&reader->own->received_bytes, reader->received_bytes += bytes);
}

/* T3 of the message at next, or all of it when it is short and to be copied. False: it is not for this reader. */
static inline bool take_one(struct wish *wish, const struct marks *marks, uint64_t span)
{
    struct verso_channel_reader *reader = wish->reader;
    size_t bytes = verso__channel_length(marks->header);

    show(wish, marks->next, marks->header);
    if (wish->is_copy && bytes > wish->data_bytes) {
        wish->is_too_long = true;
        return false;
    }
    verso__channel_note(reader, &wish->messages[wish->count - 1]);
    if (wish->is_copy && bytes <= COPY_UNDER_LOCK_MOST) {
        if (bytes > 0)
            memcpy(wish->data, wish->messages->data, bytes);
        store_header(&reader->side, marks->next, done_of(marks->header, reader->side.place));
    } else {
        if (!reader->held_bytes)
            reader->position = marks->next;
        reader->held_bytes = marks->next + span - reader->position;
        store_header(&reader->side, marks->next, taken_of(marks->header, reader->side.place));
    }
    count_received(reader, bytes);
    return true;
}

/* 0: there was one at least; -EAGAIN; VERSO_E_CORRUPT. */
static inline int take_under_lock(struct wish *wish, struct marks *marks)
{
    const struct verso__channel_side *side = &wish->reader->side;
    int r = wish->reader->held_bytes ? done_with_held(wish->reader) : 0;

    while (r == 0 && wish->count < wish->room) {
        uint64_t span;

        r = find_next(side, marks);
        if (r < 0 || verso__channel_state(marks->header) != VERSO__CHANNEL_COMMITTED)
            break;
        span = verso__channel_span_of(side, marks->header);
        if (span == 0 || marks->next + span - marks->head > side->mask)
            r = VERSO_E_CORRUPT;
        else if (take_one(wish, marks, span))
            marks->next += span;
        else
            break;
    }
    if (wish->count > 0) /* what is wrong behind them is told next time */
        return 0;
    return r < 0 ? r : -EAGAIN;
}

/* Behind what was taken there is more: for another one, who sleeps. */
static inline bool is_to_be_told(const struct verso__channel_side *side, struct marks *marks)
{
    return verso__channel_is_asleep(&side->lane->data_bell) && find_next(side, marks) == 0 &&
           verso__channel_state(marks->header) == VERSO__CHANNEL_COMMITTED;
}

static inline void ring_for_room(const struct verso__channel_side *side, uint64_t head)
{
    struct verso__channel_bell *bell = &side->lane->room_bell;

    if (verso__channel_is_asleep(bell) && (int64_t)(head - atomic_load(&bell->wanted)) >= 0)
        verso__channel_ring_slowly(side, bell, VERSO__CHANNEL_ALL);
}

/* Beginning and end of what is done under the lock. 0, or what the caller is told. */
static int begin(const struct verso__channel_side *side, struct marks *out_before, struct marks *out_marks)
{
    int r = verso__channel_lock_for(&side->lane->take, 0);

    if (r < 0)
        return r;
    r = marks_load(side, out_before);
    if (r < 0)
        verso__channel_unlock(&side->lane->take);
    *out_marks = *out_before;
    return r;
}

static inline void end(const struct verso__channel_side *side, const struct marks *before, const struct marks *marks)
{
    verso__channel_unlock(&side->lane->take);
    if (marks->head != before->head)
        ring_for_room(side, marks->head);
}

/* T1 to T9, but what is done with the message: what was held is released under the same lock. */
static int take(struct wish *wish)
{
    const struct verso__channel_side *side = &wish->reader->side;
    struct marks before, marks;
    bool is_more;
    int r = begin(side, &before, &marks), moved;

    if (r < 0)
        return r;
    r = take_under_lock(wish, &marks);
    moved = move_head(side, &marks);
    marks_store(side, &before, &marks);
    is_more = r == 0 && is_to_be_told(side, &marks);
    end(side, &before, &marks);
    if (is_more)
        verso__channel_ring_slowly(side, &side->lane->data_bell, side->way->wakes);
    return r == -EAGAIN && moved < 0 ? moved : r;
}

/* ---- Waiting ---- */

/*
 * Without the lock: whether it is worth having. If next still is what it was, it was a header that stood there; if not,
 * it may have been anything, and is not used. ThreadSanitizer can't know that.
 */
__attribute__((no_sanitize("thread"))) static int look(struct verso_channel_reader *reader)
{
    const struct verso__channel_side *side = &reader->side;
    uint64_t head = atomic_load_explicit(&side->lane->head, memory_order_acquire);
    uint64_t next = atomic_load_explicit(&side->lane->next, memory_order_acquire);
    unsigned state;

    if ((head | next) & 7 || next - head > side->mask)
        return 0; /* much has happened between the two, or they are wrong: the lock will tell */
    state = verso__channel_state(atomic_load_explicit(verso__channel_at(side, next), memory_order_acquire));
    if ((state == VERSO__CHANNEL_NOTHING || state == VERSO__CHANNEL_RESERVED) &&
        atomic_load_explicit(&side->lane->next, memory_order_relaxed) == next)
        return -EAGAIN;
    return 0;
}

static int look_and_take(void *arg, uint64_t unused)
{
    struct wish *wish = arg;
    int r = look(wish->reader);

    (void)unused;
    return r == 0 ? take(wish) : r;
}

static int take_or_wait(struct wish *wish, int timeout_ms)
{
    struct verso_channel_reader *reader = wish->reader;
    const struct verso__channel_wait wait = { .side = &reader->side,
                                              .bell = &reader->side.lane->data_bell,
                                              .sleeps = &reader->own->sleeps,
                                              .look = look_and_take,
                                              .end = wish };

    if ((reader->held_bytes || look(reader) == 0) && take(wish) == 0)
        return 0;
    return verso__channel_wait_for(&wait, timeout_ms);
}

/* ---- The calls ---- */

static int receive(struct verso_channel_reader *reader, int timeout_ms, struct verso_channel_message *out_messages,
                   size_t room, size_t *out_count)
{
    struct wish wish = { .reader = reader, .messages = out_messages, .room = room };
    int r = take_or_wait(&wish, timeout_ms);

    if (r == 0)
        *out_count = wish.count;
    return r;
}

static int release(struct verso_channel_reader *reader)
{
    struct marks before, marks;
    int r = begin(&reader->side, &before, &marks);

    if (r < 0)
        return verso__fail(r == -EAGAIN ? -EBUSY : r, "release", NULL);
    r = done_with_held(reader);
    if (r == 0)
        r = move_head(&reader->side, &marks);
    marks_store(&reader->side, &before, &marks);
    end(&reader->side, &before, &marks);
    return r < 0 ? verso__fail(r, "release", NULL) : 0;
}

static int read_copy(struct verso_channel_reader *reader, void *out_data, size_t room_bytes, int timeout_ms,
                     struct verso_channel_message *out_message)
{
    struct verso_channel_message message = { .data = NULL };
    struct wish wish = {
        .reader = reader, .messages = &message, .room = 1, .is_copy = true, .data = out_data, .data_bytes = room_bytes
    };
    int r = take_or_wait(&wish, timeout_ms);

    if (r < 0)
        return r;
    message.data = wish.is_too_long ? NULL : out_data;
    if (reader->held_bytes) {
        memcpy(out_data, reader->side.ring + (reader->position & reader->side.mask) + VERSO__CHANNEL_HEADER_BYTES,
               message.bytes);
        (void)release(reader); /* what it can't release now, the next call does */
    }
    if (out_message)
        *out_message = message;
    return wish.is_too_long ? verso__channel_fail_long() : 0;
}

/* ---- Places ---- */

static struct verso_mutex *readers_lock(struct verso__channel_lane *lane)
{
    return &lane->take;
}

static uint64_t head(const struct verso__channel_side *side)
{
    return atomic_load_explicit(&side->lane->head, memory_order_acquire);
}

/* What a dead reader held is done with, and lost; or is there again: next goes back before the header does, so that a
 * death between the two leaves something to be found. */
static void let_go(const struct verso__channel_side *side, uint64_t position, uint64_t header, struct marks *marks)
{
    if (!(side->flags & VERSO_CHANNEL_REDELIVER)) {
        store_header(side, position, done_of(header, verso__channel_place(header)));
        atomic_fetch_add_explicit(&side->lane->lost_held, 1, memory_order_relaxed);
        return;
    }
    if (position - marks->head < marks->next - marks->head) {
        marks->next = position;
        atomic_store_explicit(&side->lane->next, position, memory_order_release);
    }
    store_header(side, position, committed_of(header));
}

/* Up to where nothing is: what is behind next may be held as well, when next has gone back or lags. */
static int bury(struct verso__channel_side *side, uint32_t place)
{
    struct marks before, marks;
    uint64_t walked = 0, header, span;
    int r = marks_load(side, &before);

    if (r < 0)
        return r;
    marks = before;
    while (verso__channel_state(header = load_header(side, before.head + walked)) != VERSO__CHANNEL_NOTHING) {
        span = verso__channel_span_of(side, header);
        if (span == 0 || walked + span > side->mask)
            return VERSO_E_CORRUPT;
        if (is_held_by(header, place))
            let_go(side, before.head + walked, header, &marks);
        walked += span;
    }
    r = find_next(side, &marks);
    if (r == 0)
        r = move_head(side, &marks);
    marks_store(side, &before, &marks);
    verso__channel_ring(side, &side->lane->room_bell, VERSO__CHANNEL_ALL);
    verso__channel_ring(side, &side->lane->data_bell, VERSO__CHANNEL_ALL);
    return r;
}

/* Whoever had the place before has left nothing there, unless it could not have the lock when it left. */
static int settle(struct verso_channel_reader *reader, const struct verso_channel_end *given)
{
    (void)given;
    return bury(&reader->side, reader->side.place);
}

const struct verso__channel_way verso__channel_taken = {
    .wakes = 1,
    .receive = receive,
    .read = read_copy,
    .release = release,
    .look = look,
    .readers_lock = readers_lock,
    .settle = settle,
    .bury = bury,
    .head = head,
};

/* ---- DROP_OLDEST: the writer takes what nobody has taken ---- */

static inline bool has_room(const struct verso__channel_side *side, uint64_t used, uint64_t span)
{
    return used + span + VERSO__CHANNEL_HEADER_BYTES <= verso__channel_capacity(side);
}

/* The oldest at next is done with, or, if a dead writer reserved it, void. False: somebody who lives is in the way. */
static bool drop_one(struct verso__channel_side *side, const struct marks *marks)
{
    uint32_t place = verso__channel_place(marks->header);

    switch (verso__channel_state(marks->header)) {
    case VERSO__CHANNEL_COMMITTED:
        store_header(side, marks->next, done_of(marks->header, place));
        atomic_fetch_add_explicit(&side->lane->dropped_oldest, 1, memory_order_relaxed);
        return true;
    case VERSO__CHANNEL_RESERVED:
        if (place < side->writers_most &&
            !verso__channel_is_dead(side->channel, atomic_load(&side->lane->writers[place].owner)))
            return false;
        verso__channel_give_up(side, marks->next, marks->header);
        return true;
    default:
        return false;
    }
}

/* As long as nobody holds what is in the way. */
static int drop(struct verso__channel_side *side, struct marks *marks, uint64_t tail, uint64_t span)
{
    for (uint64_t most = 0; most <= side->mask; most += VERSO__CHANNEL_HEADER_BYTES) {
        int r = find_next(side, marks);

        if (r == 0)
            r = move_head(side, marks);
        if (r < 0)
            return r;
        if (has_room(side, tail - marks->head, span) || marks->head != marks->next || !drop_one(side, marks))
            return 0;
    }
    return VERSO_E_CORRUPT;
}

static int make_room(struct verso_channel_writer *writer, uint64_t tail, uint64_t span)
{
    struct verso__channel_side *side = &writer->side;
    struct marks before, marks;
    int r = begin(side, &before, &marks);

    if (r < 0)
        return r;
    r = drop(side, &marks, tail, span);
    marks_store(side, &before, &marks);
    end(side, &before, &marks);
    return r;
}

const struct verso__channel_way verso__channel_dropping = {
    .wakes = 1,
    .receive = receive,
    .read = read_copy,
    .release = release,
    .look = look,
    .readers_lock = readers_lock,
    .settle = settle,
    .bury = bury,
    .head = head,
    .make_room = make_room,
};
