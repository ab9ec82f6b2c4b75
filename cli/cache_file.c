/* SPDX-License-Identifier: MIT */
/*
 * cache_file - what is done to one file: look, touch, evict, lock.
 *
 * Whatever is done, the kernel is asked before and after, so that what is reported is what happened and not what was
 * hoped for.
 */
#include "cache.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <verso/cache.h>
#include <verso/inspect.h>

/* How much is read between two looks at Ctrl-C and the clock. */
#define STEP_BYTES ((uint64_t)4 << 20)

struct cache_request cache_request;

void cache_gather_init(struct cache_gather *gather, unsigned worker_count, size_t root_count)
{
    *gather = (struct cache_gather){ .worker_count = worker_count, .root_count = root_count };
    pthread_mutex_init(&gather->progress_lock, NULL);
    gather->workers = allocate(NULL, worker_count, sizeof(*gather->workers));
    for (unsigned i = 0; i < worker_count; i++) {
        gather->workers[i] = (struct cache_worker){ 0 };
        gather->workers[i].sums = allocate(NULL, root_count, sizeof(struct cache_row));
        memset(gather->workers[i].sums, 0, root_count * sizeof(struct cache_row));
    }
}

void cache_gather_clear(struct cache_gather *gather)
{
    for (unsigned i = 0; i < gather->worker_count; i++) {
        struct cache_worker *worker = &gather->workers[i];

        for (size_t j = 0; j < worker->map_count; j++)
            verso_map_close(worker->maps[j]);
        free(worker->maps);
        for (size_t j = 0; j < worker->row_count; j++) {
            free(worker->rows[j].path);
            free(worker->rows[j].bar);
        }
        free(worker->rows);
        free(worker->sums);
    }
    free(gather->workers);
    pthread_mutex_destroy(&gather->progress_lock);
}

/* ---- Sums ---- */

static void add(uint64_t *sum, uint64_t count)
{
    *sum = *sum == CACHE_UNKNOWN || count == CACHE_UNKNOWN ? CACHE_UNKNOWN : *sum + count;
}

void cache_row_add(struct cache_row *sum, const struct cache_row *row)
{
    sum->files += row->files;
    sum->bytes += row->bytes;
    sum->read_bytes += row->read_bytes;
    sum->missing += row->missing;
    sum->locked_bytes += row->locked_bytes;
    if (row->now.cached == CACHE_UNKNOWN) { /* a file: sums always know their own */
        sum->unknown_files++;
        sum->unknown_bytes += row->bytes;
    } else {
        sum->unknown_files += row->unknown_files;
        sum->unknown_bytes += row->unknown_bytes;
        sum->pages += row->pages;
        sum->cached_before += row->cached_before;
        sum->now.cached += row->now.cached;
        add(&sum->now.dirty, row->now.dirty);
        add(&sum->now.writeback, row->now.writeback);
        add(&sum->now.evicted, row->now.evicted);
        add(&sum->now.recently_evicted, row->now.recently_evicted);
    }
    if (!sum->source || !*sum->source)
        sum->source = row->source;
    if (!sum->why || !*sum->why)
        sum->why = row->why;
}

/* ---- Looking ---- */

static uint64_t known(const struct verso_number *number)
{
    return number->error ? CACHE_UNKNOWN : number->value;
}

static uint64_t range_length(const struct byte_range *range)
{
    return range->end_bytes == UINT64_MAX ? 0 : range->end_bytes - range->start_bytes;
}

static int look(int fd, struct cache_row *row)
{
    const struct byte_range *range = &cache_request.range;
    struct verso_inspect_cache cache;
    uint64_t end;
    int r = verso_inspect_cache(fd, range->start_bytes, range_length(range), &cache);

    if (r < 0)
        return r;
    end = cache.file_bytes < range->end_bytes ? cache.file_bytes : range->end_bytes;
    row->bytes = end > range->start_bytes ? end - range->start_bytes : 0;
    row->pages = cache.pages;
    row->now = (struct cache_counts){ known(&cache.cached), known(&cache.dirty), known(&cache.writeback),
                                      known(&cache.evicted), known(&cache.recently_evicted) };
    row->source = cache.cached.source;
    row->why = cache.cached.error ? cache.cached.why : cache.dirty.why;
    return 0;
}

/* One letter for a part of a file: all, some or nothing of it cached; dirty pages in it. */
static char cell(int fd, uint64_t first_page, uint64_t end_page)
{
    uint64_t page_bytes = verso_page_bytes();
    struct verso_inspect_cache cache;

    if (verso_inspect_cache(fd, first_page * page_bytes, (end_page - first_page) * page_bytes, &cache) < 0 ||
        cache.cached.error)
        return '?';
    if (!cache.dirty.error && cache.dirty.value)
        return '*';
    if (cache.cached.value == 0)
        return '.';
    return cache.cached.value >= cache.pages ? '#' : ':';
}

static char *bar_of(int fd, const struct cache_row *row)
{
    uint64_t first = cache_request.range.start_bytes / verso_page_bytes();
    uint64_t cells = row->pages < cache_request.bar_cells ? row->pages : cache_request.bar_cells;
    bool uniform = row->now.cached == 0 || row->now.cached == CACHE_UNKNOWN ||
                   (row->now.cached >= row->pages && (row->now.dirty == 0 || row->now.dirty == CACHE_UNKNOWN));
    char *bar;

    if (uniform || cells == 0)
        return NULL;
    bar = allocate(NULL, cells + 1, 1);
    for (uint64_t i = 0; i < cells; i++)
        bar[i] = cell(fd, first + row->pages / cells * i + row->pages % cells * i / cells,
                      first + row->pages / cells * (i + 1) + row->pages % cells * (i + 1) / cells);
    bar[cells] = '\0';
    return bar;
}

/* ---- Progress ---- */

bool cache_request_reads(void)
{
    return cache_request.action == CACHE_TOUCH || (cache_request.action == CACHE_LOCK && !cache_request.on_fault);
}

static void advance(struct cache_gather *gather, uint64_t amount)
{
    uint64_t done = atomic_fetch_add(&gather->progress_done, amount) + amount;

    if (pthread_mutex_trylock(&gather->progress_lock) != 0)
        return; /* another thread is showing it */
    progress_step(&gather->progress, done);
    pthread_mutex_unlock(&gather->progress_lock);
}

/* ---- Touching ---- */

static int fetch(int fd, uint64_t start, uint64_t end, struct cache_row *row, struct cache_gather *gather)
{
    for (uint64_t at = start; at < end && !interrupted(); at += STEP_BYTES) {
        uint64_t bytes = end - at < STEP_BYTES ? end - at : STEP_BYTES;
        int r = verso_cache_fetch(fd, at, bytes);

        if (r < 0)
            return r;
        row->read_bytes += bytes;
        advance(gather, bytes);
    }
    return 0;
}

/* Reads only what is missing; where the kernel does not say what is, everything. */
static int touch(const struct walk_file *file, struct cache_row *row, struct cache_gather *gather)
{
    const struct byte_range *range = &cache_request.range;
    uint64_t page_bytes = verso_page_bytes(), start = range->start_bytes, end = start + row->bytes;
    struct verso_inspect_cached_run *runs;
    size_t count;
    int r = 0;

    row->cached_before = row->now.cached;
    if (row->now.cached != CACHE_UNKNOWN && row->now.cached >= row->pages)
        return 0;
    if (row->now.cached == CACHE_UNKNOWN || row->now.cached == 0 ||
        verso_inspect_cached_runs(file->fd, start, row->bytes, &runs, &count) < 0) {
        r = fetch(file->fd, start, end, row, gather);
    } else {
        for (size_t i = 0; i < count && r == 0; i++) {
            uint64_t run_start = runs[i].first_page * page_bytes;
            uint64_t run_end = run_start + runs[i].page_count * page_bytes;

            if (!runs[i].cached)
                r = fetch(file->fd, run_start > start ? run_start : start, run_end < end ? run_end : end, row, gather);
        }
        free(runs);
    }
    if (r == 0)
        r = look(file->fd, row);
    if (r == 0 && row->now.cached != CACHE_UNKNOWN && row->now.cached < row->pages)
        row->missing = row->pages - row->now.cached;
    return r;
}

void cache_file_missing(const struct walk_file *file, void *context)
{
    struct cache_gather *gather = context;
    struct cache_row row = { 0 };

    if (look(file->fd, &row) < 0)
        return; /* the walk that touches will say so */
    if (cache_request.action == CACHE_TOUCH && row.now.cached != CACHE_UNKNOWN)
        row.bytes = row.pages > row.now.cached ? (row.pages - row.now.cached) * verso_page_bytes() : 0;
    atomic_fetch_add(&gather->progress_done, row.bytes);
}

/* ---- Evicting and locking ---- */

static int evict(const struct walk_file *file, struct cache_row *row)
{
    const struct byte_range *range = &cache_request.range;
    int r;

    row->cached_before = row->now.cached;
    if (row->now.cached == 0)
        return 0;
    r = verso_cache_drop(file->fd, range->start_bytes, range_length(range),
                         cache_request.write_back ? VERSO_CACHE_WRITE_BACK : 0);
    return r < 0 ? r : look(file->fd, row);
}

static void keep_map(struct cache_worker *worker, struct verso_map *map)
{
    if (worker->map_count == worker->map_room) {
        worker->map_room = worker->map_room ? worker->map_room * 2 : 16;
        worker->maps = allocate(worker->maps, worker->map_room, sizeof(*worker->maps));
    }
    worker->maps[worker->map_count++] = map;
}

/* Brings what is cached, and only that, into a map that locks whatever comes in. */
static int lock_cached(int fd, struct verso_map *map, struct cache_row *row)
{
    uint64_t page_bytes = verso_page_bytes(), start = cache_request.range.start_bytes, end = start + row->bytes;
    struct verso_inspect_cached_run *runs;
    size_t count;
    int r = verso_inspect_cached_runs(fd, start, row->bytes, &runs, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count && r == 0; i++) {
        uint64_t from = runs[i].first_page * page_bytes, to = from + runs[i].page_count * page_bytes;

        if (!runs[i].cached)
            continue;
        from = from > start ? from : start;
        to = to < end ? to : end;
        r = verso_map_populate(map, from - start, to - from, 0);
        row->locked_bytes += to - from;
    }
    free(runs);
    return r;
}

/*
 * In steps: one lock of all would not hear Ctrl-C before everything is read. Locking what comes in asks for the limit
 * first, before gigabytes are read in vain.
 */
static int lock_all(struct verso_map *map, struct cache_row *row, struct cache_gather *gather)
{
    int r = verso_map_lock(map, 0, 0, 1);

    for (uint64_t at = 0; r == 0 && at < row->bytes && !interrupted(); at += STEP_BYTES) {
        uint64_t bytes = row->bytes - at < STEP_BYTES ? row->bytes - at : STEP_BYTES;

        r = verso_map_populate(map, at, bytes, 0);
        advance(gather, bytes);
    }
    if (r == 0 && !interrupted())
        r = verso_map_lock(map, 0, 0, 0);
    row->locked_bytes = row->bytes;
    return r;
}

static int lock(const struct walk_file *file, struct cache_row *row, struct cache_gather *gather)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;
    int r;

    if (row->bytes == 0)
        return 0;
    options.offset_bytes = cache_request.range.start_bytes;
    options.length_bytes = row->bytes;
    r = verso_map_open_fd(file->fd, &options, &map);
    if (r < 0)
        return r;
    if (cache_request.on_fault) {
        r = verso_map_lock(map, 0, 0, 1);
        if (r == 0)
            r = lock_cached(file->fd, map, row);
    } else
        r = lock_all(map, row, gather);
    if (r < 0) {
        verso_map_close(map);
        return r;
    }
    keep_map(&gather->workers[file->worker], map);
    return look(file->fd, row);
}

/* ---- One file ---- */

static void keep(struct cache_worker *worker, const struct walk_file *file, struct cache_row *row)
{
    if (worker->row_count == worker->row_room) {
        worker->row_room = worker->row_room ? worker->row_room * 2 : 64;
        worker->rows = allocate(worker->rows, worker->row_room, sizeof(*worker->rows));
    }
    row->path = walk_path(file);
    row->bar = bar_of(file->fd, row);
    worker->rows[worker->row_count++] = *row;
}

static int act(const struct walk_file *file, struct cache_row *row, struct cache_gather *gather)
{
    switch (cache_request.action) {
    case CACHE_TOUCH:
        return touch(file, row, gather);
    case CACHE_EVICT:
        return evict(file, row);
    case CACHE_LOCK:
        return lock(file, row, gather);
    case CACHE_LOOK:
        break;
    }
    return 0;
}

void cache_file(const struct walk_file *file, void *context)
{
    struct cache_gather *gather = context;
    struct cache_worker *worker = &gather->workers[file->worker];
    struct cache_row row = { .root = file->root, .files = 1, .source = "", .why = "" };

    if (file->status->st_size == 0 && S_ISREG(file->status->st_mode)) {
        row.source = "fstat"; /* nothing to be cached; many trees are full of such files */
    } else if (look(file->fd, &row) < 0 || act(file, &row, gather) < 0) {
        trouble_error();
        atomic_fetch_add(&gather->troubles, 1);
        if (cache_request.action == CACHE_LOCK)
            walk_stop(); /* a limit, most likely: the rest would only repeat it */
        return;
    }
    cache_row_add(&worker->sums[file->root], &row);
    if (!cache_request.summary)
        keep(worker, file, &row);
    if (!cache_request_reads())
        advance(gather, 1);
}
