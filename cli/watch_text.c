/* SPDX-License-Identifier: MIT */
/* watch_text - the picture as plain text: a strip of letters for each row, a skyline over those that have places. */
#include "watch_text.h"
#include "command.h"
#include "output.h"
#include "watch_story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUTTER 9
#define PROCESSES_MAX 8 /* strips of processes; the others are counted */

struct strip {
    const struct watch_model *model;
    struct window window;
    struct cell *cells;
    size_t count;
    bool can_utf8;
    bool used[KIND_COUNT]; /* kinds that were shown, for the legend */
};

static const char *const bars[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };

static bool has_height(const struct cell *cell)
{
    return cell_kinds[cell->kind].hue != HUE_GROUND && cell->kind != KIND_NONE && cell->kind != KIND_DELAYED &&
           cell->kind != KIND_INLINE;
}

static void print_skyline(const struct strip *strip)
{
    printf("%*s", GUTTER, "");
    for (size_t i = 0; i < strip->count; i++) {
        const struct cell *cell = &strip->cells[i];

        if (strip->can_utf8)
            fputs(bars[has_height(cell) ? 1 + cell->height * 7 / 255 : 0], stdout);
        else
            putchar(has_height(cell) ? '0' + cell->height * 9 / 255 : ' ');
    }
    putchar('\n');
}

/* A cell of which less than half is in its state is shown by a small letter. */
static void print_letters(struct strip *strip)
{
    printf("%*s", GUTTER, "");
    for (size_t i = 0; i < strip->count; i++) {
        strip->used[strip->cells[i].kind] = true;
        putchar(cell_letter(&strip->cells[i]));
    }
    putchar('\n');
}

static void print_caption(const struct strip *strip, const char *name, enum summary_row row)
{
    char *text = summary_text(strip->model, row);

    printf("\n%-*s%s   [%s]\n", GUTTER, name, text, summary_source(strip->model, row));
    free(text);
}

static void print_legend(const struct strip *strip)
{
    const char *row = "";

    printf("\nlegend ");
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        if (!strip->used[kind] || !cell_kinds[kind].name[0])
            continue;
        if (strcmp(row, cell_kinds[kind].row) != 0) {
            printf("%s%*s%s:", *row ? "\n" : "", *row ? GUTTER : 2, "", cell_kinds[kind].row);
            row = cell_kinds[kind].row;
        }
        printf("  %c %s", cell_kinds[kind].letter, cell_kinds[kind].name);
    }
    printf("\n%*ssmall letters: fewer than half of the pages; skylines: how high on the disk, or in memory\n", GUTTER,
           "");
}

static void print_file(const struct strip *strip)
{
    const struct watch_model *model = strip->model;
    char bytes[32], pages[32], page_bytes[32], step[32];
    char *name = name_shown(model->path);

    printf("%s%s\n", model->is_copy ? "a private copy of " : "", name);
    free(name);
    printf("%s in %s page%s of %s, inode %llu%s\n", bytes_shown(model->file_bytes, bytes),
           count_shown(watch_page_count(model), pages), watch_page_count(model) == 1 ? "" : "s",
           bytes_shown(model->page_bytes, page_bytes), (unsigned long long)model->inode,
           model->is_gone ? "; its name is gone" : "");
    if (watch_page_count(model) > 0) {
        uint64_t each = window_cell(strip->window, 0, strip->count).page_count;

        printf("one letter stands for %s page%s, one column is the same pages in every row\n", count_shown(each, step),
               each == 1 ? "" : "s");
    }
}

static void print_disk(struct strip *strip)
{
    const struct watch_model *model = strip->model;

    print_caption(strip, "disk", SUMMARY_DISK);
    if (model->extents_error || strip->window.page_count == 0)
        return;
    cells_disk(model->extents, model->extent_count, model->page_bytes, strip->window, strip->cells, strip->count);
    print_skyline(strip);
    print_letters(strip);
}

static void print_cache(struct strip *strip)
{
    print_caption(strip, "cache", SUMMARY_CACHE);
    if (strip->model->pages_error || strip->window.page_count == 0)
        return;
    cells_cache(&strip->model->pages, strip->window, strip->cells, strip->count);
    print_letters(strip);
}

static void print_frames(struct strip *strip)
{
    const struct watch_model *model = strip->model;

    print_caption(strip, "frames", SUMMARY_FRAMES);
    if (model->pages_error || model->frames_error || strip->window.page_count == 0)
        return;
    cells_frames(&model->pages, model->frame_range, strip->window, strip->cells, strip->count);
    print_skyline(strip);
    print_letters(strip);
}

static void print_process(struct strip *strip, const struct watch_process *process)
{
    char *text = process_text(strip->model, process), *name = name_shown(process->command);

    printf("%*s%s %ld: %s; faults so far: %llu minor, %llu major\n", GUTTER, "", name, (long)process->pid, text,
           (unsigned long long)process->minor_faults, (unsigned long long)process->major_faults);
    free(text);
    free(name);
    cells_virtual(process, strip->model->page_bytes, strip->window, strip->cells, strip->count);
    print_letters(strip);
}

static void print_virtual(struct strip *strip)
{
    const struct watch_model *model = strip->model;

    print_caption(strip, "virtual", SUMMARY_VIRTUAL);
    if (strip->window.page_count == 0)
        return;
    for (size_t i = 0; i < model->process_count && i < PROCESSES_MAX; i++)
        print_process(strip, &model->processes[i]);
    if (model->process_count > PROCESSES_MAX)
        printf("%*sand %zu more; --json lists them all\n", GUTTER, "", model->process_count - PROCESSES_MAX);
}

/* A page that says most: cached and present in a process, else cached, else the first. */
static uint64_t telling_page(const struct watch_model *model)
{
    const struct leaf *leaf = pages_next(&model->pages, 0);

    for (size_t i = 0; i < model->process_count; i++)
        for (size_t m = 0; m < model->processes[i].mapping_count; m++) {
            const struct watch_mapping *mapping = &model->processes[i].mappings[m];

            if (mapping->run_count > 0)
                return (mapping->runs[0].start - mapping->start + mapping->offset_bytes) / model->page_bytes;
        }
    for (unsigned i = 0; leaf && i < LEAF_PAGES; i++)
        if (leaf->state[i] & PAGE_CACHED)
            return leaf->first_page + i;
    return 0;
}

static void print_story(const struct strip *strip)
{
    uint64_t page = telling_page(strip->model);

    printf("\nfor one  ");
    for (enum story_part part = STORY_PAGE; part < STORY_PARTS; part++) {
        char *text = story_text(strip->model, part, page, NULL);

        printf("%s%*s%s\n", "", part ? GUTTER + 2 : 0, "", text);
        free(text);
    }
}

void text_snapshot(const struct watch_model *model, int columns, bool can_utf8)
{
    struct strip strip = { .model = model, .window = { 0, watch_page_count(model) }, .can_utf8 = can_utf8 };

    strip.count = columns > GUTTER + 20 ? (size_t)columns - GUTTER : 20;
    strip.cells = allocate(NULL, strip.count, sizeof(*strip.cells));
    print_file(&strip);
    print_disk(&strip);
    print_cache(&strip);
    print_frames(&strip);
    print_virtual(&strip);
    if (strip.window.page_count > 0) {
        print_story(&strip);
        print_legend(&strip);
    }
    free(strip.cells);
}

void text_line(const struct watch_model *model)
{
    const struct history_bucket *last = history_back(&model->history, 1);
    char *cached = summary_text(model, SUMMARY_CACHE), *virtual = summary_text(model, SUMMARY_VIRTUAL);

    printf("%.1f s: cache %s; %s", (double)watch_tenths(model) / 10.0, cached, virtual);
    if (last)
        printf("; last second: %llu minor faults, %llu major, +%llu -%llu pages", (unsigned long long)last->minor,
               (unsigned long long)last->major, (unsigned long long)last->came, (unsigned long long)last->went);
    putchar('\n');
    free(cached);
    free(virtual);
}
