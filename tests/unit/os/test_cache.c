/* SPDX-License-Identifier: MIT */
/* cache - counts of cached pages, page by page, and whether the answers can be believed. */
#include "support.h"

#include "os/os.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGES 16

static int opened_file(void)
{
    int fd = -1;

    assert_int_equal(verso__os_open(support_file("f", PAGES * verso__os_page_bytes()),
                                    VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE, 0, &fd),
                     0);
    return fd;
}

static struct verso__os_cache_counts counts_of(int fd, uint64_t offset, uint64_t bytes)
{
    struct verso__os_cache_counts counts = { 0 };
    int r = verso__os_cache_counts(fd, offset, bytes, &counts);

    if (r == -ENOSYS)
        skip_because("this kernel has no cachestat");
    assert_int_equal(r, 0);
    return counts;
}

static bool is_in_memory_for_good(int fd)
{
    assert_int_equal(verso__os_sync_full(fd), 0);
    assert_int_equal(verso__os_cache_drop(fd, 0, 0), 0);
    return counts_of(fd, 0, 0).cached_pages > 0;
}

static void test_counts_are_of_the_range_asked_for(void **state)
{
    size_t page = verso__os_page_bytes();
    int fd = opened_file();

    (void)state;
    assert_int_equal(counts_of(fd, 0, 0).cached_pages, PAGES);
    assert_int_equal(counts_of(fd, 0, 3 * page).cached_pages, 3);
    assert_int_equal(counts_of(fd, 2 * page, 0).cached_pages, PAGES - 2);
    assert_int_equal(counts_of(fd, page - 1, 2).cached_pages, 2);          /* the pages it touches */
    assert_int_equal(counts_of(fd, 100 * page, 5 * page).cached_pages, 0); /* past the end */
    verso__os_close(fd);
}

static void test_dropping_clean_pages(void **state)
{
    int fd = opened_file();

    (void)state;
    if (is_in_memory_for_good(fd))
        skip_because("this file system lives in memory");
    assert_int_equal(counts_of(fd, 0, 0).dirty_pages, 0);
    verso__os_close(fd);
}

static void test_counts_leave_their_output_on_failure(void **state)
{
    struct verso__os_cache_counts counts = { .cached_pages = 7 };
    int r = verso__os_cache_counts(-1, 0, 0, &counts);

    (void)state;
    assert_true(r == -EBADF || r == -ENOSYS);
    assert_int_equal(counts.cached_pages, 7);
}

static void test_resident_page_by_page(void **state)
{
    size_t page = verso__os_page_bytes();
    unsigned char pages[PAGES];
    int fd = opened_file();
    void *data = NULL;

    (void)state;
    assert_int_equal(verso__os_map(NULL, PAGES * page, VERSO__OS_ACCESS_READ, 0, fd, 0, &data), 0);
    assert_int_equal(verso__os_resident(data, PAGES * page, pages), 0);
    for (size_t i = 0; i < PAGES; i++)
        assert_int_equal(pages[i] & 1, 1);
    if (!is_in_memory_for_good(fd)) {
        assert_int_equal(verso__os_resident(data, PAGES * page, pages), 0);
        for (size_t i = 0; i < PAGES; i++)
            assert_int_equal(pages[i] & 1, 0);
    }
    assert_int_equal(verso__os_unmap(data, PAGES * page), 0);
    assert_int_equal(verso__os_resident(data, page, pages), -ENOMEM);
    verso__os_close(fd);
}

/* In a child, as there is no way back to root. */
static int is_honest_to_nobody(void *arg)
{
    if (setgid(65534) < 0 || setuid(65534) < 0)
        return 77;
    return verso__os_residency_is_honest(*(int *)arg);
}

static void test_who_is_told_the_truth(void **state)
{
    int fd = opened_file(), reading = -1;

    (void)state;
    assert_int_equal(verso__os_residency_is_honest(fd), 1);
    assert_int_equal(verso__os_open(support_path("f"), VERSO__OS_OPEN_READ, 0, &reading), 0);
    assert_int_equal(verso__os_residency_is_honest(reading), 1); /* the owner */
    if (support_is_root()) {
        assert_int_equal(fchmod(fd, 0644), 0);
        assert_int_equal(support_child(is_honest_to_nobody, &reading), 0);
        assert_int_equal(fchmod(fd, 0666), 0);
        assert_int_equal(support_child(is_honest_to_nobody, &reading), 1 << 8);
    }
    verso__os_close(fd);
    verso__os_close(reading);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_counts_are_of_the_range_asked_for),
        cmocka_unit_test(test_dropping_clean_pages),
        cmocka_unit_test(test_counts_leave_their_output_on_failure),
        cmocka_unit_test(test_resident_page_by_page),
        cmocka_unit_test(test_who_is_told_the_truth),
    };

    return run_test_list(list);
}
