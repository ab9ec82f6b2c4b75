/* SPDX-License-Identifier: MIT */
/*
 * observer - watching does not change what is watched: after two seconds of it no page is active or referenced that was
 * not, none has come, and none is held. (Pages may go at any time without our doing.)
 *
 * The file is brought in by readahead alone, so that at first no page was ever used: any use would show.
 */
#include "command.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>
#include <verso/base.h>

#define PAGES 2048u
#define ACTIVE 6
#define REFERENCED 2

static size_t cached_count(int fd)
{
    static unsigned char cached[PAGES];
    size_t page = verso_page_bytes(), count = 0;
    void *data = mmap(NULL, PAGES * page, PROT_NONE, MAP_SHARED, fd, 0);

    assert_true(data != MAP_FAILED);
    assert_int_equal(mincore(data, PAGES * page, cached), 0);
    assert_int_equal(munmap(data, PAGES * page), 0);
    for (size_t i = 0; i < PAGES; i++)
        count += cached[i] & 1;
    return count;
}

/* Waits until readahead has brought the file in. False when it does not, on a busy machine or for want of memory. */
static bool bring_in(int fd)
{
    assert_int_equal(fsync(fd), 0);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    for (int i = 0; i < 500; i++) {
        if (i % 100 == 0) /* at most what the device reads ahead is taken at once */
            for (off_t at = 0; at < (off_t)(PAGES * verso_page_bytes()); at += 131072)
                (void)posix_fadvise(fd, at, 131072, POSIX_FADV_WILLNEED);
        if (cached_count(fd) == PAGES)
            return true;
        (void)poll(NULL, 0, 10);
    }
    return false;
}

/* How many of the told frames have a flag, by our own reading of /proc/kpageflags. */
static size_t flagged(const json_t *object, unsigned bit)
{
    const json_t *runs = list_field(object, "frames");
    int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    size_t count = 0;

    assert_true(fd >= 0);
    for (size_t i = 0; i < json_array_size(runs); i++)
        for (uint64_t at = 0; at < field(json_array_get(runs, i), "page_count"); at++) {
            uint64_t flags, frame = field(json_array_get(runs, i), "pfn") + at;

            assert_int_equal(pread(fd, &flags, 8, (off_t)(frame * 8)), 8);
            count += flags >> bit & 1;
        }
    close(fd);
    return count;
}

/*
 * A viewer that disturbed would mark every page it looked at, and it looks at all. A few pages may be marked by the
 * machine: what is reclaimed and comes back soon is taken for active.
 */
#define OTHERS_DOING (PAGES / 8)

static void test_watching_leaves_no_trace(void **state)
{
    const char *path = support_file("still", PAGES * verso_page_bytes());
    const char *const once[] = { "--once", path, NULL };
    const char *const often[] = { "watch", "--for", "2", "--interval", "0.05", "--json", path, NULL };
    int fd = open(path, O_RDONLY | O_CLOEXEC), code;
    size_t active, referenced;
    json_t *object;

    (void)state;
    assert_true(fd >= 0);
    if (!support_is_root())
        skip_because("needs root: only root may see the kernel's flags of frames");
    if (!bring_in(fd))
        skip_because("readahead did not bring all of a file of %u pages in (a file system without it, or no memory)",
                     PAGES);
    free(command_run(NULL, 0, often, &code));
    assert_int_equal(code, 0);
    object = watch_json(0, once);
    active = flagged(object, ACTIVE);
    referenced = flagged(object, REFERENCED);
    if (json_array_size(list_field(object, "frames")) == 0) {
        json_decref(object);
        skip_because("the system took all pages back meanwhile");
    }
    json_decref(object);
    assert_true(active < OTHERS_DOING);
    assert_true(referenced < OTHERS_DOING);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    assert_int_equal(cached_count(fd), 0); /* nothing holds them */
    close(fd);
}

/* Of pages in the cache and pages out of it side by side, only the former are touched: a look never reads a page in. */
static void test_watching_brings_nothing_in(void **state)
{
    const char *path = support_file("holed", PAGES * verso_page_bytes());
    const char *const often[] = { "watch", "--for", "1", "--interval", "0.05", path, NULL };
    int fd = open(path, O_RDONLY | O_CLOEXEC), code;
    size_t before;
    char byte;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(fsync(fd), 0);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* no readahead: pages come one by one */
    for (off_t page = 0; page < PAGES; page += 100)
        assert_int_equal(pread(fd, &byte, 1, page * (off_t)verso_page_bytes()), 1);
    before = cached_count(fd);
    if (before == PAGES)
        skip_because("this file system's pages can't be dropped");
    free(command_run(NULL, 0, often, &code));
    assert_int_equal(code, 0);
    assert_true(cached_count(fd) <= before);
    close(fd);
}

int main(int count, char **arguments)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_watching_leaves_no_trace),
        cmocka_unit_test(test_watching_brings_nothing_in),
    };

    command_find(count, arguments);
    return run_test_list(list);
}
