/* SPDX-License-Identifier: MIT */
/*
 * copy.h - the parts of `verso copy`, and what passes between them.
 *
 *     cmd_copy     options; which source goes to which name
 *     copy_tree    one thread goes through the sources ...
 *     copy_jobs    ... and hands regular files to several that copy them
 *     copy_entry   one entry: a file by the library; a link, a FIFO, a device, a further name here
 *
 * Everything is done relative to open directories, and nothing in a tree is followed: whoever swaps a directory for a
 * link while it is copied gets an error, not a copy of something else.
 */
#ifndef VERSO_CLI_COPY_H
#define VERSO_CLI_COPY_H

#include "command.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <verso/copy.h>

/* What was asked for; constant once the work begins. */
struct copy_request {
    struct verso_copy_options options; /* for each file; without progress */
    bool recursive;
    bool archive;
    bool update; /* only what is newer than what is there */
    bool one_file_system;
    bool verbose;
    bool explain;
    bool merging;       /* two sources have one name, so what was made may be met again */
    unsigned job_count; /* at least 1 */
};
extern struct copy_request copy_request;

/* ---- Directories: copy_directory.c ---- */

/* An entry that was read, to be copied. Names lie in one piece of memory, for directories can be large. */
struct copy_name {
    size_t offset;
    ino_t inode;
    bool is_directory;
};

struct copy_names {
    char *text;
    size_t bytes;
    struct copy_name *names;
    size_t count;
    size_t next;
};

/*
 * A directory on both sides. It lives, and its parents with it, until all in it is copied: only then it gets its times,
 * and the permissions that could be in the way. The topmost stands for the directory of the target, and its source_fd
 * for the current one.
 */
struct copy_directory {
    struct copy_directory *parent; /* NULL: the topmost */
    char *source_name;             /* in the parent's; NULL at the top */
    char *target_name;             /* the same; at the top as it was typed, or NULL for the current directory */
    int source_fd; /* both -1 while closed, for deep trees have more levels than there are descriptors */
    int target_fd;
    struct stat source;
    struct stat target;
    dev_t root_device;
    bool is_fresh; /* made by this run: all that is in there was made by it, too */
    atomic_uint users;
    struct copy_names names;
};

/* The topmost one, for the target directory of that name; NULL: the current one. NULL after telling why not. */
struct copy_directory *copy_directory_top(const char *target);

/* Opens @source_name of @parent, and makes or opens @target_name. NULL when that can't be, which was told. */
struct copy_directory *copy_directory_enter(struct copy_directory *parent, const char *source_name,
                                            const char *target_name);

/* Leaves @directory, whose entries are done with, for its parent. */
struct copy_directory *copy_directory_leave(struct copy_directory *directory);

/* How many levels stay open at once; known once there is a topmost. */
size_t copy_directory_levels(void);

void copy_directory_use(struct copy_directory *directory);

/* The last one who releases a directory finishes it. */
void copy_directory_release(struct copy_directory *directory);

/* "a/b/name" of either side, printable. Caller frees. */
char *copy_source_shown(const struct copy_directory *directory, const char *name);
char *copy_target_shown(const struct copy_directory *directory, const char *name);

/* The paths as bytes; the target's without the topmost directory when @from_top is false. Caller frees. */
char *copy_source_path(const struct copy_directory *directory, const char *name);
char *copy_target_path(const struct copy_directory *directory, const char *name, bool from_top);

/* ---- The walk: copy_tree.c ---- */

/* Copies what is called @source, of whatever kind, to @target in @top. */
void copy_tree(struct copy_directory *top, const char *source, const char *target);

/* ---- Files at once: copy_jobs.c ---- */

/* Who copies: its share of the progress. The walk itself is worker 0. */
struct copy_worker {
    pthread_t thread;
    uint64_t counted_bytes; /* of the file in work, that the progress has counted */
};

/* Begins; @queue_length is how many handfuls of files may wait. */
void copy_jobs_start(unsigned job_count, size_t queue_length);

/* The walk's own. */
struct copy_worker *copy_jobs_walker(void);

/* A regular file of @directory. The handful it joins is passed on when it is full, or by copy_jobs_flush(). */
void copy_jobs_put(struct copy_directory *directory, const char *source, const char *target, uint64_t bytes);
void copy_jobs_flush(void);

/* Waits until all that was put is done. */
void copy_jobs_drain(void);

/* Waits, and ends the threads. */
void copy_jobs_end(void);

/* ---- One entry: copy_entry.c ---- */

/* A regular file, or what the library reads like one. Whether it is copied; else that was told. */
bool copy_regular(struct copy_worker *worker, struct copy_directory *directory, const char *source, const char *target);

/* Anything but a regular file and a directory. */
void copy_special(struct copy_directory *directory, const char *source, const char *target, const struct stat *status);

/* Anything but a directory, with several names: copied once, linked from then on. */
void copy_linked(struct copy_directory *directory, const char *source, const char *target, const struct stat *status);

/* Whether what is there already will do (--update, --resume). */
bool copy_is_there(const struct copy_directory *directory, const char *target, const struct stat *source);

/* ---- The account: copy_report.c ---- */

struct copy_totals {
    uint64_t files; /* regular ones, whole */
    uint64_t directories;
    uint64_t symbolic_links;
    uint64_t hard_links; /* further names */
    uint64_t specials;   /* FIFOs, devices */
    struct verso_copy_report sum;
    uint64_t up_to_date; /* --update, --resume: passed by */
    uint64_t left;       /* --no-replace: something was there, and stays */
    uint64_t sockets;
    uint64_t changed;    /* while they were copied, and accepted */
    uint64_t unverified; /* --verify could only ask the memory */
    uint64_t lost_modes;
    uint64_t lost_times;
    uint64_t lost_owners;
    uint64_t lost_xattrs;
    uint64_t lost_links; /* copied once more instead */
    uint64_t cancelled;  /* ended by Ctrl-C in the middle */
    uint64_t troubles;
};

void copy_report_start(void);

/* A regular file is done: sums, its line, its row. */
void copy_report_file(const struct copy_directory *directory, const char *source, const char *target,
                      const struct verso_copy_report *report);

/* Adds to one counter of the totals. */
#define copy_count(counter) copy_report_add(offsetof(struct copy_totals, counter))
void copy_report_add(size_t offset);

/* What of @lost (enum verso_copy_flags) an entry could not have. */
void copy_report_lost(const struct copy_directory *directory, const char *target, unsigned lost);

/* Trouble with one entry, @step by errno, or by the library's record. */
void copy_trouble(const struct copy_directory *directory, const char *source, const char *target, const char *step);
void copy_trouble_library(const struct copy_directory *directory, const char *source, const char *target);

/* Prints the account; answers the exit code. */
int copy_report_end(void);

/* ---- Progress: copy_progress.c ---- */

/* @names: what is copied, for a look at how much it is, when somebody watches. */
void copy_progress_start(const struct text_list *names);
int copy_progress_step(const struct verso_copy_progress *progress, void *arg); /* verso_copy_progress_function */
void copy_progress_end(void);

#endif
