/* SPDX-License-Identifier: MIT */
/* test_kernels_find.c - each place of each needle, and the lines that hold one, against a comparison at every place. */
#include "kernels.h"

#include <sys/mman.h>
#include <unistd.h>

#define MATCHES_MAX 40000
#define NEEDLES_MAX 600

struct place {
    size_t offset, needle;
};

struct places {
    size_t count, most; /* most: stop after this many */
    struct place list[MATCHES_MAX];
};

static struct places got_places, wanted_places;

static bool add_place(size_t offset, size_t needle, void *arg)
{
    struct places *places = arg;

    assert_true(places->count < MATCHES_MAX);
    places->list[places->count++] = (struct place){ offset, needle };
    return places->count < places->most;
}

/* ---- The plain way ---- */

static unsigned char folded(unsigned char byte, unsigned flags)
{
    return flags & VERSO_SCAN_FOLD_CASE && byte >= 'A' && byte <= 'Z' ? (unsigned char)(byte + 32) : byte;
}

static bool stands_at(const struct verso_scan_needle *needle, const unsigned char *at, size_t room, unsigned flags)
{
    const unsigned char *want = needle->data;
    size_t i = 0;

    if (room < needle->bytes)
        return false;
    while (i < needle->bytes && folded(at[i], flags) == folded(want[i], flags))
        i++;
    return i == needle->bytes;
}

struct looking {
    const struct verso_scan_needle *needles;
    size_t count;
    unsigned flags;
    const unsigned char *data;
    size_t lead, bytes;
};

static void plain_places(const struct looking *l, struct places *out)
{
    out->count = 0;
    for (size_t at = 0; at < l->bytes; at++) {
        for (size_t i = 0; i < l->count; i++) {
            if (stands_at(&l->needles[i], l->data + at, l->bytes - at, l->flags) &&
                at + l->needles[i].bytes > l->lead) {
                assert_true(out->count < MATCHES_MAX);
                out->list[out->count++] = (struct place){ at, i };
            }
        }
    }
}

/* Line by line: does one of the places end in it, of a needle without a newline? */
static struct verso__scan_lines plain_lines(const struct looking *l, const struct places *places)
{
    struct verso__scan_lines lines = { 0 };
    size_t start = l->lead;

    for (size_t at = l->lead; at <= l->bytes; at++) {
        bool is_last = at == l->bytes, matched = false;

        if (!is_last && l->data[at] != '\n')
            continue;
        for (size_t i = 0; i < places->count; i++) {
            const struct verso_scan_needle *needle = &l->needles[places->list[i].needle];
            size_t last = places->list[i].offset + needle->bytes - 1;

            if (last >= start && last < at && !memchr(needle->data, '\n', needle->bytes))
                matched = true;
        }
        if (start == l->lead && !lines.has_newline)
            lines.first_matched = matched;
        else if (!is_last)
            lines.matched += matched;
        if (is_last)
            lines.last_matched = matched;
        else
            lines.has_newline = true;
        start = at + 1;
    }
    return lines;
}

/* ---- The comparison ---- */

static void assert_same_lines(const struct verso__scan_lines *got, const struct verso__scan_lines *wanted)
{
    assert_int_equal(got->has_newline, wanted->has_newline);
    assert_int_equal(got->first_matched, wanted->first_matched);
    assert_int_equal(got->last_matched, wanted->last_matched);
    assert_int_equal(got->matched, wanted->matched);
}

static void check_counts(const struct verso__scan_finder *finder, const struct looking *l)
{
    static uint64_t got_counts[NEEDLES_MAX], wanted_counts[NEEDLES_MAX];
    struct verso__scan_found found = { .matches = 3, .needle_counts = got_counts };

    memset(got_counts, 0, sizeof(got_counts));
    memset(wanted_counts, 0, sizeof(wanted_counts));
    for (size_t i = 0; i < wanted_places.count; i++)
        wanted_counts[wanted_places.list[i].needle]++;
    assert_true(verso__scan_find(finder, l->data, l->lead, l->bytes, &found));
    assert_int_equal(found.matches, wanted_places.count + 3);
    assert_memory_equal(got_counts, wanted_counts, l->count * sizeof(got_counts[0]));
}

static void check_lines(const struct verso__scan_finder *finder, const struct looking *l)
{
    struct verso__scan_lines wanted = plain_lines(l, &wanted_places), lines = { .matched = 77 };
    struct verso__scan_found both = { .lines = &lines }, only = { .lines = &lines, .only_lines = true };

    assert_true(verso__scan_find(finder, l->data, l->lead, l->bytes, &both));
    assert_same_lines(&lines, &wanted);
    assert_int_equal(both.matches, wanted_places.count);
    memset(&lines, 0x5a, sizeof(lines));
    assert_true(verso__scan_find(finder, l->data, l->lead, l->bytes, &only));
    assert_same_lines(&lines, &wanted);
    assert_int_equal(only.matches, 0);
}

static void check_places(const struct verso__scan_finder *finder, const struct looking *l)
{
    struct verso__scan_found found = { .each = add_place, .arg = &got_places };

    got_places.count = 0;
    got_places.most = SIZE_MAX;
    assert_true(verso__scan_find(finder, l->data, l->lead, l->bytes, &found));
    assert_int_equal(found.matches, wanted_places.count);
    assert_int_equal(got_places.count, wanted_places.count);
    for (size_t i = 0; i < got_places.count; i++) {
        assert_int_equal(got_places.list[i].offset, wanted_places.list[i].offset);
        assert_int_equal(got_places.list[i].needle, wanted_places.list[i].needle);
    }
}

static void check_finder(const struct verso__scan_finder *finder, const struct looking *l)
{
    plain_places(l, &wanted_places);
    check_places(finder, l);
    check_counts(finder, l);
    check_lines(finder, l);
}

/* ---- Needles ---- */

#define N(text)                \
    {                          \
        text, sizeof(text) - 1 \
    }
#define LONG_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* What is looked for, and what texts are made of, so that matches are many and nearly-matches more. */
static const struct {
    struct verso_scan_needle needles[17];
    const char *bytes;
    size_t byte_count;
} sets[] = {
    { { N("a") }, "ab", 2 },
    { { N("a") }, "b", 1 },
    { { N("\n") }, "a\n", 2 },
    { { N("\0") }, "\0a", 2 },
    { { N("aa") }, "a", 1 },
    { { N("ab") }, "ab\n", 3 },
    { { N("aba") }, "aab", 3 },
    { { N("abab") }, "ab", 2 },
    { { N("aB c-d") }, "aB c-dAbCD", 10 },
    { { N("abababa") }, "aaabb", 5 },
    { { N("abababab") }, "ab", 2 },
    { { N("ababababa") }, "ab", 2 },
    { { N("aaaaaaaaaaaaaaaab") }, "aaaaaaaaaaaaaaaaaaaab", 21 },
    { { N("a\nb") }, "ab\n", 3 },
    { { N("@`{[zZ") }, "@`{[zZ", 6 },
    { { N(LONG_A) }, "a", 1 },
    { { N(LONG_A "b") }, LONG_A LONG_A "b", 161 },
    { { N("a"), N("b") }, "abc\n", 4 },
    { { N("a"), N("a") }, "ab", 2 },
    { { N("ab"), N("a"), N("ba"), N("b"), N("aba"), N("ab") }, "ab\n", 3 },
    { { N("aa"), N("aaa"), N("aaaa"), N("a") }, "a", 1 },
    { { N("abc"), N("bca"), N("cab"), N("abcabc") }, "abc", 3 },
    { { N("abcd"), N("bcda"), N("ABCD"), N("abcdabcdabcdabcd"), N("cd\nab") }, "abcdabcdabcdABCD\n", 17 },
    { { N("a\n"), N("\nb"), N("a\nb"), N("ab") }, "ab\n", 3 },
    { { N("\0\0"), N("\0a\0"), N("a\0") }, "\0\0a", 3 },
    { { N("xabc"), N("yabc"), N("zabc"), N("abcx"), N("abcy"), N("abcz"), N("bcxy"), N("cxyz"), N("aaaa"), N("bbbb"),
        N("cccc"), N("xxxx"), N("yyyy"), N("zzzz"), N("abab"), N("xyxy"), N("zazb") },
      "abcxyzABC\n",
      10 },
    { { N("@abc"), N("`abc"), N("[abc"), N("{abc") }, "@`[{abc", 7 },
};
#define SET_COUNT (sizeof(sets) / sizeof(sets[0]))

static size_t needle_count(size_t set)
{
    size_t count = 0;

    while (count < 17 && sets[set].needles[count].bytes)
        count++;
    return count;
}

static void fill(unsigned char *data, size_t bytes, size_t set, uint32_t seed)
{
    for (size_t i = 0; i < bytes; i++)
        data[i] = (unsigned char)sets[set].bytes[next_random(&seed) % sets[set].byte_count];
}

static void with_set(size_t set, unsigned flags, void (*check)(const struct verso__scan_finder *, struct looking *))
{
    struct looking l = { .needles = sets[set].needles, .count = needle_count(set), .flags = flags };
    struct verso__scan_finder *finder;

    assert_int_equal(verso__scan_finder_open(l.needles, l.count, flags, &finder), 0);
    check(finder, &l);
    verso__scan_finder_close(finder);
}

static size_t set_now;

/* Every alignment, every length, with and without a lead. */
static void check_lengths(const struct verso__scan_finder *finder, struct looking *l)
{
    static unsigned char data[6000];
    size_t lead_bytes = verso__scan_finder_lead_bytes(finder);

    fill(data, sizeof(data), set_now, 1 + (uint32_t)set_now);
    for (size_t bytes = 0; bytes <= 300; bytes += bytes < 140 ? 1 : 13) {
        l->data = data + bytes % 64; /* each alignment meets lengths of each kind */
        l->bytes = bytes;
        l->lead = 0;
        check_finder(finder, l);
        l->lead = bytes < lead_bytes ? bytes : lead_bytes;
        check_finder(finder, l);
    }
    for (size_t start = 0; start < 64; start++) {
        l->data = data + start;
        l->bytes = 130 + start % 7;
        l->lead = start;
        check_finder(finder, l);
    }
    l->data = data;
    l->bytes = sizeof(data) / 2 - 9;
    l->lead = 0;
    plain_places(l, &wanted_places);
    check_places(finder, l);
    check_counts(finder, l);
}

static void check_sets(void)
{
    for (set_now = 0; set_now < SET_COUNT; set_now++) {
        with_set(set_now, 0, check_lengths);
        with_set(set_now, VERSO_SCAN_FOLD_CASE | VERSO_SCAN_COUNT_LINES, check_lengths);
    }
}

static void test_every_alignment_and_length(void **state)
{
    (void)state;
    with_each_kernel(check_sets);
}

/* One match, at each place of a long stretch of something else: chunks, blocks and ends have no holes between them. */
static void check_single(void)
{
    static unsigned char data[4096 + 700];
    const struct verso_scan_needle needles[] = { N("needle in it"), N("nee") };

    for (size_t count = 1; count <= 2; count++) {
        struct verso__scan_finder *finder;

        assert_int_equal(verso__scan_finder_open(needles, count, 0, &finder), 0);
        for (size_t place = 0; place + 12 <= sizeof(data); place += place > 600 && place < 3800 ? 61 : 1) {
            struct verso__scan_found found = { .each = add_place, .arg = &got_places };

            memset(data, '.', sizeof(data));
            memcpy(data + place, needles[0].data, 12);
            got_places = (struct places){ .most = SIZE_MAX };
            assert_true(verso__scan_find(finder, data, 0, sizeof(data), &found));
            assert_int_equal(got_places.count, count);
            assert_int_equal(got_places.list[0].offset, place);
        }
        verso__scan_finder_close(finder);
    }
}

static void test_one_match_anywhere(void **state)
{
    (void)state;
    with_each_kernel(check_single);
}

/* A stretch cut anywhere: the parts, each with its lead, find what the whole has, and lines join. */
static void check_cut(const struct verso__scan_finder *finder, struct looking *l)
{
    static unsigned char data[260];
    size_t lead_bytes = verso__scan_finder_lead_bytes(finder);

    fill(data, sizeof(data), set_now, 21);
    *l = (struct looking){ l->needles, l->count, l->flags, data, 0, sizeof(data) };
    plain_places(l, &wanted_places);
    for (size_t cut = 0; cut <= sizeof(data); cut += 3) {
        size_t lead = cut < lead_bytes ? cut : lead_bytes;
        struct verso__scan_lines lines, left, right, wanted = plain_lines(l, &wanted_places);
        struct verso__scan_found a = { .lines = &left }, b = { .lines = &right };

        assert_true(verso__scan_find(finder, data, 0, cut, &a));
        assert_true(verso__scan_find(finder, data + cut - lead, lead, lead + sizeof(data) - cut, &b));
        assert_int_equal(a.matches + b.matches, wanted_places.count);
        verso__scan_lines_join(&left, &right);
        assert_same_lines(&left, &wanted);
        lines = (struct verso__scan_lines){ 0 };
        verso__scan_lines_join(&lines, &left);
        verso__scan_lines_join(&lines, &(struct verso__scan_lines){ 0 });
        assert_same_lines(&lines, &wanted);
        assert_int_equal(verso__scan_lines_total(&lines),
                         wanted.matched + wanted.first_matched + (wanted.has_newline && wanted.last_matched));
    }
}

static void check_cuts(void)
{
    for (set_now = 0; set_now < SET_COUNT; set_now++)
        with_set(set_now, 0, check_cut);
}

static void test_parts_find_what_the_whole_has(void **state)
{
    (void)state;
    with_each_kernel(check_cuts);
}

/* Needles that agree with themselves when moved, in text that goes on like them, with a defect now and then. */
static void check_period(size_t period, size_t bytes, unsigned flags)
{
    static unsigned char text[1200], room[80];
    struct verso_scan_needle needle = { room, bytes };
    struct looking l = { &needle, 1, flags, text, 0, sizeof(text) };
    struct verso__scan_finder *finder;
    uint32_t seed = (uint32_t)(period * 100 + bytes);

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)((flags && next_random(&seed) % 2 ? 'A' : 'a') + i % period % 5);
    memcpy(room, text + 3, bytes);
    for (size_t i = 400; i < sizeof(text); i += 1 + next_random(&seed) % 300)
        text[i] = '.';
    assert_int_equal(verso__scan_finder_open(&needle, 1, flags, &finder), 0);
    check_finder(finder, &l);
    verso__scan_finder_close(finder);
}

static void check_periods(void)
{
    for (size_t period = 1; period <= 40; period++) {
        for (size_t bytes = 15; bytes <= 80; bytes += 1 + bytes / 20) {
            check_period(period, bytes, 0);
            check_period(period, bytes, VERSO_SCAN_FOLD_CASE);
        }
    }
}

/* Any needle of two letters, again and again where it can first stand again. */
static void check_overlap(uint32_t seed)
{
    unsigned char text[600], room[40];
    size_t bytes = 17 + seed % 20, period = 1, end;
    struct verso_scan_needle needle = { room, bytes };
    struct looking l = { &needle, 1, 0, text, 0, 0 };
    struct verso__scan_finder *finder;

    for (size_t i = 0; i < bytes; i++)
        text[i] = room[i] = next_random(&seed) % 3 ? 'a' : 'b';
    while (period < bytes && memcmp(room, room + period, bytes - period) != 0)
        period++;
    for (end = bytes; end + period <= sizeof(text); end += period)
        memcpy(text + end, room + bytes - period, period);
    l.bytes = end;
    assert_int_equal(verso__scan_finder_open(&needle, 1, 0, &finder), 0);
    check_finder(finder, &l);
    verso__scan_finder_close(finder);
}

static void check_overlaps(void)
{
    for (uint32_t seed = 1; seed < 300; seed++)
        check_overlap(seed * 2654435761U);
}

static void test_needles_that_agree_with_themselves(void **state)
{
    (void)state;
    with_each_kernel(check_periods);
    with_each_kernel(check_overlaps);
}

/* Hundreds of needles of all lengths, cut from the text and changed a little, more than any filter has buckets for. */
static void check_many(unsigned flags, size_t shortest)
{
    static unsigned char text[3000], room[NEEDLES_MAX][40];
    static struct verso_scan_needle needles[NEEDLES_MAX];
    struct looking l = { needles, NEEDLES_MAX, flags, text, 0, sizeof(text) };
    struct verso__scan_finder *finder;
    uint32_t seed = 4711;

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)("eatoinshrdlu \nEATOI"[next_random(&seed) % 19]);
    for (size_t i = 0; i < NEEDLES_MAX; i++) {
        size_t bytes = shortest + next_random(&seed) % (i % 8 ? 9 : 30);

        memcpy(room[i], text + next_random(&seed) % (sizeof(text) - 40), bytes);
        if (i % 3 == 0)
            room[i][next_random(&seed) % bytes] ^= 0x20;
        needles[i] = (struct verso_scan_needle){ room[i], bytes };
    }
    assert_int_equal(verso__scan_finder_open(needles, NEEDLES_MAX, flags, &finder), 0);
    check_finder(finder, &l);
    l.lead = 17;
    l.bytes = 1001;
    check_finder(finder, &l);
    verso__scan_finder_close(finder);
}

static void check_hundreds(void)
{
    for (size_t shortest = 1; shortest <= 6; shortest++) {
        check_many(0, shortest + 1);
        check_many(VERSO_SCAN_FOLD_CASE, shortest + 2);
    }
}

static void test_hundreds_of_needles(void **state)
{
    (void)state;
    with_each_kernel(check_hundreds);
}

/* The longest needle, and the most of them. */
static void check_largest(void)
{
    static unsigned char data[3 * VERSO_SCAN_NEEDLE_BYTES_MAX];
    static struct verso_scan_needle needles[VERSO_SCAN_NEEDLES_MAX];
    struct verso__scan_found found = { 0 };
    struct verso__scan_finder *finder;
    uint32_t seed = 5;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)next_random(&seed);
    for (size_t i = 0; i < VERSO_SCAN_NEEDLES_MAX; i++)
        needles[i] = (struct verso_scan_needle){ data + i, i == 77 ? VERSO_SCAN_NEEDLE_BYTES_MAX : 16 + i % 9 };
    assert_int_equal(verso__scan_finder_open(needles, VERSO_SCAN_NEEDLES_MAX, 0, &finder), 0);
    assert_int_equal(verso__scan_finder_lead_bytes(finder), VERSO_SCAN_NEEDLE_BYTES_MAX - 1);
    assert_true(verso__scan_find(finder, data, 0, sizeof(data), &found));
    assert_int_equal(found.matches, VERSO_SCAN_NEEDLES_MAX);
    verso__scan_finder_close(finder);

    found = (struct verso__scan_found){ 0 };
    assert_int_equal(verso__scan_finder_open(needles + 77, 1, 0, &finder), 0);
    assert_true(verso__scan_find(finder, data, 0, sizeof(data), &found));
    assert_int_equal(found.matches, 1);
    assert_true(verso__scan_find(finder, data, 0, VERSO_SCAN_NEEDLE_BYTES_MAX, &found)); /* longer than what is left */
    assert_int_equal(found.matches, 1);
    verso__scan_finder_close(finder);
}

static void test_the_largest_needles(void **state)
{
    (void)state;
    with_each_kernel(check_largest);
}

/* ---- Borders ---- */

static void check_border(const struct verso__scan_finder *finder, struct looking *l)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *base = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *middle;

    assert_ptr_not_equal(base, MAP_FAILED);
    middle = base + page;
    assert_int_equal(mprotect(middle, page, PROT_READ | PROT_WRITE), 0);
    fill(middle, page, set_now, 9);
    for (size_t bytes = 0; bytes <= 200; bytes++) {
        l->bytes = bytes;
        l->lead = 0;
        l->data = middle;
        plain_places(l, &wanted_places);
        check_counts(finder, l);
        l->data = middle + page - bytes;
        plain_places(l, &wanted_places);
        check_counts(finder, l);
    }
    assert_int_equal(munmap(base, 3 * page), 0);
}

static void check_borders(void)
{
    for (set_now = 0; set_now < SET_COUNT; set_now++)
        with_set(set_now, 0, check_border);
}

static void test_touches_nothing_else(void **state)
{
    (void)state;
    with_each_kernel(check_borders);
}

/* ---- Stopping, and what is refused ---- */

static void test_stops_when_told(void **state)
{
    const struct verso_scan_needle needles[] = { N("a"), N("aa") };
    unsigned char data[1000];

    (void)state;
    memset(data, 'a', sizeof(data));
    for (size_t count = 1; count <= 2; count++) {
        struct verso__scan_finder *finder;

        assert_int_equal(verso__scan_finder_open(needles, count, 0, &finder), 0);
        for (size_t most = 1; most < 200; most++) {
            struct verso__scan_found found = { .each = add_place, .arg = &got_places };

            got_places = (struct places){ .most = most };
            assert_false(verso__scan_find(finder, data, 0, sizeof(data), &found));
            assert_int_equal(got_places.count, most);
            assert_int_equal(found.matches, most);
        }
        verso__scan_finder_close(finder);
    }
}

static void test_refuses_what_is_no_needle(void **state)
{
    static unsigned char data[VERSO_SCAN_NEEDLE_BYTES_MAX + 1];
    static struct verso_scan_needle many[VERSO_SCAN_NEEDLES_MAX + 1];
    struct verso__scan_finder *finder = (struct verso__scan_finder *)data;

    (void)state;
    for (size_t i = 0; i <= VERSO_SCAN_NEEDLES_MAX; i++)
        many[i] = (struct verso_scan_needle){ data, 1 };
    assert_int_equal(verso__scan_finder_open(many, 0, 0, &finder), VERSO_E_OPTIONS);
    assert_int_equal(verso__scan_finder_open(many, VERSO_SCAN_NEEDLES_MAX + 1, 0, &finder), VERSO_E_OPTIONS);
    assert_int_equal(verso__scan_finder_open(many, 1, 1U << 30, &finder), VERSO_E_OPTIONS);
    many[1].bytes = 0;
    assert_int_equal(verso__scan_finder_open(many, 2, 0, &finder), VERSO_E_OPTIONS);
    many[1].bytes = sizeof(data);
    assert_int_equal(verso__scan_finder_open(many, 2, 0, &finder), VERSO_E_OPTIONS);
    many[1] = (struct verso_scan_needle){ NULL, 1 };
    assert_int_equal(verso__scan_finder_open(many, 2, 0, &finder), VERSO_E_OPTIONS);
    assert_ptr_equal(finder, data); /* untouched */
    verso__scan_finder_close(NULL);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_every_alignment_and_length),
        cmocka_unit_test(test_one_match_anywhere),
        cmocka_unit_test(test_parts_find_what_the_whole_has),
        cmocka_unit_test(test_hundreds_of_needles),
        cmocka_unit_test(test_needles_that_agree_with_themselves),
        cmocka_unit_test(test_the_largest_needles),
        cmocka_unit_test(test_touches_nothing_else),
        cmocka_unit_test(test_stops_when_told),
        cmocka_unit_test(test_refuses_what_is_no_needle),
    };

    return run_test_list(list);
}
