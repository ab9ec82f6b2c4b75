/* SPDX-License-Identifier: MIT */
/* settings - numbers and words under /proc/sys and /sys, and the process's limits. */
#include "os/os.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

/* "always [madvise] never" -> "madvise"; text without brackets -> its first word. */
static int chosen_word(const char *text, char *out_word, size_t room_bytes)
{
    const char *start = strchr(text, '[');
    size_t bytes;

    start = start ? start + 1 : text;
    bytes = strcspn(start, "] \n");
    if (bytes + 1 > room_bytes)
        return -ENAMETOOLONG;
    memcpy(out_word, start, bytes);
    out_word[bytes] = '\0';
    return 0;
}

int verso__os_setting(const char *path, uint64_t *out_value, char *out_word, size_t room_bytes)
{
    char full[256], text[512];
    size_t done;
    int fd, r;

    r = snprintf(full, sizeof(full), "%s%s", path[0] == '/' ? "" : "/proc/sys/", path);
    if (r < 0 || (size_t)r >= sizeof(full))
        return -ENAMETOOLONG;
    r = verso__os_open(full, VERSO__OS_OPEN_READ, 0, &fd);
    if (r < 0)
        return r;
    r = verso__os_read_at(fd, 0, text, sizeof(text) - 1, &done);
    verso__os_close(fd);
    if (r < 0)
        return r;
    if (done == sizeof(text) - 1)
        return -EFBIG; /* a list, not a setting */
    text[done] = '\0';
    if (out_word) {
        r = chosen_word(text, out_word, room_bytes);
        if (r < 0)
            return r;
    }
    if (out_value) {
        const char *digits = text + strspn(text, " -");

        if (!isdigit((unsigned char)*digits))
            return out_word ? 0 : -EINVAL;
        *out_value = *text == '-' ? 0 : strtoull(digits, NULL, 10);
    }
    return 0;
}

int verso__os_memory_totals(uint64_t *out_memory_bytes, uint64_t *out_swap_bytes)
{
    struct sysinfo totals;

    if (sysinfo(&totals) < 0)
        return -errno;
    *out_memory_bytes = (uint64_t)totals.totalram * totals.mem_unit;
    *out_swap_bytes = (uint64_t)totals.totalswap * totals.mem_unit;
    return 0;
}

int verso__os_limit(const char *name, uint64_t *out_soft, uint64_t *out_hard)
{
    static const struct {
        const char *name;
        __rlimit_resource_t which;
    } limits[] = {
        { "memlock", RLIMIT_MEMLOCK }, { "address space", RLIMIT_AS }, { "data", RLIMIT_DATA },
        { "files", RLIMIT_NOFILE },    { "file size", RLIMIT_FSIZE },
    };
    struct rlimit limit;

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (strcmp(limits[i].name, name) != 0)
            continue;
        if (getrlimit(limits[i].which, &limit) < 0)
            return -errno;
        *out_soft = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
        *out_hard = limit.rlim_max == RLIM_INFINITY ? UINT64_MAX : limit.rlim_max;
        return 0;
    }
    return -EINVAL;
}
