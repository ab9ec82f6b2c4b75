/* SPDX-License-Identifier: MIT */
/*
 * channel_receive - a channel to standard output.
 *
 * What is there is taken at once, written, and only then released: so the longer a write takes the more the next one
 * carries, and nothing that waits in the channel waits here. Where writers may overwrite what is being looked at, each
 * message is copied out instead.
 */
#include "channel.h"
#include "command.h"
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH 512
#define LOOK_MS 20
#define SECOND_NS UINT64_C(1000000000)

struct receiving {
    struct verso_channel *channel;
    struct verso_channel_reader *reader;
    struct channel_output output;
    struct verso_channel_message *messages;
    char *copy; /* where messages are copied to, or NULL: they are looked at in place */
    uint64_t copy_bytes;
    uint64_t received, lost, deaths;
    uint64_t lost_told, lost_told_ns;
    uint64_t timeout_ms, waited_ms;
    bool has_begun;          /* that no writer is there is the end: one that has left was there with us */
    uint64_t writers_before; /* opened when we came */
};

/* ---- What is told ---- */

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* Once a second at most: who loses messages loses many. */
static void tell_lost(struct receiving *receiving, bool at_once)
{
    uint64_t now = now_ns(), count = receiving->lost - receiving->lost_told;

    if (count == 0 || (!at_once && receiving->lost_told_ns && now - receiving->lost_told_ns < SECOND_NS))
        return;
    note("%" PRIu64 " lost: overwritten before they could be received", count);
    receiving->lost_told = receiving->lost;
    receiving->lost_told_ns = now;
}

static int end_of(const struct receiving *receiving)
{
    if (channel_request.count != CHANNEL_NOT_GIVEN && receiving->received < channel_request.count)
        return EXIT_NO;
    return receiving->lost || receiving->deaths ? EXIT_NO : EXIT_YES;
}

static int output_trouble(const struct receiving *receiving)
{
    int error = receiving->output.error;

    if (error == EPIPE || common.json)
        return EXIT_TROUBLE; /* `verso ... | head` is no accident and deserves no message; of stdio main tells */
    if (error == EINTR)
        return trouble("interrupted");
    return trouble("stdout does not take the output: %s; what was received is not whole", strerror(error));
}

/* ---- Waiting ---- */

static bool is_time_over(struct receiving *receiving, int slice_ms)
{
    receiving->waited_ms += (uint64_t)slice_ms;
    return receiving->timeout_ms != CHANNEL_NOT_GIVEN && receiving->waited_ms >= receiving->timeout_ms;
}

static int slice_of(const struct receiving *receiving, int most_ms)
{
    uint64_t left = receiving->timeout_ms - receiving->waited_ms;

    return receiving->timeout_ms != CHANNEL_NOT_GIVEN && left < (uint64_t)most_ms ? (int)left : most_ms;
}

/* Nothing has come for a slice. */
static int go_on_waiting(struct receiving *receiving, int slice_ms)
{
    if (interrupted())
        return trouble("interrupted");
    if (channel_output_is_gone(&receiving->output))
        return EXIT_TROUBLE;
    tell_lost(receiving, false);
    if (!is_time_over(receiving, slice_ms))
        return -1;
    note("no message came in time");
    return EXIT_NO;
}

/* Answers -1, or what to exit with. */
static int look_for_writers(struct receiving *receiving)
{
    struct verso_channel_info now = VERSO_CHANNEL_INFO_INIT;

    if (verso_channel_info(receiving->channel, &now) < 0)
        return trouble_error();
    receiving->has_begun = now.opened_writers != receiving->writers_before;
    return -1;
}

/* The last writer has left: the end, or where it should go on, or has not begun, a nap. A writer may come and leave
 * within one: that it had nothing to say is known when there is nothing after it was counted. */
static int wait_for_writer(struct receiving *receiving)
{
    int nap_ms = slice_of(receiving, LOOK_MS), answer;

    if (receiving->has_begun && !channel_request.follow)
        return end_of(receiving);
    if (!receiving->has_begun) {
        answer = look_for_writers(receiving);
        if (answer >= 0 || receiving->has_begun)
            return answer;
    }
    (void)poll(NULL, 0, nap_ms);
    return go_on_waiting(receiving, nap_ms);
}

/* A receive that brought nothing: -1 to go on, else what to exit with. */
static int answer_of(struct receiving *receiving, int r, int slice_ms)
{
    if (r == -EPIPE)
        return wait_for_writer(receiving);
    receiving->has_begun = true;
    switch (r) {
    case -EAGAIN:
    case -ETIMEDOUT:
        return go_on_waiting(receiving, slice_ms);
    case VERSO_E_PEER_DIED:
        receiving->deaths++;
        note("a writer has died; what it had sent is received");
        return -1;
    default:
        return trouble_error();
    }
}

/* ---- Receiving ---- */

static size_t room_of(const struct receiving *receiving)
{
    uint64_t left = channel_request.count - receiving->received;

    return channel_request.count != CHANNEL_NOT_GIVEN && left < BATCH ? (size_t)left : BATCH;
}

static int receive_in_place(struct receiving *receiving, int slice_ms, size_t *out_count)
{
    return verso_channel_receive_many(receiving->reader, slice_ms, receiving->messages, room_of(receiving), out_count);
}

static int receive_copy(struct receiving *receiving, int slice_ms, size_t *out_count)
{
    int r =
        verso_channel_read(receiving->reader, receiving->copy, receiving->copy_bytes, slice_ms, receiving->messages);

    if (r == 0)
        *out_count = 1;
    return r;
}

static void hex_of(const struct verso_channel_message *message, json_t *object)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *data = message->data;
    char *text = allocate(NULL, 2 * message->bytes + 1, 1);

    for (size_t i = 0; data && i < message->bytes; i++) {
        text[2 * i] = digits[data[i] >> 4];
        text[2 * i + 1] = digits[data[i] & 15];
    }
    json_object_set_new(object, "hex", json_stringn(text, 2 * message->bytes));
    free(text);
}

static void print_json(struct receiving *receiving, const struct verso_channel_message *message)
{
    json_t *object = json_pack("{si sI sI}", "writer", (int)message->writer, "number", (json_int_t)message->number,
                               "lost", (json_int_t)message->lost);
    json_t *text = json_stringn(message->data ? message->data : "", message->bytes); /* NULL when it is not UTF-8 */

    if (text)
        json_object_set_new(object, "text", text);
    else
        hex_of(message, object);
    errno = 0;
    if (json_print_line(object, CHANNEL_SCHEMA) != EXIT_YES)
        receiving->output.error = errno ? errno : EIO;
}

static bool put(struct receiving *receiving, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct verso_channel_message *message = &receiving->messages[i];

        if (common.json)
            print_json(receiving, message);
        else
            channel_output_add(&receiving->output, message->data, message->bytes);
        receiving->lost += message->lost;
    }
    receiving->received += count;
    receiving->waited_ms = 0;
    receiving->has_begun = true;
    if (common.json && fflush(stdout) != 0)
        receiving->output.error = errno;
    return channel_output_flush(&receiving->output);
}

static int receive_all(struct receiving *receiving)
{
    while (room_of(receiving) > 0) {
        int slice_ms = slice_of(receiving, CHANNEL_SLICE_MS), answer;
        size_t count = 0;
        int r =
            receiving->copy ? receive_copy(receiving, slice_ms, &count) : receive_in_place(receiving, slice_ms, &count);

        answer = r == 0 ? -1 : answer_of(receiving, r, slice_ms);
        if (answer >= 0)
            return answer;
        if (r == 0 && !put(receiving, count))
            return output_trouble(receiving);
        if (interrupted())
            return trouble("interrupted");
        if (receiving->lost > receiving->lost_told)
            tell_lost(receiving, false);
    }
    return end_of(receiving);
}

/* ---- Beginning ---- */

static bool parse_from(struct verso_channel_end *end)
{
    const char *from = channel_request.from;
    char *rest;

    if (!from || strcmp(from, "next") == 0)
        return true;
    if (strcmp(from, "oldest") == 0) {
        end->from = VERSO_CHANNEL_FROM_OLDEST;
        return true;
    }
    if (strncmp(from, "last=", 5) != 0 || from[5] < '0' || from[5] > '9')
        return false;
    end->from = VERSO_CHANNEL_FROM_LAST;
    errno = 0;
    end->history = strtoull(from + 5, &rest, 10);
    return !errno && !*rest;
}

static int begin(struct receiving *receiving)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    struct verso_channel_end end = VERSO_CHANNEL_END_INIT;

    (void)parse_from(&end); /* it has been */
    if (verso_channel_info(receiving->channel, &info) < 0)
        return trouble_error();
    if (channel_request.from && info.kind != VERSO_CHANNEL_BROADCAST)
        return trouble("--from goes with a broadcast; from a queue all that nobody has taken is received");
    receiving->has_begun = info.writers > 0;
    receiving->writers_before = info.opened_writers;
    if (verso_channel_reader_open(receiving->channel, &end, &receiving->reader) < 0)
        return trouble_error();
    if (info.kind == VERSO_CHANNEL_BROADCAST && info.full == VERSO_CHANNEL_FULL_DROP_OLDEST) {
        receiving->copy_bytes = info.message_bytes_most;
        receiving->copy = allocate(NULL, receiving->copy_bytes, 1);
    }
    return -1;
}

int channel_receive(const char *name)
{
    struct receiving receiving = { .timeout_ms = channel_milliseconds(channel_request.timeout_seconds) };
    struct verso_channel_end end = VERSO_CHANNEL_END_INIT;
    int answer;

    if (!parse_from(&end))
        return trouble("--from wants next, oldest or last=NUMBER");
    answer = channel_enter(name, &receiving.channel);
    if (answer != EXIT_YES)
        return answer;
    receiving.messages = allocate(NULL, BATCH, sizeof(*receiving.messages));
    channel_output_init(&receiving.output, STDOUT_FILENO, channel_framing());
    answer = begin(&receiving);
    if (answer < 0)
        answer = receive_all(&receiving);
    tell_lost(&receiving, true);
    channel_output_clear(&receiving.output);
    free(receiving.messages);
    free(receiving.copy);
    verso_channel_close(receiving.channel);
    return answer;
}
