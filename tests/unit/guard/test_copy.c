/* SPDX-License-Identifier: MIT */
/*
 * copy - the guarded copy and fill do what memcpy and memset do, and stop at the very byte.
 *
 * The page behind a cut file's end lies in wait: everything before it can be had, nothing behind. Every size class of
 * every make meets it at many distances, on either side.
 */
#include "support.h"

#include <signal.h>
#include <sys/wait.h>

#include "makes.h"
#include "ranges.h"

#define FRAME 64 /* bytes around a target that must stay as they are */
#define SEEN 0xA5

static const size_t sizes[] = { 1,    2,    3,    4,    5,    7,    8,    9,     15,    16,    17,   31,   32,   33,
                                48,   63,   64,   65,   96,   127,  128,  129,   160,   191,   192,  255,  256,  257,
                                300,  320,  383,  511,  512,  513,  600,  640,   700,   767,   900,  1023, 1024, 1100,
                                2047, 2048, 3000, 3072, 4096, 5000, 8191, 12000, 16384, 20000, 40000 };
#define SIZE_COUNT (sizeof(sizes) / sizeof(sizes[0]))
#define SIZE_MAX_BYTES 40000U

static bool is_all(const unsigned char *data, unsigned char value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if (data[i] != value)
            return false;
    return true;
}

/* ---- Without a fault -------------------------------------------------------------------------------------------- */

struct plain {
    unsigned char source[SIZE_MAX_BYTES + 128];
    unsigned char target[SIZE_MAX_BYTES + 128 + 2 * FRAME];
};
static struct plain plain;

static void copy_once(const struct make *make, size_t bytes, size_t from, size_t to)
{
    unsigned char *target = plain.target + FRAME + to;

    memset(plain.target, SEEN, to + bytes + 2 * FRAME);
    assert_case(make->copy(target, plain.source + from, bytes) == bytes, make, "%zu bytes from %zu to %zu", bytes, from,
                to);
    assert_case(memcmp(target, plain.source + from, bytes) == 0, make, "%zu bytes from %zu to %zu", bytes, from, to);
    assert_case(is_all(plain.target, SEEN, FRAME + to) && is_all(target + bytes, SEEN, FRAME), make,
                "%zu bytes from %zu to %zu", bytes, from, to);
}

static void fill_once(const struct make *make, size_t bytes, size_t to)
{
    unsigned char *target = plain.target + FRAME + to;
    unsigned char value = (unsigned char)(bytes + 3 * to) | 1;

    memset(plain.target, 0, to + bytes + 2 * FRAME);
    assert_case(make->fill(target, value, bytes) == bytes, make, "%zu bytes at %zu", bytes, to);
    assert_case(is_all(target, value, bytes), make, "%zu bytes at %zu", bytes, to);
    assert_case(is_all(plain.target, 0, FRAME + to) && is_all(target + bytes, 0, FRAME), make, "%zu bytes at %zu",
                bytes, to);
}

static void all_small_sizes(const struct make *make)
{
    for (size_t bytes = 0; bytes <= 300; bytes++) {
        for (size_t place = 0; place < 64; place += 3)
            copy_once(make, bytes, place, (bytes + place * 7) % 64);
        for (size_t place = 0; place < 64; place += 5)
            fill_once(make, bytes, place);
    }
}

static void all_large_sizes(const struct make *make)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (size_t place = 0; place < 64; place += 13) {
            copy_once(make, sizes[i], place, 0);
            copy_once(make, sizes[i], 0, place);
            copy_once(make, sizes[i], place, (place * 5 + 1) % 64);
            fill_once(make, sizes[i], place);
        }
    }
}

/* At the same place of their pages, or nearly: other code may serve those. */
static void all_places_in_a_page(const struct make *make)
{
    size_t page = 4096, apart = (uintptr_t)plain.target + FRAME - (uintptr_t)plain.source;
    size_t to = (page - apart % page) % page;

    for (size_t i = 0; i < SIZE_COUNT; i++) {
        for (size_t place = 0; place < 150 && sizes[i] >= page && sizes[i] <= 20000; place += 7) {
            copy_once(make, sizes[i], 0, to + place);
            copy_once(make, sizes[i], place, to + 5);
        }
    }
}

static void test_copies_and_fills_like_the_library(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(plain.source); i++)
        plain.source[i] = support_byte(i);
    each_make(all_small_sizes);
    each_make(all_large_sizes);
    each_make(all_places_in_a_page);
}

/* ---- With a fault ----------------------------------------------------------------------------------------------- */

/*
 * A file whose first pages are there and whose last are not; and room of the same size.
 *
 *      |==== good ====|---- gone ----|
 *                     ^ border
 */
static struct watched file;
static unsigned char *border;
static unsigned char room[2 * FRAME + 2 * SIZE_MAX_BYTES];

static size_t half_bytes(void)
{
    size_t page = verso__os_page_bytes();

    return (SIZE_MAX_BYTES + 2 * page) / page * page;
}

static void set_up_cut_file(void)
{
    watch_file(&file, "cut", 2 * half_bytes());
    cut(&file, half_bytes());
    border = file.data + half_bytes();
}

static void torn_reset(void)
{
    file.range.torn_count = 0;
    file.range.torn_offset_bytes = VERSO_OFFSET_NONE;
}

/* One fault was told of, at the border. */
static void assert_torn_at_border(const struct make *make, size_t bytes, size_t before)
{
    assert_case(file.range.torn_count == 1, make, "%zu bytes, border after %zu: %u faults", bytes, before,
                (unsigned)file.range.torn_count);
    assert_case(file.range.torn_offset_bytes == half_bytes(), make, "%zu bytes, border after %zu: %zu off", bytes,
                before, (size_t)(file.range.torn_offset_bytes - half_bytes()));
}

static void source_fault(const struct make *make, size_t bytes, size_t before, size_t skew)
{
    unsigned char *target = room + FRAME + skew;

    torn_reset();
    memset(room, SEEN, FRAME + skew + bytes + FRAME);
    assert_case(make->copy(target, border - before, bytes) == before, make, "%zu bytes, border after %zu, skew %zu",
                bytes, before, skew);
    assert_case(memcmp(target, border - before, before) == 0, make, "%zu bytes, border after %zu", bytes, before);
    assert_case(is_all(target + before, SEEN, bytes - before + FRAME) && is_all(room, SEEN, FRAME + skew), make,
                "%zu bytes, border after %zu: something else was stored to", bytes, before);
    assert_torn_at_border(make, bytes, before);
}

static void target_fault(const struct make *make, size_t bytes, size_t before, size_t skew)
{
    unsigned char *target = border - before;

    torn_reset();
    memset(target, SEEN, before);
    assert_case(make->copy(target, plain.source + skew, bytes) == before, make, "%zu bytes, border after %zu", bytes,
                before);
    assert_case(memcmp(target, plain.source + skew, before) == 0, make, "%zu bytes, border after %zu", bytes, before);
    assert_torn_at_border(make, bytes, before);
    torn_reset();
    assert_case(make->fill(target, 0x3c, bytes) == before, make, "%zu bytes, border after %zu", bytes, before);
    assert_case(is_all(target, 0x3c, before), make, "%zu bytes, border after %zu", bytes, before);
    assert_torn_at_border(make, bytes, before);
}

/* All distances of small sizes; of larger ones those near their ends and a few dozen between. */
static void each_distance(const struct make *make, void (*once)(const struct make *, size_t, size_t, size_t))
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        size_t bytes = sizes[i];
        size_t step = bytes <= 300 ? 1 : bytes / 37;

        for (size_t before = 0; before < bytes; before += step)
            once(make, bytes, before, (before + bytes) % 64);
        once(make, bytes, bytes - 1, 1);
    }
}

static void all_source_faults(const struct make *make)
{
    each_distance(make, source_fault);
}

static void all_target_faults(const struct make *make)
{
    each_distance(make, target_fault);
}

static void test_stops_at_the_byte_that_can_not_be_read(void **state)
{
    (void)state;
    guard_on();
    set_up_cut_file();
    each_make(all_source_faults);
    unwatch(&file);
    guard_off();
}

static void test_stops_at_the_byte_that_can_not_be_written(void **state)
{
    (void)state;
    guard_on();
    set_up_cut_file();
    each_make(all_target_faults);
    unwatch(&file);
    guard_off();
}

/* A handler over the guard's, which counts and passes on. */
static struct sigaction beneath;
static unsigned signals;

static void count_signal(int number, siginfo_t *info, void *context)
{
    signals++;
    beneath.sa_sigaction(number, info, context);
}

static void one_signal(const struct make *make)
{
    for (size_t i = 0; i < SIZE_COUNT; i++) {
        size_t bytes = sizes[i], before = bytes * 2 / 3;

        signals = 0;
        assert_case(make->copy(room, border - before, bytes) == before, make, "%zu bytes", bytes);
        assert_case(signals == 1, make, "%zu bytes read: %u signals", bytes, signals);
        assert_case(make->copy(border - before, plain.source, bytes) == before, make, "%zu bytes", bytes);
        assert_case(signals == 2, make, "%zu bytes written: %u signals", bytes, signals - 1);
        assert_case(make->fill(border - before, 1, bytes) == before, make, "%zu bytes", bytes);
        assert_case(signals == 3, make, "%zu bytes filled: %u signals", bytes, signals - 2);
    }
}

static void test_a_fault_costs_one_signal(void **state)
{
    struct sigaction counting = { .sa_sigaction = count_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };

    (void)state;
    guard_on();
    set_up_cut_file();
    assert_int_equal(sigaction(SIGBUS, &counting, &beneath), 0);
    each_make(one_signal);
    assert_int_equal(sigaction(SIGBUS, &beneath, NULL), 0);
    unwatch(&file);
    guard_off();
}

/* Both ends in cut files: the nearer border counts, and only its file is torn. */
static void both_sides(const struct make *make)
{
    struct watched other;
    unsigned char *other_border;

    watch_file(&other, "other", 2 * half_bytes());
    cut(&other, half_bytes());
    other_border = other.data + half_bytes();
    for (size_t bytes = 2; bytes < 700; bytes += 3) {
        size_t near = bytes / 3, far = near + 1 + bytes / 5;

        torn_reset();
        other.range.torn_count = 0;
        assert_case(make->copy(border - near, other_border - far, bytes) == near, make, "%zu bytes", bytes);
        assert_case(file.range.torn_count == 1 && other.range.torn_count == 0, make, "%zu bytes", bytes);
        assert_case(make->copy(border - far, other_border - near, bytes) == near, make, "%zu bytes", bytes);
        assert_case(file.range.torn_count == 1 && other.range.torn_count == 1, make, "%zu bytes", bytes);
    }
    unwatch(&other);
}

static void test_the_nearer_end_counts(void **state)
{
    (void)state;
    guard_on();
    set_up_cut_file();
    each_make(both_sides);
    unwatch(&file);
    guard_off();
}

/* ---- What is not ours ------------------------------------------------------------------------------------------- */

static int copy_from_null(void *arg)
{
    return (int)verso_guard_copy(arg, (void *)(uintptr_t)8, 100); // NOLINT(performance-no-int-to-ptr)
}

static int copy_unwatched(void *arg)
{
    verso__guard_range_drop(&file.range);
    return (int)verso_guard_copy(arg, border - 10, 100);
}

static void test_wrong_pointers_still_kill(void **state)
{
    int status;

    (void)state;
    guard_on();
    set_up_cut_file();
    signal(SIGSEGV, SIG_DFL);
    status = support_child(copy_from_null, room);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    guard_off();
    signal(SIGBUS, SIG_DFL);
    guard_on();
    status = support_child(copy_unwatched, room);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    unwatch(&file);
    guard_off();
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_copies_and_fills_like_the_library),
        cmocka_unit_test(test_stops_at_the_byte_that_can_not_be_read),
        cmocka_unit_test(test_stops_at_the_byte_that_can_not_be_written),
        cmocka_unit_test(test_a_fault_costs_one_signal),
        cmocka_unit_test(test_the_nearer_end_counts),
        cmocka_unit_test(test_wrong_pointers_still_kill),
    };

    return run_test_list(list);
}
