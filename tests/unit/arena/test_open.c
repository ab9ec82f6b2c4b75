/* SPDX-License-Identifier: MIT */
/* open - arenas as they are asked for: options, spans, and what they are in when there is little. */
#include "arenas.h"

#include <sys/resource.h>
#include <verso/pages.h>

static void test_options(void **state)
{
    struct verso_arena_options options = VERSO_ARENA_OPTIONS_INIT;
    struct verso_arena_info info = VERSO_ARENA_INFO_INIT;
    struct verso_arena *arena = (void *)1;
    struct verso_pages *pages;

    (void)state;
    verso_arena_close(NULL);
    options.struct_bytes = 8;
    assert_fails(verso_arena_open(&options, &arena), VERSO_E_OPTIONS);
    options = (struct verso_arena_options)VERSO_ARENA_OPTIONS_INIT;
    options.flags = 1U << 30;
    assert_fails(verso_arena_open(&options, &arena), VERSO_E_OPTIONS);
    options.flags = 0;
    options.name = "no\nname";
    assert_fails(verso_arena_open(&options, &arena), VERSO_E_OPTIONS);
    options.name = NULL;
    options.reserve_bytes = UINT64_MAX;
    assert_fails(verso_arena_open(&options, &arena), VERSO_E_OVERFLOW);
    options.reserve_bytes = UINT64_C(1) << (sizeof(void *) * 8 - 2);
    assert_fails(verso_arena_open(&options, &arena), -ENOMEM);
    assert_ok(verso_pages_open(MIB, NULL, &pages));
    options.pages = pages;
    options.reserve_bytes = 0;
    assert_fails(verso_arena_open(&options, &arena), VERSO_E_OPTIONS); /* no GUARD_ENDS */
    verso_pages_close(pages);
    assert_ptr_equal(arena, (void *)1);
    arena = opened(1, 0);
    assert_int_equal(info_of(arena).reserved_bytes, verso_page_bytes());
    info.struct_bytes = 4;
    assert_fails(verso_arena_info(arena, &info), VERSO_E_OPTIONS);
    verso_arena_close(arena);
}

static void test_name_and_default_span(void **state)
{
    struct verso_arena_options options = VERSO_ARENA_OPTIONS_INIT;
    struct verso_arena *arena;

    (void)state;
    options.name = "requests";
    options.reserve_bytes = MIB;
    assert_ok(verso_arena_open(&options, &arena));
    assert_no_block(verso_arena_alloc(arena, 2 * MIB, 0), VERSO_E_SPAN);
    assert_string_equal(verso_error_last()->path, "requests");
    verso_arena_close(arena);
    assert_ok(verso_arena_open(NULL, &arena));
    if (*info_of(arena).reserve_why == '\0')
        assert_true(info_of(arena).reserved_bytes >= 64 * MIB);
    assert_no_block(verso_arena_alloc(arena, (size_t)PTRDIFF_MAX, 0), VERSO_E_SPAN);
    assert_string_equal(verso_error_last()->path, "arena");
    verso_arena_close(arena);
}

static int few_addresses(void *arg)
{
    struct rlimit limit = { 1024 * MIB, 1024 * MIB };
    struct verso_arena_info info = VERSO_ARENA_INFO_INIT;
    struct verso_arena_options options = VERSO_ARENA_OPTIONS_INIT;
    struct verso_arena *arena;
    unsigned char *block;

    (void)arg;
    if (setrlimit(RLIMIT_AS, &limit) < 0)
        return 99;
    options.flags = 1U << 30;
    if (verso_arena_open(&options, &arena) != VERSO_E_OPTIONS)
        return 98;
    options.flags = 0;
    if (verso_arena_open(NULL, &arena) < 0 || verso_arena_info(arena, &info) < 0)
        return 1;
    if (verso_error_last()->code != VERSO_E_OPTIONS)
        return 5; /* what worked in the end leaves the record alone */
    if (!*info.reserve_why || info.reserved_bytes > 512 * MIB || info.reserved_bytes < 16 * MIB)
        return 2;
    block = verso_arena_alloc(arena, 8 * MIB, 0);
    if (!block)
        return 3;
    memset(block, 1, 8 * MIB);
    verso_arena_close(arena);
    options.reserve_bytes = 2048 * MIB; /* asked for: no less will do */
    if (verso_arena_open(&options, &arena) != -ENOMEM || !strstr(verso_error_last()->hint, "RLIMIT_AS"))
        return 4;
    return 0;
}

static void test_few_addresses(void **state)
{
    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers need more than the limit");
    assert_int_equal(support_child(few_addresses, NULL), 0);
}

static int little_memory(void *arg)
{
    struct rlimit limit = { 64 * MIB, 64 * MIB };
    struct verso_arena *arena;
    unsigned char *block;
    int count = 0;

    (void)arg;
    if (verso_arena_open(NULL, &arena) < 0 || setrlimit(RLIMIT_DATA, &limit) < 0)
        return 99;
    while ((block = verso_arena_alloc(arena, 3 * MIB, 0))) {
        memset(block, 1, 3 * MIB);
        count++;
    }
    if (verso_error_last()->code != -ENOMEM || !strstr(verso_error_last()->hint, "RLIMIT_DATA"))
        return 1;
    /* A whole step was refused, but what it needs is there. */
    if (count < 10 || count > 21 || !verso_arena_alloc(arena, 100000, 0))
        return 2;
    if (verso_arena_reset(arena, 0, VERSO_ARENA_DECOMMIT) < 0)
        return 3;
    return verso_arena_alloc(arena, (size_t)30 * MIB, 0) ? 0 : 4;
}

static void test_little_memory(void **state)
{
    (void)state;
    if (support_is_asan() || support_is_tsan())
        skip_because("sanitizers need more than the limit");
    assert_int_equal(support_child(little_memory, NULL), 0);
}

static void test_a_span_of_somebody_else(void **state)
{
    struct verso_pages_options pages_options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_arena_options options = VERSO_ARENA_OPTIONS_INIT;
    struct verso_arena *arena;
    struct verso_pages *pages;
    unsigned char *block;

    (void)state;
    pages_options.flags = VERSO_PAGES_GUARD_ENDS | VERSO_PAGES_NO_FORK;
    assert_ok(verso_pages_open(MIB, &pages_options, &pages));
    assert_ok(verso_pages_commit(pages, 0, 2 * verso_page_bytes()));
    memset(verso_pages_data(pages), 5, 2 * verso_page_bytes());
    options.pages = pages;
    assert_ok(verso_arena_open(&options, &arena));
    block = verso_arena_alloc_zero(arena, 65536, 1);
    assert_ptr_equal(block, verso_pages_data(pages));
    assert_true(is_filled(block, 65536, 0)); /* though there were fives */
    memset(block, 6, 65536);
    verso_arena_close(arena);
    assert_true(is_filled(verso_pages_data(pages), 65536, 6)); /* it is their owner's still */
    assert_ok(verso_pages_protect(pages, 0, verso_page_bytes(), VERSO_PAGES_ACCESS_READ));
    verso_pages_close(pages);
}

/* Blocks that a child sees as its parent writes them. */
static int write_to_parent(void *arg)
{
    memset(arg, 8, 3000);
    return 0;
}

static void test_a_span_shared_with_children(void **state)
{
    struct verso_pages_options pages_options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_arena_options options = VERSO_ARENA_OPTIONS_INIT;
    struct verso_arena_mark mark;
    struct verso_arena *arena;
    struct verso_pages *pages;
    unsigned char *block;

    (void)state;
    pages_options.kind = VERSO_PAGES_SHARED;
    pages_options.flags = VERSO_PAGES_GUARD_ENDS;
    assert_ok(verso_pages_open(MIB, &pages_options, &pages));
    options.pages = pages;
    assert_ok(verso_arena_open(&options, &arena));
    mark = verso_arena_mark(arena);
    block = verso_arena_alloc_zero(arena, 3000, 1);
    assert_non_null(block);
    assert_int_equal(support_child(write_to_parent, block), 0);
    assert_true(is_filled(block, 3000, 8));
    assert_ok(verso_arena_release(arena, mark));
    assert_ok(verso_arena_reset(arena, 0, VERSO_ARENA_DISCARD));
    block = verso_arena_alloc(arena, 3000, 1);
    assert_non_null(block);
    assert_true(is_filled(block, 3000, 0));
    verso_arena_close(arena);
    verso_pages_close(pages);
}

static void test_huge_and_populated(void **state)
{
    struct verso_arena_options options = VERSO_ARENA_OPTIONS_INIT;
    struct verso_arena_info info;
    struct verso_arena *arena;
    unsigned char *block;

    (void)state;
    options.reserve_bytes = 64 * MIB;
    options.flags = VERSO_ARENA_HUGE | VERSO_ARENA_POPULATE;
    assert_ok(verso_arena_open(&options, &arena));
    block = verso_arena_alloc(arena, 5 * MIB, 0);
    assert_non_null(block);
    memset(block, 1, 5 * MIB);
    info = info_of(arena);
    assert_true(info.size != VERSO_PAGES_SIZE_BASE || *info.size_why);
    verso_arena_close(arena);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_name_and_default_span),
        cmocka_unit_test(test_few_addresses),
        cmocka_unit_test(test_little_memory),
        cmocka_unit_test(test_a_span_of_somebody_else),
        cmocka_unit_test(test_a_span_shared_with_children),
        cmocka_unit_test(test_huge_and_populated),
    };

    return run_test_list(list);
}
