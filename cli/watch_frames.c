/* SPDX-License-Identifier: MIT */
/*
 * watch_frames - which physical frames hold the cached pages of a leaf.
 *
 * The kernel tells a frame number only for a page that stands in somebody's page table, and a cached page need not. So
 * the leaf is mapped here, its cached pages are touched, pagemap is read, and the map is gone again within some tens of
 * microseconds. What is looked at must not notice:
 *
 *   - The map is MADV_RANDOM: touching through it does not count as a use, so no page becomes active or escapes reclaim
 *     (MADV_POPULATE_READ would make it active: it marks each page as accessed).
 *   - Only pages that are cached are touched, so nothing is read from the disk. One that is evicted in the microseconds
 *     between would be read back: the one disturbance that is left.
 *   - The map is closed at once: a mapped page can't be dropped from the cache by others.
 *   - Pages that the file has lost meanwhile fault, under guard, and are left out.
 */
#include "watch_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <verso/guard.h>
#include <verso/map.h>

#define GAP_FRAMES UINT64_C(16) /* reading over a gap of this many frames is cheaper than a second call */

struct touch {
    const struct leaf *leaf;
    const struct verso_inspect_page *seen; /* the page table as it stands */
    const volatile char *data;
    uint64_t page_bytes;
    unsigned count;
    unsigned stride;
};

static bool is_missing(const struct touch *touch, unsigned page)
{
    return (touch->leaf->state[page] & PAGE_CACHED) && !(touch->seen[page].state & VERSO_INSPECT_PAGE_PRESENT);
}

static int touch_missing(void *arg)
{
    const struct touch *touch = arg;

    for (unsigned i = 0; i < touch->count; i++) {
        if (!is_missing(touch, i))
            continue;
        (void)touch->data[i * touch->page_bytes];
        i += touch->stride - 1;
    }
    return 0;
}

static bool has_missing(const struct touch *touch)
{
    for (unsigned i = 0; i < touch->count; i++)
        if (is_missing(touch, i))
            return true;
    return false;
}

/*
 * One touch brings in what lies around it: a huge page, or a window of 16 pages. So few are touched first, then those
 * that are still missing. That is cheaper, and under a hypervisor far cheaper: there the first touch of a page that a
 * disk has just filled is a fault of the machine, too.
 */
static int look_through(struct verso_map *map, struct touch *touch, struct verso_inspect_page *out_pages,
                        int *out_frames_error)
{
    static const unsigned strides[] = { LEAF_PAGES, NEAR_PAGES, 1 };
    int r = verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_RANDOM);

    memset(out_pages, 0, touch->count * sizeof(*out_pages));
    touch->seen = out_pages;
    for (unsigned i = 0; r == 0 && i < sizeof(strides) / sizeof(strides[0]) && has_missing(touch); i++) {
        touch->stride = strides[i];
        r = verso_guard_run(map, touch_missing, touch);
        if (r == 0 || r == VERSO_E_TORN) /* torn: the file was cut; what was touched before can be told */
            r = verso_inspect_pages(0, (uint64_t)(uintptr_t)touch->data, touch->count, out_pages, out_frames_error);
    }
    return r;
}

/* Maps the leaf, touches what is cached, reads the page table, and lets go. */
static int look(const struct watch_model *model, const struct leaf *leaf, unsigned count,
                struct verso_inspect_page *out_pages, int *out_frames_error)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct touch touch = { .leaf = leaf, .page_bytes = model->page_bytes, .count = count };
    struct verso_map *map;
    int r;

    options.offset_bytes = leaf->first_page * model->page_bytes;
    options.length_bytes = model->file_bytes - options.offset_bytes;
    if (options.length_bytes > count * model->page_bytes)
        options.length_bytes = count * model->page_bytes;
    r = verso_map_open_fd(model->fd, &options, &map);
    if (r < 0)
        return r;
    touch.data = verso_map_data(map);
    r = look_through(map, &touch, out_pages, out_frames_error);
    verso_map_close(map);
    return r;
}

/* ---- Flags ---- */

struct numbered {
    uint64_t frame;
    unsigned page; /* in the leaf */
};

static int by_frame(const void *a, const void *b)
{
    const struct numbered *left = a, *right = b;

    return left->frame < right->frame ? -1 : left->frame > right->frame;
}

static void set_flags(struct leaf *leaf, unsigned page, const struct verso_inspect_frame *frame)
{
    unsigned state = leaf->state[page] & (unsigned)~(PAGE_ACTIVE | PAGE_REFERENCED | PAGE_FOLIO);

    if (frame->state & VERSO_INSPECT_FRAME_ACTIVE)
        state |= PAGE_ACTIVE;
    if (frame->state & VERSO_INSPECT_FRAME_REFERENCED)
        state |= PAGE_REFERENCED;
    if (frame->state & (VERSO_INSPECT_FRAME_HEAD | VERSO_INSPECT_FRAME_TAIL))
        state |= PAGE_FOLIO;
    leaf->state[page] = (uint16_t)state;
}

/* Frames lie in heaps: each heap is read in one call, over its small gaps. */
static void look_at_flags(struct watch_model *model, struct leaf *leaf)
{
    struct verso_inspect_frame frames[LEAF_PAGES];
    struct numbered order[LEAF_PAGES];
    unsigned count = 0;

    for (unsigned i = 0; i < LEAF_PAGES; i++)
        if (leaf->state[i] & PAGE_FRAME)
            order[count++] = (struct numbered){ leaf->frame[i], i };
    qsort(order, count, sizeof(*order), by_frame);
    for (unsigned i = 0, next; i < count && model->flags_error == 0; i = next) {
        for (next = i + 1; next < count && order[next].frame - order[next - 1].frame <= GAP_FRAMES &&
                           order[next].frame - order[i].frame < LEAF_PAGES;)
            next++;
        model->flags_error =
            verso_inspect_frames(order[i].frame, (size_t)(order[next - 1].frame - order[i].frame + 1), frames);
        for (unsigned at = i; at < next && model->flags_error == 0; at++)
            set_flags(leaf, order[at].page, &frames[order[at].frame - order[i].frame]);
    }
}

/* ---- Frames ---- */

static void take(struct watch_model *model, struct leaf *leaf, unsigned page, const struct verso_inspect_page *seen)
{
    struct place_range *range = &model->frame_range;

    if (!(leaf->state[page] & PAGE_CACHED) || !(seen->state & VERSO_INSPECT_PAGE_PRESENT) || seen->frame == 0) {
        leaf->state[page] &= (uint16_t)~PAGE_FRAME;
        return;
    }
    leaf->state[page] |= PAGE_FRAME;
    leaf->frame[page] = seen->frame;
    if (range->highest == 0 || seen->frame < range->lowest)
        range->lowest = seen->frame;
    if (seen->frame > range->highest)
        range->highest = seen->frame;
}

/* False when the frames of this leaf could not be had now; model->frames_error when they never can. */
bool frames_look(struct watch_model *model, struct leaf *leaf)
{
    struct verso_inspect_page pages[LEAF_PAGES];
    unsigned count = leaf_page_count(&model->pages, leaf);
    int frames_error = 0;
    int r = count > 0 ? look(model, leaf, count, pages, &frames_error) : 0;

    if (r == VERSO_E_RANGE || count == 0)
        return true; /* the file has become shorter; the next update sees that */
    if (r == 0 && frames_error == 0) {
        for (unsigned i = 0; i < count; i++)
            take(model, leaf, i, &pages[i]);
        look_at_flags(model, leaf);
        leaf_sum(leaf);
        return true;
    }
    model->frames_error = r < 0 ? r : frames_error;
    model->frames_why = r < 0 ? verso_error_text(r) : "needs root (CAP_SYS_ADMIN) to see frame numbers";
    return false;
}
