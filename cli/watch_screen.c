/* SPDX-License-Identifier: MIT */
/* watch_screen - titles, rows, sentences, legend and keys, drawn anew each time; curses sends what changed. */
#include "watch_screen.h"
#include "command.h"
#include "output.h"
#include "watch_drawing.h"
#include "watch_help.h"
#include "watch_story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Text in the picture's columns. */
static void say(const struct drawing *drawing, int line, enum tone tone, const char *text)
{
    const struct layout *layout = layout_of(drawing);

    (void)paint_text(paint_of(drawing), line, layout->gutter, layout->columns - 1, tone, text);
}

/* Says @text and frees it. */
static void say_made(const struct drawing *drawing, int line, enum tone tone, char *text)
{
    say(drawing, line, tone, text);
    free(text);
}

static struct cell *cells_for(const struct drawing *drawing, size_t count)
{
    struct screen *screen = drawing->screen;

    if (count > screen->cell_room) {
        screen->cells = allocate(screen->cells, count, sizeof(*screen->cells));
        screen->cell_room = count;
    }
    return screen->cells;
}

/* ---- Title and ruler ---- */

static void draw_title(const struct drawing *drawing)
{
    const struct layout *layout = layout_of(drawing);
    const struct watch_model *model = drawing->model;
    const char *slash = strrchr(model->path, '/');
    char *name = name_shown(layout->columns < 110 && slash && slash[1] ? slash + 1 : model->path);
    char bytes[32], right[64], *left;
    int edge;

    mvhline(layout->title, 0, ' ' | A_REVERSE, layout->columns);
    if (drawing->screen->cpu_percent >= 0)
        (void)snprintf(right, sizeof(right), "%s  own cost %.1f %% ", drawing->control->is_paused ? "PAUSED" : "live",
                       drawing->screen->cpu_percent);
    else
        (void)snprintf(right, sizeof(right), "%s ", drawing->control->is_paused ? "PAUSED" : "live");
    edge = layout->columns - (int)strlen(right);
    if (asprintf(&left, " verso  %s%s  %s%s", model->is_copy ? "copy of " : "", name,
                 bytes_shown(model->file_bytes, bytes), model->is_gone ? ", its name is gone" : "") >= 0) {
        (void)paint_text(paint_of(drawing), layout->title, 0, edge - 1, TONE_TITLE, left);
        free(left);
    }
    if (edge > 8)
        (void)paint_text(paint_of(drawing), layout->title, edge, layout->columns, TONE_TITLE, right);
    free(name);
}

static uint64_t cell_pages(const struct drawing *drawing, int cells_per_column)
{
    size_t cells = (size_t)layout_of(drawing)->width * (size_t)cells_per_column;

    return window_cell(drawing->control->window, 0, cells).page_count;
}

static void draw_ruler(const struct drawing *drawing)
{
    const struct layout *layout = layout_of(drawing);
    struct window window = drawing->control->window;
    uint64_t pages = cell_pages(drawing, paint_cells_per_column(paint_of(drawing), layout->cache.height));
    char first[32], last[32], all[32], step[32], bytes[32], text[128], cell[128];
    int edge;

    if (layout->ruler < 0)
        return;
    label(drawing, layout->ruler, TONE_STRONG, "pages");
    if (window.page_count == 0) {
        say(drawing, layout->ruler, TONE_PLAIN, "the file is empty");
        return;
    }
    (void)snprintf(text, sizeof(text), "%s - %s of %s", count_shown(window.first_page, first),
                   count_shown(window.first_page + window.page_count - 1, last),
                   count_shown(watch_page_count(drawing->model), all));
    (void)snprintf(cell, sizeof(cell), "1 cell = %s page%s, %s", count_shown(pages, step), pages == 1 ? "" : "s",
                   bytes_shown(pages * drawing->model->page_bytes, bytes));
    say(drawing, layout->ruler, TONE_PLAIN, text);
    edge = layout->columns - 1 - (int)strlen(cell);
    if (edge > layout->gutter + (int)strlen(text) + 1)
        (void)paint_text(paint_of(drawing), layout->ruler, edge, layout->columns, TONE_PLAIN, cell);
    paint_cursor(paint_of(drawing), layout->ruler, paint_of(drawing)->can_utf8 ? "▼" : "v");
}

/* ---- The four rows ---- */

/* What a row says as a whole, and where that is known from; frees @text. Without room for it, its name alone. */
static void draw_caption(const struct drawing *drawing, const struct band *band, const char *name, char *text,
                         const char *source)
{
    const struct layout *layout = layout_of(drawing);
    int edge = layout->columns - 1 - (int)strlen(source), end;

    if (band->caption < 0) {
        label(drawing, band->top, TONE_STRONG, name);
        free(text);
        return;
    }
    label(drawing, band->caption, TONE_STRONG, name);
    end = paint_text(paint_of(drawing), band->caption, layout->gutter, layout->columns - 1, TONE_PLAIN, text);
    free(text);
    if (edge > end + 2)
        (void)paint_text(paint_of(drawing), band->caption, edge, layout->columns, TONE_QUIET, source);
    paint_cursor(paint_of(drawing), band->caption, paint_of(drawing)->can_utf8 ? "│" : "|");
}

static void draw_row_caption(const struct drawing *drawing, const struct band *band, const char *name,
                             enum summary_row row)
{
    draw_caption(drawing, band, name, summary_text(drawing->model, row), summary_source(drawing->model, row));
}

/* A row that can't be shown says why, in its own place. */
static void draw_missing(const struct drawing *drawing, const struct band *band, const char *why)
{
    if (band->caption < 0)
        say(drawing, band->top, TONE_QUIET, why);
    else
        for (int line = 0; line < band->height; line++)
            for (int column = 0; column < layout_of(drawing)->width; column++)
                (void)paint_text(paint_of(drawing), band->top + line, layout_of(drawing)->gutter + column,
                                 layout_of(drawing)->columns, TONE_QUIET, paint_of(drawing)->can_utf8 ? "╱" : "/");
}

/* Left of a skyline: what its top and its bottom are. */
static void draw_scale(const struct drawing *drawing, const struct band *band, const char *top, const char *bottom)
{
    int room = layout_of(drawing)->gutter - 2;

    /* Half a number is worse than none. */
    if (band->caption < 0 || band->height < 2 || (int)strlen(top) > room || (int)strlen(bottom) > room)
        return;
    label(drawing, band->top, TONE_QUIET, top);
    label(drawing, band->top + band->height - 1, TONE_QUIET, bottom);
}

static void draw_disk(const struct drawing *drawing)
{
    const struct layout *layout = layout_of(drawing);
    const struct watch_model *model = drawing->model;
    struct place_range range = disk_range(model->extents, model->extent_count);
    size_t count = (size_t)layout->width;
    struct cell *cells = cells_for(drawing, count);
    char top[32], bottom[32];

    draw_row_caption(drawing, &layout->disk, "disk", SUMMARY_DISK);
    if (model->extents_error) {
        draw_missing(drawing, &layout->disk, model->extents_why);
        return;
    }
    draw_scale(drawing, &layout->disk, bytes_shown(range.highest, top), bytes_shown(range.lowest, bottom));
    cells_disk(model->extents, model->extent_count, model->page_bytes, drawing->control->window, cells, count);
    paint_skyline(paint_of(drawing), layout->disk.top, layout->disk.height, layout->width, cells);
}

static void draw_cache(const struct drawing *drawing)
{
    const struct layout *layout = layout_of(drawing);
    size_t count = (size_t)layout->width * (size_t)paint_cells_per_column(paint_of(drawing), layout->cache.height);
    struct cell *cells = cells_for(drawing, count);

    draw_row_caption(drawing, &layout->cache, is_wide(drawing) ? "page cache" : "cache", SUMMARY_CACHE);
    if (drawing->model->pages_error) {
        draw_missing(drawing, &layout->cache, drawing->model->pages_why);
        return;
    }
    cells_cache(&drawing->model->pages, drawing->control->window, cells, count);
    paint_strip(paint_of(drawing), layout->cache.top, layout->cache.height, layout->width, cells);
}

static void draw_frames(const struct drawing *drawing)
{
    const struct layout *layout = layout_of(drawing);
    const struct watch_model *model = drawing->model;
    size_t count = (size_t)layout->width;
    struct cell *cells = cells_for(drawing, count);
    char top[32], bottom[32];

    draw_row_caption(drawing, &layout->frames, "frames", SUMMARY_FRAMES);
    if (model->pages_error || model->frames_error) {
        draw_missing(drawing, &layout->frames, model->pages_error ? model->pages_why : model->frames_why);
        return;
    }
    (void)snprintf(top, sizeof(top), "0x%llx", (unsigned long long)model->frame_range.highest);
    (void)snprintf(bottom, sizeof(bottom), "0x%llx", (unsigned long long)model->frame_range.lowest);
    draw_scale(drawing, &layout->frames, top, bottom);
    cells_frames(&model->pages, model->frame_range, drawing->control->window, cells, count);
    paint_skyline(paint_of(drawing), layout->frames.top, layout->frames.height, layout->width, cells);
}

/* ---- Processes ---- */

/* The first process shown: such that the chosen one is on the screen. */
static size_t first_process(const struct drawing *drawing, size_t rows)
{
    size_t chosen = drawing->control->process;

    return chosen < rows ? 0 : chosen - rows + 1;
}

/* Name and number of a process in the gutter: on two lines, or on one where both fit. */
static void draw_process_label(const struct drawing *drawing, const struct watch_process *process, int line,
                               bool chosen)
{
    const struct layout *layout = layout_of(drawing);
    enum tone tone = chosen ? TONE_STRONG : TONE_PLAIN;
    char *name = name_shown(process->command), pid[24];
    int end;

    (void)snprintf(pid, sizeof(pid), "%ld", (long)process->pid);
    end = 1 + (int)strlen(name);
    /* Of several with one name, its beginning tells nothing; the caption says the chosen one's name. */
    if (end >= layout->gutter && layout->process_height == 1 && layout->processes.caption >= 0) {
        label(drawing, line, tone, pid);
        end = layout->gutter;
    } else
        label(drawing, line, tone, name);
    if (layout->process_height > 1)
        label(drawing, line + 1, TONE_QUIET, pid);
    else if (end + 1 + (int)strlen(pid) < layout->gutter)
        (void)paint_text(paint_of(drawing), line, end + 1, layout->gutter - 1, tone, pid);
    if (chosen && drawing->model->process_count > 1)
        (void)paint_text(paint_of(drawing), line, 0, 1, TONE_STRONG, paint_of(drawing)->can_utf8 ? "▸" : ">");
    free(name);
}

static void draw_process(const struct drawing *drawing, size_t index, int line)
{
    const struct layout *layout = layout_of(drawing);
    const struct watch_process *process = &drawing->model->processes[index];
    size_t count = (size_t)layout->width * (size_t)paint_cells_per_column(paint_of(drawing), layout->process_height);
    struct cell *cells = cells_for(drawing, count);

    draw_process_label(drawing, process, line, index == drawing->control->process);
    if (process->error) {
        say(drawing, line, TONE_QUIET, verso_error_text(process->error));
        return;
    }
    cells_virtual(process, drawing->model->page_bytes, drawing->control->window, cells, count);
    paint_strip(paint_of(drawing), line, layout->process_height, layout->width, cells);
}

/* Of the chosen process, and how many there are; else why there is none. */
static char *processes_text(const struct drawing *drawing)
{
    const struct watch_model *model = drawing->model;
    const struct watch_process *process;
    char *text, *name, *all;
    int made;

    if (model->process_count == 0)
        return summary_text(model, SUMMARY_VIRTUAL);
    process = &model->processes[drawing->control->process];
    text = process_text(model, process);
    name = name_shown(process->command);
    made = asprintf(&all, "%zu of %zu: %s %ld, %s", drawing->control->process + 1, model->process_count, name,
                    (long)process->pid, text);
    free(name);
    if (made < 0)
        return text;
    free(text);
    return all;
}

static void draw_processes(const struct drawing *drawing)
{
    const struct layout *layout = layout_of(drawing);
    size_t rows = (size_t)layout_process_rows(layout), first = first_process(drawing, rows);

    if (drawing->model->process_count == 0 || layout->processes.caption >= 0)
        draw_caption(drawing, &layout->processes, "virtual", processes_text(drawing),
                     summary_source(drawing->model, SUMMARY_VIRTUAL));
    if (drawing->model->process_count == 0 && layout->processes.caption < 0)
        say_made(drawing, layout->processes.top, TONE_QUIET, processes_text(drawing));
    for (size_t row = 0; row < rows && first + row < drawing->model->process_count; row++)
        draw_process(drawing, first + row, layout->processes.top + (int)row * layout->process_height);
}

/* ---- The cursor's page in words ---- */

/* Parts on one line, with @between between them. */
static char *join(const struct drawing *drawing, enum story_part first, enum story_part last, const char *between)
{
    const struct watch_model *model = drawing->model;
    const struct watch_process *process = model->process_count ? &model->processes[drawing->control->process] : NULL;
    char *all = story_text(model, first, drawing->control->cursor, process);

    for (enum story_part part = first; part < last;) {
        char *more = story_text(model, ++part, drawing->control->cursor, process), *longer;
        int made = asprintf(&longer, "%s%s%s", all, between, more);

        free(more);
        if (made < 0)
            return all;
        free(all);
        all = longer;
    }
    return all;
}

static void draw_story(const struct drawing *drawing)
{
    /* Which parts stand on which line, for one to four lines. */
    static const struct {
        enum story_part first, last;
        const char *label;
    } lines[LAYOUT_STORY_MAX][LAYOUT_STORY_MAX] = {
        { { STORY_PAGE, STORY_VIRTUAL, "page" } },
        { { STORY_PAGE, STORY_DISK, "page" }, { STORY_CACHE, STORY_VIRTUAL, "memory" } },
        { { STORY_PAGE, STORY_DISK, "page" },
          { STORY_CACHE, STORY_FRAME, "memory" },
          { STORY_VIRTUAL, STORY_VIRTUAL, "addr" } },
        { { STORY_PAGE, STORY_PAGE, "page" },
          { STORY_DISK, STORY_DISK, "disk" },
          { STORY_CACHE, STORY_FRAME, "memory" },
          { STORY_VIRTUAL, STORY_VIRTUAL, "addr" } },
    };
    const struct layout *layout = layout_of(drawing);
    const char *between = paint_of(drawing)->can_utf8 ? " → " : " -> ";

    for (int i = 0; i < layout->story_count && watch_page_count(drawing->model) > 0; i++) {
        label(drawing, layout->story + i, TONE_STRONG, lines[layout->story_count - 1][i].label);
        say_made(
            drawing, layout->story + i, TONE_PLAIN,
            join(drawing, lines[layout->story_count - 1][i].first, lines[layout->story_count - 1][i].last, between));
    }
}

/* ---- Legend and keys ---- */

/* What the colours, or letters, on the screen mean. Nothing is drawn as nothing: as a picture it needs no sample. */
static bool needs_sample(const struct paint *paint, int kind)
{
    return paint->used[kind] && cell_kinds[kind].name[0] &&
           (paint_by_letters(paint) || cell_kinds[kind].hue != HUE_GROUND);
}

/* The row's name before its first kind. */
static int draw_legend_row(const struct drawing *drawing, int line, int column, const char *row)
{
    return paint_text(paint_of(drawing), line, column, layout_of(drawing)->columns, TONE_STRONG, row) + 1;
}

/* Row by row; what has no room is hinted at by dots. */
static void draw_legend(const struct drawing *drawing)
{
    const struct layout *layout = layout_of(drawing);
    struct paint *paint = paint_of(drawing);
    int line = layout->legend, last = line + layout->legend_count - 1, column = 1;
    const char *row = "";

    for (int kind = 0; layout->legend >= 0 && kind < KIND_COUNT; kind++) {
        const struct cell_kind_row *about = &cell_kinds[kind];
        bool is_new_row = strcmp(row, about->row) != 0;
        int width = 2 + (int)strlen(about->name) + (is_new_row ? (int)strlen(about->row) + 1 : 0);

        if (!needs_sample(paint, kind))
            continue;
        if (column + width > layout->columns - (line == last ? 2 : 0)) {
            if (line == last) {
                (void)paint_text(paint, line, column, layout->columns, TONE_QUIET, paint->can_utf8 ? "…" : "...");
                return;
            }
            line++;
            column = 1;
        }
        if (is_new_row)
            column = draw_legend_row(drawing, line, column, about->row);
        row = about->row;
        column = paint_sample(paint, line, column, (enum cell_kind)kind);
        column = paint_text(paint, line, column + 1, layout->columns, TONE_PLAIN, about->name) + 2;
    }
}

/* As many as there is room for, the most needed first. */
static void draw_keys(const struct drawing *drawing)
{
    static const char *const keys[] = { "? keys",   "q quit",      "space pause", "arrows move",
                                        "+ - zoom", "Tab process", "f follow" };
    const struct layout *layout = layout_of(drawing);
    const char *message = drawing->screen->message;
    int column = 1;

    if (layout->keys < 0)
        return;
    if (message) {
        (void)paint_text(paint_of(drawing), layout->keys, 1, layout->columns - 1, TONE_ALERT, message);
        return;
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        if (column + (int)strlen(keys[i]) >= layout->columns)
            return;
        column = paint_text(paint_of(drawing), layout->keys, column, layout->columns, TONE_QUIET, keys[i]) + 2;
    }
}

/* ---- All of it ---- */

void screen_fit(struct screen *screen, const struct watch_model *model, struct stage *out_stage)
{
    screen->layout = layout_make(LINES, COLS, model->process_count);
    screen->paint.left = screen->layout.gutter;
    *out_stage = (struct stage){
        .page_count = watch_page_count(model),
        .process_count = model->process_count,
        .width = screen->layout.width,
    };
}

static void draw_picture(const struct drawing *drawing)
{
    draw_title(drawing);
    draw_ruler(drawing);
    if (watch_page_count(drawing->model) > 0) {
        draw_disk(drawing);
        draw_cache(drawing);
        draw_frames(drawing);
        draw_processes(drawing);
    }
    draw_rates(drawing);
    draw_story(drawing);
    draw_legend(drawing);
    draw_keys(drawing);
}

void screen_draw(struct screen *screen, const struct watch_model *model, const struct control *control)
{
    struct drawing drawing = { screen, model, control };
    struct stage stage = { watch_page_count(model), model->process_count, screen->layout.width };

    erase();
    memset(screen->paint.used, 0, sizeof(screen->paint.used));
    screen->paint.letters = control->shows_letters;
    screen->paint.cursor_column = stage.page_count ? control_column(control, &stage) : -1;
    if (screen->layout.fits)
        draw_picture(&drawing);
    else
        (void)paint_text(&screen->paint, 0, 0, COLS, TONE_PLAIN, "too small: 24x6 at least");
    if (control->shows_help)
        help_draw(&screen->paint);
    refresh();
}

void screen_clear(struct screen *screen)
{
    free(screen->cells);
    screen->cells = NULL;
    screen->cell_room = 0;
}
