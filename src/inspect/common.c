/* SPDX-License-Identifier: MIT */
/* common - see inspect.h. */
#include "base/fail.h"
#include "base/sums.h"
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define FIRST_ROOM ((size_t)64)

void *verso__inspect_grow(void *items, size_t *room, size_t count, size_t item_bytes)
{
    size_t wanted = *room ? *room : FIRST_ROOM / 2;
    uint64_t bytes;
    void *larger;

    if (count < *room)
        return items;
    if (!verso__multiply_u64(wanted, 2 * (uint64_t)item_bytes, &bytes) || bytes > SIZE_MAX)
        return NULL;
    larger = realloc(items, (size_t)bytes);
    if (larger)
        *room = wanted * 2;
    return larger;
}

int verso__inspect_fail_fd(int code, const char *step, int fd)
{
    char path[PATH_MAX];

    if (verso__os_path_of(fd, path, sizeof(path)) < 0)
        path[0] = '\0'; /* closed, or longer than any path one could type: the step must do */
    return verso__fail(code, step, path);
}

int verso__inspect_fail_pid_hint(int code, const char *step, pid_t pid, const char *hint)
{
    char path[32] = "/proc/self";

    if (pid != 0)
        (void)snprintf(path, sizeof(path), "/proc/%ld", (long)pid);
    return verso__fail_hint(code, step, path, hint);
}

int verso__inspect_fail_pid(int code, const char *step, pid_t pid)
{
    switch (code) {
    case -ESRCH:
        return verso__inspect_fail_pid_hint(code, step, pid, "there is no such process, or it ended meanwhile");
    case -EACCES:
    case -EPERM:
        return verso__inspect_fail_pid_hint(code, step, pid, "another user's, or protected: look as root");
    case -ENOENT:
        return verso__inspect_fail_pid_hint(code, step, pid,
                                            "is /proc mounted? This kernel may also have no such file");
    default:
        return verso__inspect_fail_pid_hint(code, step, pid, NULL);
    }
}

struct verso_number verso__inspect_known(uint64_t value, const char *source)
{
    return (struct verso_number){ value, 0, source, "" };
}

struct verso_number verso__inspect_missing(int error, const char *source, const char *why)
{
    return (struct verso_number){ 0, error, source, why };
}

int verso__inspect_range_of(int fd, uint64_t offset_bytes, uint64_t length_bytes,
                            struct verso__inspect_range *out_range)
{
    uint64_t page_bytes = verso__os_page_bytes();
    struct verso__os_file_info info;
    uint64_t end;
    int r = verso__os_file_info(fd, &info);

    if (r < 0)
        return verso__inspect_fail_fd(r, "fstat", fd);
    if (info.kind == VERSO__OS_FILE_DIRECTORY)
        return verso__inspect_fail_fd(-EISDIR, "look at the page cache", fd);
    if (!verso__add_u64(offset_bytes, length_bytes, &end) || end > INT64_MAX)
        return verso__inspect_fail_fd(VERSO_E_OVERFLOW, "look at the page cache", fd);
    if (length_bytes == 0 || end > info.bytes)
        end = info.bytes;
    if (offset_bytes >= end)
        offset_bytes = end;
    out_range->file_bytes = info.bytes;
    out_range->first_page = offset_bytes / page_bytes;
    out_range->end_page = offset_bytes == end ? out_range->first_page : (end - 1) / page_bytes + 1;
    return 0;
}
