/* SPDX-License-Identifier: MIT */
/*
 * allocate - real disk space under a range, before anybody stores into it.
 *
 *      |data....|  hole  |data....|   hole   |  past the end  |
 *               ^------^          ^---------------------------^   fallocate here
 *
 * A mapped hole gets its block when the page is first stored to; on a full disk that store is a SIGBUS. Asking first
 * makes it an error code. fallocate() leaves data alone and so is safe beside other writers.
 *
 * Where the file system has no fallocate, pages in the holes are faulted in for writing, which takes the same space
 * and changes no byte. Never by writing zeros: what another process has put there since we looked would be lost.
 */
#include "map/map.h"

#include "base/sums.h"

#include <errno.h>

/* How much of a file is mapped at a time for faulting in. */
#define WINDOW_BYTES ((uint64_t)32 << 20)

/* Whole pages, within the file but for the end of the last one. */
static int fault_in(int fd, uint64_t offset, size_t bytes)
{
    void *address;
    int r;

    r = verso__os_map(NULL, bytes, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE, VERSO__OS_MAP_SHARED, fd, offset,
                      &address);
    if (r < 0)
        return r;
    r = verso__os_populate(address, bytes, true);
    (void)verso__os_unmap(address, bytes);
    if (r == -EINVAL)
        return -EOPNOTSUPP;            /* a kernel before 5.14 can't fault in without risking a signal */
    return r == -EFAULT ? -ENOSPC : r; /* the file is long enough, so it is space that is missing */
}

/* Without fallocate. @file_bytes: how long it is now. */
static int fill_by_faults(int fd, uint64_t offset, uint64_t end, uint64_t file_bytes)
{
    uint64_t page = verso__os_page_bytes();
    uint64_t last = verso__round_down(end + page - 1, page);
    int r = 0;

    if (end > file_bytes)
        r = verso__os_truncate(fd, end);
    for (uint64_t at = verso__round_down(offset, page); r == 0 && at < last; at += WINDOW_BYTES)
        r = fault_in(fd, at, (size_t)verso__min_u64(last - at, WINDOW_BYTES));
    return r;
}

static int fill(int fd, uint64_t offset, uint64_t end, uint64_t file_bytes)
{
    int r = verso__os_allocate(fd, offset, end - offset);

    return r == -EOPNOTSUPP ? fill_by_faults(fd, offset, end, file_bytes) : r;
}

/* Fills the holes in [at, end), which lies within the file. */
static int fill_within(int fd, uint64_t at, uint64_t end)
{
    uint64_t hole, data;
    int r = 0;

    while (at < end) {
        r = verso__os_next_hole(fd, at, &hole);
        if (r == -ENXIO || (r == 0 && hole >= end))
            return 0; /* ENXIO: cut short meanwhile, so nothing is left to fill */
        if (r < 0)
            break;
        at = verso__os_next_data(fd, hole, &data) == 0 ? verso__min_u64(data, end) : end;
        r = at > hole ? fill(fd, hole, at, end) : 0; /* else somebody has just stored there */
        if (r < 0)
            return r;
    }
    if (r < 0) { /* holes can't be seen; a file system that has them has fallocate as well */
        r = verso__os_allocate(fd, at, end - at);
        r = r == -EOPNOTSUPP ? 0 : r;
    }
    return r;
}

int verso__map_allocate(int fd, uint64_t offset, uint64_t bytes, uint64_t file_bytes)
{
    uint64_t end = offset + bytes; /* callers have checked the sum */
    int r;

    r = fill_within(fd, offset, verso__min_u64(end, file_bytes));
    if (r == 0 && end > file_bytes)
        r = fill(fd, verso__max_u64(offset, file_bytes), end, file_bytes);
    return r;
}

int verso__map_fill_holes(int fd, bool position_is_ours, uint64_t offset, uint64_t bytes, uint64_t file_bytes)
{
    int own, r;

    if (position_is_ours)
        return verso__map_allocate(fd, offset, bytes, file_bytes);
    if (verso__os_reopen(fd, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE, &own) == 0) {
        r = verso__map_allocate(own, offset, bytes, file_bytes);
        verso__os_close(own);
        return r;
    }
    r = verso__os_allocate(fd, offset, bytes);
    return r == -EOPNOTSUPP ? 0 : r; /* such a file system has its own way with holes, and none can be seen */
}

int verso__map_ungrow(int fd, uint64_t before, uint64_t wanted)
{
    struct verso__os_file_info now;
    int r = verso__os_file_info(fd, &now);

    /* Past our own mark another process has made it longer: then it is no longer ours to cut. */
    if (r == 0 && now.bytes > before && now.bytes <= wanted)
        r = verso__os_truncate(fd, before);
    return r;
}
