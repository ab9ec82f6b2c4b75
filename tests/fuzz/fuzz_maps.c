/* SPDX-License-Identifier: MIT */
/*
 * maps - /proc/PID/maps and smaps, line by line, as the lists of mappings are read.
 *
 * What must hold of any bytes: a line that parses says the same when it is written again and parsed again; a name
 * without its escapes is no longer than it was and holds no escape.
 */
#include "os/linux/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static size_t write_again(const struct verso__os_mapping *mapping, char *out_line, size_t room_bytes)
{
    int bytes = snprintf(
        out_line, room_bytes, "%" PRIx64 "-%" PRIx64 " %c%c%c%c %" PRIx64 " %" PRIx64 ":%" PRIx64 " %" PRIu64 " ",
        mapping->start, mapping->end, mapping->access & VERSO__OS_ACCESS_READ ? 'r' : '-',
        mapping->access & VERSO__OS_ACCESS_WRITE ? 'w' : '-', mapping->access & VERSO__OS_ACCESS_EXEC ? 'x' : '-',
        mapping->shared ? 's' : 'p', mapping->offset, mapping->device_major, mapping->device_minor, mapping->inode);

    must(bytes > 0 && (size_t)bytes < room_bytes);
    return (size_t)bytes;
}

static void check_mapping(const struct verso__os_mapping *mapping)
{
    struct verso__os_mapping again;
    char line[160];
    size_t name_start, bytes = write_again(mapping, line, sizeof(line));

    must(verso__parse_mapping(line, bytes, &again, &name_start));
    must(name_start == bytes);
    must(again.start == mapping->start && again.end == mapping->end && again.offset == mapping->offset);
    must(again.device_major == mapping->device_major && again.device_minor == mapping->device_minor);
    must(again.inode == mapping->inode && again.access == mapping->access && again.shared == mapping->shared);
}

static void check_name(const char *name, size_t bytes)
{
    char *copy = malloc(bytes ? bytes : 1);
    size_t kept;

    must(copy != NULL);
    memcpy(copy, name, bytes);
    kept = verso__parse_name_unescape(copy, bytes);
    must(kept <= bytes);
    must((kept < bytes) == verso__parse_name_is_ambiguous(name, bytes));
    must(!verso__parse_name_is_ambiguous(copy, kept));
    free(copy);
}

static void check_line(const char *line, size_t bytes, struct verso__os_mapping_memory *memory)
{
    struct verso__os_mapping mapping;
    size_t name_start;

    if (verso__parse_mapping(line, bytes, &mapping, &name_start)) {
        must(name_start <= bytes && mapping.start <= mapping.end);
        check_mapping(&mapping);
        check_name(line + name_start, bytes - name_start);
        *memory = (struct verso__os_mapping_memory){ 0 };
    } else if (verso__parse_memory_field(line, bytes, memory)) {
        must(memchr(memory->flags, '\0', sizeof(memory->flags)) != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct verso__os_mapping_memory memory = { 0 };
    const char *line = (const char *)data, *end = line + bytes;

    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *line_end = newline ? newline : end;

        check_line(line, (size_t)(line_end - line), &memory);
        line = line_end + 1;
    }
    return 0;
}
