/* SPDX-License-Identifier: MIT */
/*
 * space - an address space as a list.
 *
 * Names and flags go into one pool that moves while it grows, so mappings hold places in it until the list is whole;
 * then places become pointers. One block for the mappings, one for the pool, whatever their number.
 */
#include "base/sums.h"
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct space {
    struct verso_inspect_space shown; /* first: what the caller holds is the whole */
    char *pool;                       /* texts, each with its NUL */
};

/* Where a mapping's texts lie in the pool while it still moves. */
struct texts {
    size_t name;
    size_t flags;
};

struct building {
    struct verso_inspect_mapping *mappings;
    struct texts *texts; /* one for each mapping */
    char *pool;
    size_t count;
    size_t mappings_room;
    size_t texts_room;
    size_t pool_bytes;
    size_t pool_room;
    struct verso_inspect_memory total;
};

static int keep(struct building *building, const char *text, size_t *out_place)
{
    size_t bytes = strlen(text) + 1;

    if (building->pool_room - building->pool_bytes < bytes) {
        size_t room = building->pool_room * 2 + bytes + 4096;
        char *larger = realloc(building->pool, room);

        if (!larger)
            return -ENOMEM;
        building->pool = larger;
        building->pool_room = room;
    }
    memcpy(building->pool + building->pool_bytes, text, bytes);
    *out_place = building->pool_bytes;
    building->pool_bytes += bytes;
    return 0;
}

static int make_room(struct building *building)
{
    struct verso_inspect_mapping *mappings =
        verso__inspect_grow(building->mappings, &building->mappings_room, building->count, sizeof(*mappings));
    struct texts *texts;

    if (!mappings)
        return -ENOMEM;
    building->mappings = mappings;
    texts = verso__inspect_grow(building->texts, &building->texts_room, building->count, sizeof(*texts));
    if (!texts)
        return -ENOMEM;
    building->texts = texts;
    return 0;
}

static int append(struct building *building, const struct verso__os_mapping *mapping, const char *flags)
{
    struct texts *texts;
    int r = make_room(building);

    if (r < 0)
        return r;
    texts = &building->texts[building->count];
    r = keep(building, mapping->name, &texts->name);
    if (r == 0)
        r = keep(building, flags, &texts->flags);
    if (r < 0)
        return r;
    verso__inspect_mapping_of(mapping, &building->mappings[building->count]);
    building->count++;
    return 0;
}

static struct verso_inspect_memory memory_of(const struct verso__os_mapping_memory *memory)
{
    return (struct verso_inspect_memory){
        .resident_bytes = memory->resident,
        .proportional_bytes = memory->proportional,
        .shared_clean_bytes = memory->shared_clean,
        .shared_dirty_bytes = memory->shared_dirty,
        .private_clean_bytes = memory->private_clean,
        .private_dirty_bytes = memory->private_dirty,
        .referenced_bytes = memory->referenced,
        .anonymous_bytes = memory->anonymous,
        .swapped_bytes = memory->swapped,
        .locked_bytes = memory->locked,
        .huge_bytes = memory->anonymous_huge + memory->file_huge + memory->hugetlb,
        .page_bytes = memory->page_bytes,
    };
}

/* No sum can overflow: each is at most the address space, once. */
static void add_up(struct verso_inspect_memory *total, const struct verso_inspect_memory *memory)
{
    total->resident_bytes += memory->resident_bytes;
    total->proportional_bytes += memory->proportional_bytes;
    total->shared_clean_bytes += memory->shared_clean_bytes;
    total->shared_dirty_bytes += memory->shared_dirty_bytes;
    total->private_clean_bytes += memory->private_clean_bytes;
    total->private_dirty_bytes += memory->private_dirty_bytes;
    total->referenced_bytes += memory->referenced_bytes;
    total->anonymous_bytes += memory->anonymous_bytes;
    total->swapped_bytes += memory->swapped_bytes;
    total->locked_bytes += memory->locked_bytes;
    total->huge_bytes += memory->huge_bytes;
    if (total->page_bytes == 0 || memory->page_bytes < total->page_bytes)
        total->page_bytes = memory->page_bytes;
}

static int append_with(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory,
                       void *arg)
{
    struct building *building = arg;
    struct verso_inspect_mapping *appended;
    int r = append(building, mapping, memory->flags);

    if (r < 0)
        return r;
    appended = &building->mappings[building->count - 1];
    appended->memory = memory_of(memory);
    appended->memory_error = 0;
    add_up(&building->total, &appended->memory);
    return 0;
}

static int append_without(const struct verso__os_mapping *mapping, void *arg)
{
    return append(arg, mapping, "");
}

static void building_end(struct building *building)
{
    free(building->mappings);
    free(building->texts);
    free(building->pool);
    *building = (struct building){ 0 };
}

/* Turns places into pointers, now that the pool stands still. */
static void settle(struct building *building, int memory_error)
{
    for (size_t i = 0; i < building->count; i++) {
        building->mappings[i].name = building->pool + building->texts[i].name;
        building->mappings[i].flags = building->pool + building->texts[i].flags;
        if (building->mappings[i].memory_error != 0)
            building->mappings[i].memory_error = memory_error;
    }
    free(building->texts);
    building->texts = NULL;
}

/* The list with memory, or, when only that is refused, without. */
static int build(pid_t pid, unsigned flags, struct building *building, const char **out_source, int *out_memory_error)
{
    int r, memory_error = -ENODATA; /* not asked for */

    if (flags & VERSO_INSPECT_SPACE_MEMORY) {
        r = verso__os_mappings_memory(pid, append_with, building);
        if (r != -EACCES && r != -EPERM && r != -ENOENT) {
            *out_source = "/proc/PID/smaps";
            *out_memory_error = 0;
            return r;
        }
        memory_error = r;
        building_end(building);
    }
    *out_source = "/proc/PID/maps";
    *out_memory_error = memory_error;
    return verso__os_mappings(pid, append_without, building);
}

/* A program that is exchanged by another (execve) while it is read ends the old list early: that one read is no answer,
 * but the process is still there. */
#define TRIES 4

static int build_whole(pid_t pid, unsigned flags, struct building *building, struct verso_inspect_space *shown)
{
    struct verso__os_process_info info;
    int memory_error = 0, r = -ESRCH;

    for (int i = 0; i < TRIES && r == -ESRCH; i++) {
        building_end(building);
        r = build(pid, flags, building, &shown->source, &memory_error);
        if (r < 0 && r != -ESRCH)
            return r;
        if (verso__os_process_info(pid, &info) < 0)
            return -ESRCH;
        if (r == 0 && building->count == 0 && !info.is_kernel_thread)
            r = -ESRCH; /* exchanged before the first line; or over, and only its parent has not looked yet */
    }
    if (r < 0)
        return r;
    settle(building, memory_error);
    shown->pid = pid;
    memcpy(shown->command, info.command, sizeof(shown->command));
    return 0;
}

int verso_inspect_space(pid_t pid, unsigned flags, struct verso_inspect_space **out_space)
{
    struct building building = { 0 };
    struct space *space;
    int r;

    if (flags & ~(unsigned)VERSO_INSPECT_SPACE_MEMORY)
        return verso__inspect_fail_pid(VERSO_E_OPTIONS, "read mappings", pid);
    space = calloc(1, sizeof(*space));
    r = space ? build_whole(pid, flags, &building, &space->shown) : -ENOMEM;
    if (r < 0) {
        building_end(&building);
        free(space);
        return verso__inspect_fail_pid(r, "read mappings", pid);
    }
    space->shown.mappings = building.mappings;
    space->shown.count = building.count;
    space->shown.total = building.total;
    space->pool = building.pool;
    *out_space = &space->shown;
    return 0;
}

void verso_inspect_space_free(struct verso_inspect_space *shown)
{
    struct space *space = (struct space *)shown;

    if (!space)
        return;
    free(space->shown.mappings);
    free(space->pool);
    free(space);
}
