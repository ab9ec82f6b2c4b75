/* SPDX-License-Identifier: MIT */
/* scan - the guarded find, count and compare say what a plain loop says, up to the very byte that can't be read. */
#include "support.h"

#include "makes.h"
#include "ranges.h"

#define LONGEST 1200U

/* A file cut in the middle, and memory with the same bytes. */
static struct watched file;
static unsigned char *border;
static unsigned char copy[2 * LONGEST];

static const unsigned char needle = 0x11;

static void set_up(void)
{
    size_t page = verso__os_page_bytes();
    size_t half = (LONGEST + 2 * page) / page * page;

    watch_file(&file, "cut", 2 * half);
    cut(&file, half);
    border = file.data + half;
}

/* The last @before bytes ahead of the border: none is the needle, except every @every-th (0: none). */
static void sow(size_t before, size_t every)
{
    unsigned char *data = border - before;

    for (size_t i = 0; i < before; i++) {
        data[i] = support_byte(i) == needle ? 0x77 : support_byte(i);
        if (every && i % every == every - 1)
            data[i] = needle;
    }
    memcpy(copy, data, before);
    file.range.torn_count = 0;
}

/* ---- What a plain loop says ------------------------------------------------------------------------------------- */

static struct verso_guard_scan plain_find(size_t readable, size_t bytes)
{
    for (size_t i = 0; i < readable; i++)
        if (copy[i] == needle)
            return (struct verso_guard_scan){ i + 1, i, 0, 0 };
    return (struct verso_guard_scan){ readable, SIZE_MAX, 0, readable < bytes };
}

static struct verso_guard_scan plain_count(size_t readable, size_t bytes)
{
    struct verso_guard_scan scan = { readable, SIZE_MAX, 0, readable < bytes };

    for (size_t i = 0; i < readable; i++)
        scan.count += copy[i] == needle;
    return scan;
}

static bool same(struct verso_guard_scan got, struct verso_guard_scan wanted)
{
    return got.done_bytes == wanted.done_bytes && got.found_bytes == wanted.found_bytes && got.count == wanted.count &&
           got.torn == wanted.torn;
}

/* ---- Each with the border at @readable --------------------------------------------------------------------------- */

static void find_and_count(const struct make *make, size_t readable, size_t bytes, size_t every)
{
    const unsigned char *data = border - readable;
    struct verso_guard_scan wanted = plain_find(readable, bytes);

    assert_case(same(make->find(data, needle, bytes), wanted), make, "%zu of %zu bytes, every %zu", readable, bytes,
                every);
    assert_case(file.range.torn_count == (unsigned)wanted.torn, make, "%zu of %zu bytes", readable, bytes);
    wanted = plain_count(readable, bytes);
    assert_case(same(make->count(data, needle, bytes), wanted), make, "%zu of %zu bytes, every %zu", readable, bytes,
                every);
}

static void all_finds(const struct make *make)
{
    static const size_t everies[] = { 0, 1, 2, 5, 40, 200 };

    for (size_t readable = 0; readable <= LONGEST; readable += readable < 300 ? 1 : 29) {
        for (size_t i = 0; i < sizeof(everies) / sizeof(everies[0]); i++) {
            sow(readable, everies[i]);
            find_and_count(make, readable, readable, everies[i]);
            file.range.torn_count = 0;
            find_and_count(make, readable, readable + 1 + i * 33, everies[i]);
        }
    }
}

static void test_find_and_count_stop_at_the_byte(void **state)
{
    (void)state;
    guard_on();
    set_up();
    each_make(all_finds);
    unwatch(&file);
    guard_off();
}

/* The match at each place, in every size: none is seen twice or passed over. */
static void all_places(const struct make *make)
{
    for (size_t bytes = 1; bytes <= 300; bytes++) {
        sow(bytes, 0);
        for (size_t place = 0; place < bytes; place++) {
            unsigned char *data = border - bytes;
            unsigned char before = data[place];

            data[place] = needle;
            assert_case(make->find(data, needle, bytes).found_bytes == place, make, "at %zu of %zu", place, bytes);
            assert_case(make->count(data, needle, bytes).count == 1, make, "at %zu of %zu", place, bytes);
            assert_case(make->compare(data, copy, bytes).found_bytes == place, make, "at %zu of %zu", place, bytes);
            data[place] = before;
        }
    }
}

static void test_every_place_is_seen_once(void **state)
{
    (void)state;
    guard_on();
    set_up();
    each_make(all_places);
    assert_int_equal(file.range.torn_count, 0);
    unwatch(&file);
    guard_off();
}

static void compare_once(const struct make *make, size_t readable, size_t bytes, size_t difference)
{
    const unsigned char *data = border - readable;
    bool found = difference < readable;
    const struct verso_guard_scan wanted = {
        found ? difference + 1 : readable,
        found ? difference : SIZE_MAX,
        0,
        !found && readable < bytes,
    };

    if (found)
        copy[difference] ^= 0x80;
    assert_case(same(make->compare(data, copy, bytes), wanted), make, "%zu of %zu bytes, differs at %zu", readable,
                bytes, difference);
    assert_case(same(make->compare(copy, data, bytes), wanted), make, "%zu of %zu bytes, differs at %zu, swapped",
                readable, bytes, difference);
    if (found)
        copy[difference] ^= 0x80;
}

static void all_compares(const struct make *make)
{
    for (size_t readable = 0; readable <= LONGEST; readable += readable < 300 ? 1 : 29) {
        sow(readable, 0);
        compare_once(make, readable, readable, SIZE_MAX);
        compare_once(make, readable, readable + 1, SIZE_MAX);
        compare_once(make, readable, readable + 100, SIZE_MAX);
        compare_once(make, readable, readable + 100, readable / 2);
        compare_once(make, readable, readable + 100, readable - 1);
    }
}

static void test_compare_stops_at_the_byte(void **state)
{
    (void)state;
    guard_on();
    set_up();
    each_make(all_compares);
    unwatch(&file);
    guard_off();
}

/* The byte counts are of 64 bits: a block in which every byte matches must not run over. */
static void dense(const struct make *make)
{
    static unsigned char same_bytes[100001];

    memset(same_bytes, needle, sizeof(same_bytes));
    assert_case(make->count(same_bytes, needle, sizeof(same_bytes)).count == sizeof(same_bytes), make, "dense");
    assert_case(make->count(same_bytes, 0, sizeof(same_bytes)).count == 0, make, "other");
    assert_case(make->compare(same_bytes, same_bytes, sizeof(same_bytes)).found_bytes == SIZE_MAX, make, "itself");
    assert_case(make->find(same_bytes, 0xff, sizeof(same_bytes)).done_bytes == sizeof(same_bytes), make, "none");
}

static void test_long_runs(void **state)
{
    (void)state;
    each_make(dense);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_find_and_count_stop_at_the_byte),
        cmocka_unit_test(test_every_place_is_seen_once),
        cmocka_unit_test(test_compare_stops_at_the_byte),
        cmocka_unit_test(test_long_runs),
    };

    return run_test_list(list);
}
