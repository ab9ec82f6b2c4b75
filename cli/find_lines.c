/* SPDX-License-Identifier: MIT */
/*
 * find_lines - from a place to its line.
 *
 * Places come with the content around them, in pieces, and nearly all lines lie in one. The others are completed from
 * the file, which is read again around the border of the pieces:
 *
 *     file      |........line end|......the line......|...x....
 *     content   ----------- piece -------|------- piece ------------
 *                printed_bytes ^            ^ place
 */
#include "find_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BLOCK_BYTES ((size_t)256 << 10)
#define LINE_BYTES ((size_t)4 << 10) /* most lines are shorter */

void find_lines_begin(struct find_lines *lines, struct scan_file *file, int fd, uint64_t start_bytes,
                      uint64_t end_bytes)
{
    lines->file = file;
    lines->fd = fd;
    lines->start_bytes = start_bytes;
    lines->end_bytes = end_bytes;
    lines->content.bytes = lines->more.bytes = 0;
    lines->printed_bytes = start_bytes;
    lines->count = 0;
}

void find_lines_memory(struct find_lines *lines, const char *memory, uint64_t offset_bytes, size_t bytes)
{
    lines->more = (struct find_block){ memory, offset_bytes, bytes };
    lines->end_bytes = offset_bytes + bytes;
    if (lines->printed_bytes < offset_bytes)
        lines->printed_bytes = offset_bytes; /* no line reaches back over it */
}

void find_lines_clear(struct find_lines *lines)
{
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

/* Reads up to @bytes from @offset_bytes on. */
static bool load(struct find_lines *lines, uint64_t offset_bytes, size_t bytes)
{
    ssize_t got;

    if (!lines->own_block)
        lines->own_block = allocate(NULL, BLOCK_BYTES, 1);
    do
        got = pread(lines->fd, lines->own_block, bytes, (off_t)offset_bytes);
    while (got < 0 && errno == EINTR && !scan_is_stopped());
    if (got <= 0)
        return fail(lines, offset_bytes, got < 0 ? strerrordesc_np(errno) : "the file was cut short");
    lines->more = (struct find_block){ lines->own_block, offset_bytes, (size_t)got };
    return true;
}

static bool holds(const struct find_block *block, uint64_t offset_bytes)
{
    return offset_bytes >= block->offset_bytes && offset_bytes - block->offset_bytes < block->bytes;
}

/* What holds a byte; NULL: nothing does. */
static const struct find_block *block_of(const struct find_lines *lines, uint64_t offset_bytes)
{
    if (holds(&lines->content, offset_bytes))
        return &lines->content;
    return holds(&lines->more, offset_bytes) ? &lines->more : NULL;
}

/* ---- Lines ---- */

/* Where the line begins that holds @offset_bytes. */
static bool find_start(struct find_lines *lines, uint64_t offset_bytes, uint64_t *out_start)
{
    uint64_t floor = lines->printed_bytes, at = offset_bytes;

    for (size_t back = LINE_BYTES; at > floor; back = back < BLOCK_BYTES ? 2 * back : back) {
        const struct find_block *block = block_of(lines, at - 1);
        const char *newline;
        uint64_t low;

        if (!block &&
            !load(lines, at - floor > back ? at - back : floor, at - floor > back ? back : (size_t)(at - floor)))
            return false;
        block = block_of(lines, at - 1);
        if (!block)
            return fail(lines, at, "the file was cut short");
        low = block->offset_bytes > floor ? block->offset_bytes : floor;
        newline = memrchr(block->data + (low - block->offset_bytes), '\n', (size_t)(at - low));
        if (newline) {
            *out_start = block->offset_bytes + (uint64_t)(newline - block->data) + 1;
            return true;
        }
        at = low;
    }
    *out_start = floor;
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

static void print_json(struct find_lines *lines, uint64_t number, uint64_t start)
{
    json_t *object = json_object();

    if (lines->numbers)
        json_object_set_new(object, "line", json_integer((json_int_t)number));
    json_object_set_new(object, "offset_bytes", json_integer((json_int_t)(start - lines->start_bytes)));
    set_text(object, lines->gathered, lines->gathered_bytes);
    if (lines->count > 1)
        scan_print(lines->file, ",", 1);
    scan_print_json(lines->file, object);
}

/* From @start to the newline. */
static bool print_line(struct find_lines *lines, uint64_t start)
{
    const char *newline = NULL;
    uint64_t at = start;

    for (size_t ahead = LINE_BYTES; !newline && at < lines->end_bytes;) {
        const struct find_block *block = block_of(lines, at);
        const char *data;
        size_t bytes;

        if (!block) {
            if (!load(lines, at, ahead))
                return false;
            ahead = ahead < BLOCK_BYTES ? 2 * ahead : ahead;
            continue;
        }
        data = block->data + (at - block->offset_bytes);
        bytes = block->bytes - (size_t)(at - block->offset_bytes);
        if (bytes > lines->end_bytes - at)
            bytes = (size_t)(lines->end_bytes - at);
        newline = memchr(data, '\n', bytes);
        if (newline)
            bytes = (size_t)(newline - data) + 1;
        print_stretch(lines, data, bytes, (size_t)(at - start));
        at += bytes;
    }
    if (!common.json && !newline)
        scan_print(lines->file, "\n", 1);
    lines->printed_bytes = at;
    lines->gathered_bytes = (size_t)(at - start) - (newline ? 1 : 0);
    return true;
}

static void print_number(struct find_lines *lines, uint64_t number)
{
    char digits[24], *at = digits + sizeof(digits);

    *--at = ':';
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    scan_print(lines->file, at, (size_t)(digits + sizeof(digits) - at));
}

static bool print_found(struct find_lines *lines, uint64_t start, uint64_t number)
{
    lines->count++;
    if (common.json) {
        if (!print_line(lines, start))
            return false;
        print_json(lines, number, start);
        return true;
    }
    if (*lines->prefix)
        scan_print(lines->file, lines->prefix, strlen(lines->prefix));
    if (lines->numbers)
        print_number(lines, number);
    return print_line(lines, start);
}

bool find_lines_print(struct find_lines *lines, const struct verso_scan_match *match)
{
    uint64_t start;
    bool printed;

    if (match->offset_bytes < lines->printed_bytes)
        return true;
    lines->content =
        (struct find_block){ (const char *)match->content, match->content_offset_bytes, match->content_bytes };
    printed = find_start(lines, match->offset_bytes, &start) && print_found(lines, start, match->lines + 1);
    lines->content.bytes = 0; /* it leaves */
    return printed;
}
