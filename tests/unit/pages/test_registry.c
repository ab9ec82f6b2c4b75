/* SPDX-License-Identifier: MIT */
/* registry - which span holds an address, asked as a signal handler would; and many threads at once. */
#include "spans.h"

#include "child.h"
#include "pages/pages.h"

#include <pthread.h>

static bool find(const void *address, struct verso__pages_place *out_place)
{
    return verso__pages_find((uintptr_t)address, out_place);
}

static void test_found_with_all_that_is_known(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    size_t page = verso_page_bytes();
    struct verso__pages_place place;
    struct verso_pages *pages;
    unsigned char *data;

    (void)state;
    options.name = "a name of this span";
    options.flags = VERSO_PAGES_GUARD_ENDS;
    assert_ok(verso_pages_open(8 * page, &options, &pages));
    data = data_of(pages);
    assert_ok(verso_pages_commit(pages, page, 3 * page));
    assert_true(find(data - 1, &place)); /* the guard before it */
    assert_true(find(data + 9 * page - 1, &place));
    assert_false(find(data - page - 1, &place));
    assert_false(find(data + 9 * page, &place));
    assert_true(find(data, &place));
    assert_int_equal(place.outer_start, (uintptr_t)data - page);
    assert_int_equal(place.outer_end, (uintptr_t)data + 9 * page);
    assert_int_equal(place.start, (uintptr_t)data);
    assert_int_equal(place.end, (uintptr_t)data + 8 * page);
    assert_int_equal(place.committed_bytes, 3 * page);
    assert_int_equal(place.kind, VERSO_PAGES_PRIVATE);
    assert_int_equal(place.flags, VERSO_PAGES_GUARD_ENDS);
    assert_int_equal(place.page_bytes, page);
    assert_false(place.has_guard_mappings);
    assert_string_equal(place.name, "a name of this span");
    assert_ok(verso_pages_decommit(pages, page, page));
    assert_true(find(data, &place));
    assert_int_equal(place.committed_bytes, 2 * page);
    assert_ok(verso_pages_resize(pages, 4000 * page, 1));
    assert_true(find(data_of(pages) + 4000 * page, &place));
    assert_int_equal(place.end - place.start, 4000 * page);
    assert_ok(verso_pages_resize(pages, page, 1));
    data = data_of(pages);
    assert_true(find(data + 2 * page - 1, &place));
    assert_int_equal(place.committed_bytes, 0);
    verso_pages_close(pages);
    assert_false(find(data, &place));
}

static void test_a_failed_open_leaves_nothing(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso__pages_place place;
    struct verso_pages *pages = opened(1, VERSO_PAGES_PRIVATE, 0), *other;

    (void)state;
    options.address = verso_pages_data(pages);
    assert_fails(verso_pages_open(1, &options, &other), -EEXIST);
    assert_true(find(options.address, &place));
    verso_pages_close(pages);
    assert_false(find(options.address, &place));
}

/* ---- Threads ---- */

enum {
    THREADS = 4,
    SHARE = 64, /* pages of each thread in the common span */
    ROUNDS = 60
};

static struct verso_pages *common;
static atomic_bool stop;

static void *use_a_share(void *arg)
{
    size_t page = verso_page_bytes(), start = (size_t)(uintptr_t)arg * SHARE * page;
    unsigned char *mine = data_of(common) + start, mark = (unsigned char)((uintptr_t)arg + 1);

    for (unsigned round = 0; round < ROUNDS; round++) {
        assert_ok(verso_pages_commit(common, start, SHARE * page));
        assert_true(is_filled(mine, SHARE * page, 0));
        memset(mine, mark, SHARE * page);
        assert_ok(verso_pages_guard(common, start + 8 * page, 8 * page));
        assert_ok(verso_pages_protect(common, start + 32 * page, page, VERSO_PAGES_ACCESS_READ));
        assert_ok(verso_pages_unguard(common, start + 8 * page, 8 * page));
        assert_true(is_filled(mine, 8 * page, mark));
        assert_true(is_filled(mine + 8 * page, 8 * page, 0));
        assert_true(is_filled(mine + 16 * page, (SHARE - 16) * page, mark));
        assert_ok(verso_pages_decommit(common, start, SHARE * page));
    }
    return NULL;
}

static void *look(void *arg)
{
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;
    struct verso__pages_place place;

    (void)arg;
    while (!atomic_load(&stop)) {
        assert_ok(verso_pages_info(common, &info));
        assert_true(info.committed_bytes <= verso_pages_bytes(common));
        assert_true(find(verso_pages_data(common), &place));
        assert_string_equal(place.name, "verso");
    }
    return NULL;
}

static int use_in_child(void *arg)
{
    size_t page = verso_page_bytes();
    struct verso_pages *own;

    (void)arg;
    (void)alarm(60); /* a lock that a thread of the parent held would be waited for for ever */
    own = opened(4, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);
    *data_of(own) = 1;
    verso_pages_close(own);
    child_assert(verso_pages_commit(common, THREADS * SHARE * page, page) == 0);
    return 0;
}

static void test_threads_and_children(void **state)
{
    size_t page = verso_page_bytes();
    pthread_t threads[THREADS + 1];

    (void)state;
    common = opened(THREADS * SHARE + 1, VERSO_PAGES_PRIVATE, VERSO_PAGES_GUARD_ENDS);
    atomic_store(&stop, false);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use_a_share, (void *)i), 0);
    assert_int_equal(pthread_create(&threads[THREADS], NULL, look, NULL), 0);
    for (size_t i = 0; i < (support_is_tsan() ? 3U : 10U); i++)
        assert_int_equal(support_child(use_in_child, NULL), 0); /* no lock is held for ever there */
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    atomic_store(&stop, true);
    assert_int_equal(pthread_join(threads[THREADS], NULL), 0);
    assert_no_read(data_of(common));
    assert_no_read(data_of(common) + THREADS * SHARE * page);
    verso_pages_close(common);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_found_with_all_that_is_known),
        cmocka_unit_test(test_a_failed_open_leaves_nothing),
        cmocka_unit_test(test_threads_and_children),
    };

    return run_test_list(list);
}
