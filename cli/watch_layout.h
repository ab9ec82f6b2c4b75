/* SPDX-License-Identifier: MIT */
/*
 * watch_layout.h - which line of the terminal shows what.
 *
 * Lines are given out in the order of what one would miss most, so that 12 lines still show one line of each of the
 * four rows and a sentence about the cursor's page, and 60 lines show tall rows:
 *
 *     title                        name, size, live or paused, own cost
 *     ruler        ▼               which pages, how many a cell stands for
 *     disk         caption         ┐
 *                  skyline         │ one column is the same pages in all of them
 *     cache        caption         │
 *                  strip           │
 *     frames       caption         │
 *                  skyline         │
 *     virtual      caption         │
 *     a process    strip           ┘
 *     rates        sparkline
 *     story        the cursor's page in words
 *     legend, keys
 */
#ifndef VERSO_CLI_WATCH_LAYOUT_H
#define VERSO_CLI_WATCH_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#define LAYOUT_RATES_MAX 3
#define LAYOUT_STORY_MAX 4
#define LAYOUT_LEGEND_MAX 2

/* A row of the picture. @caption is its line, -1 when there is no room for one. */
struct band {
    int caption;
    int top;
    int height;
};

struct layout {
    bool fits; /* false: the terminal is too small for anything but saying so */
    int lines;
    int columns;
    int gutter; /* columns left of the picture */
    int width;  /* columns of the picture */
    int title;
    int ruler; /* -1: none; so for all below */
    struct band disk;
    struct band cache;
    struct band frames;
    struct band processes; /* height: how many processes are shown, times process_height */
    int process_height;
    int rates;
    int rate_count;
    int story;
    int story_count;
    int legend;
    int legend_count;
    int keys;
};

struct layout layout_make(int lines, int columns, size_t process_count);

/* How many processes have a strip. */
int layout_process_rows(const struct layout *layout);

#endif
