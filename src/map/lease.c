/* SPDX-License-Identifier: MIT */
/*
 * lease - others who want to write must wait.
 *
 *      we: F_SETLEASE ---------------- check: VERSO_E_LEASE -- settle: copy, unlease
 *                         \                                       \
 *      others:             open for writing . . . . waits . . . .  goes on
 *
 * Granted only while nobody has the file open for writing, so while it stands the content is fixed: not by watching for
 * changes, but because there is nobody to make them. It belongs to an open file, so ours is opened for it alone; the
 * caller's descriptor is left as it is.
 */
#include "map/stability.h"

#include <errno.h>

static const char *refusal(int error)
{
    switch (error) {
    case -EAGAIN:
        return "the file is open for writing somewhere, so no lease was given";
    case -EACCES:
    case -EPERM:
        return "leases are given to the file's owner only (or with CAP_LEASE)";
    default:
        return "this file system, or this kind of file, knows no leases";
    }
}

int verso__map_lease_take(int fd, struct verso__map_lease *out_lease, const char **out_why)
{
    struct verso__map_lease lease;
    int r;

    r = verso__os_reopen(fd, VERSO__OS_OPEN_READ, &lease.fd);
    if (r < 0) {
        *out_why = "the file could not be opened once more for a lease";
        return r;
    }
    r = verso__os_lease_take(lease.fd);
    if (r < 0)
        *out_why = refusal(r);
    if (r == 0) {
        r = verso__os_file_info(lease.fd, &lease.witness);
        if (r < 0)
            *out_why = "the file could not be looked at";
    }
    if (r == 0 &&
        lease.witness.link_count == 0) { /* memfd_create()'s own descriptor is not counted among the writers */
        r = -EAGAIN;
        *out_why = "a file without a name may have writers that the kernel does not count";
    }
    if (r < 0) {
        verso__map_lease_end(&lease);
        return r;
    }
    *out_lease = lease;
    return 0;
}

void verso__map_lease_end(struct verso__map_lease *lease)
{
    if (lease->fd < 0)
        return;
    verso__os_lease_drop(lease->fd); /* by name, not by closing: a child of fork() may hold the open file, too */
    verso__os_close(lease->fd);
    lease->fd = -1;
}

/* While a lease is being broken the content still stands. Its end is not always told apart; the times tell then. */
bool verso__map_lease_kept(const struct verso__map_lease *lease)
{
    const struct verso__os_file_info *then = &lease->witness;
    struct verso__os_file_info now;
    int state = verso__os_lease_state(lease->fd);

    if (state == 0)
        return true;
    if (verso__os_file_info(lease->fd, &now) < 0 || now.bytes != then->bytes || now.modified_ns != then->modified_ns)
        return false;
    return state == -EAGAIN || now.changed_ns == then->changed_ns;
}

void verso__map_lease_drop(struct verso_map *map)
{
    struct verso__map_lease lease = { .fd = map->lease_fd };

    verso__map_lease_end(&lease);
    map->lease_fd = -1;
}
