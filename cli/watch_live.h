/* SPDX-License-Identifier: MIT */
/* watch_live.h - the picture in a terminal, ten times a second, until told to stop. */
#ifndef VERSO_CLI_WATCH_LIVE_H
#define VERSO_CLI_WATCH_LIVE_H

#include "watch_model.h"
#include "watch_reader.h"

#include <stdbool.h>

struct live_options {
    double interval_seconds;
    double for_seconds; /* 0: until a key or a signal */
    bool wants_color;
    bool follows; /* the cursor begins by following the reader */
};

/* False when this terminal can't show it: nothing was drawn, and there is another way to tell. */
bool live_run(struct watch_model *model, struct watch_reader *reader, const struct live_options *options);

#endif
