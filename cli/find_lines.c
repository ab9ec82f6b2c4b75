/* SPDX-License-Identifier: MIT */
/*
 * find_lines - from a place to its line.
 *
 * The scan that finds places keeps no content, and may be elsewhere already. So lines are read a second time, from the
 * page cache, in blocks that move forward with the places: rare ones cost a short read each, frequent ones share it.
 *
 *     file   |........line end|......the line......|...x....
 *             printed_bytes ^  ^ block     ^ place
 */
#include "find_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)256 << 10)
#define SHORT_BYTES ((size_t)2 << 10)  /* less is counted before a scan has begun */
#define BACK_BYTES ((uint64_t)4 << 10) /* where a line is likely to have begun */

void find_lines_begin(struct find_lines *lines, struct scan_file *file, int fd, uint64_t end_bytes)
{
    lines->file = file;
    lines->fd = fd;
    lines->end_bytes = end_bytes;
    lines->block_bytes = 0;
    lines->printed_bytes = lines->numbered_bytes = lines->number = lines->count = 0;
}

void find_lines_memory(struct find_lines *lines, const char *memory, uint64_t offset_bytes, size_t bytes)
{
    lines->block = memory;
    lines->block_offset = offset_bytes;
    lines->block_bytes = bytes;
    lines->end_bytes = offset_bytes + bytes;
    if (lines->printed_bytes < offset_bytes)
        lines->printed_bytes = offset_bytes; /* no line reaches back over it */
}

void find_lines_clear(struct find_lines *lines)
{
    verso_scan_close(lines->counter);
    free(lines->own_block);
    free(lines->gathered);
}

/* ---- Content ---- */

static bool fail(struct find_lines *lines, uint64_t offset_bytes, const char *why)
{
    char *shown = name_shown(lines->file->name);

    scan_trouble(lines->file, "read: %s: at byte %llu, for a line to print: %s", shown,
                 (unsigned long long)offset_bytes, why);
    free(shown);
    lines->file->is_partial = true;
    return false;
}

/* Makes the block begin at @offset_bytes. */
static bool load(struct find_lines *lines, uint64_t offset_bytes)
{
    ssize_t got;

    if (!lines->own_block)
        lines->own_block = allocate(NULL, BLOCK_BYTES, 1);
    do
        got = pread(lines->fd, lines->own_block, BLOCK_BYTES, (off_t)offset_bytes);
    while (got < 0 && errno == EINTR && !scan_is_stopped());
    if (got <= 0)
        return fail(lines, offset_bytes, got < 0 ? strerrordesc_np(errno) : "the file was cut short");
    lines->block = lines->own_block;
    lines->block_offset = offset_bytes;
    lines->block_bytes = (size_t)got;
    return true;
}

static bool holds(const struct find_lines *lines, uint64_t offset_bytes)
{
    return offset_bytes >= lines->block_offset && offset_bytes - lines->block_offset < lines->block_bytes;
}

/* What of [from, to) lies together at @out_data: at least one byte, or 0 when it can't be read. */
static size_t stretch(struct find_lines *lines, uint64_t from, uint64_t to, const char **out_data)
{
    size_t at, bytes;

    if (!holds(lines, from) && !load(lines, from))
        return 0;
    at = (size_t)(from - lines->block_offset);
    bytes = lines->block_bytes - at;
    *out_data = lines->block + at;
    return to - from < bytes ? (size_t)(to - from) : bytes;
}

/* ---- Lines ---- */

/* Where the line begins that holds @offset_bytes. */
static bool find_start(struct find_lines *lines, uint64_t offset_bytes, uint64_t *out_start)
{
    uint64_t floor = lines->printed_bytes, at = offset_bytes;

    while (at > floor) {
        const char *data, *newline;
        uint64_t low;

        if (!holds(lines, at - 1) && !load(lines, at - floor > BACK_BYTES ? at - BACK_BYTES : floor))
            return false;
        if (!holds(lines, at - 1))
            return fail(lines, at, "the file was cut short");
        low = lines->block_offset > floor ? lines->block_offset : floor;
        data = lines->block + (low - lines->block_offset);
        newline = memrchr(data, '\n', (size_t)(at - low));
        at = low;
        if (newline) {
            *out_start = low + (uint64_t)(newline - data) + 1;
            return true;
        }
    }
    *out_start = floor;
    return true;
}

static int open_counter(struct find_lines *lines)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    int r;

    options.thread_count = 1; /* a block is soon done */
    r = verso_scan_open(&options, &lines->counter);
    return r < 0 ? r : verso_scan_want_counts(lines->counter, VERSO_SCAN_LINES);
}

static bool add_newlines(struct find_lines *lines, const char *data, size_t bytes)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    int r;

    if (bytes < SHORT_BYTES) {
        for (size_t i = 0; i < bytes; i++)
            lines->number += data[i] == '\n';
        return true;
    }
    r = lines->counter ? 0 : open_counter(lines);
    if (r == 0)
        r = verso_scan_memory(lines->counter, data, bytes);
    if (r == 0)
        r = verso_scan_result(lines->counter, &result);
    if (r < 0)
        scan_trouble_error(lines->file, r);
    lines->number += result.lines;
    return r == 0;
}

bool find_lines_number(struct find_lines *lines, uint64_t start)
{
    const char *data;
    size_t bytes;

    while (lines->numbers && lines->numbered_bytes < start) {
        bytes = stretch(lines, lines->numbered_bytes, start, &data);
        if (bytes == 0 || !add_newlines(lines, data, bytes))
            return false;
        lines->numbered_bytes += bytes;
    }
    return true;
}

/* ---- Printing ---- */

static void print_stretch(struct find_lines *lines, const char *data, size_t bytes, size_t gathered)
{
    if (!common.json) {
        scan_print(lines->file, data, bytes);
        return;
    }
    if (lines->gathered_room - gathered < bytes) {
        lines->gathered_room = (gathered + bytes) * 2;
        lines->gathered = allocate(lines->gathered, lines->gathered_room, 1);
    }
    memcpy(lines->gathered + gathered, data, bytes);
}

/* A line that is not UTF-8 comes with \xNN, as names do. */
static void set_text(json_t *object, const char *data, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    json_t *text = json_stringn(data, bytes);
    char *escaped, *at;

    if (!text) {
        at = escaped = allocate(NULL, bytes, 4);
        for (size_t i = 0; i < bytes; i++) {
            unsigned char byte = (unsigned char)data[i];

            if (byte >= ' ' && byte < 0x7f && byte != '\\') {
                *at++ = data[i];
                continue;
            }
            *at++ = '\\', *at++ = 'x', *at++ = digits[byte >> 4], *at++ = digits[byte & 15];
        }
        text = json_stringn(escaped, (size_t)(at - escaped));
        free(escaped);
        json_object_set_new(object, "text_escaped", json_true());
    }
    json_object_set_new(object, "text", text);
}

static void print_json(struct find_lines *lines, uint64_t start, size_t bytes)
{
    json_t *object = json_object();

    if (lines->numbers)
        json_object_set_new(object, "line", json_integer((json_int_t)lines->number + 1));
    json_object_set_new(object, "offset_bytes", json_integer((json_int_t)start));
    set_text(object, lines->gathered, bytes);
    if (lines->count > 1)
        scan_print(lines->file, ",", 1);
    scan_print_json(lines->file, object);
}

/* From @start to the newline. */
static bool print_line(struct find_lines *lines, uint64_t start)
{
    const char *data, *newline = NULL;
    uint64_t at = start;
    size_t bytes;

    while (!newline && at < lines->end_bytes) {
        bytes = stretch(lines, at, lines->end_bytes, &data);
        if (bytes == 0)
            return false;
        newline = memchr(data, '\n', bytes);
        if (newline)
            bytes = (size_t)(newline - data) + 1;
        print_stretch(lines, data, bytes, (size_t)(at - start));
        at += bytes;
    }
    if (common.json)
        print_json(lines, start, (size_t)(at - start) - (newline ? 1 : 0));
    else if (!newline)
        scan_print(lines->file, "\n", 1);
    lines->printed_bytes = at;
    return true;
}

bool find_lines_print(struct find_lines *lines, uint64_t offset_bytes)
{
    uint64_t start;

    if (offset_bytes < lines->printed_bytes)
        return true;
    if (!find_start(lines, offset_bytes, &start) || !find_lines_number(lines, start))
        return false;
    lines->count++;
    if (!common.json) {
        if (*lines->prefix)
            scan_print(lines->file, lines->prefix, strlen(lines->prefix));
        if (lines->numbers)
            scan_printf(lines->file, "%llu:", (unsigned long long)lines->number + 1);
    }
    return print_line(lines, start);
}
