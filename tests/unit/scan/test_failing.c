/* SPDX-License-Identifier: MIT */
/*
 * failing - a disk with a bad place: every read that reaches it fails, and goes on failing.
 *
 * Whatever the method and the number of threads, the scan ends at the page that can't be had, says so, and its result
 * covers exactly what lies before.
 */
#include "support.h"

#include "os/fake/fake.h"
#include "reference.h"

#include <limits.h>

#define BYTES (((size_t)5 << 20) + 777)

static unsigned char *text;
static const char *path;

static int add_up(const struct verso_scan_match *match, void *arg)
{
    *(uint64_t *)arg = *(uint64_t *)arg * 31 + match->offset_bytes;
    return 0;
}

static struct verso_scan *open_scan(unsigned method, unsigned threads, bool is_ordered, uint64_t *sum)
{
    static const struct verso_scan_needle needle = { "z ", 2 };
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    struct verso_scan *scan;

    options.method = method;
    options.thread_count = threads;
    options.budget_bytes = (uint64_t)1 << 20;
    assert_ok(verso_scan_open(&options, &scan));
    assert_ok(verso_scan_want_counts(scan, ALL_COUNTS));
    assert_ok(verso_scan_want_histogram(scan));
    assert_ok(verso_scan_want_needles(scan, &needle, 1, 0, is_ordered ? add_up : NULL, sum));
    if (is_ordered)
        assert_ok(verso_scan_want_digest(scan, VERSO_DIGEST_XXH3_64));
    return scan;
}

static void check_covers(struct verso_scan *scan, size_t bytes, bool is_ordered, uint64_t sum)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT, wanted = VERSO_SCAN_RESULT_INIT;
    struct verso_digest_value digest, wanted_digest;
    uint64_t wanted_sum = 0;
    struct verso_scan *whole = open_scan(VERSO_SCAN_AUTO, 1, is_ordered, &wanted_sum);

    assert_ok(verso_scan_result(scan, &result));
    assert_int_equal(result.is_partial, 1);
    assert_int_equal(result.bytes, bytes);
    reference_check(scan, text, bytes);
    assert_ok(verso_scan_memory(whole, text, bytes));
    assert_ok(verso_scan_result(whole, &wanted));
    assert_int_equal(result.matches, wanted.matches);
    assert_int_equal(sum, wanted_sum);
    if (is_ordered) {
        assert_ok(verso_scan_result_digest(scan, VERSO_DIGEST_XXH3_64, &digest));
        assert_ok(verso_scan_result_digest(whole, VERSO_DIGEST_XXH3_64, &wanted_digest));
        assert_true(verso_digest_equal(&digest, &wanted_digest));
    }
    verso_scan_close(whole);
}

/* Maps can't bring the bad window in either, and leave it to reading. */
static void check_bad_byte(uint64_t bad_byte, unsigned method, unsigned threads, bool is_ordered)
{
    size_t page = verso_page_bytes(), good = (size_t)bad_byte / page * page;
    uint64_t sum = 0;
    struct verso_scan *scan = open_scan(method, threads, is_ordered, &sum);

    fake_bad_byte(bad_byte);
    if (method == VERSO_SCAN_MAPPED)
        fake_fail_call("populate", -EFAULT, UINT_MAX);
    assert_fails(verso_scan_file(scan, path), -EIO);
    assert_int_equal(verso_error_last()->offset_bytes, good);
    assert_string_equal(verso_error_last()->step, "read");
    fake_fail_call("populate", 0, 0);
    fake_bad_byte(0);
    check_covers(scan, good, is_ordered, sum);
    sum = 0;
    assert_ok(verso_scan_file(scan, path)); /* the disk has got over it; so does the scan */
    reference_check(scan, text, BYTES);
    verso_scan_close(scan);
}

static void test_a_bad_place(void **state)
{
    const size_t page = verso_page_bytes();
    const uint64_t places[] = { 1,       page - 1,         page,    page + 1, 512 << 10, (512 << 10) - 1,
                                1 << 20, (3 << 20) + 5000, 4 << 20, BYTES - 1 };

    (void)state;
    text = reference_text(BYTES);
    path = reference_file("text", text, BYTES);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
        for (unsigned method = VERSO_SCAN_MAPPED; method <= VERSO_SCAN_READ; method++)
            for (unsigned threads = 1; threads <= 3; threads++)
                for (unsigned is_ordered = 0; is_ordered < 2; is_ordered++) {
                    check_bad_byte(places[i], method, threads, is_ordered);
                    fake_reset();
                }
    free(text);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_bad_place),
    };

    return run_test_list(list);
}
