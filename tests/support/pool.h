/* SPDX-License-Identifier: MIT */
/* pool.h - the machine's pool of huge pages, for tests that fill it: one at a time, and given back. */
#ifndef VERSO_TESTS_POOL_H
#define VERSO_TESTS_POOL_H

#include "os/os.h"
#include "support.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#define POOL "/proc/sys/vm/nr_hugepages"

/* Until the end of the test: the pool is this test's alone. */
static inline int hold_pool(void)
{
    static int fd = -1; /* a test that failed has not let it */

    if (fd < 0)
        fd = open(POOL, O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        assert_int_equal(flock(fd, LOCK_EX), 0);
    return fd;
}

static inline void let_pool(int fd)
{
    if (fd >= 0)
        assert_int_equal(flock(fd, LOCK_UN), 0);
}

static inline uint64_t pool_pages(void)
{
    uint64_t pages = 0;

    assert_int_equal(verso__os_setting("vm/nr_hugepages", &pages, NULL, 0), 0);
    return pages;
}

static inline bool set_pool(uint64_t pages)
{
    FILE *file = fopen(POOL, "we");
    bool done = file && fprintf(file, "%llu", (unsigned long long)pages) > 0;

    return file && fclose(file) == 0 && done && pool_pages() >= pages;
}

#endif
