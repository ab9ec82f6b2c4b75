/* SPDX-License-Identifier: MIT */
/*
 * reflink - the target shares the source's blocks: no byte is copied, whoever writes first gets blocks of his own.
 *
 * The kernel writes the source's dirty pages back first, so what is shared is the file as it is now, and a later store
 * through somebody's map changes its times.
 */
#include "copy/copy.h"

#include <errno.h>

/* Where the bytes must be looked at, they are the source's: those are what may be cached. */
static int look_at_all(struct verso__copy *copy)
{
    const unsigned char *data;
    size_t bytes;
    int r = 0;

    for (uint64_t at = 0; r == 0 && copy->digest && at < copy->end; at += bytes) {
        r = verso__copy_view_at(&copy->from, at, VERSO__COPY_PIECE_BYTES, &data, &bytes);
        if (r < 0)
            return verso__copy_fail_source(copy, r, "read", at);
        if (bytes > copy->end - at)
            bytes = (size_t)(copy->end - at);
        if (verso__copy_digest(copy, data, bytes) < 0 || bytes == 0)
            return verso__copy_fail_source(copy, VERSO_E_TORN, "read", at);
        r = verso__copy_passed(copy, at + bytes);
    }
    return r;
}

/* What is accepted though it changes: its checksum would be of another moment, and in place its end, too. */
static bool may_be_of_two_moments(const struct verso__copy *copy)
{
    return verso__copy_wants(copy, VERSO_COPY_ACCEPT_CHANGED) && (copy->digest || verso__copy_in_place(copy));
}

static bool may_share(const struct verso__copy *copy)
{
    return !may_be_of_two_moments(copy) && copy->options.reflink != VERSO_COPY_REFLINK_NEVER &&
           copy->options.method == VERSO_COPY_METHOD_AUTO &&
           !verso__copy_wants(copy, VERSO_COPY_DENSE | VERSO_COPY_DIG_HOLES | VERSO_COPY_DELTA) &&
           copy->source.info.kind == VERSO__OS_FILE_REGULAR && copy->end > 0;
}

/* The whole source was shared, as long as it was then; and in place, the target may have been longer. */
static int set_end(struct verso__copy *copy)
{
    struct verso__os_file_info info;
    int r = verso__os_file_info(copy->target.fd, &info);

    if (r < 0)
        return verso__copy_fail_target(copy, r, "stat", VERSO_OFFSET_NONE);
    if (info.bytes < copy->end)
        return verso__copy_fail_source(copy, VERSO_E_TORN, "reflink", info.bytes);
    r = info.bytes > copy->end ? verso__os_truncate(copy->target.fd, copy->end) : 0;
    return r < 0 ? verso__copy_fail_target(copy, r, "ftruncate", copy->end) : 0;
}

int verso__copy_reflink(struct verso__copy *copy)
{
    int r;

    if (!may_share(copy)) {
        if (copy->options.reflink == VERSO_COPY_REFLINK_ALWAYS && copy->end > 0)
            return verso__copy_fail_target(copy, -EOPNOTSUPP, "reflink", VERSO_OFFSET_NONE);
        return 0;
    }
    r = verso__os_clone_file(copy->source.fd, copy->target.fd);
    if (r == -ENOSPC || r == -EDQUOT || r == -EIO || (r < 0 && copy->options.reflink == VERSO_COPY_REFLINK_ALWAYS))
        return verso__copy_fail_target(copy, r, "reflink", VERSO_OFFSET_NONE);
    if (r < 0)
        return 0;
    copy->report.reflinked_bytes = copy->end;
    copy->report.why = "the file system can share blocks: nothing had to be copied";
    r = set_end(copy);
    if (r == 0)
        r = look_at_all(copy);
    return r < 0 ? r : 1;
}
