/* SPDX-License-Identifier: MIT */
/* find - every place where a needle begins, across all borders, in order, by any number of threads. */
#include "support.h"

#include "reference.h"

#define BYTES ((size_t)5 << 20)

static const struct verso_scan_needle needles[] = {
    { "needle", 6 }, { "ee", 2 }, { "lane", 4 }, { "a", 1 }, { "ee", 2 }
};
#define NEEDLES (sizeof(needles) / sizeof(needles[0]))

/* A text without those words, into which they are put around every border of pages, pieces and windows. */
static unsigned char *text_with_needles(size_t bytes)
{
    unsigned char *text = reference_text(bytes);

    for (size_t i = 0; i < bytes; i++)
        if (text[i] == 'n' || text[i] == 'e' || text[i] == 'l' || text[i] == 'a')
            text[i] = 'x';
    for (size_t border = 4096; border < bytes; border += 4096)
        memcpy(text + border - 1 - border / 4096 % 7, border / 4096 % 2 ? "needlee" : "lane",
               border / 4096 % 2 ? 7 : 4);
    return text;
}

struct seen {
    struct verso_scan_match *list;
    size_t count, room;
    size_t stop_after; /* 0: never */
};

static int note(const struct verso_scan_match *match, void *arg)
{
    struct seen *seen = arg;

    if (seen->count == seen->room) {
        seen->room = seen->room ? 2 * seen->room : 1024;
        seen->list = realloc(seen->list, seen->room * sizeof(*seen->list));
        if (!seen->list)
            return 1;
    }
    seen->list[seen->count++] = *match;
    return seen->count == seen->stop_after;
}

/* The plainest search there is. */
static void look_for(const unsigned char *data, size_t bytes, const struct verso_scan_needle *list, size_t count,
                     struct seen *out)
{
    for (size_t at = 0; at < bytes; at++)
        for (size_t i = 0; i < count; i++)
            if (data[at] == *(const unsigned char *)list[i].data && list[i].bytes <= bytes - at &&
                memcmp(data + at, list[i].data, list[i].bytes) == 0)
                (void)note(&(struct verso_scan_match){ .offset_bytes = at, .needle = i }, out);
}

static uint64_t lines_of(const unsigned char *data, size_t bytes, const struct seen *seen)
{
    uint64_t lines = 0;
    size_t line_end = 0;

    for (size_t i = 0; i < seen->count; i++) {
        size_t at = (size_t)seen->list[i].offset_bytes;
        const unsigned char *end;

        if (i > 0 && at < line_end)
            continue;
        end = memchr(data + at, '\n', bytes - at);
        line_end = end ? (size_t)(end - data) : bytes;
        lines++;
    }
    return lines;
}

static struct verso_scan *open_scan(unsigned method, unsigned threads)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    struct verso_scan *scan;

    options.method = method;
    options.thread_count = threads;
    options.budget_bytes = (uint64_t)1 << 20;
    assert_ok(verso_scan_open(&options, &scan));
    return scan;
}

static void check_result(const struct verso_scan *scan, const struct seen *wanted, uint64_t lines, size_t needle_count)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    uint64_t counts[NEEDLES] = { 0 }, wanted_counts[NEEDLES] = { 0 };

    for (size_t i = 0; i < wanted->count; i++)
        wanted_counts[wanted->list[i].needle]++;
    assert_ok(verso_scan_result(scan, &result));
    assert_int_equal(result.matches, wanted->count);
    assert_int_equal(result.matched_lines, lines);
    assert_ok(verso_scan_result_needles(scan, counts, needle_count));
    assert_memory_equal(counts, wanted_counts, needle_count * sizeof(counts[0]));
}

static void check_seen(const struct seen *seen, const struct seen *wanted)
{
    assert_int_equal(seen->count, wanted->count);
    for (size_t i = 0; i < wanted->count; i++) {
        assert_int_equal(seen->list[i].offset_bytes, wanted->list[i].offset_bytes);
        assert_int_equal(seen->list[i].needle, wanted->list[i].needle);
    }
}

static void test_every_place_in_order(void **state)
{
    unsigned char *text = text_with_needles(BYTES);
    const char *path = reference_file("text", text, BYTES);
    struct seen wanted = { 0 }, seen = { 0 };

    (void)state;
    look_for(text, BYTES, needles, NEEDLES, &wanted);
    assert_true(wanted.count > 1000);
    for (unsigned method = VERSO_SCAN_MAPPED; method <= VERSO_SCAN_READ; method++)
        for (unsigned threads = 1; threads <= 3; threads++)
            for (unsigned telling = 0; telling < 2; telling++) {
                struct verso_scan *scan = open_scan(method, threads);

                assert_ok(verso_scan_want_needles(scan, needles, NEEDLES, VERSO_SCAN_COUNT_LINES, telling ? note : NULL,
                                                  &seen));
                for (unsigned round = 0; round < 2; round++) {
                    seen.count = 0;
                    assert_ok(round ? verso_scan_file(scan, path) : verso_scan_memory(scan, text, BYTES));
                    check_result(scan, &wanted, lines_of(text, BYTES, &wanted), NEEDLES);
                    if (telling)
                        check_seen(&seen, &wanted);
                }
                verso_scan_close(scan);
            }
    free(wanted.list);
    free(seen.list);
    free(text);
}

/* More places than are kept of a stretch: they are looked for again, and each is told of once. */
static void test_places_without_number(void **state)
{
    const struct verso_scan_needle same[] = { { "x", 1 }, { "xx", 2 } };
    const size_t bytes = (size_t)4 << 20, same_bytes = bytes / 8;
    unsigned char *text = malloc(bytes);
    const char *path;

    (void)state;
    assert_non_null(text);
    memset(text, 'y', bytes);
    memset(text, 'x', same_bytes);
    path = reference_file("same", text, bytes);
    for (unsigned method = VERSO_SCAN_MAPPED; method <= VERSO_SCAN_READ; method++) {
        struct verso_scan *scan = open_scan(method, 2);
        struct seen seen = { 0 };

        assert_ok(verso_scan_want_needles(scan, same, 2, 0, note, &seen));
        assert_ok(verso_scan_file(scan, path));
        assert_int_equal(seen.count, 2 * same_bytes - 1);
        for (size_t i = 0; i < seen.count; i++)
            assert_true(seen.list[i].offset_bytes == i / 2 && seen.list[i].needle == i % 2);
        verso_scan_close(scan);
        free(seen.list);
    }
    free(text);
}

static void test_only_lines(void **state)
{
    unsigned char *text = text_with_needles(BYTES);
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    struct verso_scan *scan = open_scan(VERSO_SCAN_AUTO, 2);
    struct seen wanted = { 0 };
    uint64_t count;

    (void)state;
    look_for(text, BYTES, needles, 1, &wanted);
    assert_ok(verso_scan_want_needles(scan, needles, 1, VERSO_SCAN_ONLY_LINES, NULL, NULL));
    assert_ok(verso_scan_file(scan, reference_file("text", text, BYTES)));
    assert_ok(verso_scan_result(scan, &result));
    assert_int_equal(result.matched_lines, lines_of(text, BYTES, &wanted));
    assert_int_equal(result.matches, 0);
    assert_fails(verso_scan_result_needles(scan, &count, 1), VERSO_E_OPTIONS);
    verso_scan_close(scan);
    free(wanted.list);
    free(text);
}

/* A needle as long as may be, longer than what is read at once with it, across the borders of a pipe's pieces. */
static void test_a_long_needle_in_a_pipe(void **state)
{
    const size_t bytes = (size_t)1 << 20, at = 300001;
    unsigned char *text = reference_text(bytes);
    const struct verso_scan_needle needle = { text + at, VERSO_SCAN_NEEDLE_BYTES_MAX };
    struct verso_scan *scan = open_scan(VERSO_SCAN_AUTO, 2);
    struct seen seen = { 0 }, wanted = { 0 };
    FILE *pipe;
    char command[4200];

    (void)state;
    snprintf(command, sizeof(command), "cat '%s'", reference_file("text", text, bytes));
    look_for(text, bytes, &needle, 1, &wanted);
    assert_true(wanted.count >= 1);
    assert_ok(verso_scan_want_needles(scan, &needle, 1, 0, note, &seen));
    pipe = popen(command, "re");
    assert_non_null(pipe);
    assert_ok(verso_scan_fd(scan, fileno(pipe)));
    assert_int_equal(pclose(pipe), 0);
    check_seen(&seen, &wanted);
    verso_scan_close(scan);
    free(seen.list);
    free(wanted.list);
    free(text);
}

/* Needles lie in the range as a whole, or not at all. */
static void test_ranges(void **state)
{
    unsigned char *text = text_with_needles(BYTES);
    int fd = open(reference_file("text", text, BYTES), O_RDONLY | O_CLOEXEC);
    const struct {
        uint64_t offset, length;
    } ranges[] = { { 4094, 20 },       { 4095, 4096 }, { 1, 0 },         { 65535, ((uint64_t)3 << 20) + 1 },
                   { BYTES - 5, 100 }, { BYTES, 5 },   { BYTES + 1, 0 }, { 0, BYTES } };

    (void)state;
    assert_true(fd >= 0);
    for (unsigned method = VERSO_SCAN_MAPPED; method <= VERSO_SCAN_READ; method++) {
        struct verso_scan *scan = open_scan(method, 3);

        assert_ok(verso_scan_want_needles(scan, needles, NEEDLES, VERSO_SCAN_COUNT_LINES, NULL, NULL));
        assert_ok(verso_scan_want_counts(scan, ALL_COUNTS));
        assert_ok(verso_scan_want_histogram(scan));
        for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
            uint64_t start = ranges[i].offset < BYTES ? ranges[i].offset : BYTES;
            uint64_t length = ranges[i].length && ranges[i].length < BYTES - start ? ranges[i].length : BYTES - start;
            struct seen wanted = { 0 };

            assert_ok(verso_scan_range(scan, fd, ranges[i].offset, ranges[i].length));
            look_for(text + start, (size_t)length, needles, NEEDLES, &wanted);
            check_result(scan, &wanted, lines_of(text + start, (size_t)length, &wanted), NEEDLES);
            reference_check(scan, text + start, (size_t)length);
            free(wanted.list);
        }
        assert_fails(verso_scan_range(scan, fd, UINT64_MAX, 2), VERSO_E_OVERFLOW);
        assert_fails(verso_scan_range(scan, fd, INT64_MAX, 1), VERSO_E_OVERFLOW);
        verso_scan_close(scan);
    }
    close(fd);
    free(text);
}

static void test_a_pipe_has_no_ranges(void **state)
{
    struct verso_scan *scan = open_scan(VERSO_SCAN_AUTO, 1);
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_fails(verso_scan_range(scan, ends[0], 1, 0), -ESPIPE);
    close(ends[0]);
    close(ends[1]);
    verso_scan_close(scan);
}

static void test_whoever_is_told_can_end_it(void **state)
{
    unsigned char *text = text_with_needles(BYTES);
    const char *path = reference_file("text", text, BYTES);

    (void)state;
    for (unsigned threads = 1; threads <= 3; threads++) {
        struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
        struct verso_scan *scan = open_scan(VERSO_SCAN_MAPPED, threads);
        struct seen seen = { .stop_after = 500 };

        assert_ok(verso_scan_want_needles(scan, needles, NEEDLES, 0, note, &seen));
        assert_fails(verso_scan_file(scan, path), VERSO_E_CANCELLED);
        assert_int_equal(seen.count, 500);
        assert_ok(verso_scan_result(scan, &result));
        assert_int_equal(result.is_partial, 1);
        assert_true(result.bytes > seen.list[499].offset_bytes && result.bytes < BYTES);
        verso_scan_close(scan);
        free(seen.list);
    }
    free(text);
}

static void test_wishes(void **state)
{
    struct verso_scan_needle bad = { "x", 0 };
    struct verso_scan *scan = open_scan(VERSO_SCAN_AUTO, 1);
    uint64_t counts[NEEDLES];

    (void)state;
    assert_fails(verso_scan_want_needles(scan, needles, 0, 0, NULL, NULL), VERSO_E_OPTIONS);
    assert_fails(verso_scan_want_needles(scan, &bad, 1, 0, NULL, NULL), VERSO_E_OPTIONS);
    bad.bytes = VERSO_SCAN_NEEDLE_BYTES_MAX + 1;
    assert_fails(verso_scan_want_needles(scan, &bad, 1, 0, NULL, NULL), VERSO_E_OPTIONS);
    assert_fails(verso_scan_want_needles(scan, needles, 1, 1 << 4, NULL, NULL), VERSO_E_OPTIONS);
    assert_fails(verso_scan_want_needles(scan, needles, 1, VERSO_SCAN_WITH_CONTENT, NULL, NULL), VERSO_E_OPTIONS);
    assert_fails(verso_scan_want_needles(scan, NULL, 1, 0, NULL, NULL), -EINVAL);
    assert_fails(verso_scan_result_needles(scan, counts, NEEDLES), VERSO_E_OPTIONS);
    assert_ok(verso_scan_want_needles(scan, needles, NEEDLES, 0, NULL, NULL));
    assert_fails(verso_scan_want_needles(scan, needles, 1, 0, NULL, NULL), -EEXIST);
    assert_fails(verso_scan_result_needles(scan, counts, NEEDLES - 1), VERSO_E_OPTIONS);
    assert_ok(verso_scan_result_needles(scan, counts, NEEDLES));
    assert_int_equal(counts[0], 0);
    verso_scan_close(scan);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_every_place_in_order),
        cmocka_unit_test(test_places_without_number),
        cmocka_unit_test(test_only_lines),
        cmocka_unit_test(test_a_long_needle_in_a_pipe),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_a_pipe_has_no_ranges),
        cmocka_unit_test(test_whoever_is_told_can_end_it),
        cmocka_unit_test(test_wishes),
    };

    return run_test_list(list);
}
