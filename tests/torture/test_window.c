/* SPDX-License-Identifier: MIT */
/* window - sliding over a file, reading and growing it, with every call beneath failing in turn. */
#include "torture.h"

#include <unistd.h>
#include <verso/window.h>

static struct verso_window *opened(const char *path, unsigned flags)
{
    struct verso_window_options options = VERSO_WINDOW_OPTIONS_INIT;
    struct verso_window *window = UNTOUCHED;

    options.flags = flags;
    options.budget_bytes = 4 * verso_page_bytes();
    attempt(verso_window_open(path, &options, &window)) assert_ptr_equal(window, UNTOUCHED);
    return window;
}

static void read_through(unsigned flags)
{
    const uint64_t total = 11 * verso_page_bytes() + 3;
    struct verso_window *window = opened(support_file("file", total), flags);
    uint64_t seen = 0;

    for (;;) {
        void *data = UNTOUCHED;
        size_t bytes = 12345;

        attempt(verso_window_next(window, &data, &bytes))
        {
            assert_ptr_equal(data, UNTOUCHED);
            assert_int_equal(bytes, 12345);
        }
        if (bytes == 0)
            break;
        assert_true(support_matches(data, seen, bytes));
        seen += bytes;
    }
    assert_true(seen == total);
    verso_window_close(window);
}

static void read_all(void)
{
    read_through(0);
}

static void read_and_drop(void)
{
    read_through(VERSO_WINDOW_DROP);
}

/* What a failed move must not take: the view that was there before. */
static void views(void)
{
    const size_t page = verso_page_bytes();
    struct verso_window *window = opened(support_file("file", 40 * page), 0);
    void *before = UNTOUCHED, *data = UNTOUCHED;

    attempt(verso_window_view(window, 5, page, &before)) assert_ptr_equal(before, UNTOUCHED);
    attempt(verso_window_view(window, 30 * page, page, &data))
    {
        assert_ptr_equal(data, UNTOUCHED);
        assert_true(support_matches(before, 5, page));
    }
    assert_true(support_matches(data, 30 * page, page));
    verso_window_close(window);
}

/* A write-back that failed once can't be tried again: the window says so for ever. */
static void sync_or_be_poisoned(struct verso_window *window)
{
    int r = verso_window_sync(window);

    if (r == 0)
        return;
    assert_true(torture_refusals() > 0);
    assert_int_equal(verso_error_last()->code, r);
    if (r == -EIO || r == -ENOSPC || r == -EDQUOT) {
        assert_fails(verso_window_sync(window), VERSO_E_POISONED);
        assert_int_equal(verso_error_last()->cause, r);
    }
}

static void grow(void)
{
    const size_t page = verso_page_bytes();
    const char *path = support_path("grown");
    struct verso_window *window;

    (void)unlink(path);
    window = opened(path, VERSO_WINDOW_WRITE | VERSO_WINDOW_CREATE | VERSO_WINDOW_EXTEND);
    for (uint64_t at = 0; at < 10 * page; at += page) {
        void *data = UNTOUCHED;

        attempt(verso_window_view(window, at, page, &data)) assert_ptr_equal(data, UNTOUCHED);
        memset(data, 7, page);
    }
    sync_or_be_poisoned(window);
    verso_window_close(window);
}

static void test_read_all(void **state)
{
    (void)state;
    torture(read_all);
}

static void test_read_and_drop(void **state)
{
    (void)state;
    torture(read_and_drop);
}

static void test_views(void **state)
{
    (void)state;
    torture(views);
}

static void test_grow(void **state)
{
    (void)state;
    torture(grow);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_read_all),
        torture_test(test_read_and_drop),
        torture_test(test_views),
        torture_test(test_grow),
    };

    return run_test_list(list);
}
