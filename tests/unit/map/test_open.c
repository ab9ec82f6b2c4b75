/* SPDX-License-Identifier: MIT */
/* Opening plain files: ranges, modes, refusals. */
#include "support.h"

#include <verso.h>

static void test_whole_file(void **state)
{
    size_t page = verso_page_bytes();
    const uint64_t sizes[] = { 1, page - 1, page, page + 1, 16 * page, 16 * page + 7 };

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        const char *path = support_file("whole", sizes[i]);
        struct verso_map *map;

        assert_ok(verso_map_open(path, NULL, &map));
        assert_int_equal(verso_map_bytes(map), sizes[i]);
        assert_true(support_matches(verso_map_data(map), 0, verso_map_bytes(map)));
        verso_map_close(map);
    }
}

static void test_missing_file(void **state)
{
    struct verso_map *map = (void *)state;

    assert_fails_in(verso_map_open(support_path("missing"), NULL, &map), -ENOENT, "open");
    assert_ptr_equal(map, state);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_whole_file),
        cmocka_unit_test(test_missing_file),
    };

    return run_test_list(list);
}
