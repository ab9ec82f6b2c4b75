/* SPDX-License-Identifier: MIT */
/* channel - making, joining, sending, receiving, waiting and leaving, with every call beneath failing in turn. */
#include "torture.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <verso/channel.h>

#define MOST (4096 - 32) /* the longest message of all kinds */

static enum verso_channel_kind kind;

static struct verso_channel_options small(void)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    options.kind = kind;
    options.capacity_bytes = 4096;
    return options;
}

static struct verso_channel *made(void)
{
    struct verso_channel_options options = small();
    struct verso_channel *channel = UNTOUCHED;

    attempt(verso_channel_create(NULL, &options, &channel)) assert_ptr_equal(channel, UNTOUCHED);
    return channel;
}

static struct verso_channel_writer *writer_of(struct verso_channel *channel)
{
    struct verso_channel_writer *writer = UNTOUCHED;

    attempt(verso_channel_writer_open(channel, NULL, &writer)) assert_ptr_equal(writer, UNTOUCHED);
    return writer;
}

static struct verso_channel_reader *reader_of(struct verso_channel *channel)
{
    struct verso_channel_reader *reader = UNTOUCHED;

    attempt(verso_channel_reader_open(channel, NULL, &reader)) assert_ptr_equal(reader, UNTOUCHED);
    return reader;
}

static void pass_messages(struct verso_channel_writer *writer, struct verso_channel_reader *reader)
{
    const struct verso_channel_part parts[] = { { "one", 3 }, { "two", 3 } };
    struct verso_channel_message messages[4];
    void *room = UNTOUCHED;
    size_t count = 77;
    char text[8];

    attempt(verso_channel_send(writer, "zero", 4, -1)) assert_true(torture_refusals() > 0);
    attempt(verso_channel_send_many(writer, parts, 2, -1, &count)) assert_int_equal(count, 77);
    assert_int_equal(count, 2);
    attempt(verso_channel_reserve(writer, 2000, -1, &room)) assert_ptr_equal(room, UNTOUCHED);
    memcpy(room, "three", 5);
    attempt(verso_channel_commit(writer, 5)) assert_true(torture_refusals() > 0);
    messages[0].data = UNTOUCHED;
    attempt(verso_channel_receive(reader, -1, messages)) assert_ptr_equal(messages[0].data, UNTOUCHED);
    assert_memory_equal(messages[0].data, "zero", 4);
    count = 77;
    attempt(verso_channel_receive_many(reader, -1, messages, 2, &count)) assert_int_equal(count, 77);
    assert_int_equal(count, 2);
    assert_memory_equal(messages[1].data, "two", 3);
    attempt(verso_channel_release(reader)) assert_true(torture_refusals() > 0);
    attempt(verso_channel_read(reader, text, sizeof(text), -1, messages)) assert_true(torture_refusals() > 0);
    assert_int_equal(messages[0].bytes, 5);
    assert_memory_equal(text, "three", 5);
}

/* What is waited for does not come: it takes the time, or a refusal, and leaves nothing. */
static void in_vain(int r, unsigned failures_before)
{
    assert_true(r == -ETIMEDOUT || (r < 0 && fake_failures() > failures_before));
    assert_int_equal(verso_error_last()->code, r);
}

static void wait_in_vain(struct verso_channel_writer *writer, struct verso_channel_reader *reader)
{
    static const unsigned char most[MOST];
    struct verso_channel_message message = { .data = UNTOUCHED };
    unsigned before = fake_failures();

    in_vain(verso_channel_receive(reader, 1, &message), before);
    assert_ptr_equal(message.data, UNTOUCHED);
    attempt(verso_channel_send(writer, most, sizeof(most), -1)) assert_true(torture_refusals() > 0);
    before = fake_failures();
    in_vain(verso_channel_send(writer, most, 32, 1), before);
    attempt(verso_channel_receive(reader, -1, &message)) assert_ptr_equal(message.data, UNTOUCHED);
    assert_int_equal(message.bytes, sizeof(most));
}

static void without_a_name(void)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    struct verso_channel *channel = made();
    struct verso_channel_writer *writer = writer_of(channel);
    struct verso_channel_reader *reader = reader_of(channel);

    pass_messages(writer, reader);
    wait_in_vain(writer, reader);
    attempt(verso_channel_info(channel, &info)) assert_int_equal(info.sent, 0);
    assert_true(info.sent == 5 && info.received == 5 && info.sent_bytes == 4 + 3 + 3 + 5 + MOST);
    verso_channel_writer_close(writer);
    verso_channel_close(channel); /* with its reader, and what that holds */
}

/* Who joined sends to who made it. */
static void by_descriptor(void)
{
    struct verso_channel *channel = made(), *other = UNTOUCHED;
    struct verso_share *share = UNTOUCHED;

    attempt(verso_share_attach_descriptor(verso_share_descriptor(verso_channel_share(channel)), NULL, &share))
        assert_ptr_equal(share, UNTOUCHED);
    attempt(verso_channel_attach_share(share, NULL, &other)) assert_ptr_equal(other, UNTOUCHED);
    pass_messages(writer_of(other), reader_of(channel));
    verso_channel_close(other);
    verso_channel_close(channel);
}

/* Joining by name is the share's: it is refused there. */
static void by_name(void)
{
    struct verso_channel_options options = small();
    struct verso_channel *channel = UNTOUCHED;

    attempt(verso_channel_open("c", &options, &channel)) assert_ptr_equal(channel, UNTOUCHED);
    attempt(verso_channel_remove("c")) assert_true(torture_refusals() > 0);
    verso_channel_close(channel);
    assert_int_equal(verso_share_collect(NULL, NULL) < 0 && torture_refusals() == 0, 0);
    (void)unlink(support_path("names/c"));
}

static void test_without_a_name(void **state)
{
    static const enum verso_channel_kind kinds[] = { VERSO_CHANNEL_SPSC, VERSO_CHANNEL_MPSC, VERSO_CHANNEL_MPMC,
                                                     VERSO_CHANNEL_BROADCAST };

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        kind = kinds[i];
        torture(without_a_name);
    }
}

static void test_by_descriptor(void **state)
{
    (void)state;
    kind = VERSO_CHANNEL_MPSC;
    torture(by_descriptor);
}

static void test_by_name(void **state)
{
    (void)state;
    kind = VERSO_CHANNEL_SPSC;
    assert_int_equal(setenv("VERSO_SHARE_DIRECTORY", support_path("names"), 1), 0);
    torture(by_name);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_without_a_name),
        torture_test(test_by_descriptor),
        torture_test(test_by_name),
    };

    return run_test_list(list);
}
