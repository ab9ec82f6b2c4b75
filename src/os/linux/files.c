/* SPDX-License-Identifier: MIT */
/* files - opening, sizes, space, reading and writing, syncing. */
#include "os/linux/limits.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

/* The most one read or write moves on Linux; larger requests are cut there silently (read(2), NOTES). */
#define TRANSFER_BYTES_MAX ((size_t)0x7ffff000)

/* Allocations are not cut smaller than this, some microseconds' work. */
#define ALLOCATION_BYTES_MIN ((uint64_t)64 << 10)

int verso__os_open_at(int directory, const char *path, unsigned flags, unsigned mode, int *out_fd)
{
    int how = O_CLOEXEC | O_NOCTTY;
    int fd;

    if (flags & VERSO__OS_OPEN_WRITE)
        how |= flags & VERSO__OS_OPEN_READ ? O_RDWR : O_WRONLY;
    if (flags & VERSO__OS_OPEN_CREATE)
        how |= O_CREAT;
    if (flags & VERSO__OS_OPEN_EXCLUSIVE)
        how |= O_EXCL;
    if (flags & VERSO__OS_OPEN_NOFOLLOW)
        how |= O_NOFOLLOW;
    if (flags & VERSO__OS_OPEN_NONBLOCK)
        how |= O_NONBLOCK;
    if (flags & VERSO__OS_OPEN_UNNAMED)
        how |= O_TMPFILE;
    if (flags & VERSO__OS_OPEN_DIRECTORY)
        how |= O_DIRECTORY;
    if (flags & VERSO__OS_OPEN_PLACE)
        how |= O_PATH;
    do
        fd = openat(directory, path, how, mode);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return -errno;
    *out_fd = fd;
    return 0;
}

int verso__os_open(const char *path, unsigned flags, unsigned mode, int *out_fd)
{
    return verso__os_open_at(AT_FDCWD, path, flags, mode, out_fd);
}

void verso__os_close(int fd)
{
    (void)close(fd); /* the descriptor is gone whatever it answers, EINTR too (close(2), NOTES) */
}

static enum verso__os_file_kind kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return VERSO__OS_FILE_REGULAR;
    case S_IFDIR:
        return VERSO__OS_FILE_DIRECTORY;
    case S_IFIFO:
        return VERSO__OS_FILE_FIFO;
    case S_IFSOCK:
        return VERSO__OS_FILE_SOCKET;
    case S_IFCHR:
        return VERSO__OS_FILE_CHARACTER;
    case S_IFBLK:
        return VERSO__OS_FILE_BLOCK;
    case S_IFLNK:
        return VERSO__OS_FILE_LINK;
    default:
        return VERSO__OS_FILE_OTHER;
    }
}

static int64_t nanoseconds(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static void info_from(const struct stat *status, struct verso__os_file_info *out_info)
{
    *out_info = (struct verso__os_file_info){
        .kind = kind_of(status->st_mode),
        .bytes = (uint64_t)status->st_size,
        .allocated_bytes = (uint64_t)status->st_blocks * 512,
        .device = status->st_dev,
        .inode = status->st_ino,
        .link_count = status->st_nlink,
        .accessed_ns = nanoseconds(&status->st_atim),
        .modified_ns = nanoseconds(&status->st_mtim),
        .changed_ns = nanoseconds(&status->st_ctim),
        .mode = status->st_mode & 07777,
        .user = status->st_uid,
        .group = status->st_gid,
        .block_bytes = (uint64_t)status->st_blksize,
    };
}

int verso__os_file_info(int fd, struct verso__os_file_info *out_info)
{
    struct stat status;
    uint64_t device_bytes;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (S_ISBLK(status.st_mode)) {
        if (ioctl(fd, BLKGETSIZE64, &device_bytes) < 0)
            return -errno;
        status.st_size = (off_t)device_bytes;
    }
    info_from(&status, out_info);
    return 0;
}

int verso__os_path_info_at(int directory, const char *path, bool follow, struct verso__os_file_info *out_info)
{
    struct stat status;

    if (fstatat(directory, path, &status, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    info_from(&status, out_info);
    return 0;
}

int verso__os_path_info(const char *path, bool follow, struct verso__os_file_info *out_info)
{
    return verso__os_path_info_at(AT_FDCWD, path, follow, out_info);
}

int verso__os_open_mode(int fd, unsigned *out_flags)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    if (flags & O_PATH)
        return -EBADF;
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        *out_flags = VERSO__OS_OPEN_READ;
        return 0;
    case O_WRONLY:
        *out_flags = VERSO__OS_OPEN_WRITE;
        return 0;
    default:
        *out_flags = VERSO__OS_OPEN_READ | VERSO__OS_OPEN_WRITE;
        return 0;
    }
}

int verso__os_duplicate(int fd, int *out_fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    if (copy < 0)
        return -errno;
    *out_fd = copy;
    return 0;
}

int verso__os_reopen(int fd, unsigned flags, int *out_fd)
{
    char link[64];

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    return verso__os_open(link, flags, 0, out_fd);
}

size_t verso__os_file_page_bytes(int fd)
{
    struct statfs system;

    if (fstatfs(fd, &system) == 0 && (unsigned long)system.f_type == HUGETLBFS_MAGIC)
        return (size_t)system.f_bsize;
    return verso__os_page_bytes();
}

int verso__os_path_of(int fd, char *out_path, size_t room_bytes)
{
    char link[64];
    ssize_t bytes;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    bytes = readlink(link, out_path, room_bytes);
    if (bytes < 0)
        return -errno;
    if ((size_t)bytes >= room_bytes)
        return -ENAMETOOLONG;
    out_path[bytes] = '\0';
    return 0;
}

int verso__os_read(int fd, void *out_data, size_t bytes, size_t *out_done)
{
    ssize_t n;

    if (bytes > TRANSFER_BYTES_MAX)
        bytes = TRANSFER_BYTES_MAX;
    do
        n = read(fd, out_data, bytes);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    *out_done = (size_t)n;
    return 0;
}

int verso__os_wait_readable(int fd, int timeout_ms)
{
    struct pollfd wait = { .fd = fd, .events = POLLIN };
    int n = poll(&wait, 1, timeout_ms);

    if (n < 0)
        return -errno;
    if (n == 0)
        return -ETIMEDOUT;
    return wait.revents & POLLNVAL ? -EBADF : 0;
}

int verso__os_read_at(int fd, uint64_t offset, void *out_data, size_t bytes, size_t *out_done)
{
    size_t done = 0;

    while (done < bytes) {
        size_t want = bytes - done < TRANSFER_BYTES_MAX ? bytes - done : TRANSFER_BYTES_MAX;
        ssize_t n = pread(fd, (char *)out_data + done, want, (off_t)(offset + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *out_done = done;
    return 0;
}

int verso__os_remove(const char *path)
{
    return unlink(path) < 0 ? -errno : 0;
}

/* A reader that has gone is an error here, and not the signal that would end the process. */
int verso__os_write(int fd, const void *data, size_t bytes)
{
    const struct timespec at_once = { 0 };
    sigset_t pipe_signal, before, pending;
    size_t done = 0;
    int error = 0;

    (void)sigemptyset(&pipe_signal);
    (void)sigaddset(&pipe_signal, SIGPIPE);
    (void)sigemptyset(&pending);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    while (done < bytes && error == 0) {
        ssize_t n = write(fd, (const char *)data + done, bytes - done);

        if (n < 0)
            error = errno == EINTR ? 0 : -errno;
        else
            done += (size_t)n;
    }
    if (error == -EPIPE && !sigismember(&pending, SIGPIPE))
        (void)sigtimedwait(&pipe_signal, NULL, &at_once);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int verso__os_write_at(int fd, uint64_t offset, const void *data, size_t bytes, size_t *out_done)
{
    int r = verso__linux_file_limit(offset + bytes);

    *out_done = 0;
    if (r < 0)
        return r;
    while (*out_done < bytes) {
        size_t want = bytes - *out_done < TRANSFER_BYTES_MAX ? bytes - *out_done : TRANSFER_BYTES_MAX;
        ssize_t n = pwrite(fd, (const char *)data + *out_done, want, (off_t)(offset + *out_done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            return -EIO; /* a file that takes nothing and gives no reason: never spin on it */
        *out_done += (size_t)n;
    }
    return 0;
}

int verso__os_truncate(int fd, uint64_t bytes)
{
    struct stat status;
    int r;

    if (fstat(fd, &status) < 0)
        return -errno;
    if (bytes > (uint64_t)status.st_size) {
        r = verso__linux_file_limit(bytes);
        if (r < 0)
            return r;
    }
    do
        r = ftruncate(fd, (off_t)bytes);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/*
 * tmpfs gives up at any signal and gives back what it had; asked again for the same, it would never come to an end in
 * a process with a fast timer. So after a signal it is asked for less at a time.
 */
int verso__os_allocate(int fd, uint64_t offset, uint64_t bytes)
{
    uint64_t end = offset + bytes, piece = bytes;
    int r = verso__linux_file_limit(end);

    if (r < 0)
        return r;
    do {
        uint64_t want = end - offset < piece ? end - offset : piece;

        r = fallocate(fd, 0, (off_t)offset, (off_t)want) < 0 ? -errno : 0;
        if (r == 0)
            offset += want;
        else if (r == -EINTR && piece / 2 >= ALLOCATION_BYTES_MIN)
            piece /= 2;
    } while (r == -EINTR || (r == 0 && offset < end));
    return r;
}

int verso__os_punch(int fd, uint64_t offset, uint64_t bytes)
{
    int r;

    do
        r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

static int seek_to(int fd, uint64_t offset, int whence, uint64_t *out_offset)
{
    off_t found = lseek(fd, (off_t)offset, whence);

    if (found < 0)
        return -errno;
    *out_offset = (uint64_t)found;
    return 0;
}

int verso__os_next_hole(int fd, uint64_t offset, uint64_t *out_offset)
{
    return seek_to(fd, offset, SEEK_HOLE, out_offset);
}

int verso__os_next_data(int fd, uint64_t offset, uint64_t *out_offset)
{
    return seek_to(fd, offset, SEEK_DATA, out_offset);
}

int verso__os_sync_start(int fd, uint64_t offset, uint64_t bytes)
{
    return sync_file_range(fd, (off_t)offset, (off_t)bytes, SYNC_FILE_RANGE_WRITE) < 0 ? -errno : 0;
}

int verso__os_write_back(int fd, uint64_t offset, uint64_t bytes)
{
    const unsigned how = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    int r;

    do
        r = sync_file_range(fd, (off_t)offset, (off_t)bytes, how);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

int verso__os_flush(int fd)
{
    int copy, r;

    do {
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        r = copy < 0 ? copy : close(copy);
    } while (r < 0 && copy >= 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

int verso__os_sync_data(int fd)
{
    int r;

    do
        r = fdatasync(fd);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

int verso__os_sync_full(int fd)
{
    int r;

    do
        r = fsync(fd);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

int verso__os_sync_file_system(int fd)
{
    int r;

    do
        r = syncfs(fd);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

int verso__os_cache_drop(int fd, uint64_t offset, uint64_t bytes)
{
    return -posix_fadvise(fd, (off_t)offset, (off_t)bytes, POSIX_FADV_DONTNEED);
}

int verso__os_clone_file(int source_fd, int target_fd)
{
    return ioctl(target_fd, FICLONE, source_fd) < 0 ? -errno : 0;
}

int verso__os_copy_range(int source_fd, uint64_t source_offset, int target_fd, uint64_t target_offset, size_t bytes,
                         size_t *out_done)
{
    off_t from = (off_t)source_offset, to = (off_t)target_offset;
    ssize_t n;
    int r = verso__linux_file_limit(target_offset + bytes);

    if (r < 0)
        return r;
    if (bytes > TRANSFER_BYTES_MAX)
        bytes = TRANSFER_BYTES_MAX;
    do
        n = copy_file_range(source_fd, &from, target_fd, &to, bytes, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    *out_done = (size_t)n;
    return 0;
}

int verso__os_lease_take(int fd)
{
    /*
     * A breaker is announced by SIGIO, whose default action kills. Nobody is to be told, the state is asked for; but
     * taking the lease makes this process the owner, so until that is undone let it be a signal that is ignored.
     */
    if (fcntl(fd, F_SETSIG, SIGURG) < 0 || fcntl(fd, F_SETLEASE, F_RDLCK) < 0)
        return -errno;
    (void)fcntl(fd, F_SETOWN, 0);
    return 0;
}

/*
 * Whether /proc/locks has a lease of this process on this inode that is being broken. The device is not compared: btrfs
 * tells stat another one than it tells the lock.
 */
static int lease_is_breaking(int fd)
{
    unsigned long long inode;
    struct stat status;
    size_t room = 0;
    char *line = NULL;
    bool found = false;
    FILE *locks;
    int pid;

    if (fstat(fd, &status) < 0)
        return -errno;
    locks = fopen("/proc/locks", "re");
    if (!locks)
        return -errno;
    while (!found && getline(&line, &room, locks) >= 0)
        found = sscanf(line, "%*s LEASE BREAKING %*s %d %*x:%*x:%llu", &pid, &inode) == 2 && pid == getpid() &&
                inode == status.st_ino;
    free(line);
    (void)fclose(locks);
    return found;
}

/* F_GETLEASE answers what the lease is to become: "none" while it is being broken, and "none" when it is gone. */
int verso__os_lease_state(int fd)
{
    int type = fcntl(fd, F_GETLEASE);

    if (type < 0)
        return -errno;
    if (type == F_RDLCK)
        return 0;
    return lease_is_breaking(fd) == 0 ? -ENOLCK : -EAGAIN;
}

void verso__os_lease_drop(int fd)
{
    (void)fcntl(fd, F_SETLEASE, F_UNLCK);
}
