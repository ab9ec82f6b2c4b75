/* SPDX-License-Identifier: MIT */
/* Making files: mode, disk space, who may have made it, and what a failure takes back. */
#include "maps.h"
#include "mounts.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/wait.h>

static bool all_zero(const unsigned char *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i])
            return false;
    return true;
}

static void test_mode(void **state)
{
    const struct {
        unsigned mode;
        mode_t wanted;
    } cases[] = { { 0, 0600 }, { 0644, 0644 }, { 0666, 0640 } };
    mode_t before = umask(0);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_CREATE);
        const char *path = support_path("new");
        struct verso_map *map;

        (void)umask(cases[i].mode == 0666 ? 027 : 0);
        options.mode = cases[i].mode;
        assert_ok(verso_map_open(path, &options, &map));
        assert_int_equal(verso_map_bytes(map), 0);
        verso_map_close(map);
        assert_int_equal(status_of(path).st_mode & 07777, cases[i].wanted);
        assert_int_equal(unlink(path), 0);
    }
    (void)umask(before);
}

/* A created or grown file has the size and the space at once, and zeros in what is new. */
static void test_length_makes_it_so_long(void **state)
{
    size_t page = verso_page_bytes();
    const uint64_t lengths[] = { 1, page, page + 1, 100 * page + 3 };

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct verso_map_options options = options_of(VERSO_MAP_WRITE | VERSO_MAP_CREATE, 0, lengths[i]);
        const char *path = support_path("new");
        struct verso_map *map;

        assert_ok(verso_map_open(path, &options, &map));
        assert_int_equal(verso_map_bytes(map), lengths[i]);
        assert_true(all_zero(verso_map_data(map), verso_map_bytes(map)));
        assert_int_equal(status_of(path).st_size, lengths[i]);
        assert_true((uint64_t)status_of(path).st_blocks * 512 >= lengths[i]);
        memset(verso_map_data(map), 'x', verso_map_bytes(map));
        verso_map_close(map);
        assert_int_equal(unlink(path), 0);
    }
}

static void test_existing_file_grows(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_of(VERSO_MAP_WRITE | VERSO_MAP_CREATE, 50, 3 * page);
    const char *path = support_file("file", 100);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(path, &options, &map));
    assert_int_equal(status_of(path).st_size, 50 + 3 * page);
    assert_true(support_matches(verso_map_data(map), 50, 50));
    assert_true(all_zero((unsigned char *)verso_map_data(map) + 50, 3 * page - 50));
    verso_map_close(map);
    options.length_bytes = 10; /* shorter than it is: nothing is cut */
    assert_ok(verso_map_open(path, &options, &map));
    assert_int_equal(verso_map_bytes(map), 10);
    assert_int_equal(status_of(path).st_size, 50 + 3 * page);
    verso_map_close(map);
}

static void test_sparse_creation(void **state)
{
    struct verso_map_options options = options_of(VERSO_MAP_WRITE | VERSO_MAP_CREATE | VERSO_MAP_SPARSE, 0, 1 << 24);
    const char *path = support_path("sparse");
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(path, &options, &map));
    assert_int_equal(status_of(path).st_size, 1 << 24);
    assert_true(status_of(path).st_blocks * 512 < 1 << 20);
    verso_map_close(map);
}

static void test_exclusive(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_CREATE | VERSO_MAP_EXCLUSIVE);
    char *path = strdup(support_path("exclusive"));
    char *link = strdup(support_path("dangling"));
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(path, &options, &map));
    verso_map_close(map);
    assert_open_fails(path, &options, -EEXIST, "open");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink(path, link), 0);
    assert_open_fails(link, &options, -EEXIST, "open");
    assert_int_equal(access(path, F_OK), -1);
    options.flags &= ~(unsigned)VERSO_MAP_EXCLUSIVE;
    assert_ok(verso_map_open(link, &options, &map)); /* as open(2) does: through the link */
    verso_map_close(map);
    assert_int_equal(access(path, F_OK), 0);
    options.flags |= VERSO_MAP_NOFOLLOW;
    assert_open_fails(link, &options, -ELOOP, "open");
    free(path);
    free(link);
}

static void test_made_elsewhere_meanwhile(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_WRITE | VERSO_MAP_CREATE);
    const char *path = support_file("there", 100);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(path, &options, &map));
    assert_true(support_matches(verso_map_data(map), 0, 100));
    verso_map_close(map);
}

/* An address that is taken lets open fail late, when the file has been made and grown. */
static struct verso_map_options failing_late(unsigned flags, uint64_t length, void **out_taken)
{
    struct verso_map_options options = options_of(flags | VERSO_MAP_WRITE | VERSO_MAP_CREATE, 0, length);

    *out_taken = mmap(NULL, verso_page_bytes(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(*out_taken, MAP_FAILED);
    options.address = *out_taken;
    return options;
}

static void test_failure_removes_what_was_made(void **state)
{
    void *taken;
    struct verso_map_options options = failing_late(0, 100000, &taken);
    const char *path = support_path("unmade");

    (void)state;
    assert_open_fails(path, &options, -EEXIST, "mmap");
    assert_int_equal(access(path, F_OK), -1);
    options.length_bytes = 0;
    assert_open_fails(path, &options, -EEXIST, "mmap");
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(munmap(taken, verso_page_bytes()), 0);
}

static void test_failure_leaves_what_was_there(void **state)
{
    void *taken;
    struct verso_map_options options = failing_late(0, 100000, &taken);
    const char *path = support_file("there", 5000);
    unsigned char seen[5000];

    (void)state;
    assert_open_fails(path, &options, -EEXIST, "mmap");
    assert_int_equal(status_of(path).st_size, 5000);
    read_at(path, 0, seen, sizeof(seen));
    assert_true(support_matches(seen, 0, sizeof(seen)));
    options.flags |= VERSO_MAP_SPARSE;
    assert_open_fails(path, &options, -EEXIST, "mmap");
    assert_int_equal(status_of(path).st_size, 5000);
    assert_int_equal(munmap(taken, verso_page_bytes()), 0);
}

static void test_full_disk(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_of(VERSO_MAP_WRITE | VERSO_MAP_CREATE, 0, 17 * page);
    const char *reason, *directory = support_mount_tmpfs(16 * page, &reason);
    struct verso_map *map;
    char path[PATH_MAX];

    (void)state;
    if (!directory)
        skip_because("%s", reason);
    assert_true(snprintf(path, sizeof(path), "%s/file", directory) < (int)sizeof(path));
    assert_open_fails(path, &options, -ENOSPC, "fallocate");
    assert_string_equal(verso_error_last()->path, path);
    assert_int_equal(access(path, F_OK), -1);
    options.flags |= VERSO_MAP_SPARSE;
    assert_ok(verso_map_open(path, &options, &map));
    verso_map_close(map);
    assert_int_equal(unlink(path), 0);
    options = options_of(VERSO_MAP_WRITE | VERSO_MAP_CREATE, 0, 16 * page);
    assert_ok(verso_map_open(path, &options, &map)); /* all of it, to the last page */
    memset(verso_map_data(map), 'x', verso_map_bytes(map));
    verso_map_close(map);
    support_unmount(directory);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_mode),
        cmocka_unit_test(test_length_makes_it_so_long),
        cmocka_unit_test(test_existing_file_grows),
        cmocka_unit_test(test_sparse_creation),
        cmocka_unit_test(test_exclusive),
        cmocka_unit_test(test_made_elsewhere_meanwhile),
        cmocka_unit_test(test_failure_removes_what_was_made),
        cmocka_unit_test(test_failure_leaves_what_was_there),
        cmocka_unit_test(test_full_disk),
    };

    return run_test_list(list);
}
