/* SPDX-License-Identifier: MIT */
/* cells - windows are cut without gap or overlap, and a cell shows what tells most. */
#include "support.h"

#include "../../../cli/watch_cells.h"

#define PAGE UINT64_C(4096)

static void test_cells_cover_the_window(void **state)
{
    static const uint64_t sizes[] = { 65, 66, 129, 1000, 28640, (UINT64_C(1) << 51) - 1, UINT64_C(1) << 51 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (size_t cells = 1; cells <= 65; cells++) {
            struct window window = { 1000, sizes[i] };
            uint64_t next = 1000;

            for (size_t cell = 0; cell < cells; cell++) {
                struct window part = window_cell(window, cell, cells);

                assert_true(part.first_page == next && part.page_count > 0);
                next += part.page_count;
            }
            assert_true(next == 1000 + sizes[i]);
        }
}

static void test_few_pages_are_shown_wide(void **state)
{
    struct window window = { 10, 3 };
    size_t seen[3] = { 0 };

    (void)state;
    for (size_t cell = 0; cell < 64; cell++) {
        struct window part = window_cell(window, cell, 64);

        assert_true(part.page_count == 1 && part.first_page >= 10 && part.first_page < 13);
        seen[part.first_page - 10]++;
    }
    for (int i = 0; i < 3; i++)
        assert_true(seen[i] == 21 || seen[i] == 22);
}

static void test_a_page_is_found_in_its_cell(void **state)
{
    static const uint64_t sizes[] = { 1, 3, 64, 65, 1000, UINT64_C(1) << 51 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct window window = { 7, sizes[i] };

        for (uint64_t at = 0; at < sizes[i]; at += 1 + sizes[i] / 500) {
            size_t cell = window_cell_of(window, 7 + at, 64);
            struct window part = window_cell(window, cell, 64);

            assert_true(7 + at >= part.first_page && 7 + at - part.first_page < part.page_count);
        }
    }
    assert_true(window_cell_of((struct window){ 0, 100 }, 1000, 10) == 9);
    assert_true(window_cell_of((struct window){ 0, 0 }, 0, 10) < 10);
}

/* ---- Disk ---- */

static struct disk_extent extent(uint64_t file_page, uint64_t disk_page, uint64_t pages, unsigned state)
{
    return (struct disk_extent){ .is = { file_page * PAGE, disk_page * PAGE, pages * PAGE, state } };
}

static void test_neighbours_on_the_disk_are_one_piece(void **state)
{
    struct disk_extent extents[] = {
        extent(0, 100, 10, 0),
        extent(10, 110, 10, 0), /* goes on */
        extent(20, 500, 10, 0), /* elsewhere */
        extent(40, 510, 10, 0), /* goes on there, but after a hole in the file */
        extent(50, 520, 10, VERSO_INSPECT_EXTENT_DELAYED),
    };

    (void)state;
    assert_true(disk_pieces(extents, 5) == 4);
    assert_true(extents[1].piece == 0 && extents[2].piece == 1 && extents[3].piece == 2 && extents[4].piece == 3);
    assert_true(disk_pieces(extents, 1) == 1);
    assert_true(disk_pieces(extents, 0) == 0);
    assert_true(disk_range(extents, 5).lowest == 100 * PAGE);
    assert_true(disk_range(extents, 5).highest == 520 * PAGE); /* what has no place yet does not count */
    assert_true(disk_range(extents, 0).highest == 0);
}

static void test_extents_are_found(void **state)
{
    struct disk_extent extents[] = { extent(1, 100, 2, 0), extent(3, 200, 1, 0), extent(9, 300, 1, 0) };

    (void)state;
    assert_null(disk_extent_at(extents, 3, 0));
    assert_null(disk_extent_at(extents, 0, 0));
    assert_ptr_equal(disk_extent_at(extents, 3, PAGE), &extents[0]);
    assert_ptr_equal(disk_extent_at(extents, 3, 3 * PAGE - 1), &extents[0]);
    assert_ptr_equal(disk_extent_at(extents, 3, 3 * PAGE), &extents[1]);
    assert_null(disk_extent_at(extents, 3, 4 * PAGE));
    assert_ptr_equal(disk_extent_at(extents, 3, 10 * PAGE - 1), &extents[2]);
    assert_null(disk_extent_at(extents, 3, 10 * PAGE));
}

static void test_disk_cells(void **state)
{
    struct disk_extent extents[] = { extent(0, 100, 4, 0), extent(4, 900, 4, 0),
                                     extent(12, 500, 4, VERSO_INSPECT_EXTENT_UNWRITTEN) };
    struct cell cells[16];

    (void)state;
    disk_pieces(extents, 3);
    cells_disk(extents, 3, PAGE, (struct window){ 0, 16 }, cells, 16);
    assert_int_equal(cells[0].kind, KIND_EXTENT);
    assert_int_equal(cells[0].height, 0);
    assert_int_equal(cells[4].kind, KIND_EXTENT_OTHER);
    assert_true(cells[7].height > 250 && cells[7].height > cells[4].height);
    assert_int_equal(cells[8].kind, KIND_HOLE);
    assert_int_equal(cells[12].kind, KIND_UNWRITTEN);
    cells_disk(extents, 3, PAGE, (struct window){ 0, 16 }, cells, 2);
    assert_int_equal(cells[0].kind, KIND_EXTENT); /* where it begins, among plain ones */
    assert_int_equal(cells[1].kind, KIND_UNWRITTEN);
    assert_true(cells[1].share == 127); /* half of it is a hole */
}

/* ---- Cache and frames ---- */

static void put(struct pages *pages, uint64_t page, unsigned state, uint64_t frame)
{
    struct leaf *leaf = pages_make(pages, page);

    assert_non_null(leaf);
    leaf->state[page % LEAF_PAGES] = (uint16_t)state;
    leaf->frame[page % LEAF_PAGES] = frame;
    leaf_sum(leaf);
}

static enum cell_kind kind_of_all(const struct pages *pages)
{
    struct cell cell;

    cells_cache(pages, (struct window){ 0, pages->page_count }, &cell, 1);
    return (enum cell_kind)cell.kind;
}

static void test_the_most_telling_state_wins(void **state)
{
    struct pages pages;
    struct cell cell;

    (void)state;
    pages_init(&pages);
    assert_true(pages_resize(&pages, 4000));
    assert_int_equal(kind_of_all(&pages), KIND_ABSENT);
    put(&pages, 0, PAGE_CACHED, 0);
    put(&pages, 1, PAGE_CACHED | PAGE_FOLIO, 0);
    assert_int_equal(kind_of_all(&pages), KIND_CACHED);
    put(&pages, 2, PAGE_CACHED | PAGE_FOLIO, 0);
    assert_int_equal(kind_of_all(&pages), KIND_FOLIO); /* most are */
    put(&pages, 0, PAGE_CACHED | PAGE_ACTIVE, 0);
    put(&pages, 1, PAGE_CACHED | PAGE_ACTIVE, 0);
    assert_int_equal(kind_of_all(&pages), KIND_ACTIVE);
    for (uint64_t page = 10; page < 13; page++)
        put(&pages, page, PAGE_GONE, 0);
    assert_int_equal(kind_of_all(&pages), KIND_ACTIVE); /* as many went as stayed */
    put(&pages, 13, PAGE_GONE, 0);
    assert_int_equal(kind_of_all(&pages), KIND_GONE);
    put(&pages, 3999, PAGE_CACHED | PAGE_DIRTY, 0);
    assert_int_equal(kind_of_all(&pages), KIND_DIRTY); /* one in four thousand shows */
    cells_cache(&pages, (struct window){ 0, 4000 }, &cell, 1);
    assert_int_equal(cell.share, 1);
    assert_int_equal(cell_letter(&cell), 'd');
    put(&pages, 3998, PAGE_CACHED | PAGE_WRITEBACK, 0);
    assert_int_equal(kind_of_all(&pages), KIND_WRITEBACK);
    cells_cache(&pages, (struct window){ 3999, 1 }, &cell, 1);
    assert_int_equal(cell_letter(&cell), 'D');
    pages_clear(&pages);
}

static void test_frame_cells(void **state)
{
    struct place_range range = { 1000, 2000 };
    struct pages pages;
    struct cell cells[3];

    (void)state;
    pages_init(&pages);
    assert_true(pages_resize(&pages, 3 * LEAF_PAGES));
    for (uint64_t page = 0; page < LEAF_PAGES; page++)
        put(&pages, page, PAGE_CACHED | PAGE_FRAME, 1000 + page);
    for (uint64_t page = 0; page < LEAF_PAGES; page++)
        put(&pages, LEAF_PAGES + page, PAGE_CACHED | PAGE_FRAME, 2000 - page);
    put(&pages, 2 * LEAF_PAGES, PAGE_CACHED, 0);
    cells_frames(&pages, range, (struct window){ 0, 3 * LEAF_PAGES }, cells, 3);
    assert_int_equal(cells[0].kind, KIND_WHOLE);
    assert_int_equal(cells[0].height, 0);
    assert_int_equal(cells[1].kind, KIND_SCATTERED); /* backwards is not a run */
    assert_int_equal(cells[1].height, 255);
    assert_int_equal(cells[2].kind, KIND_UNKNOWN); /* cached, but not looked at */
    pages_clear(&pages);
}

/* ---- Virtual ---- */

static enum cell_kind virtual_kind(unsigned state)
{
    struct verso_inspect_run run = { 0x10000, 0x10000 + PAGE, state };
    struct watch_mapping mapping = {
        .start = 0x10000, .end = 0x10000 + 8 * PAGE, .runs = &run, .run_count = state ? 1 : 0
    };
    struct watch_process process = { .mappings = &mapping, .mapping_count = 1 };
    struct cell cell;

    cells_virtual(&process, PAGE, (struct window){ 0, 8 }, &cell, 1);
    return (enum cell_kind)cell.kind;
}

static void test_virtual_cells(void **state)
{
    struct watch_process nobody = { 0 };
    struct cell cell;

    (void)state;
    assert_int_equal(virtual_kind(0), KIND_UNTOUCHED);
    assert_int_equal(virtual_kind(VERSO_INSPECT_PAGE_PRESENT | VERSO_INSPECT_PAGE_FILE), KIND_PRESENT);
    assert_int_equal(virtual_kind(VERSO_INSPECT_PAGE_PRESENT | VERSO_INSPECT_PAGE_FILE | VERSO_INSPECT_PAGE_HUGE),
                     KIND_HUGE);
    assert_int_equal(virtual_kind(VERSO_INSPECT_PAGE_PRESENT), KIND_OWN);
    assert_int_equal(virtual_kind(VERSO_INSPECT_PAGE_SWAPPED), KIND_SWAPPED);
    assert_int_equal(virtual_kind(VERSO_INSPECT_PAGE_GUARD), KIND_GUARD);
    cells_virtual(&nobody, PAGE, (struct window){ 0, 8 }, &cell, 1);
    assert_int_equal(cell.kind, KIND_NONE);
}

/* ---- Kinds ---- */

/* Within a row no two kinds share a letter, nor a hue unless both are nothing: neither alone misleads. */
static void test_kinds_can_be_told_apart(void **state)
{
    static const enum cell_kind first_of_row[] = { KIND_HOLE, KIND_ABSENT, KIND_SCATTERED, KIND_UNTOUCHED, KIND_COUNT };

    (void)state;
    for (int row = 0; row < 4; row++)
        for (int a = (int)first_of_row[row]; a < (int)first_of_row[row + 1]; a++)
            for (int b = a + 1; b < (int)first_of_row[row + 1]; b++) {
                assert_int_not_equal(cell_kinds[a].letter, cell_kinds[b].letter);
                assert_int_not_equal(cell_kinds[a].hue, cell_kinds[b].hue);
            }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_cells_cover_the_window),
        cmocka_unit_test(test_few_pages_are_shown_wide),
        cmocka_unit_test(test_a_page_is_found_in_its_cell),
        cmocka_unit_test(test_neighbours_on_the_disk_are_one_piece),
        cmocka_unit_test(test_extents_are_found),
        cmocka_unit_test(test_disk_cells),
        cmocka_unit_test(test_the_most_telling_state_wins),
        cmocka_unit_test(test_frame_cells),
        cmocka_unit_test(test_virtual_cells),
        cmocka_unit_test(test_kinds_can_be_told_apart),
    };

    return run_test_list(list);
}
