/* SPDX-License-Identifier: MIT */
/*
 * merge - what a clone has of its own goes into the base, or away.
 *
 * By pwrite(), not by storing into the base's mapping: a full disk is then an answer, and a page that can't be read is
 * one too. What was written is let go of at once, run by run, so that a merge that fails half way has lost nothing:
 * each page is in the base, or still the clone's own.
 */
#include "base/fail.h"
#include "base/sums.h"
#include "os/os.h"

#include "clone/clone.h"

#include <errno.h>

struct pages {
    uint64_t first;
    uint64_t end;
};

static int range_of(const struct verso_clone *clone, uint64_t offset_bytes, uint64_t length_bytes,
                    struct pages *out_pages)
{
    uint64_t page_bytes = verso__os_page_bytes(), end;

    if (offset_bytes % page_bytes != 0 || offset_bytes > clone->bytes)
        return VERSO_E_RANGE;
    if (length_bytes == 0)
        length_bytes = clone->bytes - offset_bytes;
    if (!verso__within(offset_bytes, length_bytes, clone->bytes))
        return VERSO_E_RANGE;
    end = offset_bytes + length_bytes;
    if (end % page_bytes != 0 && end != clone->bytes)
        return VERSO_E_RANGE;
    out_pages->first = offset_bytes / page_bytes;
    out_pages->end = (end + page_bytes - 1) / page_bytes;
    return 0;
}

static int drop_pages(const struct verso_clone *clone, uint64_t first, uint64_t end)
{
    uint64_t page_bytes = verso__os_page_bytes();

    return verso__os_advise(clone->data + first * page_bytes, (size_t)((end - first) * page_bytes),
                            VERSO__OS_ADVICE_DONTNEED);
}

static int check_base(const struct verso_clone_base *base)
{
    const char *hint = "open the base with VERSO_CLONE_WRITE";
    struct verso__os_file_info info;
    int r;

    if (verso_clone_base_frozen(base) != VERSO_CLONE_NOT_FROZEN)
        hint = "the base was frozen by verso_clone_base_freeze(), for ever";
    else if (base->flags & VERSO_CLONE_WRITE)
        hint = NULL;
    if (hint)
        return verso__fail_hint(VERSO_E_READ_ONLY, "merge", base->path, hint);
    r = verso__os_file_info(base->fd, &info);
    if (r < 0)
        return verso__clone_fail(base, r, "stat");
    return info.bytes < base->bytes ? verso__fail_at(VERSO_E_TORN, "merge", base->path, info.bytes) : 0;
}

static int merge_run(const struct verso_clone *clone, uint64_t first, uint64_t end)
{
    uint64_t page_bytes = verso__os_page_bytes(), offset = first * page_bytes;
    uint64_t bytes = verso__min_u64(end * page_bytes, clone->bytes) - offset;
    size_t done;
    int r =
        verso__os_write_at(clone->base->fd, clone->offset_bytes + offset, clone->data + offset, (size_t)bytes, &done);

    if (r < 0) {
        (void)drop_pages(clone, first, first + done / page_bytes); /* they are in the base: to keep them costs memory */
        return verso__fail_at(r == -EFAULT ? VERSO_E_TORN : r, "write", clone->base->path,
                              clone->offset_bytes + offset + done);
    }
    r = drop_pages(clone, first, end);
    return r < 0 ? verso__clone_fail(clone->base, r, "madvise") : 0;
}

int verso_clone_merge(struct verso_clone *clone, uint64_t offset_bytes, uint64_t length_bytes)
{
    struct pages pages;
    uint64_t first, end;
    int r;

    if (!clone)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = range_of(clone, offset_bytes, length_bytes, &pages);
    if (r < 0)
        return verso__fail_at(r, "range", clone->base->path, offset_bytes);
    r = check_base(clone->base);
    if (r == 0)
        r = verso__clone_look(clone, pages.first, pages.end);
    for (end = 0; r == 0 && verso__clone_bits_next(&clone->own, end, &first, &end);)
        r = merge_run(clone, first, end);
    return r;
}

int verso_clone_drop(struct verso_clone *clone, uint64_t offset_bytes, uint64_t length_bytes)
{
    struct pages pages;
    int r;

    if (!clone)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = range_of(clone, offset_bytes, length_bytes, &pages);
    if (r < 0)
        return verso__fail_at(r, "range", clone->base->path, offset_bytes);
    r = pages.end > pages.first ? drop_pages(clone, pages.first, pages.end) : 0;
    return r < 0 ? verso__clone_fail(clone->base, r, "madvise") : 0;
}
