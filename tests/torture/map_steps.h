/* SPDX-License-Identifier: MIT */
/* map_steps.h - what the torture of maps is put together from. */
#ifndef VERSO_TESTS_MAP_STEPS_H
#define VERSO_TESTS_MAP_STEPS_H

#include "torture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <verso/map.h>

#define FILE_BYTES ((uint64_t)100000)

/* Options with these flags; the rest defaults. */
static inline struct verso_map_options with(unsigned flags)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;

    options.flags = flags;
    return options;
}

/* A map, whatever is refused on the way; a failing open leaves its output alone. */
static inline struct verso_map *opened(const char *path, const struct verso_map_options *options)
{
    struct verso_map *map = UNTOUCHED;

    attempt(verso_map_open(path, options, &map)) assert_ptr_equal(map, UNTOUCHED);
    return map;
}

/* A map of a new file of FILE_BYTES with the pattern in it. */
static inline struct verso_map *opened_file(unsigned flags)
{
    struct verso_map_options options = with(flags);

    return opened(support_file("file", FILE_BYTES), &options);
}

static inline uint64_t file_bytes(const char *path)
{
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    return (uint64_t)status.st_size;
}

static inline bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Whether the map shows what support_file() wrote, from its offset on. */
static inline void assert_pattern(const struct verso_map *map, uint64_t offset, size_t bytes)
{
    assert_int_equal(verso_map_bytes(map), bytes);
    assert_true(support_matches(verso_map_data(map), offset, bytes));
}

static inline struct verso_map_info info_of(const struct verso_map *map)
{
    struct verso_map_info info = VERSO_MAP_INFO_INIT;

    assert_int_equal(verso_map_info(map, &info), 0);
    return info;
}

/* One scenario, one case: TORTURE(name) is a test named test_<name> of the function <name>. */
#define TORTURE(scenario)                     \
    static void test_##scenario(void **state) \
    {                                         \
        (void)state;                          \
        torture(scenario);                    \
    }

#endif
