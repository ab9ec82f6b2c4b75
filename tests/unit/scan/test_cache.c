/* SPDX-License-Identifier: MIT */
/* cache - what a scan leaves in the page cache, and that it passes first what is there. */
#include "support.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "reference.h"

#define MIB ((size_t)1 << 20)
#define BYTES (24 * MIB + 345)
#define READ_BYTES ((size_t)512 << 10) /* what a thread reads at once */

static unsigned char *text;
static const char *path;
static int file;

/* A file of which nothing is cached; skips where that can't be. */
static bool make_cold_file(void)
{
    text = reference_text(BYTES);
    path = reference_file("cold", text, BYTES);
    file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(fsync(file), 0);
    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    return true;
}

static void end_with_file(void)
{
    assert_int_equal(close(file), 0);
    free(text);
}

static size_t cached_pages(void)
{
    const size_t page = verso_page_bytes();
    size_t pages = (BYTES + page - 1) / page, count = 0;
    unsigned char *states = malloc(pages);
    void *look = mmap(NULL, pages * page, PROT_READ, MAP_SHARED, file, 0);

    assert_true(states && look != MAP_FAILED);
    assert_int_equal(mincore(look, pages * page, states), 0);
    for (size_t i = 0; i < pages; i++)
        count += states[i] & 1;
    munmap(look, pages * page);
    free(states);
    return count;
}

/* Brings a part in, page by page and without readahead. */
static void warm(size_t offset, size_t bytes)
{
    unsigned char byte;

    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_RANDOM), 0);
    for (size_t at = offset; at < offset + bytes; at += verso_page_bytes())
        assert_int_equal(pread(file, &byte, 1, (off_t)at), 1);
    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_NORMAL), 0);
}

static struct verso_scan *open_scan(unsigned method, unsigned threads, unsigned cache, unsigned flags)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    struct verso_scan *scan;

    options.method = method;
    options.thread_count = threads;
    options.cache = cache;
    options.flags = flags;
    assert_ok(verso_scan_open(&options, &scan));
    assert_ok(verso_scan_want_counts(scan, ALL_COUNTS));
    assert_ok(verso_scan_want_histogram(scan));
    return scan;
}

#define skip_unless_cold()                                              \
    do {                                                                \
        assert_true(make_cold_file());                                  \
        if (cached_pages() != 0) {                                      \
            end_with_file();                                            \
            skip_because("this file system keeps its pages in memory"); \
        }                                                               \
    } while (0)

/* The kernel may take pages away at any time, for others' needs: what must hold is tried again then. */
#define TRIES 20

static bool neutral_leaves(struct verso_scan *scan, size_t least, size_t most)
{
    for (unsigned i = 0; i < TRIES; i++) {
        assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
        warm(7 * MIB, least * verso_page_bytes());
        assert_ok(verso_scan_file(scan, path));
        reference_check(scan, text, BYTES);
        if (cached_pages() >= least && cached_pages() <= most)
            return true;
    }
    return false;
}

static void test_neutral_leaves_what_was_there(void **state)
{
    (void)state;
    skip_unless_cold();
    for (unsigned method = VERSO_SCAN_MAPPED; method <= VERSO_SCAN_READ; method++)
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct verso_scan *scan = open_scan(method, threads, VERSO_SCAN_CACHE_NEUTRAL, 0);

            assert_true(neutral_leaves(scan, 64, 128)); /* large folios may reach across the border */
            verso_scan_close(scan);
        }
    end_with_file();
}

static bool leaves(struct verso_scan *scan, size_t pages)
{
    for (unsigned i = 0; i < TRIES; i++) {
        assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
        assert_ok(verso_scan_file(scan, path));
        if (cached_pages() == pages)
            return true;
    }
    return false;
}

static void test_keep_and_drop(void **state)
{
    const size_t pages = (BYTES + verso_page_bytes() - 1) / verso_page_bytes();

    (void)state;
    skip_unless_cold();
    for (unsigned method = VERSO_SCAN_MAPPED; method <= VERSO_SCAN_READ; method++)
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct verso_scan *keeping = open_scan(method, threads, VERSO_SCAN_CACHE_KEEP, 0);
            struct verso_scan *dropping = open_scan(method, threads, VERSO_SCAN_CACHE_DROP, 0);

            assert_true(leaves(keeping, pages));
            assert_ok(verso_scan_file(dropping, path)); /* what was there before goes as well */
            reference_check(dropping, text, BYTES);
            assert_int_equal(cached_pages(), 0);
            assert_true(leaves(dropping, 0));
            verso_scan_close(keeping);
            verso_scan_close(dropping);
        }
    end_with_file();
}

/* ---- What is cached, first ---- */

struct first {
    _Atomic uint64_t offset; /* of the first piece; VERSO_OFFSET_NONE before */
    uint64_t cut;            /* when it is seen; 0: not at all */
};

static int note_first(const struct verso_scan_piece *piece, void *arg)
{
    struct first *first = arg;
    uint64_t none = VERSO_OFFSET_NONE;

    if (!atomic_compare_exchange_strong(&first->offset, &none, piece->offset_bytes))
        return 0;
    return first->cut ? ftruncate(file, (off_t)first->cut) : 0;
}

static void run_half_cached(unsigned method, unsigned threads, unsigned flags, struct first *first, int wanted)
{
    struct verso_scan *scan = open_scan(method, threads, VERSO_SCAN_CACHE_KEEP, flags);
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    size_t end = BYTES;

    first->offset = VERSO_OFFSET_NONE;
    assert_ok(verso_scan_want_windows(scan, VERSO_SCAN_ANY_ORDER | VERSO_SCAN_RESTARTABLE, note_first, first));
    assert_int_equal(posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED), 0);
    warm(8 * MIB, 4 * MIB);
    warm(16 * MIB, 4 * MIB);
    if (first->cut)
        assert_fails(verso_scan_file(scan, path), VERSO_E_TORN);
    else
        assert_ok(verso_scan_file(scan, path));
    assert_ok(verso_scan_result(scan, &result));
    assert_int_equal(result.resident_first, wanted);
    assert_true(result.cached_bytes >= 4 * MIB && result.cached_bytes < BYTES);
    if (threads == 1)
        assert_int_equal(first->offset, wanted ? 8 * MIB : 0);
    if (first->cut) {
        end = (size_t)verso_error_last()->offset_bytes;
        /* What was read or looked at before the cut counts: by one thread, the piece that it cut under itself. */
        assert_true(end >= first->cut);
        if (threads == 1)
            assert_true(end == first->cut || (method == VERSO_SCAN_READ && end == 8 * MIB + READ_BYTES));
    }
    reference_check(scan, text, end);
    assert_int_equal(pwrite(file, text + first->cut, BYTES - first->cut, (off_t)first->cut), BYTES - first->cut);
    assert_int_equal(fsync(file), 0);
    verso_scan_close(scan);
}

#define skip_unless_seen()                                                                   \
    do {                                                                                     \
        struct verso_scan_result result_ = VERSO_SCAN_RESULT_INIT;                           \
        struct verso_scan *scan_;                                                            \
                                                                                             \
        skip_unless_cold();                                                                  \
        scan_ = open_scan(VERSO_SCAN_READ, 1, VERSO_SCAN_CACHE_KEEP, 0);                     \
        assert_ok(verso_scan_file(scan_, path));                                             \
        assert_ok(verso_scan_result(scan_, &result_));                                       \
        verso_scan_close(scan_);                                                             \
        if (result_.cached_bytes == VERSO_OFFSET_NONE) {                                     \
            end_with_file();                                                                 \
            skip_because("this kernel does not tell what is cached (cachestat, Linux 6.5)"); \
        }                                                                                    \
    } while (0)

static void test_what_is_cached_is_passed_first(void **state)
{
    struct first first = { 0, 0 };

    (void)state;
    skip_unless_seen();
    for (unsigned method = VERSO_SCAN_AUTO; method <= VERSO_SCAN_READ; method++)
        for (unsigned threads = 1; threads <= 3; threads++) {
            run_half_cached(method, threads, 0, &first, 1);
            run_half_cached(method, threads, VERSO_SCAN_IN_ORDER, &first, 0);
        }
    end_with_file();
}

/* Wherever it is cut, in what was passed first, before it or behind it: exactly what is before the cut. */
static void test_cuts_in_any_order(void **state)
{
    const uint64_t cuts[] = { 8 * MIB + 5000, 8 * MIB, 3 * MIB + 77, 1, 17 * MIB + 1, 22 * MIB + 4095, BYTES - 1 };

    (void)state;
    skip_unless_seen();
    for (unsigned method = VERSO_SCAN_MAPPED; method <= VERSO_SCAN_READ; method++)
        for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
            struct first first = { 0, cuts[i] };

            run_half_cached(method, 1 + (unsigned)i % 3, 0, &first, 1);
        }
    end_with_file();
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_neutral_leaves_what_was_there),
        cmocka_unit_test(test_keep_and_drop),
        cmocka_unit_test(test_what_is_cached_is_passed_first),
        cmocka_unit_test(test_cuts_in_any_order),
    };

    return run_test_list(list);
}
