/* SPDX-License-Identifier: MIT */
/*
 * replay - runs a fuzz target without a fuzzer, over its corpus: each file whole, then cut short at every length.
 *
 * So what fuzzing once found stays tested, under each sanitizer, with each compiler. argv[1] is the corpus folder.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Longer inputs are not cut at every length: that would take the square of their size. */
enum {
    CUT_BYTES_MAX = 4096
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint8_t *read_whole(const char *folder, const char *name, size_t *out_bytes)
{
    char path[4096];
    uint8_t *data;
    FILE *file;
    long bytes = -1;

    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
        die(folder);
    file = fopen(path, "rbe");
    if (!file || fseek(file, 0, SEEK_END) || (bytes = ftell(file)) < 0 || fseek(file, 0, SEEK_SET))
        die(path);
    data = malloc((size_t)bytes + 1);
    if (!data || fread(data, 1, (size_t)bytes, file) != (size_t)bytes)
        die(path);
    fclose(file);
    *out_bytes = (size_t)bytes;
    return data;
}

/* Each length in memory of its own, so that a sanitizer sees a read of one byte too many. */
static void feed(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes ? bytes : 1);

    if (!copy)
        die("malloc");
    memcpy(copy, data, bytes);
    LLVMFuzzerTestOneInput(copy, bytes);
    free(copy);
}

static int is_input(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

int main(int count, char **arguments)
{
    struct dirent **entries;
    int entry_count = count == 2 ? scandir(arguments[1], &entries, is_input, alphasort) : -1;

    if (entry_count <= 0)
        die("usage: replay CORPUS-FOLDER, which must not be empty");
    printf("1..%d\n", entry_count);
    for (int i = 0; i < entry_count; i++) {
        size_t bytes;
        uint8_t *data = read_whole(arguments[1], entries[i]->d_name, &bytes);

        feed(data, bytes);
        for (size_t cut = 0; cut < bytes && bytes <= CUT_BYTES_MAX; cut++)
            feed(data, cut);
        printf("ok %d - %s\n", i + 1, entries[i]->d_name);
        fflush(stdout);
        free(data);
        free(entries[i]);
    }
    free(entries);
    return 0;
}
