/* SPDX-License-Identifier: MIT */
/* fallbacks - what is done when the kernel lacks something, and that it is told. */
#include "support.h"

#include "os/fake/fake.h"

#include <limits.h>
#include <verso.h>

#define PAGES 1100 /* every other one: more runs than one question to the kernel holds, and than two */

static uint64_t page;

static struct verso_clone *written(struct verso_clone_base **out_base)
{
    struct verso_clone *clone;
    unsigned char *data;

    assert_ok(verso_clone_base_make(PAGES * page, 0, out_base));
    memset(verso_clone_base_data(*out_base), 7, PAGES * page);
    assert_ok(verso_clone_open(*out_base, 0, 0, &clone));
    data = verso_clone_data(clone);
    for (uint64_t i = 0; i < PAGES; i += 3)
        data[i * page + i] = 8;
    return clone;
}

static void close_both(struct verso_clone *clone, struct verso_clone_base *base)
{
    verso_clone_close(clone);
    verso_clone_base_close(base);
}

static void check_own(struct verso_clone *clone, enum verso_clone_source source)
{
    struct verso_clone_run run = { 0, 0 };
    uint64_t bytes, i = 0;

    assert_ok(verso_clone_look(clone, &bytes));
    assert_int_equal(verso_clone_source(clone), source);
    assert_true(bytes == (PAGES + 2) / 3 * page);
    for (; verso_clone_next(clone, run.offset_bytes + run.length_bytes, &run); i += 3)
        assert_true(run.offset_bytes == i * page && run.length_bytes == page);
    assert_true(i == (PAGES + 2) / 3 * 3);
}

static void test_pagemap_word_by_word(void **state)
{
    const int missing[] = { -ENOTTY, -EINVAL, -ENOSYS };
    struct verso_clone_base *base;
    struct verso_clone *clone = written(&base);

    (void)state;
    for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++) {
        fake_fail_call("private_scan", missing[i], UINT_MAX);
        check_own(clone, VERSO_CLONE_SOURCE_PAGEMAP);
        fake_reset();
    }
    fake_fail_call("private_scan", -EIO, 1);
    assert_fails_in(verso_clone_look(clone, NULL), -EIO, "look");
    close_both(clone, base);
}

/* In the words of pagemap, too, a tracker's mark looks like a page that was swapped out. */
static void test_pagemap_of_a_tracked_clone(void **state)
{
    struct verso_clone_base *base;
    struct verso_clone *clone = written(&base);
    struct verso_clone_track *track;

    (void)state;
    assert_ok(verso_clone_track_begin(verso_clone_data(clone), PAGES * page, VERSO_CLONE_TRACK_BEST, &track));
    fake_fail_call("private_scan", -ENOTTY, UINT_MAX);
    check_own(clone, VERSO_CLONE_SOURCE_PAGEMAP);
    fake_reset();
    check_own(clone, VERSO_CLONE_SOURCE_SCAN);
    verso_clone_track_end(track);
    close_both(clone, base);
}

static void test_a_mark_that_can_not_be_told_from_a_page(void **state)
{
    struct verso_clone_track *track = NULL;
    struct verso_clone_base *base;
    struct verso_clone *clone;
    int r;

    (void)state;
    assert_ok(verso_clone_base_make(PAGES * page, 0, &base));
    assert_ok(verso_clone_open(base, 0, 0, &clone));
    r = verso_clone_track_begin(verso_clone_data(clone), PAGES * page, VERSO_CLONE_TRACK_KERNEL, &track);
    if (r == 0) {
        fake_fail_call("populate", -ENOMEM, 1);
        assert_fails_in(verso_clone_look(clone, NULL), -ENOMEM, "look");
        assert_ok(verso_clone_look(clone, NULL));
    }
    verso_clone_track_end(track);
    close_both(clone, base);
    if (r < 0)
        skip_because("no userfaultfd with asynchronous write-protection here");
}

static void test_comparing(void **state)
{
    const int missing[] = { -ENOENT, -EACCES, -EPERM };
    struct verso_clone_base *base;
    struct verso_clone *clone = written(&base);

    (void)state;
    for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++) {
        fake_fail_call("pagemap_open", missing[i], UINT_MAX);
        check_own(clone, VERSO_CLONE_SOURCE_COMPARED);
        fake_reset();
    }
    fake_fail_call("pagemap_open", -ENOENT, UINT_MAX);
    assert_ok(verso_clone_merge(clone, 0, 0));
    fake_reset();
    assert_int_equal(((unsigned char *)verso_clone_base_data(base))[3 * page + 3], 8);
    close_both(clone, base);
}

/* A disk that fills up in the middle of a merge: each page is in the base, or still the clone's own. */
static void test_a_full_disk_in_the_middle_of_a_merge(void **state)
{
    struct verso_clone_base *base;
    struct verso_clone *clone;
    unsigned char *data;
    uint64_t bytes;

    (void)state;
    assert_ok(verso_clone_base_open(support_file("f", 8 * page), VERSO_CLONE_WRITE, &base));
    assert_ok(verso_clone_open(base, 0, 0, &clone));
    data = verso_clone_data(clone);
    memset(data, 1, page);
    memset(data + 2 * page, 2, 4 * page);
    fake_fail_call("write_at", -ENOSPC, 1); /* half of the first run is written */
    assert_fails_in(verso_clone_merge(clone, 2 * page, 0), -ENOSPC, "write");
    assert_true(verso_error_last()->offset_bytes == 4 * page);
    assert_ok(verso_clone_look(clone, &bytes));
    assert_true(bytes == 3 * page); /* one that was not asked for, two that were not written */
    for (uint64_t i = 2 * page; i < 6 * page; i++)
        assert_int_equal(data[i], 2);
    fake_reset();
    assert_ok(verso_clone_merge(clone, 0, 0));
    assert_ok(verso_clone_look(clone, &bytes));
    assert_true(bytes == 0);
    assert_int_equal(data[0], 1);
    assert_int_equal(data[6 * page - 1], 2);
    close_both(clone, base);
}

/* ---- Tracking ---- */

static struct verso_clone_track *track_of(struct verso_clone *clone, unsigned method)
{
    struct verso_clone_track *track;

    assert_ok(verso_clone_track_begin(verso_clone_data(clone), PAGES * page, method, &track));
    return track;
}

static uint64_t taken(struct verso_clone_track *track)
{
    uint64_t bytes;

    assert_ok(verso_clone_track_take(track, &bytes));
    return bytes;
}

static uint64_t looked(struct verso_clone_track *track)
{
    uint64_t bytes;

    assert_ok(verso_clone_track_look(track, &bytes));
    return bytes;
}

static void check_refused(const char *call, int error, const char *step)
{
    struct verso_clone_track_info info = VERSO_CLONE_TRACK_INFO_INIT;
    struct verso_clone_track *track = (void *)&track;
    struct verso_clone_base *base;
    struct verso_clone *clone = written(&base);
    void *data = verso_clone_data(clone);

    fake_fail_call(call, error, UINT_MAX);
    assert_fails_in(verso_clone_track_begin(data, PAGES * page, VERSO_CLONE_TRACK_KERNEL, &track), VERSO_E_UNSUPPORTED,
                    step);
    assert_int_equal(verso_error_last()->cause, error);
    assert_ptr_equal(track, &track);
    track = track_of(clone, VERSO_CLONE_TRACK_BEST);
    fake_reset();
    assert_ok(verso_clone_track_info(track, &info));
    assert_int_equal(info.method, VERSO_CLONE_TRACK_FAULTS);
    assert_int_equal(info.refused, error);
    assert_string_equal(info.refused_step, step);
    *(unsigned char *)data = 3;
    assert_true(taken(track) == page);
    verso_clone_track_end(track);
    close_both(clone, base);
}

static void test_refusals_lead_to_faults(void **state)
{
    (void)state;
    check_refused("write_watch_open", -EPERM, "userfaultfd");
    check_refused("write_watch_open", -ENOSYS, "userfaultfd");
    check_refused("write_watch_open", -EINVAL, "userfaultfd");
    check_refused("pagemap_open", -EACCES, "/proc/self/pagemap");
    check_refused("pagemap_open", -ENOENT, "/proc/self/pagemap");
}

static bool kernel_tracks(void)
{
    struct verso_clone_track *track = NULL;
    struct verso_clone_base *base;
    struct verso_clone *clone = written(&base);
    int r = verso_clone_track_begin(verso_clone_data(clone), page, VERSO_CLONE_TRACK_KERNEL, &track);

    verso_clone_track_end(track);
    close_both(clone, base);
    return r == 0;
}

static void test_refusals_of_the_watch(void **state)
{
    (void)state;
    if (!kernel_tracks())
        skip_because("no userfaultfd with asynchronous write-protection here");
    check_refused("write_watch_add", -EINVAL, "write-protect");
    check_refused("write_watch_add", -EPERM, "write-protect");
    check_refused("written_scan", -ENOTTY, "PAGEMAP_SCAN");
    check_refused("written_scan", -EINVAL, "PAGEMAP_SCAN");
}

/* Errors that have nothing to do with what the kernel can do are errors, not a reason to do worse. */
static void test_other_errors_are_errors(void **state)
{
    struct verso_clone_track *track = (void *)&track;
    struct verso_clone_base *base;
    struct verso_clone *clone = written(&base);
    void *data = verso_clone_data(clone);

    (void)state;
    fake_fail_call("write_watch_open", -EMFILE, 1);
    assert_fails(verso_clone_track_begin(data, page, VERSO_CLONE_TRACK_BEST, &track), -EMFILE);
    fake_fail_call("fault_install", -EBUSY, 1);
    assert_fails_in(verso_clone_track_begin(data, page, VERSO_CLONE_TRACK_FAULTS, &track), -EBUSY, "sigaction");
    fake_fail_call("mappings", -EACCES, 1);
    assert_fails_in(verso_clone_track_begin(data, page, VERSO_CLONE_TRACK_FAULTS, &track), -EACCES, "mappings");
    assert_ptr_equal(track, &track);
    *(unsigned char *)data = 1; /* writable as before */
    close_both(clone, base);
}

/* The first half of the answer has been taken from the kernel, then a question fails: the next answer has it all. */
static void a_take_that_fails(unsigned call)
{
    struct verso_clone_base *base;
    struct verso_clone *clone = written(&base);
    struct verso_clone_track *track = track_of(clone, VERSO_CLONE_TRACK_KERNEL);
    unsigned char *data = verso_clone_data(clone);
    uint64_t bytes = 5;

    for (uint64_t i = 0; i < PAGES; i += 2)
        data[i * page]++;
    fake_begin();
    fake_fail_nth(call, -ENOMEM);
    assert_fails(verso_clone_track_take(track, &bytes), -ENOMEM);
    fake_end();
    assert_true(bytes == 5);
    assert_true(looked(track) == PAGES / 2 * page);
    assert_true(taken(track) == PAGES / 2 * page);
    assert_true(taken(track) == 0);
    verso_clone_track_end(track);
    close_both(clone, base);
}

static void test_a_take_that_fails_half_way_loses_nothing(void **state)
{
    (void)state;
    if (!kernel_tracks())
        skip_because("no userfaultfd with asynchronous write-protection here");
    a_take_that_fails(1 + 2); /* whether it is mapped, then the scan, for the second time */
    fake_fail_call("written_tells_dropped", -ENOMEM, UINT_MAX);
    a_take_that_fails(1 + 3 + 1); /* and the first scan of the other kind */
}

/* Both questions together tell no page that was not written. */
static void test_a_kernel_that_must_be_asked_twice(void **state)
{
    struct verso_clone_base *base;
    struct verso_clone *clone = written(&base);
    struct verso_clone_track *track;

    (void)state;
    fake_fail_call("written_tells_dropped", -ENOMEM, UINT_MAX);
    track = track_of(clone, VERSO_CLONE_TRACK_BEST);
    ((unsigned char *)verso_clone_data(clone))[5 * page]++;
    assert_true(taken(track) == page);
    assert_true(taken(track) == 0);
    verso_clone_track_end(track);
    close_both(clone, base);
}

/* The limit of mappings, met in the handler: all becomes writable and is told; the store goes on. */
static void test_too_many_mappings_tell_too_much(void **state)
{
    struct verso_clone_base *base;
    struct verso_clone *clone = written(&base);
    struct verso_clone_track *track = track_of(clone, VERSO_CLONE_TRACK_FAULTS);

    (void)state;
    fake_fail_call("protect", -ENOMEM, 1);
    ((unsigned char *)verso_clone_data(clone))[5 * page] = 1;
    fake_reset();
    assert_true(taken(track) == PAGES * page);

    ((unsigned char *)verso_clone_data(clone))[7 * page] = 1;
    fake_fail_call("protect", -ENOMEM, 1); /* and in take(): what can't be closed is told again */
    assert_true(taken(track) == page);
    fake_reset();
    ((unsigned char *)verso_clone_data(clone))[7 * page] = 2;
    assert_true(taken(track) == page);
    assert_true(taken(track) == 0);
    verso_clone_track_end(track);
    close_both(clone, base);
}

/* Access first, then the bit: with the bit set before, a take in between would close the page and forget it. */
static void test_a_page_that_can_not_be_opened_is_not_written(void **state)
{
    struct verso_clone_base *base;
    struct verso_clone *clone = written(&base);
    struct verso_clone_track *track = track_of(clone, VERSO_CLONE_TRACK_FAULTS);

    (void)state;
    fake_fail_call("protect", -EACCES, 1);
    assert_fails_in(verso_clone_track_touch(track, 0, 1), -EACCES, "mprotect");
    assert_true(looked(track) == 0);
    assert_ok(verso_clone_track_touch(track, 0, 1));
    assert_true(looked(track) == page);
    verso_clone_track_end(track);
    close_both(clone, base);
}

static void test_allocating_where_there_is_no_such_call(void **state)
{
    struct verso_clone_base *base;

    (void)state;
    fake_fail_call("allocate", -EOPNOTSUPP, 1);
    assert_ok(verso_clone_base_make(3 * page, VERSO_CLONE_ALLOCATE, &base));
    verso_clone_base_close(base);
    fake_fail_call("allocate", -EOPNOTSUPP, 1);
    fake_fail_call("populate", -EFAULT, 1);
    assert_fails_in(verso_clone_base_make(3 * page, VERSO_CLONE_ALLOCATE, &base), -ENOSPC, "allocate");
    fake_fail_call("memory_file", -ENOSYS, 1);
    assert_fails(verso_clone_base_make(3 * page, 0, &base), VERSO_E_UNSUPPORTED);
    fake_reset();
}

/* A descriptor that can't be opened anew: for reading it will do, and must not count as one more writer. */
static void test_a_descriptor_that_can_not_be_opened_anew(void **state)
{
    struct verso_clone_base *base, *reader, *writer = (void *)&writer;

    (void)state;
    assert_ok(verso_clone_base_make(page, 0, &base));
    fake_fail_call("reopen", -EACCES, UINT_MAX);
    assert_fails(verso_clone_base_open_fd(verso_clone_base_fd(base), VERSO_CLONE_WRITE, &writer), -EACCES);
    assert_ptr_equal(writer, &writer);
    assert_ok(verso_clone_base_open_fd(verso_clone_base_fd(base), 0, &reader));
    fake_reset();
    assert_ok(verso_clone_base_freeze(base, VERSO_CLONE_FROZEN));
    verso_clone_base_close(reader);
    verso_clone_base_close(base);
}

static int calm(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test_teardown(test_pagemap_word_by_word, calm),
        cmocka_unit_test_teardown(test_pagemap_of_a_tracked_clone, calm),
        cmocka_unit_test_teardown(test_a_mark_that_can_not_be_told_from_a_page, calm),
        cmocka_unit_test_teardown(test_comparing, calm),
        cmocka_unit_test_teardown(test_a_full_disk_in_the_middle_of_a_merge, calm),
        cmocka_unit_test_teardown(test_refusals_lead_to_faults, calm),
        cmocka_unit_test_teardown(test_refusals_of_the_watch, calm),
        cmocka_unit_test_teardown(test_other_errors_are_errors, calm),
        cmocka_unit_test_teardown(test_a_take_that_fails_half_way_loses_nothing, calm),
        cmocka_unit_test_teardown(test_a_kernel_that_must_be_asked_twice, calm),
        cmocka_unit_test_teardown(test_too_many_mappings_tell_too_much, calm),
        cmocka_unit_test_teardown(test_a_descriptor_that_can_not_be_opened_anew, calm),
        cmocka_unit_test_teardown(test_a_page_that_can_not_be_opened_is_not_written, calm),
        cmocka_unit_test_teardown(test_allocating_where_there_is_no_such_call, calm),
    };

    page = verso_page_bytes();
    return run_test_list(list);
}
