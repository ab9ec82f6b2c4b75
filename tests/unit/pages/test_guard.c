/* SPDX-License-Identifier: MIT */
/* guard - pages that fault, by markers and by mappings, and the pages beside them that don't. */
#include "spans.h"

#include "child.h"

#include <sys/mman.h>

#define MADV_GUARD_INSTALL_HERE 102

static void guards_between_pages(void)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(8, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);
    unsigned char *data = data_of(pages);

    memset(data, 9, 8 * page);
    assert_ok(verso_pages_guard(pages, 2 * page, page));
    assert_ok(verso_pages_guard(pages, 5 * page, 2 * page));
    assert_no_read(data + 2 * page);
    assert_no_write(data + 3 * page - 1);
    assert_no_write(data + 6 * page);
    assert_true(is_filled(data, 2 * page, 9));
    assert_true(is_filled(data + 3 * page, 2 * page, 9));
    assert_true(is_filled(data + 7 * page, page, 9));
    assert_ok(verso_pages_commit(pages, 0, 8 * page));
    assert_no_read(data + 2 * page); /* guards stay guards */
    assert_ok(verso_pages_unguard(pages, 0, 3 * page));
    assert_true(is_filled(data + 2 * page, page, 0));
    assert_ok(verso_pages_decommit(pages, 5 * page, 2 * page));
    assert_ok(verso_pages_commit(pages, 5 * page, 2 * page));
    assert_true(is_filled(data + 5 * page, 2 * page, 0));
    verso_pages_close(pages);
}

static void guards_over_what_is_reserved(void)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_PRIVATE, 0);
    unsigned char *data = data_of(pages);

    assert_ok(verso_pages_guard(pages, page, 2 * page));
    assert_ok(verso_pages_commit(pages, 0, 2 * page));
    assert_no_write(data + page);
    data[0] = 1;
    assert_ok(verso_pages_unguard(pages, page, 2 * page));
    data[page] = 1;
    assert_no_write(data + 2 * page); /* still reserved */
    verso_pages_close(pages);
}

static void test_guards_by_markers(void **state)
{
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;
    struct verso_pages *pages = opened(2, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);

    (void)state;
    assert_ok(verso_pages_guard(pages, 0, verso_page_bytes()));
    assert_ok(verso_pages_info(pages, &info));
    verso_pages_close(pages);
    if (info.guard_method != VERSO_PAGES_GUARD_MARKERS)
        skip_because("no MADV_GUARD_INSTALL: %s", info.guard_why);
    guards_between_pages();
    guards_over_what_is_reserved();
}

static int as_an_old_kernel(void *arg)
{
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;
    struct verso_pages *pages;
    size_t page = verso_page_bytes();

    (void)arg;
    if (!old_kernel_without(SYS_madvise, 2, MADV_GUARD_INSTALL_HERE, MADV_GUARD_INSTALL_HERE + 1, EINVAL))
        return CHILD_SKIPS;
    guards_between_pages();
    guards_over_what_is_reserved();
    pages = opened(8, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);
    assert_ok(verso_pages_guard(pages, page, page));
    assert_ok(verso_pages_guard(pages, 3 * page, page));
    assert_ok(verso_pages_info(pages, &info));
    child_assert(info.guard_method == VERSO_PAGES_GUARD_MAPPINGS);
    child_assert(info.guard_count == 2);
    child_assert(*info.guard_why);
    verso_pages_close(pages);
    return 0;
}

static void test_guards_by_mappings(void **state)
{
    (void)state;
    assert_child_ok(as_an_old_kernel, NULL);
}

static void test_many_guards_are_one_mapping(void **state)
{
    enum {
        GUARDS = 20000
    };
    size_t page = verso_page_bytes(), before, after;
    struct verso_pages *pages = opened(2 * GUARDS, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;

    (void)state;
    assert_ok(verso_pages_guard(pages, 0, page));
    assert_ok(verso_pages_info(pages, &info));
    if (info.guard_method != VERSO_PAGES_GUARD_MARKERS) {
        verso_pages_close(pages);
        skip_because("no MADV_GUARD_INSTALL: %s", info.guard_why);
    }
    before = support_mapping_count();
    for (size_t i = 0; i < GUARDS; i++)
        assert_ok(verso_pages_guard(pages, 2 * i * page, page));
    after = support_mapping_count();
    assert_true(after <= before + 2);
    assert_ok(verso_pages_info(pages, &info));
    assert_int_equal(info.guard_count, 0);
    verso_pages_close(pages);
}

/* The kernel stops at a marker; what is behind it is wanted all the same. */
static void populated_around_guards(unsigned kind, unsigned flags)
{
    enum {
        COUNT = 9
    };
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    size_t page = verso_page_bytes();
    struct verso_pages *pages;
    unsigned char in[COUNT];

    options.kind = kind;
    options.flags = flags;
    assert_ok(verso_pages_open(COUNT * page, &options, &pages));
    assert_ok(verso_pages_guard(pages, 0, page));
    assert_ok(verso_pages_guard(pages, 3 * page, 2 * page));
    assert_ok(verso_pages_guard(pages, (COUNT - 1) * page, page));
    assert_ok(verso_pages_commit(pages, 0, COUNT * page));
    assert_int_equal(mincore(data_of(pages), COUNT * page, in), 0);
    for (size_t i = 0; i < COUNT; i++) {
        bool is_guard = i == 0 || i == 3 || i == 4 || i == COUNT - 1;

        if (is_guard)
            assert_no_read(data_of(pages) + i * page);
        else
            assert_int_equal(in[i] & 1, 1);
    }
    verso_pages_close(pages);
}

static void test_populated_around_guards(void **state)
{
    (void)state;
    populated_around_guards(VERSO_PAGES_PRIVATE, VERSO_PAGES_POPULATE);
    populated_around_guards(VERSO_PAGES_SHARED, VERSO_PAGES_POPULATE);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_guards_by_markers),
        cmocka_unit_test(test_guards_by_mappings),
        cmocka_unit_test(test_many_guards_are_one_mapping),
        cmocka_unit_test(test_populated_around_guards),
    };

    return run_test_list(list);
}
