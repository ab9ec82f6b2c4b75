/* SPDX-License-Identifier: MIT */
/* access - protecting, bringing in, locking, sealing. */
#include "spans.h"

#include "child.h"
#include "mapping.h"

#include <sys/mman.h>
#include <sys/resource.h>

static void test_protect(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(6, VERSO_PAGES_PRIVATE, 0);
    unsigned char *data = data_of(pages);

    (void)state;
    assert_ok(verso_pages_commit(pages, 0, 4 * page));
    memset(data, 3, 4 * page);
    assert_ok(verso_pages_protect(pages, page, 2 * page, VERSO_PAGES_ACCESS_READ));
    assert_no_write(data + page);
    assert_no_write(data + 3 * page - 1);
    assert_true(is_filled(data, 4 * page, 3));
    data[page - 1] = data[3 * page] = 3;
    assert_ok(verso_pages_protect(pages, page, page, VERSO_PAGES_ACCESS_NONE));
    assert_no_read(data + page);
    assert_ok(verso_pages_protect(pages, 0, 4 * page, VERSO_PAGES_ACCESS_WRITE));
    assert_true(is_filled(data, 4 * page, 3));
    assert_ok(verso_pages_protect(pages, 0, 4 * page, VERSO_PAGES_ACCESS_NONE));
    assert_ok(verso_pages_commit(pages, 0, 6 * page)); /* undoes it */
    assert_true(is_filled(data, 4 * page, 3));
    data[0] = data[6 * page - 1] = 1;
    assert_ok(verso_pages_decommit(pages, 5 * page, page));
    assert_fails_in(verso_pages_protect(pages, 4 * page, 2 * page, VERSO_PAGES_ACCESS_READ), VERSO_E_RANGE, "range");
    data[4 * page] = 1;
    assert_no_read(data + 5 * page);
    assert_fails(verso_pages_protect(pages, 0, page, (enum verso_pages_access)0), VERSO_E_OPTIONS);
    assert_fails(verso_pages_protect(pages, 0, page, (enum verso_pages_access)4), VERSO_E_OPTIONS);
    assert_fails(verso_pages_protect(pages, 0, 1, VERSO_PAGES_ACCESS_READ), VERSO_E_RANGE);
    verso_pages_close(pages);
}

static void test_what_can_not_be_brought_in(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_PRIVATE, 0);

    (void)state;
    assert_ok(verso_pages_commit(pages, 0, 3 * page));
    assert_fails(verso_pages_populate(pages, 0, 4 * page), -ENOMEM);
    assert_true(strstr(verso_error_last()->hint, "not committed"));
    assert_fails(verso_pages_lock(pages, 0, 0), -ENOMEM);
    assert_ok(verso_pages_guard(pages, page, page));
    assert_fails(verso_pages_populate(pages, 0, 3 * page), -EFAULT);
    assert_fails(verso_pages_lock(pages, 0, 3 * page), -EFAULT);
    assert_false(mapping_has_flag(verso_pages_data(pages), "lo"));
    assert_ok(verso_pages_unguard(pages, page, page));
    assert_ok(verso_pages_protect(pages, page, page, VERSO_PAGES_ACCESS_READ));
    assert_fails(verso_pages_populate(pages, 0, 3 * page), -EACCES);
    assert_ok(verso_pages_protect(pages, page, page, VERSO_PAGES_ACCESS_NONE));
    assert_fails(verso_pages_lock(pages, 0, 3 * page), -EACCES);
    assert_fails(verso_pages_populate(pages, 0, 5 * page), VERSO_E_RANGE);
    assert_fails(verso_pages_lock(pages, 1, page), VERSO_E_RANGE);
    assert_fails(verso_pages_unlock(pages, 1, page), VERSO_E_RANGE);
    verso_pages_close(pages);
}

static void test_lock(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(8, VERSO_PAGES_PRIVATE, 0);
    unsigned char *data = data_of(pages);

    (void)state;
    assert_ok(verso_pages_commit(pages, 0, 4 * page));
    assert_ok(verso_pages_lock(pages, page, 2 * page));
    assert_int_equal(mapping_at(data + page).memory.locked, 2 * page);
    assert_int_equal(mapping_at(data + page).memory.resident, 2 * page);
    memset(data, 2, 4 * page);
    assert_ok(verso_pages_guard(pages, page, page)); /* locked pages take no markers: a mapping */
    assert_no_read(data + page);
    assert_ok(verso_pages_unguard(pages, page, page));
    assert_int_equal(data[page], 0);
    assert_int_equal(data[2 * page], 2);
    assert_ok(verso_pages_guard(pages, 0, 4 * page)); /* of which only some could have been markers */
    assert_no_read(data);
    assert_no_read(data + 2 * page);
    assert_ok(verso_pages_unguard(pages, 0, 4 * page));
    assert_true(is_filled(data, 4 * page, 0));
    assert_ok(verso_pages_unlock(pages, 0, 0));
    assert_false(mapping_has_flag(data + 2 * page, "lo"));
    verso_pages_close(pages);
}

static void test_locked_from_the_start(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(8, VERSO_PAGES_PRIVATE, VERSO_PAGES_LOCK);
    unsigned char *data = data_of(pages);
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;

    (void)state;
    assert_ok(verso_pages_info(pages, &info));
    assert_int_equal(info.guard_method, VERSO_PAGES_GUARD_MAPPINGS); /* told before any was made */
    assert_true(strstr(info.guard_why, "locked"));
    assert_ok(verso_pages_guard(pages, 2 * page, page));
    assert_ok(verso_pages_commit(pages, 0, 4 * page));
    assert_true(mapping_has_flag(data, "lo"));
    assert_no_read(data + 2 * page);
    data[3 * page] = 1;
    assert_ok(verso_pages_unguard(pages, 0, 8 * page));
    assert_true(mapping_has_flag(data + 2 * page, "lo"));
    data[2 * page] = 1;
    assert_ok(verso_pages_decommit(pages, 0, page));
    assert_ok(verso_pages_commit(pages, 0, page));
    assert_int_equal(mapping_at(data).memory.locked, mapping_at(data).memory.resident);
    assert_true(mapping_has_flag(data, "lo"));
    verso_pages_close(pages);
}

static int lock_over_the_limit(void *arg)
{
    size_t page = verso_page_bytes();
    struct rlimit limit = { 2 * page, 2 * page };
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages = arg, *locked = (void *)1;

    child_assert(setrlimit(RLIMIT_MEMLOCK, &limit) == 0);
    if (support_is_root() && setuid(65534) < 0)
        return 99;
    child_assert(verso_pages_lock(pages, 0, 4 * page) == -ENOMEM);
    child_assert(strstr(verso_error_last()->hint, "RLIMIT_MEMLOCK"));
    options.flags = VERSO_PAGES_LOCK;
    child_assert(verso_pages_open(4 * page, &options, &locked) == 0);
    child_assert(verso_pages_commit(locked, 0, page) == 0);
    child_assert(verso_pages_commit(locked, 0, 4 * page) == -ENOMEM);
    child_assert(strcmp(verso_error_last()->step, "mlock") == 0);
    *data_of(locked) = 1;
    if (support_child(poke, data_of(locked) + page) != 42 << 8) /* what could not be locked was not committed */
        return 2;
    verso_pages_close(locked);
    options.kind = VERSO_PAGES_SECRET;
    options.flags = 0;
    locked = (void *)1;
    switch (verso_pages_open(16 * page, &options, &locked)) {
    case VERSO_E_UNSUPPORTED:
        return 0;
    case -EAGAIN:
        return strstr(verso_error_last()->hint, "RLIMIT_MEMLOCK") && locked == (void *)1 ? 0 : 3;
    default:
        return 4;
    }
}

static void test_the_limit_of_locked_memory(void **state)
{
    struct verso_pages *pages;

    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers lose their own memory with root");
    pages = opened(4, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);
    assert_int_equal(support_child(lock_over_the_limit, pages), 0);
    verso_pages_close(pages);
}

static int seal_and_try(void *arg)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_PRIVATE, VERSO_PAGES_GUARD_ENDS);
    unsigned char *data = data_of(pages);
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;
    int r;

    (void)arg;
    child_assert(verso_pages_commit(pages, 0, 2 * page) == 0);
    memset(data, 1, 2 * page);
    r = verso_pages_seal(pages);
    if (r == VERSO_E_UNSUPPORTED)
        return verso_error_last()->cause == -ENOSYS ? CHILD_SKIPS : 1;
    child_assert(r == 0);
    child_assert(verso_pages_seal(pages) == 0);
    child_assert(verso_pages_commit(pages, 2 * page, page) == -EPERM);
    child_assert(strstr(verso_error_last()->hint, "verso_pages_seal()"));
    child_assert(verso_pages_decommit(pages, 0, page) == -EPERM);
    child_assert(verso_pages_guard(pages, 0, page) == -EPERM);
    child_assert(verso_pages_unguard(pages, 0, page) == -EPERM);
    child_assert(verso_pages_protect(pages, 0, page, VERSO_PAGES_ACCESS_READ) == -EPERM);
    child_assert(verso_pages_resize(pages, page, 1) == -EPERM);
    child_assert(munmap(data - page, page) < 0 && errno == EPERM); /* the guards, too */
    child_assert(mprotect(data, page, PROT_NONE) < 0 && errno == EPERM);
    child_assert(verso_pages_info(pages, &info) == 0 && info.sealed == 1);
    verso_pages_close(pages);
    child_assert(is_filled(data, 2 * page, 1)); /* the memory stays */
    return 0;
}

static void test_sealed_for_ever(void **state)
{
    (void)state;
    assert_child_does(seal_and_try, NULL, "this kernel has no mseal");
}

static void test_advice(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);
    const enum verso_pages_advice harmless[] = { VERSO_PAGES_ADVICE_NORMAL, VERSO_PAGES_ADVICE_COLD,
                                                 VERSO_PAGES_ADVICE_PAGEOUT };

    (void)state;
    memset(verso_pages_data(pages), 6, 4 * page);
    for (size_t i = 0; i < 3; i++)
        assert_ok(verso_pages_advise(pages, 0, 0, harmless[i]));
    assert_true(is_filled(data_of(pages), 4 * page, 6));
    if (verso_pages_advise(pages, page, page, VERSO_PAGES_ADVICE_MERGE) == 0)
        assert_true(mapping_has_flag(data_of(pages) + page, "mg"));
    if (verso_pages_advise(pages, 2 * page, page, VERSO_PAGES_ADVICE_HUGE) == 0)
        assert_true(mapping_has_flag(data_of(pages) + 2 * page, "hg"));
    if (verso_pages_advise(pages, 2 * page, page, VERSO_PAGES_ADVICE_NO_HUGE) == 0)
        assert_true(mapping_has_flag(data_of(pages) + 2 * page, "nh"));
    assert_true(verso_pages_advise(pages, 0, page, VERSO_PAGES_ADVICE_COLLAPSE) < 0); /* no huge page fits */
    assert_fails(verso_pages_advise(pages, 0, 0, (enum verso_pages_advice)0), VERSO_E_OPTIONS);
    assert_fails(verso_pages_advise(pages, 0, 0, (enum verso_pages_advice)10), VERSO_E_OPTIONS);
    assert_fails(verso_pages_advise(pages, 5 * page, 0, VERSO_PAGES_ADVICE_COLD), VERSO_E_RANGE);
    assert_fails(verso_pages_advise(pages, 0, page + 1, VERSO_PAGES_ADVICE_COLD), VERSO_E_RANGE);
    assert_ok(verso_pages_advise(pages, 4 * page, 0, VERSO_PAGES_ADVICE_DISCARD));
    assert_true(is_filled(data_of(pages), 4 * page, 6));
    verso_pages_close(pages);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_protect),
        cmocka_unit_test(test_what_can_not_be_brought_in),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_locked_from_the_start),
        cmocka_unit_test(test_the_limit_of_locked_memory),
        cmocka_unit_test(test_sealed_for_ever),
        cmocka_unit_test(test_advice),
    };

    return run_test_list(list);
}
