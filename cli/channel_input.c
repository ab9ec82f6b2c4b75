/* SPDX-License-Identifier: MIT */
/*
 * channel_input - messages out of a stream of bytes: lines, or records with their length in front.
 *
 *     buffer    |given out      |from     looked     to|          room
 *                                whole   |in part      |
 *
 * One read gives out as many messages as came with it, so that who types a line has it sent at once, and who pipes a
 * file has it sent by thousands.
 */
#include "channel.h"
#include "command.h"
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM_FIRST ((size_t)256 << 10)
#define LENGTH_BYTES 4

void channel_input_init(struct channel_input *input, int fd, enum channel_framing framing, uint64_t longest_bytes)
{
    *input = (struct channel_input){ .fd = fd, .framing = framing, .longest_bytes = longest_bytes, .number = 1 };
    input->room = ROOM_FIRST;
    input->buffer = allocate(NULL, input->room, 1);
}

void channel_input_clear(struct channel_input *input)
{
    free(input->buffer);
}

/* ---- Reading ---- */

/* What is left moves to the front; where it fills all, a message is longer, and gets as much again. */
static void make_room(struct channel_input *input)
{
    size_t left = input->to - input->from;

    if (left)
        memmove(input->buffer, input->buffer + input->from, left);
    input->from = 0;
    input->to = left;
    if (left < input->room)
        return;
    input->room *= 2;
    input->buffer = allocate(input->buffer, input->room, 1);
}

bool channel_input_fill(struct channel_input *input)
{
    make_room(input);
    while (!interrupted()) {
        ssize_t got = read(input->fd, input->buffer + input->to, input->room - input->to);

        if (got > 0) {
            input->to += (size_t)got;
            return true;
        }
        if (got == 0) {
            input->has_ended = true;
            return false;
        }
        if (errno == EAGAIN) { /* who gave us this descriptor does not block */
            (void)poll(&(struct pollfd){ input->fd, POLLIN, 0 }, 1, -1);
        } else if (errno != EINTR) {
            input->error = errno;
            return false;
        }
    }
    return false;
}

/* ---- What is too long ---- */

static const char *unit_of(const struct channel_input *input)
{
    return input->framing == CHANNEL_LINES ? "line" : "record";
}

/* The first is told when it comes, the others are counted. */
static void complain(struct channel_input *input)
{
    if (input->too_long++ == 0)
        trouble("%s %" PRIu64 " is longer than this channel's longest message, %" PRIu64
                " bytes: it is left out; make the channel with a larger --capacity",
                unit_of(input), input->number, input->longest_bytes);
    input->number++;
}

/* ---- Lines ---- */

static bool skip_to_end_of_line(struct channel_input *input, char end)
{
    const char *found = memchr(input->buffer + input->from, end, input->to - input->from);

    input->from = found ? (size_t)(found - input->buffer) + 1 : input->to;
    input->skip_line = !found;
    return found;
}

static bool next_line(struct channel_input *input, char end, struct verso_channel_part *out_part)
{
    for (;;) {
        const char *start, *found;
        size_t bytes;

        if (input->skip_line && !skip_to_end_of_line(input, end))
            return false;
        start = input->buffer + input->from;
        bytes = input->to - input->from;
        found = memchr(start + input->looked, end, bytes - input->looked);
        if (found)
            bytes = (size_t)(found - start);
        if (bytes > input->longest_bytes) {
            input->looked = 0;
            complain(input);
            input->skip_line = true;
            continue;
        }
        if (!found && !(input->has_ended && bytes > 0)) {
            input->looked = bytes;
            return false;
        }
        input->looked = 0;
        input->from += bytes + (found ? 1 : 0);
        input->number++;
        *out_part = (struct verso_channel_part){ start, bytes };
        return true;
    }
}

/* ---- Records ---- */

static uint32_t length_at(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static bool next_record(struct channel_input *input, struct verso_channel_part *out_part)
{
    for (;;) {
        const char *start;
        size_t there, skipped = input->to - input->from;
        uint32_t length;

        if (skipped > input->skip_bytes)
            skipped = (size_t)input->skip_bytes;
        input->skip_bytes -= skipped;
        input->from += skipped;
        start = input->buffer + input->from;
        there = input->to - input->from;
        if (there < LENGTH_BYTES)
            return false;
        length = length_at((const unsigned char *)start);
        if (length > input->longest_bytes) {
            complain(input);
            input->from += LENGTH_BYTES;
            input->skip_bytes = length;
            continue;
        }
        if (there - LENGTH_BYTES < length)
            return false;
        input->from += LENGTH_BYTES + length;
        input->number++;
        *out_part = (struct verso_channel_part){ start + LENGTH_BYTES, length };
        return true;
    }
}

bool channel_input_next(struct channel_input *input, struct verso_channel_part *out_part)
{
    if (input->framing == CHANNEL_RECORDS)
        return next_record(input, out_part);
    return next_line(input, input->framing == CHANNEL_NULLS ? '\0' : '\n', out_part);
}

int channel_input_finish(const struct channel_input *input)
{
    int answer = input->too_long ? EXIT_TROUBLE : EXIT_YES;

    if (input->too_long > 1)
        trouble("%" PRIu64 " %ss in all were too long", input->too_long, unit_of(input));
    if (input->error)
        return trouble("standard input: %s", strerror(input->error));
    if (input->has_ended && (input->from < input->to || input->skip_bytes))
        return trouble("standard input ends in the middle of record %" PRIu64 ": that one is not sent",
                       input->skip_bytes ? input->number - 1 : input->number);
    return answer;
}
