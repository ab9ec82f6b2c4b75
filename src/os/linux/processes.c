/* SPDX-License-Identifier: MIT */
/*
 * processes - which there are, and their address spaces.
 *
 * The kernel writes maps and smaps a page of text at a time, and the process goes on meanwhile; it promises that the
 * addresses only rise, so a list may be a little newer at its end than at its start, never contradictory. When the
 * process ends in between, the text just stops: only a second look at its beginning tells a whole list from a cut one.
 */
#include "os/linux/kernel.h"
#include "os/linux/parse.h"
#include "os/linux/proc.h"
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* ---- Lists of mappings ---- */

/* Whether the list just read to its end was whole: the memory it tells of must still be there. */
static int check_whole(int fd, bool any)
{
    size_t done;
    char first;
    int r;

    if (!any)
        return 0;
    r = verso__os_read_at(fd, 0, &first, 1, &done);
    if (r < 0)
        return r;
    return done == 0 ? -ESRCH : 0;
}

/* The name at a line's end, as the file is really called. */
static const char *name_of(char *line, size_t bytes, size_t name_start)
{
    char *name = line + name_start;

    name[verso__parse_name_unescape(name, bytes - name_start)] = '\0';
    return name;
}

int verso__os_mappings(pid_t pid, int (*each)(const struct verso__os_mapping *mapping, void *arg), void *arg)
{
    struct verso__proc_lines lines = { 0 };
    bool any = false;
    size_t bytes, name_start;
    char *line;
    int r = verso__proc_open(pid, "maps", &lines.fd);

    if (r < 0)
        return r;
    while ((r = verso__proc_lines_next(&lines, &line, &bytes)) > 0) {
        struct verso__os_mapping mapping;

        if (!verso__parse_mapping(line, bytes, &mapping, &name_start)) {
            r = -EPROTO;
            break;
        }
        any = true;
        mapping.name = name_of(line, bytes, name_start);
        r = each(&mapping, arg);
        if (r != 0)
            break;
    }
    if (r == 0)
        r = check_whole(lines.fd, any);
    verso__proc_lines_end(&lines);
    verso__os_close(lines.fd);
    return r;
}

/* ---- Processes ---- */

int verso__os_processes(int (*each)(pid_t pid, void *arg), void *arg)
{
    const struct dirent *entry;
    DIR *list = opendir("/proc");
    int r = 0;

    if (!list)
        return -errno;
    while (r == 0) {
        char *end;
        long pid;

        errno = 0;
        entry = readdir(list);
        if (!entry) {
            r = -errno;
            break;
        }
        pid = strtol(entry->d_name, &end, 10);
        if (pid > 0 && pid <= INT_MAX && *end == '\0')
            r = each((pid_t)pid, arg);
    }
    closedir(list);
    return r;
}

/* The whole of stat: one line, but its command may hold a newline. */
static int read_stat(pid_t pid, struct verso__os_process_info *out_info)
{
    char text[1024]; /* more than the first 24 fields can take: 64 bytes of command, numbers of at most 20 digits */
    size_t done = 0;
    int fd, r = verso__proc_open(pid, "stat", &fd);

    if (r < 0)
        return r;
    r = verso__os_read_at(fd, 0, text, sizeof(text), &done);
    verso__os_close(fd);
    if (r < 0)
        return r;
    return verso__parse_stat(text, done, out_info) ? 0 : -EPROTO;
}

static int read_user(pid_t pid, uint32_t *out_user)
{
    struct verso__proc_lines lines = { 0 };
    size_t bytes;
    char *line;
    int r = verso__proc_open(pid, "status", &lines.fd);

    if (r < 0)
        return r;
    while ((r = verso__proc_lines_next(&lines, &line, &bytes)) > 0)
        if (verso__parse_effective_user(line, bytes, out_user))
            break;
    verso__proc_lines_end(&lines);
    verso__os_close(lines.fd);
    if (r == 0)
        return -EPROTO;
    return r < 0 ? r : 0;
}

int verso__os_process_info(pid_t pid, struct verso__os_process_info *out_info)
{
    struct verso__os_process_info info;
    int r = read_stat(pid, &info);

    if (r == 0)
        r = read_user(pid, &info.user_id);
    if (r == 0)
        *out_info = info;
    return r;
}
