/* SPDX-License-Identifier: MIT */
/* scan - one pass over files, pipes and memory finds what the plain loops find. */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>

#include "reference.h"

#define MIB ((size_t)1 << 20)

static struct verso_scan *open_for_all(unsigned thread_count)
{
    struct verso_scan *scan = reference_open(thread_count);

    assert_ok(verso_scan_want_counts(scan, ALL_COUNTS));
    assert_ok(verso_scan_want_histogram(scan));
    return scan;
}

static void check_whole(const struct verso_scan *scan)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;

    assert_ok(verso_scan_result(scan, &result));
    assert_int_equal(result.is_partial, 0);
    assert_int_equal(result.changed, 0);
    assert_true(result.thread_count >= 1);
    assert_true(strlen(result.why) > 0);
    assert_true(strlen(result.kernel) > 0);
}

/* Around every border that passing has: pages, pieces, windows, where a second thread comes in. */
static void test_files_of_any_size(void **state)
{
    const size_t borders[] = { 0, 4096, 16 << 10, 128 << 10, MIB, 4 * MIB, 9 * MIB };
    unsigned char *text = reference_text(9 * MIB + 1);
    struct verso_scan *scan = open_for_all(3);

    (void)state;
    for (size_t i = 0; i < sizeof(borders) / sizeof(borders[0]); i++)
        for (int step = -1; step <= 1; step++) {
            size_t bytes = borders[i] + (size_t)step;

            if (borders[i] == 0 && step < 0)
                continue;
            assert_ok(verso_scan_file(scan, reference_file("text", text, bytes)));
            reference_check(scan, text, bytes);
            check_whole(scan);
        }
    verso_scan_close(scan);
    free(text);
}

static void test_any_number_of_threads(void **state)
{
    const size_t bytes = 9 * MIB + 4567;
    unsigned char *text = reference_text(bytes);
    const char *path = reference_file("text", text, bytes);
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;

    (void)state;
    for (unsigned threads = 1; threads <= 7; threads += 2) {
        struct verso_scan *scan = open_for_all(threads);

        for (unsigned round = 0; round < 2; round++) {
            assert_ok(verso_scan_file(scan, path));
            reference_check(scan, text, bytes);
            assert_ok(verso_scan_memory(scan, text, bytes));
            reference_check(scan, text, bytes);
        }
        assert_ok(verso_scan_result(scan, &result));
        assert_int_equal(result.thread_count, threads);
        assert_int_equal(result.method, VERSO_SCAN_MEMORY);
        verso_scan_close(scan);
    }
    free(text);
}

static void test_methods_find_the_same(void **state)
{
    const size_t bytes = 9 * MIB + 4567;
    unsigned char *text = reference_text(bytes);
    const char *path = reference_file("text", text, bytes);

    (void)state;
    for (unsigned method = VERSO_SCAN_AUTO; method <= VERSO_SCAN_READ; method++)
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
            struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
            struct verso_scan *scan;

            options.method = method;
            options.thread_count = threads;
            options.budget_bytes = threads == 2 ? MIB : 0;
            assert_ok(verso_scan_open(&options, &scan));
            assert_ok(verso_scan_want_counts(scan, ALL_COUNTS));
            assert_ok(verso_scan_want_histogram(scan));
            if (threads == 3)
                assert_ok(verso_scan_want_digest(scan, VERSO_DIGEST_XXH64));
            assert_ok(verso_scan_file(scan, path));
            reference_check(scan, text, bytes);
            check_whole(scan);
            assert_ok(verso_scan_result(scan, &result));
            if (method != VERSO_SCAN_AUTO)
                assert_int_equal(result.method, method);
            assert_int_equal(result.thread_count, threads);
            verso_scan_close(scan);
        }
    free(text);
}

/* Where a fault would kill, nothing is mapped. */
static void test_a_thread_that_blocks_the_signal_reads(void **state)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    const char *path = support_file("file", 5 * MIB);
    struct verso_scan *scan;
    sigset_t set, before;

    (void)state;
    options.method = VERSO_SCAN_MAPPED;
    assert_ok(verso_scan_open(&options, &scan));
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGBUS);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
    assert_ok(verso_scan_file(scan, path));
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    assert_ok(verso_scan_result(scan, &result));
    assert_int_equal(result.method, VERSO_SCAN_READ);
    assert_ok(verso_scan_file(scan, path));
    assert_ok(verso_scan_result(scan, &result));
    assert_int_equal(result.method, VERSO_SCAN_MAPPED);
    verso_scan_close(scan);
}

static void test_small_files_get_one_thread(void **state)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    struct verso_scan *scan = open_for_all(4);

    (void)state;
    assert_ok(verso_scan_file(scan, support_file("small", 100)));
    assert_ok(verso_scan_result(scan, &result));
    assert_int_equal(result.thread_count, 1);
    verso_scan_close(scan);
}

static void check_digests(const struct verso_scan *scan, const void *data, size_t bytes)
{
    for (enum verso_digest_kind kind = VERSO_DIGEST_XXH3_64; kind <= VERSO_DIGEST_XXH32; kind++) {
        struct verso_digest_value got, wanted;

        assert_ok(verso_digest_of(kind, data, bytes, &wanted));
        assert_ok(verso_scan_result_digest(scan, kind, &got));
        assert_true(verso_digest_equal(&got, &wanted));
    }
}

static void test_checksums_pass_from_start_to_end(void **state)
{
    const size_t sizes[] = { 0, 1, 4096, (128 << 10) + 1, 4 * MIB - 1, 11 * MIB + 77 };
    unsigned char *text = reference_text(11 * MIB + 77);

    (void)state;
    for (unsigned threads = 1; threads <= 4; threads++) {
        struct verso_scan *scan = open_for_all(threads);

        for (enum verso_digest_kind kind = VERSO_DIGEST_XXH3_64; kind <= VERSO_DIGEST_XXH32; kind++)
            assert_ok(verso_scan_want_digest(scan, kind));
        assert_ok(verso_scan_want_digest(scan, VERSO_DIGEST_XXH64)); /* once more is no more */
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            assert_ok(verso_scan_file(scan, reference_file("text", text, sizes[i])));
            reference_check(scan, text, sizes[i]);
            check_digests(scan, text, sizes[i]);
            assert_ok(verso_scan_memory(scan, text, sizes[i]));
            check_digests(scan, text, sizes[i]);
        }
        verso_scan_close(scan);
    }
    free(text);
}

/* ---- What is no file ---- */

struct writer {
    int fd;
    const unsigned char *data;
    size_t bytes;
    size_t step;
};

static void *write_on(void *arg)
{
    struct writer *writer = arg;

    for (size_t done = 0; done < writer->bytes;) {
        size_t want = writer->bytes - done < writer->step ? writer->bytes - done : writer->step;
        ssize_t n = write(writer->fd, writer->data + done, want);

        if (n <= 0)
            break;
        done += (size_t)n;
    }
    (void)close(writer->fd);
    return NULL;
}

static void test_a_pipe_is_read_to_its_end(void **state)
{
    const size_t bytes = 3 * MIB + 5;
    unsigned char *text = reference_text(bytes);
    struct verso_scan *scan = open_for_all(2);

    (void)state;
    assert_ok(verso_scan_want_digest(scan, VERSO_DIGEST_XXH3_64));
    for (unsigned round = 0; round < 4; round++) {
        struct writer writer = { 0, text, round ? bytes : 0, round % 2 ? 777 : 65536 };
        struct verso_digest_value got, wanted;
        pthread_t thread;
        int ends[2];

        assert_int_equal(pipe2(ends, round > 1 ? O_CLOEXEC | O_NONBLOCK : O_CLOEXEC), 0);
        if (round > 1) /* the reading end alone does not wait */
            assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
        writer.fd = ends[1];
        assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);
        assert_ok(verso_scan_fd(scan, ends[0]));
        assert_int_equal(pthread_join(thread, NULL), 0);
        reference_check(scan, text, writer.bytes);
        check_whole(scan);
        assert_ok(verso_digest_of(VERSO_DIGEST_XXH3_64, text, writer.bytes, &wanted));
        assert_ok(verso_scan_result_digest(scan, VERSO_DIGEST_XXH3_64, &got));
        assert_true(verso_digest_equal(&got, &wanted));
        assert_int_equal(close(ends[0]), 0);
    }
    verso_scan_close(scan);
    free(text);
}

static void test_files_that_do_not_know_their_size(void **state)
{
    const char *const paths[] = { "/proc/self/maps", "/proc/cpuinfo", "/sys/kernel/mm/transparent_hugepage/enabled" };
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    struct verso_scan *scan = open_for_all(2);

    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

        if (fd < 0)
            continue; /* this system has no such file */
        assert_ok(verso_scan_file(scan, paths[i]));
        check_whole(scan);
        assert_ok(verso_scan_result(scan, &result));
        assert_true(result.bytes > 0 && result.lines > 0);
        close(fd);
    }
    assert_ok(verso_scan_file(scan, "/dev/null"));
    assert_ok(verso_scan_result(scan, &result));
    assert_int_equal(result.bytes, 0);
    verso_scan_close(scan);
}

/* The caller's position neither matters nor moves, of what has offsets. */
static void test_a_descriptor_stays_where_it_is(void **state)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    struct verso_scan *scan = open_for_all(2);
    const char *paths[] = { support_file("file", 5000), "/proc/self/status" };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        assert_int_equal(lseek(fd, 100, SEEK_SET), 100);
        assert_ok(verso_scan_fd(scan, fd));
        assert_ok(verso_scan_result(scan, &result));
        assert_true(i == 0 ? result.bytes == 5000 : result.bytes > 100);
        assert_int_equal(lseek(fd, 0, SEEK_CUR), 100);
        close(fd);
    }
    verso_scan_close(scan);
}

/* ---- Misuse, and what is told ---- */

static void test_what_can_not_be_scanned(void **state)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT, untouched;
    struct verso_scan *scan = open_for_all(1);

    (void)state;
    assert_fails_in(verso_scan_file(scan, support_path("none")), -ENOENT, "open");
    assert_fails_in(verso_scan_file(scan, support_directory()), -EISDIR, "read");
    assert_string_equal(verso_error_last()->path, support_directory());
    assert_fails(verso_scan_fd(scan, -1), -EBADF);
    assert_fails(verso_scan_file(scan, NULL), -EINVAL);
    assert_fails(verso_scan_memory(scan, NULL, 1), -EINVAL);
    assert_ok(verso_scan_memory(scan, NULL, 0));
    result.struct_bytes--;
    untouched = result;
    assert_fails(verso_scan_result(scan, &result), VERSO_E_OPTIONS);
    assert_memory_equal(&result, &untouched, sizeof(result));
    verso_scan_close(scan);
    verso_scan_close(NULL);
}

static void test_options(void **state)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    struct verso_scan *scan = (void *)1;

    (void)state;
    options.struct_bytes = 1;
    assert_fails(verso_scan_open(&options, &scan), VERSO_E_OPTIONS);
    options.struct_bytes = sizeof(options);
    options.budget_bytes = MIB - 1;
    assert_fails(verso_scan_open(&options, &scan), VERSO_E_OPTIONS);
    options.budget_bytes = 0;
    options.method = VERSO_SCAN_MEMORY;
    assert_fails(verso_scan_open(&options, &scan), VERSO_E_OPTIONS);
    assert_fails(verso_scan_open(NULL, NULL), -EINVAL);
    assert_ptr_equal(scan, (void *)1);
    assert_ok(verso_scan_open(NULL, &scan));
    verso_scan_close(scan);
}

static void test_wishes(void **state)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    struct verso_scan *scan = reference_open(1);
    struct verso_digest_value value;
    uint64_t histogram[256];

    (void)state;
    assert_ok(verso_scan_result(scan, &result));
    assert_string_equal(result.why, "");
    assert_fails(verso_scan_want_counts(scan, 1 << 4), VERSO_E_OPTIONS);
    assert_fails(verso_scan_want_digest(scan, VERSO_DIGEST_NONE), VERSO_E_OPTIONS);
    assert_fails(verso_scan_want_digest(scan, (enum verso_digest_kind)99), VERSO_E_OPTIONS);
    assert_fails(verso_scan_result_bytes(scan, histogram), VERSO_E_OPTIONS);
    assert_fails(verso_scan_result_digest(scan, VERSO_DIGEST_XXH64, &value), VERSO_E_OPTIONS);
    assert_fails(verso_scan_result_digest(scan, (enum verso_digest_kind)99, &value), VERSO_E_OPTIONS);
    assert_ok(verso_scan_memory(scan, "a b\n", 4)); /* wanting nothing is fine: the bytes are counted */
    assert_ok(verso_scan_result(scan, &result));
    assert_int_equal(result.bytes, 4);
    assert_int_equal(result.lines + result.words + result.characters + result.longest_bytes, 0);
    assert_fails(verso_scan_want_counts(scan, VERSO_SCAN_LINES), -EBUSY);
    assert_fails(verso_scan_want_histogram(scan), -EBUSY);
    assert_fails(verso_scan_want_digest(scan, VERSO_DIGEST_XXH64), -EBUSY);
    verso_scan_close(scan);
    scan = reference_open(1);
    assert_ok(verso_scan_want_counts(scan, VERSO_SCAN_WORDS)); /* one count alone, and asking again adds */
    assert_ok(verso_scan_want_counts(scan, VERSO_SCAN_LONGEST));
    assert_ok(verso_scan_memory(scan, "ab c\nx", 6));
    assert_ok(verso_scan_result(scan, &result));
    assert_int_equal(result.words, 3);
    assert_int_equal(result.longest_bytes, 4);
    assert_int_equal(result.characters, 0);
    verso_scan_close(scan);
}

static void test_nothing_is_left_behind(void **state)
{
    const char *path = support_file("text", 9 * MIB);
    size_t descriptors = support_descriptor_count();

    (void)state;
    for (unsigned round = 0; round < 5; round++) {
        struct verso_scan *scan = open_for_all(4);

        assert_ok(verso_scan_file(scan, path));
        verso_scan_close(scan);
    }
    assert_int_equal(support_descriptor_count(), descriptors);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_files_of_any_size),
        cmocka_unit_test(test_any_number_of_threads),
        cmocka_unit_test(test_methods_find_the_same),
        cmocka_unit_test(test_a_thread_that_blocks_the_signal_reads),
        cmocka_unit_test(test_small_files_get_one_thread),
        cmocka_unit_test(test_checksums_pass_from_start_to_end),
        cmocka_unit_test(test_a_pipe_is_read_to_its_end),
        cmocka_unit_test(test_files_that_do_not_know_their_size),
        cmocka_unit_test(test_a_descriptor_stays_where_it_is),
        cmocka_unit_test(test_what_can_not_be_scanned),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_nothing_is_left_behind),
    };

    return run_test_list(list);
}
