/* SPDX-License-Identifier: MIT */
/* threads - one produces, one consumes, as fast as they can: every byte arrives, in order, whatever the way. */
#include "rings.h"

#include "ring/ring.h"

#include <pthread.h>

/* Under the sanitizers a tenth goes through, of the same kind. */
static uint64_t stream_bytes(uint64_t plain_bytes)
{
    return support_is_asan() || support_is_tsan() ? plain_bytes / 10 : plain_bytes;
}

/* A stream's 8-byte words: which one, scrambled. A wrong, missing or repeated one shows at once. */
static uint64_t word_at(uint64_t index)
{
    return (index + 1) * 0x9e3779b97f4a7c15U;
}

struct stream {
    struct verso_ring *ring;
    uint64_t words;
    bool in_records;
    bool spins; /* asks again and again instead of sleeping */
    size_t least_words;
    uint64_t sum;
    uint64_t wrong;          /* the consumer's count */
    uint64_t producer_wrong; /* of commits */
};

static uint64_t next_dice(uint64_t *dice)
{
    *dice ^= *dice << 13;
    *dice ^= *dice >> 7;
    *dice ^= *dice << 17;
    return *dice;
}

/* Bytes of room, or 0 at the end. */
static size_t room_for(const struct stream *stream, size_t least, void **out_data, size_t *out_bytes)
{
    int r;

    do {
        if (!stream->spins && verso_ring_wait_room(stream->ring, least, -1) < 0)
            return 0;
        r = stream->in_records ? verso_ring_record_reserve(stream->ring, least - 8, out_data)
                               : verso_ring_reserve(stream->ring, least, out_data, out_bytes);
    } while (r == -EAGAIN);
    return r == 0;
}

static void *produce(void *arg)
{
    struct stream *stream = arg;
    uint64_t dice = 88172645463325252U;

    for (uint64_t at = 0; at < stream->words;) {
        uint64_t words = next_dice(&dice) % 180 + 1;
        size_t room;
        void *data;

        if (words > stream->words - at)
            words = stream->words - at;
        if (!room_for(stream, (size_t)(words + stream->in_records) * 8, &data, dice & 4096 ? &room : NULL))
            break;
        for (uint64_t i = 0; i < words; i++)
            ((uint64_t *)data)[i] = word_at(at + i);
        stream->producer_wrong += (stream->in_records ? verso_ring_record_commit(stream->ring, (size_t)words * 8)
                                                      : verso_ring_commit(stream->ring, (size_t)words * 8)) != 0;
        at += words;
    }
    verso_ring_shutdown(stream->ring);
    return NULL;
}

static int data_of(const struct stream *stream, void **out_data, size_t *out_bytes)
{
    size_t least = stream->in_records ? 8 : stream->least_words * 8;
    int r;

    do {
        if (!stream->spins && verso_ring_wait_data(stream->ring, least, -1) < 0)
            least = 8; /* the end: what is left */
        r = stream->in_records ? verso_ring_record_peek(stream->ring, out_data, out_bytes)
                               : verso_ring_peek(stream->ring, least, out_data, out_bytes);
        if (r == -EPIPE && least > 8) {
            least = 8;
            r = -EAGAIN;
        }
    } while (r == -EAGAIN);
    return r;
}

static void consume(struct stream *stream)
{
    uint64_t at = 0;
    size_t bytes;
    void *data;

    while (data_of(stream, &data, &bytes) == 0) {
        for (size_t i = 0; i < bytes / 8; i++) {
            stream->wrong += ((const uint64_t *)data)[i] != word_at(at + i);
            stream->sum += ((const uint64_t *)data)[i];
        }
        at += bytes / 8;
        stream->wrong += (stream->in_records ? verso_ring_record_consume(stream->ring)
                                             : verso_ring_consume(stream->ring, bytes / 8 * 8)) != 0;
    }
    stream->wrong += at != stream->words;
}

static void run(struct stream stream, uint64_t bytes, size_t pages, bool fence_only)
{
    pthread_t producer;
    struct verso_ring_info info;
    uint64_t sum = 0;

    stream.ring = opened_ring(pages * verso_page_bytes(), 0);
    if (fence_only)
        stream.ring->has_barrier = false;
    stream.words = stream_bytes(bytes) / 8;
    assert_int_equal(pthread_create(&producer, NULL, produce, &stream), 0);
    consume(&stream);
    assert_int_equal(pthread_join(producer, NULL), 0);
    for (uint64_t i = 0; i < stream.words; i++)
        sum += word_at(i);
    info = info_of(stream.ring);
    print_message("# %llu MiB, producer slept %llu times, consumer %llu times\n",
                  (unsigned long long)info.read_bytes >> 20, (unsigned long long)info.room_sleeps,
                  (unsigned long long)info.data_sleeps);
    assert_true(stream.wrong == 0 && stream.producer_wrong == 0);
    assert_true(stream.sum == sum);
    assert_true(info.written_bytes == info.read_bytes && info.used_bytes == 0);
    verso_ring_close(stream.ring);
}

static void test_spans_waiting(void **state)
{
    (void)state;
    run((struct stream){ .least_words = 1 }, (uint64_t)2 << 30, 16, false);
}

static void test_spans_in_one_page(void **state)
{
    (void)state;
    run((struct stream){ .least_words = 1 }, (uint64_t)256 << 20, 1, false);
}

static void test_spans_of_many_words_waiting(void **state)
{
    (void)state;
    run((struct stream){ .least_words = 300 }, (uint64_t)256 << 20, 3, false);
}

static void test_spans_spinning(void **state)
{
    (void)state;
    run((struct stream){ .least_words = 1, .spins = true }, (uint64_t)256 << 20, 3, false);
}

static void test_records_waiting(void **state)
{
    (void)state;
    run((struct stream){ .in_records = true }, (uint64_t)512 << 20, 3, false);
}

/* As on a system without membarrier. */
static void test_spans_waiting_with_fences(void **state)
{
    (void)state;
    run((struct stream){ .least_words = 1 }, (uint64_t)256 << 20, 1, true);
}

/*
 * Back and forth over two rings, so that each message finds the other side looking, or asleep: were a wake-up ever
 * lost, both would sleep for ever.
 */
static struct verso_ring *there, *back;

static void *echo(void *arg)
{
    size_t bytes;
    void *data;

    (void)arg;
    while (verso_ring_wait_data(there, 8, -1) == 0 && verso_ring_peek(there, 8, &data, NULL) == 0) {
        if (verso_ring_write(back, data, 8) < 0 || verso_ring_consume(there, 8) < 0)
            break;
    }
    verso_ring_shutdown(back);
    return verso_ring_peek(there, 1, &data, &bytes) == -EPIPE ? NULL : &there;
}

static void ping_pong(bool fence_only)
{
    const uint64_t times = stream_bytes(100000);
    pthread_t thread;
    void *wrong;

    there = opened_ring(1, 0);
    back = opened_ring(1, 0);
    if (fence_only)
        there->has_barrier = back->has_barrier = false;
    assert_int_equal(pthread_create(&thread, NULL, echo, NULL), 0);
    for (uint64_t i = 0; i < times; i++) {
        uint64_t answer = 0;
        size_t bytes;

        assert_ok(verso_ring_write(there, &i, 8));
        assert_ok(verso_ring_wait_data(back, 8, -1));
        assert_ok(verso_ring_read(back, &answer, 8, &bytes));
        assert_true(answer == i && bytes == 8);
    }
    verso_ring_shutdown(there);
    assert_int_equal(pthread_join(thread, &wrong), 0);
    assert_null(wrong);
    print_message("# of %llu round trips the two slept %llu times\n", (unsigned long long)times,
                  (unsigned long long)info_of(there).data_sleeps + info_of(back).data_sleeps);
    verso_ring_close(there);
    verso_ring_close(back);
}

/*
 * The moment that matters: a commit while the consumer is on its way to bed, after its last look and before its sleep.
 * It looks for about 2 us before that, so commits come at every time from 0 to 5 us after it began to wait.
 */
#define LOST_MS 20000

struct moment {
    struct verso_ring *ring;
    uint64_t times;
};

static void *commit_at_any_moment(void *arg)
{
    const struct moment *moment = arg;
    uint64_t dice = 88172645463325252U;

    for (uint64_t i = 0; i < moment->times; i++) {
        uint64_t until;

        while (atomic_load(&moment->ring->sides[VERSO__RING_CONSUMER].moved) < i * 8)
            continue;
        until = verso__os_clock_ns() + next_dice(&dice) % 5000;
        while (verso__os_clock_ns() < until)
            continue;
        if (verso_ring_write(moment->ring, &i, 8) < 0)
            break;
    }
    return NULL;
}

static void any_moment(bool fence_only)
{
    struct moment moment = { opened_ring(1, 0), stream_bytes(300000) };
    pthread_t thread;

    if (fence_only)
        moment.ring->has_barrier = false;
    assert_int_equal(pthread_create(&thread, NULL, commit_at_any_moment, &moment), 0);
    for (uint64_t i = 0; i < moment.times; i++) {
        uint64_t start = verso__os_clock_ns(), got = 0;
        size_t bytes;

        assert_ok(verso_ring_wait_data(moment.ring, 8, LOST_MS));
        assert_true(verso__os_clock_ns() - start < (uint64_t)LOST_MS * 1000000); /* woken, not timed out */
        assert_ok(verso_ring_read(moment.ring, &got, 8, &bytes));
        assert_true(got == i && bytes == 8);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    print_message("# %llu sleeps in %llu waits\n", (unsigned long long)info_of(moment.ring).data_sleeps,
                  (unsigned long long)moment.times);
    verso_ring_close(moment.ring);
}

static void test_no_wake_up_is_lost_at_any_moment(void **state)
{
    (void)state;
    any_moment(false);
}

static void test_no_wake_up_is_lost_at_any_moment_with_fences(void **state)
{
    (void)state;
    any_moment(true);
}

static void test_back_and_forth(void **state)
{
    (void)state;
    ping_pong(false);
}

static void test_back_and_forth_with_fences(void **state)
{
    (void)state;
    ping_pong(true);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_spans_waiting),
        cmocka_unit_test(test_spans_in_one_page),
        cmocka_unit_test(test_spans_of_many_words_waiting),
        cmocka_unit_test(test_spans_spinning),
        cmocka_unit_test(test_records_waiting),
        cmocka_unit_test(test_spans_waiting_with_fences),
        cmocka_unit_test(test_back_and_forth),
        cmocka_unit_test(test_back_and_forth_with_fences),
        cmocka_unit_test(test_no_wake_up_is_lost_at_any_moment),
        cmocka_unit_test(test_no_wake_up_is_lost_at_any_moment_with_fences),
    };

    return run_test_list(list);
}
