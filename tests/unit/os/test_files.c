/* SPDX-License-Identifier: MIT */
/* files - what os.h promises of files: space, sizes, holes, copies, leases, and each failure it names. */
#include "mounts.h"
#include "support.h"

#include "os/os.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define READ_WRITE (VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE)

static int opened(const char *path, unsigned flags)
{
    int fd = -1;

    assert_int_equal(verso__os_open(path, flags, 0600, &fd), 0);
    return fd;
}

static int opened_file(const char *name, uint64_t bytes)
{
    return opened(support_file(name, bytes), READ_WRITE);
}

static uint64_t bytes_of(int fd)
{
    struct verso__os_file_info info;

    assert_int_equal(verso__os_file_info(fd, &info), 0);
    return info.bytes;
}

/* ---- Opening ---- */

static void test_open_closes_on_exec_and_takes_no_terminal(void **state)
{
    int fd = opened_file("f", 1), second, third;

    (void)state;
    assert_int_equal(verso__os_duplicate(fd, &second), 0);
    assert_int_equal(verso__os_reopen(fd, VERSO__OS_OPEN_READ, &third), 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(second, F_GETFD), FD_CLOEXEC);
    assert_int_equal(fcntl(third, F_GETFD), FD_CLOEXEC);
    verso__os_close(fd);
    verso__os_close(second);
    verso__os_close(third);
}

static void test_open_flags(void **state)
{
    const char *path = support_path("made"), *link = support_path("link");
    int fd = -7;

    (void)state;
    assert_int_equal(verso__os_open(path, VERSO__OS_OPEN_READ, 0, &fd), -ENOENT);
    assert_int_equal(fd, -7);
    verso__os_close(opened(path, READ_WRITE | VERSO__OS_OPEN_CREATE | VERSO__OS_OPEN_EXCLUSIVE));
    assert_int_equal(verso__os_open(path, READ_WRITE | VERSO__OS_OPEN_CREATE | VERSO__OS_OPEN_EXCLUSIVE, 0600, &fd),
                     -EEXIST);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(verso__os_open(link, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_NOFOLLOW, 0, &fd), -ELOOP);
    assert_int_equal(verso__os_open(path, VERSO__OS_OPEN_READ | VERSO__OS_OPEN_DIRECTORY, 0, &fd), -ENOTDIR);
    assert_int_equal(mkfifo(support_path("fifo"), 0600), 0);
    verso__os_close(opened(support_path("fifo"), VERSO__OS_OPEN_READ | VERSO__OS_OPEN_NONBLOCK));
    assert_int_equal(fd, -7);
}

static void test_open_unnamed_leaves_no_name(void **state)
{
    struct verso__os_file_info info;
    int fd;

    (void)state;
    fd = opened(support_directory(), READ_WRITE | VERSO__OS_OPEN_UNNAMED);
    assert_int_equal(verso__os_file_info(fd, &info), 0);
    assert_int_equal(info.link_count, 0);
    verso__os_close(fd);
}

static void test_open_mode_is_how_it_was_opened(void **state)
{
    const char *path = support_file("f", 1);
    unsigned mode = 99;
    int fd;

    (void)state;
    fd = opened(path, VERSO__OS_OPEN_READ);
    assert_int_equal(verso__os_open_mode(fd, &mode), 0);
    assert_int_equal(mode, VERSO__OS_OPEN_READ);
    verso__os_close(fd);
    fd = opened(path, VERSO__OS_OPEN_WRITE);
    assert_int_equal(verso__os_open_mode(fd, &mode), 0);
    assert_int_equal(mode, VERSO__OS_OPEN_WRITE);
    verso__os_close(fd);
    fd = opened(path, READ_WRITE);
    assert_int_equal(verso__os_open_mode(fd, &mode), 0);
    assert_int_equal(mode, READ_WRITE);
    verso__os_close(fd);
    mode = 99;
    fd = open(path, O_PATH | O_CLOEXEC);
    assert_int_equal(verso__os_open_mode(fd, &mode), -EBADF);
    assert_int_equal(close(fd), 0);
    assert_int_equal(verso__os_open_mode(-1, &mode), -EBADF);
    assert_int_equal(mode, 99);
}

static void test_reopen_has_a_position_of_its_own(void **state)
{
    int fd = opened_file("f", 10), second, copy;

    (void)state;
    assert_int_equal(unlink(support_path("f")), 0); /* found without its name */
    assert_int_equal(verso__os_reopen(fd, VERSO__OS_OPEN_READ, &second), 0);
    assert_int_equal(verso__os_duplicate(fd, &copy), 0);
    assert_int_equal(lseek(fd, 5, SEEK_SET), 5);
    assert_int_equal(lseek(second, 0, SEEK_CUR), 0);
    assert_int_equal(lseek(copy, 0, SEEK_CUR), 5);
    verso__os_close(fd);
    verso__os_close(second);
    verso__os_close(copy);
}

/* ---- Which file ---- */

static enum verso__os_file_kind kind_of(int fd)
{
    struct verso__os_file_info info;

    assert_int_equal(verso__os_file_info(fd, &info), 0);
    verso__os_close(fd);
    return info.kind;
}

static void test_kinds(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(kind_of(opened_file("f", 1)), VERSO__OS_FILE_REGULAR);
    assert_int_equal(kind_of(opened("/", VERSO__OS_OPEN_READ)), VERSO__OS_FILE_DIRECTORY);
    assert_int_equal(kind_of(opened("/dev/null", VERSO__OS_OPEN_READ)), VERSO__OS_FILE_CHARACTER);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(kind_of(ends[0]), VERSO__OS_FILE_FIFO);
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(kind_of(ends[0]), VERSO__OS_FILE_SOCKET);
    assert_int_equal(close(ends[1]), 0);
}

static void test_info_agrees_by_name_and_by_descriptor(void **state)
{
    struct verso__os_file_info by_fd, by_name, of_link;
    const char *path = support_file("f", 12345), *link = support_path("another link");
    int fd = opened(path, VERSO__OS_OPEN_READ);

    (void)state;
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(verso__os_file_info(fd, &by_fd), 0);
    assert_int_equal(verso__os_path_info(link, true, &by_name), 0);
    assert_int_equal(verso__os_path_info(link, false, &of_link), 0);
    assert_int_equal(by_fd.bytes, 12345);
    assert_int_equal(by_fd.inode, by_name.inode);
    assert_int_equal(by_fd.device, by_name.device);
    assert_int_equal(by_fd.modified_ns, by_name.modified_ns);
    assert_int_equal(by_fd.mode, 0600);
    assert_int_equal(by_fd.link_count, 1);
    assert_true(of_link.inode != by_fd.inode);
    assert_int_equal(of_link.kind, VERSO__OS_FILE_LINK);
    verso__os_close(fd);
    assert_int_equal(verso__os_file_info(fd, &by_fd), -EBADF);
    assert_int_equal(by_fd.bytes, 12345);
}

static void test_path_of_fits_or_says_so(void **state)
{
    char wanted[PATH_MAX], path[PATH_MAX];
    int fd = opened_file("f", 1);
    size_t bytes;

    (void)state;
    assert_non_null(realpath(support_path("f"), wanted));
    assert_int_equal(verso__os_path_of(fd, path, sizeof(path)), 0);
    assert_string_equal(path, wanted);
    bytes = strlen(wanted);
    memset(path, 'x', sizeof(path));
    assert_int_equal(verso__os_path_of(fd, path, bytes), -ENAMETOOLONG);
    assert_int_equal(path[bytes], 'x');
    assert_int_equal(verso__os_path_of(fd, path, bytes + 1), 0);
    assert_string_equal(path, wanted);
    verso__os_close(fd);
    assert_true(verso__os_path_of(fd, path, sizeof(path)) < 0);
}

/* ---- Reading and writing ---- */

static void test_read_at_stops_at_the_end(void **state)
{
    unsigned char data[100];
    int fd = opened_file("f", 60);
    size_t done = 99;

    (void)state;
    assert_int_equal(verso__os_read_at(fd, 50, data, 100, &done), 0);
    assert_int_equal(done, 10);
    assert_true(support_matches(data, 50, 10));
    assert_int_equal(verso__os_read_at(fd, 1000, data, 100, &done), 0);
    assert_int_equal(done, 0);
    done = 99;
    assert_int_equal(verso__os_read_at(-1, 0, data, 100, &done), -EBADF);
    assert_int_equal(done, 99);
    verso__os_close(fd);
}

static void test_write_at_reaches_its_place(void **state)
{
    int fd = opened_file("f", 10);
    unsigned char data[4];
    size_t done = 99;

    (void)state;
    assert_int_equal(verso__os_write_at(fd, 20, "abcd", 4, &done), 0);
    assert_int_equal(done, 4);
    assert_int_equal(bytes_of(fd), 24);
    assert_int_equal(verso__os_read_at(fd, 20, data, 4, &done), 0);
    assert_memory_equal(data, "abcd", 4);
    assert_int_equal(verso__os_write_at(-1, 0, "abcd", 4, &done), -EBADF);
    assert_int_equal(done, 0);
    verso__os_close(fd);
}

static void test_wait_readable(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(verso__os_wait_readable(ends[0], 0), -ETIMEDOUT);
    assert_int_equal(verso__os_wait_readable(ends[0], 10), -ETIMEDOUT);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(verso__os_wait_readable(ends[0], -1), 0);
    assert_int_equal(close(ends[1]), 0);
    assert_int_equal(verso__os_wait_readable(ends[0], -1), 0); /* the end can be read, too */
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(verso__os_wait_readable(ends[0], 0), -EBADF);
}

/* ---- Size and space ---- */

static void test_truncate_grows_by_holes_and_cuts(void **state)
{
    int fd = opened_file("f", 10), r;

    (void)state;
    assert_int_equal(verso__os_truncate(fd, UINT64_C(1) << 30), 0);
    assert_int_equal(bytes_of(fd), UINT64_C(1) << 30);
    assert_int_equal(verso__os_truncate(fd, 3), 0);
    assert_int_equal(bytes_of(fd), 3);
    r = verso__os_truncate(fd, INT64_MAX); /* tmpfs takes any size */
    assert_true(r == 0 || r == -EFBIG);
    assert_int_equal(bytes_of(fd), r == 0 ? INT64_MAX : 3);
    verso__os_close(fd);
}

/* In a child, as limits stay. SIGXFSZ has its default action, which would kill. */
static int past_the_limit(void *arg)
{
    const struct rlimit limit = { 100, 100 };
    int fd = *(int *)arg;
    size_t done = 99;

    if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
        return 1;
    if (verso__os_truncate(fd, 101) != -EFBIG || verso__os_allocate(fd, 0, 101) != -EFBIG)
        return 2;
    if (verso__os_write_at(fd, 98, "abc", 3, &done) != -EFBIG || done != 0)
        return 3;
    if (verso__os_truncate(fd, 100) < 0 || verso__os_write_at(fd, 97, "abc", 3, &done) < 0)
        return 4;
    return bytes_of(fd) == 100 ? 0 : 5;
}

static void test_file_size_limit_is_an_error_and_no_signal(void **state)
{
    int fd = opened_file("f", 10);

    (void)state;
    assert_int_equal(support_child(past_the_limit, &fd), 0);
    verso__os_close(fd);
}

static void test_allocate_gives_space_or_says_so(void **state)
{
    struct verso__os_file_info info;
    int fd = opened_file("f", 0), r;

    (void)state;
    r = verso__os_allocate(fd, 0, 1 << 20);
    if (r == -EOPNOTSUPP)
        skip_because("the file system has no fallocate");
    assert_int_equal(r, 0);
    assert_int_equal(verso__os_file_info(fd, &info), 0);
    assert_int_equal(info.bytes, 1 << 20);
    assert_true(info.allocated_bytes >= 1 << 20);
    r = verso__os_punch(fd, 0, 1 << 19);
    if (r != -EOPNOTSUPP) {
        assert_int_equal(r, 0);
        assert_int_equal(verso__os_file_info(fd, &info), 0);
        assert_int_equal(info.bytes, 1 << 20);
        assert_true(info.allocated_bytes < 1 << 20);
    }
    verso__os_close(fd);
}

static void ignore_signal(int signal)
{
    (void)signal;
}

/* tmpfs stops at a signal and starts over; with a timer faster than the allocation that would be for ever. */
static void test_allocate_under_a_fast_timer(void **state)
{
    struct sigaction action = { .sa_handler = ignore_signal }, before;
    struct itimerval timer = { { 0, 500 }, { 0, 500 } }, none = { { 0, 0 }, { 0, 0 } };
    struct verso__os_file_info info;
    int fd, r;

    (void)state;
    assert_int_equal(verso__os_memory_file("timer", 0, &fd), 0);
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
    r = verso__os_allocate(fd, 4096, 128 << 20);
    assert_int_equal(setitimer(ITIMER_REAL, &none, NULL), 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    assert_int_equal(r, 0);
    assert_int_equal(verso__os_file_info(fd, &info), 0);
    assert_int_equal(info.bytes, 4096 + (128 << 20));
    assert_true(info.allocated_bytes >= 128 << 20);
    verso__os_close(fd);
}

static void full_disk(const char *directory, uint64_t bytes)
{
    char path[PATH_MAX];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/f", directory);
    fd = opened(path, READ_WRITE | VERSO__OS_OPEN_CREATE);
    assert_int_equal(verso__os_allocate(fd, 0, bytes), -ENOSPC);
    assert_int_equal(verso__os_truncate(fd, bytes), 0); /* a hole needs none */
    verso__os_close(fd);
    support_unmount(directory);
}

static void test_allocate_on_a_full_tmpfs(void **state)
{
    const char *why, *directory = support_mount_tmpfs(1 << 20, &why);

    (void)state;
    if (!directory)
        skip_because("%s", why);
    full_disk(directory, 2 << 20);
}

static void test_allocate_on_a_full_ext4(void **state)
{
    const char *why, *directory = support_mount(SUPPORT_EXT4, 0, &why);

    (void)state;
    if (!directory)
        skip_because("%s", why);
    full_disk(directory, 64 << 20);
}

static void test_holes_are_found(void **state)
{
    size_t page = verso__os_page_bytes();
    uint64_t at = 99;
    int fd = opened_file("f", page), ends[2];
    size_t done;

    (void)state;
    assert_int_equal(verso__os_truncate(fd, 1 << 20), 0);
    assert_int_equal(verso__os_write_at(fd, 512 << 10, "x", 1, &done), 0);
    assert_int_equal(verso__os_next_hole(fd, 0, &at), 0);
    assert_true(at >= page && at <= 512 << 10);
    assert_int_equal(verso__os_next_data(fd, 256 << 10, &at), 0);
    assert_int_equal(at, 512 << 10);
    at = 99;
    assert_int_equal(verso__os_next_data(fd, (512 << 10) + 65536, &at), -ENXIO);
    assert_int_equal(at, 99);
    verso__os_close(fd);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(verso__os_next_hole(ends[0], 0, &at), -ESPIPE);
    assert_int_equal(close(ends[0]) + close(ends[1]), 0);
}

static void test_sync_of_what_can_and_what_cannot(void **state)
{
    int fd = opened_file("f", 10000), directory = opened(support_directory(), VERSO__OS_OPEN_READ), ends[2];

    (void)state;
    assert_int_equal(verso__os_sync_start(fd, 0, 10000), 0);
    assert_int_equal(verso__os_sync_start(fd, 5000, 0), 0); /* 0: to the end */
    assert_int_equal(verso__os_sync_data(fd), 0);
    assert_int_equal(verso__os_sync_full(fd), 0);
    assert_int_equal(verso__os_sync_full(directory), 0);
    verso__os_close(fd);
    verso__os_close(directory);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(verso__os_sync_data(ends[1]), -EINVAL);
    assert_int_equal(verso__os_sync_start(ends[1], 0, 0), -ESPIPE);
    assert_int_equal(verso__os_cache_drop(ends[1], 0, 0), -ESPIPE);
    assert_int_equal(close(ends[0]) + close(ends[1]), 0);
}

/* ---- Copies ---- */

static void test_clone_is_a_file_of_its_own(void **state)
{
    const char *why, *directory = support_mount_reflink(&why);
    char path[PATH_MAX];
    unsigned char data[100];
    int source, target;
    size_t done;

    (void)state;
    if (!directory)
        skip_because("%s", why);
    (void)snprintf(path, sizeof(path), "%s/f", directory);
    source = opened(path, READ_WRITE | VERSO__OS_OPEN_CREATE);
    target = opened(directory, READ_WRITE | VERSO__OS_OPEN_UNNAMED);
    assert_int_equal(verso__os_write_at(source, 0, "before", 6, &done), 0);
    assert_int_equal(verso__os_clone_file(source, target), 0);
    assert_int_equal(verso__os_write_at(source, 0, "after!", 6, &done), 0);
    assert_int_equal(verso__os_truncate(source, 1), 0);
    assert_int_equal(verso__os_read_at(target, 0, data, sizeof(data), &done), 0);
    assert_int_equal(done, 6);
    assert_memory_equal(data, "before", 6);
    verso__os_close(source);
    verso__os_close(target);
}

static void test_clone_is_refused_across_file_systems(void **state)
{
    const char *why, *directory = support_mount_tmpfs(1 << 20, &why);
    char path[PATH_MAX];
    int source = opened_file("f", 100), target;

    (void)state;
    if (!directory)
        skip_because("%s", why);
    (void)snprintf(path, sizeof(path), "%s/f", directory);
    target = opened(path, READ_WRITE | VERSO__OS_OPEN_CREATE);
    assert_int_equal(verso__os_clone_file(source, target), -EXDEV);
    verso__os_close(source);
    verso__os_close(target);
}

static void test_copy_range(void **state)
{
    int source = opened_file("f", 70000), target = opened_file("g", 0);
    unsigned char data[100];
    size_t done = 0;
    uint64_t at = 0;

    (void)state;
    for (done = 1; done; at += done) {
        int r = verso__os_copy_range(source, at, target, at, 70000, &done);

        if (r == -EXDEV || r == -ENOSYS || r == -EOPNOTSUPP)
            skip_because("no copying within this kernel: %s", verso_error_name(r));
        assert_int_equal(r, 0);
    }
    assert_int_equal(at, 70000);
    assert_int_equal(verso__os_read_at(target, 69900, data, 100, &done), 0);
    assert_true(support_matches(data, 69900, 100));
    verso__os_close(source);
    verso__os_close(target);
}

/* ---- Leases ---- */

static int wait_to_write(void *arg)
{
    int fd = open(arg, O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    return fd < 0 && errno == EWOULDBLOCK ? 0 : 1;
}

static void test_lease_says_when_somebody_waits(void **state)
{
    const char *path = support_file("leased", 10); /* its own: a test that skips may have left others open */
    int fd = opened(path, VERSO__OS_OPEN_READ), r;

    (void)state;
    r = verso__os_lease_take(fd);
    if (r == -EACCES || r == -EINVAL)
        skip_because("no lease on this file: %s", verso_error_name(r));
    assert_int_equal(r, 0);
    assert_int_equal(verso__os_lease_state(fd), 0);
    assert_int_equal(support_child(wait_to_write, (void *)(uintptr_t)path), 0);
    assert_int_equal(verso__os_lease_state(fd), -EAGAIN);
    verso__os_lease_drop(fd);
    assert_int_equal(verso__os_lease_state(fd), -ENOLCK);
    verso__os_close(fd);
}

static void test_lease_is_refused_while_somebody_writes(void **state)
{
    const char *path = support_file("leased", 10);
    int fd = opened(path, VERSO__OS_OPEN_READ), writer = opened(path, VERSO__OS_OPEN_WRITE);

    (void)state;
    assert_int_equal(verso__os_lease_take(fd), -EAGAIN);
    verso__os_close(fd);
    verso__os_close(writer);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_open_closes_on_exec_and_takes_no_terminal),
        cmocka_unit_test(test_open_flags),
        cmocka_unit_test(test_open_unnamed_leaves_no_name),
        cmocka_unit_test(test_open_mode_is_how_it_was_opened),
        cmocka_unit_test(test_reopen_has_a_position_of_its_own),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_info_agrees_by_name_and_by_descriptor),
        cmocka_unit_test(test_path_of_fits_or_says_so),
        cmocka_unit_test(test_read_at_stops_at_the_end),
        cmocka_unit_test(test_write_at_reaches_its_place),
        cmocka_unit_test(test_wait_readable),
        cmocka_unit_test(test_truncate_grows_by_holes_and_cuts),
        cmocka_unit_test(test_file_size_limit_is_an_error_and_no_signal),
        cmocka_unit_test(test_allocate_gives_space_or_says_so),
        cmocka_unit_test(test_allocate_under_a_fast_timer),
        cmocka_unit_test(test_allocate_on_a_full_tmpfs),
        cmocka_unit_test(test_allocate_on_a_full_ext4),
        cmocka_unit_test(test_holes_are_found),
        cmocka_unit_test(test_sync_of_what_can_and_what_cannot),
        cmocka_unit_test(test_clone_is_a_file_of_its_own),
        cmocka_unit_test(test_clone_is_refused_across_file_systems),
        cmocka_unit_test(test_copy_range),
        cmocka_unit_test(test_lease_says_when_somebody_waits),
        cmocka_unit_test(test_lease_is_refused_while_somebody_writes),
    };

    return run_test_list(list);
}
