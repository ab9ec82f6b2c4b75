/* SPDX-License-Identifier: MIT */
/*
 * cached_runs - which pages of a file are cached, at the price of the mixed parts only.
 *
 *   the file     |----------------------------------------------------------------|
 *   cachestat    |    none    |   mixed    |    all     |    none    |  ... 16 parts
 *   cachestat                 |no|mixed|all|                           16 parts of a mixed part, until it is a leaf
 *   mincore                      |.##.#|                               512 pages: 5 us, where the counts can't tell
 *
 * cachestat costs by what is cached, not by the range, so an empty terabyte is one call. Where it is not to be had,
 * every leaf is mixed. Where mincore would not tell the truth though cachestat does (the descriptor can write, this
 * user could not open it so), leaves are single pages and mincore is not asked. cachestat counts pages from when their
 * reading begins, mincore from when it has ended; a part that is wholly on its way in counts as cached.
 */
#include "base/sums.h"
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>

#define PARTS 16

struct search {
    struct verso__inspect_window window;
    uint64_t end_page;
    uint64_t leaf_pages;
    bool use_cachestat;
    struct verso_inspect_cached_run *runs;
    size_t count;
    size_t room;
};

static int add(struct search *search, uint64_t first_page, uint64_t page_count, int cached)
{
    struct verso_inspect_cached_run *last = search->count ? &search->runs[search->count - 1] : NULL;
    struct verso_inspect_cached_run *runs;

    if (last && last->cached == cached) { /* parts come in order, so neighbours meet here */
        last->page_count += page_count;
        return 0;
    }
    runs = verso__inspect_grow(search->runs, &search->room, search->count, sizeof(*runs));
    if (!runs)
        return -ENOMEM;
    search->runs = runs;
    runs[search->count++] = (struct verso_inspect_cached_run){ first_page, page_count, cached };
    return 0;
}

static int add_leaf(struct search *search, uint64_t first_page, size_t count)
{
    unsigned char pages[VERSO__INSPECT_LEAF_PAGES];
    int r = verso__inspect_window_look(&search->window, first_page, count, search->end_page, pages);

    for (size_t i = 0; r == 0 && i < count; i++)
        r = add(search, first_page + i, 1, pages[i] & 1);
    return r;
}

/* 1: the counts alone told, and it is added. 0: mixed. */
static int add_if_plain(struct search *search, uint64_t first_page, uint64_t count)
{
    uint64_t page_bytes = verso__os_page_bytes();
    struct verso__os_cache_counts counts;
    int r;

    if (!search->use_cachestat)
        return 0;
    r = verso__os_cache_counts(search->window.fd, first_page * page_bytes, count * page_bytes, &counts);
    if (r < 0)
        return r;
    if (counts.cached_pages != 0 && counts.cached_pages < count)
        return 0;
    r = add(search, first_page, count, counts.cached_pages != 0);
    return r < 0 ? r : 1;
}

/* The depth is at most 14: 16^14 pages are more than any file has. */
static int look(struct search *search, uint64_t first_page, uint64_t count)
{
    uint64_t part = search->leaf_pages;
    int r = add_if_plain(search, first_page, count);

    if (r != 0)
        return r < 0 ? r : 0;
    if (count <= search->leaf_pages)
        return add_leaf(search, first_page, (size_t)count);
    while (part <= (count - 1) / PARTS) /* smaller than the whole, at most 16 of them */
        part *= PARTS;
    while (r == 0 && count > 0) {
        uint64_t step = verso__min_u64(part, count);

        r = look(search, first_page, step);
        first_page += step;
        count -= step;
    }
    return r;
}

int verso__inspect_cached_runs(int fd, const struct verso__inspect_range *range, unsigned sources,
                               struct verso_inspect_cached_run **out_runs, size_t *out_count)
{
    struct search search = {
        .window = VERSO__INSPECT_WINDOW_ON(fd),
        .end_page = range->end_page,
        .leaf_pages = sources & VERSO__INSPECT_BY_MINCORE ? VERSO__INSPECT_LEAF_PAGES : 1,
        .use_cachestat = (sources & VERSO__INSPECT_BY_CACHESTAT) != 0,
    };
    int r = 0;

    if (range->end_page > range->first_page)
        r = look(&search, range->first_page, range->end_page - range->first_page);
    verso__inspect_window_close(&search.window);
    if (r < 0) {
        free(search.runs);
        return r;
    }
    *out_runs = search.runs;
    *out_count = search.count;
    return 0;
}

static unsigned honest_sources(int fd)
{
    struct verso__os_cache_counts counts;
    unsigned sources = 0;

    if (verso__os_cache_counts(fd, 0, 1, &counts) == 0)
        sources |= VERSO__INSPECT_BY_CACHESTAT;
    if (verso__os_residency_is_honest(fd))
        sources |= VERSO__INSPECT_BY_MINCORE;
    return sources;
}

int verso_inspect_cached_runs(int fd, uint64_t offset_bytes, uint64_t length_bytes,
                              struct verso_inspect_cached_run **out_runs, size_t *out_count)
{
    struct verso__inspect_range range;
    unsigned sources;
    int r = verso__inspect_range_of(fd, offset_bytes, length_bytes, &range);

    if (r < 0)
        return r;
    sources = honest_sources(fd);
    if (sources == 0)
        return verso__inspect_fail_fd(-EPERM, "look at the page cache", fd);
    r = verso__inspect_cached_runs(fd, &range, sources, out_runs, out_count);
    return r < 0 ? verso__inspect_fail_fd(r, "look at the page cache", fd) : 0;
}
