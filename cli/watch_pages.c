/* SPDX-License-Identifier: MIT */
/* watch_pages - the sparse store of a file's pages. See watch_pages.h for the picture. */
#include "watch_pages.h"

#include <stdlib.h>
#include <string.h>

uint64_t pages_child_span(unsigned level)
{
    uint64_t span = LEAF_PAGES;

    for (; level > 0; level--)
        span *= NODE_CHILDREN;
    return span;
}

bool page_counts_equal(const struct page_counts *a, const struct page_counts *b)
{
    return a->cached == b->cached && a->dirty == b->dirty && a->writeback == b->writeback && a->evicted == b->evicted;
}

void pages_init(struct pages *pages)
{
    memset(pages, 0, sizeof(*pages));
}

static void leaf_free(struct pages *pages, struct leaf *leaf)
{
    pages_mark_stale(pages, leaf, false);
    pages_mark_frames_stale(pages, leaf, false);
    pages->leaf_count--;
    free(leaf);
}

static void node_free(struct pages *pages, struct pages_node *node, unsigned level)
{
    for (unsigned i = 0; i < NODE_CHILDREN; i++)
        pages_forget(pages, node, level, i);
    free(node);
}

void pages_forget(struct pages *pages, struct pages_node *node, unsigned level, unsigned child)
{
    void *below = node->children[child];

    if (!below)
        return;
    if (level == 0)
        leaf_free(pages, below);
    else
        node_free(pages, below, level - 1);
    node->children[child] = NULL;
}

void pages_clear(struct pages *pages)
{
    if (pages->root)
        node_free(pages, pages->root, pages->levels - 1);
    pages_init(pages);
}

/* Forgets what lies at or after @page below @node, whose first page is @first. */
static void node_cut(struct pages *pages, struct pages_node *node, unsigned level, uint64_t first, uint64_t page)
{
    uint64_t span = pages_child_span(level);

    for (unsigned i = 0; i < NODE_CHILDREN; i++, first += span) {
        if (!node->children[i] || first + span <= page)
            continue;
        if (first >= page)
            pages_forget(pages, node, level, i);
        else if (level > 0)
            node_cut(pages, node->children[i], level - 1, first, page);
        else { /* the leaf in which the file now ends */
            struct leaf *leaf = node->children[i];
            for (uint64_t at = page - first; at < LEAF_PAGES; at++)
                leaf->state[at] = 0;
            leaf_sum(leaf);
        }
    }
}

/* Grows by putting new roots on top, so that what is known stays known while a file is appended to. */
bool pages_resize(struct pages *pages, uint64_t page_count)
{
    while (!pages->root || page_count > pages_child_span(pages->levels)) {
        struct pages_node *root = calloc(1, sizeof(*root));

        if (!root)
            return false;
        if (pages->root) {
            root->children[0] = pages->root;
            root->seen = pages->root->seen;
        }
        pages->root = root;
        pages->levels++;
    }
    if (page_count < pages->page_count)
        node_cut(pages, pages->root, pages->levels - 1, 0, page_count);
    pages->page_count = page_count;
    return true;
}

struct leaf *pages_find(const struct pages *pages, uint64_t page)
{
    const struct pages_node *node = pages->root;

    if (page >= pages->page_count)
        return NULL;
    for (unsigned level = pages->levels; node && level-- > 0;) {
        void *below = node->children[page / pages_child_span(level) % NODE_CHILDREN];
        if (level == 0)
            return below;
        node = below;
    }
    return NULL;
}

static struct leaf *leaf_make(struct pages *pages, uint64_t first_page)
{
    struct leaf *leaf = calloc(1, sizeof(*leaf));

    if (leaf) {
        leaf->first_page = first_page;
        pages->leaf_count++;
    }
    return leaf;
}

void *pages_child(struct pages *pages, struct pages_node *node, unsigned level, uint64_t first_page)
{
    void **below = &node->children[first_page / pages_child_span(level) % NODE_CHILDREN];

    if (!*below)
        *below = level == 0 ? (void *)leaf_make(pages, first_page) : calloc(1, sizeof(*node));
    return *below;
}

struct leaf *pages_make(struct pages *pages, uint64_t page)
{
    struct pages_node *node = pages->root;

    if (page >= pages->page_count)
        return NULL;
    for (unsigned level = pages->levels - 1; node && level > 0; level--)
        node = pages_child(pages, node, level, page - page % pages_child_span(level));
    return node ? pages_child(pages, node, 0, page - page % LEAF_PAGES) : NULL;
}

static struct leaf *node_next(const struct pages_node *node, unsigned level, uint64_t first, uint64_t page)
{
    uint64_t span = pages_child_span(level);

    for (unsigned i = 0; i < NODE_CHILDREN; i++, first += span) {
        struct leaf *leaf;

        if (!node->children[i] || first + span <= page)
            continue;
        if (level == 0)
            return node->children[i];
        leaf = node_next(node->children[i], level - 1, first, page);
        if (leaf)
            return leaf;
    }
    return NULL;
}

struct leaf *pages_next(const struct pages *pages, uint64_t page)
{
    return pages->root ? node_next(pages->root, pages->levels - 1, 0, page) : NULL;
}

void pages_mark_stale(struct pages *pages, struct leaf *leaf, bool stale)
{
    if (leaf->stale != stale)
        pages->stale_count += stale ? 1 : (size_t)-1;
    leaf->stale = stale;
}

void pages_mark_frames_stale(struct pages *pages, struct leaf *leaf, bool stale)
{
    if (leaf->frames_stale != stale)
        pages->frames_stale_count += stale ? 1 : (size_t)-1;
    leaf->frames_stale = stale;
}

unsigned leaf_page_count(const struct pages *pages, const struct leaf *leaf)
{
    uint64_t left = pages->page_count - leaf->first_page;

    return left < LEAF_PAGES ? (unsigned)left : LEAF_PAGES;
}

void leaf_set_cached(struct leaf *leaf, unsigned count, const bool *cached, uint32_t now)
{
    for (unsigned i = 0; i < count; i++) {
        bool was = (leaf->state[i] & PAGE_CACHED) != 0;

        if (cached[i] && !was) {
            leaf->state[i] = PAGE_CACHED;
            leaf->since[i] = leaf->known ? now : leaf->born;
        } else if (!cached[i] && was)
            leaf->state[i] = PAGE_GONE;
    }
    leaf->known = true;
}

/* Marks the run of frames that ends before @end and began at @start. */
static void run_mark(struct leaf *leaf, unsigned start, unsigned end)
{
    uint16_t mark = end - start >= NEAR_PAGES ? PAGE_NEAR : 0;

    if (end - start == LEAF_PAGES)
        mark |= PAGE_WHOLE;
    for (unsigned i = start; i < end; i++)
        leaf->state[i] = (uint16_t)((leaf->state[i] & ~(PAGE_NEAR | PAGE_WHOLE)) | mark);
}

static void mark_runs(struct leaf *leaf)
{
    unsigned start = 0;

    for (unsigned i = 1; i <= LEAF_PAGES; i++) {
        bool joined = i < LEAF_PAGES && (leaf->state[i] & PAGE_FRAME) && (leaf->state[i - 1] & PAGE_FRAME) &&
                      leaf->frame[i] == leaf->frame[i - 1] + 1;

        if (joined)
            continue;
        run_mark(leaf, start, leaf->state[start] & PAGE_FRAME ? i : start);
        start = i;
    }
}

static void add_page(struct page_sums *sums, unsigned state, uint64_t frame)
{
    sums->cached += (state & PAGE_CACHED) != 0;
    sums->dirty += (state & PAGE_DIRTY) != 0;
    sums->writeback += (state & PAGE_WRITEBACK) != 0;
    sums->gone += (state & PAGE_GONE) != 0;
    sums->active += (state & PAGE_ACTIVE) != 0;
    sums->folio += (state & PAGE_FOLIO) != 0;
    sums->near += (state & PAGE_NEAR) != 0;
    sums->whole += (state & PAGE_WHOLE) != 0;
    if (state & PAGE_FRAME && sums->frames++ == 0)
        sums->first_frame = frame;
}

static void add_sums(struct page_sums *sums, const struct page_sums *more)
{
    if (sums->frames == 0)
        sums->first_frame = more->first_frame;
    sums->cached += more->cached;
    sums->dirty += more->dirty;
    sums->writeback += more->writeback;
    sums->gone += more->gone;
    sums->active += more->active;
    sums->folio += more->folio;
    sums->frames += more->frames;
    sums->near += more->near;
    sums->whole += more->whole;
}

void leaf_sum(struct leaf *leaf)
{
    mark_runs(leaf);
    memset(&leaf->sums, 0, sizeof(leaf->sums));
    memset(leaf->parts, 0, sizeof(leaf->parts));
    for (unsigned i = 0; i < LEAF_PAGES; i++)
        add_page(&leaf->parts[i / PART_PAGES], leaf->state[i], leaf->frame[i]);
    for (unsigned i = 0; i < LEAF_PAGES / PART_PAGES; i++)
        add_sums(&leaf->sums, &leaf->parts[i]);
}

/* Adds pages [from, to) of the leaf: whole parts by their sums, page by page only at the edges. */
static void add_range(struct page_sums *sums, const struct leaf *leaf, unsigned from, unsigned to)
{
    while (from < to) {
        if (from % PART_PAGES == 0 && to - from >= PART_PAGES) {
            add_sums(sums, &leaf->parts[from / PART_PAGES]);
            from += PART_PAGES;
        } else {
            add_page(sums, leaf->state[from], leaf->frame[from]);
            from++;
        }
    }
}

struct page_sums pages_sum(const struct pages *pages, uint64_t first, uint64_t count)
{
    struct page_sums sums = { 0 };
    uint64_t end = count > UINT64_MAX - first ? UINT64_MAX : first + count;

    for (const struct leaf *leaf = pages_next(pages, first); leaf && leaf->first_page < end;
         leaf = pages_next(pages, leaf->first_page + LEAF_PAGES)) {
        uint64_t from = first > leaf->first_page ? first - leaf->first_page : 0;
        uint64_t to = end - leaf->first_page < LEAF_PAGES ? end - leaf->first_page : LEAF_PAGES;

        if (from == 0 && to == LEAF_PAGES)
            add_sums(&sums, &leaf->sums);
        else
            add_range(&sums, leaf, (unsigned)from, (unsigned)to);
    }
    return sums;
}
