/* SPDX-License-Identifier: MIT */
/* channel_steps.h - what dies at each step: a writer's calls, and how often the message was sent before it died. */
#ifndef VERSO_TESTS_CHANNEL_STEPS_H
#define VERSO_TESTS_CHANNEL_STEPS_H

#include "../unit/channel/channels.h"

#include "steps.h"

#include <errno.h>

#define ALL_OF_IT 5000

/* What came out at the steps so far: done, or not. */
static struct {
    unsigned sent;
    unsigned unsent;
} seen;

/* The child's. */
static struct verso_channel_writer *doomed_writer;
static struct verso_channel_reader *doomed_reader;

static const char early[] = "early", late[] = "late, and longer", third[] = "third";

static inline void run(const struct support_steps *steps, const char *name)
{
    unsigned instructions;

    if (support_is_asan() || support_is_tsan())
        skip_because("the sanitizer's own instructions would be stepped through");
    if (!support_can_step())
        skip_because("no child can be traced here");
    memset(&seen, 0, sizeof(seen));
    instructions = support_kill_at_each_step(steps);
    print_message("# %s: %u instructions, done at %u deaths, not at %u\n", name, instructions, seen.sent, seen.unsent);
    assert_true(instructions > 20 && seen.sent > 0 && seen.unsent > 0);
}

static inline void count(bool was_sent)
{
    if (was_sent)
        seen.sent++;
    else
        seen.unsent++;
}

static inline void open_and_send(void *arg)
{
    void *room;

    (void)arg;
    if (verso_channel_writer_open(channel, NULL, &doomed_writer) < 0 ||
        verso_channel_send(doomed_writer, early, sizeof(early), 0) < 0)
        _exit(2);
    /* The ways through libc that the act takes, once. */
    if (verso_channel_reserve(doomed_writer, 64, 0, &room) < 0)
        _exit(3);
    memcpy(room, late, sizeof(late));
    verso_channel_abandon(doomed_writer);
}

static inline void send_late(void *arg)
{
    (void)arg;
    if (verso_channel_send(doomed_writer, late, sizeof(late), 0) < 0)
        _exit(4);
}

static inline void reserve_late(void *arg)
{
    void *room;

    (void)arg;
    if (verso_channel_reserve(doomed_writer, 64, 0, &room) < 0)
        _exit(4);
    memcpy(room, late, sizeof(late));
    if (verso_channel_commit(doomed_writer, sizeof(late)) < 0)
        _exit(5);
}

#endif
