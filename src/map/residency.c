/* SPDX-License-Identifier: MIT */
/*
 * residency - how many pages of a range are where.
 *
 *      cachestat     asks the file: cached, dirty, in write-back, evicted; no page table is walked
 *      mincore       asks the memory: cached or not, and for files one may neither write nor own it says "all"
 *      smaps         asks the process: what was used since the kernel last looked; walks every page table of it
 *
 * So the first is asked first, the second only where it is known to be true, the third only when it was asked for.
 * What nobody tells is UNKNOWN, with the reason.
 */
#include "map/map.h"

#include <errno.h>
#include <string.h>

#define PAGES_AT_ONCE 4096

struct asking {
    struct verso_map *map;
    unsigned char *address;
    size_t bytes;
    struct verso_map_residency answer;
};

bool verso__map_mincore_is_true(const struct verso_map *map)
{
    bool owned, is_true;
    int fd;

    if (map->kind != VERSO_MAP_KIND_FILE || map->stability >= VERSO_MAP_SNAPSHOT)
        return true; /* our own file, or memory */
    if (map->lease_fd >= 0)
        return verso__os_residency_is_honest(map->lease_fd) == 1;
    if (verso__map_descriptor(map, VERSO__OS_OPEN_READ, &fd, &owned) < 0)
        return false;
    is_true = verso__os_residency_is_honest(fd) == 1;
    if (owned)
        verso__os_close(fd);
    return is_true;
}

/* What cachestat's refusal leaves unknown, and why. */
static const char *why_no_counts(const struct verso_map *map, int error)
{
    if (map->kind == VERSO_MAP_KIND_BUFFER)
        return "memory that was read in has no file to be dirty against";
    switch (error) {
    case VERSO_E_NO_DESCRIPTOR:
        return "the map kept no descriptor to ask about dirty pages: open it with VERSO_MAP_KEEP_FD";
    case -ENOSYS:
        return "this kernel has no cachestat (Linux 6.5), which tells dirty pages";
    case -EPERM:
        return "the kernel tells dirty pages of a file only to who may write or owns it";
    default:
        return "this file system does not tell dirty pages";
    }
}

static int ask_file(struct asking *asking)
{
    struct verso_map *map = asking->map;
    uint64_t offset = verso__map_base_offset(map) + (uint64_t)(asking->address - map->base);
    struct verso__os_cache_counts counts;
    bool owned = false;
    int fd, r;

    if (map->kind == VERSO_MAP_KIND_BUFFER)
        return VERSO_E_NOT_MAPPED;
    r = verso__map_descriptor(map, VERSO__OS_OPEN_READ, &fd, &owned);
    if (r < 0)
        return r;
    r = verso__os_cache_counts(fd, offset, asking->bytes, &counts);
    if (owned)
        verso__os_close(fd);
    if (r < 0)
        return r;
    asking->answer.cached = counts.cached_pages;
    asking->answer.dirty = counts.dirty_pages;
    asking->answer.writeback = counts.writeback_pages;
    asking->answer.evicted = counts.evicted_pages;
    asking->answer.source = "cachestat";
    return 0;
}

static int ask_memory(struct asking *asking)
{
    unsigned char pages[PAGES_AT_ONCE];
    size_t page = verso__os_page_bytes();
    uint64_t cached = 0;

    for (size_t at = 0; at < asking->bytes; at += PAGES_AT_ONCE * page) {
        size_t bytes = asking->bytes - at < PAGES_AT_ONCE * page ? asking->bytes - at : PAGES_AT_ONCE * page;
        int r = verso__os_resident(asking->address + at, bytes, pages);

        if (r < 0)
            return r;
        for (size_t i = 0; i < bytes / page; i++)
            cached += pages[i] & 1;
    }
    asking->answer.cached = cached;
    asking->answer.source = "mincore";
    return 0;
}

/* smaps counts by whole mappings, so a range is told only when it is made of such. */
struct referenced {
    uint64_t start, end;
    uint64_t bytes;
    bool is_cut;
};

static int add_referenced(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory,
                          void *arg)
{
    struct referenced *referenced = arg;

    if (mapping->end <= referenced->start)
        return 0;
    if (mapping->start >= referenced->end)
        return 1; /* all seen */
    if (mapping->start < referenced->start || mapping->end > referenced->end)
        referenced->is_cut = true;
    referenced->bytes += memory->referenced;
    return 0;
}

static const char *ask_process(struct asking *asking)
{
    struct referenced referenced = { .start = (uintptr_t)asking->address };
    int r;

    referenced.end = referenced.start + asking->bytes;
    r = verso__os_mappings_memory(0, add_referenced, &referenced);
    if (r < 0)
        return "/proc/self/smaps can't be read, which tells referenced pages";
    if (referenced.is_cut)
        return "the kernel tells referenced pages of whole maps only: ask for the whole range";
    asking->answer.referenced = referenced.bytes / verso__os_page_bytes();
    return NULL;
}

static int ask(struct asking *asking)
{
    const char *why;
    int r;

    r = ask_file(asking);
    if (r < 0) {
        asking->answer.missing_why = why_no_counts(asking->map, r);
        if (verso__map_mincore_is_true(asking->map)) {
            r = ask_memory(asking);
            if (r < 0)
                return r;
        } else if (r != -EPERM) {
            asking->answer.missing_why = "mincore says \"all\" of a file that one may neither write nor own, and "
                                         "nothing else could be asked";
        }
    }
    if (asking->answer.flags & VERSO_MAP_RESIDENCY_REFERENCED) {
        why = ask_process(asking);
        if (why && !*asking->answer.missing_why)
            asking->answer.missing_why = why;
    }
    return 0;
}

int verso_map_residency(struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes,
                        struct verso_map_residency *out_residency)
{
    struct asking asking = { .map = map };
    void *address;
    int r;

    r = verso__map_check_here(map);
    if (r < 0)
        return r;
    if (out_residency->struct_bytes < sizeof(*out_residency))
        return verso__fail(VERSO_E_OPTIONS, "residency", verso__map_path(map));
    if (out_residency->flags & ~(unsigned)VERSO_MAP_RESIDENCY_REFERENCED)
        return verso__fail_hint(VERSO_E_OPTIONS, "residency", verso__map_path(map),
                                "a flag is unknown to this version");
    r = verso__map_pages_of(map, offset_bytes, length_bytes, false, &address, &asking.bytes);
    if (r < 0)
        return verso__map_fail_range(map, r, offset_bytes);
    asking.address = address;
    asking.answer = (struct verso_map_residency){
        .struct_bytes = out_residency->struct_bytes,
        .flags = out_residency->flags,
        .pages = asking.bytes / verso__os_page_bytes(),
        .cached = VERSO_MAP_UNKNOWN,
        .dirty = VERSO_MAP_UNKNOWN,
        .writeback = VERSO_MAP_UNKNOWN,
        .evicted = VERSO_MAP_UNKNOWN,
        .referenced = VERSO_MAP_UNKNOWN,
        .source = "",
        .missing_why = "",
    };
    if (asking.bytes == 0)
        asking.answer.cached = asking.answer.dirty = asking.answer.writeback = asking.answer.evicted =
            asking.answer.referenced = 0;
    else
        r = ask(&asking);
    if (r < 0)
        return verso__fail(r, "mincore", verso__map_path(map));
    memcpy(out_residency, &asking.answer, sizeof(asking.answer));
    return 0;
}
