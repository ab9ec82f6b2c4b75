/* SPDX-License-Identifier: MIT */
/* populate - pages come in, or the call says which could not. */
#include "support.h"

#include "child.h"
#include "mapping.h"
#include "mounts.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso.h>

static struct verso_map *open_pages(size_t pages, unsigned flags)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;

    options.flags = flags;
    assert_ok(verso_map_open(support_file("populate", pages * verso_page_bytes()), &options, &map));
    return map;
}

static void test_for_reading(void **state)
{
    struct verso_map *map = open_pages(8, 0);

    (void)state;
    assert_int_equal(mapping_at(verso_map_data(map)).memory.resident, 0);
    assert_ok(verso_map_populate(map, 0, 0, 0));
    assert_int_equal(mapping_at(verso_map_data(map)).memory.resident, verso_map_bytes(map));
    assert_ok(verso_map_populate(map, 0, 0, 0));
    verso_map_close(map);
}

static void test_for_writing_changes_no_byte(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(8, VERSO_MAP_PRIVATE);

    (void)state;
    assert_ok(verso_map_populate(map, 2 * page - 1, 2, 1));
    assert_int_equal(mapping_at(verso_map_data(map)).memory.private_dirty, 2 * page);
    assert_true(support_matches(verso_map_data(map), 0, verso_map_bytes(map)));
    verso_map_close(map);
}

static void test_refusals(void **state)
{
    struct verso_map *map = open_pages(2, 0);
    size_t bytes = verso_map_bytes(map);

    (void)state;
    assert_fails_in(verso_map_populate(map, 0, 0, 1), VERSO_E_READ_ONLY, "populate");
    assert_fails_in(verso_map_populate(map, 0, bytes + 1, 0), VERSO_E_RANGE, "range");
    assert_fails(verso_map_populate(map, UINT64_MAX, 1, 0), VERSO_E_RANGE);
    assert_ok(verso_map_populate(map, bytes, 0, 0));
    assert_ok(verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_NONE));
    assert_fails(verso_map_populate(map, 0, 0, 0), -EINVAL);
    assert_non_null(strstr(verso_error_last()->hint, "verso_map_protect()"));
    verso_map_close(map);
}

static void test_an_empty_map(void **state)
{
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(support_file("empty", 0), NULL, &map));
    assert_ok(verso_map_populate(map, 0, 0, 0));
    verso_map_close(map);
}

static void test_the_first_page_past_the_cut_is_named(void **state)
{
    size_t page = verso_page_bytes();

    (void)state;
    for (size_t pages = 1; pages <= 9; pages++)
        for (size_t left = 0; left < pages; left++) {
            struct verso_map *map = open_pages(pages, 0);
            struct verso_map_info info = VERSO_MAP_INFO_INIT;

            assert_int_equal(truncate(support_path("populate"), (off_t)(left * page)), 0);
            assert_fails_in(verso_map_populate(map, 0, 0, 0), VERSO_E_TORN, "populate");
            assert_int_equal(verso_error_last()->offset_bytes, left * page);
            assert_ok(verso_map_info(map, &info));
            assert_int_equal(info.torn_offset_bytes, left * page);
            assert_true(info.torn_count > 0);
            verso_map_close(map);
        }
}

static void test_a_cut_behind_the_range_is_no_matter(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, 0);
    struct verso_map_info info = VERSO_MAP_INFO_INIT;

    (void)state;
    assert_int_equal(truncate(support_path("populate"), (off_t)(2 * page)), 0);
    assert_ok(verso_map_populate(map, 0, 2 * page, 0));
    assert_ok(verso_map_info(map, &info));
    assert_true(info.torn_offset_bytes == VERSO_OFFSET_NONE);
    verso_map_close(map);
}

static void test_a_full_disk_under_a_hole(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;
    const char *reason, *directory = support_mount_tmpfs(8 * page, &reason);
    char path[4200];

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    assert_true(snprintf(path, sizeof(path), "%s/sparse", directory) > 0);
    options.flags = VERSO_MAP_WRITE | VERSO_MAP_CREATE | VERSO_MAP_SPARSE;
    options.length_bytes = 16 * page;
    assert_ok(verso_map_open(path, &options, &map));
    assert_ok(verso_map_populate(map, 0, 2 * page, 1));
    assert_fails_in(verso_map_populate(map, 0, 0, 1), VERSO_E_TORN, "populate");
    assert_int_equal(verso_error_last()->offset_bytes, 8 * page);
    assert_non_null(strstr(verso_error_last()->hint, "disk is full"));
    verso_map_close(map);
    support_unmount(directory);
}

/* ---- Before Linux 5.14 ---------------------------------------------------------------------------------------- */

#define POPULATE_READ 22
#define POPULATE_WRITE 23

static int touched_under_guard(void *arg)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = arg;
    unsigned char *data = verso_map_data(map);

    if (!old_kernel_without(SYS_madvise, 2, POPULATE_READ, POPULATE_WRITE, EINVAL))
        return CHILD_SKIPS;
    child_assert(verso_map_populate(map, 0, 0, 0) == VERSO_E_GUARD);
    child_assert(strstr(verso_error_last()->hint, "verso_guard_install()"));
    child_assert(verso_guard_install() == 0);
    child_assert(verso_map_populate(map, 0, 0, 0) == 0);
    child_assert(mapping_at(data).memory.resident == verso_map_bytes(map));
    child_assert(verso_map_populate(map, 0, 0, 1) == 0);
    child_assert(mapping_at(data).memory.private_dirty == verso_map_bytes(map));
    child_assert(support_matches(data, 0, verso_map_bytes(map)));
    child_assert(verso_map_protect(map, 0, page, VERSO_MAP_ACCESS_NONE) == 0);
    child_assert(verso_map_populate(map, 0, 0, 0) == -EINVAL); /* not a SIGSEGV */
    return 0;
}

static void test_without_the_call_pages_are_touched(void **state)
{
    struct verso_map *map = open_pages(8, VERSO_MAP_PRIVATE);

    (void)state;
    assert_child_ok(touched_under_guard, map);
    verso_map_close(map);
}

static int torn_under_guard(void *arg)
{
    if (!old_kernel_without(SYS_madvise, 2, POPULATE_READ, POPULATE_WRITE, EINVAL))
        return CHILD_SKIPS;
    child_assert(verso_guard_install() == 0);
    child_assert(verso_map_populate(arg, 0, 0, 0) == VERSO_E_TORN);
    child_assert(verso_error_last()->offset_bytes == 5 * verso_page_bytes());
    return 0;
}

static void test_without_the_call_a_cut_is_named_too(void **state)
{
    struct verso_map *map = open_pages(8, 0);

    (void)state;
    assert_int_equal(truncate(support_path("populate"), (off_t)(5 * verso_page_bytes())), 0);
    assert_child_ok(torn_under_guard, map);
    verso_map_close(map);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_for_reading),
        cmocka_unit_test(test_for_writing_changes_no_byte),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_an_empty_map),
        cmocka_unit_test(test_the_first_page_past_the_cut_is_named),
        cmocka_unit_test(test_a_cut_behind_the_range_is_no_matter),
        cmocka_unit_test(test_a_full_disk_under_a_hole),
        cmocka_unit_test(test_without_the_call_pages_are_touched),
        cmocka_unit_test(test_without_the_call_a_cut_is_named_too),
    };

    return run_test_list(list);
}
