/* SPDX-License-Identifier: MIT */
/*
 * member - places that processes hold by a lock of the kernel's.
 *
 * The lock belongs to the open file, so it goes when the last descriptor of it is closed: at the latest when the
 * process has died, in whatever way. A child of fork() has that open file, too; until it becomes a member of its own,
 * its parent's death shows by pid and start time only.
 */
#include "share/region.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#define TRY_NS UINT64_C(2000000000)
#define PAUSE_NS UINT64_C(2000000)

int verso__share_lock(int fd, uint64_t byte, enum verso__os_byte_lock lock)
{
    static const _Atomic uint32_t nobody_wakes;
    uint64_t now = verso__os_clock_ns(), end = now + TRY_NS;
    int r;

    while ((r = verso__os_byte_lock(fd, byte, lock)) == -EAGAIN && now < end) {
        (void)verso__os_futex_wait(&nobody_wakes, 0, now + PAUSE_NS, 0);
        now = verso__os_clock_ns();
    }
    return r == -EAGAIN ? -EBUSY : r;
}

/* ---- One's own place ---- */

static void sign(struct verso_share *share, uint32_t number)
{
    struct verso__share_place *place = verso__share_place(share, number);
    struct verso__os_life_mark mark;
    uint32_t generation = atomic_load(&place->generation) + 1;

    if (generation == 0)
        generation = 1;
    verso__os_life_mark(&mark);
    place->process = mark.process;
    place->user = verso__os_user();
    place->start_ticks = mark.start_ticks;
    place->namespace = mark.namespace;
    place->attached_ns = verso__os_date_ns();
    memcpy(place->name, mark.command, sizeof(place->name));
    atomic_store(&place->generation, generation);
    share->member = number;
    share->member_generation = generation;
    share->is_member = true;
    atomic_store_explicit(&share->forks, verso__os_forks(), memory_order_release);
}

int verso__share_join(struct verso_share *share)
{
    for (uint32_t number = 0; number < share->made.member_count; number++) {
        int r = verso__os_byte_lock(share->fd, VERSO__SHARE_MEMBER_BYTE + number, VERSO__OS_BYTE_EXCLUSIVE);

        if (r == 0) {
            sign(share, number);
            return 0;
        }
        if (r != -EAGAIN)
            return r;
    }
    return -EUSERS;
}

void verso__share_leave(struct verso_share *share)
{
    if (!share->is_member || !verso__share_is_own(share))
        return;
    verso__share_place(share, share->member)->process = 0;
    share->is_member = false;
    verso__os_byte_unlock(share->fd, VERSO__SHARE_MEMBER_BYTE + share->member);
}

/* An open file of its own first: locks taken on the parent's would be the parent's. */
int verso__share_adopt(struct verso_share *share)
{
    int parents = share->fd, r, fd;

    if (!share->is_member || verso__share_is_own(share))
        return 0;
    r = verso__os_reopen(parents, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE, &fd);
    if (r < 0)
        return r;
    share->fd = fd;
    r = verso__share_join(share);
    if (r < 0)
        share->fd = parents;
    else
        verso__share_forget_seats(share);
    verso__os_close(r < 0 ? fd : parents);
    return r;
}

int verso__share_adopt_now(struct verso_share *share)
{
    int r;

    if (!share->is_member || verso__share_is_own(share))
        return 0;
    verso__share_list_lock();
    r = verso__share_adopt(share);
    verso__share_list_unlock();
    return r;
}

int verso__share_member_here(struct verso_share *share, uint32_t *out_number, uint32_t *out_generation)
{
    int r = share->is_member ? verso__share_adopt_now(share) : VERSO_E_READ_ONLY;

    if (r < 0)
        return r;
    *out_number = share->member;
    *out_generation = share->member_generation;
    return 0;
}

/* ---- Others ---- */

/* By an id: proof only where ids mean the same. */
static bool is_gone(uint32_t id, uint64_t start_ticks, uint64_t namespace)
{
    return id != 0 && namespace != 0 && namespace == verso__os_life_namespace() && verso__os_is_gone(id, start_ticks);
}

bool verso__share_place_is_gone(const struct verso__share_place *place)
{
    return is_gone(place->process, place->start_ticks, place->namespace);
}

bool verso__share_thread_is_gone(const struct verso_share *share, uint32_t number, uint32_t member)
{
    const struct verso__share_chair *chair = verso__share_chair(share, number);

    return is_gone(atomic_load(&chair->thread), atomic_load(&chair->thread_start_ticks),
                   verso__share_place(share, member)->namespace);
}

/* Another open file holds this byte, or it can't be known: this process has still its parent's. */
static bool may_be_locked(const struct verso_share *share, uint64_t byte)
{
    if (share->is_member && !verso__share_is_own(share))
        return true;
    return verso__os_bytes_are_locked(share->fd, byte, 1) != 0;
}

bool verso__share_member_is_dead(const struct verso_share *share, uint32_t number, uint32_t generation)
{
    const struct verso__share_place *place;

    if (number >= share->made.member_count)
        return true;
    place = verso__share_place(share, number);
    if (atomic_load(&place->generation) != generation)
        return true;
    if (share->is_member && verso__share_is_own(share) && number == share->member)
        return false;
    return !may_be_locked(share, VERSO__SHARE_MEMBER_BYTE + number) || verso__share_place_is_gone(place);
}

/* The id is looked at again when the descriptor is there: then it is that process's, or the process has ended. */
int verso__share_member_open(const struct verso_share *share, uint32_t number, uint32_t generation, int *out_fd)
{
    struct verso__share_place place;
    int fd, r;

    if (number >= share->made.member_count || (share->is_member && number == share->member))
        return -ESRCH;
    place = *verso__share_place(share, number);
    if (place.namespace == 0 || place.namespace != verso__os_life_namespace())
        return -EXDEV;
    if (place.process == 0 || place.process > INT_MAX)
        return -ESRCH;
    r = verso__os_process_open((pid_t)place.process, &fd);
    if (r < 0)
        return r;
    if (verso__share_place_is_gone(&place) || verso__share_member_is_dead(share, number, generation)) {
        verso__os_close(fd);
        return -ESRCH;
    }
    *out_fd = fd;
    return 0;
}

int verso__share_each_member(int fd, const struct verso__share_header *made, uint32_t own,
                             int (*each)(uint32_t number, void *arg), void *arg)
{
    int r = 0;

    for (uint32_t number = 0; number < made->member_count && r == 0; number++) {
        r = number == own ? 1 : verso__os_bytes_are_locked(fd, VERSO__SHARE_MEMBER_BYTE + number, 1);
        if (r > 0)
            r = each(number, arg);
    }
    return r;
}

int verso__share_is_abandoned(int fd, const struct verso__share_header *made)
{
    int r = verso__os_bytes_are_locked(fd, VERSO__SHARE_MEMBER_BYTE, made->member_count);

    if (r == 0)
        r = verso__os_bytes_are_locked(fd, VERSO__SHARE_READER_BYTE, 1);
    return r < 0 ? r : r == 0;
}
