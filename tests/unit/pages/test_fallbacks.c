/* SPDX-License-Identifier: MIT */
/* What spans do where a kernel has less to offer: each call is refused as such a one would. */
#include "spans.h"

#include "os/fake/fake.h"
#include "pages/pages.h"

#include <limits.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int calm(void **state)
{
    (void)state;
    fake_reset();
    assert_null(fake_complaint());
    return 0;
}

static struct verso_pages_info info_of(const struct verso_pages *pages)
{
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;

    assert_ok(verso_pages_info(pages, &info));
    return info;
}

static void test_kinds_that_are_missing(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages = (void *)1;
    size_t held = fake_held().mapped_bytes;

    (void)state;
    options.kind = VERSO_PAGES_DROPPABLE;
    options.flags = VERSO_PAGES_GUARD_ENDS;
    fake_fail_call("map", -EINVAL, 1);
    assert_fails_in(verso_pages_open(1, &options, &pages), VERSO_E_UNSUPPORTED, "mmap");
    assert_int_equal(verso_error_last()->cause, -EINVAL);
    options.kind = VERSO_PAGES_SECRET;
    fake_fail_call("memory_file", -ENOSYS, 1);
    assert_fails_in(verso_pages_open(1, &options, &pages), VERSO_E_UNSUPPORTED, "memfd_secret");
    fake_fail_call("memory_file", -EMFILE, 1);
    assert_fails(verso_pages_open(1, &options, &pages), -EMFILE);
    assert_ptr_equal(pages, (void *)1);
    assert_int_equal(fake_held().mapped_bytes, held);
}

/* Before Linux 5.14 pages are touched instead. */
static void test_no_populate(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages;

    (void)state;
    fake_fail_call("populate", -EINVAL, UINT_MAX);
    pages = opened(4, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT | VERSO_PAGES_POPULATE);
    data_of(pages)[page] = 5;
    assert_ok(verso_pages_populate(pages, 0, 0));
    assert_int_equal(data_of(pages)[page], 5);
    verso_pages_close(pages);
}

static void test_no_markers(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);

    (void)state;
    fake_fail_call("advise", -EINVAL, 1);
    assert_int_equal(info_of(pages).guard_method, VERSO_PAGES_GUARD_MAPPINGS); /* known before one is made */
    fake_fail_call("advise", -EINVAL, 1);
    assert_ok(verso_pages_guard(pages, page, page));
    assert_int_equal(info_of(pages).guard_count, 1);
    assert_ok(verso_pages_guard(pages, 2 * page, page)); /* a marker again */
    assert_no_read(data_of(pages) + page);
    assert_no_read(data_of(pages) + 2 * page);
    assert_ok(verso_pages_unguard(pages, 0, 4 * page));
    assert_int_equal(info_of(pages).guard_count, 0);
    memset(data_of(pages), 1, 4 * page);
    verso_pages_close(pages);
}

static void test_nodes_unknown(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    const int codes[] = { -ENOSYS, -EINVAL, -EPERM };
    struct verso_pages *pages;

    (void)state;
    options.nodes = 1;
    options.flags = VERSO_PAGES_COMMIT;
    for (size_t i = 0; i < 3; i++) {
        fake_fail_call("prefer_nodes", codes[i], 1);
        assert_ok(verso_pages_open(1, &options, &pages));
        assert_true(*info_of(pages).nodes_why);
        *data_of(pages) = 1;
        verso_pages_close(pages);
    }
}

static void test_no_seal(void **state)
{
    struct verso_pages *pages = opened(1, VERSO_PAGES_PRIVATE, 0);

    (void)state;
    fake_fail_call("seal_mapping", -ENOSYS, 1);
    assert_fails_in(verso_pages_seal(pages), VERSO_E_UNSUPPORTED, "mseal");
    assert_int_equal(info_of(pages).sealed, 0);
    fake_fail_call("seal_mapping", -ENOMEM, 1);
    assert_fails(verso_pages_seal(pages), -ENOMEM);
    assert_ok(verso_pages_commit(pages, 0, verso_page_bytes()));
    verso_pages_close(pages);
}

/* A kernel that moves one mapping at a time: a span of several stays where it is, whole. */
static void test_no_move_of_several(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(8, VERSO_PAGES_PRIVATE, 0);
    unsigned char *data = data_of(pages);

    (void)state;
    assert_ok(verso_pages_commit(pages, 0, page));
    assert_ok(verso_pages_commit(pages, 4 * page, page));
    data[0] = data[4 * page] = 3;
    fake_fail_call("map", -EEXIST, 1); /* the room behind is taken */
    fake_fail_call("move", -EFAULT, 1);
    assert_fails_in(verso_pages_resize(pages, 100 * page, 1), VERSO_E_SPAN, "mremap");
    assert_true(strstr(verso_error_last()->hint, "6.17"));
    assert_ptr_equal(data_of(pages), data);
    assert_int_equal(verso_pages_bytes(pages), 8 * page);
    assert_int_equal(data[0] + data[4 * page], 6);
    assert_ok(verso_pages_commit(pages, 0, 8 * page));
    verso_pages_close(pages);
}

/* What was half done is undone, and what can't be undone is not taken for done. */
static void test_a_commit_that_fails_half_way(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(8, VERSO_PAGES_PRIVATE, 0);
    unsigned char *data = data_of(pages);

    (void)state;
    assert_ok(verso_pages_commit(pages, 2 * page, page));
    assert_ok(verso_pages_protect(pages, 2 * page, page, VERSO_PAGES_ACCESS_READ));
    fake_begin();
    fake_fail_nth(3, -ENOMEM); /* protect the part before, the read-only one, and then the rest */
    assert_fails_in(verso_pages_commit(pages, 0, 8 * page), -ENOMEM, "mprotect");
    fake_end();
    assert_int_equal(info_of(pages).committed_bytes, page);
    assert_no_read(data);
    assert_no_write(data + 2 * page);
    fake_begin();
    fake_fail_from(3); /* the undoing, too */
    assert_fails(verso_pages_commit(pages, 0, 8 * page), -ENOMEM);
    fake_end();
    assert_ok(verso_pages_commit(pages, 0, 8 * page));
    memset(data, 1, 8 * page);
    verso_pages_close(pages);
}

/* A guard that can be neither finished nor undone: its pages are not taken for usable. */
static void test_a_guard_that_fails_half_way(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT | VERSO_PAGES_LOCK);

    (void)state;
    fake_begin();
    fake_fail_from(2); /* protect, then emptying it, then giving it back its access */
    assert_true(verso_pages_guard(pages, page, page) < 0);
    fake_end();
    assert_int_equal(info_of(pages).guard_count, 0);
    assert_ok(verso_pages_commit(pages, 0, 4 * page));
    memset(data_of(pages), 1, 4 * page);
    verso_pages_close(pages);
}

static void test_no_memory_for_shared_pages(void **state)
{
    size_t page = verso_page_bytes();
    struct verso_pages *pages = opened(4, VERSO_PAGES_SHARED, 0);
    struct stat status;

    (void)state;
    fake_fail_call("allocate", -ENOSPC, 1);
    assert_fails_in(verso_pages_commit(pages, 0, page), -ENOSPC, "fallocate");
    assert_true(strstr(verso_error_last()->hint, "no memory"));
    assert_no_read(data_of(pages));
    fake_fail_call("protect", -ENOMEM, 1);
    assert_fails_in(verso_pages_commit(pages, 0, 2 * page), -ENOMEM, "mprotect");
    assert_int_equal(fstat(pages->fd, &status), 0);
    assert_int_equal(status.st_blocks, 0); /* what had been taken is given back */
    assert_ok(verso_pages_commit(pages, 0, page));
    data_of(pages)[0] = 1;
    assert_ok(verso_pages_guard(pages, 0, page));
    fake_fail_call("allocate", -ENOSPC, 1);
    assert_fails(verso_pages_unguard(pages, 0, page), -ENOSPC);
    assert_no_read(data_of(pages)); /* still a guard */
    assert_ok(verso_pages_unguard(pages, 0, page));
    assert_int_equal(data_of(pages)[0], 0);
    verso_pages_close(pages);
}

/* Growing where it stands: what was added goes when it can't be committed, and somebody else may have it. */
static void test_growth_that_can_not_be_committed(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    size_t page = verso_page_bytes();
    unsigned char *place = mmap(NULL, 16 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct verso_pages *pages;

    (void)state;
    assert_int_equal(munmap(place, 16 * page), 0);
    options.address = place;
    options.flags = VERSO_PAGES_COMMIT;
    assert_ok(verso_pages_open(4 * page, &options, &pages));
    memset(data_of(pages), 1, 4 * page);
    fake_fail_call("protect", -ENOMEM, 1);
    assert_fails_in(verso_pages_resize(pages, 8 * page, 0), -ENOMEM, "mprotect");
    assert_int_equal(verso_pages_bytes(pages), 4 * page);
    assert_true(is_filled(place, 4 * page, 1));
    assert_ptr_equal(mmap(place + 4 * page, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
                     place + 4 * page);
    assert_int_equal(munmap(place + 4 * page, page), 0);
    assert_ok(verso_pages_resize(pages, 8 * page, 1));
    memset(data_of(pages) + 4 * page, 2, 4 * page);
    assert_true(is_filled(data_of(pages), 4 * page, 1));
    verso_pages_close(pages);
}

/* What wipes without knowing what was touched wipes all. */
static void test_a_secret_is_wiped_blindly(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    size_t page = verso_page_bytes();
    struct verso_pages *pages;

    (void)state;
    options.kind = VERSO_PAGES_SECRET;
    options.flags = VERSO_PAGES_COMMIT;
    if (verso_pages_open(3 * page, &options, &pages) < 0)
        skip_because("no memfd_secret here");
    memset(data_of(pages), 9, 3 * page);
    fake_fail_call("resident", -ENOMEM, 1);
    assert_ok(verso_pages_advise(pages, 0, 0, VERSO_PAGES_ADVICE_DISCARD));
    assert_true(is_filled(data_of(pages), 3 * page, 0));
    verso_pages_close(pages);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test_teardown(test_kinds_that_are_missing, calm),
        cmocka_unit_test_teardown(test_no_populate, calm),
        cmocka_unit_test_teardown(test_no_markers, calm),
        cmocka_unit_test_teardown(test_nodes_unknown, calm),
        cmocka_unit_test_teardown(test_no_seal, calm),
        cmocka_unit_test_teardown(test_no_move_of_several, calm),
        cmocka_unit_test_teardown(test_a_commit_that_fails_half_way, calm),
        cmocka_unit_test_teardown(test_a_guard_that_fails_half_way, calm),
        cmocka_unit_test_teardown(test_no_memory_for_shared_pages, calm),
        cmocka_unit_test_teardown(test_growth_that_can_not_be_committed, calm),
        cmocka_unit_test_teardown(test_a_secret_is_wiped_blindly, calm),
    };

    return run_test_list(list);
}
