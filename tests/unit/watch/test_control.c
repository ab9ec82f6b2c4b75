/* SPDX-License-Identifier: MIT */
/* control - keys in any order leave the window in the file and the cursor in the window. */
#include "support.h"

#include "../../../cli/watch_control.h"

static const struct stage wide = { .page_count = 28640, .process_count = 3, .width = 65 };

static struct control start(const struct stage *stage)
{
    struct control control = { 0 };

    control_fit(&control, stage);
    return control;
}

static void assert_sound(const struct control *control, const struct stage *stage)
{
    const struct window *window = &control->window;

    assert_true(window->page_count <= stage->page_count);
    assert_true(window->first_page <= stage->page_count - window->page_count);
    assert_true(stage->page_count == 0 || window->page_count > 0);
    assert_true(control->cursor >= window->first_page);
    assert_true(control->cursor - window->first_page < window->page_count || stage->page_count == 0);
    assert_true(control->process < stage->process_count || stage->process_count == 0);
    assert_true(control_column(control, stage) >= 0 && control_column(control, stage) < stage->width);
}

static void test_any_keys_in_any_order(void **state)
{
    static const uint64_t sizes[] = { 0, 1, 2, 7, 65, 66, 28640, UINT64_C(1) << 51 };
    uint32_t random = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct stage stage = { .page_count = sizes[i], .process_count = i % 3, .width = 65 };
        struct control control = start(&stage);

        for (int round = 0; round < 3000; round++) {
            random = random * 1664525u + 1013904223u;
            control_act(&control, (enum action)((random >> 16) % (ACTION_PREVIOUS_PROCESS + 1)), &stage);
            assert_sound(&control, &stage);
        }
    }
}

static void test_zooming_keeps_the_cursor_where_it_is(void **state)
{
    struct control control = start(&wide);
    int column;

    (void)state;
    control_go(&control, 20000, &wide);
    column = control_column(&control, &wide);
    for (int i = 0; i < 8; i++) {
        int now;

        control_act(&control, ACTION_ZOOM_IN, &wide);
        now = control_column(&control, &wide);
        assert_true(control.cursor == 20000);
        assert_true(now - column <= 1 && column - now <= 1);
    }
    assert_true(control.window.page_count == 28640 / 256);
    for (int i = 0; i < 9; i++)
        control_act(&control, ACTION_ZOOM_OUT, &wide);
    assert_true(control.window.page_count == 28640 && !control.is_zoomed);
}

static void test_zooming_ends_at_single_pages(void **state)
{
    struct control control = start(&wide);

    (void)state;
    for (int i = 0; i < 100; i++)
        control_act(&control, ACTION_ZOOM_IN, &wide);
    assert_true(control.window.page_count == 8);
    control_act(&control, ACTION_RIGHT, &wide);
    assert_true(control.cursor == 1); /* at least a page, though eight columns show it */
    control_act(&control, ACTION_ZOOM_ALL, &wide);
    assert_true(control.window.page_count == 28640);
}

static void test_moving_stops_at_the_ends(void **state)
{
    struct control control = start(&wide);

    (void)state;
    control_act(&control, ACTION_LEFT, &wide);
    assert_true(control.cursor == 0);
    control_act(&control, ACTION_END, &wide);
    control_act(&control, ACTION_PAGE_ON, &wide);
    assert_true(control.cursor == 28639);
    control_act(&control, ACTION_START, &wide);
    assert_true(control.cursor == 0);
}

static void test_the_whole_file_stays_the_whole_file_as_it_grows(void **state)
{
    struct stage stage = wide;
    struct control control = start(&stage);

    (void)state;
    stage.page_count = 50000;
    control_fit(&control, &stage);
    assert_true(control.window.page_count == 50000);
    control_go(&control, 49999, &stage);
    control_act(&control, ACTION_ZOOM_IN, &stage);
    stage.page_count = 100; /* cut: less than the window */
    control_fit(&control, &stage);
    assert_sound(&control, &stage);
    assert_true(control.cursor == 99);
}

static void test_following_ends_when_one_moves_by_hand(void **state)
{
    struct control control = start(&wide);

    (void)state;
    control_act(&control, ACTION_FOLLOW, &wide);
    control_act(&control, ACTION_ZOOM_IN, &wide);
    control_act(&control, ACTION_PAUSE, &wide);
    assert_true(control.follows && control.is_paused);
    control_act(&control, ACTION_RIGHT, &wide);
    assert_false(control.follows);
}

static void test_quitting_closes_help_first(void **state)
{
    struct control control = start(&wide);

    (void)state;
    control_act(&control, ACTION_HELP, &wide);
    control_act(&control, ACTION_QUIT, &wide);
    assert_false(control.must_quit || control.shows_help);
    control_act(&control, ACTION_QUIT, &wide);
    assert_true(control.must_quit);
}

static void test_pointing(void **state)
{
    struct control control = start(&wide);

    (void)state;
    for (int column = 0; column < wide.width; column++) {
        control_point(&control, column, &wide);
        assert_int_equal(control_column(&control, &wide), column);
    }
    control_point(&control, -1, &wide);
    control_point(&control, wide.width, &wide);
    assert_int_equal(control_column(&control, &wide), wide.width - 1);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_any_keys_in_any_order),
        cmocka_unit_test(test_zooming_keeps_the_cursor_where_it_is),
        cmocka_unit_test(test_zooming_ends_at_single_pages),
        cmocka_unit_test(test_moving_stops_at_the_ends),
        cmocka_unit_test(test_the_whole_file_stays_the_whole_file_as_it_grows),
        cmocka_unit_test(test_following_ends_when_one_moves_by_hand),
        cmocka_unit_test(test_quitting_closes_help_first),
        cmocka_unit_test(test_pointing),
    };

    return run_test_list(list);
}
