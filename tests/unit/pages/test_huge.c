/* SPDX-License-Identifier: MIT */
/* huge - the ladder says what it gave, and why no more; and nodes. */
#include "spans.h"

#include "child.h"
#include "huge/huge.h"
#include "mapping.h"
#include "pool.h"

#include <sys/mman.h>

#define MIB ((size_t)1 << 20)

static struct verso_pages_info info_of(const struct verso_pages *pages)
{
    struct verso_pages_info info = VERSO_PAGES_INFO_INIT;

    assert_ok(verso_pages_info(pages, &info));
    return info;
}

static struct verso_pages *opened_huge(size_t bytes, unsigned kind, unsigned flags)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages;

    options.kind = kind;
    options.flags = flags | VERSO_PAGES_HUGE;
    assert_ok(verso_pages_open(bytes, &options, &pages));
    return pages;
}

/* What is said of the pages at @address is so. */
static void assert_true_of(const struct verso_pages_info *info, const void *address)
{
    struct mapping_seen seen = mapping_at(address);

    if (info->size == VERSO_PAGES_SIZE_BASE) {
        assert_true(*info->size_why);
        assert_int_equal(seen.memory.anonymous_huge + seen.memory.file_huge, 0);
    } else if (info->size == VERSO_PAGES_SIZE_THP) {
        assert_true(seen.memory.anonymous_huge + seen.memory.file_huge > 0);
    } else {
        assert_true(seen.memory.page_bytes > verso_page_bytes());
        assert_int_equal(info->page_bytes, seen.memory.page_bytes);
    }
}

static size_t huge_bytes(void)
{
    size_t bytes = verso__os_huge_page_bytes();

    if (bytes == 0 || bytes > 16 * MIB)
        skip_because("this machine has no transparent huge pages of a size that can be tried");
    return bytes;
}

static void test_not_asked_not_told(void **state)
{
    struct verso_pages *pages = opened(1, VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);

    (void)state;
    assert_int_equal(info_of(pages).size, VERSO_PAGES_SIZE_BASE);
    assert_string_equal(info_of(pages).size_why, "");
    assert_int_equal(info_of(pages).page_bytes, verso_page_bytes());
    verso_pages_close(pages);
}

static void test_transparent_when_committed(void **state)
{
    size_t huge = huge_bytes(), page = verso_page_bytes();
    struct verso_pages *pages = opened_huge(8 * huge, VERSO_PAGES_PRIVATE, VERSO_PAGES_GUARD_ENDS);
    struct verso_pages_info info;

    (void)state;
    assert_int_equal((uintptr_t)verso_pages_data(pages) % huge, 0);
    assert_true(strstr(info_of(pages).size_why, "committed yet"));
    assert_ok(verso_pages_commit(pages, 0, page));
    assert_true(strstr(info_of(pages).size_why, "committed yet"));
    assert_ok(verso_pages_commit(pages, huge, 2 * huge));
    info = info_of(pages);
    assert_true_of(&info, data_of(pages) + huge);
    assert_true(is_filled(data_of(pages) + huge, 2 * huge, 0));
    if (info.size == VERSO_PAGES_SIZE_THP) {
        assert_true(mapping_has_flag(data_of(pages) + huge, "hg"));
        assert_ok(verso_pages_decommit(pages, huge, huge));
        assert_ok(verso_pages_commit(pages, huge, huge));
        assert_true(mapping_has_flag(data_of(pages) + huge, "hg"));
    }
    verso_pages_close(pages);
}

static int without_huge_pages(void *arg)
{
    struct verso_pages *pages;

    (void)arg;
    child_assert(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
    pages = opened_huge(4 * verso__os_huge_page_bytes(), VERSO_PAGES_PRIVATE, 0);
    child_assert(verso_pages_commit(pages, 0, verso_pages_bytes(pages)) == 0);
    child_assert(info_of(pages).size == VERSO_PAGES_SIZE_BASE);
    child_assert(strstr(info_of(pages).size_why, "this process") || strstr(info_of(pages).size_why, "never"));
    verso_pages_close(pages);
    return 0;
}

static void test_a_process_that_gets_none(void **state)
{
    (void)state;
    (void)huge_bytes();
    assert_child_ok(without_huge_pages, NULL);
}

static void test_kinds_and_shapes(void **state)
{
    const unsigned kinds[] = { VERSO_PAGES_SHARED, VERSO_PAGES_DROPPABLE, VERSO_PAGES_SECRET };
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    size_t huge = huge_bytes();
    int pool = hold_pool();

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct verso_pages *pages;
        struct verso_pages_info info;
        int r;

        options.kind = kinds[i];
        options.flags = VERSO_PAGES_HUGE | VERSO_PAGES_COMMIT;
        r = verso_pages_open(2 * huge, &options, &pages);
        if (r == VERSO_E_UNSUPPORTED)
            continue;
        assert_ok(r);
        info = info_of(pages);
        assert_true_of(&info, verso_pages_data(pages));
        if (kinds[i] == VERSO_PAGES_SECRET)
            assert_true(strstr(info.size_why, "secret"));
        memset(verso_pages_data(pages), 1, 2 * huge);
        verso_pages_close(pages);
    }
    let_pool(pool);
}

/* ---- The pool ---- */

static void from_the_pool(size_t huge, unsigned kind)
{
    struct verso_pages *pages =
        opened_huge(2 * huge + 1, kind, VERSO_PAGES_COMMIT | VERSO_PAGES_GUARD_ENDS | VERSO_PAGES_NO_CORE);
    struct verso_pages_info info = info_of(pages);
    unsigned char *data = data_of(pages);

    assert_int_equal(info.size, VERSO_PAGES_SIZE_HUGETLB);
    assert_string_equal(info.size_why, "");
    assert_true_of(&info, data);
    assert_int_equal(verso_pages_bytes(pages), 3 * huge);
    assert_true(mapping_has_flag(data, "dd"));
    memset(data, 1, 3 * huge);
    assert_no_read(data - 1);
    assert_no_read(data + 3 * huge);
    assert_fails(verso_pages_decommit(pages, 0, verso_page_bytes()), VERSO_E_RANGE);
    assert_fails(verso_pages_guard(pages, 0, verso_page_bytes()), VERSO_E_RANGE);
    assert_ok(verso_pages_decommit(pages, huge, huge));
    assert_no_read(data + huge);
    assert_ok(verso_pages_commit(pages, huge, huge));
    assert_true(is_filled(data + huge, huge, 0));
    assert_ok(verso_pages_guard(pages, 0, huge));
    assert_no_read(data);
    assert_ok(verso_pages_unguard(pages, 0, huge));
    assert_int_equal(data[0], 0);
    assert_int_equal(data[2 * huge], 1);
    assert_ok(verso_pages_advise(pages, 2 * huge, huge, VERSO_PAGES_ADVICE_DISCARD));
    assert_int_equal(data[2 * huge], 0);
    assert_fails(verso_pages_resize(pages, 4 * huge, 1), VERSO_E_UNSUPPORTED);
    assert_ok(verso_pages_resize(pages, 2 * huge, 0));
    assert_no_read(data + 2 * huge);
    verso_pages_close(pages);
}

static int use_the_pool(void *arg)
{
    size_t huge = verso__huge_pool_bytes();
    struct verso_pages *pages;

    (void)arg;
    from_the_pool(huge, VERSO_PAGES_PRIVATE);
    from_the_pool(huge, VERSO_PAGES_SHARED);
    pages = opened_huge(huge * (pool_pages() + 1), VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);
    assert_int_not_equal(info_of(pages).size, VERSO_PAGES_SIZE_HUGETLB);
    assert_true(info_of(pages).size == VERSO_PAGES_SIZE_BASE || strstr(info_of(pages).size_why, "vm.nr_hugepages"));
    verso_pages_close(pages);
    pages = opened_huge(verso_page_bytes(), VERSO_PAGES_PRIVATE, VERSO_PAGES_COMMIT);
    assert_int_equal(info_of(pages).size, VERSO_PAGES_SIZE_BASE);
    verso_pages_close(pages);
    return 0;
}

static void test_pages_of_the_pool(void **state)
{
    int pool = hold_pool(), status;
    uint64_t before = pool_pages();

    (void)state;
    if (verso__huge_pool_bytes() == 0 || verso__huge_pool_bytes() > 16 * MIB)
        skip_because("this kernel's pool has no pages of a size that can be tried");
    if (!support_is_root())
        skip_because("only root can fill the pool of huge pages");
    if (!set_pool(before + 8)) {
        (void)set_pool(before);
        skip_because("the kernel found no 8 huge pages for the pool");
    }
    status = support_child(use_the_pool, NULL); /* whatever becomes of it, the pool is given back */
    assert_true(set_pool(before));
    let_pool(pool);
    assert_int_equal(status, 0);
}

/* ---- Nodes ---- */

static void test_nodes_are_a_wish(void **state)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages;

    (void)state;
    options.flags = VERSO_PAGES_COMMIT;
    options.nodes = 1;
    assert_ok(verso_pages_open(verso_page_bytes(), &options, &pages));
    *data_of(pages) = 1;
    if (*info_of(pages).nodes_why)
        print_message("# node 0: %s\n", info_of(pages).nodes_why);
    verso_pages_close(pages);
    options.nodes = UINT64_C(1) << 63;
    assert_ok(verso_pages_open(verso_page_bytes(), &options, &pages));
    *data_of(pages) = 1;
    assert_true(*info_of(pages).nodes_why); /* no machine that runs this test has 64 nodes */
    verso_pages_close(pages);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_not_asked_not_told),       cmocka_unit_test(test_transparent_when_committed),
        cmocka_unit_test(test_a_process_that_gets_none), cmocka_unit_test(test_kinds_and_shapes),
        cmocka_unit_test(test_pages_of_the_pool),        cmocka_unit_test(test_nodes_are_a_wish),
    };

    return run_test_list(list);
}
