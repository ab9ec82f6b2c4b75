/* SPDX-License-Identifier: MIT */
/* clone - views of a base: who sees what, what they own, merging and dropping. */
#include "support.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <verso.h>

#define PAGES 16

static uint64_t page;

static struct verso_clone_base *made(uint64_t bytes)
{
    struct verso_clone_base *base;
    unsigned char *data;

    assert_ok(verso_clone_base_make(bytes, 0, &base));
    data = verso_clone_base_data(base);
    for (uint64_t at = 0; at < bytes; at++)
        data[at] = support_byte(at);
    return base;
}

static struct verso_clone *whole(struct verso_clone_base *base)
{
    struct verso_clone *clone;

    assert_ok(verso_clone_open(base, 0, 0, &clone));
    return clone;
}

static unsigned char *bytes_of(const struct verso_clone *clone)
{
    return verso_clone_data(clone);
}

/* The clone's own pages as text: "." for each of the base, "o" for its own. */
static const char *own(struct verso_clone *clone)
{
    static char text[4 * PAGES];
    struct verso_clone_run run = { 0, 0 };
    uint64_t own_bytes, seen = 0;

    assert_ok(verso_clone_look(clone, &own_bytes));
    memset(text, 0, sizeof(text));
    memset(text, '.', (verso_clone_bytes(clone) + page - 1) / page);
    while (verso_clone_next(clone, run.offset_bytes + run.length_bytes, &run)) {
        assert_true(run.offset_bytes % page == 0 && run.length_bytes > 0);
        assert_true(run.offset_bytes + run.length_bytes <= verso_clone_bytes(clone));
        memset(text + run.offset_bytes / page, 'o', (run.length_bytes + page - 1) / page);
        seen += (run.length_bytes + page - 1) / page * page;
    }
    assert_true(seen == own_bytes);
    return text;
}

static void test_a_clone_shows_its_base(void **state)
{
    const uint64_t bytes = PAGES * page - 5;
    struct verso_clone_base *base = made(bytes);
    struct verso_clone *clone = whole(base), *part;

    (void)state;
    assert_true(verso_clone_bytes(clone) == bytes);
    assert_true(support_matches(bytes_of(clone), 0, bytes));
    assert_ok(verso_clone_open(base, 3 * page, page + 1, &part));
    assert_true(verso_clone_bytes(part) == page + 1);
    assert_true(support_matches(bytes_of(part), 3 * page, page + 1));
    verso_clone_close(part);
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

static void test_ranges(void **state)
{
    const uint64_t bytes = 3 * page + 5;
    struct verso_clone_base *base = made(bytes);
    struct verso_clone *clone = (void *)&clone;
    const struct {
        uint64_t offset, length;
    } bad[] = { { 1, 1 },        { page - 1, 0 },      { 4 * page, 0 },          { 0, bytes + 1 },
                { 3 * page, 6 }, { 0, UINT64_MAX },    { page, UINT64_MAX - 5 }, { UINT64_MAX - page + 1, page },
                { 4 * page, 1 }, { 3 * page, 1 << 20 } };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_fails(verso_clone_open(base, bad[i].offset, bad[i].length, &clone), VERSO_E_RANGE);
    assert_fails(verso_clone_open(NULL, 0, 0, &clone), -EINVAL);
    assert_fails(verso_clone_open(base, 0, 0, NULL), -EINVAL);
    assert_ptr_equal(clone, &clone);
    assert_ok(verso_clone_open(base, 3 * page, 5, &clone)); /* the last bytes */
    assert_true(support_matches(bytes_of(clone), 3 * page, 5));
    verso_clone_close(clone);
    verso_clone_close(NULL);
    verso_clone_base_close(base);
}

static void test_stores_stay_in_the_clone(void **state)
{
    struct verso_clone_base *base = made(PAGES * page);
    struct verso_clone *a = whole(base), *b = whole(base);

    (void)state;
    bytes_of(a)[5 * page] ^= 1;
    assert_true(support_matches(verso_clone_base_data(base), 0, PAGES * page));
    assert_true(support_matches(bytes_of(b), 0, PAGES * page));
    assert_string_equal(own(a), ".....o..........");
    assert_string_equal(own(b), "................");
    verso_clone_close(a);
    verso_clone_close(b);
    verso_clone_base_close(base);
}

/* As the header warns: pages that were not written are the base's, whatever becomes of it. */
static void test_the_base_shows_through(void **state)
{
    struct verso_clone_base *base = made(PAGES * page);
    struct verso_clone *clone = whole(base);
    unsigned char *data = verso_clone_base_data(base);

    (void)state;
    bytes_of(clone)[0] = 1;
    data[0] = 77;
    data[page] = 77;
    assert_int_equal(bytes_of(clone)[0], 1);
    assert_int_equal(bytes_of(clone)[page], 77);
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

static void test_clones_of_the_frozen_can_be_written(void **state)
{
    struct verso_clone_base *base = made(PAGES * page);
    struct verso_clone *before = whole(base), *after;

    (void)state;
    assert_ok(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN));
    after = whole(base);
    bytes_of(before)[0] ^= 1;
    bytes_of(after)[page] ^= 1;
    assert_true(support_matches(verso_clone_base_data(base), 0, PAGES * page));
    assert_string_equal(own(before), "o...............");
    assert_string_equal(own(after), ".o..............");
    assert_fails(verso_clone_merge(after, 0, 0), VERSO_E_READ_ONLY);
    assert_string_equal(own(after), ".o..............");
    verso_clone_close(before);
    verso_clone_close(after);
    verso_clone_base_close(base);
}

static void test_reading_owns_nothing(void **state)
{
    struct verso_clone_base *base;
    struct verso_clone *clone;

    (void)state;
    assert_ok(verso_clone_base_make(PAGES * page, 0, &base)); /* holes, which reading fills with pages */
    clone = whole(base);
    for (uint64_t at = 0; at < PAGES; at++)
        assert_int_equal(*(volatile unsigned char *)(bytes_of(clone) + at * page), 0);
    assert_string_equal(own(clone), "................");
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

static void test_swapped_or_not_they_are_own(void **state)
{
    struct verso_clone_base *base = made(PAGES * page);
    struct verso_clone *clone = whole(base);

    (void)state;
    bytes_of(clone)[2 * page] ^= 1;
    (void)madvise(bytes_of(clone), PAGES * page, MADV_PAGEOUT); /* goes out where there is swap */
    assert_string_equal(own(clone), "..o.............");
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

static void test_runs(void **state)
{
    struct verso_clone_base *base = made(PAGES * page - 100);
    struct verso_clone *clone = whole(base);
    struct verso_clone_run run;

    (void)state;
    assert_int_equal(verso_clone_source(clone), 0);
    assert_int_equal(verso_clone_next(clone, 0, &run), 0); /* before the first look */
    for (unsigned i = 3; i < 6; i++)
        bytes_of(clone)[i * page] ^= 1;
    bytes_of(clone)[15 * page] ^= 1;
    assert_ok(verso_clone_look(clone, NULL));
    assert_true(verso_clone_source(clone) > 0);
    assert_int_equal(verso_clone_next(clone, 0, &run), 1);
    assert_true(run.offset_bytes == 3 * page && run.length_bytes == 3 * page);
    assert_int_equal(verso_clone_next(clone, 4 * page + 7, &run), 1); /* from the middle of a run */
    assert_true(run.offset_bytes == 4 * page && run.length_bytes == 2 * page);
    assert_int_equal(verso_clone_next(clone, 6 * page, &run), 1);
    assert_true(run.offset_bytes == 15 * page && run.length_bytes == page - 100); /* no further than the clone */
    assert_int_equal(verso_clone_next(clone, PAGES * page - 100, &run), 0);
    assert_int_equal(verso_clone_next(clone, UINT64_MAX, &run), 0);
    assert_fails(verso_clone_look(NULL, NULL), -EINVAL);
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

/* More runs than one question to the kernel holds. */
static void test_many_runs(void **state)
{
    const uint64_t pages = 2000;
    struct verso_clone_base *base = made(pages * page);
    struct verso_clone *clone = whole(base);
    struct verso_clone_run run = { 0, 0 };
    uint64_t count = 0;

    (void)state;
    for (uint64_t i = 1; i < pages; i += 2)
        bytes_of(clone)[i * page] ^= 1;
    assert_ok(verso_clone_look(clone, NULL));
    while (verso_clone_next(clone, run.offset_bytes + run.length_bytes, &run)) {
        assert_true(run.offset_bytes == (2 * count + 1) * page && run.length_bytes == page);
        count++;
    }
    assert_true(count == pages / 2);
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

static void test_merge(void **state)
{
    const uint64_t bytes = PAGES * page - 5;
    struct verso_clone_base *base = made(bytes);
    struct verso_clone *clone = whole(base), *other = whole(base);
    unsigned char *data = verso_clone_base_data(base);

    (void)state;
    bytes_of(clone)[3 * page + 7] = 200;
    bytes_of(clone)[bytes - 1] = 201;
    bytes_of(other)[3 * page] = 100;
    assert_ok(verso_clone_merge(clone, 0, 0));
    assert_int_equal(data[3 * page + 7], 200);
    assert_int_equal(data[bytes - 1], 201);
    assert_string_equal(own(clone), "................"); /* the memory was given back */
    assert_int_equal(bytes_of(clone)[3 * page + 7], 200);
    assert_int_equal(bytes_of(other)[bytes - 1], 201);                           /* shows through */
    assert_int_equal(bytes_of(other)[3 * page + 7], support_byte(3 * page + 7)); /* keeps its own */
    assert_ok(verso_clone_merge(other, 0, 0));                                   /* the last one wins */
    assert_int_equal(bytes_of(clone)[3 * page], 100);
    assert_int_equal(bytes_of(clone)[3 * page + 7], support_byte(3 * page + 7));
    assert_ok(verso_clone_merge(other, 0, 0)); /* nothing to do */
    verso_clone_close(other);
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

static void test_merge_and_drop_a_range(void **state)
{
    struct verso_clone_base *base = made(PAGES * page);
    struct verso_clone *clone;

    (void)state;
    assert_ok(verso_clone_open(base, 2 * page, 8 * page, &clone));
    memset(bytes_of(clone), 9, 8 * page);
    assert_ok(verso_clone_merge(clone, page, 2 * page));
    assert_string_equal(own(clone), "o..ooooo");
    assert_true(support_matches(verso_clone_base_data(base), 0, 3 * page));
    assert_int_equal(((unsigned char *)verso_clone_base_data(base))[5 * page - 1], 9);
    assert_true(support_matches((unsigned char *)verso_clone_base_data(base) + 5 * page, 5 * page, 11 * page));
    assert_ok(verso_clone_drop(clone, 4 * page, page));
    assert_string_equal(own(clone), "o..o.ooo");
    assert_true(support_matches(bytes_of(clone) + 4 * page, 6 * page, page));
    assert_ok(verso_clone_drop(clone, 0, 0));
    assert_string_equal(own(clone), "........");
    assert_true(support_matches(bytes_of(clone), 2 * page, page));
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

static void test_ranges_of_merge_and_drop(void **state)
{
    const uint64_t bytes = 3 * page + 5;
    struct verso_clone_base *base = made(bytes);
    struct verso_clone *clone = whole(base);
    const struct {
        uint64_t offset, length;
    } bad[] = { { 1, 0 },        { 0, 1 },        { 0, page + 1 },          { 0, bytes + 1 },
                { 4 * page, 0 }, { 3 * page, 4 }, { page, UINT64_MAX - 5 }, { 0, UINT64_MAX } };

    (void)state;
    memset(bytes_of(clone), 9, bytes);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        assert_fails(verso_clone_merge(clone, bad[i].offset, bad[i].length), VERSO_E_RANGE);
        assert_fails(verso_clone_drop(clone, bad[i].offset, bad[i].length), VERSO_E_RANGE);
    }
    assert_fails(verso_clone_merge(NULL, 0, 0), -EINVAL);
    assert_fails(verso_clone_drop(NULL, 0, 0), -EINVAL);
    assert_string_equal(own(clone), "oooo");
    assert_ok(verso_clone_merge(clone, 3 * page, 5)); /* up to the end, which is inside a page */
    assert_ok(verso_clone_drop(clone, page, bytes - page));
    assert_string_equal(own(clone), "o...");
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

static void test_merge_into_a_file(void **state)
{
    const uint64_t bytes = 2 * page + 100;
    const char *path = support_file("f", bytes);
    int fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC); /* a merge must not append */
    struct verso_clone_base *base;
    struct verso_clone *clone;
    unsigned char read_back[8];

    (void)state;
    assert_ok(verso_clone_base_open_fd(fd, VERSO_CLONE_WRITE, &base));
    clone = whole(base);
    memset(bytes_of(clone) + page, 3, 8);
    bytes_of(clone)[bytes] = 99; /* past the end, in the last page: not the file's */
    assert_ok(verso_clone_merge(clone, 0, 0));
    assert_int_equal(lseek(fd, 0, SEEK_END), bytes);
    assert_int_equal(pread(fd, read_back, 8, (off_t)page), 8);
    assert_int_equal(read_back[0], 3);
    assert_int_equal(read_back[7], 3);
    verso_clone_close(clone);
    verso_clone_base_close(base);
    assert_int_equal(close(fd), 0);
}

static void test_read_only_bases_and_cut_files(void **state)
{
    const char *path = support_file("f", 4 * page);
    struct verso_clone_base *base;
    struct verso_clone *clone;

    (void)state;
    assert_ok(verso_clone_base_open(path, 0, &base));
    clone = whole(base);
    bytes_of(clone)[0] ^= 1;
    assert_fails(verso_clone_merge(clone, 0, 0), VERSO_E_READ_ONLY);
    assert_string_equal(own(clone), "o...");
    verso_clone_close(clone);
    verso_clone_base_close(base);

    assert_ok(verso_clone_base_open(path, VERSO_CLONE_WRITE, &base));
    clone = whole(base);
    bytes_of(clone)[0] ^= 1;
    assert_int_equal(truncate(path, (off_t)page), 0);
    assert_fails(verso_clone_merge(clone, 0, 0), VERSO_E_TORN);
    assert_true(verso_error_last()->offset_bytes == page);
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

static int touch_torn(void *arg)
{
    return *(volatile unsigned char *)arg;
}

static void test_the_guard_knows_clones(void **state)
{
    const char *path = support_file("f", 4 * page);
    struct verso_clone_base *base;
    struct verso_clone *clone;

    (void)state;
    assert_ok(verso_guard_install());
    assert_ok(verso_clone_base_open(path, 0, &base));
    assert_ok(verso_clone_open(base, page, 0, &clone));
    assert_int_equal(truncate(path, (off_t)page), 0);
    assert_fails(verso_guard_run(NULL, touch_torn, bytes_of(clone) + page), VERSO_E_TORN);
    assert_true(verso_error_last()->offset_bytes == 2 * page);
    assert_fails(verso_guard_run(NULL, touch_torn, (char *)verso_clone_base_data(base) + page), VERSO_E_TORN);
    verso_clone_close(clone);
    verso_clone_base_close(base);
    assert_ok(verso_guard_remove());
}

static void test_clones_outlive_their_base(void **state)
{
    size_t descriptors = support_descriptor_count(), mappings = support_mapping_count();
    struct verso_clone_base *base = made(PAGES * page);
    struct verso_clone *a = whole(base), *b = whole(base);

    (void)state;
    verso_clone_base_close(base);
    bytes_of(a)[page] = 250;
    assert_ok(verso_clone_merge(a, 0, 0));
    assert_int_equal(bytes_of(b)[page], 250);
    verso_clone_close(a);
    assert_true(support_matches(bytes_of(b), 0, page));
    verso_clone_close(b);
    assert_int_equal(support_descriptor_count(), descriptors);
    assert_int_equal(support_mapping_count(), mappings);
}

static int part_from_parent(void *arg)
{
    struct verso_clone *clone = arg;

    if (bytes_of(clone)[page] != 1)
        return 1;
    bytes_of(clone)[page] = 2;
    bytes_of(clone)[2 * page] = 2;
    if (verso_clone_merge(clone, 2 * page, page) < 0) /* the child's copy of the view merges into the common base */
        return 2;
    verso_clone_close(clone);
    return 0;
}

static void test_a_child_inherits_and_parts(void **state)
{
    struct verso_clone_base *base = made(PAGES * page);
    struct verso_clone *clone = whole(base);

    (void)state;
    bytes_of(clone)[page] = 1;
    assert_int_equal(support_child(part_from_parent, clone), 0);
    assert_int_equal(bytes_of(clone)[page], 1);
    assert_int_equal(bytes_of(clone)[2 * page], 2);
    assert_string_equal(own(clone), ".o..............");
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

/* Tracking puts marks where no page is, which look as if they were pages of the clone's own, swapped out. */
static void test_a_tracked_clone_owns_what_it_wrote(void **state)
{
    struct verso_clone_base *base = made(PAGES * page);
    struct verso_clone *clone = whole(base);
    struct verso_clone_track *track;

    (void)state;
    bytes_of(clone)[2 * page] ^= 1;
    assert_ok(verso_clone_track_begin(bytes_of(clone), PAGES * page, VERSO_CLONE_TRACK_BEST, &track));
    bytes_of(clone)[5 * page] ^= 1;
    assert_string_equal(own(clone), "..o..o..........");
    assert_ok(verso_clone_track_take(track, NULL));
    assert_string_equal(own(clone), "..o..o..........");
    assert_ok(verso_clone_merge(clone, 0, 0));
    assert_string_equal(own(clone), "................");
    verso_clone_track_end(track);
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_a_clone_shows_its_base),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_stores_stay_in_the_clone),
        cmocka_unit_test(test_the_base_shows_through),
        cmocka_unit_test(test_clones_of_the_frozen_can_be_written),
        cmocka_unit_test(test_reading_owns_nothing),
        cmocka_unit_test(test_swapped_or_not_they_are_own),
        cmocka_unit_test(test_runs),
        cmocka_unit_test(test_many_runs),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_merge_and_drop_a_range),
        cmocka_unit_test(test_ranges_of_merge_and_drop),
        cmocka_unit_test(test_merge_into_a_file),
        cmocka_unit_test(test_read_only_bases_and_cut_files),
        cmocka_unit_test(test_the_guard_knows_clones),
        cmocka_unit_test(test_clones_outlive_their_base),
        cmocka_unit_test(test_a_child_inherits_and_parts),
        cmocka_unit_test(test_a_tracked_clone_owns_what_it_wrote),
    };

    page = verso_page_bytes();
    return run_test_list(list);
}
