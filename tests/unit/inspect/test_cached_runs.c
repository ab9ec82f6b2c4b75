/* SPDX-License-Identifier: MIT */
/* cached_runs - which pages are cached, by every way there is, against mincore asked by hand. */
#include "support.h"

#include "cold.h"
#include "inspect/inspect.h"
#include "os/fake/fake.h"
#include "os/os.h"

#include <fcntl.h>
#include <unistd.h>

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
    if (cold_refusal())
        skip_because("%s", cold_refusal());
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
    if (cold_refusal())
        skip_because("%s", cold_refusal());
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
    if (cold_refusal())
        skip_because("%s", cold_refusal());
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

int main(void)
{
    const struct CMUnitTest list[] = {
        cold_test(test_runs_of_every_shape),
        cold_test(test_runs_of_a_range),
        cold_test(test_runs_of_a_vast_hole),
        cold_test(test_cachestat_that_stops_meanwhile),
    };

    return run_test_list(list);
}
