/* SPDX-License-Identifier: MIT */
/*
 * watch - how a file becomes memory: disk blocks, page-cache frames, virtual addresses; live, or as one snapshot.
 *
 * Here is decided what is watched and in which of the four ways it is told: live in a terminal, a snapshot as text, a
 * line every interval, or JSON.
 */
#include "command.h"
#include "output.h"
#include "watch_copy.h"
#include "watch_library.h"
#include "watch_live.h"
#include "watch_model.h"
#include "watch_reader.h"
#include "watch_text.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA 1
#define INTERVAL_MIN 0.02
#define SECONDS_MAX 1e8
#define NOT_GIVEN (-1.0)   /* of seconds */
#define READ_AHEAD_MS 1500 /* what the reader may do before a snapshot is taken */

static struct {
    bool once;
    bool read;
    double for_seconds;
    double interval_seconds;
    uint64_t pid;
} wanted = { .for_seconds = NOT_GIVEN, .interval_seconds = NOT_GIVEN, .pid = UINT64_MAX };

/* The process that --pid names; 0 without it. */
static pid_t wanted_pid(void)
{
    return wanted.pid == UINT64_MAX ? 0 : (pid_t)wanted.pid;
}

static const struct option_row options[] = {
    { 0, "once", OPTION_FLAG, NULL, "one snapshot, then exit (as without a terminal)", &wanted.once },
    { 0, "for", OPTION_SECONDS, "SECONDS", "stop after so long; without a terminal, a line each interval",
      &wanted.for_seconds },
    { 0, "interval", OPTION_SECONDS, "SECONDS", "between updates: 0.1 in a terminal, else 1",
      &wanted.interval_seconds },
    { 0, "read", OPTION_FLAG, NULL, "start a second process that reads FILE through a map", &wanted.read },
    { 'p', "pid", OPTION_COUNT, "PID", "show this process alone; without FILE, the file it maps most of", &wanted.pid },
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

/* ---- What to watch ---- */

static char *choose_path(int count, char **arguments)
{
    char *path;

    if (count == 1) {
        path = strdup(arguments[0]);
        if (!path)
            trouble("out of memory");
        return path;
    }
    if (wanted_pid())
        return library_of_process(wanted_pid());
    wanted.read = true;
    path = library_largest();
    if (!path)
        trouble("no shared library was found to watch; name a file");
    return path;
}

/* The library itself where that tells what is cached, else a copy. */
static int open_library(const char *path, bool *out_is_copy)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC), copy_fd;

    *out_is_copy = false;
    if (fd < 0 || !copy_is_needed(fd))
        return fd;
    copy_fd = copy_make(fd);
    if (copy_fd < 0) {
        if (!interrupted())
            note("no place for a private copy of the library (%s); its page cache stays unknown", strerror(errno));
        return fd;
    }
    close(fd);
    *out_is_copy = true;
    return copy_fd;
}

static bool open_model(struct watch_model *model, const char *path, bool is_library)
{
    /* Non-blocking: a FIFO without a writer must not hold us. */
    bool is_copy = false;
    int fd = is_library ? open_library(path, &is_copy) : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char *shown;

    if (fd >= 0) {
        if (!watch_open(model, fd, path, wanted_pid()))
            return false;
        model->is_copy = is_copy;
        return true;
    }
    shown = name_shown(path);
    trouble("%s: %s", shown, strerror(errno));
    free(shown);
    return false;
}

/* ---- How to tell ---- */

static int tell_once(struct watch_model *model)
{
    if (wanted.read)
        (void)poll(NULL, 0, READ_AHEAD_MS);
    watch_complete(model);
    if (interrupted())
        return EXIT_TROUBLE;
    if (common.json)
        return json_print(json_snapshot(model), SCHEMA);
    text_snapshot(model, terminal_columns(stdout), strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
    return EXIT_YES;
}

static uint64_t seconds_ns(double seconds)
{
    return (uint64_t)(seconds * 1e9);
}

/* Until the time has come. Between, what happens is counted second by second, so that rates are of seconds however
 * long the interval is. False when it is time to end. */
static bool wait_until(struct watch_model *model, uint64_t time_ns)
{
    const struct update only_counts = { .frozen = true };
    uint64_t now_ns;

    while ((now_ns = watch_clock_ns()) < time_ns && !interrupted()) {
        uint64_t left_ms = (time_ns - now_ns) / 1000000 + 1;

        (void)poll(NULL, 0, left_ms < 1000 ? (int)left_ms : 1000);
        if (left_ms >= 1000)
            watch_update(model, &only_counts);
    }
    return !interrupted();
}

/* A line or an object each interval. */
static int tell_often(struct watch_model *model)
{
    uint64_t interval_ns = seconds_ns(wanted.interval_seconds > 0 ? wanted.interval_seconds : 1.0);
    uint64_t next_ns = watch_clock_ns(), end_ns = next_ns + seconds_ns(wanted.for_seconds);

    do {
        watch_complete(model);
        if (common.json && json_print_line(json_snapshot(model), SCHEMA) != EXIT_YES)
            return EXIT_TROUBLE;
        if (!common.json)
            text_line(model);
        if (fflush(stdout) != 0) /* somebody reads along; when he has gone, output_finish() says so */
            return EXIT_TROUBLE;
        next_ns += interval_ns;
    } while (next_ns <= end_ns && wait_until(model, next_ns));
    return EXIT_YES;
}

/* Whether the picture can be shown and keys can be read. */
static bool has_terminal(void)
{
    const char *term = getenv("TERM");

    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

static int tell(struct watch_model *model, struct watch_reader *reader)
{
    struct live_options live = {
        .interval_seconds = wanted.interval_seconds > 0 ? wanted.interval_seconds : 0.1,
        .for_seconds = wanted.for_seconds,
        .wants_color = color_wanted(stdout),
        .follows = wanted.read,
    };

    if (wanted.once)
        return tell_once(model);
    if (!common.json && has_terminal() && live_run(model, reader, &live))
        return EXIT_YES;
    return wanted.for_seconds > 0 ? tell_often(model) : tell_once(model);
}

/* Options that can be read but not meant; answers EXIT_TROUBLE after saying so. */
static int check_options(int count)
{
    struct verso_inspect_process process;

    if (count > 1)
        return trouble("one file at a time; see `verso watch --help`");
    if (wanted.interval_seconds != NOT_GIVEN && wanted.interval_seconds < INTERVAL_MIN)
        return trouble("--interval: %g s is the least", INTERVAL_MIN);
    if (wanted.interval_seconds > SECONDS_MAX || wanted.for_seconds > SECONDS_MAX)
        return trouble("--interval, --for: %.0f s is the most", SECONDS_MAX);
    if (wanted.for_seconds == 0)
        return trouble("--for: more than 0 s; --once shows one moment");
    if (wanted.pid != UINT64_MAX && (wanted.pid == 0 || wanted.pid > INT_MAX))
        return trouble("--pid: there is no process %llu", (unsigned long long)wanted.pid);
    if (wanted_pid() && verso_inspect_process(wanted_pid(), &process) < 0)
        return trouble_error();
    return EXIT_YES;
}

static int run(int count, char **arguments)
{
    struct watch_reader reader = { 0 };
    struct watch_model model;
    int answer = check_options(count);
    char *path;

    if (answer != EXIT_YES)
        return answer;
    setlocale(LC_CTYPE, "");
    path = choose_path(count, arguments);
    if (!path)
        return EXIT_TROUBLE;
    answer = EXIT_TROUBLE;
    if (open_model(&model, path, count == 0 && !wanted_pid())) {
        if (!wanted.read || reader_start(&reader, model.fd)) {
            model.reader = reader.pid;
            answer = tell(&model, &reader);
        }
        reader_stop(&reader);
        watch_close(&model);
    }
    free(path);
    return answer;
}

const struct command command_watch = {
    .name = "watch",
    .summary = "see how a file becomes memory: disk, page cache, frames, addresses",
    .arguments = "[FILE]",
    .example = "  $ verso watch data.db\n"
               "  $ verso watch --pid $(pidof -s postgres)\n"
               "  $ verso watch --once --json data.db | jq .cache\n",
    .details =
        "Four rows over the same pages of the file: where they lie on the disk, which are in the page cache, in\n"
        "which physical frames, and at which addresses of each process that maps it. A column is the same\n"
        "pages in all rows. In the picture, ? lists the keys.\n"
        "\n"
        "Without FILE, the largest shared library is watched while a second process of verso's own reads it\n"
        "through a map. It drops from the cache what was not in it when it began, and nothing else.\n"
        "\n"
        "Looking changes nothing: no page is read in, made active, or held. Frame numbers are root's to see,\n"
        "the page cache its owner's; what can't be seen is named with the reason.\n"
        "\n"
        "Exit codes: 0 done, 2 trouble.\n",
    .options = options,
    .has_json = true,
    .run = run,
};
