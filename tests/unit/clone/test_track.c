/* SPDX-License-Identifier: MIT */
/* track - which pages were written: every case by each method, over each kind of memory (tracks.h). */
#include "tracks.h"

/* ---- What is told ---- */

static void first_writes(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    (void)method;
    assert_string_equal(take(track), NOTHING);
    (void)read_all(memory); /* pages that were never there: reading is not writing */
    assert_string_equal(look(track), NOTHING);
    memory[0] = 1;
    memory[3 * page + 5] = 1;
    memory[4 * page] = 1;
    memory[PAGES * page - 1] = 1;
    assert_string_equal(look(track), "w..ww..........w");
    assert_string_equal(look(track), "w..ww..........w"); /* looking takes nothing */
    assert_string_equal(take(track), "w..ww..........w");
    assert_string_equal(take(track), NOTHING);
    memory[3 * page] = 2; /* written once more: told once more */
    assert_string_equal(take(track), "...w............");
    memset(memory, 3, PAGES * page);
    assert_string_equal(take(track), "wwwwwwwwwwwwwwww");
    assert_string_equal(look(track), NOTHING);
}

static void test_first_writes(void **state)
{
    (void)state;
    everywhere(first_writes);
}

/* Of memory that was all there before. */
static void test_pages_that_were_there(void **state)
{
    (void)state;
    for (size_t i = 0; i < SUBJECTS; i++)
        for (unsigned method = VERSO_CLONE_TRACK_KERNEL; method <= VERSO_CLONE_TRACK_FAULTS; method++) {
            unsigned char *memory = memory_of(&subjects[i]);
            struct verso_clone_track *track;

            memset(memory, 9, PAGES * page);
            track = tracked(memory, PAGES * page, method);
            if (track) {
                assert_string_equal(look(track), NOTHING);
                memory[7 * page] = 1;
                assert_string_equal(take(track), ".......w........");
                assert_int_equal(memory[8 * page], 9);
            }
            verso_clone_track_end(track);
            forget(memory);
        }
}

/* A page that was written, cleaned and reclaimed has left no trace but its absence. */
static void reclaimed(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    (void)read_all(memory);
    memory[2 * page] = 1;
    memory[9 * page] = 1;
    (void)msync(memory, PAGES * page, MS_SYNC);
    assert_int_equal(madvise(memory, PAGES * page, MADV_PAGEOUT), 0);
    assert_string_equal(look(track), "..w......w......");
    (void)read_all(memory);
    assert_string_equal(take(track), "..w......w......");
    assert_int_equal(madvise(memory, PAGES * page, MADV_PAGEOUT), 0);
    assert_string_equal(take(track), NOTHING);
    (void)method;
}

static void test_writes_survive_reclaim(void **state)
{
    (void)state;
    everywhere(reclaimed);
}

/* Dropping changes what private memory holds, so it counts; of shared memory it may. */
static void dropped(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    if (method != VERSO_CLONE_TRACK_KERNEL)
        return;
    memset(memory, 1, PAGES * page);
    (void)take(track);
    assert_int_equal(madvise(memory + 3 * page, page, MADV_DONTNEED), 0);
    assert_string_equal(take(track), "...w............");
    assert_string_equal(take(track), NOTHING);
    (void)read_all(memory);
    assert_string_equal(take(track), NOTHING);
}

static void test_dropped_pages_count(void **state)
{
    (void)state;
    by_each_method_over(&subjects[0], dropped);
}

/* What a whole page table held, or a huge page: the other way in which kernels forget. */
static void test_dropped_huge_pages_count(void **state)
{
    const uint64_t huge = (uint64_t)2 << 20;
    unsigned char *room = mmap(NULL, 4 * huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char *memory = (unsigned char *)(((uintptr_t)room + huge - 1) & ~(uintptr_t)(huge - 1));
    struct verso_clone_run run = { 0, 0 };
    struct verso_clone_track *track;
    uint64_t bytes;

    (void)state;
    assert_ptr_not_equal(room, MAP_FAILED);
    (void)madvise(memory, 3 * huge, MADV_HUGEPAGE);
    memset(memory, 1, 3 * huge);
    track = tracked(memory, 3 * huge, VERSO_CLONE_TRACK_KERNEL);
    if (!track) {
        (void)munmap(room, 4 * huge);
        skip_because("no userfaultfd with asynchronous write-protection here");
    }
    memory[5 * page] = 2; /* of a huge page, told as one page */
    assert_ok(verso_clone_track_take(track, &bytes));
    assert_true(bytes == page);
    assert_int_equal(verso_clone_track_next(track, 0, &run), 1);
    assert_true(run.offset_bytes == 5 * page);
    assert_int_equal(madvise(memory + huge, huge, MADV_DONTNEED), 0);
    assert_ok(verso_clone_track_take(track, &bytes));
    assert_true(bytes == huge);
    assert_int_equal(verso_clone_track_next(track, 0, &run), 1);
    assert_true(run.offset_bytes == huge && run.length_bytes == huge);
    assert_ok(verso_clone_track_take(track, &bytes));
    assert_true(bytes == 0);
    memory[huge + 7 * page] = 1;
    memory[3 * huge - 1] = 1;
    assert_ok(verso_clone_track_take(track, &bytes));
    assert_true(bytes == 2 * page);
    verso_clone_track_end(track);
    assert_int_equal(munmap(room, 4 * huge), 0);
}

static void system_calls(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

    if (method == VERSO_CLONE_TRACK_FAULTS) {
        assert_int_equal(read(zero, memory + 5 * page, 2 * page), -1);
        assert_int_equal(errno, EFAULT);
        assert_string_equal(look(track), NOTHING);
    }
    assert_ok(verso_clone_track_touch(track, 5 * page + 1, page));
    assert_int_equal(read(zero, memory + 5 * page + 1, page), page);
    assert_string_equal(take(track), ".....ww.........");
    assert_ok(verso_clone_track_touch(track, PAGES * page - 1, 1));
    assert_int_equal(read(zero, memory + PAGES * page - 1, 1), 1);
    assert_string_equal(take(track), "...............w");
    assert_ok(verso_clone_track_touch(track, 0, 0));
    assert_ok(verso_clone_track_touch(track, PAGES * page, 0));
    assert_string_equal(take(track), NOTHING);
    assert_fails(verso_clone_track_touch(track, PAGES * page, 1), VERSO_E_RANGE);
    assert_fails(verso_clone_track_touch(track, 1, PAGES * page), VERSO_E_RANGE);
    assert_fails(verso_clone_track_touch(track, page, UINT64_MAX), VERSO_E_RANGE);
    assert_int_equal(close(zero), 0);
}

static void test_system_calls_that_store(void **state)
{
    (void)state;
    everywhere(system_calls);
}

/* ---- Tracks themselves ---- */

static void test_info(void **state)
{
    struct verso_clone_track_info info = VERSO_CLONE_TRACK_INFO_INIT;
    unsigned char *memory = memory_of(&subjects[0]);
    struct verso_clone_track *track = tracked(memory, PAGES * page, VERSO_CLONE_TRACK_FAULTS);

    (void)state;
    assert_ok(verso_clone_track_info(track, &info));
    assert_int_equal(info.method, VERSO_CLONE_TRACK_FAULTS);
    assert_int_equal(info.refused, 0);
    assert_string_equal(info.refused_step, "");
    info.struct_bytes--;
    assert_fails(verso_clone_track_info(track, &info), VERSO_E_OPTIONS);
    verso_clone_track_end(track);
    track = tracked(memory, PAGES * page, VERSO_CLONE_TRACK_BEST);
    info.struct_bytes++;
    assert_ok(verso_clone_track_info(track, &info));
    assert_true(info.method == VERSO_CLONE_TRACK_KERNEL || (info.refused < 0 && *info.refused_step));
    verso_clone_track_end(track);
    forget(memory);
}

static void test_nothing_is_left_behind(void **state)
{
    size_t descriptors = support_descriptor_count();

    (void)state;
    everywhere(first_writes);
    assert_int_equal(support_descriptor_count(), descriptors);
}

/* More of them than the table holds. */
static void test_as_many_as_there_is_room(void **state)
{
    static struct verso_clone_track *tracks[257];
    unsigned char *memory = mmap(NULL, 257 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned count = 0;
    uint64_t bytes;
    int r = 0;

    (void)state;
    while (count < 257 && r == 0) {
        r = verso_clone_track_begin(memory + count * page, page, VERSO_CLONE_TRACK_FAULTS, &tracks[count]);
        count += r == 0;
    }
    assert_int_equal(count, 256);
    assert_fails(r, -ENOSPC);
    memset(memory, 1, 257 * page);
    for (unsigned i = 0; i < count; i++) {
        assert_ok(verso_clone_track_take(tracks[i], &bytes));
        assert_true(bytes == page);
        verso_clone_track_end(tracks[i]);
    }
    assert_int_equal(munmap(memory, 257 * page), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_first_writes),
        cmocka_unit_test(test_pages_that_were_there),
        cmocka_unit_test(test_writes_survive_reclaim),
        cmocka_unit_test(test_dropped_pages_count),
        cmocka_unit_test(test_dropped_huge_pages_count),
        cmocka_unit_test(test_system_calls_that_store),
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_nothing_is_left_behind),
        cmocka_unit_test(test_as_many_as_there_is_room),
    };

    return cmocka_run_group_tests(list, make_subjects, support_teardown);
}
