/* SPDX-License-Identifier: MIT */
/*
 * cache_stay - why clean pages of a file did not go.
 *
 * The kernel does not say, so one looks for what is known to hold pages: mappings in processes, locks on these, a file
 * system without a disk. What is left over is held for moments: being read, part of a folio that reaches out of the
 * range, waiting in a processor's list.
 */
#include "cache.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <verso/inspect.h>

#define PROCESSES_SHOWN 3

struct holders {
    bool in_memory; /* the file system has no other place */
    bool locked;
    struct verso_inspect_mapper *mappers; /* one for each process */
    size_t count;
    size_t hidden_count;
};

static bool is_in_memory(int fd)
{
    struct statfs status;

    return fstatfs(fd, &status) == 0 && (status.f_type == TMPFS_MAGIC || (unsigned long)status.f_type == RAMFS_MAGIC);
}

/* Mappers come by process; keeps the first of each. */
static void keep_one_each(struct holders *holders)
{
    size_t kept = 0;

    for (size_t i = 0; i < holders->count; i++)
        if (kept == 0 || holders->mappers[kept - 1].pid != holders->mappers[i].pid)
            holders->mappers[kept++] = holders->mappers[i];
    holders->count = kept;
}

/* Whether this mapping, and not another of its process, has locked pages. */
static bool is_locked(const struct verso_inspect_mapper *mapper)
{
    struct verso_inspect_space *space;
    bool found = false;

    if (verso_inspect_space(mapper->pid, VERSO_INSPECT_SPACE_MEMORY, &space) < 0)
        return false;
    for (size_t i = 0; i < space->count && !found; i++)
        found = space->mappings[i].start == mapper->start && space->mappings[i].memory_error == 0 &&
                space->mappings[i].memory.locked_bytes > 0;
    verso_inspect_space_free(space);
    return found;
}

static struct holders look_for_holders(const char *path)
{
    struct holders holders = { 0 };
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);

    if (fd < 0)
        return holders; /* gone meanwhile */
    holders.in_memory = is_in_memory(fd);
    if (verso_inspect_mappers(fd, &holders.mappers, &holders.count, &holders.hidden_count) < 0)
        holders.mappers = NULL;
    close(fd);
    if (!holders.mappers)
        holders.count = 0;
    keep_one_each(&holders);
    for (size_t i = 0; i < holders.count && i < PROCESSES_SHOWN && !holders.locked; i++)
        holders.locked = is_locked(&holders.mappers[i]);
    return holders;
}

char *cache_stay_shown(const struct cache_row *row)
{
    struct holders holders = look_for_holders(row->path);
    char *text = NULL;
    size_t bytes;
    FILE *stream = open_memstream(&text, &bytes);

    if (!stream)
        exit(trouble("out of memory"));
    if (holders.in_memory)
        fputs("its file system keeps files in memory alone", stream);
    else if (holders.count == 0)
        fputs("held for a moment by the kernel, or part of a larger folio; try again", stream);
    else
        fputs(holders.locked ? "locked by " : "mapped by ", stream);
    for (size_t i = 0; i < holders.count && i < PROCESSES_SHOWN && !holders.in_memory; i++) {
        char *command = name_shown(holders.mappers[i].command);

        fprintf(stream, "%s%s (%ld)", i ? ", " : "", command, (long)holders.mappers[i].pid);
        free(command);
    }
    if (holders.count > PROCESSES_SHOWN && !holders.in_memory)
        fprintf(stream, " and %zu more", holders.count - PROCESSES_SHOWN);
    if (holders.hidden_count && !holders.in_memory)
        fprintf(stream, "; not all processes could be looked into");
    if (fclose(stream) != 0)
        exit(trouble("out of memory"));
    free(holders.mappers);
    return text;
}

json_t *cache_stay_json(const struct cache_row *row)
{
    struct holders holders = look_for_holders(row->path);
    json_t *processes = json_array(), *answer = json_object();

    for (size_t i = 0; i < holders.count; i++) {
        json_t *process = json_object();

        json_object_set_new(process, "pid", json_integer(holders.mappers[i].pid));
        json_set_name(process, "command", holders.mappers[i].command);
        json_array_append_new(processes, process);
    }
    json_object_set_new(answer, "in_memory_file_system", json_boolean(holders.in_memory));
    json_object_set_new(answer, "locked", json_boolean(holders.locked));
    json_object_set_new(answer, "mapped_by", processes);
    json_object_set_new(answer, "processes_hidden", json_integer((json_int_t)holders.hidden_count));
    free(holders.mappers);
    return answer;
}
