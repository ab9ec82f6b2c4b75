/* SPDX-License-Identifier: MIT */
/* watch_cells - which kind of cell stands for a range of pages. Pure: no system calls, no terminal. */
#include "watch_cells.h"

const struct cell_kind_row cell_kinds[KIND_COUNT] = {
#define CELL_KIND_ROW(kind, letter, hue, name, row) { letter, hue, name, row },
    CELL_KINDS(CELL_KIND_ROW)
#undef CELL_KIND_ROW
};

char cell_letter(const struct cell *cell)
{
    char letter = cell_kinds[cell->kind].letter;

    return cell->share < 128 && letter >= 'A' && letter <= 'Z' ? (char)(letter - 'A' + 'a') : letter;
}

/* floor(count * index / parts) without overflow: count is up to 2^51 pages. */
static uint64_t part(uint64_t count, uint64_t index, uint64_t parts)
{
    return count / parts * index + count % parts * index / parts;
}

struct window window_cell(struct window window, size_t index, size_t cell_count)
{
    uint64_t from = part(window.page_count, index, cell_count);
    uint64_t to = part(window.page_count, index + 1, cell_count);

    return (struct window){ .first_page = window.first_page + from, .page_count = to > from ? to - from : 1 };
}

size_t window_cell_of(struct window window, uint64_t page, size_t cell_count)
{
    size_t low = 0, high = cell_count - 1;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct window cell = window_cell(window, middle, cell_count);

        if (cell.first_page + cell.page_count <= page)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint8_t share_of(uint64_t part_pages, uint64_t all_pages)
{
    uint64_t share = 255;

    if (all_pages > 0 && part_pages < all_pages)
        share = part(255, part_pages, all_pages);
    return (uint8_t)(share > 0 ? share : 1);
}

static uint8_t height_of(uint64_t place, struct place_range range)
{
    if (range.highest <= range.lowest || place <= range.lowest)
        return 0;
    if (place >= range.highest)
        return 255;
    return (uint8_t)((double)(place - range.lowest) / (double)(range.highest - range.lowest) * 255.0);
}

/* ---- Disk ---- */

static bool has_place(const struct verso_inspect_extent *extent)
{
    return !(extent->state & (VERSO_INSPECT_EXTENT_UNKNOWN | VERSO_INSPECT_EXTENT_DELAYED));
}

uint64_t disk_pieces(struct disk_extent *extents, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct verso_inspect_extent *before = i ? &extents[i - 1].is : NULL, *this = &extents[i].is;
        bool joined = before && has_place(before) && has_place(this) &&
                      before->disk_offset_bytes + before->length_bytes == this->disk_offset_bytes &&
                      before->file_offset_bytes + before->length_bytes == this->file_offset_bytes;

        extents[i].piece = before ? extents[i - 1].piece + (joined ? 0 : 1) : 0;
    }
    return count ? extents[count - 1].piece + 1 : 0;
}

/* The first extent that ends after @offset_bytes; count when there is none. */
static size_t extent_after(const struct disk_extent *extents, size_t count, uint64_t offset_bytes)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (extents[middle].is.file_offset_bytes + extents[middle].is.length_bytes <= offset_bytes)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct disk_extent *disk_extent_at(const struct disk_extent *extents, size_t count, uint64_t offset_bytes)
{
    size_t at = extent_after(extents, count, offset_bytes);

    return at < count && extents[at].is.file_offset_bytes <= offset_bytes ? &extents[at] : NULL;
}

struct place_range disk_range(const struct disk_extent *extents, size_t count)
{
    struct place_range range = { UINT64_MAX, 0 };

    for (size_t i = 0; i < count; i++) {
        const struct verso_inspect_extent *extent = &extents[i].is;

        if (!has_place(extent))
            continue;
        if (extent->disk_offset_bytes < range.lowest)
            range.lowest = extent->disk_offset_bytes;
        if (extent->disk_offset_bytes + extent->length_bytes > range.highest)
            range.highest = extent->disk_offset_bytes + extent->length_bytes;
    }
    return range.highest ? range : (struct place_range){ 0, 0 };
}

/* The rarer a state, the more it tells. */
static enum cell_kind extent_kind(const struct disk_extent *extent)
{
    unsigned state = extent->is.state;

    if (state & VERSO_INSPECT_EXTENT_DELAYED)
        return KIND_DELAYED;
    if (state & VERSO_INSPECT_EXTENT_INLINE)
        return KIND_INLINE;
    if (state & VERSO_INSPECT_EXTENT_UNWRITTEN)
        return KIND_UNWRITTEN;
    if (state & VERSO_INSPECT_EXTENT_ENCODED)
        return KIND_ENCODED;
    if (state & VERSO_INSPECT_EXTENT_SHARED)
        return KIND_SHARED;
    if (state & VERSO_INSPECT_EXTENT_UNKNOWN)
        return KIND_UNKNOWN;
    return extent->piece % 2 ? KIND_EXTENT_OTHER : KIND_EXTENT;
}

static bool is_plain(enum cell_kind kind)
{
    return kind == KIND_EXTENT || kind == KIND_EXTENT_OTHER;
}

static struct cell disk_cell(const struct disk_extent *extents, size_t count, struct place_range range, uint64_t start,
                             uint64_t end)
{
    struct cell cell = { KIND_HOLE, 255, 0 };
    uint64_t covered = 0, first_at = 0;

    for (size_t i = extent_after(extents, count, start); i < count && extents[i].is.file_offset_bytes < end; i++) {
        const struct verso_inspect_extent *extent = &extents[i].is;
        uint64_t from = extent->file_offset_bytes > start ? extent->file_offset_bytes : start;
        uint64_t extent_end = extent->file_offset_bytes + extent->length_bytes;
        enum cell_kind kind = extent_kind(&extents[i]);

        if (covered == 0) {
            first_at = has_place(extent) ? extent->disk_offset_bytes + (from - extent->file_offset_bytes) : 0;
            cell.kind = (uint8_t)kind;
        } else if (!is_plain(kind) && is_plain(cell.kind))
            cell.kind = (uint8_t)kind;
        covered += (extent_end < end ? extent_end : end) - from;
    }
    if (covered > 0) {
        cell.share = share_of(covered, end - start);
        cell.height = height_of(first_at, range);
    }
    return cell;
}

void cells_disk(const struct disk_extent *extents, size_t extent_count, uint64_t page_bytes, struct window window,
                struct cell *out_cells, size_t cell_count)
{
    struct place_range range = disk_range(extents, extent_count);

    for (size_t i = 0; i < cell_count; i++) {
        struct window cell = window_cell(window, i, cell_count);

        out_cells[i] = disk_cell(extents, extent_count, range, cell.first_page * page_bytes,
                                 (cell.first_page + cell.page_count) * page_bytes);
    }
}

/* ---- Page cache and frames ---- */

static struct cell cache_cell(const struct page_sums *sums, uint64_t page_count)
{
    struct cell cell = { KIND_ABSENT, 255, 0 };
    uint64_t shown = sums->cached;

    if (sums->writeback) {
        cell.kind = KIND_WRITEBACK;
        shown = sums->writeback;
    } else if (sums->dirty) {
        cell.kind = KIND_DIRTY;
        shown = sums->dirty;
    } else if (sums->gone > sums->cached) {
        cell.kind = KIND_GONE;
        shown = sums->gone;
    } else if (sums->cached == 0)
        return cell;
    else if (sums->active * 2 > sums->cached)
        cell.kind = KIND_ACTIVE;
    else
        cell.kind = sums->folio * 2 > sums->cached ? KIND_FOLIO : KIND_CACHED;
    cell.share = share_of(shown, page_count);
    return cell;
}

void cells_cache(const struct pages *pages, struct window window, struct cell *out_cells, size_t cell_count)
{
    for (size_t i = 0; i < cell_count; i++) {
        struct window cell = window_cell(window, i, cell_count);
        struct page_sums sums = pages_sum(pages, cell.first_page, cell.page_count);

        out_cells[i] = cache_cell(&sums, cell.page_count);
    }
}

/* Contiguity is a matter of the many, not of the one: the kind is that of most pages. */
static struct cell frame_cell(const struct page_sums *sums, struct place_range range, uint64_t page_count)
{
    struct cell cell = { KIND_ABSENT, 255, 0 };

    if (sums->frames == 0) {
        cell.kind = sums->cached ? KIND_UNKNOWN : KIND_ABSENT;
        return cell;
    }
    if (sums->whole * 2 > sums->frames)
        cell.kind = KIND_WHOLE;
    else
        cell.kind = sums->near * 2 > sums->frames ? KIND_NEAR : KIND_SCATTERED;
    cell.share = share_of(sums->frames, page_count);
    cell.height = height_of(sums->first_frame, range);
    return cell;
}

void cells_frames(const struct pages *pages, struct place_range range, struct window window, struct cell *out_cells,
                  size_t cell_count)
{
    for (size_t i = 0; i < cell_count; i++) {
        struct window cell = window_cell(window, i, cell_count);
        struct page_sums sums = pages_sum(pages, cell.first_page, cell.page_count);

        out_cells[i] = frame_cell(&sums, range, cell.page_count);
    }
}

/* ---- Virtual ---- */

static struct cell virtual_cell(const struct virtual_sums *sums)
{
    struct cell cell = { KIND_UNTOUCHED, 255, 0 };
    uint64_t shown = sums->present;

    if (sums->mapped == 0) {
        cell.kind = KIND_NONE;
        return cell;
    }
    if (sums->swapped) {
        cell.kind = KIND_SWAPPED;
        shown = sums->swapped;
    } else if (sums->own) {
        cell.kind = KIND_OWN;
        shown = sums->own;
    } else if (sums->present)
        cell.kind = sums->huge * 2 > sums->present ? KIND_HUGE : KIND_PRESENT;
    else if (sums->guard) {
        cell.kind = KIND_GUARD;
        shown = sums->guard;
    } else
        return cell;
    cell.share = share_of(shown, sums->mapped);
    return cell;
}

void cells_virtual(const struct watch_process *process, uint64_t page_bytes, struct window window,
                   struct cell *out_cells, size_t cell_count)
{
    for (size_t i = 0; i < cell_count; i++) {
        struct window cell = window_cell(window, i, cell_count);
        struct virtual_sums sums = virtual_sum(process, cell.first_page, cell.page_count, page_bytes);

        out_cells[i] = virtual_cell(&sums);
    }
}

void cells_unknown(struct cell *out_cells, size_t cell_count)
{
    for (size_t i = 0; i < cell_count; i++)
        out_cells[i] = (struct cell){ KIND_UNKNOWN, 255, 0 };
}
