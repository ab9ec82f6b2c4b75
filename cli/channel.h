/* SPDX-License-Identifier: MIT */
/*
 * channel.h (command) - what the actions of `verso channel` share: what was asked for, and messages as a stream of
 * bytes.
 */
#ifndef VERSO_CLI_CHANNEL_H
#define VERSO_CLI_CHANNEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <verso/channel.h>

#define CHANNEL_SCHEMA 1
#define CHANNEL_SHARE_KIND "verso channel" /* as docs/internals/channel.md has it */
#define CHANNEL_SLICE_MS 100 /* how long a wait goes on after Ctrl-C: the library's waits don't end by signals */

/* What options say when they are not given. */
#define CHANNEL_NOT_GIVEN UINT64_MAX
#define CHANNEL_NO_CHOICE UINT32_MAX

/* How messages are told apart in a stream of bytes. */
enum channel_framing {
    CHANNEL_LINES,
    CHANNEL_NULLS,   /* each ends in a NUL */
    CHANNEL_RECORDS, /* each begins with its length: 4 bytes, little-endian */
};

/* What was asked for; the options' targets. */
struct channel_request {
    /* Of a channel that is made. */
    unsigned kind, full;
    uint64_t capacity_bytes, writers, readers;
    const char *mode;
    bool lasting, keep, redeliver, huge;
    /* send, receive */
    bool attach, null_ends, records, follow;
    const char *from;
    uint64_t count;
    double timeout_seconds;
    /* stat, bench */
    bool watch;
    double interval_seconds, seconds;
    uint64_t size_bytes;
};
extern struct channel_request channel_request;

enum channel_framing channel_framing(void);

/* A time limit as the library wants it; @seconds negative: none. */
uint64_t channel_milliseconds(double seconds);

/* The options of a channel to be made; on bad ones prints why and answers false. */
bool channel_options(struct verso_channel_options *out_options);

/* How an action begins; 0, or what to exit with. */
int channel_enter(const char *name, struct verso_channel **out_channel);

/* The actions: each answers an enum exit_code. */
int channel_send(const char *name);
int channel_receive(const char *name);
int channel_list(void);
int channel_stat(const char *name);
int channel_bench(const char *name); /* NULL: of a channel without a name */

/* As the options have it. */
const char *channel_kind_shown(enum verso_channel_kind kind);
const char *channel_full_shown(enum verso_channel_full full);

/* Messages that were sent and that nobody has received yet; of queues. */
uint64_t channel_waiting(const struct verso_channel_info *info);

/* @name may be NULL. */
json_t *channel_info_json(const char *name, const struct verso_channel_info *info);

/* ---- channel_input.c: messages out of a stream ---- */

struct channel_input {
    int fd;
    enum channel_framing framing;
    uint64_t longest_bytes; /* longer messages are left out, and told */
    char *buffer;
    size_t room, from, to; /* what is in it and has not been given out: from from to to */
    size_t looked;         /* of that, has no end of a line in it */
    uint64_t skip_bytes;   /* of a record that is too long */
    bool skip_line;        /* the rest of a line that is too long */
    bool has_ended;
    uint64_t number; /* of the message that comes next, from 1 */
    uint64_t too_long;
    int error; /* errno of a read that failed */
};

void channel_input_init(struct channel_input *input, int fd, enum channel_framing framing, uint64_t longest_bytes);
void channel_input_clear(struct channel_input *input);

/* Reads once, waiting if need be. False: the end, an error, or Ctrl-C. What was given out before is overwritten. */
bool channel_input_fill(struct channel_input *input);

/* The next message that is there as a whole, valid until the next fill. */
bool channel_input_next(struct channel_input *input, struct verso_channel_part *out_part);

/* Tells what was left out, or broken off; EXIT_YES when nothing was. */
int channel_input_finish(const struct channel_input *input);

/* ---- channel_output.c: messages into a stream ---- */

struct channel_output {
    int fd;
    enum channel_framing framing;
    char *buffer;
    size_t used;
    int error; /* errno of a write that failed: nothing is written after it */
};

void channel_output_init(struct channel_output *output, int fd, enum channel_framing framing);
void channel_output_clear(struct channel_output *output);
void channel_output_add(struct channel_output *output, const void *data, size_t bytes);

/* False: what was added did not get there. */
bool channel_output_flush(struct channel_output *output);

/* Whether whoever read it has gone, as far as can be known without writing. */
bool channel_output_is_gone(const struct channel_output *output);

#endif
