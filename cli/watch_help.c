/* SPDX-License-Identifier: MIT */
/* watch_help - the table of keys. */
#include "watch_help.h"

#include <string.h>

static const struct {
    int keys[4];
    enum action action;
    const char *shown; /* NULL: not listed, another name of a listed one */
    const char *says;
} rows[] = {
    { { 'q', 'Q', 27 }, ACTION_QUIT, "q", "quit (closes this first)" },
    { { ' ', 'p' }, ACTION_PAUSE, "space", "hold the picture; rates go on" },
    { { '+', '=', '\n', KEY_ENTER }, ACTION_ZOOM_IN, "+ -", "zoom in and out at the cursor" },
    { { '-', '_', KEY_BACKSPACE, 127 }, ACTION_ZOOM_OUT, NULL, NULL },
    { { '0', 'a' }, ACTION_ZOOM_ALL, "0", "the whole file" },
    { { KEY_LEFT, 'h' }, ACTION_LEFT, "left right", "move by one column" },
    { { KEY_RIGHT, 'l' }, ACTION_RIGHT, NULL, NULL },
    { { ',', '<' }, ACTION_PAGE_BACK, ", .", "move by one page of the file" },
    { { '.', '>' }, ACTION_PAGE_ON, NULL, NULL },
    { { KEY_PPAGE, '[' }, ACTION_SCROLL_BACK, "PgUp PgDn", "move by half a window" },
    { { KEY_NPAGE, ']' }, ACTION_SCROLL_ON, NULL, NULL },
    { { KEY_HOME, '^' }, ACTION_START, "Home End", "first, last page" },
    { { KEY_END, '$' }, ACTION_END, NULL, NULL },
    { { '\t', KEY_DOWN, 'j' }, ACTION_NEXT_PROCESS, "Tab up down", "choose a process" },
    { { KEY_BTAB, KEY_UP, 'k' }, ACTION_PREVIOUS_PROCESS, NULL, NULL },
    { { 'f' }, ACTION_FOLLOW, "f", "follow the process through the file" },
    { { 'g' }, ACTION_LETTERS, "g", "letters instead of colours" },
    { { 'm' }, ACTION_MOUSE, "m", "point with the mouse" },
    { { '?', KEY_F(1) }, ACTION_HELP, "?", "these keys" },
};
#define ROW_COUNT (sizeof(rows) / sizeof(rows[0]))
#define SHOWN_WIDTH 13
#define WIDTH 54

static const char *const words[] = {
    "",
    "One column is the same pages in all four rows.",
    "disk, frames: height is the place on the disk,",
    "  or in physical memory; a smooth slope is one run",
    "page cache, virtual: filled is in memory",
    "faint: fewer than half of the pages of the cell",
};
#define WORD_COUNT (sizeof(words) / sizeof(words[0]))

enum action help_action(int key)
{
    for (size_t row = 0; row < ROW_COUNT; row++)
        for (size_t i = 0; i < sizeof(rows[row].keys) / sizeof(rows[row].keys[0]); i++)
            if (rows[row].keys[i] == key && key != 0)
                return rows[row].action;
    return ACTION_NONE;
}

/* A line of the box: blanks, then text from @column on. */
static void draw_line(const struct paint *paint, int line, int left, int width, int column, const char *text)
{
    if (line >= LINES)
        return;
    mvhline(line, left, ' ' | A_REVERSE, width);
    (void)paint_text(paint, line, left + column, left + width - 1, TONE_TITLE, text);
}

void help_draw(const struct paint *paint)
{
    int width = WIDTH < COLS ? WIDTH : COLS, left = (COLS - width) / 2, line = 0;
    int height = (int)WORD_COUNT + 2;

    for (size_t i = 0; i < ROW_COUNT; i++)
        height += rows[i].shown != NULL;
    if (height < LINES)
        line = (LINES - height) / 2;
    draw_line(paint, line++, left, width, 1, "");
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (!rows[i].shown)
            continue;
        draw_line(paint, line, left, width, 2, rows[i].shown);
        if (line < LINES)
            (void)paint_text(paint, line, left + 2 + SHOWN_WIDTH, left + width - 1, TONE_TITLE, rows[i].says);
        line++;
    }
    for (size_t i = 0; i < WORD_COUNT; i++)
        draw_line(paint, line++, left, width, 2, words[i]);
    draw_line(paint, line, left, width, 1, "");
}
