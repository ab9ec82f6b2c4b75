/* SPDX-License-Identifier: MIT */
/* pieces - functions of the caller see every byte once, every record once, in the order they asked for. */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "reference.h"

#define BYTES ((size_t)5 << 20)
#define WORKERS 4U

static struct verso_scan *open_scan(unsigned threads)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    struct verso_scan *scan;

    options.thread_count = threads;
    options.budget_bytes = (uint64_t)1 << 20;
    assert_ok(verso_scan_open(&options, &scan));
    return scan;
}

/* What the functions are given is held against the text. */
struct watch {
    const unsigned char *text;
    _Atomic uint64_t bytes;
    _Atomic uint64_t calls;
    _Atomic uint64_t wrong;
    _Atomic unsigned inside; /* how many calls are under way */
    uint64_t next;           /* in order: where the next piece must begin */
    bool in_order;
    uint64_t stop_after; /* calls; 0: never */
    atomic_uchar *marks; /* of records: one at each that was seen */
};

static int watch_piece(const struct verso_scan_piece *piece, void *arg)
{
    struct watch *watch = arg;

    if (piece->worker >= WORKERS || memcmp(piece->data, watch->text + piece->offset_bytes, piece->bytes) != 0)
        watch->wrong++;
    if (watch->in_order && (watch->inside++ || piece->offset_bytes < watch->next))
        watch->wrong++;
    if (watch->in_order)
        watch->next = piece->offset_bytes + piece->bytes;
    if (watch->marks && watch->marks[piece->offset_bytes]++)
        watch->wrong++;
    watch->bytes += piece->bytes;
    if (watch->in_order)
        watch->inside--;
    return ++watch->calls == watch->stop_after;
}

static void test_windows_hold_every_byte_once(void **state)
{
    unsigned char *text = reference_text(BYTES);
    const char *path = reference_file("text", text, BYTES);
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;

    (void)state;
    for (unsigned flags = 0; flags <= (VERSO_SCAN_ANY_ORDER | VERSO_SCAN_RESTARTABLE); flags++)
        for (unsigned threads = 1; threads <= WORKERS; threads++) {
            struct watch watch = { .text = text, .in_order = !(flags & VERSO_SCAN_ANY_ORDER) }, second = watch;
            struct verso_scan *scan = open_scan(threads);

            assert_ok(verso_scan_want_windows(scan, flags, watch_piece, &watch));
            assert_ok(verso_scan_want_windows(scan, flags, watch_piece, &second));
            assert_ok(verso_scan_file(scan, path));
            assert_int_equal(watch.wrong, 0);
            assert_int_equal(watch.bytes, BYTES);
            assert_int_equal(second.bytes, BYTES);
            assert_true(watch.calls > 1);
            assert_ok(verso_scan_result(scan, &result));
            if (!(flags & VERSO_SCAN_RESTARTABLE))
                assert_int_equal(result.method, VERSO_SCAN_READ);
            watch.next = second.next = 0;
            assert_ok(verso_scan_memory(scan, text, BYTES));
            assert_int_equal(watch.bytes, 2 * BYTES);
            assert_int_equal(watch.wrong, 0);
            verso_scan_close(scan);
        }
    free(text);
}

/* ---- Records ---- */

static void check_records(const unsigned char *text, size_t bytes, const char *path, unsigned flags, unsigned threads)
{
    struct watch watch = { .text = text, .in_order = !flags, .marks = calloc(bytes + 1, 1) };
    struct verso_scan *scan = open_scan(threads);
    uint64_t records = 0;

    assert_non_null(watch.marks);
    assert_ok(verso_scan_want_records(scan, '\n', 0, flags, watch_piece, &watch));
    assert_ok(path ? verso_scan_file(scan, path) : verso_scan_memory(scan, text, bytes));
    assert_int_equal(watch.wrong, 0);
    for (size_t i = 0; i < bytes; i++) {
        bool begins = i == 0 || text[i - 1] == '\n';

        records += begins;
        assert_int_equal(watch.marks[i], begins);
    }
    assert_int_equal(watch.calls, records);
    verso_scan_close(scan);
    free(watch.marks);
}

static void test_records_are_told_once_each(void **state)
{
    unsigned char *text = reference_text(BYTES);
    const char *path;

    (void)state;
    memset(text + 100000, 'r', 500000); /* one that is longer than what is read at once */
    text[BYTES - 1] = 'r';              /* the last has no end */
    path = reference_file("text", text, BYTES);
    for (unsigned flags = 0; flags <= VERSO_SCAN_ANY_ORDER; flags++)
        for (unsigned threads = 1; threads <= WORKERS; threads++) {
            check_records(text, BYTES, path, flags, threads);
            check_records(text, BYTES, NULL, flags, threads);
        }
    text[BYTES - 1] = '\n';
    check_records(text, BYTES, NULL, 0, 2);
    check_records((const unsigned char *)"\n\na\n", 4, NULL, 0, 1);
    check_records((const unsigned char *)"", 0, NULL, 0, 1);
    check_records((const unsigned char *)"a", 1, NULL, VERSO_SCAN_ANY_ORDER, 1);
    free(text);
}

/* At every place around the borders of pieces. */
static void test_delimiters_at_borders(void **state)
{
    const size_t bytes = (size_t)4 << 20, piece = (size_t)128 << 10;
    unsigned char *text = malloc(bytes);
    const char *path;

    (void)state;
    assert_non_null(text);
    memset(text, 'x', bytes);
    for (size_t i = 1; i < bytes / piece; i++)
        text[i * piece + i % 3 - 1] = '\n';
    path = reference_file("borders", text, bytes);
    for (unsigned flags = 0; flags <= VERSO_SCAN_ANY_ORDER; flags++)
        check_records(text, bytes, path, flags, 3);
    free(text);
}

static void test_a_record_too_long(void **state)
{
    const size_t lengths[] = { 10, 11, 300000 };
    unsigned char *text = malloc(BYTES);

    (void)state;
    assert_non_null(text);
    for (unsigned flags = 0; flags <= VERSO_SCAN_ANY_ORDER; flags++)
        for (size_t i = 0; i < 3; i++) {
            struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
            struct watch watch = { .text = text };
            struct verso_scan *scan = open_scan(2);

            memset(text, '\n', BYTES);
            memset(text + 200001, 'x', lengths[i]);
            assert_ok(verso_scan_want_records(scan, '\n', 10, flags, watch_piece, &watch));
            if (lengths[i] == 10) {
                assert_ok(verso_scan_memory(scan, text, BYTES));
            } else {
                assert_fails(verso_scan_memory(scan, text, BYTES), VERSO_E_TOO_LARGE);
                assert_int_equal(verso_error_last()->offset_bytes, 200001);
                assert_ok(verso_scan_result(scan, &result));
                assert_int_equal(result.is_partial, 1);
            }
            verso_scan_close(scan);
        }
    free(text);
}

static void test_functions_can_end_it(void **state)
{
    unsigned char *text = reference_text(BYTES);
    const char *path = reference_file("text", text, BYTES);

    (void)state;
    for (unsigned flags = 0; flags <= (VERSO_SCAN_ANY_ORDER | VERSO_SCAN_RESTARTABLE); flags++)
        for (unsigned threads = 1; threads <= WORKERS; threads++) {
            struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
            struct watch watch = { .text = text, .in_order = !(flags & VERSO_SCAN_ANY_ORDER), .stop_after = 3 };
            struct verso_digest_value got, wanted;
            struct verso_scan *scan = open_scan(threads);

            assert_ok(verso_scan_want_windows(scan, flags, watch_piece, &watch));
            assert_ok(verso_scan_want_digest(scan, VERSO_DIGEST_XXH3_64));
            assert_fails(verso_scan_file(scan, path), VERSO_E_CANCELLED);
            assert_ok(verso_scan_result(scan, &result));
            assert_true(result.is_partial && result.bytes > 0 && result.bytes < BYTES);
            if (watch.in_order)
                assert_int_equal(watch.calls, 3);
            assert_ok(verso_digest_of(VERSO_DIGEST_XXH3_64, text, (size_t)result.bytes, &wanted));
            assert_ok(verso_scan_result_digest(scan, VERSO_DIGEST_XXH3_64, &got));
            assert_true(verso_digest_equal(&got, &wanted));
            verso_scan_close(scan);
        }
    free(text);
}

/* ---- Progress ---- */

struct steps {
    uint64_t last;
    unsigned calls;
    unsigned stop_at; /* 0: never */
    bool wrong;
};

static int step(const struct verso_scan_progress *progress, void *arg)
{
    struct steps *steps = arg;

    if (progress->done_bytes < steps->last || (progress->total_bytes && progress->done_bytes > progress->total_bytes))
        steps->wrong = true;
    steps->last = progress->done_bytes;
    return ++steps->calls == steps->stop_at;
}

static int rest_a_while(const struct verso_scan_piece *piece, void *arg)
{
    const struct timespec while_long = { 0, 60000000 };

    (void)piece;
    (void)arg;
    return nanosleep(&while_long, NULL);
}

static void test_progress_is_told_and_can_end_it(void **state)
{
    const char *path = support_file("file", BYTES);

    (void)state;
    for (unsigned stop_at = 0; stop_at <= 2; stop_at += 2) {
        struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
        struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
        struct steps steps = { .stop_at = stop_at };
        struct verso_scan *scan;

        options.progress = step;
        options.progress_arg = &steps;
        options.thread_count = 2;
        assert_ok(verso_scan_open(&options, &scan));
        assert_ok(verso_scan_want_windows(scan, 0, rest_a_while, NULL));
        if (stop_at) {
            assert_fails_in(verso_scan_file(scan, path), VERSO_E_CANCELLED, "progress");
            assert_int_equal(steps.calls, stop_at);
        } else {
            assert_ok(verso_scan_file(scan, path));
            assert_true(steps.calls >= 2);
        }
        assert_false(steps.wrong);
        assert_ok(verso_scan_result(scan, &result));
        assert_int_equal(result.is_partial, stop_at != 0);
        assert_true(stop_at ? result.bytes < BYTES : result.bytes == BYTES);
        verso_scan_close(scan);
    }
}

static void wake(int number)
{
    (void)number;
}

/* A signal ends the wait for a pipe into which nobody writes, when the function wants that. */
static void test_a_signal_ends_a_wait(void **state)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    struct sigaction action = { .sa_handler = wake }, before; /* without SA_RESTART */
    struct itimerspec soon = { { 0, 5000000 }, { 0, 5000000 } };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    struct steps steps = { .stop_at = 3 };
    struct verso_scan *scan;
    timer_t timer;
    int ends[2];

    (void)state;
    options.progress = step;
    options.progress_arg = &steps;
    options.thread_count = 1;
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_ok(verso_scan_open(&options, &scan));
    assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    assert_int_equal(timer_settime(timer, 0, &soon, NULL), 0);
    assert_fails_in(verso_scan_fd(scan, ends[0]), VERSO_E_CANCELLED, "progress");
    assert_int_equal(timer_delete(timer), 0);
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    verso_scan_close(scan);
    close(ends[0]);
    close(ends[1]);
}

static void test_wishes(void **state)
{
    struct verso_scan *scan = open_scan(1);

    (void)state;
    assert_fails(verso_scan_want_windows(scan, 0, NULL, NULL), -EINVAL);
    assert_fails(verso_scan_want_windows(scan, 1 << 2, watch_piece, NULL), VERSO_E_OPTIONS);
    assert_fails(verso_scan_want_records(scan, 0, 0, VERSO_SCAN_RESTARTABLE, watch_piece, NULL), VERSO_E_OPTIONS);
    assert_ok(verso_scan_memory(scan, "", 0));
    assert_fails(verso_scan_want_windows(scan, 0, watch_piece, NULL), -EBUSY);
    assert_fails(verso_scan_want_records(scan, 0, 0, 0, watch_piece, NULL), -EBUSY);
    verso_scan_close(scan);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_windows_hold_every_byte_once), cmocka_unit_test(test_records_are_told_once_each),
        cmocka_unit_test(test_delimiters_at_borders),        cmocka_unit_test(test_a_record_too_long),
        cmocka_unit_test(test_functions_can_end_it),         cmocka_unit_test(test_progress_is_told_and_can_end_it),
        cmocka_unit_test(test_a_signal_ends_a_wait),         cmocka_unit_test(test_wishes),
    };

    return run_test_list(list);
}
