/* SPDX-License-Identifier: MIT */
/* failing - what programs are told when the disk fails: once, and not everybody. Why map/sync.c is as it is. */
#include "kernel_facts.h"
#include "mounts.h"

#include <limits.h>

#define DISK_BYTES ((uint64_t)64 << 20)
#define REAL_BYTES ((uint64_t)12 << 20)
#define FILE_BYTES ((size_t)32 << 20) /* more than the disk really takes */

static char path[PATH_MAX];

static int created_on(const char *directory)
{
    int fd;

    (void)snprintf(path, sizeof(path), "%s/f", directory);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

/* A map of a file that has its space from the file system, while the disk beneath can't take all of the data. */
static unsigned char *stored_but_not_writable(int *out_fd)
{
    const char *why, *directory = support_mount_failing(DISK_BYTES, REAL_BYTES, &why);
    unsigned char *data;

    if (!directory)
        skip_because("%s", why);
    *out_fd = created_on(directory);
    assert_int_equal(fallocate(*out_fd, 0, 0, FILE_BYTES), 0);
    data = mapped(*out_fd, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED);
    memset(data, 'x', FILE_BYTES);
    return data;
}

/* What the disk beneath says: a loop device hands its own file's failure through. */
static bool is_disk_error(int error)
{
    return error == EIO || error == ENOSPC;
}

/* How often msync fails before it says that all is well: once for data, perhaps once for the file's own block list. */
static unsigned tellings(unsigned char *data)
{
    unsigned count = 0;
    int error;

    while ((error = error_of(msync(data, FILE_BYTES, MS_SYNC))) != 0 && count < 10) {
        assert_true(is_disk_error(error));
        count++;
    }
    return count;
}

/* Poison: after it has been told, the pages count as clean, though they are on no disk. */
static void test_failed_write_back_is_told_and_forgotten(void **state)
{
    struct verso__cachestat counts;
    int fd;
    unsigned char *data = stored_but_not_writable(&fd);

    (void)state;
    assert_in_range(tellings(data), 1, 2);
    if (cache_counts(fd, &counts))
        assert_int_equal(counts.nr_dirty, 0);
    assert_int_equal(munmap(data, FILE_BYTES), 0);
    assert_int_equal(close(fd), 0);
    support_unmount_all();
}

/* os.h: whoever waits for part of a file is told as well, and then fsync has nothing more to tell of it. */
static void test_waiting_for_a_range_takes_the_telling(void **state)
{
    const unsigned how = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    int fd;
    unsigned char *data = stored_but_not_writable(&fd);

    (void)state;
    assert_true(is_disk_error(error_of(sync_file_range(fd, 0, FILE_BYTES, how))));
    assert_in_range(tellings(data), 0, 1);
    assert_int_equal(munmap(data, FILE_BYTES), 0);
    assert_int_equal(close(fd), 0);
    support_unmount_all();
}

/* map/sync.c asks the mapping's own open file: one opened after the telling knows of nothing. */
static void test_later_descriptors_are_not_told(void **state)
{
    int fd, later, other;
    unsigned char *data = stored_but_not_writable(&fd);

    (void)state;
    other = open(path, O_RDWR | O_CLOEXEC);
    assert_in_range(tellings(data), 1, 2);
    later = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(fdatasync(later), 0);
    assert_true(is_disk_error(error_of(fdatasync(other)))); /* it was there when it happened */
    assert_int_equal(munmap(data, FILE_BYTES), 0);
    assert_int_equal(close(fd) + close(later) + close(other), 0);
    support_unmount_all();
}

static int touch(void *arg)
{
    return *(volatile unsigned char *)arg == 'x' ? 0 : 1;
}

/* guard.h: where the disk can't read, a load is SIGBUS, read() is EIO, populate and write() are EFAULT. */
static void test_failed_read_of_a_mapped_page(void **state)
{
    const char *why, *directory = support_mount(SUPPORT_EXT4, DISK_BYTES, &why);
    const off_t far = 24 << 20;
    unsigned char *data;
    int fd, error, status, ends[2];
    char byte;

    (void)state;
    if (!directory)
        skip_because("%s", why);
    fd = created_on(directory);
    data = mapped(fd, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED);
    assert_int_equal(fallocate(fd, 0, 0, FILE_BYTES), 0);
    memset(data, 'x', FILE_BYTES);
    assert_int_equal(msync(data, FILE_BYTES, MS_SYNC), 0);
    assert_int_equal(munmap(data, FILE_BYTES), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    support_disk_cut(directory, 8 << 20);
    data = mmap(NULL, page_bytes(), PROT_READ, MAP_SHARED, fd, far);
    assert_ptr_not_equal(data, MAP_FAILED);
    assert_int_equal(error_of(pread(fd, &byte, 1, far)), EIO);
    error = error_of(madvise(data, page_bytes(), MADV_POPULATE_READ));
    assert_true(error == EFAULT || error == EINVAL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(error_of(write(ends[1], data, 1)), EFAULT);
    status = support_child(touch, data);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    assert_int_equal(munmap(data, page_bytes()), 0);
    assert_int_equal(close(fd) + close(ends[0]) + close(ends[1]), 0);
    support_unmount_all();
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_failed_write_back_is_told_and_forgotten),
        cmocka_unit_test(test_waiting_for_a_range_takes_the_telling),
        cmocka_unit_test(test_later_descriptors_are_not_told),
        cmocka_unit_test(test_failed_read_of_a_mapped_page),
    };

    return run_test_list(list);
}
