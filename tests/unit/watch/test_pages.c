/* SPDX-License-Identifier: MIT */
/* pages - the sparse store: what is put in comes out, at every size a file can have. */
#include "support.h"

#include "../../../cli/watch_pages.h"

/* 2^51 pages: the most a file of 2^63 bytes has. */
#define PAGES_MAX (UINT64_C(1) << 51)

static struct pages make(uint64_t page_count)
{
    struct pages pages;

    pages_init(&pages);
    assert_true(pages_resize(&pages, page_count));
    return pages;
}

/* Makes @page cached, in @frame unless 0. */
static void put(struct pages *pages, uint64_t page, unsigned state, uint64_t frame)
{
    struct leaf *leaf = pages_make(pages, page);

    assert_non_null(leaf);
    leaf->state[page % LEAF_PAGES] = (uint16_t)(PAGE_CACHED | state | (frame ? PAGE_FRAME : 0));
    leaf->frame[page % LEAF_PAGES] = frame;
    leaf_sum(leaf);
}

static void test_an_empty_file_has_no_pages(void **state)
{
    struct pages pages = make(0);

    (void)state;
    assert_null(pages_find(&pages, 0));
    assert_null(pages_make(&pages, 0));
    assert_null(pages_next(&pages, 0));
    assert_true(pages_sum(&pages, 0, UINT64_MAX).cached == 0);
    pages_clear(&pages);
    pages_clear(&pages); /* twice is once */
}

static void test_the_largest_file_has_a_last_page(void **state)
{
    struct pages pages = make(PAGES_MAX);
    struct leaf *last;

    (void)state;
    put(&pages, PAGES_MAX - 1, 0, 0);
    put(&pages, 0, 0, 0);
    assert_null(pages_make(&pages, PAGES_MAX));
    last = pages_next(&pages, LEAF_PAGES);
    assert_non_null(last);
    assert_true(last->first_page == PAGES_MAX - LEAF_PAGES);
    assert_true(pages.leaf_count == 2); /* nothing between them costs anything */
    assert_true(pages_sum(&pages, 1, UINT64_MAX).cached == 1);
    pages_clear(&pages);
}

static void test_leaves_come_in_order(void **state)
{
    static const uint64_t put_at[] = { 70000, 3, 511, 512, 8191, 8192, 131071, 131072 };
    static const uint64_t leaves[] = { 0, 512, 7680, 8192, 69632, 130560, 131072 };
    struct pages pages = make(200000);
    struct leaf *leaf = NULL;
    uint64_t next = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(put_at) / sizeof(put_at[0]); i++)
        put(&pages, put_at[i], 0, 0);
    for (size_t i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        leaf = pages_next(&pages, next);
        assert_non_null(leaf);
        assert_true(leaf->first_page == leaves[i]);
        next = leaf->first_page + LEAF_PAGES;
    }
    assert_null(pages_next(&pages, next));
    assert_ptr_equal(pages_next(&pages, 131583), leaf); /* its last page */
    pages_clear(&pages);
}

static void test_growing_keeps_what_is_known(void **state)
{
    struct pages pages = make(1);

    (void)state;
    put(&pages, 0, PAGE_DIRTY, 0);
    for (uint64_t pages_now = 2; pages_now <= PAGES_MAX; pages_now *= 8) {
        assert_true(pages_resize(&pages, pages_now));
        assert_non_null(pages_find(&pages, 0));
        assert_true(pages_find(&pages, 0)->state[0] & PAGE_DIRTY);
    }
    assert_true(pages.leaf_count == 1);
    pages_clear(&pages);
}

static void test_shrinking_forgets_the_rest(void **state)
{
    struct pages pages = make(100000);

    (void)state;
    put(&pages, 10, 0, 0);
    put(&pages, 700, 0, 0);
    put(&pages, 701, 0, 0);
    put(&pages, 99999, 0, 0);
    pages_mark_stale(&pages, pages_find(&pages, 99999), true);
    pages_mark_frames_stale(&pages, pages_find(&pages, 99999), true);
    assert_true(pages_resize(&pages, 701));
    assert_true(pages.leaf_count == 2);
    assert_true(pages.stale_count == 0 && pages.frames_stale_count == 0);
    assert_true(pages_sum(&pages, 0, UINT64_MAX).cached == 2); /* 10 and 700 */
    assert_null(pages_find(&pages, 701));
    assert_true(pages_resize(&pages, 0));
    assert_true(pages.leaf_count == 0);
    pages_clear(&pages);
}

static void test_marks_are_counted_once(void **state)
{
    struct pages pages = make(2000);
    struct leaf *leaf = pages_make(&pages, 0);

    (void)state;
    pages_mark_stale(&pages, leaf, true);
    pages_mark_stale(&pages, leaf, true);
    assert_true(pages.stale_count == 1);
    pages_mark_stale(&pages, leaf, false);
    pages_mark_stale(&pages, leaf, false);
    assert_true(pages.stale_count == 0);
    pages_clear(&pages);
}

static void test_sums_of_whole_and_cut_leaves_agree(void **state)
{
    struct pages pages = make(5 * LEAF_PAGES);

    (void)state;
    for (uint64_t page = 0; page < 5 * LEAF_PAGES; page += 3)
        put(&pages, page, page % 2 ? PAGE_DIRTY : PAGE_WRITEBACK, 7 + 2 * page);
    for (uint64_t first = 0; first < 2 * LEAF_PAGES; first += 101)
        for (uint64_t count = 0; count < 3 * LEAF_PAGES; count += 97) {
            struct page_sums sums = pages_sum(&pages, first, count);
            uint64_t cached = 0, dirty = 0, first_frame = 0;

            for (uint64_t page = first; page < first + count; page++) {
                cached += page % 3 == 0;
                dirty += page % 3 == 0 && page % 2 == 1;
                if (page % 3 == 0 && first_frame == 0)
                    first_frame = 7 + 2 * page;
            }
            assert_true(sums.cached == cached);
            assert_true(sums.dirty == dirty);
            assert_true(sums.writeback == cached - dirty);
            assert_true(sums.frames == cached && sums.first_frame == first_frame);
        }
    pages_clear(&pages);
}

static void test_runs_of_frames(void **state)
{
    struct pages pages = make(3 * LEAF_PAGES);
    struct page_sums sums;

    (void)state;
    for (uint64_t page = 0; page < 15; page++) /* one too short */
        put(&pages, page, 0, 1000 + page);
    for (uint64_t page = 20; page < 36; page++) /* just long enough */
        put(&pages, page, 0, 2000 + page);
    for (uint64_t page = 0; page < LEAF_PAGES; page++) /* a whole leaf */
        put(&pages, LEAF_PAGES + page, 0, 9000 + page);
    for (uint64_t page = 0; page < LEAF_PAGES; page++) /* a whole leaf, but one page is elsewhere */
        put(&pages, 2 * LEAF_PAGES + page, 0, page == 100 ? 1 : 5000 + page);
    sums = pages_sum(&pages, 0, LEAF_PAGES);
    assert_true(sums.frames == 31 && sums.near == 16 && sums.whole == 0);
    assert_true(sums.first_frame == 1000);
    sums = pages_sum(&pages, LEAF_PAGES, LEAF_PAGES);
    assert_true(sums.frames == LEAF_PAGES && sums.near == LEAF_PAGES && sums.whole == LEAF_PAGES);
    sums = pages_sum(&pages, 2 * LEAF_PAGES, LEAF_PAGES);
    assert_true(sums.near == LEAF_PAGES - 1 && sums.whole == 0);
    pages_clear(&pages);
}

static void test_what_came_and_went(void **state)
{
    struct pages pages = make(LEAF_PAGES);
    struct leaf *leaf = pages_make(&pages, 0);
    bool cached[LEAF_PAGES] = { [3] = true, [4] = true };

    (void)state;
    leaf->born = 7;
    leaf_set_cached(leaf, LEAF_PAGES, cached, 20);
    assert_true(leaf->since[3] == 7); /* there since the leaf was made, or longer: not since the first look */
    leaf->state[3] |= PAGE_FRAME | PAGE_DIRTY;
    cached[3] = false;
    cached[5] = true;
    leaf_set_cached(leaf, LEAF_PAGES, cached, 30);
    assert_true(leaf->state[3] == PAGE_GONE); /* its frame and its dirt went with it */
    assert_true(leaf->state[4] == PAGE_CACHED && leaf->since[4] == 7);
    assert_true(leaf->since[5] == 30);
    cached[3] = true;
    leaf_set_cached(leaf, LEAF_PAGES, cached, 40);
    assert_true(leaf->state[3] == PAGE_CACHED && leaf->since[3] == 40);
    pages_clear(&pages);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_an_empty_file_has_no_pages),
        cmocka_unit_test(test_the_largest_file_has_a_last_page),
        cmocka_unit_test(test_leaves_come_in_order),
        cmocka_unit_test(test_growing_keeps_what_is_known),
        cmocka_unit_test(test_shrinking_forgets_the_rest),
        cmocka_unit_test(test_marks_are_counted_once),
        cmocka_unit_test(test_sums_of_whole_and_cut_leaves_agree),
        cmocka_unit_test(test_runs_of_frames),
        cmocka_unit_test(test_what_came_and_went),
    };

    return run_test_list(list);
}
