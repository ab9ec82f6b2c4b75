/* SPDX-License-Identifier: MIT */
/* watch_layout - lines given out one by one, in the order of what is missed most. Pure. */
#include "watch_layout.h"

#define LINES_MIN 6
#define COLUMNS_MIN 24
#define BAND_HEIGHT_MAX 12
#define PROCESS_HEIGHT_MAX 3

/* How many lines each part gets. */
struct shares {
    int ruler, captions, disk, cache, frames, processes, process_height, gaps, rates, story, legend, keys;
};

enum part {
    PART_KEYS,
    PART_STORY,
    PART_RATES,
    PART_RULER,
    PART_PROCESSES,
    PART_LEGEND,
    PART_CAPTIONS,
    PART_DISK,
    PART_CACHE,
    PART_FRAMES,
    PART_GAPS,
};

/* The order below the one line each that everything starts from. At 24 lines all of it is there. */
static const enum part order[] = {
    PART_KEYS,  PART_STORY, PART_RATES, PART_RULER,  PART_STORY,  PART_PROCESSES, PART_LEGEND, PART_CAPTIONS,
    PART_RATES, PART_CACHE, PART_DISK,  PART_FRAMES, PART_LEGEND, PART_RATES,     PART_STORY,  PART_PROCESSES,
};

/* What is left over makes the rows taller, in turn. */
static const enum part spare[] = { PART_CACHE, PART_PROCESSES, PART_DISK, PART_FRAMES, PART_PROCESSES, PART_GAPS };

static int sum(const struct shares *shares)
{
    return 1 + shares->ruler + shares->captions + shares->disk + shares->cache + shares->frames +
           shares->processes * shares->process_height + shares->gaps + shares->rates + shares->story + shares->legend +
           shares->keys;
}

/* More of a part, if there is more of it to show. */
static struct shares with(struct shares shares, enum part part, size_t process_count)
{
    switch (part) {
    case PART_KEYS:
        shares.keys = 1;
        break;
    case PART_STORY:
        shares.story += shares.story < LAYOUT_STORY_MAX;
        break;
    case PART_RATES:
        shares.rates += shares.rates < LAYOUT_RATES_MAX;
        break;
    case PART_RULER:
        shares.ruler = 1;
        break;
    case PART_PROCESSES:
        if ((size_t)shares.processes < process_count)
            shares.processes++;
        else if (shares.cache > PROCESS_HEIGHT_MAX && shares.process_height < PROCESS_HEIGHT_MAX)
            shares.process_height++;
        break;
    case PART_LEGEND:
        shares.legend += shares.legend < LAYOUT_LEGEND_MAX;
        break;
    case PART_CAPTIONS: /* all four or none: a caption here and none there is harder to read */
        shares.captions = 4;
        break;
    case PART_DISK:
        shares.disk += shares.disk < BAND_HEIGHT_MAX;
        break;
    case PART_CACHE:
        shares.cache += shares.cache < BAND_HEIGHT_MAX;
        break;
    case PART_FRAMES:
        shares.frames += shares.frames < BAND_HEIGHT_MAX;
        break;
    case PART_GAPS:
        shares.gaps = 2;
        break;
    }
    return shares;
}

static struct shares share_out(int lines, size_t process_count)
{
    struct shares shares = { .disk = 1, .cache = 1, .frames = 1, .processes = 1, .process_height = 1, .story = 1 };
    int before;

    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        struct shares more = with(shares, order[i], process_count);

        if (sum(&more) <= lines)
            shares = more;
    }
    do {
        before = sum(&shares);
        for (size_t i = 0; i < sizeof(spare) / sizeof(spare[0]); i++) {
            struct shares more = with(shares, spare[i], process_count);

            if (sum(&more) <= lines)
                shares = more;
        }
    } while (sum(&shares) > before);
    return shares;
}

/* Takes @count lines from the top of what is left; -1 for none. */
static int take(int *line, int count)
{
    int top = *line;

    *line += count;
    return count > 0 ? top : -1;
}

static struct band band_at(int *line, bool has_caption, int height)
{
    struct band band = { .caption = take(line, has_caption), .height = height };

    band.top = take(line, height);
    return band;
}

static int gutter_of(int columns)
{
    return columns >= 70 ? 14 : columns >= 50 ? 10 : 9; /* "virtual" fits at least */
}

struct layout layout_make(int lines, int columns, size_t process_count)
{
    struct layout layout = { .lines = lines, .columns = columns, .gutter = gutter_of(columns) };
    struct shares shares;
    int line = 0;

    if (lines < LINES_MIN || columns < COLUMNS_MIN)
        return layout;
    shares = share_out(lines, process_count);
    layout.fits = true;
    layout.width = columns - layout.gutter - 1;
    layout.process_height = shares.process_height;
    layout.rate_count = shares.rates;
    layout.story_count = shares.story;
    layout.title = take(&line, 1);
    layout.ruler = take(&line, shares.ruler);
    layout.disk = band_at(&line, shares.captions, shares.disk);
    layout.cache = band_at(&line, shares.captions, shares.cache);
    layout.frames = band_at(&line, shares.captions, shares.frames);
    layout.processes = band_at(&line, shares.captions, shares.processes * shares.process_height);
    line += shares.gaps > 0;
    layout.rates = take(&line, shares.rates);
    line += shares.gaps > 1;
    layout.story = take(&line, shares.story);
    /* The last two lines stay at the bottom, whatever could not be given out. */
    layout.legend_count = shares.legend;
    layout.legend = shares.legend ? lines - shares.keys - shares.legend : -1;
    layout.keys = shares.keys ? lines - 1 : -1;
    return layout;
}

int layout_process_rows(const struct layout *layout)
{
    return layout->process_height > 0 ? layout->processes.height / layout->process_height : 0;
}
