/* SPDX-License-Identifier: MIT */
/*
 * channel-steps - a writer, or a reader, dies at each instruction of each call: those who live go on, receive what was
 * sent, whole and once, and are told of the death.
 */
#include "channel_steps.h"

#include <pthread.h>

/* Whether the next message is @text; else the reader is told of a death. */
static bool comes(const char *text, size_t bytes)
{
    struct verso_channel_message message;
    int r = verso_channel_receive(reader, ALL_OF_IT, &message);

    if (r < 0) {
        assert_int_equal(r, VERSO_E_PEER_DIED);
        return false;
    }
    assert_int_equal(message.bytes, bytes);
    assert_memory_equal(message.data, text, bytes);
    return true;
}

static void expect(const char *text, size_t bytes)
{
    assert_true(comes(text, bytes));
}

/* ---- Writers ---- */

static void abandon_then_send(void *arg)
{
    void *room;

    if (verso_channel_reserve(doomed_writer, 64, 0, &room) < 0)
        _exit(4);
    verso_channel_abandon(doomed_writer);
    send_late(arg);
}

/* What the dead one sent, all of it or nothing, then word of its death; and then it is as if it had never been. */
static void judge_writer(void *arg, bool was_done)
{
    struct verso_channel_message message;
    bool was_sent;

    (void)arg;
    expect(early, sizeof(early));
    was_sent = comes(late, sizeof(late));
    assert_true(was_sent || !was_done);
    if (was_sent)
        assert_fails(verso_channel_receive(reader, ALL_OF_IT, &message), VERSO_E_PEER_DIED);
    assert_fails(verso_channel_receive(reader, 0, &message), -EAGAIN);
    count(was_sent);
}

/* Another writer, who was there before, sends right after the death, before anybody has looked. */
static void judge_among_others(void *arg, bool was_done)
{
    struct verso_channel_message message;
    bool was_sent = false;
    int told = 0;

    (void)arg;
    assert_ok(verso_channel_send(writer, third, sizeof(third), ALL_OF_IT));
    for (;;) {
        int r = verso_channel_receive(reader, ALL_OF_IT, &message);

        if (r == VERSO_E_PEER_DIED) {
            told++;
            continue;
        }
        assert_ok(r);
        if (memcmp(message.data, third, sizeof(third)) == 0)
            break;
        if (message.bytes == sizeof(early)) {
            assert_memory_equal(message.data, early, sizeof(early));
            assert_false(was_sent);
            continue;
        }
        assert_int_equal(message.bytes, sizeof(late));
        assert_memory_equal(message.data, late, sizeof(late));
        assert_false(was_sent);
        was_sent = true;
    }
    assert_true(was_sent || !was_done);
    if (!told)
        assert_fails(verso_channel_receive(reader, ALL_OF_IT, &message), VERSO_E_PEER_DIED);
    assert_true(told <= 1);
    assert_fails(verso_channel_receive(reader, 0, &message), -EAGAIN);
    count(was_sent);
}

static void kill_alone(void (*act)(void *arg), const char *name)
{
    const struct support_steps steps = { NULL, open_and_send, NULL, act, judge_writer, NULL };

    channel_make(VERSO_CHANNEL_SPSC, 4096, VERSO_CHANNEL_LASTING);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    run(&steps, name);
}

static void kill_among(enum verso_channel_kind kind, void (*act)(void *arg), const char *name)
{
    const struct support_steps steps = { NULL, open_and_send, NULL, act, judge_among_others, NULL };

    channel_make(kind, 4096, VERSO_CHANNEL_LASTING);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    run(&steps, name);
}

static void test_send_alone(void **state)
{
    (void)state;
    kill_alone(send_late, "send, alone");
}

static void test_reserve_alone(void **state)
{
    (void)state;
    kill_alone(reserve_late, "reserve and commit, alone");
}

static void test_send_among_others(void **state)
{
    (void)state;
    kill_among(VERSO_CHANNEL_MPMC, send_late, "send, among others");
}

static void test_reserve_among_others(void **state)
{
    (void)state;
    kill_among(VERSO_CHANNEL_MPSC, reserve_late, "reserve and commit, among others");
}

static void test_abandon_among_others(void **state)
{
    (void)state;
    kill_among(VERSO_CHANNEL_MPSC, abandon_then_send, "abandon, then send");
}

/* ---- A reader that sleeps while its writer dies ---- */

static pthread_t sleeper;

static void *sleep_for_late(void *arg)
{
    struct verso_channel_message message;
    int r = verso_channel_receive(reader, ALL_OF_IT, &message);

    (void)arg;
    if (r == 0 && (message.bytes != sizeof(late) || memcmp(message.data, late, sizeof(late)) != 0))
        r = 1;
    return (void *)(intptr_t)r;
}

/* The child stands before its act: from here on the reader is in a thread of its own, asleep. */
static void fall_asleep(void *arg)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    uint64_t sleeps;

    (void)arg;
    expect(early, sizeof(early));
    assert_ok(verso_channel_info(channel, &info));
    sleeps = info.data_sleeps;
    assert_int_equal(pthread_create(&sleeper, NULL, sleep_for_late, NULL), 0);
    while (info.data_sleeps == sleeps) {
        sleep_ms(0);
        assert_ok(verso_channel_info(channel, &info));
    }
}

static void judge_sleeper(void *arg, bool was_done)
{
    struct verso_channel_message message;
    void *answer;
    bool was_sent;

    (void)arg;
    assert_int_equal(pthread_join(sleeper, &answer), 0);
    was_sent = (intptr_t)answer == 0;
    assert_true(was_sent || (intptr_t)answer == VERSO_E_PEER_DIED);
    assert_true(was_sent || !was_done);
    if (was_sent)
        assert_fails(verso_channel_receive(reader, ALL_OF_IT, &message), VERSO_E_PEER_DIED);
    assert_fails(verso_channel_receive(reader, 0, &message), -EAGAIN);
    count(was_sent);
}

static void test_a_sleeping_reader(void **state)
{
    const struct support_steps steps = { NULL, open_and_send, fall_asleep, send_late, judge_sleeper, NULL };

    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, 4096, VERSO_CHANNEL_LASTING);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    run(&steps, "send, to a reader that sleeps");
}

/* ---- Readers ---- */

static void send_three(void *arg)
{
    (void)arg;
    assert_ok(verso_channel_send(writer, early, sizeof(early), 0));
    assert_ok(verso_channel_send(writer, late, sizeof(late), 0));
    assert_ok(verso_channel_send(writer, third, sizeof(third), 0));
}

static void open_and_receive(void *arg)
{
    struct verso_channel_message message;

    (void)arg;
    if (verso_channel_reader_open(channel, NULL, &doomed_reader) < 0 ||
        verso_channel_receive(doomed_reader, 0, &message) < 0 || message.bytes != sizeof(early))
        _exit(2);
}

static void release_and_receive(void *arg)
{
    struct verso_channel_message message;

    (void)arg;
    if (verso_channel_release(doomed_reader) < 0 || verso_channel_receive(doomed_reader, 0, &message) < 0)
        _exit(3);
}

static void read_a_copy(void *arg)
{
    struct verso_channel_message message;
    char room[64];

    (void)arg;
    if (verso_channel_read(doomed_reader, room, sizeof(room), 0, &message) < 0)
        _exit(3);
}

/* The next reader goes on behind what was received, or what was not yet. */
static void judge_reader(void *arg, bool was_done)
{
    struct verso_channel_message message;
    bool was_received;

    (void)arg;
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_receive(reader, 0, &message));
    was_received = message.bytes == sizeof(third);
    if (!was_received) {
        assert_int_equal(message.bytes, sizeof(late));
        assert_memory_equal(message.data, late, sizeof(late));
        assert_ok(verso_channel_receive(reader, 0, &message));
    }
    assert_memory_equal(message.data, third, sizeof(third));
    assert_true(was_received || !was_done);
    assert_fails(verso_channel_receive(reader, 0, &message), -EAGAIN);
    verso_channel_reader_close(reader);
    reader = NULL;
    count(was_received);
}

static void kill_readers(void (*act)(void *arg), const char *name)
{
    const struct support_steps steps = { send_three, open_and_receive, NULL, act, judge_reader, NULL };

    channel_make(VERSO_CHANNEL_SPSC, 4096, VERSO_CHANNEL_LASTING);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    run(&steps, name);
}

static void test_receive(void **state)
{
    (void)state;
    kill_readers(release_and_receive, "release and receive");
}

static void test_read(void **state)
{
    (void)state;
    kill_readers(read_a_copy, "read");
}

/* ---- Readers that share a queue ---- */

/* The survivor's; opened anew for each death, as what it is told of is told once. */
static struct verso_channel_reader *survivor;
static bool is_delivered_again;
static unsigned got_when_done;

static void send_to_several(void *arg)
{
    assert_ok(verso_channel_reader_open(channel, NULL, &survivor));
    send_three(arg);
}

static void open_only(void *arg)
{
    struct verso_channel_message message;

    (void)arg;
    if (verso_channel_reader_open(channel, NULL, &doomed_reader) < 0 ||
        verso_channel_receive(doomed_reader, 0, &message) < 0 || message.bytes != sizeof(early) ||
        verso_channel_release(doomed_reader) < 0)
        _exit(2);
}

static void receive_late(void *arg)
{
    struct verso_channel_message message;

    (void)arg;
    if (verso_channel_receive(doomed_reader, 0, &message) < 0)
        _exit(3);
}

static void release_early(void *arg)
{
    (void)arg;
    if (verso_channel_release(doomed_reader) < 0)
        _exit(3);
}

static void receive_two(void *arg)
{
    struct verso_channel_message messages[2];
    size_t count;

    (void)arg;
    if (verso_channel_receive_many(doomed_reader, 0, messages, 2, &count) < 0 || count != 2)
        _exit(3);
}

/* All of the ring can be had by a single message: nothing that the dead had is in its way. */
static void use_all_of_it(void)
{
    static const char most[4096 - 16] = "most";
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    struct verso_channel_message message;
    int r = verso_channel_release(survivor);

    assert_true(r == 0 || r == VERSO_E_RANGE); /* nothing is held */
    r = verso_channel_send(writer, most, sizeof(most), ALL_OF_IT);
    if (r == VERSO_E_PEER_DIED) /* told when the ring is full; once */
        r = verso_channel_send(writer, most, sizeof(most), ALL_OF_IT);
    assert_ok(r);
    assert_ok(verso_channel_receive(survivor, 0, &message));
    assert_int_equal(message.bytes, sizeof(most));
    assert_memory_equal(message.data, most, sizeof(most));
    assert_fails(verso_channel_receive(survivor, 0, &message), -EAGAIN);
    assert_ok(verso_channel_info(channel, &info));
    assert_int_equal(info.used_bytes, 0);
    verso_channel_reader_close(survivor);
}

/* What comes to the survivor, in order and once: bit 0 early, 1 late, 2 third. */
static unsigned gather(void)
{
    static const struct verso_channel_part all[] = { { early, sizeof(early) },
                                                     { late, sizeof(late) },
                                                     { third, sizeof(third) } };
    struct verso_channel_message message;
    struct verso_channel_reader *finder;
    unsigned got = 0, i = 0;
    int r;

    assert_ok(verso_channel_reader_open(channel, NULL, &finder)); /* who opens looks for the dead, so that what they */
    verso_channel_reader_close(finder);                           /* held comes first */
    while (!(got & 4) && (r = verso_channel_receive(survivor, is_delivered_again ? ALL_OF_IT : 0, &message)) == 0) {
        while (i < 3 && (all[i].bytes != message.bytes || memcmp(all[i].data, message.data, message.bytes) != 0))
            i++;
        assert_true(i < 3);
        got |= 1U << i++;
    }
    assert_true(got & 4 || r == -EAGAIN);
    return got;
}

/* What the dead one had not taken comes to the other one; where that was asked for, what it still held as well. */
static void judge_sharer(void *arg, bool was_done)
{
    unsigned got = gather();

    (void)arg;
    assert_true(got == got_when_done || !was_done);
    assert_true(is_delivered_again ? got == 7 || got == 6 : got == 6 || got == 4 || got == got_when_done);
    use_all_of_it();
    count(got != got_when_done);
}

static void kill_sharers(unsigned flags, void (*ready)(void *arg), void (*act)(void *arg), unsigned done,
                         const char *name)
{
    const struct support_steps steps = { send_to_several, ready, NULL, act, judge_sharer, NULL };

    channel_make(VERSO_CHANNEL_MPMC, 4096, VERSO_CHANNEL_LASTING | flags);
    is_delivered_again = flags & VERSO_CHANNEL_REDELIVER;
    got_when_done = done;
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    run(&steps, name);
}

static void test_share_receive(void **state)
{
    (void)state;
    kill_sharers(0, open_only, receive_late, 4, "receive, sharing");
}

static void test_share_release_and_receive(void **state)
{
    (void)state;
    kill_sharers(0, open_and_receive, release_and_receive, 4, "release and receive, sharing");
}

static void test_share_receive_two(void **state)
{
    (void)state;
    kill_sharers(0, open_only, receive_two, 0, "receive two, sharing");
}

static void test_share_read(void **state)
{
    (void)state;
    kill_sharers(0, open_and_receive, read_a_copy, 4, "read, sharing");
}

static void test_share_release_again(void **state)
{
    (void)state;
    kill_sharers(VERSO_CHANNEL_REDELIVER, open_and_receive, release_early, 6, "release, delivered again");
}

static void test_share_receive_again(void **state)
{
    (void)state;
    kill_sharers(VERSO_CHANNEL_REDELIVER, open_and_receive, receive_late, 6, "receive, delivered again");
}

/* ---- A writer that drops the oldest ---- */

#define DROPPERS_RING 4096U

static void open_and_fill(void *arg)
{
    uint64_t number = 0;

    (void)arg;
    if (verso_channel_writer_open(channel, NULL, &doomed_writer) < 0)
        _exit(2);
    for (; number < DROPPERS_RING / 16 + 1; number++) /* one was dropped, so the way is known */
        if (verso_channel_send(doomed_writer, &number, sizeof(number), 0) < 0)
            _exit(3);
}

/* Numbers without a hole, up to the last that was sent, then the late one, if it was; and two at most are dropped. */
static void judge_dropper(void *arg, bool was_done)
{
    struct verso_channel_message message;
    uint64_t number, next = 0;
    bool was_sent = false;
    int r;

    (void)arg;
    while ((r = verso_channel_receive(reader, ALL_OF_IT, &message)) == 0) {
        assert_false(was_sent);
        was_sent = message.bytes == sizeof(late);
        if (was_sent) {
            assert_memory_equal(message.data, late, sizeof(late));
            continue;
        }
        assert_int_equal(message.bytes, sizeof(number));
        memcpy(&number, message.data, sizeof(number));
        assert_true(next == 0 ? number <= 4 : number == next);
        next = number + 1;
    }
    assert_int_equal(r, VERSO_E_PEER_DIED);
    assert_int_equal(next, DROPPERS_RING / 16 + 1);
    assert_true(was_sent || !was_done);
    assert_fails(verso_channel_receive(reader, 0, &message), -EAGAIN);
    count(was_sent);
}

static void kill_droppers(enum verso_channel_kind kind, const char *name)
{
    const struct support_steps steps = { NULL, open_and_fill, NULL, send_late, judge_dropper, NULL };
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    options.kind = kind;
    options.full = VERSO_CHANNEL_FULL_DROP_OLDEST;
    options.capacity_bytes = DROPPERS_RING;
    options.flags = VERSO_CHANNEL_LASTING;
    assert_ok(verso_channel_create(NULL, &options, &channel));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    run(&steps, name);
}

static void test_drop_alone(void **state)
{
    (void)state;
    kill_droppers(VERSO_CHANNEL_SPSC, "send, dropping, alone");
}

static void test_drop_among_others(void **state)
{
    (void)state;
    kill_droppers(VERSO_CHANNEL_MPMC, "send, dropping, among others");
}

static const struct CMUnitTest test_list[] = {
    channel_test(test_send_alone),
    channel_test(test_reserve_alone),
    channel_test(test_send_among_others),
    channel_test(test_reserve_among_others),
    channel_test(test_abandon_among_others),
    channel_test(test_a_sleeping_reader),
    channel_test(test_receive),
    channel_test(test_read),
    channel_test(test_share_receive),
    channel_test(test_share_release_and_receive),
    channel_test(test_share_receive_two),
    channel_test(test_share_read),
    channel_test(test_share_release_again),
    channel_test(test_share_receive_again),
    channel_test(test_drop_alone),
    channel_test(test_drop_among_others),
};

int main(void)
{
    return run_test_list(test_list);
}
