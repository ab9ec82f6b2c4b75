/* SPDX-License-Identifier: MIT */
/* channel_stat.h - what a channel looked like at a moment, and the picture of two of them. */
#ifndef VERSO_CLI_CHANNEL_STAT_H
#define VERSO_CLI_CHANNEL_STAT_H

#include "channel.h"

#include <stdio.h>

#define STAT_PLACES_MOST 126 /* 63 writers, 63 readers */

struct stat_sample {
    struct verso_channel_info info;
    struct verso_channel_place places[STAT_PLACES_MOST];
    size_t place_count;
    uint64_t time_ns;
};

/* What was added to a count, a second. */
double stat_rate(const struct stat_sample *before, const struct stat_sample *now, uint64_t count_before,
                 uint64_t count_now);

/* The same place in an earlier sample; NULL: it was not taken then. */
const struct verso_channel_place *stat_place_before(const struct stat_sample *before,
                                                    const struct verso_channel_place *place);

/* What its process does: "dead", "left", "asleep", "holds" or "". */
const char *stat_place_state(const struct verso_channel_place *place);

/* Lines that fit @columns, to @stream. */
void stat_draw(FILE *stream, const char *name, const struct stat_sample *before, const struct stat_sample *now,
               int columns);

#endif
