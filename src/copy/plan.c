/* SPDX-License-Identifier: MIT */
/*
 * plan - which way the bytes go, and why.
 *
 *      may the blocks be shared?      reflink.c tries; what follows is for what can't be
 *      must the bytes be looked at?   yes --> the source mapped and written from; read, where a fault could not be met,
 *                                             or where what is looked at may be another byte than what is stored
 *      is the target there, in place? yes --> the source mapped and written from: no copy between, nothing to allocate
 *      is it small?                   yes --> read and write: two calls
 *      else                                   copy_file_range: the kernel, or the server, may know better
 */
#include "copy/copy.h"

#define FLAGS_KNOWN (VERSO_COPY_REGULAR * 2U - 1U)

int verso__copy_options_check(struct verso_copy_options *options)
{
    const unsigned looking = VERSO_COPY_DELTA | VERSO_COPY_VERIFY | VERSO_COPY_DIG_HOLES | VERSO_COPY_RESUME;
    const unsigned own_blocks = VERSO_COPY_DELTA | VERSO_COPY_DIG_HOLES | VERSO_COPY_DENSE;
    bool looks = options->flags & looking || options->digest != VERSO_DIGEST_NONE;
    bool always = options->reflink == VERSO_COPY_REFLINK_ALWAYS;

    if (options->flags & VERSO_COPY_DELTA)
        options->flags |= VERSO_COPY_IN_PLACE;
    if (options->flags & ~FLAGS_KNOWN || options->reflink > VERSO_COPY_REFLINK_NEVER ||
        options->method > VERSO_COPY_METHOD_READ || options->method == VERSO_COPY_METHOD_REFLINK ||
        options->cache > VERSO_COPY_CACHE_DROP || options->digest > VERSO_DIGEST_XXH32)
        return VERSO_E_OPTIONS;
    if (looks && (options->method == VERSO_COPY_METHOD_RANGE || options->method == VERSO_COPY_METHOD_SPLICE))
        return VERSO_E_OPTIONS;
    if (always && (options->flags & own_blocks || options->method != VERSO_COPY_METHOD_AUTO))
        return VERSO_E_OPTIONS;
    if (options->reflink == VERSO_COPY_REFLINK_NEVER && options->method == VERSO_COPY_METHOD_RANGE)
        return VERSO_E_OPTIONS;
    if (always && options->flags & VERSO_COPY_ACCEPT_CHANGED && (looks || options->flags & VERSO_COPY_IN_PLACE))
        return VERSO_E_OPTIONS; /* what is shared would be of another moment than what was looked at */
    if ((options->flags & VERSO_COPY_DENSE) && (options->flags & VERSO_COPY_DIG_HOLES))
        return VERSO_E_OPTIONS;
    if (options->cache != VERSO_COPY_CACHE_KEEP && options->method == VERSO_COPY_METHOD_MAPPED)
        return VERSO_E_OPTIONS; /* mapped pages stay */
    if ((options->flags & VERSO_COPY_RESUME) && (options->flags & VERSO_COPY_IN_PLACE))
        return VERSO_E_OPTIONS;
    return 0;
}

static unsigned choose(struct verso__copy *copy, const char **out_why)
{
    if (copy->options.method != VERSO_COPY_METHOD_AUTO) {
        *out_why = "this way was asked for";
        return copy->options.method;
    }
    if (copy->source.is_stream || !copy->target.has_offsets) {
        *out_why = copy->looks ? "one end has no offsets, and every byte must be looked at"
                               : "one end has no offsets: the kernel passes pages on where it can";
        return copy->looks ? VERSO_COPY_METHOD_READ : VERSO_COPY_METHOD_SPLICE;
    }
    if (copy->end <= VERSO__COPY_SMALL_BYTES) {
        *out_why = "a small file: one read, one write";
        return VERSO_COPY_METHOD_READ;
    }
    if (copy->options.cache != VERSO_COPY_CACHE_KEEP &&
        (copy->looks || copy->options.reflink == VERSO_COPY_REFLINK_NEVER)) {
        *out_why = "pages shall leave the cache, and mapped ones can't";
        return VERSO_COPY_METHOD_READ;
    }
    if (copy->looks && verso__copy_wants(copy, VERSO_COPY_ACCEPT_CHANGED)) {
        *out_why = "it may change: what is looked at and what is stored are one reading, as a map's bytes would not be";
        return VERSO_COPY_METHOD_READ;
    }
    if (copy->looks && !verso__guard_meets_faults()) {
        *out_why = "every byte must be looked at, and without the guard (verso_guard_install) a map may not be";
        return VERSO_COPY_METHOD_READ;
    }
    if (copy->looks) {
        *out_why =
            "every byte must be looked at: the source is mapped, and written from while it is in the CPU's cache";
        return VERSO_COPY_METHOD_MAPPED;
    }
    if (copy->target.old_bytes > 0 && copy->options.cache == VERSO_COPY_CACHE_KEEP) {
        *out_why = "onto a file that is there: the source is mapped and written from, which copies once";
        return VERSO_COPY_METHOD_MAPPED;
    }
    if (copy->options.reflink == VERSO_COPY_REFLINK_NEVER) {
        *out_why = "blocks of its own were asked for, and copy_file_range may share them";
        return VERSO_COPY_METHOD_MAPPED;
    }
    *out_why = "the kernel, or a file server, knows the shortest way";
    return VERSO_COPY_METHOD_RANGE;
}

void verso__copy_plan(struct verso__copy *copy)
{
    bool maps;

    copy->looks =
        copy->options.digest != VERSO_DIGEST_NONE ||
        verso__copy_wants(copy, VERSO_COPY_DELTA | VERSO_COPY_VERIFY | VERSO_COPY_DIG_HOLES | VERSO_COPY_RESUME);
    copy->method = choose(copy, &copy->report.why);
    maps = copy->method == VERSO_COPY_METHOD_MAPPED &&
           (!copy->looks || (verso__guard_meets_faults() && !verso__copy_wants(copy, VERSO_COPY_ACCEPT_CHANGED)));
    verso__copy_view_open(&copy->from, copy->source.fd, maps);
    verso__copy_view_open(&copy->old, copy->target.fd, maps);
}
