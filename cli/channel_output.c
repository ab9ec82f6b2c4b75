/* SPDX-License-Identifier: MIT */
/*
 * channel_output - messages into a stream of bytes, short ones gathered, long ones straight from the ring.
 *
 * Not by stdio: what was received has to be written before it is released, and the caller decides when that is.
 */
#include "channel.h"
#include "command.h"
#include "output.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROOM ((size_t)64 << 10)
#define FRAME_BYTES 4 /* a length in front, or a byte behind */
#define LONG_BYTES ((size_t)16 << 10)

void channel_output_init(struct channel_output *output, int fd, enum channel_framing framing)
{
    *output = (struct channel_output){ .fd = fd, .framing = framing, .buffer = allocate(NULL, ROOM, 1) };
}

void channel_output_clear(struct channel_output *output)
{
    free(output->buffer);
}

static void write_all(struct channel_output *output, const char *data, size_t bytes)
{
    while (bytes > 0 && !output->error) {
        ssize_t put = write(output->fd, data, bytes);

        if (put >= 0) {
            data += put;
            bytes -= (size_t)put;
        } else if (errno == EAGAIN) { /* who gave us this descriptor does not block */
            (void)poll(&(struct pollfd){ output->fd, POLLOUT, 0 }, 1, CHANNEL_SLICE_MS);
        } else if (errno != EINTR) {
            output->error = errno;
        }
        if (put < 0 && interrupted() && !output->error)
            output->error = EINTR;
    }
}

bool channel_output_flush(struct channel_output *output)
{
    write_all(output, output->buffer, output->used);
    output->used = 0;
    return !output->error;
}

static inline void add_frame(struct channel_output *output, size_t bytes)
{
    unsigned char *at = (unsigned char *)output->buffer + output->used;

    for (int i = 0; i < FRAME_BYTES; i++)
        at[i] = (unsigned char)(bytes >> 8 * i);
    output->used += FRAME_BYTES;
}

void channel_output_add(struct channel_output *output, const void *data, size_t bytes)
{
    if (output->used + bytes + 2 * FRAME_BYTES > ROOM)
        (void)channel_output_flush(output);
    if (output->framing == CHANNEL_RECORDS)
        add_frame(output, bytes);
    if (bytes > LONG_BYTES) {
        if (channel_output_flush(output))
            write_all(output, data, bytes);
    } else if (bytes > 0) {
        memcpy(output->buffer + output->used, data, bytes);
        output->used += bytes;
    }
    if (output->framing != CHANNEL_RECORDS)
        output->buffer[output->used++] = output->framing == CHANNEL_NULLS ? '\0' : '\n';
}

bool channel_output_is_gone(const struct channel_output *output)
{
    struct pollfd end = { output->fd, POLLOUT, 0 };

    return poll(&end, 1, 0) == 1 && (end.revents & POLLERR);
}
