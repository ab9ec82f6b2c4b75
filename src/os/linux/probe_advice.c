/* SPDX-License-Identifier: MIT */
/* probe_advice - trying what the kernel can be told about memory. */
#include "os/linux/kernel.h"
#include "os/linux/probe.h"
#include "os/os.h"

#include <errno.h>
#include <stdint.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* Where a huge page is larger than this (aarch64 with pages of 64 KiB), making one only to try is too much. */
#define HUGE_BYTES_MAX ((size_t)32 << 20)

/* Advice on one page of our own, with something in it. */
static int try_advice(int advice)
{
    size_t bytes = verso__os_page_bytes();
    char *memory;
    int r = verso__probe_memory(bytes, &memory);

    if (r < 0)
        return r;
    *memory = 1;
    r = madvise(memory, bytes, advice) < 0 ? -errno : 0;
    (void)verso__os_unmap(memory, bytes);
    return r;
}

#define ADVICE_PROBE(name, advice)         \
    static int name(const char **out_note) \
    {                                      \
        (void)out_note;                    \
        return try_advice(advice);         \
    }
ADVICE_PROBE(try_free, MADV_FREE)
ADVICE_PROBE(try_cold, MADV_COLD)
ADVICE_PROBE(try_pageout, MADV_PAGEOUT)
ADVICE_PROBE(try_populate_read, MADV_POPULATE_READ)
ADVICE_PROBE(try_populate_write, MADV_POPULATE_WRITE)
ADVICE_PROBE(try_hugepage, MADV_HUGEPAGE)
ADVICE_PROBE(try_guard, MADV_GUARD_INSTALL)
ADVICE_PROBE(try_wipe_on_fork, MADV_WIPEONFORK)
ADVICE_PROBE(try_merge, MADV_MERGEABLE)
#undef ADVICE_PROBE

/* Node 0 is there wherever nodes are. */
static int try_nodes(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    char *memory;
    int r = verso__probe_memory(bytes, &memory);

    (void)out_note;
    if (r < 0)
        return r;
    r = verso__os_prefer_nodes(memory, bytes, 1);
    (void)verso__os_unmap(memory, bytes);
    return r;
}

static int try_guard_on_file(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    void *address;
    int fd, r = verso__probe_file(&fd, out_note);

    if (r < 0)
        return r;
    r = verso__os_truncate(fd, bytes);
    if (r == 0)
        r = verso__os_map(NULL, bytes, VERSO__OS_ACCESS_READ, VERSO__OS_MAP_SHARED, fd, 0, &address);
    verso__os_close(fd);
    if (r < 0)
        return r;
    r = madvise(address, bytes, MADV_GUARD_INSTALL) < 0 ? -errno : 0;
    (void)verso__os_unmap(address, bytes);
    return r;
}

/* ---- Huge pages ---- */

/* Room for one huge page, where one can stand: of @fd, else anonymous. */
static int huge_place(size_t bytes, int fd, char **out_place)
{
    unsigned access = fd < 0 ? VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE : VERSO__OS_ACCESS_READ;
    void *place;
    int r = verso__os_reserve(bytes, bytes, &place);

    if (r < 0)
        return r;
    r = verso__os_map(place, bytes, access, VERSO__OS_MAP_OVER, fd, 0, &place);
    if (r < 0)
        (void)verso__os_unmap(place, bytes);
    else
        *out_place = place;
    return r;
}

static int try_collapse_of(int fd, const char **out_note)
{
    size_t bytes = verso__os_huge_page_bytes();
    char *place;
    int r;

    if (bytes == 0)
        return -EINVAL;
    if (bytes > HUGE_BYTES_MAX)
        return verso__probe_untried(out_note, "a huge page is too large here to make one only to try");
    r = huge_place(bytes, fd, &place);
    if (r < 0)
        return r;
    if (fd < 0)
        *place = 1;
    r = madvise(place, bytes, MADV_COLLAPSE) < 0 ? -errno : 0;
    (void)verso__os_unmap(place, bytes);
    return r == -EBUSY ? -EAGAIN : r;
}

static int try_collapse(const char **out_note)
{
    return try_collapse_of(-1, out_note);
}

/* The file must not be open for writing; its content may be a hole. */
static int try_collapse_of_file(const char **out_note)
{
    int writable, readable, r = verso__probe_file(&writable, out_note);

    if (r < 0)
        return r;
    r = verso__os_truncate(writable, verso__os_huge_page_bytes());
    if (r == 0)
        r = verso__os_reopen(writable, VERSO__OS_OPEN_READ, &readable);
    verso__os_close(writable);
    if (r < 0)
        return r;
    r = try_collapse_of(readable, out_note);
    verso__os_close(readable);
    return r;
}

static int try_mthp(const char **out_note)
{
    char word[16];
    int r = verso__os_setting("/sys/kernel/mm/transparent_hugepage/hugepages-64kB/enabled", NULL, word, sizeof(word));

    if (r == 0 && word[0] == 'n')
        *out_note = "switched off: hugepages-64kB/enabled is never";
    return r;
}

/*
 * There is no way to ask but to set it, for the whole process. So only where nothing is set, and set back at once: in
 * between, another thread's fault may get a small page where it would have got a huge one.
 */
static int try_thp_except_advised(const char **out_note)
{
    int now = prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);

    if (now < 0)
        return -errno;
    if (now > 0)
        return now & PR_THP_DISABLE_EXCEPT_ADVISED
                   ? 0
                   : verso__probe_untried(out_note, "huge pages are switched off in this process");
    if (prctl(PR_SET_THP_DISABLE, 1, PR_THP_DISABLE_EXCEPT_ADVISED, 0, 0) < 0)
        return -errno;
    (void)prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0);
    return 0;
}

/* ---- Locks, and advice for several ranges ---- */

static int try_lock_on_fault(const char **out_note)
{
    size_t bytes = verso__os_page_bytes();
    char *memory;
    int r = verso__probe_memory(bytes, &memory);

    (void)out_note;
    if (r < 0)
        return r;
    r = syscall(SYS_mlock2, memory, bytes, MLOCK_ONFAULT) < 0 ? -errno : 0;
    (void)verso__os_unmap(memory, bytes);
    return r;
}

static int try_process_advice(int advice)
{
    size_t bytes = verso__os_page_bytes();
    struct iovec range;
    char *memory;
    int self, r = verso__probe_memory(bytes, &memory);

    if (r < 0)
        return r;
    self = pidfd_open(getpid(), 0);
    if (self < 0) {
        r = -errno;
    } else {
        range = (struct iovec){ memory, bytes };
        r = syscall(SYS_process_madvise, self, &range, (size_t)1, advice, 0U) < 0 ? -errno : 0;
        verso__os_close(self);
    }
    (void)verso__os_unmap(memory, bytes);
    return r;
}

static int try_process_madvise(const char **out_note)
{
    (void)out_note;
    return try_process_advice(MADV_COLD);
}

static int try_process_madvise_any(const char **out_note)
{
    (void)out_note;
    return try_process_advice(MADV_DONTNEED);
}

const struct probe verso__probes_of_advice[] = {
    { "MADV_FREE", try_free },
    { "MADV_COLD", try_cold },
    { "MADV_PAGEOUT", try_pageout },
    { "MADV_POPULATE_READ", try_populate_read },
    { "MADV_POPULATE_WRITE", try_populate_write },
    { "MADV_GUARD_INSTALL", try_guard },
    { "MADV_GUARD_INSTALL, files", try_guard_on_file },
    { "MADV_WIPEONFORK", try_wipe_on_fork },
    { "MADV_MERGEABLE", try_merge },
    { "mbind", try_nodes },
    { "MADV_HUGEPAGE", try_hugepage },
    { "MADV_COLLAPSE", try_collapse },
    { "MADV_COLLAPSE, files", try_collapse_of_file },
    { "mTHP", try_mthp },
    { "PR_THP_DISABLE_EXCEPT_ADVISED", try_thp_except_advised },
    { "MLOCK_ONFAULT", try_lock_on_fault },
    { "process_madvise", try_process_madvise },
    { "process_madvise, any advice", try_process_madvise_any },
    { NULL, NULL },
};
