/* SPDX-License-Identifier: MIT */
/*
 * find_lines.h - the lines in which something was found, out of a file or a stretch of memory.
 */
#ifndef VERSO_CLI_FIND_LINES_H
#define VERSO_CLI_FIND_LINES_H

#include "scan_files.h"

/* Content around the places found: a block of the file, read again, or memory that is there anyhow. */
struct find_lines {
    struct scan_file *file;
    const char *prefix; /* before each line */
    bool numbers;       /* of lines, too */
    int fd;             /* -1: @block holds all that is asked for */
    uint64_t end_bytes; /* no line goes further */
    char *own_block;
    const char *block;
    uint64_t block_offset;
    size_t block_bytes;
    uint64_t printed_bytes; /* end of the last line printed; places before it are done */
    uint64_t numbered_bytes;
    uint64_t number;            /* newlines before that */
    uint64_t count;             /* of lines printed */
    struct verso_scan *counter; /* of newlines */
    char *gathered;             /* a line for --json */
    size_t gathered_room;
};

/* Begins a file. Lines are read with @fd. */
void find_lines_begin(struct find_lines *lines, struct scan_file *file, int fd, uint64_t end_bytes);
/* From now on, lines are looked for in @memory, which begins and ends with a line. */
void find_lines_memory(struct find_lines *lines, const char *memory, uint64_t offset_bytes, size_t bytes);
/* Prints the line that holds @offset_bytes, unless it has been; false when it can't be read, which is told. */
bool find_lines_print(struct find_lines *lines, uint64_t offset_bytes);
/* Counts lines up to the beginning of one, before memory is left; false when it can't be read, which is told. */
bool find_lines_number(struct find_lines *lines, uint64_t start);
void find_lines_clear(struct find_lines *lines);

#endif
