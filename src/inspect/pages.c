/* SPDX-License-Identifier: MIT */
/*
 * pages - the page table of a process, page by page.
 *
 * A word of pagemap: frame (or swap place) in bits 0-54; 56 mapped by this process alone; 58 guard; 61 of a file or
 * shared; 62 swapped; 63 present (Documentation/admin-guide/mm/pagemap.rst). Frame numbers read as 0 without
 * CAP_SYS_ADMIN, with no other sign: frame 0 is never a process's, so a present page in frame 0 is that sign.
 */
#include "base/sums.h"
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>

#define BIT(n) (UINT64_C(1) << (n))
#define FRAME_MASK (BIT(55) - 1)
#define BATCH ((size_t)512)

struct verso_inspect_page verso__inspect_page_of(uint64_t word)
{
    struct verso_inspect_page page = { 0, 0 };

    if (word & BIT(63)) {
        page.state |= VERSO_INSPECT_PAGE_PRESENT;
        page.frame = word & FRAME_MASK;
    }
    if (word & BIT(62))
        page.state |= VERSO_INSPECT_PAGE_SWAPPED;
    if (word & BIT(61))
        page.state |= VERSO_INSPECT_PAGE_FILE;
    if (word & BIT(58))
        page.state |= VERSO_INSPECT_PAGE_GUARD;
    if (word & BIT(56))
        page.state |= VERSO_INSPECT_PAGE_EXCLUSIVE;
    return page;
}

/* Whether this process may know frame numbers: asked of a page that is surely present, this function's own stack. */
static int own_frames_error(void)
{
    uint64_t word = 0, page_bytes = verso__os_page_bytes();
    int fd, r = verso__os_pagemap_open(0, &fd);

    if (r < 0)
        return r;
    r = verso__os_pagemap(fd, verso__round_down((uintptr_t)&word, page_bytes), 1, &word);
    verso__os_close(fd);
    if (r < 0)
        return r;
    return word & FRAME_MASK ? 0 : -EPERM;
}

/* What the pages themselves say: 1 known, 0 hidden, -1 none of them is present. */
static int frames_seen(const struct verso_inspect_page *pages, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (pages[i].state & VERSO_INSPECT_PAGE_PRESENT)
            return pages[i].frame != 0;
    return -1;
}

static int read_pages(int pagemap_fd, uint64_t start, size_t count, struct verso_inspect_page *out_pages)
{
    uint64_t words[BATCH], page_bytes = verso__os_page_bytes();

    for (size_t done = 0; done < count;) {
        size_t step = (size_t)verso__min_u64(count - done, BATCH);
        int r = verso__os_pagemap(pagemap_fd, start + done * page_bytes, step, words);

        if (r < 0)
            return r;
        for (size_t i = 0; i < step; i++)
            out_pages[done + i] = verso__inspect_page_of(words[i]);
        done += step;
    }
    return 0;
}

/*
 * pagemap does not say which pages are mapped huge; PAGEMAP_SCAN does, at the price of a second walk. That walk is
 * cheap exactly where the answer is yes (one step a huge page), so it is asked only where it may be: all pages of an
 * aligned huge page's span present, and their frames, where known, neighbours from an aligned one on.
 */
static bool may_be_huge(const struct verso_inspect_page *pages, size_t count)
{
    const struct verso_inspect_page *last = &pages[count - 1];

    if (!(pages[0].state & last->state & VERSO_INSPECT_PAGE_PRESENT) || pages[0].frame % count != 0 ||
        (pages[0].frame != 0 && last->frame != pages[0].frame + count - 1))
        return false;
    for (size_t i = 1; i < count; i++)
        if (!(pages[i].state & VERSO_INSPECT_PAGE_PRESENT) ||
            (pages[0].frame != 0 && pages[i].frame != pages[0].frame + i))
            return false;
    return true;
}

/* One huge page's span. Without PAGEMAP_SCAN the mark stays away, as the header says. */
static void mark_if_huge(int pagemap_fd, uint64_t start, size_t count, struct verso_inspect_page *pages)
{
    struct verso__os_page_run run;
    uint64_t walked, end = start + count * verso__os_page_bytes();
    size_t found = 0;
    int r = verso__os_page_scan(pagemap_fd, start, end, VERSO__OS_PAGE_HUGE, &run, 1, &found, &walked);

    if (r < 0 || found != 1 || run.start != start || run.end != end)
        return;
    for (size_t i = 0; i < count; i++)
        pages[i].state |= VERSO_INSPECT_PAGE_HUGE;
}

static void mark_huge(int pagemap_fd, uint64_t start, size_t count, struct verso_inspect_page *pages)
{
    uint64_t page_bytes = verso__os_page_bytes(), huge_bytes = verso__os_huge_page_bytes();
    size_t per_huge = (size_t)(huge_bytes / page_bytes);
    size_t at;

    if (per_huge == 0)
        return;
    at = (size_t)((huge_bytes - start % huge_bytes) % huge_bytes / page_bytes);
    for (; at < count && count - at >= per_huge; at += per_huge)
        if (may_be_huge(&pages[at], per_huge))
            mark_if_huge(pagemap_fd, start + at * page_bytes, per_huge, &pages[at]);
}

static int check(pid_t pid, uint64_t start, size_t count)
{
    uint64_t bytes, end, page_bytes = verso__os_page_bytes();

    if (start % page_bytes != 0)
        return verso__inspect_fail_pid(VERSO_E_RANGE, "read pagemap: the start is inside a page", pid);
    if (!verso__multiply_u64(count, page_bytes, &bytes) || !verso__add_u64(start, bytes, &end))
        return verso__inspect_fail_pid(VERSO_E_RANGE, "read pagemap", pid);
    return 0;
}

int verso_inspect_pages(pid_t pid, uint64_t start, size_t count, struct verso_inspect_page *out_pages,
                        int *out_frames_error)
{
    int fd, seen, frames_error, r = check(pid, start, count);

    if (r < 0)
        return r;
    r = verso__os_pagemap_open(pid, &fd);
    if (r < 0)
        return verso__inspect_fail_pid(r, "open pagemap", pid);
    r = read_pages(fd, start, count, out_pages);
    if (r == 0)
        mark_huge(fd, start, count, out_pages);
    verso__os_close(fd);
    if (r < 0)
        return verso__inspect_fail_pid(r == -EFAULT ? VERSO_E_RANGE : r, "read pagemap", pid);
    if (out_frames_error) {
        seen = frames_seen(out_pages, count);
        frames_error = seen < 0 ? own_frames_error() : seen ? 0 : -EPERM;
        *out_frames_error = frames_error;
    }
    return 0;
}
