/* SPDX-License-Identifier: MIT */
/*
 * watch_processes - which processes map the file, and which of its pages are in their page tables.
 *
 * Looking at page tables is the dearest part (up to 17 ns a page for each process), so a process is only swept when
 * its counters moved, every few seconds anyway, and then a slice at a time:
 *
 *     mapping   [=======swept=======>.........................)
 *     update n        slice          ^ goes on here in update n + 1
 */
#include "watch_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLICE_PAGES UINT64_C(16384)
#define SWEEP_INTERVAL_NS UINT64_C(3000000000)

/* ---- Who maps it ---- */

static struct watch_process *process_of(const struct watch_model *model, pid_t pid)
{
    for (size_t i = 0; i < model->process_count; i++)
        if (model->processes[i].pid == pid)
            return &model->processes[i];
    return NULL;
}

/* Takes over what is known of the same mapping; a new one begins to be swept. */
static void mapping_begin(struct watch_mapping *mapping, const struct verso_inspect_mapper *row,
                          struct watch_process *before)
{
    *mapping = (struct watch_mapping){
        .start = row->start,
        .end = row->end,
        .offset_bytes = row->offset_bytes,
        .access = row->access,
        .swept = row->start,
    };
    for (size_t i = 0; before && i < before->mapping_count; i++) {
        struct watch_mapping *old = &before->mappings[i];

        if (old->start != row->start || old->end != row->end || old->offset_bytes != row->offset_bytes)
            continue;
        mapping->runs = old->runs;
        mapping->run_count = old->run_count;
        mapping->swept = old->swept;
        old->runs = NULL;
        old->run_count = 0;
    }
}

/* Makes a process of @count rows, all of one pid. False on no memory. */
static bool process_begin(struct watch_model *model, struct watch_process *process,
                          const struct verso_inspect_mapper *rows, size_t count)
{
    struct watch_process *before = process_of(model, rows->pid);

    memset(process, 0, sizeof(*process));
    if (before)
        *process = *before;
    process->pid = rows->pid;
    memcpy(process->command, rows->command, sizeof(process->command));
    process->error = 0;
    process->mapping_count = 0;
    process->mappings = calloc(count, sizeof(*process->mappings));
    if (!process->mappings)
        return false;
    process->mapping_count = count;
    for (size_t i = 0; i < count; i++)
        mapping_begin(&process->mappings[i], &rows[i], before);
    return true;
}

static int by_pid(const void *a, const void *b)
{
    const struct verso_inspect_mapper *left = a, *right = b;

    if (left->pid != right->pid)
        return left->pid < right->pid ? -1 : 1;
    return left->start < right->start ? -1 : left->start > right->start;
}

/* Puts the reader first: it is what the picture is about. */
static void reader_first(struct watch_model *model)
{
    struct watch_process *reader = model->reader ? process_of(model, model->reader) : NULL;
    struct watch_process moved;

    if (!reader)
        return;
    moved = *reader;
    memmove(&model->processes[1], model->processes, (size_t)(reader - model->processes) * sizeof(*model->processes));
    model->processes[0] = moved;
}

static void processes_take(struct watch_model *model, const struct verso_inspect_mapper *rows, size_t count)
{
    struct watch_process *processes = calloc(count ? count : 1, sizeof(*processes));
    size_t process_count = 0;

    if (!processes)
        return; /* the old list stays */
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count && rows[next].pid == rows[i].pid;)
            next++;
        if (model->pid_only && rows[i].pid != model->pid_only)
            continue;
        if (!process_begin(model, &processes[process_count], &rows[i], next - i))
            break;
        process_count++;
    }
    for (size_t i = 0; i < model->process_count; i++)
        process_clear(&model->processes[i]);
    free(model->processes);
    model->processes = processes;
    model->process_count = process_count;
    reader_first(model);
}

static void processes_find(struct watch_model *model)
{
    struct verso_inspect_mapper *rows = NULL;
    uint64_t start_ns = watch_cpu_ns();
    size_t count = 0;

    model->processes_error = verso_inspect_mappers(model->fd, &rows, &count, &model->hidden_count);
    if (model->processes_error < 0)
        model->processes_why = verso_error_text(model->processes_error);
    else {
        if (count)
            qsort(rows, count, sizeof(*rows), by_pid);
        processes_take(model, rows, count);
    }
    free(rows);
    pace_done(&model->processes_pace, model->now_ns, watch_cpu_ns() - start_ns, 100);
}

/* ---- Counters ---- */

static void process_count_faults(struct watch_model *model, struct watch_process *process)
{
    struct verso_inspect_process now;
    bool moved;

    process->error = verso_inspect_process(process->pid, &now);
    if (process->error < 0) {
        model->processes_pace.next_ns = 0; /* it ended: look who is left */
        return;
    }
    if (process->counted && now.minor_faults >= process->minor_faults)
        model->seen.minor += now.minor_faults - process->minor_faults;
    if (process->counted && now.major_faults >= process->major_faults)
        model->seen.major += now.major_faults - process->major_faults;
    moved = !process->counted || now.minor_faults != process->minor_faults ||
            now.major_faults != process->major_faults || now.resident_bytes != process->resident_bytes;
    process->minor_faults = now.minor_faults;
    process->major_faults = now.major_faults;
    process->resident_bytes = now.resident_bytes;
    process->counted = true;
    if (moved || model->now_ns >= process->sweep_next_ns)
        process->sweep_asked = true;
}

static void processes_count_faults(struct watch_model *model)
{
    uint64_t start_ns = watch_cpu_ns();

    if (!pace_due(&model->counters_pace, model->now_ns))
        return;
    for (size_t i = 0; i < model->process_count; i++)
        process_count_faults(model, &model->processes[i]);
    pace_done(&model->counters_pace, model->now_ns, watch_cpu_ns() - start_ns, 50);
}

/* ---- Pages ---- */

/* Asks for the pages of addresses [start, end). False when the process is gone or closed to us. */
static bool slice_look(struct watch_process *process, struct watch_mapping *mapping, uint64_t start, uint64_t end)
{
    struct verso_inspect_run *runs = NULL;
    size_t count = 0;

    process->error = verso_inspect_runs(process->pid, start, end, &runs, &count);
    if (process->error < 0)
        return false;
    if (!mapping_splice(mapping, start, end, runs, count))
        process->error = -ENOMEM;
    free(runs);
    return process->error == 0;
}

static void sweep_begin(struct watch_model *model, struct watch_process *process)
{
    for (size_t i = 0; i < process->mapping_count; i++)
        if (process->mappings[i].swept < process->mappings[i].end)
            return; /* the one before is still under way */
    if (!process->sweep_asked)
        return;
    process->sweep_asked = false;
    process->sweep_next_ns = model->now_ns + SWEEP_INTERVAL_NS;
    for (size_t i = 0; i < process->mapping_count; i++)
        process->mappings[i].swept = process->mappings[i].start;
}

static void mapping_sweep(struct watch_model *model, struct watch_process *process, struct watch_mapping *mapping,
                          const struct update *update, uint64_t start_cpu_ns)
{
    while (mapping->swept < mapping->end && update_has_time(update, start_cpu_ns)) {
        uint64_t left = mapping->end - mapping->swept, slice = SLICE_PAGES * model->page_bytes;
        uint64_t end = mapping->swept + (left < slice ? left : slice);

        if (!slice_look(process, mapping, mapping->swept, end)) {
            mapping->swept = mapping->end;
            return;
        }
        mapping->swept = end;
    }
}

/* What the window shows of a mapping, if that is no more than a slice: zoomed in, the picture is always of now. */
static void window_look(struct watch_model *model, struct watch_process *process, struct watch_mapping *mapping,
                        struct window window)
{
    uint64_t first = mapping->offset_bytes / model->page_bytes, start = mapping->start, end = mapping->end;

    if (window.page_count > SLICE_PAGES || window.first_page + window.page_count <= first)
        return;
    if (window.first_page > first)
        start += (window.first_page - first) * model->page_bytes;
    if (start >= end)
        return;
    if ((end - start) / model->page_bytes > window.page_count)
        end = start + window.page_count * model->page_bytes;
    slice_look(process, mapping, start, end);
}

static void process_sweep(struct watch_model *model, struct watch_process *process, const struct update *update,
                          uint64_t start_cpu_ns)
{
    sweep_begin(model, process);
    for (size_t i = 0; i < process->mapping_count && process->error == 0; i++) {
        struct watch_mapping *mapping = &process->mappings[i];

        if (mapping->swept < mapping->end)
            window_look(model, process, mapping, update->window);
        mapping_sweep(model, process, mapping, update, start_cpu_ns);
    }
}

static uint64_t present_pages(const struct watch_model *model)
{
    uint64_t present = 0;

    for (size_t i = 0; i < model->process_count; i++)
        present += virtual_sum(&model->processes[i], 0, UINT64_MAX, model->page_bytes).present;
    return present;
}

void processes_update(struct watch_model *model, const struct update *update)
{
    uint64_t start_cpu_ns = watch_cpu_ns();

    if (!update->frozen && pace_due(&model->processes_pace, model->now_ns))
        processes_find(model);
    processes_count_faults(model);
    if (update->frozen)
        return;
    for (size_t i = 0; i < model->process_count; i++)
        process_sweep(model, &model->processes[i], update, start_cpu_ns);
    model->seen.present = present_pages(model);
}
