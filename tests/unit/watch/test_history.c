/* SPDX-License-Identifier: MIT */
/* history - seconds in a ring. */
#include "support.h"

#include "../../../cli/watch_history.h"

static struct history history; /* an hour of buckets: too large for a stack */

static void add(uint64_t second, uint64_t minor, uint64_t cached)
{
    struct history_bucket seen = { .minor = minor, .cached = cached };

    history_add(&history, second, &seen);
}

static void test_a_second_collects(void **state)
{
    (void)state;
    memset(&history, 0, sizeof(history));
    assert_null(history_back(&history, 0));
    add(0, 3, 10);
    add(0, 4, 9);
    assert_true(history_back(&history, 0)->minor == 7);  /* happened: added */
    assert_true(history_back(&history, 0)->cached == 9); /* stands: the last word */
    assert_null(history_back(&history, 1));
}

static void test_quiet_seconds_keep_what_stood(void **state)
{
    (void)state;
    memset(&history, 0, sizeof(history));
    add(0, 3, 10);
    add(3, 1, 20);
    for (uint64_t back = 1; back <= 2; back++) {
        assert_true(history_back(&history, back)->minor == 0);
        assert_true(history_back(&history, back)->cached == 10);
    }
    assert_true(history_back(&history, 3)->minor == 3);
}

static void test_an_hour_and_longer(void **state)
{
    (void)state;
    memset(&history, 0, sizeof(history));
    for (uint64_t second = 0; second < 2 * HISTORY_SECONDS; second++)
        add(second, second, 1);
    assert_true(history_back(&history, HISTORY_SECONDS - 1)->minor == HISTORY_SECONDS);
    assert_null(history_back(&history, HISTORY_SECONDS));
    add(UINT64_C(1) << 40, 5, 2); /* after a long sleep: no walk through all those seconds */
    assert_true(history_back(&history, 0)->minor == 5);
    assert_true(history_back(&history, HISTORY_SECONDS - 1)->minor == 0);
    assert_true(history_back(&history, HISTORY_SECONDS - 1)->cached == 1);
}

static void test_sparklines(void **state)
{
    static const uint64_t values[] = { 0, 1, 50, 100, UINT64_C(1) << 20 };
    uint8_t heights[5];

    (void)state;
    assert_true(sparkline(values, 4, heights) == 100);
    assert_true(heights[0] == 0 && heights[1] == 1 && heights[2] == 4 && heights[3] == 8);
    assert_true(sparkline(values, 5, heights) == UINT64_C(1) << 20);
    assert_true(heights[3] == 1); /* small, but not nothing */
    assert_true(sparkline(values, 1, heights) == 0);
    assert_true(heights[0] == 0);
    assert_true(sparkline(values, 0, heights) == 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_second_collects),
        cmocka_unit_test(test_quiet_seconds_keep_what_stood),
        cmocka_unit_test(test_an_hour_and_longer),
        cmocka_unit_test(test_sparklines),
    };

    return run_test_list(list);
}
