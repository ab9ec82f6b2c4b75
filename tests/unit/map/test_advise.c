/* SPDX-License-Identifier: MIT */
/* advise - each advice reaches the kernel, for the right pages and no others. */
#include "support.h"

#include "mapping.h"

#include <unistd.h>
#include <verso.h>

static struct verso_map *open_pages(size_t pages, unsigned flags)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;

    options.flags = flags;
    assert_ok(verso_map_open(support_file("advise", pages * verso_page_bytes()), &options, &map));
    return map;
}

static void test_every_advice_is_taken_or_refused_by_name(void **state)
{
    struct verso_map *map = open_pages(4, 0);

    (void)state;
    for (enum verso_map_advice advice = VERSO_MAP_ADVICE_NORMAL; advice <= VERSO_MAP_ADVICE_NO_CORE; advice++) {
        int r = verso_map_advise(map, 0, 0, advice);

        if (advice == VERSO_MAP_ADVICE_FREE)
            assert_int_equal(r, -EINVAL); /* file pages */
        else if (advice != VERSO_MAP_ADVICE_HUGE && advice != VERSO_MAP_ADVICE_COLLAPSE)
            assert_int_equal(r, 0);
        if (r < 0)
            assert_true(*verso_error_last()->hint);
    }
    assert_true(support_matches(verso_map_data(map), 0, verso_map_bytes(map)));
    verso_map_close(map);
}

static void test_advice_reaches_the_kernel(void **state)
{
    static const struct {
        enum verso_map_advice advice;
        const char *flag;
    } seen[] = {
        { VERSO_MAP_ADVICE_RANDOM, "rr" },
        { VERSO_MAP_ADVICE_SEQUENTIAL, "sr" },
        { VERSO_MAP_ADVICE_NO_CORE, "dd" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++) {
        struct verso_map *map = open_pages(2, 0);

        assert_false(mapping_has_flag(verso_map_data(map), seen[i].flag));
        assert_ok(verso_map_advise(map, 0, 0, seen[i].advice));
        assert_true(mapping_has_flag(verso_map_data(map), seen[i].flag));
        verso_map_close(map);
    }
}

static void test_normal_undoes_random(void **state)
{
    struct verso_map *map = open_pages(2, 0);

    (void)state;
    assert_ok(verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_RANDOM));
    assert_ok(verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_NORMAL));
    assert_false(mapping_has_flag(verso_map_data(map), "rr"));
    verso_map_close(map);
}

static void test_a_hint_takes_all_pages_it_touches(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, 0);
    unsigned char *data = verso_map_data(map);

    (void)state;
    assert_ok(verso_map_advise(map, 2 * page - 1, 2, VERSO_MAP_ADVICE_NO_CORE));
    assert_false(mapping_has_flag(data, "dd"));
    assert_true(mapping_has_flag(data + page, "dd"));
    assert_true(mapping_has_flag(data + 2 * page, "dd"));
    assert_false(mapping_has_flag(data + 3 * page, "dd"));
    verso_map_close(map);
}

/* Stores into every page, lets a range go, and answers which pages lost their store: bit n for page n. */
static unsigned pages_lost(size_t offset, size_t length)
{
    size_t page = verso_page_bytes();
    struct verso_map *map = open_pages(4, VERSO_MAP_PRIVATE);
    unsigned char *data = verso_map_data(map);
    unsigned lost = 0;

    for (size_t i = 0; i < 4; i++)
        data[i * page] = (unsigned char)~support_byte(i * page);
    assert_ok(verso_map_advise(map, offset, length, VERSO_MAP_ADVICE_DONTNEED));
    for (size_t i = 0; i < 4; i++)
        if (data[i * page] == support_byte(i * page))
            lost |= 1U << i;
    verso_map_close(map);
    return lost;
}

static void test_dontneed_never_takes_a_neighbours_bytes(void **state)
{
    size_t page = verso_page_bytes();

    (void)state;
    assert_int_equal(pages_lost(page, page), 0x2);
    assert_int_equal(pages_lost(page, page - 1), 0);
    assert_int_equal(pages_lost(page + 1, page - 1), 0);
    assert_int_equal(pages_lost(page + 1, 2 * page), 0x4);
    assert_int_equal(pages_lost(page - 1, page + 1), 0x2);
    assert_int_equal(pages_lost(0, 1), 0);
    assert_int_equal(pages_lost(0, 0), 0xf);
    assert_int_equal(pages_lost(3 * page, 0), 0x8);
}

static void test_the_maps_own_ends_are_borders(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;
    unsigned char *data;

    (void)state;
    options.flags = VERSO_MAP_PRIVATE;
    options.offset_bytes = 100;
    options.length_bytes = page; /* the end of page 0, the beginning of page 1 */
    assert_ok(verso_map_open(support_file("ends", 3 * page), &options, &map));
    data = verso_map_data(map);
    data[0] = (unsigned char)~data[0];
    data[page - 1] = (unsigned char)~data[page - 1];
    assert_ok(verso_map_advise(map, 0, page, VERSO_MAP_ADVICE_DONTNEED));
    assert_true(support_matches(data, 100, page));
    verso_map_close(map);
}

static void test_locked_pages_say_why_they_stay(void **state)
{
    struct verso_map *map = open_pages(2, 0);

    (void)state;
    assert_ok(verso_map_lock(map, 0, 0, 0));
    assert_fails_in(verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_DONTNEED), -EINVAL, "madvise");
    assert_non_null(strstr(verso_error_last()->hint, "verso_map_unlock()"));
    assert_fails(verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_PAGEOUT), -EINVAL);
    assert_ok(verso_map_unlock(map, 0, 0));
    assert_ok(verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_DONTNEED));
    verso_map_close(map);
}

static void test_wrong_ranges_and_advice(void **state)
{
    struct verso_map *map = open_pages(2, 0);
    size_t bytes = verso_map_bytes(map);

    (void)state;
    assert_fails_in(verso_map_advise(map, bytes + 1, 0, VERSO_MAP_ADVICE_NORMAL), VERSO_E_RANGE, "range");
    assert_int_equal(verso_error_last()->offset_bytes, bytes + 1);
    assert_fails(verso_map_advise(map, 1, bytes, VERSO_MAP_ADVICE_NORMAL), VERSO_E_RANGE);
    assert_fails(verso_map_advise(map, UINT64_MAX, 2, VERSO_MAP_ADVICE_NORMAL), VERSO_E_RANGE);
    assert_fails(verso_map_advise(map, 1, UINT64_MAX, VERSO_MAP_ADVICE_NORMAL), VERSO_E_RANGE);
    assert_ok(verso_map_advise(map, bytes, 0, VERSO_MAP_ADVICE_NORMAL));
    assert_fails(verso_map_advise(map, 0, 0, (enum verso_map_advice)0), VERSO_E_OPTIONS);
    assert_fails(verso_map_advise(map, 0, 0, (enum verso_map_advice)(VERSO_MAP_ADVICE_NO_CORE + 1)), VERSO_E_OPTIONS);
    verso_map_close(map);
}

static void test_an_empty_map_takes_any_advice(void **state)
{
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(support_file("empty", 0), NULL, &map));
    for (enum verso_map_advice advice = VERSO_MAP_ADVICE_NORMAL; advice <= VERSO_MAP_ADVICE_NO_CORE; advice++)
        assert_ok(verso_map_advise(map, 0, 0, advice));
    assert_fails(verso_map_advise(map, 0, 1, VERSO_MAP_ADVICE_NORMAL), VERSO_E_RANGE);
    verso_map_close(map);
}

/* A map of what a pipe held. */
static struct verso_map *open_pipe(size_t bytes)
{
    struct verso_map *map;
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    for (size_t i = 0; i < bytes; i++) {
        unsigned char byte = support_byte(i);

        assert_int_equal(write(ends[1], &byte, 1), 1);
    }
    assert_int_equal(close(ends[1]), 0);
    assert_ok(verso_map_open_fd(ends[0], NULL, &map));
    assert_int_equal(close(ends[0]), 0);
    return map;
}

static void test_what_was_read_in_is_not_thrown_away(void **state)
{
    struct verso_map *map = open_pipe(verso_page_bytes() + 1);

    (void)state;
    assert_fails(verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_DONTNEED), VERSO_E_NOT_MAPPED);
    assert_ok(verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_PAGEOUT));
    assert_true(support_matches(verso_map_data(map), 0, verso_map_bytes(map)));
    assert_ok(verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_FREE)); /* by name, it may */
    verso_map_close(map);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_every_advice_is_taken_or_refused_by_name),
        cmocka_unit_test(test_advice_reaches_the_kernel),
        cmocka_unit_test(test_normal_undoes_random),
        cmocka_unit_test(test_a_hint_takes_all_pages_it_touches),
        cmocka_unit_test(test_dontneed_never_takes_a_neighbours_bytes),
        cmocka_unit_test(test_the_maps_own_ends_are_borders),
        cmocka_unit_test(test_locked_pages_say_why_they_stay),
        cmocka_unit_test(test_wrong_ranges_and_advice),
        cmocka_unit_test(test_an_empty_map_takes_any_advice),
        cmocka_unit_test(test_what_was_read_in_is_not_thrown_away),
    };

    return run_test_list(list);
}
