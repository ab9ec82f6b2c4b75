/* SPDX-License-Identifier: MIT */
/*
 * watch_model.h - one file as disk extents, cached pages, frames and virtual pages, kept up to date cheaply.
 *
 * The view only reads the model; the model only asks the library. One update asks little (one count of the whole file,
 * the counters of each process) and goes on only where these answers differ from the last ones, within a budget of
 * processor time:
 *
 *     whole-file counts ── differ ──> counts of parts ── differ ──> pages of a leaf ──> frames of its pages
 *     counters of a process ── differ ──> runs of its mappings, a slice at a time
 *     and a few leaves in turn whether anything differed or not: frames move without a count changing
 *
 * What the window shows comes first. Everything else follows when there is time.
 */
#ifndef VERSO_CLI_WATCH_MODEL_H
#define VERSO_CLI_WATCH_MODEL_H

#include "watch_cells.h"
#include "watch_history.h"

#include <sys/types.h>

/* When a thing is asked for again: after its interval, and later when asking was dear. */
struct pace {
    uint64_t next_ns;
    uint64_t interval_ns;
};

struct watch_model {
    /* The file. */
    int fd;
    char *path; /* as given, for messages and JSON */
    uint64_t device;
    uint64_t inode;
    uint64_t file_bytes;
    uint64_t page_bytes;
    uint64_t block_bytes; /* of the file system: what block numbers count */
    unsigned device_major;
    unsigned device_minor;
    bool is_guarded; /* the fault guard was installed for this model */
    bool is_copy;    /* a private copy of what @path names */
    bool is_gone;    /* its name is gone, or means another file now; we go on watching this one */
    pid_t pid_only;  /* show this process alone; 0: all */
    pid_t reader;    /* verso's own second process; 0: none */

    /* Disk. */
    struct disk_extent *extents;
    size_t extent_count;
    uint64_t piece_count;
    int extents_error; /* 0, or why there are none */
    const char *extents_why;

    /* Page cache and frames. */
    struct verso_inspect_cache cache; /* of the whole file */
    struct pages pages;
    int pages_error; /* why single pages are not known; 0 */
    const char *pages_why;
    int frames_error; /* why frames are not known; 0 */
    const char *frames_why;
    int flags_error; /* why the kernel's flags of frames are not known; 0 */
    struct place_range frame_range;
    uint64_t turn_page; /* where the turn of unasked refreshing has come to */

    /* Virtual. */
    struct watch_process *processes;
    size_t process_count;
    size_t hidden_count; /* processes that could not be looked into */
    int processes_error; /* why no processes are known; 0 */
    const char *processes_why;

    struct history history;
    struct history_bucket seen; /* what the running update saw, before it goes into the history */
    uint64_t start_ns;
    uint64_t now_ns; /* of the running update */
    struct pace extents_pace;
    struct pace cache_pace;
    struct pace name_pace;
    struct pace processes_pace;
    struct pace counters_pace;
};

/* How much an update may do. */
struct update {
    struct window window; /* looked at first */
    uint64_t budget_ns;   /* processor time; UINT64_MAX: until all is known */
    bool frozen;          /* only counts for the history; the picture stays */
};

/*
 * Begins watching an open file; the model owns @fd from then on, whatever the answer. @path is copied. False after
 * telling the user why (trouble()).
 */
bool watch_open(struct watch_model *model, int fd, const char *path, pid_t pid_only);
void watch_close(struct watch_model *model);

void watch_update(struct watch_model *model, const struct update *update);

/* Updates until everything is known: for a snapshot. */
void watch_complete(struct watch_model *model);

/* Pages of the file: its size in whole pages, rounded up. */
uint64_t watch_page_count(const struct watch_model *model);

/* Tenths of a second since watching began. */
uint32_t watch_tenths(const struct watch_model *model);

/* Clocks: the world's, never going back; and the processor time this process has used. */
uint64_t watch_clock_ns(void);
uint64_t watch_cpu_ns(void);

/* Whether it is time; how long until the next time, when asking cost @cost_ns: at most 1/@divisor of all time. */
bool pace_due(const struct pace *pace, uint64_t now_ns);
void pace_done(struct pace *pace, uint64_t now_ns, uint64_t cost_ns, unsigned divisor);

/* ---- For the parts of the model: watch_cache.c, watch_frames.c, watch_processes.c ---- */

/* Processor time that is left. */
bool update_has_time(const struct update *update, uint64_t start_cpu_ns);

void cache_update(struct watch_model *model, const struct update *update);
bool frames_look(struct watch_model *model, struct leaf *leaf);
void processes_update(struct watch_model *model, const struct update *update);

#endif
