/* SPDX-License-Identifier: MIT */
/*
 * watch_history.h - what happened each second: faults, pages that came and went.
 *
 * A ring of one bucket a second, an hour of them. Rates are read from whole buckets, so that numbers on the screen keep
 * still for a second although the picture moves ten times as often.
 */
#ifndef VERSO_CLI_WATCH_HISTORY_H
#define VERSO_CLI_WATCH_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HISTORY_SECONDS 3600u

struct history_bucket {
    uint64_t minor; /* faults of the processes shown, all of their memory */
    uint64_t major;
    uint64_t came;    /* pages that entered the page cache */
    uint64_t went;    /* pages that left it */
    uint64_t cached;  /* at the bucket's end */
    uint64_t present; /* in page tables, at the bucket's end */
};

struct history {
    struct history_bucket buckets[HISTORY_SECONDS];
    uint64_t second; /* which second the newest bucket is; earlier ones lie before it */
    bool started;
};

/* What an update saw: what happened since the last one, and how things stand. */
void history_add(struct history *history, uint64_t second, const struct history_bucket *seen);

/* The bucket @back seconds before the newest (0: the newest, still filling); NULL before the beginning. */
const struct history_bucket *history_back(const struct history *history, uint64_t back);

/* Heights 0..8 of a sparkline of @count values; 0 only for 0, 8 for the largest. Answers the largest. */
uint64_t sparkline(const uint64_t *values, size_t count, uint8_t *out_heights);

#endif
