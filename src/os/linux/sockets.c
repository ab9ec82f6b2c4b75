/* SPDX-License-Identifier: MIT */
/* sockets - descriptors that travel through Unix sockets. */
#include "os/os.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Room for more than one: what somebody sends beside it must come out, to be closed. */
#define DESCRIPTORS_MAX 8

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
};

int verso__os_send_descriptor(int socket_fd, int fd)
{
    union control control = { .bytes = { 0 } };
    char byte = 'v';
    struct iovec content = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &content, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_SPACE(sizeof(fd))
    };
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    ssize_t n;

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(fd));
    memcpy(CMSG_DATA(header), &fd, sizeof(fd));
    do
        n = sendmsg(socket_fd, &message, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

/* Takes out every descriptor; how many there were. */
static size_t take_descriptors(struct msghdr *message, int *out_fds)
{
    size_t count = 0;

    for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
        size_t bytes;

        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        bytes = header->cmsg_len - CMSG_LEN(0);
        memcpy(out_fds + count, CMSG_DATA(header), bytes);
        count += bytes / sizeof(int);
    }
    return count;
}

int verso__os_receive_descriptor(int socket_fd, int *out_fd)
{
    union control control;
    char byte;
    struct iovec content = { &byte, 1 };
    struct msghdr message = {
        .msg_iov = &content, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
    };
    int fds[DESCRIPTORS_MAX];
    size_t count;
    ssize_t n;

    do
        n = recvmsg(socket_fd, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    count = take_descriptors(&message, fds);
    if (count == 1 && n == 1 && byte == 'v' && !(message.msg_flags & MSG_CTRUNC)) {
        *out_fd = fds[0];
        return 0;
    }
    for (size_t i = 0; i < count; i++)
        verso__os_close(fds[i]);
    return n == 0 ? -ECONNRESET : -EPROTO;
}
