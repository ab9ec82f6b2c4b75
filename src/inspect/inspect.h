/* SPDX-License-Identifier: MIT */
/* inspect.h - what the files of this folder share: failures with their subject, lists, file ranges, numbers. */
#ifndef VERSO_SRC_INSPECT_H
#define VERSO_SRC_INSPECT_H

#include <stdbool.h>
#include <verso/inspect.h>

/*
 * Room for one more item after @count: @items itself, or a larger copy with *room updated. NULL when there is no
 * memory; @items then still stands.
 */
void *verso__inspect_grow(void *items, size_t *room, size_t count, size_t item_bytes);

/* Fills the record with the name behind @fd; answers @code. @step is a literal. */
int verso__inspect_fail_fd(int code, const char *step, int fd);

/* Fills the record with /proc/PID; answers @code. @step is a literal. */
int verso__inspect_fail_pid(int code, const char *step, pid_t pid);

/* The same with a hint, a literal, of its own. */
int verso__inspect_fail_pid_hint(int code, const char *step, pid_t pid, const char *hint);

/* A known number, or a missing one. */
struct verso_number verso__inspect_known(uint64_t value, const char *source);
struct verso_number verso__inspect_missing(int error, const char *source, const char *why);

/* A range of a file in whole pages, cut at the file's end. */
struct verso__inspect_range {
    uint64_t file_bytes;
    uint64_t first_page;
    uint64_t end_page; /* one past the last; first_page when nothing is in the range */
};

/* Fails with the codes of verso_inspect_cache(), record filled. @length_bytes 0: to the end. */
int verso__inspect_range_of(int fd, uint64_t offset_bytes, uint64_t length_bytes,
                            struct verso__inspect_range *out_range);

/*
 * Counts cached pages with mincore, on a map that nothing can touch. -EPERM when the kernel would answer "all" whatever
 * is true, -EACCES when the file can't be read. Does not fill the record.
 */
int verso__inspect_count_resident(int fd, uint64_t first_page, uint64_t end_page, uint64_t *out_cached);

/* Fills @cache without cachestat, which failed with @cachestat_error. */
void verso__inspect_cache_by_mincore(int fd, const struct verso__inspect_range *range, int cachestat_error,
                                     struct verso_inspect_cache *cache);

/* A window onto a file for mincore: mapped without access, so that looking can't change what is seen. */
struct verso__inspect_window {
    int fd;
    int reader_fd; /* -1, or opened by the window because @fd can only write */
    void *address;
    uint64_t first_page;
    uint64_t page_count; /* 0: nothing mapped */
    uint64_t map_bytes;
};
#define VERSO__INSPECT_WINDOW_ON(file_descriptor) \
    {                                             \
        .fd = (file_descriptor), .reader_fd = -1  \
    }

/* Bytes per page as mincore says, for pages [first, first + count), count at most VERSO__INSPECT_LEAF_PAGES. */
#define VERSO__INSPECT_LEAF_PAGES 512
int verso__inspect_window_look(struct verso__inspect_window *window, uint64_t first_page, size_t count,
                               uint64_t end_page, unsigned char *out_pages);
void verso__inspect_window_close(struct verso__inspect_window *window);

/* verso_inspect_cached_runs() with one source or both; does not fill the record. */
enum verso__inspect_sources {
    VERSO__INSPECT_BY_CACHESTAT = 1 << 0,
    VERSO__INSPECT_BY_MINCORE = 1 << 1,
};
int verso__inspect_cached_runs(int fd, const struct verso__inspect_range *range, unsigned sources,
                               struct verso_inspect_cached_run **out_runs, size_t *out_count);

/* A word of pagemap as a page. */
struct verso_inspect_page verso__inspect_page_of(uint64_t word);

/*
 * The two ways of verso_inspect_runs(): PAGEMAP_SCAN, and reading pagemap. Neither fills the record.
 */
int verso__inspect_runs_by_scan(int pagemap_fd, uint64_t start, uint64_t end, struct verso_inspect_run **out_runs,
                                size_t *out_count);
int verso__inspect_runs_by_pagemap(pid_t pid, int pagemap_fd, uint64_t start, uint64_t end,
                                   struct verso_inspect_run **out_runs, size_t *out_count);

/* A mapping in public words: without memory (-ENODATA), its name the same pointer. */
struct verso__os_mapping;
void verso__inspect_mapping_of(const struct verso__os_mapping *mapping, struct verso_inspect_mapping *out_mapping);

#endif
