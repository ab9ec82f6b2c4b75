/* SPDX-License-Identifier: MIT */
/* track_kernel - the kernel notes what is written (os.h, "Watching what this process writes"). */
#include "os/os.h"

#include "clone/track.h"

#include <errno.h>

#define ROOM ((size_t)256)

typedef int scan_function(int pagemap_fd, uint64_t start, uint64_t end, bool reset, struct verso__os_page_run *out_runs,
                          size_t room, size_t *out_count, uint64_t *out_walked);

static int collect_by(struct verso_clone_track *track, scan_function *scan, bool reset)
{
    struct verso__os_page_run runs[ROOM];
    uint64_t page_bytes = verso__os_page_bytes(), at = track->start, end = track->start + track->bytes;

    while (at < end) {
        size_t count;
        int r = scan(track->pagemap_fd, at, end, reset, runs, ROOM, &count, &at);

        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++)
            verso__clone_bits_add(&track->found, (runs[i].start - track->start) / page_bytes,
                                  (runs[i].end - track->start) / page_bytes);
    }
    return 0;
}

/* Where nothing is mapped any more, the scans pass by in silence: so that is asked first. */
int verso__clone_kernel_collect(struct verso_clone_track *track, bool reset)
{
    int r = verso__os_check_mapped((void *)track->start, (size_t)track->bytes);

    if (r < 0)
        return VERSO_E_UNTRACKED;
    r = collect_by(track, verso__os_written_scan, reset);
    if (r == 0 && track->ask_dropped)
        r = collect_by(track, verso__os_dropped_scan, reset);
    return r == -EPERM ? VERSO_E_UNTRACKED : r;
}

/* The watch may be had without the scan, for want of /proc or by a kernel built so: one page tells. */
static int try_scan(const struct verso_clone_track *track)
{
    struct verso__os_page_run run;
    uint64_t walked;
    size_t count;

    return verso__os_written_scan(track->pagemap_fd, track->start, track->start + verso__os_page_bytes(), false, &run,
                                  1, &count, &walked);
}

int verso__clone_kernel_begin(struct verso_clone_track *track, const char **out_step)
{
    int r = verso__os_write_watch_open(&track->watch_fd);

    track->ask_dropped = verso__os_written_tells_dropped() != 1;
    *out_step = "userfaultfd";
    if (r < 0)
        return r;
    *out_step = "/proc/self/pagemap";
    r = verso__os_pagemap_open(0, &track->pagemap_fd);
    if (r < 0)
        goto close_watch;
    *out_step = "write-protect";
    r = verso__os_write_watch_add(track->watch_fd, (void *)track->start, (size_t)track->bytes);
    if (r < 0)
        goto close_pagemap;
    *out_step = "PAGEMAP_SCAN";
    r = try_scan(track);
    if (r == 0)
        return 0;
    verso__os_write_watch_remove(track->watch_fd, (void *)track->start, (size_t)track->bytes);
close_pagemap:
    verso__os_close(track->pagemap_fd);
close_watch:
    verso__os_close(track->watch_fd);
    return r;
}

/* In a child both descriptors still speak of the parent's memory: there they are only closed. */
void verso__clone_kernel_end(struct verso_clone_track *track, bool own)
{
    if (own)
        verso__os_write_watch_remove(track->watch_fd, (void *)track->start, (size_t)track->bytes);
    verso__os_close(track->pagemap_fd);
    verso__os_close(track->watch_fd);
}
