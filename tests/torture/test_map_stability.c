/* SPDX-License-Identifier: MIT */
/* map stability - the rungs, and what keeps or restores content, with every call beneath failing in turn. */
#include "map_steps.h"

#include <verso/guard.h>

/* Whatever rung is got in the end, it is the one asked for or a higher one, and the content is right. */
static struct verso_map *opened_on(unsigned stability, unsigned flags)
{
    struct verso_map_options options = with(flags);
    struct verso_map *map;

    options.stability = stability;
    map = opened(support_file("file", FILE_BYTES), &options);
    assert_true(info_of(map).stability >= stability);
    assert_pattern(map, 0, FILE_BYTES);
    return map;
}

static void copy(void)
{
    verso_map_close(opened_on(VERSO_MAP_COPY, 0));
}
TORTURE(copy)

static void copy_on_huge_pages(void)
{
    verso_map_close(opened_on(VERSO_MAP_COPY, VERSO_MAP_HUGE | VERSO_MAP_PRIVATE));
}
TORTURE(copy_on_huge_pages)

static void copy_in_small_pieces(void)
{
    fake_short_transfers(33333);
    verso_map_close(opened_on(VERSO_MAP_COPY, 0));
    fake_short_transfers(0);
}
TORTURE(copy_in_small_pieces)

static void snapshot(void)
{
    verso_map_close(opened_on(VERSO_MAP_SNAPSHOT, VERSO_MAP_KEEP_FD));
}
TORTURE(snapshot)

static void guarded(void)
{
    attempt(verso_guard_install()) continue;
    verso_map_close(opened_on(VERSO_MAP_GUARDED, 0));
    if (verso_guard_remove() < 0)
        assert_true(torture_refusals() > 0);
}
TORTURE(guarded)

static void leased_and_settled(void)
{
    struct verso_map *map = opened_on(VERSO_MAP_LEASED, VERSO_MAP_KEEP_FD);

    /* With the lease's state refused, check says CHANGED or LEASE: it can't know better. */
    for (unsigned failures = fake_failures(), tries = 0;;)
        if (torture_judge(verso_map_check(map), &failures, &tries, "verso_map_check", __FILE__, __LINE__))
            break;
    if (info_of(map).stability == VERSO_MAP_LEASED)
        attempt(verso_map_settle(map)) assert_pattern(map, 0, FILE_BYTES);
    assert_true(info_of(map).stability >= VERSO_MAP_SNAPSHOT);
    assert_pattern(map, 0, FILE_BYTES);
    verso_map_close(map);
}
TORTURE(leased_and_settled)

/* ---- Another range, the file again ---- */

static void remapped(unsigned flags)
{
    struct verso_map *map = opened_file(flags);

    attempt(verso_map_remap(map, 5000, 6000)) assert_pattern(map, 0, FILE_BYTES);
    assert_pattern(map, 5000, 6000);
    attempt(verso_map_remap(map, 100, 0)) assert_pattern(map, 5000, 6000);
    assert_pattern(map, 100, FILE_BYTES - 100);
    attempt(verso_map_remap(map, FILE_BYTES, 0)) assert_pattern(map, 100, FILE_BYTES - 100);
    assert_int_equal(verso_map_bytes(map), 0);
    verso_map_close(map);
}

static void remap_with_a_descriptor(void)
{
    remapped(VERSO_MAP_KEEP_FD);
}
TORTURE(remap_with_a_descriptor)

static void remap_by_name(void)
{
    remapped(VERSO_MAP_WRITE | VERSO_MAP_POPULATE | VERSO_MAP_LOCK);
}
TORTURE(remap_by_name)

static void remap_in_a_span(void)
{
    remapped(VERSO_MAP_WRITE | VERSO_MAP_GROW | VERSO_MAP_HUGE);
}
TORTURE(remap_in_a_span)

/* Torn by a guarded copy, so that nothing need be mended in a signal handler; then the file is whole again. */
static void torn_and_refreshed(void)
{
    static unsigned char data[FILE_BYTES];
    struct verso_map *map;

    attempt(verso_guard_install()) continue;
    map = opened_file(VERSO_MAP_KEEP_FD);
    assert_int_equal(truncate(support_path("file"), 10), 0);
    assert_true(verso_guard_copy(data, verso_map_data(map), FILE_BYTES) < FILE_BYTES);
    assert_fails(verso_map_check(map), VERSO_E_TORN);
    (void)support_file("file", FILE_BYTES);
    attempt(verso_map_refresh(map)) assert_true(info_of(map).torn_count > 0);
    assert_int_equal(info_of(map).torn_offset_bytes, VERSO_OFFSET_NONE);
    assert_pattern(map, 0, FILE_BYTES);
    verso_map_close(map);
    if (verso_guard_remove() < 0)
        assert_true(torture_refusals() > 0);
}
TORTURE(torn_and_refreshed)

/* ---- Looking ---- */

static void residency(void)
{
    struct verso_map *map = opened_file(0);
    struct verso_map_residency counts = VERSO_MAP_RESIDENCY_INIT, untouched;
    size_t page_count = FILE_BYTES / verso_page_bytes() + 1, count = 99;
    unsigned char pages[64];

    untouched = counts;
    attempt(verso_map_residency(map, 0, 0, &counts)) assert_memory_equal(&counts, &untouched, sizeof(counts));
    assert_int_equal(counts.pages, page_count);
    assert_true(counts.cached == page_count || counts.cached == VERSO_MAP_UNKNOWN);
    assert_true(counts.cached != VERSO_MAP_UNKNOWN || *counts.missing_why);
    attempt(verso_map_residency_pages(map, 5000, 5000, pages, sizeof(pages), &count)) assert_int_equal(count, 99);
    assert_true(count >= 1 && count <= page_count);
    verso_map_close(map);
}
TORTURE(residency)

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_copy),
        torture_test(test_copy_on_huge_pages),
        torture_test(test_copy_in_small_pieces),
        torture_test(test_snapshot),
        torture_test(test_guarded),
        torture_test(test_leased_and_settled),
        torture_test(test_remap_with_a_descriptor),
        torture_test(test_remap_by_name),
        torture_test(test_remap_in_a_span),
        torture_test(test_torn_and_refreshed),
        torture_test(test_residency),
    };

    return run_test_list(list);
}
