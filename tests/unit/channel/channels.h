/* SPDX-License-Identifier: MIT */
/* channels.h - a channel for each test, messages that know what they must be, and processes at the other end. */
#ifndef VERSO_TESTS_CHANNELS_H
#define VERSO_TESTS_CHANNELS_H

#include "support.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <verso/channel.h>

static struct verso_channel *channel;
static struct verso_channel_writer *writer;
static struct verso_channel_reader *reader;

static inline void channel_make(enum verso_channel_kind kind, uint64_t capacity_bytes, unsigned flags)
{
    struct verso_channel_options options = VERSO_CHANNEL_OPTIONS_INIT;

    options.kind = kind;
    options.capacity_bytes = capacity_bytes;
    options.flags = flags;
    assert_ok(verso_channel_create(NULL, &options, &channel));
}

static inline int channel_drop(void **state)
{
    (void)state;
    verso_channel_close(channel);
    channel = NULL;
    writer = NULL;
    reader = NULL;
    return 0;
}

#define channel_test(test) cmocka_unit_test_teardown(test, channel_drop)

static inline void sleep_ms(unsigned ms)
{
    const struct timespec time = { (time_t)(ms / 1000), (long)(ms % 1000) * 1000000 };

    (void)nanosleep(&time, NULL);
}

/* ---- Messages: number @number has a length and a content that follow from it ---- */

static inline size_t length_of(uint64_t number, size_t most)
{
    uint64_t dice = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return 8 + (size_t)((dice >> 33) % (most - 8 + 1));
}

static inline void message_fill(unsigned char *data, uint64_t number, size_t length)
{
    memset(data, (int)(number * 7 + 1) & 0xff, length);
    memcpy(data, &number, sizeof(number));
}

/* Its number, when it is whole; UINT64_MAX when it is not. */
static inline uint64_t message_number(const void *data, size_t length, size_t most)
{
    const unsigned char *bytes = data;
    uint64_t number;

    if (length < sizeof(number))
        return UINT64_MAX;
    memcpy(&number, bytes, sizeof(number));
    if (length != length_of(number, most))
        return UINT64_MAX;
    for (size_t i = sizeof(number); i < length; i++)
        if (bytes[i] != ((number * 7 + 1) & 0xff))
            return UINT64_MAX;
    return number;
}

/* ---- Other processes ---- */

/* Runs @act in a child, which exits with what it answers. */
static inline pid_t child_start(int (*act)(void *arg), void *arg)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(act(arg));
    return pid;
}

/* The wait status. */
static inline int child_wait(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static inline void child_kill(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_true(WIFSIGNALED(child_wait(pid)));
}

#endif
