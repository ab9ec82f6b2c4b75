/* SPDX-License-Identifier: MIT */
/* each.h - a BROADCAST for each test, its readers, and messages that are their numbers. */
#ifndef VERSO_TESTS_EACH_H
#define VERSO_TESTS_EACH_H

#include "channels.h"

#include <errno.h>

#define PAGE ((uint64_t)4096)
#define READERS 3
#define MOST 300U

static struct verso_channel_reader *readers[READERS];

static inline void make(enum verso_channel_full full, uint64_t capacity_bytes, unsigned writers_most)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    options.kind = VERSO_CHANNEL_BROADCAST;
    options.full = full;
    options.capacity_bytes = capacity_bytes;
    options.writers_most = writers_most;
    options.readers_most = READERS;
    assert_ok(verso_channel_create(NULL, &options, &channel));
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
}

static inline struct verso_channel_reader *join(enum verso_channel_from from, uint64_t history)
{
    struct verso_channel_end end = VERSO_CHANNEL_END_INIT;
    struct verso_channel_reader *joined;

    end.from = from;
    end.history = history;
    assert_ok(verso_channel_reader_open(channel, &end, &joined));
    return joined;
}

static inline void send_number(uint64_t number)
{
    unsigned char data[MOST];

    message_fill(data, number, length_of(number, MOST));
    assert_ok(verso_channel_send(writer, data, length_of(number, MOST), 0));
}

/* The next message of @from is the one of that number, and nothing was lost before it. */
static inline void expect(struct verso_channel_reader *from, uint64_t number)
{
    struct verso_channel_message message;

    assert_ok(verso_channel_receive(from, 0, &message));
    assert_int_equal(message_number(message.data, message.bytes, MOST), number);
    assert_int_equal(message.number, number);
    assert_int_equal(message.lost, 0);
    assert_int_equal((uintptr_t)message.data % 8, 0);
}

static inline void expect_nothing(struct verso_channel_reader *from)
{
    struct verso_channel_message message;

    assert_fails(verso_channel_receive(from, 0, &message), -EAGAIN);
}

static inline struct verso_channel_info info_now(void)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;

    assert_ok(verso_channel_info(channel, &info));
    return info;
}

/* Sends until there is no room; how many it took. */
static inline uint64_t fill(int full_answer)
{
    uint64_t count = 0;
    int r;

    while ((r = verso_channel_send(writer, &count, sizeof(count), 0)) == 0)
        count++;
    assert_int_equal(r, full_answer);
    return count;
}

#endif
