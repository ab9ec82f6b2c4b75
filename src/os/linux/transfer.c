/* SPDX-License-Identifier: MIT */
/* transfer - from descriptor to descriptor, where one of them has no offsets. */
#include "os/linux/limits.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/sendfile.h>
#include <time.h>

#define TRANSFER_BYTES_MAX ((size_t)0x7ffff000)

/* SIGPIPE held back while a transfer runs, and swallowed when it was that transfer's own. */
struct held {
    sigset_t signal;
    sigset_t before;
    bool was_pending;
};

static void hold(struct held *held)
{
    sigset_t pending;

    (void)sigemptyset(&held->signal);
    (void)sigaddset(&held->signal, SIGPIPE);
    (void)sigemptyset(&pending);
    (void)sigpending(&pending);
    held->was_pending = sigismember(&pending, SIGPIPE) == 1;
    (void)pthread_sigmask(SIG_BLOCK, &held->signal, &held->before);
}

static void release(struct held *held, int error)
{
    const struct timespec at_once = { 0 };

    if (error == -EPIPE && !held->was_pending)
        (void)sigtimedwait(&held->signal, NULL, &at_once);
    (void)pthread_sigmask(SIG_SETMASK, &held->before, NULL);
}

static int answer(ssize_t n, size_t *out_done)
{
    if (n < 0)
        return -errno;
    *out_done = (size_t)n;
    return 0;
}

int verso__os_splice(int source_fd, int target_fd, uint64_t *target_offset, size_t bytes, size_t *out_done)
{
    loff_t to = target_offset ? (loff_t)*target_offset : 0;
    struct held held;
    ssize_t n;
    int r = target_offset ? verso__linux_file_limit(*target_offset + bytes) : 0;

    if (r < 0)
        return r;
    hold(&held);
    do
        n = splice(source_fd, NULL, target_fd, target_offset ? &to : NULL, bytes, 0);
    while (n < 0 && errno == EINTR);
    r = answer(n, out_done);
    release(&held, r);
    if (r == 0 && target_offset)
        *target_offset = (uint64_t)to;
    return r;
}

int verso__os_send_file(int source_fd, uint64_t *source_offset, int target_fd, size_t bytes, size_t *out_done)
{
    off_t from = source_offset ? (off_t)*source_offset : 0;
    struct held held;
    ssize_t n;
    int r;

    if (bytes > TRANSFER_BYTES_MAX)
        bytes = TRANSFER_BYTES_MAX;
    hold(&held);
    do
        n = sendfile(target_fd, source_fd, source_offset ? &from : NULL, bytes);
    while (n < 0 && errno == EINTR);
    r = answer(n, out_done);
    release(&held, r);
    if (r == 0 && source_offset)
        *source_offset = (uint64_t)from;
    return r;
}
