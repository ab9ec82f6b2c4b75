/* SPDX-License-Identifier: MIT */
/* poll - a descriptor that tells of messages, of room, of deaths; never one less than there was. */
#include "channels.h"
#include "os/fake/fake.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <verso/share.h>

static int descriptor;

/* Names to ring at, which must all be gone in the end. */
static unsigned names_left(void)
{
    DIR *directory = opendir(support_path("names"));
    unsigned count = 0;

    if (!directory)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += strncmp(entry->d_name, ".bell-", 6) == 0;
    (void)closedir(directory);
    return count;
}

static int own_directory(void **state)
{
    (void)state;
    return setenv("VERSO_SHARE_DIRECTORY", support_path("names"), 1);
}

static int drop_all(void **state)
{
    channel_drop(state);
    assert_int_equal(names_left(), 0);
    return 0;
}

#define poll_test(test) cmocka_unit_test_setup_teardown(test, own_directory, drop_all)

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd one = { .fd = fd, .events = POLLIN };
    int n;

    do
        n = poll(&one, 1, timeout_ms);
    while (n < 0 && errno == EINTR);
    return n == 1 && one.revents & POLLIN;
}

static void open_both_of(enum verso_channel_kind kind, unsigned flags)
{
    channel_make(kind, 4096, flags);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
}

static void test_a_message_makes_it_readable(void **state)
{
    struct verso_channel_message message;
    int again;

    (void)state;
    open_both_of(VERSO_CHANNEL_SPSC, 0);
    assert_ok(verso_channel_descriptor(reader, &descriptor));
    assert_ok(verso_channel_descriptor(reader, &again));
    assert_int_equal(again, descriptor);
    assert_int_equal(names_left(), 1);
    assert_ok(verso_channel_send(writer, "not armed", 9, 0));
    assert_false(is_readable(descriptor, 0));
    assert_int_equal(verso_channel_arm(reader), 1); /* there is something */
    assert_false(is_readable(descriptor, 0));
    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_int_equal(verso_channel_arm(reader), 0);
    assert_false(is_readable(descriptor, 0));
    assert_ok(verso_channel_send(writer, "armed", 5, 0));
    assert_true(is_readable(descriptor, 0));
    assert_int_equal(verso_channel_arm(reader), 1);
    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_memory_equal(message.data, "armed", 5);
    assert_int_equal(verso_channel_arm(reader), 0); /* takes back what made it readable, and releases */
    assert_false(is_readable(descriptor, 0));
    assert_fails(verso_channel_release(reader), VERSO_E_RANGE);
}

static void test_room_makes_it_readable(void **state)
{
    static const char data[1000];
    struct verso_channel_message message;
    unsigned count = 0;

    (void)state;
    open_both_of(VERSO_CHANNEL_SPSC, 0);
    assert_ok(verso_channel_writer_descriptor(writer, &descriptor));
    assert_int_equal(verso_channel_writer_arm(writer), 1);
    while (verso_channel_send(writer, data, 100, 0) == 0)
        count++;
    assert_fails(verso_channel_send(writer, data, sizeof(data), 0), -EAGAIN);
    assert_int_equal(verso_channel_writer_arm(writer), 0);
    while (count-- > 0) { /* room for a little is not room for what was refused */
        bool had_room;

        assert_false(is_readable(descriptor, 0));
        assert_ok(verso_channel_receive(reader, 0, &message));
        assert_ok(verso_channel_release(reader));
        had_room = is_readable(descriptor, 0);
        if (had_room)
            break;
    }
    assert_int_equal(verso_channel_writer_arm(writer), 1);
    assert_ok(verso_channel_send(writer, data, sizeof(data), 0));
}

static void test_room_among_several_writers(void **state)
{
    struct verso_channel_message message;

    (void)state;
    open_both_of(VERSO_CHANNEL_MPSC, 0);
    assert_ok(verso_channel_writer_descriptor(writer, &descriptor));
    while (verso_channel_send(writer, "x", 1, 0) == 0)
        ;
    assert_int_equal(verso_channel_writer_arm(writer), 0);
    assert_false(is_readable(descriptor, 0));
    assert_ok(verso_channel_receive(reader, 0, &message));
    assert_ok(verso_channel_release(reader));
    assert_true(is_readable(descriptor, 0));
    assert_int_equal(verso_channel_writer_arm(writer), 1);
}

/* All that are armed are told, also where only one of them gets it: another may be busy with other things. */
static void tell_both(enum verso_channel_kind kind, int gets_second)
{
    struct verso_channel_message message;
    struct verso_channel_reader *second;
    int others;

    channel_make(kind, 4096, 0);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_reader_open(channel, NULL, &second));
    assert_ok(verso_channel_descriptor(reader, &descriptor));
    assert_ok(verso_channel_descriptor(second, &others));
    assert_int_equal(names_left(), 2);
    for (int turn = 0; turn < 3; turn++) {
        assert_int_equal(verso_channel_arm(reader), 0);
        assert_int_equal(verso_channel_arm(second), 0);
        assert_false(is_readable(descriptor, 0));
        assert_ok(verso_channel_send(writer, "x", 1, 0));
        assert_true(is_readable(descriptor, 0));
        assert_true(is_readable(others, 0));
        assert_int_equal(verso_channel_arm(reader), 1);
        assert_ok(verso_channel_receive(reader, 0, &message));
        assert_int_equal(verso_channel_arm(second), gets_second);
        if (gets_second)
            assert_ok(verso_channel_receive(second, 0, &message));
    }
}

static void test_several_share_a_queue(void **state)
{
    (void)state;
    tell_both(VERSO_CHANNEL_MPMC, 0);
}

static void test_several_get_each(void **state)
{
    (void)state;
    tell_both(VERSO_CHANNEL_BROADCAST, 1);
}

static void test_what_is_refused(void **state)
{
    (void)state;
    open_both_of(VERSO_CHANNEL_SPSC, 0);
    assert_fails(verso_channel_descriptor(NULL, &descriptor), -EINVAL);
    assert_fails(verso_channel_descriptor(reader, NULL), -EINVAL);
    assert_fails(verso_channel_writer_descriptor(writer, NULL), -EINVAL);
    assert_fails(verso_channel_arm(NULL), -EINVAL);
    assert_fails(verso_channel_arm(reader), -EINVAL); /* no descriptor yet */
    assert_fails(verso_channel_writer_arm(NULL), -EINVAL);
    assert_fails(verso_channel_writer_arm(writer), -EINVAL);
    assert_int_equal(chmod(support_path("."), 0700), 0);
    assert_int_equal(mkdir(support_path("open"), 0755), 0);
    assert_int_equal(chmod(support_path("open"), 0755), 0);
    assert_int_equal(setenv("VERSO_SHARE_DIRECTORY", support_path("open"), 1), 0);
    assert_fails(verso_channel_descriptor(reader, &descriptor), VERSO_E_OWNER); /* others could look into it */
    assert_int_equal(own_directory(NULL), 0);
    fake_fail_call("bell_make", -ENOENT, 1);
    assert_fails(verso_channel_descriptor(reader, &descriptor), VERSO_E_UNSUPPORTED);
    fake_fail_call("poll_make", -EMFILE, 1);
    assert_fails(verso_channel_descriptor(reader, &descriptor), -EMFILE);
    fake_fail_call("poll_add", -ENOSPC, 1);
    assert_fails(verso_channel_writer_descriptor(writer, &descriptor), -ENOSPC);
    assert_int_equal(names_left(), 0);
    assert_ok(verso_channel_descriptor(reader, &descriptor));
    fake_fail_call("poll_look", -EBADF, 1);
    assert_fails(verso_channel_arm(reader), -EBADF);
    fake_fail_call("barrier_shared", -EPERM, 1);
    assert_true(verso_channel_arm(reader) == 0 || verso_error_last()->code == -EPERM); /* fences need none */
    fake_fail_call("barrier_shared", 0, 0);
}

static int arm_in_a_child(void *arg)
{
    int fd;

    (void)arg;
    return verso_channel_arm(reader) != VERSO_E_RANGE || verso_channel_descriptor(reader, &fd) != VERSO_E_RANGE ||
           verso_channel_writer_arm(writer) != VERSO_E_RANGE ||
           verso_channel_writer_descriptor(writer, &fd) != VERSO_E_RANGE;
}

static int close_in_a_child(void *arg)
{
    (void)arg;
    verso_channel_close(channel);
    return 0;
}

static void test_a_fork_has_no_descriptor(void **state)
{
    (void)state;
    open_both_of(VERSO_CHANNEL_SPSC, 0);
    assert_ok(verso_channel_descriptor(reader, &descriptor));
    assert_int_equal(verso_channel_arm(reader), 0);
    assert_int_equal(child_wait(child_start(arm_in_a_child, NULL)), 0);
    assert_int_equal(child_wait(child_start(close_in_a_child, NULL)), 0);
    assert_int_equal(names_left(), 1); /* and takes nothing away from the parent */
    assert_ok(verso_channel_send(writer, "x", 1, 0));
    assert_true(is_readable(descriptor, 0));
}

/* Nobody can look into the directory, and nobody ring but its user. */
static void test_the_name_is_its_owners(void **state)
{
    struct stat status;
    DIR *directory;
    mode_t before = umask(0);

    (void)state;
    open_both_of(VERSO_CHANNEL_SPSC, 0);
    assert_ok(verso_channel_descriptor(reader, &descriptor));
    (void)umask(before);
    assert_int_equal(stat(support_path("names"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    directory = opendir(support_path("names"));
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (strncmp(entry->d_name, ".bell-", 6) == 0) {
            assert_int_equal(fstatat(dirfd(directory), entry->d_name, &status, AT_SYMLINK_NOFOLLOW), 0);
            assert_true(S_ISSOCK(status.st_mode));
            assert_int_equal(status.st_mode & 0777, 0600);
        }
    (void)closedir(directory);
}

/* ---- What it costs ---- */

static void test_disarmed_costs_nothing(void **state)
{
    struct verso_channel_message message;

    (void)state;
    open_both_of(VERSO_CHANNEL_SPSC, 0);
    assert_ok(verso_channel_descriptor(reader, &descriptor));
    assert_int_equal(verso_channel_arm(reader), 0);
    assert_ok(verso_channel_send(writer, "x", 1, 0)); /* disarms, and opens what is kept */
    assert_ok(verso_channel_receive(reader, 0, &message));
    fake_begin();
    for (int i = 0; i < 1000; i++) {
        assert_ok(verso_channel_send(writer, "x", 1, 0));
        assert_ok(verso_channel_receive(reader, 0, &message));
    }
    assert_int_equal(fake_calls_seen(), 0);
    assert_int_equal(verso_channel_arm(reader), 0);
    fake_begin();
    assert_ok(verso_channel_send(writer, "x", 1, 0));
    assert_int_equal(fake_calls_seen(), 1); /* one datagram: the socket was kept */
    assert_ok(verso_channel_send(writer, "x", 1, 0));
    assert_int_equal(fake_calls_seen(), 1);
    fake_end();
}

/* ---- Who can't be reached looks by itself ---- */

static void test_not_reached_is_late_not_lost(void **state)
{
    static const char *const calls[] = { "bell_open", "bell_ring" };
    struct verso_channel_message message;

    (void)state;
    open_both_of(VERSO_CHANNEL_SPSC, 0);
    assert_ok(verso_channel_descriptor(reader, &descriptor));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(verso_channel_arm(reader), 0);
        fake_fail_call(calls[i], -ENOBUFS, UINT_MAX);
        assert_ok(verso_channel_send(writer, "x", 1, 0));
        fake_fail_call(calls[i], 0, 0);
        assert_true(is_readable(descriptor, 10000));
        assert_int_equal(verso_channel_arm(reader), 1);
        assert_ok(verso_channel_receive(reader, 0, &message));
    }
}

/* A new reader in the place of another one: what the writer kept leads to nobody. */
static void test_readers_come_and_go(void **state)
{
    struct verso_channel_message message;

    (void)state;
    open_both_of(VERSO_CHANNEL_SPSC, VERSO_CHANNEL_LASTING);
    for (int i = 0; i < 20; i++) {
        assert_ok(verso_channel_descriptor(reader, &descriptor));
        assert_int_equal(verso_channel_arm(reader), 0);
        assert_ok(verso_channel_send(writer, "x", 1, 0));
        assert_true(is_readable(descriptor, 0));
        assert_ok(verso_channel_receive(reader, 0, &message));
        verso_channel_reader_close(reader);
        assert_int_equal(names_left(), 0);
        assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    }
}

/* The clock in a descriptor, found by what the kernel says of it. */
static int clock_of(int all)
{
    char path[64], line[256], target[64];
    FILE *file;
    int fd, found = -1;

    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", all);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file)) {
        ssize_t n;

        if (sscanf(line, "tfd: %d", &fd) != 1)
            continue;
        (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        n = readlink(path, target, sizeof(target) - 1);
        if (n > 0 && strncmp(target, "anon_inode:[timerfd]", (size_t)n) == 0)
            found = fd;
    }
    if (file)
        (void)fclose(file);
    return found;
}

static bool stop(int clock)
{
    const struct itimerspec never = { 0 };

    return timerfd_settime(clock, 0, &never, NULL) == 0;
}

/* Where the kernel tells of the ends of processes, no clock is needed for that. */
static bool has_pidfd(void)
{
    long fd = syscall(SYS_pidfd_open, getpid(), 0);

    if (fd >= 0)
        (void)close((int)fd);
    return fd >= 0;
}

/* ---- Death, and the end ---- */

static _Atomic uint64_t *said;

static void say_somewhere(void)
{
    said = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(said != MAP_FAILED);
}

static int open_and_stay(void *arg)
{
    struct verso_channel_writer *own;
    struct verso_channel_reader *reads;
    int fd;

    if (!arg && verso_channel_writer_open(channel, NULL, &own) < 0)
        return 2;
    if (arg && (verso_channel_reader_open(channel, NULL, &reads) < 0 || verso_channel_descriptor(reads, &fd) < 0 ||
                verso_channel_arm(reads) != 0))
        return 3;
    atomic_store(&said[0], 1);
    for (;;)
        (void)pause();
}

static pid_t start_and_await(int (*act)(void *arg), void *arg)
{
    pid_t child = child_start(act, arg);

    while (!atomic_load(&said[0]))
        sleep_ms(1);
    atomic_store(&said[0], 0);
    return child;
}

static void test_a_writer_dies(void **state)
{
    pid_t child;

    (void)state;
    say_somewhere();
    channel_make(VERSO_CHANNEL_MPSC, 4096, 0);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_descriptor(reader, &descriptor));
    child = start_and_await(open_and_stay, NULL);
    assert_int_equal(verso_channel_arm(reader), 0);
    assert_true(!has_pidfd() || stop(clock_of(descriptor)));
    child_kill(child);
    assert_true(is_readable(descriptor, 10000));
    assert_fails(verso_channel_arm(reader), VERSO_E_PEER_DIED);
    assert_fails(verso_channel_arm(reader), -EPIPE);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_int_equal(verso_channel_arm(reader), 0);
    assert_false(is_readable(descriptor, 0)); /* told once */
    verso_channel_writer_close(writer);
    assert_true(is_readable(descriptor, 10000));
    assert_fails(verso_channel_arm(reader), -EPIPE);
}

static void test_a_reader_dies(void **state)
{
    pid_t child;

    (void)state;
    say_somewhere();
    channel_make(VERSO_CHANNEL_SPSC, 4096, 0);
    assert_ok(verso_channel_writer_open(channel, NULL, &writer));
    assert_ok(verso_channel_writer_descriptor(writer, &descriptor));
    child = start_and_await(open_and_stay, (void *)1);
    while (verso_channel_send(writer, "x", 1, 0) == 0)
        ;
    assert_int_equal(verso_channel_writer_arm(writer), 0);
    assert_true(!has_pidfd() || stop(clock_of(descriptor)));
    assert_int_equal(names_left(), 2);
    child_kill(child);
    assert_true(is_readable(descriptor, 10000));
    assert_fails(verso_channel_writer_arm(writer), VERSO_E_PEER_DIED);
    assert_int_equal(names_left(), 1); /* the dead one's is taken away with what else it had */
    assert_fails(verso_channel_writer_arm(writer), -EPIPE);
}

/* Who goes without closing leaves a name; who stays takes it away, at the latest when it goes itself. */
static int exit_at_once(void *arg)
{
    struct verso_channel_writer *own;
    int fd;

    (void)arg;
    return verso_channel_writer_open(channel, NULL, &own) < 0 || verso_channel_writer_descriptor(own, &fd) < 0;
}

static void test_a_name_is_left_behind(void **state)
{
    (void)state;
    channel_make(VERSO_CHANNEL_SPSC, 4096, 0);
    assert_int_equal(child_wait(child_start(exit_at_once, NULL)), 0);
    assert_int_equal(names_left(), 1);
}

/* All are dead: verso_share_collect() sees to it. */
static int make_and_stay(void *arg)
{
    struct verso_channel_reader *own;
    int fd;

    (void)arg;
    if (verso_channel_create(NULL, NULL, &channel) < 0 || verso_channel_reader_open(channel, NULL, &own) < 0 ||
        verso_channel_descriptor(own, &fd) < 0)
        return 2;
    atomic_store(&said[0], 1);
    for (;;)
        (void)pause();
}

static void test_names_of_nobody_are_collected(void **state)
{
    pid_t child;

    (void)state;
    say_somewhere();
    child = start_and_await(make_and_stay, NULL);
    assert_ok(verso_share_collect(NULL, NULL));
    assert_int_equal(names_left(), 1); /* he lives */
    child_kill(child);
    assert_int_equal(names_left(), 1);
    assert_ok(verso_share_collect(NULL, NULL));
    assert_int_equal(names_left(), 0);
}

/* ---- Nothing is lost: also without the clock, which would only make late what is lost ---- */

static unsigned messages_to_send(void)
{
    const char *text = getenv("TEST_LONG");

    return text ? (unsigned)strtoul(text, NULL, 10) * 1000 : 20000;
}

/* Sends in bursts, so that the other side goes to sleep between them, at any moment. */
static int send_bursts(void *arg)
{
    struct verso_channel_writer *own;
    struct pollfd room = { .events = POLLIN };
    unsigned most = messages_to_send();
    int clock;

    (void)arg;
    if (verso_channel_writer_open(channel, NULL, &own) < 0 || verso_channel_writer_descriptor(own, &room.fd) < 0)
        return 2;
    clock = clock_of(room.fd);
    for (uint64_t number = 0; number < most;) {
        int r = verso_channel_send(own, &number, sizeof(number), 0);

        if (r == 0 && number++ % 7 == 0)
            for (volatile unsigned i = 0; i < number % 13 * 100; i++)
                ;
        while (r == -EAGAIN && (r = verso_channel_writer_arm(own)) == 0)
            if (!stop(clock) || poll(&room, 1, 20000) != 1)
                return 4;
        if (r < 0)
            return 3;
    }
    verso_channel_writer_close(own);
    return 0;
}

/* By an epoll loop. */
static void receive_all(enum verso_channel_kind kind, unsigned senders)
{
    struct verso_channel_message message;
    struct epoll_event event = { .events = EPOLLIN };
    uint64_t received = 0, all = (uint64_t)messages_to_send() * senders;
    int loop = epoll_create1(EPOLL_CLOEXEC), clock, r;
    pid_t children[3];

    assert_true(loop >= 0);
    channel_make(kind, 4096, VERSO_CHANNEL_LASTING);
    assert_ok(verso_channel_reader_open(channel, NULL, &reader));
    assert_ok(verso_channel_descriptor(reader, &descriptor));
    assert_int_equal(epoll_ctl(loop, EPOLL_CTL_ADD, descriptor, &event), 0);
    clock = clock_of(descriptor);
    for (unsigned i = 0; i < senders; i++)
        children[i] = child_start(send_bursts, NULL);
    while (received < all) {
        r = verso_channel_arm(reader);
        assert_true(r >= 0);
        if (r == 0) {
            assert_true(stop(clock));
            assert_int_equal(epoll_wait(loop, &event, 1, 20000), 1);
            continue;
        }
        while (verso_channel_receive(reader, 0, &message) == 0) {
            uint64_t number;

            memcpy(&number, message.data, sizeof(number));
            if (senders == 1)
                assert_int_equal(number, received);
            received++;
        }
    }
    for (unsigned i = 0; i < senders; i++)
        assert_int_equal(child_wait(children[i]), 0);
    assert_int_equal(close(loop), 0);
}

static void test_hammered_by_one(void **state)
{
    (void)state;
    receive_all(VERSO_CHANNEL_SPSC, 1);
}

static void test_hammered_by_several(void **state)
{
    (void)state;
    receive_all(VERSO_CHANNEL_MPSC, 3);
}

static void *echo(void *arg)
{
    struct verso_channel_message message;
    struct pollfd data = { .events = POLLIN };
    struct verso_channel **both = arg;
    struct verso_channel_reader *own;
    struct verso_channel_writer *back;
    unsigned count = 0;
    int clock;

    if (verso_channel_reader_open(both[0], NULL, &own) < 0 || verso_channel_writer_open(both[1], NULL, &back) < 0 ||
        verso_channel_descriptor(own, &data.fd) < 0)
        return NULL;
    clock = clock_of(data.fd);
    atomic_store(&said[0], 1);
    while (count < messages_to_send()) {
        if (verso_channel_arm(own) == 0) {
            if (!stop(clock) || poll(&data, 1, 20000) != 1)
                return NULL;
        } else if (verso_channel_receive(own, 0, &message) == 0 && verso_channel_send(back, "y", 1, -1) == 0)
            count++;
    }
    return both;
}

static void test_there_and_back_between_threads(void **state)
{
    struct verso_channel *both[2];
    struct verso_channel_message message;
    pthread_t thread;
    void *answer;
    int clock;

    (void)state;
    say_somewhere();
    for (int i = 0; i < 2; i++)
        assert_ok(verso_channel_create(NULL, NULL, &both[i]));
    assert_ok(verso_channel_writer_open(both[0], NULL, &writer));
    assert_ok(verso_channel_reader_open(both[1], NULL, &reader));
    assert_ok(verso_channel_descriptor(reader, &descriptor));
    clock = clock_of(descriptor);
    assert_int_equal(pthread_create(&thread, NULL, echo, both), 0);
    while (!atomic_load(&said[0]))
        sleep_ms(1);
    for (unsigned i = 0; i < messages_to_send(); i++) {
        int r;

        assert_ok(verso_channel_send(writer, "x", 1, -1));
        while ((r = verso_channel_arm(reader)) == 0) {
            assert_true(stop(clock));
            assert_true(is_readable(descriptor, 20000));
        }
        assert_int_equal(r, 1);
        assert_ok(verso_channel_receive(reader, 0, &message));
    }
    assert_int_equal(pthread_join(thread, &answer), 0);
    assert_ptr_equal(answer, both);
    for (int i = 0; i < 2; i++)
        verso_channel_close(both[i]);
}

static const struct CMUnitTest test_list[] = {
    poll_test(test_a_message_makes_it_readable),
    poll_test(test_room_makes_it_readable),
    poll_test(test_room_among_several_writers),
    poll_test(test_several_share_a_queue),
    poll_test(test_several_get_each),
    poll_test(test_what_is_refused),
    poll_test(test_a_fork_has_no_descriptor),
    poll_test(test_the_name_is_its_owners),
    poll_test(test_disarmed_costs_nothing),
    poll_test(test_not_reached_is_late_not_lost),
    poll_test(test_readers_come_and_go),
    poll_test(test_a_writer_dies),
    poll_test(test_a_reader_dies),
    poll_test(test_a_name_is_left_behind),
    poll_test(test_names_of_nobody_are_collected),
    poll_test(test_hammered_by_one),
    poll_test(test_hammered_by_several),
    poll_test(test_there_and_back_between_threads),
};

int main(void)
{
    return run_test_list(test_list);
}
