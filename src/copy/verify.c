/* SPDX-License-Identifier: MIT */
/*
 * verify - reads the target back from where it is kept, and compares checksums.
 *
 *      write back --> drop from the page cache --> is it gone? --> read --> the checksum that the source had
 *
 * What was just written is cached, so a reader would only meet his own bytes again. Once the page cache has let go of
 * all of them, whoever reads next gets them from the disk. Where it does not let go (tmpfs has no other place; somebody
 * maps the file), the report says that they came from memory.
 */
#include "copy/copy.h"

#include "base/sums.h"

#include <errno.h>
#include <stdlib.h>

/* What mincore says of this much at a time, where cachestat is not to be had. */
#define LOOK_BYTES ((uint64_t)64 << 20)

static int is_resident(int fd, uint64_t offset, size_t bytes, unsigned char *pages)
{
    uint64_t whole = 0;
    void *look;
    int r;

    (void)verso__round_up(bytes, verso__os_page_bytes(), &whole); /* at most LOOK_BYTES: fits */
    r = verso__os_map(NULL, (size_t)whole, VERSO__OS_ACCESS_NONE, VERSO__OS_MAP_SHARED, fd, offset, &look);
    if (r < 0)
        return r;
    r = verso__os_resident(look, (size_t)whole, pages);
    (void)verso__os_unmap(look, (size_t)whole);
    for (size_t i = 0; r == 0 && i < whole / verso__os_page_bytes(); i++)
        r = pages[i] & 1;
    return r;
}

/* 1: some of it is cached, or nobody knows. 0: none. */
static bool is_cached(int fd, uint64_t end)
{
    struct verso__os_cache_counts counts;
    unsigned char *pages;
    int r = 0;

    if (verso__os_cache_counts(fd, 0, 0, &counts) == 0)
        return counts.cached_pages > 0;
    if (!verso__os_residency_is_honest(fd))
        return true;
    pages = malloc((size_t)(LOOK_BYTES / verso__os_page_bytes()));
    for (uint64_t at = 0; pages && r == 0 && at < end; at += LOOK_BYTES)
        r = is_resident(fd, at, (size_t)verso__min_u64(end - at, LOOK_BYTES), pages);
    free(pages);
    return !pages || r != 0;
}

/* Away with what is cached; what is dirty can't go, so it is written first. */
static int write_and_drop(struct verso__copy *copy, bool *out_gone)
{
    int r = verso__copy_sync(copy, true);

    if (r < 0)
        return r;
    (void)verso__os_cache_drop(copy->target.fd, 0, 0); /* whether it was taken is asked next */
    *out_gone = !is_cached(copy->target.fd, copy->end);
    return 0;
}

/* Adds [*at, end) to @digest. */
static int read_data(struct verso__copy *copy, struct verso_digest *digest, uint64_t at, uint64_t end)
{
    const unsigned char *data;
    size_t done;
    int r = 0;

    while (r == 0 && at < end) {
        size_t bytes = (size_t)verso__min_u64(end - at, VERSO__COPY_PIECE_BYTES);

        r = verso__copy_view_at(&copy->old, at, bytes, &data, &done);
        if (r < 0)
            return verso__copy_fail_target(copy, r, "read back", at);
        if (done < bytes)
            return verso__copy_fail_target(copy, VERSO_E_VERIFY, "read back", at + done);
        verso_digest_update(digest, data, done);
        at += done;
        r = verso__copy_tell(copy, VERSO_COPY_VERIFYING, at, copy->end, false);
    }
    return r;
}

static int compare(struct verso__copy *copy, struct verso_digest *digest)
{
    struct verso_digest_value wanted, got;
    int r = verso__copy_tell(copy, VERSO_COPY_VERIFYING, 0, copy->end, true);

    if (r == 0)
        r = read_data(copy, digest, 0, copy->end);
    if (r < 0)
        return r;
    verso_digest_value(copy->digest, &wanted);
    verso_digest_value(digest, &got);
    if (!verso_digest_equal(&wanted, &got))
        return verso__copy_fail_target(copy, VERSO_E_VERIFY, "compare", VERSO_OFFSET_NONE);
    return verso__copy_tell(copy, VERSO_COPY_VERIFYING, copy->end, copy->end, true);
}

int verso__copy_verify(struct verso__copy *copy)
{
    struct verso_digest_value kind;
    struct verso_digest *digest;
    bool gone = false;
    int r;

    verso__copy_view_unmap(&copy->old); /* what is mapped can't be dropped */
    r = write_and_drop(copy, &gone);
    if (r < 0)
        return r;
    verso_digest_value(copy->digest, &kind);
    r = verso_digest_open((enum verso_digest_kind)kind.kind, &digest);
    if (r < 0)
        return verso__copy_fail_target(copy, r, "malloc", VERSO_OFFSET_NONE);
    r = compare(copy, digest);
    verso_digest_close(digest);
    if (r == 0)
        copy->report.verified = gone ? VERSO_COPY_VERIFIED_DISK : VERSO_COPY_VERIFIED_MEMORY;
    return r;
}
