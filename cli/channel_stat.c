/* SPDX-License-Identifier: MIT */
/*
 * channel_stat - what goes on in a channel: once, or as long as somebody looks.
 *
 * It is a member of the channel meanwhile, but neither writer nor reader: nobody waits for it, and who has left is
 * seen to have left. It ends when it is alone.
 */
#include "channel_stat.h"
#include "command.h"
#include "output.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define FIRST_SECONDS 0.2 /* between the two looks that a rate needs */
#define SECOND_NS UINT64_C(1000000000)

struct watching {
    const char *name;
    struct verso_channel *channel;
    struct stat_sample samples[2]; /* before, and now */
    bool is_screen;
};

/* ---- Looking ---- */

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static int take_place(const struct verso_channel_place *place, void *arg)
{
    struct stat_sample *sample = arg;

    if (sample->place_count < STAT_PLACES_MOST)
        sample->places[sample->place_count++] = *place;
    return 0;
}

static int look(struct watching *watching)
{
    struct stat_sample *now = &watching->samples[1];

    watching->samples[0] = *now;
    *now = (struct stat_sample){ .info = VERSO_CHANNEL_INFO_INIT, .time_ns = now_ns() };
    if (verso_channel_info(watching->channel, &now->info) < 0 ||
        verso_channel_places(watching->channel, take_place, now) < 0)
        return trouble_error();
    return -1;
}

/* False when it is time to end. */
static bool sleep_for(double seconds)
{
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), now;

    while (!interrupted() && (now = now_ns()) < end) {
        uint64_t left_ms = (end - now) / 1000000 + 1;

        (void)poll(NULL, 0, left_ms < CHANNEL_SLICE_MS ? (int)left_ms : CHANNEL_SLICE_MS);
    }
    return !interrupted();
}

static bool is_alone(const struct watching *watching)
{
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;

    return verso_share_info(verso_channel_share(watching->channel), &info) == 0 && info.members <= 1 &&
           !(info.flags & VERSO_SHARE_KEEP);
}

/* ---- For programs ---- */

static json_t *rates_json(const struct stat_sample *before, const struct stat_sample *now)
{
    const struct verso_channel_info *then = &before->info, *info = &now->info;

    return json_pack("{sf sf sf sf sf}", "seconds", (double)(now->time_ns - before->time_ns) / 1e9, "sent",
                     stat_rate(before, now, then->sent, info->sent), "sent_bytes",
                     stat_rate(before, now, then->sent_bytes, info->sent_bytes), "received",
                     stat_rate(before, now, then->received, info->received), "received_bytes",
                     stat_rate(before, now, then->received_bytes, info->received_bytes));
}

static json_t *place_json(const struct verso_channel_place *place)
{
    json_t *object = json_pack("{ss si sb si}", "role", place->is_writer ? "writer" : "reader", "number",
                               (int)place->number, "is_alive", place->is_alive, "pid", (int)place->process);

    json_set_name(object, "command", place->name);
    json_object_update_new(object, json_pack("{sI sI sI sI sI sb sb}", "messages", (json_int_t)place->messages, "bytes",
                                             (json_int_t)place->bytes, "lost", (json_int_t)place->lost, "sleeps",
                                             (json_int_t)place->sleeps, "lag_bytes", (json_int_t)place->lag_bytes,
                                             "is_asleep", place->is_asleep, "holds", place->holds));
    return object;
}

static json_t *sample_json(const struct watching *watching)
{
    const struct stat_sample *now = &watching->samples[1];
    json_t *object = json_pack("{ss}", "action", "stat"), *places = json_array();

    json_object_update_new(object, channel_info_json(watching->name, &now->info));
    json_object_set_new(object, "per_second", rates_json(&watching->samples[0], now));
    for (size_t i = 0; i < now->place_count; i++)
        json_array_append_new(places, place_json(&now->places[i]));
    json_object_set_new(object, "places", places);
    return object;
}

/* ---- For people ---- */

static int terminal_rows(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 ? size.ws_row : 24;
}

/* Each line is cut where the terminal ends, for one that wraps would push the others on; so are lines. What a row had
 * before goes first: behind a row that is full the cursor stands on its last character. The last row ends in no line's
 * end, which would push the first one out. */
static void paint(const char *text, int columns, int rows)
{
    fputs("\033[H", stdout);
    for (int row = 1; *text && row <= rows; row++) {
        int length = (int)strcspn(text, "\n");

        fputs(row > 1 ? "\n\033[K" : "\033[K", stdout);
        if (row == rows && text[length] && text[length + 1])
            fputs("...", stdout);
        else
            printf("%.*s", length < columns ? length : columns, text);
        if (row < rows && !(text[length] && text[length + 1]))
            fputs("\n\033[J", stdout);
        text += length + (text[length] == '\n');
    }
    (void)fflush(stdout);
}

static void draw_screen(const struct watching *watching)
{
    int columns = terminal_columns(stdout);
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);

    if (!stream)
        return; /* the next picture may have memory */
    stat_draw(stream, watching->name, &watching->samples[0], &watching->samples[1], columns);
    if (fclose(stream) == 0)
        paint(text, columns, terminal_rows());
    free(text);
}

static void screen_begin(struct watching *watching)
{
    const char *term = getenv("TERM");

    watching->is_screen = !common.json && isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
    if (watching->is_screen)
        fputs("\033[?1049h\033[?25l", stdout);
}

/* The last picture stays. */
static void screen_end(struct watching *watching)
{
    if (watching->is_screen)
        fputs("\033[?25h\033[?1049l", stdout);
}

static void draw_text(const struct watching *watching)
{
    stat_draw(stdout, watching->name, &watching->samples[0], &watching->samples[1], terminal_columns(stdout));
}

/* ---- Once, or often ---- */

static int tell_once(struct watching *watching)
{
    int answer;

    if (!sleep_for(channel_request.interval_seconds >= 0 ? channel_request.interval_seconds : FIRST_SECONDS))
        return trouble("interrupted");
    answer = look(watching);
    if (answer >= 0)
        return answer;
    if (common.json)
        return json_print(sample_json(watching), CHANNEL_SCHEMA);
    draw_text(watching);
    return EXIT_YES;
}

static int show_next(struct watching *watching, double seconds, bool *out_is_over)
{
    int answer = EXIT_YES;

    *out_is_over = !sleep_for(seconds);
    if (*out_is_over)
        return EXIT_YES;
    answer = look(watching);
    if (answer >= 0)
        return answer;
    if (!common.json) {
        draw_screen(watching);
    } else if (json_print_line(sample_json(watching), CHANNEL_SCHEMA) != EXIT_YES || fflush(stdout) != 0) {
        return EXIT_TROUBLE;
    }
    *out_is_over = is_alone(watching);
    return -1;
}

static int tell_often(struct watching *watching)
{
    double interval = channel_request.interval_seconds >= 0 ? channel_request.interval_seconds : 1.0;
    double next = interval < FIRST_SECONDS ? interval : FIRST_SECONDS;
    bool is_over = false;
    int answer = -1;

    while (answer < 0 && !is_over) {
        answer = show_next(watching, next, &is_over);
        next = interval;
    }
    screen_end(watching);
    if (answer > EXIT_YES)
        return answer;
    if (watching->is_screen && watching->samples[1].time_ns)
        draw_text(watching);
    if (!interrupted())
        note("everybody has left");
    return EXIT_YES;
}

int channel_stat(const char *name)
{
    struct watching *watching = allocate(NULL, 1, sizeof(*watching));
    int answer;

    *watching = (struct watching){ .name = name };
    if (verso_channel_attach(name, NULL, &watching->channel) < 0) {
        free(watching);
        return trouble_error();
    }
    answer = look(watching);
    if (answer < 0 && channel_request.watch)
        screen_begin(watching);
    if (answer < 0)
        answer =
            channel_request.watch && (watching->is_screen || common.json) ? tell_often(watching) : tell_once(watching);
    verso_channel_close(watching->channel);
    free(watching);
    return answer;
}
