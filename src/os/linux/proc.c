/* SPDX-License-Identifier: MIT */
/* proc - see proc.h. */
#include "os/linux/proc.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The kernel hands out seq files a page or so at a time; more room than this saves no calls. */
#define FIRST_ROOM_BYTES ((size_t)16 * 1024)

/* Why /proc/PID/<file> is not there: no such process, or no such file (or no /proc at all). */
static int absence(const char *process)
{
    if (access(process, F_OK) == 0 || access("/proc/self", F_OK) != 0)
        return -ENOENT;
    return -ESRCH;
}

/* To an ordinary user, what is left of his own process when it has ended is somebody else's: -EACCES. */
static int refusal(pid_t pid, const char *name)
{
    struct verso__os_process_info info;

    if (strcmp(name, "stat") != 0 && verso__os_process_info(pid, &info) == 0 && info.state == 'Z')
        return -ESRCH;
    return -EACCES;
}

#define PROCESS_ROOM_BYTES 32

static void name_process(pid_t pid, char process[PROCESS_ROOM_BYTES])
{
    if (pid == 0)
        (void)snprintf(process, PROCESS_ROOM_BYTES, "/proc/self");
    else
        (void)snprintf(process, PROCESS_ROOM_BYTES, "/proc/%ld", (long)pid);
}

int verso__proc_open(pid_t pid, const char *name, int *out_fd)
{
    char process[PROCESS_ROOM_BYTES], path[96];
    int r;

    name_process(pid, process);
    r = snprintf(path, sizeof(path), "%s/%s", process, name);
    if (r < 0 || (size_t)r >= sizeof(path))
        return -ENAMETOOLONG;
    r = verso__os_open(path, VERSO__OS_OPEN_READ, 0, out_fd);
    if (r == -ENOENT)
        return absence(process);
    return r == -EACCES ? refusal(pid, name) : r;
}

int verso__proc_open_other_thread(pid_t pid, const char *name, int *out_fd)
{
    char process[PROCESS_ROOM_BYTES], path[PROCESS_ROOM_BYTES + 320];
    long first = pid == 0 ? (long)getpid() : (long)pid;
    const struct dirent *entry;
    int r = -ESRCH;
    DIR *threads;

    name_process(pid, process);
    (void)snprintf(path, sizeof(path), "%s/task", process);
    threads = opendir(path);
    while (threads && r < 0 && (entry = readdir(threads)) != NULL) {
        if (entry->d_name[0] == '.' || strtol(entry->d_name, NULL, 10) == first)
            continue;
        (void)snprintf(path, sizeof(path), "%s/task/%s/%s", process, entry->d_name, name);
        if (verso__os_open(path, VERSO__OS_OPEN_READ, 0, out_fd) == 0)
            r = 0;
    }
    if (threads)
        closedir(threads);
    return r;
}

/* Makes room behind what is not yet given out, and for one NUL: by moving it down, else by growing. */
static int make_room(struct verso__proc_lines *lines)
{
    size_t room = lines->room_bytes ? lines->room_bytes * 2 : FIRST_ROOM_BYTES;
    char *text;

    if (lines->start > 0) {
        memmove(lines->text, lines->text + lines->start, lines->end - lines->start);
        lines->end -= lines->start;
        lines->start = 0;
        return 0;
    }
    if (lines->end + 1 < lines->room_bytes)
        return 0;
    text = realloc(lines->text, room);
    if (!text)
        return -ENOMEM;
    lines->text = text;
    lines->room_bytes = room;
    return 0;
}

static int read_more(struct verso__proc_lines *lines)
{
    size_t done;
    int r = make_room(lines);

    if (r < 0)
        return r;
    r = verso__os_read(lines->fd, lines->text + lines->end, lines->room_bytes - lines->end - 1, &done);
    if (r < 0)
        return r;
    lines->end += done;
    lines->ended = done == 0;
    return 0;
}

int verso__proc_lines_next(struct verso__proc_lines *lines, char **out_line, size_t *out_bytes)
{
    size_t searched = 0;

    for (;;) {
        size_t held = lines->end - lines->start;
        char *line = lines->text + lines->start;
        char *newline = held > searched ? memchr(line + searched, '\n', held - searched) : NULL;
        int r;

        if (newline || (lines->ended && held > 0)) {
            *out_line = line;
            *out_bytes = newline ? (size_t)(newline - line) : held;
            lines->start += *out_bytes + (newline != NULL);
            line[*out_bytes] = '\0';
            return 1;
        }
        if (lines->ended)
            return 0;
        searched = held;
        r = read_more(lines);
        if (r < 0)
            return r;
    }
}

void verso__proc_lines_end(struct verso__proc_lines *lines)
{
    free(lines->text);
    *lines = (struct verso__proc_lines){ .fd = lines->fd };
}
