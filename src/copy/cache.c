/* SPDX-License-Identifier: MIT */
/*
 * cache - what a copy leaves in the page cache.
 *
 *      target     written back and dropped | being written back | passed | ...        in steps of a few MiB
 *      source     dropped                                        | passed | ...
 *
 * NEUTRAL drops what was not there before. What was, is looked at before the first byte is read: later, readahead has
 * been in places where we have not. One bit a page, so 32 MiB for a file of 1 TiB. A file whose pages the kernel does
 * not tell us of keeps them all.
 *
 * Steps begin at multiples of what no folio is larger than: a folio leaves only when all of it is named at once.
 */
#include "copy/copy.h"

#include "base/sums.h"

#include <errno.h>
#include <stdlib.h>

#define STEP_BYTES VERSO__COPY_CACHE_STEP_BYTES
#define LOOK_BYTES ((uint64_t)64 << 20)

/* ---- What was there before ---- */

static bool was_there(const struct verso__copy_resident *resident, uint64_t page)
{
    return resident->keeps_all || (page < resident->pages && resident->bits[page / 8] >> (page % 8) & 1);
}

static int look_at(int fd, uint64_t offset, size_t bytes, unsigned char *states)
{
    void *look;
    int r = verso__os_map(NULL, bytes, VERSO__OS_ACCESS_NONE, VERSO__OS_MAP_SHARED, fd, offset, &look);

    if (r < 0)
        return r;
    r = verso__os_resident(look, bytes, states);
    (void)verso__os_unmap(look, bytes);
    return r;
}

static int look_at_all(struct verso__copy_resident *resident, int fd, unsigned char *states)
{
    uint64_t page = verso__os_page_bytes();
    int r = 0;

    for (uint64_t at = 0; r == 0 && at < resident->pages * page; at += LOOK_BYTES) {
        size_t bytes = (size_t)verso__min_u64(resident->pages * page - at, LOOK_BYTES);

        r = look_at(fd, at, bytes, states);
        for (uint64_t i = 0; r == 0 && i < bytes / page; i++)
            if (states[i] & 1)
                resident->bits[(at / page + i) / 8] |= (unsigned char)(1U << (at / page + i) % 8);
    }
    return r;
}

/* -ENOMEM; else what can't be known is taken for cached. */
static int look_before(struct verso__copy_resident *resident, int fd, uint64_t bytes)
{
    uint64_t page = verso__os_page_bytes();
    struct verso__os_cache_counts counts;
    unsigned char *states;
    int r = 0;

    resident->keeps_all = true; /* until it is known better */
    resident->pages = bytes / page + (bytes % page != 0);
    resident->bits = calloc(1, (size_t)(resident->pages / 8 + 1));
    states = malloc((size_t)(LOOK_BYTES / page));
    if (!resident->bits || !states) {
        free(states);
        return -ENOMEM;
    }
    if (verso__os_cache_counts(fd, 0, 0, &counts) < 0 || counts.cached_pages > 0)
        r = verso__os_residency_is_honest(fd) ? look_at_all(resident, fd, states) : -EPERM;
    resident->keeps_all = r < 0;
    free(states);
    return 0;
}

int verso__copy_cache_open(struct verso__copy *copy)
{
    int r = 0;

    if (copy->options.cache != VERSO_COPY_CACHE_NEUTRAL)
        return 0;
    if (!copy->source.is_stream)
        r = look_before(&copy->cache.source, copy->source.fd, copy->source.info.bytes);
    if (r == 0 && copy->target.has_offsets)
        r = look_before(&copy->cache.target, copy->target.fd, copy->target.old_bytes);
    return r < 0 ? verso__copy_fail_source(copy, r, "malloc", VERSO_OFFSET_NONE) : 0;
}

void verso__copy_cache_close(struct verso__copy *copy)
{
    free(copy->cache.source.bits);
    free(copy->cache.target.bits);
}

/* ---- Dropping ---- */

/* Advice: what the kernel keeps, it has a reason for. */
static void drop(const struct verso__copy_resident *resident, int fd, uint64_t offset, uint64_t end)
{
    uint64_t page = verso__os_page_bytes(), at = offset / page, stop = end / page + (end % page != 0);

    while (at < stop) {
        uint64_t begin = at;

        while (at < stop && !was_there(resident, at))
            at++;
        if (at > begin)
            (void)verso__os_cache_drop(fd, begin * page, (at - begin) * page);
        while (at < stop && was_there(resident, at))
            at++;
    }
}

/* Dirty pages can't go: they are written first. */
static int step(struct verso__copy *copy, uint64_t begin, uint64_t end)
{
    int r = 0;

    if (!copy->source.is_stream)
        drop(&copy->cache.source, copy->source.fd, begin, end);
    if (!copy->target.has_offsets)
        return 0;
    (void)verso__os_sync_start(copy->target.fd, begin, end - begin); /* what fails is told when it is waited for */
    if (begin >= STEP_BYTES) {
        r = verso__copy_write_back(copy, begin - STEP_BYTES, begin);
        drop(&copy->cache.target, copy->target.fd, begin - STEP_BYTES, begin);
    }
    return r;
}

int verso__copy_cache_passed(struct verso__copy *copy, uint64_t at)
{
    int r = 0;

    while (r == 0 && copy->options.cache != VERSO_COPY_CACHE_KEEP && at - copy->cache.passed >= STEP_BYTES) {
        r = step(copy, copy->cache.passed, copy->cache.passed + STEP_BYTES);
        copy->cache.passed += STEP_BYTES;
    }
    return r;
}

/* All once more: what was read ahead, read back, or kept for a moment. */
void verso__copy_cache_finish(struct verso__copy *copy, bool is_whole)
{
    if (copy->options.cache == VERSO_COPY_CACHE_KEEP)
        return;
    if (copy->source.fd >= 0 && !copy->source.is_stream)
        drop(&copy->cache.source, copy->source.fd, 0, copy->source.info.bytes);
    if (is_whole && copy->target.has_offsets)
        drop(&copy->cache.target, copy->target.fd, 0, copy->end);
}
