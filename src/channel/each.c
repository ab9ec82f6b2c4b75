/* SPDX-License-Identifier: MIT */
/*
 * each - BROADCAST: every reader has a position of its own, and nobody takes anything out; E1 to E7 in channel.md.
 *
 *      oldest        slowest reader       fastest        tail
 *     -|history ------|still wanted -------|--------------|0|- oldest + capacity
 *
 * Writers make room for themselves, by moving `oldest` under the claim's lock before they overwrite what is behind it:
 * up to the slowest reader, or where the oldest are dropped over all of them. Then a reader has to do as with a
 * sequence lock: what it has read counts when `oldest` has not passed it meanwhile. So all that it looks at may be
 * anything, and is believed only after that.
 */
#include "channel/channel.h"

#include "base/sums.h"

#include <errno.h>
#include <string.h>

#define OLDEST_MOVES 16 /* a step of `oldest` is this part of the ring, where so much is free to go */
#define SKIPS_MOST 64

/* ---- Copies, whole words at a time, of what others may be writing or reading ---- */

void verso__channel_words_in(_Atomic uint64_t *to, const void *from, size_t bytes)
{
    const unsigned char *at = from;
    uint64_t word;

    /* Whoever reads any of this sees `oldest` as it was seen here. */
    atomic_thread_fence(memory_order_release);
    for (; bytes >= sizeof(word); bytes -= sizeof(word), at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        atomic_store_explicit(to++, word, memory_order_relaxed);
    }
    if (bytes > 0) {
        word = 0;
        memcpy(&word, at, bytes);
        atomic_store_explicit(to, word, memory_order_relaxed);
    }
}

static void words_out(void *to, const _Atomic uint64_t *from, size_t bytes)
{
    unsigned char *at = to;
    uint64_t word;

    for (; bytes >= sizeof(word); bytes -= sizeof(word), at += sizeof(word)) {
        word = atomic_load_explicit(from++, memory_order_relaxed);
        memcpy(at, &word, sizeof(word));
    }
    if (bytes > 0) {
        word = atomic_load_explicit(from, memory_order_relaxed);
        memcpy(at, &word, bytes);
    }
}

/* ---- Writers: room ---- */

static uint64_t head(const struct verso__channel_side *side)
{
    return atomic_load_explicit(&side->lane->oldest, memory_order_acquire);
}

/*
 * What of [oldest, tail) nobody waits for any more ends at *out_limit. VERSO_E_CORRUPT: a position that can't be; or,
 * without the lock, of another moment.
 */
static int find_limit(const struct verso__channel_side *side, uint64_t oldest, uint64_t tail, uint64_t *out_limit)
{
    uint64_t free = tail - oldest;

    for (uint32_t i = 0; !side->is_overwritten && i < side->readers_most; i++) {
        const struct verso__channel_reader_place *place = &side->lane->readers[i];
        uint64_t ahead;

        if (atomic_load_explicit(&place->owner, memory_order_acquire) == 0)
            continue;
        ahead = atomic_load_explicit(&place->position, memory_order_acquire) - oldest;
        if (ahead & 7 || ahead > tail - oldest)
            return VERSO_E_CORRUPT;
        free = verso__min_u64(free, ahead);
    }
    *out_limit = oldest + free;
    return 0;
}

uint64_t verso__channel_each_used(const struct verso__channel_side *side)
{
    uint64_t tail = atomic_load_explicit(&side->lane->tail, memory_order_acquire), oldest = head(side), most = 0;

    for (uint32_t i = 0; i < side->readers_most; i++) {
        const struct verso__channel_reader_place *place = &side->lane->readers[i];
        uint64_t lag = tail - atomic_load_explicit(&place->position, memory_order_acquire);

        if (atomic_load_explicit(&place->owner, memory_order_acquire) != 0 && (int64_t)lag > 0)
            most = verso__max_u64(most, lag);
    }
    return verso__min_u64(most, verso__min_u64(tail - oldest, side->mask + 1));
}

static bool fits(const struct verso__channel_side *side, uint64_t tail, uint64_t head, uint64_t span)
{
    return span + VERSO__CHANNEL_HEADER_BYTES <= side->mask + 1 - (tail - head);
}

/* Passes records from @oldest on, up to @end or the first reservation. VERSO_E_CORRUPT. */
static int pass_records(const struct verso__channel_side *side, uint64_t oldest, uint64_t end, uint64_t tail,
                        uint64_t *out_at)
{
    uint64_t at = oldest;

    while (at - oldest < end - oldest) {
        uint64_t header = atomic_load_explicit(verso__channel_at(side, at), memory_order_acquire);
        uint64_t span = verso__channel_span_of(side, header);
        unsigned state = verso__channel_state(header);

        if (state == VERSO__CHANNEL_RESERVED)
            break;
        if ((state != VERSO__CHANNEL_COMMITTED && state != VERSO__CHANNEL_VOID) || span == 0 || span > tail - at)
            return VERSO_E_CORRUPT;
        at += span;
    }
    *out_at = at;
    return 0;
}

/* Without the lock: 0 when there could be room, or something is strange, for the lock to decide. Not a look at headers:
 * others may just be writing over them. */
static int may_have_room(const struct verso_channel_writer *writer, uint64_t tail, uint64_t span)
{
    const struct verso__channel_side *side = &writer->side;
    uint64_t oldest = head(side), limit;

    if (oldest & 7 || tail - oldest > side->mask || fits(side, tail, oldest, span))
        return 0;
    if (find_limit(side, oldest, tail, &limit) < 0)
        return 0;
    return fits(side, tail, limit, span) ? 0 : -EAGAIN;
}

/* Under the claim's lock. */
static int move_oldest(const struct verso__channel_side *side, uint64_t tail, uint64_t span)
{
    uint64_t oldest = head(side), capacity = side->mask + 1, step, limit, at;
    int r;

    if (oldest & 7 || tail - oldest > side->mask)
        return VERSO_E_CORRUPT;
    r = find_limit(side, oldest, tail, &limit);
    if (r < 0)
        return r;
    step = verso__max_u64(tail + span + VERSO__CHANNEL_HEADER_BYTES - capacity - oldest, capacity / OLDEST_MOVES);
    r = pass_records(side, oldest, oldest + verso__min_u64(limit - oldest, step), tail, &at);
    if (r < 0)
        return r;
    atomic_store_explicit(&side->lane->oldest, at, memory_order_release);
    atomic_thread_fence(memory_order_release); /* whoever sees what is written from here on sees it moved */
    return 0;
}

static int make_room(struct verso_channel_writer *writer, uint64_t tail, uint64_t span)
{
    int r;

    if (!writer->is_alone)
        return move_oldest(&writer->side, tail, span);
    r = may_have_room(writer, tail, span);
    if (r == 0)
        r = verso__channel_lock_for(&writer->side.lane->claim, 0);
    if (r < 0)
        return r;
    r = move_oldest(&writer->side, tail, span);
    verso__channel_unlock(&writer->side.lane->claim);
    return r;
}

/* ---- Readers: joining ---- */

static struct verso_mutex *readers_lock(struct verso__channel_lane *lane)
{
    return &lane->claim;
}

/* From *at on behind @most messages, or to the tail. *out_count: how many there were. VERSO_E_CORRUPT. */
static int pass_messages(const struct verso__channel_side *side, uint64_t *at, uint64_t tail, uint64_t most,
                         uint64_t *out_count)
{
    uint64_t count = 0;

    while (*at != tail && count < most) {
        uint64_t header = atomic_load_explicit(verso__channel_at(side, *at), memory_order_acquire);
        uint64_t span = verso__channel_span_of(side, header);

        if (verso__channel_state(header) == VERSO__CHANNEL_NOTHING || span == 0 || span > tail - *at)
            return VERSO_E_CORRUPT;
        count += verso__channel_state(header) == VERSO__CHANNEL_COMMITTED;
        *at += span;
    }
    *out_count = count;
    return 0;
}

/* Where a reader begins. VERSO_E_CORRUPT. */
static int find_beginning(const struct verso__channel_side *side, const struct verso_channel_end *end, uint64_t tail,
                          uint64_t *out_position)
{
    uint64_t oldest = head(side), at = oldest, count;
    int r = 0;

    if (oldest & 7 || tail - oldest > side->mask)
        return VERSO_E_CORRUPT;
    if (end->from == VERSO_CHANNEL_FROM_NEXT)
        at = tail;
    if (end->from == VERSO_CHANNEL_FROM_LAST) {
        r = pass_messages(side, &at, tail, UINT64_MAX, &count);
        at = oldest;
        if (r == 0 && count > end->history)
            r = pass_messages(side, &at, tail, count - end->history, &count);
        else if (r == 0)
            at = oldest;
    }
    *out_position = at;
    return r;
}

/* The number of the record at @position, or of the first behind it that has one; or else the next one's. */
static uint64_t number_from(const struct verso__channel_side *side, uint64_t position, uint64_t next)
{
    for (uint64_t passed = 0; passed <= side->mask;) {
        uint64_t header = atomic_load_explicit(verso__channel_at(side, position + passed), memory_order_acquire);
        uint64_t span = verso__channel_span_of(side, header);

        if (verso__channel_state(header) == VERSO__CHANNEL_NOTHING)
            return next;
        if (verso__channel_has_number(side, position + passed, span))
            return verso__channel_number(side, position + passed);
        passed += verso__max_u64(span, sizeof(header));
    }
    return next;
}

static int settle(struct verso_channel_reader *reader, const struct verso_channel_end *end)
{
    uint64_t tail, next, position = 0;
    int r = verso__channel_find_end(&reader->side, &tail, &next);

    if (r == 0)
        r = find_beginning(&reader->side, end, tail, &position);
    if (r < 0)
        return r;
    reader->position = position;
    reader->number = number_from(&reader->side, position, next);
    reader->lost = atomic_load(&reader->own->lost);
    atomic_store(&reader->own->position, position);
    return 0;
}

/* What it held is lost with it alone, and its place is all that holds writers up. */
static int bury(struct verso__channel_side *side, uint32_t place)
{
    (void)side;
    (void)place;
    return 0;
}

/* ---- Readers: what stands there ---- */

/* Whether all that was loaded from @position on, before this, was as it had been written. */
static inline bool is_intact(const struct verso_channel_reader *reader, uint64_t position)
{
    uint64_t oldest;

    if (!reader->side.is_overwritten)
        return true;
    atomic_thread_fence(memory_order_acquire);
    oldest = atomic_load_explicit(&reader->side.lane->oldest, memory_order_relaxed);
    return (int64_t)(oldest - position) <= 0;
}

static inline void move_to(struct verso_channel_reader *reader, uint64_t position)
{
    reader->position = position;
    atomic_store_explicit(&reader->own->position, position, memory_order_release);
}

static inline void ring_for_room(struct verso_channel_reader *reader)
{
    struct verso__channel_bell *bell = &reader->side.lane->room_bell;

    if (!reader->side.is_overwritten && verso__channel_is_asleep(bell) &&
        (int64_t)(reader->position - atomic_load(&bell->wanted)) >= 0)
        verso__channel_ring_slowly(&reader->side, bell, VERSO__CHANNEL_ALL);
}

/* A record can be of any number; but not of one that this reader is past, nor be missed where nothing is lost. */
static inline bool may_follow(const struct verso_channel_reader *reader, uint64_t number)
{
    return reader->side.is_overwritten ? (int64_t)(number - reader->number) >= 0 : number == reader->number;
}

/* 0: a message stands at the position; -EAGAIN; VERSO_E_CORRUPT. Passes what is void, and what is lost. */
static int look(struct verso_channel_reader *reader)
{
    uint64_t passed = 0;

    for (unsigned skips = 0; skips < SKIPS_MOST;) {
        uint64_t header =
            atomic_load_explicit(verso__channel_at(&reader->side, reader->position), memory_order_acquire);
        uint64_t span = verso__channel_span_of(&reader->side, header);
        uint64_t number = verso__channel_number(&reader->side, reader->position);

        if (!is_intact(reader, reader->position)) {
            uint64_t oldest = head(&reader->side);

            if (oldest & 7)
                return VERSO_E_CORRUPT;
            move_to(reader, oldest);
            passed = 0;
            skips++;
            continue;
        }
        if (span == 0 || passed > reader->side.mask)
            return VERSO_E_CORRUPT;
        switch (verso__channel_state(header)) {
        case VERSO__CHANNEL_COMMITTED:
            return verso__channel_length(header) <= reader->side.bytes_most ? 0 : VERSO_E_CORRUPT; /* as show() */
        case VERSO__CHANNEL_VOID:
            if (span >= VERSO__CHANNEL_NUMBERED_BYTES && number != VERSO__CHANNEL_NO_NUMBER) {
                if (!may_follow(reader, number))
                    return VERSO_E_CORRUPT;
                reader->missed += number - reader->number;
                reader->number = number + 1; /* nobody has lost what was never sent */
            }
            move_to(reader, reader->position + span);
            ring_for_room(reader);
            passed += span;
            break;
        case VERSO__CHANNEL_NOTHING:
        case VERSO__CHANNEL_RESERVED:
            return -EAGAIN;
        default:
            return VERSO_E_CORRUPT;
        }
    }
    return -EAGAIN; /* whoever writes so fast rings again */
}

/* Fills in what stands at @position if it is a message; its span, or 0. */
static inline uint64_t show(const struct verso_channel_reader *reader, uint64_t position,
                            struct verso_channel_message *out_message)
{
    uint64_t header = atomic_load_explicit(verso__channel_at(&reader->side, position), memory_order_acquire);
    uint64_t number = verso__channel_number(&reader->side, position);
    size_t length = verso__channel_length(header);

    if (verso__channel_state(header) != VERSO__CHANNEL_COMMITTED || length > reader->side.bytes_most ||
        !is_intact(reader, position))
        return 0;
    *out_message = (struct verso_channel_message){
        .data = reader->side.ring + (position & reader->side.mask) + VERSO__CHANNEL_NUMBERED_BYTES,
        .bytes = length,
        .writer = verso__channel_place(header),
        .number = number,
    };
    return verso__channel_span(&reader->side, length);
}

/* ---- Readers: counting ---- */

static void count(struct verso_channel_reader *reader, uint64_t messages, uint64_t bytes, uint64_t lost)
{
    verso__channel_publish(&reader->own->received, reader->received += messages);
    verso__channel_publish(&reader->own->received_bytes, reader->received_bytes += bytes);
    if (lost)
        verso__channel_publish(&reader->own->lost, reader->lost += lost);
}

/* Whether what was held was whole to the end. */
static inline bool let_go(struct verso_channel_reader *reader)
{
    bool is_whole = is_intact(reader, reader->position);

    move_to(reader, reader->position + reader->held_bytes);
    reader->held_bytes = 0;
    ring_for_room(reader);
    if (!is_whole)
        count(reader, 0 - reader->held_messages, 0 - reader->held_content, reader->held_messages);
    return is_whole;
}

/* The next message: its span in *out_span. What was held is released. */
static inline int next(struct verso_channel_reader *reader, int timeout_ms, struct verso_channel_message *out_message,
                       uint64_t *out_span)
{
    if (reader->held_bytes)
        (void)let_go(reader); /* who wants to know calls release */
    *out_span = show(reader, reader->position, out_message);
    while (__builtin_expect(*out_span == 0, 0)) {
        int r = verso__channel_wait_for_data(reader, timeout_ms);

        if (r != 0)
            return r;
        *out_span = show(reader, reader->position, out_message);
    }
    if (!may_follow(reader, out_message->number))
        return verso__fail(VERSO_E_CORRUPT, "receive", reader->side.channel->share->path);
    out_message->lost = reader->missed + out_message->number - reader->number;
    return 0;
}

/* ---- The way ---- */

static int receive(struct verso_channel_reader *reader, int timeout_ms, struct verso_channel_message *out_messages,
                   size_t room, size_t *out_count)
{
    struct verso_channel_message message;
    uint64_t span, one, bytes;
    size_t number = 1;
    int r = next(reader, timeout_ms, &message, &span);

    if (r < 0)
        return r;
    out_messages[0] = message;
    bytes = message.bytes;
    while (number < room && span <= reader->side.mask &&
           (one = show(reader, reader->position + span, &out_messages[number])) != 0) {
        if (out_messages[number].number != message.number + number)
            break; /* something strange, for the next call to find */
        bytes += out_messages[number++].bytes;
        span += one;
    }
    reader->number = message.number + number;
    reader->missed = 0;
    reader->held_bytes = span;
    reader->held_messages = number;
    reader->held_content = bytes;
    count(reader, number, bytes, message.lost);
    *out_count = number;
    return 0;
}

/* Somebody overwrites faster than this can copy: tries again, for as long as the caller would have waited. */
static bool is_late(uint64_t *deadline_ns, int timeout_ms)
{
    uint64_t now;

    if (timeout_ms < 0)
        return false;
    now = verso__os_clock_ns();
    if (*deadline_ns == 0)
        *deadline_ns = now + (uint64_t)(timeout_ms > 0 ? timeout_ms : 1) * 1000000U;
    return now >= *deadline_ns;
}

static int too_long(const struct verso_channel_message *message, struct verso_channel_message *out_message)
{
    if (out_message) {
        *out_message = *message;
        out_message->data = NULL;
    }
    return verso__channel_fail_long();
}

static void copy_out(const struct verso_channel_reader *reader, void *to, const struct verso_channel_message *message)
{
    if (reader->side.is_overwritten)
        words_out(to, message->data, message->bytes);
    else if (message->bytes > 0)
        memcpy(to, message->data, message->bytes);
}

static int read(struct verso_channel_reader *reader, void *out_data, size_t room_bytes, int timeout_ms,
                struct verso_channel_message *out_message)
{
    struct verso_channel_message message;
    uint64_t span, deadline_ns = 0;
    int r;

    for (;;) {
        r = next(reader, timeout_ms, &message, &span);
        if (r < 0)
            return r;
        if (message.bytes > room_bytes)
            return too_long(&message, out_message);
        copy_out(reader, out_data, &message);
        if (is_intact(reader, reader->position))
            break;
        if (is_late(&deadline_ns, timeout_ms))
            return verso__fail_hint(timeout_ms > 0 ? -ETIMEDOUT : -EAGAIN, "receive", reader->side.channel->share->path,
                                    "all is overwritten before it can be copied");
    }
    reader->number = message.number + 1;
    reader->missed = 0;
    count(reader, 1, message.bytes, message.lost);
    move_to(reader, reader->position + span);
    ring_for_room(reader);
    if (out_message) {
        *out_message = message;
        out_message->data = out_data;
    }
    return 0;
}

static int release(struct verso_channel_reader *reader)
{
    if (let_go(reader))
        return 0;
    return verso__fail(VERSO_E_OVERRUN, "release", reader->side.channel->share->path);
}

const struct verso__channel_way verso__channel_each = {
    .wakes = VERSO__CHANNEL_ALL,
    .receive = receive,
    .read = read,
    .release = release,
    .look = look,
    .readers_lock = readers_lock,
    .settle = settle,
    .bury = bury,
    .head = head,
    .may_have_room = may_have_room,
    .make_room = make_room,
};
