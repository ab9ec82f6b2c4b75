/* SPDX-License-Identifier: MIT */
/* limits.h - limits that the kernel enforces by killing, asked for before. */
#ifndef VERSO_SRC_OS_LINUX_LIMITS_H
#define VERSO_SRC_OS_LINUX_LIMITS_H

#include <errno.h>
#include <stdint.h>
#include <sys/resource.h>

/* -EFBIG when the limit RLIMIT_FSIZE would be passed: the kernel would send SIGXFSZ, which kills. */
static inline int verso__linux_file_limit(uint64_t end)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_FSIZE, &limit) < 0)
        return -errno;
    return limit.rlim_cur != RLIM_INFINITY && end > limit.rlim_cur ? -EFBIG : 0;
}

#endif
