/* SPDX-License-Identifier: MIT */
/* channel-ask - requests, answers and descriptors to wait at, with every call beneath failing in turn. */
#include "torture.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <verso/channel.h>

static struct verso_channel *made(enum verso_channel_kind kind)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;
    struct verso_channel *channel = UNTOUCHED;

    options.kind = kind;
    options.capacity_bytes = 4096;
    options.answers_bytes = 4096;
    options.clients_most = 1;
    attempt(verso_channel_create(NULL, &options, &channel)) assert_ptr_equal(channel, UNTOUCHED);
    return channel;
}

static void asked_and_answered(enum verso_channel_kind kind)
{
    struct verso_channel *channel = made(kind);
    struct verso_channel_reader *server = UNTOUCHED;
    struct verso_channel_client *client = UNTOUCHED;
    struct verso_channel_message message = { .data = UNTOUCHED };
    struct verso_channel_request request;
    uint64_t number = 77;

    attempt(verso_channel_reader_open(channel, NULL, &server)) assert_ptr_equal(server, UNTOUCHED);
    attempt(verso_channel_client_open(channel, NULL, &client)) assert_ptr_equal(client, UNTOUCHED);
    attempt(verso_channel_ask(client, "2+3", 3, -1, &number)) assert_int_equal(number, 77);
    attempt(verso_channel_receive(server, -1, &message)) assert_ptr_equal(message.data, UNTOUCHED);
    assert_int_equal(verso_channel_request_of(&message, &request), 0);
    assert_int_equal(request.number, number);
    attempt(verso_channel_answer(server, &request, "5", 1, -1)) assert_true(torture_refusals() > 0);
    message.data = UNTOUCHED;
    attempt(verso_channel_answer_receive(client, -1, &message)) assert_ptr_equal(message.data, UNTOUCHED);
    assert_int_equal(message.number, number);
    assert_memory_equal(message.data, "5", 1);
    attempt(verso_channel_client_release(client)) assert_true(torture_refusals() > 0);
    verso_channel_client_close(client);
    verso_channel_close(channel); /* with its server, and what that answered with */
}

static void one_server(void)
{
    asked_and_answered(VERSO_CHANNEL_MPSC);
}

static void several_servers(void)
{
    asked_and_answered(VERSO_CHANNEL_MPMC);
}

/* What can't be rung for is found when the clock goes: that can't be refused any more. */
static bool becomes_readable(int fd)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };

    return poll(&one, 1, 10000) == 1;
}

static void waited_for(void)
{
    static const unsigned char most[4096 - 16];
    struct verso_channel *channel = made(VERSO_CHANNEL_MPSC);
    struct verso_channel_writer *writer = UNTOUCHED;
    struct verso_channel_reader *reader = UNTOUCHED;
    struct verso_channel_message message;
    int data = 77, room = 77;

    attempt(verso_channel_writer_open(channel, NULL, &writer)) assert_ptr_equal(writer, UNTOUCHED);
    attempt(verso_channel_reader_open(channel, NULL, &reader)) assert_ptr_equal(reader, UNTOUCHED);
    attempt(verso_channel_descriptor(reader, &data)) assert_int_equal(data, 77);
    attempt(verso_channel_writer_descriptor(writer, &room)) assert_int_equal(room, 77);
    attempt(verso_channel_arm(reader)) assert_true(torture_refusals() > 0);
    attempt(verso_channel_send(writer, most, sizeof(most), -1)) assert_true(torture_refusals() > 0);
    assert_true(becomes_readable(data));
    attempt(verso_channel_writer_arm(writer)) assert_true(torture_refusals() > 0);
    attempt(verso_channel_arm(reader)) assert_true(torture_refusals() > 0);
    attempt(verso_channel_receive(reader, -1, &message)) assert_true(torture_refusals() > 0);
    attempt(verso_channel_release(reader)) assert_true(torture_refusals() > 0);
    assert_true(becomes_readable(room));
    verso_channel_close(channel);
}

static void test_one_server(void **state)
{
    (void)state;
    torture(one_server);
}

static void test_several_servers(void **state)
{
    (void)state;
    torture(several_servers);
}

static void test_descriptors(void **state)
{
    (void)state;
    assert_int_equal(setenv("VERSO_SHARE_DIRECTORY", support_path("names"), 1), 0);
    torture(waited_for);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_one_server),
        torture_test(test_several_servers),
        torture_test(test_descriptors),
    };

    return run_test_list(list);
}
