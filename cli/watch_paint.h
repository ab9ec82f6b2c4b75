/* SPDX-License-Identifier: MIT */
/*
 * watch_paint.h - cells, bars and texts on a terminal.
 *
 * Two ways to draw a row. As a picture: a character is split in an upper and a lower half with a colour each, so a
 * strip of h lines has 2h cells in every column, filled from top to bottom, column by column; a skyline has bars in
 * eighths.
 * As letters: one cell a character, a letter for its kind; taken where there are less than 256 colours, where colours
 * are not wanted, where characters are not UTF-8, or when asked for.
 */
#ifndef VERSO_CLI_WATCH_PAINT_H
#define VERSO_CLI_WATCH_PAINT_H

#include "watch_cells.h"

#include <curses.h>

struct paint {
    bool has_picture; /* 256 colours and UTF-8 */
    bool has_color;   /* at least eight */
    bool can_utf8;
    bool letters;          /* asked for */
    int cursor_column;     /* of the picture; -1: none */
    int left;              /* first column of the picture */
    bool used[KIND_COUNT]; /* kinds on the screen, for the legend */
};

/* A style of text. */
enum tone {
    TONE_PLAIN,
    TONE_QUIET,
    TONE_STRONG,
    TONE_TITLE,
    TONE_ALERT,
};

/* Finds out what the terminal can; curses is started. */
void paint_start(struct paint *paint, bool wants_color);

/* Whether rows are drawn as letters now. */
bool paint_by_letters(const struct paint *paint);

/* How many cells a column of a strip of @height lines has. */
int paint_cells_per_column(const struct paint *paint, int height);

/* A strip: @cells are width * paint_cells_per_column(), column by column. */
void paint_strip(struct paint *paint, int top, int height, int width, const struct cell *cells);

/* A skyline: one cell a column; its height is the bar. */
void paint_skyline(struct paint *paint, int top, int height, int width, const struct cell *cells);

/* A sparkline of heights 0..8 on one line. */
void paint_sparkline(struct paint *paint, int line, int column, const uint8_t *heights, size_t count, enum hue hue);

/* Text from a column to before @end, cut there with an ellipsis. Answers the column after it. */
int paint_text(const struct paint *paint, int line, int column, int end, enum tone tone, const char *text);

/* The cursor's mark through a line of text: only where it touches none. */
void paint_cursor(const struct paint *paint, int line, const char *mark);

/* A sample of a kind, as the rows show it. Answers the column after it. */
int paint_sample(const struct paint *paint, int line, int column, enum cell_kind kind);

#endif
