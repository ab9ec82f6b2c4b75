/* SPDX-License-Identifier: MIT */
/*
 * cache.h - what the files of `verso cache` share.
 *
 *     cmd_cache.c     options, and what happens in which order
 *     cache_file.c    what is done to one file: look, touch, evict, lock
 *     cache_rows.c    what was found, for people and as JSON
 *     cache_stay.c    why evicted pages stayed
 *     cache_hold.c    locks: limits, waiting, the background
 */
#ifndef VERSO_CLI_CACHE_H
#define VERSO_CLI_CACHE_H

#include "command.h"
#include "output.h"
#include "walk.h"

#include <pthread.h>
#include <stdatomic.h>
#include <verso/map.h>

enum cache_action {
    CACHE_LOOK,
    CACHE_TOUCH,
    CACHE_EVICT,
    CACHE_LOCK,
};

enum cache_sort {
    CACHE_SORT_NAME,
    CACHE_SORT_CACHED,
    CACHE_SORT_SIZE,
    CACHE_SORT_DIRTY,
    CACHE_SORT_PERCENT,
};

/* What was asked for. */
struct cache_request {
    enum cache_action action;
    struct byte_range range;
    bool write_back;  /* evict: dirty pages are written first */
    bool on_fault;    /* lock: pages as they come in */
    bool summary;     /* a row for each name given, not for each file */
    unsigned sort;    /* enum cache_sort */
    uint64_t top;     /* at most so many rows */
    size_t bar_cells; /* 0: no bars */
};
extern struct cache_request cache_request;

/* What is not known. */
#define CACHE_UNKNOWN UINT64_MAX

/* Pages. */
struct cache_counts {
    uint64_t cached;
    uint64_t dirty;
    uint64_t writeback;
    uint64_t evicted;
    uint64_t recently_evicted;
};

/* One file, or the sum of several. */
struct cache_row {
    char *path;
    char *bar;   /* where the cached pages lie, a letter a cell; NULL: the counts say all there is to say */
    size_t root; /* which of the names given */
    uint64_t files;
    uint64_t bytes; /* of the range asked for, as pages is */
    uint64_t pages;
    struct cache_counts now;
    const char *source;     /* of now.cached */
    const char *why;        /* why something is unknown; "" */
    uint64_t unknown_files; /* of a sum: files whose cached pages are unknown; they are in files and bytes alone */
    uint64_t unknown_bytes;
    uint64_t cached_before; /* touch, evict */
    uint64_t read_bytes;    /* touch */
    uint64_t missing;       /* touch: pages that are not there even so */
    uint64_t locked_bytes;  /* lock */
};

/* ---- cache_file.c ---- */

/* What one thread gathers. */
struct cache_worker {
    struct cache_row *rows; /* files; empty for summaries */
    size_t row_count;
    size_t row_room;
    struct cache_row *sums;  /* by root */
    struct verso_map **maps; /* that hold locks */
    size_t map_count;
    size_t map_room;
};

struct cache_gather {
    struct cache_worker *workers;
    unsigned worker_count;
    size_t root_count;
    struct progress progress;
    pthread_mutex_t progress_lock;
    atomic_uint_least64_t progress_done; /* bytes read when touching, else files */
    atomic_uint_least64_t troubles;      /* each told on stderr */
};

void cache_gather_init(struct cache_gather *gather, unsigned worker_count, size_t root_count);
void cache_gather_clear(struct cache_gather *gather); /* unlocks, too */

/* Does to one file what was asked for; a walk_function whose context is a struct cache_gather. */
void cache_file(const struct walk_file *file, void *context);

/* Whether files are read: progress is of bytes then, else of files. */
bool cache_request_reads(void);

/* Counts what would have to be read to touch a file, or gone over to lock it, into progress_done; same context. */
void cache_file_missing(const struct walk_file *file, void *context);

/* Adds what is known of @row to a sum that began as zeros. */
void cache_row_add(struct cache_row *sum, const struct cache_row *row);

/* ---- cache_rows.c ---- */

/* Sorts and prints. @total: of all; @counts: what the walk met. Answers an exit code. */
int cache_rows_print(struct cache_row *rows, size_t count, const struct cache_row *total,
                     const struct walk_counts *counts);

/* ---- cache_stay.c ---- */

/* Says why pages of a file stayed, as far as that can be found out: one line, caller frees; or JSON. */
char *cache_stay_shown(const struct cache_row *row);
json_t *cache_stay_json(const struct cache_row *row);

/* ---- cache_hold.c ---- */

/* Lets this process lock as much as its hard limit allows. */
void cache_hold_raise_limit(void);

/* Goes into the background: answers -1 there; in the foreground waits for cache_hold_ready() and answers its code. */
int cache_hold_background(void);

/* What the foreground waits for. @lets_go: this process lives on, without the terminal. */
void cache_hold_ready(int exit_code, bool lets_go);

/* Writes this process's number to a file that nobody else holds; false after saying why not. */
bool cache_hold_pidfile(const char *path);
void cache_hold_pidfile_remove(void);

/* Until Ctrl-C or SIGTERM. */
void cache_hold_wait(void);

#endif
