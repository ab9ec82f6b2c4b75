/* SPDX-License-Identifier: MIT */
/* seal - for the life of the process, so each case lives in a child. */
#include "support.h"

#include "child.h"
#include "mapping.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <verso.h>

/* Skips the test when mseal is not there. */
static void need_mseal(void)
{
    size_t page = verso_page_bytes();
    void *address;
    int r;

    assert_int_equal(verso__os_reserve(page, page, &address), 0);
    r = verso__os_seal_mapping(address, 0); /* of no bytes: only whether the call is known */
    assert_int_equal(verso__os_unmap(address, page), 0);
    if (r < 0)
        skip_because("this kernel has no mseal (%s)", verso_error_name(r));
}

static int sealed_refuses(void *arg)
{
    size_t page = verso_page_bytes();
    struct verso_map *map;
    unsigned char *data;

    child_assert(verso_map_open(arg, NULL, &map) == 0);
    data = verso_map_data(map);
    child_assert(verso_map_seal(map) == 0);
    child_assert(verso_map_seal(map) == 0);
    child_assert(verso_map_protect(map, 0, 0, VERSO_MAP_ACCESS_NONE) == -EPERM);
    child_assert(strstr(verso_error_last()->hint, "verso_map_seal()"));
    child_assert(mprotect(data, page, PROT_NONE) < 0 && errno == EPERM);
    child_assert(munmap(data, page) < 0 && errno == EPERM);
    child_assert(verso_map_advise(map, 0, 0, VERSO_MAP_ADVICE_RANDOM) == 0);
    child_assert(support_matches(data, 0, 2 * page));
    verso_map_close(map);
    child_assert(support_matches(data, 0, 2 * page)); /* the memory stays */
    return 0;
}

static void test_sealed_memory_stays_as_it_is(void **state)
{
    (void)state;
    need_mseal();
    assert_child_ok(sealed_refuses, (void *)support_file("seal", 2 * verso_page_bytes()));
}

static int sealed_closes(void *arg)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    size_t before = support_descriptor_count();
    struct verso_map *map;

    options.flags = VERSO_MAP_KEEP_FD;
    child_assert(verso_map_open(arg, &options, &map) == 0);
    child_assert(verso_map_seal(map) == 0);
    verso_map_close(map);
    child_assert(support_descriptor_count() == before);
    return 0;
}

static void test_close_frees_all_but_the_memory(void **state)
{
    (void)state;
    need_mseal();
    assert_child_ok(sealed_closes, (void *)support_file("seal", 1));
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_sealed_memory_stays_as_it_is),
        cmocka_unit_test(test_close_frees_all_but_the_memory),
    };

    return run_test_list(list);
}
