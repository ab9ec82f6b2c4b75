/* SPDX-License-Identifier: MIT */
/*
 * bench_ring - what a contiguous ring is good for, and what it costs.
 *
 * The peer that counts is a ring as one writes it without mirrored memory, and well (split_ring.h). The other peer is a
 * pipe, which asks the kernel every time.
 *
 * On one thread, messages go through in batches of 16. On two, one thread sends and one receives: asking again and
 * again (both rings), or sleeping (ours, and a pipe).
 */
#include "bench.h"
#include "split_ring.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <verso.h>

#define RING_BYTES ((size_t)64 << 10)
#define MESSAGE_BYTES_MAX 1500
#define BATCH 16

/* In ns for each of @operations; when those are 0, in GB/s for @bytes. */
static void compare(const char *name, const char *peer, double operations, double bytes, bench_function *verso,
                    bench_function *peer_side, void *arg)
{
    bench_compare(&(struct bench_case){ .name = name,
                                        .peer = peer,
                                        .unit = operations > 0 ? "ns" : "GB/s",
                                        .operations = operations,
                                        .bytes = bytes,
                                        .verso = verso,
                                        .peer_side = peer_side,
                                        .arg = arg });
}

/* ---- Messages on one thread --------------------------------------------------------------------------------------*/

struct ways {
    struct verso_ring *ring;
    struct split split;
    int pipe_ends[2];
    size_t message_bytes;
    uint64_t messages; /* a call of a side sends so many */
};

static unsigned char message[MESSAGE_BYTES_MAX], received[MESSAGE_BYTES_MAX];

/* A message carries its number; what comes back is folded into the answer. */
static inline void stamp(uint64_t number)
{
    memcpy(message, &number, sizeof(number));
}

static inline uint64_t fold(uint64_t sum, const void *data)
{
    uint64_t number;

    memcpy(&number, data, sizeof(number));
    return sum * 31 + number;
}

static uint64_t batches_verso(void *arg)
{
    struct ways *ways = arg;
    size_t bytes = ways->message_bytes, got;
    uint64_t sum = 0;

    for (uint64_t sent = 0; sent < ways->messages; sent += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++) {
            stamp(sent + i);
            bench_check(verso_ring_write(ways->ring, message, bytes));
        }
        for (uint64_t i = 0; i < BATCH; i++) {
            bench_check(verso_ring_read(ways->ring, received, bytes, &got));
            sum = fold(sum, received);
        }
    }
    return sum;
}

/* The same as the ring is meant: a batch is one span, written in place, committed, peeked and consumed at once. */
static uint64_t batches_in_place(void *arg)
{
    struct ways *ways = arg;
    size_t bytes = ways->message_bytes;
    uint64_t sum = 0;
    void *data;

    for (uint64_t sent = 0; sent < ways->messages; sent += BATCH) {
        bench_check(verso_ring_reserve(ways->ring, BATCH * bytes, &data, NULL));
        for (uint64_t i = 0; i < BATCH; i++) {
            stamp(sent + i);
            memcpy((unsigned char *)data + i * bytes, message, bytes);
        }
        bench_check(verso_ring_commit(ways->ring, BATCH * bytes));
        bench_check(verso_ring_peek(ways->ring, BATCH * bytes, &data, NULL));
        for (uint64_t i = 0; i < BATCH; i++)
            sum = fold(sum, (unsigned char *)data + i * bytes);
        bench_check(verso_ring_consume(ways->ring, BATCH * bytes));
    }
    return sum;
}

static uint64_t batches_split(void *arg)
{
    struct ways *ways = arg;
    size_t bytes = ways->message_bytes;
    uint64_t sum = 0;

    for (uint64_t sent = 0; sent < ways->messages; sent += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++) {
            stamp(sent + i);
            if (!split_write(&ways->split, message, bytes))
                return 0;
        }
        for (uint64_t i = 0; i < BATCH; i++) {
            if (!split_read(&ways->split, received, bytes))
                return 0;
            sum = fold(sum, received);
        }
    }
    return sum;
}

static uint64_t batches_pipe(void *arg)
{
    struct ways *ways = arg;
    ssize_t bytes = (ssize_t)ways->message_bytes;
    uint64_t sum = 0;

    for (uint64_t sent = 0; sent < ways->messages; sent += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++) {
            stamp(sent + i);
            if (write(ways->pipe_ends[1], message, (size_t)bytes) != bytes)
                return 0;
        }
        for (uint64_t i = 0; i < BATCH; i++) {
            if (read(ways->pipe_ends[0], received, (size_t)bytes) != bytes)
                return 0;
            sum = fold(sum, received);
        }
    }
    return sum;
}

static void compare_messages(struct ways *ways, const char *how, const char *peer, bench_function *verso,
                             bench_function *peer_side, size_t bytes, uint64_t messages)
{
    char name[80];

    (void)snprintf(name, sizeof(name), "%zu B, %s", bytes, how);
    ways->message_bytes = bytes;
    ways->messages = messages;
    compare(name, peer, (double)messages, 0, verso, peer_side, ways);
}

static const size_t sizes[] = { 24, 200, 1500 };
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))

static void on_one_thread(struct ways *ways)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        compare_messages(ways, "one thread", "split ring", batches_verso, batches_split, sizes[i], 16000);
        compare_messages(ways, "one thread, spans of 16", "split ring", batches_in_place, batches_split, sizes[i],
                         16000);
        compare_messages(ways, "one thread", "pipe", batches_verso, batches_pipe, sizes[i], 1600);
    }
}

/* ---- Messages on two threads -------------------------------------------------------------------------------------*/

/* More threads than processors must not spin the other one off. */
static inline void wait_a_little(unsigned *turns)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
    if (++*turns % 64 == 0)
        (void)sched_yield();
}

static void *send_spinning_verso(void *arg)
{
    struct ways *ways = arg;
    unsigned turns = 0;

    for (uint64_t i = 0; i < ways->messages; i++) {
        stamp(i);
        while (verso_ring_write(ways->ring, message, ways->message_bytes) < 0)
            wait_a_little(&turns);
    }
    return NULL;
}

static void *send_spinning_split(void *arg)
{
    struct ways *ways = arg;
    unsigned turns = 0;

    for (uint64_t i = 0; i < ways->messages; i++) {
        stamp(i);
        while (!split_write(&ways->split, message, ways->message_bytes))
            wait_a_little(&turns);
    }
    return NULL;
}

static void *send_sleeping_verso(void *arg)
{
    struct ways *ways = arg;

    for (uint64_t i = 0; i < ways->messages; i++) {
        stamp(i);
        bench_check(verso_ring_wait_room(ways->ring, ways->message_bytes, -1));
        bench_check(verso_ring_write(ways->ring, message, ways->message_bytes));
    }
    return NULL;
}

static void *send_pipe(void *arg)
{
    struct ways *ways = arg;

    for (uint64_t i = 0; i < ways->messages; i++) {
        stamp(i);
        if (write(ways->pipe_ends[1], message, ways->message_bytes) != (ssize_t)ways->message_bytes)
            bench_die("write");
    }
    return NULL;
}

static pthread_t started(void *(*send)(void *), struct ways *ways)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, send, ways) != 0)
        bench_die("pthread_create");
    return thread;
}

static uint64_t two_spinning_verso(void *arg)
{
    struct ways *ways = arg;
    pthread_t sender = started(send_spinning_verso, ways);
    uint64_t sum = 0;
    unsigned turns = 0;
    size_t bytes;

    for (uint64_t got = 0; got < ways->messages;) {
        if (verso_ring_read(ways->ring, received, ways->message_bytes, &bytes) < 0) {
            wait_a_little(&turns);
            continue;
        }
        sum = fold(sum, received);
        got++;
    }
    (void)pthread_join(sender, NULL);
    return sum;
}

/* Takes whatever is there, in place: that is what the ring offers. */
static uint64_t two_sleeping_verso(void *arg)
{
    struct ways *ways = arg;
    pthread_t sender = started(send_sleeping_verso, ways);
    uint64_t sum = 0;

    for (uint64_t got = 0; got < ways->messages;) {
        size_t bytes, done = 0;
        void *data;

        bench_check(verso_ring_wait_data(ways->ring, ways->message_bytes, -1));
        bench_check(verso_ring_peek(ways->ring, ways->message_bytes, &data, &bytes));
        for (; done + ways->message_bytes <= bytes; done += ways->message_bytes, got++)
            sum = fold(sum, (unsigned char *)data + done);
        bench_check(verso_ring_consume(ways->ring, done));
    }
    (void)pthread_join(sender, NULL);
    return sum;
}

static uint64_t two_spinning_split(void *arg)
{
    struct ways *ways = arg;
    pthread_t sender = started(send_spinning_split, ways);
    uint64_t sum = 0;
    unsigned turns = 0;

    for (uint64_t got = 0; got < ways->messages;) {
        if (!split_read(&ways->split, received, ways->message_bytes)) {
            wait_a_little(&turns);
            continue;
        }
        sum = fold(sum, received);
        got++;
    }
    (void)pthread_join(sender, NULL);
    return sum;
}

/* As many at once as a reader of a pipe gets; whole messages. */
static uint64_t two_pipe(void *arg)
{
    static unsigned char buffer[RING_BYTES + MESSAGE_BYTES_MAX];
    struct ways *ways = arg;
    pthread_t sender = started(send_pipe, ways);
    uint64_t sum = 0;
    size_t kept = 0;

    for (uint64_t got = 0; got < ways->messages;) {
        ssize_t bytes = read(ways->pipe_ends[0], buffer + kept, RING_BYTES);
        size_t done = 0;

        if (bytes <= 0)
            bench_die("read");
        for (kept += (size_t)bytes; kept - done >= ways->message_bytes; done += ways->message_bytes, got++)
            sum = fold(sum, buffer + done);
        kept -= done;
        memmove(buffer, buffer + done, kept);
    }
    (void)pthread_join(sender, NULL);
    return sum;
}

static void on_two_threads(struct ways *ways)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        compare_messages(ways, "two threads, spinning", "split ring", two_spinning_verso, two_spinning_split, sizes[i],
                         400000);
        compare_messages(ways, "two threads, sleeping", "pipe", two_sleeping_verso, two_pipe, sizes[i], 100000);
    }
}

/* ---- Records parsed where they are -------------------------------------------------------------------------------*/

#define STREAM_BYTES ((size_t)1 << 20)
#define FEED_BYTES ((size_t)1 << 10)

static unsigned char stream[STREAM_BYTES];
static size_t stream_bytes;

/* Records of 4 to 404 bytes, mostly short, behind a length of two bytes. */
static void stream_make(void)
{
    uint64_t dice = 88172645463325252U;

    while (stream_bytes + 2 + 404 <= STREAM_BYTES) {
        uint16_t length;

        dice ^= dice << 13;
        dice ^= dice >> 7;
        dice ^= dice << 17;
        length = (uint16_t)(4 + (dice >> 20) % ((dice & 7) == 0 ? 400 : 60));
        memcpy(stream + stream_bytes, &length, 2);
        memset(stream + stream_bytes + 2, (int)(dice >> 40), length);
        stream_bytes += 2U + length;
    }
}

/* What a parser does: looks at a few fields of the record. */
static inline uint64_t parse(uint64_t sum, const unsigned char *record, size_t length)
{
    uint32_t first, last;

    memcpy(&first, record, 4);
    memcpy(&last, record + length - 4, 4);
    return sum * 31 + first + last + length;
}

struct parsing {
    struct verso_ring *ring;
    struct split *split;
};

/* Whole records in [data, data + bytes); how many bytes they were. */
static inline size_t parse_all(uint64_t *sum, const unsigned char *data, size_t bytes)
{
    size_t done = 0;

    while (bytes - done >= 2) {
        uint16_t length;

        memcpy(&length, data + done, 2);
        if (bytes - done < 2U + length)
            break;
        *sum = parse(*sum, data + done + 2, length);
        done += 2U + length;
    }
    return done;
}

static uint64_t parse_verso(void *arg)
{
    const struct parsing *parsing = arg;
    uint64_t sum = 0;

    for (size_t fed = 0; fed < stream_bytes;) {
        size_t feed = stream_bytes - fed < FEED_BYTES ? stream_bytes - fed : FEED_BYTES, bytes;
        void *data;

        bench_check(verso_ring_write(parsing->ring, stream + fed, feed));
        fed += feed;
        bench_check(verso_ring_peek(parsing->ring, 1, &data, &bytes));
        bench_check(verso_ring_consume(parsing->ring, parse_all(&sum, data, bytes)));
    }
    return sum;
}

/* One record that wraps, copied out to be whole; 0: it is not all there yet. */
static size_t parse_wrapped(const struct split *split, uint64_t *sum, uint64_t tail, size_t used)
{
    unsigned char whole[2 + 404];
    uint16_t length;

    if (used < 2)
        return 0;
    split_copy_out(split, tail, &length, 2);
    if (used < 2U + length)
        return 0;
    split_copy_out(split, tail + 2, whole, length);
    *sum = parse(*sum, whole, length);
    return 2U + length;
}

static uint64_t parse_split(void *arg)
{
    struct split *split = ((const struct parsing *)arg)->split;
    uint64_t sum = 0;

    for (size_t fed = 0; fed < stream_bytes;) {
        size_t feed = stream_bytes - fed < FEED_BYTES ? stream_bytes - fed : FEED_BYTES, used, done;
        uint64_t tail;

        if (!split_write(split, stream + fed, feed))
            return 0;
        fed += feed;
        used = split_used(split, SIZE_MAX, &tail);
        do {
            size_t straight = split->mask + 1 - (tail & split->mask);

            done = parse_all(&sum, split->data + (tail & split->mask), used < straight ? used : straight);
            if (used > straight && done < straight)
                done += parse_wrapped(split, &sum, tail + done, used - done);
            tail += done;
            used -= done;
        } while (done > 0);
        atomic_store_explicit(&split->tail, tail, memory_order_release);
    }
    return sum;
}

static void compare_parsing(const char *name, size_t capacity_bytes)
{
    struct split split;
    struct parsing parsing = { NULL, &split };

    bench_check(verso_ring_open(capacity_bytes, NULL, &parsing.ring));
    split_make(&split, verso_ring_capacity_bytes(parsing.ring));
    compare(name, "split ring", 0, (double)stream_bytes, parse_verso, parse_split, &parsing);
    verso_ring_close(parsing.ring);
    free(split.data);
}

/* ---- Straight from a descriptor, and to one ----------------------------------------------------------------------*/

struct relay {
    struct ways *ways;
    int source;
    int target;
    uint64_t bytes;
};

static uint64_t relay_verso(void *arg)
{
    const struct relay *relay = arg;
    uint64_t passed = 0;

    if (lseek(relay->source, 0, SEEK_SET) < 0)
        return 0;
    for (;;) {
        size_t room, bytes;
        ssize_t got, put;
        void *data;

        bench_check(verso_ring_reserve(relay->ways->ring, 1, &data, &room));
        got = read(relay->source, data, room - room / 3); /* so that it does not fall in with the end */
        if (got <= 0)
            return got < 0 ? 0 : passed;
        bench_check(verso_ring_commit(relay->ways->ring, (size_t)got));
        bench_check(verso_ring_peek(relay->ways->ring, 1, &data, &bytes));
        put = write(relay->target, data, bytes);
        bench_check(verso_ring_consume(relay->ways->ring, put < 0 ? 0 : (size_t)put));
        passed += (uint64_t)put;
    }
}

static uint64_t relay_split(void *arg)
{
    const struct relay *relay = arg;
    struct split *split = &relay->ways->split;
    uint64_t passed = 0;

    if (lseek(relay->source, 0, SEEK_SET) < 0)
        return 0;
    for (;;) {
        uint64_t head = atomic_load_explicit(&split->head, memory_order_relaxed), tail;
        size_t room = split->mask + 1 - (size_t)(head - atomic_load_explicit(&split->tail, memory_order_acquire));
        struct iovec parts[2];
        ssize_t got, put;
        size_t used;

        got = readv(relay->source, parts, split_parts(split, head, room - room / 3, parts));
        if (got <= 0)
            return got < 0 ? 0 : passed;
        atomic_store_explicit(&split->head, head + (uint64_t)got, memory_order_release);
        split->tail_seen = head; /* all was written out before */
        used = split_used(split, SIZE_MAX, &tail);
        put = writev(relay->target, parts, split_parts(split, tail, used, parts));
        atomic_store_explicit(&split->tail, tail + (uint64_t)put, memory_order_release);
        passed += (uint64_t)put;
    }
}

static void compare_relay(struct ways *ways)
{
    const uint64_t bytes = (8U << 20) + 12345;
    struct relay relay = { ways, open(bench_file("source", bytes), O_RDONLY | O_CLOEXEC),
                           open("/dev/null", O_WRONLY | O_CLOEXEC), bytes };

    if (relay.source < 0 || relay.target < 0)
        bench_die("open");
    compare("read in, write out", "split ring, readv and writev", 0, (double)bytes, relay_verso, relay_split, &relay);
    (void)close(relay.source);
    (void)close(relay.target);
}

/* ---- Opening ---- */

static uint64_t open_verso(void *arg)
{
    struct verso_ring *ring;

    (void)arg;
    bench_check(verso_ring_open(RING_BYTES, NULL, &ring));
    verso_ring_close(ring);
    return 1;
}

static uint64_t open_pipe(void *arg)
{
    int ends[2];

    (void)arg;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return 0;
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 1;
}

int main(int count, char **arguments)
{
    static struct ways ways;

    bench_start(count, arguments, "ring");
    bench_check(verso_ring_open(RING_BYTES, NULL, &ways.ring));
    split_make(&ways.split, RING_BYTES);
    if (pipe2(ways.pipe_ends, O_CLOEXEC) < 0)
        return 2;
    stream_make();
    on_one_thread(&ways);
    compare_parsing("parse records, 64 KiB ring", RING_BYTES);
    compare_parsing("parse records, 4 KiB ring", 4096);
    compare_relay(&ways);
    on_two_threads(&ways);
    compare("open and close, 64 KiB", "pipe", 1, 0, open_verso, open_pipe, NULL);
    verso_ring_close(ways.ring);
    free(ways.split.data);
    (void)close(ways.pipe_ends[0]);
    (void)close(ways.pipe_ends[1]);
    return bench_finish();
}
