/* SPDX-License-Identifier: MIT */
/*
 * stable - sum up a file that others may be rewriting, as if they did not.
 *
 *     $ stable FILE
 *     FILE: LEASED
 *     1048576 bytes, sum 133694137
 *
 * The file itself is read while nobody wants to write it. As soon as somebody does, he waits for as long as it takes to
 * make a copy; then the sum goes on, over the same bytes at the same address.
 */
#include <stdio.h>
#include <verso.h>

static const char *const rungs[] = { "RAW", "GUARDED", "LEASED", "SNAPSHOT", "COPY" };

static int fail(void)
{
    char line[512];

    verso_error_message(line, sizeof(line)); /* what, where, and what to do about it */
    fprintf(stderr, "stable: %s\n", line);
    return 2;
}

/* Which rung it is, and what stood in the way of the one asked for. */
static int tell(const struct verso_map *map)
{
    struct verso_map_info info = VERSO_MAP_INFO_INIT;

    if (verso_map_info(map, &info) < 0)
        return fail();
    printf("%s: %s%s%s\n", info.path, rungs[info.stability], *info.stability_why ? ": " : "", info.stability_why);
    return 0;
}

/* Looks for waiting writers now and then, and lets them go on. */
static int sum(struct verso_map *map, unsigned long long *out_sum)
{
    const unsigned char *data = verso_map_data(map);
    size_t bytes = verso_map_bytes(map), step = (size_t)1 << 20;
    int answer;

    *out_sum = 0;
    for (size_t at = 0; at < bytes; at += step) {
        answer = verso_map_check(map);
        if (answer == VERSO_E_LEASE)
            answer = verso_map_settle(map);
        if (answer < 0)
            return answer;
        for (size_t i = at; i < bytes && i < at + step; i++)
            *out_sum += data[i];
    }
    return 0;
}

int main(int count, char **arguments)
{
    const char *path = count > 1 ? arguments[1] : arguments[0]; /* without a file: this program's own */
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;
    unsigned long long total;
    int answer;

    options.stability = VERSO_MAP_LEASED; /* or what is safer, where there is no lease to be had */
    if (verso_map_open(path, &options, &map) < 0)
        return fail();
    answer = tell(map);
    if (answer == 0 && sum(map, &total) < 0)
        answer = fail();
    if (answer == 0)
        printf("%zu bytes, sum %llu\n", verso_map_bytes(map), total);
    verso_map_close(map);
    return answer;
}
