/* SPDX-License-Identifier: MIT */
/* sharing - leases, and files that share their blocks: what map/stability.c builds its rungs on. */
#include "kernel_facts.h"
#include "mounts.h"

#include <limits.h>
#include <linux/fs.h>
#include <poll.h>
#include <signal.h>

static volatile sig_atomic_t signals_seen;

static void count_signal(int number)
{
    (void)number;
    signals_seen++;
}

/* A file with a read lease on it, or a skip. */
static int leased_file(void)
{
    int fd = open(support_file("f", 10), O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
        skip_because("no lease on this file: %s", strerror(errno));
    return fd;
}

static int lease_number(const char *path)
{
    FILE *file = fopen(path, "re");
    int number = -1;

    if (file && fscanf(file, "%d", &number) != 1)
        number = -1;
    if (file)
        (void)fclose(file);
    return number;
}

/* Starts a child that runs @function on the file's name; the answer is the end of a pipe that closes when it is
 * done. */
static int started(int (*function)(const char *path), pid_t *out_child)
{
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    *out_child = fork();
    assert_true(*out_child >= 0);
    if (*out_child == 0)
        _exit(function(support_path("f")));
    assert_int_equal(close(ends[1]), 0);
    return ends[0];
}

static bool is_done(int pipe_end, int timeout_ms)
{
    struct pollfd wait = { .fd = pipe_end, .events = POLLIN };

    return poll(&wait, 1, timeout_ms) > 0;
}

static int open_to_write(const char *path)
{
    return open(path, O_WRONLY | O_CLOEXEC) >= 0 ? 0 : 1;
}

static int cut(const char *path)
{
    return truncate(path, 5) == 0 ? 0 : 1;
}

/* The other waits until the lease is given up; meanwhile the holder reads what was there. */
static void other_waits(int (*other)(const char *path))
{
    int fd = leased_file(), status = -1, pipe_end;
    char data[10];
    pid_t child;

    assert_int_equal(fcntl(fd, F_SETOWN, 0), 0);
    if (lease_number("/proc/sys/fs/lease-break-time") < 5)
        skip_because("fs.lease-break-time is too short to look at");
    pipe_end = started(other, &child);
    while (fcntl(fd, F_GETLEASE) == F_RDLCK)
        assert_false(is_done(pipe_end, 1));
    assert_int_equal(fcntl(fd, F_GETLEASE), F_UNLCK); /* what it is to become */
    assert_false(is_done(pipe_end, 20));
    assert_int_equal(pread(fd, data, 10, 0), 10);
    assert_int_equal(fcntl(fd, F_SETLEASE, F_UNLCK), 0);
    assert_true(is_done(pipe_end, -1));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(close(fd) + close(pipe_end), 0);
}

static void test_opening_to_write_waits_for_the_lease(void **state)
{
    (void)state;
    other_waits(open_to_write);
}

static void test_cutting_waits_for_the_lease(void **state)
{
    (void)state;
    other_waits(cut);
}

static int open_to_write_now(void *arg)
{
    return open(arg, O_WRONLY | O_NONBLOCK | O_CLOEXEC) < 0 && errno == EWOULDBLOCK ? 0 : 1;
}

static void break_lease_and_count(int fd, int signals_wanted)
{
    signals_seen = 0;
    assert_int_equal(support_child(open_to_write_now, (void *)(uintptr_t)support_path("f")), 0);
    assert_int_equal(fcntl(fd, F_GETLEASE), F_UNLCK);
    assert_int_equal(signals_seen, signals_wanted);
}

/* verso__os_lease_take(): the taker becomes the owner, and is told by a signal that kills; unless there is no owner. */
static void test_without_an_owner_no_signal_comes(void **state)
{
    struct sigaction before_io, before_urgent, count = { .sa_handler = count_signal };
    int fd = leased_file();

    (void)state;
    assert_int_equal(sigaction(SIGIO, &count, &before_io) + sigaction(SIGURG, &count, &before_urgent), 0);
    assert_int_equal(fcntl(fd, F_GETOWN), getpid());
    break_lease_and_count(fd, 1);
    assert_int_equal(close(fd), 0);

    fd = leased_file();
    assert_int_equal(fcntl(fd, F_SETOWN, 0), 0);
    break_lease_and_count(fd, 0);
    assert_int_equal(close(fd), 0);

    fd = open(support_path("f"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(fcntl(fd, F_SETSIG, SIGURG), 0); /* before there is a lease */
    assert_int_equal(fcntl(fd, F_SETLEASE, F_RDLCK), 0);
    break_lease_and_count(fd, 1);
    assert_int_equal(close(fd), 0);
    assert_int_equal(sigaction(SIGIO, &before_io, NULL) + sigaction(SIGURG, &before_urgent, NULL), 0);
}

static void test_lease_is_refused_to_a_file_that_is_written(void **state)
{
    int fd = leased_file(), writer, reader;
    unsigned char *data;

    (void)state;
    assert_int_equal(close(fd), 0);
    writer = open(support_path("f"), O_RDWR | O_CLOEXEC);
    reader = open(support_path("f"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(error_of(fcntl(reader, F_SETLEASE, F_RDLCK)), EAGAIN);
    data = mapped_shared(writer, 1);
    assert_int_equal(close(writer), 0);
    assert_int_equal(error_of(fcntl(reader, F_SETLEASE, F_RDLCK)), EAGAIN); /* a writable map is a writer */
    assert_int_equal(munmap(data, page_bytes()), 0);
    assert_int_equal(fcntl(reader, F_SETLEASE, F_RDLCK), 0);
    assert_int_equal(close(reader), 0);
}

/* map/lease.c takes no lease on a file without a name: it would promise what it does not hold. */
static void test_memory_file_is_written_under_its_lease(void **state)
{
    int writer = memfd_create("fact", MFD_CLOEXEC), reader;
    char path[64];
    struct stat status;

    (void)state;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", writer);
    reader = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(write(writer, "before", 6), 6);
    if (fcntl(reader, F_SETLEASE, F_RDLCK) < 0)
        skip_because("no lease on memory files: %s", strerror(errno));
    assert_int_equal(fcntl(reader, F_SETOWN, 0), 0);
    assert_int_equal(pwrite(writer, "after!", 6, 0), 6);
    assert_int_equal(ftruncate(writer, 1), 0);
    assert_int_equal(fcntl(reader, F_GETLEASE), F_RDLCK); /* it was never asked for */
    assert_int_equal(fstat(reader, &status), 0);
    assert_int_equal(status.st_nlink, 0);
    assert_int_equal(close(reader) + close(writer), 0);
}

static int lease_as_nobody(void *arg)
{
    int fd = open(arg, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || !become_nobody())
        return 1;
    return error_of(fcntl(fd, F_SETLEASE, F_RDLCK)) == EACCES ? 0 : 2;
}

static void test_lease_is_for_the_owner(void **state)
{
    (void)state;
    if (!support_is_root())
        skip_because("needs root, to become somebody else");
    assert_int_equal(support_child(lease_as_nobody, (void *)(uintptr_t)support_file("f", 10)), 0);
}

/* The rung SNAPSHOT. */
static void test_clone_keeps_what_was(void **state)
{
    const char *why, *directory = support_mount_reflink(&why);
    size_t page = page_bytes();
    char path[PATH_MAX];
    unsigned char *data;
    int source, target;

    (void)state;
    if (!directory)
        skip_because("%s", why);
    (void)snprintf(path, sizeof(path), "%s/f", directory);
    source = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    target = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    for (size_t i = 0; i < page; i++) {
        unsigned char byte = support_byte(i);

        assert_int_equal(write(source, &byte, 1), 1);
    }
    data = mapped_shared(source, 1);
    data[0] = 'd'; /* dirty, in no block yet: part of the clone all the same */
    assert_int_equal(ioctl(target, FICLONE, source), 0);
    data[1] = 'e';
    assert_int_equal(munmap(data, page), 0);
    assert_int_equal(ftruncate(source, 1), 0);
    data = mapped(target, page, PROT_READ, MAP_PRIVATE);
    assert_int_equal(data[0], 'd');
    assert_true(support_matches(data + 1, 1, page - 1));
    assert_int_equal(munmap(data, page), 0);
    assert_int_equal(close(source) + close(target), 0);
}

static void test_clone_is_refused_where_blocks_are_not_shared(void **state)
{
    const char *why, *directory = support_mount(SUPPORT_EXT4, 0, &why);
    char path[PATH_MAX];
    int source, target;

    (void)state;
    if (!directory)
        skip_because("%s", why);
    (void)snprintf(path, sizeof(path), "%s/f", directory);
    source = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    target = open(directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
    assert_int_equal(write(source, "x", 1), 1);
    assert_int_equal(error_of(ioctl(target, FICLONE, source)), EOPNOTSUPP);
    assert_int_equal(close(source) + close(target), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_opening_to_write_waits_for_the_lease),
        cmocka_unit_test(test_cutting_waits_for_the_lease),
        cmocka_unit_test(test_without_an_owner_no_signal_comes),
        cmocka_unit_test(test_lease_is_refused_to_a_file_that_is_written),
        cmocka_unit_test(test_memory_file_is_written_under_its_lease),
        cmocka_unit_test(test_lease_is_for_the_owner),
        cmocka_unit_test(test_clone_keeps_what_was),
        cmocka_unit_test(test_clone_is_refused_where_blocks_are_not_shared),
    };

    return run_test_list(list);
}
