/* SPDX-License-Identifier: MIT */
/*
 * watch_json - a snapshot as one JSON object.
 *
 * Numbers that may be missing are objects: {"value": 12, "source": "cachestat"}, or {"value": null, "source": ...,
 * "error": "EPERM", "why": "..."}. Lists that may be missing are null then, and "sources" says why. Addresses are
 * texts ("0x7f..."), because JSON's numbers end at 2^53.
 */
#include "output.h"
#include "watch_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static json_t *integer(uint64_t value)
{
    return json_integer((json_int_t)value);
}

static void set(json_t *object, const char *key, json_t *value)
{
    json_object_set_new(object, key, value);
}

static json_t *address(uint64_t value)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "0x%" PRIx64, value);
    return json_string(text);
}

static json_t *source(const char *name, int error, const char *why)
{
    json_t *object = json_pack("{ss}", "source", name);

    if (error) {
        set(object, "error", json_string(verso_error_name(error)));
        set(object, "why", json_string(why));
    }
    return object;
}

static json_t *number(const struct verso_number *value)
{
    json_t *object = source(value->source, value->error, value->why);

    set(object, "value", value->error ? json_null() : integer(value->value));
    return object;
}

/* ---- The file, its extents ---- */

static json_t *file_json(const struct watch_model *model)
{
    json_t *object = json_object();
    char device[32];

    (void)snprintf(device, sizeof(device), "%u:%u", model->device_major, model->device_minor);
    json_set_name(object, "path", model->path);
    set(object, "bytes", integer(model->file_bytes));
    set(object, "device", json_string(device));
    set(object, "inode", integer(model->inode));
    set(object, "pages", integer(watch_page_count(model)));
    set(object, "page_bytes", integer(model->page_bytes));
    set(object, "block_bytes", integer(model->block_bytes));
    set(object, "is_private_copy", json_boolean(model->is_copy));
    set(object, "name_is_gone", json_boolean(model->is_gone));
    return object;
}

static json_t *extent_states(unsigned state)
{
    static const struct {
        unsigned bit;
        const char *name;
    } rows[] = {
        { VERSO_INSPECT_EXTENT_UNKNOWN, "unknown" },     { VERSO_INSPECT_EXTENT_DELAYED, "delayed" },
        { VERSO_INSPECT_EXTENT_UNWRITTEN, "unwritten" }, { VERSO_INSPECT_EXTENT_SHARED, "shared" },
        { VERSO_INSPECT_EXTENT_INLINE, "inline" },       { VERSO_INSPECT_EXTENT_ENCODED, "encoded" },
    };
    json_t *list = json_array();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (state & rows[i].bit)
            json_array_append_new(list, json_string(rows[i].name));
    return list;
}

static json_t *extents_json(const struct watch_model *model)
{
    json_t *list = json_array();

    if (model->extents_error) {
        json_decref(list);
        return json_null();
    }
    for (size_t i = 0; i < model->extent_count; i++) {
        const struct verso_inspect_extent *extent = &model->extents[i].is;
        bool has_place = !(extent->state & (VERSO_INSPECT_EXTENT_UNKNOWN | VERSO_INSPECT_EXTENT_DELAYED));
        json_t *object = json_object();

        set(object, "file_offset_bytes", integer(extent->file_offset_bytes));
        set(object, "disk_offset_bytes", has_place ? integer(extent->disk_offset_bytes) : json_null());
        set(object, "length_bytes", integer(extent->length_bytes));
        set(object, "state", extent_states(extent->state));
        json_array_append_new(list, object);
    }
    return list;
}

/* ---- Page cache and frames: runs of leaves' pages ---- */

static json_t *cache_json(const struct watch_model *model)
{
    json_t *object = json_object();

    set(object, "pages", integer(model->cache.pages));
    set(object, "cached", number(&model->cache.cached));
    set(object, "dirty", number(&model->cache.dirty));
    set(object, "writeback", number(&model->cache.writeback));
    set(object, "evicted", number(&model->cache.evicted));
    set(object, "recently_evicted", number(&model->cache.recently_evicted));
    return object;
}

struct page_run {
    uint64_t first_page;
    uint64_t count;
    uint64_t frame; /* of the first page, in runs of frames */
};

static json_t *run_json(const struct page_run *run, bool with_frame)
{
    json_t *object = json_object();

    set(object, "first_page", integer(run->first_page));
    set(object, "page_count", integer(run->count));
    if (with_frame)
        set(object, "pfn", integer(run->frame));
    return object;
}

static bool joins(const struct page_run *run, uint64_t page, uint64_t frame, bool with_frame)
{
    return run->count > 0 && run->first_page + run->count == page && (!with_frame || run->frame + run->count == frame);
}

/* Pages with @bit as runs: neighbours, and with @with_frame neighbours in memory as well. */
static json_t *runs_json(const struct watch_model *model, unsigned bit, bool with_frame)
{
    const struct leaf *leaf = pages_next(&model->pages, 0);
    json_t *list = json_array();
    struct page_run run = { 0 };

    for (; leaf; leaf = pages_next(&model->pages, leaf->first_page + LEAF_PAGES))
        for (unsigned i = 0; i < LEAF_PAGES; i++) {
            if (!(leaf->state[i] & bit))
                continue;
            if (!joins(&run, leaf->first_page + i, leaf->frame[i], with_frame)) {
                if (run.count > 0)
                    json_array_append_new(list, run_json(&run, with_frame));
                run = (struct page_run){ leaf->first_page + i, 0, leaf->frame[i] };
            }
            run.count++;
        }
    if (run.count > 0)
        json_array_append_new(list, run_json(&run, with_frame));
    return list;
}

/* ---- Processes ---- */

static json_t *present_json(const struct watch_model *model, const struct watch_mapping *mapping)
{
    json_t *list = json_array();

    for (size_t i = 0; i < mapping->run_count; i++) {
        const struct verso_inspect_run *run = &mapping->runs[i];
        json_t *object = json_object();

        set(object, "address", address(run->start));
        set(object, "first_page", integer((run->start - mapping->start + mapping->offset_bytes) / model->page_bytes));
        set(object, "page_count", integer((run->end - run->start) / model->page_bytes));
        set(object, "present", json_boolean(run->state & VERSO_INSPECT_PAGE_PRESENT));
        set(object, "own_copy",
            json_boolean(run->state & VERSO_INSPECT_PAGE_PRESENT && !(run->state & VERSO_INSPECT_PAGE_FILE)));
        set(object, "huge", json_boolean(run->state & VERSO_INSPECT_PAGE_HUGE));
        set(object, "swapped", json_boolean(run->state & VERSO_INSPECT_PAGE_SWAPPED));
        set(object, "guard", json_boolean(run->state & VERSO_INSPECT_PAGE_GUARD));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *mapping_json(const struct watch_model *model, const struct watch_mapping *mapping)
{
    char access[5] = "---p";
    json_t *object = json_object();

    if (mapping->access & VERSO_INSPECT_READ)
        access[0] = 'r';
    if (mapping->access & VERSO_INSPECT_WRITE)
        access[1] = 'w';
    if (mapping->access & VERSO_INSPECT_EXEC)
        access[2] = 'x';
    if (mapping->access & VERSO_INSPECT_SHARED)
        access[3] = 's';
    set(object, "start", address(mapping->start));
    set(object, "end", address(mapping->end));
    set(object, "offset_bytes", integer(mapping->offset_bytes));
    set(object, "access", json_string(access));
    set(object, "runs", present_json(model, mapping));
    return object;
}

static json_t *process_json(const struct watch_model *model, const struct watch_process *process)
{
    struct virtual_sums sums = virtual_sum(process, 0, UINT64_MAX, model->page_bytes);
    json_t *object = json_object(), *mappings = json_array();

    for (size_t i = 0; i < process->mapping_count; i++)
        json_array_append_new(mappings, mapping_json(model, &process->mappings[i]));
    set(object, "pid", json_integer(process->pid));
    json_set_name(object, "command", process->command);
    set(object, "is_reader", json_boolean(process->pid == model->reader));
    set(object, "minor_faults", process->counted ? integer(process->minor_faults) : json_null());
    set(object, "major_faults", process->counted ? integer(process->major_faults) : json_null());
    set(object, "resident_bytes", process->counted ? integer(process->resident_bytes) : json_null());
    set(object, "mapped_pages", integer(sums.mapped));
    set(object, "present_pages", process->error ? json_null() : integer(sums.present));
    set(object, "own_pages", process->error ? json_null() : integer(sums.own));
    set(object, "pages_source",
        source("PAGEMAP_SCAN or /proc/PID/pagemap", process->error, verso_error_text(process->error)));
    set(object, "mappings", mappings);
    return object;
}

static json_t *processes_json(const struct watch_model *model)
{
    json_t *list = json_array();

    if (model->processes_error) {
        json_decref(list);
        return json_null();
    }
    for (size_t i = 0; i < model->process_count; i++)
        json_array_append_new(list, process_json(model, &model->processes[i]));
    return list;
}

/* ---- All of it ---- */

static json_t *sources_json(const struct watch_model *model)
{
    int frames_error = model->pages_error ? model->pages_error : model->frames_error;
    json_t *object = json_object();

    set(object, "extents", source("FIEMAP", model->extents_error, model->extents_why));
    set(object, "cached_runs", source("cachestat and mincore", model->pages_error, model->pages_why));
    set(object, "frames",
        source("/proc/self/pagemap", frames_error, model->pages_error ? model->pages_why : model->frames_why));
    set(object, "processes", source("/proc/PID/maps", model->processes_error, model->processes_why));
    set(object, "faults", source("/proc/PID/stat", 0, ""));
    return object;
}

/* What happened in the last whole second. */
static json_t *rates_json(const struct watch_model *model)
{
    const struct history_bucket *last = history_back(&model->history, 1);
    json_t *object;

    if (!last || watch_tenths(model) < 20)
        return json_null();
    object = json_object();
    set(object, "minor_faults", integer(last->minor));
    set(object, "major_faults", integer(last->major));
    set(object, "pages_came", integer(last->came));
    set(object, "pages_went", integer(last->went));
    return object;
}

json_t *json_snapshot(const struct watch_model *model)
{
    bool has_frames = model->pages_error == 0 && model->frames_error == 0;
    json_t *object = json_object();
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    set(object, "time", json_real((double)now.tv_sec + (double)now.tv_nsec / 1e9));
    set(object, "seconds", json_real((double)watch_tenths(model) / 10.0));
    set(object, "file", file_json(model));
    set(object, "extents", extents_json(model));
    set(object, "cache", cache_json(model));
    set(object, "cached_runs", model->pages_error ? json_null() : runs_json(model, PAGE_CACHED, false));
    set(object, "dirty_runs",
        model->pages_error || model->cache.dirty.error ? json_null() : runs_json(model, PAGE_DIRTY, false));
    set(object, "frames", has_frames ? runs_json(model, PAGE_FRAME, true) : json_null());
    set(object, "processes", processes_json(model));
    set(object, "hidden_processes", integer(model->hidden_count));
    set(object, "per_second", rates_json(model));
    set(object, "sources", sources_json(model));
    set(object, "own_cpu_seconds", json_real((double)watch_cpu_ns() / 1e9));
    return object;
}
