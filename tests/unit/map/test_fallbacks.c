/* SPDX-License-Identifier: MIT */
/* What open and resize do where a kernel or file system has less to offer: each call is refused as such a one would. */
#include "maps.h"
#include "os/fake/fake.h"

#include <limits.h>

static int calm(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static uint64_t allocated(const char *path)
{
    return (uint64_t)status_of(path).st_blocks * 512;
}

/* Shared is refused (memory sealed against writing, before Linux 6.7); what is only read may as well be private. */
static void test_shared_is_refused(void **state)
{
    const int codes[] = { -EPERM, -ENODEV };
    const char *path = support_file("file", 5000);
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    struct verso_map *map;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fake_fail_call("map", codes[i], 1);
        assert_ok(verso_map_open(path, NULL, &map));
        assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_FILE);
        assert_true(support_matches(verso_map_data(map), 0, 5000));
        verso_map_close(map);
    }
    fake_fail_call("map", -EPERM, 1);
    assert_open_fails(path, &options, -EPERM, "mmap");
    fake_fail_call("map", -ENODEV, 1);
    assert_open_fails(path, &options, VERSO_E_NOT_MAPPED, "mmap");
    assert_int_equal(verso_error_last()->cause, -ENODEV);
}

/* No mapping at all: read in. */
static void test_mmap_is_refused(void **state)
{
    const int codes[] = { -ENODEV, -EIO };
    const char *path = support_file("file", 100000);
    struct verso_map_options options = options_of(VERSO_MAP_GROW, 7, 50000);
    struct verso_map *map;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fake_fail_call("map", codes[i], codes[i] == -EIO ? 1 : 2);
        assert_ok(verso_map_open(path, &options, &map));
        assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_BUFFER);
        assert_true(support_matches(verso_map_data(map), 7, 50000));
        verso_map_close(map);
    }
}

static void grow_and_fill(const char *path)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_GROW);
    struct verso_map *map;

    assert_ok(verso_map_open(path, &options, &map));
    assert_true(allocated(path) >= 64 * page);
    assert_ok(verso_map_resize(map, 100 * page));
    assert_true(allocated(path) >= 100 * page);
    assert_int_equal(status_of(path).st_size, 100 * page);
    memset(verso_map_data(map), 'x', 100 * page);
    verso_map_close(map);
}

static void test_no_fallocate(void **state)
{
    (void)state;
    fake_fail_call("allocate", -EOPNOTSUPP, UINT_MAX);
    grow_and_fill(sparse_file("sparse", 64 * verso_page_bytes()));
}

/* Neither fallocate nor a way to fault pages in without risk: the caller must say that holes are all right. */
static void test_no_way_to_allocate(void **state)
{
    const char *path = sparse_file("sparse", 64 * verso_page_bytes());
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    struct verso_map *map;

    (void)state;
    fake_fail_call("allocate", -EOPNOTSUPP, UINT_MAX);
    fake_fail_call("populate", -EINVAL, UINT_MAX);
    assert_open_fails(path, &options, -EOPNOTSUPP, "fallocate");
    options.flags |= VERSO_MAP_SPARSE;
    assert_ok(verso_map_open(path, &options, &map));
    verso_map_close(map);
}

static void test_holes_cannot_be_seen(void **state)
{
    const int codes[] = { -EINVAL, -EOPNOTSUPP };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        fake_fail_call("next_hole", codes[i], UINT_MAX);
        grow_and_fill(sparse_file("sparse", 64 * verso_page_bytes()));
    }
    fake_fail_call("allocate", -EOPNOTSUPP, 1); /* nor fallocate: then there are no holes */
    {
        const char *path = support_file("file", 100);
        struct verso_map_options options = options_with(VERSO_MAP_WRITE);
        struct verso_map *map;

        assert_ok(verso_map_open(path, &options, &map));
        verso_map_close(map);
    }
}

/* Without /proc a caller's descriptor can't be opened again; its position stays all the same. */
static void test_no_second_open_file(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = sparse_file("sparse", 64 * page);
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct verso_map *map;

    (void)state;
    fake_fail_call("reopen", -ENOENT, UINT_MAX);
    assert_int_equal(lseek(fd, 5, SEEK_SET), 5);
    assert_ok(verso_map_open_fd(fd, &options, &map));
    assert_true(allocated(path) >= 64 * page);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 5);
    verso_map_close(map);
    close(fd);
}

/* Cut by somebody between fstat and the search for holes. */
static void test_cut_while_opening(void **state)
{
    const char *path = support_file("file", 5000);
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    struct verso_map *map;

    (void)state;
    fake_fail_call("next_hole", -ENXIO, 1);
    assert_ok(verso_map_open(path, &options, &map));
    verso_map_close(map);
}

static void test_no_names_for_memory(void **state)
{
    struct verso_map *map;

    (void)state;
    fake_fail_call("name", -EINVAL, UINT_MAX);
    assert_ok(verso_map_open("/proc/self/comm", NULL, &map));
    assert_int_equal(info_of(map).kind, VERSO_MAP_KIND_BUFFER);
    verso_map_close(map);
}

/* Pages that can't be given back when a map shrinks stay mapped, unused; the next growth finds them. */
static void test_memory_is_not_taken_back(void **state)
{
    const unsigned ways[] = { VERSO_MAP_GROW, 0 };
    size_t page = verso_page_bytes();

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *path = support_file("file", 10 * page);
        struct verso_map_options options = options_with(VERSO_MAP_WRITE | ways[i]);
        struct verso_map *map;

        assert_ok(verso_map_open(path, &options, &map));
        fake_fail_call(ways[i] ? "map" : "unmap", -ENOMEM, 1);
        assert_ok(verso_map_resize(map, page));
        assert_int_equal(verso_map_bytes(map), page);
        assert_int_equal(status_of(path).st_size, page);
        assert_ok(verso_map_resize(map, 20 * page));
        assert_true(support_matches(verso_map_data(map), 0, page));
        memset((char *)verso_map_data(map) + page, 'x', 19 * page);
        assert_ok(verso_map_resize(map, 0));
        verso_map_close(map);
    }
}

/* Pages that were only tried, elsewhere, leave no mark on the map. */
static void test_what_was_not_placed_tears_nothing(void **state)
{
    const unsigned kinds[] = { 0, VERSO_MAP_GROW };
    size_t page = verso_page_bytes();
    struct verso_map *map;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct verso_map_options options = options_of(VERSO_MAP_WRITE | VERSO_MAP_POPULATE | kinds[i], 0, 8 * page);
        const char *path = support_file("file", 8 * page);

        assert_ok(verso_map_open(path, &options, &map));
        fake_fail_call("populate", -EFAULT, UINT_MAX);
        assert_fails_in(verso_map_resize(map, 20 * page), VERSO_E_TORN, "populate");
        assert_fails_in(verso_map_remap(map, page, 2 * page), VERSO_E_TORN, "populate");
        fake_reset();
        assert_ok(verso_map_check(map));
        assert_true(info_of(map).torn_offset_bytes == VERSO_OFFSET_NONE);
        assert_int_equal(info_of(map).torn_count, 0);
        assert_ok(verso_map_refresh(map));
        verso_map_close(map);
    }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test_teardown(test_shared_is_refused, calm),
        cmocka_unit_test_teardown(test_mmap_is_refused, calm),
        cmocka_unit_test_teardown(test_no_fallocate, calm),
        cmocka_unit_test_teardown(test_no_way_to_allocate, calm),
        cmocka_unit_test_teardown(test_holes_cannot_be_seen, calm),
        cmocka_unit_test_teardown(test_no_second_open_file, calm),
        cmocka_unit_test_teardown(test_cut_while_opening, calm),
        cmocka_unit_test_teardown(test_no_names_for_memory, calm),
        cmocka_unit_test_teardown(test_what_was_not_placed_tears_nothing, calm),
        cmocka_unit_test_teardown(test_memory_is_not_taken_back, calm),
    };

    return run_test_list(list);
}
