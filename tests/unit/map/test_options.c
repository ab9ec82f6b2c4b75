/* SPDX-License-Identifier: MIT */
/* What may be asked of open: versions of the struct, flags that need or exclude each other, values. */
#include "maps.h"

struct newer_options {
    struct verso_map_options options;
    uint64_t unknown;
};

static void test_struct_sizes(void **state)
{
    const char *path = support_file("file", 100);
    struct newer_options newer = { VERSO_MAP_OPTIONS_INIT, 0 };
    struct verso_map *map;

    (void)state;
    newer.options.struct_bytes = sizeof(newer);
    assert_ok(verso_map_open(path, &newer.options, &map));
    verso_map_close(map);
    newer.unknown = 1;
    assert_open_fails(path, &newer.options, VERSO_E_OPTIONS, "options");
    newer.options.struct_bytes = 0;
    assert_open_fails(path, &newer.options, VERSO_E_OPTIONS, "options");
    newer.options.struct_bytes = sizeof(struct verso_map_options) - 1;
    assert_open_fails(path, &newer.options, VERSO_E_OPTIONS, "options");
}

static void test_flags(void **state)
{
    const struct {
        unsigned flags;
        int code;
        const char *hint;
    } cases[] = {
        { VERSO_MAP_EXEC | VERSO_MAP_WRITE, VERSO_E_WX, "verso/code.h" },
        { VERSO_MAP_EXEC | VERSO_MAP_PRIVATE, VERSO_E_WX, "verso/code.h" },
        { VERSO_MAP_WRITE | VERSO_MAP_PRIVATE, VERSO_E_OPTIONS, "choose one" },
        { VERSO_MAP_CREATE, VERSO_E_OPTIONS, "VERSO_MAP_WRITE" },
        { VERSO_MAP_EXCLUSIVE | VERSO_MAP_WRITE, VERSO_E_OPTIONS, "VERSO_MAP_CREATE" },
        { VERSO_MAP_SPARSE, VERSO_E_OPTIONS, "VERSO_MAP_WRITE" },
        { VERSO_MAP_DURABLE, VERSO_E_OPTIONS, "VERSO_MAP_WRITE" },
        { (unsigned)VERSO_MAP_DURABLE << 1, VERSO_E_OPTIONS, "unknown" },
        { 1U << 31, VERSO_E_OPTIONS, "unknown" },
        { VERSO_MAP_SUBSTITUTE, VERSO_E_GUARD, "verso_guard_install" },
    };
    const char *path = support_file("file", 100);

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct verso_map_options options = options_with(cases[i].flags);

        assert_open_fails(path, &options, cases[i].code, "options");
        assert_hint(cases[i].hint);
        assert_string_equal(verso_error_last()->path, path);
    }
}

static void test_flags_about_names(void **state)
{
    const unsigned flags[] = { VERSO_MAP_CREATE | VERSO_MAP_WRITE, VERSO_MAP_NOFOLLOW };
    int fd = open(support_file("file", 100), O_RDWR | O_CLOEXEC);

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct verso_map_options options = options_with(flags[i]);

        assert_open_fd_fails(fd, &options, VERSO_E_OPTIONS, "options");
        assert_hint("descriptor");
    }
    assert_int_equal(close(fd), 0);
}

static void test_values(void **state)
{
    const char *path = support_file("file", 100);
    struct verso_map_options options = options_with(0);

    (void)state;
    options.stability = VERSO_MAP_COPY + 1;
    assert_open_fails(path, &options, VERSO_E_OPTIONS, "options");
    options = options_with(0);
    options.span_bytes = 1;
    assert_open_fails(path, &options, VERSO_E_OPTIONS, "options");
    assert_hint("VERSO_MAP_GROW");
    options = options_with(0);
    options.mode = 01000;
    assert_open_fails(path, &options, VERSO_E_OPTIONS, "options");
    options = options_with(0);
    options.timeout_ms = -1;
    assert_open_fails(path, &options, VERSO_E_OPTIONS, "options");
}

static void test_options_are_only_read(void **state)
{
    struct verso_map_options options = options_with(VERSO_MAP_GROW), before = options;
    struct verso_map *map;

    (void)state;
    assert_ok(verso_map_open(support_file("file", 100), &options, &map));
    assert_memory_equal(&options, &before, sizeof(options));
    verso_map_close(map);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_struct_sizes),          cmocka_unit_test(test_flags),
        cmocka_unit_test(test_flags_about_names),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_options_are_only_read),
    };

    return run_test_list(list);
}
