/* SPDX-License-Identifier: MIT */
/* progress - tells whoever wants to know, now and then; the page cache knows what the kernel still has to write. */
#include "copy/copy.h"

#define INTERVAL_NS ((uint64_t)50 * 1000 * 1000)

/* Below this the kernel is not asked: nobody could see it. */
#define LOOK_BYTES ((uint64_t)4 << 20)

int verso__copy_tell(struct verso__copy *copy, unsigned phase, uint64_t done, uint64_t total, bool always)
{
    struct verso_copy_progress progress = { phase, done, total, VERSO_OFFSET_NONE, VERSO_OFFSET_NONE };
    struct verso__os_cache_counts counts;
    uint64_t now;

    if (!copy->options.progress)
        return 0;
    now = verso__os_clock_ns();
    if (!always && now - copy->told_ns < INTERVAL_NS)
        return 0;
    copy->told_ns = now;
    if (done >= LOOK_BYTES && copy->target.has_offsets && verso__os_cache_counts(copy->target.fd, 0, 0, &counts) == 0) {
        progress.dirty_bytes = counts.dirty_pages * verso__os_page_bytes();
        progress.writeback_bytes = counts.writeback_pages * verso__os_page_bytes();
    }
    if (copy->options.progress(&progress, copy->options.progress_arg) == 0)
        return 0;
    return verso__copy_fail_target(copy, VERSO_E_CANCELLED, "progress", done);
}

int verso__copy_passed(struct verso__copy *copy, uint64_t at)
{
    int r = verso__copy_cache_passed(copy, at);

    return r < 0 ? r : verso__copy_tell(copy, VERSO_COPY_COPYING, at, copy->source.info.bytes, false);
}
