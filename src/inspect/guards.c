/* SPDX-License-Identifier: MIT */
/*
 * guards - guard pages that are entries of the page table and no mapping: only a walk of the table finds them.
 *
 * Only PAGEMAP_SCAN can be asked for: it skips what was never touched. Reading pagemap word by word instead would take
 * hours of a process that has reserved terabytes, on kernels that for the most part have no such guards at all.
 */
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>

#define BATCH ((size_t)256)
#define SOURCE "PAGEMAP_SCAN"

static int count_guards(int pagemap_fd, uint64_t start, uint64_t end, uint64_t *out_bytes, uint64_t *out_places)
{
    struct verso__os_page_run batch[BATCH];
    uint64_t guarded_to = 0; /* a run may go on in the next batch */

    while (start < end) {
        uint64_t walked = end;
        size_t count = 0;
        int r = verso__os_page_scan(pagemap_fd, start, end, VERSO__OS_PAGE_GUARD, batch, BATCH, &count, &walked);

        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++) {
            *out_bytes += batch[i].end - batch[i].start;
            *out_places += batch[i].start != guarded_to;
            guarded_to = batch[i].end;
        }
        start = walked;
    }
    return 0;
}

static struct verso_inspect_guards not_known(int error, const char *why)
{
    struct verso_number missing = verso__inspect_missing(error, SOURCE, why);

    return (struct verso_inspect_guards){ missing, missing };
}

int verso_inspect_guards(pid_t pid, uint64_t start, uint64_t end, struct verso_inspect_guards *out_guards)
{
    uint64_t page_bytes = verso__os_page_bytes(), bytes = 0, places = 0;
    int fd, r;

    if (start % page_bytes != 0 || end % page_bytes != 0 || end < start)
        return verso__inspect_fail_pid(VERSO_E_RANGE, "scan pages", pid);
    r = verso__os_pagemap_open(pid, &fd);
    if (r < 0)
        return verso__inspect_fail_pid(r, "open pagemap", pid);
    r = count_guards(fd, start, end, &bytes, &places);
    verso__os_close(fd);
    if (r == -ENOTTY || r == -EINVAL) {
        *out_guards = not_known(r, "this kernel does not tell of guards; Linux 6.15 does");
        return 0;
    }
    if (r < 0)
        return verso__inspect_fail_pid(r == -EFAULT ? VERSO_E_RANGE : r, "scan pages", pid);
    *out_guards = (struct verso_inspect_guards){ verso__inspect_known(bytes / page_bytes, SOURCE),
                                                 verso__inspect_known(places, SOURCE) };
    return 0;
}
