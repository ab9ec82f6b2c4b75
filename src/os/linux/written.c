/* SPDX-License-Identifier: MIT */
/* written - userfaultfd's asynchronous write-protection: the kernel lifts it at the first store, with a fault but
 * without a message. Which pages are still protected, PAGEMAP_SCAN tells: see pages.c. */
#include "os/linux/kernel.h"
#include "os/os.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <unistd.h>

#define FEATURES                                                                                                    \
    (UFFD_FEATURE_PAGEFAULT_FLAG_WP | VERSO__UFFD_FEATURE_WP_HUGETLBFS_SHMEM | VERSO__UFFD_FEATURE_WP_UNPOPULATED | \
     VERSO__UFFD_FEATURE_WP_ASYNC)

int verso__os_write_watch_open(int *out_fd)
{
    struct uffdio_api api = { .api = UFFD_API, .features = FEATURES };
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    int error;

    if (fd < 0)
        return -errno;
    if (ioctl(fd, UFFDIO_API, &api) < 0) {
        error = -errno;
        (void)close(fd);
        return error;
    }
    *out_fd = fd;
    return 0;
}

int verso__os_write_watch_add(int fd, void *address, size_t bytes)
{
    struct uffdio_register whole = {
        .range = { .start = (uintptr_t)address, .len = bytes },
        .mode = UFFDIO_REGISTER_MODE_WP,
    };
    struct uffdio_writeprotect protect = { .range = whole.range, .mode = UFFDIO_WRITEPROTECT_MODE_WP };
    int error;

    if (ioctl(fd, UFFDIO_REGISTER, &whole) < 0)
        return -errno;
    if (ioctl(fd, UFFDIO_WRITEPROTECT, &protect) == 0)
        return 0;
    error = -errno;
    verso__os_write_watch_remove(fd, address, bytes);
    return error;
}

void verso__os_write_watch_remove(int fd, void *address, size_t bytes)
{
    struct uffdio_range range = { .start = (uintptr_t)address, .len = bytes };

    (void)ioctl(fd, UFFDIO_UNREGISTER, &range); /* fails for what is no longer mapped, and then nothing is left to do */
}
