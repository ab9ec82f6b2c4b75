/* SPDX-License-Identifier: MIT */
/*
 * watch_cells.h - from pages to cells: what the picture shows.
 *
 * Each row of the picture is an array of cells over the same window of file pages, so the same index is the same pages
 * in every row. A cell stands for many pages; its kind is the most telling state among them (one dirty page in a
 * thousand shows), its share says how many of them are in it, its height where they lie on the disk or in physical
 * memory. Kinds have a letter and a colour each, so that neither is needed to read the picture.
 */
#ifndef VERSO_CLI_WATCH_CELLS_H
#define VERSO_CLI_WATCH_CELLS_H

#include "watch_pages.h"
#include "watch_virtual.h"

/* The Okabe-Ito colours, told apart with every common colour blindness. */
enum hue {
    HUE_NONE,   /* the background of text */
    HUE_GROUND, /* part of the file, nothing there */
    HUE_SKY,
    HUE_BLUE,
    HUE_GREEN,
    HUE_YELLOW,
    HUE_ORANGE,
    HUE_VERMILION,
    HUE_PURPLE,
    HUE_GREY,
    HUE_COUNT
};

/* X(kind, letter, hue, name, row that shows it) in the order of the legend, row after row: letters and colours are few,
 * and mean something else in each. */
#define CELL_KINDS(X)                                            \
    X(KIND_NONE, ' ', HUE_NONE, "", "")                          \
    X(KIND_UNKNOWN, '?', HUE_GROUND, "not known", "any")         \
    X(KIND_HOLE, '.', HUE_GROUND, "hole", "disk")                \
    X(KIND_EXTENT, 'A', HUE_BLUE, "extent", "disk")              \
    X(KIND_EXTENT_OTHER, 'B', HUE_SKY, "next extent", "disk")    \
    X(KIND_UNWRITTEN, 'U', HUE_YELLOW, "unwritten", "disk")      \
    X(KIND_DELAYED, 'L', HUE_ORANGE, "no block yet", "disk")     \
    X(KIND_SHARED, 'S', HUE_PURPLE, "shared block", "disk")      \
    X(KIND_ENCODED, 'Z', HUE_GREEN, "compressed", "disk")        \
    X(KIND_INLINE, 'I', HUE_GREY, "in the inode", "disk")        \
    X(KIND_ABSENT, '.', HUE_GROUND, "not in memory", "cache")    \
    X(KIND_CACHED, 'C', HUE_SKY, "cached", "cache")              \
    X(KIND_FOLIO, 'F', HUE_GREEN, "large folio", "cache")        \
    X(KIND_ACTIVE, 'A', HUE_BLUE, "active", "cache")             \
    X(KIND_DIRTY, 'D', HUE_ORANGE, "dirty", "cache")             \
    X(KIND_WRITEBACK, 'W', HUE_YELLOW, "writeback", "cache")     \
    X(KIND_GONE, 'X', HUE_PURPLE, "evicted", "cache")            \
    X(KIND_SCATTERED, 'S', HUE_VERMILION, "scattered", "frames") \
    X(KIND_NEAR, 'R', HUE_SKY, "run of 16+", "frames")           \
    X(KIND_WHOLE, 'W', HUE_GREEN, "run of 512", "frames")        \
    X(KIND_UNTOUCHED, '.', HUE_GROUND, "not touched", "virtual") \
    X(KIND_PRESENT, 'P', HUE_SKY, "present", "virtual")          \
    X(KIND_HUGE, 'H', HUE_GREEN, "huge page", "virtual")         \
    X(KIND_OWN, 'O', HUE_ORANGE, "own copy", "virtual")          \
    X(KIND_SWAPPED, 'S', HUE_PURPLE, "swapped", "virtual")       \
    X(KIND_GUARD, 'G', HUE_YELLOW, "guard", "virtual")

enum cell_kind {
#define CELL_KIND_ENUM(kind, letter, hue, name, row) kind,
    CELL_KINDS(CELL_KIND_ENUM)
#undef CELL_KIND_ENUM
    KIND_COUNT
};

struct cell_kind_row {
    char letter;
    enum hue hue;
    const char *name;
    const char *row;
};
extern const struct cell_kind_row cell_kinds[KIND_COUNT];

struct cell {
    uint8_t kind;   /* enum cell_kind */
    uint8_t share;  /* of the cell's pages in that kind, 1..255 */
    uint8_t height; /* position on the disk or in physical memory, 0 lowest..255 highest; disk and frames only */
};

/* A cell as a letter: capital when at least half of its pages are in its state. */
char cell_letter(const struct cell *cell);

/* The pages that the picture shows. */
struct window {
    uint64_t first_page;
    uint64_t page_count;
};

/* The pages of cell @index of @cell_count; at least one. Neighbouring cells meet; in a window of fewer pages than cells
 * several cells show the same page. */
struct window window_cell(struct window window, size_t index, size_t cell_count);

/* The first cell that shows @page; the last one for pages past the window. */
size_t window_cell_of(struct window window, uint64_t page, size_t cell_count);

/* An extent with the number of its piece: neighbours in the file that are neighbours on the disk are one piece. */
struct disk_extent {
    struct verso_inspect_extent is;
    uint64_t piece;
};

/* Numbers the pieces; answers how many there are. */
uint64_t disk_pieces(struct disk_extent *extents, size_t count);

/* The extent that holds a byte of the file; NULL in a hole. */
const struct disk_extent *disk_extent_at(const struct disk_extent *extents, size_t count, uint64_t offset_bytes);

/* The disk or the physical memory from the lowest to the highest place that the file has. */
struct place_range {
    uint64_t lowest;
    uint64_t highest;
};
struct place_range disk_range(const struct disk_extent *extents, size_t count);

void cells_disk(const struct disk_extent *extents, size_t extent_count, uint64_t page_bytes, struct window window,
                struct cell *out_cells, size_t cell_count);
void cells_cache(const struct pages *pages, struct window window, struct cell *out_cells, size_t cell_count);
void cells_frames(const struct pages *pages, struct place_range range, struct window window, struct cell *out_cells,
                  size_t cell_count);
void cells_virtual(const struct watch_process *process, uint64_t page_bytes, struct window window,
                   struct cell *out_cells, size_t cell_count);
/* A row of which nothing is known. */
void cells_unknown(struct cell *out_cells, size_t cell_count);

#endif
