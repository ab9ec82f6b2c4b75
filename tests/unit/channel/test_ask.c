/* SPDX-License-Identifier: MIT */
/* ask - requests and answers: who gets which, what is dropped, and what the death of either side leaves. */
#include "channels.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

static struct verso_channel_client *client;

static void service_make(enum verso_channel_kind kind, unsigned clients, unsigned flags, uint64_t answers_bytes)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    options.kind = kind;
    options.capacity_bytes = 16384;
    options.clients_most = clients;
    options.answers_bytes = answers_bytes;
    options.flags = flags;
    assert_ok(verso_channel_create(NULL, &options, &channel));
}

/* The next request, which says @text. */
static struct verso_channel_request take(struct verso_channel_reader *server, const char *text)
{
    struct verso_channel_request request;
    struct verso_channel_message message;

    assert_ok(verso_channel_receive(server, 10000, &message));
    assert_ok(verso_channel_request_of(&message, &request));
    assert_int_equal(request.bytes, strlen(text));
    assert_memory_equal(request.data, text, request.bytes);
    return request;
}

static void expect_answer(struct verso_channel_client *to, uint64_t number, const char *text)
{
    struct verso_channel_message answer;

    assert_ok(verso_channel_answer_receive(to, 10000, &answer));
    assert_int_equal(answer.number, number);
    assert_int_equal(answer.bytes, strlen(text));
    assert_memory_equal(answer.data, text, answer.bytes);
    assert_int_equal((uintptr_t)answer.data % 8, 0);
}

static void test_asked_is_answered(void **state)
{
    struct verso_channel_request first, second;
    struct verso_channel_message answer;
    uint64_t one, two;

    (void)state;
    service_make(VERSO_CHANNEL_MPSC, 1, 0, 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    assert_fails(verso_channel_answer_receive(client, 0, &answer), -EAGAIN);
    assert_fails(verso_channel_client_release(client), VERSO_E_RANGE);
    assert_ok(verso_channel_ask(client, "first", 5, 0, &one));
    assert_ok(verso_channel_ask(client, NULL, 0, 0, &two));
    assert_true(two != one);
    first = take(reader, "first");
    second = take(reader, "");
    assert_ok(verso_channel_release(reader));
    assert_ok(verso_channel_answer(reader, &second, "2nd", 3, 0)); /* after the release, and in another order */
    assert_ok(verso_channel_answer(reader, &first, NULL, 0, 0));
    expect_answer(client, two, "2nd");
    expect_answer(client, one, "");
    assert_ok(verso_channel_client_release(client));
    assert_fails(verso_channel_answer_receive(client, 1, &answer), -ETIMEDOUT);
}

static void test_each_gets_his_own(void **state)
{
    struct verso_channel_client *other;
    struct verso_channel_request his, mine;
    struct verso_channel_message answer;
    uint64_t number, others_number;

    (void)state;
    service_make(VERSO_CHANNEL_MPSC, 2, 0, 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    assert_ok(verso_channel_client_open(channel, NULL, &other));
    assert_ok(verso_channel_ask(other, "his", 3, 0, &others_number));
    assert_ok(verso_channel_ask(client, "mine", 4, 0, &number));
    his = take(reader, "his");
    assert_true(his.client != 0);
    assert_ok(verso_channel_answer(reader, &his, "to him", 6, 0));
    assert_fails(verso_channel_answer_receive(client, 0, &answer), -EAGAIN);
    mine = take(reader, "mine");
    assert_ok(verso_channel_answer(reader, &mine, "to me", 5, 0));
    expect_answer(client, number, "to me");
    expect_answer(other, others_number, "to him");
    verso_channel_client_close(other);
    verso_channel_client_close(NULL);
}

static void test_what_is_refused(void **state)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    struct verso_channel_client *other = NULL;
    struct verso_channel_request request = { .client = 1 };
    struct verso_channel_message message = { .data = "neither", .bytes = 7 };
    struct verso_channel *bad;
    uint64_t number = 7;

    (void)state;
    channel_make(VERSO_CHANNEL_MPSC, 0, 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_fails(verso_channel_client_open(channel, NULL, &other), VERSO_E_OPTIONS);
    assert_fails(verso_channel_answer(reader, &request, "x", 1, 0), VERSO_E_CORRUPT);
    channel_drop(NULL);
    options.clients_most = 1;
    options.kind = VERSO_CHANNEL_BROADCAST;
    assert_fails(verso_channel_create(NULL, &options, &bad), VERSO_E_OPTIONS);
    options.kind = VERSO_CHANNEL_MPSC;
    options.full = VERSO_CHANNEL_FULL_DROP_OLDEST;
    assert_fails(verso_channel_create(NULL, &options, &bad), VERSO_E_OPTIONS);
    options.full = VERSO_CHANNEL_FULL_WAIT;
    options.clients_most = 17;
    options.writers_most = 16;
    assert_fails(verso_channel_create(NULL, &options, &bad), VERSO_E_OPTIONS);
    options.writers_most = 0;
    options.clients_most = 64;
    assert_fails(verso_channel_create(NULL, &options, &bad), VERSO_E_OPTIONS);
    options.clients_most = 1;
    options.answers_bytes = UINT64_MAX;
    assert_fails(verso_channel_create(NULL, &options, &bad), VERSO_E_OVERFLOW);
    service_make(VERSO_CHANNEL_MPSC, 1, 0, 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    assert_fails(verso_channel_client_open(channel, NULL, &other), -EUSERS);
    assert_null(other);
    assert_fails(verso_channel_request_of(&message, &request), VERSO_E_CORRUPT);
    request.client = 2;
    assert_fails(verso_channel_answer(reader, &request, "x", 1, 0), VERSO_E_CORRUPT);
    request.client = 0;
    assert_fails(verso_channel_answer(reader, &request, "x", 1, 0), VERSO_E_CORRUPT);
    assert_fails(verso_channel_ask(NULL, "x", 1, 0, &number), -EINVAL);
    assert_fails(verso_channel_ask(client, NULL, 1, 0, &number), -EINVAL);
    assert_fails(verso_channel_call(client, NULL, 1, 0, &message), -EINVAL);
    assert_fails(verso_channel_answer_receive(client, 0, NULL), -EINVAL);
    assert_fails(verso_channel_answer(reader, NULL, "x", 1, 0), -EINVAL);
    assert_int_equal(number, 7);
}

static void test_lengths_to_the_limit(void **state)
{
    static unsigned char data[16384];
    struct verso_channel_request request;
    struct verso_channel_message message;
    size_t most, answer_most = 4096 - 16 - 16;
    uint64_t number;

    (void)state;
    service_make(VERSO_CHANNEL_MPSC, 1, 0, 4096);
    most = (size_t)verso_channel_message_bytes_most(channel) - 24;
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 7);
    assert_fails(verso_channel_ask(client, data, most + 1, 0, &number), VERSO_E_RANGE);
    assert_fails(verso_channel_ask(client, data, SIZE_MAX, 0, &number), VERSO_E_RANGE);
    for (int turn = 0; turn < 10; turn++) {
        assert_ok(verso_channel_ask(client, data, most, 0, &number));
        assert_ok(verso_channel_receive(reader, 0, &message));
        assert_ok(verso_channel_request_of(&message, &request));
        assert_int_equal(request.bytes, most);
        assert_memory_equal(request.data, data, most);
        assert_fails(verso_channel_answer(reader, &request, data, answer_most + 1, 0), VERSO_E_RANGE);
        assert_fails(verso_channel_answer(reader, &request, data, SIZE_MAX, 0), VERSO_E_RANGE);
        assert_ok(verso_channel_release(reader));
        assert_ok(verso_channel_answer(reader, &request, data, answer_most, 0));
        assert_fails(verso_channel_answer(reader, &request, data, 1, 0), -EAGAIN); /* its ring is full */
        assert_fails(verso_channel_answer(reader, &request, data, 1, 1), -ETIMEDOUT);
        assert_ok(verso_channel_answer_receive(client, 0, &message));
        assert_int_equal(message.bytes, answer_most);
        assert_memory_equal(message.data, data, answer_most);
        assert_ok(verso_channel_client_release(client));
    }
}

static void test_late_answers_are_dropped(void **state)
{
    struct verso_channel_request late, asked;
    struct verso_channel_message answer;
    uint64_t number;

    (void)state;
    service_make(VERSO_CHANNEL_MPSC, 1, 0, 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    assert_fails(verso_channel_call(client, "late", 4, 1, &answer), -ETIMEDOUT);
    assert_fails(verso_channel_call(client, "later", 5, 0, &answer), -EAGAIN);
    late = take(reader, "late");
    assert_ok(verso_channel_answer(reader, &late, "too late", 8, 0));
    late = take(reader, "later");
    assert_ok(verso_channel_answer(reader, &late, "too late", 8, 0));
    assert_fails(verso_channel_answer_receive(client, 0, &answer), -EAGAIN);
    assert_ok(verso_channel_ask(client, "asked", 5, 0, &number));
    asked = take(reader, "asked");
    assert_ok(verso_channel_answer(reader, &late, "twice", 5, 0)); /* nobody keeps a server from it */
    assert_ok(verso_channel_answer(reader, &asked, "yes", 3, 0));
    expect_answer(client, number, "yes");
}

/* An answer to one who had the lane before. */
static void test_who_comes_after_gets_nothing_of_it(void **state)
{
    struct verso_channel_client *before;
    struct verso_channel_request old, later;
    struct verso_channel_message answer;
    uint64_t number, last;

    (void)state;
    service_make(VERSO_CHANNEL_MPSC, 1, 0, 4096);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_client_open(channel, NULL, &before));
    assert_ok(verso_channel_ask(before, "old", 3, 0, &number));
    assert_ok(verso_channel_ask(before, "later", 5, 0, &last));
    old = take(reader, "old");
    later = take(reader, "later");
    assert_ok(verso_channel_answer(reader, &old, "never received", 14, 0));
    verso_channel_client_close(before);
    assert_fails(verso_channel_answer(reader, &later, "x", 1, -1), -EPIPE);
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    assert_fails(verso_channel_answer(reader, &later, "x", 1, -1), -EPIPE);
    assert_fails(verso_channel_answer_receive(client, 1, &answer), -ETIMEDOUT);
    assert_ok(verso_channel_ask(client, "new", 3, 0, &number));
    assert_true(number > last); /* else who has the one would be taken for who has the other */
    old = take(reader, "new");
    assert_ok(verso_channel_answer(reader, &old, "new", 3, 0));
    expect_answer(client, number, "new");
}

/* Closing the channel closes all that was opened from it, whatever is held. */
static void test_closing_in_the_middle(void **state)
{
    struct verso_channel_request request;
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    uint64_t number;

    (void)state;
    service_make(VERSO_CHANNEL_MPSC, 3, 0, 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    assert_ok(verso_channel_ask(client, "one", 3, 0, &number));
    assert_ok(verso_channel_ask(client, "two", 3, 0, &number));
    request = take(reader, "one");
    assert_ok(verso_channel_answer(reader, &request, "1", 1, 0));
    expect_answer(client, number - 1, "1");
    request = take(reader, "two");
    assert_ok(verso_channel_info(channel, &info));
    assert_int_equal(info.client_room, 3);
    assert_int_equal(info.clients, 1);
    assert_int_equal(info.writers, 1);
}

static void test_no_server_is_left(void **state)
{
    struct verso_channel_message answer;
    uint64_t number;

    (void)state;
    service_make(VERSO_CHANNEL_MPSC, 1, 0, 0);
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    assert_fails(verso_channel_call(client, "any?", 4, 1, &answer), -ETIMEDOUT); /* nobody was there: one may come */
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    verso_channel_reader_close(reader);
    assert_fails(verso_channel_call(client, "any?", 4, 10000, &answer), -EPIPE);
    assert_ok(verso_channel_ask(client, "kept", 4, 0, &number)); /* for whoever comes */
    assert_fails(verso_channel_answer_receive(client, -1, &answer), -EPIPE);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    (void)take(reader, "any?");
    (void)take(reader, "any?");
    (void)take(reader, "kept");
    verso_channel_reader_close(reader); /* has it, and goes */
    assert_fails(verso_channel_answer_receive(client, 10000, &answer), VERSO_E_PEER_DIED);
    assert_int_equal(verso_error_last()->offset_bytes, number);
    assert_fails(verso_channel_answer_receive(client, 10000, &answer), -EPIPE); /* told once */
}

static int ask_in_a_child(void *arg)
{
    struct verso_channel_message answer;
    uint64_t number;

    (void)arg;
    return verso_channel_ask(client, "x", 1, 0, &number) != VERSO_E_RANGE ||
           verso_channel_call(client, "x", 1, 0, &answer) != VERSO_E_RANGE ||
           verso_channel_answer_receive(client, 0, &answer) != VERSO_E_RANGE ||
           verso_channel_client_release(client) != VERSO_E_RANGE ||
           verso_channel_answer(reader, &(struct verso_channel_request){ .client = 1 }, "x", 1, 0) != VERSO_E_RANGE;
}

static void test_a_fork_has_no_client(void **state)
{
    (void)state;
    service_make(VERSO_CHANNEL_MPSC, 1, 0, 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    assert_int_equal(child_wait(child_start(ask_in_a_child, NULL)), 0);
}

/* ---- Many at once ---- */

static atomic_bool is_over;

/* What a thread ends with; NULL: all was well. */
static void *complain(const char *what)
{
    return (void *)(uintptr_t)what;
}

/* Answers a number with twice that; some after the release, some in batches. */
static void *serve(void *arg)
{
    struct verso_channel_reader *server;
    struct verso_channel_message message;
    struct verso_channel_request request;
    uint64_t number;
    int r;

    (void)arg;
    if (verso_channel_reader_open(channel, NULL, &server) < 0)
        return complain("open");
    while (!atomic_load(&is_over)) {
        r = verso_channel_receive(server, 20, &message);
        if (r == -ETIMEDOUT)
            continue;
        if (r < 0 || verso_channel_request_of(&message, &request) < 0 || request.bytes != sizeof(number))
            return complain("receive");
        memcpy(&number, request.data, sizeof(number));
        if (number % 2)
            (void)verso_channel_release(server);
        number *= 2;
        if (verso_channel_answer(server, &request, &number, sizeof(number), -1) < 0)
            return complain("answer");
    }
    verso_channel_reader_close(server);
    return NULL;
}

#define CALLS 3000U

static void *call_often(void *arg)
{
    struct verso_channel_client *own;
    struct verso_channel_message answer;
    uint64_t base = (uint64_t)(uintptr_t)arg << 32, number, doubled;

    if (verso_channel_client_open(channel, NULL, &own) < 0)
        return complain("open");
    for (uint64_t i = 0; i < CALLS; i++) {
        number = base + i;
        if (verso_channel_call(own, &number, sizeof(number), -1, &answer) < 0)
            return complain("call");
        if (answer.bytes != sizeof(doubled))
            return complain("length");
        memcpy(&doubled, answer.data, sizeof(doubled));
        if (doubled != 2 * number)
            return complain("another's answer");
    }
    verso_channel_client_close(own);
    return NULL;
}

static void many_with(enum verso_channel_kind kind, unsigned servers)
{
    pthread_t serving[4], calling[5];
    void *complaint;

    service_make(kind, 5, VERSO_CHANNEL_LASTING, 4096);
    atomic_store(&is_over, false);
    for (unsigned i = 0; i < servers; i++)
        assert_int_equal(pthread_create(&serving[i], NULL, serve, NULL), 0);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(pthread_create(&calling[i], NULL, call_often, (void *)(uintptr_t)(i + 1)), 0);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(pthread_join(calling[i], &complaint), 0);
        assert_string_equal(complaint ? complaint : "", "");
    }
    atomic_store(&is_over, true);
    for (unsigned i = 0; i < servers; i++) {
        assert_int_equal(pthread_join(serving[i], &complaint), 0);
        assert_string_equal(complaint ? complaint : "", "");
    }
}

static void test_many_clients_of_one_server(void **state)
{
    (void)state;
    many_with(VERSO_CHANNEL_MPSC, 1);
}

static void test_many_clients_of_several_servers(void **state)
{
    (void)state;
    many_with(VERSO_CHANNEL_MPMC, 4);
}

/* ---- Deaths ---- */

/* What children say: how often they were asked, and how often they answered. */
static struct {
    _Atomic uint64_t number;
    _Atomic uint64_t ready;
} * said;

static void say_somewhere(void)
{
    said = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(said != MAP_FAILED);
}

static void await_ready(void)
{
    while (!atomic_load(&said->ready))
        sleep_ms(1);
    atomic_store(&said->ready, 0);
}

/* Takes one request, and does nothing about it: held, or released when @arg is not NULL. */
static int take_and_stay(void *arg)
{
    struct verso_channel_reader *own;
    struct verso_channel_message message;

    if (verso_channel_reader_open(channel, NULL, &own) < 0 || verso_channel_receive(own, -1, &message) < 0)
        return 2;
    if (arg && verso_channel_release(own) < 0)
        return 3;
    atomic_store(&said->ready, 1);
    for (;;)
        (void)pause();
}

static void die_with_the_request(enum verso_channel_kind kind, unsigned flags, void *releases)
{
    struct verso_channel_message answer;
    uint64_t number, second;
    pid_t child;

    say_somewhere();
    service_make(kind, 2, VERSO_CHANNEL_LASTING | flags, 0);
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    assert_ok(verso_channel_ask(client, "first", 5, 0, &number));
    assert_ok(verso_channel_ask(client, "second", 6, 0, &second));
    child = child_start(take_and_stay, releases);
    await_ready();
    assert_fails(verso_channel_answer_receive(client, 1, &answer), -ETIMEDOUT);
    child_kill(child);
    assert_fails(verso_channel_answer_receive(client, 10000, &answer), VERSO_E_PEER_DIED);
    assert_int_equal(verso_error_last()->offset_bytes, number);
    assert_fails(verso_channel_answer_receive(client, 1, &answer), -ETIMEDOUT); /* the second is in nobody's hands */
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    while (verso_channel_receive(reader, 0, &answer) == VERSO_E_PEER_DIED)
        ;
    assert_memory_equal((const char *)answer.data + 24, "second", 6);
}

static void test_a_server_dies_with_the_request(void **state)
{
    (void)state;
    die_with_the_request(VERSO_CHANNEL_MPSC, 0, NULL);
}

static void test_a_server_dies_after_releasing_it(void **state)
{
    (void)state;
    die_with_the_request(VERSO_CHANNEL_MPSC, 0, (void *)1);
}

static void test_one_of_several_servers_dies_with_the_request(void **state)
{
    (void)state;
    die_with_the_request(VERSO_CHANNEL_MPMC, 0, NULL);
}

static void test_one_of_several_servers_dies_after_releasing_it(void **state)
{
    (void)state;
    die_with_the_request(VERSO_CHANNEL_MPMC, 0, (void *)1);
}

/* What was released is not given to another one. */
static void test_released_is_not_redelivered(void **state)
{
    (void)state;
    die_with_the_request(VERSO_CHANNEL_MPMC, VERSO_CHANNEL_REDELIVER, (void *)1);
}

/* What is held is: nobody is told, and the answer comes from another. */
static void test_held_is_redelivered(void **state)
{
    struct verso_channel_request request;
    struct verso_channel_message answer;
    uint64_t number;
    pid_t child;

    (void)state;
    say_somewhere();
    service_make(VERSO_CHANNEL_MPMC, 1, VERSO_CHANNEL_LASTING | VERSO_CHANNEL_REDELIVER, 0);
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    assert_ok(verso_channel_ask(client, "again", 5, 0, &number));
    child = child_start(take_and_stay, NULL);
    await_ready();
    child_kill(child);
    assert_fails(verso_channel_answer_receive(client, 200, &answer), -ETIMEDOUT);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    request = take(reader, "again");
    assert_int_equal(request.number, number);
    assert_ok(verso_channel_answer(reader, &request, "done", 4, 0));
    expect_answer(client, number, "done");
}

/* Answers until it is killed. */
static int serve_for_ever(void *arg)
{
    (void)arg;
    atomic_store(&is_over, false);
    return serve(NULL) ? 2 : 0;
}

static unsigned rounds(void)
{
    const char *text = getenv("TEST_LONG");

    return text ? (unsigned)strtoul(text, NULL, 10) : 100;
}

/* A call is answered right, or the client is told; never neither. */
static void kill_servers_of(enum verso_channel_kind kind, unsigned servers, unsigned flags, bool may_be_told)
{
    struct verso_channel_message answer;
    uint64_t number = 0, doubled, deaths = 0;
    pid_t children[3];

    service_make(kind, 2, VERSO_CHANNEL_LASTING | flags, 4096);
    assert_ok(verso_channel_client_open(channel, NULL, &client));
    for (unsigned i = 0; i < servers; i++)
        children[i] = child_start(serve_for_ever, NULL);
    for (unsigned round = 0; round < rounds(); round++) {
        uint64_t until = number + round * 37 % 211;

        for (; number < until; number++) {
            int r = verso_channel_call(client, &number, sizeof(number), 20000, &answer);

            if (r == VERSO_E_PEER_DIED) {
                deaths++;
                continue;
            }
            assert_ok(r);
            assert_int_equal(answer.bytes, sizeof(doubled));
            memcpy(&doubled, answer.data, sizeof(doubled));
            assert_int_equal(doubled, 2 * number);
        }
        assert_ok(verso_channel_ask(client, &number, sizeof(number), 20000, &doubled)); /* let it die at work */
        if (round % 3 == 0)
            sleep_ms(round % 2);
        child_kill(children[round % servers]);
        children[round % servers] = child_start(serve_for_ever, NULL);
    }
    for (unsigned i = 0; i < servers; i++)
        child_kill(children[i]);
    assert_true(may_be_told || deaths == 0);
}

static void test_servers_are_killed(void **state)
{
    (void)state;
    kill_servers_of(VERSO_CHANNEL_MPSC, 1, 0, true);
}

static void test_some_of_several_servers_are_killed(void **state)
{
    (void)state;
    kill_servers_of(VERSO_CHANNEL_MPMC, 3, 0, true);
}

static int ask_for_ever(void *arg)
{
    struct verso_channel_client *own;
    struct verso_channel_message answer;
    uint64_t doubled;

    (void)arg;
    if (verso_channel_client_open(channel, NULL, &own) < 0)
        return 2;
    for (uint64_t number = 0;; number++) {
        if (verso_channel_call(own, &number, sizeof(number), -1, &answer) < 0 || answer.bytes != sizeof(doubled))
            return 3;
        memcpy(&doubled, answer.data, sizeof(doubled));
        if (doubled != 2 * number)
            return 4;
        atomic_fetch_add(&said->number, 1);
    }
}

/* Lanes of the dead are taken over; the server goes on, and nobody gets what was another's. */
static void test_clients_are_killed(void **state)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    struct verso_channel_message message;
    struct verso_channel_request request;
    uint64_t number;
    int r;

    (void)state;
    say_somewhere();
    service_make(VERSO_CHANNEL_MPSC, 2, VERSO_CHANNEL_LASTING, 4096);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    for (unsigned round = 0; round < rounds(); round++) {
        pid_t child = child_start(ask_for_ever, NULL), other = child_start(ask_for_ever, NULL);
        unsigned most = round * 31 % 173 + 2;

        for (unsigned i = 0; i < most; i++) {
            r = verso_channel_receive(reader, 20000, &message);
            if (r == VERSO_E_PEER_DIED)
                continue;
            assert_ok(r);
            assert_ok(verso_channel_request_of(&message, &request));
            memcpy(&number, request.data, sizeof(number));
            number *= 2;
            r = verso_channel_answer(reader, &request, &number, sizeof(number), 20000);
            assert_true(r == 0 || r == -EPIPE);
        }
        child_kill(child); /* fails when it had ended by itself */
        child_kill(other);
    }
    assert_true(atomic_load(&said->number) > 0);
    while ((r = verso_channel_receive(reader, 200, &message)) != -ETIMEDOUT)
        assert_true(r == 0 || r == VERSO_E_PEER_DIED);
    assert_ok(verso_channel_info(channel, &info));
    assert_int_equal(info.clients, 0);
    assert_int_equal(info.writers, 0);
}

/* The client is gone while a server waits for room in its ring. */
static int ask_and_stay(void *arg)
{
    struct verso_channel_client *own;
    uint64_t number;

    (void)arg;
    if (verso_channel_client_open(channel, NULL, &own) < 0 || verso_channel_ask(own, "all", 3, -1, &number) < 0)
        return 2;
    atomic_store(&said->ready, 1);
    for (;;)
        (void)pause();
}

static void *kill_soon(void *arg)
{
    sleep_ms(20);
    (void)kill(*(pid_t *)arg, SIGKILL);
    return NULL;
}

static void test_a_client_dies_while_it_is_answered(void **state)
{
    static const char data[2000];
    struct verso_channel_request request;
    pthread_t killer;
    pid_t child;
    int r;

    (void)state;
    say_somewhere();
    service_make(VERSO_CHANNEL_MPSC, 1, VERSO_CHANNEL_LASTING, 4096);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    child = child_start(ask_and_stay, NULL);
    await_ready();
    request = take(reader, "all");
    assert_int_equal(pthread_create(&killer, NULL, kill_soon, &child), 0);
    do
        r = verso_channel_answer(reader, &request, data, sizeof(data), 20000);
    while (r == 0);
    assert_int_equal(r, -EPIPE);
    assert_int_equal(pthread_join(killer, NULL), 0);
    assert_true(WIFSIGNALED(child_wait(child)));
    assert_fails(verso_channel_answer(reader, &request, "x", 1, 0), -EPIPE);
}

static const struct CMUnitTest test_list[] = {
    channel_test(test_asked_is_answered),
    channel_test(test_each_gets_his_own),
    channel_test(test_what_is_refused),
    channel_test(test_lengths_to_the_limit),
    channel_test(test_late_answers_are_dropped),
    channel_test(test_who_comes_after_gets_nothing_of_it),
    channel_test(test_closing_in_the_middle),
    channel_test(test_no_server_is_left),
    channel_test(test_a_fork_has_no_client),
    channel_test(test_many_clients_of_one_server),
    channel_test(test_many_clients_of_several_servers),
    channel_test(test_a_server_dies_with_the_request),
    channel_test(test_a_server_dies_after_releasing_it),
    channel_test(test_one_of_several_servers_dies_with_the_request),
    channel_test(test_one_of_several_servers_dies_after_releasing_it),
    channel_test(test_released_is_not_redelivered),
    channel_test(test_held_is_redelivered),
    channel_test(test_servers_are_killed),
    channel_test(test_some_of_several_servers_are_killed),
    channel_test(test_clients_are_killed),
    channel_test(test_a_client_dies_while_it_is_answered),
};

int main(void)
{
    return run_test_list(test_list);
}
