/* SPDX-License-Identifier: MIT */
/*
 * settle - when the content is there, and before anybody can see it.
 *
 *      has the source changed? --> read back --> owner, attributes, permissions, times --> on stable storage, or sent
 */
#include "copy/copy.h"

#include "base/sums.h"

#include <errno.h>

/* Written back between two words of progress: a moment of a disk. */
#define WRITE_BACK_BYTES ((uint64_t)32 << 20)

/* A size or a time that differs. Files of /proc and devices change as they please. */
static int check_source(struct verso__copy *copy)
{
    const struct verso__os_file_info *before = &copy->source.info;
    struct verso__os_file_info now;
    int r;

    if (copy->source.is_stream || before->kind != VERSO__OS_FILE_REGULAR)
        return 0;
    r = verso__os_file_info(copy->source.fd, &now);
    if (r < 0)
        return verso__copy_fail_source(copy, r, "stat", VERSO_OFFSET_NONE);
    copy->report.changed =
        now.bytes != before->bytes || now.modified_ns != before->modified_ns || now.changed_ns != before->changed_ns;
    if (copy->report.changed && !verso__copy_wants(copy, VERSO_COPY_ACCEPT_CHANGED))
        return verso__copy_fail_source(copy, VERSO_E_CHANGED, "stat", VERSO_OFFSET_NONE);
    return 0;
}

/*
 * A file that replaces another is let to those who had that one, and has its list and attributes, as if it had been
 * written into. Its group must be kept for that: another group is other people, so they get no more than all.
 */
static int keep_from(struct verso__copy *copy, int old_fd, const char **out_step)
{
    const unsigned attributes = verso__copy_wants(copy, VERSO_COPY_XATTRS) ? 0U : (unsigned)VERSO_COPY_XATTRS;
    struct verso__os_file_info old, now;
    unsigned lost = 0; /* is promised where it is allowed only */
    int r = verso__os_file_info(old_fd, &old);

    *out_step = "stat";
    if (r < 0)
        return r;
    old.mode &= 0777;
    r = verso__copy_attributes(old_fd, &old, copy->target.fd, VERSO_COPY_OWNER, &lost, out_step);
    if (r == 0)
        r = verso__os_file_info(copy->target.fd, &now);
    if (r < 0)
        return r;
    if (now.group == old.group)
        return verso__copy_attributes(old_fd, &old, copy->target.fd,
                                      VERSO_COPY_MODE | attributes | VERSO__COPY_OF_OLD_CONTENT, &lost, out_step);
    *out_step = "chmod";
    r = verso__os_set_mode(copy->target.fd, verso__copy_mode_for_all(old.mode));
    return r == 0 && attributes ? verso__copy_attributes(old_fd, &old, copy->target.fd,
                                                         attributes | VERSO__COPY_OF_OLD_CONTENT, &lost, out_step)
                                : r;
}

/* Who may read it needs no /proc for that. */
static int open_old(const struct verso__copy_target *target, int *out_fd)
{
    const unsigned reading = VERSO__OS_OPEN_READ | VERSO__OS_OPEN_NONBLOCK | VERSO__OS_OPEN_NOFOLLOW;
    int r = verso__os_open_at(target->directory, target->name, reading, 0, out_fd);

    if (r == 0 || r == -ENOENT)
        return r;
    return verso__os_open_at(target->directory, target->name, VERSO__OS_OPEN_PLACE | VERSO__OS_OPEN_NOFOLLOW, 0,
                             out_fd);
}

static int keep_what_it_had(struct verso__copy *copy)
{
    const struct verso__copy_target *target = &copy->target;
    const char *step = "open";
    int old_fd, r = open_old(target, &old_fd);

    if (r == 0) {
        r = keep_from(copy, old_fd, &step);
        verso__os_close(old_fd);
    } else if (r == -ENOENT) { /* somebody has just taken it away */
        step = "chmod";
        r = verso__os_set_mode(copy->target.fd, verso__copy_mode_for_all(target->info.mode & 0777));
    }
    return r < 0 ? verso__copy_fail_target(copy, r, step, VERSO_OFFSET_NONE) : 0;
}

static int give_attributes(struct verso__copy *copy)
{
    bool replaces = copy->target.info.kind == VERSO__OS_FILE_REGULAR && !verso__copy_in_place(copy);
    unsigned flags = copy->options.flags & (unsigned)VERSO_COPY_ARCHIVE;
    const char *step;
    int r = replaces && !verso__copy_wants(copy, VERSO_COPY_MODE) ? keep_what_it_had(copy) : 0;

    if (r < 0 || flags == 0)
        return r;
    r = verso__copy_attributes(copy->source.fd, &copy->source.info, copy->target.fd, flags, &copy->report.lost, &step);
    return r < 0 ? verso__copy_fail_target(copy, r, step, VERSO_OFFSET_NONE) : 0;
}

/* The call is missing or forbidden: nothing was written, and nothing has been told. */
static bool is_not_to_be_had(int error)
{
    return error == -ENOSYS || error == -EPERM || error == -EINVAL || error == -EOPNOTSUPP;
}

int verso__copy_write_back(struct verso__copy *copy, uint64_t offset, uint64_t end)
{
    int r = verso__os_write_back(copy->target.fd, offset, end - offset);

    if (r == 0 || is_not_to_be_had(r))
        return 0;
    return verso__copy_fail_target(copy, r, "sync_file_range", offset);
}

/* Piece by piece, as somebody may wait to be told: a call that syncs tells nothing until it is over. */
static int write_back_all(struct verso__copy *copy)
{
    int r = verso__copy_tell(copy, VERSO_COPY_SYNCING, 0, copy->end, true);

    for (uint64_t at = 0; r == 0 && at < copy->end; at += WRITE_BACK_BYTES) {
        uint64_t end = verso__min_u64(copy->end, at + WRITE_BACK_BYTES);

        r = verso__copy_write_back(copy, at, end);
        if (r == 0)
            r = verso__copy_tell(copy, VERSO_COPY_SYNCING, end, copy->end, false);
    }
    return r;
}

int verso__copy_sync(struct verso__copy *copy, bool data_only)
{
    int r = copy->options.progress ? write_back_all(copy) : 0;

    if (r < 0)
        return r;
    r = data_only ? verso__os_sync_data(copy->target.fd) : verso__os_sync_full(copy->target.fd);
    if (r < 0)
        return verso__copy_fail_target(copy, r, data_only ? "fdatasync" : "fsync", VERSO_OFFSET_NONE);
    return verso__copy_tell(copy, VERSO_COPY_SYNCING, copy->end, copy->end, true);
}

/* What a file server can't take it may say at the end alone. */
static int flush(struct verso__copy *copy)
{
    int r = verso__os_flush(copy->target.fd);

    return r < 0 ? verso__copy_fail_target(copy, r, "close", VERSO_OFFSET_NONE) : 0;
}

int verso__copy_settle(struct verso__copy *copy)
{
    int r = check_source(copy);

    if (r == 0 && verso__copy_wants(copy, VERSO_COPY_VERIFY) && copy->target.has_offsets)
        r = verso__copy_verify(copy);
    if (r == 0)
        r = give_attributes(copy);
    if (r == 0 && verso__copy_wants(copy, VERSO_COPY_DURABLE) && copy->target.has_offsets)
        r = verso__copy_sync(copy, false);
    else if (r == 0 && copy->options.cache != VERSO_COPY_CACHE_KEEP && copy->target.has_offsets)
        r = write_back_all(copy); /* what is dirty can't leave the cache, and what fails is still told */
    return r == 0 && copy->target.has_offsets ? flush(copy) : r;
}

int verso__copy_sync_name(struct verso__copy *copy)
{
    struct verso__copy_target *target = &copy->target;
    bool is_new = !verso__copy_in_place(copy) || target->info.kind == 0;
    int directory, r = 0;

    if (!verso__copy_wants(copy, VERSO_COPY_DURABLE) || !target->has_offsets)
        return 0;
    if (is_new) {
        r = verso__copy_target_directory(target, &directory);
        if (r < 0)
            return verso__copy_fail_target(copy, r, "open directory", VERSO_OFFSET_NONE);
        r = verso__os_sync_full(directory);
        verso__os_close(directory);
    }
    if (r < 0)
        return verso__copy_fail_target(copy, r, "fsync directory", VERSO_OFFSET_NONE);
    copy->report.durable = 1;
    return 0;
}
