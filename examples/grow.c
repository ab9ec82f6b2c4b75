/* SPDX-License-Identifier: MIT */
/*
 * grow - an index of a file's lines, in a second file that grows as it is filled.
 *
 *     $ grow /etc/services
 *
 * When the index is full it is made longer; its address stays, so pointers into it stay good. A full disk is an error
 * of verso_map_resize(), where there is a way back, and never a signal at a store. After verso_map_sync() the index
 * outlives a power cut. (Here it stands in a directory of its own and goes again.)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <verso.h>

/* Room for one more: twice as many as before, so that growing is seldom. */
static int make_room(struct verso_map *index, size_t used_bytes)
{
    size_t bytes = verso_map_bytes(index);

    if (used_bytes + sizeof(uint64_t) <= bytes)
        return 0;
    return verso_map_resize(index, bytes ? bytes * 2 : 64 * sizeof(uint64_t));
}

/* Where each line begins. */
static int fill(struct verso_map *index, const struct verso_map *text)
{
    const char *data = verso_map_data(text);
    const char *end = data + verso_map_bytes(text);
    uint64_t *starts = verso_map_data(index); /* stays: the map was opened with GROW */
    size_t lines = 0;
    int error;

    for (const char *line = data; line && line < end;) {
        error = make_room(index, lines * sizeof(*starts));
        if (error < 0)
            return error;
        starts[lines++] = (uint64_t)(line - data);
        line = memchr(line, '\n', (size_t)(end - line));
        line = line ? line + 1 : NULL;
    }
    error = verso_map_resize(index, lines * sizeof(*starts)); /* what was too much goes back to the disk */
    return error < 0 ? error : verso_map_sync(index, 0, 0, VERSO_MAP_SYNC_FULL);
}

static int make_index(const char *path, const struct verso_map *text)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *index;
    int error;

    options.flags = VERSO_MAP_WRITE | VERSO_MAP_CREATE | VERSO_MAP_EXCLUSIVE | VERSO_MAP_GROW;
    error = verso_map_open(path, &options, &index);
    if (error < 0)
        return error;
    error = fill(index, text);
    verso_map_close(index);
    return error;
}

/* Reads the index as anybody would who finds it later. */
static int print_last_line(const char *path, const struct verso_map *text)
{
    const char *data = verso_map_data(text);
    struct verso_map *index;
    size_t lines;
    int error = verso_map_open(path, NULL, &index);

    if (error < 0)
        return error;
    lines = verso_map_bytes(index) / sizeof(uint64_t);
    printf("%zu lines", lines);
    if (lines > 0) {
        uint64_t start = ((const uint64_t *)verso_map_data(index))[lines - 1];

        printf("; the last begins at byte %llu and has %zu bytes", (unsigned long long)start,
               verso_map_bytes(text) - (size_t)start);
        if (start > 0 && data[start - 1] != '\n')
            abort();
    }
    printf("\n");
    verso_map_close(index);
    return 0;
}

int main(int count, char **arguments)
{
    const char *path = count > 1 ? arguments[1] : arguments[0]; /* without a file: this program's own */
    char directory[] = "/tmp/verso-grow-XXXXXX", index_path[64], message[512];
    struct verso_map *text;
    int error;

    if (!mkdtemp(directory))
        return 2;
    (void)snprintf(index_path, sizeof(index_path), "%s/lines", directory);
    error = verso_map_open(path, NULL, &text);
    if (error == 0) {
        error = make_index(index_path, text);
        if (error == 0)
            error = print_last_line(index_path, text);
        verso_map_close(text);
    }
    if (error < 0) {
        verso_error_message(message, sizeof(message));
        fprintf(stderr, "grow: %s\n", message);
    }
    (void)unlink(index_path);
    (void)rmdir(directory);
    return error < 0 ? 2 : 0;
}
