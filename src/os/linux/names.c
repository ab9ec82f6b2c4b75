/* SPDX-License-Identifier: MIT */
/* names - directories' entries: what they lead to, giving them away, taking them out. */
#include "os/os.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HERE = VERSO__OS_HERE
};
_Static_assert(HERE == AT_FDCWD, "the current directory, for calls that take a directory");

#define FD_PATH "/proc/self/fd"

int verso__os_link_text(int directory, const char *path, char *out_text, size_t room_bytes)
{
    ssize_t bytes = readlinkat(directory, path, out_text, room_bytes);

    if (bytes < 0)
        return -errno;
    if ((size_t)bytes >= room_bytes)
        return -ENAMETOOLONG;
    out_text[bytes] = '\0';
    return 0;
}

/* A second name first, where the file system can't be told to leave a name that is taken. */
static int rename_by_link(int directory, const char *from, const char *to)
{
    if (linkat(directory, from, directory, to, 0) < 0)
        return -errno;
    return unlinkat(directory, from, 0) < 0 ? -errno : 0;
}

int verso__os_rename(int directory, const char *from, const char *to, bool replace)
{
    if (replace)
        return renameat(directory, from, directory, to) < 0 ? -errno : 0;
    if (renameat2(directory, from, directory, to, RENAME_NOREPLACE) == 0)
        return 0;
    return errno == EINVAL || errno == ENOSYS ? rename_by_link(directory, from, to) : -errno;
}

/* By the descriptor itself only those may who could read any file; since Linux 6.10 also who has opened it. */
int verso__os_name_file(int fd, int directory, const char *path)
{
    char ours[sizeof(FD_PATH) + 16];

    if (linkat(fd, "", directory, path, AT_EMPTY_PATH) == 0)
        return 0;
    if (errno != ENOENT)
        return -errno;
    (void)snprintf(ours, sizeof(ours), FD_PATH "/%d", fd);
    return linkat(AT_FDCWD, ours, directory, path, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

bool verso__os_can_name_file(void)
{
    static atomic_bool known;

    if (!atomic_load_explicit(&known, memory_order_relaxed) && access(FD_PATH, X_OK) == 0)
        atomic_store_explicit(&known, true, memory_order_relaxed);
    return atomic_load_explicit(&known, memory_order_relaxed);
}

int verso__os_make_directory(const char *path)
{
    return mkdir(path, 0700) < 0 ? -errno : 0;
}

int verso__os_names(const char *path, int (*each)(const char *name, void *arg), void *arg)
{
    const struct dirent *entry;
    DIR *list = opendir(path);
    int r = 0;

    if (!list)
        return -errno;
    while (r == 0) {
        errno = 0;
        entry = readdir(list);
        if (!entry) {
            r = -errno;
            break;
        }
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = each(entry->d_name, arg);
    }
    (void)closedir(list);
    return r;
}

int verso__os_remove_at(int directory, const char *path)
{
    return unlinkat(directory, path, 0) < 0 ? -errno : 0;
}

int verso__os_lock_file(int fd)
{
    int r;

    do
        r = flock(fd, LOCK_EX | LOCK_NB);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    return 0;
}

int verso__os_byte_lock(int fd, uint64_t byte, enum verso__os_byte_lock how)
{
    struct flock range = { .l_type = how == VERSO__OS_BYTE_SHARED ? F_RDLCK : F_WRLCK,
                           .l_whence = SEEK_SET,
                           .l_start = (off_t)byte,
                           .l_len = 1 };

    if (fcntl(fd, F_OFD_SETLK, &range) == 0)
        return 0;
    return errno == EACCES ? -EAGAIN : -errno;
}

/* Only where two locks were joined would the kernel need memory, to part them. */
void verso__os_byte_unlock(int fd, uint64_t byte)
{
    struct flock range = { .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = (off_t)byte, .l_len = 1 };

    (void)fcntl(fd, F_OFD_SETLK, &range);
}

int verso__os_bytes_are_locked(int fd, uint64_t first, uint64_t count)
{
    struct flock range = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)first, .l_len = (off_t)count };

    if (fcntl(fd, F_OFD_GETLK, &range) < 0)
        return -errno;
    return range.l_type != F_UNLCK;
}
