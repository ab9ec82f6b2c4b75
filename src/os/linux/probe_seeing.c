/* SPDX-License-Identifier: MIT */
/* probe_seeing - trying the ways to look at memory: /proc, perf events, tracepoints. */
#include "os/linux/kernel.h"
#include "os/linux/probe.h"
#include "os/os.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <unistd.h>

static int try_reading(const char *path)
{
    uint64_t first; /* some of these files are read in words of this size or not at all */
    size_t done;
    int fd, r = verso__os_open(path, VERSO__OS_OPEN_READ, 0, &fd);

    if (r < 0)
        return r;
    r = verso__os_read_at(fd, 0, &first, sizeof(first), &done);
    verso__os_close(fd);
    return r;
}

static int try_smaps(const char **out_note)
{
    (void)out_note;
    return try_reading("/proc/self/smaps");
}

static int try_maps_query(const char **out_note)
{
    struct procmap_query query = { .size = sizeof(query), .query_addr = (uintptr_t)&query };
    int fd, r = verso__os_open("/proc/self/maps", VERSO__OS_OPEN_READ, 0, &fd);

    (void)out_note;
    if (r < 0)
        return r;
    r = ioctl(fd, PROCMAP_QUERY, &query) < 0 ? -errno : 0;
    verso__os_close(fd);
    return r;
}

/* A page that is there, and the pagemap to look it up in. */
struct subject {
    char *page;
    int pagemap_fd;
};

static int subject_open(struct subject *subject)
{
    size_t bytes = verso__os_page_bytes();
    int r = verso__probe_memory(bytes, &subject->page);

    if (r < 0)
        return r;
    *subject->page = 1;
    r = verso__os_open("/proc/self/pagemap", VERSO__OS_OPEN_READ, 0, &subject->pagemap_fd);
    if (r < 0)
        (void)verso__os_unmap(subject->page, bytes);
    return r;
}

static void subject_close(struct subject *subject)
{
    verso__os_close(subject->pagemap_fd);
    (void)verso__os_unmap(subject->page, verso__os_page_bytes());
}

static int try_page_scan(const char **out_note)
{
    struct page_region region;
    struct pm_scan_arg scan = { .size = sizeof(scan), .vec = (uintptr_t)&region, .vec_len = 1 };
    struct subject subject;
    int r = subject_open(&subject);

    (void)out_note;
    if (r < 0)
        return r;
    scan.start = (uintptr_t)subject.page;
    scan.end = scan.start + verso__os_page_bytes();
    scan.category_anyof_mask = PAGE_IS_PRESENT;
    scan.return_mask = PAGE_IS_PRESENT;
    r = ioctl(subject.pagemap_fd, PAGEMAP_SCAN, &scan);
    r = r < 0 ? -errno : r == 1 ? 0 : -ENODATA;
    subject_close(&subject);
    return r;
}

/* A guard of our own has to be seen. */
static int try_guard_scan(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    struct verso__os_page_run run;
    struct subject subject;
    size_t count = 0;
    uint64_t walked;
    int r = subject_open(&subject);

    if (r < 0)
        return r;
    r = madvise(subject.page, bytes, MADV_GUARD_INSTALL) < 0 ? -errno : 0;
    if (r < 0)
        *out_note = "there are no guards to be seen";
    else
        r = verso__os_page_scan(subject.pagemap_fd, (uintptr_t)subject.page, (uintptr_t)subject.page + bytes,
                                VERSO__OS_PAGE_GUARD, &run, 1, &count, &walked);
    subject_close(&subject);
    return r < 0 ? r : count == 1 ? 0 : -ENODATA;
}

/* The kernel hides frame numbers by zeros, not by refusing. */
static int frame_of_own_page(uint64_t *out_frame)
{
    const uint64_t frame_mask = (UINT64_C(1) << 55) - 1;
    struct subject subject;
    uint64_t entry = 0;
    size_t done;
    int r = subject_open(&subject);

    if (r < 0)
        return r;
    r = verso__os_read_at(subject.pagemap_fd, (uintptr_t)subject.page / verso__os_page_bytes() * sizeof(entry), &entry,
                          sizeof(entry), &done);
    subject_close(&subject);
    if (r < 0)
        return r;
    if ((entry & frame_mask) == 0)
        return -EPERM;
    *out_frame = entry & frame_mask;
    return 0;
}

static int try_frames(const char **out_note)
{
    uint64_t frame;

    (void)out_note;
    return frame_of_own_page(&frame);
}

static int try_frame_flags(const char **out_note)
{
    (void)out_note;
    return try_reading("/proc/kpageflags");
}

static int try_frame_counts(const char **out_note)
{
    (void)out_note;
    return try_reading("/proc/kpagecount");
}

static int try_fault_events(const char **out_note)
{
    struct perf_event_attr event;
    int fd;

    (void)out_note;
    memset(&event, 0, sizeof(event));
    event.size = sizeof(event);
    event.type = PERF_TYPE_SOFTWARE;
    event.config = PERF_COUNT_SW_PAGE_FAULTS;
    event.sample_type = PERF_SAMPLE_ADDR;
    event.sample_period = 1;
    event.disabled = 1;
    event.exclude_kernel = 1;
    event.exclude_hv = 1;
    fd = (int)syscall(SYS_perf_event_open, &event, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0)
        return -errno;
    verso__os_close(fd);
    return 0;
}

static int try_tracepoints(const char **out_note)
{
    static const char *const places[] = {
        "/sys/kernel/tracing/events/filemap/mm_filemap_add_to_page_cache/id",
        "/sys/kernel/debug/tracing/events/filemap/mm_filemap_add_to_page_cache/id",
    };
    int r = try_reading(places[0]);

    if (r == -ENOENT)
        r = try_reading(places[1]);
    if (r == -ENOENT)
        *out_note = "tracefs may not be mounted: mount -t tracefs tracefs /sys/kernel/tracing";
    return r;
}

const struct probe verso__probes_of_seeing[] = {
    { "/proc/PID/smaps", try_smaps },           { "PROCMAP_QUERY", try_maps_query },
    { "PAGEMAP_SCAN", try_page_scan },          { "PAGEMAP_SCAN, guards", try_guard_scan },
    { "/proc/PID/pagemap frames", try_frames }, { "/proc/kpageflags", try_frame_flags },
    { "/proc/kpagecount", try_frame_counts },   { "perf page faults", try_fault_events },
    { "filemap tracepoints", try_tracepoints }, { NULL, NULL },
};
