/* SPDX-License-Identifier: MIT */
/* children - what a child of fork() finds of a span, and can't break with it. */
#include "spans.h"

#include <errno.h>
#include <sys/mman.h>

#define MARK 7

/* What the child was not given, it has put something else in the place of. */
static int use_what_is_not_there(void *arg)
{
    struct verso_pages *pages = arg;
    size_t page = verso_page_bytes();
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;
    unsigned char *other = mmap(verso_pages_data(pages), 4 * page, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (other == MAP_FAILED)
        return 1;
    memset(other, MARK, 4 * page);
    if (verso_pages_commit(pages, 0, page) != -EPERM || verso_pages_decommit(pages, 0, page) != -EPERM)
        return 2;
    if (verso_pages_guard(pages, 0, page) != -EPERM || verso_pages_unguard(pages, 0, page) != -EPERM)
        return 3;
    if (verso_pages_protect(pages, 0, page, VERSO_PAGES_ACCESS_READ) != -EPERM)
        return 4;
    if (verso_pages_advise(pages, 0, page, VERSO_PAGES_ADVICE_DISCARD) != -EPERM)
        return 5;
    if (verso_pages_populate(pages, 0, page) != -EPERM || verso_pages_lock(pages, 0, page) != -EPERM ||
        verso_pages_unlock(pages, 0, page) != -EPERM)
        return 6;
    if (verso_pages_resize(pages, page, 1) != -EPERM || verso_pages_seal(pages) != -EPERM)
        return 7;
    if (verso_pages_info(pages, &info) < 0)
        return 8;
    verso_pages_close(pages);
    return is_filled(other, 4 * page, MARK) ? 0 : 9;
}

static void test_a_span_left_behind(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT | VERSO_PAGES_NO_FORK);

    (void)state;
    memset(data_of(pages), 1, 4 * page);
    assert_int_equal(support_child(use_what_is_not_there, pages), 0);
    assert_true(is_filled(data_of(pages), 4 * page, 1));
    assert_ok(verso_pages_decommit(pages, 0, page)); /* here it is as usable as before */
    verso_pages_close(pages);
}

static int open_and_close(void *arg)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages;

    (void)arg;
    options.flags = VERSO_PAGES_NO_FORK | VERSO_PAGES_COMMIT;
    if (verso_pages_open(1, &options, &pages) < 0 || verso_pages_decommit(pages, 0, verso_page_bytes()) < 0)
        return 1;
    verso_pages_close(pages);
    return 0;
}

static void test_a_span_of_the_childs_own(void **state)
{
    (void)state;
    assert_int_equal(support_child(open_and_close, NULL), 0);
}

/* Pages that were committed under a guard that is a mapping are as the flags want when it goes. */
static void flags_reach_beneath_guards(unsigned kind, unsigned flags)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    size_t page = verso_page_bytes();
    struct verso_pages *pages;

    options.kind = kind;
    options.flags = flags | VERSO_PAGES_NO_FORK;
    if (verso_pages_open(3 * page, &options, &pages) < 0)
        skip_because("no such memory here: %s", verso_error_last()->hint);
    assert_ok(verso_pages_guard(pages, page, page));
    assert_ok(verso_pages_commit(pages, 0, 3 * page));
    assert_ok(verso_pages_unguard(pages, page, page));
    memset(data_of(pages), 1, 3 * page);
    for (size_t i = 0; i < 3; i++)
        assert_no_read(data_of(pages) + i * page);
    verso_pages_close(pages);
}

static void test_what_a_guard_stood_over_is_left_behind_too(void **state)
{
    (void)state;
    flags_reach_beneath_guards(VERSO_PAGES_PRIVATE, VERSO_PAGES_LOCK);
}

static void test_what_a_guard_stood_over_stays_secret(void **state)
{
    (void)state;
    flags_reach_beneath_guards(VERSO_PAGES_SECRET, 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_span_left_behind),
        cmocka_unit_test(test_a_span_of_the_childs_own),
        cmocka_unit_test(test_what_a_guard_stood_over_is_left_behind_too),
        cmocka_unit_test(test_what_a_guard_stood_over_stays_secret),
    };

    return run_test_list(list);
}
