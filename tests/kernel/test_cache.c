/* SPDX-License-Identifier: MIT */
/* cache - what is in memory, what is dirty, who may know, and what drops it. */
#include "kernel_facts.h"

#include "os/os.h"

#include <sys/prctl.h>

#define PAGES 16

/* Counts of a file, or a skip. */
static struct verso__cachestat counts_of(int fd)
{
    struct verso__cachestat counts;

    if (!cache_counts(fd, &counts))
        skip_because("this kernel has no cachestat: %s", strerror(errno));
    return counts;
}

/* All pages clean, the first @dirty of them then stored to through @out_data. */
static int dirty_file(size_t dirty, unsigned char **out_data)
{
    int fd = file_of_pages("f", PAGES);

    *out_data = mapped_shared(fd, PAGES);
    for (size_t i = 0; i < dirty; i++)
        (*out_data)[i * page_bytes()] = 1;
    return fd;
}

static void let_go(int fd, unsigned char *data)
{
    assert_int_equal(munmap(data, PAGES * page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

/* include/verso/map.h of verso_map_sync(): why START is sync_file_range. */
static void test_ms_async_begins_nothing(void **state)
{
    struct verso__cachestat counts;
    unsigned char *data;
    int fd = dirty_file(PAGES / 2, &data);

    (void)state;
    counts = counts_of(fd);
    if (counts.nr_dirty == 0)
        skip_because("this file system has no dirty pages to tell of");
    /* Stores are seen at once, not only at msync; and by folio: where it is large, its other pages count, too. */
    assert_true(counts.nr_dirty >= PAGES / 2);
    assert_int_equal(counts.nr_cache, PAGES);
    assert_int_equal(msync(data, PAGES * page_bytes(), MS_ASYNC), 0);
    assert_int_equal(counts_of(fd).nr_dirty, counts.nr_dirty);
    counts = counts_of(fd);
    assert_int_equal(counts.nr_writeback, 0);
    let_go(fd, data);
}

static void test_sync_file_range_begins(void **state)
{
    unsigned char *data;
    int fd = dirty_file(PAGES, &data);

    (void)state;
    if (counts_of(fd).nr_dirty == 0)
        skip_because("this file system has no dirty pages to tell of");
    assert_int_equal(sync_file_range(fd, 0, (off_t)page_bytes(), SYNC_FILE_RANGE_WRITE), 0);
    assert_true(counts_of(fd).nr_dirty < PAGES); /* on their way, or there already */
    assert_int_equal(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE), 0);
    assert_int_equal(counts_of(fd).nr_dirty, 0);
    let_go(fd, data);
}

static void test_fdatasync_covers_stores_through_a_map(void **state)
{
    unsigned char *data;
    int fd = dirty_file(PAGES, &data);

    (void)state;
    assert_int_equal(fdatasync(fd), 0);
    assert_int_equal(counts_of(fd).nr_dirty, 0);
    assert_int_equal(counts_of(fd).nr_writeback, 0);
    let_go(fd, data);
}

/* A private store is nobody's dirty file page. */
static void test_private_stores_do_not_dirty_the_file(void **state)
{
    int fd = file_of_pages("f", PAGES);
    unsigned char *data = mapped(fd, PAGES * page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE);

    (void)state;
    data[0] = 1;
    assert_int_equal(counts_of(fd).nr_dirty, 0);
    let_go(fd, data);
}

static size_t resident_pages(void *data)
{
    unsigned char pages[PAGES];
    size_t count = 0;

    assert_int_equal(mincore(data, PAGES * page_bytes(), pages), 0);
    for (size_t i = 0; i < PAGES; i++)
        count += pages[i] & 1;
    return count;
}

/* Empty the file's cache; false where it can't be (tmpfs). */
static bool dropped(int fd)
{
    struct verso__cachestat counts;

    assert_int_equal(fsync(fd), 0);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    return !cache_counts(fd, &counts) || counts.nr_cache == 0;
}

/* inspect: a map that nobody touched tells of the page cache. */
static void test_mincore_sees_the_cache_through_an_untouched_map(void **state)
{
    int fd = file_of_pages("f", PAGES);
    unsigned char *data = mapped_shared(fd, PAGES);

    (void)state;
    assert_int_equal(resident_pages(data), PAGES);
    if (!dropped(fd))
        skip_because("this file system lives in memory");
    assert_int_equal(resident_pages(data), 0);
    let_go(fd, data);
}

/* `verso cache --evict` says how much went, not how much was asked. */
static void test_fadvise_drops_neither_mapped_nor_dirty_pages(void **state)
{
    size_t page = page_bytes();
    unsigned char *data;
    int fd = dirty_file(0, &data);

    (void)state;
    if (!dropped(fd))
        skip_because("this file system lives in memory");
    assert_int_equal(madvise(data, PAGES * page, MADV_RANDOM), 0); /* bring in single pages */
    *(volatile unsigned char *)data;
    assert_int_equal(pwrite(fd, "x", 1, (off_t)(8 * page)), 1);
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    assert_true(counts_of(fd).nr_cache >= 1); /* the mapped one; the dirty one may have been written and dropped */
    assert_int_equal(madvise(data, page, MADV_DONTNEED), 0);
    assert_true(dropped(fd));
    let_go(fd, data);
}

/* struct verso_map_residency: evicted is what reclaim took, not what was dropped on request. */
static void test_evicted_counts_reclaim_and_not_dropping(void **state)
{
    size_t bytes = PAGES * page_bytes();
    unsigned char *data;
    int fd = dirty_file(0, &data);

    (void)state;
    if (!dropped(fd))
        skip_because("this file system lives in memory");
    assert_int_equal(counts_of(fd).nr_evicted, 0);
    assert_true(support_matches(data, 0, bytes));
    if (madvise(data, bytes, MADV_PAGEOUT) < 0)
        skip_because("no MADV_PAGEOUT here: %s", strerror(errno));
    if (counts_of(fd).nr_cache == PAGES)
        skip_because("the kernel reclaimed none of the pages (it may decline)");
    assert_true(counts_of(fd).nr_evicted > 0);
    let_go(fd, data);
}

/* verso__os_residency_is_honest(). In a child that is an ordinary user; @arg: an empty page cache of root's file. */
static int ask_as_nobody(void *arg)
{
    const char *path = arg;
    struct verso__cachestat counts;
    unsigned char *data;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || !become_nobody())
        return 1;
    data = mapped(fd, PAGES * page_bytes(), PROT_READ, MAP_SHARED);
    if (resident_pages(data) != PAGES) /* "all": not the truth */
        return 2;
    if (verso__os_residency_is_honest(fd))
        return 3;
    if (!cache_counts(fd, &counts) && errno != EPERM && errno != ENOSYS)
        return 4;
    return 0;
}

static void test_strangers_are_told_that_all_is_cached(void **state)
{
    const char *path;
    int fd;

    (void)state;
    if (!support_is_root())
        skip_because("needs root, to become somebody else");
    fd = file_of_pages("f", PAGES);
    path = support_path("f");
    assert_int_equal(fchmod(fd, 0644), 0);
    if (!dropped(fd))
        skip_because("this file system lives in memory");
    assert_int_equal(support_child(ask_as_nobody, (void *)(uintptr_t)path), 0);
    assert_int_equal(fchmod(fd, 0666), 0); /* who may write is told the truth */
    assert_true(dropped(fd));
    assert_int_equal(support_child(ask_as_nobody, (void *)(uintptr_t)path), 2 << 8);
    assert_int_equal(close(fd), 0);
}

/* ---- Looking, and what it does to what is looked at ---- */

#define KPF_ACTIVE 6

/* How many frames of a mapping are on the active list: by pagemap and kpageflags, as root. -1: can't be known. */
static int active_frames(unsigned char *data)
{
    int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    int flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    int active = pagemap < 0 || flags < 0 ? -1 : 0;

    for (size_t i = 0; active >= 0 && i < PAGES; i++) {
        off_t index = (off_t)((uintptr_t)data / page_bytes() + i);
        uint64_t entry, state;

        if (pread(pagemap, &entry, 8, index * 8) != 8 || (entry & ((UINT64_C(1) << 55) - 1)) == 0 ||
            pread(flags, &state, 8, (off_t)(entry & ((UINT64_C(1) << 55) - 1)) * 8) != 8)
            active = -1;
        else
            active += (int)((state >> KPF_ACTIVE) & 1);
    }
    if (pagemap >= 0)
        (void)close(pagemap);
    if (flags >= 0)
        (void)close(flags);
    return active;
}

static void touch_all(volatile unsigned char *data)
{
    for (size_t i = 0; i < PAGES; i++)
        data[i * page_bytes()];
}

/* Maps the file with @advice, touches it, unmaps, and says how many frames were made active by that. */
static int activated_by(int fd, int advice)
{
    size_t bytes = PAGES * page_bytes();
    unsigned char *data;
    int active;

    for (int pass = 0; pass < 3; pass++) {
        data = mapped(fd, bytes, PROT_READ, MAP_SHARED);
        assert_int_equal(madvise(data, bytes, advice), 0);
        touch_all(data);
        assert_int_equal(munmap(data, bytes), 0);
    }
    data = mapped(fd, bytes, PROT_READ, MAP_SHARED);
    assert_int_equal(madvise(data, bytes, MADV_RANDOM), 0);
    touch_all(data);
    /* Activation waits in a list of each processor. Failing to drop mapped pages empties those. */
    assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    active = active_frames(data);
    assert_int_equal(munmap(data, bytes), 0);
    return active;
}

/* `verso watch` maps with MADV_RANDOM, or it would protect from reclaim what it shows. */
static void test_random_maps_do_not_make_pages_active(void **state)
{
    int fd = file_of_pages("f", PAGES), active;

    (void)state;
    assert_true(dropped(fd) || true);
    active = activated_by(fd, MADV_RANDOM);
    if (active < 0)
        skip_because("needs root: frame numbers and /proc/kpageflags");
    assert_int_equal(active, 0);
    assert_true(activated_by(fd, MADV_NORMAL) > 0);
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_ms_async_begins_nothing),
        cmocka_unit_test(test_sync_file_range_begins),
        cmocka_unit_test(test_fdatasync_covers_stores_through_a_map),
        cmocka_unit_test(test_private_stores_do_not_dirty_the_file),
        cmocka_unit_test(test_mincore_sees_the_cache_through_an_untouched_map),
        cmocka_unit_test(test_fadvise_drops_neither_mapped_nor_dirty_pages),
        cmocka_unit_test(test_evicted_counts_reclaim_and_not_dropping),
        cmocka_unit_test(test_strangers_are_told_that_all_is_cached),
        cmocka_unit_test(test_random_maps_do_not_make_pages_active),
    };

    return run_test_list(list);
}
