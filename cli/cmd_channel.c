/* SPDX-License-Identifier: MIT */
/* channel - messages between processes: made, sent, received, looked at, measured. */
#include "channel.h"
#include "command.h"
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct channel_request channel_request = {
    .kind = CHANNEL_NO_CHOICE,
    .full = CHANNEL_NO_CHOICE,
    .capacity_bytes = CHANNEL_NOT_GIVEN,
    .writers = CHANNEL_NOT_GIVEN,
    .readers = CHANNEL_NOT_GIVEN,
    .count = CHANNEL_NOT_GIVEN,
    .timeout_seconds = -1,
    .interval_seconds = -1,
    .seconds = -1,
    .size_bytes = CHANNEL_NOT_GIVEN,
};

static const struct option_row options[] = {
    { 'k', "kind", OPTION_CHOICE, "spsc|mpsc|mpmc|broadcast", "of a channel that is made; without it, spsc",
      &channel_request.kind },
    { 'c', "capacity", OPTION_BYTES, "SIZE", "of its ring, rounded up to a power of two; without it, 256K",
      &channel_request.capacity_bytes },
    { 0, "full", OPTION_CHOICE, "wait|refuse|drop-newest|drop-oldest", "what sending does when the ring is full",
      &channel_request.full },
    { 0, "writers", OPTION_COUNT, "COUNT", "how many at once, to 63", &channel_request.writers },
    { 0, "readers", OPTION_COUNT, "COUNT", "the same", &channel_request.readers },
    { 0, "lasting", OPTION_FLAG, NULL, "when the last writer or reader has left, wait for another",
      &channel_request.lasting },
    { 0, "keep", OPTION_FLAG, NULL, "it stays when nobody uses it any more; create does that by itself",
      &channel_request.keep },
    { 0, "redeliver", OPTION_FLAG, NULL, "mpmc: what a reader held when it died goes to another",
      &channel_request.redeliver },
    { 0, "mode", OPTION_TEXT, "OCTAL", "permissions; without it, 0600", &channel_request.mode },
    { 0, "huge", OPTION_FLAG, NULL, "in huge pages, where they can be had", &channel_request.huge },
    { 'a', "attach", OPTION_FLAG, NULL, "send, receive: only if the channel is there already",
      &channel_request.attach },
    { '0', "null", OPTION_FLAG, NULL, "send, receive: messages end in NUL, not in a line's end",
      &channel_request.null_ends },
    { 'r', "records", OPTION_FLAG, NULL, "send, receive: before each message its length, 4 bytes little-endian",
      &channel_request.records },
    { 't', "timeout", OPTION_SECONDS, "SECONDS", "receive: for a message; send: for room",
      &channel_request.timeout_seconds },
    { 'n', "count", OPTION_COUNT, "COUNT", "receive: so many messages, then end", &channel_request.count },
    { 0, "from", OPTION_TEXT, "next|oldest|last=N", "receive, broadcast: where to begin", &channel_request.from },
    { 'f', "follow", OPTION_FLAG, NULL, "receive: go on when the last writer has left", &channel_request.follow },
    { 'w', "watch", OPTION_FLAG, NULL, "stat: again and again, until Ctrl-C", &channel_request.watch },
    { 'i', "interval", OPTION_SECONDS, "SECONDS", "stat: how long rates are of; without it, 1, or 0.2 once",
      &channel_request.interval_seconds },
    { 's', "size", OPTION_BYTES, "SIZE", "bench: of a message; without it, 64", &channel_request.size_bytes },
    { 0, "seconds", OPTION_SECONDS, "SECONDS", "bench: how long; without it, 2", &channel_request.seconds },
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

/* ---- What goes with what ---- */

enum action {
    CREATE = 1 << 0,
    SEND = 1 << 1,
    RECEIVE = 1 << 2,
    REMOVE = 1 << 3,
    BENCH = 1 << 4,
    LIST = 1 << 5,
    STAT = 1 << 6,
};
#define ACTIONS "create, send, receive, list, stat, bench or remove"
#define MAKING (CREATE | SEND | RECEIVE)

static const struct {
    const char *option;
    unsigned actions;
    const char *with; /* for the complaint */
} uses[] = {
    { "kind", MAKING | BENCH, "create, send, receive and bench" },
    { "capacity", MAKING | BENCH, "create, send, receive and bench" },
    { "full", MAKING, "create, send and receive" },
    { "writers", MAKING, "create, send and receive" },
    { "readers", MAKING, "create, send and receive" },
    { "lasting", MAKING, "create, send and receive" },
    { "keep", MAKING, "create, send and receive" },
    { "redeliver", MAKING, "create, send and receive" },
    { "mode", MAKING, "create, send and receive" },
    { "huge", MAKING | BENCH, "create, send, receive and bench" },
    { "attach", SEND | RECEIVE, "send and receive" },
    { "null", SEND | RECEIVE, "send and receive" },
    { "records", SEND | RECEIVE, "send and receive" },
    { "timeout", SEND | RECEIVE, "send and receive" },
    { "count", RECEIVE, "receive" },
    { "from", RECEIVE, "receive" },
    { "follow", RECEIVE, "receive" },
    { "watch", STAT, "stat" },
    { "interval", STAT, "stat" },
    { "size", BENCH, "bench" },
    { "seconds", BENCH, "bench" },
};
#define USES (sizeof(uses) / sizeof(uses[0]))

static bool is_given(const struct option_row *row)
{
    switch (row->kind) {
    case OPTION_FLAG:
        return *(const bool *)row->target;
    case OPTION_TEXT:
        return *(const char *const *)row->target != NULL;
    case OPTION_CHOICE:
        return *(const unsigned *)row->target != CHANNEL_NO_CHOICE;
    case OPTION_SECONDS:
        return *(const double *)row->target >= 0;
    default:
        return *(const uint64_t *)row->target != CHANNEL_NOT_GIVEN;
    }
}

/* -1, or the complaint about an option that the action has no use for. */
static int check_options(enum action action)
{
    for (size_t i = 0; i < USES; i++)
        if (!(uses[i].actions & action) && is_given(&options[i]))
            return trouble("--%s goes with %s", uses[i].option, uses[i].with);
    if (common.json && !(action & (RECEIVE | LIST | STAT | BENCH)))
        return trouble("--json goes with receive, list, stat and bench");
    if (channel_request.null_ends && channel_request.records)
        return trouble("only one of --null and --records at a time");
    if (common.json && (channel_request.null_ends || channel_request.records))
        return trouble("--json prints a line for each message: without --null and --records");
    return -1;
}

/* ---- What the options say ---- */

enum channel_framing channel_framing(void)
{
    return channel_request.records ? CHANNEL_RECORDS : channel_request.null_ends ? CHANNEL_NULLS : CHANNEL_LINES;
}

const char *channel_kind_shown(enum verso_channel_kind kind)
{
    static const char *const names[] = { "any", "spsc", "mpsc", "mpmc", "broadcast" };

    return kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

const char *channel_full_shown(enum verso_channel_full full)
{
    static const char *const names[] = { "wait", "refuse", "drop-newest", "drop-oldest" };

    return full < sizeof(names) / sizeof(names[0]) ? names[full] : "?";
}

uint64_t channel_milliseconds(double seconds)
{
    if (seconds < 0)
        return CHANNEL_NOT_GIVEN;
    return seconds > 1e9 ? UINT64_C(1000000000000) : (uint64_t)(seconds * 1e3 + 0.5);
}

static bool parse_mode(const char *text, unsigned *out_mode)
{
    unsigned mode = 0;

    if (!*text || strlen(text) > 4)
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '7')
            return false;
        mode = mode << 3 | (unsigned)(*text - '0');
    }
    *out_mode = mode;
    return mode > 0 && mode <= 0777;
}

static bool parse_places(uint64_t given, const char *option, unsigned *out_most)
{
    if (given == CHANNEL_NOT_GIVEN)
        return true;
    if (given == 0 || given > 63) {
        trouble("--%s: 1 to 63", option);
        return false;
    }
    *out_most = (unsigned)given;
    return true;
}

/* The library would say no more than that the options contradict each other. */
static bool check_kind(const struct verso_channel_options *made)
{
    bool has_writers = made->kind != VERSO_CHANNEL_SPSC && made->kind != VERSO_CHANNEL_KIND_ANY;
    bool has_readers = has_writers && made->kind != VERSO_CHANNEL_MPSC;

    if (made->writers_most > 1 && !has_writers)
        trouble("--writers: an spsc has one; --kind says what else there is");
    else if (made->readers_most > 1 && !has_readers)
        trouble("--readers: an spsc and an mpsc have one; --kind says what else there is");
    else if (made->flags & VERSO_CHANNEL_REDELIVER && made->kind != VERSO_CHANNEL_MPMC)
        trouble("--redeliver goes with --kind=mpmc");
    else
        return true;
    return false;
}

bool channel_options(struct verso_channel_options *out_options)
{
    struct verso_channel_options made = VERSO_CHANNEL_OPTIONS_INIT;

    if (channel_request.kind != CHANNEL_NO_CHOICE)
        made.kind = (enum verso_channel_kind)(VERSO_CHANNEL_SPSC + channel_request.kind);
    if (channel_request.full != CHANNEL_NO_CHOICE)
        made.full = (enum verso_channel_full)channel_request.full;
    if (channel_request.capacity_bytes != CHANNEL_NOT_GIVEN)
        made.capacity_bytes = channel_request.capacity_bytes;
    made.flags =
        (channel_request.lasting ? VERSO_CHANNEL_LASTING : 0U) | (channel_request.keep ? VERSO_CHANNEL_KEEP : 0U) |
        (channel_request.redeliver ? VERSO_CHANNEL_REDELIVER : 0U) | (channel_request.huge ? VERSO_CHANNEL_HUGE : 0U);
    if (!parse_places(channel_request.writers, "writers", &made.writers_most) ||
        !parse_places(channel_request.readers, "readers", &made.readers_most))
        return false;
    if (channel_request.capacity_bytes == 0) {
        trouble("--capacity: at least 1 byte");
        return false;
    }
    if (made.capacity_bytes > UINT64_C(4) << 30) {
        trouble("--capacity: at most 4G");
        return false;
    }
    if (channel_request.mode && !parse_mode(channel_request.mode, &made.mode)) {
        trouble("--mode wants permission bits such as 0660");
        return false;
    }
    *out_options = made;
    return check_kind(&made);
}

/* ---- What it can do ---- */

int channel_enter(const char *name, struct verso_channel **out_channel)
{
    struct verso_channel_options made;
    int r;

    if (!channel_options(&made))
        return EXIT_TROUBLE;
    r = channel_request.attach ? verso_channel_attach(name, &made, out_channel)
                               : verso_channel_open(name, &made, out_channel);
    return r < 0 ? trouble_error() : EXIT_YES;
}

/* What only this process is in, and it leaves: so it has to be one that stays. */
static int create(const char *name)
{
    struct verso_channel_options made;
    struct verso_channel *channel;

    if (!channel_options(&made))
        return EXIT_TROUBLE;
    made.flags |= VERSO_CHANNEL_KEEP;
    if (verso_channel_create(name, &made, &channel) < 0)
        return trouble_error();
    verso_channel_close(channel);
    return EXIT_YES;
}

static int take_away(int count, char **names)
{
    int answer = EXIT_YES;

    if (count == 0)
        return trouble("remove: which? `verso channel list` shows what there is");
    for (int i = 0; i < count; i++)
        if (verso_channel_remove(names[i]) < 0)
            answer = trouble_error();
    return answer;
}

static int run_action(enum action action, const char *word, int count, char **names)
{
    static const struct {
        enum action action;
        int (*act)(const char *name);
    } acts[] = { { CREATE, create },
                 { SEND, channel_send },
                 { RECEIVE, channel_receive },
                 { STAT, channel_stat },
                 { BENCH, channel_bench } };

    if (action == REMOVE)
        return take_away(count, names);
    if (action == LIST)
        return count == 0 ? channel_list() : trouble("list takes no names; `verso channel stat` shows one channel");
    if (action == BENCH && count == 0)
        return channel_bench(NULL);
    if (count != 1)
        return trouble("%s takes one name", word);
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
        if (acts[i].action == action)
            return acts[i].act(names[0]);
    return EXIT_TROUBLE;
}

static int run(int count, char **arguments)
{
    static const struct {
        const char *name;
        enum action action;
    } actions[] = { { "create", CREATE }, { "send", SEND },   { "receive", RECEIVE }, { "list", LIST },
                    { "stat", STAT },     { "bench", BENCH }, { "remove", REMOVE } };

    if (count == 0)
        return trouble("what to do? " ACTIONS "; see `verso channel --help`");
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
        int answer;

        if (strcmp(arguments[0], actions[i].name) != 0)
            continue;
        answer = check_options(actions[i].action);
        return answer >= 0 ? answer : run_action(actions[i].action, arguments[0], count - 1, arguments + 1);
    }
    return trouble("%s: " ACTIONS, arguments[0]);
}

const struct command command_channel = {
    .name = "channel",
    .summary = "messages between processes, through shared memory",
    .arguments = "create|send|receive|stat NAME | list | bench [NAME] | remove NAME...",
    .example = "  $ verso channel receive orders          in one shell\n"
               "  $ verso channel send orders <file       in another\n",
    .details =
        "A NAME is a file in /dev/shm/verso-UID, or in $VERSO_SHARE_DIRECTORY; one with a slash in it is a path.\n"
        "\n"
        "create    make a channel that stays until it is removed\n"
        "send      lines of standard input into a channel, which is made when there is none\n"
        "receive   to standard output, until the last writer has left; makes the channel, too\n"
        "list      all channels of this user\n"
        "stat      one of them: how fast, how full, who is there, who lags behind; --watch shows it live\n"
        "bench     measure: how many messages a second, how long there and back, and the least there can be\n"
        "remove    take names away; who is in a channel goes on with it\n"
        "\n"
        "Kinds: one writer and one reader (spsc), writers and one reader (mpsc), writers and readers of whom one\n"
        "gets each message (mpmc), or all (broadcast).\n"
        "\n"
        "Exit codes: 0 all was sent, or received; 1 some was not: dropped, refused, lost, cut off by a death or a\n"
        "time limit; 2 trouble.\n",
    .options = options,
    .has_json = true,
    .run = run,
};
