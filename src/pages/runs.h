/* SPDX-License-Identifier: MIT */
/*
 * runs.h - which pages of a span are what, as runs of equal state.
 *
 *      span    |====WRITE====|~~~~RESERVED~~~~|==WRITE==|..RESERVED..|
 *      list     0             64K              1M        1M+32K           each run ends where the next begins
 *
 * The kernel knows the same, but can't be asked at the price of a system call that changes it. Guards that are markers
 * in the page table are not seen here; guards that are mappings are, with the state their pages go back to.
 */
#ifndef VERSO_SRC_PAGES_RUNS_H
#define VERSO_SRC_PAGES_RUNS_H

#include <stdbool.h>
#include <stddef.h>

enum verso__pages_state {
    VERSO__PAGES_RESERVED = 0, /* not committed */
    VERSO__PAGES_NONE,         /* committed, and protected from all access */
    VERSO__PAGES_READ,
    VERSO__PAGES_WRITE,
    VERSO__PAGES_GUARD = 4, /* or'ed: a guard that is a mapping stands over such pages */
};

struct verso__pages_run {
    size_t start;
    unsigned state; /* enum verso__pages_state */
};

struct verso__pages_runs {
    struct verso__pages_run *list; /* never empty, list[0].start is 0, no two neighbours are equal */
    size_t count;
    size_t room;
    size_t bytes;           /* where the last run ends */
    size_t committed_bytes; /* of pages that are not RESERVED, guards or not */
};

/* Part of a run. */
struct verso__pages_piece {
    size_t start;
    size_t end;
    unsigned state;
};

/* All of @bytes in one state. -ENOMEM. */
int verso__pages_runs_init(struct verso__pages_runs *runs, size_t bytes, unsigned state);
void verso__pages_runs_free(struct verso__pages_runs *runs);

/* Makes room for any changes within one range: what follows can't fail. -ENOMEM. */
int verso__pages_runs_prepare(struct verso__pages_runs *runs);

/* Sets [start, end), not empty, to @state. */
void verso__pages_runs_set(struct verso__pages_runs *runs, size_t start, size_t end, unsigned state);

/* The part of [at, end) that begins at @at and is in one state. False when at == end. */
bool verso__pages_runs_piece(const struct verso__pages_runs *runs, size_t at, size_t end,
                             struct verso__pages_piece *out_piece);

/* Cuts off what lies behind @bytes, or adds RESERVED pages up to there (prepared). */
void verso__pages_runs_resize(struct verso__pages_runs *runs, size_t bytes);

#endif
