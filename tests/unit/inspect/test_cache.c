/* SPDX-License-Identifier: MIT */
/*
 * cache - counts of cached pages after reads and evictions of known pages, with cachestat and without.
 *
 * On the fake kernel, so that cachestat can be made to be missing.
 */
#include "support.h"

#include "cold.h"
#include "inspect/inspect.h"
#include "os/fake/fake.h"
#include "os/os.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALWAYS UINT_MAX

/* ---- Counts ---- */

static void expect_cached(int fd, uint64_t offset, uint64_t length, uint64_t pages, uint64_t cached)
{
    struct verso_inspect_cache cache;

    assert_ok(verso_inspect_cache(fd, offset, length, &cache));
    assert_true(cache.pages == pages);
    assert_int_equal(cache.cached.error, 0);
    assert_string_equal(cache.cached.why, "");
    assert_true(cache.cached.value == cached);
}

static void test_counts_of_known_pages(void **state)
{
    struct verso_inspect_cache cache;
    int fd;

    (void)state;
    if (cold_refusal())
        skip_because("%s", cold_refusal());
    fd = make_cold("counts", 100 * page_bytes + 1);
    expect_cached(fd, 0, 0, 101, 0);
    read_page(fd, 3);
    read_page(fd, 50);
    read_page(fd, 100);
    expect_cached(fd, 0, 0, 101, 3);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    expect_cached(fd, 0, 0, 101, 0);
    assert_ok(verso_inspect_cache(fd, 0, 0, &cache));
    assert_true(cache.file_bytes == 100 * page_bytes + 1);
    close(fd);
}

static void test_ranges_in_whole_pages(void **state)
{
    int fd;

    (void)state;
    if (cold_refusal())
        skip_because("%s", cold_refusal());
    fd = make_cold("ranges", 10 * page_bytes);
    read_page(fd, 2);
    read_page(fd, 3);
    expect_cached(fd, 2 * page_bytes, 1, 1, 1);
    expect_cached(fd, 2 * page_bytes, page_bytes - 1, 1, 1);
    expect_cached(fd, 2 * page_bytes, page_bytes, 1, 1);
    expect_cached(fd, 2 * page_bytes, page_bytes + 1, 2, 2);
    expect_cached(fd, 2 * page_bytes - 1, 2, 2, 1);
    expect_cached(fd, 3 * page_bytes + 17, 0, 7, 1);
    expect_cached(fd, 4 * page_bytes, 2 * page_bytes, 2, 0);
    expect_cached(fd, 10 * page_bytes - 1, 1000 * page_bytes, 1, 0); /* cut at the end */
    expect_cached(fd, 10 * page_bytes, 1, 0, 0);
    expect_cached(fd, 11 * page_bytes, 0, 0, 0);
    expect_cached(fd, INT64_MAX - 1, 1, 0, 0);
    close(fd);
}

static void test_dirty_and_clean(void **state)
{
    struct verso_inspect_cache cache;
    char *block = calloc(16, page_bytes);
    int fd;

    (void)state;
    if (cold_refusal()) /* tmpfs has nowhere to write back to, and counts nothing as dirty */
        skip_because("%s", cold_refusal());
    fd = make_cold("dirty", 0);
    if (!has_cachestat(fd)) {
        close(fd);
        free(block);
        skip_because("this kernel has no cachestat (Linux 6.5)");
    }
    assert_non_null(block);
    assert_int_equal(pwrite(fd, block, 16 * page_bytes, 0), (ssize_t)(16 * page_bytes));
    free(block);
    assert_ok(verso_inspect_cache(fd, 0, 0, &cache));
    assert_true(cache.cached.value == 16);
    assert_true(cache.dirty.value + cache.writeback.value > 0 && cache.dirty.value <= 16);
    assert_string_equal(cache.dirty.source, "cachestat");
    assert_int_equal(fsync(fd), 0);
    assert_ok(verso_inspect_cache(fd, 0, 0, &cache));
    assert_true(cache.cached.value == 16 && cache.dirty.value == 0 && cache.writeback.value == 0);
    close(fd);
}

static void test_an_empty_file(void **state)
{
    struct verso_inspect_cached_run *runs = NULL;
    struct verso_inspect_cache cache;
    size_t count = 7;
    int fd = make_cold("empty", 0);

    (void)state;
    expect_cached(fd, 0, 0, 0, 0);
    expect_cached(fd, 0, 1, 0, 0);
    assert_ok(verso_inspect_cache(fd, 0, 0, &cache));
    assert_string_equal(cache.dirty.source, "fstat"); /* nobody was asked */
    assert_ok(verso_inspect_cached_runs(fd, 0, 0, &runs, &count));
    assert_int_equal(count, 0);
    free(runs);
    close(fd);
}

static void test_refusals_leave_the_outputs(void **state)
{
    struct verso_inspect_cached_run *runs = (void *)1;
    struct verso_inspect_cache cache = { .pages = 7 };
    size_t count = 7;
    int fd = make_cold("refusals", page_bytes);

    (void)state;
    assert_fails(verso_inspect_cache(fd, UINT64_MAX, 1, &cache), VERSO_E_OVERFLOW);
    assert_fails(verso_inspect_cache(fd, 1, UINT64_MAX, &cache), VERSO_E_OVERFLOW);
    assert_fails(verso_inspect_cache(fd, (uint64_t)INT64_MAX + 1, 0, &cache), VERSO_E_OVERFLOW);
    assert_fails(verso_inspect_cached_runs(fd, 1, UINT64_MAX, &runs, &count), VERSO_E_OVERFLOW);
    close(fd);
    assert_fails_in(verso_inspect_cache(fd, 0, 0, &cache), -EBADF, "fstat");
    assert_fails(verso_inspect_cached_runs(fd, 0, 0, &runs, &count), -EBADF);
    fd = open(support_directory(), O_RDONLY | O_CLOEXEC);
    assert_fails(verso_inspect_cache(fd, 0, 0, &cache), -EISDIR);
    assert_string_equal(verso_error_last()->path, support_directory());
    assert_fails(verso_inspect_cached_runs(fd, 0, 0, &runs, &count), -EISDIR);
    close(fd);
    fd = open(support_path("refusals"), O_PATH | O_CLOEXEC);
    assert_fails(verso_inspect_cache(fd, 0, 0, &cache), -EBADF);
    close(fd);
    assert_true(cache.pages == 7 && runs == (void *)1 && count == 7);
}

/* ---- Without cachestat ---- */

static void test_mincore_where_cachestat_is_missing(void **state)
{
    struct verso_inspect_cache cache;
    int fd;

    (void)state;
    if (cold_refusal())
        skip_because("%s", cold_refusal());
    fd = make_cold("missing", 1300 * page_bytes); /* over two leaves */
    read_pages(fd, 500, 530);
    read_page(fd, 1299);
    fake_fail_call("cache_counts", -ENOSYS, ALWAYS);
    assert_ok(verso_inspect_cache(fd, 0, 0, &cache));
    assert_int_equal(cache.cached.error, 0);
    assert_true(cache.cached.value == 31);
    assert_string_equal(cache.cached.source, "mincore");
    assert_int_equal(cache.dirty.error, -ENOSYS);
    assert_true(cache.dirty.value == 0);
    assert_string_equal(cache.dirty.source, "cachestat");
    assert_non_null(strstr(cache.dirty.why, "6.5"));
    assert_int_equal(cache.recently_evicted.error, -ENOSYS);
    close(fd);
}

static void test_mincore_where_a_sandbox_refuses(void **state)
{
    struct verso_inspect_cache cache;
    int fd = open(support_file("sandbox", 5 * page_bytes), O_RDONLY | O_CLOEXEC);

    (void)state;
    fake_fail_call("cache_counts", -EPERM, ALWAYS); /* our own file: mincore does not lie about it */
    assert_ok(verso_inspect_cache(fd, 0, 0, &cache));
    assert_int_equal(cache.cached.error, 0);
    assert_string_equal(cache.cached.source, "mincore");
    assert_int_equal(cache.dirty.error, -EPERM);
    assert_string_not_equal(cache.dirty.why, "");
    close(fd);
}

static void test_a_descriptor_that_can_only_write(void **state)
{
    struct verso_inspect_cached_run *runs;
    struct verso_inspect_cache cache;
    const char *path = support_file("write-only", 5 * page_bytes);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t count;

    (void)state;
    fake_fail_call("cache_counts", -ENOSYS, ALWAYS);
    assert_ok(verso_inspect_cache(fd, 0, 0, &cache));
    assert_int_equal(cache.cached.error, 0); /* opened anew for reading */
    assert_string_equal(cache.cached.source, "mincore");
    assert_ok(verso_inspect_cached_runs(fd, 0, 0, &runs, &count));
    free(runs);
    fake_fail_call("reopen", -EACCES, ALWAYS);
    assert_ok(verso_inspect_cache(fd, 0, 0, &cache));
    assert_int_equal(cache.cached.error, -EACCES);
    assert_non_null(strstr(cache.cached.why, "reading"));
    assert_fails(verso_inspect_cached_runs(fd, 0, 0, &runs, &count), -EACCES);
    close(fd);
}

static void test_a_refused_map_is_a_reason(void **state)
{
    struct verso_inspect_cached_run *runs = (void *)1;
    struct verso_inspect_cache cache;
    int fd = open(support_file("map", 5 * page_bytes), O_RDONLY | O_CLOEXEC);
    size_t count = 7;

    (void)state;
    fake_fail_call("cache_counts", -ENOSYS, ALWAYS);
    fake_fail_call("map", -ENOMEM, ALWAYS);
    assert_ok(verso_inspect_cache(fd, 0, 0, &cache));
    assert_int_equal(cache.cached.error, -ENOMEM);
    assert_fails(verso_inspect_cached_runs(fd, 0, 0, &runs, &count), -ENOMEM);
    assert_true(runs == (void *)1 && count == 7);
    close(fd);
}

/* ---- The observer ---- */

/* Frames that the kernel has come to hold for much used. */
static size_t active_count(const struct verso_inspect_page *pages, size_t count)
{
    struct verso_inspect_frame frame;
    size_t active = 0;

    for (size_t i = 0; i < count; i++) {
        assert_ok(verso_inspect_frames(pages[i].frame, 1, &frame));
        active += (frame.state & VERSO_INSPECT_FRAME_ACTIVE) != 0;
    }
    return active;
}

static void look_without_disturbing(int fd)
{
    struct verso_inspect_cached_run *runs;
    struct verso_inspect_cache cache;
    size_t count;

    for (int i = 0; i < 4; i++) {
        assert_ok(verso_inspect_cache(fd, 0, 0, &cache));
        assert_ok(verso_inspect_cached_runs(fd, 0, 0, &runs, &count));
        free(runs);
    }
}

static void test_looking_leaves_the_pages_as_they_were(void **state)
{
    enum {
        COUNT = 64
    };
    struct verso_inspect_page pages[COUNT];
    struct verso_inspect_frame frame;
    int fd = open(support_file("observed", COUNT * page_bytes), O_RDWR | O_CLOEXEC);
    char *map = mmap(NULL, COUNT * page_bytes, PROT_READ, MAP_SHARED, fd, 0);
    size_t before;

    (void)state;
    assert_true(map != MAP_FAILED);
    assert_int_equal(madvise(map, COUNT * page_bytes, MADV_RANDOM), 0);
    assert_int_equal(madvise(map, COUNT * page_bytes, MADV_POPULATE_READ), 0);
    assert_ok(verso_inspect_pages(0, (uintptr_t)map, COUNT, pages, NULL));
    if (pages[0].frame == 0 || verso_inspect_frames(pages[0].frame, 1, &frame) < 0)
        skip_because("only root may look at frames");
    before = active_count(pages, COUNT);
    look_without_disturbing(fd);
    fake_fail_call("cache_counts", -ENOSYS, ALWAYS);
    look_without_disturbing(fd);
    fake_reset();
    assert_int_equal(active_count(pages, COUNT), before);
    munmap(map, COUNT * page_bytes);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cold_test(test_counts_of_known_pages),
        cold_test(test_ranges_in_whole_pages),
        cold_test(test_dirty_and_clean),
        cold_test(test_an_empty_file),
        cold_test(test_refusals_leave_the_outputs),
        cold_test(test_mincore_where_cachestat_is_missing),
        cold_test(test_mincore_where_a_sandbox_refuses),
        cold_test(test_a_descriptor_that_can_only_write),
        cold_test(test_a_refused_map_is_a_reason),
        cold_test(test_looking_leaves_the_pages_as_they_were),
    };

    return run_test_list(list);
}
