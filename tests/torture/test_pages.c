/* SPDX-License-Identifier: MIT */
/* pages - spans of every kind, with every call beneath failing in turn: what failed has changed nothing. */
#include "torture.h"

#include <verso/pages.h>

#define PAGES 8

static size_t page;

static struct verso_pages *opened(unsigned kind, unsigned flags)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages = UNTOUCHED;

    page = verso_page_bytes();
    options.kind = kind;
    options.flags = flags;
    attempt(verso_pages_open(PAGES * page, &options, &pages)) assert_ptr_equal(pages, UNTOUCHED);
    assert_int_equal(verso_pages_bytes(pages), PAGES * page);
    return pages;
}

static uint64_t committed(const struct verso_pages *pages)
{
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;

    fake_end(); /* info asks the kernel, too, and must not count */
    assert_ok(verso_pages_info(pages, &info));
    return info.committed_bytes;
}

static bool is_filled(const unsigned char *bytes, size_t count, unsigned char with)
{
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != with)
            return false;
    return true;
}

/* Where a second call was refused, the undoing may have been as well. */
static bool one_refusal(void)
{
    return torture_refusals() < 2;
}

static void commit_and_back(unsigned kind, unsigned flags)
{
    struct verso_pages *pages = opened(kind, flags);
    unsigned char *data = verso_pages_data(pages);

    attempt(verso_pages_commit(pages, page, 2 * page))
    {
    }
    memset(data + page, 5, 2 * page);
    attempt(verso_pages_protect(pages, page, page, VERSO_PAGES_ACCESS_READ))
    {
        if (one_refusal())
            data[page] = 5; /* still writable */
    }
    attempt(verso_pages_commit(pages, 0, 4 * page))
    {
        if (one_refusal())
            assert_true(is_filled(data + page, 2 * page, 5));
    }
    assert_true(is_filled(data + page, 2 * page, 5));
    assert_true(is_filled(data, page, 0));
    memset(data, 6, 4 * page);
    attempt(verso_pages_decommit(pages, 2 * page, page))
    {
    }
    attempt(verso_pages_commit(pages, 2 * page, page))
    {
    }
    assert_true(is_filled(data + 2 * page, page, 0));
    assert_true(is_filled(data, 2 * page, 6));
    assert_true(is_filled(data + 3 * page, page, 6));
    verso_pages_close(pages);
}

static void commit_private(void)
{
    commit_and_back(VERSO_PAGES_PRIVATE, VERSO_PAGES_GUARD_ENDS);
}

static void commit_dressed(void)
{
    commit_and_back(VERSO_PAGES_PRIVATE, VERSO_PAGES_NO_CORE | VERSO_PAGES_WIPE_ON_FORK | VERSO_PAGES_POPULATE);
}

static void commit_locked(void)
{
    commit_and_back(VERSO_PAGES_PRIVATE, VERSO_PAGES_LOCK | VERSO_PAGES_NO_FORK);
}

static void commit_shared(void)
{
    commit_and_back(VERSO_PAGES_SHARED, VERSO_PAGES_GUARD_ENDS);
}

static void commit_from_the_start(void)
{
    struct verso_pages *pages = opened(VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT | VERSO_PAGES_HUGE);

    memset(verso_pages_data(pages), 1, PAGES * page);
    verso_pages_close(pages);
    pages = opened(VERSO_PAGES_SHARED, VERSO_PAGES_COMMIT | VERSO_PAGES_POPULATE);
    memset(verso_pages_data(pages), 1, PAGES * page);
    verso_pages_close(pages);
}

static void guards(unsigned kind, unsigned flags)
{
    struct verso_pages *pages = opened(kind, flags | VERSO_PAGES_COMMIT);
    unsigned char *data = verso_pages_data(pages);

    memset(data, 7, PAGES * page);
    attempt(verso_pages_guard(pages, 2 * page, 2 * page))
    {
    }
    assert_true(is_filled(data, 2 * page, 7));
    assert_true(is_filled(data + 4 * page, 4 * page, 7));
    attempt(verso_pages_commit(pages, 0, PAGES * page))
    {
    }
    attempt(verso_pages_unguard(pages, 0, PAGES * page))
    {
    }
    assert_true(is_filled(data, 2 * page, 7));
    assert_true(is_filled(data + 2 * page, 2 * page, 0));
    attempt(verso_pages_guard(pages, 0, page))
    {
    }
    attempt(verso_pages_decommit(pages, 0, page))
    {
    }
    attempt(verso_pages_commit(pages, 0, page))
    {
    }
    data[0] = 1;
    verso_pages_close(pages);
}

static void guards_private(void)
{
    guards(VERSO_PAGES_PRIVATE, 0);
}

static void guards_locked(void)
{
    guards(VERSO_PAGES_PRIVATE, VERSO_PAGES_LOCK);
}

static void guards_shared(void)
{
    guards(VERSO_PAGES_SHARED, 0);
}

static void bring_in(void)
{
    struct verso_pages *pages = opened(VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);
    unsigned char *data = verso_pages_data(pages);

    memset(data, 3, PAGES * page);
    attempt(verso_pages_populate(pages, 0, 0))
    {
    }
    attempt(verso_pages_lock(pages, 0, 2 * page))
    {
    }
    attempt(verso_pages_unlock(pages, 0, 2 * page))
    {
    }
    attempt(verso_pages_advise(pages, page, page, VERSO_PAGES_ADVICE_DISCARD))
    {
    }
    attempt(verso_pages_advise(pages, 2 * page, page, VERSO_PAGES_ADVICE_COLD))
    {
    }
    assert_true(is_filled(data, page, 3));
    assert_int_equal(data[page], 0);
    verso_pages_close(pages);
}

static void resize_with(unsigned flags)
{
    struct verso_pages *pages = opened(VERSO_PAGES_PRIVATE, flags);
    unsigned char *data;

    attempt(verso_pages_commit(pages, 0, PAGES * page))
    {
    }
    memset(verso_pages_data(pages), 4, PAGES * page);
    for (size_t bytes = 2 * PAGES * page; bytes <= 512 * PAGES * page; bytes *= 16) {
        size_t before = verso_pages_bytes(pages);

        data = verso_pages_data(pages);
        attempt(verso_pages_resize(pages, bytes, 1))
        {
            assert_int_equal(verso_pages_bytes(pages), before);
            assert_ptr_equal(verso_pages_data(pages), data);
            assert_true(is_filled(data, PAGES * page, 4));
        }
        assert_true(is_filled(verso_pages_data(pages), PAGES * page, 4));
    }
    attempt(verso_pages_resize(pages, 2 * page, 0))
    {
        if (one_refusal())
            assert_true(is_filled(verso_pages_data(pages), PAGES * page, 4));
    }
    assert_true(is_filled(verso_pages_data(pages), 2 * page, 4));
    verso_pages_close(pages);
}

static void resize(void)
{
    resize_with(VERSO_PAGES_GUARD_ENDS);
}

static void resize_committed(void)
{
    resize_with(VERSO_PAGES_COMMIT);
}

/* Never more is said to be committed than is. */
static void count(void)
{
    struct verso_pages *pages = opened(VERSO_PAGES_PRIVATE, 0);

    attempt(verso_pages_commit(pages, 0, 2 * page))
    {
    }
    attempt(verso_pages_commit(pages, 4 * page, 2 * page))
    {
    }
    attempt(verso_pages_decommit(pages, page, page))
    {
    }
    assert_int_equal(committed(pages), 3 * page);
    verso_pages_close(pages);
}

#define TORTURE(scenario)                     \
    static void test_##scenario(void **state) \
    {                                         \
        (void)state;                          \
        torture(scenario);                    \
    }
TORTURE(commit_private)
TORTURE(commit_dressed)
TORTURE(commit_locked)
TORTURE(commit_shared)
TORTURE(commit_from_the_start)
TORTURE(guards_private)
TORTURE(guards_locked)
TORTURE(guards_shared)
TORTURE(bring_in)
TORTURE(resize)
TORTURE(resize_committed)
TORTURE(count)
#undef TORTURE

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_commit_private), torture_test(test_commit_dressed),        torture_test(test_commit_locked),
        torture_test(test_commit_shared),  torture_test(test_commit_from_the_start), torture_test(test_guards_private),
        torture_test(test_guards_locked),  torture_test(test_guards_shared),         torture_test(test_bring_in),
        torture_test(test_resize),         torture_test(test_resize_committed),      torture_test(test_count),
    };

    return run_test_list(list);
}
