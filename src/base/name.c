/* SPDX-License-Identifier: MIT */
/* name - file names for people to read. */
#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>
#include <verso/base.h>

/* Where the line goes; counts on when it is full, as snprintf does. */
struct shown {
    char *text;
    size_t room_bytes;
    size_t length_bytes; /* of the whole line */
    bool full;           /* something did not fit: what follows must not slip in behind it */
};

/* Adds all of @piece or none: a cut line never ends in half a character. */
static void shown_add(struct shown *shown, const unsigned char *piece, size_t bytes)
{
    if (!shown->full && shown->length_bytes + bytes < shown->room_bytes)
        memcpy(shown->text + shown->length_bytes, piece, bytes);
    else if (!shown->full) {
        shown->full = true;
        if (shown->room_bytes)
            shown->text[shown->length_bytes] = '\0';
    }
    shown->length_bytes += bytes;
}

size_t verso_name_escape(const char *name, char *out_text, size_t text_bytes)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *byte = (const unsigned char *)name;
    struct shown shown = { out_text, text_bytes, 0, false };

    while (*byte) {
        size_t step = verso__utf8_printable(byte);

        if (step) {
            shown_add(&shown, byte, step);
            byte += step;
        } else {
            const unsigned char escape[4] = { '\\', 'x', (unsigned char)digits[*byte >> 4],
                                              (unsigned char)digits[*byte & 15] };

            shown_add(&shown, escape, sizeof(escape));
            byte++;
        }
    }
    if (!shown.full && text_bytes)
        out_text[shown.length_bytes] = '\0';
    return shown.length_bytes;
}
