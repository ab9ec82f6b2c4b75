/* SPDX-License-Identifier: MIT */
/*
 * find_lines.h - the lines in which something was found, out of a file or a stretch of memory.
 */
#ifndef VERSO_CLI_FIND_LINES_H
#define VERSO_CLI_FIND_LINES_H

#include "scan_files.h"

/* What lies together in memory. */
struct find_block {
    const char *data;
    uint64_t offset_bytes;
    size_t bytes;
};

struct find_lines {
    struct scan_file *file;
    const char *prefix;        /* before each line */
    bool numbers;              /* of lines, too */
    int fd;                    /* -1: @more holds all that is asked for */
    uint64_t start_bytes;      /* offsets are told from here */
    uint64_t end_bytes;        /* no line goes further */
    struct find_block content; /* what came with a place */
    struct find_block more;    /* what it lacked of a line: read again, or memory that is there anyhow */
    char *own_block;
    uint64_t printed_bytes; /* end of the last line printed; places before it are done */
    uint64_t count;         /* of lines printed */
    char *gathered;         /* a line for --json */
    size_t gathered_bytes;
    size_t gathered_room;
};

/* Begins a file, or what of it is left. What of a line does not come with a place is read with @fd. */
void find_lines_begin(struct find_lines *lines, struct scan_file *file, int fd, uint64_t start_bytes,
                      uint64_t end_bytes);
/* From now on, it is looked for in @memory, which begins and ends with a line. */
void find_lines_memory(struct find_lines *lines, const char *memory, uint64_t offset_bytes, size_t bytes);
/* Prints the line that holds the place, unless it has been; false when it can't be read, which is told. */
bool find_lines_print(struct find_lines *lines, const struct verso_scan_match *match);
void find_lines_clear(struct find_lines *lines);

#endif
