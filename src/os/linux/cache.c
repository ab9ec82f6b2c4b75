/* SPDX-License-Identifier: MIT */
/* cache - which pages of a file are in memory. */
#include "os/linux/kernel.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int verso__os_cache_counts(int fd, uint64_t offset, uint64_t bytes, struct verso__os_cache_counts *out_counts)
{
    struct verso__cachestat_range range = { offset, bytes };
    struct verso__cachestat counts;

    if (syscall(SYS_cachestat, fd, &range, &counts, 0U) < 0)
        return -errno;
    *out_counts = (struct verso__os_cache_counts){
        .cached_pages = counts.nr_cache,
        .dirty_pages = counts.nr_dirty,
        .writeback_pages = counts.nr_writeback,
        .evicted_pages = counts.nr_evicted,
        .recently_evicted_pages = counts.nr_recently_evicted,
    };
    return 0;
}

int verso__os_resident(void *address, size_t bytes, unsigned char *out_pages)
{
    int r;

    do
        r = mincore(address, bytes, out_pages);
    while (r < 0 && errno == EAGAIN);
    return r < 0 ? -errno : 0;
}

/*
 * mincore answers truly to the inode's owner (or CAP_FOWNER), and to who may write the file now (mm/mincore.c,
 * can_do_mincore). That @fd was once opened for writing is not enough: cachestat takes it, mincore does not. Asking by
 * name through /proc is asking about the inode behind @fd.
 */
int verso__os_residency_is_honest(int fd)
{
    struct stat status;
    char link[64];

    if (fstat(fd, &status) == 0 && status.st_uid == geteuid())
        return 1;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return faccessat(AT_FDCWD, link, W_OK, AT_EACCESS) == 0;
}
