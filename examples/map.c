/* SPDX-License-Identifier: MIT */
/*
 * map - how often each byte value occurs, in a file, a pipe, a device, or whatever else can be read.
 *
 *     $ map /etc/services
 *     $ ls | map -
 *     $ map /proc/cpuinfo
 *
 * One call opens them all. What the kernel can't map is read into private memory, and the map says so.
 */
#include <stdio.h>
#include <string.h>
#include <verso.h>

static int fail(void)
{
    char line[512];

    verso_error_message(line, sizeof(line));
    fprintf(stderr, "map: %s\n", line);
    return 2;
}

static const char *kind_name(enum verso_map_kind kind)
{
    switch (kind) {
    case VERSO_MAP_KIND_FILE:
        return "mapped";
    case VERSO_MAP_KIND_BUFFER:
        return "read in";
    case VERSO_MAP_KIND_MEMORY:
        return "a sealed copy";
    default:
        return "empty";
    }
}

static void print_most_common(const struct verso_map *map)
{
    const unsigned char *data = verso_map_data(map);
    size_t counts[256] = { 0 };
    size_t bytes = verso_map_bytes(map);

    for (size_t i = 0; i < bytes; i++) /* not a string: no NUL ends it */
        counts[data[i]]++;
    for (int rank = 0; rank < 5; rank++) {
        int best = 0;

        for (int value = 1; value < 256; value++)
            if (counts[value] > counts[best])
                best = value;
        if (counts[best] == 0)
            break;
        printf("  0x%02x  %zu times\n", (unsigned)best, counts[best]);
        counts[best] = 0;
    }
}

int main(int count, char **arguments)
{
    const char *path = count > 1 ? arguments[1] : arguments[0]; /* without a file: this program's own */
    struct verso_map_info info = VERSO_MAP_INFO_INIT;
    struct verso_map *map;
    int error;

    error = strcmp(path, "-") == 0 ? verso_map_open_fd(0, NULL, &map) : verso_map_open(path, NULL, &map);
    if (error < 0)
        return fail();
    error = verso_map_info(map, &info);
    if (error == 0) {
        printf("%s: %zu bytes, %s\n", info.path, verso_map_bytes(map), kind_name(info.kind));
        print_most_common(map);
    }
    verso_map_close(map);
    return error < 0 ? fail() : 0;
}
