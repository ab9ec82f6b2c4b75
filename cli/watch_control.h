/* SPDX-License-Identifier: MIT */
/*
 * watch_control.h - what the keys do: the window, the cursor, the chosen process.
 *
 * One cursor is one page; all rows mark it. Zooming keeps the cursor's page where it is on the screen.
 */
#ifndef VERSO_CLI_WATCH_CONTROL_H
#define VERSO_CLI_WATCH_CONTROL_H

#include "watch_cells.h"

enum action {
    ACTION_NONE,
    ACTION_QUIT,
    ACTION_PAUSE,
    ACTION_HELP,
    ACTION_LETTERS,
    ACTION_MOUSE,
    ACTION_FOLLOW,
    ACTION_LEFT, /* one column */
    ACTION_RIGHT,
    ACTION_PAGE_BACK, /* one page of the file */
    ACTION_PAGE_ON,
    ACTION_SCROLL_BACK, /* half a window */
    ACTION_SCROLL_ON,
    ACTION_START,
    ACTION_END,
    ACTION_ZOOM_IN,
    ACTION_ZOOM_OUT,
    ACTION_ZOOM_ALL,
    ACTION_NEXT_PROCESS,
    ACTION_PREVIOUS_PROCESS,
};

struct control {
    struct window window;
    uint64_t cursor; /* a page */
    size_t process;  /* index of the chosen one */
    bool is_zoomed;  /* else the window is the whole file, however it grows */
    bool is_paused;
    bool shows_help;
    bool shows_letters;
    bool wants_mouse;
    bool follows; /* the cursor goes where pages come in */
    bool must_quit;
};

/* What the keys work on. */
struct stage {
    uint64_t page_count;
    size_t process_count;
    int width; /* columns of the picture */
};

/* Brings window, cursor and process back into what there is: after a resize, of the file or of the terminal. */
void control_fit(struct control *control, const struct stage *stage);

void control_act(struct control *control, enum action action, const struct stage *stage);

/* Puts the cursor on the page of a column of the picture. */
void control_point(struct control *control, int column, const struct stage *stage);

/* Puts the cursor on a page, and the window where it can be seen. */
void control_go(struct control *control, uint64_t page, const struct stage *stage);

/* The column of the cursor. */
int control_column(const struct control *control, const struct stage *stage);

#endif
