/* SPDX-License-Identifier: MIT */
/* seeing - what /proc and the newer questions answer, and to whom: what inspect is built on. */
#include "kernel_facts.h"

#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/prctl.h>

static void test_procmap_query_finds_the_mapping(void **state)
{
    int fd = file_of_pages("f", 3), maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    size_t page = page_bytes();
    unsigned char *data = mmap(NULL, 2 * page, PROT_READ, MAP_SHARED, fd, (off_t)page);
    char name[4096] = "";
    struct procmap_query query = {
        .size = sizeof(query),
        .query_addr = (uintptr_t)data + 5,
        .vma_name_addr = (uintptr_t)name,
        .vma_name_size = sizeof(name),
    };
    struct stat status;

    (void)state;
    assert_ptr_not_equal(data, MAP_FAILED);
    if (ioctl(maps, PROCMAP_QUERY, &query) < 0) {
        assert_int_equal(errno, ENOTTY);
        skip_because("this kernel has no PROCMAP_QUERY");
    }
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(query.vma_start, (uintptr_t)data);
    assert_int_equal(query.vma_end, (uintptr_t)data + 2 * page);
    assert_int_equal(query.vma_offset, page);
    assert_int_equal(query.inode, status.st_ino);
    assert_int_equal(query.vma_flags, PROCMAP_QUERY_VMA_READABLE | PROCMAP_QUERY_VMA_SHARED);
    assert_non_null(strstr(name, "/f"));
    assert_int_equal(munmap(data, 2 * page), 0);
    query.vma_name_size = 0;
    query.vma_name_addr = 0;
    query.query_addr = 0;
    assert_int_equal(error_of(ioctl(maps, PROCMAP_QUERY, &query)), ENOENT);
    assert_int_equal(close(fd) + close(maps), 0);
}

static int pagemap_scan(void *start, void *end, uint64_t wanted, struct page_region *out_regions, uint64_t room)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    struct pm_scan_arg scan = {
        .size = sizeof(scan),
        .start = (uintptr_t)start,
        .end = (uintptr_t)end,
        .vec = (uintptr_t)out_regions,
        .vec_len = room,
        .category_anyof_mask = wanted,
        .return_mask = wanted,
    };
    int count = ioctl(pagemap, PAGEMAP_SCAN, &scan), error = errno;

    assert_int_equal(close(pagemap), 0);
    errno = error;
    return count;
}

static void test_pagemap_scan_gives_runs_of_present_pages(void **state)
{
    struct page_region regions[8];
    size_t page = page_bytes();
    unsigned char *data = mapped(-1, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    int count;

    (void)state;
    assert_true(madvise(data, 8 * page, MADV_NOHUGEPAGE) == 0 || errno == EINVAL);
    data[page] = data[2 * page] = data[5 * page] = 1;
    count = pagemap_scan(data, data + 8 * page, PAGE_IS_PRESENT, regions, 8);
    if (count < 0 && errno == ENOTTY)
        skip_because("this kernel has no PAGEMAP_SCAN");
    assert_int_equal(count, 2);
    assert_int_equal(regions[0].start, (uintptr_t)data + page);
    assert_int_equal(regions[0].end, (uintptr_t)data + 3 * page);
    assert_int_equal(regions[1].start, (uintptr_t)data + 5 * page);
    assert_int_equal(regions[1].end, (uintptr_t)data + 6 * page);
    assert_int_equal(pagemap_scan(data, data + 8 * page, PAGE_IS_PRESENT, regions, 1), 1); /* little room: the first */
    assert_int_equal(munmap(data, 8 * page), 0);
}

static void test_guard_pages_are_seen(void **state)
{
    struct page_region regions[8];
    size_t page = page_bytes();
    unsigned char *data = mapped(-1, 4 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);

    (void)state;
    if (madvise(data + page, page, MADV_GUARD_INSTALL) < 0)
        skip_because("this kernel has no guard pages");
    if (pagemap_scan(data, data + 4 * page, PAGE_IS_GUARD, regions, 8) < 0)
        skip_because("PAGEMAP_SCAN does not tell of guard pages here");
    assert_int_equal(regions[0].start, (uintptr_t)data + page);
    assert_int_equal(regions[0].end, (uintptr_t)data + 2 * page);
    assert_int_equal(munmap(data, 4 * page), 0);
}

#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_FILE (UINT64_C(1) << 61)
#define ENTRY_EXCLUSIVE (UINT64_C(1) << 56)
#define ENTRY_FRAME ((UINT64_C(1) << 55) - 1)

static uint64_t pagemap_entry(void *address)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t entry = 0;

    if (pagemap >= 0) {
        if (pread(pagemap, &entry, 8, (off_t)((uintptr_t)address / page_bytes() * 8)) != 8)
            entry = 0;
        (void)close(pagemap);
    }
    return entry;
}

static int frames_as_nobody(void *arg)
{
    uint64_t entry;

    if (!become_nobody() || prctl(PR_SET_DUMPABLE, 1) < 0)
        return 1;
    (void)*(volatile unsigned char *)arg; /* a child has to bring file pages in for itself */
    entry = pagemap_entry(arg);
    return (entry & ENTRY_PRESENT) && (entry & ENTRY_FRAME) == 0 ? 0 : 2;
}

/* struct verso_inspect_page: frame numbers are for CAP_SYS_ADMIN; everything else is for everybody. */
static void test_frame_numbers_are_hidden_from_ordinary_users(void **state)
{
    int fd = file_of_pages("f", 1);
    unsigned char *data = mapped_shared(fd, 1);
    uint64_t entry;

    (void)state;
    entry = pagemap_entry(data);
    assert_int_equal(entry & ENTRY_PRESENT, 0); /* cached, but not mapped until touched */
    data[0] = 1;
    entry = pagemap_entry(data);
    assert_int_equal(entry & (ENTRY_PRESENT | ENTRY_FILE | ENTRY_EXCLUSIVE),
                     ENTRY_PRESENT | ENTRY_FILE | ENTRY_EXCLUSIVE);
    if (!support_is_root())
        assert_int_equal(entry & ENTRY_FRAME, 0);
    if (support_is_root() && entry & ENTRY_FRAME) /* a container's root has none either */
        assert_int_equal(support_child(frames_as_nobody, data), 0);
    assert_int_equal(munmap(data, page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

/* os/linux undoes these escapes. */
static void test_maps_writes_newlines_as_octal(void **state)
{
    int fd = open(support_file("two\nlines\\", 10), O_RDONLY | O_CLOEXEC), maps;
    unsigned char *data = mapped(fd, page_bytes(), PROT_READ, MAP_SHARED);
    static char text[1 << 20];
    size_t done = 0;
    ssize_t n;

    (void)state;
    maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    while ((n = read(maps, text + done, sizeof(text) - 1 - done)) > 0)
        done += (size_t)n;
    text[done] = '\0';
    assert_non_null(strstr(text, "/two\\012lines\\\n")); /* the backslash itself is not escaped */
    assert_int_equal(munmap(data, page_bytes()), 0);
    assert_int_equal(close(fd) + close(maps), 0);
}

static void test_memory_has_no_extents(void **state)
{
    struct fiemap ask = { .fm_length = ~UINT64_C(0) };
    int fd = memfd_create("fact", MFD_CLOEXEC);

    (void)state;
    assert_int_equal(error_of(ioctl(fd, FS_IOC_FIEMAP, &ask)), EOPNOTSUPP);
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_procmap_query_finds_the_mapping),
        cmocka_unit_test(test_pagemap_scan_gives_runs_of_present_pages),
        cmocka_unit_test(test_guard_pages_are_seen),
        cmocka_unit_test(test_frame_numbers_are_hidden_from_ordinary_users),
        cmocka_unit_test(test_maps_writes_newlines_as_octal),
        cmocka_unit_test(test_memory_has_no_extents),
    };

    return run_test_list(list);
}
