/* SPDX-License-Identifier: MIT */
/* virtual - slices spliced into what was known agree with a plain array of pages, whatever comes. */
#include "support.h"

#include "../../../cli/watch_virtual.h"

#define PAGE UINT64_C(4096)
#define START (UINT64_C(1) << 40)
#define PAGES 200u

static struct watch_mapping mapping_of(uint64_t first_page)
{
    return (struct watch_mapping){
        .start = START, .end = START + PAGES * PAGE, .offset_bytes = first_page * PAGE, .swept = START
    };
}

/* The runs of plain[from..to), as the kernel would give them: only where a state is. */
static size_t runs_of(const unsigned *plain, unsigned from, unsigned to, struct verso_inspect_run *out_runs)
{
    size_t count = 0;

    for (unsigned i = from; i < to; i++) {
        if (!plain[i])
            continue;
        if (count && out_runs[count - 1].end == START + i * PAGE && out_runs[count - 1].state == plain[i])
            out_runs[count - 1].end += PAGE;
        else
            out_runs[count++] = (struct verso_inspect_run){ START + i * PAGE, START + (i + 1) * PAGE, plain[i] };
    }
    return count;
}

static void assert_same(const struct watch_mapping *mapping, const unsigned *plain)
{
    struct verso_inspect_run wanted[PAGES];
    size_t count = runs_of(plain, 0, PAGES, wanted);

    assert_true(mapping->run_count == count); /* joined wherever they could be */
    for (size_t i = 0; i < count; i++) {
        assert_true(mapping->runs[i].start == wanted[i].start);
        assert_true(mapping->runs[i].end == wanted[i].end);
        assert_true(mapping->runs[i].state == wanted[i].state);
    }
    for (unsigned i = 0; i < PAGES; i++)
        assert_true(mapping_state(mapping, START + i * PAGE) == plain[i]);
}

static void test_slices_agree_with_an_array(void **state)
{
    static const unsigned states[] = { 0, VERSO_INSPECT_PAGE_PRESENT | VERSO_INSPECT_PAGE_FILE,
                                       VERSO_INSPECT_PAGE_PRESENT, VERSO_INSPECT_PAGE_SWAPPED };
    struct watch_mapping mapping = mapping_of(0);
    struct verso_inspect_run fresh[PAGES];
    unsigned plain[PAGES] = { 0 };
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        unsigned from, to;

        random = random * 1664525u + 1013904223u;
        from = (random >> 8) % PAGES;
        to = from + 1 + (random >> 20) % (PAGES - from);
        for (unsigned i = from; i < to; i++) {
            random = random * 1664525u + 1013904223u;
            if (i == from || (random >> 16) % 4 == 0)
                plain[i] = states[(random >> 24) % 4];
            else
                plain[i] = plain[i - 1];
        }
        assert_true(
            mapping_splice(&mapping, START + from * PAGE, START + to * PAGE, fresh, runs_of(plain, from, to, fresh)));
        assert_same(&mapping, plain);
    }
    free(mapping.runs);
}

static void test_runs_past_the_slice_are_cut(void **state)
{
    struct watch_mapping mapping = mapping_of(0);
    struct verso_inspect_run wide = { START, START + 10 * PAGE, VERSO_INSPECT_PAGE_PRESENT };
    unsigned plain[PAGES] = { 0 };

    (void)state;
    plain[4] = plain[5] = VERSO_INSPECT_PAGE_PRESENT;
    assert_true(mapping_splice(&mapping, START + 4 * PAGE, START + 6 * PAGE, &wide, 1));
    assert_same(&mapping, plain);
    assert_true(mapping_splice(&mapping, START, START + PAGES * PAGE, NULL, 0));
    assert_true(mapping.run_count == 0);
    free(mapping.runs);
}

static void test_addresses(void **state)
{
    struct watch_mapping mapping = mapping_of(1000);
    uint64_t address = 7;

    (void)state;
    assert_false(mapping_address(&mapping, 999, PAGE, &address));
    assert_false(mapping_address(&mapping, 1000 + PAGES, PAGE, &address));
    assert_true(address == 7);
    assert_true(mapping_address(&mapping, 1000, PAGE, &address));
    assert_true(address == START);
    assert_true(mapping_address(&mapping, 999 + PAGES, PAGE, &address));
    assert_true(address == START + (PAGES - 1) * PAGE);
}

static void test_sums_over_two_mappings(void **state)
{
    struct verso_inspect_run first = { START + 2 * PAGE, START + 6 * PAGE,
                                       VERSO_INSPECT_PAGE_PRESENT | VERSO_INSPECT_PAGE_FILE };
    struct verso_inspect_run second = { START, START + PAGE, VERSO_INSPECT_PAGE_PRESENT };
    struct watch_mapping mappings[2] = { mapping_of(0), mapping_of(4) };
    struct watch_process process = { .mappings = mappings, .mapping_count = 2 };
    struct virtual_sums sums;

    (void)state;
    mappings[0].runs = &first;
    mappings[0].run_count = 1;
    mappings[1].runs = &second;
    mappings[1].run_count = 1;
    sums = virtual_sum(&process, 0, UINT64_MAX, PAGE);
    assert_true(sums.mapped == 2 * PAGES && sums.present == 5 && sums.own == 1 && sums.swapped == 0);
    sums = virtual_sum(&process, 4, 1, PAGE); /* there in both: by the file, and as an own copy */
    assert_true(sums.mapped == 2 && sums.present == 2 && sums.own == 1);
    sums = virtual_sum(&process, 5, 1, PAGE);
    assert_true(sums.mapped == 2 && sums.present == 1 && sums.own == 0);
    sums = virtual_sum(&process, PAGES + 4, 100, PAGE); /* past both */
    assert_true(sums.mapped == 0 && sums.present == 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_slices_agree_with_an_array),
        cmocka_unit_test(test_runs_past_the_slice_are_cut),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_sums_over_two_mappings),
    };

    return run_test_list(list);
}
