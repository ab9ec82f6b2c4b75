/* SPDX-License-Identifier: MIT */
/* snapshot - maps of a file that shares its blocks. rungs.h says who attacks. */
#include "rungs.h"

#include "mounts.h"

static void snapshot_holds(const char *path)
{
    size_t page = verso_page_bytes();
    struct verso_map_options part = options_of(VERSO_MAP_KEEP_FD, page + 5, 3 * page);
    struct verso_map *whole, *range;
    int fd;

    whole = open_at(path, VERSO_MAP_SNAPSHOT, 0);
    assert_rung(whole, VERSO_MAP_SNAPSHOT, "");
    assert_int_equal(info_of(whole).kind, VERSO_MAP_KIND_FILE);
    assert_int_equal(info_of(whole).fd, -1);
    assert_string_equal(info_of(whole).path, path);
    part.stability = VERSO_MAP_SNAPSHOT;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_ok(verso_map_open_fd(fd, &part, &range));
    assert_int_equal(close(fd), 0);
    assert_string_equal(info_of(range).path, path);
    assert_true(ftruncate(info_of(range).fd, 0) < 0); /* read-only, even for us */
    suffer(path);
    assert_true(is_pattern(whole));
    assert_true(is_pattern(range));
    assert_ok(verso_map_check(whole));
    assert_ok(verso_map_remap(range, 0, 0)); /* the snapshot's other pages are there as well */
    assert_true(is_pattern(range));
    assert_fails(verso_map_remap(whole, 0, 1), VERSO_E_NO_DESCRIPTOR); /* never the file of that name */
    verso_map_close(whole);
    verso_map_close(range);
}

static void test_a_snapshot_holds_here(void **state)
{
    const char *path = pattern_file();

    (void)state;
    if (!can_reflink(path))
        skip_because("this file system can't share blocks; xfs and btrfs are mounted for it below");
    snapshot_holds(path);
}

static void snapshot_on(enum support_file_system system)
{
    const char *reason, *directory = support_mount(system, 0, &reason);
    char path[4200];
    int fd;

    if (!directory)
        skip_because("%s", reason);
    assert_true(snprintf(path, sizeof(path), "%s/stable", directory) > 0);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    for (size_t at = 0; at < PAGES * verso_page_bytes(); at++) {
        unsigned char byte = support_byte(at);

        assert_int_equal(write(fd, &byte, 1), 1);
    }
    assert_int_equal(close(fd), 0);
    snapshot_holds(path);
    support_unmount(directory);
}

static void test_a_snapshot_holds_on_xfs(void **state)
{
    (void)state;
    snapshot_on(SUPPORT_XFS);
}

static void test_a_snapshot_holds_on_btrfs(void **state)
{
    (void)state;
    snapshot_on(SUPPORT_BTRFS);
}

static void test_where_blocks_cannot_be_shared_it_copies(void **state)
{
    const char *path = pattern_file();
    struct verso_map *map;

    (void)state;
    if (can_reflink(path))
        skip_because("this file system can share blocks");
    map = open_at(path, VERSO_MAP_SNAPSHOT, 0);
    assert_rung(map, VERSO_MAP_COPY, "reflink");
    suffer(path);
    assert_true(is_pattern(map));
    verso_map_close(map);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_snapshot_holds_here),
        cmocka_unit_test(test_a_snapshot_holds_on_xfs),
        cmocka_unit_test(test_a_snapshot_holds_on_btrfs),
        cmocka_unit_test(test_where_blocks_cannot_be_shared_it_copies),
    };

    return run_test_list(list);
}
