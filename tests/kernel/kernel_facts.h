/* SPDX-License-Identifier: MIT */
/*
 * kernel_facts.h - what the tests of the kernel share.
 *
 * These tests use no verso: each proves, by plain system calls, one thing that verso takes for granted or that a
 * comment in src/ says of the kernel. When one fails on a new kernel, the code that leans on it is named by its test's
 * comment.
 */
#ifndef VERSO_TESTS_KERNEL_FACTS_H
#define VERSO_TESTS_KERNEL_FACTS_H

#include "support.h"

#include "os/linux/kernel.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static inline size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* A new file in the test's directory, opened for both, @pages long, written to the disk. */
static inline int file_of_pages(const char *name, size_t pages)
{
    int fd = open(support_file(name, pages * page_bytes()), O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fsync(fd), 0);
    return fd;
}

static inline unsigned char *mapped(int fd, size_t bytes, int protection, int flags)
{
    void *address = mmap(NULL, bytes, protection, flags, fd, 0);

    assert_ptr_not_equal(address, MAP_FAILED);
    return address;
}

static inline unsigned char *mapped_shared(int fd, size_t pages)
{
    return mapped(fd, pages * page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED);
}

/* A system call that fails: which errno, 0 when it worked. */
#define error_of(call) ((call) < 0 ? errno : 0)

/* The same of mmap; what it should not have mapped is unmapped again. */
static inline int mmap_error(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    void *got = mmap(address, bytes, protection, flags, fd, offset);

    if (got == MAP_FAILED)
        return errno;
    (void)munmap(got, bytes);
    return 0;
}

/* Page cache counts of a whole file; false where the kernel has no cachestat. */
static inline bool cache_counts(int fd, struct verso__cachestat *out_counts)
{
    struct verso__cachestat_range range = { 0, 0 };

    return syscall(SYS_cachestat, fd, &range, out_counts, 0U) == 0;
}

#define NOBODY 65534

/* Becomes an ordinary user for good; for children of support_child() only. True when it worked. */
static inline bool become_nobody(void)
{
    return setgid(NOBODY) == 0 && setuid(NOBODY) == 0 && geteuid() == NOBODY;
}

#endif
