/* SPDX-License-Identifier: MIT */
/*
 * source - reading that says exactly how far it came.
 *
 * A file may be cut while it is read, and the kernel fills the rest of the page at the new end with zeros: what was
 * read may then hold zeros that were never in the file. So the size is looked at after each read, and only what lies
 * before it is vouched for. A read that fails is tried again page by page, up to the page that can't be had.
 */
#include "base/sums.h"
#include "scan/scan.h"

#include <errno.h>
#include <string.h>

static size_t stopped(struct verso__scan_outcome *outcome, uint64_t offset, size_t done, int status, const char *step)
{
    outcome->status = 0; /* a later look knows better */
    (void)verso__scan_stop(outcome, status, step, offset + done);
    return done;
}

/*
 * Streams that are set not to wait are waited for all the same. With somebody to tell of progress all are: so that a
 * signal ends a wait, and the run, when that is what he wants.
 */
static size_t read_stream(struct verso_scan *scan, uint64_t offset, unsigned char *into, size_t bytes,
                          struct verso__scan_outcome *outcome)
{
    const struct verso__scan_source *source = &scan->run.source;
    bool must_wait = scan->options.progress;
    size_t done = 0;
    int r;

    for (;;) {
        r = must_wait ? verso__os_wait_readable(source->fd, -1) : 0;
        if (r == -EINTR) {
            if (!verso__scan_tell_progress(scan, offset, true))
                return stopped(outcome, offset, 0, VERSO_E_CANCELLED, "progress");
            continue;
        }
        if (r < 0)
            return stopped(outcome, offset, 0, r, "poll");
        r = verso__os_read(source->fd, into, bytes, &done);
        if (r != -EAGAIN)
            break;
        must_wait = true;
    }
    if (r < 0)
        return stopped(outcome, offset, 0, r, "read");
    return done ? done : stopped(outcome, offset, 0, VERSO__SCAN_ENDED, NULL);
}

static size_t read_unsized(const struct verso__scan_source *source, uint64_t offset, unsigned char *into, size_t bytes,
                           struct verso__scan_outcome *outcome)
{
    size_t done = 0;
    int r = verso__os_read_at(source->fd, offset, into, bytes, &done);

    if (r < 0)
        return stopped(outcome, offset, 0, r, "read");
    return done == bytes ? done : stopped(outcome, offset, done, VERSO__SCAN_ENDED, NULL);
}

/* How much can be had of what failed as a whole: page by page, then the error is that of one page. */
static size_t narrow_down(const struct verso__scan_source *source, uint64_t offset, unsigned char *into, size_t bytes,
                          struct verso__scan_outcome *outcome)
{
    size_t page = verso__os_page_bytes(), done = 0;

    while (done < bytes) {
        size_t want = (size_t)verso__min_u64(bytes - done, page - (offset + done) % page), got = 0;
        int r = verso__os_read_at(source->fd, offset + done, into + done, want, &got);

        if (r < 0)
            return stopped(outcome, offset, done, r, "read");
        done += got;
        if (got < want)
            break;
    }
    return done;
}

/*
 * The file ended before its size said so. Where the size stands for something, it was cut. Files in /sys say a page,
 * and have no blocks: they end where they end, and go on to say so.
 */
static size_t ended(const struct verso__scan_source *source, const struct verso__os_file_info *now, uint64_t offset,
                    size_t done, struct verso__scan_outcome *outcome)
{
    if (source->before.kind == VERSO__OS_FILE_REGULAR && source->before.allocated_bytes == 0 &&
        now->bytes == source->before.bytes)
        return stopped(outcome, offset, done, VERSO__SCAN_ENDED, NULL);
    return stopped(outcome, offset, done, VERSO_E_TORN, "read");
}

static size_t read_file(const struct verso__scan_source *source, uint64_t offset, unsigned char *into, size_t bytes,
                        struct verso__os_file_info *info, struct verso__scan_outcome *outcome)
{
    size_t done = 0;
    int r = verso__os_read_at(source->fd, offset, into, bytes, &done);

    if (r < 0)
        done = narrow_down(source, offset, into, bytes, outcome);
    r = verso__os_file_info(source->fd, info);
    if (r < 0)
        return stopped(outcome, offset, 0, r, "fstat");
    if (!verso__within(offset, done, info->bytes))
        return stopped(outcome, offset, info->bytes > offset ? (size_t)(info->bytes - offset) : 0, VERSO_E_TORN,
                       "read");
    return done == bytes || outcome->status ? done : ended(source, info, offset, done, outcome);
}

size_t verso__scan_read(struct verso_scan *scan, uint64_t offset, unsigned char *into, size_t bytes,
                        struct verso__os_file_info *info, struct verso__scan_outcome *outcome)
{
    const struct verso__scan_source *source = &scan->run.source;

    switch (source->kind) {
    case VERSO__SCAN_STREAM:
        return read_stream(scan, offset, into, bytes, outcome);
    case VERSO__SCAN_UNSIZED:
        return read_unsized(source, offset, into, bytes, outcome);
    case VERSO__SCAN_FILE:
        return read_file(source, offset, into, bytes, info, outcome);
    case VERSO__SCAN_MEMORY:
        break;
    }
    memcpy(into, source->memory + offset, bytes);
    return bytes;
}
