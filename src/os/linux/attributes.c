/* SPDX-License-Identifier: MIT */
/*
 * attributes - what a file has besides its content.
 *
 * A descriptor opened as a place (O_PATH) takes none of the f...() calls, so those are tried first, and what it stands
 * for is then asked by way of /proc. That works for symbolic links too, which can be opened in no other way.
 */
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

struct link {
    char path[32];
};

static struct link link_to(int fd)
{
    struct link link;

    (void)snprintf(link.path, sizeof(link.path), "/proc/self/fd/%d", fd);
    return link;
}

/* What is open can't be missing: then /proc is. */
static ssize_t by_link(ssize_t answer)
{
    if (answer < 0 && errno == ENOENT)
        errno = ENOSYS;
    return answer;
}

int verso__os_attribute_names(int fd, char *out_names, size_t room_bytes, size_t *out_bytes)
{
    ssize_t n = flistxattr(fd, out_names, room_bytes);

    if (n < 0 && errno == EBADF)
        n = by_link(listxattr(link_to(fd).path, out_names, room_bytes));
    if (n < 0)
        return -errno;
    *out_bytes = (size_t)n;
    return 0;
}

int verso__os_attribute_get(int fd, const char *name, void *out_value, size_t room_bytes, size_t *out_bytes)
{
    ssize_t n = fgetxattr(fd, name, out_value, room_bytes);

    if (n < 0 && errno == EBADF)
        n = by_link(getxattr(link_to(fd).path, name, out_value, room_bytes));
    if (n < 0)
        return -errno;
    *out_bytes = (size_t)n;
    return 0;
}

int verso__os_attribute_set(int fd, const char *name, const void *value, size_t bytes)
{
    int r = fsetxattr(fd, name, value, bytes, 0);

    if (r < 0 && errno == EBADF)
        r = (int)by_link(setxattr(link_to(fd).path, name, value, bytes, 0));
    return r < 0 ? -errno : 0;
}

int verso__os_attribute_remove(int fd, const char *name)
{
    int r = fremovexattr(fd, name);

    if (r < 0 && errno == EBADF)
        r = (int)by_link(removexattr(link_to(fd).path, name));
    return r < 0 ? -errno : 0;
}

int verso__os_set_mode(int fd, unsigned mode)
{
    int r = fchmod(fd, mode);

    if (r < 0 && errno == EBADF)
        r = (int)by_link(chmod(link_to(fd).path, mode));
    return r < 0 ? -errno : 0;
}

int verso__os_set_owner(int fd, uint32_t user, uint32_t group)
{
    return fchownat(fd, "", user, group, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static struct timespec time_of(int64_t ns)
{
    int64_t rest = ns % 1000000000;

    if (rest < 0) /* before 1970 */
        rest += 1000000000;
    return (struct timespec){ .tv_sec = (time_t)((ns - rest) / 1000000000), .tv_nsec = (long)rest };
}

int verso__os_set_times(int fd, int64_t accessed_ns, int64_t modified_ns)
{
    const struct timespec times[2] = { time_of(accessed_ns), time_of(modified_ns) };
    int r = futimens(fd, times);

    if (r < 0 && errno == EBADF) /* as a place */
        r = (int)by_link(utimensat(AT_FDCWD, link_to(fd).path, times, 0));
    return r < 0 ? -errno : 0;
}
