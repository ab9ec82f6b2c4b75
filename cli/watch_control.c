/* SPDX-License-Identifier: MIT */
/* watch_control - moving and zooming over pages. Pure. */
#include "watch_control.h"

#define WINDOW_PAGES_MIN 8 /* zoomed in no further: wide cells of single pages */

void control_fit(struct control *control, const struct stage *stage)
{
    uint64_t pages = stage->page_count;

    if (!control->is_zoomed || control->window.page_count >= pages) {
        control->is_zoomed = false;
        control->window = (struct window){ 0, pages };
    }
    if (control->window.first_page > pages - control->window.page_count)
        control->window.first_page = pages - control->window.page_count;
    if (control->cursor >= pages)
        control->cursor = pages ? pages - 1 : 0;
    if (control->process >= stage->process_count)
        control->process = stage->process_count ? stage->process_count - 1 : 0;
}

void control_go(struct control *control, uint64_t page, const struct stage *stage)
{
    struct window *window = &control->window;

    control->cursor = page;
    control_fit(control, stage);
    if (control->cursor < window->first_page || control->cursor - window->first_page >= window->page_count) {
        uint64_t half = window->page_count / 2;

        window->first_page = control->cursor > half ? control->cursor - half : 0;
    }
    control_fit(control, stage);
}

int control_column(const struct control *control, const struct stage *stage)
{
    return stage->width > 0 ? (int)window_cell_of(control->window, control->cursor, (size_t)stage->width) : 0;
}

void control_point(struct control *control, int column, const struct stage *stage)
{
    if (column < 0 || column >= stage->width || stage->page_count == 0)
        return;
    control->cursor = window_cell(control->window, (size_t)column, (size_t)stage->width).first_page;
    control_fit(control, stage);
}

static void go_back(struct control *control, uint64_t pages, const struct stage *stage)
{
    control_go(control, control->cursor > pages ? control->cursor - pages : 0, stage);
}

static void go_on(struct control *control, uint64_t pages, const struct stage *stage)
{
    control_go(control, pages > UINT64_MAX - control->cursor ? UINT64_MAX : control->cursor + pages, stage);
}

/* At least one page, also where several columns show one. */
static uint64_t column_pages(const struct control *control, const struct stage *stage)
{
    uint64_t pages = stage->width > 0 ? control->window.page_count / (uint64_t)stage->width : 0;

    return pages ? pages : 1;
}

/* A window of @pages pages in which the cursor stands at the same share of the width as before. */
static void zoom(struct control *control, uint64_t pages, const struct stage *stage)
{
    uint64_t left = control->cursor - control->window.first_page, before = control->window.page_count;

    if (pages < WINDOW_PAGES_MIN)
        pages = WINDOW_PAGES_MIN;
    if (before == 0 || pages >= stage->page_count) {
        control->is_zoomed = false;
        control_fit(control, stage);
        return;
    }
    left = (uint64_t)((double)left / (double)before * (double)pages);
    control->is_zoomed = true;
    control->window.page_count = pages;
    control->window.first_page = control->cursor > left ? control->cursor - left : 0;
    control_fit(control, stage);
}

static void choose(struct control *control, size_t step, const struct stage *stage)
{
    if (stage->process_count)
        control->process = (control->process + step) % stage->process_count;
}

static void act_on_window(struct control *control, enum action action, const struct stage *stage)
{
    uint64_t pages = control->window.page_count;

    switch (action) {
    case ACTION_LEFT:
        go_back(control, column_pages(control, stage), stage);
        break;
    case ACTION_RIGHT:
        go_on(control, column_pages(control, stage), stage);
        break;
    case ACTION_PAGE_BACK:
        go_back(control, 1, stage);
        break;
    case ACTION_PAGE_ON:
        go_on(control, 1, stage);
        break;
    case ACTION_SCROLL_BACK:
        go_back(control, pages / 2 + 1, stage);
        break;
    case ACTION_SCROLL_ON:
        go_on(control, pages / 2 + 1, stage);
        break;
    case ACTION_START:
        control_go(control, 0, stage);
        break;
    case ACTION_END:
        control_go(control, UINT64_MAX, stage);
        break;
    case ACTION_ZOOM_IN:
        zoom(control, pages / 2, stage);
        break;
    case ACTION_ZOOM_OUT:
        zoom(control, pages > UINT64_MAX / 2 ? UINT64_MAX : pages * 2, stage);
        break;
    default:
        zoom(control, UINT64_MAX, stage);
    }
}

void control_act(struct control *control, enum action action, const struct stage *stage)
{
    switch (action) {
    case ACTION_NONE:
        break;
    case ACTION_QUIT: /* leaves what is on top first */
        control->must_quit = !control->shows_help;
        control->shows_help = false;
        break;
    case ACTION_PAUSE:
        control->is_paused = !control->is_paused;
        break;
    case ACTION_HELP:
        control->shows_help = !control->shows_help;
        break;
    case ACTION_LETTERS:
        control->shows_letters = !control->shows_letters;
        break;
    case ACTION_MOUSE:
        control->wants_mouse = !control->wants_mouse;
        break;
    case ACTION_FOLLOW:
        control->follows = !control->follows;
        break;
    case ACTION_NEXT_PROCESS:
        choose(control, 1, stage);
        break;
    case ACTION_PREVIOUS_PROCESS:
        choose(control, stage->process_count ? stage->process_count - 1 : 0, stage);
        break;
    default:
        if (action >= ACTION_LEFT && action <= ACTION_END)
            control->follows = false;
        act_on_window(control, action, stage);
    }
}
