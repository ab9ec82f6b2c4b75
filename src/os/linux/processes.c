/* SPDX-License-Identifier: MIT */
/*
 * processes - which there are, and their address spaces.
 *
 * The kernel writes maps and smaps a page of text at a time, and the process goes on meanwhile; it promises that the
 * addresses only rise, so a list may be a little newer at its end than at its start, never contradictory. When the
 * process ends in between, the text just stops: only a second look at its beginning tells a whole list from a cut one.
 */
#include "os/linux/parse.h"
#include "os/linux/proc.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Lists of mappings ---- */

/* Whether the list just read to its end was whole: the memory it tells of must still be there. */
static int check_whole(int fd)
{
    size_t done;
    char first;
    int r = verso__os_read_at(fd, 0, &first, 1, &done);

    if (r < 0)
        return r;
    return done == 0 ? -ESRCH : 0;
}

/*
 * Text writes a newline in a name as "\012", and a name with these four characters as they are: alike. Only the kernel
 * can tell which it is. Where it can't be asked, or the mapping has changed, the newline it stays.
 */
static bool ask_for_name(pid_t pid, const struct verso__os_mapping *mapping, char name[VERSO__PROCMAP_NAME_BYTES])
{
    struct verso__os_mapping now;
    int fd, r = verso__proc_open(pid, "maps", &fd);

    if (r < 0)
        return false;
    r = verso__procmap_query(fd, mapping->start, &now, name);
    verso__os_close(fd);
    return r == 0 && now.start == mapping->start && now.inode == mapping->inode &&
           now.device_major == mapping->device_major && now.device_minor == mapping->device_minor;
}

/* One entry of maps or smaps while its lines come in. */
struct record {
    struct verso__os_mapping mapping;
    struct verso__os_mapping_memory memory;
    bool is_open;
    char *name; /* its own: a line is gone when the next one comes */
    size_t name_room_bytes;
};

static int record_name(struct record *record, pid_t pid, char *written, size_t bytes)
{
    char exact[VERSO__PROCMAP_NAME_BYTES];
    const char *name = written;
    size_t room_bytes = bytes + 1;

    if (!record->name || room_bytes > record->name_room_bytes) {
        free(record->name);
        record->name = malloc(room_bytes);
        record->name_room_bytes = room_bytes;
        if (!record->name)
            return -ENOMEM;
    }
    if (verso__parse_name_is_ambiguous(written, bytes)) {
        if (ask_for_name(pid, &record->mapping, exact) && strlen(exact) <= bytes)
            name = exact;
        else
            written[verso__parse_name_unescape(written, bytes)] = '\0';
    }
    memcpy(record->name, name, strlen(name) + 1);
    record->mapping.name = record->name;
    return 0;
}

typedef int each_memory(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory,
                        void *arg);

static int record_finish(struct record *record, each_memory *each, void *arg)
{
    const struct verso__os_mapping mapping = record->mapping;

    if (!record->is_open)
        return 0;
    record->is_open = false;
    return each(&mapping, &record->memory, arg);
}

static int take_line(struct record *record, pid_t pid, char *line, size_t bytes, each_memory *each, void *arg)
{
    struct verso__os_mapping mapping;
    size_t name_start;
    int r;

    if (!verso__parse_mapping(line, bytes, &mapping, &name_start))
        return record->is_open && verso__parse_memory_field(line, bytes, &record->memory) ? 0 : -EPROTO;
    r = record_finish(record, each, arg);
    if (r != 0)
        return r;
    record->mapping = mapping;
    record->memory = (struct verso__os_mapping_memory){ 0 };
    record->is_open = true;
    return record_name(record, pid, line + name_start, bytes - name_start);
}

/* Closes @fd. */
static int each_record_of(int fd, pid_t pid, each_memory *each, void *arg, bool *out_any)
{
    struct verso__proc_lines lines = { .fd = fd };
    struct record record = { 0 };
    size_t bytes;
    char *line;
    int r;

    while ((r = verso__proc_lines_next(&lines, &line, &bytes)) > 0) {
        *out_any = true;
        r = take_line(&record, pid, line, bytes, each, arg);
        if (r != 0)
            break;
    }
    if (r == 0 && *out_any)
        r = check_whole(lines.fd);
    if (r == 0)
        r = record_finish(&record, each, arg);
    free(record.name);
    verso__proc_lines_end(&lines);
    verso__os_close(lines.fd);
    return r;
}

static int each_record(pid_t pid, const char *file, each_memory *each, void *arg)
{
    bool any = false;
    int fd, r = verso__proc_open(pid, file, &fd);

    if (r == 0)
        r = each_record_of(fd, pid, each, arg, &any);
    if ((r == 0 || r == -ESRCH) && !any && verso__proc_open_other_thread(pid, file, &fd) == 0)
        r = each_record_of(fd, pid, each, arg, &any);
    return r;
}

int verso__os_mappings_memory(pid_t pid, each_memory *each, void *arg)
{
    return each_record(pid, "smaps", each, arg);
}

struct without_memory {
    int (*each)(const struct verso__os_mapping *mapping, void *arg);
    void *arg;
};

static int drop_memory(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory,
                       void *arg)
{
    const struct without_memory *to = arg;

    (void)memory;
    return to->each(mapping, to->arg);
}

int verso__os_mappings(pid_t pid, int (*each)(const struct verso__os_mapping *mapping, void *arg), void *arg)
{
    struct without_memory to = { each, arg };

    return each_record(pid, "maps", drop_memory, &to);
}

/* ---- Processes ---- */

pid_t verso__os_process_id(void)
{
    return getpid();
}

uint32_t verso__os_user(void)
{
    return geteuid();
}

pid_t verso__os_thread_id(void)
{
    return gettid();
}

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

int verso__proc_read_stat(int fd, struct verso__os_process_info *out_info)
{
    char text[1024]; /* more than the first 24 fields can take: 64 bytes of command, numbers of at most 20 digits */
    size_t done = 0;
    int r = verso__os_read_at(fd, 0, text, sizeof(text), &done);

    if (r < 0)
        return r;
    return verso__parse_stat(text, done, out_info) ? 0 : -EPROTO;
}

int verso__os_process_info(pid_t pid, struct verso__os_process_info *out_info)
{
    int fd, r = verso__proc_open(pid, "stat", &fd);

    if (r < 0)
        return r;
    r = verso__proc_read_stat(fd, out_info);
    verso__os_close(fd);
    return r;
}
