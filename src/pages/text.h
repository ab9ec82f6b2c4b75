/* SPDX-License-Identifier: MIT */
/*
 * text.h - sentences put together in a signal handler: no allocation, no locale, no lock. What does not fit is cut, and
 * its end becomes "...".
 */
#ifndef VERSO_SRC_PAGES_TEXT_H
#define VERSO_SRC_PAGES_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct verso__text {
    char *at;   /* where the next byte goes; a NUL stands there */
    char *last; /* the last byte of the room: always a NUL */
};

void verso__text_begin(struct verso__text *text, char *out_room, size_t room_bytes);
void verso__text_add(struct verso__text *text, const char *words);
void verso__text_add_name(struct verso__text *text, const char *name); /* what can't be printed comes as \xNN */
void verso__text_add_hex(struct verso__text *text, uint64_t number);   /* 0x1f */
void verso__text_add_number(struct verso__text *text, uint64_t number);
void verso__text_add_size(struct verso__text *text, uint64_t bytes); /* "64.0 KiB", "512 B" */

#endif
