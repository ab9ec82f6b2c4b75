/* SPDX-License-Identifier: MIT */
/*
 * torn - a file is cut at any place and any time while it is scanned.
 *
 * Whatever the method, the jobs and the number of threads: nobody dies, and the result covers exactly the bytes before
 * the offset that is told, each as it was in the file. They are held against a scan of the same bytes in memory.
 */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "reference.h"

#define FILE_BYTES ((size_t)6 << 20)
#define BUDGET_BYTES ((uint64_t)1 << 20) /* small windows: many of them */

#define ROUNDS 25U

static unsigned char *text;
static int file;
static const char *path;

struct cutter {
    pthread_t thread;
    uint64_t cut;
    unsigned delay_ns;
};

static uint64_t random_below(uint64_t limit)
{
    static uint64_t seed = 0x9e3779b97f4a7c15U;

    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed % limit;
}

static void *cut_it(void *arg)
{
    struct cutter *cutter = arg;
    struct timespec delay = { 0, (long)cutter->delay_ns };

    (void)nanosleep(&delay, NULL);
    return ftruncate(file, (off_t)cutter->cut) == 0 ? NULL : arg;
}

/* What is told of matches, added up. */
static uint64_t all_sums[2], *sums;
static const struct verso_scan_needle needles[] = { { "z ", 2 }, { " \xf0 ", 3 } };

static int add_up(const struct verso_scan_match *match, void *arg)
{
    *(uint64_t *)arg = *(uint64_t *)arg * 31 + match->offset_bytes * 2 + match->needle;
    return 0;
}

static struct verso_scan *open_scan(unsigned method, unsigned threads, bool ordered)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    struct verso_scan *scan;

    options.method = method;
    options.thread_count = threads;
    options.budget_bytes = BUDGET_BYTES;
    assert_ok(verso_scan_open(&options, &scan));
    assert_ok(verso_scan_want_counts(scan, ALL_COUNTS));
    assert_ok(verso_scan_want_histogram(scan));
    assert_ok(verso_scan_want_needles(scan, needles, 2, VERSO_SCAN_COUNT_LINES, ordered ? add_up : NULL, sums++));
    if (ordered)
        assert_ok(verso_scan_want_digest(scan, VERSO_DIGEST_XXH3_64));
    return scan;
}

static void check_same(const struct verso_scan *scan, const struct verso_scan *wanted, bool ordered)
{
    struct verso_scan_result a = VERSO_SCAN_RESULT_INIT, b = VERSO_SCAN_RESULT_INIT;
    struct verso_digest_value a_digest, b_digest;
    uint64_t a_histogram[256], b_histogram[256];

    assert_ok(verso_scan_result(scan, &a));
    assert_ok(verso_scan_result(wanted, &b));
    assert_int_equal(a.bytes, b.bytes);
    assert_int_equal(a.lines, b.lines);
    assert_int_equal(a.words, b.words);
    assert_int_equal(a.characters, b.characters);
    assert_int_equal(a.longest_bytes, b.longest_bytes);
    assert_int_equal(a.matches, b.matches);
    assert_int_equal(a.matched_lines, b.matched_lines);
    assert_true(all_sums[0] == all_sums[1]);
    assert_ok(verso_scan_result_bytes(scan, a_histogram));
    assert_ok(verso_scan_result_bytes(wanted, b_histogram));
    assert_memory_equal(a_histogram, b_histogram, sizeof(a_histogram));
    if (!ordered)
        return;
    assert_ok(verso_scan_result_digest(scan, VERSO_DIGEST_XXH3_64, &a_digest));
    assert_ok(verso_scan_result_digest(wanted, VERSO_DIGEST_XXH3_64, &b_digest));
    assert_true(verso_digest_equal(&a_digest, &b_digest));
}

/* Answers whether the cut was met. */
static bool round_once(struct verso_scan *scan, struct verso_scan *wanted, bool ordered)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    struct cutter cutter = { .cut = random_below(FILE_BYTES), .delay_ns = (unsigned)random_below(1500000) };
    uint64_t end = FILE_BYTES;
    void *answer;
    int r;

    if (random_below(4) == 0) /* in the last page, or at a border */
        cutter.cut = random_below(2) ? FILE_BYTES - 1 - random_below(4000) : cutter.cut / 65536 * 65536;
    all_sums[0] = all_sums[1] = 0;
    assert_int_equal(pthread_create(&cutter.thread, NULL, cut_it, &cutter), 0);
    r = verso_scan_file(scan, path);
    if (r < 0) {
        assert_int_equal(r, VERSO_E_TORN);
        assert_int_equal(verso_error_last()->code, r);
        assert_string_equal(verso_error_last()->path, path);
        end = verso_error_last()->offset_bytes;
    }
    assert_int_equal(pthread_join(cutter.thread, &answer), 0);
    assert_null(answer);
    assert_ok(verso_scan_result(scan, &result));
    if (r == 0 && result.bytes < FILE_BYTES) /* cut before it began */
        end = cutter.cut;
    assert_true(end >= cutter.cut && end <= FILE_BYTES);
    assert_int_equal(result.bytes, end);
    assert_int_equal(result.is_partial, r < 0);
    assert_ok(verso_scan_memory(wanted, text, end));
    check_same(scan, wanted, ordered);
    for (size_t done = cutter.cut; done < FILE_BYTES;) {
        ssize_t n = pwrite(file, text + done, FILE_BYTES - done, (off_t)done);

        assert_true(n > 0);
        done += (size_t)n;
    }
    return r < 0;
}

static void cut_under(unsigned method, bool ordered)
{
    for (unsigned threads = 1; threads <= 4; threads *= 2) {
        struct verso_scan *scan;
        struct verso_scan *wanted;
        unsigned met = 0;

        sums = all_sums;
        scan = open_scan(method, threads, ordered);
        wanted = open_scan(VERSO_SCAN_AUTO, 1, ordered);

        for (unsigned round = 0; round < ROUNDS; round++)
            met += round_once(scan, wanted, ordered);
        print_message("# %u threads: %u of %u cuts were met\n", threads, met, ROUNDS);
        verso_scan_close(scan);
        verso_scan_close(wanted);
    }
}

static void with_a_file(unsigned method, bool ordered)
{
    text = reference_text(FILE_BYTES);
    path = reference_file("cut", text, FILE_BYTES);
    file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    cut_under(method, ordered);
    assert_int_equal(close(file), 0);
    free(text);
}

static void test_cuts_under_maps(void **state)
{
    (void)state;
    with_a_file(VERSO_SCAN_MAPPED, false);
}

static void test_cuts_under_maps_that_are_passed_in_order(void **state)
{
    (void)state;
    with_a_file(VERSO_SCAN_MAPPED, true);
}

static void test_cuts_under_reads(void **state)
{
    (void)state;
    with_a_file(VERSO_SCAN_READ, false);
}

static void test_cuts_under_reads_that_are_passed_in_order(void **state)
{
    (void)state;
    with_a_file(VERSO_SCAN_READ, true);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_cuts_under_maps),
        cmocka_unit_test(test_cuts_under_maps_that_are_passed_in_order),
        cmocka_unit_test(test_cuts_under_reads),
        cmocka_unit_test(test_cuts_under_reads_that_are_passed_in_order),
    };

    return run_test_list(list);
}
