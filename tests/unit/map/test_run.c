/* SPDX-License-Identifier: MIT */
/* run - a map read under guard: what the caller gets, and what the record and the map say. */
#include "support.h"

#include <fcntl.h>
#include <unistd.h>
#include <verso/guard.h>
#include <verso/map.h>

#include "base/fail.h"

struct reading {
    const unsigned char *data;
    size_t bytes;
    size_t done;
};

static int read_all(void *arg)
{
    struct reading *reading = arg;
    unsigned sum = 0;

    for (size_t i = 0; i < reading->bytes; i++) {
        sum += ((const volatile unsigned char *)reading->data)[i];
        *(volatile size_t *)&reading->done = i + 1;
    }
    return sum > 0;
}

static struct verso_map *opened(const char *path, uint64_t offset)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;

    options.offset_bytes = offset;
    assert_ok(verso_map_open(path, &options, &map));
    return map;
}

/* cmocka puts a handler of its own around every test, so the guard lives within one. */
static void test_a_fault_is_told_with_offset_and_path(void **state)
{
    size_t page = verso_page_bytes();
    const char *path = support_file("cut", 5 * page);
    struct verso_map *map = opened(path, 100);
    struct reading reading = { verso_map_data(map), verso_map_bytes(map), 0 };
    struct verso_map_info info = VERSO_MAP_INFO_INIT;

    (void)state;
    assert_ok(verso_guard_install());
    assert_int_equal(verso_guard_run(map, read_all, &reading), 1);
    assert_int_equal(truncate(path, (off_t)(2 * page + 1)), 0);
    assert_fails_in(verso_guard_run(map, read_all, &reading), VERSO_E_TORN, "guard");
    assert_int_equal(reading.done, 3 * page - 100);
    assert_int_equal(verso_error_last()->offset_bytes, 3 * page);
    assert_string_equal(verso_error_last()->path, path);
    assert_ok(verso_map_info(map, &info));
    assert_int_equal(info.torn_offset_bytes, 3 * page);
    assert_int_equal(info.torn_count, 1);
    assert_fails(verso_guard_run(NULL, read_all, &reading), VERSO_E_TORN);
    assert_int_equal(verso_error_last()->offset_bytes, 3 * page);
    assert_string_equal(verso_error_last()->path, "");
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

static void test_without_a_guard_nothing_runs(void **state)
{
    const char *path = support_file("whole", 10);
    struct verso_map *map = opened(path, 0);
    struct reading reading = { verso_map_data(map), verso_map_bytes(map), 0 };

    (void)state;
    assert_fails_in(verso_guard_run(map, read_all, &reading), VERSO_E_GUARD, "guard");
    assert_string_equal(verso_error_last()->path, path);
    assert_int_equal(reading.done, 0);
    verso_map_close(map);
}

static int fail_inside(void *arg)
{
    return verso__fail(*(int *)arg, "inside", "its own");
}

/* An error of the function itself comes out as it is, even one that looks like ours. */
static void test_the_functions_own_errors_come_through(void **state)
{
    const int codes[] = { -EIO, VERSO_E_TORN, VERSO_E_GUARD };
    struct verso_map *map = opened(support_file("own", 10), 0);

    (void)state;
    assert_ok(verso_guard_install());
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        int code = codes[i];

        assert_fails_in(verso_guard_run(map, fail_inside, &code), code, "inside");
        assert_string_equal(verso_error_last()->path, "its own");
    }
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

/* What is not mapped from a file can't fault; the call is the same. */
static void test_buffers_and_empty_maps(void **state)
{
    struct reading reading = { 0 };
    struct verso_map *map;

    (void)state;
    assert_ok(verso_guard_install());
    map = opened(support_file("empty", 0), 0);
    reading.data = verso_map_data(map);
    assert_int_equal(verso_guard_run(map, read_all, &reading), 0);
    verso_map_close(map);
    map = opened("/proc/self/stat", 0);
    reading = (struct reading){ verso_map_data(map), verso_map_bytes(map), 0 };
    assert_int_equal(verso_guard_run(map, read_all, &reading), 1);
    verso_map_close(map);
    assert_ok(verso_guard_remove());
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_fault_is_told_with_offset_and_path),
        cmocka_unit_test(test_without_a_guard_nothing_runs),
        cmocka_unit_test(test_the_functions_own_errors_come_through),
        cmocka_unit_test(test_buffers_and_empty_maps),
    };

    return run_test_list(list);
}
