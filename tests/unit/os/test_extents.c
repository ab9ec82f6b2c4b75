/* SPDX-License-Identifier: MIT */
/* extents - FIEMAP in portions of any size. What it says is held against filefrag in unit/inspect/extents. */
#include "support.h"

#include "os/os.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PARTS 12

/* Data and holes in turn: at least as many extents as parts, wherever the file system keeps extents. */
static int make_sparse(void)
{
    const off_t part_bytes = 256 * 1024;
    int fd = open(support_path("sparse"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char block[65536];

    assert_true(fd >= 0);
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < PARTS; i++)
        assert_int_equal(pwrite(fd, block, sizeof(block), i * part_bytes), sizeof(block));
    assert_int_equal(fsync(fd), 0);
    return fd;
}

static size_t collect(int fd, size_t room, struct verso__os_extent *out_extents, size_t limit)
{
    uint64_t next = 0;
    size_t total = 0;

    for (;;) {
        size_t count = 0;

        assert_true(total + room <= limit);
        assert_int_equal(verso__os_extents(fd, next, out_extents + total, room, &count), 0);
        assert_true(count <= room);
        if (count == 0)
            return total;
        total += count;
        if (out_extents[total - 1].flags & VERSO__OS_EXTENT_LAST)
            return total;
        next = out_extents[total - 1].logical_bytes + out_extents[total - 1].length_bytes;
    }
}

static void test_portions_agree(void **state)
{
    struct verso__os_extent whole[256], portions[256];
    int fd = make_sparse();
    size_t count, probe;
    int r = verso__os_extents(fd, 0, whole, 1, &probe);

    (void)state;
    if (r == -EOPNOTSUPP)
        skip_because("this file system has no extents to tell of; set TEST_DIRECTORY");
    count = collect(fd, 128, whole, 256);
    assert_true(count >= PARTS);
    for (size_t room = 1; room < 6; room++) {
        assert_int_equal(collect(fd, room, portions, 256), count);
        for (size_t i = 0; i < count; i++) {
            assert_true(portions[i].logical_bytes == whole[i].logical_bytes);
            assert_true(portions[i].physical_bytes == whole[i].physical_bytes);
            assert_true(portions[i].length_bytes == whole[i].length_bytes);
            assert_int_equal(portions[i].flags, whole[i].flags);
        }
    }
    close(fd);
}

static void test_what_has_no_extents(void **state)
{
    struct verso__os_extent extent = { .length_bytes = 7 };
    size_t count = 7;
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    int pipes[2];

    (void)state;
    assert_int_equal(verso__os_extents(fd, 0, &extent, 1, &count), -EOPNOTSUPP);
    close(fd);
    assert_int_equal(verso__os_extents(fd, 0, &extent, 1, &count), -EBADF);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(verso__os_extents(pipes[0], 0, &extent, 1, &count), -EOPNOTSUPP);
    close(pipes[0]);
    close(pipes[1]);
    fd = memfd_create("x", MFD_CLOEXEC);
    assert_int_equal(verso__os_extents(fd, 0, &extent, 1, &count), -EOPNOTSUPP);
    assert_int_equal(verso__os_extents(fd, 0, &extent, 0, &count), -EINVAL);
    close(fd);
    assert_true(extent.length_bytes == 7 && count == 7);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_portions_agree),
        cmocka_unit_test(test_what_has_no_extents),
    };

    return run_test_list(list);
}
