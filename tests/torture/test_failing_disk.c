/* SPDX-License-Identifier: MIT */
/*
 * failing disk - real I/O errors, from the block device up to the caller.
 *
 *      file    |.... readable ....|.... the disk can't ....|
 *                                 ^ somewhere past the first MiB of the disk
 *
 * What is cached can be read whatever the disk does, so the cache is emptied first. Where exactly the first unreadable
 * page lies is found by plain read(2), which says EIO; every verso call must agree with that.
 */
#include "mounts.h"
#include "support.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>
#include <verso/guard.h>
#include <verso/map.h>
#include <verso/pack.h>
#include <verso/window.h>

#define DISK_BYTES ((uint64_t)64 << 20)
#define FILE_BYTES ((size_t)24 << 20)
#define SLACK_BYTES ((size_t)4 << 20)

static char path[PATH_MAX];

static void write_pattern(int fd)
{
    static unsigned char block[1 << 16];

    for (size_t at = 0; at < FILE_BYTES; at += sizeof(block)) {
        for (size_t i = 0; i < sizeof(block); i++)
            block[i] = support_byte(at + i);
        assert_int_equal(write(fd, block, sizeof(block)), sizeof(block));
    }
}

/* The first byte that can't be read, asked of the disk itself, past the cache. */
static size_t first_unreadable(void)
{
    size_t page = verso_page_bytes(), at = 0;
    int direct = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
    void *block = aligned_alloc(page, page);

    assert_true(direct >= 0 && block);
    while (at < FILE_BYTES && pread(direct, block, page, (off_t)at) == (ssize_t)page)
        at += page;
    free(block);
    assert_int_equal(close(direct), 0);
    return at;
}

/*
 * The kernel reads many pages at a time, and where one of them fails, those before it in the same request may fail as
 * well. So what can be had ends at @good or somewhat before.
 */
static bool is_about(size_t bytes, size_t good)
{
    return bytes <= good && good - bytes <= SLACK_BYTES;
}

/* A file whose end the disk can't read, with an empty cache. *out_good: how much of it can be read. */
static int failing_file(size_t *out_good)
{
    const char *why, *directory = support_mount(SUPPORT_EXT4_UNJOURNALED, DISK_BYTES, &why);
    int fd;

    if (!directory)
        skip_because("%s", why);
    (void)snprintf(path, sizeof(path), "%s/file", directory);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    write_pattern(fd);
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    support_disk_cut(directory, DISK_BYTES / 4);
    *out_good = first_unreadable();
    if (*out_good < SLACK_BYTES || *out_good == FILE_BYTES)
        skip_because("the file system did not lay the file across the cut");
    return fd;
}

static void done(int fd)
{
    assert_int_equal(close(fd), 0);
    support_unmount_all();
}

static void test_guarded_copy_is_exact(void **state)
{
    static unsigned char data[FILE_BYTES];
    struct verso_map_info info = VERSO_MAP_INFO_INIT;
    struct verso_map *map;
    size_t good, copied;
    int fd = failing_file(&good);

    (void)state;
    assert_ok(verso_guard_install());
    assert_ok(verso_map_open(path, NULL, &map));
    copied = verso_guard_copy(data, verso_map_data(map), FILE_BYTES);
    assert_true(is_about(copied, good));
    assert_true(support_matches(data, 0, copied));
    assert_ok(verso_map_info(map, &info));
    assert_int_equal(info.torn_offset_bytes, copied);
    assert_fails(verso_map_check(map), VERSO_E_TORN);
    verso_map_close(map);
    assert_ok(verso_guard_remove());
    done(fd);
}

static void test_substituted_pages_are_zeros(void **state)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;
    const unsigned char *data;
    size_t good;
    int fd = failing_file(&good);

    (void)state;
    assert_ok(verso_guard_install());
    options.flags = VERSO_MAP_SUBSTITUTE;
    assert_ok(verso_map_open(path, &options, &map));
    data = verso_map_data(map);
    assert_true(support_matches(data, 0, good - SLACK_BYTES));
    assert_int_equal(data[good], 0);
    assert_int_equal(data[FILE_BYTES - 1], 0);
    assert_fails(verso_map_check(map), VERSO_E_TORN);
    verso_map_close(map);
    assert_ok(verso_guard_remove());
    done(fd);
}

static void test_populate_says_where(void **state)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map, *none = NULL;
    size_t good;
    int fd = failing_file(&good);

    (void)state;
    assert_ok(verso_map_open(path, NULL, &map));
    assert_ok(verso_map_populate(map, 0, good - SLACK_BYTES, 0));
    assert_fails(verso_map_populate(map, 0, 0, 0), VERSO_E_TORN);
    assert_true(is_about(verso_error_last()->offset_bytes, good));
    verso_map_close(map);
    options.flags = VERSO_MAP_POPULATE;
    assert_fails(verso_map_open(path, &options, &none), VERSO_E_TORN);
    assert_null(none);
    done(fd);
}

static void test_copies_fail_and_say_where(void **state)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *none = NULL;
    size_t good;
    int fd = failing_file(&good);

    (void)state;
    options.stability = VERSO_MAP_COPY;
    assert_fails(verso_map_open(path, &options, &none), -EIO);
    assert_null(none);
    options.offset_bytes = 1;
    options.length_bytes = good - SLACK_BYTES;
    assert_ok(verso_map_open(path, &options, &none));
    assert_true(support_matches(verso_map_data(none), 1, good - SLACK_BYTES));
    verso_map_close(none);
    done(fd);
}

static void test_pack_carries_the_error(void **state)
{
    struct verso_pack_options options = VERSO_PACK_OPTIONS_INIT;
    const char *paths[] = { path, "/proc/self/status" };
    struct verso_pack_entry entry;
    struct verso_pack *pack;
    size_t good;
    int fd = failing_file(&good);

    (void)state;
    options.map_above_bytes = UINT64_MAX; /* all is read in */
    assert_ok(verso_pack_open(paths, 2, &options, &pack));
    assert_ok(verso_pack_entry(pack, 0, &entry));
    assert_int_equal(entry.error, -EIO);
    assert_ok(verso_pack_entry(pack, 1, &entry));
    assert_int_equal(entry.error, 0);
    verso_pack_close(pack);
    done(fd);
}

/* next() fails with the stretch that can't be had whole; what came before it is right. */
static void test_window_stops_at_the_stretch(void **state)
{
    struct verso_window *window;
    uint64_t total = 0;
    size_t good, bytes = 1;
    int fd = failing_file(&good), r;
    void *view;

    (void)state;
    assert_ok(verso_window_open(path, NULL, &window));
    while ((r = verso_window_next(window, &view, &bytes)) == 0 && bytes) {
        assert_true(support_matches(view, total, bytes));
        total += bytes;
    }
    assert_fails(r, VERSO_E_TORN);
    assert_true(total <= good && verso_error_last()->offset_bytes == total);
    verso_window_close(window);
    done(fd);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_guarded_copy_is_exact),  cmocka_unit_test(test_substituted_pages_are_zeros),
        cmocka_unit_test(test_populate_says_where),    cmocka_unit_test(test_copies_fail_and_say_where),
        cmocka_unit_test(test_pack_carries_the_error), cmocka_unit_test(test_window_stops_at_the_stretch),
    };

    return run_test_list(list);
}
