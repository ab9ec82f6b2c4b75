/* SPDX-License-Identifier: MIT */
/* pack - many files at once, with every call beneath failing in turn: a file that fails carries its error alone. */
#include "torture.h"

#include <verso/pack.h>

#define FILES 5

static uint64_t bytes_of(size_t index)
{
    return index * 3000 + 1;
}

static void pack_with(unsigned flags, unsigned thread_count)
{
    struct verso_pack_options options = VERSO_PACK_OPTIONS_INIT;
    const char *paths[FILES + 1];
    struct verso_pack *pack = UNTOUCHED;
    struct verso_pack_entry entry;

    for (size_t i = 0; i < FILES; i++) {
        char name[16];

        snprintf(name, sizeof(name), "file-%zu", i);
        paths[i] = support_file(name, bytes_of(i));
    }
    paths[FILES] = "/proc/self/status"; /* read to its end */
    options.flags = flags;
    options.thread_count = thread_count;
    options.map_above_bytes = bytes_of(3);
    attempt(verso_pack_open(paths, FILES + 1, &options, &pack)) assert_ptr_equal(pack, UNTOUCHED);
    for (size_t i = 0; i < FILES; i++) {
        assert_ok(verso_pack_entry(pack, i, &entry));
        assert_true(entry.error == 0 || (torture_refusals() && !(flags & VERSO_PACK_STRICT)));
        if (entry.error < 0)
            continue;
        assert_int_equal(entry.bytes, bytes_of(i));
        assert_true(support_matches(entry.data, 0, entry.bytes));
    }
    verso_pack_close(pack);
}

static void each_its_own(void)
{
    pack_with(0, 1);
}

static void strict(void)
{
    pack_with(VERSO_PACK_STRICT, 1);
}

/* Which call is the n-th then differs from run to run; whichever it is, it must be borne. */
static void by_threads(void)
{
    pack_with(0, 4);
}

static void test_each_its_own_error(void **state)
{
    (void)state;
    torture(each_its_own);
}

static void test_strict(void **state)
{
    (void)state;
    torture(strict);
}

static void test_by_threads(void **state)
{
    (void)state;
    torture(by_threads);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_each_its_own_error),
        torture_test(test_strict),
        torture_test(test_by_threads),
    };

    return run_test_list(list);
}
