/* SPDX-License-Identifier: MIT */
/*
 * inspect - where a file is: on the disk, in the page cache, and in whose address space.
 *
 *     $ inspect /usr/bin/bash
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <verso.h>

static int fail(void)
{
    char line[512];

    verso_error_message(line, sizeof(line));
    fprintf(stderr, "inspect: %s\n", line);
    return 2;
}

static int show_extents(int fd)
{
    struct verso_inspect_extent *extents;
    size_t count;
    int error = verso_inspect_extents(fd, &extents, &count);

    if (error == -EOPNOTSUPP) {
        puts("disk: this file system has no blocks to tell of");
        return 0;
    }
    if (error < 0)
        return fail();
    printf("disk: %zu extents\n", count);
    for (size_t i = 0; i < count; i++)
        printf("  file %12" PRIu64 "  disk %14" PRIu64 "  %" PRIu64 " bytes\n", extents[i].file_offset_bytes,
               extents[i].disk_offset_bytes, extents[i].length_bytes);
    free(extents);
    return 0;
}

static void show_number(const char *name, const struct verso_number *number)
{
    if (number->error)
        printf("  %-10s missing: %s (%s)\n", name, number->why, number->source);
    else
        printf("  %-10s %" PRIu64 " (%s)\n", name, number->value, number->source);
}

static int show_cache(int fd)
{
    struct verso_inspect_cache cache;

    if (verso_inspect_cache(fd, 0, 0, &cache) < 0)
        return fail();
    printf("page cache, of %" PRIu64 " pages:\n", cache.pages);
    show_number("cached", &cache.cached);
    show_number("dirty", &cache.dirty);
    show_number("evicted", &cache.evicted);
    return 0;
}

static int show_mappers(int fd)
{
    struct verso_inspect_mapper *mappers;
    size_t count, hidden;

    if (verso_inspect_mappers(fd, &mappers, &count, &hidden) < 0)
        return fail();
    printf("mappings: %zu found, %zu processes could not be looked into\n", count, hidden);
    for (size_t i = 0; i < count; i++)
        printf("  %8ld %-16s %" PRIx64 "-%" PRIx64 "\n", (long)mappers[i].pid, mappers[i].command, mappers[i].start,
               mappers[i].end);
    free(mappers);
    return 0;
}

int main(int count, char **arguments)
{
    const char *path = count > 1 ? arguments[1] : arguments[0]; /* without a file: this program's own */
    int answer, fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        perror(path);
        return 2;
    }
    answer = show_extents(fd);
    if (answer == 0)
        answer = show_cache(fd);
    if (answer == 0)
        answer = show_mappers(fd);
    close(fd);
    return answer;
}
