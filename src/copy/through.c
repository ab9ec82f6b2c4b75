/* SPDX-License-Identifier: MIT */
/*
 * through - bytes that come through this process, piece by piece: looked at while they are in the CPU's cache, then
 * stored.
 *
 * When a map turns out not to have the bytes, the piece is read: that says exactly where the source ends, or what its
 * storage answered, or that all is well again.
 */
#include "copy/copy.h"

#include "base/sums.h"

#include <errno.h>

struct feed {
    struct verso_digest *digest; /* of the whole; may be NULL */
    struct verso_digest *window; /* of the journal's window; may be NULL */
    const unsigned char *data;
    size_t bytes;
};

static int feed(void *arg)
{
    const struct feed *feed = arg;

    if (feed->digest)
        verso_digest_update(feed->digest, feed->data, feed->bytes);
    if (feed->window)
        verso_digest_update(feed->window, feed->data, feed->bytes);
    return 0;
}

int verso__copy_digest(struct verso__copy *copy, const unsigned char *data, size_t bytes)
{
    struct feed arg = { copy->digest, copy->journal.window, data, bytes };

    if (!copy->digest && !copy->journal.window)
        return 0;
    return copy->from.base ? verso__guard_run(&copy->from.range, feed, &arg, NULL) : feed(&arg);
}

void verso__copy_digest_zeros(struct verso__copy *copy, uint64_t bytes)
{
    while (copy->digest && bytes > 0) {
        size_t step = (size_t)verso__min_u64(bytes, VERSO__COPY_PIECE_BYTES);

        verso_digest_update(copy->digest, verso__copy_zeros, step);
        bytes -= step;
    }
}

int verso__copy_ended(struct verso__copy *copy, uint64_t offset)
{
    struct verso__os_file_info now;
    int r = verso__os_file_info(copy->source.fd, &now);

    if (r < 0)
        return verso__copy_fail_source(copy, r, "stat", VERSO_OFFSET_NONE);
    if (now.bytes < copy->source.info.bytes)
        return verso__copy_fail_source(copy, VERSO_E_TORN, "read", verso__min_u64(now.bytes, offset));
    copy->end = offset; /* such as files in /sys, which claim a page */
    return 0;
}

/* The map could not be had at [offset, +bytes), after some of it had been looked at. */
static int torn(struct verso__copy *copy, uint64_t offset, size_t bytes)
{
    const unsigned char *data;
    size_t done;
    int r;

    verso__copy_view_unmap(&copy->from);
    r = verso__copy_view_at(&copy->from, offset, bytes, &data, &done);
    if (r < 0)
        return verso__copy_fail_source(copy, r, "read", offset);
    return verso__copy_fail_source(copy, VERSO_E_TORN, "read", done < bytes ? offset + done : offset);
}

static int view(struct verso__copy *copy, uint64_t offset, size_t bytes, const unsigned char **out_data,
                size_t *out_done)
{
    int r = verso__copy_view_at(&copy->from, offset, bytes, out_data, out_done);

    return r < 0 ? verso__copy_fail_source(copy, r, r == -ENOMEM ? "malloc" : "read", offset) : 0;
}

/* *out_done < @bytes: the source ends there. */
static int piece(struct verso__copy *copy, uint64_t offset, size_t bytes, size_t *out_done)
{
    const struct verso_copy_report before = copy->report;
    const unsigned char *data;
    int r = view(copy, offset, bytes, &data, out_done);

    if (r < 0)
        return r;
    if (verso__copy_digest(copy, data, *out_done) < 0)
        return torn(copy, offset, bytes);
    r = verso__copy_put(copy, data, offset, *out_done);
    if (r != -EFAULT)
        return r;
    /* The source's map, or with DELTA the target's: once more, without. */
    copy->report = before;
    verso__copy_view_unmap(&copy->from);
    verso__copy_view_unmap(&copy->old);
    r = view(copy, offset, bytes, &data, out_done);
    return r == 0 ? verso__copy_put(copy, data, offset, *out_done) : r;
}

int verso__copy_through(struct verso__copy *copy, uint64_t *at, uint64_t end)
{
    return copy->journal.fd >= 0 ? verso__copy_windows(copy, at, end) : verso__copy_pieces(copy, at, end);
}

int verso__copy_pieces(struct verso__copy *copy, uint64_t *at, uint64_t end)
{
    size_t done = 1;
    int r = 0;

    while (r == 0 && *at < end && done > 0) {
        size_t bytes = (size_t)verso__min_u64(end - *at, VERSO__COPY_PIECE_BYTES);

        r = piece(copy, *at, bytes, &done);
        if (r < 0)
            return r;
        *at += done;
        r = verso__copy_passed(copy, *at);
        if (done < bytes)
            break;
    }
    return r;
}
