/* SPDX-License-Identifier: MIT */
/*
 * cache - what a scan leaves in the page cache.
 *
 *      before    |###.....######........|...ahead...|     what was there when the run began: one bit a granule
 *      dropped       -----      --------  ---------        and what is dropped: the rest, once it has been passed
 *
 * What readahead brings was not there before either, so the look goes beyond the end of what is passed. A bit stands
 * for a page, of very large files for several: a granule in which any page was cached is left alone.
 */
#include "base/sums.h"
#include "scan/scan.h"

#include <stdlib.h>
#include <string.h>

/* The farthest the kernel is expected to read ahead. */
#define AHEAD_BYTES ((uint64_t)32 << 20)

/* Most memory for the bits, and how much of the file is looked at in one go. */
#define BITS_BYTES_MAX ((uint64_t)4 << 20)
#define LOOK_BYTES ((uint64_t)16 << 20)

/* A folio leaves only when a call covers all of it: none reaches across a multiple of this. */
#define STEP_BYTES ((uint64_t)4 << 20)

static bool was_cached(const struct verso__scan_before *before, uint64_t granule)
{
    return before->bits[granule / 8] >> granule % 8 & 1;
}

static void note_cached(struct verso__scan_before *before, uint64_t offset)
{
    uint64_t granule = (offset - before->start) / before->granule_bytes;

    before->bits[granule / 8] |= (unsigned char)(1U << granule % 8);
}

/* Looks through a mapping that is never touched. */
static bool look_at_stretch(struct verso__scan_before *before, int fd, uint64_t start, uint64_t end,
                            unsigned char *pages)
{
    uint64_t page = verso__os_page_bytes();
    size_t bytes = (size_t)((end - start + page - 1) / page * page);
    void *look;
    int r = verso__os_map(NULL, bytes, VERSO__OS_ACCESS_READ, VERSO__OS_MAP_SHARED, fd, start, &look);

    if (r < 0)
        return false;
    r = verso__os_resident(look, bytes, pages);
    (void)verso__os_unmap(look, bytes);
    for (uint64_t i = 0; r == 0 && i < bytes / page; i++)
        if (pages[i] & 1)
            note_cached(before, start + i * page);
    return r == 0;
}

static bool look_at_all(struct verso__scan_before *before, int fd)
{
    uint64_t page = verso__os_page_bytes(), next;
    unsigned char *pages = malloc((size_t)(LOOK_BYTES / page));
    struct verso__os_cache_counts counts;
    bool known = pages;

    for (uint64_t at = before->start; known && at < before->end; at = next) {
        next = verso__min_u64(at + LOOK_BYTES, before->end);
        if (verso__os_cache_counts(fd, at, next - at, &counts) < 0 || counts.cached_pages > 0)
            known = look_at_stretch(before, fd, at, next, pages);
    }
    free(pages);
    return known;
}

void verso__scan_before_look(struct verso_scan *scan)
{
    const struct verso__scan_source *source = &scan->run.source;
    struct verso__scan_before *before = &scan->before;
    uint64_t page = verso__os_page_bytes(), ahead;

    verso__scan_before_forget(before);
    if (scan->options.cache != VERSO_SCAN_CACHE_NEUTRAL || source->kind != VERSO__SCAN_FILE ||
        source->start == source->end || !verso__os_residency_is_honest(source->fd))
        return;
    if (!verso__add_u64(source->end, AHEAD_BYTES, &ahead))
        ahead = source->end;
    before->start = verso__round_down(source->start, page);
    before->end = verso__max_u64(source->end, verso__min_u64(ahead, source->before.bytes));
    before->granule_bytes = page;
    while ((before->end - before->start) / before->granule_bytes / 8 >= BITS_BYTES_MAX)
        before->granule_bytes *= 2;
    before->bits = calloc((size_t)((before->end - before->start) / before->granule_bytes / 8 + 1), 1);
    if (before->bits && !look_at_all(before, source->fd))
        verso__scan_before_forget(before);
}

void verso__scan_before_forget(struct verso__scan_before *before)
{
    free(before->bits);
    before->bits = NULL;
}

/* Advice: nothing is lost when it is not taken. */
static void drop_what_came(const struct verso__scan_before *before, int fd, uint64_t start, uint64_t end)
{
    uint64_t granule = (start - before->start) / before->granule_bytes;
    uint64_t last = (end - 1 - before->start) / before->granule_bytes;

    while (granule <= last) {
        uint64_t first = granule;

        while (granule <= last && !was_cached(before, granule))
            granule++;
        if (granule > first) {
            uint64_t from = before->start + first * before->granule_bytes;
            uint64_t to = verso__min_u64(before->start + granule * before->granule_bytes, before->end);

            (void)verso__os_cache_drop(fd, from, to - from);
        }
        granule++;
    }
}

void verso__scan_drop(struct verso_scan *scan, uint64_t start, uint64_t end)
{
    if (start >= end)
        return;
    if (scan->options.cache == VERSO_SCAN_CACHE_DROP)
        (void)verso__os_cache_drop(scan->run.source.fd, start, end - start);
    else if (scan->before.bits)
        drop_what_came(&scan->before, scan->run.source.fd, start, end);
}

void verso__scan_drop_ahead(struct verso_scan *scan)
{
    if (scan->before.bits)
        verso__scan_drop(scan,
                         verso__round_down(scan->run.outcome.reached, STEP_BYTES) > scan->before.start
                             ? verso__round_down(scan->run.outcome.reached, STEP_BYTES)
                             : scan->before.start,
                         scan->before.end);
}

uint64_t verso__scan_droppable_to(const struct verso_scan *scan, const struct verso__scan_leg *leg)
{
    bool is_over = leg->outcome.reached == leg->end || leg->outcome.status;

    if (scan->options.cache == VERSO_SCAN_CACHE_KEEP || scan->run.source.kind != VERSO__SCAN_FILE)
        return leg->dropped_to;
    return is_over ? leg->outcome.reached
                   : verso__max_u64(leg->dropped_to, verso__round_down(leg->outcome.reached, STEP_BYTES));
}
