/* SPDX-License-Identifier: MIT */
/* mapping - what mmap and its relatives promise, and what they refuse. */
#include "child.h"
#include "kernel_facts.h"

#include <sys/prctl.h>

/* map/open.c closes the descriptor as soon as the file is mapped. */
static void test_mapping_outlives_descriptor_and_name(void **state)
{
    int fd = file_of_pages("f", 2);
    unsigned char *data = mapped_shared(fd, 2);

    (void)state;
    assert_int_equal(close(fd), 0);
    assert_int_equal(unlink(support_path("f")), 0);
    assert_true(support_matches(data, 0, 2 * page_bytes()));
    data[0] = 'x';
    assert_int_equal(msync(data, page_bytes(), MS_SYNC), 0);
    assert_int_equal(munmap(data, 2 * page_bytes()), 0);
}

/* options.address: placed only where nothing stands. */
static void test_fixed_noreplace_replaces_nothing(void **state)
{
    size_t page = page_bytes();
    unsigned char *there = mapped(-1, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    void *got;

    (void)state;
    there[page] = 'x';
    assert_int_equal(
        mmap_error(there + page, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
    assert_int_equal(there[page], 'x');
    assert_int_equal(munmap(there + page, page), 0);
    got = mmap(there + page, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(got, there + page);
    assert_int_equal(munmap(there, 3 * page), 0);
}

/* map/resize.c maps over its own reservation; what stands beside it must not move. */
static void test_fixed_replaces_exactly_its_range(void **state)
{
    size_t page = page_bytes();
    int fd = file_of_pages("f", 1);
    unsigned char *span = mapped(-1, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);

    (void)state;
    span[0] = 'a';
    span[2 * page] = 'c';
    assert_ptr_equal(mmap(span + page, page, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0), span + page);
    assert_int_equal(span[0], 'a');
    assert_true(support_matches(span + page, 0, page));
    assert_int_equal(span[2 * page], 'c');
    assert_int_equal(munmap(span, 3 * page), 0);
    assert_int_equal(close(fd), 0);
}

/* Empty maps and byte offsets are verso's own doing. */
static void test_nothing_and_odd_offsets_are_refused(void **state)
{
    int fd = file_of_pages("f", 2);

    (void)state;
    assert_int_equal(mmap_error(NULL, 0, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
    assert_int_equal(mmap_error(NULL, page_bytes(), PROT_READ, MAP_SHARED, fd, 1), EINVAL);
    assert_int_equal(mmap_error(NULL, SIZE_MAX, PROT_READ, MAP_SHARED, fd, 0), ENOMEM);
    assert_int_equal(mmap_error(NULL, page_bytes(), PROT_READ, MAP_SHARED, fd, 1 << 30), 0); /* past the end: allowed */
    assert_int_equal(close(fd), 0);
}

static void test_access_must_fit_how_the_file_was_opened(void **state)
{
    int reading, writing, fd = file_of_pages("f", 1);
    size_t page = page_bytes();
    unsigned char *data;

    (void)state;
    reading = open(support_path("f"), O_RDONLY | O_CLOEXEC);
    writing = open(support_path("f"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(mmap_error(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, reading, 0), EACCES);
    assert_int_equal(mmap_error(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, reading, 0), 0);
    assert_int_equal(mmap_error(NULL, page, PROT_WRITE, MAP_SHARED, writing, 0), EACCES);
    assert_int_equal(mmap_error(NULL, page, PROT_READ, MAP_PRIVATE, writing, 0), EACCES);
    data = mapped(reading, page, PROT_READ, MAP_SHARED);
    assert_int_equal(error_of(mprotect(data, page, PROT_READ | PROT_WRITE)), EACCES);
    assert_int_equal(munmap(data, page), 0);
    assert_int_equal(close(fd) + close(reading) + close(writing), 0);
}

static int open_to_read(const char *path)
{
    return open(path, O_RDONLY | O_CLOEXEC);
}

/* map/buffer.c reads these in. */
static void test_what_cannot_be_mapped_says_so(void **state)
{
    static const char *const paths[] = { "/proc/self/status", "/sys/kernel/mm/transparent_hugepage/enabled",
                                         "/dev/null", "/" };
    int ends[2];

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int fd = open_to_read(paths[i]);

        if (fd < 0)
            continue; /* no sysfs in a container */
        assert_int_equal(mmap_error(NULL, page_bytes(), PROT_READ, MAP_PRIVATE, fd, 0), ENODEV);
        assert_int_equal(close(fd), 0);
    }
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(mmap_error(NULL, page_bytes(), PROT_READ, MAP_PRIVATE, ends[0], 0), ENODEV);
    assert_int_equal(close(ends[0]) + close(ends[1]), 0);
}

/* Why a size of 0 does not mean "empty" to map/open.c. */
static void test_proc_files_have_size_0_and_content(void **state)
{
    struct stat status;
    char byte;
    int fd = open_to_read("/proc/self/status");

    (void)state;
    assert_int_equal(fstat(fd, &status), 0);
    assert_true(S_ISREG(status.st_mode));
    assert_int_equal(status.st_size, 0);
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_int_equal(close(fd), 0);
}

/* include/verso/map.h: a private map is no snapshot. */
static void test_private_map_sees_writes_until_its_own_copy(void **state)
{
    int fd = file_of_pages("f", 2);
    size_t page = page_bytes();
    unsigned char *data = mapped(fd, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    (void)state;
    assert_true(support_matches(data, 0, 2 * page)); /* both pages are in our page table */
    assert_int_equal(pwrite(fd, "1", 1, 0), 1);
    assert_int_equal(data[0], '1');
    data[1] = 'x'; /* our own copy from here on */
    assert_int_equal(pwrite(fd, "2", 1, 0), 1);
    assert_int_equal(data[0], '1');
    assert_int_equal(pwrite(fd, "3", 1, (off_t)page), 1);
    assert_int_equal(data[page], '3'); /* the other page has no copy */
    assert_int_equal(munmap(data, 2 * page), 0);
    assert_int_equal(close(fd), 0);
}

static void test_dontneed_forgets_private_stores_and_no_shared_ones(void **state)
{
    int fd = file_of_pages("f", 1);
    size_t page = page_bytes();
    unsigned char *own = mapped(fd, page, PROT_READ | PROT_WRITE, MAP_PRIVATE), *shared = mapped_shared(fd, 1);

    (void)state;
    own[0] = 'x';
    shared[1] = 'y';
    assert_int_equal(madvise(own, page, MADV_DONTNEED), 0);
    assert_int_equal(madvise(shared, page, MADV_DONTNEED), 0);
    assert_int_equal(own[0], support_byte(0));
    assert_int_equal(shared[1], 'y');
    assert_int_equal(munmap(own, page) + munmap(shared, page), 0);
    assert_int_equal(close(fd), 0);
}

static void test_advice_that_file_pages_refuse(void **state)
{
    int fd = file_of_pages("f", 1);
    size_t page = page_bytes();
    unsigned char *shared = mapped_shared(fd, 1);

    (void)state;
    assert_int_equal(error_of(madvise(shared, page, MADV_FREE)), EINVAL);
    assert_int_equal(error_of(madvise(shared + 1, page, MADV_NORMAL)), EINVAL); /* not a page border */
    assert_int_equal(munmap(shared, page), 0);
    assert_int_equal(error_of(madvise(shared, page, MADV_NORMAL)), ENOMEM); /* nothing there */
    assert_int_equal(close(fd), 0);
}

#define FLAG_OF_NOTHING (1 << 24)

static void test_unknown_flags_are_refused_with_validate_only(void **state)
{
    int fd = file_of_pages("f", 1), error;
    size_t page = page_bytes();

    (void)state;
    assert_int_equal(mmap_error(NULL, page, PROT_READ, MAP_SHARED_VALIDATE | FLAG_OF_NOTHING, fd, 0), EOPNOTSUPP);
    assert_int_equal(mmap_error(NULL, page, PROT_READ, MAP_SHARED | FLAG_OF_NOTHING, fd, 0), 0);
    error = mmap_error(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0);
    if (error == 0)
        print_message("# this file system is DAX\n");
    else
        assert_int_equal(error, EOPNOTSUPP); /* VERSO_MAP_DURABLE finds out by trying */
    assert_int_equal(close(fd), 0);
}

static void test_mremap_in_place_needs_room(void **state)
{
    size_t page = page_bytes();
    unsigned char *span = mapped(-1, 4 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
    unsigned char *data = mmap(span, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    void *moved;

    (void)state;
    data[0] = 'x';
    assert_ptr_equal(mremap(data, page, 2 * page, 0), MAP_FAILED);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(data[0], 'x');
    moved = mremap(data, page, 2 * page, MREMAP_MAYMOVE);
    assert_ptr_not_equal(moved, MAP_FAILED);
    assert_int_equal(*(unsigned char *)moved, 'x');
    assert_int_equal(munmap(moved, 2 * page) + munmap(span, 4 * page), 0);
}

/* map/resize.c: advice to a part makes several mappings, and mremap stretches one. */
static void test_mremap_does_not_stretch_pieces(void **state)
{
    size_t page = page_bytes();
    int fd = file_of_pages("f", 4);
    unsigned char *data = mapped_shared(fd, 4);

    (void)state;
    assert_int_equal(madvise(data + page, page, MADV_RANDOM), 0);
    assert_ptr_equal(mremap(data, 4 * page, 8 * page, MREMAP_MAYMOVE), MAP_FAILED);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(madvise(data + page, page, MADV_NORMAL), 0); /* one again */
    data = mremap(data, 4 * page, 8 * page, MREMAP_MAYMOVE);
    assert_ptr_not_equal(data, MAP_FAILED);
    assert_int_equal(munmap(data, 8 * page), 0);
    assert_int_equal(close(fd), 0);
}

/* In a child: what is sealed stays until the process ends. */
static int sealed_memory(void *arg)
{
    size_t page = page_bytes();
    unsigned char *data = mapped(-1, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);

    (void)arg;
    if (syscall(SYS_mseal, data, 2 * page, 0UL) < 0)
        return errno == ENOSYS ? CHILD_SKIPS : 1;
    data[0] = 'x';
    if (error_of(munmap(data, page)) != EPERM || error_of(mprotect(data, page, PROT_READ)) != EPERM)
        return 2;
    if (mremap(data, 2 * page, page, 0) != MAP_FAILED || errno != EPERM)
        return 3;
    if (mmap_error(data, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != EPERM)
        return 4;
    return data[0] == 'x' ? 0 : 5;
}

static void test_mseal_refuses_what_would_change_the_mapping(void **state)
{
    (void)state;
    assert_child_does(sealed_memory, NULL, "this kernel has no mseal");
}

static bool maps_line_holds(const void *address, const char *wanted)
{
    char start[32], line[4096];
    FILE *maps = fopen("/proc/self/maps", "re");
    bool found = false;

    assert_non_null(maps);
    (void)snprintf(start, sizeof(start), "%lx-", (unsigned long)(uintptr_t)address);
    while (!found && fgets(line, sizeof(line), maps))
        found = strncmp(line, start, strlen(start)) == 0 && strstr(line, wanted);
    assert_int_equal(fclose(maps), 0);
    return found;
}

/* options.name is for memory without a file. */
static void test_names_are_for_anonymous_memory(void **state)
{
    int fd = file_of_pages("f", 1);
    size_t page = page_bytes();
    unsigned char *memory = mapped(-1, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS), *data = mapped_shared(fd, 1);

    (void)state;
    if (prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, memory, page, "a name") < 0) {
        assert_int_equal(errno, EINVAL);
        skip_because("this kernel does not name memory (CONFIG_ANON_VMA_NAME)");
    }
    assert_true(maps_line_holds(memory, "[anon:a name]"));
    assert_int_equal(error_of(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, memory, page, "a[b")), EINVAL);
    assert_int_equal(error_of(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, data, page, "file")), EBADF);
    assert_int_equal(munmap(memory, page) + munmap(data, page), 0);
    assert_int_equal(close(fd), 0);
}

/* os_reserve(): address space costs nothing until it is used. */
static void test_reserved_space_is_not_memory(void **state)
{
    size_t bytes = sizeof(void *) == 8 ? (size_t)1 << 40 : (size_t)1 << 28;
    void *span = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("the sanitizers have taken the address space");
    assert_ptr_not_equal(span, MAP_FAILED);
    assert_int_equal(munmap(span, bytes), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_mapping_outlives_descriptor_and_name),
        cmocka_unit_test(test_fixed_noreplace_replaces_nothing),
        cmocka_unit_test(test_fixed_replaces_exactly_its_range),
        cmocka_unit_test(test_nothing_and_odd_offsets_are_refused),
        cmocka_unit_test(test_access_must_fit_how_the_file_was_opened),
        cmocka_unit_test(test_what_cannot_be_mapped_says_so),
        cmocka_unit_test(test_proc_files_have_size_0_and_content),
        cmocka_unit_test(test_private_map_sees_writes_until_its_own_copy),
        cmocka_unit_test(test_dontneed_forgets_private_stores_and_no_shared_ones),
        cmocka_unit_test(test_advice_that_file_pages_refuse),
        cmocka_unit_test(test_unknown_flags_are_refused_with_validate_only),
        cmocka_unit_test(test_mremap_in_place_needs_room),
        cmocka_unit_test(test_mremap_does_not_stretch_pieces),
        cmocka_unit_test(test_mseal_refuses_what_would_change_the_mapping),
        cmocka_unit_test(test_names_are_for_anonymous_memory),
        cmocka_unit_test(test_reserved_space_is_not_memory),
    };

    return run_test_list(list);
}
