/* SPDX-License-Identifier: MIT */
/*
 * range - copied by the kernel: copy_file_range(2), and sendfile(2) where that was asked for.
 *
 * Any refusal means that the bytes have to come through here, but for those that a copy by hand would meet as well.
 */
#include "copy/copy.h"

#include "base/sums.h"

#include <errno.h>

/* The most between two calls: a moment, though each costs something where blocks are shared. */
#define CALL_BYTES ((uint64_t)1 << 30)
#define CALL_BYTES_TOLD ((uint64_t)64 << 20) /* where somebody waits to be told */

static bool is_final(int error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EFBIG || error == -EIO;
}

static int call(struct verso__copy *copy, uint64_t at, size_t bytes, size_t *out_done)
{
    return verso__os_copy_range(copy->source.fd, at, copy->target.fd, at, bytes, out_done);
}

int verso__copy_range(struct verso__copy *copy, uint64_t *at, uint64_t end)
{
    uint64_t most =
        copy->options.cache ? VERSO__COPY_CACHE_STEP_BYTES : (copy->options.progress ? CALL_BYTES_TOLD : CALL_BYTES);
    size_t done = 1;
    int r = 0;

    while (r == 0 && *at < end && done > 0) {
        r = call(copy, *at, (size_t)verso__min_u64(end - *at, most), &done);
        if (r < 0) {
            copy->method = VERSO_COPY_METHOD_MAPPED;
            copy->from.may_map = copy->options.cache == VERSO_COPY_CACHE_KEEP;
            copy->report.why = "copy_file_range can't serve these two files: the source is mapped and written from";
            return is_final(r) ? verso__copy_fail_target(copy, r, "copy_file_range", *at) : 0;
        }
        *at += done;
        copy->report.offloaded_bytes += done;
        copy->target.stored_bytes = verso__max_u64(copy->target.stored_bytes, *at);
        r = verso__copy_passed(copy, *at);
    }
    return r;
}
