/* SPDX-License-Identifier: MIT */
/*
 * causes - every way in which a page can't be had, met by each of the three ways to live with it.
 *
 * A file that was cut is in the other tests. Here: a hole on a full disk, storage that fails to read, memory that is
 * broken (as userfaultfd can pretend), and huge pages. In all of these the file is as long as ever; the bad page is one
 * in the middle, and what lies behind it is good.
 */
#include "support.h"

#include <linux/loop.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "mounts.h"
#include "ranges.h"

#define PAGES 8U

/* Newer than Debian 12's headers. */
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON (1 << 14)
struct uffdio_poison {
    struct uffdio_range range;
    uint64_t mode;
    int64_t updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif

static size_t page;
static struct watched file;

static unsigned char at(size_t offset)
{
    return *(volatile unsigned char *)(file.data + offset);
}

static int read_at(void *arg)
{
    return at(*(size_t *)arg);
}

static int write_at(void *arg)
{
    *(volatile unsigned char *)(file.data + *(size_t *)arg) = 1;
    return 0;
}

/* The page at @bad can't be read: each way says so, and substitution leaves the pages around it as they are. */
static void each_way_of_reading(size_t bad)
{
    unsigned char *target = malloc(PAGES * page);
    size_t place = bad + 17;
    uint64_t offset = 0;

    assert_non_null(target);
    assert_int_equal(verso_guard_copy(target, file.data, PAGES * page), bad);
    assert_true(support_matches(target, 0, bad));
    assert_int_equal(file.range.torn_offset_bytes, bad);
    assert_int_equal(verso_guard_count(file.data, 0, PAGES * page).done_bytes, bad);
    assert_int_equal(verso__guard_run(&file.range, read_at, &place, &offset), VERSO_E_TORN);
    assert_true(offset / page == bad / page); /* for broken memory the kernel may name the page only */
    assert_int_equal(file.range.torn_count, 3);
    file.range.substitute = true;
    assert_int_equal(at(place), 0);
    assert_int_equal(file.range.torn_count, 4);
    assert_true(support_matches(file.data, 0, bad));
    assert_true(support_matches(file.data + bad + page, bad + page, (PAGES - 1) * page - bad));
    assert_int_equal(file.range.torn_count, 4);
    free(target);
}

/* ---- A hole on a full disk -------------------------------------------------------------------------------------- */

static void test_a_hole_on_a_full_disk(void **state)
{
    const char *why, *directory;
    char path[4096];
    size_t place;
    uint64_t offset = 0;
    int fd;

    (void)state;
    page = verso__os_page_bytes();
    directory = support_mount_tmpfs(4 * page, &why);
    if (!directory)
        skip_because("%s", why);
    guard_on();
    (void)snprintf(path, sizeof(path), "%s/sparse", directory);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(16 * page)), 0);
    watch_fd(&file, fd, 16 * page, PROT_READ | PROT_WRITE, MAP_SHARED);
    assert_int_equal(verso_guard_fill(file.data, 7, 16 * page), 4 * page); /* the disk has four pages */
    assert_int_equal(file.range.torn_offset_bytes, 4 * page);
    assert_int_equal(verso_guard_copy(file.data + 4 * page - 5, file.data, 100), 5);
    place = 9 * page + 1;
    assert_int_equal(verso__guard_run(&file.range, write_at, &place, &offset), VERSO_E_TORN);
    assert_int_equal(offset, place);
    assert_int_equal(file.range.torn_count, 3);
    file.range.substitute = true;
    write_at(&place); /* into zeros that reach no disk */
    assert_int_equal(at(place), 1);
    assert_int_equal(file.range.torn_count, 4);
    assert_int_equal(file.range.torn_offset_bytes, 4 * page);
    unwatch(&file);
    support_unmount(directory);
    guard_off();
}

/* ---- Storage that fails ----------------------------------------------------------------------------------------- */

/* A block device on @image; -1 with the reason where there can be none. */
static int loop_device(int image, const char **out_why)
{
    struct loop_config config = { .fd = (unsigned)image };
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
    char name[32];
    int device;

    *out_why = "no loop devices here, or no right to use them";
    if (control < 0)
        return -1;
    (void)snprintf(name, sizeof(name), "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
    assert_int_equal(close(control), 0);
    device = open(name, O_RDWR | O_CLOEXEC);
    if (device < 0)
        return -1;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (ioctl(device, LOOP_CONFIGURE, &config) == 0)
        return device;
    assert_int_equal(close(device), 0);
    return -1;
}

/* A disk whose platter ends in the middle: the device is as large as ever, reading behind that is an I/O error. */
static void test_storage_that_can_not_be_read(void **state)
{
    const char *why;
    int image, device;

    (void)state;
    page = verso__os_page_bytes();
    image = open(support_file("image", PAGES * page), O_RDWR | O_CLOEXEC);
    assert_true(image >= 0);
    device = loop_device(image, &why);
    if (device < 0) {
        assert_int_equal(close(image), 0);
        skip_because("%s", why);
    }
    guard_on();
    watch_fd(&file, device, PAGES * page, PROT_READ, MAP_SHARED);
    assert_int_equal(madvise(file.data, file.bytes, MADV_RANDOM), 0); /* no page before it is asked for */
    for (size_t i = 0; i < PAGES; i++)                                /* all pages but one are cached */
        if (i != 5)
            assert_true(support_matches(file.data + i * page, i * page, page));
    assert_int_equal(ftruncate(image, (off_t)(5 * page)), 0);
    each_way_of_reading(5 * page);
    unwatch(&file);
    assert_int_equal(close(image), 0);
    guard_off();
}

/* ---- Broken memory ---------------------------------------------------------------------------------------------- */

/* A userfaultfd over the watched memory, with a feature; -1 where the kernel has none. */
static int user_faults(uint64_t feature)
{
    struct uffdio_api api = { .api = UFFD_API, .features = feature };
    struct uffdio_register registration = { .mode = UFFDIO_REGISTER_MODE_MISSING };
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);

    registration.range.start = (uintptr_t)file.data;
    registration.range.len = file.bytes;
    if (fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0 && ioctl(fd, UFFDIO_REGISTER, &registration) == 0)
        return fd;
    if (fd >= 0)
        assert_int_equal(close(fd), 0);
    return -1;
}

/* A file in memory with its pattern, but for one page that was never written. */
static void watch_memory_without(size_t hole)
{
    int fd = memfd_create("memory", MFD_CLOEXEC);
    unsigned char *block = malloc(page);

    assert_true(fd >= 0 && block);
    assert_int_equal(ftruncate(fd, (off_t)(PAGES * page)), 0);
    for (size_t i = 0; i < PAGES; i++) {
        for (size_t k = 0; k < page; k++)
            block[k] = support_byte(i * page + k);
        if (i * page != hole)
            assert_int_equal(pwrite(fd, block, page, (off_t)(i * page)), page);
    }
    free(block);
    watch_fd(&file, fd, PAGES * page, PROT_READ | PROT_WRITE, MAP_SHARED);
}

static void test_poisoned_memory(void **state)
{
    struct uffdio_poison poison = { 0 };
    int faults;

    (void)state;
    page = verso__os_page_bytes();
    guard_on();
    watch_memory_without(3 * page);
    faults = user_faults(UFFD_FEATURE_POISON);
    poison.range.start = (uintptr_t)file.data + 3 * page;
    poison.range.len = page;
    if (faults < 0 || ioctl(faults, UFFDIO_POISON, &poison) < 0) {
        unwatch(&file);
        guard_off();
        skip_because("no userfaultfd with poison here (Linux 6.6, vm.unprivileged_userfaultfd or /dev/userfaultfd)");
    }
    each_way_of_reading(3 * page);
    unwatch(&file);
    assert_int_equal(close(faults), 0);
    guard_off();
}

static void test_pages_that_nobody_brings(void **state)
{
    int faults;

    (void)state;
    page = verso__os_page_bytes();
    guard_on();
    watch_memory_without(2 * page);
    faults = user_faults(UFFD_FEATURE_SIGBUS);
    if (faults < 0) {
        unwatch(&file);
        guard_off();
        skip_because("no userfaultfd here");
    }
    each_way_of_reading(2 * page);
    unwatch(&file);
    assert_int_equal(close(faults), 0);
    guard_off();
}

/* ---- Huge pages ------------------------------------------------------------------------------------------------- */

static void test_huge_pages_go_whole(void **state)
{
    size_t huge = verso__os_huge_page_bytes();
    int fd = huge ? memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB) : -1;
    unsigned char target[16];
    void *data;

    (void)state;
    if (fd < 0)
        skip_because("no huge pages on this machine");
    assert_int_equal(ftruncate(fd, (off_t)(2 * huge)), 0);
    data = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED) {
        assert_int_equal(close(fd), 0);
        skip_because("the pool of huge pages is empty (vm.nr_hugepages)");
    }
    assert_int_equal(munmap(data, 2 * huge), 0);
    guard_on();
    watch_fd(&file, fd, 2 * huge, PROT_READ | PROT_WRITE, MAP_SHARED);
    verso__guard_range_drop(&file.range);
    file.range.granule_bytes = huge;
    assert_int_equal(verso__guard_range_add(&file.range), 0);
    assert_int_equal(verso_guard_fill(file.data, 5, 2 * huge), 2 * huge);
    cut(&file, huge);
    assert_int_equal(verso_guard_copy(target, file.data + huge - 3, sizeof(target)), 3);
    file.range.substitute = true;
    assert_int_equal(at(huge + 12345), 0);
    assert_int_equal(at(huge - 1), 5);
    assert_int_equal(file.range.torn_offset_bytes, huge);
    assert_int_equal(file.range.torn_count, 2);
    unwatch(&file);
    guard_off();
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_hole_on_a_full_disk), cmocka_unit_test(test_storage_that_can_not_be_read),
        cmocka_unit_test(test_poisoned_memory),       cmocka_unit_test(test_pages_that_nobody_brings),
        cmocka_unit_test(test_huge_pages_go_whole),
    };

    return run_test_list(list);
}
