/* SPDX-License-Identifier: MIT */
/* runs - against the plainest picture of the same: a byte a page. */
#include "support.h"

#include "pages/runs.h"

#define PAGES 200

static void check(const struct verso__pages_runs *runs, const unsigned char *wanted, size_t pages)
{
    struct verso__pages_piece piece = { 0, 0, 99 };
    size_t committed = 0;

    for (size_t at = 0; at < pages; at++) {
        assert_true(verso__pages_runs_piece(runs, at, at + 1, &piece));
        assert_int_equal(piece.start, at);
        assert_int_equal(piece.end, at + 1);
        assert_int_equal(piece.state, wanted[at]);
        committed += (wanted[at] & 3) != 0;
    }
    assert_false(verso__pages_runs_piece(runs, pages, pages, &piece));
    assert_int_equal(runs->committed_bytes, committed);
    assert_int_equal(runs->list[0].start, 0);
    for (size_t i = 1; i < runs->count; i++) {
        assert_true(runs->list[i].start > runs->list[i - 1].start);
        assert_int_not_equal(runs->list[i].state, runs->list[i - 1].state);
    }
    assert_true(runs->count <= runs->room);
}

static void test_any_order_of_changes(void **state)
{
    unsigned char wanted[PAGES] = { 0 };
    struct verso__pages_runs runs;
    unsigned random = 1;

    (void)state;
    assert_int_equal(verso__pages_runs_init(&runs, PAGES, VERSO__PAGES_RESERVED), 0);
    for (int round = 0; round < 5000; round++) {
        size_t start, end;
        unsigned to;

        random = random * 1103515245 + 12345;
        start = (random >> 8) % PAGES;
        random = random * 1103515245 + 12345;
        end = start + 1 + (random >> 8) % (round % 2 ? 3 : PAGES - start);
        end = end > PAGES ? PAGES : end;
        to = (random >> 24) % 8;
        assert_int_equal(verso__pages_runs_prepare(&runs), 0);
        verso__pages_runs_set(&runs, start, end, to);
        memset(wanted + start, (int)to, end - start);
        if (round % 16 == 0)
            check(&runs, wanted, PAGES);
    }
    check(&runs, wanted, PAGES);
    verso__pages_runs_free(&runs);
}

static void test_longer_and_shorter(void **state)
{
    unsigned char wanted[PAGES] = { 0 };
    struct verso__pages_runs runs;

    (void)state;
    assert_int_equal(verso__pages_runs_init(&runs, 10, VERSO__PAGES_WRITE), 0);
    memset(wanted, VERSO__PAGES_WRITE, 10);
    check(&runs, wanted, 10);
    assert_int_equal(verso__pages_runs_prepare(&runs), 0);
    verso__pages_runs_resize(&runs, 20);
    check(&runs, wanted, 20);
    verso__pages_runs_resize(&runs, 30);
    check(&runs, wanted, 30);
    assert_int_equal(runs.count, 2);
    verso__pages_runs_resize(&runs, 10);
    check(&runs, wanted, 10);
    verso__pages_runs_resize(&runs, 4);
    check(&runs, wanted, 4);
    verso__pages_runs_resize(&runs, 1);
    check(&runs, wanted, 1);
    verso__pages_runs_free(&runs);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_any_order_of_changes),
        cmocka_unit_test(test_longer_and_shorter),
    };

    return run_test_list(list);
}
