/* SPDX-License-Identifier: MIT */
/*
 * residency - what of a file is in memory, without bringing any of it in.
 *
 *     $ residency FILE
 *     FILE: 128 of 512 pages cached, 3 dirty (cachestat)
 *     |####:::#........................................................|
 *
 * One column stands for as many pages as are needed: # all of them cached, : some, . none, ? not told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <verso.h>

#define COLUMNS 64

static int fail(void)
{
    char line[512];

    verso_error_message(line, sizeof(line));
    fprintf(stderr, "residency: %s\n", line);
    return 2;
}

static void print_count(uint64_t count, const char *what)
{
    if (count == VERSO_MAP_UNKNOWN)
        printf(" ? %s", what);
    else
        printf(" %llu %s", (unsigned long long)count, what);
}

static int print_counts(struct verso_map *map, const char *path)
{
    struct verso_map_residency counts = VERSO_MAP_RESIDENCY_INIT;

    if (verso_map_residency(map, 0, 0, &counts) < 0)
        return fail();
    printf("%s:", path);
    print_count(counts.cached, "of");
    print_count(counts.pages, "pages cached,");
    print_count(counts.dirty, "dirty");
    printf(" (%s)\n", *counts.missing_why ? counts.missing_why : counts.source);
    return 0;
}

static char column(const unsigned char *states, size_t first, size_t end)
{
    size_t cached = 0;

    for (size_t i = first; i < end; i++) {
        if (states[i] & VERSO_MAP_PAGE_UNKNOWN)
            return '?';
        cached += (states[i] & VERSO_MAP_PAGE_CACHED) != 0;
    }
    return cached == end - first ? '#' : cached ? ':' : '.';
}

static int print_bar(struct verso_map *map)
{
    size_t room = verso_map_bytes(map) / verso_page_bytes() + 2, count;
    unsigned char *states = malloc(room);
    int answer = 0;

    if (!states || verso_map_residency_pages(map, 0, 0, states, room, &count) < 0) {
        answer = fail();
    } else if (count > 0) {
        size_t columns = count < COLUMNS ? count : COLUMNS;

        putchar('|');
        for (size_t i = 0; i < columns; i++)
            putchar(column(states, i * count / columns, (i + 1) * count / columns));
        puts("|");
    }
    free(states);
    return answer;
}

int main(int count, char **arguments)
{
    const char *path = count > 1 ? arguments[1] : arguments[0]; /* without a file: this program's own */
    struct verso_map *map;
    int answer;

    if (verso_map_open(path, NULL, &map) < 0)
        return fail();
    answer = print_counts(map, path);
    if (answer == 0)
        answer = print_bar(map);
    verso_map_close(map);
    return answer;
}
