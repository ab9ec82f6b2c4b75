/* SPDX-License-Identifier: MIT */
/* map care - rungs, settling, refreshing, remapping, residency, with every call beneath them failing in turn. */
#include "map_steps.h"

#include "mounts.h"

#define PAGES ((size_t)25) /* of FILE_BYTES, where pages are 4 KiB; more room than larger ones need */

/* ---- Rungs: a refusal is climbed over, or open fails whole ------------------------------------------------------ */

static struct verso_map *opened_on(const char *path, enum verso_map_stability asked, unsigned flags)
{
    struct verso_map_options options = with(flags);

    options.stability = asked;
    return opened(path, &options);
}

static void on_rung(enum verso_map_stability asked, unsigned flags)
{
    struct verso_map *map = opened_on(support_file("file", FILE_BYTES), asked, flags);

    assert_true(info_of(map).stability >= asked);
    assert_int_equal(info_of(map).stability == asked, *info_of(map).stability_why == '\0');
    assert_pattern(map, 0, FILE_BYTES);
    verso_map_close(map);
}

static void guarded_without_a_guard(void)
{
    on_rung(VERSO_MAP_GUARDED, 0);
}
TORTURE(guarded_without_a_guard)

static void leased(void)
{
    on_rung(VERSO_MAP_LEASED, VERSO_MAP_KEEP_FD);
}
TORTURE(leased)

static void snapshot(void)
{
    on_rung(VERSO_MAP_SNAPSHOT, 0);
}
TORTURE(snapshot)

static void copy(void)
{
    on_rung(VERSO_MAP_COPY, VERSO_MAP_KEEP_FD);
}
TORTURE(copy)

static void copy_in_huge_pages(void)
{
    on_rung(VERSO_MAP_COPY, VERSO_MAP_HUGE);
}
TORTURE(copy_in_huge_pages)

static void copy_by_descriptor(void)
{
    struct verso_map_options options = with(0);
    struct verso_map *map = UNTOUCHED;
    int fd = open(support_file("file", FILE_BYTES), O_RDONLY | O_CLOEXEC);

    options.stability = VERSO_MAP_COPY;
    options.offset_bytes = 5000;
    attempt(verso_map_open_fd(fd, &options, &map)) assert_ptr_equal(map, UNTOUCHED);
    assert_pattern(map, 5000, FILE_BYTES - 5000);
    verso_map_close(map);
    assert_int_equal(close(fd), 0);
}
TORTURE(copy_by_descriptor)

static const char *reflink_directory;

static void snapshot_by_reflink(void)
{
    struct verso_map_options options = with(VERSO_MAP_KEEP_FD);
    struct verso_map *map = UNTOUCHED;
    char path[4200];
    int fd;

    assert_true(snprintf(path, sizeof(path), "%s/file", reflink_directory) > 0);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    options.stability = VERSO_MAP_SNAPSHOT;
    map = opened(path, &options);
    assert_int_equal(pwrite(fd, "y", 1, 0), 1);
    assert_int_equal(*(char *)verso_map_data(map), 'x');
    verso_map_close(map);
    assert_int_equal(close(fd), 0);
}

static void test_snapshot_by_reflink(void **state)
{
    const char *reason;

    (void)state;
    reflink_directory = support_mount_reflink(&reason);
    if (!reflink_directory)
        skip_because("%s", reason);
    torture(snapshot_by_reflink);
    support_unmount(reflink_directory);
}

/* ---- Settling ---------------------------------------------------------------------------------------------------- */

static void settle(unsigned flags)
{
    const char *path = support_file("file", FILE_BYTES);
    struct verso_map *map = opened_on(path, VERSO_MAP_LEASED, flags);

    attempt(verso_map_check(map)) assert_pattern(map, 0, FILE_BYTES);
    if (info_of(map).stability == VERSO_MAP_LEASED) {
        attempt(verso_map_settle(map))
        {
            assert_int_equal(info_of(map).stability, VERSO_MAP_LEASED);
            assert_pattern(map, 0, FILE_BYTES);
        }
        assert_int_equal(info_of(map).stability, VERSO_MAP_COPY);
    }
    assert_int_equal(truncate(path, 0), 0);
    assert_pattern(map, 0, FILE_BYTES);
    verso_map_close(map);
}

static void settle_from_the_file(void)
{
    settle(VERSO_MAP_KEEP_FD);
}
TORTURE(settle_from_the_file)

static void settle_from_memory(void)
{
    settle(VERSO_MAP_PRIVATE);
}
TORTURE(settle_from_memory)

/* ---- Refreshing -------------------------------------------------------------------------------------------------- */

static void refresh(unsigned flags)
{
    struct verso_map *map = opened_file(flags);
    const char *path = support_path("file");

    assert_int_equal(truncate(path, 10), 0);
    attempt(verso_map_populate(map, 0, 0, 0) == VERSO_E_TORN ? 0 : verso_error_last()->code) continue;
    (void)support_file("file", FILE_BYTES);
    attempt(verso_map_refresh(map)) assert_true(info_of(map).torn_offset_bytes != VERSO_OFFSET_NONE);
    attempt(verso_map_check(map)) continue;
    assert_pattern(map, 0, FILE_BYTES);
    verso_map_close(map);
}

static void refresh_by_name(void)
{
    refresh(0);
}
TORTURE(refresh_by_name)

static void refresh_for_writing(void)
{
    refresh(VERSO_MAP_WRITE | VERSO_MAP_KEEP_FD | VERSO_MAP_NO_CORE);
}
TORTURE(refresh_for_writing)

/* ---- Remapping --------------------------------------------------------------------------------------------------- */

/* A failure leaves range and content. */
static void remapped(struct verso_map *map, uint64_t offset, uint64_t length)
{
    uint64_t offset_before = info_of(map).offset_bytes;
    size_t before = verso_map_bytes(map);

    attempt(verso_map_remap(map, offset, length)) assert_pattern(map, offset_before, before);
    assert_pattern(map, offset, (size_t)(length ? length : FILE_BYTES - offset));
}

static void remap(unsigned flags)
{
    struct verso_map_options options = with(flags);
    struct verso_map *map;

    options.length_bytes = FILE_BYTES / 2;
    map = opened(support_file("file", FILE_BYTES), &options);
    remapped(map, 5000, 10000);
    remapped(map, 60000, 0);
    remapped(map, 1, 0);
    remapped(map, FILE_BYTES, 0);
    remapped(map, 0, 1);
    verso_map_close(map);
}

static void remap_by_name(void)
{
    remap(0);
}
TORTURE(remap_by_name)

static void remap_for_writing(void)
{
    remap(VERSO_MAP_WRITE | VERSO_MAP_KEEP_FD);
}
TORTURE(remap_for_writing)

static void remap_dressed(void)
{
    remap(VERSO_MAP_LOCK | VERSO_MAP_NO_CORE | VERSO_MAP_NO_FORK | VERSO_MAP_POPULATE | VERSO_MAP_HUGE);
}
TORTURE(remap_dressed)

/* ---- Looking ----------------------------------------------------------------------------------------------------- */

static void residency_counts(void)
{
    struct verso_map_residency counts = VERSO_MAP_RESIDENCY_INIT;
    struct verso_map *map = opened_file(VERSO_MAP_PRIVATE);

    counts.flags = VERSO_MAP_RESIDENCY_REFERENCED;
    attempt(verso_map_residency(map, 0, 0, &counts)) assert_int_equal(counts.pages, 0);
    assert_int_equal(counts.pages, (FILE_BYTES + verso_page_bytes() - 1) / verso_page_bytes());
    if (counts.cached == VERSO_MAP_UNKNOWN || counts.dirty == VERSO_MAP_UNKNOWN)
        assert_true(*counts.missing_why);
    verso_map_close(map);
}
TORTURE(residency_counts)

static void residency_states(void)
{
    struct verso_map *map = opened_file(VERSO_MAP_PRIVATE);
    unsigned char states[PAGES] = { 0xee };
    size_t count = 99;

    *(unsigned char *)verso_map_data(map) = support_byte(0);
    attempt(verso_map_residency_pages(map, 0, 0, states, PAGES, &count))
    {
        assert_int_equal(count, 99);
        assert_int_equal(states[0], 0xee);
    }
    assert_true(states[0] & VERSO_MAP_PAGE_PRIVATE);
    verso_map_close(map);
}
TORTURE(residency_states)

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_guarded_without_a_guard),
        torture_test(test_leased),
        torture_test(test_snapshot),
        torture_test(test_copy),
        torture_test(test_copy_in_huge_pages),
        torture_test(test_copy_by_descriptor),
        torture_test(test_snapshot_by_reflink),
        torture_test(test_settle_from_the_file),
        torture_test(test_settle_from_memory),
        torture_test(test_refresh_by_name),
        torture_test(test_refresh_for_writing),
        torture_test(test_remap_by_name),
        torture_test(test_remap_for_writing),
        torture_test(test_remap_dressed),
        torture_test(test_residency_counts),
        torture_test(test_residency_states),
    };

    return run_test_list(list);
}
