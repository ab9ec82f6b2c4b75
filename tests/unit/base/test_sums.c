/* SPDX-License-Identifier: MIT */
/* sums - at the limits, where plain arithmetic would wrap. */
#include "support.h"

#include "base/sums.h"

static void test_add_stops_at_the_top(void **state)
{
    uint64_t sum = 7;

    (void)state;
    assert_true(verso__add_u64(UINT64_MAX - 1, 1, &sum));
    assert_true(sum == UINT64_MAX);
    assert_false(verso__add_u64(UINT64_MAX, 1, &sum));
    assert_true(sum == UINT64_MAX); /* untouched */
}

static void test_multiply_stops_at_the_top(void **state)
{
    uint64_t product = 7;

    (void)state;
    assert_true(verso__multiply_u64(UINT64_C(1) << 32, (UINT64_C(1) << 32) - 1, &product));
    assert_true(product == (UINT64_C(1) << 32) * ((UINT64_C(1) << 32) - 1));
    assert_false(verso__multiply_u64(UINT64_C(1) << 32, UINT64_C(1) << 32, &product));
}

static void test_rounding(void **state)
{
    uint64_t up = 7;

    (void)state;
    assert_true(verso__round_down(4095, 4096) == 0);
    assert_true(verso__round_down(4096, 4096) == 4096);
    assert_true(verso__round_up(0, 4096, &up));
    assert_true(up == 0);
    assert_true(verso__round_up(1, 4096, &up));
    assert_true(up == 4096);
    assert_true(verso__round_up(4097, 4096, &up));
    assert_true(up == 8192);
    assert_false(verso__round_up(UINT64_MAX - 4094, 4096, &up));
    assert_true(up == 8192);
}

static void test_within_never_adds(void **state)
{
    (void)state;
    assert_true(verso__within(0, 0, 0));
    assert_true(verso__within(10, 0, 10));
    assert_true(verso__within(0, 10, 10));
    assert_false(verso__within(11, 0, 10));
    assert_false(verso__within(1, 10, 10));
    assert_false(verso__within(2, UINT64_MAX, 10)); /* offset + length would wrap to 1 */
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_add_stops_at_the_top),
        cmocka_unit_test(test_multiply_stops_at_the_top),
        cmocka_unit_test(test_rounding),
        cmocka_unit_test(test_within_never_adds),
    };

    return run_test_list(list);
}
