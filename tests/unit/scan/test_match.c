/* SPDX-License-Identifier: MIT */
/* match - what comes with a place: the content around it, the lines before it; and one place for each line. */
#include "support.h"

#include "reference.h"

#define BYTES ((size_t)5 << 20)

/* Of several lengths: the short ones that begin behind a border are known before a long one that begins before it. */
static const struct verso_scan_needle several[] = { { "needle", 6 }, { "ee", 2 }, { "n", 1 }, { "e\n", 2 } };

struct watch {
    const unsigned char *text;
    const struct verso_scan_needle *needles;
    uint64_t counted_to, lines; /* the plain count of newlines */
    uint64_t last_offset;
    uint64_t told, without_content;
    uint64_t wrong;
    bool counts_lines;
    unsigned char *first; /* by offset: a place that had to be told of, and was */
};

/* Both of its ends are as in the text: all of it, for each place, would take minutes where memory is watched. */
static bool has_content(const struct watch *watch, const struct verso_scan_match *match)
{
    uint64_t from = match->content_offset_bytes, to = from + match->content_bytes;
    size_t some = match->content_bytes < 64 ? match->content_bytes : 64;

    return match->offset_bytes >= from && match->offset_bytes < to &&
           memcmp(match->content, watch->text + from, some) == 0 &&
           memcmp(match->content + match->content_bytes - some, watch->text + to - some, some) == 0;
}

static bool stands_at(const unsigned char *text, size_t at, const struct verso_scan_needle *needle)
{
    return text[at] == *(const unsigned char *)needle->data && needle->bytes <= BYTES - at &&
           memcmp(text + at, needle->data, needle->bytes) == 0;
}

static int check_match(const struct verso_scan_match *match, void *arg)
{
    struct watch *watch = arg;
    const struct verso_scan_needle *needle = &watch->needles[match->needle];

    watch->told++;
    watch->wrong += match->offset_bytes < watch->last_offset; /* cmocka's jumps are not for other threads */
    watch->last_offset = match->offset_bytes;
    for (; watch->counted_to < match->offset_bytes; watch->counted_to++)
        watch->lines += watch->text[watch->counted_to] == '\n';
    watch->wrong += match->lines != (watch->counts_lines ? watch->lines : 0);
    watch->wrong += memcmp(watch->text + match->offset_bytes, needle->data, needle->bytes) != 0;
    if (match->content_bytes == 0)
        watch->without_content++;
    else
        watch->wrong += !has_content(watch, match);
    watch->first[match->offset_bytes] = 1;
    return 0;
}

static unsigned char *make_text(size_t spacing)
{
    unsigned char *text = reference_text(BYTES);

    for (size_t i = 0; i < BYTES; i++)
        if (text[i] == 'n' || text[i] == 'e' || text[i] == 'd' || text[i] == 'l')
            text[i] = 'x';
    for (size_t at = spacing; at + 8 < BYTES; at += spacing)
        memcpy(text + at - 1 - at / spacing % 7, at / spacing % 3 ? "needlee" : "\nee\n n", at / spacing % 3 ? 7 : 6);
    memcpy(text + BYTES - 4, "e en", 4);
    return text;
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

static void begin(struct watch *watch, const unsigned char *text, const struct verso_scan_needle *needles)
{
    *watch = (struct watch){ .text = text, .needles = needles, .first = calloc(BYTES, 1) };
    assert_non_null(watch->first);
}

static uint64_t places_in(const unsigned char *text, const struct verso_scan_needle *needles, size_t count)
{
    uint64_t places = 0;

    for (size_t at = 0; at < BYTES; at++)
        for (size_t i = 0; i < count; i++)
            places += stands_at(text, at, &needles[i]);
    return places;
}

static void run(struct verso_scan *scan, unsigned source, const char *path, const unsigned char *text)
{
    char command[4200];
    FILE *pipe;

    if (source == 0) {
        assert_ok(verso_scan_file(scan, path));
        return;
    }
    if (source == 1) {
        assert_ok(verso_scan_memory(scan, text, BYTES));
        return;
    }
    snprintf(command, sizeof(command), "cat '%s'", path);
    pipe = popen(command, "re");
    assert_non_null(pipe);
    assert_ok(verso_scan_fd(scan, fileno(pipe)));
    assert_int_equal(pclose(pipe), 0);
}

static void check_content_and_lines(const unsigned char *text)
{
    const char *path = reference_file("text", text, BYTES);
    uint64_t places = places_in(text, several, 4);

    for (unsigned source = 0; source < 3; source++)
        for (unsigned threads = 1; threads <= 3; threads++) {
            struct verso_scan *scan = open_scan(source == 0 ? VERSO_SCAN_MAPPED : VERSO_SCAN_AUTO, threads);
            struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
            struct watch watch;

            begin(&watch, text, several);
            watch.counts_lines = threads != 2;
            if (watch.counts_lines)
                assert_ok(verso_scan_want_counts(scan, VERSO_SCAN_LINES));
            assert_ok(verso_scan_want_needles(scan, several, 4, VERSO_SCAN_WITH_CONTENT, check_match, &watch));
            run(scan, source, path, text);
            assert_int_equal(watch.wrong, 0);
            assert_int_equal(watch.told, places);
            assert_true(watch.without_content <= 5); /* those in the last bytes, which a longer one could have begun */
            assert_ok(verso_scan_result(scan, &result));
            assert_int_equal(result.matches, places);
            if (source == 0)
                assert_int_equal(result.method, VERSO_SCAN_READ); /* a map could be cut while it is looked at */
            verso_scan_close(scan);
            free(watch.first);
        }
}

/* Also where places lie before a border, and there are none in what follows: they come in time all the same. */
static void test_content_and_lines(void **state)
{
    unsigned char *text = make_text(4096);

    (void)state;
    check_content_and_lines(text);
    free(text);
    text = make_text(1200007);
    text[((size_t)4 << 20) - 1] = 'n';
    check_content_and_lines(text);
    free(text);
}

/* Each line that holds a needle, by its first place: marks few and many, one needle and several. */
static void check_first_places(const unsigned char *text, const struct watch *watch, size_t count)
{
    bool is_known = false;

    for (size_t at = 0; at < BYTES; at++) {
        for (size_t i = 0; i < count && !is_known; i++) {
            if (!stands_at(text, at, &watch->needles[i]))
                continue;
            if (!watch->first[at])
                fail_msg("the first place of its line, at %zu, was not told of", at);
            is_known = true;
        }
        if (text[at] == '\n')
            is_known = false;
    }
}

static void test_the_first_place_of_each_line(void **state)
{
    static const struct verso_scan_needle lists[][3] = {
        { { "needle", 6 } }, { { "x", 1 } }, { { "e", 1 }, { "ee", 2 }, { "x", 1 } }, { { "needlee", 7 }, { "nx", 2 } }
    };
    static const size_t counts[] = { 1, 1, 3, 2 }, spacings[] = { 40, 4096, 300001 };

    (void)state;
    for (size_t s = 0; s < 3; s++) {
        unsigned char *text = make_text(spacings[s]);
        const char *path = reference_file("text", text, BYTES);

        for (size_t n = 0; n < 4; n++)
            for (unsigned threads = 1; threads <= 2; threads++) {
                struct verso_scan *scan = open_scan(threads == 1 ? VERSO_SCAN_MAPPED : VERSO_SCAN_READ, threads);
                struct verso_scan *counter = open_scan(VERSO_SCAN_READ, 1);
                struct verso_scan_result result = VERSO_SCAN_RESULT_INIT, counted = VERSO_SCAN_RESULT_INIT;
                unsigned flags = VERSO_SCAN_ONLY_LINES | (threads == 2 ? VERSO_SCAN_WITH_CONTENT : 0U);
                struct watch watch;

                begin(&watch, text, lists[n]);
                assert_ok(verso_scan_want_needles(scan, lists[n], counts[n], flags, check_match, &watch));
                assert_ok(verso_scan_file(scan, path));
                assert_int_equal(watch.wrong, 0);
                check_first_places(text, &watch, counts[n]);
                assert_ok(verso_scan_want_needles(counter, lists[n], counts[n], VERSO_SCAN_COUNT_LINES, NULL, NULL));
                assert_ok(verso_scan_file(counter, path));
                assert_ok(verso_scan_result(scan, &result));
                assert_ok(verso_scan_result(counter, &counted));
                assert_int_equal(result.matched_lines, counted.matched_lines);
                assert_true(watch.told >= counted.matched_lines && watch.told <= counted.matches);
                assert_int_equal(result.matches, 0);
                verso_scan_close(counter);
                verso_scan_close(scan);
                free(watch.first);
            }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_content_and_lines),
        cmocka_unit_test(test_the_first_place_of_each_line),
    };

    return run_test_list(list);
}
