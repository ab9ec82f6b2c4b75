/* SPDX-License-Identifier: MIT */
/*
 * window - count the lines of a file of any size in 16 MiB of memory.
 *
 *     $ window /var/log/huge.log
 */
#include <stdio.h>
#include <string.h>
#include <verso.h>

static int fail(void)
{
    char line[512];

    verso_error_message(line, sizeof(line));
    fprintf(stderr, "window: %s\n", line);
    return 2;
}

static size_t count_lines(const char *data, size_t bytes)
{
    const char *end = data + bytes;
    size_t lines = 0;

    while ((data = memchr(data, '\n', (size_t)(end - data)))) {
        lines++;
        data++;
    }
    return lines;
}

int main(int count, char **arguments)
{
    struct verso_window_options options = VERSO_WINDOW_OPTIONS_INIT;
    const char *path = count > 1 ? arguments[1] : arguments[0]; /* without a file: this program's own */
    struct verso_window *window;
    unsigned long long lines = 0;
    size_t bytes;
    void *data;

    options.budget_bytes = (uint64_t)16 << 20;
    if (verso_window_open(path, &options, &window) < 0)
        return fail();
    for (;;) {
        if (verso_window_next(window, &data, &bytes) < 0) {
            verso_window_close(window);
            return fail();
        }
        if (bytes == 0)
            break;
        lines += count_lines(data, bytes);
    }
    printf("%llu lines in %llu bytes\n", lines, (unsigned long long)verso_window_file_bytes(window));
    verso_window_close(window);
    return 0;
}
