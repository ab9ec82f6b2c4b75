/* SPDX-License-Identifier: MIT */
/*
 * pages - what the page tables and the frames hold: pagemap, PAGEMAP_SCAN, kpageflags, kpagecount.
 *
 * All are arrays of 64-bit words indexed by page or frame number. A dead process reads as an empty array, and so does
 * an address above the address space: the first entry tells the two apart.
 */
#include "os/linux/kernel.h"
#include "os/linux/proc.h"
#include "os/os.h"

#include <errno.h>

#define WORD sizeof(uint64_t)

static bool has_memory(int pagemap_fd)
{
    uint64_t first;
    size_t done;

    return verso__os_read_at(pagemap_fd, 0, &first, WORD, &done) == 0 && done > 0;
}

int verso__os_pagemap_open(pid_t pid, int *out_fd)
{
    int fd, other_fd, r = verso__proc_open(pid, "pagemap", &fd);

    if (r < 0 && r != -ESRCH)
        return r;
    if ((r < 0 || !has_memory(fd)) && verso__proc_open_other_thread(pid, "pagemap", &other_fd) == 0) {
        if (r == 0)
            verso__os_close(fd);
        fd = other_fd;
        r = 0;
    }
    if (r == 0)
        *out_fd = fd;
    return r;
}

int verso__os_pagemap(int pagemap_fd, uint64_t address, size_t count, uint64_t *out_entries)
{
    uint64_t first, page = address / verso__os_page_bytes();
    size_t done;
    int r = verso__os_read_at(pagemap_fd, page * WORD, out_entries, count * WORD, &done);

    if (r < 0 || done == count * WORD)
        return r;
    r = verso__os_read_at(pagemap_fd, 0, &first, WORD, &done);
    if (r < 0)
        return r;
    return done == 0 ? -ESRCH : -EFAULT;
}

static int scan_pages(int pagemap_fd, struct pm_scan_arg *scan, struct verso__os_page_run *out_runs, size_t room,
                      size_t *out_count, uint64_t *out_walked)
{
    int r;

    _Static_assert(sizeof(struct verso__os_page_run) == sizeof(struct page_region), "filled by the kernel");
    _Static_assert(VERSO__OS_PAGE_GUARD == PAGE_IS_GUARD && VERSO__OS_PAGE_HUGE == PAGE_IS_HUGE &&
                       VERSO__OS_PAGE_WRITE_ALLOWED == PAGE_IS_WPALLOWED,
                   "the kernel's own bits");
    scan->size = sizeof(*scan);
    scan->vec = (uintptr_t)out_runs;
    scan->vec_len = room;
    do
        r = ioctl(pagemap_fd, PAGEMAP_SCAN, scan);
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    *out_count = (size_t)r;
    *out_walked = scan->walk_end;
    return 0;
}

int verso__os_page_scan(int pagemap_fd, uint64_t start, uint64_t end, uint64_t wanted,
                        struct verso__os_page_run *out_runs, size_t room, size_t *out_count, uint64_t *out_walked)
{
    struct pm_scan_arg scan = {
        .start = start,
        .end = end,
        .category_anyof_mask = wanted,
        .return_mask = wanted | VERSO__OS_PAGE_FILE | VERSO__OS_PAGE_HUGE,
    };

    return scan_pages(pagemap_fd, &scan, out_runs, room, out_count, out_walked);
}

int verso__os_private_scan(int pagemap_fd, uint64_t start, uint64_t end, struct verso__os_page_run *out_runs,
                           size_t room, size_t *out_count, uint64_t *out_walked)
{
    struct pm_scan_arg scan = {
        .start = start,
        .end = end,
        .category_inverted = PAGE_IS_FILE,
        .category_mask = PAGE_IS_FILE,
        .category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        .return_mask = PAGE_IS_SWAPPED | PAGE_IS_WRITTEN | PAGE_IS_WPALLOWED,
    };

    return scan_pages(pagemap_fd, &scan, out_runs, room, out_count, out_walked);
}

/*
 * ---- Pages that were written: written.c opens the watch over them ----
 *
 * A watched page carries a mark, "protected", also where no page is yet. A store takes the mark off; a scan tells the
 * pages without mark, and may put it back. So does whatever takes a page away: a page of a file that was written,
 * cleaned and reclaimed has no mark, and must be told, or that store would be lost.
 *
 * Kernels before summer 2026 have two blind spots there. A page that is gone counts as written only in the scan that
 * asks for that and nothing else (PAGE_IS_WRITTEN alone, in mask and answer): so it is asked just so. And where a whole
 * page table is gone, it counts as nothing: that is for the second scan, of what is neither present nor swapped.
 */

static uint64_t flags_of(bool reset)
{
    return (uint64_t)PM_SCAN_CHECK_WPASYNC | (reset ? PM_SCAN_WP_MATCHING : 0);
}

int verso__os_written_scan(int pagemap_fd, uint64_t start, uint64_t end, bool reset,
                           struct verso__os_page_run *out_runs, size_t room, size_t *out_count, uint64_t *out_walked)
{
    struct pm_scan_arg scan = {
        .flags = flags_of(reset),
        .start = start,
        .end = end,
        .category_mask = PAGE_IS_WRITTEN,
        .return_mask = PAGE_IS_WRITTEN,
    };

    return scan_pages(pagemap_fd, &scan, out_runs, room, out_count, out_walked);
}

int verso__os_dropped_scan(int pagemap_fd, uint64_t start, uint64_t end, bool reset,
                           struct verso__os_page_run *out_runs, size_t room, size_t *out_count, uint64_t *out_walked)
{
    const uint64_t there = PAGE_IS_PRESENT | PAGE_IS_SWAPPED;
    struct pm_scan_arg scan = {
        .flags = flags_of(reset),
        .start = start,
        .end = end,
        .category_inverted = there,
        .category_mask = there,
        .return_mask = there,
    };

    return scan_pages(pagemap_fd, &scan, out_runs, room, out_count, out_walked);
}

static int frame_words(const char *path, uint64_t frame, size_t count, uint64_t *out_words)
{
    size_t done;
    int fd, r;

    if (frame > (UINT64_MAX >> 1) / WORD)
        return -ERANGE;
    r = verso__os_open(path, VERSO__OS_OPEN_READ, 0, &fd);
    if (r < 0)
        return r;
    r = verso__os_read_at(fd, frame * WORD, out_words, count * WORD, &done);
    verso__os_close(fd);
    if (r == -EINVAL)
        return -ERANGE; /* how kpageflags says that the first frame is past the last */
    if (r < 0)
        return r;
    return done == count * WORD ? 0 : -ERANGE;
}

int verso__os_frame_flags(uint64_t frame, size_t count, uint64_t *out_flags)
{
    return frame_words("/proc/kpageflags", frame, count, out_flags);
}

int verso__os_frame_counts(uint64_t frame, size_t count, uint64_t *out_counts)
{
    return frame_words("/proc/kpagecount", frame, count, out_counts);
}
