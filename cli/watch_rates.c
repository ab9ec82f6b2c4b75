/* SPDX-License-Identifier: MIT */
/* watch_rates - faults and cached pages, second by second. */
#include "output.h"
#include "watch_drawing.h"

#include <inttypes.h>
#include <stdio.h>

enum rate {
    RATE_MINOR,
    RATE_MAJOR,
    RATE_CACHED,
};

static uint64_t rate_of(const struct history_bucket *bucket, enum rate rate)
{
    switch (rate) {
    case RATE_MINOR:
        return bucket->minor;
    case RATE_MAJOR:
        return bucket->major;
    default:
        return bucket->cached;
    }
}

static void rate_words(const struct drawing *drawing, enum rate rate, const struct history_bucket *last, char *out_text,
                       size_t room)
{
    char came[32], went[32];
    uint64_t pages = watch_page_count(drawing->model);

    if (rate == RATE_CACHED && drawing->model->cache.cached.error)
        (void)snprintf(out_text, room, "not known");
    else if (rate == RATE_CACHED)
        (void)snprintf(out_text, room, "%" PRIu64 " %% +%s -%s/s", pages ? (uint64_t)(last->cached * 100 / pages) : 0,
                       count_shown(last->came, came), count_shown(last->went, went));
    else
        (void)snprintf(out_text, room, "%s/s", count_shown(rate_of(last, rate), came));
}

/* Whole seconds only, the newest at the right: the line moves once a second and does not tremble. */
static void draw_rate(const struct drawing *drawing, int line, enum rate rate)
{
    static const char *const names[] = { "minor faults", "major faults", "cached" };
    static const char *const short_names[] = { "minor", "major", "cached" };
    static const enum hue hues[] = { HUE_SKY, HUE_VERMILION, HUE_GREEN };
    const struct layout *layout = layout_of(drawing);
    int words = layout->width > 50 ? 24 : 0, width = layout->width - words;
    uint64_t values[512];
    uint8_t heights[512];
    char text[64];
    size_t count = (size_t)width < 512 ? (size_t)width : 511;

    for (size_t i = 0; i < count; i++) {
        const struct history_bucket *bucket = history_back(&drawing->model->history, count - i);

        values[i] = bucket ? rate_of(bucket, rate) : 0;
    }
    values[count] = rate == RATE_CACHED ? watch_page_count(drawing->model) : 0; /* the scale: all of the file */
    (void)sparkline(values, count + 1, heights);
    label(drawing, line, TONE_STRONG, is_wide(drawing) ? names[rate] : short_names[rate]);
    paint_sparkline(paint_of(drawing), line, layout->gutter, heights, count, hues[rate]);
    if (words > 0 && history_back(&drawing->model->history, 1)) {
        rate_words(drawing, rate, history_back(&drawing->model->history, 1), text, sizeof(text));
        (void)paint_text(paint_of(drawing), line, layout->gutter + width + 1, layout->columns, TONE_PLAIN, text);
    }
}

void draw_rates(const struct drawing *drawing)
{
    static const enum rate shown[LAYOUT_RATES_MAX + 1][LAYOUT_RATES_MAX] = {
        { RATE_MINOR, RATE_MINOR, RATE_MINOR },
        { RATE_MINOR, RATE_MINOR, RATE_MINOR },
        { RATE_MINOR, RATE_CACHED, RATE_CACHED },
        { RATE_MINOR, RATE_MAJOR, RATE_CACHED },
    };
    const struct layout *layout = layout_of(drawing);

    for (int i = 0; i < layout->rate_count; i++)
        draw_rate(drawing, layout->rates + i, shown[layout->rate_count][i]);
}
