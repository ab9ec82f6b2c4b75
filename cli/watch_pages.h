/* SPDX-License-Identifier: MIT */
/*
 * watch_pages.h - what is known of a file's pages, kept only where something is known.
 *
 * A file may have 2^51 pages of which a handful are cached, so pages live in leaves of 512 under a radix tree, and a
 * leaf exists only while one of its pages is, or was seen, cached. Each node also remembers the kernel's counts for its
 * range when it was last looked at: finding what changed means asking for the root's counts, then only for those of
 * children under a node whose counts differ.
 *
 *     root   [........................] 64 Ki pages   counts differ: ask its children
 *     node   [......] [......] [......]  8 Ki pages   this one differs, the others are skipped
 *     leaf   [..]                         512 pages   stale: ask page by page
 */
#ifndef VERSO_CLI_WATCH_PAGES_H
#define VERSO_CLI_WATCH_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LEAF_PAGES 512u   /* pages of a leaf: 2 MiB where a page is 4 KiB */
#define NODE_CHILDREN 16u /* leaves or nodes under a node */
#define PART_PAGES 32u    /* of a leaf are summed together, so that a cell's edges are few pages */
#define NEAR_PAGES 16u    /* this many neighbouring pages in neighbouring frames count as a long run */

enum page_state {
    PAGE_CACHED = 1 << 0,
    PAGE_DIRTY = 1 << 1,
    PAGE_WRITEBACK = 1 << 2,
    PAGE_GONE = 1 << 3,  /* was cached while we watched and is not now */
    PAGE_FRAME = 1 << 4, /* its frame number is known */
    PAGE_ACTIVE = 1 << 5,
    PAGE_REFERENCED = 1 << 6,
    PAGE_FOLIO = 1 << 7, /* part of a folio of several pages */
    PAGE_NEAR = 1 << 8,  /* in a run of at least NEAR_PAGES frames */
    PAGE_WHOLE = 1 << 9, /* the whole leaf is one run of frames */
};

/* What the kernel counts in a range; the whole tree compares these. */
struct page_counts {
    uint64_t cached;
    uint64_t dirty;
    uint64_t writeback;
    uint64_t evicted;
};

/* Sums over any range of pages. */
struct page_sums {
    uint64_t cached;
    uint64_t dirty;
    uint64_t writeback;
    uint64_t gone;
    uint64_t active;
    uint64_t folio;
    uint64_t frames; /* pages whose frame is known */
    uint64_t near;
    uint64_t whole;
    uint64_t first_frame; /* of the first page with a known frame; 0 when frames is 0 */
};

struct leaf {
    uint64_t first_page;
    struct page_counts seen; /* what the kernel counted when this leaf was last found changed */
    uint32_t born;           /* when the leaf was made, on the same clock as since */
    bool known;              /* its pages have been asked for once */
    bool stale;              /* the counts changed: its pages must be asked for */
    bool frames_stale;       /* the pages changed: its frames must be asked for */
    uint16_t state[LEAF_PAGES];
    uint32_t since[LEAF_PAGES]; /* tenths of a second on the model's clock at which a page was first seen cached */
    uint64_t frame[LEAF_PAGES];
    struct page_sums sums; /* of the whole leaf; see leaf_sum() */
    struct page_sums parts[LEAF_PAGES / PART_PAGES];
};

struct pages_node {
    struct page_counts seen;
    void *children[NODE_CHILDREN]; /* nodes, or leaves on the lowest level */
};

struct pages {
    uint64_t page_count; /* of the file */
    unsigned levels;     /* of nodes; at least 1 */
    struct pages_node *root;
    size_t leaf_count;
    size_t stale_count;        /* leaves with @stale set */
    size_t frames_stale_count; /* leaves with @frames_stale set */
};

/* Starts empty. */
void pages_init(struct pages *pages);
void pages_clear(struct pages *pages);

/* The file has this many pages now. Pages past a smaller end are forgotten. False on no memory (nothing changed). */
bool pages_resize(struct pages *pages, uint64_t page_count);

/* How many pages a child of a node on @level covers; level 0 nodes have leaves as children. */
uint64_t pages_child_span(unsigned level);

/* The leaf that holds @page; NULL when there is none. */
struct leaf *pages_find(const struct pages *pages, uint64_t page);

/* The child of @node, which stands on @level, whose first page is @first_page: made when it is not there. NULL: no
 * memory. On level 0 it is a struct leaf, above a struct pages_node. */
void *pages_child(struct pages *pages, struct pages_node *node, unsigned level, uint64_t first_page);

/* The leaf that holds @page, made with the nodes above it. NULL: no memory, or past the end. */
struct leaf *pages_make(struct pages *pages, uint64_t page);

/* The first leaf whose last page is at or after @page; NULL when there is none. */
struct leaf *pages_next(const struct pages *pages, uint64_t page);

/* Forgets a child of @node, which stands on @level, and all below it. */
void pages_forget(struct pages *pages, struct pages_node *node, unsigned level, unsigned child);

/* Marks a leaf, keeping the counts of marked ones. */
void pages_mark_stale(struct pages *pages, struct leaf *leaf, bool stale);
void pages_mark_frames_stale(struct pages *pages, struct leaf *leaf, bool stale);

/* How many of the leaf's pages the file has. */
unsigned leaf_page_count(const struct pages *pages, const struct leaf *leaf);

/* Takes a new answer for which of the leaf's pages are cached: sets CACHED, GONE, since; drops frames of what went.
 * What the first answer finds has been there since the leaf was made, or longer. */
void leaf_set_cached(struct leaf *leaf, unsigned count, const bool *cached, uint32_t now);

/* Computes runs of frames and the leaf's sums after state or frames changed. */
void leaf_sum(struct leaf *leaf);

/* Sums over pages [first, first + count). */
struct page_sums pages_sum(const struct pages *pages, uint64_t first, uint64_t count);

bool page_counts_equal(const struct page_counts *a, const struct page_counts *b);

#endif
