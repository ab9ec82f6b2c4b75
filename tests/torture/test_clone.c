/* SPDX-License-Identifier: MIT */
/* clone - bases, clones, merges and tracks, with every call beneath failing in turn. */
#include "torture.h"

#include <verso/base.h>
#include <verso/clone.h>

#define PAGES 9

static struct verso_clone_base *made(unsigned flags)
{
    struct verso_clone_base *base = UNTOUCHED;

    attempt(verso_clone_base_make(PAGES * verso_page_bytes(), flags, &base)) assert_ptr_equal(base, UNTOUCHED);
    return base;
}

static struct verso_clone *whole(struct verso_clone_base *base)
{
    struct verso_clone *clone = UNTOUCHED;

    attempt(verso_clone_open(base, 0, 0, &clone)) assert_ptr_equal(clone, UNTOUCHED);
    return clone;
}

static void opening(void)
{
    const char *path = support_file("file", PAGES * verso_page_bytes() - 7);
    struct verso_clone_base *base = UNTOUCHED, *again = UNTOUCHED;

    attempt(verso_clone_base_open(path, VERSO_CLONE_WRITE | VERSO_CLONE_ALLOCATE, &base))
        assert_ptr_equal(base, UNTOUCHED);
    attempt(verso_clone_base_open_fd(verso_clone_base_fd(base), 0, &again)) assert_ptr_equal(again, UNTOUCHED);
    assert_true(support_matches(verso_clone_base_data(again), 0, verso_clone_base_bytes(again)));
    verso_clone_base_close(again);
    verso_clone_base_close(base);
}

static void looking_and_merging(void)
{
    const size_t page = verso_page_bytes();
    struct verso_clone_base *base = made(VERSO_CLONE_ALLOCATE);
    struct verso_clone *clone = whole(base);
    unsigned char *data = verso_clone_data(clone);
    uint64_t own = 77;

    memset(data + 2 * page, 5, 3 * page);
    attempt(verso_clone_look(clone, &own)) assert_true(own == 77);
    assert_true(own == 3 * page);
    attempt(verso_clone_drop(clone, 4 * page, page)) assert_int_equal(data[4 * page], 5);
    assert_int_equal(data[4 * page], 0);
    /* However far it came: what the clone shows stays. */
    attempt(verso_clone_merge(clone, 0, 0)) assert_true(data[2 * page] == 5 && data[4 * page - 1] == 5);
    assert_memory_equal(verso_clone_base_data(base), data, PAGES * page);
    verso_clone_base_close(base);
    verso_clone_close(clone);
}

/* Refused, the base is as it was. Only when the way back is refused as well is it read-only: then nothing is stored. */
static void freezing(void)
{
    struct verso_clone_base *base = made(0);
    unsigned char *data = verso_clone_base_data(base);

    data[0] = 1;
    attempt(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN))
    {
        assert_int_equal(data[0], 1);
        if (torture_refusals() < 2)
            data[2] = 1;
    }
    assert_int_equal(data[0], 1);
    verso_clone_base_close(base);
}

static void freezing_for_others(void)
{
    struct verso_clone_base *base = made(0);
    unsigned char *data = verso_clone_base_data(base);

    attempt(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN_FOR_OTHERS)) data[1] = 1;
    data[2] = 1;
    verso_clone_base_close(base);
}

/* By faults, a store may need the kernel too; where that is refused it can't go on. So each is announced by a touch. */
static void store(struct verso_clone_track *track, unsigned char *data, uint64_t offset_bytes)
{
    attempt(verso_clone_track_touch(track, offset_bytes, 1)) continue;
    data[offset_bytes]++;
}

static void track_by(unsigned method)
{
    const size_t page = verso_page_bytes();
    struct verso_clone_base *base = made(0);
    struct verso_clone *clone = whole(base);
    unsigned char *data = verso_clone_data(clone);
    struct verso_clone_track *track = UNTOUCHED;
    uint64_t bytes = 77;

    attempt(verso_clone_track_begin(data, PAGES * page, method, &track)) assert_ptr_equal(track, UNTOUCHED);
    store(track, data, page);
    attempt(verso_clone_track_look(track, &bytes)) assert_true(bytes == 77);
    assert_true(bytes >= page); /* sometimes more, never less */
    bytes = 77;
    store(track, data, 3 * page);
    attempt(verso_clone_track_take(track, &bytes)) assert_true(bytes == 77);
    assert_true(bytes >= 2 * page);
    store(track, data, 6 * page);
    attempt(verso_clone_track_take(track, &bytes)) continue;
    assert_true(bytes >= page);
    verso_clone_track_end(track);
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

static void tracking(void)
{
    track_by(VERSO_CLONE_TRACK_BEST);
}

static void tracking_by_faults(void)
{
    track_by(VERSO_CLONE_TRACK_FAULTS);
}

static void test_opening(void **state)
{
    (void)state;
    torture(opening);
}

static void test_looking_and_merging(void **state)
{
    (void)state;
    torture(looking_and_merging);
}

static void test_freezing(void **state)
{
    (void)state;
    torture(freezing);
}

static void test_freezing_for_others(void **state)
{
    (void)state;
    torture(freezing_for_others);
}

static void test_tracking(void **state)
{
    (void)state;
    torture(tracking);
}

static void test_tracking_by_faults(void **state)
{
    (void)state;
    torture(tracking_by_faults);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_opening),  torture_test(test_looking_and_merging),
        torture_test(test_freezing), torture_test(test_freezing_for_others),
        torture_test(test_tracking), torture_test(test_tracking_by_faults),
    };

    return run_test_list(list);
}
