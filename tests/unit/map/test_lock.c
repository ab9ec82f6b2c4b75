/* SPDX-License-Identifier: MIT */
/* lock - pages that stay, limits that say so, and nothing left locked after a failure. */
#include "support.h"

#include "mapping.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <verso.h>

static struct verso_map *open_pages(size_t pages, unsigned flags)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;

    options.flags = flags;
    assert_ok(verso_map_open(support_file("lock", pages * verso_page_bytes()), &options, &map));
    return map;
}

static void test_locked_now(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, 0);

    (void)state;
    assert_ok(verso_map_lock(map, page, 2 * page, 0));
    assert_int_equal(mapping_at((char *)verso_map_data(map) + page).memory.locked, 2 * page);
    assert_false(mapping_has_flag(verso_map_data(map), "lo"));
    assert_ok(verso_map_unlock(map, 0, 0));
    assert_false(mapping_has_flag((char *)verso_map_data(map) + page, "lo"));
    assert_true(support_matches(verso_map_data(map), 0, verso_map_bytes(map)));
    verso_map_close(map);
}

static void test_locked_when_used(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, VERSO_MAP_PRIVATE);
    unsigned char *data = verso_map_data(map);

    (void)state;
    assert_ok(verso_map_lock(map, 0, 0, 1));
    assert_true(mapping_has_flag(data, "lo"));
    assert_int_equal(mapping_at(data).memory.resident, 0);
    data[0]++;
    assert_true(mapping_at(data).memory.locked >= page);
    verso_map_close(map);
}

static void test_every_page_that_is_touched(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, 0);
    unsigned char *data = verso_map_data(map);

    (void)state;
    assert_ok(verso_map_lock(map, 2 * page - 1, 2, 0));
    assert_false(mapping_has_flag(data, "lo"));
    assert_true(mapping_has_flag(data + page, "lo"));
    assert_true(mapping_has_flag(data + 2 * page, "lo"));
    assert_false(mapping_has_flag(data + 3 * page, "lo"));
    verso_map_close(map);
}

static void test_wrong_ranges(void **state)
{
    struct verso_map *map = open_pages(1, 0);
    size_t bytes = verso_map_bytes(map);

    (void)state;
    assert_fails_in(verso_map_lock(map, 0, bytes + 1, 0), VERSO_E_RANGE, "range");
    assert_fails_in(verso_map_unlock(map, bytes + 1, 0), VERSO_E_RANGE, "range");
    assert_ok(verso_map_lock(map, bytes, 0, 0));
    assert_false(mapping_has_flag(verso_map_data(map), "lo"));
    verso_map_close(map);
}

static int lock_over_the_limit(void *arg)
{
    struct verso_map *map = arg;
    struct rlimit limit = { verso_page_bytes(), verso_page_bytes() };
    int r;

    if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || (support_is_root() && setuid(65534) < 0))
        return 99;
    r = verso_map_lock(map, 0, 0, 0);
    if (r != -ENOMEM || verso_error_last()->code != r || !strstr(verso_error_last()->hint, "ulimit -l"))
        return 1;
    limit.rlim_cur = limit.rlim_max = 0;
    if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0)
        return 99;
    r = verso_map_lock(map, 0, 0, 0);
    return r == -EPERM && strstr(verso_error_last()->hint, "RLIMIT_MEMLOCK") ? 0 : 2;
}

static void test_the_limit_is_named(void **state)
{
    struct verso_map *map = open_pages(2, 0);

    (void)state;
    assert_int_equal(support_child(lock_over_the_limit, map), 0);
    verso_map_close(map);
}

static void test_a_torn_range_is_not_half_locked(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, 0);
    struct verso_map_info info = VERSO_MAP_INFO_INIT;

    (void)state;
    assert_int_equal(truncate(support_path("lock"), (off_t)page + 1), 0);
    assert_fails_in(verso_map_lock(map, 0, 0, 0), VERSO_E_TORN, "mlock");
    assert_int_equal(verso_error_last()->offset_bytes, 2 * page);
    assert_false(mapping_has_flag(verso_map_data(map), "lo"));
    assert_ok(verso_map_info(map, &info));
    assert_int_equal(info.torn_offset_bytes, 2 * page);
    verso_map_close(map);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_locked_now),
        cmocka_unit_test(test_locked_when_used),
        cmocka_unit_test(test_every_page_that_is_touched),
        cmocka_unit_test(test_wrong_ranges),
        cmocka_unit_test(test_the_limit_is_named),
        cmocka_unit_test(test_a_torn_range_is_not_half_locked),
    };

    return run_test_list(list);
}
