/* SPDX-License-Identifier: MIT */
/* writes - what the kernel notes of stores: userfaultfd's marks, and copy-on-write; src/clone leans on it. */
#include "kernel_facts.h"

#include <linux/userfaultfd.h>

#define PAGES 8

#define FEATURES                                                                                                    \
    (UFFD_FEATURE_PAGEFAULT_FLAG_WP | VERSO__UFFD_FEATURE_WP_HUGETLBFS_SHMEM | VERSO__UFFD_FEATURE_WP_UNPOPULATED | \
     VERSO__UFFD_FEATURE_WP_ASYNC)

static int pagemap;

static int new_watch(void)
{
    struct uffdio_api api = { .api = UFFD_API, .features = FEATURES };
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);

    if (fd < 0 || ioctl(fd, UFFDIO_API, &api) < 0)
        skip_because("no userfaultfd with asynchronous write-protection: %s", strerror(errno));
    return fd;
}

static int watch_error(int fd, void *memory, size_t bytes)
{
    struct uffdio_register range = { .range = { (uintptr_t)memory, bytes }, .mode = UFFDIO_REGISTER_MODE_WP };
    struct uffdio_writeprotect protect = { .range = range.range, .mode = UFFDIO_WRITEPROTECT_MODE_WP };

    if (ioctl(fd, UFFDIO_REGISTER, &range) < 0)
        return errno;
    return error_of(ioctl(fd, UFFDIO_WRITEPROTECT, &protect));
}

static unsigned char *memory_of(int flags, int fd)
{
    unsigned char *memory = mapped(fd, PAGES * page_bytes(), PROT_READ | PROT_WRITE, flags);

    (void)madvise(memory, PAGES * page_bytes(), MADV_NOHUGEPAGE);
    return memory;
}

/* The pages without mark as text; with @reset they get one. As the library asks: this shape, and no other. */
static const char *written(const unsigned char *memory, bool reset)
{
    static char text[PAGES + 1];
    struct page_region regions[PAGES];
    struct pm_scan_arg scan = {
        .size = sizeof(scan),
        .flags = PM_SCAN_CHECK_WPASYNC | (reset ? PM_SCAN_WP_MATCHING : 0),
        .start = (uintptr_t)memory,
        .end = (uintptr_t)memory + PAGES * page_bytes(),
        .vec = (uintptr_t)regions,
        .vec_len = PAGES,
        .category_mask = PAGE_IS_WRITTEN,
        .return_mask = PAGE_IS_WRITTEN,
    };
    int count = ioctl(pagemap, PAGEMAP_SCAN, &scan);

    if (count < 0)
        return strerror(errno);
    memset(text, '.', PAGES);
    for (int i = 0; i < count; i++)
        for (uint64_t at = regions[i].start; at < regions[i].end; at += page_bytes())
            text[(at - scan.start) / page_bytes()] = 'w';
    return text;
}

struct subject {
    const char *name;
    int flags;
    int fd;
};

static void over_each_kind(void (*function)(unsigned char *memory))
{
    int file = file_of_pages("f", PAGES), memory_file = memfd_create("m", MFD_CLOEXEC);
    const struct subject subjects[] = {
        { "anonymous", MAP_PRIVATE | MAP_ANONYMOUS, -1 },
        { "shared", MAP_SHARED | MAP_ANONYMOUS, -1 },
        { "memory file, shared", MAP_SHARED, memory_file },
        { "memory file, private", MAP_PRIVATE, memory_file },
        { "file, shared", MAP_SHARED, file },
        { "file, private", MAP_PRIVATE, file },
    };

    assert_true(memory_file >= 0 && ftruncate(memory_file, (off_t)(PAGES * page_bytes())) == 0);
    for (size_t i = 0; i < sizeof(subjects) / sizeof(*subjects); i++) {
        unsigned char *memory = memory_of(subjects[i].flags, subjects[i].fd);
        int watch = new_watch();

        print_message("# %s\n", subjects[i].name);
        assert_int_equal(watch_error(watch, memory, PAGES * page_bytes()), 0);
        function(memory);
        assert_int_equal(close(watch) + munmap(memory, PAGES * page_bytes()), 0);
    }
    assert_int_equal(close(file) + close(memory_file), 0);
}

/* Also of pages that were never there: a mark stands where no page is. */
static void first_stores(unsigned char *memory)
{
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    assert_string_equal(written(memory, false), "........");
    assert_int_equal(*(volatile unsigned char *)(memory + page_bytes()) & 0, 0); /* reading leaves the mark */
    assert_string_equal(written(memory, false), "........");
    memory[2 * page_bytes()] = 1;
    assert_int_equal(read(zero, memory + 5 * page_bytes(), page_bytes()), page_bytes()); /* the kernel's stores count */
    assert_string_equal(written(memory, false), "..w..w..");
    assert_string_equal(written(memory, true), "..w..w..");
    assert_string_equal(written(memory, true), "........");
    memory[2 * page_bytes()] = 2;
    assert_string_equal(written(memory, true), "..w.....");
    assert_int_equal(close(zero), 0);
}

static void test_first_stores_are_noted(void **state)
{
    (void)state;
    over_each_kind(first_stores);
}

/* Where the page went, the mark is missing, and that is told: or a store to a file would be forgotten with its page. */
static void pages_taken_away(unsigned char *memory)
{
    memory[2 * page_bytes()] = 1;
    assert_int_equal(madvise(memory + 2 * page_bytes(), page_bytes(), MADV_DONTNEED), 0);
    assert_string_equal(written(memory, true), "..w.....");
    assert_string_equal(written(memory, true), "........");
    memory[3 * page_bytes()] = 1;
    (void)msync(memory, PAGES * page_bytes(), MS_SYNC);
    assert_int_equal(madvise(memory, PAGES * page_bytes(), MADV_PAGEOUT), 0);
    assert_string_equal(written(memory, true), "...w....");
    assert_int_equal(madvise(memory, PAGES * page_bytes(), MADV_PAGEOUT), 0); /* marked pages leave their mark behind */
    assert_string_equal(written(memory, true), "........");
}

static void test_pages_taken_away_are_told(void **state)
{
    (void)state;
    over_each_kind(pages_taken_away);
}

/* The general question skips pages that are absent, on kernels before summer 2026; the library's question does not. */
static void test_absence_by_the_general_question(void **state)
{
    unsigned char *memory = memory_of(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    struct page_region region = { 0, 0, 0 };
    struct pm_scan_arg scan = {
        .size = sizeof(scan),
        .start = (uintptr_t)memory,
        .end = (uintptr_t)memory + PAGES * page_bytes(),
        .vec = (uintptr_t)&region,
        .vec_len = 1,
        .category_mask = PAGE_IS_WRITTEN,
        .return_mask = PAGE_IS_WRITTEN | PAGE_IS_FILE,
    };
    int watch = new_watch();

    (void)state;
    assert_int_equal(watch_error(watch, memory, PAGES * page_bytes()), 0);
    memory[0] = 1;
    assert_int_equal(madvise(memory, page_bytes(), MADV_DONTNEED), 0);
    print_message("# told by this kernel: %s\n", ioctl(pagemap, PAGEMAP_SCAN, &scan) == 1 ? "yes" : "no");
    assert_string_equal(written(memory, false), "w.......");
    scan.category_mask = scan.category_inverted = scan.return_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED;
    assert_int_equal(ioctl(pagemap, PAGEMAP_SCAN, &scan), 1); /* what has neither page nor mark: the second question */
    assert_int_equal(region.start, (uintptr_t)memory);
    assert_int_equal(region.end, (uintptr_t)memory + page_bytes());
    assert_int_equal(close(watch) + munmap(memory, PAGES * page_bytes()), 0);
}

/* What watching ends with: one watch a mapping, none for a child, none for what was moved or mapped anew. */
static int scan_in_a_child(void *arg)
{
    pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    return strcmp(written(arg, false), strerror(EPERM)) == 0 ? 0 : 1;
}

static void test_the_limits_of_watching(void **state)
{
    unsigned char *memory = memory_of(MAP_PRIVATE | MAP_ANONYMOUS, -1), *moved;
    int watch = new_watch(), second = new_watch();

    (void)state;
    assert_int_equal(watch_error(watch, memory, PAGES * page_bytes()), 0);
    assert_int_equal(watch_error(second, memory + page_bytes(), page_bytes()), EBUSY);
    assert_int_equal(support_child(scan_in_a_child, memory), 0);
    assert_int_equal(munmap(memory + page_bytes(), page_bytes()), 0);
    assert_string_equal(written(memory, false), "........"); /* a hole is passed over in silence ... */
    assert_int_equal(error_of(msync(memory, PAGES * page_bytes(), MS_ASYNC)), ENOMEM); /* ... so ask for it before */
    assert_ptr_not_equal(
        mmap(memory + page_bytes(), page_bytes(), PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        MAP_FAILED);
    assert_int_equal(error_of(msync(memory, PAGES * page_bytes(), MS_ASYNC)), 0);
    assert_string_equal(written(memory, false), strerror(EPERM));
    moved = mremap(memory + 2 * page_bytes(), 2 * page_bytes(), PAGES * page_bytes(), MREMAP_MAYMOVE);
    assert_ptr_not_equal(moved, MAP_FAILED);
    assert_string_equal(written(moved, false), strerror(EPERM));
    assert_int_equal(munmap(moved, PAGES * page_bytes()) + munmap(memory, PAGES * page_bytes()), 0);
    assert_int_equal(close(watch) + close(second), 0);
}

static int watch_as_nobody(void *arg)
{
    struct uffdio_api api = { .api = UFFD_API, .features = FEATURES };
    int fd;

    if (!become_nobody())
        return 1;
    fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    return fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0 && watch_error(fd, arg, PAGES * page_bytes()) == 0 ? 0 : 2;
}

static void test_an_ordinary_user_may_watch(void **state)
{
    unsigned char *memory = memory_of(MAP_PRIVATE | MAP_ANONYMOUS, -1);

    (void)state;
    (void)close(new_watch());
    if (!support_is_root())
        skip_because("the other cases have shown it");
    assert_int_equal(support_child(watch_as_nobody, memory), 0);
    assert_int_equal(munmap(memory, PAGES * page_bytes()), 0);
}

/* ---- Copy-on-write ---- */

static void test_private_pages_are_of_no_file(void **state)
{
    int fd = file_of_pages("g", PAGES);
    unsigned char *memory = memory_of(MAP_PRIVATE, fd);
    struct page_region region = { 0, 0, 0 };
    struct pm_scan_arg scan = {
        .size = sizeof(scan),
        .start = (uintptr_t)memory,
        .end = (uintptr_t)memory + PAGES * page_bytes(),
        .vec = (uintptr_t)&region,
        .vec_len = 1,
        .category_inverted = PAGE_IS_FILE,
        .category_mask = PAGE_IS_FILE,
        .category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
        .return_mask = PAGE_IS_SWAPPED,
    };

    (void)state;
    for (size_t i = 0; i < PAGES; i++)
        assert_true(support_matches(memory + i * page_bytes(), i * page_bytes(), page_bytes()));
    memory[6 * page_bytes()] ^= 1;
    if (ioctl(pagemap, PAGEMAP_SCAN, &scan) < 0 && errno == ENOTTY)
        skip_because("this kernel has no PAGEMAP_SCAN");
    assert_int_equal(region.start, (uintptr_t)memory + 6 * page_bytes());
    assert_int_equal(region.end, (uintptr_t)memory + 7 * page_bytes());
    assert_int_equal(madvise(memory, PAGES * page_bytes(), MADV_DONTNEED), 0); /* dropped, it is the file's again */
    assert_true(support_matches(memory + 6 * page_bytes(), 6 * page_bytes(), page_bytes()));
    assert_int_equal(munmap(memory, PAGES * page_bytes()) + close(fd), 0);
}

/* What freezing rests on: a shared mapping of what may be written is in the way even when read-only; a private one is
 * not. */
static void test_what_is_in_the_way_of_a_seal(void **state)
{
    int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    unsigned char *memory;

    (void)state;
    assert_true(fd >= 0 && ftruncate(fd, (off_t)page_bytes()) == 0);
    memory = mapped(fd, page_bytes(), PROT_READ, MAP_SHARED);
    assert_int_equal(error_of(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), EBUSY);
    assert_ptr_equal(mmap(memory, page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0), memory);
    assert_int_equal(error_of(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)), 0);
    *memory = 1; /* of a sealed file, private pages can still be had */
    assert_int_equal(error_of(pwrite(fd, "x", 1, 0)), EPERM);
    assert_int_equal(munmap(memory, page_bytes()) + close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_first_stores_are_noted),          cmocka_unit_test(test_pages_taken_away_are_told),
        cmocka_unit_test(test_absence_by_the_general_question), cmocka_unit_test(test_the_limits_of_watching),
        cmocka_unit_test(test_an_ordinary_user_may_watch),      cmocka_unit_test(test_private_pages_are_of_no_file),
        cmocka_unit_test(test_what_is_in_the_way_of_a_seal),
    };

    pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    return run_test_list(list);
}
