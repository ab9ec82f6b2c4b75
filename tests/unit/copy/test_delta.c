/* SPDX-License-Identifier: MIT */
/* delta - in place, only the pages that differ are stored, and only they become dirty. */
#include "copying.h"

#include "os/os.h"

#define PAGES 200

static uint64_t page(void)
{
    return verso_page_bytes();
}

/* Written page by page, so that the page cache keeps it in single pages: a larger folio would become dirty whole. */
static const char *paged_file(const char *name)
{
    const char *path = support_path(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    unsigned char *data = malloc(page());

    assert_true(fd >= 0 && data);
    for (uint64_t i = 0; i < PAGES; i++) {
        for (uint64_t j = 0; j < page(); j++)
            data[j] = support_byte(i * page() + j);
        assert_int_equal(write(fd, data, page()), (ssize_t)page());
    }
    assert_int_equal(fsync(fd), 0);
    close(fd);
    free(data);
    return path;
}

static void change(const char *path, uint64_t offset)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    unsigned char byte;

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

/* Dirty pages, or -1 where the kernel does not count, or where all pages of the file system always are. */
static int64_t dirty_pages(const char *path)
{
    struct verso__os_cache_counts counts;
    int fd = open(path, O_RDONLY | O_CLOEXEC), r;

    assert_true(fd >= 0);
    r = verso__os_cache_counts(fd, 0, 0, &counts);
    close(fd);
    return r < 0 ? -1 : (int64_t)(counts.dirty_pages + counts.writeback_pages);
}

static void delta(bool guarded)
{
    const uint64_t places[] = { 0,           page() - 1,      page(),      57 * page() + 9,
                                63 * page(), 64 * page() - 1, 64 * page(), PAGES * page() - 1 };
    const uint64_t pages_changed = 7 - 1; /* 0 and page-1 are one, as are 63 */
    const char *source = paged_file("source"), *target = paged_file("target");
    struct verso_copy_options options = with_flags(VERSO_COPY_DELTA);
    struct verso_copy_report report;
    bool counts = dirty_pages(target) == 0;

    if (guarded)
        assert_ok(verso_guard_install());
    report = copied(source, target, &options);
    assert_true(report.same_bytes == PAGES * page() && report.copied_bytes == 0);
    if (counts)
        assert_int_equal(dirty_pages(target), 0);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        change(source, places[i]);
    report = copied(source, target, &options);
    assert_true(report.copied_bytes == pages_changed * page());
    assert_true(report.same_bytes == (PAGES - pages_changed) * page());
    if (counts)
        assert_true(dirty_pages(target) <= (int64_t)pages_changed); /* less, when some were written meanwhile */
    else
        print_message("# dirty pages are not to be counted here\n");
    if (guarded)
        assert_ok(verso_guard_remove());
}

static void test_through_maps(void **state)
{
    (void)state;
    delta(true);
}

static void test_by_reading(void **state)
{
    (void)state;
    delta(false);
}

static void test_sizes_that_differ(void **state)
{
    const uint64_t sizes[] = { 0, 1, page() - 1, page(), page() + 1, 300000, 300001 };
    struct verso_copy_options options = with_flags(VERSO_COPY_DELTA);

    (void)state;
    options.digest = VERSO_DIGEST_XXH3_128;
    for (size_t i = 0; i < 7; i++)
        for (size_t j = 0; j < 7; j++) {
            const char *source = support_file("source", sizes[i]), *target = support_file("target", sizes[j]);
            uint64_t common = sizes[i] < sizes[j] ? sizes[i] : sizes[j];
            struct verso_copy_report report = copied(source, target, &options);

            assert_true(report.same_bytes + page() >= common);
            assert_true(report.copied_bytes <= sizes[i] - common + page());
        }
}

static void test_a_target_that_is_not_there(void **state)
{
    struct verso_copy_options options = with_flags(VERSO_COPY_DELTA);
    struct verso_copy_report report = copied(support_file("source", 100000), support_path("target"), &options);

    (void)state;
    assert_true(report.copied_bytes == 100000);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        fresh_test(test_through_maps),
        fresh_test(test_by_reading),
        fresh_test(test_sizes_that_differ),
        fresh_test(test_a_target_that_is_not_there),
    };

    return run_test_list(list);
}
