/* SPDX-License-Identifier: MIT */
/*
 * message - names of files on their way to a terminal: error messages, and the escapes that keep them one line.
 *
 * Whatever the name, the message is one line of printable UTF-8, ends in a NUL within its room, and is the beginning of
 * the whole message when the room is too small.
 */
#include "must.h"

#include "base/fail.h"
#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Nothing that moves a cursor, and nothing but whole characters. A backslash is there only where an escape begins. */
static void check_shown(const char *text)
{
    const unsigned char *at = (const unsigned char *)text;

    while (*at) {
        size_t step = verso__utf8_printable(at);

        if (step == 0) {
            must(at[0] == '\\' && at[1] == 'x' && strspn((const char *)at + 2, "0123456789abcdef") >= 2);
            step = 4;
        }
        at += step;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static char whole[65536], cut[65536];
    char *path = malloc(bytes + 1);
    size_t room, length;

    must(path != NULL);
    memcpy(path, data, bytes);
    path[bytes] = '\0';
    (void)verso__fail_at(-2, "open", path, bytes % 3 ? bytes : VERSO_OFFSET_NONE);
    length = verso_error_message(whole, sizeof(whole));
    must(length == strlen(whole) && length < sizeof(whole));
    check_shown(whole);
    room = bytes ? data[0] : 0;
    memset(cut, 'x', sizeof(cut));
    must(verso_error_message(cut, room) == length);
    must(cut[room] == 'x');
    if (room) { /* cut at a whole character or escape: of four bytes at most three are left out */
        size_t kept = strlen(cut);

        must(kept == length || (kept < room && kept + 4 >= room));
        must(memcmp(cut, whole, kept) == 0);
        check_shown(cut);
    }
    free(path);
    return 0;
}
