/* SPDX-License-Identifier: MIT */
/* take - readers that share a queue: each message to one of them; and queues that drop their oldest. */
#include "take.h"

#include <stdatomic.h>
#include <sys/mman.h>

/* ---- Who gets what ---- */

static void test_each_to_one_of_them(void **state)
{
    struct verso_channel_message message;

    (void)state;
    make_two_readers(0);
    expect_nothing(reader);
    assert_fails(verso_channel_receive(other, 1, &message), -ETIMEDOUT);
    send_text("one");
    send_text("");
    send_text("three");
    expect_of(reader, "one");
    expect_of(other, "");
    expect_of(reader, "three");
    expect_nothing(other);
    expect_nothing(reader);
    assert_fails(verso_channel_release(reader), VERSO_E_RANGE); /* the receive that found nothing released, too */
    assert_int_equal(look().received, 3);
    assert_int_equal(look().received_bytes, 8);
    assert_int_equal(look().used_bytes, 0);
}

static void test_held_stays_as_it_was(void **state)
{
    struct verso_channel_message held;
    unsigned number = 7, count;

    (void)state;
    make_two_readers(0);
    send_text("held");
    assert_ok(verso_channel_receive(reader, 0, &held));
    assert_int_equal(held.writer, 0);
    for (unsigned turn = 0; turn < 3; turn++) {
        count = fill();
        assert_int_equal(count, turn == 0 ? (PAGE - 8 - 16) / 16 : 0); /* it holds up all that is behind it */
        for (unsigned i = 0; i < count; i++)
            assert_ok(verso_channel_read(other, &number, sizeof(number), 0, NULL));
        expect_nothing(other);
        assert_memory_equal(held.data, "held", 4);
    }
    assert_ok(verso_channel_release(reader));
    assert_int_equal(fill(), (PAGE - 8) / 16);
}

static void test_lengths_to_the_limit(void **state)
{
    static unsigned char data[4096], copy[4096];
    const size_t most = PAGE - 16;
    struct verso_channel_message message;

    (void)state;
    make_two_readers(0);
    assert_int_equal(verso_channel_message_bytes_most(channel), most);
    for (size_t turn = 0; turn < 5; turn++)
        for (size_t length = turn % 2 ? most - 20 : 0; length <= most; length += length == 20 ? most - 40 : 1) {
            memset(data, (int)length, length);
            assert_ok(verso_channel_send(writer, data, length, 0));
            if (length > most - 16)
                assert_fails(verso_channel_send(writer, "x", 1, 0), -EAGAIN);
            if (turn < 3) {
                assert_ok(verso_channel_receive(turn % 2 ? other : reader, 0, &message));
                assert_memory_equal(message.data, data, length);
                assert_ok(verso_channel_release(turn % 2 ? other : reader));
            } else {
                assert_ok(verso_channel_read(reader, copy, length, 0, &message));
                assert_ptr_equal(message.data, copy);
                assert_memory_equal(copy, data, length);
                assert_fails(verso_channel_release(reader), VERSO_E_RANGE);
            }
            assert_int_equal(message.bytes, length);
        }
    assert_fails(verso_channel_send(writer, data, most + 1, 0), VERSO_E_RANGE);
}

static void test_a_short_buffer_loses_nothing(void **state)
{
    struct verso_channel_message message;
    char room[16];

    (void)state;
    make_two_readers(0);
    send_text("longer than that");
    assert_fails(verso_channel_read(reader, room, 15, 0, &message), -EMSGSIZE);
    assert_int_equal(message.bytes, 16);
    assert_null(message.data);
    assert_fails(verso_channel_read(reader, NULL, 0, 0, NULL), -EMSGSIZE);
    assert_ok(verso_channel_read(other, room, 16, 0, &message));
    assert_memory_equal(room, "longer than that", 16);
    expect_nothing(reader);
}

static void test_many_at_once(void **state)
{
    struct verso_channel_part parts[5] = { { "a", 1 }, { "bb", 2 }, { "", 0 }, { "dddddddddd", 10 }, { "e", 1 } };
    struct verso_channel_message messages[8];
    size_t count = 0;

    (void)state;
    make_two_readers(0);
    for (unsigned turn = 0; turn < 500; turn++) {
        assert_ok(verso_channel_send_many(writer, parts, 5, 0, &count));
        assert_int_equal(count, 5);
        assert_ok(verso_channel_receive_many(reader, 0, messages, 2, &count));
        assert_int_equal(count, 2);
        assert_ok(verso_channel_receive_many(other, 0, messages + 2, 6, &count));
        assert_int_equal(count, 3);
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(messages[i].bytes, parts[i].bytes);
            assert_memory_equal(messages[i].data, parts[i].data, parts[i].bytes);
        }
        assert_ok(verso_channel_release(other)); /* the first two are still before it */
        assert_int_equal(look().used_bytes, 16 + 16 + 8 + 24 + 16);
        assert_ok(verso_channel_release(reader));
        assert_int_equal(look().used_bytes, 0);
    }
}

static void test_places_are_few(void **state)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    struct verso_channel_reader *third;

    (void)state;
    options.kind = VERSO_CHANNEL_MPMC;
    options.readers_most = 2;
    assert_ok(verso_channel_create(NULL, &options, &channel));
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_reader_open(channel, NULL, &other));
    assert_fails(verso_channel_reader_open(channel, NULL, &third), -EUSERS);
    send_text("one");
    send_text("two");
    expect_of(reader, "one");
    verso_channel_reader_close(reader); /* what it holds is released */
    assert_int_equal(look().used_bytes, 16);
    assert_int_equal(look().readers, 1);
    assert_ok(verso_channel_reader_open(channel, NULL, &third));
    expect_of(third, "two");
}

static void test_the_end(void **state)
{
    struct verso_channel_message message;

    (void)state;
    make_two_readers(0);
    send_text("last");
    verso_channel_writer_close(writer);
    expect_of(other, "last");
    assert_fails(verso_channel_receive(reader, -1, &message), -EPIPE);
    assert_fails(verso_channel_receive(other, -1, &message), -EPIPE);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    verso_channel_reader_close(reader);
    send_text("again");
    expect_of(other, "again");
    verso_channel_reader_close(other);
    while (verso_channel_send(writer, "x", 1, -1) == 0)
        ;
    assert_int_equal(verso_error_last()->code, -EPIPE);
}

static void test_redeliver_is_for_those_who_share(void **state)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    (void)state;
    options.flags = VERSO_CHANNEL_REDELIVER;
    for (int kind = VERSO_CHANNEL_KIND_ANY; kind <= VERSO_CHANNEL_BROADCAST; kind++) {
        options.kind = (enum verso_channel_kind)kind;
        if (kind != VERSO_CHANNEL_MPMC)
            assert_fails(verso_channel_create(NULL, &options, &channel), VERSO_E_OPTIONS);
    }
}

/* ---- Full ---- */

static void test_full_is_refused(void **state)
{
    (void)state;
    make(VERSO_CHANNEL_MPMC, VERSO_CHANNEL_FULL_REFUSE, 0);
    assert_int_equal(fill(), (PAGE - 8) / 16);
    assert_fails(verso_channel_send(writer, "x", 1, -1), -EAGAIN);
}

static void test_full_drops_the_newest(void **state)
{
    (void)state;
    make(VERSO_CHANNEL_MPMC, VERSO_CHANNEL_FULL_DROP_NEWEST, 0);
    for (unsigned i = 0; i < (PAGE - 8) / 16; i++)
        send_text("x");
    assert_int_equal(verso_channel_send(writer, "y", 1, -1), VERSO_CHANNEL_DROPPED);
    assert_int_equal(look().dropped, 1);
    expect_of(reader, "x");
}

static void drop_oldest_in(enum verso_channel_kind kind)
{
    const unsigned room = (PAGE - 8) / 16;
    struct verso_channel_message message;
    uint64_t expected = 0;
    char text[8];

    make(kind, VERSO_CHANNEL_FULL_DROP_OLDEST, 0);
    for (unsigned i = 0; i < 3 * room; i++) {
        (void)snprintf(text, sizeof(text), "%u", i);
        assert_ok(verso_channel_send(writer, text, 8, 0));
    }
    assert_int_equal(look().dropped, 2 * room);
    assert_int_equal(look().sent, 3 * room);
    for (expected = 2 * room; expected < 3 * room; expected++) {
        assert_ok(verso_channel_receive(reader, 0, &message));
        assert_int_equal(strtoul(message.data, NULL, 10), expected);
    }
    assert_fails(verso_channel_receive(reader, 0, &message), -EAGAIN);
    assert_int_equal(look().received, room);
    assert_int_equal(look().lost, 0);
}

static void test_full_drops_the_oldest(void **state)
{
    (void)state;
    drop_oldest_in(VERSO_CHANNEL_MPMC);
    assert_int_equal(channel_drop(NULL), 0);
    drop_oldest_in(VERSO_CHANNEL_MPSC);
    assert_int_equal(channel_drop(NULL), 0);
    drop_oldest_in(VERSO_CHANNEL_SPSC);
}

/* One message of the whole ring drops all that was in it. */
static void test_a_long_one_drops_many(void **state)
{
    static const unsigned char data[4096 - 16] = { 1, 2, 3 };
    struct verso_channel_message message;

    (void)state;
    make(VERSO_CHANNEL_SPSC, VERSO_CHANNEL_FULL_DROP_OLDEST, 0);
    for (unsigned turn = 1; turn <= 20; turn++) {
        send_text("short");
        send_text("and another");
        assert_ok(verso_channel_send(writer, data, sizeof(data), 0));
        assert_int_equal(look().dropped, turn * 2);
        assert_ok(verso_channel_receive(reader, 0, &message));
        assert_int_equal(message.bytes, sizeof(data));
        assert_memory_equal(message.data, data, sizeof(data));
        assert_ok(verso_channel_release(reader));
    }
}

static void test_what_is_held_is_not_dropped(void **state)
{
    struct verso_channel_message message;

    (void)state;
    make(VERSO_CHANNEL_MPMC, VERSO_CHANNEL_FULL_DROP_OLDEST, 0);
    send_text("held");
    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_int_equal(fill(), (PAGE - 8 - 16) / 16);
    assert_fails(verso_channel_send(writer, "x", 1, 1), -ETIMEDOUT);
    assert_memory_equal(message.data, "held", 4);
    assert_int_equal(look().dropped, 0); /* it would not have helped */
    assert_ok(verso_channel_release(reader));
    send_text("x");
    send_text("y");
    assert_int_equal(look().dropped, 1);
}

static void test_what_is_reserved_is_not_dropped(void **state)
{
    struct verso_channel_writer *slow;
    void *data;

    (void)state;
    make(VERSO_CHANNEL_MPSC, VERSO_CHANNEL_FULL_DROP_OLDEST, 0);
    assert_ok(verso_channel_writer_open(channel, NULL, &slow));
    assert_ok(verso_channel_reserve(slow, 4, 0, &data));
    assert_int_equal(fill(), (PAGE - 8 - 16) / 16);
    memcpy(data, "slow", 4);
    assert_ok(verso_channel_commit(slow, 4));
    send_text("x");
    assert_int_equal(look().dropped, 1);
    assert_ok(verso_channel_reserve(slow, 4, 0, &data));
    assert_int_equal(look().dropped, 2);
    verso_channel_abandon(slow);
}

/* ---- The dead ---- */

static _Atomic uint64_t *said;

static void say_somewhere(void)
{
    said = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(said != MAP_FAILED);
}

static void wait_until_said(uint64_t what)
{
    while (atomic_load(said) != what)
        sleep_ms(1);
}

static int receive_and_stay(void *arg)
{
    struct verso_channel_message messages[3];
    struct verso_channel_reader *own;
    size_t count;

    if (verso_channel_reader_open(channel, NULL, &own) < 0 ||
        verso_channel_receive_many(own, -1, messages, (size_t)(uintptr_t)arg, &count) < 0)
        return 2;
    atomic_store(said, count);
    for (;;)
        (void)pause();
}

static int reserve_and_stay(void *arg)
{
    struct verso_channel_writer *own;
    void *data;

    (void)arg;
    if (verso_channel_writer_open(channel, NULL, &own) < 0 || verso_channel_reserve(own, 100, -1, &data) < 0)
        return 2;
    atomic_store(said, 1);
    for (;;)
        (void)pause();
}

static void die_with(size_t messages)
{
    pid_t child;

    say_somewhere();
    child = child_start(receive_and_stay, (void *)(uintptr_t)messages);
    wait_until_said(messages);
    child_kill(child);
}

/* What it had counts as received, and is in nobody's way. */
static void test_the_dead_hold_nothing(void **state)
{
    char text[8];
    int r;

    (void)state;
    make(VERSO_CHANNEL_MPMC, VERSO_CHANNEL_FULL_WAIT, VERSO_CHANNEL_LASTING);
    send_text("one");
    send_text("two");
    send_text("three");
    die_with(2);
    expect_of(reader, "three");
    assert_ok(verso_channel_release(reader));
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(text, sizeof(text), "%d", i);
        r = verso_channel_send(writer, text, strlen(text), 10000);
        if (r == VERSO_E_PEER_DIED) /* told when there was no room */
            r = verso_channel_send(writer, text, strlen(text), 10000);
        assert_ok(r);
        expect_of(reader, text);
        assert_ok(verso_channel_release(reader));
    }
    assert_int_equal(look().lost, 2);
    assert_int_equal(look().dead_readers, 1);
    assert_int_equal(look().readers, 1);
}

/* A reader that waits gets what the dead one had, in order, and before what is newer. */
static void test_what_the_dead_held_is_delivered_again(void **state)
{
    struct verso_channel_writer *second;
    struct verso_channel_message message;

    (void)state;
    make_two_readers(VERSO_CHANNEL_REDELIVER);
    assert_ok(verso_channel_writer_open(channel, NULL, &second));
    send_text("one");
    assert_ok(verso_channel_send(second, "two", 3, 0));
    send_text("three");
    send_text("four");
    die_with(3);
    expect_of(other, "four");
    assert_ok(verso_channel_receive(reader, 10000, &message));
    assert_memory_equal(message.data, "one", 3);
    assert_int_equal(message.writer, 0);
    send_text("five");
    assert_ok(verso_channel_receive(other, 0, &message));
    assert_memory_equal(message.data, "two", 3);
    assert_int_equal(message.writer, 1);
    expect_of(reader, "three");
    expect_of(other, "five");
    expect_nothing(reader);
    expect_nothing(other);
    assert_int_equal(look().used_bytes, 0);
    assert_int_equal(look().lost, 0);
}

/* Held behind what has come back: it is found as well. */
static void test_two_of_the_dead(void **state)
{
    struct verso_channel_message message;
    pid_t first, second;

    (void)state;
    make(VERSO_CHANNEL_MPMC, VERSO_CHANNEL_FULL_WAIT, VERSO_CHANNEL_REDELIVER);
    send_text("one");
    send_text("two");
    say_somewhere();
    first = child_start(receive_and_stay, (void *)(uintptr_t)1);
    wait_until_said(1);
    atomic_store(said, 0);
    second = child_start(receive_and_stay, (void *)(uintptr_t)1);
    wait_until_said(1);
    child_kill(first);
    assert_ok(verso_channel_reader_open(channel, NULL, &other)); /* which looks for the dead: "one" is there again */
    child_kill(second);
    assert_ok(verso_channel_receive(reader, 10000, &message));
    assert_memory_equal(message.data, "one", 3);
    assert_ok(verso_channel_receive(other, 10000, &message));
    assert_memory_equal(message.data, "two", 3);
    expect_nothing(reader);
    expect_nothing(other);
    assert_int_equal(look().used_bytes, 0);
}

static void test_the_oldest_is_dropped_also_of_the_dead(void **state)
{
    pid_t child;
    int r;

    (void)state;
    make(VERSO_CHANNEL_MPMC, VERSO_CHANNEL_FULL_DROP_OLDEST, VERSO_CHANNEL_LASTING);
    say_somewhere();
    child = child_start(reserve_and_stay, NULL);
    wait_until_said(1);
    child_kill(child);
    for (int i = 0; i < 1000; i++)
        send_text("x");
    assert_int_equal(look().given_up, 1);
    atomic_store(said, 0);
    die_with(1);
    for (int i = 0; i < 1000; i++) {
        r = verso_channel_send(writer, "x", 1, 10000);
        assert_true(r == 0 || r == VERSO_E_PEER_DIED);
    }
    assert_int_equal(look().lost, 1);
}

/* ---- What others may have written ---- */

static _Atomic uint64_t *word_of_lane(size_t offset)
{
    unsigned char *data = verso_share_data(verso_channel_share(channel));
    uint64_t lanes;

    memcpy(&lanes, data + 64, sizeof(lanes));
    return (_Atomic uint64_t *)(void *)(data + lanes + offset);
}

static void test_scribbled_over(void **state)
{
    static const uint64_t values[] = { 1, 4, UINT64_MAX, UINT64_MAX - 0xfffff, 1 << 20, UINT64_C(1) << 63 };
    static const size_t next_and_head[] = { 136, 144 };
    struct verso_channel_message message;
    char copy[8];

    (void)state;
    make_two_readers(0);
    for (size_t i = 0; i < 2; i++)
        for (size_t value = 0; value < sizeof(values) / sizeof(*values); value++) {
            _Atomic uint64_t *word = word_of_lane(next_and_head[i]);
            uint64_t was;

            send_text("x");
            was = atomic_exchange(word, values[value]);
            assert_fails(verso_channel_receive(reader, 0, &message), VERSO_E_CORRUPT);
            assert_fails(verso_channel_read(other, copy, sizeof(copy), 0, NULL), VERSO_E_CORRUPT);
            atomic_store(word, was);
            expect_of(reader, "x");
            atomic_store(word, values[value]);
            assert_fails(verso_channel_release(reader), VERSO_E_CORRUPT);
            atomic_store(word, next_and_head[i] == 136 ? was + 16 : was);
            assert_ok(verso_channel_release(reader));
        }
}

/* It can stop the channel, and no more: what is received lies in the ring, and calls come back. */
static void test_headers_scribbled_over(void **state)
{
    static const uint64_t headers[] = { 6,
                                        0xff,
                                        UINT64_C(4088) << 32 | 2,
                                        UINT64_C(4080) << 32 | 2,
                                        UINT64_MAX,
                                        UINT64_C(0xffffffff) << 32 | 2,
                                        UINT64_C(0xffffffff) << 32 | 3,
                                        UINT64_C(0xffffffff) << 32 | 4,
                                        UINT64_C(4000) << 32 | 63 << 16 | 1 };
    struct verso_channel_message held, message;
    const char *ring;
    int r;

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
        make_two_readers(0);
        send_text("x");
        send_text("y");
        assert_ok(verso_channel_receive(reader, 0, &held));
        ring = (const char *)held.data - 8;
        for (size_t at = 0; at < 2; at++)
            atomic_store((_Atomic uint64_t *)(uintptr_t)(ring + 16 * at), headers[i]);
        r = verso_channel_receive(other, 0, &message);
        assert_true(r == 0 || r == -EAGAIN || r == VERSO_E_CORRUPT);
        if (r == 0)
            assert_true((const char *)message.data == ring + 24 && message.bytes <= PAGE - 16);
        r = verso_channel_release(reader);
        assert_true(r == 0 || r == VERSO_E_CORRUPT);
        r = verso_channel_send(writer, "z", 1, 0);
        assert_true(r == 0 || r == -EAGAIN);
        assert_int_equal(channel_drop(NULL), 0);
    }
}

static const struct CMUnitTest test_list[] = {
    channel_test(test_each_to_one_of_them),
    channel_test(test_held_stays_as_it_was),
    channel_test(test_lengths_to_the_limit),
    channel_test(test_a_short_buffer_loses_nothing),
    channel_test(test_many_at_once),
    channel_test(test_places_are_few),
    channel_test(test_the_end),
    channel_test(test_redeliver_is_for_those_who_share),
    channel_test(test_full_is_refused),
    channel_test(test_full_drops_the_newest),
    channel_test(test_full_drops_the_oldest),
    channel_test(test_a_long_one_drops_many),
    channel_test(test_what_is_held_is_not_dropped),
    channel_test(test_what_is_reserved_is_not_dropped),
    channel_test(test_the_dead_hold_nothing),
    channel_test(test_what_the_dead_held_is_delivered_again),
    channel_test(test_two_of_the_dead),
    channel_test(test_the_oldest_is_dropped_also_of_the_dead),
    channel_test(test_scribbled_over),
    channel_test(test_headers_scribbled_over),
};

int main(void)
{
    return run_test_list(test_list);
}
