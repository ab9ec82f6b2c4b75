/* SPDX-License-Identifier: MIT */
/* The three levels of sync, what each asks of the kernel, and the failure that is never forgotten. */
#include "children.h"
#include "maps.h"
#include "mounts.h"
#include "os/fake/fake.h"
#include "os/os.h"

#include <limits.h>
#include <sys/vfs.h>
#include <sys/wait.h>

static const enum verso_map_sync_level levels[] = { VERSO_MAP_SYNC_START, VERSO_MAP_SYNC_DATA, VERSO_MAP_SYNC_FULL };

static int calm(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static struct verso_map *open_filled(const char *path, unsigned flags)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | flags);
    struct verso_map *map;

    assert_ok(verso_map_open(path, &options, &map));
    memset(verso_map_data(map), 'x', verso_map_bytes(map));
    return map;
}

static void test_any_range(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("file", 4 * page + 9);
    struct verso_map_options options = options_of(VERSO_MAP_WRITE, 5, 0);
    const uint64_t places[] = { 0, 1, page - 6, page, page + 1, 4 * page, 4 * page + 4 };
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(path, &options, &map));
    for (size_t level = 0; level < 3; level++)
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
            for (size_t j = i; j < sizeof(places) / sizeof(places[0]); j++) {
                ((char *)verso_map_data(map))[page] = 'y';
                assert_ok(verso_map_sync(map, places[i], places[j] - places[i], levels[level]));
            }
    assert_fails_in(verso_map_sync(map, 4 * page + 5, 0, VERSO_MAP_SYNC_DATA), VERSO_E_RANGE, "sync");
    assert_fails_in(verso_map_sync(map, 0, 4 * page + 5, VERSO_MAP_SYNC_DATA), VERSO_E_RANGE, "sync");
    assert_fails_in(verso_map_sync(map, UINT64_MAX, UINT64_MAX, VERSO_MAP_SYNC_DATA), VERSO_E_RANGE, "sync");
    assert_fails_in(verso_map_sync(map, 1, UINT64_MAX, VERSO_MAP_SYNC_START), VERSO_E_RANGE, "sync");
    verso_map_close(map);
}

static void test_refusals(void **state)
{
    const struct {
        unsigned flags;
        int code;
    } cases[] = { { 0, VERSO_E_READ_ONLY },
                  { VERSO_MAP_EXEC, VERSO_E_READ_ONLY },
                  { VERSO_MAP_PRIVATE, VERSO_E_NOT_MAPPED } };
    const char *path = support_file("file", 100);
    struct verso_map *map;

    (void)state;
    for (size_t level = 0; level < 3; level++)
        for (size_t i = 0; i < 3; i++) {
            struct verso_map_options options = options_with(cases[i].flags);

            assert_ok(verso_map_open(path, &options, &map));
            assert_fails_in(verso_map_sync(map, 0, 0, levels[level]), cases[i].code, "sync");
            verso_map_close(map);
        }
    map = open_filled(path, 0);
    assert_fails_in(verso_map_sync(map, 0, 0, (enum verso_map_sync_level)0), VERSO_E_OPTIONS, "sync");
    assert_fails_in(verso_map_sync(map, 0, 0, (enum verso_map_sync_level)4), VERSO_E_OPTIONS, "sync");
    verso_map_close(map);
}

static struct verso__os_cache_counts counts_of(const char *path)
{
    struct verso__os_cache_counts counts = { 0 };
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int r = verso__os_cache_counts(fd, 0, 0, &counts);

    close(fd);
    if (r == -ENOSYS)
        skip_because("this kernel has no cachestat to see dirty pages with");
    assert_int_equal(r, 0);
    return counts;
}

/* The pages themselves: dirty before; on their way after START; clean after DATA. */
static void test_what_happens_to_pages(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("file", 16 * page);
    struct verso_map *map = open_filled(path, 0);
    struct statfs system;

    (void)state;
    assert_int_equal(statfs(path, &system), 0);
    if (system.f_type == 0x01021994) /* TMPFS_MAGIC */
        skip_because("tmpfs has no disk to write to");
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA)); /* START passes over what is on its way already */
    memset(verso_map_data(map), 'y', 16 * page);
    assert_true(counts_of(path).dirty_pages > 0);
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_START));
    assert_int_equal(counts_of(path).dirty_pages, 0);
    memset(verso_map_data(map), 'z', 16 * page);
    assert_ok(verso_map_sync(map, 3 * page, page, VERSO_MAP_SYNC_DATA));
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA));
    assert_int_equal(counts_of(path).dirty_pages, 0);
    assert_int_equal(counts_of(path).writeback_pages, 0);
    verso_map_close(map);
}

/* Which call each level stands on: failing it must fail the level, and no lower one. */
static void test_calls_beneath(void **state)
{
    static const struct {
        const char *call;
        const char *step;
        size_t first_level;
        size_t last_level;
    } cases[] = {
        { "sync_start", "sync_file_range", 0, 0 },
        { "sync_mapping", "msync", 1, 2 },
        { "sync_full", "fsync", 2, 2 },
    };
    const char *path = support_file("file", 100);

    (void)state;
    for (size_t i = 0; i < 3; i++)
        for (size_t level = 0; level < 3; level++) {
            struct verso_map *map = open_filled(path, 0);

            fake_fail_call(cases[i].call, -EIO, 1);
            if (level >= cases[i].first_level && level <= cases[i].last_level)
                assert_fails_in(verso_map_sync(map, 0, 0, levels[level]), -EIO, cases[i].step);
            else
                assert_ok(verso_map_sync(map, 0, 0, levels[level]));
            fake_fail_call(cases[i].call, 0, 0);
            verso_map_close(map);
        }
}

static void test_poison(void **state)
{
    struct verso_map *map = open_filled(support_file("file", 100), VERSO_MAP_KEEP_FD);

    (void)state;
    assert_int_equal(info_of(map).poison, 0);
    fake_fail_call("sync_mapping", -EIO, 1);
    assert_fails_in(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA), -EIO, "msync");
    assert_int_equal(info_of(map).poison, -EIO);
    fake_fail_call("sync_mapping", -ENOSPC, UINT_MAX);
    for (size_t level = 0; level < 3; level++) {
        assert_fails_in(verso_map_sync(map, 0, 1, levels[level]), VERSO_E_POISONED, "sync");
        assert_int_equal(verso_error_last()->cause, -EIO);
    }
    fake_reset();
    assert_fails(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_FULL), VERSO_E_POISONED);
    assert_ok(verso_map_resize(map, 5000)); /* the rest of the map lives on */
    assert_fails(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA), VERSO_E_POISONED);
    verso_map_close(map);
}

static void test_a_wrong_question_is_no_poison(void **state)
{
    struct verso_map *map = open_filled(support_file("file", 100), 0);

    (void)state;
    fake_fail_call("sync_start", -EINVAL, 1);
    assert_fails(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_START), -EINVAL);
    assert_int_equal(info_of(map).poison, 0);
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_START));
    verso_map_close(map);
}

static void test_without_a_descriptor(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE);
    int fd = open(support_file("file", 100), O_RDWR | O_CLOEXEC);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open_fd(fd, &options, &map));
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA));
    assert_fails_in(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_START), VERSO_E_NO_DESCRIPTOR, "sync");
    assert_fails_in(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_FULL), VERSO_E_NO_DESCRIPTOR, "sync");
    assert_hint("KEEP_FD");
    verso_map_close(map);
    options.flags |= VERSO_MAP_KEEP_FD;
    assert_ok(verso_map_open_fd(fd, &options, &map));
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_START));
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_FULL));
    verso_map_close(map);
    close(fd);
}

/* ---- The name in its directory ---------------------------------------------------------------------------------- */

/* Whether FULL asks for a directory: its open is made to fail in a way that can't pass unseen. */
static bool asks_for_directory(struct verso_map *map)
{
    int r;

    fake_fail_call("open", -EIO, UINT_MAX);
    r = verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_FULL);
    fake_fail_call("open", 0, 0);
    return r == -EIO;
}

static void test_directory_is_synced(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_KEEP_FD);
    const char *path = support_file("file", 100);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(path, &options, &map));
    assert_true(asks_for_directory(map));
    verso_map_close(map);
    assert_ok(verso_map_open_fd(fd, &options, &map)); /* a descriptor has no name to be synced */
    assert_false(asks_for_directory(map));
    verso_map_close(map);
    close(fd);
}

static void test_names_that_changed(void **state)
{
    const char *path = support_file("file", 100);
    struct verso_map *map = open_filled(path, VERSO_MAP_KEEP_FD);
    char *link = strdup(support_path("link"));

    (void)state;
    assert_int_equal(rename(path, support_path("renamed")), 0);
    assert_true(asks_for_directory(map));
    verso_map_close(map);
    path = support_file("file", 100);
    map = open_filled(path, VERSO_MAP_KEEP_FD);
    assert_int_equal(unlink(path), 0);
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_FULL)); /* no name: nothing to lose */
    assert_false(asks_for_directory(map));
    verso_map_close(map);
    path = support_file("file", 100);
    assert_int_equal(symlink(path, link), 0);
    map = open_filled(link, 0);
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_FULL));
    verso_map_close(map);
    assert_int_equal(unlink(link), 0);
    free(link);
}

static int sync_relative(void *arg)
{
    const unsigned ways[] = { VERSO_MAP_KEEP_FD, 0 };

    (void)arg;
    for (size_t i = 0; i < 2; i++) {
        struct verso_map_options options = options_with(VERSO_MAP_WRITE | ways[i]);
        struct verso_map *map = NULL;

        if (chdir(support_directory()) != 0 || verso_map_open("file", &options, &map) != 0)
            return 2;
        if (verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_FULL) != 0 || chdir("/") != 0)
            return 3;
        if (verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_FULL) != (ways[i] ? 0 : VERSO_E_NO_DESCRIPTOR))
            return 4;
        verso_map_close(map);
    }
    return 0;
}

static void test_relative_name(void **state)
{
    int status;

    (void)state;
    support_file("file", 100);
    status = support_child(sync_relative, NULL);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* A directory that may be searched and written, but not read. */
static int sync_in_closed_directory(void *path)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_CREATE);
    struct verso_map *map = NULL;

    if (geteuid() == 0 && support_drop_privileges() != 0)
        return 2;
    options.length_bytes = 100;
    if (verso_map_open(path, &options, &map) != 0)
        return 3;
    if (verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_FULL) != 0)
        return 4;
    fake_fail_call("sync_file_system", -EIO, 1);
    if (verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_FULL) != -EIO)
        return 5;
    verso_map_close(map);
    return unlink(path);
}

static void test_unreadable_directory(void **state)
{
    char *directory = strdup(support_path("closed"));
    int status;

    (void)state;
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(chmod(support_directory(), 0711), 0);
    assert_int_equal(chmod(directory, 0333), 0);
    status = support_child(sync_in_closed_directory, (void *)(uintptr_t)support_path("closed/file"));
    assert_int_equal(chmod(directory, 0700), 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    free(directory);
}

/* ---- Special states --------------------------------------------------------------------------------------------- */

static void test_empty(void **state)
{
    struct verso_map *map = open_filled(support_file("file", 1000), VERSO_MAP_GROW);

    (void)state;
    assert_ok(verso_map_resize(map, 0));
    for (size_t level = 0; level < 3; level++)
        assert_ok(verso_map_sync(map, 0, 0, levels[level]));
    fake_fail_call("sync_data", -EIO, 1);
    assert_fails_in(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA), -EIO, "fdatasync");
    assert_int_equal(info_of(map).poison, -EIO);
    verso_map_close(map);
}

/* Stores into the zeros that stand in for a cut part are lost; sync must not say that they are safe. */
static void test_substituted_zeros(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("file", 4 * page);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_guard_install());
    map = open_filled(path, VERSO_MAP_SUBSTITUTE);
    assert_int_equal(truncate(path, (off_t)page), 0);
    ((volatile char *)verso_map_data(map))[2 * page] = 'x';
    assert_fails_in(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA), VERSO_E_TORN, "sync");
    assert_hint("lost");
    assert_ok(verso_map_sync(map, 0, page, VERSO_MAP_SYNC_DATA));
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

/* The real thing: the file system has given the space, the disk below can't take the data. */
static void test_disk_fails(void **state)
{
    const char *reason, *directory = support_mount_failing(64 << 20, 12 << 20, &reason);
    struct verso_map_options options = options_of(VERSO_MAP_WRITE | VERSO_MAP_CREATE, 0, 32 << 20);
    struct verso_map *map;
    char path[PATH_MAX];
    int r;

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    assert_true(snprintf(path, sizeof(path), "%s/file", directory) < (int)sizeof(path));
    assert_ok(verso_map_open(path, &options, &map));
    for (size_t i = 0; i < verso_map_bytes(map); i++) /* not all alike, or the image would keep holes */
        ((unsigned char *)verso_map_data(map))[i] = support_byte(i);
    r = verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA);
    assert_true(r == -EIO || r == -ENOSPC);
    assert_int_equal(info_of(map).poison, r);
    assert_fails_in(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA), VERSO_E_POISONED, "sync");
    assert_int_equal(verso_error_last()->cause, r);
    verso_map_close(map);
    support_unmount(directory);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_any_range),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_what_happens_to_pages),
        cmocka_unit_test_teardown(test_calls_beneath, calm),
        cmocka_unit_test_teardown(test_poison, calm),
        cmocka_unit_test_teardown(test_a_wrong_question_is_no_poison, calm),
        cmocka_unit_test(test_without_a_descriptor),
        cmocka_unit_test_teardown(test_directory_is_synced, calm),
        cmocka_unit_test_teardown(test_names_that_changed, calm),
        cmocka_unit_test(test_relative_name),
        cmocka_unit_test(test_unreadable_directory),
        cmocka_unit_test_teardown(test_empty, calm),
        cmocka_unit_test(test_substituted_zeros),
        cmocka_unit_test(test_disk_fails),
    };

    return run_test_list(list);
}
