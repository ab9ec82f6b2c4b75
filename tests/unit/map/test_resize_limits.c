/* SPDX-License-Identifier: MIT */
/* resize_limits - growing until something is used up: addresses, the disk, a file's size, locked memory. */
#include "children.h"
#include "maps.h"
#include "mounts.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* In a child whose address space is limited (ulimit -v): the default span makes do, a span asked for does not. */
static int open_in_little_room(void *path)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_GROW);
    struct rlimit limit = { (rlim_t)600 << 20, (rlim_t)600 << 20 }; /* a span of 512 MiB would fit, and nothing else */
    struct verso_map_info info = VERSO_MAP_INFO_INIT;
    struct verso_map *map = NULL;

    if (setrlimit(RLIMIT_AS, &limit) != 0)
        return 2;
    if (verso_map_open(path, &options, &map) != 0 || verso_map_info(map, &info) != 0)
        return 3;
    if (info.span_bytes > (rlim_t)1 << 29 || verso_map_resize(map, 10000000) != 0)
        return 4;
    if (!malloc(100 << 20)) /* the rest of the process still has room */
        return 5;
    verso_map_close(map);
    options.span_bytes = (uint64_t)2 << 30;
    return verso_map_open(path, &options, &map) == -ENOMEM ? 0 : 6;
}

static void test_limited_address_space(void **state)
{
    int status;

    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers need more address space than the limit that is tested");
    status = support_child(open_in_little_room, (void *)(uintptr_t)support_file("file", 100));
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_full_disk(void **state)
{
    size_t page = verso_page_bytes();
    const unsigned ways[] = { VERSO_MAP_GROW, 0 };
    const char *reason, *directory = support_mount_tmpfs(16 * page, &reason);
    char path[PATH_MAX];

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    assert_true(snprintf(path, sizeof(path), "%s/file", directory) < (int)sizeof(path));
    for (size_t i = 0; i < 2; i++) {
        struct verso_map_options options = options_of(VERSO_MAP_WRITE | VERSO_MAP_CREATE | ways[i], 0, 4 * page);
        struct verso_map *map;
        void *address;

        assert_ok(verso_map_open(path, &options, &map));
        memset(verso_map_data(map), 'x', 4 * page);
        address = verso_map_data(map);
        assert_fails_in(verso_map_resize(map, 17 * page), -ENOSPC, "fallocate");
        assert_ptr_equal(verso_map_data(map), address);
        assert_int_equal(verso_map_bytes(map), 4 * page);
        assert_int_equal(status_of(path).st_size, 4 * page);
        assert_int_equal(((char *)address)[4 * page - 1], 'x');
        assert_ok(verso_map_resize(map, 16 * page));
        memset(verso_map_data(map), 'y', 16 * page);
        verso_map_close(map);
        assert_int_equal(unlink(path), 0);
    }
    support_unmount(directory);
}

/* ext4 keeps what it got of an allocation that failed; the size, too, must come back. */
static void test_full_disk_that_keeps_parts(void **state)
{
    const char *reason, *directory = support_mount(SUPPORT_EXT4, 8 << 20, &reason);
    struct verso_map_options options = options_of(VERSO_MAP_WRITE | VERSO_MAP_CREATE | VERSO_MAP_GROW, 0, 5000);
    struct verso_map *map;
    char path[PATH_MAX];

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    assert_true(snprintf(path, sizeof(path), "%s/file", directory) < (int)sizeof(path));
    assert_ok(verso_map_open(path, &options, &map));
    assert_fails_in(verso_map_resize(map, 100 << 20), -ENOSPC, "fallocate");
    assert_int_equal(status_of(path).st_size, 5000);
    assert_true(status_of(path).st_blocks * 512 < 1 << 20);
    assert_ok(verso_map_resize(map, 1 << 20));
    memset(verso_map_data(map), 'x', 1 << 20);
    verso_map_close(map);
    support_unmount(directory);
}

static int grow_past_the_file_limit(void *path)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_GROW);
    struct rlimit limit = { 100000, 100000 };
    struct verso_map *map = NULL;

    if (setrlimit(RLIMIT_FSIZE, &limit) != 0 || verso_map_open(path, &options, &map) != 0)
        return 2;
    if (verso_map_resize(map, 100001) != -EFBIG || verso_map_bytes(map) != 100)
        return 3;
    if (verso_map_resize(map, 100000) != 0)
        return 4;
    verso_map_close(map);
    options.flags |= VERSO_MAP_SPARSE;
    if (verso_map_open(path, &options, &map) != 0 || verso_map_resize(map, 100001) != -EFBIG)
        return 5;
    verso_map_close(map);
    return 0;
}

static void test_file_size_limit(void **state)
{
    const char *path = support_file("file", 100);
    int status = support_child(grow_past_the_file_limit, (void *)(uintptr_t)path);

    (void)state;
    assert_true(WIFEXITED(status)); /* not killed by SIGXFSZ */
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(status_of(path).st_size, 100000);
}

/* What LOCK wants is refused: nothing has changed, and behind the map is nothing. */
static int lock_too_much(void *path)
{
    const unsigned ways[] = { VERSO_MAP_GROW, 0 };
    size_t page = verso_page_bytes();
    struct rlimit limit = { 8 * page, 8 * page };

    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0 || (geteuid() == 0 && support_drop_privileges() != 0))
        return 2;
    for (size_t i = 0; i < 2; i++) {
        struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_LOCK | ways[i]);
        struct verso_map *map = NULL;
        void *address;
        int r;

        if (verso_map_open(path, &options, &map) != 0)
            return 3;
        address = verso_map_data(map);
        r = verso_map_resize(map, 100 * page);
        if ((r != -ENOMEM && r != -EAGAIN) || strcmp(verso_error_last()->step, "mlock") != 0)
            return 4;
        if (verso_map_bytes(map) != page || verso_map_data(map) != address || status_of(path).st_size != (off_t)page)
            return 5;
        if (ways[i] && signal_of_touch((char *)address + page, false) != SIGSEGV)
            return 6;
        if (verso_map_resize(map, 2 * page) != 0 || verso_map_resize(map, page) != 0)
            return 7;
        verso_map_close(map);
    }
    return 0;
}

static void test_lock_limit(void **state)
{
    const char *path = support_file("file", verso_page_bytes());
    int status;

    (void)state;
    assert_int_equal(chmod(support_directory(), 0755), 0);
    assert_int_equal(chmod(path, 0666), 0);
    status = support_child(lock_too_much, (void *)(uintptr_t)path);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_limited_address_space),
        cmocka_unit_test(test_file_size_limit),
        cmocka_unit_test(test_lock_limit),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_full_disk_that_keeps_parts),
    };

    return run_test_list(list);
}
