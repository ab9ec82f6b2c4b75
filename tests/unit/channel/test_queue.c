/* SPDX-License-Identifier: MIT */
/* queue - what is sent is received, whole and in order: within a process, and from one to another. */
#include "channels.h"

#include <errno.h>

#define PAGE ((uint64_t)4096)

static void open_both(void)
{
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
}

static void expect(const char *text)
{
    struct verso_channel_message message;

    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_int_equal(message.bytes, strlen(text));
    assert_memory_equal(message.data, text, message.bytes);
}

static void test_sent_is_received(void **state)
{
    struct verso_channel_message message;

    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, 0, 0);
    open_both();
    assert_fails(verso_channel_receive(reader, 0, &message), -EAGAIN);
    assert_ok(verso_channel_send(writer, "one", 3, 0));
    assert_ok(verso_channel_send(writer, NULL, 0, 0));
    assert_ok(verso_channel_send(writer, "three", 5, 0));
    expect("one");
    expect("");
    expect("three");
    assert_ok(verso_channel_release(reader));
    assert_fails(verso_channel_release(reader), VERSO_E_RANGE);
    assert_fails(verso_channel_receive(reader, 0, &message), -EAGAIN);
    assert_fails(verso_channel_receive(reader, 1, &message), -ETIMEDOUT);
}

static void test_lengths_to_the_limit(void **state)
{
    static unsigned char data[2 * 4096];
    struct verso_channel_message message;
    uint64_t most;

    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, PAGE, 0);
    open_both();
    most = verso_channel_message_bytes_most(channel);
    assert_int_equal(most, PAGE - 16);
    for (size_t turn = 0; turn < 3; turn++)
        for (size_t length = (size_t)most - 20; length <= most; length++) {
            memset(data, (int)length, length);
            assert_ok(verso_channel_send(writer, data, length, 0));
            if (length > most - 16)
                assert_fails(verso_channel_send(writer, "x", 1, 0), -EAGAIN);
            assert_ok(verso_channel_receive(reader, 0, &message));
            assert_int_equal(message.bytes, length);
            assert_memory_equal(message.data, data, length);
            assert_int_equal((uintptr_t)message.data % 8, 0);
            assert_ok(verso_channel_release(reader));
        }
    assert_fails(verso_channel_send(writer, data, (size_t)most + 1, 0), VERSO_E_RANGE);
    assert_fails(verso_channel_send(writer, data, SIZE_MAX, 0), VERSO_E_RANGE);
}

/* Every byte of room is used, and not one more. */
static void test_full_is_full(void **state)
{
    struct verso_channel_message message;
    unsigned count = 0;

    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, PAGE, 0);
    open_both();
    while (verso_channel_send(writer, &count, sizeof(count), 0) == 0)
        count++;
    assert_int_equal(count, (PAGE - 8) / 16);
    assert_int_equal(verso_error_last()->code, -EAGAIN);
    assert_fails(verso_channel_send(writer, &count, sizeof(count), 1), -ETIMEDOUT);
    for (unsigned i = 0; i < count; i++) {
        assert_ok(verso_channel_receive(reader, 0, &message));
        assert_memory_equal(message.data, &i, sizeof(i));
    }
    assert_fails(verso_channel_receive(reader, 0, &message), -EAGAIN);
    assert_ok(verso_channel_send(writer, &count, sizeof(count), 0));
}

static void reserve_in(enum verso_channel_kind kind)
{
    void *data;

    channel_make(kind, PAGE, 0);
    open_both();
    for (unsigned turn = 0; turn < 1000; turn++) {
        assert_ok(verso_channel_reserve(writer, 200, 0, &data));
        assert_fails(verso_channel_reserve(writer, 1, 0, &data), -EBUSY);
        assert_fails(verso_channel_send(writer, "x", 1, 0), -EBUSY);
        assert_fails(verso_channel_commit(writer, 201), VERSO_E_RANGE);
        memcpy(data, "in place", 8);
        assert_ok(verso_channel_commit(writer, 8));
        assert_fails(verso_channel_commit(writer, 8), VERSO_E_RANGE);
        assert_ok(verso_channel_reserve(writer, 100, 0, &data));
        verso_channel_abandon(writer);
        assert_ok(verso_channel_send(writer, "copied", 6, 0));
        expect("in place");
        expect("copied");
    }
}

static void test_reserved_alone(void **state)
{
    (void)state;
    reserve_in(VERSO_CHANNEL_SPSC);
}

static void test_reserved_among_others(void **state)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;

    (void)state;
    reserve_in(VERSO_CHANNEL_MPSC);
    assert_ok(verso_channel_info(channel, &info));
    assert_int_equal(info.given_up, 1000);
    assert_int_equal(info.sent, 2000);
    assert_int_equal(info.received, 2000);
}

static void test_many_at_once(void **state)
{
    struct verso_channel_part parts[5] = { { "a", 1 }, { "bb", 2 }, { "", 0 }, { "dddddddddd", 10 }, { "e", 1 } };
    struct verso_channel_message messages[8];
    size_t count = 0;

    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, PAGE, 0);
    open_both();
    for (unsigned turn = 0; turn < 500; turn++) {
        assert_ok(verso_channel_send_many(writer, parts, 5, 0, &count));
        assert_int_equal(count, 5);
        assert_ok(verso_channel_receive_many(reader, 0, messages, 8, &count));
        assert_int_equal(count, 5);
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(messages[i].bytes, parts[i].bytes);
            assert_memory_equal(messages[i].data, parts[i].data, parts[i].bytes);
        }
        assert_ok(verso_channel_release(reader));
    }
    assert_ok(verso_channel_send_many(writer, parts, 0, 0, &count));
    assert_int_equal(count, 0);
}

static void test_a_short_buffer_loses_nothing(void **state)
{
    struct verso_channel_message message;
    char room[8];

    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, PAGE, 0);
    open_both();
    assert_ok(verso_channel_send(writer, "longer than that", 16, 0));
    assert_fails(verso_channel_read(reader, room, sizeof(room), 0, &message), -EMSGSIZE);
    assert_int_equal(message.bytes, 16);
    assert_null(message.data);
    expect("longer than that");
}

static void test_places_are_few(void **state)
{
    struct verso_channel_writer *other;
    struct verso_channel_reader *another;

    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, PAGE, 0);
    open_both();
    assert_fails(verso_channel_writer_open(channel, NULL, &other), -EUSERS);
    assert_fails(verso_channel_reader_open(channel, NULL, &another), -EUSERS);
    verso_channel_writer_close(writer);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
}

static void test_the_end(void **state)
{
    struct verso_channel_message message;

    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, PAGE, 0);
    open_both();
    assert_ok(verso_channel_send(writer, "last", 4, 0));
    verso_channel_writer_close(writer);
    expect("last");
    assert_fails(verso_channel_receive(reader, -1, &message), -EPIPE);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_send(writer, "again", 5, 0));
    expect("again");
    verso_channel_reader_close(reader);
    while (verso_channel_send(writer, "x", 1, -1) == 0)
        ;
    assert_int_equal(verso_error_last()->code, -EPIPE);
}

static void test_refused_options(void **state)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    struct verso_channel *other;

    (void)state;
    options.writers_most = 2;
    assert_fails(verso_channel_create(NULL, &options, &other), VERSO_E_OPTIONS);
    options.writers_most = 0;
    options.flags = 1U << 31;
    assert_fails(verso_channel_create(NULL, &options, &other), VERSO_E_OPTIONS);
    options.flags = 0;
    options.capacity_bytes = UINT64_MAX;
    assert_fails(verso_channel_create(NULL, &options, &other), VERSO_E_OVERFLOW);
    options.capacity_bytes = 0;
    options.struct_bytes = 8;
    assert_fails(verso_channel_create(NULL, &options, &other), VERSO_E_OPTIONS);
}

/* ---- From process to process ---- */

#define MESSAGES 200000U
#define MOST 300U

/* @arg: how many writers there are besides; it sends its share. */
static int pour(void *arg)
{
    unsigned char data[MOST];
    struct verso_channel_writer *own;
    uint64_t first = (uint64_t)(uintptr_t)arg;
    void *room;

    if (verso_channel_writer_open(channel, NULL, &own) < 0)
        return 2;
    for (uint64_t i = 0; i < MESSAGES; i++) {
        uint64_t number = first + i * 2;
        size_t length = length_of(number, MOST);

        if (i % 3 != 0) {
            message_fill(data, number, length);
            if (verso_channel_send(own, data, length, -1) < 0)
                return 3;
        } else {
            if (verso_channel_reserve(own, MOST, -1, &room) < 0)
                return 4;
            message_fill(room, number, length);
            if (verso_channel_commit(own, length) < 0)
                return 5;
        }
    }
    verso_channel_writer_close(own);
    return 0;
}

/* Receives all, by all ways; each writer's in order. */
static uint64_t drain(uint64_t expected[2])
{
    struct verso_channel_message messages[16];
    uint64_t total = 0;
    size_t count;

    for (;;) {
        unsigned char copy[MOST];
        int r;

        count = 1;
        if (total % 3 == 0)
            r = verso_channel_receive(reader, -1, &messages[0]);
        else if (total % 3 == 1)
            r = verso_channel_receive_many(reader, -1, messages, 16, &count);
        else
            r = verso_channel_read(reader, copy, sizeof(copy), -1, &messages[0]);
        if (r == -EPIPE)
            return total;
        assert_ok(r);
        for (size_t i = 0; i < count; i++) {
            uint64_t number = message_number(messages[i].data, messages[i].bytes, MOST);

            assert_true(number != UINT64_MAX);
            assert_int_equal(number, expected[number % 2]);
            expected[number % 2] += 2;
        }
        total += count;
    }
}

static void pour_from(enum verso_channel_kind kind, unsigned writers)
{
    uint64_t expected[2] = { 0, 1 };
    pid_t child[2];

    channel_make(kind, 4 * PAGE, 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    for (unsigned i = 0; i < writers; i++)
        child[i] = child_start(pour, (void *)(uintptr_t)i);
    /* The end comes when the last one has left; one may have left before the other came. */
    for (uint64_t total = 0; total < (uint64_t)writers * MESSAGES;)
        total += drain(expected);
    for (unsigned i = 0; i < writers; i++)
        assert_int_equal(child_wait(child[i]), 0);
}

static void test_from_another_process(void **state)
{
    (void)state;
    pour_from(VERSO_CHANNEL_SPSC, 1);
}

static void test_from_two_others(void **state)
{
    (void)state;
    pour_from(VERSO_CHANNEL_MPSC, 2);
}

static int use_the_parents(void *arg)
{
    (void)arg;
    return verso_channel_send(writer, "x", 1, 0) == VERSO_E_RANGE ? 0 : 1;
}

static void test_a_fork_has_no_writer(void **state)
{
    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, PAGE, 0);
    open_both();
    assert_int_equal(child_wait(child_start(use_the_parents, NULL)), 0);
    assert_ok(verso_channel_send(writer, "still there", 11, 0));
    expect("still there");
}

static const struct CMUnitTest test_list[] = {
    channel_test(test_sent_is_received),
    channel_test(test_lengths_to_the_limit),
    channel_test(test_full_is_full),
    channel_test(test_reserved_alone),
    channel_test(test_reserved_among_others),
    channel_test(test_many_at_once),
    channel_test(test_a_short_buffer_loses_nothing),
    channel_test(test_places_are_few),
    channel_test(test_the_end),
    channel_test(test_refused_options),
    channel_test(test_from_another_process),
    channel_test(test_from_two_others),
    channel_test(test_a_fork_has_no_writer),
};

int main(void)
{
    return run_test_list(test_list);
}
