/* SPDX-License-Identifier: MIT */
/*
 * files.h - files to try things on, and the state that their cached pages are in.
 *
 * How fast a cached file can be read depends on the pages that hold it, and those on how it got there:
 *
 *     large   |------- 2 MiB -------|------- 2 MiB -------|    by readahead, in long strides
 *     base    |-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|-|    by POSIX_FADV_RANDOM, page by page
 *     cold                                                     not at all
 *
 * Each state is brought about on purpose, and looked at before it is believed.
 */
#ifndef VERSO_BENCH_FILES_H
#define VERSO_BENCH_FILES_H

#include "bench.h"

#define FILES_LINE_BYTES 68
#define FILES_RARE_EVERY 100000 /* lines */

/* Words in the text of files_text(): one in FILES_RARE_EVERY lines, and one in about eight. */
extern const char files_rare_word[];
extern const char files_frequent_word[];

/* At most @wanted_bytes, less where @copies of it would take more than half of the free memory or of the free disk. */
uint64_t files_scaled_bytes(uint64_t wanted_bytes, unsigned copies);

/* A file of English words in the bench directory. The path lives as long as the bench. Another @variant has other words
 * in every page. */
char *files_text(const char *name, uint64_t bytes, unsigned variant);

/* A folder of @count such files, a hundred in a folder each. Each ends with a newline. */
char *files_tree(const char *name, unsigned count, size_t bytes_each);

/* The path of one of them, to be freed. */
char *files_tree_path(const char *tree, unsigned index);

/* The names of all files of a tree, each with a NUL behind. */
char *files_tree_list(const char *tree, unsigned count);

/* The state of a file's cached pages. */
void files_evict(const char *path);
void files_cache_large(const char *path);
void files_cache_base(const char *path);

struct files_state {
    double cached_share; /* of the file's pages */
    double huge_share;   /* of a map of it, in huge entries of the page table */
    double faults_per_mib;
};
struct files_state files_look(const char *path);

/* A checksum of a file's content; of a tree's, with names, kinds, modes and times. */
uint64_t files_digest(const char *path);
uint64_t files_tree_digest(const char *path);

#endif
