/* SPDX-License-Identifier: MIT */
/*
 * watch_cache - which pages of the file are cached, found by asking as little as possible.
 *
 * cachestat answers four counts for any range, in microseconds and without a map. So: the counts of the whole file;
 * where they differ from the last ones, those of its sixteen parts; and so on down to leaves of 512 pages. Only a
 * changed leaf is asked page by page. Dirty pages have no call of their own: they are found by halving a leaf until
 * each half is all dirty or all clean.
 *
 * A change that leaves all four counts of a leaf as they were (a page out, another in, between two looks) is missed by
 * this. The turn, which refreshes a few leaves each time whether they changed or not, finds it within seconds.
 */
#include "watch_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TURN_NS UINT64_C(500000) /* of processor time for the turn in each update */

/* ---- Counts ---- */

static struct page_counts counts_of(const struct verso_inspect_cache *cache)
{
    return (struct page_counts){ cache->cached.value, cache->dirty.value, cache->writeback.value,
                                 cache->evicted.value };
}

static bool count_range(const struct watch_model *model, uint64_t first_page, uint64_t page_count,
                        struct page_counts *out_counts)
{
    struct verso_inspect_cache cache;

    if (verso_inspect_cache(model->fd, first_page * model->page_bytes, page_count * model->page_bytes, &cache) < 0 ||
        cache.cached.error != 0)
        return false;
    *out_counts = counts_of(&cache);
    return true;
}

/* ---- Finding what changed ---- */

static void node_find_changes(struct watch_model *model, struct pages_node *node, unsigned level, uint64_t first_page);

/* Nothing of it is or was in memory: it needs no leaf. Leaves whose pages were seen stay, they know what is gone. */
static bool is_nothing(const struct page_counts *counts)
{
    return counts->cached == 0 && counts->dirty == 0 && counts->writeback == 0;
}

static void leaf_take_counts(struct watch_model *model, struct leaf *leaf, const struct page_counts *counts)
{
    if (!page_counts_equal(&leaf->seen, counts))
        pages_mark_stale(&model->pages, leaf, true);
    leaf->seen = *counts;
}

static void node_take_counts(struct watch_model *model, struct pages_node *node, unsigned level, uint64_t first_page,
                             const struct page_counts *counts)
{
    if (page_counts_equal(&node->seen, counts))
        return;
    node->seen = *counts;
    node_find_changes(model, node, level, first_page);
}

static void child_find_changes(struct watch_model *model, struct pages_node *node, unsigned level, unsigned child,
                               uint64_t first_page)
{
    struct pages *pages = &model->pages;
    uint64_t span = pages_child_span(level), left = pages->page_count - first_page;
    struct page_counts counts;
    bool is_new;

    if (!count_range(model, first_page, span < left ? span : left, &counts))
        return;
    is_new = !node->children[child];
    if (is_new && is_nothing(&counts))
        return;
    if (!pages_child(pages, node, level, first_page))
        return; /* no memory now; it is still different next time */
    if (level == 0 && is_new)
        ((struct leaf *)node->children[child])->born = watch_tenths(model);
    if (level == 0)
        leaf_take_counts(model, node->children[child], &counts);
    else
        node_take_counts(model, node->children[child], level - 1, first_page, &counts);
}

static void node_find_changes(struct watch_model *model, struct pages_node *node, unsigned level, uint64_t first_page)
{
    uint64_t span = pages_child_span(level);

    for (unsigned i = 0; i < NODE_CHILDREN && first_page < model->pages.page_count; i++, first_page += span)
        child_find_changes(model, node, level, i, first_page);
}

/* ---- A leaf, page by page ---- */

static bool look_cached(const struct watch_model *model, const struct leaf *leaf, unsigned count, bool *out_cached)
{
    struct verso_inspect_cached_run *runs = NULL;
    size_t run_count = 0;

    if (verso_inspect_cached_runs(model->fd, leaf->first_page * model->page_bytes, count * model->page_bytes, &runs,
                                  &run_count) < 0)
        return false;
    memset(out_cached, 0, LEAF_PAGES * sizeof(*out_cached));
    for (size_t i = 0; i < run_count; i++)
        for (uint64_t page = 0; page < runs[i].page_count && runs[i].cached; page++) {
            uint64_t at = runs[i].first_page + page - leaf->first_page;

            if (at < count)
                out_cached[at] = true;
        }
    free(runs);
    return true;
}

static void mark(struct leaf *leaf, unsigned start, unsigned count, unsigned bit, bool on)
{
    for (unsigned i = start; i < start + count; i++)
        leaf->state[i] =
            (uint16_t)(on && (leaf->state[i] & PAGE_CACHED) ? leaf->state[i] | bit : leaf->state[i] & ~bit);
}

/* Halves [start, start + count) until all of a part is dirty or none; the same for writeback. */
static void look_dirty(const struct watch_model *model, struct leaf *leaf, unsigned start, unsigned count)
{
    struct page_counts counts;
    unsigned half = count / 2;

    if (!count_range(model, leaf->first_page + start, count, &counts))
        return;
    if (count == 1 ||
        ((counts.dirty == 0 || counts.dirty == count) && (counts.writeback == 0 || counts.writeback == count))) {
        mark(leaf, start, count, PAGE_DIRTY, counts.dirty != 0);
        mark(leaf, start, count, PAGE_WRITEBACK, counts.writeback != 0);
        return;
    }
    look_dirty(model, leaf, start, half);
    look_dirty(model, leaf, start + half, count - half);
}

static void leaf_look(struct watch_model *model, struct leaf *leaf)
{
    unsigned count = leaf_page_count(&model->pages, leaf);
    bool cached[LEAF_PAGES];

    if (count == 0 || !look_cached(model, leaf, count, cached)) {
        pages_mark_stale(&model->pages, leaf, false); /* asked again when its counts change, or at its turn */
        return;
    }
    leaf_set_cached(leaf, count, cached, watch_tenths(model));
    if (leaf->seen.dirty || leaf->seen.writeback || leaf->sums.dirty || leaf->sums.writeback)
        look_dirty(model, leaf, 0, count);
    leaf_sum(leaf);
    /* Pages on their way in are counted before they can be seen: look again until both agree. */
    pages_mark_stale(&model->pages, leaf, leaf->sums.cached < leaf->seen.cached);
    pages_mark_frames_stale(&model->pages, leaf, leaf->sums.cached > 0);
}

/* ---- In which order ---- */

/* Looks at marked leaves in [first, end) while there is time; false when there is none left. */
static bool look_at_stale(struct watch_model *model, uint64_t first, uint64_t end, const struct update *update,
                          uint64_t start_cpu_ns)
{
    struct leaf *leaf = pages_next(&model->pages, first);

    for (; leaf && leaf->first_page < end && model->pages.stale_count > 0;
         leaf = pages_next(&model->pages, leaf->first_page + LEAF_PAGES)) {
        if (!leaf->stale)
            continue;
        if (!update_has_time(update, start_cpu_ns))
            return false;
        leaf_look(model, leaf);
    }
    return true;
}

static bool look_at_frames(struct watch_model *model, uint64_t first, uint64_t end, const struct update *update,
                           uint64_t start_cpu_ns)
{
    struct leaf *leaf = pages_next(&model->pages, first);

    for (; leaf && leaf->first_page < end && model->pages.frames_stale_count > 0 && model->frames_error == 0;
         leaf = pages_next(&model->pages, leaf->first_page + LEAF_PAGES)) {
        if (!leaf->frames_stale)
            continue;
        if (!update_has_time(update, start_cpu_ns))
            return false;
        if (frames_look(model, leaf))
            pages_mark_frames_stale(&model->pages, leaf, false);
    }
    return true;
}

static void look_in_turn(struct watch_model *model)
{
    struct update update = { .budget_ns = TURN_NS };
    uint64_t start_cpu_ns = watch_cpu_ns(), first_page = model->turn_page;

    while (update_has_time(&update, start_cpu_ns)) {
        struct leaf *leaf = pages_next(&model->pages, model->turn_page);

        if (!leaf && first_page == 0)
            return;
        if (!leaf) { /* once around; but only once */
            model->turn_page = first_page = 0;
            continue;
        }
        leaf_look(model, leaf);
        if (model->frames_error == 0 && frames_look(model, leaf))
            pages_mark_frames_stale(&model->pages, leaf, false);
        model->turn_page = leaf->first_page + LEAF_PAGES;
    }
}

static void look_at_pages(struct watch_model *model, const struct update *update)
{
    uint64_t start_cpu_ns = watch_cpu_ns(), first = update->window.first_page, end;

    end = update->window.page_count > UINT64_MAX - first ? UINT64_MAX : first + update->window.page_count;
    if (look_at_stale(model, first, end, update, start_cpu_ns) &&
        look_at_stale(model, 0, UINT64_MAX, update, start_cpu_ns) &&
        look_at_frames(model, first, end, update, start_cpu_ns))
        look_at_frames(model, 0, UINT64_MAX, update, start_cpu_ns);
    if (update->budget_ns != UINT64_MAX)
        look_in_turn(model);
}

/* ---- The whole file ---- */

/* What came and went since the last look. Before the first look nothing is known to have come. */
static void sample(struct watch_model *model, const struct verso_inspect_cache *now)
{
    uint64_t before = model->seen.cached, cached = now->cached.value;

    if (model->history.started && cached > before)
        model->seen.came += cached - before;
    if (model->history.started && cached < before)
        model->seen.went += before - cached;
    model->seen.cached = cached;
}

/* Counts the whole file; true when something about it is new. */
static bool totals_update(struct watch_model *model)
{
    struct page_counts now;
    struct verso_inspect_cache cache;
    uint64_t start_cpu_ns = watch_cpu_ns();
    bool resized;

    if (verso_inspect_cache(model->fd, 0, 0, &cache) < 0) {
        model->pages_error = verso_error_last()->code;
        model->pages_why = verso_error_text(model->pages_error);
        return false;
    }
    model->pages_error = cache.cached.error;
    model->pages_why = cache.cached.why;
    resized = cache.file_bytes != model->file_bytes || !model->pages.root;
    model->cache = cache;
    model->file_bytes = cache.file_bytes;
    if (resized) {
        model->extents_pace.next_ns = 0;
        if (!pages_resize(&model->pages, watch_page_count(model))) {
            model->pages_error = -ENOMEM;
            model->pages_why = verso_error_text(-ENOMEM);
        }
    }
    sample(model, &cache);
    now = counts_of(&cache);
    pace_done(&model->cache_pace, model->now_ns, watch_cpu_ns() - start_cpu_ns, 25);
    return model->pages_error == 0 && (resized || !page_counts_equal(&model->pages.root->seen, &now));
}

void cache_update(struct watch_model *model, const struct update *update)
{
    if (!pace_due(&model->cache_pace, model->now_ns))
        return;
    if (totals_update(model) && !update->frozen) {
        model->pages.root->seen = counts_of(&model->cache);
        node_find_changes(model, model->pages.root, model->pages.levels - 1, 0);
    }
    if (!update->frozen && model->pages_error == 0)
        look_at_pages(model, update);
}
