/* SPDX-License-Identifier: MIT */
/* failing - storage that fails in the middle, memory that is not to be had: told where, nothing kept. */
#include "support.h"

#include "os/fake/fake.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>
#include <verso/cache.h>

#define STRETCH_BYTES ((uint64_t)8 << 20) /* what is mapped at a time */
#define READ_BYTES ((uint64_t)64 << 10)   /* what is read at a time */

static int open_file(uint64_t bytes)
{
    int fd = open(support_file("f", bytes), O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static void test_a_failing_read_says_where(void **state)
{
    int fd = open_file(STRETCH_BYTES + 3 * READ_BYTES), r;

    (void)state;
    fake_begin();
    fake_fail_call("populate", -EFAULT, 1); /* so the first stretch is read */
    fake_fail_nth(8, -EIO);                 /* fstat, map, advise, populate, malloc, two reads, and then */
    r = verso_cache_fetch(fd, 0, 0);
    fake_end();
    assert_string_equal(fake_failed_call(), "read_at");
    assert_fails_in(r, -EIO, "read");
    assert_int_equal(verso_error_last()->offset_bytes, 2 * READ_BYTES);
    fake_reset();
    close(fd);
}

/* A kernel, or a kind of file, that does not do it the quick way costs time and nothing else. */
static void test_what_cannot_be_mapped_is_read(void **state)
{
    const struct {
        const char *call;
        int error;
    } ways[] = { { "map", -ENODEV }, { "populate", -EINVAL }, { "advise", -EINVAL } };
    int fd = open_file(2 * STRETCH_BYTES + 5);

    (void)state;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        fake_fail_call(ways[i].call, ways[i].error, UINT_MAX);
        assert_ok(verso_cache_fetch(fd, 7, 0));
        fake_reset();
    }
    close(fd);
}

static void test_failing_write_back_drops_nothing(void **state)
{
    int fd = open_file(100);

    (void)state;
    fake_fail_call("write_back", -ENOSPC, 1);
    fake_fail_call("cache_drop", -EINVAL, 1);
    assert_fails_in(verso_cache_drop(fd, 0, 0, VERSO_CACHE_WRITE_BACK), -ENOSPC, "sync_file_range");
    assert_fails_in(verso_cache_drop(fd, 0, 0, VERSO_CACHE_WRITE_BACK), -EINVAL, "posix_fadvise");
    fake_reset();
    close(fd);
}

static void test_no_memory(void **state)
{
    int fd = open_file(100), r;

    (void)state;
    fake_begin();
    fake_fail_call("map", -ENODEV, 1);
    fake_fail_call("malloc", -ENOMEM, 1);
    r = verso_cache_fetch(fd, 0, 0);
    fake_end();
    fake_reset();
    assert_fails_in(r, -ENOMEM, "malloc");
    close(fd);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_failing_read_says_where),
        cmocka_unit_test(test_what_cannot_be_mapped_is_read),
        cmocka_unit_test(test_failing_write_back_drops_nothing),
        cmocka_unit_test(test_no_memory),
    };

    return run_test_list(list);
}
