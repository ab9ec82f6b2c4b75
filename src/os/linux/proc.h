/* SPDX-License-Identifier: MIT */
/* proc.h - files of /proc/PID: opened with the right error, read as lines of any length, asked by address. */
#ifndef VERSO_SRC_OS_LINUX_PROC_H
#define VERSO_SRC_OS_LINUX_PROC_H

#include "os/os.h"

#include <limits.h>

/*
 * Opens /proc/PID/@name for reading; @pid 0 is this process. -ESRCH when there is no such process, so that -ENOENT is
 * left for "this kernel has no such file".
 */
int verso__proc_open(pid_t pid, const char *name, int *out_fd);

/*
 * The same of a thread of the process that is not its first; -ESRCH when there is none. When the first has ended
 * (pthread_exit() in main), its own files tell of no memory, while the others go on in it.
 */
int verso__proc_open_other_thread(pid_t pid, const char *name, int *out_fd);

/* What an open /proc/PID/stat tells, as verso__os_process_info(). */
int verso__proc_read_stat(int fd, struct verso__os_process_info *out_info);

/* A text file, line by line. The buffer grows with the longest line; nothing is cut. Start as { .fd = fd }. */
struct verso__proc_lines {
    int fd;
    char *text; /* room_bytes of it; [start, end) is read and not yet given out */
    size_t room_bytes;
    size_t start;
    size_t end;
    bool ended;
};

/*
 * 1: a line, without its newline, NUL behind it, valid until the next call and writable. 0: the end. Negative: -errno.
 */
int verso__proc_lines_next(struct verso__proc_lines *lines, char **out_line, size_t *out_bytes);

/* Frees the buffer; the descriptor stays the caller's. */
void verso__proc_lines_end(struct verso__proc_lines *lines);

/* The longest name PROCMAP_QUERY gives, with its NUL. */
#define VERSO__PROCMAP_NAME_BYTES PATH_MAX

/*
 * The mapping at an address by PROCMAP_QUERY, its name, never escaped, in @name. -ENOTTY before Linux 6.11,
 * -ENAMETOOLONG for a name that only the text can hold, -ENOENT when nothing is there.
 */
int verso__procmap_query(int maps_fd, uint64_t address, struct verso__os_mapping *out_mapping,
                         char name[VERSO__PROCMAP_NAME_BYTES]);

/* verso__os_mapping_at() by reading /proc/PID/maps. */
int verso__mapping_at_by_text(pid_t pid, uint64_t address, struct verso__os_mapping *out_mapping, char *out_name,
                              size_t room_bytes);

#endif
