/* SPDX-License-Identifier: MIT */
/* take.h - a queue for each test that readers share, or that drops its oldest. */
#ifndef VERSO_TESTS_TAKE_H
#define VERSO_TESTS_TAKE_H

#include "channels.h"

#include <errno.h>

#define PAGE ((uint64_t)4096)

static struct verso_channel_reader *other;

static inline void make(enum verso_channel_kind kind, enum verso_channel_full full, unsigned flags)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    options.kind = kind;
    options.full = full;
    options.capacity_bytes = PAGE;
    options.flags = flags;
    assert_ok(verso_channel_create(NULL, &options, &channel));
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
}

static inline void make_two_readers(unsigned flags)
{
    make(VERSO_CHANNEL_MPMC, VERSO_CHANNEL_FULL_WAIT, flags);
    assert_ok(verso_channel_reader_open(channel, NULL, &other));
}

static inline void send_text(const char *text)
{
    assert_ok(verso_channel_send(writer, text, strlen(text), 0));
}

static inline void expect_of(struct verso_channel_reader *of, const char *text)
{
    struct verso_channel_message message;

    assert_ok(verso_channel_receive(of, 0, &message));
    assert_int_equal(message.bytes, strlen(text));
    assert_memory_equal(message.data, text, message.bytes);
    assert_int_equal((uintptr_t)message.data % 8, 0);
}

static inline void expect_nothing(struct verso_channel_reader *of)
{
    struct verso_channel_message message;

    assert_fails(verso_channel_receive(of, 0, &message), -EAGAIN);
}

static inline struct verso_channel_info look(void)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;

    assert_ok(verso_channel_info(channel, &info));
    return info;
}

/* Numbers, until the ring is full; how many. */
static inline unsigned fill(void)
{
    unsigned count = 0;

    while (verso_channel_send(writer, &count, sizeof(count), 0) == 0)
        count++;
    assert_int_equal(verso_error_last()->code, -EAGAIN);
    return count;
}

#endif
