/* SPDX-License-Identifier: MIT */
/* proc.h - files of /proc/PID: opened with the right error, read as lines of any length. */
#ifndef VERSO_SRC_OS_LINUX_PROC_H
#define VERSO_SRC_OS_LINUX_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/*
 * Opens /proc/PID/@name for reading; @pid 0 is this process. -ESRCH when there is no such process, so that -ENOENT is
 * left for "this kernel has no such file".
 */
int verso__proc_open(pid_t pid, const char *name, int *out_fd);

/* A text file, line by line. The buffer grows with the longest line; nothing is cut. Start as { .fd = fd }. */
struct verso__proc_lines {
    int fd;
    char *text; /* room_bytes of it; [start, end) is read and not yet given out */
    size_t room_bytes;
    size_t start;
    size_t end;
    bool ended;
};

/* 1: a line, without its newline, NUL behind it, valid until the next call and writable. 0: the end. Negative: -errno.
 */
int verso__proc_lines_next(struct verso__proc_lines *lines, char **out_line, size_t *out_bytes);

/* Frees the buffer; the descriptor stays the caller's. */
void verso__proc_lines_end(struct verso__proc_lines *lines);

#endif
