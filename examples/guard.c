/* SPDX-License-Identifier: MIT */
/*
 * guard - a file is cut short while it is mapped, and nobody dies: three ways to go on.
 *
 *     $ guard
 *     copying stopped after 4096 of 16384 bytes
 *     reading the last byte under guard: part of the file could not be read: it was cut short or its storage failed
 *     reading it from the other map: 0; torn from byte 1 on
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <verso.h>

static int fail(const char *what)
{
    char message[512];

    verso_error_message(message, sizeof(message));
    fprintf(stderr, "guard: %s: %s\n", what, message);
    return 2;
}

static int last_byte(void *arg)
{
    return *(volatile unsigned char *)arg;
}

/* With the file cut to one byte: the page that holds it can be read, the other three can't. */
static int go_on(struct verso_map *plain, struct verso_map *substituting)
{
    struct verso_map_info info = VERSO_MAP_INFO_INIT;
    const unsigned char *data = verso_map_data(plain), *zeros = verso_map_data(substituting);
    size_t bytes = verso_map_bytes(plain);
    unsigned char *copy = malloc(bytes);
    size_t done = copy ? verso_guard_copy(copy, data, bytes) : 0;
    int error = verso_guard_run(plain, last_byte, (void *)(data + bytes - 1));
    unsigned char zero = zeros[bytes - 1];

    free(copy);
    if (error != VERSO_E_TORN || verso_map_info(substituting, &info) < 0)
        return fail("the guard");
    printf("copying stopped after %zu of %zu bytes\n", done, bytes);
    printf("reading the last byte under guard: %s\n", verso_error_text(error));
    printf("reading it from the other map: %u; torn from byte %llu on\n", zero,
           (unsigned long long)info.torn_offset_bytes);
    return done == verso_page_bytes() && zero == 0 && info.torn_offset_bytes == 1 ? 0 : 1;
}

int main(void)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *plain, *substituting;
    char path[] = "/tmp/verso-guard-XXXXXX";
    int fd = mkstemp(path), answer;

    if (fd < 0 || ftruncate(fd, (off_t)(4 * verso_page_bytes())) < 0) {
        perror("guard: a temporary file");
        return 2;
    }
    options.flags = VERSO_MAP_SUBSTITUTE;
    if (verso_guard_install() < 0 || verso_map_open(path, NULL, &plain) < 0 ||
        verso_map_open(path, &options, &substituting) < 0) {
        unlink(path);
        return fail(path);
    }
    answer =
        ftruncate(fd, 1) < 0 ? 2 : go_on(plain, substituting); /* any process that may write the file can do this */
    verso_map_close(substituting);
    verso_map_close(plain);
    close(fd);
    unlink(path);
    return answer;
}
