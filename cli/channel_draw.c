/* SPDX-License-Identifier: MIT */
/* channel_draw - a channel as text: how fast, how full, who is there, who lags behind. */
#include "channel_stat.h"
#include "command.h"
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WIDE 78   /* all columns of the table */
#define MIDDLE 54 /* without what is rarely looked at */
#define BAR_CELLS 20

/* ---- The channel ---- */

static void draw_count(FILE *stream, const char *what, uint64_t count, double messages, double bytes, bool is_wide)
{
    char number[32], rate[32], flow[16];

    fprintf(stream, "%-9s %13s %11s/s", what, count_shown(count, number), count_shown((uint64_t)messages, rate));
    if (is_wide)
        fprintf(stream, " %12s/s", bytes_shown((uint64_t)bytes, flow));
    fputc('\n', stream);
}

static void draw_ring(FILE *stream, const struct verso_channel_info *info, bool is_wide)
{
    uint64_t used = info->used_bytes < info->capacity_bytes ? info->used_bytes : info->capacity_bytes;
    size_t full = (size_t)((double)used / (double)info->capacity_bytes * BAR_CELLS);
    char bar[BAR_CELLS + 1], number[32], bytes[16];

    memset(bar, '.', BAR_CELLS);
    memset(bar, '#', full);
    bar[BAR_CELLS] = '\0';
    if (info->kind == VERSO_CHANNEL_BROADCAST)
        fprintf(stream, "%-9s %13s", "in use", bytes_shown(used, bytes));
    else
        fprintf(stream, "%-9s %13s", "waiting", count_shown(channel_waiting(info), number));
    fprintf(stream, " %11.0f %%", 100.0 * (double)used / (double)info->capacity_bytes);
    if (is_wide)
        fprintf(stream, "  [%s]", bar);
    fputc('\n', stream);
}

static void draw_sums(FILE *stream, const struct verso_channel_info *info)
{
    fprintf(stream, "dropped %" PRIu64 ", lost %" PRIu64 ", given up %" PRIu64 "\n", info->dropped, info->lost,
            info->given_up);
    fprintf(stream, "writers %u of %u, died %" PRIu64 ", slept %" PRIu64 "\n", info->writers, info->writer_room,
            info->dead_writers, info->room_sleeps);
    fprintf(stream, "readers %u of %u, died %" PRIu64 ", slept %" PRIu64 "\n", info->readers, info->reader_room,
            info->dead_readers, info->data_sleeps);
    if (info->client_room)
        fprintf(stream, "clients %u of %u\n", info->clients, info->client_room);
}

/* ---- Its places ---- */

const char *stat_place_state(const struct verso_channel_place *place)
{
    if (place->process == 0)
        return "left";
    if (!place->is_alive)
        return "dead";
    return place->is_asleep ? "asleep" : place->holds ? "holds" : "";
}

const struct verso_channel_place *stat_place_before(const struct stat_sample *before,
                                                    const struct verso_channel_place *place)
{
    for (size_t i = 0; i < before->place_count; i++)
        if (before->places[i].number == place->number && !before->places[i].is_writer == !place->is_writer)
            return &before->places[i];
    return NULL;
}

double stat_rate(const struct stat_sample *before, const struct stat_sample *now, uint64_t count_before,
                 uint64_t count_now)
{
    uint64_t passed_ns = now->time_ns - before->time_ns;

    return passed_ns && count_now > count_before ? (double)(count_now - count_before) * 1e9 / (double)passed_ns : 0;
}

static void draw_head(FILE *stream, int columns)
{
    if (columns >= WIDE)
        fprintf(stream, "%-9s %7s %-15s %13s %11s %9s %s\n", "WHO", "PID", "PROGRAM", "MESSAGES", "RATE/S", "LAG",
                "STATE");
    else if (columns >= MIDDLE)
        fprintf(stream, "%-9s %7s %13s %11s %9s\n", "WHO", "PID", "MESSAGES", "RATE/S", "STATE");
    else
        fprintf(stream, "%-9s %7s %11s %s\n", "WHO", "PID", "RATE/S", "STATE");
}

static void draw_place(FILE *stream, const struct verso_channel_place *place, double rate, int columns)
{
    char who[24], pid[16] = "-", count[32], per_second[32], lag[16] = "-";
    char *program = name_shown(place->name);

    (void)snprintf(who, sizeof(who), "%s %u", place->is_writer ? "writer" : "reader", place->number);
    if (place->process > 0)
        (void)snprintf(pid, sizeof(pid), "%" PRId32, place->process);
    if (!place->is_writer)
        bytes_shown(place->lag_bytes, lag);
    count_shown(place->messages, count);
    count_shown((uint64_t)rate, per_second);
    if (columns >= WIDE)
        fprintf(stream, "%-9s %7s %-15.15s %13s %11s %9s %s\n", who, pid, *program ? program : "-", count, per_second,
                lag, stat_place_state(place));
    else if (columns >= MIDDLE)
        fprintf(stream, "%-9s %7s %13s %11s %9s\n", who, pid, count, per_second, stat_place_state(place));
    else
        fprintf(stream, "%-9s %7s %11s %s\n", who, pid, per_second, stat_place_state(place));
    free(program);
}

void stat_draw(FILE *stream, const char *name, const struct stat_sample *before, const struct stat_sample *now,
               int columns)
{
    const struct verso_channel_info *then = &before->info, *info = &now->info;
    char ring[16];
    char *shown = name_shown(name);

    fprintf(stream, "%s: %s, %s", shown, channel_kind_shown(info->kind), bytes_shown(info->capacity_bytes, ring));
    if (columns >= MIDDLE)
        fprintf(stream, "%s, full: %s", info->flags & VERSO_CHANNEL_LASTING ? ", lasting" : "",
                channel_full_shown(info->full));
    fputs("\n\n", stream);
    draw_count(stream, "sent", info->sent, stat_rate(before, now, then->sent, info->sent),
               stat_rate(before, now, then->sent_bytes, info->sent_bytes), columns >= MIDDLE);
    draw_count(stream, "received", info->received, stat_rate(before, now, then->received, info->received),
               stat_rate(before, now, then->received_bytes, info->received_bytes), columns >= MIDDLE);
    draw_ring(stream, info, columns >= 66);
    draw_sums(stream, info);
    if (now->place_count) {
        fputc('\n', stream);
        draw_head(stream, columns);
    }
    for (size_t i = 0; i < now->place_count; i++) {
        const struct verso_channel_place *place = &now->places[i], *earlier = stat_place_before(before, place);

        draw_place(stream, place, stat_rate(before, now, earlier ? earlier->messages : 0, place->messages), columns);
    }
    free(shown);
}
