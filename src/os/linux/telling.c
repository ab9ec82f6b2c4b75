/* SPDX-License-Identifier: MIT */
/*
 * telling - descriptors that become readable when something happens: sockets that others ring at, ends of processes,
 * a clock, and one descriptor for all of them (epoll).
 */
#include "os/os.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

/* ---- Bells: datagram sockets ---- */

static int socket_make(int *out_fd)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -errno;
    *out_fd = fd;
    return 0;
}

/* By way of the directory's descriptor: a socket's address has no room for long paths. */
static int address_of(int directory, const char *name, struct sockaddr_un *out_address)
{
    int bytes;

    *out_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    bytes = snprintf(out_address->sun_path, sizeof(out_address->sun_path), "/proc/self/fd/%d/%s", directory, name);
    return bytes < 0 || (size_t)bytes >= sizeof(out_address->sun_path) ? -ENAMETOOLONG : 0;
}

int verso__os_bell_make(int directory, const char *name, int *out_fd)
{
    struct sockaddr_un address;
    int fd = -1, r = address_of(directory, name, &address);

    if (r == 0)
        r = socket_make(&fd);
    if (r < 0)
        return r;
    /* The name takes the socket's mode: nobody else may ring, whatever the umask says. */
    if (fchmod(fd, S_IRUSR | S_IWUSR) < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    *out_fd = fd;
    return 0;
}

int verso__os_bell_open(int directory, const char *name, int *out_fd)
{
    struct sockaddr_un address;
    int fd = -1, r = address_of(directory, name, &address);

    if (r == 0)
        r = socket_make(&fd);
    if (r < 0)
        return r;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    *out_fd = fd;
    return 0;
}

int verso__os_bell_ring(int fd)
{
    ssize_t n;

    do
        n = send(fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    return n < 0 && errno != EAGAIN ? -errno : 0;
}

void verso__os_bell_hush(int fd)
{
    char byte;
    ssize_t n;

    do
        n = recv(fd, &byte, 1, MSG_DONTWAIT);
    while (n >= 0 || errno == EINTR);
}

/* ---- Ends of processes, and a clock ---- */

int verso__os_process_open(pid_t process, int *out_fd)
{
    long fd = syscall(SYS_pidfd_open, process, 0); /* close-on-exec by itself */

    if (fd < 0)
        return -errno;
    *out_fd = (int)fd;
    return 0;
}

int verso__os_timer_make(int *out_fd)
{
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

    if (fd < 0)
        return -errno;
    *out_fd = fd;
    return 0;
}

int verso__os_timer_set(int fd, uint64_t wait_ns)
{
    struct itimerspec when = { .it_value = { .tv_sec = (time_t)(wait_ns / 1000000000U),
                                             .tv_nsec = (long)(wait_ns % 1000000000U) } };

    return timerfd_settime(fd, 0, &when, NULL) < 0 ? -errno : 0;
}

/* ---- All in one ---- */

int verso__os_poll_make(int *out_fd)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);

    if (fd < 0)
        return -errno;
    *out_fd = fd;
    return 0;
}

int verso__os_poll_add(int poll_fd, int fd, uint64_t name)
{
    struct epoll_event event = { .events = EPOLLIN, .data = { .u64 = name } };

    return epoll_ctl(poll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

void verso__os_poll_remove(int poll_fd, int fd)
{
    struct epoll_event event = { 0 };

    (void)epoll_ctl(poll_fd, EPOLL_CTL_DEL, fd, &event); /* fails only for what is not in it */
}

int verso__os_poll_look(int poll_fd, uint64_t *out_names, size_t room, size_t *out_count)
{
    struct epoll_event events[VERSO__OS_POLL_MOST];
    int n;

    do
        n = epoll_wait(poll_fd, events, room < VERSO__OS_POLL_MOST ? (int)room : VERSO__OS_POLL_MOST, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    for (int i = 0; i < n; i++)
        out_names[i] = events[i].data.u64;
    *out_count = (size_t)n;
    return 0;
}
