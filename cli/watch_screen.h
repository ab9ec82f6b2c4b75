/* SPDX-License-Identifier: MIT */
/* watch_screen.h - the whole picture: which part of the model goes to which line of the layout. */
#ifndef VERSO_CLI_WATCH_SCREEN_H
#define VERSO_CLI_WATCH_SCREEN_H

#include "watch_control.h"
#include "watch_layout.h"
#include "watch_model.h"
#include "watch_paint.h"

struct screen {
    struct paint paint;
    struct layout layout;
    struct cell *cells; /* room for the largest row */
    size_t cell_room;
    double cpu_percent;  /* of one processor, this process, in the last seconds; below 0: not known yet */
    const char *message; /* instead of the keys; NULL: none */
};

/* Lays out anew for the terminal's size; what the keys then work on comes in *out_stage. */
void screen_fit(struct screen *screen, const struct watch_model *model, struct stage *out_stage);

void screen_draw(struct screen *screen, const struct watch_model *model, const struct control *control);

void screen_clear(struct screen *screen);

#endif
