/* SPDX-License-Identifier: MIT */
/* text - see text.h. */
#include "pages/text.h"

#include <string.h>
#include <verso/base.h>

void verso__text_begin(struct verso__text *text, char *out_room, size_t room_bytes)
{
    text->at = out_room;
    text->last = out_room + room_bytes - 1;
    *text->at = '\0';
}

void verso__text_add(struct verso__text *text, const char *words)
{
    size_t bytes = strlen(words), room = (size_t)(text->last - text->at);
    size_t kept = bytes < room ? bytes : room;

    memcpy(text->at, words, kept);
    text->at += kept;
    *text->at = '\0';
    if (kept < bytes && text->last - text->at == 0)
        memcpy(text->last - 3, "...", 3);
}

void verso__text_add_name(struct verso__text *text, const char *name)
{
    char escaped[4 * 128];

    (void)verso_name_escape(name, escaped, sizeof(escaped));
    verso__text_add(text, escaped);
}

static void add_digits(struct verso__text *text, uint64_t number, unsigned base)
{
    char digits[21];
    char *first = digits + sizeof(digits) - 1;

    *first = '\0';
    do {
        *--first = "0123456789abcdef"[number % base];
        number /= base;
    } while (number);
    verso__text_add(text, first);
}

void verso__text_add_hex(struct verso__text *text, uint64_t number)
{
    verso__text_add(text, "0x");
    add_digits(text, number, 16);
}

void verso__text_add_number(struct verso__text *text, uint64_t number)
{
    add_digits(text, number, 10);
}

void verso__text_add_size(struct verso__text *text, uint64_t bytes)
{
    static const char *const units[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB" };
    uint64_t whole = bytes, rest = 0;
    size_t unit = 0;

    for (; whole >= 1024; unit++) {
        rest = whole % 1024;
        whole /= 1024;
    }
    verso__text_add_number(text, whole);
    if (unit > 0) {
        verso__text_add(text, ".");
        verso__text_add_number(text, rest * 10 / 1024);
    }
    verso__text_add(text, units[unit]);
}
