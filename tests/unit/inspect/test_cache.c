/* SPDX-License-Identifier: MIT */
/*
 * cache - counts and runs of cached pages, against mincore asked by hand, after reads and evictions of known pages.
 *
 * Runs on the fake kernel, so that cachestat can be made to be missing. Files are sparse: a page of a hole is cached
 * like any other when it is read.
 */
#include "support.h"

#include "inspect/inspect.h"
#include "os/fake/fake.h"
#include "os/os.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#define ALWAYS UINT_MAX

static size_t page_bytes;

/* Takes all refusals back, also when a test has failed. */
static int calm(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static int prepare(void **state)
{
    (void)state;
    page_bytes = verso__os_page_bytes();
    return 0;
}

/* A sparse file of @bytes with nothing cached. */
static int make_cold(const char *name, uint64_t bytes)
{
    int fd = open(support_path(name), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0); /* a read brings in what it reads, no more */
    return fd;
}

static void read_page(int fd, uint64_t page)
{
    char byte;

    assert_int_equal(pread(fd, &byte, 1, (off_t)(page * page_bytes)), 1);
}

static void read_pages(int fd, uint64_t first, uint64_t end)
{
    for (uint64_t page = first; page < end; page++)
        read_page(fd, page);
}

/* One byte a page, bit 0: cached. By hand. */
static unsigned char *ask_mincore(int fd, uint64_t pages)
{
    unsigned char *answer = malloc(pages);
    void *map = mmap(NULL, pages * page_bytes, PROT_NONE, MAP_SHARED, fd, 0);

    assert_non_null(answer);
    assert_true(map != MAP_FAILED);
    assert_int_equal(mincore(map, pages * page_bytes, answer), 0);
    munmap(map, pages * page_bytes);
    for (uint64_t i = 0; i < pages; i++)
        answer[i] &= 1;
    return answer;
}

/* Holes are not cached on every file system: tmpfs reads them from nowhere. */
static void skip_where_holes_are_not_cached(void)
{
    int fd = make_cold("probe", 8 * page_bytes);
    unsigned char *answer;
    bool works;

    read_page(fd, 1);
    answer = ask_mincore(fd, 8);
    works = answer[1] && !answer[7];
    free(answer);
    close(fd);
    if (!works)
        skip_because("reads of holes are not cached page by page here (tmpfs?); set TEST_DIRECTORY");
}

static bool has_cachestat(int fd)
{
    struct verso__os_cache_counts counts;

    return verso__os_cache_counts(fd, 0, 1, &counts) == 0;
}

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
    skip_where_holes_are_not_cached();
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
    skip_where_holes_are_not_cached();
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
    skip_where_holes_are_not_cached(); /* tmpfs has nowhere to write back to, and counts nothing as dirty */
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
    skip_where_holes_are_not_cached();
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

/* ---- Runs ---- */

/* Runs are in order, whole, and alternate; each page is what @answer says. */
static void check_runs(const struct verso_inspect_cached_run *runs, size_t count, uint64_t first, uint64_t end,
                       const unsigned char *answer)
{
    uint64_t at = first;

    for (size_t i = 0; i < count; i++) {
        assert_true(runs[i].first_page == at);
        assert_true(runs[i].page_count > 0);
        assert_true(runs[i].cached == 0 || runs[i].cached == 1);
        if (i > 0)
            assert_true(runs[i].cached != runs[i - 1].cached);
        for (uint64_t page = at; answer && page < at + runs[i].page_count; page++)
            assert_int_equal(answer[page], runs[i].cached);
        at += runs[i].page_count;
    }
    assert_true(at == end);
}

/* By each source alone, and as the library chooses. */
static void check_every_way(int fd, uint64_t pages)
{
    unsigned char *answer = ask_mincore(fd, pages);
    const struct verso__inspect_range range = { pages * page_bytes, 0, pages };
    struct verso_inspect_cached_run *runs;
    size_t count;

    assert_ok(verso_inspect_cached_runs(fd, 0, 0, &runs, &count));
    check_runs(runs, count, 0, pages, answer);
    free(runs);
    assert_int_equal(verso__inspect_cached_runs(fd, &range, VERSO__INSPECT_BY_MINCORE, &runs, &count), 0);
    check_runs(runs, count, 0, pages, answer);
    free(runs);
    if (has_cachestat(fd)) {
        assert_int_equal(verso__inspect_cached_runs(fd, &range, VERSO__INSPECT_BY_CACHESTAT, &runs, &count), 0);
        check_runs(runs, count, 0, pages, answer);
        free(runs);
    }
    free(answer);
}

static void test_runs_of_every_shape(void **state)
{
    /* Around a page, a leaf (512 pages), and 16 leaves. */
    static const uint64_t sizes[] = { 1, 2, 511, 512, 513, 1024, 8191, 8192, 8193, 20000 };
    uint64_t seed = 1;

    (void)state;
    skip_where_holes_are_not_cached();
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t pages = sizes[i];
        int fd = make_cold("shapes", pages * page_bytes);

        check_every_way(fd, pages); /* nothing */
        read_page(fd, 0);
        check_every_way(fd, pages);
        read_page(fd, pages - 1);
        check_every_way(fd, pages);
        for (int reads = 0; reads < 60; reads++) {
            seed = seed * 6364136223846793005U + 1442695040888963407U;
            read_page(fd, (seed >> 33) % pages);
        }
        check_every_way(fd, pages);
        read_pages(fd, pages / 4, pages / 2 + 1);
        check_every_way(fd, pages);
        read_pages(fd, 0, pages); /* all */
        check_every_way(fd, pages);
        close(fd);
    }
}

static void test_runs_of_a_range(void **state)
{
    struct verso_inspect_cached_run *runs;
    size_t count;
    int fd;

    (void)state;
    skip_where_holes_are_not_cached();
    fd = make_cold("range", 3000 * page_bytes);
    read_pages(fd, 1000, 2000);
    assert_ok(verso_inspect_cached_runs(fd, 990 * page_bytes + 1, 20 * page_bytes, &runs, &count));
    assert_int_equal(count, 2);
    assert_true(runs[0].first_page == 990 && runs[0].page_count == 10 && runs[0].cached == 0);
    assert_true(runs[1].first_page == 1000 && runs[1].page_count == 11 && runs[1].cached == 1);
    free(runs);
    assert_ok(verso_inspect_cached_runs(fd, 1999 * page_bytes, 0, &runs, &count));
    assert_int_equal(count, 2);
    assert_true(runs[0].page_count == 1 && runs[1].page_count == 1000);
    free(runs);
    assert_ok(verso_inspect_cached_runs(fd, 3000 * page_bytes, 1, &runs, &count));
    assert_int_equal(count, 0);
    free(runs);
    close(fd);
}

static void test_runs_of_a_vast_hole(void **state)
{
    struct verso_inspect_cached_run *runs;
    const uint64_t pages = (UINT64_C(1) << 42) / page_bytes; /* 4 TiB, page by page it would take half a minute */
    size_t count;
    int fd = open(support_path("vast"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    (void)state;
    assert_true(fd >= 0);
    if (ftruncate(fd, (off_t)1 << 42) != 0) {
        close(fd);
        skip_because("this file system has no files of 4 TiB");
    }
    if (!has_cachestat(fd)) {
        close(fd);
        skip_because("without cachestat (Linux 6.5) every page must be asked about");
    }
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
    assert_int_equal(pwrite(fd, "x", 1, (off_t)(pages / 3 * page_bytes)), 1);
    assert_ok(verso_inspect_cached_runs(fd, 0, 0, &runs, &count));
    assert_int_equal(count, 3);
    assert_true(runs[1].first_page == pages / 3 && runs[1].page_count == 1 && runs[1].cached == 1);
    assert_true(runs[2].page_count == pages - pages / 3 - 1);
    free(runs);
    close(fd);
    unlink(support_path("vast"));
}

static void test_cachestat_that_stops_meanwhile(void **state)
{
    struct verso_inspect_cached_run *runs = (void *)1;
    size_t count = 7;
    int fd;

    (void)state;
    skip_where_holes_are_not_cached();
    fd = make_cold("stops", 3000 * page_bytes);
    if (!has_cachestat(fd)) {
        close(fd);
        skip_because("this kernel has no cachestat (Linux 6.5)");
    }
    read_page(fd, 1500);
    fake_begin();
    fake_fail_nth(4, -EIO); /* fstat, whether cachestat works, the whole, its first part */
    assert_fails(verso_inspect_cached_runs(fd, 0, 0, &runs, &count), -EIO);
    fake_end();
    assert_int_equal(fake_held().allocations, 0);
    assert_int_equal(fake_held().mapped_bytes, 0);
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
        cmocka_unit_test_setup_teardown(test_counts_of_known_pages, prepare, calm),
        cmocka_unit_test_setup_teardown(test_ranges_in_whole_pages, prepare, calm),
        cmocka_unit_test_setup_teardown(test_dirty_and_clean, prepare, calm),
        cmocka_unit_test_setup_teardown(test_an_empty_file, prepare, calm),
        cmocka_unit_test_setup_teardown(test_refusals_leave_the_outputs, prepare, calm),
        cmocka_unit_test_setup_teardown(test_mincore_where_cachestat_is_missing, prepare, calm),
        cmocka_unit_test_setup_teardown(test_mincore_where_a_sandbox_refuses, prepare, calm),
        cmocka_unit_test_setup_teardown(test_a_descriptor_that_can_only_write, prepare, calm),
        cmocka_unit_test_setup_teardown(test_a_refused_map_is_a_reason, prepare, calm),
        cmocka_unit_test_setup_teardown(test_runs_of_every_shape, prepare, calm),
        cmocka_unit_test_setup_teardown(test_runs_of_a_range, prepare, calm),
        cmocka_unit_test_setup_teardown(test_runs_of_a_vast_hole, prepare, calm),
        cmocka_unit_test_setup_teardown(test_cachestat_that_stops_meanwhile, prepare, calm),
        cmocka_unit_test_setup_teardown(test_looking_leaves_the_pages_as_they_were, prepare, calm),
    };

    return run_test_list(list);
}
