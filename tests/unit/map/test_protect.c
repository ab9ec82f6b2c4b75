/* SPDX-License-Identifier: MIT */
/* protect - rights change on page borders, never more than the map was opened for, never W and X at once. */
#include "support.h"

#include "mapping.h"

#include <signal.h>
#include <sys/wait.h>
#include <verso.h>

static struct verso_map *open_pages(size_t pages, unsigned flags)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;

    options.flags = flags;
    assert_ok(verso_map_open(support_file("protect", pages * verso_page_bytes()), &options, &map));
    return map;
}

static unsigned access_at(const void *address)
{
    return mapping_at(address).mapping.access;
}

static void test_each_access(void **state)
{
    struct verso_map *map = open_pages(2, VERSO_MAP_WRITE);
    void *data = verso_map_data(map);

    (void)state;
    assert_ok(verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_NONE));
    assert_int_equal(access_at(data), VERSO__OS_ACCESS_NONE);
    assert_ok(verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_READ));
    assert_int_equal(access_at(data), VERSO__OS_ACCESS_READ);
    assert_ok(verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_WRITE));
    assert_int_equal(access_at(data), VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE);
    assert_ok(verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_EXEC));
    assert_int_equal(access_at(data), VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_EXEC);
    verso_map_close(map);
}

static void test_only_the_pages_asked_for(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(3, VERSO_MAP_PRIVATE);
    unsigned char *data = verso_map_data(map);

    (void)state;
    assert_ok(verso_map_protect(map, page, page, VERSO_MAP_ACCESS_READ));
    assert_int_equal(access_at(data), VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE);
    assert_int_equal(access_at(data + page), VERSO__OS_ACCESS_READ);
    assert_int_equal(access_at(data + 2 * page), VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE);
    verso_map_close(map);
}

static void test_borders_inside_a_page(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(3, 0);

    (void)state;
    assert_fails_in(verso_map_protect(map, 1, page - 1, VERSO_MAP_ACCESS_NONE), VERSO_E_RANGE, "range");
    assert_fails(verso_map_protect(map, 0, 1, VERSO_MAP_ACCESS_NONE), VERSO_E_RANGE);
    assert_fails(verso_map_protect(map, page, page + 1, VERSO_MAP_ACCESS_NONE), VERSO_E_RANGE);
    assert_fails(verso_map_protect(map, page + 1, 0, VERSO_MAP_ACCESS_NONE), VERSO_E_RANGE);
    assert_fails(verso_map_protect(map, page + 1, 1, VERSO_MAP_ACCESS_NONE), VERSO_E_RANGE);
    assert_fails(verso_map_protect(map, 0, 3 * page + 1, VERSO_MAP_ACCESS_NONE), VERSO_E_RANGE);
    assert_int_equal(access_at(verso_map_data(map)), VERSO__OS_ACCESS_READ);
    verso_map_close(map);
}

static void test_the_maps_own_ends_are_borders(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;

    (void)state;
    options.offset_bytes = 10;
    options.length_bytes = page + 10;
    assert_ok(verso_map_open(support_file("ends", 3 * page), &options, &map));
    assert_ok(verso_map_protect(map, 0, page - 10, VERSO_MAP_ACCESS_NONE));
    assert_ok(verso_map_protect(map, page - 10, 20, VERSO_MAP_ACCESS_NONE));
    assert_fails(verso_map_protect(map, 0, page, VERSO_MAP_ACCESS_READ), VERSO_E_RANGE);
    assert_int_equal(access_at(verso_map_data(map)), VERSO__OS_ACCESS_NONE);
    verso_map_close(map);
}

static void test_a_read_only_map_stays_so(void **state)
{
    struct verso_map *map = open_pages(1, 0);

    (void)state;
    assert_fails_in(verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_WRITE), VERSO_E_READ_ONLY, "mprotect");
    assert_int_equal(access_at(verso_map_data(map)), VERSO__OS_ACCESS_READ);
    assert_fails(verso_map_protect(map, 0, 0, (enum verso_map_access)0), VERSO_E_OPTIONS);
    assert_fails(verso_map_protect(map, 0, 0, (enum verso_map_access)5), VERSO_E_OPTIONS);
    verso_map_close(map);
}

static int store_one(void *arg)
{
    signal(SIGSEGV, SIG_DFL);
    *(volatile unsigned char *)arg = 1;
    return 0;
}

static void test_a_store_where_none_may_be_is_a_fault(void **state)
{
    struct verso_map *map = open_pages(1, VERSO_MAP_WRITE);
    int status;

    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("a sanitizer answers the fault itself");
    assert_ok(verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_READ));
    status = support_child(store_one, verso_map_data(map));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    verso_map_close(map);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_each_access),
        cmocka_unit_test(test_only_the_pages_asked_for),
        cmocka_unit_test(test_borders_inside_a_page),
        cmocka_unit_test(test_the_maps_own_ends_are_borders),
        cmocka_unit_test(test_a_read_only_map_stays_so),
        cmocka_unit_test(test_a_store_where_none_may_be_is_a_fault),
    };

    return run_test_list(list);
}
