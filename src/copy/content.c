/* SPDX-License-Identifier: MIT */
/*
 * content - data and holes in turn, up to the size that the source had when it was opened.
 *
 * A file that is being written shows ever new holes and data behind the place just dealt with; what lies past that size
 * is not followed, so the way to the end is finite.
 */
#include "copy/copy.h"

#include "base/sums.h"

#include <errno.h>

/* Some milliseconds of a checksum. */
#define HOLE_BYTES_AT_ONCE ((uint64_t)64 << 20)

static int copy_data(struct verso__copy *copy, uint64_t at, uint64_t end)
{
    int r = 0;

    if (copy->method == VERSO_COPY_METHOD_RANGE || copy->method == VERSO_COPY_METHOD_SPLICE)
        r = verso__copy_range(copy, &at, end);
    if (r == 0 && at < end)
        r = verso__copy_through(copy, &at, end);
    if (r == 0 && at < end)
        r = verso__copy_ended(copy, at);
    return r;
}

/* A hole can be larger than any disk, and its zeros count for a checksum. */
static int copy_hole(struct verso__copy *copy, uint64_t at, uint64_t end)
{
    int r = verso__copy_put_hole(copy, at, end);

    while (r == 0 && at < end) {
        uint64_t next = copy->digest ? verso__min_u64(end, at + HOLE_BYTES_AT_ONCE) : end;

        verso__copy_digest_zeros(copy, next - at);
        r = verso__copy_passed(copy, next);
        at = next;
    }
    return r;
}

static int check_cut(struct verso__copy *copy)
{
    struct verso__os_file_info now;
    int r = verso__os_file_info(copy->source.fd, &now);

    if (r < 0)
        return verso__copy_fail_source(copy, r, "stat", VERSO_OFFSET_NONE);
    return now.bytes < copy->end ? verso__copy_fail_source(copy, VERSO_E_TORN, "lseek", now.bytes) : 0;
}

/* Where the hole that begins at @at ends, else *out_data = @at. What can't be told is data. */
static int hole_at(struct verso__copy *copy, uint64_t at, uint64_t *out_data)
{
    int r = verso__os_next_data(copy->source.fd, at, out_data);

    if (r == -ENXIO) { /* a hole to the end, or the end has come nearer */
        *out_data = copy->end;
        return check_cut(copy);
    }
    if (r == -EINVAL || r == -EOPNOTSUPP)
        *out_data = at;
    else if (r < 0)
        return verso__copy_fail_source(copy, r, "lseek", at);
    *out_data = verso__min_u64(*out_data, copy->end);
    return 0;
}

static uint64_t data_end(struct verso__copy *copy, uint64_t at)
{
    uint64_t hole;

    if (verso__os_next_hole(copy->source.fd, at, &hole) < 0)
        return copy->end;
    hole = verso__min_u64(hole, copy->end);
    return hole > at ? hole : copy->end; /* changed between the two questions: all of the rest is data */
}

static int copy_extents(struct verso__copy *copy)
{
    uint64_t at = 0, data;
    int r = 0;

    while (r == 0 && at < copy->end) {
        r = hole_at(copy, at, &data);
        if (r == 0 && data > at)
            r = copy_hole(copy, at, data);
        at = data;
        if (r == 0 && at < copy->end) {
            uint64_t end = data_end(copy, at);

            r = copy_data(copy, at, end);
            at = end;
        }
    }
    return r;
}

/* Small files without holes need no questions; block devices have no answer. */
static bool is_plain(const struct verso__copy *copy)
{
    const struct verso__os_file_info *info = &copy->source.info;

    return info->kind != VERSO__OS_FILE_REGULAR ||
           (info->bytes <= VERSO__COPY_SMALL_BYTES && info->allocated_bytes >= info->bytes);
}

/* Holes at the end are not made by writing, and what was longer is cut. */
static int set_end(struct verso__copy *copy)
{
    struct verso__copy_target *target = &copy->target;
    int r = 0;

    if (target->info.kind == VERSO__OS_FILE_BLOCK && verso__copy_in_place(copy))
        return 0;
    if (target->old_bytes > copy->end || verso__max_u64(target->stored_bytes, target->old_bytes) < copy->end)
        r = verso__os_truncate(target->fd, copy->end);
    return r < 0 ? verso__copy_fail_target(copy, r, "ftruncate", copy->end) : 0;
}

static int digest_open(struct verso__copy *copy)
{
    unsigned kind = copy->options.digest;
    int r;

    if (kind == VERSO_DIGEST_NONE && verso__copy_wants(copy, VERSO_COPY_VERIFY))
        kind = VERSO_DIGEST_XXH3_128;
    if (kind == VERSO_DIGEST_NONE)
        return 0;
    r = verso_digest_open((enum verso_digest_kind)kind, &copy->digest);
    return r < 0 ? verso__copy_fail_target(copy, r, "malloc", VERSO_OFFSET_NONE) : 0;
}

static int copy_all(struct verso__copy *copy)
{
    int r;

    if (copy->source.is_stream || !copy->target.has_offsets)
        return verso__copy_stream(copy);
    r = verso__copy_reflink(copy);
    if (r != 0)
        return r < 0 ? r : 0;
    r = is_plain(copy) ? copy_data(copy, 0, copy->end) : copy_extents(copy);
    return r == 0 ? set_end(copy) : r;
}

int verso__copy_content(struct verso__copy *copy)
{
    int r = digest_open(copy);

    if (r == 0)
        r = copy_all(copy);
    if (r == 0 && copy->digest && copy->options.digest != VERSO_DIGEST_NONE)
        verso_digest_value(copy->digest, &copy->report.digest);
    copy->report.bytes = copy->source.is_stream || copy->end < copy->report.bytes ? copy->end : copy->report.bytes;
    return r;
}
