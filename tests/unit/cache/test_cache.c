/* SPDX-License-Identifier: MIT */
/* cache - files in and out, counted by the kernel. */
#include "support.h"

#include "os/os.h"

#include <fcntl.h>
#include <unistd.h>
#include <verso/cache.h>

#define PAGES 64

static uint64_t page_bytes(void)
{
    return verso_page_bytes();
}

static int open_file(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);

    assert_true(fd >= 0);
    return fd;
}

static struct verso__os_cache_counts counts_of(int fd, uint64_t offset, uint64_t bytes)
{
    struct verso__os_cache_counts counts;

    assert_int_equal(verso__os_cache_counts(fd, offset, bytes, &counts), 0);
    return counts;
}

/* What tmpfs holds can't be dropped, and before Linux 6.5 nobody counts. */
static void need_counts_and_disk(int fd)
{
    struct verso__os_cache_counts counts;

    if (verso__os_cache_counts(fd, 0, 0, &counts) < 0)
        skip_because("this kernel does not count cached pages (cachestat)");
    assert_int_equal(fsync(fd), 0);
    assert_ok(verso_cache_drop(fd, 0, 0, VERSO_CACHE_WRITE_BACK));
    if (counts_of(fd, 0, 0).cached_pages == PAGES)
        skip_because("the test's directory is memory itself: what it holds can't be dropped");
}

/* Fetches, and answers how much of a range is there then. The kernel may take a clean page back at any time, so what
 * counts is that all of it was there once. */
static uint64_t fetched(int fd, uint64_t offset, uint64_t length, uint64_t first_page, uint64_t end_page)
{
    uint64_t wanted = end_page - first_page, cached = 0;

    for (int i = 0; i < 10 && cached < wanted; i++) {
        assert_ok(verso_cache_fetch(fd, offset, length));
        cached = counts_of(fd, first_page * page_bytes(), wanted * page_bytes()).cached_pages;
    }
    return cached;
}

static void test_drop_and_fetch(void **state)
{
    int fd = open_file(support_file("f", PAGES * page_bytes()), O_RDONLY);

    (void)state;
    need_counts_and_disk(fd);
    assert_int_equal(counts_of(fd, 0, 0).cached_pages, 0);
    assert_int_equal(fetched(fd, 0, 0, 0, PAGES), PAGES);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
    assert_ok(verso_cache_drop(fd, 0, 0, 0));
    assert_int_equal(counts_of(fd, 0, 0).cached_pages, 0);
    close(fd);
}

/* Readahead may bring more than asked for, never less. */
static void test_fetch_of_a_range(void **state)
{
    const uint64_t lengths[] = { 1, page_bytes() - 1, page_bytes(), page_bytes() + 1 };
    int fd = open_file(support_file("f", PAGES * page_bytes()), O_RDONLY);

    (void)state;
    need_counts_and_disk(fd);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint64_t offset = 16 * page_bytes() + 7;
        uint64_t first = offset / page_bytes(), last = (offset + lengths[i] - 1) / page_bytes();

        assert_ok(verso_cache_drop(fd, 0, 0, 0));
        assert_int_equal(fetched(fd, offset, lengths[i], first, last + 1), last - first + 1);
    }
    close(fd);
}

static void test_ranges_past_the_end(void **state)
{
    int fd = open_file(support_file("f", 100), O_RDONLY), empty = open_file(support_file("empty", 0), O_RDONLY);

    (void)state;
    assert_ok(verso_cache_fetch(fd, 50, 1000000));
    assert_ok(verso_cache_fetch(fd, 100, 1));
    assert_ok(verso_cache_fetch(fd, INT64_MAX - 1, 1));
    assert_ok(verso_cache_fetch(fd, INT64_MAX, 0));
    assert_ok(verso_cache_fetch(empty, 0, 0));
    assert_ok(verso_cache_drop(fd, 1000000, 5, 0));
    assert_ok(verso_cache_drop(empty, 0, 0, VERSO_CACHE_WRITE_BACK));
    close(fd);
    close(empty);
}

/* A large file, so that fetching takes more than one stretch and ends where it should. */
static void test_fetch_of_many_stretches(void **state)
{
    const uint64_t bytes = ((uint64_t)17 << 20) + 5, pages = (bytes + page_bytes() - 1) / page_bytes();
    int fd = open_file(support_file("f", bytes), O_RDONLY);

    (void)state;
    need_counts_and_disk(fd);
    assert_int_equal(fetched(fd, 3, 0, 0, pages), pages);
    close(fd);
}

static void test_dirty_pages_go_only_when_written(void **state)
{
    const char *path = support_file("f", PAGES * page_bytes());
    int fd = open_file(path, O_RDWR);

    (void)state;
    need_counts_and_disk(fd);
    assert_int_equal(pwrite(fd, "dirty", 5, 0), 5);
    assert_int_equal(counts_of(fd, 0, 0).dirty_pages, 1);
    assert_ok(verso_cache_drop(fd, 0, 0, VERSO_CACHE_WRITE_BACK));
    assert_int_equal(counts_of(fd, 0, 0).dirty_pages, 0);
    assert_int_equal(counts_of(fd, 0, 0).cached_pages, 0);
    close(fd);
}

static void test_refusals(void **state)
{
    int fd = open_file(support_file("f", 100), O_RDONLY), writable = open_file(support_path("f"), O_WRONLY);
    int ends[2], directory = open_file(support_directory(), O_RDONLY | O_DIRECTORY);

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_fails(verso_cache_fetch(fd, UINT64_MAX, 2), VERSO_E_OVERFLOW);
    assert_fails(verso_cache_fetch(fd, INT64_MAX, 1), VERSO_E_OVERFLOW);
    assert_fails(verso_cache_fetch(fd, UINT64_C(1) << 63, 0), VERSO_E_OVERFLOW);
    assert_fails(verso_cache_drop(fd, INT64_MAX, 1, 0), VERSO_E_OVERFLOW);
    assert_fails_in(verso_cache_drop(fd, 0, 0, 2), VERSO_E_OPTIONS, "flags");
    assert_fails_in(verso_cache_fetch(writable, 0, 0), -EBADF, "read");
    assert_fails(verso_cache_fetch(directory, 0, 0), -EISDIR);
    assert_fails(verso_cache_fetch(ends[0], 0, 0), -ESPIPE);
    assert_fails_in(verso_cache_drop(ends[0], 0, 0, 0), -ESPIPE, "posix_fadvise");
    assert_fails_in(verso_cache_drop(ends[0], 0, 0, VERSO_CACHE_WRITE_BACK), -ESPIPE, "sync_file_range");
    close(ends[0]);
    close(ends[1]);
    close(fd);
    close(writable);
    close(directory);
    assert_fails(verso_cache_fetch(fd, 0, 0), -EBADF);
    assert_fails(verso_cache_drop(fd, 0, 0, 0), -EBADF);
}

static void test_record_names_the_file(void **state)
{
    const char *path = support_file("named", 100);
    int fd = open_file(path, O_WRONLY);

    (void)state;
    assert_fails(verso_cache_fetch(fd, 0, 10), -EBADF);
    assert_string_equal(verso_error_last()->path, path);
    close(fd);
}

static int fetch_without_end(void *arg)
{
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    (void)arg;
    (void)alarm(20);
    return fd < 0 || verso_cache_fetch(fd, 0, 0) != -ENODEV;
}

static void test_a_device_without_end_is_refused(void **state)
{
    (void)state;
    assert_int_equal(support_child(fetch_without_end, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_drop_and_fetch),
        cmocka_unit_test(test_fetch_of_a_range),
        cmocka_unit_test(test_ranges_past_the_end),
        cmocka_unit_test(test_fetch_of_many_stretches),
        cmocka_unit_test(test_dirty_pages_go_only_when_written),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_device_without_end_is_refused),
        cmocka_unit_test(test_record_names_the_file),
    };

    return run_test_list(list);
}
