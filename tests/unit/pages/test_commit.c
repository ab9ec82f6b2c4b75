/* SPDX-License-Identifier: MIT */
/* commit - spans of addresses, and what becomes memory in them. */
#include "spans.h"

#include <sys/mman.h>
#include <sys/resource.h>

static void test_a_terabyte_costs_nothing(void **state)
{
    struct verso_pages *pages;
    size_t page = verso_page_bytes();

    (void)state;
    if (sizeof(void *) < 8 || support_is_asan() || support_is_tsan())
        skip_because("no terabyte of addresses here");
    assert_ok(verso_pages_open(1ULL << 40, NULL, &pages));
    assert_int_equal(verso_pages_bytes(pages), (size_t)1 << 40);
    assert_ok(verso_pages_commit(pages, 0, page));
    assert_ok(verso_pages_commit(pages, (1ULL << 40) - page, page));
    data_of(pages)[0] = 1;
    data_of(pages)[((size_t)1 << 40) - 1] = 2;
    assert_no_write(data_of(pages) + page);
    verso_pages_close(pages);
}

static void test_sizes_are_whole_pages(void **state)
{
    size_t page = verso_page_bytes();
    const size_t asked[] = { 1, page - 1, page, page + 1, 7 * page };
    struct verso_pages *pages = (void *)1;

    (void)state;
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        assert_ok(verso_pages_open(asked[i], NULL, &pages));
        assert_int_equal(verso_pages_bytes(pages), (asked[i] + page - 1) / page * page);
        assert_non_null(verso_pages_data(pages));
        verso_pages_close(pages);
    }
    pages = (void *)1;
    assert_fails(verso_pages_open(0, NULL, &pages), VERSO_E_RANGE);
    assert_fails(verso_pages_open(UINT64_MAX, NULL, &pages), VERSO_E_OVERFLOW);
    assert_fails(verso_pages_open((uint64_t)PTRDIFF_MAX + 1, NULL, &pages), VERSO_E_OVERFLOW);
    assert_fails(verso_pages_open(UINT64_C(1) << (sizeof(void *) * 8 - 2), NULL, &pages), -ENOMEM);
    assert_ptr_equal(pages, (void *)1);
    verso_pages_close(NULL);
}

static void test_committed_pages_are_zeros_and_stay(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(8, VERSO_PAGES_PRIVATE, 0);
    unsigned char *data = data_of(pages);

    (void)state;
    assert_no_read(data);
    assert_ok(verso_pages_commit(pages, 2 * page, 2 * page));
    assert_true(is_filled(data + 2 * page, 2 * page, 0));
    memset(data + 2 * page, 7, 2 * page);
    assert_no_write(data + 2 * page - 1);
    assert_no_write(data + 4 * page);
    assert_ok(verso_pages_commit(pages, 0, 8 * page));
    assert_true(is_filled(data + 2 * page, 2 * page, 7));
    assert_true(is_filled(data, 2 * page, 0));
    assert_ok(verso_pages_decommit(pages, 3 * page, page));
    assert_no_read(data + 3 * page);
    assert_true(is_filled(data + 2 * page, page, 7));
    assert_ok(verso_pages_commit(pages, 3 * page, page));
    assert_true(is_filled(data + 3 * page, page, 0));
    verso_pages_close(pages);
}

static void test_wrong_ranges(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_PRIVATE, 0);

    (void)state;
    assert_fails_in(verso_pages_commit(pages, 0, 5 * page), VERSO_E_RANGE, "range");
    assert_fails(verso_pages_commit(pages, 4 * page, page), VERSO_E_RANGE);
    assert_fails(verso_pages_commit(pages, UINT64_MAX - page + 1, page), VERSO_E_RANGE);
    assert_fails(verso_pages_commit(pages, page, UINT64_MAX - page + 1), VERSO_E_RANGE);
    assert_fails(verso_pages_commit(pages, 1, page), VERSO_E_RANGE);
    assert_fails(verso_pages_commit(pages, 0, page + 1), VERSO_E_RANGE);
    assert_fails(verso_pages_decommit(pages, 0, page - 1), VERSO_E_RANGE);
    assert_ok(verso_pages_commit(pages, 4 * page, 0));
    assert_ok(verso_pages_commit(pages, 0, 0));
    assert_no_read(data_of(pages));
    verso_pages_close(pages);
}

static void test_alignment_and_address(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    size_t page = verso_page_bytes();
    struct verso_pages *pages, *other = (void *)1;

    (void)state;
    for (size_t align = 1; align <= (size_t)64 << 20; align *= 2) {
        options.align_bytes = align;
        options.flags = align % 3 == 1 ? VERSO_PAGES_GUARD_ENDS : 0;
        assert_ok(verso_pages_open(3 * page, &options, &pages));
        assert_int_equal((uintptr_t)verso_pages_data(pages) % align, 0);
        verso_pages_close(pages);
    }
    options = (struct verso_pages_options)VERSO_PAGES_OPTIONS_INIT;
    assert_ok(verso_pages_open(4 * page, &options, &pages));
    options.address = data_of(pages);
    assert_fails(verso_pages_open(page, &options, &other), -EEXIST);
    options.address = data_of(pages) + page;
    assert_fails(verso_pages_open(page, &options, &other), -EEXIST);
    verso_pages_close(pages);
    assert_ok(verso_pages_open(page, &options, &pages));
    assert_ptr_equal(verso_pages_data(pages), options.address);
    verso_pages_close(pages);
    options.address = (void *)1;
    assert_fails(verso_pages_open(page, &options, &other), VERSO_E_OPTIONS);
    assert_ptr_equal(other, (void *)1);
}

static void test_guards_at_both_ends(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(3, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT | VERSO_PAGES_GUARD_ENDS);
    unsigned char *data = data_of(pages);

    (void)state;
    assert_int_equal(verso_pages_bytes(pages), 3 * page);
    memset(data, 1, 3 * page);
    assert_no_write(data - 1);
    assert_no_write(data + 3 * page);
    assert_no_read(data - page);
    assert_no_read(data + 4 * page - 1);
    verso_pages_close(pages);
}

static int commit_beyond_limit(void *arg)
{
    struct rlimit limit = { 64 << 20, 64 << 20 };
    struct verso_pages *pages;
    int r;

    (void)arg;
    if (verso_pages_open((uint64_t)1 << 30, NULL, &pages) < 0)
        return 1;
    if (setrlimit(RLIMIT_DATA, &limit) < 0)
        return 99;
    r = verso_pages_commit(pages, 0, (uint64_t)1 << 30);
    if (r != -ENOMEM || verso_error_last()->code != r || !strstr(verso_error_last()->hint, "RLIMIT_DATA"))
        return 2;
    if (verso_pages_commit(pages, 0, (uint64_t)1 << 20) != 0)
        return 3;
    memset(verso_pages_data(pages), 1, (size_t)1 << 20);
    return 0;
}

static void test_no_more_memory_is_an_answer(void **state)
{
    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers need more than the limit");
    assert_int_equal(support_child(commit_beyond_limit, NULL), 0);
}

static void test_populate_brings_in(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);
    unsigned char in[4];

    (void)state;
    assert_ok(verso_pages_populate(pages, page, 2 * page));
    assert_int_equal(mincore(verso_pages_data(pages), 4 * page, in), 0);
    assert_int_equal(in[0] & 1, 0);
    assert_int_equal(in[1] & 1, 1);
    assert_int_equal(in[2] & 1, 1);
    assert_int_equal(in[3] & 1, 0);
    memset(data_of(pages), 5, 4 * page);
    assert_ok(verso_pages_advise(pages, page, page, VERSO_PAGES_ADVICE_DISCARD));
    assert_true(is_filled(data_of(pages) + page, page, 0));
    assert_true(is_filled(data_of(pages) + 2 * page, 2 * page, 5));
    assert_ok(verso_pages_advise(pages, 2 * page, 0, VERSO_PAGES_ADVICE_FREE));
    verso_pages_close(pages);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_terabyte_costs_nothing),
        cmocka_unit_test(test_sizes_are_whole_pages),
        cmocka_unit_test(test_committed_pages_are_zeros_and_stay),
        cmocka_unit_test(test_wrong_ranges),
        cmocka_unit_test(test_alignment_and_address),
        cmocka_unit_test(test_guards_at_both_ends),
        cmocka_unit_test(test_no_more_memory_is_an_answer),
        cmocka_unit_test(test_populate_brings_in),
    };

    return run_test_list(list);
}
