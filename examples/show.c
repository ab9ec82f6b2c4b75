/* SPDX-License-Identifier: MIT */
/*
 * show - prints a file, as cat does. Pipes, empty files and files in /proc need nothing of their own: what can't be
 * mapped is read in, behind the same calls.
 */
#include <stdio.h>
#include <verso.h>

int main(int count, char **arguments)
{
    struct verso_map *map;
    char message[512];

    if (count != 2) {
        fputs("usage: show FILE\n", stderr);
        return 2;
    }
    if (verso_map_open(arguments[1], NULL, &map) != 0) {
        verso_error_message(message, sizeof(message)); /* what, where, and what to do about it */
        fprintf(stderr, "show: %s\n", message);
        return 2;
    }
    fwrite(verso_map_data(map), 1, verso_map_bytes(map), stdout);
    verso_map_close(map);
    return 0;
}
