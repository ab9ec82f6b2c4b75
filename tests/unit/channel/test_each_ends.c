/* SPDX-License-Identifier: MIT */
/* each-ends - writers and readers of a BROADCAST: what they reserve, when they come and go, and many at once. */
#include "each.h"

#include <pthread.h>

/* ---- Reserved ---- */

/* Parts of every size are left over behind, and some of it all. */
static void reserve(enum verso_channel_full full, unsigned writers_most)
{
    struct verso_channel_message message;
    uint64_t sent = 0, given_up = 0;
    void *room;

    make(full, PAGE, writers_most);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    readers[1] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    for (size_t turn = 0; turn < 3000; turn++) {
        size_t rest = turn % 50;

        assert_ok(verso_channel_reserve(writer, 100 + rest, 0, &room));
        assert_int_equal((uintptr_t)room % 8, 0);
        assert_fails(verso_channel_send(writer, "x", 1, 0), -EBUSY);
        assert_fails(verso_channel_commit(writer, 101 + rest), VERSO_E_RANGE);
        memset(room, (int)(turn & 0xff), 100 + rest);
        if (turn % 7 == 0) {
            verso_channel_abandon(writer);
            given_up += writers_most > 1;
            continue;
        }
        assert_ok(verso_channel_commit(writer, 100));
        sent++;
        for (unsigned i = 0; i < 2; i++) {
            assert_ok(verso_channel_receive(readers[i], 0, &message));
            assert_int_equal(message.bytes, 100);
            assert_int_equal(((const unsigned char *)message.data)[99], turn & 0xff);
            assert_int_equal(message.number, sent + given_up - 1);
            assert_int_equal(message.lost, 0);
            expect_nothing(readers[i]);
        }
    }
    assert_int_equal(info_now().given_up, given_up);
    assert_int_equal(info_now().lost, 0);
}

static void test_reserved(void **state)
{
    (void)state;
    reserve(VERSO_CHANNEL_FULL_WAIT, 2);
    verso_channel_close(channel);
    reserve(VERSO_CHANNEL_FULL_DROP_OLDEST, 2);
    verso_channel_close(channel);
    reserve(VERSO_CHANNEL_FULL_WAIT, 1);
    verso_channel_close(channel);
    reserve(VERSO_CHANNEL_FULL_DROP_OLDEST, 1);
}

/* Those who join begin behind what is void, too. */
static void test_given_up_is_no_history(void **state)
{
    uint64_t number = 0;
    void *room;

    (void)state;
    make(VERSO_CHANNEL_FULL_WAIT, PAGE, 2);
    for (size_t rest = 0; rest <= 24; rest += 8) {
        assert_ok(verso_channel_reserve(writer, 8 + rest, 0, &room));
        message_fill(room, number, 8);
        assert_ok(verso_channel_commit(writer, 8)); /* and `rest` is void */
        number++;
        assert_ok(verso_channel_reserve(writer, 8, 0, &room));
        verso_channel_abandon(writer);
        number++;
        for (uint64_t history = 0; history <= 1; history++) {
            struct verso_channel_message message;

            readers[0] = join(VERSO_CHANNEL_FROM_LAST, history);
            if (history == 1) {
                assert_ok(verso_channel_receive(readers[0], 0, &message));
                assert_int_equal(message.number, number - 2);
                assert_int_equal(message.lost, 0);
            }
            send_number(number);
            expect(readers[0], number);
            number++;
            verso_channel_reader_close(readers[0]);
            assert_ok(verso_channel_reserve(writer, 8, 0, &room));
            verso_channel_abandon(writer);
            assert_ok(verso_channel_reserve(writer, 8 + rest, 0, &room));
            message_fill(room, number, 8);
            assert_ok(verso_channel_commit(writer, 8));
            number += 2;
            assert_ok(verso_channel_reserve(writer, 8, 0, &room));
            verso_channel_abandon(writer);
            number++;
        }
        number += 0;
    }
}

/* With all that can be void in the ring, what was lost is told to one; what was given up and come upon is not lost. */
static void test_lost_among_what_is_void(void **state)
{
    struct verso_channel_message message;
    uint64_t given = 0, lost = 0, passed = 0, next = 0, sent = 0, number = 0, dice = 1;
    void *room;

    (void)state;
    make(VERSO_CHANNEL_FULL_DROP_OLDEST, PAGE, 2);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    for (unsigned turn = 0; turn < 20000; turn++) {
        dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407U;
        for (uint64_t i = dice >> 33 & (dice >> 60 ? 3 : 63); i > 0; i--, number++) {
            size_t rest = (number * 8) % 48;

            assert_ok(verso_channel_reserve(writer, sizeof(number) + rest, 0, &room));
            memcpy(room, &number, sizeof(number));
            sent += number % 5 != 0;
            if (number % 5 == 0)
                verso_channel_abandon(writer);
            else
                assert_ok(verso_channel_commit(writer, sizeof(number)));
        }
        if (verso_channel_receive(readers[0], 0, &message) < 0)
            continue;
        assert_memory_equal(message.data, &message.number, sizeof(message.number));
        assert_true(message.number - message.lost >= next);
        for (uint64_t i = next; message.lost == 0 && i < message.number; i++)
            assert_int_equal(i % 5, 0);
        passed += message.number - message.lost - next;
        next = message.number + 1;
        lost += message.lost;
        given++;
        assert_ok(verso_channel_release(readers[0]));
    }
    assert_true(given > 1000 && lost > 1000 && passed > 100);
    assert_int_equal(given + lost + passed, next);
    assert_true(given + lost >= sent - (number - next)); /* of those that were lost some had been given up */
    assert_int_equal(info_now().lost, lost);
    assert_int_equal(info_now().given_up, number / 5 + (number % 5 != 0));
}

/* What the living reserve is in everybody's way, even where the oldest are dropped. */
static void test_reserved_is_not_overwritten(void **state)
{
    struct verso_channel_writer *other;
    struct verso_channel_message message;
    uint64_t sent;
    void *room;

    (void)state;
    make(VERSO_CHANNEL_FULL_DROP_OLDEST, PAGE, 2);
    assert_ok(verso_channel_writer_open(channel, NULL, &other));
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    assert_ok(verso_channel_reserve(other, 8, 0, &room));
    sent = fill(-EAGAIN);
    assert_int_equal(sent, (PAGE - 8) / 24 - 1);
    assert_fails(verso_channel_send(writer, "x", 1, 2), -ETIMEDOUT);
    memcpy(room, "reserved", 8);
    assert_ok(verso_channel_commit(other, 8));
    assert_ok(verso_channel_receive(readers[0], 0, &message));
    assert_memory_equal(message.data, "reserved", 8);
    assert_ok(verso_channel_send(writer, "x", 1, 0));
}

/* Several at once drop as many as they need. */
static void test_many_make_room_for_all(void **state)
{
    struct verso_channel_part parts[64];
    char text[20] = "";
    size_t count;

    (void)state;
    make(VERSO_CHANNEL_FULL_DROP_OLDEST, PAGE, 2);
    for (size_t i = 0; i < 64; i++)
        parts[i] = (struct verso_channel_part){ text, sizeof(text) };
    for (unsigned turn = 0; turn < 100; turn++) {
        assert_ok(verso_channel_send_many(writer, parts, 64, 0, &count));
        assert_int_equal(count, 64);
    }
    for (size_t i = 0; i < 64; i++)
        parts[i].bytes = i < 4 ? 1000 : 1;
    assert_ok(verso_channel_send_many(writer, parts, 0, 0, &count));
    assert_int_equal(count, 0);
}

/* ---- Who is there ---- */

static void test_places_are_few(void **state)
{
    struct verso_channel_writer *other;
    struct verso_channel_reader *another;

    (void)state;
    make(VERSO_CHANNEL_FULL_WAIT, PAGE, 1);
    assert_fails(verso_channel_writer_open(channel, NULL, &other), -EUSERS);
    for (unsigned i = 0; i < READERS; i++)
        readers[i] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    assert_int_equal(info_now().readers, READERS);
    assert_fails(verso_channel_reader_open(channel, NULL, &another), -EUSERS);
    verso_channel_reader_close(readers[1]);
    readers[1] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    send_number(0);
    for (unsigned i = 0; i < READERS; i++)
        expect(readers[i], 0);
}

static void test_the_end(void **state)
{
    struct verso_channel_message message;

    (void)state;
    make(VERSO_CHANNEL_FULL_WAIT, PAGE, 2);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    readers[1] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    send_number(0);
    verso_channel_writer_close(writer);
    for (unsigned i = 0; i < 2; i++) {
        expect(readers[i], 0);
        assert_fails(verso_channel_receive(readers[i], -1, &message), -EPIPE);
    }
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    send_number(1);
    expect(readers[0], 1);
    expect(readers[1], 1);
}

static int use_the_parents(void *arg)
{
    struct verso_channel_message message;
    struct verso_channel_reader *own;

    (void)arg;
    if (verso_channel_receive(readers[0], 0, &message) != VERSO_E_RANGE ||
        verso_channel_read(readers[0], NULL, 0, 0, &message) != VERSO_E_RANGE ||
        verso_channel_release(readers[0]) != VERSO_E_RANGE || verso_channel_send(writer, "x", 1, 0) != VERSO_E_RANGE)
        return 1;
    /* But it can have its own. */
    if (verso_channel_reader_open(channel, NULL, &own) < 0 || verso_channel_receive(own, -1, &message) < 0 ||
        message_number(message.data, message.bytes, MOST) == UINT64_MAX || message.lost != 0)
        return 2;
    verso_channel_reader_close(own);
    return 0;
}

static void test_a_fork_has_readers_of_its_own(void **state)
{
    pid_t child;

    (void)state;
    make(VERSO_CHANNEL_FULL_WAIT, PAGE, 2);
    readers[0] = join(VERSO_CHANNEL_FROM_NEXT, 0);
    child = child_start(use_the_parents, NULL);
    while (info_now().readers < 2)
        sleep_ms(1);
    send_number(0);
    assert_int_equal(child_wait(child), 0);
    expect(readers[0], 0);
}

/* ---- Threads ---- */

#define WRONG ((void *)(intptr_t)__LINE__)

static pthread_barrier_t start;

#define POURED 20000U

static void *pour(void *arg)
{
    struct verso_channel_writer *own;
    unsigned char data[MOST];
    uint64_t first = (uint64_t)(uintptr_t)arg;

    if (verso_channel_writer_open(channel, NULL, &own) < 0)
        return WRONG;
    (void)pthread_barrier_wait(&start);
    for (uint64_t i = 0; i < POURED; i++) {
        uint64_t number = i * 2 + first;

        message_fill(data, number, length_of(number, MOST));
        if (verso_channel_send(own, data, length_of(number, MOST), -1) < 0)
            return WRONG;
    }
    verso_channel_writer_close(own);
    return NULL;
}

/* Each writer's come in their order; of none is anything torn; and what is lost is said. */
static void *drink(void *arg)
{
    struct verso_channel_reader *own = arg;
    struct verso_channel_message message;
    uint64_t next[2] = { 0, 1 }, number, expected = 0, given = 0, lost = 0;
    unsigned char copy[MOST];
    int r;

    (void)pthread_barrier_wait(&start);
    while ((r = verso_channel_read(own, copy, sizeof(copy), -1, &message)) == 0) {
        number = message_number(copy, message.bytes, MOST);
        if (number == UINT64_MAX)
            return WRONG;
        if (number < next[number % 2])
            return WRONG;
        next[number % 2] = number + 2;
        if (message.number != expected + message.lost)
            return WRONG;
        expected = message.number + 1;
        given++;
        lost += message.lost;
    }
    if (r != -EPIPE)
        return WRONG;
    return given + lost == UINT64_C(2) * POURED ? NULL : WRONG;
}

static void run_threads(enum verso_channel_full full)
{
    pthread_t threads[2 + READERS];
    void *complaint;

    make(full, 4 * PAGE, 3);
    assert_int_equal(pthread_barrier_init(&start, NULL, 2 + READERS), 0);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = join(VERSO_CHANNEL_FROM_NEXT, 0);
        assert_int_equal(pthread_create(&threads[2 + i], NULL, drink, readers[i]), 0);
    }
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, pour, (void *)(uintptr_t)i), 0);
    for (unsigned i = 0; i < 2 + READERS; i++) {
        if (i == 2)
            verso_channel_writer_close(writer);
        assert_int_equal(pthread_join(threads[i], &complaint), 0);
        assert_int_equal((intptr_t)complaint, 0); /* else the line */
    }
    assert_int_equal(pthread_barrier_destroy(&start), 0);
    assert_int_equal(info_now().sent, 2 * POURED);
    if (full == VERSO_CHANNEL_FULL_WAIT)
        assert_int_equal(info_now().received, READERS * 2 * POURED);
    else
        assert_int_equal(info_now().received + info_now().lost, READERS * 2 * POURED);
}

static void test_threads(void **state)
{
    (void)state;
    run_threads(VERSO_CHANNEL_FULL_WAIT);
}

static void test_threads_that_overwrite(void **state)
{
    (void)state;
    run_threads(VERSO_CHANNEL_FULL_DROP_OLDEST);
}

static const struct CMUnitTest test_list[] = {
    channel_test(test_reserved),
    channel_test(test_given_up_is_no_history),
    channel_test(test_lost_among_what_is_void),
    channel_test(test_reserved_is_not_overwritten),
    channel_test(test_many_make_room_for_all),
    channel_test(test_places_are_few),
    channel_test(test_the_end),
    channel_test(test_a_fork_has_readers_of_its_own),
    channel_test(test_threads),
    channel_test(test_threads_that_overwrite),
};

int main(void)
{
    return run_test_list(test_list);
}
