/* SPDX-License-Identifier: MIT */
/* pages - pages, runs and frames, against words read from /proc by hand. */
#include "support.h"

#include "children.h"
#include "inspect/inspect.h"
#include "os/os.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAME_MASK ((UINT64_C(1) << 55) - 1)

static uint64_t raw_entry(const void *address)
{
    uint64_t entry;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &entry, 8, (off_t)((uintptr_t)address / verso__os_page_bytes() * 8)), 8);
    close(fd);
    return entry;
}

static uint64_t raw_frame_word(const char *path, uint64_t frame)
{
    uint64_t word;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &word, 8, (off_t)(frame * 8)), 8);
    close(fd);
    return word;
}

static char *make_anonymous(size_t count)
{
    char *pages =
        mmap(NULL, count * verso__os_page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(pages != MAP_FAILED);
    (void)madvise(pages, count * verso__os_page_bytes(), MADV_NOHUGEPAGE); /* EINVAL where there are none */
    return pages;
}

static char *map_whole(const char *path, int protection, int flags)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat status;
    char *pages;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    pages = mmap(NULL, (size_t)status.st_size, protection, flags, fd, 0);
    assert_true(pages != MAP_FAILED);
    close(fd);
    return pages;
}

/* ---- Pages ---- */

static void test_pages_are_what_pagemap_says(void **state)
{
    const size_t count = 1200; /* more than two batches, not a multiple */
    size_t page_bytes = verso__os_page_bytes();
    struct verso_inspect_page *pages = calloc(count, sizeof(*pages));
    char *memory = make_anonymous(count);
    int frames_error = 7;

    (void)state;
    assert_non_null(pages);
    for (size_t i = 0; i < count; i += 7)
        memory[i * page_bytes] = 1;
    assert_ok(verso_inspect_pages(0, (uintptr_t)memory, count, pages, &frames_error));
    for (size_t i = 0; i < count; i++) {
        uint64_t raw = raw_entry(memory + i * page_bytes);

        assert_int_equal(!!(pages[i].state & VERSO_INSPECT_PAGE_PRESENT), raw >> 63);
        assert_int_equal(!!(pages[i].state & VERSO_INSPECT_PAGE_FILE), raw >> 61 & 1);
        assert_int_equal(!!(pages[i].state & VERSO_INSPECT_PAGE_EXCLUSIVE), raw >> 56 & 1);
        assert_true(pages[i].frame == (raw >> 63 ? raw & FRAME_MASK : 0));
        assert_int_equal(raw >> 63, i % 7 == 0);
    }
    assert_int_equal(frames_error, pages[0].frame ? 0 : -EPERM);
    free(pages);
    munmap(memory, count * page_bytes);
}

static void test_looking_brings_nothing_in(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    struct verso_inspect_page pages[16];
    char *memory = make_anonymous(16);

    (void)state;
    for (int round = 0; round < 2; round++) {
        assert_ok(verso_inspect_pages(0, (uintptr_t)memory, 16, pages, NULL));
        for (size_t i = 0; i < 16; i++)
            assert_true(pages[i].state == 0 && pages[i].frame == 0);
    }
    munmap(memory, 16 * page_bytes);
}

/* Shared with a child: present in both, in the same frame, exclusive in neither. */
static int touch_all(void *arg)
{
    volatile char *memory = arg;

    for (size_t i = 0; i < 4; i++)
        memory[i * verso__os_page_bytes()]++;
    return 0;
}

static void test_pages_of_another_process(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    struct verso_inspect_page own[4], theirs[4];
    char *memory = map_whole(support_file("shared", 4 * page_bytes), PROT_READ | PROT_WRITE, MAP_SHARED);
    pid_t child;

    (void)state;
    touch_all(memory);
    child = support_child_start(touch_all, memory);
    assert_ok(verso_inspect_pages(0, (uintptr_t)memory, 4, own, NULL));
    assert_ok(verso_inspect_pages(child, (uintptr_t)memory, 4, theirs, NULL));
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(own[i].state, VERSO_INSPECT_PAGE_PRESENT | VERSO_INSPECT_PAGE_FILE);
        assert_int_equal(theirs[i].state, own[i].state);
        assert_true(theirs[i].frame == own[i].frame);
    }
    support_child_stop(child);
    assert_ok(verso_inspect_pages(0, (uintptr_t)memory, 4, own, NULL));
    assert_true(own[0].state & VERSO_INSPECT_PAGE_EXCLUSIVE);
    munmap(memory, 4 * page_bytes);
}

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

static void test_guards_show(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    struct verso_inspect_page pages[4];
    char *memory = make_anonymous(4);

    (void)state;
    memory[0] = 1;
    if (madvise(memory + 2 * page_bytes, page_bytes, MADV_GUARD_INSTALL) != 0)
        skip_because("this kernel has no MADV_GUARD_INSTALL (Linux 6.13)");
    assert_ok(verso_inspect_pages(0, (uintptr_t)memory, 4, pages, NULL));
    if (!(pages[2].state & VERSO_INSPECT_PAGE_GUARD))
        skip_because("this kernel has guards, but pagemap does not show them (Linux 6.15)");
    assert_false(pages[0].state & VERSO_INSPECT_PAGE_GUARD);
    assert_int_equal(pages[2].state & VERSO_INSPECT_PAGE_PRESENT, 0);
    munmap(memory, 4 * page_bytes);
}

/* More places than one answer of the kernel holds, one of them two pages long, across the border of two ranges. */
static void test_guards_are_counted(void **state)
{
    size_t page_bytes = verso__os_page_bytes(), page_count = 1400;
    struct verso_inspect_guards guards = { { 7, 7, "", "" }, { 7, 7, "", "" } };
    char *memory = make_anonymous(page_count);
    uintptr_t start = (uintptr_t)memory, end = start + page_count * page_bytes;

    (void)state;
    assert_fails(verso_inspect_guards(0, start + 1, end, &guards), VERSO_E_RANGE);
    assert_fails(verso_inspect_guards(0, end, start, &guards), VERSO_E_RANGE);
    assert_int_equal(guards.pages.value, 7);
    assert_ok(verso_inspect_guards(0, start, end, &guards));
    if (guards.pages.error)
        skip_because("this kernel does not tell of guards (Linux 6.15)");
    assert_int_equal(guards.pages.value, 0);
    assert_int_equal(guards.places.value, 0);
    memory[0] = 1;
    for (size_t i = 1; i < page_count; i += 2)
        assert_int_equal(madvise(memory + i * page_bytes, page_bytes, MADV_GUARD_INSTALL), 0);
    assert_int_equal(madvise(memory + 2 * page_bytes, page_bytes, MADV_GUARD_INSTALL), 0);
    assert_ok(verso_inspect_guards(0, start, end, &guards));
    assert_int_equal(guards.pages.value, page_count / 2 + 1);
    assert_int_equal(guards.places.value, page_count / 2 - 1); /* 1, 2 and 3 are one */
    assert_ok(verso_inspect_guards(0, start, start + 2 * page_bytes, &guards));
    assert_int_equal(guards.pages.value, 1);
    assert_ok(verso_inspect_guards(0, start, start, &guards));
    assert_int_equal(guards.pages.value, 0);
    /* one place, though page tables and a mapping end in the midst of it */
    assert_int_equal(mprotect(memory, 700 * page_bytes, PROT_READ), 0);
    assert_int_equal(madvise(memory, page_count * page_bytes, MADV_GUARD_INSTALL), 0);
    assert_ok(verso_inspect_guards(0, start, end, &guards));
    assert_int_equal(guards.pages.value, page_count);
    assert_int_equal(guards.places.value, 1);
    munmap(memory, page_count * page_bytes);
}

/* What PAGEMAP_SCAN itself says: 1 one huge mapping, 0 none, negative when it can't be asked. */
static int scan_says_huge(const char *start, size_t bytes)
{
    struct verso__os_page_run run;
    uint64_t walked;
    size_t count = 0;
    int fd, r;

    assert_int_equal(verso__os_pagemap_open(0, &fd), 0);
    r = verso__os_page_scan(fd, (uintptr_t)start, (uintptr_t)start + bytes, VERSO__OS_PAGE_HUGE, &run, 1, &count,
                            &walked);
    verso__os_close(fd);
    return r < 0 ? r : count == 1;
}

static size_t count_huge(const char *start, size_t count)
{
    struct verso_inspect_page *pages = calloc(count, sizeof(*pages));
    size_t shown = 0;

    assert_non_null(pages);
    assert_ok(verso_inspect_pages(0, (uintptr_t)start, count, pages, NULL));
    for (size_t i = 0; i < count; i++)
        shown += (pages[i].state & VERSO_INSPECT_PAGE_HUGE) != 0;
    free(pages);
    return shown;
}

/* Two huge pages, the second split into base pages: its frames are still neighbours, its mapping is not huge. */
static void test_huge_pages_show(void **state)
{
    size_t page_bytes = verso__os_page_bytes(), huge_bytes = verso__os_huge_page_bytes(), per_huge;
    char *memory, *huge;
    int said;

    (void)state;
    if (huge_bytes == 0)
        skip_because("this machine has no transparent huge pages");
    memory = mmap(NULL, 3 * huge_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    huge = (char *)(((uintptr_t)memory + huge_bytes - 1) & ~(huge_bytes - 1));
    (void)madvise(memory, 3 * huge_bytes, MADV_HUGEPAGE); /* EINVAL where there are none: then none are given */
    huge[0] = 1;
    huge[huge_bytes] = 1;
    assert_int_equal(mprotect(huge + huge_bytes, page_bytes, PROT_READ), 0);
    per_huge = huge_bytes / page_bytes;
    said = scan_says_huge(huge, huge_bytes);
    assert_int_equal(count_huge(huge, per_huge), said == 1 ? per_huge : 0);
    assert_int_equal(count_huge(huge + huge_bytes, per_huge), 0);
    /* A range that begins and ends inside huge pages has no whole one to mark. */
    assert_int_equal(count_huge(huge + page_bytes, per_huge), 0);
    munmap(memory, 3 * huge_bytes);
    if (said != 1)
        skip_because("the kernel gave no huge page, or can't say so (PAGEMAP_SCAN, Linux 6.7)");
}

static void test_pages_refused(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    struct verso_inspect_page page = { 7, 7 };
    pid_t child = support_child_start(NULL, NULL);
    int frames_error = 7;

    (void)state;
    assert_fails(verso_inspect_pages(0, 1, 1, &page, &frames_error), VERSO_E_RANGE);
    assert_fails(verso_inspect_pages(0, page_bytes - 1, 1, &page, &frames_error), VERSO_E_RANGE);
    assert_fails(verso_inspect_pages(0, 0, SIZE_MAX, &page, &frames_error), VERSO_E_RANGE);
    assert_fails(verso_inspect_pages(0, UINT64_MAX - page_bytes + 1, 1, &page, &frames_error), VERSO_E_RANGE);
    assert_fails(verso_inspect_pages(0, UINT64_C(0xffffffffff600000), 1, &page, &frames_error), VERSO_E_RANGE);
    support_child_kill(child);
    assert_fails(verso_inspect_pages(child, 0, 1, &page, &frames_error), -ESRCH);
    support_child_stop(child);
    assert_fails(verso_inspect_pages(child, 0, 1, &page, &frames_error), -ESRCH);
    assert_true(page.state == 7 && page.frame == 7 && frames_error == 7);
    assert_ok(verso_inspect_pages(0, 0, 0, NULL, NULL));
}

/* ---- Runs ---- */

/* Both ways to the runs of a range, which must agree; @huge: what only one of them can see. */
static size_t both_ways(const char *start, const char *end, struct verso_inspect_run **out_runs)
{
    struct verso_inspect_run *runs, *read;
    size_t count, read_count;
    int fd, r;

    assert_int_equal(verso__os_pagemap_open(0, &fd), 0);
    assert_int_equal(verso__inspect_runs_by_pagemap(0, fd, (uintptr_t)start, (uintptr_t)end, &read, &read_count), 0);
    r = verso__inspect_runs_by_scan(fd, (uintptr_t)start, (uintptr_t)end, &runs, &count);
    verso__os_close(fd);
    if (r == -ENOTTY) {
        *out_runs = read;
        return read_count;
    }
    assert_int_equal(r, 0);
    assert_int_equal(count, read_count);
    for (size_t i = 0; i < count; i++) {
        assert_true(runs[i].start == read[i].start && runs[i].end == read[i].end);
        assert_int_equal(runs[i].state, read[i].state);
    }
    free(read);
    *out_runs = runs;
    return count;
}

static void test_runs_of_touched_pages(void **state)
{
    static const unsigned char touched[] = { 1, 1, 0, 0, 1, 0, 1, 1, 1, 0 };
    size_t page_bytes = verso__os_page_bytes(), count;
    struct verso_inspect_run *runs;
    char *memory = make_anonymous(sizeof(touched));

    (void)state;
    for (size_t i = 0; i < sizeof(touched); i++)
        if (touched[i])
            memory[i * page_bytes] = 1;
    count = both_ways(memory, memory + sizeof(touched) * page_bytes, &runs);
    assert_int_equal(count, 3);
    assert_true(runs[0].start == (uintptr_t)memory && runs[0].end == (uintptr_t)memory + 2 * page_bytes);
    assert_true(runs[1].start == (uintptr_t)memory + 4 * page_bytes);
    assert_true(runs[2].end == (uintptr_t)memory + 9 * page_bytes);
    assert_int_equal(runs[0].state, VERSO_INSPECT_PAGE_PRESENT);
    free(runs);
    count = both_ways(memory + 2 * page_bytes, memory + 4 * page_bytes, &runs);
    assert_int_equal(count, 0);
    free(runs);
    munmap(memory, sizeof(touched) * page_bytes);
}

static void test_more_runs_than_a_batch(void **state)
{
    const size_t pages = 3001;
    size_t page_bytes = verso__os_page_bytes(), count;
    struct verso_inspect_run *runs;
    char *memory = make_anonymous(pages);

    (void)state;
    for (size_t i = 0; i < pages; i += 2)
        memory[i * page_bytes] = 1;
    count = both_ways(memory, memory + pages * page_bytes, &runs);
    assert_int_equal(count, (pages + 1) / 2);
    for (size_t i = 0; i < count; i++) {
        assert_true(runs[i].start == (uintptr_t)memory + 2 * i * page_bytes);
        assert_true(runs[i].end == runs[i].start + page_bytes);
    }
    free(runs);
    munmap(memory, pages * page_bytes);
}

static void test_runs_of_a_file_and_its_private_copy(void **state)
{
    size_t page_bytes = verso__os_page_bytes(), count;
    struct verso_inspect_run *runs;
    char *memory = map_whole(support_file("private", 8 * page_bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE);

    (void)state;
    assert_int_equal(madvise(memory, 8 * page_bytes, MADV_POPULATE_READ), 0);
    memory[3 * page_bytes] = 1;
    count = both_ways(memory, memory + 8 * page_bytes, &runs);
    assert_int_equal(count, 3);
    assert_int_equal(runs[0].state, VERSO_INSPECT_PAGE_PRESENT | VERSO_INSPECT_PAGE_FILE);
    assert_int_equal(runs[1].state, VERSO_INSPECT_PAGE_PRESENT);
    assert_true(runs[1].start == (uintptr_t)memory + 3 * page_bytes && runs[1].end == runs[1].start + page_bytes);
    assert_int_equal(runs[2].state, runs[0].state);
    free(runs);
    munmap(memory, 8 * page_bytes);
}

static void test_runs_of_a_vast_range(void **state)
{
    struct verso_inspect_run *runs;
    uint64_t end = verso__os_address_space_bytes() - verso__os_page_bytes();
    size_t count;

    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("a sanitizer's shadow fills the address space");
    count = both_ways(NULL, (char *)(uintptr_t)end, &runs);
    assert_true(count > 10);
    free(runs);
    assert_ok(verso_inspect_runs(0, 0, end, &runs, &count));
    free(runs);
}

static void test_runs_refused(void **state)
{
    size_t page_bytes = verso__os_page_bytes(), count = 7;
    struct verso_inspect_run *runs = (void *)1;
    pid_t child = support_child_start(NULL, NULL);

    (void)state;
    assert_fails(verso_inspect_runs(0, 1, page_bytes, &runs, &count), VERSO_E_RANGE);
    assert_fails(verso_inspect_runs(0, 0, page_bytes + 1, &runs, &count), VERSO_E_RANGE);
    assert_fails(verso_inspect_runs(0, 2 * page_bytes, page_bytes, &runs, &count), VERSO_E_RANGE);
    support_child_stop(child);
    assert_fails(verso_inspect_runs(child, 0, page_bytes, &runs, &count), -ESRCH);
    assert_true(runs == (void *)1 && count == 7);
    assert_ok(verso_inspect_runs(0, page_bytes, page_bytes, &runs, &count));
    assert_int_equal(count, 0);
    free(runs);
}

/* ---- Frames ---- */

/* Why frames can't be looked at, or NULL. */
static const char *frames_refusal(void)
{
    struct verso_inspect_frame frame;
    int r = verso_inspect_frames(0, 1, &frame);

    if (r == -EACCES || r == -EPERM)
        return "only root may look at frames";
    if (r == -ENOENT)
        return "this kernel has no /proc/kpageflags";
    assert_int_equal(r, 0);
    return NULL;
}

static void compare_frame(uint64_t number, const struct verso_inspect_frame *frame, unsigned bit, unsigned wanted)
{
    uint64_t raw = raw_frame_word("/proc/kpageflags", number);

    assert_int_equal(raw >> bit & 1, (frame->state & wanted) != 0);
}

static void test_frames_of_a_file(void **state)
{
    size_t page_bytes = verso__os_page_bytes();
    struct verso_inspect_page pages[8];
    struct verso_inspect_frame frame;
    char *memory;

    (void)state;
    if (frames_refusal())
        skip_because("%s", frames_refusal());
    memory = map_whole(support_file("frames", 8 * page_bytes), PROT_READ | PROT_WRITE, MAP_SHARED);
    assert_int_equal(madvise(memory, 8 * page_bytes, MADV_POPULATE_WRITE), 0);
    assert_ok(verso_inspect_pages(0, (uintptr_t)memory, 8, pages, NULL));
    for (size_t i = 0; i < 8; i++) {
        assert_true(pages[i].frame != 0);
        assert_ok(verso_inspect_frames(pages[i].frame, 1, &frame));
        assert_true(frame.state & VERSO_INSPECT_FRAME_UPTODATE);
        assert_true(frame.state & VERSO_INSPECT_FRAME_MAPPED);
        assert_false(frame.state & (VERSO_INSPECT_FRAME_ANONYMOUS | VERSO_INSPECT_FRAME_FREE));
        assert_true(frame.map_count >= 1);
        assert_true(frame.map_count == raw_frame_word("/proc/kpagecount", pages[i].frame));
        assert_true(frame.state & VERSO_INSPECT_FRAME_DIRTY);
        compare_frame(pages[i].frame, &frame, 15, VERSO_INSPECT_FRAME_HEAD);
        compare_frame(pages[i].frame, &frame, 16, VERSO_INSPECT_FRAME_TAIL);
    }
    assert_int_equal(msync(memory, 8 * page_bytes, MS_SYNC), 0);
    assert_ok(verso_inspect_frames(pages[0].frame, 1, &frame));
    compare_frame(pages[0].frame, &frame, 4, VERSO_INSPECT_FRAME_DIRTY); /* clean now, but on tmpfs */
    munmap(memory, 8 * page_bytes);
}

static void test_frames_across_batches(void **state)
{
    const size_t count = 1500;
    struct verso_inspect_frame *frames, one;
    size_t page_bytes = verso__os_page_bytes();
    struct verso_inspect_page page;
    char *memory;

    (void)state;
    if (frames_refusal())
        skip_because("%s", frames_refusal());
    memory = make_anonymous(1);
    memory[0] = 1;
    assert_ok(verso_inspect_pages(0, (uintptr_t)memory, 1, &page, NULL));
    frames = calloc(count, sizeof(*frames));
    assert_non_null(frames);
    /* The frame asked for last in the second batch, and alone: the same. */
    assert_true(page.frame > count);
    assert_ok(verso_inspect_frames(page.frame - 1023, count, frames));
    assert_ok(verso_inspect_frames(page.frame, 1, &one));
    assert_int_equal(frames[1023].map_count, one.map_count);
    assert_true(frames[1023].state & VERSO_INSPECT_FRAME_ANONYMOUS);
    free(frames);
    munmap(memory, page_bytes);
}

static void test_frames_refused(void **state)
{
    struct verso_inspect_frame frame = { 7, 7 };

    (void)state;
    if (frames_refusal())
        skip_because("%s", frames_refusal());
    assert_fails(verso_inspect_frames(UINT64_C(1) << 50, 1, &frame), VERSO_E_RANGE);
    assert_fails(verso_inspect_frames(UINT64_MAX, 1, &frame), VERSO_E_RANGE);
    assert_true(frame.state == 7 && frame.map_count == 7);
    assert_ok(verso_inspect_frames(0, 0, NULL));
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_pages_are_what_pagemap_says),
        cmocka_unit_test(test_looking_brings_nothing_in),
        cmocka_unit_test(test_pages_of_another_process),
        cmocka_unit_test(test_guards_show),
        cmocka_unit_test(test_guards_are_counted),
        cmocka_unit_test(test_huge_pages_show),
        cmocka_unit_test(test_pages_refused),
        cmocka_unit_test(test_runs_of_touched_pages),
        cmocka_unit_test(test_more_runs_than_a_batch),
        cmocka_unit_test(test_runs_of_a_file_and_its_private_copy),
        cmocka_unit_test(test_runs_of_a_vast_range),
        cmocka_unit_test(test_runs_refused),
        cmocka_unit_test(test_frames_of_a_file),
        cmocka_unit_test(test_frames_across_batches),
        cmocka_unit_test(test_frames_refused),
    };

    return run_test_list(list);
}
