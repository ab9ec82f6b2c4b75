/* SPDX-License-Identifier: MIT */
/* leases.h - another process that holds a lease on a file, and gives it up as soon as somebody waits for it. */
#ifndef VERSO_TESTS_LEASES_H
#define VERSO_TESTS_LEASES_H

#include "support.h"

#include "children.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

static int support_leased_fd;

static inline void support_lease_end(int signal)
{
    (void)signal;
    (void)fcntl(support_leased_fd, F_SETLEASE, F_UNLCK);
}

/* F_RDLCK keeps writers waiting, F_WRLCK everybody. */
struct support_lease {
    const char *path;
    int kind;
};

static inline int support_lease_take(void *arg)
{
    const struct support_lease *lease = (const struct support_lease *)arg;

    if (signal(SIGIO, support_lease_end) == SIG_ERR)
        return 1;
    support_leased_fd = open(lease->path, O_RDONLY | O_CLOEXEC);
    return support_leased_fd < 0 || fcntl(support_leased_fd, F_SETLEASE, lease->kind) < 0;
}

/* A child that holds it; support_child_stop() ends it. 0: this file system gives no leases. */
static inline pid_t support_lease_child(const char *path, int kind)
{
    struct support_lease lease = { path, kind };
    int fd = open(path, O_RDONLY | O_CLOEXEC), taken;

    assert_true(fd >= 0);
    taken = fcntl(fd, F_SETLEASE, kind);
    assert_int_equal(close(fd), 0);
    return taken < 0 ? 0 : support_child_start(support_lease_take, &lease);
}

#endif
