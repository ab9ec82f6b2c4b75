/* SPDX-License-Identifier: MIT */
/*
 * channel-each-steps - a writer, or a reader, of a BROADCAST dies at each instruction of each call: all others are
 * given the same, whole and in order, and go on.
 */
#include "channel_steps.h"

#define LONG 300U
#define READERS 2

static struct verso_channel_reader *readers[READERS];
static uint64_t next_number[READERS]; /* as they were told of them so far */

static void make(enum verso_channel_full full, unsigned writers_most)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    options.kind = VERSO_CHANNEL_BROADCAST;
    options.full = full;
    options.capacity_bytes = 4096;
    options.writers_most = writers_most;
    options.readers_most = READERS + 1;
    options.flags = VERSO_CHANNEL_LASTING;
    assert_ok(verso_channel_create(NULL, &options, &channel));
    for (unsigned i = 0; i < READERS; i++) {
        next_number[i] = 0;
        assert_ok(verso_channel_reader_open(channel, NULL, &readers[i]));
    }
    if (writers_most > 1)
        assert_ok(verso_channel_writer_open(channel, NULL, &writer));
}

/* ---- Writers ---- */

static void send_late_many(void *arg)
{
    const struct verso_channel_part part = { late, sizeof(late) };
    size_t count;

    (void)arg;
    if (verso_channel_send_many(doomed_writer, &part, 1, 0, &count) < 0 || count != 1)
        _exit(4);
}

/* So the act needs room that it must make itself. */
static void fill_the_ring(void *arg)
{
    struct verso_channel_message message;
    unsigned char data[LONG] = "fill";

    (void)arg;
    for (unsigned i = 0; i < 4096 / LONG + 2; i++) {
        assert_ok(verso_channel_send(writer, data, sizeof(data), 0));
        for (unsigned which = 0; which < READERS; which++) {
            assert_ok(verso_channel_receive(readers[which], 0, &message));
            assert_int_equal(message.bytes, LONG);
            assert_ok(verso_channel_release(readers[which]));
            next_number[which] = message.number + 1;
        }
    }
}

static void send_long(void *arg)
{
    static unsigned char data[LONG];

    (void)arg;
    memset(data, 'l', sizeof(data));
    if (verso_channel_send(doomed_writer, data, sizeof(data), 0) < 0)
        _exit(4);
}

/* Whether the next message of a reader is @bytes long, of the text; else it is told of a death. */
static bool comes(unsigned which, const char *text, size_t bytes)
{
    struct verso_channel_message message;
    int r = verso_channel_receive(readers[which], ALL_OF_IT, &message);

    if (r < 0) {
        assert_int_equal(r, VERSO_E_PEER_DIED);
        return false;
    }
    assert_int_equal(message.lost, 0);
    assert_true(message.number >= next_number[which]);
    next_number[which] = message.number + 1;
    assert_int_equal(message.bytes, bytes);
    for (size_t i = 0; i < bytes; i++)
        assert_int_equal(((const char *)message.data)[i], text ? text[i] : 'l');
    return true;
}

static const struct late {
    const char *text;
    size_t bytes;
} is_late = { late, sizeof(late) }, is_long = { NULL, LONG };

/* All readers come upon all of what the dead one sent, or none of it; then word of its death, and nothing else. */
static void judge_writer(void *arg, bool was_done)
{
    const struct late *what = arg;
    struct verso_channel_message message;
    bool was_sent = false;

    for (unsigned which = 0; which < READERS; which++) {
        bool came;

        assert_true(comes(which, early, sizeof(early)));
        came = comes(which, what->text, what->bytes);
        assert_true(which == 0 || came == was_sent);
        was_sent = came;
        if (came)
            assert_fails(verso_channel_receive(readers[which], ALL_OF_IT, &message), VERSO_E_PEER_DIED);
        assert_fails(verso_channel_receive(readers[which], 0, &message), -EAGAIN);
    }
    assert_int_equal(next_number[0], next_number[1]);
    assert_true(was_sent || !was_done);
    count(was_sent);
}

/* Another writer, who was there before, sends right after the death, before anybody has looked. */
static void judge_among_others(void *arg, bool was_done)
{
    const struct late *what = arg;
    struct verso_channel_message message;
    bool was_sent[READERS] = { false };

    assert_ok(verso_channel_send(writer, third, sizeof(third), ALL_OF_IT));
    for (unsigned which = 0; which < READERS; which++) {
        unsigned told = 0;

        for (unsigned have = 0;;) {
            int r = verso_channel_receive(readers[which], ALL_OF_IT, &message);

            if (r == VERSO_E_PEER_DIED) {
                told++;
                continue;
            }
            assert_ok(r);
            assert_int_equal(message.lost, 0);
            assert_true(message.number >= next_number[which]);
            next_number[which] = message.number + 1;
            if (memcmp(message.data, third, sizeof(third)) == 0)
                break;
            assert_int_equal(message.bytes, have == 0 ? sizeof(early) : what->bytes);
            was_sent[which] = have == 1;
            assert_true(have++ < 2);
        }
        if (!told)
            assert_fails(verso_channel_receive(readers[which], ALL_OF_IT, &message), VERSO_E_PEER_DIED);
        assert_true(told <= 1);
        assert_fails(verso_channel_receive(readers[which], 0, &message), -EAGAIN);
    }
    assert_true(was_sent[0] == was_sent[1] && (was_sent[0] || !was_done));
    assert_int_equal(next_number[0], next_number[1]);
    count(was_sent[0]);
}

static void kill_writers(enum verso_channel_full full, unsigned writers_most, void (*act)(void *arg),
                         void (*judge)(void *arg, bool was_done), const struct late *what, const char *name)
{
    const struct support_steps steps = {
        what == &is_long ? fill_the_ring : NULL, open_and_send, NULL, act, judge, (void *)(uintptr_t)what
    };

    make(full, writers_most);
    run(&steps, name);
}

static void test_send_alone(void **state)
{
    (void)state;
    kill_writers(VERSO_CHANNEL_FULL_WAIT, 1, send_late, judge_writer, &is_late, "send, alone");
}

static void test_send_among_others(void **state)
{
    (void)state;
    kill_writers(VERSO_CHANNEL_FULL_WAIT, 2, send_late, judge_among_others, &is_late, "send, among others");
}

static void test_send_many(void **state)
{
    (void)state;
    kill_writers(VERSO_CHANNEL_FULL_WAIT, 2, send_late_many, judge_writer, &is_late, "send many");
}

static void test_reserve_among_others(void **state)
{
    (void)state;
    kill_writers(VERSO_CHANNEL_FULL_WAIT, 2, reserve_late, judge_among_others, &is_late, "reserve and commit");
}

static void test_make_room(void **state)
{
    (void)state;
    kill_writers(VERSO_CHANNEL_FULL_WAIT, 2, send_long, judge_among_others, &is_long, "send, making room");
}

static void test_overwrite(void **state)
{
    (void)state;
    kill_writers(VERSO_CHANNEL_FULL_DROP_OLDEST, 2, send_long, judge_writer, &is_long, "send, overwriting");
}

/* ---- Readers: they may hold nobody up when they are dead ---- */

static void send_three(void *arg)
{
    (void)arg;
    assert_ok(verso_channel_send(writer, early, sizeof(early), 0));
    assert_ok(verso_channel_send(writer, late, sizeof(late), 0));
    assert_ok(verso_channel_send(writer, third, sizeof(third), 0));
}

static void join_oldest(void *arg)
{
    struct verso_channel_end end = VERSO_CHANNEL_END_INIT;

    (void)arg;
    end.from = VERSO_CHANNEL_FROM_OLDEST;
    if (verso_channel_reader_open(channel, &end, &doomed_reader) < 0)
        _exit(2);
}

static void join_and_receive(void *arg)
{
    struct verso_channel_message message;

    join_oldest(arg);
    if (verso_channel_receive(doomed_reader, 0, &message) < 0)
        _exit(3);
}

static void receive_and_release(void *arg)
{
    struct verso_channel_message message;

    (void)arg;
    if (verso_channel_release(doomed_reader) < 0 || verso_channel_receive(doomed_reader, 0, &message) < 0)
        _exit(4);
}

static void read_a_copy(void *arg)
{
    struct verso_channel_message message;
    char room[LONG];

    (void)arg;
    if (verso_channel_read(doomed_reader, room, sizeof(room), 0, &message) < 0)
        _exit(4);
}

static void join_twice(void *arg)
{
    join_oldest(arg);
    verso_channel_reader_close(doomed_reader);
}

/* The others are given all; and twice round the ring, whatever the dead one held. */
static void judge_reader(void *arg, bool was_done)
{
    struct verso_channel_message message;
    unsigned char data[LONG] = "more";
    unsigned which, had = 0;

    (void)arg;
    for (which = 0; which < READERS; which++)
        while (verso_channel_receive(readers[which], 0, &message) == 0)
            had += message.lost == 0;
    assert_int_equal(had, 3 * READERS);
    for (unsigned i = 0; i < 2 * 4096 / LONG; i++) {
        int r;

        while ((r = verso_channel_send(writer, data, sizeof(data), ALL_OF_IT)) == VERSO_E_PEER_DIED)
            continue;
        assert_ok(r);
        for (which = 0; which < READERS; which++) {
            assert_ok(verso_channel_receive(readers[which], 0, &message));
            assert_int_equal(message.bytes, LONG);
            assert_ok(verso_channel_release(readers[which]));
        }
    }
    count(was_done);
}

static void kill_readers(void (*ready)(void *arg), void (*act)(void *arg), const char *name)
{
    const struct support_steps steps = { send_three, ready, NULL, act, judge_reader, NULL };

    make(VERSO_CHANNEL_FULL_WAIT, 2);
    run(&steps, name);
}

static void test_receive(void **state)
{
    (void)state;
    kill_readers(join_and_receive, receive_and_release, "release and receive");
}

static void test_read(void **state)
{
    (void)state;
    kill_readers(join_and_receive, read_a_copy, "read");
}

static void test_join(void **state)
{
    (void)state;
    kill_readers(join_twice, join_oldest, "join");
}

static const struct CMUnitTest test_list[] = {
    channel_test(test_send_alone), channel_test(test_send_among_others),
    channel_test(test_send_many),  channel_test(test_reserve_among_others),
    channel_test(test_make_room),  channel_test(test_overwrite),
    channel_test(test_receive),    channel_test(test_read),
    channel_test(test_join),
};

int main(void)
{
    return run_test_list(test_list);
}
