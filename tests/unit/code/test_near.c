/* SPDX-License-Identifier: MIT */
/* near - code within reach of other code: placed there, called directly, or told that there is no room. */
#include "machine.h"

#include <sys/mman.h>
#include <verso/base.h>

#define MIB ((uint64_t)1 << 20)

static int forty_two(void)
{
    return 42;
}

static uintptr_t address_of(number_function *function)
{
    uintptr_t address;

    memcpy(&address, &function, sizeof(address));
    return address;
}

/* Whether a call from anywhere in [block, block + bytes) to @target goes no farther than @reach. */
static bool is_within(const void *block, uint64_t bytes, uintptr_t target, uint64_t reach)
{
    uintptr_t start = (uintptr_t)block;

    return start < target ? target - start <= reach : start + bytes - target <= reach;
}

static void test_direct_jump_into_the_program(void **state)
{
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code;
    const void *block;
    void *write;

    (void)state;
    need_machine();
    options.near_start = (const void *)address_of(forty_two);
    options.near_bytes = 1;
    for (options.mode = VERSO_CODE_DUAL; options.mode <= VERSO_CODE_TOGGLE; options.mode++) {
        assert_ok(verso_code_open(&options, &code));
        assert_ok(verso_code_alloc(code, 16, &block));
        assert_ok(verso_code_begin(code, block, &write));
        (void)machine_jump(write, block, address_of(forty_two));
        assert_ok(verso_code_end(code, block));
        assert_int_equal(machine_call(block), 42);
        verso_code_close(code);
    }
}

/* Every segment, not only the first. */
static void test_all_segments_are_within_reach(void **state)
{
    const uint64_t reach = 64 * MIB;
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code;
    const void *block;

    (void)state;
    options.near_start = (const void *)address_of(forty_two);
    options.near_bytes = 1;
    options.reach_bytes = reach;
    options.segment_bytes = 4 * MIB;
    assert_ok(verso_code_open(&options, &code));
    for (int i = 0; i < 8; i++) {
        assert_ok(verso_code_alloc(code, 4 * MIB, &block));
        assert_true(is_within(block, 4 * MIB, address_of(forty_two), reach));
    }
    assert_int_equal(info_of(code).segments, 8);
    verso_code_close(code);
}

/*
 * 64 MiB that nobody else maps into. What is made beside it (the pool's other memory) goes where the kernel looks
 * first: into the room that was taken before, and is free again; not into a hole that a test makes for a segment.
 */
static char *place_of_our_own(void)
{
    void *first = mmap(NULL, 4 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *place = mmap(NULL, 64 * MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    assert_ptr_not_equal(first, MAP_FAILED);
    assert_ptr_not_equal(place, MAP_FAILED);
    assert_int_equal(munmap(first, 4 * MIB), 0);
    return place;
}

/* Nothing is within reach of its middle, until a hole is made that just holds a segment and the page behind it. */
static void test_room_is_found_or_missed(void **state)
{
    const uint64_t reach = 16 * MIB, page = verso_page_bytes(), segment = 4 * page;
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code = NULL;
    char *place = place_of_our_own(), *hole;
    const void *block;

    (void)state;
    options.near_start = place + 32 * MIB;
    options.near_bytes = page;
    options.reach_bytes = reach;
    options.segment_bytes = segment;
    assert_fails(verso_code_open(&options, &code), VERSO_E_NEAR);
    assert_null(code);

    hole = place + 32 * MIB - reach + 2 * page; /* at the far end of what is reached, below */
    assert_int_equal(munmap(hole, segment), 0); /* a page too small */
    assert_fails(verso_code_open(&options, &code), VERSO_E_NEAR);
    assert_int_equal(munmap(hole + segment, page), 0);
    assert_ok(verso_code_open(&options, &code));
    assert_ok(verso_code_alloc(code, segment, &block));
    assert_ptr_equal(block, hole);
    assert_fails(verso_code_alloc(code, 1, &block), VERSO_E_NEAR); /* and there is no second one */
    assert_ptr_equal(block, hole);
    verso_code_close(code);

    hole = place + 32 * MIB + reach - segment - 2 * page; /* and above: the last byte that a call reaches */
    assert_int_equal(munmap(hole, segment + page), 0);
    assert_ok(verso_code_open(&options, &code));
    assert_ok(verso_code_alloc(code, segment, &block));
    assert_true((const char *)block < place + 32 * MIB); /* below comes first */
    assert_ok(verso_code_alloc(code, segment, &block));
    assert_ptr_equal(block, hole);
    assert_true(is_within(block, segment, (uintptr_t)place + 32 * MIB, reach));
    verso_code_close(code);
    assert_int_equal(munmap(place, 64 * MIB), 0);
}

/* One page farther than a call reaches is too far, on both sides. */
static void test_room_just_out_of_reach(void **state)
{
    const uint64_t reach = 16 * MIB, page = verso_page_bytes(), segment = 4 * page;
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code;
    char *place = place_of_our_own();

    (void)state;
    options.near_start = place + 32 * MIB;
    options.near_bytes = page;
    options.reach_bytes = reach;
    options.segment_bytes = segment;
    assert_int_equal(munmap(place + 32 * MIB - reach + page, segment + page), 0);
    assert_fails(verso_code_open(&options, &code), VERSO_E_NEAR);
    assert_int_equal(munmap(place + 32 * MIB + reach - segment - page, segment + page), 0);
    assert_fails(verso_code_open(&options, &code), VERSO_E_NEAR);
    assert_int_equal(munmap(place, 64 * MIB), 0);
}

static void test_windows_that_can_not_be(void **state)
{
    struct verso_code_options options = VERSO_CODE_OPTIONS_INIT;
    struct verso_code *code;
    int r;

    (void)state;
    options.near_start = (const void *)address_of(forty_two);
    options.near_bytes = UINT64_MAX;
    assert_fails(verso_code_open(&options, &code), VERSO_E_OVERFLOW);
    options.near_bytes = 1;
    options.reach_bytes = verso_page_bytes();
    assert_fails(verso_code_open(&options, &code), VERSO_E_OPTIONS);
    options.reach_bytes = 8 * MIB; /* both ways this is as much as a segment of the default size, but not the slack */
    assert_fails(verso_code_open(&options, &code), VERSO_E_OPTIONS);
    options.reach_bytes = UINT64_MAX; /* anywhere */
    assert_ok(verso_code_open(&options, &code));
    verso_code_close(code);
    options.near_start = (const void *)1; /* below all that can be mapped: then above, if the heap leaves room there */
    options.reach_bytes = 0;
    r = verso_code_open(&options, &code);
    if (r == 0)
        verso_code_close(code);
    else
        assert_fails(r, VERSO_E_NEAR);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_direct_jump_into_the_program), cmocka_unit_test(test_all_segments_are_within_reach),
        cmocka_unit_test(test_room_is_found_or_missed),      cmocka_unit_test(test_room_just_out_of_reach),
        cmocka_unit_test(test_windows_that_can_not_be),
    };

    return run_test_list(list);
}
