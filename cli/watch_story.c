/* SPDX-License-Identifier: MIT */
/* watch_story - sentences about pages and rows. Numbers that are missing say why. */
#include "watch_story.h"
#include "command.h"
#include "output.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A text that grows. */
struct text {
    char *bytes;
    size_t length;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(struct text *text, const char *format, ...)
{
    va_list arguments, again;
    int more;

    va_start(arguments, format);
    va_copy(again, arguments);
    more = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (more > 0) {
        text->bytes = allocate(text->bytes, text->length + (size_t)more + 1, 1);
        (void)vsnprintf(text->bytes + text->length, (size_t)more + 1, format, again);
        text->length += (size_t)more;
    }
    va_end(again);
}

static char *finish(struct text *text)
{
    if (!text->bytes) {
        text->bytes = allocate(NULL, 1, 1);
        text->bytes[0] = '\0';
    }
    return text->bytes;
}

static void add_count(struct text *text, uint64_t count)
{
    char shown[32];

    add(text, "%s", count_shown(count, shown));
}

static void add_bytes(struct text *text, uint64_t bytes)
{
    char shown[32];

    add(text, "%s", bytes_shown(bytes, shown));
}

static void add_share(struct text *text, uint64_t pages, uint64_t all)
{
    add_count(text, pages);
    add(text, " of ");
    add_count(text, all);
    /* Rounded down, so that 100 % is all. */
    add(text, " (%.1f %%)", all ? (double)((uint64_t)((double)pages * 1000.0 / (double)all)) / 10.0 : 0.0);
}

/* ---- One page ---- */

static void tell_page(struct text *text, const struct watch_model *model, uint64_t page)
{
    add(text, "page ");
    add_count(text, page);
    add(text, " at ");
    add_bytes(text, page * model->page_bytes);
    add(text, " (0x%" PRIx64 ")", page * model->page_bytes);
}

static const char *extent_word(unsigned state)
{
    if (state & VERSO_INSPECT_EXTENT_DELAYED)
        return "no disk block yet: it gets one at write-back";
    if (state & VERSO_INSPECT_EXTENT_INLINE)
        return "inside the inode";
    if (state & VERSO_INSPECT_EXTENT_UNKNOWN)
        return "the file system tells no place";
    return NULL;
}

static void tell_disk(struct text *text, const struct watch_model *model, uint64_t page)
{
    uint64_t at = page * model->page_bytes;
    const struct disk_extent *extent = disk_extent_at(model->extents, model->extent_count, at);

    if (model->extents_error) {
        add(text, "disk not known: %s", model->extents_why);
        return;
    }
    if (!extent) {
        add(text, "a hole: no disk block");
        return;
    }
    if (extent_word(extent->is.state)) {
        add(text, "%s", extent_word(extent->is.state));
        return;
    }
    at = extent->is.disk_offset_bytes + (at - extent->is.file_offset_bytes);
    add(text, "disk block ");
    add_count(text, at / model->block_bytes);
    add(text, " (at ");
    add_bytes(text, at);
    add(text, "), extent ");
    add_count(text, (uint64_t)(extent - model->extents) + 1);
    add(text, " of ");
    add_count(text, model->extent_count);
    if (extent->is.state & VERSO_INSPECT_EXTENT_UNWRITTEN)
        add(text, ", unwritten");
    if (extent->is.state & VERSO_INSPECT_EXTENT_SHARED)
        add(text, ", shared with another file");
    if (extent->is.state & VERSO_INSPECT_EXTENT_ENCODED)
        add(text, ", compressed or encrypted");
}

static void tell_since(struct text *text, const struct watch_model *model, uint32_t since)
{
    uint32_t ago = watch_tenths(model) - since;

    if (since == 0)
        add(text, " since before watching began");
    else
        add(text, " for %u.%u s", ago / 10, ago % 10);
}

static const struct leaf *leaf_of(const struct watch_model *model, uint64_t page, unsigned *out_state)
{
    const struct leaf *leaf = pages_find(&model->pages, page);

    *out_state = leaf ? leaf->state[page % LEAF_PAGES] : 0;
    return leaf;
}

static void tell_cache(struct text *text, const struct watch_model *model, uint64_t page)
{
    unsigned state;
    const struct leaf *leaf = leaf_of(model, page, &state);

    if (model->pages_error) {
        add(text, "cache not known: %s", model->pages_why);
        return;
    }
    if (!(state & PAGE_CACHED)) {
        add(text, state & PAGE_GONE ? "evicted from the page cache while we watched" : "not in memory");
        return;
    }
    add(text, "cached");
    tell_since(text, model, leaf->since[page % LEAF_PAGES]);
    if (model->cache.dirty.error == 0)
        add(text, state & PAGE_WRITEBACK ? ", on its way to the disk" : state & PAGE_DIRTY ? ", dirty" : ", clean");
}

static void tell_frame(struct text *text, const struct watch_model *model, uint64_t page)
{
    unsigned state;
    const struct leaf *leaf = leaf_of(model, page, &state);

    if (model->pages_error || !(state & PAGE_CACHED)) {
        add(text, "no frame");
        return;
    }
    if (!(state & PAGE_FRAME)) {
        add(text, model->frames_error ? "frame not known" : "frame not looked at yet");
        return;
    }
    add(text, "frame 0x%" PRIx64, leaf->frame[page % LEAF_PAGES]);
    if (model->flags_error)
        return;
    add(text, "%s%s%s", state & PAGE_ACTIVE ? ", active" : ", inactive", state & PAGE_REFERENCED ? ", referenced" : "",
        state & PAGE_FOLIO ? ", large folio" : "");
}

static const char *virtual_word(unsigned state)
{
    if (state & VERSO_INSPECT_PAGE_SWAPPED)
        return "swapped out";
    if (state & VERSO_INSPECT_PAGE_PRESENT && !(state & VERSO_INSPECT_PAGE_FILE))
        return "its own copy";
    if (state & VERSO_INSPECT_PAGE_PRESENT)
        return state & VERSO_INSPECT_PAGE_HUGE ? "present, in a huge page" : "present";
    return state & VERSO_INSPECT_PAGE_GUARD ? "a guard page" : "mapped, not touched yet";
}

/* A process may call itself anything: control sequences, for one. */
static void add_process(struct text *text, const struct watch_process *process)
{
    char *name = name_shown(process->command);

    add(text, "%s %ld", name, (long)process->pid);
    free(name);
}

/* Whether @process maps the page; tells where. */
static bool tell_address(struct text *text, const struct watch_model *model, const struct watch_process *process,
                         uint64_t page)
{
    for (size_t i = 0; i < process->mapping_count; i++) {
        const struct watch_mapping *mapping = &process->mappings[i];
        uint64_t address;

        if (!mapping_address(mapping, page, model->page_bytes, &address))
            continue;
        add(text, "0x%" PRIx64 " in ", address);
        add_process(text, process);
        add(text, ": %s", virtual_word(mapping_state(mapping, address)));
        return true;
    }
    return false;
}

static void tell_virtual(struct text *text, const struct watch_model *model, uint64_t page,
                         const struct watch_process *process)
{
    if (process && tell_address(text, model, process, page))
        return;
    if (process) {
        add_process(text, process);
        add(text, " does not map it");
        return;
    }
    for (size_t i = 0; i < model->process_count; i++)
        if (tell_address(text, model, &model->processes[i], page))
            return;
    add(text, "no process that we may look into maps it");
}

char *story_text(const struct watch_model *model, enum story_part part, uint64_t page,
                 const struct watch_process *process)
{
    struct text text = { 0 };

    switch (part) {
    case STORY_PAGE:
        tell_page(&text, model, page);
        break;
    case STORY_DISK:
        tell_disk(&text, model, page);
        break;
    case STORY_CACHE:
        tell_cache(&text, model, page);
        break;
    case STORY_FRAME:
        tell_frame(&text, model, page);
        break;
    default:
        tell_virtual(&text, model, page, process);
    }
    return finish(&text);
}

/* ---- Rows ---- */

static void sum_disk(struct text *text, const struct watch_model *model)
{
    if (model->extents_error) {
        add(text, "not known: %s", model->extents_why);
        return;
    }
    add_count(text, model->extent_count);
    add(text, model->extent_count == 1 ? " extent" : " extents");
    if (model->piece_count == 1)
        add(text, ", in one piece");
    else if (model->piece_count > 1) {
        add(text, " in ");
        add_count(text, model->piece_count);
        add(text, " pieces");
    }
    add(text, " on device %u:%u", model->device_major, model->device_minor);
}

static void add_number(struct text *text, const char *word, const struct verso_number *number)
{
    if (number->error)
        return;
    add(text, ", %s ", word);
    add_count(text, number->value);
}

static void sum_cache(struct text *text, const struct watch_model *model)
{
    const struct verso_inspect_cache *cache = &model->cache;

    if (cache->cached.error) {
        add(text, "not known: %s", cache->cached.why);
        return;
    }
    add_share(text, cache->cached.value, cache->pages);
    add_number(text, "dirty", &cache->dirty);
    add_number(text, "writeback", &cache->writeback);
    add_number(text, "evicted", &cache->evicted);
    if (cache->dirty.error)
        add(text, "; dirty not known: %s", cache->dirty.why);
}

static void sum_frames(struct text *text, const struct watch_model *model)
{
    struct page_sums sums = pages_sum(&model->pages, 0, UINT64_MAX);

    if (model->pages_error || model->frames_error) {
        add(text, "not known: %s", model->pages_error ? model->pages_why : model->frames_why);
        return;
    }
    add_count(text, sums.frames);
    add(text, " known");
    if (sums.frames == 0)
        return;
    add(text, ", %" PRIu64 " %% in runs of 16 or more", sums.near * 100 / sums.frames);
    if (model->flags_error)
        return;
    add(text, ", ");
    add_count(text, sums.active);
    add(text, " active");
}

static void sum_virtual(struct text *text, const struct watch_model *model)
{
    if (model->processes_error) {
        add(text, "not known: %s", model->processes_why);
        return;
    }
    add_count(text, model->process_count);
    add(text, model->process_count == 1 ? " process maps it" : " processes map it");
    if (model->hidden_count) {
        add(text, "; ");
        add_count(text, model->hidden_count);
        add(text, " could not be looked into");
    }
}

char *summary_text(const struct watch_model *model, enum summary_row row)
{
    struct text text = { 0 };

    switch (row) {
    case SUMMARY_DISK:
        sum_disk(&text, model);
        break;
    case SUMMARY_CACHE:
        sum_cache(&text, model);
        break;
    case SUMMARY_FRAMES:
        sum_frames(&text, model);
        break;
    default:
        sum_virtual(&text, model);
    }
    return finish(&text);
}

const char *summary_source(const struct watch_model *model, enum summary_row row)
{
    switch (row) {
    case SUMMARY_DISK:
        return "FIEMAP";
    case SUMMARY_CACHE:
        return model->cache.cached.source;
    case SUMMARY_FRAMES:
        return "pagemap, kpageflags";
    default:
        return "maps, pagemap";
    }
}

char *process_text(const struct watch_model *model, const struct watch_process *process)
{
    struct virtual_sums sums = virtual_sum(process, 0, UINT64_MAX, model->page_bytes);
    struct text text = { 0 };

    if (process->error) {
        add(&text, "not known: %s", verso_error_text(process->error));
        return finish(&text);
    }
    add_count(&text, sums.present);
    add(&text, " of ");
    add_count(&text, sums.mapped);
    add(&text, " mapped pages present");
    if (sums.own) {
        add(&text, ", ");
        add_count(&text, sums.own);
        add(&text, " its own copies");
    }
    if (sums.swapped) {
        add(&text, ", ");
        add_count(&text, sums.swapped);
        add(&text, " swapped");
    }
    return finish(&text);
}
