/* SPDX-License-Identifier: MIT */
/* pages - pagemap, PAGEMAP_SCAN and the frames, against plain reads of the same files. */
#include "support.h"

#include "children.h"
#include "os/os.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 32
#define PRESENT_BIT (UINT64_C(1) << 63)

static char *make_pages(void)
{
    size_t page_bytes = verso__os_page_bytes();
    char *pages = mmap(NULL, PAGES * page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(pages != MAP_FAILED);
    (void)madvise(pages, PAGES * page_bytes, MADV_NOHUGEPAGE); /* EINVAL where there are none */
    return pages;
}

static uint64_t raw_entry(const void *address)
{
    uint64_t entry;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &entry, 8, (off_t)((uintptr_t)address / verso__os_page_bytes() * 8)), 8);
    close(fd);
    return entry;
}

static void test_pagemap_is_what_the_file_says(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    uint64_t entries[PAGES];
    char *pages = make_pages();
    int fd;

    (void)state;
    for (size_t i = 0; i < PAGES; i += 3)
        pages[i * page_bytes] = 1;
    assert_int_equal(verso__os_pagemap_open(0, &fd), 0);
    assert_int_equal(verso__os_pagemap(fd, (uintptr_t)pages, PAGES, entries), 0);
    for (size_t i = 0; i < PAGES; i++) {
        assert_true(entries[i] == raw_entry(pages + i * page_bytes));
        assert_int_equal(entries[i] >> 63, i % 3 == 0);
    }
    assert_int_equal(verso__os_pagemap(fd, (uintptr_t)pages, 0, entries), 0);
    verso__os_close(fd);
    munmap(pages, PAGES * page_bytes);
}

static void test_pagemap_above_the_address_space(void **state)
{
    uint64_t entry = 7;
    int fd;

    (void)state;
    assert_int_equal(verso__os_pagemap_open(0, &fd), 0);
    assert_int_equal(verso__os_pagemap(fd, UINT64_C(0xffffffffff600000), 1, &entry), -EFAULT);
    verso__os_close(fd);
}

static void test_pagemap_of_a_process_that_ended(void **state)
{
    struct verso__os_page_run runs[1];
    pid_t child = support_child_start(NULL, NULL);
    uint64_t entry, walked;
    size_t count;
    int fd;

    (void)state;
    assert_int_equal(verso__os_pagemap_open(child, &fd), 0);
    assert_int_equal(verso__os_pagemap(fd, (uintptr_t)&entry & ~(verso__os_page_bytes() - 1), 1, &entry), 0);
    support_child_kill(child);
    assert_int_equal(verso__os_pagemap(fd, (uintptr_t)&entry & ~(verso__os_page_bytes() - 1), 1, &entry), -ESRCH);
    assert_true(verso__os_page_scan(fd, 0, 1 << 20, VERSO__OS_PAGE_PRESENT, runs, 1, &count, &walked) < 0);
    support_child_stop(child);
    verso__os_close(fd);
}

/* Every other page touched: as many runs as touched pages, in portions of @room. */
static void scan_in_portions(int fd, const char *pages, size_t room)
{
    size_t page_bytes = verso__os_page_bytes(), seen = 0;
    uint64_t at = (uintptr_t)pages, end = at + PAGES * page_bytes;
    struct verso__os_page_run runs[PAGES];

    while (at < end) {
        size_t count = SIZE_MAX;
        uint64_t walked = 0;

        assert_int_equal(verso__os_page_scan(fd, at, end, VERSO__OS_PAGE_PRESENT, runs, room, &count, &walked), 0);
        assert_true(count <= room);
        assert_true(walked > at && walked <= end);
        for (size_t i = 0; i < count; i++, seen++) {
            assert_true(runs[i].start == (uintptr_t)pages + 2 * seen * page_bytes);
            assert_true(runs[i].end == runs[i].start + page_bytes);
            assert_true(runs[i].categories == VERSO__OS_PAGE_PRESENT);
        }
        at = walked;
    }
    assert_int_equal(seen, PAGES / 2);
}

static void test_scan_in_portions(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    struct verso__os_page_run run;
    char *pages = make_pages();
    uint64_t walked;
    size_t count;
    int fd, r;

    (void)state;
    for (size_t i = 0; i < PAGES; i += 2)
        pages[i * page_bytes] = 1;
    assert_int_equal(verso__os_pagemap_open(0, &fd), 0);
    r = verso__os_page_scan(fd, 0, page_bytes, VERSO__OS_PAGE_PRESENT, &run, 1, &count, &walked);
    if (r == -ENOTTY) {
        verso__os_close(fd);
        skip_because("this kernel has no PAGEMAP_SCAN (Linux 6.7)");
    }
    assert_int_equal(r, 0);
    for (size_t room = 1; room <= PAGES; room = room * 3)
        scan_in_portions(fd, pages, room);
    verso__os_close(fd);
    munmap(pages, PAGES * page_bytes);
}

static void test_frames_beyond_the_machine(void **state)
{
    uint64_t word = 7;
    int r = verso__os_frame_flags(0, 1, &word);

    (void)state;
    if (r == -EACCES || r == -EPERM)
        skip_because("only root may read /proc/kpageflags");
    if (r == -ENOENT)
        skip_because("this kernel has no /proc/kpageflags");
    assert_int_equal(r, 0);
    word = 7;
    assert_int_equal(verso__os_frame_flags(UINT64_C(1) << 50, 1, &word), -ERANGE);
    assert_int_equal(verso__os_frame_counts(UINT64_C(1) << 50, 1, &word), -ERANGE);
    assert_int_equal(verso__os_frame_flags(UINT64_MAX, 1, &word), -ERANGE);
    assert_true(word == 7);
}

static void test_the_frame_of_a_page(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    char *pages = make_pages();
    uint64_t frame, flags, maps;

    (void)state;
    pages[0] = 1;
    frame = raw_entry(pages) & ((UINT64_C(1) << 55) - 1);
    if (frame == 0)
        skip_because("frame numbers are hidden without CAP_SYS_ADMIN");
    assert_int_equal(verso__os_frame_flags(frame, 1, &flags), 0);
    assert_int_equal(verso__os_frame_counts(frame, 1, &maps), 0);
    assert_int_equal(flags >> 12 & 1, 1); /* anonymous */
    assert_int_equal(maps, 1);
    munmap(pages, PAGES * page_bytes);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_pagemap_is_what_the_file_says),   cmocka_unit_test(test_pagemap_above_the_address_space),
        cmocka_unit_test(test_pagemap_of_a_process_that_ended), cmocka_unit_test(test_scan_in_portions),
        cmocka_unit_test(test_frames_beyond_the_machine),       cmocka_unit_test(test_the_frame_of_a_page),
    };

    return run_test_list(list);
}
