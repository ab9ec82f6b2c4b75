/* SPDX-License-Identifier: MIT */
/* take-together - the same queues, with processes and threads that send and receive all at once. */
#include "take.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

/* ---- All at once ---- */

#define WRITERS 3
#define READERS 3
#define MOST 2000U

static unsigned messages_each(void)
{
    return support_is_tsan() || support_is_asan() ? 5000 : 60000;
}

/* Sends its share, in order, in every way. */
static int pour(void *arg)
{
    unsigned char data[MOST], more[MOST];
    struct verso_channel_writer *own;
    void *room;
    size_t count;

    if (verso_channel_writer_open(channel, NULL, &own) < 0)
        return 2;
    for (uint64_t i = 0; i < messages_each(); i++) {
        uint64_t number = (uint64_t)(uintptr_t)arg + i * WRITERS;
        size_t length = length_of(number, MOST);
        int r;

        message_fill(data, number, length);
        if (i % 7 == 0 && verso_channel_reserve(own, MOST, -1, &room) == 0) {
            memcpy(room, data, length);
            r = verso_channel_commit(own, length);
        } else if (i % 7 == 1 && i + 1 < messages_each()) {
            size_t next = length_of(number + WRITERS, MOST);
            struct verso_channel_part parts[2] = { { data, length }, { more, next } };

            message_fill(more, number + WRITERS, next);
            r = verso_channel_send_many(own, parts, 2, -1, &count);
            i += count - 1;
        } else {
            r = verso_channel_send(own, data, length, -1);
        }
        if (r < 0)
            return 3;
    }
    verso_channel_writer_close(own);
    return 0;
}

/* Who received what: a byte for each message, in memory that processes share. */
static _Atomic unsigned char *got;

static int note(const struct verso_channel_message *message, const void *data, uint64_t last[WRITERS])
{
    uint64_t number = message_number(data, message->bytes, MOST);
    unsigned from;

    if (number >= (uint64_t)messages_each() * WRITERS)
        return 4;
    from = (unsigned)(number % WRITERS);
    if (last[from] != UINT64_MAX && number <= last[from]) /* each reader sees each writer's in order */
        return 5;
    last[from] = number;
    return atomic_fetch_add(&got[number], 1) == 0 ? 0 : 6;
}

static int drain(void *arg)
{
    uint64_t last[WRITERS] = { UINT64_MAX, UINT64_MAX, UINT64_MAX };
    struct verso_channel_message messages[8];
    struct verso_channel_reader *own = arg;
    unsigned char copy[MOST];

    if (!own && verso_channel_reader_open(channel, NULL, &own) < 0)
        return 2;
    for (unsigned turn = 0;; turn++) {
        size_t count = 1;
        int r;

        if (turn % 3 == 0)
            r = verso_channel_receive(own, -1, &messages[0]);
        else if (turn % 3 == 1)
            r = verso_channel_receive_many(own, -1, messages, 8, &count);
        else
            r = verso_channel_read(own, copy, sizeof(copy), -1, &messages[0]);
        if (r == -EPIPE)
            break;
        if (r < 0)
            return 3;
        for (size_t i = 0; i < count && r == 0; i++)
            r = note(&messages[i], messages[i].data, last);
        if (r != 0)
            return r;
    }
    verso_channel_reader_close(own);
    return 0;
}

static void make_large(void)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    options.kind = VERSO_CHANNEL_MPMC;
    options.capacity_bytes = 4 * PAGE;
    assert_ok(verso_channel_create(NULL, &options, &channel));
    got = mmap(NULL, (size_t)messages_each() * WRITERS, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(got != MAP_FAILED);
}

static void expect_all(void)
{
    for (size_t i = 0; i < (size_t)messages_each() * WRITERS; i++)
        assert_int_equal(atomic_load(&got[i]), 1);
    assert_int_equal(look().sent, look().received);
    assert_int_equal(look().sent_bytes, look().received_bytes);
    assert_int_equal(look().used_bytes, 0);
}

static void test_among_processes(void **state)
{
    pid_t writers[WRITERS], readers[READERS];

    (void)state;
    make_large();
    assert_ok(verso_channel_writer_open(channel, NULL, &writer)); /* so that the end comes when we say so */
    for (size_t i = 0; i < READERS; i++)
        readers[i] = child_start(drain, NULL);
    for (size_t i = 0; i < WRITERS; i++)
        writers[i] = child_start(pour, (void *)(uintptr_t)i);
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(child_wait(writers[i]), 0);
    verso_channel_writer_close(writer);
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(child_wait(readers[i]), 0);
    expect_all();
}

static void *pour_in_thread(void *arg)
{
    return (void *)(intptr_t)pour(arg);
}

static void *drain_in_thread(void *arg)
{
    return (void *)(intptr_t)drain(arg);
}

static void test_among_threads(void **state)
{
    pthread_t writers[WRITERS], readers[READERS];
    void *answer;

    (void)state;
    make_large();
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    for (size_t i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&readers[i], NULL, drain_in_thread, NULL), 0);
    for (size_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&writers[i], NULL, pour_in_thread, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < WRITERS; i++) {
        assert_int_equal(pthread_join(writers[i], &answer), 0);
        assert_int_equal((intptr_t)answer, 0);
    }
    verso_channel_writer_close(writer);
    for (size_t i = 0; i < READERS; i++) {
        assert_int_equal(pthread_join(readers[i], &answer), 0);
        assert_int_equal((intptr_t)answer, 0);
    }
    expect_all();
}

/* Writers that nobody holds up, and readers that see each message once or never, in order. */
static void test_dropping_among_threads(void **state)
{
    static const enum verso_channel_kind kinds[] = { VERSO_CHANNEL_SPSC, VERSO_CHANNEL_MPSC, VERSO_CHANNEL_MPMC };
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    pthread_t writers[WRITERS], readers[READERS];
    void *answer;

    (void)state;
    options.full = VERSO_CHANNEL_FULL_DROP_OLDEST;
    options.capacity_bytes = 4 * PAGE;
    for (size_t k = 0; k < 3; k++) {
        size_t writer_count = kinds[k] == VERSO_CHANNEL_SPSC ? 1 : WRITERS;
        size_t reader_count = kinds[k] == VERSO_CHANNEL_MPMC ? READERS : 1;

        make_large();
        verso_channel_close(channel);
        options.kind = kinds[k];
        assert_ok(verso_channel_create(NULL, &options, &channel));
        for (size_t i = 0; i < reader_count; i++) {
            assert_ok(verso_channel_reader_open(channel, NULL, &reader));
            assert_int_equal(pthread_create(&readers[i], NULL, drain_in_thread, reader), 0);
        }
        if (writer_count > 1)
            assert_ok(verso_channel_writer_open(channel, NULL, &writer));
        for (size_t i = 0; i < writer_count; i++)
            assert_int_equal(pthread_create(&writers[i], NULL, pour_in_thread, (void *)(uintptr_t)i), 0);
        for (size_t i = 0; i < writer_count; i++) {
            assert_int_equal(pthread_join(writers[i], &answer), 0);
            assert_int_equal((intptr_t)answer, 0);
        }
        if (writer_count > 1)
            verso_channel_writer_close(writer);
        for (size_t i = 0; i < reader_count; i++) {
            assert_int_equal(pthread_join(readers[i], &answer), 0);
            assert_int_equal((intptr_t)answer, 0);
        }
        assert_int_equal(look().sent, look().received + look().dropped);
        assert_int_equal(look().used_bytes, 0);
        assert_int_equal(channel_drop(NULL), 0);
    }
}

/* Two that sleep, two messages in one go: each gets one, though the first keeps what it was given. */
static void *receive_one(void *arg)
{
    struct verso_channel_message message;

    return (void *)(intptr_t)verso_channel_receive(arg, 60000, &message);
}

static void test_who_is_woken_wakes_the_next(void **state)
{
    struct verso_channel_part parts[2] = { { "a", 1 }, { "b", 1 } };
    pthread_t first, second;
    void *answer;
    size_t count;

    (void)state;
    make_two_readers(0);
    assert_int_equal(pthread_create(&first, NULL, receive_one, reader), 0);
    assert_int_equal(pthread_create(&second, NULL, receive_one, other), 0);
    while (look().data_sleeps < 2)
        sleep_ms(1);
    assert_ok(verso_channel_send_many(writer, parts, 2, 0, &count));
    assert_int_equal(count, 2);
    assert_int_equal(pthread_join(first, &answer), 0);
    assert_int_equal((intptr_t)answer, 0);
    assert_int_equal(pthread_join(second, &answer), 0);
    assert_int_equal((intptr_t)answer, 0);
}

static int use_the_parents(void *arg)
{
    struct verso_channel_message message;

    (void)arg;
    return verso_channel_receive(reader, 0, &message) == VERSO_E_RANGE && verso_channel_release(reader) == VERSO_E_RANGE
               ? 0
               : 1;
}

static void test_a_fork_has_no_reader(void **state)
{
    (void)state;
    make_two_readers(0);
    send_text("still there");
    assert_int_equal(child_wait(child_start(use_the_parents, NULL)), 0);
    expect_of(reader, "still there");
}

static const struct CMUnitTest test_list[] = {
    channel_test(test_among_processes),        channel_test(test_among_threads),
    channel_test(test_dropping_among_threads), channel_test(test_who_is_woken_wakes_the_next),
    channel_test(test_a_fork_has_no_reader),
};

int main(void)
{
    return run_test_list(test_list);
}
