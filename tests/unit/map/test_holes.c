/* SPDX-License-Identifier: MIT */
/* A file opened for writing has disk space under all of the map, or does not open: a full disk is never a signal. */
#include "maps.h"
#include "mounts.h"

#include <limits.h>
#include <signal.h>
#include <sys/wait.h>

/* A file with data at its first and last page, a hole between. */
static const char *holed_file(const char *directory, size_t pages)
{
    static char path[PATH_MAX];
    size_t page = verso_page_bytes();
    int fd;

    assert_true(snprintf(path, sizeof(path), "%s/holed", directory) < (int)sizeof(path));
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "first", 5, 0), 5);
    assert_int_equal(pwrite(fd, "last", 4, (off_t)(pages * page - 4)), 4);
    assert_int_equal(close(fd), 0);
    return path;
}

static void check_content(const char *path, size_t pages)
{
    char first[6], last[5], middle = 1;

    read_at(path, 0, first, 6);
    read_at(path, pages * verso_page_bytes() - 5, last, 5);
    read_at(path, pages / 2 * verso_page_bytes(), &middle, 1);
    assert_memory_equal(first, "first", 6);
    assert_memory_equal(last, "\0last", 5);
    assert_int_equal(middle, 0);
}

static void test_holes_are_filled(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = holed_file(support_directory(), 64);
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(path, &options, &map));
    assert_true((uint64_t)status_of(path).st_blocks * 512 >= 64 * page);
    assert_int_equal(status_of(path).st_size, 64 * page);
    check_content(path, 64);
    verso_map_close(map);
}

static void test_only_the_range_is_filled(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = sparse_file("sparse", 4096 * page);
    struct verso_map_options options = options_of(VERSO_MAP_WRITE, 100 * page + 1, 3 * page);
    struct verso_map *map;
    uint64_t allocated;

    (void)state;
    assert_ok(verso_map_open(path, &options, &map));
    allocated = (uint64_t)status_of(path).st_blocks * 512;
    assert_true(allocated >= 3 * page);
    assert_true(allocated < 2048 * page); /* file systems round up; but not to all of it */
    assert_int_equal(status_of(path).st_size, 4096 * page);
    verso_map_close(map);
}

static void test_sparse_leaves_them(void **state)
{
    const unsigned flags[] = { 0, VERSO_MAP_PRIVATE, VERSO_MAP_WRITE | VERSO_MAP_SPARSE };
    const char *path = sparse_file("sparse", 1 << 24);

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct verso_map_options options = options_with(flags[i]);
        struct verso_map *map;

        assert_ok(verso_map_open(path, &options, &map));
        assert_true(status_of(path).st_blocks * 512 < 1 << 20);
        verso_map_close(map);
    }
}

static void test_callers_position_stays(void **state)
{
    const char *path = holed_file(support_directory(), 8);
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct verso_map *map;

    (void)state;
    assert_int_equal(lseek(fd, 3, SEEK_SET), 3);
    assert_ok(verso_map_open_fd(fd, &options, &map));
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 3);
    assert_true((uint64_t)status_of(path).st_blocks * 512 >= 8 * verso_page_bytes());
    verso_map_close(map);
    assert_int_equal(close(fd), 0);
}

static int store_everywhere(void *map)
{
    memset(verso_map_data(map), 'x', verso_map_bytes(map));
    return 0;
}

/* On a full disk: open fails instead of a later store; SPARSE opens, and the store is a signal. */
static void test_full_disk(void **state)
{
    size_t page = verso_page_bytes();
    const char *reason, *directory = support_mount_tmpfs(16 * page, &reason);
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    struct verso_map *map;
    const char *path;
    int status;

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    path = holed_file(directory, 32);
    assert_open_fails(path, &options, -ENOSPC, "fallocate");
    assert_hint("sparse");
    assert_int_equal(status_of(path).st_size, 32 * page);
    check_content(path, 32);
    options.flags |= VERSO_MAP_SPARSE;
    assert_ok(verso_map_open(path, &options, &map));
    status = support_child(store_everywhere, map);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    verso_map_close(map);
    path = holed_file(directory, 32);
    options = options_of(VERSO_MAP_WRITE, 0, 8 * page); /* what there is room for opens */
    assert_ok(verso_map_open(path, &options, &map));
    memset(verso_map_data(map), 'x', verso_map_bytes(map));
    verso_map_close(map);
    support_unmount(directory);
}

/* ext2's block maps: holes can be seen, but there is no fallocate. */
static void test_without_fallocate(void **state)
{
    size_t page = verso_page_bytes();
    const char *reason, *directory = support_mount(SUPPORT_EXT2, 8 << 20, &reason);
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    struct verso_map *map;
    const char *path;

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    path = holed_file(directory, 300);
    assert_ok(verso_map_open(path, &options, &map));
    assert_true((uint64_t)status_of(path).st_blocks * 512 >= 300 * page);
    check_content(path, 300);
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA));
    verso_map_close(map);
    path = holed_file(directory, 8192); /* more than the disk has */
    assert_open_fails(path, &options, -ENOSPC, "fallocate");
    check_content(path, 8192);
    support_unmount(directory);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_holes_are_filled),   cmocka_unit_test(test_only_the_range_is_filled),
        cmocka_unit_test(test_sparse_leaves_them), cmocka_unit_test(test_callers_position_stays),
        cmocka_unit_test(test_full_disk),          cmocka_unit_test(test_without_fallocate),
    };

    return run_test_list(list);
}
