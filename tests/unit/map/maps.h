/* SPDX-License-Identifier: MIT */
/* maps.h - what the tests of maps share. */
#ifndef VERSO_TESTS_MAPS_H
#define VERSO_TESTS_MAPS_H

#include "support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <verso.h>

/* What an output holds before a call that must not touch it. */
#define UNTOUCHED ((struct verso_map *)(uintptr_t)0x5a5a)

static inline struct verso_map_options options_with(unsigned flags)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;

    options.flags = flags;
    return options;
}

static inline struct verso_map_options options_of(unsigned flags, uint64_t offset, uint64_t length)
{
    struct verso_map_options options = options_with(flags);

    options.offset_bytes = offset;
    options.length_bytes = length;
    return options;
}

static inline struct verso_map_info info_of(const struct verso_map *map)
{
    struct verso_map_info info = VERSO_MAP_INFO_INIT;

    assert_ok(verso_map_info(map, &info));
    return info;
}

/* Opening fails so, and leaves the output alone. */
#define assert_open_fails(path, options, code, step)                             \
    do {                                                                         \
        struct verso_map *map_wanted = UNTOUCHED;                                \
        assert_fails_in(verso_map_open(path, options, &map_wanted), code, step); \
        assert_ptr_equal(map_wanted, UNTOUCHED);                                 \
    } while (0)

#define assert_open_fd_fails(fd, options, code, step)                             \
    do {                                                                          \
        struct verso_map *map_wanted = UNTOUCHED;                                 \
        assert_fails_in(verso_map_open_fd(fd, options, &map_wanted), code, step); \
        assert_ptr_equal(map_wanted, UNTOUCHED);                                  \
    } while (0)

/* The last record's hint holds this. */
static inline void assert_hint(const char *part)
{
    if (!strstr(verso_error_last()->hint, part)) {
        print_error("the hint is \"%s\", without \"%s\"\n", verso_error_last()->hint, part);
        fail();
    }
}

static inline struct stat status_of(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return status;
}

/* A file that is one hole. */
static inline const char *sparse_file(const char *name, uint64_t bytes)
{
    const char *path = support_path(name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(close(fd), 0);
    return path;
}

/* The file's bytes at an offset, read as anybody else would. */
static inline void read_at(const char *path, uint64_t offset, void *out, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, out, bytes, (off_t)offset), (ssize_t)bytes);
    assert_int_equal(close(fd), 0);
}

/* The signal that touching a byte in a child raises; 0: none. */
struct touched {
    volatile unsigned char *byte;
    bool for_writing;
};

static inline int touch_in_child(void *arg)
{
    const struct touched *touched = arg;

    if (touched->for_writing)
        *touched->byte = 1;
    else
        (void)*touched->byte;
    return 0;
}

static inline int signal_of_touch(const void *byte, bool for_writing)
{
    struct touched touched = { (volatile unsigned char *)(uintptr_t)byte, for_writing };
    int status = support_child(touch_in_child, &touched);

    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

#endif
