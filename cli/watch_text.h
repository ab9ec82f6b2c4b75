/* SPDX-License-Identifier: MIT */
/* watch_text.h - what is seen, without a terminal: for people, and as JSON. */
#ifndef VERSO_CLI_WATCH_TEXT_H
#define VERSO_CLI_WATCH_TEXT_H

#include "watch_model.h"

#include <jansson.h>

/* Prints one readable snapshot of @columns columns; @can_utf8: bars may be drawn. */
void text_snapshot(const struct watch_model *model, int columns, bool can_utf8);

/* Prints one line: how things stand and what happened in the second before. */
void text_line(const struct watch_model *model);

/* The same as an object; the caller owns it. */
json_t *json_snapshot(const struct watch_model *model);

#endif
