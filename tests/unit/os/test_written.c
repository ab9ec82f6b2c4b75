/* SPDX-License-Identifier: MIT */
/* written - watching writes, and the scans that tell of them; whether a range is mapped. */
#include "support.h"

#include "os/os.h"

#include <sys/mman.h>
#include <unistd.h>

#define PAGES 8

static size_t page;

static unsigned char *make_pages(void)
{
    unsigned char *pages = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(pages != MAP_FAILED);
    (void)madvise(pages, PAGES * page, MADV_NOHUGEPAGE); /* EINVAL where there are none */
    return pages;
}

struct watch {
    unsigned char *pages;
    int fd;
    int pagemap_fd;
};

static struct watch watch_pages(void)
{
    struct watch watch = { .pages = make_pages() };
    int r = verso__os_write_watch_open(&watch.fd);

    if (r == -ENOSYS || r == -EPERM || r == -EINVAL) {
        (void)munmap(watch.pages, PAGES * page);
        skip_because("no userfaultfd with asynchronous write-protection here (%d)", r);
    }
    assert_int_equal(r, 0);
    assert_int_equal(verso__os_pagemap_open(0, &watch.pagemap_fd), 0);
    assert_int_equal(verso__os_write_watch_add(watch.fd, watch.pages, PAGES * page), 0);
    return watch;
}

static void unwatch(struct watch *watch)
{
    verso__os_write_watch_remove(watch->fd, watch->pages, PAGES * page);
    verso__os_close(watch->fd);
    verso__os_close(watch->pagemap_fd);
    assert_int_equal(munmap(watch->pages, PAGES * page), 0);
}

typedef int scan_function(int pagemap_fd, uint64_t start, uint64_t end, bool reset, struct verso__os_page_run *out_runs,
                          size_t room, size_t *out_count, uint64_t *out_walked);

/* One question; the runs as text. */
static const char *scanned(const struct watch *watch, scan_function *scan, bool reset)
{
    static char text[PAGES + 1];
    struct verso__os_page_run runs[PAGES];
    uint64_t start = (uintptr_t)watch->pages, end = start + PAGES * page, walked;
    size_t count;

    memset(text, '.', PAGES);
    assert_int_equal(scan(watch->pagemap_fd, start, end, reset, runs, PAGES, &count, &walked), 0);
    assert_true(walked == end);
    for (size_t i = 0; i < count; i++)
        for (uint64_t at = runs[i].start; at < runs[i].end; at += page)
            text[(at - start) / page] = 'w';
    return text;
}

static void test_written_pages_are_told_until_reset(void **state)
{
    struct watch watch = watch_pages();

    (void)state;
    assert_string_equal(scanned(&watch, verso__os_written_scan, false), "........");
    watch.pages[2 * page] = 1;
    watch.pages[3 * page] = 1;
    watch.pages[7 * page] = 1;
    assert_string_equal(scanned(&watch, verso__os_written_scan, false), "..ww...w");
    assert_string_equal(scanned(&watch, verso__os_written_scan, false), "..ww...w");
    assert_string_equal(scanned(&watch, verso__os_written_scan, true), "..ww...w");
    assert_string_equal(scanned(&watch, verso__os_written_scan, false), "........");
    watch.pages[2 * page] = 2;
    assert_string_equal(scanned(&watch, verso__os_written_scan, false), "..w.....");
    unwatch(&watch);
}

static void test_dropped_pages_are_told_by_one_or_the_other(void **state)
{
    struct watch watch = watch_pages();
    char by_first[PAGES + 1];

    (void)state;
    watch.pages[2 * page] = 1;
    (void)scanned(&watch, verso__os_written_scan, true);
    assert_int_equal(madvise(watch.pages + 2 * page, page, MADV_DONTNEED), 0);
    memcpy(by_first, scanned(&watch, verso__os_written_scan, false), sizeof(by_first));
    assert_true(by_first[2] == 'w' || scanned(&watch, verso__os_dropped_scan, false)[2] == 'w');
    assert_string_equal(scanned(&watch, verso__os_dropped_scan, false), "..w.....");
    (void)scanned(&watch, verso__os_written_scan, true);
    (void)scanned(&watch, verso__os_dropped_scan, true);
    assert_string_equal(scanned(&watch, verso__os_written_scan, false), "........");
    unwatch(&watch);
}

/* Where the kernel is said to tell all in one answer, it does: also of a page table's worth of pages, dropped. */
static void test_the_first_scan_alone(void **state)
{
    const size_t huge = (size_t)2 << 20;
    unsigned char *room = mmap(NULL, 3 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t start = ((uintptr_t)room + huge - 1) & ~(uint64_t)(huge - 1), walked;
    struct watch watch = watch_pages();
    struct verso__os_page_run run;
    size_t count;

    (void)state;
    if (verso__os_written_tells_dropped() != 1)
        skip_because("on this kernel both scans are needed");
    assert_int_equal(verso__os_written_tells_dropped(), 1); /* the second time as well */
    assert_ptr_not_equal(room, MAP_FAILED);
    (void)madvise((void *)(uintptr_t)start, huge, MADV_HUGEPAGE);
    memset((void *)(uintptr_t)start, 1, huge);
    assert_int_equal(verso__os_write_watch_add(watch.fd, (void *)(uintptr_t)start, huge), 0);
    assert_int_equal(madvise((void *)(uintptr_t)start, huge, MADV_DONTNEED), 0);
    assert_int_equal(verso__os_written_scan(watch.pagemap_fd, start, start + huge, true, &run, 1, &count, &walked), 0);
    assert_int_equal(count, 1);
    assert_true(run.start == start && run.end == start + huge);
    assert_int_equal(verso__os_written_scan(watch.pagemap_fd, start, start + huge, true, &run, 1, &count, &walked), 0);
    assert_int_equal(count, 0);
    assert_int_equal(munmap(room, 3 * huge), 0);
    unwatch(&watch);
}

static void test_little_room_is_gone_on_from(void **state)
{
    struct watch watch = watch_pages();
    uint64_t start = (uintptr_t)watch.pages, end = start + PAGES * page, walked;
    struct verso__os_page_run run;
    size_t count;

    (void)state;
    watch.pages[page] = watch.pages[5 * page] = 1;
    assert_int_equal(verso__os_written_scan(watch.pagemap_fd, start, end, true, &run, 1, &count, &walked), 0);
    assert_int_equal(count, 1);
    assert_true(run.start == start + page && run.end == run.start + page && walked <= start + 5 * page);
    assert_string_equal(scanned(&watch, verso__os_written_scan, false), ".....w.."); /* not forgotten untold */
    unwatch(&watch);
}

static void test_what_is_not_watched(void **state)
{
    struct watch watch = watch_pages();
    unsigned char *other = make_pages();
    uint64_t walked = 7;
    struct verso__os_page_run run;
    size_t count = 7;
    int second;

    (void)state;
    assert_int_equal(verso__os_written_scan(watch.pagemap_fd, (uintptr_t)other, (uintptr_t)other + page, false, &run, 1,
                                            &count, &walked),
                     -EPERM);
    assert_true(count == 7 && walked == 7);
    assert_int_equal(verso__os_write_watch_open(&second), 0);
    assert_int_equal(verso__os_write_watch_add(second, watch.pages + page, page), -EBUSY);
    assert_int_equal(verso__os_write_watch_add(second, other, page), 0);
    verso__os_write_watch_remove(second, other, page);
    assert_int_equal(verso__os_dropped_scan(watch.pagemap_fd, (uintptr_t)other, (uintptr_t)other + page, false, &run, 1,
                                            &count, &walked),
                     -EPERM);
    verso__os_close(second);
    assert_int_equal(munmap(other, PAGES * page), 0);
    unwatch(&watch);
}

/* ---- Pages of one's own ---- */

static void test_private_pages(void **state)
{
    int file = memfd_create("private", MFD_CLOEXEC), pagemap_fd, r;
    struct verso__os_page_run runs[PAGES];
    unsigned char *pages;
    uint64_t walked;
    size_t count;

    (void)state;
    assert_true(file >= 0 && ftruncate(file, (off_t)(PAGES * page)) == 0);
    pages = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    assert_ptr_not_equal(pages, MAP_FAILED);
    for (size_t i = 0; i < PAGES; i += 2)
        assert_int_equal(*(volatile unsigned char *)(pages + i * page), 0);
    pages[3 * page] = pages[4 * page] = 1;
    assert_int_equal(verso__os_pagemap_open(0, &pagemap_fd), 0);
    r = verso__os_private_scan(pagemap_fd, (uintptr_t)pages, (uintptr_t)pages + PAGES * page, runs, PAGES, &count,
                               &walked);
    if (r == -ENOTTY)
        skip_because("this kernel has no PAGEMAP_SCAN");
    assert_int_equal(r, 0);
    assert_int_equal(count, 1);
    assert_true(runs[0].start == (uintptr_t)pages + 3 * page && runs[0].end == runs[0].start + 2 * page);
    assert_int_equal(runs[0].categories & (VERSO__OS_PAGE_SWAPPED | VERSO__OS_PAGE_WRITE_ALLOWED), 0);
    verso__os_close(pagemap_fd);
    assert_int_equal(munmap(pages, PAGES * page) + close(file), 0);
}

/* ---- Mapped or not ---- */

static void test_check_mapped(void **state)
{
    unsigned char *pages = make_pages();

    (void)state;
    assert_int_equal(verso__os_check_mapped(pages, PAGES * page), 0);
    assert_int_equal(mprotect(pages, page, PROT_NONE), 0); /* mapped, though for nothing */
    assert_int_equal(verso__os_check_mapped(pages, PAGES * page), 0);
    assert_int_equal(munmap(pages + 3 * page, page), 0);
    assert_int_equal(verso__os_check_mapped(pages, PAGES * page), -ENOMEM);
    assert_int_equal(verso__os_check_mapped(pages, 3 * page), 0);
    assert_int_equal(verso__os_check_mapped(pages, 4 * page), -ENOMEM);
    assert_int_equal(verso__os_check_mapped(pages + 3 * page, page), -ENOMEM);
    assert_int_equal(munmap(pages, PAGES * page), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_written_pages_are_told_until_reset),
        cmocka_unit_test(test_dropped_pages_are_told_by_one_or_the_other),
        cmocka_unit_test(test_the_first_scan_alone),
        cmocka_unit_test(test_little_room_is_gone_on_from),
        cmocka_unit_test(test_what_is_not_watched),
        cmocka_unit_test(test_private_pages),
        cmocka_unit_test(test_check_mapped),
    };

    page = verso__os_page_bytes();
    return run_test_list(list);
}
