/* SPDX-License-Identifier: MIT */
/* refresh and check - torn maps are noticed, and take the file as it is by now. */
#include "support.h"

#include "maps.h"
#include "mounts.h"

#include "os/os.h"

/* With SUBSTITUTE the guard is installed, too: within the test, since cmocka has a handler of its own around it. */
static struct verso_map *open_pages(size_t pages, unsigned flags)
{
    struct verso_map_options options = options_with(flags);
    struct verso_map *map;

    if (flags & VERSO_MAP_SUBSTITUTE)
        assert_ok(verso_guard_install());
    assert_ok(verso_map_open(support_file("refresh", pages * verso_page_bytes()), &options, &map));
    return map;
}

static void cut(size_t bytes)
{
    assert_int_equal(truncate(support_path("refresh"), (off_t)bytes), 0);
}

/* Gives the file its pattern back from @offset on. (Truncating it would take private stores before, too.) */
static void write_from(size_t offset, size_t end)
{
    int fd = open(support_path("refresh"), O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    for (size_t at = offset; at < end; at++) {
        unsigned char byte = support_byte(at);

        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    }
    assert_int_equal(close(fd), 0);
}

static bool is_zero(const unsigned char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i])
            return false;
    return true;
}

static void test_torn_pages_come_back(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(8, VERSO_MAP_SUBSTITUTE);
    const unsigned char *data = verso_map_data(map);

    (void)state;
    assert_ok(verso_map_check(map));
    cut(3 * page);
    assert_int_equal(data[5 * page], 0);
    assert_fails_in(verso_map_check(map), VERSO_E_TORN, "check");
    assert_int_equal(verso_error_last()->offset_bytes, 3 * page);
    (void)support_file("refresh", 8 * page); /* the same file, written anew */
    assert_true(is_zero(data + 3 * page, 5 * page));
    assert_ok(verso_map_refresh(map));
    assert_ptr_equal(verso_map_data(map), data);
    assert_true(support_matches(data, 0, 8 * page));
    assert_ok(verso_map_check(map));
    assert_true(info_of(map).torn_offset_bytes == VERSO_OFFSET_NONE);
    assert_true(info_of(map).torn_count > 0); /* it did happen */
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

static void test_still_short_the_mark_comes_back(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, VERSO_MAP_SUBSTITUTE);
    const unsigned char *data = verso_map_data(map);

    (void)state;
    cut(page);
    assert_int_equal(data[page], 0);
    assert_ok(verso_map_refresh(map));
    assert_fails(verso_map_check(map), VERSO_E_CHANGED); /* not torn, but short */
    assert_int_equal(data[2 * page], 0);
    assert_fails(verso_map_check(map), VERSO_E_TORN);
    assert_int_equal(verso_error_last()->offset_bytes, page);
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

static void test_private_stores_before_the_tear_stay(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, VERSO_MAP_SUBSTITUTE | VERSO_MAP_PRIVATE);
    unsigned char *data = verso_map_data(map);

    (void)state;
    data[0] = 42;
    cut(page);
    assert_int_equal(data[page], 0);
    write_from(page, 4 * page);
    assert_ok(verso_map_refresh(map));
    assert_int_equal(data[0], 42);
    assert_true(support_matches(data + 1, 1, 4 * page - 1));
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

static void test_nothing_to_mend_changes_nothing(void **state)
{
    struct verso_map *map = open_pages(2, VERSO_MAP_PRIVATE);
    unsigned char *data = verso_map_data(map);

    (void)state;
    data[0] = 42;
    assert_ok(verso_map_refresh(map));
    assert_int_equal(data[0], 42);
    verso_map_close(map);
}

static void test_a_mark_without_a_guard_is_mended_too(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, 0);

    (void)state;
    cut(page + 1);
    assert_fails(verso_map_populate(map, 0, 0, 0), VERSO_E_TORN);
    assert_fails(verso_map_check(map), VERSO_E_TORN);
    (void)support_file("refresh", 4 * page);
    assert_ok(verso_map_refresh(map));
    assert_ok(verso_map_check(map));
    assert_true(support_matches(verso_map_data(map), 0, 4 * page));
    verso_map_close(map);
}

static void test_flags_are_kept(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, VERSO_MAP_SUBSTITUTE | VERSO_MAP_NO_CORE | VERSO_MAP_WRITE);
    unsigned char *data = verso_map_data(map);
    unsigned char byte;

    (void)state;
    cut(page);
    data[3 * page] = 1; /* goes nowhere */
    (void)support_file("refresh", 4 * page);
    assert_ok(verso_map_refresh(map));
    data[3 * page] = 7;
    read_at(support_path("refresh"), 3 * page, &byte, 1);
    assert_int_equal(byte, 7);
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

static void test_holes_that_came_meanwhile_need_space(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options =
        options_of(VERSO_MAP_WRITE | VERSO_MAP_CREATE | VERSO_MAP_SUBSTITUTE, 0, 8 * page);
    const char *reason, *directory = support_mount_tmpfs(8 * page, &reason);
    char path[4200], other[4200];
    struct verso_map *map;
    int fd;

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    assert_ok(verso_guard_install());
    assert_true(snprintf(path, sizeof(path), "%s/file", directory) > 0);
    assert_true(snprintf(other, sizeof(other), "%s/other", directory) > 0);
    assert_ok(verso_map_open(path, &options, &map));
    assert_int_equal(truncate(path, (off_t)page), 0);
    assert_int_equal(((volatile unsigned char *)verso_map_data(map))[page], 0);
    fd = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(posix_fallocate(fd, 0, (off_t)(7 * page)), 0);
    assert_int_equal(truncate(path, (off_t)(8 * page)), 0);
    assert_fails_in(verso_map_refresh(map), -ENOSPC, "fallocate");
    assert_fails(verso_map_check(map), VERSO_E_TORN); /* as before */
    assert_int_equal(unlink(other), 0);
    assert_int_equal(close(fd), 0);
    assert_ok(verso_map_refresh(map));
    assert_ok(verso_map_check(map));
    verso_map_close(map);
    support_unmount(directory);
    assert_ok(verso_guard_remove());
}

static void test_refusals(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, 0);
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;

    (void)state;
    cut(page);
    assert_fails(verso_map_populate(map, 0, 0, 0), VERSO_E_TORN);
    assert_int_equal(unlink(support_path("refresh")), 0);
    assert_fails_in(verso_map_refresh(map), VERSO_E_NO_DESCRIPTOR, "refresh");
    verso_map_close(map);
    options.stability = VERSO_MAP_COPY;
    assert_ok(verso_map_open(support_file("refresh", page), &options, &map));
    assert_fails_in(verso_map_refresh(map), VERSO_E_NOT_MAPPED, "refresh");
    verso_map_close(map);
}

/* ---- check ---------------------------------------------------------------------------------------------------- */

static void test_a_shorter_file_is_noticed_before_it_is_met(void **state)
{
    size_t page = verso_page_bytes();
    const unsigned flags[] = { 0, VERSO_MAP_KEEP_FD, VERSO_MAP_PRIVATE };

    (void)state;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        struct verso_map *map = open_pages(2, flags[i]);

        assert_ok(verso_map_check(map));
        cut(2 * page - 1);
        assert_fails_in(verso_map_check(map), VERSO_E_CHANGED, "check");
        assert_int_equal(verso_error_last()->offset_bytes, 2 * page - 1);
        cut(3 * page);
        assert_ok(verso_map_check(map));
        verso_map_close(map);
    }
}

static void test_a_shorter_file_without_a_name(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, 0);
    int fd = open(support_path("refresh"), O_RDWR | O_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(unlink(support_path("refresh")), 0);
    assert_ok(verso_map_check(map));
    assert_int_equal(ftruncate(fd, (off_t)(2 * page)), 0);
    assert_fails_in(verso_map_check(map), VERSO_E_CHANGED, "check");
    assert_int_equal(close(fd), 0);
    verso_map_close(map);
}

static void test_what_cannot_change_is_always_well(void **state)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;

    (void)state;
    options.stability = VERSO_MAP_COPY;
    assert_ok(verso_map_open(support_file("refresh", 100), &options, &map));
    cut(0);
    assert_ok(verso_map_check(map));
    assert_true(support_matches(verso_map_data(map), 0, 100));
    verso_map_close(map);
    assert_ok(verso_map_open(support_path("refresh"), NULL, &map));
    assert_ok(verso_map_check(map)); /* empty */
    verso_map_close(map);
}

/* What was torn is no part of the map any more, so nothing is left to mend. */
static void test_a_torn_end_that_was_cut_off(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(8, VERSO_MAP_WRITE | VERSO_MAP_GROW | VERSO_MAP_SUBSTITUTE);
    volatile unsigned char *data = verso_map_data(map);

    (void)state;
    cut(5 * page);
    assert_int_equal(data[6 * page], 0);
    assert_fails_in(verso_map_check(map), VERSO_E_TORN, "check");
    assert_ok(verso_map_resize(map, 5 * page + 1)); /* the page that is torn, still */
    assert_fails_in(verso_map_check(map), VERSO_E_TORN, "check");
    assert_ok(verso_map_resize(map, 5 * page));
    assert_ok(verso_map_check(map));
    assert_ok(verso_map_refresh(map));
    assert_ok(verso_map_resize(map, 8 * page));
    data[6 * page] = 7;
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA));
    assert_ok(verso_map_resize(map, 0));
    assert_ok(verso_map_check(map));
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_torn_pages_come_back),
        cmocka_unit_test(test_still_short_the_mark_comes_back),
        cmocka_unit_test(test_private_stores_before_the_tear_stay),
        cmocka_unit_test(test_nothing_to_mend_changes_nothing),
        cmocka_unit_test(test_a_mark_without_a_guard_is_mended_too),
        cmocka_unit_test(test_flags_are_kept),
        cmocka_unit_test(test_a_torn_end_that_was_cut_off),
        cmocka_unit_test(test_holes_that_came_meanwhile_need_space),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_shorter_file_is_noticed_before_it_is_met),
        cmocka_unit_test(test_a_shorter_file_without_a_name),
        cmocka_unit_test(test_what_cannot_change_is_always_well),
    };

    return run_test_list(list);
}
