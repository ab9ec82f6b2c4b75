/* SPDX-License-Identifier: MIT */
/* remap - the window moves over the file; what is refused leaves it where it was. */
#include "support.h"

#include "child.h"
#include "mapping.h"
#include "maps.h"

#include <sys/mman.h>
#include <sys/wait.h>

static const char *eight_pages(void)
{
    return support_file("remap", 8 * verso_page_bytes());
}

/* The map shows this range of the pattern file. */
static void assert_shows(const struct verso_map *map, uint64_t offset, uint64_t length)
{
    assert_int_equal(verso_map_bytes(map), length);
    assert_int_equal(info_of(map).offset_bytes, offset);
    assert_true(support_matches(verso_map_data(map), offset, (size_t)length));
}

static void test_within_the_room_the_address_stays(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_of(0, 0, 4 * page);
    struct verso_map *map;
    void *data;

    (void)state;
    assert_ok(verso_map_open(eight_pages(), &options, &map));
    data = verso_map_data(map);
    assert_ok(verso_map_remap(map, page, 2 * page));
    assert_ptr_equal(verso_map_data(map), data);
    assert_shows(map, page, 2 * page);
    assert_ok(verso_map_remap(map, 4 * page, 0)); /* the room is still that of four pages */
    assert_ptr_equal(verso_map_data(map), data);
    assert_shows(map, 4 * page, 4 * page);
    verso_map_close(map);
}

static void test_beyond_the_room_it_moves(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_of(0, 0, page);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(eight_pages(), &options, &map));
    assert_ok(verso_map_remap(map, 0, 0));
    assert_shows(map, 0, 8 * page);
    assert_ok(verso_map_remap(map, page, 3 * page));
    assert_shows(map, page, 3 * page);
    verso_map_close(map);
}

static void test_any_byte_range(void **state)
{
    size_t page = verso_page_bytes();
    const struct {
        uint64_t offset, length;
    } ranges[] = { { 1, 1 }, { page - 1, 2 }, { page, page + 1 }, { 3, 8 * page - 3 }, { 8 * page - 1, 1 } };
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(eight_pages(), NULL, &map));
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        assert_ok(verso_map_remap(map, ranges[i].offset, ranges[i].length));
        assert_shows(map, ranges[i].offset, ranges[i].length);
    }
    verso_map_close(map);
}

static void test_to_nothing_and_back(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(eight_pages(), NULL, &map));
    assert_ok(verso_map_remap(map, 8 * page, 0));
    assert_int_equal(verso_map_bytes(map), 0);
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_EMPTY);
    assert_non_null(verso_map_data(map));
    assert_ok(verso_map_remap(map, 0, 0));
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_FILE);
    assert_shows(map, 0, 8 * page);
    verso_map_close(map);
}

static void test_refusals_leave_the_map_as_it_was(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_of(0, page, 2 * page);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(eight_pages(), &options, &map));
    assert_fails_in(verso_map_remap(map, 8 * page + 1, 0), VERSO_E_RANGE, "range");
    assert_int_equal(verso_error_last()->offset_bytes, 8 * page + 1);
    assert_fails(verso_map_remap(map, 1, 8 * page), VERSO_E_RANGE);
    assert_fails(verso_map_remap(map, UINT64_MAX, 1), VERSO_E_OVERFLOW);
    assert_fails(verso_map_remap(map, (uint64_t)INT64_MAX, 1), VERSO_E_OVERFLOW);
    assert_fails(verso_map_remap(map, (uint64_t)INT64_MAX, 0), VERSO_E_RANGE);
    assert_shows(map, page, 2 * page);
    assert_int_equal(unlink(support_path("remap")), 0);
    assert_fails(verso_map_remap(map, 0, 0), VERSO_E_NO_DESCRIPTOR);
    assert_shows(map, page, 2 * page);
    verso_map_close(map);
}

static void test_another_file_of_that_name_is_not_taken(void **state)
{
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(eight_pages(), NULL, &map));
    assert_int_equal(rename(support_file("other", 100), support_path("remap")), 0);
    assert_fails(verso_map_remap(map, 0, 50), VERSO_E_NO_DESCRIPTOR);
    verso_map_close(map);
}

static void test_a_kept_descriptor_needs_no_name(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_KEEP_FD);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(eight_pages(), &options, &map));
    assert_int_equal(unlink(support_path("remap")), 0);
    assert_ok(verso_map_remap(map, 100, 50));
    assert_shows(map, 100, 50);
    verso_map_close(map);
}

static void test_what_was_read_in_has_no_other_range(void **state)
{
    struct verso_map *map;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "text", 4), 4);
    assert_int_equal(close(ends[1]), 0);
    assert_ok(verso_map_open_fd(ends[0], NULL, &map));
    assert_fails(verso_map_remap(map, 0, 1), VERSO_E_NOT_MAPPED);
    assert_int_equal(close(ends[0]), 0);
    verso_map_close(map);
}

static void test_a_fixed_address_stays_or_refuses(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_of(0, 0, 2 * page);
    struct verso_map *map;
    void *room;

    (void)state;
    assert_int_equal(verso__os_reserve(4 * page, page, &room), 0);
    assert_int_equal(verso__os_unmap(room, 4 * page), 0);
    options.address = room;
    assert_ok(verso_map_open(eight_pages(), &options, &map));
    assert_ok(verso_map_remap(map, 2 * page, page));
    assert_ptr_equal(verso_map_data(map), room);
    assert_shows(map, 2 * page, page);
    assert_fails(verso_map_remap(map, 0, 3 * page), VERSO_E_SPAN);
    assert_ptr_equal(verso_map_data(map), room);
    assert_shows(map, 2 * page, page);
    verso_map_close(map);
}

static void test_stores_reach_the_new_range(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_of(VERSO_MAP_WRITE, 0, page);
    const char *path = eight_pages();
    struct verso_map *map;
    unsigned char byte;

    (void)state;
    assert_ok(verso_map_open(path, &options, &map));
    assert_ok(verso_map_remap(map, 5 * page + 7, 10));
    *(unsigned char *)verso_map_data(map) = (unsigned char)~support_byte(5 * page + 7);
    read_at(path, 5 * page + 7, &byte, 1);
    assert_int_equal(byte, (unsigned char)~support_byte(5 * page + 7));
    verso_map_close(map);
}

static void test_holes_of_the_new_range_are_given_space(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_of(VERSO_MAP_WRITE, 0, page);
    const char *path = sparse_file("sparse", 256 * page);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(path, &options, &map));
    assert_true((size_t)status_of(path).st_blocks * 512 < 64 * page);
    assert_ok(verso_map_remap(map, 128 * page, 128 * page));
    assert_true((size_t)status_of(path).st_blocks * 512 >= 128 * page);
    verso_map_close(map);
}

static void test_flags_go_with_it(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_of(VERSO_MAP_LOCK | VERSO_MAP_NO_CORE | VERSO_MAP_NO_FORK, 0, 2 * page);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(eight_pages(), &options, &map));
    for (size_t pages = 1; pages <= 4; pages += 3) { /* within the room, beyond it */
        assert_ok(verso_map_remap(map, page, pages * page));
        assert_true(mapping_has_flag(verso_map_data(map), "lo"));
        assert_true(mapping_has_flag(verso_map_data(map), "dd"));
        assert_true(mapping_has_flag(verso_map_data(map), "dc"));
    }
    verso_map_close(map);
}

static void test_a_new_range_is_not_torn(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(eight_pages(), NULL, &map));
    assert_int_equal(truncate(support_path("remap"), (off_t)(2 * page)), 0);
    assert_fails(verso_map_populate(map, 0, 0, 0), VERSO_E_TORN);
    assert_fails(verso_map_remap(map, 0, 3 * page), VERSO_E_RANGE);
    assert_ok(verso_map_remap(map, page, page));
    assert_ok(verso_map_check(map));
    assert_shows(map, page, page);
    verso_map_close(map);
}

static int remap_sealed(void *arg)
{
    struct verso_map *map;

    child_assert(verso_map_open(arg, NULL, &map) == 0);
    child_assert(verso_map_seal(map) == 0 || verso_error_last()->code == VERSO_E_UNSUPPORTED);
    if (verso_error_last()->code == VERSO_E_UNSUPPORTED)
        return CHILD_SKIPS;
    child_assert(verso_map_remap(map, 0, 1) == -EPERM);
    child_assert(strstr(verso_error_last()->hint, "verso_map_seal()"));
    verso_map_close(map);
    return 0;
}

static void test_sealed_memory_shows_what_it_shows(void **state)
{
    (void)state;
    assert_child_ok(remap_sealed, (void *)(uintptr_t)eight_pages());
}

static void slide(const char *path)
{
    size_t page = verso_page_bytes();
    struct verso_map *map;

    assert_ok(verso_map_open(path, NULL, &map));
    for (size_t i = 0; i < 8; i++)
        assert_ok(verso_map_remap(map, (i * 3 % 8) * page, 0));
    assert_fails(verso_map_remap(map, 9 * page, 0), VERSO_E_RANGE);
    verso_map_close(map);
}

static void test_nothing_is_left_behind(void **state)
{
    const char *path = eight_pages();
    size_t mappings, descriptors;

    (void)state;
    slide(path); /* what is counted is the second time, when libraries have what they keep */
    descriptors = support_descriptor_count(); /* first: it allocates */
    mappings = support_mapping_count();
    slide(path);
    assert_int_equal(support_mapping_count(), mappings);
    assert_int_equal(support_descriptor_count(), descriptors);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_within_the_room_the_address_stays),
        cmocka_unit_test(test_beyond_the_room_it_moves),
        cmocka_unit_test(test_any_byte_range),
        cmocka_unit_test(test_to_nothing_and_back),
        cmocka_unit_test(test_refusals_leave_the_map_as_it_was),
        cmocka_unit_test(test_another_file_of_that_name_is_not_taken),
        cmocka_unit_test(test_a_kept_descriptor_needs_no_name),
        cmocka_unit_test(test_what_was_read_in_has_no_other_range),
        cmocka_unit_test(test_a_fixed_address_stays_or_refuses),
        cmocka_unit_test(test_stores_reach_the_new_range),
        cmocka_unit_test(test_holes_of_the_new_range_are_given_space),
        cmocka_unit_test(test_flags_go_with_it),
        cmocka_unit_test(test_a_new_range_is_not_torn),
        cmocka_unit_test(test_sealed_memory_shows_what_it_shows),
        cmocka_unit_test(test_nothing_is_left_behind),
    };

    return run_test_list(list);
}
