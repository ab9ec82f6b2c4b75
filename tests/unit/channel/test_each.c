/* SPDX-License-Identifier: MIT */
/* each - a BROADCAST: every reader is given every message, or told how many it has lost. */
#include "each.h"

/* ---- All are given all ---- */

static void give_all_to_all(unsigned writers_most)
{
    make(VERSO_CHANNEL_FULL_WAIT, PAGE, writers_most);
    for (unsigned i = 0; i < READERS; i++)
        readers[i] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    for (uint64_t number = 0; number < 5000; number++) {
        send_number(number);
        for (unsigned i = 0; i < READERS; i++)
            expect(readers[i], number);
    }
    for (unsigned i = 0; i < READERS; i++) {
        expect_nothing(readers[i]);
        assert_fails(verso_channel_release(readers[i]), VERSO_E_RANGE);
    }
    assert_int_equal(info_now().sent, 5000);
    assert_int_equal(info_now().received, 5000 * READERS);
    assert_int_equal(info_now().received_bytes, info_now().sent_bytes * READERS);
    assert_int_equal(info_now().lost, 0);
    assert_int_equal(info_now().used_bytes, 0);
}

static void test_all_are_given_all(void **state)
{
    (void)state;
    give_all_to_all(2);
}

static void test_all_are_given_all_by_the_only_writer(void **state)
{
    (void)state;
    give_all_to_all(1);
}

/* Each at a pace of its own, by all ways to receive. */
static void test_readers_go_their_own_pace(void **state)
{
    struct verso_channel_message messages[8];
    uint64_t next[READERS] = { 0 }, sent = 0;
    unsigned char copy[MOST];
    size_t count;

    (void)state;
    make(VERSO_CHANNEL_FULL_WAIT, 4 * PAGE, 2);
    for (unsigned i = 0; i < READERS; i++)
        readers[i] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    for (uint64_t turn = 0; turn < 3000; turn++) {
        while (sent < next[0] + 30)
            send_number(sent++);
        expect(readers[0], next[0]++);
        if (next[1] < sent && turn % 2 == 0) {
            assert_ok(verso_channel_receive_many(readers[1], 0, messages, 1 + turn % 8, &count));
            for (size_t i = 0; i < count; i++) {
                assert_int_equal(message_number(messages[i].data, messages[i].bytes, MOST), next[1]);
                assert_int_equal(messages[i].lost, 0);
                assert_int_equal(messages[i].number, next[1]++);
            }
            assert_ok(verso_channel_release(readers[1]));
        }
        if (turn >= 10) {
            assert_ok(verso_channel_read(readers[2], copy, sizeof(copy), 0, &messages[0]));
            assert_ptr_equal(messages[0].data, copy);
            assert_int_equal(message_number(copy, messages[0].bytes, MOST), next[2]++);
        }
    }
    assert_int_equal(next[2], 2990);
}

static void test_many_are_seen_together(void **state)
{
    const struct verso_channel_part parts[5] = { { "a", 1 }, { "bb", 2 }, { "", 0 }, { "dddddddddd", 10 }, { "e", 1 } };
    struct verso_channel_message messages[8];
    size_t count = 0;

    (void)state;
    make(VERSO_CHANNEL_FULL_WAIT, PAGE, 2);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    for (uint64_t turn = 0; turn < 500; turn++) {
        assert_ok(verso_channel_send_many(writer, parts, 5, 0, &count));
        assert_int_equal(count, 5);
        assert_ok(verso_channel_receive_many(readers[0], 0, messages, 8, &count));
        assert_int_equal(count, 5);
        for (size_t i = 0; i < 5; i++) {
            assert_int_equal(messages[i].number, turn * 5 + i);
            assert_int_equal(messages[i].bytes, parts[i].bytes);
            assert_memory_equal(messages[i].data, parts[i].data, parts[i].bytes);
        }
    }
}

static void test_a_short_buffer_loses_nothing(void **state)
{
    struct verso_channel_message message;
    char room[8];

    (void)state;
    make(VERSO_CHANNEL_FULL_DROP_OLDEST, PAGE, 2);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    send_number(0);
    assert_fails(verso_channel_read(readers[0], room, sizeof(room), 0, &message), -EMSGSIZE);
    assert_int_equal(message.bytes, length_of(0, MOST));
    assert_null(message.data);
    expect(readers[0], 0);
}

static void test_lengths_to_the_limit(void **state)
{
    static unsigned char data[2 * 4096], copy[2 * 4096];
    struct verso_channel_message message;
    uint64_t most, number = 0;

    (void)state;
    for (enum verso_channel_full full = VERSO_CHANNEL_FULL_WAIT; full <= VERSO_CHANNEL_FULL_DROP_OLDEST; full++) {
        make(full, PAGE, 1 + full % 2);
        readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
        most = verso_channel_message_bytes_most(channel);
        assert_int_equal(most, PAGE - 32);
        number = 0;
        for (size_t turn = 0; turn < 3; turn++)
            for (size_t length = 0; length <= most; length += length == 20 ? (size_t)most - 50 : 1) {
                memset(data, (int)(length + turn), length);
                assert_ok(verso_channel_send(writer, data, length, 0));
                assert_ok(verso_channel_read(readers[0], copy, sizeof(copy), 0, &message));
                assert_int_equal(message.bytes, length);
                assert_int_equal(message.number, number++);
                assert_memory_equal(copy, data, length);
            }
        assert_fails(verso_channel_send(writer, data, (size_t)most + 1, 0), VERSO_E_RANGE);
        assert_fails(verso_channel_send(writer, data, SIZE_MAX, 0), VERSO_E_RANGE);
        verso_channel_close(channel);
        channel = NULL;
    }
}

/* ---- Joining ---- */

/* Who joins now is given the last @before messages, and the next one. */
static void expect_history(enum verso_channel_from from, uint64_t history, uint64_t *sent, uint64_t before)
{
    struct verso_channel_reader *late = join(from, history);

    send_number((*sent)++);
    for (uint64_t i = before + 1; i > 0; i--)
        expect(late, *sent - i);
    expect_nothing(late);
    verso_channel_reader_close(late);
}

static void join_late(enum verso_channel_full full, unsigned writers_most)
{
    uint64_t sent = 0;

    make(full, 4 * PAGE, writers_most);
    expect_history(VERSO_CHANNEL_FROM_OLDEST, 0, &sent, 0);
    expect_history(VERSO_CHANNEL_FROM_OLDEST, 0, &sent, 1);
    expect_history(VERSO_CHANNEL_FROM_LAST, 0, &sent, 0);
    expect_history(VERSO_CHANNEL_FROM_LAST, 1, &sent, 1);
    expect_history(VERSO_CHANNEL_FROM_LAST, 3, &sent, 3);
    expect_history(VERSO_CHANNEL_FROM_LAST, 5, &sent, 5);
    expect_history(VERSO_CHANNEL_FROM_LAST, 100, &sent, 6);
    expect_history(VERSO_CHANNEL_FROM_LAST, UINT64_MAX, &sent, 7);
    expect_history(VERSO_CHANNEL_FROM_OLDEST, 7, &sent, 8);
    expect_history(VERSO_CHANNEL_FROM_NEXT, 7, &sent, 0);
}

static void test_late_readers_begin_where_they_say(void **state)
{
    (void)state;
    join_late(VERSO_CHANNEL_FULL_WAIT, 2);
    verso_channel_close(channel);
    join_late(VERSO_CHANNEL_FULL_WAIT, 1);
    verso_channel_close(channel);
    join_late(VERSO_CHANNEL_FULL_DROP_OLDEST, 2);
}

/* Of a long history there is as much as the ring holds. */
static void test_history_is_what_is_still_there(void **state)
{
    struct verso_channel_message message;
    uint64_t sent = 0, first;

    (void)state;
    make(VERSO_CHANNEL_FULL_WAIT, PAGE, 2);
    for (unsigned turn = 0; turn < 300; turn++) {
        for (unsigned i = 0; i < 7; i++)
            send_number(sent++); /* nobody is there to hold it up */
        readers[0] = join(VERSO_CHANNEL_FROM_OLDEST, 0);
        readers[1] = join(VERSO_CHANNEL_FROM_LAST, UINT64_MAX);
        readers[2] = join(VERSO_CHANNEL_FROM_LAST, 2);
        assert_ok(verso_channel_receive(readers[0], 0, &message));
        assert_int_equal(message.lost, 0);
        first = message.number;
        assert_true(turn < 5 || (first > 0 && first < sent - 3));
        for (uint64_t number = first + 1; number < sent; number++)
            expect(readers[0], number);
        for (uint64_t number = first; number < sent; number++)
            expect(readers[1], number);
        for (uint64_t number = sent - 2; number < sent; number++)
            expect(readers[2], number);
        for (unsigned i = 0; i < READERS; i++) {
            expect_nothing(readers[i]);
            verso_channel_reader_close(readers[i]);
        }
    }
}

/* ---- Full ---- */

static void hold_back(unsigned writers_most)
{
    struct verso_channel_message message;

    make(VERSO_CHANNEL_FULL_WAIT, PAGE, writers_most);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    readers[1] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    assert_int_equal(fill(-EAGAIN), (PAGE - 8) / 24);
    assert_fails(verso_channel_send(writer, "x", 1, 0), -EAGAIN);
    assert_fails(verso_channel_send(writer, "x", 1, 2), -ETIMEDOUT);
    assert_int_equal(info_now().used_bytes, (PAGE - 8) / 24 * 24);
    while (verso_channel_receive(readers[0], 0, &message) == 0)
        assert_int_equal(message.lost, 0);
    assert_fails(verso_channel_send(writer, "x", 1, 0), -EAGAIN); /* the other one still */
    assert_ok(verso_channel_receive(readers[1], 0, &message));
    assert_fails(verso_channel_send(writer, "x", 1, 0), -EAGAIN); /* holds it */
    assert_ok(verso_channel_release(readers[1]));
    assert_ok(verso_channel_send(writer, "x", 1, 0));
    assert_fails(verso_channel_send(writer, "x", 1, 0), -EAGAIN);
    verso_channel_reader_close(readers[1]);
    assert_ok(verso_channel_send(writer, "y", 1, 0));
    assert_int_equal(info_now().lost, 0);
    for (const char *text = "xy"; *text; text++) {
        assert_ok(verso_channel_receive(readers[0], 0, &message));
        assert_memory_equal(message.data, text, 1);
    }
}

static void test_the_slowest_holds_back(void **state)
{
    (void)state;
    hold_back(2);
    verso_channel_close(channel);
    hold_back(1);
}

static void test_refused_when_full(void **state)
{
    (void)state;
    make(VERSO_CHANNEL_FULL_REFUSE, PAGE, 2);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    (void)fill(-EAGAIN);
    assert_fails(verso_channel_send(writer, "x", 1, -1), -EAGAIN);
    assert_int_equal(info_now().dropped, 0);
}

static void test_the_newest_are_dropped(void **state)
{
    uint64_t sent;
    void *room;

    (void)state;
    make(VERSO_CHANNEL_FULL_DROP_NEWEST, PAGE, 2);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    sent = fill(VERSO_CHANNEL_DROPPED);
    assert_int_equal(verso_channel_send(writer, "x", 1, -1), VERSO_CHANNEL_DROPPED);
    assert_int_equal(verso_channel_reserve(writer, 1, -1, &room), VERSO_CHANNEL_DROPPED);
    assert_int_equal(info_now().dropped, 3);
    assert_int_equal(info_now().sent, sent);
    for (uint64_t i = 0; i < sent; i++) {
        struct verso_channel_message message;

        assert_ok(verso_channel_receive(readers[0], 0, &message));
        assert_int_equal(message.number, i);
    }
    expect_nothing(readers[0]);
}

static void test_without_readers_it_is_never_full(void **state)
{
    (void)state;
    make(VERSO_CHANNEL_FULL_WAIT, PAGE, 2);
    for (uint64_t number = 0; number < 1000; number++)
        send_number(number);
    verso_channel_reader_close(join(VERSO_CHANNEL_FROM_NEXT, 0));
    for (uint64_t number = 0; number < 1000; number++)
        send_number(number);
}

/* ---- Lost ---- */

/* Now and then a reader takes some, by all ways; what it is given and what it is told it lost is all there was. */
static void lose(unsigned writers_most)
{
    uint64_t sent = 0, given = 0, lost = 0, next = 0, dice = 1;
    unsigned char copy[MOST];

    make(VERSO_CHANNEL_FULL_DROP_OLDEST, 2 * PAGE, writers_most);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    for (unsigned turn = 0; turn < 20000; turn++) {
        struct verso_channel_message messages[4] = { { 0 } };
        size_t count = 1;
        int r;

        dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407U;
        for (uint64_t i = dice >> 33 & (dice >> 60 ? 3 : 63); i > 0; i--)
            send_number(sent++);
        if (turn % 3 == 0)
            r = verso_channel_receive(readers[0], 0, &messages[0]);
        else if (turn % 3 == 1)
            r = verso_channel_receive_many(readers[0], 0, messages, 4, &count);
        else
            r = verso_channel_read(readers[0], copy, sizeof(copy), 0, &messages[0]);
        if (r == -EAGAIN) {
            assert_int_equal(given + lost, sent);
            continue;
        }
        assert_ok(r);
        assert_int_equal(messages[0].number, next + messages[0].lost);
        lost += messages[0].lost;
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(message_number(messages[i].data, messages[i].bytes, MOST), messages[i].number);
            assert_int_equal(messages[i].number, messages[0].number + i);
        }
        given += count;
        next = messages[0].number + count;
        assert_int_equal(given + lost, next);
        if (turn % 3 != 2)
            assert_ok(verso_channel_release(readers[0]));
    }
    assert_true(lost > 1000 && given > 1000);
    assert_int_equal(info_now().received, given);
    assert_int_equal(info_now().lost, lost);
    assert_int_equal(info_now().sent, sent);
    assert_int_equal(info_now().dropped, 0);
}

static void test_the_slow_are_told_what_they_lost(void **state)
{
    (void)state;
    lose(2);
    verso_channel_close(channel);
    lose(1);
}

/* A loan is good for as long as nobody needs its room. */
static void test_a_loan_is_overrun(void **state)
{
    struct verso_channel_message messages[3];
    uint64_t sent = 0, given = 0, next;
    size_t count;

    (void)state;
    make(VERSO_CHANNEL_FULL_DROP_OLDEST, PAGE, 2);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    for (unsigned turn = 0; turn < 200; turn++) {
        for (unsigned i = 0; i < 3; i++)
            send_number(sent++);
        assert_ok(verso_channel_receive_many(readers[0], 0, messages, 3, &count));
        assert_int_equal(count, 3);
        assert_int_equal(messages[0].number, sent - 3);
        assert_int_equal(messages[0].lost, 0);
        for (unsigned i = 0; i < 60; i++)
            send_number(sent++);
        assert_fails(verso_channel_release(readers[0]), VERSO_E_OVERRUN);
        assert_fails(verso_channel_release(readers[0]), VERSO_E_RANGE);
        assert_int_equal(info_now().received, given);
        next = sent - 60;
        while (verso_channel_receive(readers[0], 0, &messages[0]) == 0) {
            assert_int_equal(messages[0].number, next + messages[0].lost); /* of the three release has spoken */
            assert_true(messages[0].lost == 0 || next == sent - 60);
            next = messages[0].number + 1;
            given++;
        }
        assert_int_equal(next, sent);
        assert_int_equal(info_now().received, given);
        assert_int_equal(info_now().received + info_now().lost, sent);
    }
}

static const struct CMUnitTest test_list[] = {
    channel_test(test_all_are_given_all),
    channel_test(test_all_are_given_all_by_the_only_writer),
    channel_test(test_readers_go_their_own_pace),
    channel_test(test_many_are_seen_together),
    channel_test(test_a_short_buffer_loses_nothing),
    channel_test(test_lengths_to_the_limit),
    channel_test(test_late_readers_begin_where_they_say),
    channel_test(test_history_is_what_is_still_there),
    channel_test(test_the_slowest_holds_back),
    channel_test(test_refused_when_full),
    channel_test(test_the_newest_are_dropped),
    channel_test(test_without_readers_it_is_never_full),
    channel_test(test_the_slow_are_told_what_they_lost),
    channel_test(test_a_loan_is_overrun),
};

int main(void)
{
    return run_test_list(test_list);
}
