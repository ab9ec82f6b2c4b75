/* SPDX-License-Identifier: MIT */
/* map - every way of opening, using and closing one, with every call beneath it failing in turn. */
#include "torture.h"

#include <fcntl.h>
#include <unistd.h>
#include <verso/map.h>

#define FILE_BYTES ((uint64_t)100000)

static struct verso_map *opened(const char *path, const struct verso_map_options *options)
{
    struct verso_map *map = UNTOUCHED;

    attempt(verso_map_open(path, options, &map)) assert_ptr_equal(map, UNTOUCHED);
    return map;
}

static void open_and_read(unsigned flags, uint64_t offset, uint64_t length, uint64_t file_bytes)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;

    options.flags = flags;
    options.offset_bytes = offset;
    options.length_bytes = length;
    map = opened(support_file("file", file_bytes), &options);
    assert_int_equal(verso_map_bytes(map), length ? length : file_bytes - offset);
    assert_true(support_matches(verso_map_data(map), offset, verso_map_bytes(map)));
    verso_map_close(map);
}

static void read_only(void)
{
    open_and_read(0, 0, 0, FILE_BYTES);
}

static void part_of_a_file(void)
{
    open_and_read(VERSO_MAP_KEEP_FD, 5000, 6000, FILE_BYTES);
}

static void empty_file(void)
{
    open_and_read(VERSO_MAP_KEEP_FD, 0, 0, 0);
}

static void private_copy(void)
{
    open_and_read(VERSO_MAP_PRIVATE, 1, 0, FILE_BYTES);
}

static void executable(void)
{
    open_and_read(VERSO_MAP_EXEC, 0, 0, FILE_BYTES);
}

static void by_descriptor(void)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map = UNTOUCHED;
    int fd = open(support_file("file", FILE_BYTES), O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    options.flags = VERSO_MAP_WRITE;
    attempt(verso_map_open_fd(fd, &options, &map)) assert_ptr_equal(map, UNTOUCHED);
    assert_true(support_matches(verso_map_data(map), 0, FILE_BYTES));
    verso_map_close(map);
    assert_int_equal(close(fd), 0); /* it stayed the caller's */
}

static void test_open_read_only(void **state)
{
    (void)state;
    torture(read_only);
}

static void test_open_a_part(void **state)
{
    (void)state;
    torture(part_of_a_file);
}

static void test_open_an_empty_file(void **state)
{
    (void)state;
    torture(empty_file);
}

static void test_open_private(void **state)
{
    (void)state;
    torture(private_copy);
}

static void test_open_executable(void **state)
{
    (void)state;
    torture(executable);
}

static void test_open_by_descriptor(void **state)
{
    (void)state;
    torture(by_descriptor);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_open_read_only), torture_test(test_open_a_part),     torture_test(test_open_an_empty_file),
        torture_test(test_open_private),   torture_test(test_open_executable), torture_test(test_open_by_descriptor),
    };

    return run_test_list(list);
}
