/* SPDX-License-Identifier: MIT */
/*
 * code.h - a pool of memory for code, as its own files see it.
 *
 * Addresses are reserved a segment at a time; of a segment the first ready_bytes have memory behind them. All of that
 * is code in blocks, or traps. What stands where is kept in bitmaps, a bit a granule, which code can't reach:
 *
 *                 block    block   free       freed, waiting     free
 *                |--A--|  |-B-|  |-----|     |----|          |-------|
 *      taken      1 1 1    1 1    0 0 0       1 1             0 0 ...
 *      stop           1      1                  1
 *      waiting                                1 1
 *      written                1     (at the first granule of blocks) begin() was called, end() not yet
 *      run_before 1                 (at the first granule of blocks) end() was called: it may have been run
 *
 * Freed memory that may have been run waits until all threads have passed a barrier: a CPU that still holds old
 * instructions of it would otherwise mix them with new ones. One barrier serves all that waits by then.
 */
#ifndef VERSO_SRC_CODE_CODE_H
#define VERSO_SRC_CODE_CODE_H

#include <pthread.h>
#include <stdbool.h>
#include <verso/code.h>

/* Runs of so many granules have a mark of their own where to begin looking for them. */
#define RUN_CLASSES 16

struct segment {
    unsigned char *run;   /* the address of the view for running; behind it one page that is never mapped */
    unsigned char *write; /* of the view for writing; NULL with TOGGLE */
    int fd;               /* of the memory; -1 with TOGGLE */
    uint64_t device;      /* with @inode: which file that has to be */
    uint64_t inode;
    size_t bytes;
    size_t granules;
    size_t ready_bytes; /* from the start: traps or code, executable */
    size_t used;        /* granules in blocks */
    size_t waiting_count;
    size_t lowest[RUN_CLASSES]; /* no run of i + 1 free granules, or more, begins before lowest[i] */
    size_t too_many;            /* no run of so many granules is free */
    uint64_t *taken;
    uint64_t *stop;
    uint64_t *waiting;
    uint64_t *written;
    uint64_t *run_before;
};

struct verso_code {
    pthread_mutex_t lock;         /* of all below but what open() has set once and for all */
    volatile unsigned char *mark; /* a page that reads 1 here, and 0 in a child of fork() */
    size_t segment_bytes;         /* as asked for, in whole pages */
    uint64_t total_bytes_max;
    uintptr_t window_start; /* segments lie in [start, end) */
    uintptr_t window_end;
    uintptr_t near; /* 0: anywhere */
    char *name;
    enum verso_code_mode mode;
    const char *mode_why;
    const char *sync_why;
    size_t granule_bytes;
    bool seal;
    struct segment **segments; /* sorted by address */
    struct segment *first;     /* made by open: stays */
    size_t segment_count;
    size_t segment_room;
    uint64_t reserved_bytes;
    uint64_t blocks;
    uint64_t waiting_bytes;
    uint64_t barriers;
    struct dump *dump; /* NULL: nobody wants names */
};

/* A block: granules [start, end) of a segment. */
struct place {
    struct segment *segment;
    size_t start;
    size_t end;
};

/* All below: the caller holds the lock, or has the pool to itself. Failures are bare codes; *out_step says of what. */

/* segment.c */
int verso__code_segment_make(struct verso_code *code, size_t bytes, const char **out_step);
void verso__code_segment_release(struct verso_code *code, struct segment *segment);
int verso__code_segment_ready(struct verso_code *code, struct segment *segment, size_t bytes, const char **out_step);
/* Traps over granules; they stay executable. */
int verso__code_fill(struct verso_code *code, struct segment *segment, size_t start, size_t end, const char **out_step);
/* TOGGLE: lets granules be written to, and not run; or the other way about. DUAL: nothing to do. */
int verso__code_open_block(const struct verso_code *code, const struct place *place);
int verso__code_close_block(const struct verso_code *code, const struct place *place);

/* place.c */
int verso__code_reserve(const struct verso_code *code, size_t bytes, unsigned char **out_address);

/* blocks.c */
bool verso__code_find(const struct verso_code *code, const void *block, struct place *out_place);
int verso__code_take(struct verso_code *code, size_t bytes, struct place *out_place, const char **out_step);
/* The end of a block from granule @start on; all of it when that is the block's start. */
int verso__code_give_back(struct verso_code *code, const struct place *place, size_t start, const char **out_step);

/* dump.c */
int verso__code_dump_open(const char *directory, struct dump **out_dump, const char **out_step);
void verso__code_dump_close(struct dump *dump);
int verso__code_dump_write(struct dump *dump, const void *code, size_t bytes, const char *name);

/* open.c: fails with the record filled when this is a child of the process that opened the pool. */
int verso__code_check_owner(const struct verso_code *code, const char *step);
int verso__code_fail(const struct verso_code *code, int error, const char *step);

static inline unsigned char *verso__code_address(const struct verso_code *code, const struct place *place)
{
    return place->segment->run + place->start * code->granule_bytes;
}

static inline size_t verso__code_bytes(const struct verso_code *code, const struct place *place)
{
    return (place->end - place->start) * code->granule_bytes;
}

/* Where the block is written. */
static inline unsigned char *verso__code_cursor(const struct verso_code *code, const struct place *place)
{
    unsigned char *view = place->segment->write ? place->segment->write : place->segment->run;

    return view + place->start * code->granule_bytes;
}

#endif
