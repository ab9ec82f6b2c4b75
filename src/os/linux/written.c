/* SPDX-License-Identifier: MIT */
/* written - userfaultfd's asynchronous write-protection: the kernel lifts it at the first store, with a fault but
 * without a message. Which pages are still protected, PAGEMAP_SCAN tells: see pages.c. */
#include "os/linux/kernel.h"
#include "os/os.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdatomic.h>
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

/* ---- What this kernel tells of what was dropped ---- */

/* Memory that never had a page table, watched but not protected: nothing could be more absent. */
static int ask_of_absent(int watch_fd, int pagemap_fd, unsigned char *memory, size_t bytes)
{
    struct uffdio_register whole = {
        .range = { .start = (uintptr_t)memory, .len = bytes },
        .mode = UFFDIO_REGISTER_MODE_WP,
    };
    struct verso__os_page_run run = { 0, 0, 0 };
    uint64_t walked;
    size_t count;
    int r;

    if (ioctl(watch_fd, UFFDIO_REGISTER, &whole) < 0)
        return -errno;
    r = verso__os_written_scan(pagemap_fd, (uintptr_t)memory, (uintptr_t)memory + bytes, false, &run, 1, &count,
                               &walked);
    if (r < 0)
        return r;
    return count == 1 && run.start == (uintptr_t)memory && run.end == run.start + bytes;
}

static int try_absent(int watch_fd)
{
    size_t bytes = verso__os_huge_page_bytes() ? 2 * verso__os_huge_page_bytes() : (size_t)4 << 20;
    int r, pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    void *memory;

    if (pagemap_fd < 0)
        return -errno;
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        r = -errno;
    } else {
        r = ask_of_absent(watch_fd, pagemap_fd, memory, bytes);
        (void)munmap(memory, bytes);
    }
    (void)close(pagemap_fd);
    return r;
}

int verso__os_written_tells_dropped(void)
{
    enum {
        UNKNOWN = -1
    };
    static atomic_int known = UNKNOWN;
    int answer = atomic_load_explicit(&known, memory_order_relaxed), watch_fd = -1;

    if (answer != UNKNOWN)
        return answer;
    answer = verso__os_write_watch_open(&watch_fd);
    if (answer < 0)
        return answer;
    answer = try_absent(watch_fd);
    (void)close(watch_fd);
    if (answer >= 0)
        atomic_store_explicit(&known, answer, memory_order_relaxed);
    return answer;
}
