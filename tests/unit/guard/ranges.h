/* SPDX-License-Identifier: MIT */
/* ranges.h - a mapped file in the guard's registry, for the guard's tests. After support.h. */
#ifndef VERSO_TESTS_RANGES_H
#define VERSO_TESTS_RANGES_H

#include "guard/guard.h"
#include "os/os.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

struct watched {
    unsigned char *data;
    size_t bytes;
    int fd;
    struct verso__guard_range range;
};

/* Maps @bytes of the open file @fd from its start, whatever its size, and has the guard watch it. */
static inline void watch_fd(struct watched *watched, int fd, size_t bytes, int protection, int how)
{
    void *data = mmap(NULL, bytes, protection, how, fd, 0);

    assert_true(data != MAP_FAILED);
    watched->data = data;
    watched->bytes = bytes;
    watched->fd = fd;
    verso__guard_range_init(&watched->range);
    watched->range.start = (uintptr_t)data;
    watched->range.end = (uintptr_t)data + bytes;
    watched->range.fd = fd;
    watched->range.access = VERSO__OS_ACCESS_READ | (protection & PROT_WRITE ? VERSO__OS_ACCESS_WRITE : 0U);
    assert_int_equal(verso__guard_range_add(&watched->range), 0);
}

/* The same for a new file of the pattern, shared and writable. */
static inline void watch_file(struct watched *watched, const char *name, size_t bytes)
{
    int fd = open(support_file(name, bytes), O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    watch_fd(watched, fd, bytes, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static inline void unwatch(struct watched *watched)
{
    verso__guard_range_drop(&watched->range);
    assert_int_equal(munmap(watched->data, watched->bytes), 0);
    assert_int_equal(close(watched->fd), 0);
}

/* Cuts the file; pages wholly past the new end fault from now on. */
static inline void cut(const struct watched *watched, uint64_t bytes)
{
    assert_int_equal(ftruncate(watched->fd, (off_t)bytes), 0);
}

/* cmocka puts its own SIGBUS handler in place around every fixture and test, so a guard lives within one test. */
static inline void guard_on(void)
{
    assert_ok(verso_guard_install());
    assert_int_equal(verso_guard_state(), VERSO_GUARD_ACTIVE);
}

static inline void guard_off(void)
{
    assert_ok(verso_guard_remove());
    assert_int_equal(verso_guard_state(), VERSO_GUARD_ABSENT);
}

#endif
