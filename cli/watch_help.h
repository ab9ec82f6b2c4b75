/* SPDX-License-Identifier: MIT */
/* watch_help.h - the keys, in one table: what curses sends, what it does, what help says of it. */
#ifndef VERSO_CLI_WATCH_HELP_H
#define VERSO_CLI_WATCH_HELP_H

#include "watch_control.h"
#include "watch_paint.h"

/* What a key of curses means. */
enum action help_action(int key);

/* Lays the list of keys over the middle of the screen. */
void help_draw(const struct paint *paint);

#endif
