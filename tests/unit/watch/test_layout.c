/* SPDX-License-Identifier: MIT */
/* layout - at every size lines are given out once, within the terminal, the most needed first. */
#include "support.h"

#include "../../../cli/watch_layout.h"

static void take(char *lines, int count, int top, int height)
{
    for (int line = top; top >= 0 && line < top + height; line++) {
        assert_true(line < count);
        assert_true(lines[line] == 0); /* nobody else has it */
        lines[line] = 1;
    }
}

static void take_band(char *lines, int count, const struct band *band)
{
    take(lines, count, band->caption, 1);
    take(lines, count, band->top, band->height);
    assert_true(band->caption < 0 || band->caption == band->top - 1);
    assert_true(band->height >= 1);
}

static void test_lines_are_given_out_once(void **state)
{
    (void)state;
    for (int count = 6; count <= 200; count++)
        for (size_t processes = 0; processes <= 40; processes += 1 + processes / 2) {
            struct layout layout = layout_make(count, 80, processes);
            char lines[200] = { 0 };

            assert_true(layout.fits);
            take(lines, count, layout.title, 1);
            take(lines, count, layout.ruler, 1);
            take_band(lines, count, &layout.disk);
            take_band(lines, count, &layout.cache);
            take_band(lines, count, &layout.frames);
            take_band(lines, count, &layout.processes);
            take(lines, count, layout.rates, layout.rate_count);
            take(lines, count, layout.story, layout.story_count);
            take(lines, count, layout.legend, layout.legend_count);
            take(lines, count, layout.keys, 1);
            assert_true(layout_process_rows(&layout) >= 1);
        }
}

static void test_a_usual_terminal_shows_all_of_it(void **state)
{
    struct layout layout = layout_make(24, 80, 3);

    (void)state;
    assert_true(layout.ruler >= 0 && layout.legend >= 0 && layout.keys == 23);
    assert_true(layout.disk.caption >= 0 && layout.processes.caption >= 0);
    assert_true(layout.disk.height >= 2 && layout.cache.height >= 2 && layout.frames.height >= 2);
    assert_true(layout.story_count == LAYOUT_STORY_MAX && layout.rate_count == LAYOUT_RATES_MAX);
    assert_true(layout.gutter + layout.width < 80);
}

static void test_a_small_one_shows_the_four_rows_and_a_sentence(void **state)
{
    struct layout layout = layout_make(12, 40, 3);

    (void)state;
    assert_true(layout.fits && layout.width >= 30);
    assert_true(layout.story_count >= 2 && layout.keys >= 0);
    layout = layout_make(6, 24, 1);
    assert_true(layout.fits && layout.story_count == 1);
}

static void test_names_of_rows_fit(void **state)
{
    (void)state;
    for (int columns = 24; columns <= 200; columns++)
        assert_true(layout_make(24, columns, 1).gutter - 2 >= (int)strlen("virtual"));
}

static void test_too_small_is_said(void **state)
{
    (void)state;
    assert_false(layout_make(5, 80, 1).fits);
    assert_false(layout_make(24, 23, 1).fits);
    assert_false(layout_make(0, 0, 0).fits);
    assert_true(layout_process_rows(&(struct layout){ 0 }) == 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_lines_are_given_out_once),
        cmocka_unit_test(test_a_usual_terminal_shows_all_of_it),
        cmocka_unit_test(test_a_small_one_shows_the_four_rows_and_a_sentence),
        cmocka_unit_test(test_names_of_rows_fit),
        cmocka_unit_test(test_too_small_is_said),
    };

    return run_test_list(list);
}
