/* SPDX-License-Identifier: MIT */
/*
 * channel_send - standard input into a channel.
 *
 * What one read brought is sent in as few calls as there is room for. At the end of the input, what nobody has received
 * yet would go with the channel when this process leaves it: so it stays until a reader has come. Where nothing was
 * sent it stays, too, for a reader that comes later would wait for a first writer for ever.
 */
#include "channel.h"
#include "command.h"
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#define BATCH 1024
#define LOOK_MS 20

struct sending {
    struct verso_channel *channel;
    struct verso_channel_writer *writer;
    struct verso_channel_info info; /* as it was at the beginning */
    struct channel_input input;
    struct verso_channel_part *parts;
    uint64_t sent, dropped, refused;
    uint64_t timeout_ms, waited_ms;
};

/* Messages that are sent at once are received at once: a part of the ring, so that both sides have something to do. */
static size_t gather(struct sending *sending)
{
    uint64_t bytes = 0, most = sending->info.capacity_bytes / 8;
    size_t count = 0;

    while (count < BATCH && bytes < most && channel_input_next(&sending->input, &sending->parts[count]))
        bytes += sending->parts[count++].bytes;
    return count;
}

static int slice_of(const struct sending *sending)
{
    uint64_t left = sending->timeout_ms - sending->waited_ms;

    return sending->timeout_ms != CHANNEL_NOT_GIVEN && left < CHANNEL_SLICE_MS ? (int)left : CHANNEL_SLICE_MS;
}

/* The ring has been full for a slice. */
static int go_on_waiting(struct sending *sending, int slice_ms)
{
    sending->waited_ms += (uint64_t)slice_ms;
    if (interrupted())
        return trouble("interrupted; %" PRIu64 " sent", sending->sent);
    if (sending->timeout_ms != CHANNEL_NOT_GIVEN && sending->waited_ms >= sending->timeout_ms) {
        trouble("the channel is full, and no room came in time; %" PRIu64 " sent", sending->sent);
        return EXIT_NO;
    }
    return -1;
}

/* A call that did not send: -1 to go on, *out_skipped messages further; else what to exit with. */
static int answer_of(struct sending *sending, int r, int slice_ms, size_t *out_skipped)
{
    *out_skipped = 0;
    if (r == VERSO_CHANNEL_DROPPED || (r == -EAGAIN && sending->info.full == VERSO_CHANNEL_FULL_REFUSE)) {
        *out_skipped = 1;
        sending->dropped += r == VERSO_CHANNEL_DROPPED;
        sending->refused += r == -EAGAIN;
        return -1;
    }
    switch (r) {
    case -EAGAIN:
    case -ETIMEDOUT:
        return go_on_waiting(sending, slice_ms);
    case VERSO_E_PEER_DIED:
        note("a reader has died");
        return -1;
    case -EPIPE:
        trouble("the last reader has left; %" PRIu64 " sent, the rest of the input is not", sending->sent);
        return EXIT_NO;
    default:
        return trouble_error();
    }
}

static int send_parts(struct sending *sending, size_t count)
{
    const struct verso_channel_part *at = sending->parts;

    while (count > 0) {
        int slice_ms = slice_of(sending), answer;
        size_t done = 0;
        int r = verso_channel_send_many(sending->writer, at, count, slice_ms, &done);

        if (r == 0) {
            sending->waited_ms = 0;
            sending->sent += done;
        } else {
            answer = answer_of(sending, r, slice_ms, &done);
            if (answer >= 0)
                return answer;
        }
        at += done;
        count -= done;
    }
    return -1;
}

static int send_all(struct sending *sending)
{
    bool more;
    int answer;

    do {
        size_t count;

        more = channel_input_fill(&sending->input);
        while ((count = gather(sending)) > 0) {
            answer = send_parts(sending, count);
            if (answer >= 0)
                return answer;
        }
    } while (more);
    return interrupted() ? trouble("interrupted; %" PRIu64 " sent", sending->sent) : -1;
}

/* ---- The end ---- */

/* The oldest of a queue that gave way meanwhile. The channel counts them for all its writers together; what a broadcast
 * overwrites is lost to this reader and not to that, and told there. */
static int count_oldest(const struct sending *sending, uint64_t *out_count)
{
    struct verso_channel_info now = VERSO_CHANNEL_INFO_INIT;

    *out_count = 0;
    if (sending->info.full != VERSO_CHANNEL_FULL_DROP_OLDEST || sending->sent == 0)
        return EXIT_YES;
    if (verso_channel_info(sending->channel, &now) < 0)
        return trouble_error();
    *out_count = now.dropped - sending->info.dropped;
    return EXIT_YES;
}

static int finish(const struct sending *sending)
{
    int answer = channel_input_finish(&sending->input);
    uint64_t oldest;

    if (count_oldest(sending, &oldest) != EXIT_YES)
        return EXIT_TROUBLE;
    if (oldest)
        note("%" PRIu64 " of the oldest dropped while this was sent: the channel was full", oldest);
    if (sending->dropped)
        note("%" PRIu64 " dropped: the channel was full", sending->dropped);
    if (sending->refused)
        note("%" PRIu64 " refused: the channel was full", sending->refused);
    return answer == EXIT_YES && oldest + sending->dropped + sending->refused ? EXIT_NO : answer;
}

/* Whether what is sent goes on without us: somebody is there to receive it, or nothing is left. Answers -1, or what to
 * exit with. */
static int look_for_reader(const struct sending *sending, bool *out_is_there)
{
    struct verso_channel_info now = VERSO_CHANNEL_INFO_INIT;

    if (verso_channel_info(sending->channel, &now) < 0)
        return trouble_error();
    if (sending->sent == 0)
        *out_is_there = now.readers + sending->info.readers > 0;
    else
        *out_is_there = now.readers > 0 || now.used_bytes == 0;
    if (*out_is_there || now.flags & VERSO_CHANNEL_LASTING || now.received == sending->info.received)
        return -1;
    note("the last reader has left before it had received all");
    return EXIT_NO;
}

static bool is_kept(const struct sending *sending)
{
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;

    return verso_share_info(verso_channel_share(sending->channel), &info) == 0 && info.flags & VERSO_SHARE_KEEP;
}

static int wait_for_reader(const struct sending *sending)
{
    bool is_there = false, is_told = false;
    int answer;

    if (sending->info.kind == VERSO_CHANNEL_BROADCAST || is_kept(sending))
        return -1;
    for (;;) {
        answer = look_for_reader(sending, &is_there);
        if (answer >= 0 || is_there)
            return answer;
        if (interrupted())
            return sending->sent == 0 ? trouble("interrupted; nothing was sent, and nobody has come to receive")
                                      : trouble("interrupted; nobody has received what was sent, and it is gone");
        if (!is_told)
            note(sending->sent == 0 ? "nothing to send; waiting for somebody to receive that; Ctrl-C gives it up"
                                    : "waiting for somebody to receive what was sent; Ctrl-C gives it up");
        is_told = true;
        (void)poll(NULL, 0, LOOK_MS);
    }
}

static int work(struct sending *sending)
{
    int answer = send_all(sending);

    if (answer >= 0)
        return answer;
    answer = finish(sending);
    if (sending->sent > 0 || sending->dropped + sending->refused == 0) {
        int waited = wait_for_reader(sending);

        if (waited >= 0)
            answer = waited;
    }
    return answer;
}

int channel_send(const char *name)
{
    struct sending sending = { .info = VERSO_CHANNEL_INFO_INIT,
                               .timeout_ms = channel_milliseconds(channel_request.timeout_seconds) };
    int answer = channel_enter(name, &sending.channel);

    if (answer != EXIT_YES)
        return answer;
    if (verso_channel_info(sending.channel, &sending.info) < 0 ||
        verso_channel_writer_open(sending.channel, NULL, &sending.writer) < 0) {
        verso_channel_close(sending.channel);
        return trouble_error();
    }
    sending.parts = allocate(NULL, BATCH, sizeof(*sending.parts));
    channel_input_init(&sending.input, STDIN_FILENO, channel_framing(),
                       verso_channel_message_bytes_most(sending.channel));
    answer = work(&sending);
    channel_input_clear(&sending.input);
    free(sending.parts);
    verso_channel_close(sending.channel);
    return answer;
}
