/* SPDX-License-Identifier: MIT */
/* test_kernels_text.c - lines, words, characters, longest lines and histograms, against one byte after the other. */
#include "kernels.h"

#include <sys/mman.h>
#include <unistd.h>

#define ALL (VERSO_SCAN_LINES | VERSO_SCAN_WORDS | VERSO_SCAN_LONGEST | VERSO_SCAN_CHARACTERS)
#define ROOM 8192

/* Contents that matter: which bytes a stretch is made of. */
static const struct {
    const char *bytes;
    size_t count;
} alphabets[] = {
    { "\n", 1 },
    { "x", 1 },
    { " ", 1 },
    { "x\n", 2 },
    { "x ", 2 },
    { "x x x x x x x x\n", 16 },
    { "\t\n\v\f\r \b\x0e!\x7f\x80\x89\x8a\x8d\xa0\xbf\xc0\xff\x1f\x21\x29\0", 23 },
    { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", 100 },
    { NULL, 0 }, /* any byte */
};
#define ALPHABET_COUNT (sizeof(alphabets) / sizeof(alphabets[0]))

static void fill(unsigned char *data, size_t bytes, size_t alphabet, uint32_t seed)
{
    for (size_t i = 0; i < bytes; i++) {
        uint32_t random = next_random(&seed);

        data[i] = alphabets[alphabet].bytes
                      ? (unsigned char)alphabets[alphabet].bytes[random % alphabets[alphabet].count]
                      : (unsigned char)(random >> 8);
    }
}

static bool is_space(unsigned char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\v' || byte == '\f' || byte == '\r';
}

static struct verso__scan_text plain_text(const unsigned char *data, size_t bytes, unsigned counts)
{
    struct verso__scan_text text = { .bytes = bytes };
    uint64_t line = 0;
    bool had_newline = false;

    for (size_t i = 0; i < bytes; i++) {
        text.lines += data[i] == '\n';
        text.words += !is_space(data[i]) && (i == 0 || is_space(data[i - 1]));
        text.characters += (data[i] & 0xc0) != 0x80;
        line = data[i] == '\n' ? 0 : line + 1;
        if (line > text.longest_bytes)
            text.longest_bytes = line;
        if (data[i] == '\n')
            had_newline = true;
        else if (!had_newline)
            text.first_bytes++;
    }
    text.last_bytes = line;
    if (bytes > 0) {
        text.begins_in_word = !is_space(data[0]);
        text.ends_in_word = !is_space(data[bytes - 1]);
    }
    if (!(counts & VERSO_SCAN_LINES))
        text.lines = 0;
    if (!(counts & VERSO_SCAN_WORDS)) {
        text.words = 0;
        text.begins_in_word = text.ends_in_word = false;
    }
    if (!(counts & VERSO_SCAN_CHARACTERS))
        text.characters = 0;
    if (!(counts & VERSO_SCAN_LONGEST))
        text.first_bytes = text.last_bytes = text.longest_bytes = 0;
    return text;
}

static void assert_same(const struct verso__scan_text *got, const struct verso__scan_text *wanted)
{
    assert_int_equal(got->bytes, wanted->bytes);
    assert_int_equal(got->lines, wanted->lines);
    assert_int_equal(got->words, wanted->words);
    assert_int_equal(got->characters, wanted->characters);
    assert_int_equal(got->first_bytes, wanted->first_bytes);
    assert_int_equal(got->last_bytes, wanted->last_bytes);
    assert_int_equal(got->longest_bytes, wanted->longest_bytes);
    assert_int_equal(got->begins_in_word, wanted->begins_in_word);
    assert_int_equal(got->ends_in_word, wanted->ends_in_word);
}

static void check_text(const unsigned char *data, size_t bytes, unsigned counts)
{
    struct verso__scan_text got, wanted = plain_text(data, bytes, counts);

    verso__scan_text(data, bytes, counts, &got);
    assert_same(&got, &wanted);
}

static void check_alignments(void)
{
    static unsigned char data[ROOM];

    for (size_t alphabet = 0; alphabet < ALPHABET_COUNT; alphabet++) {
        fill(data, sizeof(data), alphabet, 7 + (uint32_t)alphabet);
        for (size_t start = 0; start < 64; start++) {
            for (size_t bytes = 0; bytes <= 300; bytes += bytes < 140 ? 1 : 7)
                check_text(data + start, bytes, ALL);
        }
        check_text(data + 1, ROOM - 2, ALL);
    }
}

static void test_every_alignment_and_length(void **state)
{
    (void)state;
    with_each_kernel(check_alignments);
}

static void check_combinations(void)
{
    static unsigned char data[ROOM];

    for (size_t alphabet = 0; alphabet < ALPHABET_COUNT; alphabet++) {
        fill(data, sizeof(data), alphabet, 99);
        for (unsigned counts = 0; counts <= ALL; counts++) {
            check_text(data + 3, 0, counts);
            check_text(data + 3, 1, counts);
            check_text(data + 3, 1000, counts);
        }
    }
}

static void test_every_combination(void **state)
{
    (void)state;
    with_each_kernel(check_combinations);
}

/* Each byte value alone, at each place of a block. */
static void check_values(void)
{
    unsigned char data[130];

    for (unsigned value = 0; value < 256; value++) {
        for (size_t place = 0; place < sizeof(data); place++) {
            memset(data, 'x', sizeof(data));
            data[place] = (unsigned char)value;
            check_text(data, sizeof(data), ALL);
            memset(data, ' ', sizeof(data));
            data[place] = (unsigned char)value;
            check_text(data, sizeof(data), ALL);
        }
    }
}

static void test_every_value_at_every_place(void **state)
{
    (void)state;
    with_each_kernel(check_values);
}

/* However a stretch is cut in three, joined it is the whole. */
static void check_joins(void)
{
    static unsigned char data[300];

    for (size_t alphabet = 0; alphabet < ALPHABET_COUNT; alphabet++) {
        for (size_t bytes = 0; bytes <= sizeof(data); bytes += 1 + bytes / 3) {
            fill(data, bytes, alphabet, 5 + (uint32_t)bytes);
            for (size_t a = 0; a <= bytes; a += 1 + bytes / 17) {
                for (size_t b = a; b <= bytes; b += 1 + bytes / 13) {
                    struct verso__scan_text whole = plain_text(data, bytes, ALL), left, middle, right, neutral;

                    verso__scan_text(data, a, ALL, &left);
                    verso__scan_text(data + a, b - a, ALL, &middle);
                    verso__scan_text(data + b, bytes - b, ALL, &right);
                    verso__scan_text(data, 0, ALL, &neutral);
                    verso__scan_text_join(&middle, &right); /* in another order than they lie */
                    verso__scan_text_join(&left, &middle);
                    assert_same(&left, &whole);
                    verso__scan_text_join(&neutral, &left);
                    assert_same(&neutral, &whole);
                }
            }
        }
    }
}

static void test_joined_parts_are_the_whole(void **state)
{
    (void)state;
    with_each_kernel(check_joins);
}

/* Pages that can't be touched on both sides: a loop that strays ends the test. */
static void check_borders(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *base = mmap(NULL, 3 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *middle;

    assert_ptr_not_equal(base, MAP_FAILED);
    middle = base + page;
    assert_int_equal(mprotect(middle, page, PROT_READ | PROT_WRITE), 0);
    fill(middle, page, 6, 3);
    for (size_t bytes = 0; bytes <= 200; bytes++) {
        uint64_t counts[256] = { 0 };

        check_text(middle, bytes, ALL);
        check_text(middle + page - bytes, bytes, ALL);
        verso__scan_histogram(middle + page - bytes, bytes, counts);
    }
    check_text(middle, page, ALL);
    assert_int_equal(munmap(base, 3 * page), 0);
}

static void test_touches_nothing_else(void **state)
{
    (void)state;
    with_each_kernel(check_borders);
}

static void test_histogram(void **state)
{
    static unsigned char data[ROOM];

    (void)state;
    for (size_t alphabet = 0; alphabet < ALPHABET_COUNT; alphabet++) {
        fill(data, sizeof(data), alphabet, 11);
        for (size_t bytes = 0; bytes < ROOM - 3; bytes += 1 + bytes / 2) {
            uint64_t wanted[256] = { 0 }, got[256] = { 0 };

            got[0] = wanted[0] = 5; /* added to */
            for (size_t i = 0; i < bytes; i++)
                wanted[data[3 + i]]++;
            verso__scan_histogram(data + 3, bytes, got);
            assert_memory_equal(got, wanted, sizeof(got));
        }
    }
}

static void test_unknown_kernel(void **state)
{
    (void)state;
    assert_false(verso__scan_kernel_force("abacus"));
    assert_true(verso__scan_kernel_force("portable"));
    assert_string_equal(verso__scan_kernel_name(), "portable");
    assert_true(verso__scan_kernel_force(NULL));
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_every_alignment_and_length),
        cmocka_unit_test(test_every_combination),
        cmocka_unit_test(test_every_value_at_every_place),
        cmocka_unit_test(test_joined_parts_are_the_whole),
        cmocka_unit_test(test_touches_nothing_else),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_unknown_kernel),
    };

    return run_test_list(list);
}
