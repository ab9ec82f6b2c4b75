/* SPDX-License-Identifier: MIT */
/*
 * cache - how much of a file is in memory.
 *
 * Two sources: cachestat counts everything without a map; mincore counts cached pages alone. Both keep the truth from
 * who could not write the file: cachestat by -EPERM, mincore by answering "all". A sandbox may refuse cachestat with
 * -EPERM as well, so that answer alone does not mean that mincore would lie.
 */
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>

#define CACHESTAT "cachestat"
#define MINCORE "mincore"

static void fill_known(const struct verso__os_cache_counts *counts, const char *source,
                       struct verso_inspect_cache *cache)
{
    cache->cached = verso__inspect_known(counts->cached_pages, source);
    cache->dirty = verso__inspect_known(counts->dirty_pages, source);
    cache->writeback = verso__inspect_known(counts->writeback_pages, source);
    cache->evicted = verso__inspect_known(counts->evicted_pages, source);
    cache->recently_evicted = verso__inspect_known(counts->recently_evicted_pages, source);
}

static const char *why_no_cachestat(int error)
{
    switch (error) {
    case -ENOSYS:
        return "needs a kernel with cachestat (Linux 6.5)";
    case -EPERM:
        return "needs the file's owner, or permission to write it";
    case -EOPNOTSUPP:
        return "this file system does not count its pages";
    default:
        return "cachestat failed";
    }
}

static const char *why_no_mincore(int error)
{
    switch (error) {
    case -EPERM:
        return "needs the file's owner, or permission to write it: to others the kernel says that all is cached";
    case -EACCES:
        return "needs permission for reading the file";
    case -ENODEV:
        return "this kind of file can't be mapped";
    default:
        return "mincore failed";
    }
}

void verso__inspect_cache_by_mincore(int fd, const struct verso__inspect_range *range, int cachestat_error,
                                     struct verso_inspect_cache *cache)
{
    struct verso_number missing = verso__inspect_missing(cachestat_error, CACHESTAT, why_no_cachestat(cachestat_error));
    uint64_t cached;
    int r = verso__inspect_count_resident(fd, range->first_page, range->end_page, &cached);

    cache->cached =
        r == 0 ? verso__inspect_known(cached, MINCORE) : verso__inspect_missing(r, MINCORE, why_no_mincore(r));
    cache->dirty = missing;
    cache->writeback = missing;
    cache->evicted = missing;
    cache->recently_evicted = missing;
}

int verso_inspect_cache(int fd, uint64_t offset_bytes, uint64_t length_bytes, struct verso_inspect_cache *out_cache)
{
    uint64_t page_bytes = verso__os_page_bytes();
    struct verso__os_cache_counts counts = { 0 };
    struct verso__inspect_range range;
    struct verso_inspect_cache cache;
    int r = verso__inspect_range_of(fd, offset_bytes, length_bytes, &range);

    if (r < 0)
        return r;
    cache.file_bytes = range.file_bytes;
    cache.pages = range.end_page - range.first_page;
    if (cache.pages > 0) /* to the kernel, length 0 is not nothing but everything */
        r = verso__os_cache_counts(fd, range.first_page * page_bytes, cache.pages * page_bytes, &counts);
    if (r == -EBADF)
        return verso__inspect_fail_fd(r, "cachestat", fd);
    if (r == 0)
        fill_known(&counts, cache.pages > 0 ? CACHESTAT : "fstat", &cache); /* of no pages, none are cached */
    else
        verso__inspect_cache_by_mincore(fd, &range, r, &cache);
    *out_cache = cache;
    return 0;
}
