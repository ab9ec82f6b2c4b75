/* SPDX-License-Identifier: MIT */
/* watch_drawing.h - what the parts of one drawing share: where they draw, and words beside the picture. */
#ifndef VERSO_CLI_WATCH_DRAWING_H
#define VERSO_CLI_WATCH_DRAWING_H

#include "watch_screen.h"

/* What all parts of a drawing need. */
struct drawing {
    struct screen *screen;
    const struct watch_model *model;
    const struct control *control;
};

static inline struct paint *paint_of(const struct drawing *drawing)
{
    return &drawing->screen->paint;
}

static inline const struct layout *layout_of(const struct drawing *drawing)
{
    return &drawing->screen->layout;
}

/* Whether labels have room for whole words. */
static inline bool is_wide(const struct drawing *drawing)
{
    return layout_of(drawing)->gutter > 10;
}

/* Text left of the picture. */
static inline void label(const struct drawing *drawing, int line, enum tone tone, const char *text)
{
    (void)paint_text(paint_of(drawing), line, 1, layout_of(drawing)->gutter - 1, tone, text);
}

/* The lines of rates, over the last minutes. */
void draw_rates(const struct drawing *drawing);

#endif
