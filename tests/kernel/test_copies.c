/* SPDX-License-Identifier: MIT */
/* copies - what src/copy leans on: stores from a map that was cut, names given in one step, locks, places. */
#include "kernel_facts.h"

#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define PAGES 8

static int made(const char *name, int flags)
{
    int fd = open(support_path(name), flags | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    return fd;
}

/* A signal would end the test. */
static void test_a_write_from_a_map_that_was_cut_is_an_error(void **state)
{
    int from = open(support_file("from", PAGES * page_bytes()), O_RDWR | O_CLOEXEC), to = made("to", O_RDWR);
    unsigned char *map = mapped(from, PAGES * page_bytes(), PROT_READ, MAP_SHARED);
    ssize_t n;

    (void)state;
    assert_int_equal(ftruncate(from, (off_t)(2 * page_bytes())), 0);
    n = pwrite(to, map, PAGES * page_bytes(), 0);
    assert_true(n == -1 || (n > 0 && n <= (ssize_t)(2 * page_bytes()))); /* short, and then refused */
    n = pwrite(to, map + 2 * page_bytes(), page_bytes(), 0);
    assert_int_equal(n, -1);
    assert_int_equal(errno, EFAULT);
    close(from);
    close(to);
}

/* The names given must not be taken away from somebody who came first. */
static void test_a_name_is_given_only_if_it_is_free(void **state)
{
    int r;

    (void)state;
    close(made("a", O_RDWR));
    close(made("b", O_RDWR));
    r = renameat2(AT_FDCWD, support_path("a"), AT_FDCWD, support_path("b"), RENAME_NOREPLACE);
    if (r < 0 && errno == EINVAL)
        skip_because("this file system can't be told to leave names that are taken");
    assert_int_equal(r, -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(renameat2(AT_FDCWD, support_path("a"), AT_FDCWD, support_path("c"), RENAME_NOREPLACE), 0);
}

/* A lock is of the open file, not of the process: two copies in one process exclude each other, too. */
static void test_a_lock_is_of_the_open_file(void **state)
{
    int one = made("lock", O_RDWR), other = made("lock", O_RDWR);

    (void)state;
    assert_int_equal(flock(one, LOCK_EX | LOCK_NB), 0);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), -1);
    assert_int_equal(errno, EWOULDBLOCK);
    close(one);
    assert_int_equal(flock(other, LOCK_EX | LOCK_NB), 0);
    close(other);
}

/* By way of /proc, a place stands for the link itself and not for what it says. */
static void test_a_place_of_a_link_is_the_link(void **state)
{
    const struct timespec times[2] = { { 1000, 0 }, { 2000, 0 } };
    struct stat status;
    char path[64];
    int place;

    (void)state;
    assert_int_equal(symlink("nowhere", support_path("link")), 0);
    place = open(support_path("link"), O_PATH | O_NOFOLLOW | O_CLOEXEC);
    assert_true(place >= 0);
    assert_int_equal(futimens(place, times), -1);
    assert_int_equal(errno, EBADF);
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", place);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(lstat(support_path("link"), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(status.st_mtim.tv_sec, 2000);
    close(place);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_write_from_a_map_that_was_cut_is_an_error),
        cmocka_unit_test(test_a_name_is_given_only_if_it_is_free),
        cmocka_unit_test(test_a_lock_is_of_the_open_file),
        cmocka_unit_test(test_a_place_of_a_link_is_the_link),
    };

    return run_test_list(list);
}
