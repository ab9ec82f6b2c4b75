/* SPDX-License-Identifier: MIT */
/* residency - counts and states against what was done to the pages, and the truth where the kernel would not tell
 * it. */
#include "support.h"

#include "child.h"
#include "mapping.h"
#include "maps.h"

#include <linux/magic.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#define PAGES 16
#define SYS_CACHESTAT 451
#define IOCTL_PAGEMAP_SCAN 0xc0606610U

static const char *pattern_file(void)
{
    return support_file("resident", PAGES * verso_page_bytes());
}

static struct verso_map *open_with(unsigned flags)
{
    struct verso_map_options options = options_with(flags);
    struct verso_map *map;

    assert_ok(verso_map_open(pattern_file(), &options, &map));
    return map;
}

static struct verso_map_residency counts_of(struct verso_map *map, uint64_t offset, uint64_t length)
{
    struct verso_map_residency counts = VERSO_MAP_RESIDENCY_INIT;

    assert_ok(verso_map_residency(map, offset, length, &counts));
    return counts;
}

/* A file whose pages can leave memory: on disk, and written there. */
static void evict(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct statfs system;

    assert_true(fd >= 0);
    assert_int_equal(fstatfs(fd, &system), 0);
    if (system.f_type == TMPFS_MAGIC)
        skip_because("tmpfs keeps its pages in memory");
    assert_int_equal(fsync(fd), 0);
    assert_int_equal(verso__os_cache_drop(fd, 0, 0), 0);
    assert_int_equal(close(fd), 0);
}

/* ---- Counts ---------------------------------------------------------------------------------------------------- */

static void test_what_was_just_written_is_cached(void **state)
{
    struct verso_map *map = open_with(0);
    struct verso_map_residency counts = counts_of(map, 0, 0);

    (void)state;
    assert_int_equal(counts.pages, PAGES);
    assert_int_equal(counts.cached, PAGES);
    assert_true(counts.referenced == VERSO_MAP_UNKNOWN); /* not asked for */
    if (strcmp(counts.source, "cachestat") == 0) {
        assert_true(counts.dirty <= PAGES);
        assert_true(counts.writeback <= PAGES);
        assert_string_equal(counts.missing_why, "");
    } else {
        assert_true(*counts.missing_why);
    }
    verso_map_close(map);
}

static void test_pages_leave_and_come(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_with(0);

    (void)state;
    evict(support_path("resident"));
    assert_int_equal(counts_of(map, 0, 0).cached, 0);
    assert_ok(verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_RANDOM));
    assert_ok(verso_map_populate(map, 5 * page, page, 0));
    assert_int_equal(counts_of(map, 5 * page, page).cached, 1);
    assert_int_equal(counts_of(map, 4 * page, 3 * page).cached, 1);
    assert_int_equal(counts_of(map, 0, 5 * page).cached, 0);
    assert_ok(verso_map_populate(map, 0, 0, 0));
    assert_int_equal(counts_of(map, 0, 0).cached, PAGES);
    verso_map_close(map);
}

static void test_stores_are_dirty_until_synced(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_with(VERSO_MAP_WRITE | VERSO_MAP_KEEP_FD);
    struct verso_map_residency counts;

    (void)state;
    evict(support_path("resident"));
    counts = counts_of(map, 0, 0);
    if (counts.dirty == VERSO_MAP_UNKNOWN)
        skip_because("%s", counts.missing_why);
    assert_int_equal(counts.dirty, 0);
    ((unsigned char *)verso_map_data(map))[3 * page] = 1;
    assert_true(counts_of(map, 3 * page, page).dirty + counts_of(map, 3 * page, page).writeback >= 1);
    assert_ok(verso_map_sync(map, 0, 0, VERSO_MAP_SYNC_DATA));
    counts = counts_of(map, 0, 0);
    assert_int_equal(counts.dirty + counts.writeback, 0);
    verso_map_close(map);
}

static void test_ranges(void **state)
{
    size_t page = verso_page_bytes(), bytes = PAGES * page;
    struct verso_map *map = open_with(0);
    struct verso_map_residency counts = VERSO_MAP_RESIDENCY_INIT;

    (void)state;
    assert_int_equal(counts_of(map, 0, 1).pages, 1);
    assert_int_equal(counts_of(map, page - 1, 2).pages, 2);
    assert_int_equal(counts_of(map, page, page).pages, 1);
    assert_int_equal(counts_of(map, page, page + 1).pages, 2);
    assert_int_equal(counts_of(map, bytes, 0).pages, 0);
    assert_int_equal(counts_of(map, bytes, 0).cached, 0);
    assert_fails_in(verso_map_residency(map, bytes + 1, 0, &counts), VERSO_E_RANGE, "range");
    assert_fails(verso_map_residency(map, 1, bytes, &counts), VERSO_E_RANGE);
    assert_int_equal(counts.pages, 0); /* untouched */
    counts.flags = 2;
    assert_fails(verso_map_residency(map, 0, 0, &counts), VERSO_E_OPTIONS);
    counts.struct_bytes = 0;
    assert_fails_in(verso_map_residency(map, 0, 0, &counts), VERSO_E_OPTIONS, "residency");
    verso_map_close(map);
}

static void test_a_part_of_a_file(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = options_of(0, 3 * page + 1, 2 * page);
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(pattern_file(), &options, &map));
    assert_int_equal(counts_of(map, 0, 0).pages, 3);
    assert_int_equal(counts_of(map, 0, 0).cached, 3);
    verso_map_close(map);
}

static void test_referenced_when_asked_for(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_with(VERSO_MAP_PRIVATE);
    struct verso_map_residency counts = VERSO_MAP_RESIDENCY_INIT;
    unsigned char *data = verso_map_data(map);

    (void)state;
    for (size_t i = 0; i < 5; i++)
        data[i * page] = 1;
    counts.flags = VERSO_MAP_RESIDENCY_REFERENCED;
    assert_ok(verso_map_residency(map, 0, 0, &counts));
    assert_true(counts.referenced >= 5 && counts.referenced <= PAGES);
    assert_int_equal(counts.referenced, mapping_at(data).memory.referenced / page);
    assert_ok(verso_map_residency(map, 0, page, &counts));
    assert_true(counts.referenced == VERSO_MAP_UNKNOWN);
    assert_non_null(strstr(counts.missing_why, "whole"));
    verso_map_close(map);
}

static void test_an_empty_map(void **state)
{
    struct verso_map_residency counts;
    struct verso_map *map;
    size_t count = 7;

    (void)state;
    assert_ok(verso_map_open(support_file("empty", 0), NULL, &map));
    counts = counts_of(map, 0, 0);
    assert_int_equal(counts.pages + counts.cached + counts.dirty + counts.evicted + counts.writeback, 0);
    assert_ok(verso_map_residency_pages(map, 0, 0, NULL, 0, &count));
    assert_int_equal(count, 0);
    verso_map_close(map);
}

/* ---- Maps that are not the file itself --------------------------------------------------------------------------- */

static void test_copies(void **state)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map_residency counts;
    struct verso_map *map;

    (void)state;
    options.stability = VERSO_MAP_COPY;
    assert_ok(verso_map_open(pattern_file(), &options, &map));
    counts = counts_of(map, 0, 0);
    assert_string_equal(counts.source,
                        "mincore"); /* the copy's own descriptor was not kept, and its file is not asked */
    assert_int_equal(counts.cached, PAGES);
    assert_true(counts.dirty == VERSO_MAP_UNKNOWN);
    assert_non_null(strstr(counts.missing_why, "KEEP_FD"));
    verso_map_close(map);
    options.flags = VERSO_MAP_KEEP_FD;
    assert_ok(verso_map_open(pattern_file(), &options, &map));
    assert_int_equal(counts_of(map, 0, 0).cached, PAGES);
    verso_map_close(map);
}

static void test_what_was_read_in(void **state)
{
    struct verso_map_residency counts;
    struct verso_map *map;
    unsigned char states[4];
    size_t count;

    (void)state;
    assert_ok(verso_map_open("/proc/self/status", NULL, &map));
    counts = counts_of(map, 0, 0);
    assert_int_equal(counts.cached, counts.pages);
    assert_string_equal(counts.source, "mincore");
    assert_true(counts.dirty == VERSO_MAP_UNKNOWN && *counts.missing_why);
    assert_ok(verso_map_residency_pages(map, 0, 1, states, 4, &count));
    assert_int_equal(count, 1);
    assert_int_equal(states[0], VERSO_MAP_PAGE_CACHED | VERSO_MAP_PAGE_MAPPED | VERSO_MAP_PAGE_PRIVATE);
    verso_map_close(map);
}

/* ---- Page by page ------------------------------------------------------------------------------------------------ */

static void check_states(unsigned char *states)
{
    size_t page = verso_page_bytes(), count;
    struct verso_map *map = open_with(VERSO_MAP_PRIVATE);
    unsigned char *data = verso_map_data(map);

    assert_ok(verso_map_residency_pages(map, 0, 0, states, PAGES, &count));
    assert_int_equal(count, PAGES);
    for (size_t i = 0; i < PAGES; i++)
        assert_int_equal(states[i], VERSO_MAP_PAGE_CACHED); /* written by others, not yet mapped here */
    data[2 * page]++;
    assert_int_equal(data[9 * page], support_byte(9 * page));
    assert_ok(verso_map_residency_pages(map, 0, 0, states, PAGES, &count));
    assert_int_equal(states[2], VERSO_MAP_PAGE_CACHED | VERSO_MAP_PAGE_MAPPED | VERSO_MAP_PAGE_PRIVATE);
    assert_int_equal(states[9] & ~VERSO_MAP_PAGE_HUGE, VERSO_MAP_PAGE_CACHED | VERSO_MAP_PAGE_MAPPED);
    assert_ok(verso_map_residency_pages(map, 2 * page, 1, states, 1, &count));
    assert_int_equal(count, 1);
    assert_true(states[0] & VERSO_MAP_PAGE_PRIVATE);
    verso_map_close(map);
}

static void test_states_of_pages(void **state)
{
    unsigned char states[PAGES];

    (void)state;
    check_states(states);
}

static int check_states_by_entries(void *arg)
{
    unsigned char states[PAGES];

    (void)arg;
    if (!old_kernel_without(SYS_ioctl, 1, IOCTL_PAGEMAP_SCAN, IOCTL_PAGEMAP_SCAN, ENOTTY))
        return CHILD_SKIPS;
    check_states(states);
    return 0;
}

static void test_states_before_pagemap_scan(void **state)
{
    (void)state;
    assert_child_ok(check_states_by_entries, NULL);
}

static void test_too_little_room(void **state)
{
    struct verso_map *map = open_with(0);
    unsigned char states[PAGES];
    size_t count = 99;

    (void)state;
    memset(states, 0xee, sizeof(states));
    assert_fails_in(verso_map_residency_pages(map, 0, 0, states, PAGES - 1, &count), VERSO_E_RANGE, "residency");
    assert_hint("room");
    assert_int_equal(count, 99);
    assert_int_equal(states[0], 0xee);
    assert_fails_in(verso_map_residency_pages(map, 0, UINT64_MAX, states, PAGES, &count), VERSO_E_RANGE, "range");
    verso_map_close(map);
}

/* ---- What the kernel does not tell ------------------------------------------------------------------------------- */

static int ask_without_cachestat(void *arg)
{
    struct verso_map_residency counts = VERSO_MAP_RESIDENCY_INIT;

    if (!old_kernel_without(SYS_CACHESTAT, 0, 0, UINT32_MAX, ENOSYS))
        return CHILD_SKIPS;
    child_assert(verso_map_residency(arg, 0, 0, &counts) == 0);
    child_assert(strcmp(counts.source, "mincore") == 0);
    child_assert(counts.cached == PAGES);
    child_assert(counts.dirty == VERSO_MAP_UNKNOWN && counts.evicted == VERSO_MAP_UNKNOWN);
    child_assert(strstr(counts.missing_why, "cachestat"));
    return 0;
}

static void test_before_cachestat(void **state)
{
    struct verso_map *map = open_with(0);

    (void)state;
    assert_child_ok(ask_without_cachestat, map);
    verso_map_close(map);
}

static int ask_as_a_stranger(void *arg)
{
    struct verso_map_residency counts = VERSO_MAP_RESIDENCY_INIT;
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    unsigned char states[PAGES];
    struct verso_map *map;
    size_t count;

    child_assert(chmod(support_directory(), 0755) == 0 && chmod(arg, 0644) == 0);
    child_assert(setgid(65534) == 0 && setuid(65534) == 0);
    child_assert(prctl(PR_SET_DUMPABLE, 1) == 0); /* else /proc/self stays root's */
    options.flags = VERSO_MAP_KEEP_FD;
    child_assert(verso_map_open(arg, &options, &map) == 0);
    child_assert(verso_map_residency(map, 0, 0, &counts) == 0);
    if (counts.cached != VERSO_MAP_UNKNOWN) /* cachestat came before its permission check */
        child_assert(strcmp(counts.source, "cachestat") == 0 && counts.cached == 0);
    else
        child_assert(*counts.missing_why);
    child_assert(verso_map_residency_pages(map, 0, 0, states, PAGES, &count) == 0);
    for (size_t i = 0; i < PAGES; i++)
        child_assert(states[i] == VERSO_MAP_PAGE_UNKNOWN);
    child_assert(verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_RANDOM) == 0);
    child_assert(verso_map_populate(map, 0, 1, 0) == 0);
    child_assert(verso_map_residency_pages(map, 0, 1, states, PAGES, &count) == 0);
    child_assert((states[0] & (VERSO_MAP_PAGE_CACHED | VERSO_MAP_PAGE_MAPPED | VERSO_MAP_PAGE_UNKNOWN)) ==
                 (VERSO_MAP_PAGE_CACHED | VERSO_MAP_PAGE_MAPPED)); /* what is mapped proves itself */
    verso_map_close(map);
    return 0;
}

static void test_never_all_for_a_file_of_others(void **state)
{
    const char *path = pattern_file();

    (void)state;
    if (!support_is_root())
        skip_because("only root can become somebody else");
    evict(path);
    assert_child_ok(ask_as_a_stranger, (void *)(uintptr_t)path);
}

static void test_a_file_that_cannot_be_found_again(void **state)
{
    struct verso_map *map = open_with(0);
    struct verso_map_residency counts;

    (void)state;
    assert_int_equal(unlink(support_path("resident")), 0);
    counts = counts_of(map, 0, 0);
    assert_true(counts.cached == VERSO_MAP_UNKNOWN);
    assert_non_null(strstr(counts.missing_why, "mincore"));
    verso_map_close(map);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_what_was_just_written_is_cached),
        cmocka_unit_test(test_pages_leave_and_come),
        cmocka_unit_test(test_stores_are_dirty_until_synced),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_a_part_of_a_file),
        cmocka_unit_test(test_referenced_when_asked_for),
        cmocka_unit_test(test_an_empty_map),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_what_was_read_in),
        cmocka_unit_test(test_states_of_pages),
        cmocka_unit_test(test_states_before_pagemap_scan),
        cmocka_unit_test(test_too_little_room),
        cmocka_unit_test(test_before_cachestat),
        cmocka_unit_test(test_never_all_for_a_file_of_others),
        cmocka_unit_test(test_a_file_that_cannot_be_found_again),
    };

    return run_test_list(list);
}
