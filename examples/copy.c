/* SPDX-License-Identifier: MIT */
/* copy - a file and its checksum in one pass; then only what has changed of it. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <verso/copy.h>
#include <verso/guard.h>

static int fail(void)
{
    char text[256];

    verso_error_message(text, sizeof(text));
    (void)fprintf(stderr, "%s\n", text);
    return 1;
}

static int show(const char *what, const struct verso_copy_report *report)
{
    char digest[VERSO_DIGEST_TEXT_BYTES];

    return printf("%s: %llu bytes, %llu came through here, %llu were there; XXH3 %s; %s\n", what,
                  (unsigned long long)report->bytes, (unsigned long long)report->copied_bytes,
                  (unsigned long long)report->same_bytes, verso_digest_text(&report->digest, digest), report->why) < 0;
}

static int change_one_byte(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : pwrite(fd, "!", 1, 100000);

    return fd < 0 || close(fd) < 0 || n != 1 ? -1 : 0;
}

static int copy_twice(const char *source, const char *target)
{
    struct verso_copy_options options = VERSO_COPY_OPTIONS_INIT;
    struct verso_copy_report report = VERSO_COPY_REPORT_INIT;

    options.digest = VERSO_DIGEST_XXH3_64;
    if (verso_copy_file(source, target, &options, &report) < 0 || show("whole", &report))
        return fail();
    if (change_one_byte(source) < 0)
        return perror(source), 1;
    options.flags = VERSO_COPY_DELTA;
    if (verso_copy_file(source, target, &options, &report) < 0 || show("delta", &report))
        return fail();
    return 0;
}

int main(void)
{
    char directory[] = "/tmp/verso-example-XXXXXX", source[64], target[64];
    FILE *file;
    int status = 1;

    if (!mkdtemp(directory))
        return 1;
    (void)snprintf(source, sizeof(source), "%s/source", directory);
    (void)snprintf(target, sizeof(target), "%s/target", directory);
    file = fopen(source, "we");
    for (int i = 0; file && i < 40000; i++)
        (void)fprintf(file, "line %d\n", i);
    if (file && fclose(file) == 0 && verso_guard_install() == 0)
        status = copy_twice(source, target);
    (void)unlink(source);
    (void)unlink(target);
    (void)rmdir(directory);
    return status;
}
