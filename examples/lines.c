/* SPDX-License-Identifier: MIT */
/* lines - counts the lines of a file, a pipe, or anything in /proc; even of a file that is cut short meanwhile. */
#include <stdio.h>
#include <verso.h>

int main(int count, char **arguments)
{
    struct verso_map *map;
    struct verso_guard_scan scan;
    char message[512];

    if (verso_guard_install() < 0 || verso_map_open(count > 1 ? arguments[1] : "/dev/stdin", NULL, &map) < 0) {
        verso_error_message(message, sizeof(message)); /* what, where, and what to do about it */
        fprintf(stderr, "lines: %s\n", message);
        return 2;
    }
    scan = verso_guard_count(verso_map_data(map), '\n', verso_map_bytes(map));
    printf("%zu lines in %zu bytes%s\n", scan.count, scan.done_bytes, scan.torn ? ": the file was cut short" : "");
    verso_map_close(map);
    return 0;
}
