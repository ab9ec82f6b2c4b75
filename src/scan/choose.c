/* SPDX-License-Identifier: MIT */
/*
 * choose - how to go about it, from a look at what is cached, and in which pages.
 *
 * Small content is read by one thread, and nothing is looked at: looking would cost more than it could save. Else a
 * stretch in the middle is looked at, since readahead begins with small pages: where the page table got huge pages, a
 * map costs nothing. What is not cached is brought in by windows in any case, and a map spares it the copy.
 */
#include "base/sums.h"
#include "scan/scan.h"

/* Large against the cost of mapping one, small against the budget. */
#define MAPPED_WINDOW_BYTES ((uint64_t)4 << 20)

/* What a thread reads before it comes back for more. */
#define READ_WINDOW_BYTES ((uint64_t)1 << 20)

/* From here on it is worth looking; and it is worth the time that it takes to wake a second thread. */
#define LOOK_BYTES ((uint64_t)2 << 20)
#define SHARED_BYTES ((uint64_t)4 << 20)

static void read_because(struct verso__scan_run *run, const char *why)
{
    run->method = VERSO_SCAN_READ;
    run->why = why;
}

static void map_because(struct verso__scan_run *run, const char *why)
{
    run->method = VERSO_SCAN_MAPPED;
    run->why = why;
}

/* Windows must begin where maps of this file can. */
static bool has_large_granules(const struct verso__scan_source *source)
{
    size_t page = verso__os_page_bytes();

    return source->before.block_bytes > page && verso__os_file_page_bytes(source->fd) > page;
}

static void look_at_cache(struct verso__scan_run *run)
{
    const struct verso__scan_source *source = &run->source;
    struct verso__os_cache_counts counts;

    if (verso__os_cache_counts(source->fd, source->start, source->end - source->start, &counts) == 0)
        run->cached_bytes = verso__min_u64(counts.cached_pages * verso__os_page_bytes(), source->end - source->start);
}

static bool is_cached(const struct verso__scan_source *source, uint64_t offset, uint64_t bytes)
{
    struct verso__os_cache_counts counts;

    return verso__os_cache_counts(source->fd, offset, bytes, &counts) == 0 &&
           counts.cached_pages * verso__os_page_bytes() >= bytes;
}

static void look_at_pages(struct verso_scan *scan)
{
    struct verso__scan_run *run = &scan->run;
    struct verso__scan_view *view = &scan->workers[0].view;
    uint64_t huge = verso__max_u64(verso__os_huge_page_bytes(), verso__os_page_bytes());
    uint64_t bytes = verso__min_u64(MAPPED_WINDOW_BYTES, (run->source.end - run->source.start) / 2);
    uint64_t offset = verso__round_down(run->source.start + (run->source.end - run->source.start) / 2, huge);
    int is_huge = -1;

    if (offset < run->source.start)
        offset = run->source.start;
    if (!is_cached(&run->source, offset, bytes)) {
        map_because(run, "it is not cached, or that can't be known: mapped windows come in without being copied");
        return;
    }
    if (run->is_ordered && scan->options.thread_count > 1 && run->source.end - run->source.start >= SHARED_BYTES) {
        read_because(run, "it is cached, and wanted in order: some threads copy what comes next while one is at work");
        return;
    }
    if (verso__scan_view_place(view, &run->source, offset, (size_t)bytes))
        is_huge = verso__scan_view_is_huge(view);
    verso__scan_view_leave(view);
    if (is_huge > 0)
        map_because(run, "it is cached in huge pages: a map of them costs next to nothing");
    else if (is_huge == 0)
        read_because(run, "it is cached in small pages: mapping each costs more than copying it");
    else
        read_because(run, "in which pages it is cached can't be seen");
}

static void choose_method(struct verso_scan *scan)
{
    struct verso__scan_run *run = &scan->run;
    uint64_t bytes = run->source.end - run->source.start;

    if (run->source.kind == VERSO__SCAN_MEMORY) {
        run->method = VERSO_SCAN_MEMORY;
        run->why = "it is in memory";
    } else if (run->source.kind != VERSO__SCAN_FILE) {
        read_because(run, "it has no size beforehand: it is read until it ends");
    } else if (verso__scan_wants_copies(&scan->jobs)) {
        read_because(run, "functions of the caller are given copies that nobody can take away");
    } else if (scan->options.method == VERSO_SCAN_READ) {
        read_because(run, "reading was asked for");
    } else if (bytes < LOOK_BYTES && scan->options.method != VERSO_SCAN_MAPPED) {
        read_because(run, "it is small: reading it costs less than a look at it");
    } else if (!verso__guard_meets_faults()) {
        read_because(run, "SIGBUS is blocked, or another handler has been put over the guard: a map would not be safe");
    } else if (has_large_granules(&run->source)) {
        read_because(run, "it is made of hugetlb pages, which windows would have to heed");
    } else if (scan->options.method == VERSO_SCAN_MAPPED) {
        map_because(run, "mapping was asked for");
    } else {
        look_at_pages(scan);
    }
}

void verso__scan_choose(struct verso_scan *scan)
{
    struct verso__scan_run *run = &scan->run;
    uint64_t bytes = run->source.end - run->source.start, share;

    run->cached_bytes = VERSO_OFFSET_NONE;
    if (run->source.kind == VERSO__SCAN_FILE && bytes >= LOOK_BYTES)
        look_at_cache(run);
    choose_method(scan);
    run->thread_count = 1;
    if (run->source.kind == VERSO__SCAN_STREAM || run->source.kind == VERSO__SCAN_UNSIZED) {
        run->window_bytes = UINT64_MAX;
        return;
    }
    if (bytes >= SHARED_BYTES) {
        verso__scan_start_threads(scan, scan->options.thread_count);
        run->thread_count = scan->started + 1;
    }
    run->window_bytes = run->method == VERSO_SCAN_READ ? READ_WINDOW_BYTES : MAPPED_WINDOW_BYTES;
    if (run->method == VERSO_SCAN_READ && run->is_ordered)
        run->window_bytes = VERSO__SCAN_PIECE_BYTES;
    share = scan->options.budget_bytes / run->thread_count;
    while (run->window_bytes > share && run->window_bytes > VERSO__SCAN_PIECE_BYTES)
        run->window_bytes /= 2;
}
