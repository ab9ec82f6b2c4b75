/* SPDX-License-Identifier: MIT */
/*
 * info - what there is to know of a region, by who has it attached or by who only looks.
 *
 * Both read the same things through a descriptor. The only difference is that locks of one's own open file are not told
 * of by the kernel, so a member has to count itself.
 */
#include "share/region.h"

#include "base/options.h"

#include <errno.h>
#include <string.h>

static const uint32_t nobody = UINT32_MAX;

/* ---- Members ---- */

struct visit {
    int fd;
    const struct verso__share_header *made;
    int (*each)(const struct verso_share_member *member, void *arg);
    void *arg;
};

static void describe(const struct verso__share_place *place, uint32_t number, struct verso_share_member *out_member)
{
    *out_member = (struct verso_share_member){
        .number = number,
        .generation = atomic_load(&place->generation),
        .process = (int32_t)place->process,
        .user = place->user,
        .attached_ns = place->attached_ns,
        .is_same_namespace = place->namespace != 0 && place->namespace == verso__os_life_namespace(),
    };
    memcpy(out_member->name, place->name, sizeof(place->name));
    out_member->name[sizeof(out_member->name) - 1] = '\0';
}

/* A place whose lock is held, but by nobody who lives: forked children have the open file of one who died. */
static int visit_place(uint32_t number, void *arg)
{
    const struct visit *visit = arg;
    struct verso__share_place place;
    struct verso_share_member member;
    size_t done;
    int r = verso__os_read_at(visit->fd, visit->made->members_offset + number * sizeof(place), &place, sizeof(place),
                              &done);

    if (r < 0 || done < sizeof(place))
        return r < 0 ? r : -EIO;
    if (verso__share_place_is_gone(&place))
        return 0;
    describe(&place, number, &member);
    return visit->each(&member, visit->arg);
}

int verso__share_visit(int fd, const struct verso__share_header *made, uint32_t own,
                       int (*each)(const struct verso_share_member *member, void *arg), void *arg)
{
    struct visit visit = { fd, made, each, arg };

    return verso__share_each_member(fd, made, own, visit_place, &visit);
}

int verso_share_members(struct verso_share *share, int (*each)(const struct verso_share_member *member, void *arg),
                        void *arg)
{
    int r;

    if (!share || !each)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = verso__share_adopt_now(share);
    if (r < 0)
        return verso__fail(r, "fork", share->path);
    r = verso__share_visit(share->fd, &share->made, share->is_member ? share->member : nobody, each, arg);
    return r < 0 ? verso__fail(r, "members", share->path) : r;
}

int verso__share_member_describe(const struct verso_share *share, uint32_t number, uint32_t generation,
                                 struct verso_share_member *out_member)
{
    struct verso_share_member member;

    if (number >= share->made.member_count)
        return -ESRCH;
    describe(verso__share_place(share, number), number, &member);
    if (member.generation != generation)
        return -ESRCH;
    *out_member = member;
    return 0;
}

static int count_one(const struct verso_share_member *member, void *arg)
{
    unsigned *count = arg;

    (void)member;
    (*count)++;
    return 0;
}

/* ---- All of it ---- */

int verso__share_describe(int fd, const struct verso__share_header *made, uint32_t own,
                          const struct verso__os_file_info *file, struct verso_share_info *out_info)
{
    struct verso_share_info info = {
        .struct_bytes = sizeof(info),
        .version = made->version,
        .layout = made->layout,
        .bytes = made->bytes < made->most_bytes ? made->bytes : made->most_bytes,
        .most_bytes = made->most_bytes,
        .file_bytes = made->file_bytes,
        .allocated_bytes = file->allocated_bytes,
        .content_offset_bytes = made->content_offset,
        .created_ns = made->created_ns,
        .creator = (int32_t)made->creator,
        .owner = file->user,
        .mode = file->mode & 0777,
        .flags = made->flags,
        .member_room = made->member_count,
        .seat_room = made->seat_count,
        .is_named = file->link_count > 0,
        .pages_why = "",
    };
    int r = verso__share_visit(fd, made, own, count_one, &info.members);

    if (r == 0)
        r = verso__os_bytes_are_locked(fd, VERSO__SHARE_READER_BYTE, 1);
    if (r < 0)
        return r;
    info.has_readers = r;
    memcpy(info.kind, made->kind, sizeof(info.kind));
    *out_info = info;
    return 0;
}

static unsigned count_seats(struct verso_share *share)
{
    unsigned count = 0;

    for (uint32_t number = 0; number < verso__share_seats_made(share); number++) {
        struct verso__share_seat seat = { share, number, atomic_load(&verso__share_chair(share, number)->generation) };

        count += !verso__share_seat_is_dead(&seat);
    }
    return count;
}

int verso_share_info(struct verso_share *share, struct verso_share_info *out_info)
{
    struct verso__share_header made;
    struct verso__os_file_info file;
    struct verso_share_info info;
    int r;

    if (!share || !out_info)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (out_info->struct_bytes < sizeof(*out_info))
        return verso__fail(VERSO_E_OPTIONS, "info", NULL);
    r = verso__share_adopt_now(share);
    if (r < 0)
        return verso__fail(r, "fork", share->path);
    made = share->made;
    made.bytes = verso_share_bytes(share);
    r = verso__os_file_info(share->fd, &file);
    if (r < 0)
        return verso__fail(r, "stat", share->path);
    r = verso__share_describe(share->fd, &made, share->is_member ? share->member : nobody, &file, &info);
    if (r < 0)
        return verso__fail(r, "members", share->path);
    info.flags |= share->flags & ~(unsigned)VERSO_SHARE_KEEP; /* that is for who makes it to say */
    info.seats = count_seats(share);
    info.has_readers |= !share->is_member;
    info.was_abandoned = share->was_abandoned;
    info.pages_why = share->pages_why;
    info.struct_bytes = out_info->struct_bytes;
    *out_info = info;
    return 0;
}
