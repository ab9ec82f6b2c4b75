/* SPDX-License-Identifier: MIT */
/* scan - opening, wishing, running by maps and by reads, with every call beneath failing in turn. */
#include "torture.h"

#include <unistd.h>
#include <verso/scan.h>

/* Large enough to be looked at before it is passed, in more than one window of the smallest budget. */
#define BYTES (((uint64_t)2 << 20) + 4567)

/* Three pieces: each that is read is two calls more to be refused. */
#define BYTES_TO_READ 300000

/* Made once: it is passed thousands of times. */
static const char *file_to_scan(uint64_t bytes)
{
    const char *path = support_path(bytes == BYTES ? "file" : "small-file");

    return access(path, R_OK) == 0 ? path : support_file(bytes == BYTES ? "file" : "small-file", bytes);
}

static struct verso_scan *opened(unsigned method, unsigned threads, unsigned cache)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    struct verso_scan *scan = UNTOUCHED;

    options.method = method;
    options.thread_count = threads;
    options.cache = cache;
    options.budget_bytes = (uint64_t)1 << 20;
    attempt(verso_scan_open(&options, &scan)) assert_ptr_equal(scan, UNTOUCHED);
    return scan;
}

static int look_on(const struct verso_scan_piece *piece, void *arg)
{
    (void)arg;
    return !support_matches(piece->data, piece->offset_bytes, piece->bytes);
}

static int count_match(const struct verso_scan_match *match, void *arg)
{
    (void)match;
    ++*(uint64_t *)arg;
    return 0;
}

/* What a failed run leaves covers what it says, and nothing else. */
static void check_partial(struct verso_scan *scan)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    uint64_t histogram[256], sum = 0;

    assert_ok(verso_scan_result(scan, &result));
    assert_ok(verso_scan_result_bytes(scan, histogram));
    for (size_t i = 0; i < 256; i++)
        sum += histogram[i];
    assert_true(sum == result.bytes);
    assert_true(result.bytes <= BYTES);
}

static void run_on_a_file(unsigned method, unsigned threads, unsigned cache, bool ordered)
{
    const struct verso_scan_needle needle = { "ab", 2 };
    uint64_t bytes = method == VERSO_SCAN_READ ? BYTES_TO_READ : BYTES;
    const char *path = file_to_scan(bytes);
    struct verso_scan *scan = opened(method, threads, cache);
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    uint64_t matches = 0;

    attempt(verso_scan_want_counts(scan, VERSO_SCAN_LINES))
    {
    }
    attempt(verso_scan_want_histogram(scan))
    {
    }
    attempt(verso_scan_want_needles(scan, &needle, 1, 0, ordered ? count_match : NULL, &matches))
    {
    }
    if (ordered)
        attempt(verso_scan_want_digest(scan, VERSO_DIGEST_XXH3_64))
        {
        }
    if (method == VERSO_SCAN_READ && ordered)
        attempt(verso_scan_want_records(scan, '\n', 0, 0, look_on, NULL))
        {
        }
    attempt(verso_scan_file(scan, path)) check_partial(scan);
    assert_ok(verso_scan_result(scan, &result));
    assert_true(result.bytes == bytes && !result.is_partial);
    check_partial(scan);
    verso_scan_close(scan);
}

static void read_small(void)
{
    const char *path = support_file("small", 5000);
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    struct verso_scan *scan = opened(VERSO_SCAN_AUTO, 2, VERSO_SCAN_CACHE_KEEP);

    attempt(verso_scan_want_counts(scan, VERSO_SCAN_WORDS))
    {
    }
    attempt(verso_scan_file(scan, path))
    {
    }
    assert_ok(verso_scan_result(scan, &result));
    assert_true(result.bytes == 5000 && !result.is_partial);
    attempt(verso_scan_file(scan, "/proc/self/status"))
    {
    }
    verso_scan_close(scan);
}

static void choose(void)
{
    run_on_a_file(VERSO_SCAN_AUTO, 1, VERSO_SCAN_CACHE_KEEP, false);
}

static void by_maps(void)
{
    run_on_a_file(VERSO_SCAN_MAPPED, 1, VERSO_SCAN_CACHE_KEEP, true);
}

static void by_reads(void)
{
    run_on_a_file(VERSO_SCAN_READ, 1, VERSO_SCAN_CACHE_DROP, true);
}

static void neutral(void)
{
    run_on_a_file(VERSO_SCAN_MAPPED, 1, VERSO_SCAN_CACHE_NEUTRAL, false);
}

static void test_small(void **state)
{
    (void)state;
    torture(read_small);
}

static void test_choose(void **state)
{
    (void)state;
    torture(choose);
}

static void test_by_maps(void **state)
{
    (void)state;
    torture(by_maps);
}

static void test_by_reads(void **state)
{
    (void)state;
    torture(by_reads);
}

static void test_neutral(void **state)
{
    (void)state;
    torture(neutral);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_small),    torture_test(test_choose),  torture_test(test_by_maps),
        torture_test(test_by_reads), torture_test(test_neutral),
    };

    return run_test_list(list);
}
