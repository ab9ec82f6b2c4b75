/* SPDX-License-Identifier: MIT */
/* space - full disks, file ends, and what the kernel does where a mapping has nothing behind it. */
#include "kernel_facts.h"
#include "mounts.h"

#include <limits.h>
#include <signal.h>
#include <sys/resource.h>

static int created(const char *directory, const char *name)
{
    char path[PATH_MAX];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", directory, name);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static int store_to(void *arg)
{
    *(volatile unsigned char *)arg = 1;
    return 0;
}

/* Why map/allocate.c exists: a hole is accepted by every call, and kills by a store. */
static void test_hole_on_a_full_disk_kills_the_storer(void **state)
{
    size_t page = page_bytes();
    const char *why, *directory = support_mount_tmpfs(16 * page, &why);
    unsigned char *data;
    int fd, status, error;

    (void)state;
    if (!directory)
        skip_because("%s", why);
    fd = created(directory, "full");
    assert_int_equal(ftruncate(fd, (off_t)(64 * page)), 0);
    data = mapped_shared(fd, 64);
    for (size_t i = 0; i < 64; i++)
        if (madvise(data + i * page, page, MADV_POPULATE_WRITE) < 0)
            break;
    error = error_of(madvise(data + 63 * page, page, MADV_POPULATE_WRITE));
    if (error == EINVAL)
        skip_because("this kernel has no MADV_POPULATE_WRITE");
    assert_int_equal(error, EFAULT); /* an error where a store is a signal: map/populate.c */
    status = support_child(store_to, data + 63 * page);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    assert_int_equal(munmap(data, 64 * page), 0);
    assert_int_equal(close(fd), 0);
    support_unmount(directory);
}

static void fill(const char *directory)
{
    static const unsigned char block[65536] = { 1 };
    int fd = created(directory, "fill");
    size_t bytes = sizeof(block);

    while (bytes) {
        ssize_t n = write(fd, block, bytes);

        if (n < 0)
            assert_int_equal(errno, ENOSPC);
        if (n <= 0)
            bytes /= 2;
    }
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(close(fd), 0);
}

static int store_to_all(void *arg)
{
    unsigned char *data = arg;

    for (size_t i = 0; i < 32; i++)
        data[i * page_bytes()] = 1;
    return msync(data, 32 * page_bytes(), MS_SYNC) == 0 ? 0 : 1;
}

/* What fallocate has promised holds on a disk that fills up afterwards. */
static void allocated_then_full(enum support_file_system kind, uint64_t bytes)
{
    const char *why, *directory = support_mount(kind, bytes, &why);
    size_t page = page_bytes();
    unsigned char *data;
    int fd;

    if (!directory)
        skip_because("%s", why);
    fd = created(directory, "mine");
    assert_int_equal(fallocate(fd, 0, 0, (off_t)(32 * page)), 0);
    data = mapped_shared(fd, 32);
    fill(directory);
    assert_int_equal(support_child(store_to_all, data), 0);
    assert_int_equal(munmap(data, 32 * page), 0);
    assert_int_equal(close(fd), 0);
    support_unmount(directory);
}

static void test_fallocate_holds_on_tmpfs(void **state)
{
    (void)state;
    allocated_then_full(SUPPORT_TMPFS, 128 * page_bytes());
}

static void test_fallocate_holds_on_ext4(void **state)
{
    (void)state;
    allocated_then_full(SUPPORT_EXT4, 0);
}

static void test_fallocate_holds_on_xfs(void **state)
{
    (void)state;
    allocated_then_full(SUPPORT_XFS, 0);
}

/* os.h of verso__os_allocate(): what a refused fallocate leaves differs; so map/resize.c sets the size back. */
static void refused_fallocate(enum support_file_system kind, struct stat *out_status)
{
    const char *why, *directory = support_mount(kind, 256 * page_bytes(), &why);
    int fd;

    if (!directory)
        skip_because("%s", why);
    fd = created(directory, "f");
    assert_int_equal(error_of(fallocate(fd, 0, 0, 1 << 30)), ENOSPC);
    assert_int_equal(fstat(fd, out_status), 0);
    assert_int_equal(close(fd), 0);
    support_unmount(directory);
}

static void test_refused_fallocate_leaves_nothing_on_tmpfs(void **state)
{
    struct stat status;

    (void)state;
    refused_fallocate(SUPPORT_TMPFS, &status);
    assert_int_equal(status.st_size, 0);
    assert_int_equal(status.st_blocks, 0);
}

static void test_refused_fallocate_leaves_a_part_on_ext4(void **state)
{
    struct stat status;

    (void)state;
    refused_fallocate(SUPPORT_EXT4, &status);
    print_message("# left: %lld bytes long, %lld allocated\n", (long long)status.st_size,
                  (long long)status.st_blocks * 512);
    assert_true(status.st_blocks > 0);
}

static void test_populate_past_the_end_is_an_error(void **state)
{
    int fd = file_of_pages("f", 2), error;
    size_t page = page_bytes();
    unsigned char *data = mapped_shared(fd, 2);

    (void)state;
    assert_int_equal(ftruncate(fd, (off_t)page), 0);
    error = error_of(madvise(data, 2 * page, MADV_POPULATE_READ));
    if (error == EINVAL)
        skip_because("this kernel has no MADV_POPULATE_READ");
    assert_int_equal(error, EFAULT);
    assert_int_equal(madvise(data, page, MADV_POPULATE_READ), 0);
    assert_int_equal(error_of(madvise(data + page, page, MADV_POPULATE_WRITE)), EFAULT);
    assert_int_equal(munmap(data, 2 * page), 0);
    assert_int_equal(error_of(madvise(data, page, MADV_POPULATE_READ)), ENOMEM);
    assert_int_equal(close(fd), 0);
}

/* Handing a map to write() or read() needs no guard. */
static void test_system_calls_on_dead_pages_fail_without_a_signal(void **state)
{
    int fd = file_of_pages("f", 2), other = file_of_pages("g", 2), ends[2];
    size_t page = page_bytes();
    unsigned char *data = mapped_shared(fd, 2);

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(ftruncate(fd, (off_t)page), 0);
    assert_int_equal(error_of(write(ends[1], data + page, 10)), EFAULT);
    assert_int_equal(error_of(read(other, data + page, 10)), EFAULT);
    assert_int_equal(pwrite(other, data, 2 * page, 0), page); /* as far as it goes */
    assert_int_equal(pread(other, data + page - 5, 10, 0), 5);
    assert_int_equal(munmap(data, 2 * page), 0);
    assert_int_equal(close(fd) + close(other) + close(ends[0]) + close(ends[1]), 0);
}

/* include/verso/map.h: what follows the last byte of a file is not always zero. */
static void test_bytes_behind_the_end_are_shared_and_not_in_the_file(void **state)
{
    int fd = open(support_file("f", 10), O_RDWR | O_CLOEXEC);
    unsigned char *data = mapped_shared(fd, 1), *other = mapped(fd, page_bytes(), PROT_READ, MAP_PRIVATE);
    struct stat status;

    (void)state;
    assert_int_equal(other[10], 0);
    data[10] = 'x';
    assert_int_equal(other[10], 'x');
    assert_int_equal(msync(data, page_bytes(), MS_SYNC), 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, 10);
    assert_int_equal(munmap(data, page_bytes()) + munmap(other, page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

/* How it ends without os/linux/files.c looking at the limit first. */
static int truncate_past_the_limit(void *arg)
{
    const struct rlimit limit = { 100, 100 };
    int fd = open(support_path("f"), O_RDWR | O_CLOEXEC);

    if (fd < 0 || setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 1;
    if (arg)
        (void)signal(SIGXFSZ, SIG_IGN);
    return error_of(ftruncate(fd, 101)) == EFBIG && error_of(fallocate(fd, 0, 0, 101)) == EFBIG ? 0 : 2;
}

static void test_file_size_limit_kills_unless_ignored(void **state)
{
    int status, ignored = 1;

    (void)state;
    (void)support_file("f", 10);
    status = support_child(truncate_past_the_limit, NULL);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
    assert_int_equal(support_child(truncate_past_the_limit, &ignored), 0);
}

/* VERSO__OS_ADVICE_REMOVE and map/window.c's way of giving space back. */
static void test_remove_makes_a_hole_of_zeros(void **state)
{
    int fd = file_of_pages("f", 2), error;
    size_t page = page_bytes();
    unsigned char *data = mapped_shared(fd, 2);

    (void)state;
    error = error_of(madvise(data, page, MADV_REMOVE));
    if (error == EOPNOTSUPP)
        skip_because("this file system makes no holes");
    assert_int_equal(error, 0);
    assert_int_equal(data[0], 0);
    assert_int_equal(data[page - 1], 0);
    assert_true(support_matches(data + page, page, page));
    assert_int_equal(munmap(data, 2 * page), 0);
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_hole_on_a_full_disk_kills_the_storer),
        cmocka_unit_test(test_fallocate_holds_on_tmpfs),
        cmocka_unit_test(test_fallocate_holds_on_ext4),
        cmocka_unit_test(test_fallocate_holds_on_xfs),
        cmocka_unit_test(test_refused_fallocate_leaves_nothing_on_tmpfs),
        cmocka_unit_test(test_refused_fallocate_leaves_a_part_on_ext4),
        cmocka_unit_test(test_populate_past_the_end_is_an_error),
        cmocka_unit_test(test_system_calls_on_dead_pages_fail_without_a_signal),
        cmocka_unit_test(test_bytes_behind_the_end_are_shared_and_not_in_the_file),
        cmocka_unit_test(test_file_size_limit_kills_unless_ignored),
        cmocka_unit_test(test_remove_makes_a_hole_of_zeros),
    };

    return run_test_list(list);
}
