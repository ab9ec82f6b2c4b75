/* SPDX-License-Identifier: MIT */
/*
 * attach - from an open file to a member.
 *
 * One lock byte of the file is the gate: who attaches holds it shared until it is a member, who takes the name away
 * holds it alone. So nobody attaches to what is just being removed, and nobody removes what is just being attached to.
 */
#include "share/region.h"

#include "huge/huge.h"

#include <errno.h>

/* ---- Mapping ---- */

int verso__share_settle(struct verso_share *share, struct verso__share_trouble *trouble)
{
    void *content = share->base + share->made.content_offset;
    size_t most = share->span_bytes - (size_t)share->made.content_offset, page = share->made.page_bytes;
    size_t bytes = (size_t)(verso_share_bytes(share) + page - 1) / page * page;
    int r = 0;

    share->pages_why = "";
    if (share->flags & VERSO_SHARE_HUGE || share->made.flags & VERSO_SHARE_HUGE) {
        (void)verso__os_advise(content, bytes, VERSO__OS_ADVICE_COLLAPSE); /* memory that came in small pages before */
        share->pages_why = verso__huge_try(VERSO__HUGE_OF_MEMORY_FILE, content, most, 0);
        if (!share->pages_why)
            share->pages_why = "";
    }
    if (share->flags & VERSO_SHARE_NO_CORE) {
        trouble->step = "madvise";
        r = verso__os_advise(share->base, share->span_bytes, VERSO__OS_ADVICE_NO_CORE);
    }
    if (r < 0 || !(share->flags & VERSO_SHARE_LOCK))
        return r;
    trouble->step = "mlock"; /* what is grown later comes in when it is touched, and stays */
    r = verso__os_lock(content, most, true);
    return r < 0 ? r : verso__os_populate(content, bytes, false);
}

int verso__share_map(struct verso_share *share, struct verso__share_trouble *trouble)
{
    unsigned access = VERSO__OS_ACCESS_READ | (share->flags & VERSO_SHARE_READ_ONLY ? 0 : VERSO__OS_ACCESS_WRITE);
    size_t align = share->made.flags & VERSO_SHARE_HUGE ? verso__os_huge_page_bytes() : 0;
    void *base;
    int r;

    trouble->step = "mmap";
    share->span_bytes = (size_t)share->made.file_bytes;
    r = verso__os_reserve(share->span_bytes, align ? align : share->made.page_bytes, &base);
    if (r < 0)
        return r;
    share->base = base;
    return verso__os_map(base, share->span_bytes, access, VERSO__OS_MAP_OVER | VERSO__OS_MAP_SHARED, share->fd, 0,
                         &base);
}

/* ---- Attaching ---- */

int verso__share_check_is_file(const struct verso__os_file_info *info, struct verso__share_trouble *trouble)
{
    if (info->kind == VERSO__OS_FILE_REGULAR)
        return 0;
    trouble->hint = "that is no file";
    return VERSO_E_FORMAT;
}

static int check_owner(const struct verso__os_file_info *info, unsigned flags, struct verso__share_trouble *trouble)
{
    int r = verso__share_check_is_file(info, trouble);

    trouble->step = "owner";
    if (r < 0)
        return r;
    return info->user == verso__os_user() || info->user == 0 || flags & VERSO_SHARE_ANY_OWNER ? 0 : VERSO_E_OWNER;
}

/* What has a name, its owner could cut; and he has been looked at. What has none may come from anybody. */
static int check_seals(int fd, bool must_be_sealed, struct verso__share_trouble *trouble)
{
    const unsigned wanted = VERSO__OS_SEAL_SHRINK | VERSO__OS_SEAL_GROW | VERSO__OS_SEAL_SEAL;
    unsigned seals;
    int r;

    trouble->step = "seals";
    if (!must_be_sealed)
        return 0;
    r = verso__os_seals_get(fd, &seals);
    if (r < 0 && r != -EINVAL)
        return r;
    return r == 0 && (seals & wanted) == wanted ? 0 : VERSO_E_UNSEALED;
}

int verso__share_read(int fd, const struct verso_share_options *options, struct verso__share_header *out_made,
                      struct verso__os_file_info *out_info, struct verso__share_trouble *trouble)
{
    size_t done;
    int r;

    trouble->step = "stat";
    r = verso__os_file_info(fd, out_info);
    if (r == 0)
        r = check_owner(out_info, options->flags, trouble);
    if (r == 0)
        r = check_seals(fd, out_info->link_count == 0, trouble);
    if (r < 0)
        return r;
    trouble->step = "read";
    r = verso__os_read_at(fd, 0, out_made, sizeof(*out_made), &done);
    if (r == 0 && done < sizeof(*out_made)) {
        trouble->hint = "the file is shorter than any region";
        r = VERSO_E_FORMAT;
    }
    if (r == 0)
        r = verso__share_check(out_made, out_info->bytes, trouble);
    return r;
}

static int read_made(struct verso_share *share, const struct verso_share_options *options,
                     struct verso__share_trouble *trouble)
{
    struct verso__os_file_info info;
    int r;

    trouble->step = "stat";
    r = verso__os_file_info(share->fd, &info);
    if (r == 0 && share->path && info.link_count == 0)
        r = -ENOENT; /* removed since it was opened */
    if (r == 0)
        r = verso__share_read(share->fd, options, &share->made, &info, trouble);
    return r == 0 ? verso__share_check_kind(&share->made, options, trouble) : r;
}

/* With the gate held. */
static int enter(struct verso_share *share, const struct verso_share_options *options,
                 struct verso__share_trouble *trouble)
{
    int r = read_made(share, options, trouble);

    if (r < 0)
        return r;
    trouble->step = "lock";
    r = verso__share_is_abandoned(share->fd, &share->made);
    if (r < 0)
        return r;
    share->was_abandoned = r > 0;
    share->flags = options->flags;
    r = verso__share_map(share, trouble);
    if (r < 0)
        return r;
    trouble->step = "lock";
    r = share->flags & VERSO_SHARE_READ_ONLY
            ? verso__os_byte_lock(share->fd, VERSO__SHARE_READER_BYTE, VERSO__OS_BYTE_SHARED)
            : verso__share_join(share);
    return r;
}

int verso__share_attach(struct verso_share *share, const struct verso_share_options *options,
                        struct verso__share_trouble *trouble)
{
    int r;

    trouble->step = "lock";
    r = verso__share_lock(share->fd, VERSO__SHARE_GATE_BYTE, VERSO__OS_BYTE_SHARED);
    if (r < 0)
        return r;
    r = enter(share, options, trouble);
    verso__os_byte_unlock(share->fd, VERSO__SHARE_GATE_BYTE);
    return r < 0 ? r : verso__share_settle(share, trouble);
}

int verso__share_see(struct verso_share *share, const struct verso_share_options *options,
                     struct verso__share_trouble *trouble)
{
    int r = read_made(share, options, trouble);

    share->flags = options->flags;
    if (r == VERSO_E_UNSEALED)
        return -ENOENT; /* without the gate: it was removed just now */
    return r < 0 ? r : verso__share_map(share, trouble);
}

/* ---- Names that go ---- */

int verso__share_unlink_own(int fd, const char *path)
{
    struct verso__os_file_info mine, named;
    int r = verso__os_file_info(fd, &mine);

    if (r == 0)
        r = verso__os_path_info(path, false, &named);
    if (r == 0 && (mine.device != named.device || mine.inode != named.inode))
        return -ENOENT;
    return r < 0 ? r : verso__os_remove(path);
}

/* Who has the gate may be another that leaves and saw us still here, or one that comes and will be refused: either
 * would leave the name to nobody. So it is waited for. */
int verso__share_remove_if_abandoned(int fd, const struct verso__share_header *made, const char *path)
{
    int r = verso__share_lock(fd, VERSO__SHARE_GATE_BYTE, VERSO__OS_BYTE_EXCLUSIVE);

    if (r < 0)
        return r;
    r = verso__share_is_abandoned(fd, made);
    if (r > 0)
        r = verso__share_unlink_own(fd, path) == 0;
    verso__os_byte_unlock(fd, VERSO__SHARE_GATE_BYTE);
    return r;
}
