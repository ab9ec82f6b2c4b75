/* SPDX-License-Identifier: MIT */
/* cache - what a copy leaves in the page cache, counted by the kernel. */
#include "copying.h"

#include "os/os.h"

#define PAGES 6000 /* more than two steps */

static uint64_t page(void)
{
    return verso_page_bytes();
}

static uint64_t cached(const char *path, uint64_t first, uint64_t count)
{
    struct verso__os_cache_counts counts;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(verso__os_cache_counts(fd, first * page(), count * page(), &counts), 0);
    close(fd);
    return counts.cached_pages;
}

static void drop(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(verso__os_cache_drop(fd, 0, 0), 0);
    close(fd);
}

/* A cold file of PAGES, and a number of pages in its middle that are warm. */
static const char *cold_file(const char *name, uint64_t first_warm, uint64_t warm)
{
    const char *path = support_file(name, PAGES * page());
    struct verso__os_cache_counts counts;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    unsigned char byte;

    assert_true(fd >= 0);
    if (verso__os_cache_counts(fd, 0, 0, &counts) < 0)
        skip_because("this kernel does not count cached pages (cachestat)");
    drop(path);
    if (cached(path, 0, PAGES) > 0)
        skip_because("the test's directory is memory itself: what it holds can't be dropped");
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
    for (uint64_t i = 0; i < warm; i++)
        assert_int_equal(pread(fd, &byte, 1, (off_t)((first_warm + i) * page())), 1);
    close(fd);
    return path;
}

static struct verso_copy_options leaving(unsigned cache, unsigned flags, unsigned method)
{
    struct verso_copy_options options = with_flags(flags);

    options.cache = cache;
    options.method = method;
    options.reflink = method == VERSO_COPY_METHOD_READ ? VERSO_COPY_REFLINK_NEVER : VERSO_COPY_REFLINK_AUTO;
    return options;
}

static void copy(const char *source, const char *target, const struct verso_copy_options *options)
{
    struct verso_copy_report report = VERSO_COPY_REPORT_INIT;

    assert_ok(verso_copy_file(source, target, options, &report));
    assert_true(report.done_bytes == PAGES * page());
}

static void test_drop(void **state)
{
    const unsigned methods[] = { VERSO_COPY_METHOD_AUTO, VERSO_COPY_METHOD_READ };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *source = cold_file("source", 100, 50), *target = support_path("target");
        struct verso_copy_options options = leaving(VERSO_COPY_CACHE_DROP, 0, methods[i]);

        copy(source, target, &options);
        assert_int_equal(cached(source, 0, PAGES), 0);
        assert_int_equal(cached(target, 0, PAGES), 0);
        assert_same_content(source, target);
    }
}

/* Pages that were cached may leave at any time by the kernel's own will; so what was warm is only looked at for whether
 * most of it stayed. */
static void test_neutral_keeps_what_was_there(void **state)
{
    const unsigned methods[] = { VERSO_COPY_METHOD_AUTO, VERSO_COPY_METHOD_READ };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *source = cold_file("source", 2040, 100), *target = support_path("target");
        struct verso_copy_options options = leaving(VERSO_COPY_CACHE_NEUTRAL, 0, methods[i]);

        assert_true(cached(source, 0, PAGES) <= 100);
        copy(source, target, &options);
        assert_true(cached(source, 0, PAGES) <= 100);
        assert_true(cached(source, 2040, 100) >= 50);
        assert_int_equal(cached(target, 0, PAGES), 0);
    }
}

static void test_neutral_in_place(void **state)
{
    const char *source = cold_file("source", 0, 1), *target = cold_file("target", 3000, 10);
    struct verso_copy_options options = leaving(VERSO_COPY_CACHE_NEUTRAL, VERSO_COPY_IN_PLACE, VERSO_COPY_METHOD_READ);

    (void)state;
    copy(source, target, &options);
    assert_true(cached(source, 0, PAGES) <= 1);
    assert_true(cached(target, 3000, 10) >= 5);
    assert_true(cached(target, 0, PAGES) < 2000); /* folios that the warm pages are in stay whole */
}

static void test_keep_keeps(void **state)
{
    const char *source = cold_file("source", 0, 0), *target = support_path("target");
    struct verso_copy_options options = leaving(VERSO_COPY_CACHE_KEEP, 0, VERSO_COPY_METHOD_READ);

    (void)state;
    copy(source, target, &options);
    assert_true(cached(source, 0, PAGES) > 0);
    assert_true(cached(target, 0, PAGES) > 0);
}

/* Also when the target was looked at through a map: mapped pages can't be dropped. */
static void test_verified_from_the_disk(void **state)
{
    const unsigned flags[] = { VERSO_COPY_VERIFY, VERSO_COPY_VERIFY | VERSO_COPY_DELTA };

    (void)state;
    (void)cold_file("probe", 0, 0); /* skips here, if at all */
    assert_ok(verso_guard_install());
    for (size_t i = 0; i < 2; i++) {
        const char *source = cold_file("source", 0, 0), *target = cold_file("target", 0, 0);
        struct verso_copy_options options = with_flags(flags[i]);

        options.reflink = VERSO_COPY_REFLINK_NEVER;
        assert_int_equal(copied(source, target, &options).verified, VERSO_COPY_VERIFIED_DISK);
    }
    assert_ok(verso_guard_remove());
}

static void test_maps_hold_pages(void **state)
{
    struct verso_copy_options options = leaving(VERSO_COPY_CACHE_DROP, 0, VERSO_COPY_METHOD_MAPPED);

    (void)state;
    assert_fails(verso_copy_file(support_file("source", 1), support_path("target"), &options, NULL), VERSO_E_OPTIONS);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        fresh_test(test_drop),       fresh_test(test_neutral_keeps_what_was_there), fresh_test(test_neutral_in_place),
        fresh_test(test_keep_keeps), fresh_test(test_verified_from_the_disk),       fresh_test(test_maps_hold_pages),
    };

    return run_test_list(list);
}
