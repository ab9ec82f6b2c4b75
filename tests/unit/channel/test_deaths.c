/* SPDX-License-Identifier: MIT */
/* deaths - kill -9 at any moment: nothing twice, nothing torn, nothing out of order, and the survivor is told. */
#include "channels.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>

#define MOST 300U
#define ROUNDS 200

/* What a child says of itself before it is killed: at least so much is acknowledged. */
static _Atomic uint64_t *said;

static void say_somewhere(void)
{
    said = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(said != MAP_FAILED);
}

/* Sends from *said on, until it is killed. */
static int send_for_ever(void *arg)
{
    unsigned char data[MOST];
    struct verso_channel_writer *own;

    (void)arg;
    if (verso_channel_writer_open(channel, NULL, &own) < 0)
        return 2;
    for (uint64_t number = atomic_load(said);; number++) {
        size_t length = length_of(number, MOST);
        void *room;

        if (number % 2) {
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
        atomic_store(said, number + 1);
    }
}

/* Until its death is told; the number after the last that came. */
static uint64_t drain_the_dead(uint64_t expected)
{
    struct verso_channel_message message;
    int r;

    while ((r = verso_channel_receive(reader, 10000, &message)) == 0)
        assert_int_equal(message_number(message.data, message.bytes, MOST), expected++);
    assert_int_equal(r, VERSO_E_PEER_DIED);
    assert_int_equal(verso_error_last()->code, VERSO_E_PEER_DIED);
    return expected;
}

static void kill_writers_of(enum verso_channel_kind kind)
{
    struct verso_channel_message message;
    uint64_t expected = 0;

    say_somewhere();
    channel_make(kind, 16384, VERSO_CHANNEL_LASTING);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    for (unsigned round = 0; round < ROUNDS; round++) {
        pid_t child = child_start(send_for_ever, NULL);

        for (unsigned i = 0; i <= round % 7 * 100; i++) { /* one at least: it has opened its writer */
            assert_ok(verso_channel_receive(reader, -1, &message));
            assert_int_equal(message_number(message.data, message.bytes, MOST), expected++);
        }
        if (round % 3 == 0)
            sleep_ms(round % 5);
        assert_int_equal(kill(child, SIGKILL), 0);
        expected = drain_the_dead(expected);
        assert_true(WIFSIGNALED(child_wait(child)));
        assert_true(expected >= atomic_load(said)); /* all that was acknowledged */
        assert_true(expected <= atomic_load(said) + 1);
        atomic_store(said, expected);
        assert_fails(verso_channel_receive(reader, 0, &message), -EAGAIN);
    }
}

static void test_a_lone_writer_is_killed(void **state)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;

    (void)state;
    kill_writers_of(VERSO_CHANNEL_SPSC);
    assert_ok(verso_channel_info(channel, &info));
    assert_int_equal(info.dead_writers, ROUNDS);
    assert_int_equal(info.writers, 0);
}

static void test_one_of_several_writers_is_killed(void **state)
{
    (void)state;
    kill_writers_of(VERSO_CHANNEL_MPSC);
}

/* Dies with a reservation. */
static int reserve_and_stay(void *arg)
{
    struct verso_channel_writer *own;
    void *data;

    (void)arg;
    if (verso_channel_writer_open(channel, NULL, &own) < 0 || verso_channel_reserve(own, 100, -1, &data) < 0)
        return 2;
    memset(data, 0xee, 100);
    atomic_store(said, 1);
    for (;;)
        (void)pause();
}

static void test_the_dead_reserve_nothing(void **state)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    struct verso_channel_message message;
    pid_t child;

    (void)state;
    say_somewhere();
    channel_make(VERSO_CHANNEL_MPSC, 4096, 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    child = child_start(reserve_and_stay, NULL);
    while (!atomic_load(said))
        sleep_ms(1);
    assert_ok(verso_channel_send(writer, "behind", 6, 0));
    assert_fails(verso_channel_receive(reader, 5, &message), -ETIMEDOUT);
    child_kill(child);
    assert_ok(verso_channel_receive(reader, 10000, &message));
    assert_memory_equal(message.data, "behind", 6);
    assert_fails(verso_channel_receive(reader, 10000, &message), VERSO_E_PEER_DIED);
    assert_ok(verso_channel_info(channel, &info));
    assert_int_equal(info.given_up, 1);
    assert_int_equal(info.dead_writers, 1);
}

/* A hole at the tail, with nothing behind it. */
static void test_the_dead_reserve_nothing_at_the_end(void **state)
{
    struct verso_channel_message message;
    pid_t child;

    (void)state;
    say_somewhere();
    channel_make(VERSO_CHANNEL_MPSC, 4096, 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    child = child_start(reserve_and_stay, NULL);
    while (!atomic_load(said))
        sleep_ms(1);
    child_kill(child);
    assert_fails(verso_channel_receive(reader, 10000, &message), VERSO_E_PEER_DIED);
    assert_fails(verso_channel_receive(reader, 10000, &message), -EPIPE);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    for (int i = 0; i < 1000; i++) {
        assert_ok(verso_channel_send(writer, "on", 2, 0));
        assert_ok(verso_channel_receive(reader, 0, &message));
    }
}

/* ---- Readers ---- */

/* Receives until it is killed, and says what it was given. */
static int receive_for_ever(void *arg)
{
    struct verso_channel_reader *own;
    struct verso_channel_message message;

    (void)arg;
    if (verso_channel_reader_open(channel, NULL, &own) < 0)
        return 2;
    for (;;) {
        uint64_t number;

        if (verso_channel_receive(own, -1, &message) < 0)
            return 3;
        number = message_number(message.data, message.bytes, MOST);
        if (number == UINT64_MAX || number < atomic_load(said)) /* torn, or given to one before */
            return 4;
        atomic_store(said, number + 1);
    }
}

static void test_readers_are_killed(void **state)
{
    unsigned char data[MOST];
    uint64_t number = 0;

    (void)state;
    say_somewhere();
    channel_make(VERSO_CHANNEL_SPSC, 16384, VERSO_CHANNEL_LASTING);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    for (unsigned round = 0; round < ROUNDS; round++) {
        pid_t child = child_start(receive_for_ever, NULL);
        uint64_t end = number + round % 11 * 40;
        int r;

        while (number < end) {
            message_fill(data, number, length_of(number, MOST));
            r = verso_channel_send(writer, data, length_of(number, MOST), 10000);
            if (r != VERSO_E_PEER_DIED) { /* of the one before */
                assert_ok(r);
                number++;
            }
        }
        child_kill(child); /* fails when it found something wrong */
    }
    assert_true(atomic_load(said) <= number);
    assert_true(atomic_load(said) > 0);
}

static const struct CMUnitTest test_list[] = {
    channel_test(test_a_lone_writer_is_killed),  channel_test(test_one_of_several_writers_is_killed),
    channel_test(test_the_dead_reserve_nothing), channel_test(test_the_dead_reserve_nothing_at_the_end),
    channel_test(test_readers_are_killed),
};

int main(void)
{
    return run_test_list(test_list);
}
