/* SPDX-License-Identifier: MIT */
/*
 * track_ranges - where tracks may lie, and what becomes of them when the memory under them is unmapped, moved, tracked
 * twice or inherited.
 */
#include "tracks.h"

#include <signal.h>
#include <sys/wait.h>

/* Over anonymous memory; for cases that end the track. */
static void by_each_method(case_function *function)
{
    for (unsigned method = VERSO_CLONE_TRACK_KERNEL; method <= VERSO_CLONE_TRACK_FAULTS; method++) {
        unsigned char *memory = memory_of(&subjects[0]);
        struct verso_clone_track *track = tracked(memory, PAGES * page, method);

        if (track)
            function(memory, track, method);
        forget(memory);
    }
}

/* ---- Ranges ---- */

static void test_ranges(void **state)
{
    unsigned char *memory = memory_of(&subjects[0]);
    struct verso_clone_track *track = (void *)&track;
    const unsigned best = VERSO_CLONE_TRACK_BEST;

    (void)state;
    assert_fails(verso_clone_track_begin(memory + 1, page, best, &track), VERSO_E_RANGE);
    assert_fails(verso_clone_track_begin(memory, 1, best, &track), VERSO_E_RANGE);
    assert_fails(verso_clone_track_begin(memory, page - 1, best, &track), VERSO_E_RANGE);
    assert_fails(verso_clone_track_begin(memory, page + 1, best, &track), VERSO_E_RANGE);
    assert_fails(verso_clone_track_begin(memory, 0, best, &track), VERSO_E_RANGE);
    assert_fails(verso_clone_track_begin(memory, UINT64_MAX - page + 1, best, &track), VERSO_E_OVERFLOW);
    assert_fails(verso_clone_track_begin(memory, (uint64_t)1 << 62, best, &track), VERSO_E_OVERFLOW);
    assert_fails(verso_clone_track_begin(memory, page, 3, &track), VERSO_E_OPTIONS);
    assert_fails(verso_clone_track_begin(memory, page, best, NULL), -EINVAL);
    assert_int_equal(munmap(memory + page, page), 0);
    assert_fails(verso_clone_track_begin(memory, 3 * page, best, &track), -ENOMEM);
    assert_fails(verso_clone_track_begin(memory + page, page, best, &track), -ENOMEM);
    assert_ptr_equal(track, &track);
    assert_fails(verso_clone_track_take(NULL, NULL), -EINVAL);
    assert_fails(verso_clone_track_look(NULL, NULL), -EINVAL);
    assert_fails(verso_clone_track_touch(NULL, 0, 0), -EINVAL);
    verso_clone_track_end(NULL);
    forget(memory);
}

static void part(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    struct verso_clone_run run;
    uint64_t bytes;

    verso_clone_track_end(track);
    assert_ok(verso_clone_track_begin(memory + 4 * page, page, method, &track));
    memory[4 * page - 1] = memory[5 * page] = 1; /* its neighbours are nobody's matter */
    assert_ok(verso_clone_track_take(track, &bytes));
    assert_true(bytes == 0);
    memory[5 * page - 1] = 1;
    assert_ok(verso_clone_track_take(track, &bytes));
    assert_true(bytes == page);
    assert_int_equal(verso_clone_track_next(track, 0, &run), 1);
    assert_true(run.offset_bytes == 0 && run.length_bytes == page);
    verso_clone_track_end(track);
}

static void test_one_page_of_many(void **state)
{
    (void)state;
    by_each_method(part);
}

static int store_where_it_is_wrong(void *arg)
{
    (void)signal(SIGSEGV, SIG_DFL);
    *(volatile unsigned char *)arg = 1;
    return 0;
}

static int tracked_store_where_it_is_wrong(void *arg)
{
    unsigned char *memory = arg;
    struct verso_clone_track *track;

    (void)signal(SIGSEGV, SIG_DFL);
    if (verso_clone_track_begin(memory, PAGES * page, VERSO_CLONE_TRACK_FAULTS, &track) < 0)
        return 3;
    *(volatile unsigned char *)(memory + 5 * page) = 1;
    return 0;
}

/* Several mappings, one of them read-only: it stays so, and stores to it are wrong as before. */
static void several(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    int status;

    verso_clone_track_end(track);
    assert_int_equal(mprotect(memory + 4 * page, 4 * page, PROT_READ), 0);
    assert_int_equal(mprotect(memory + 12 * page, page, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
    assert_ok(verso_clone_track_begin(memory, PAGES * page, method, &track));
    memory[0] = memory[9 * page] = memory[12 * page] = 1;
    assert_string_equal(take(track), "w........w..w...");
    verso_clone_track_end(track);
    memory[1] = memory[10 * page] = memory[12 * page] = 1;
    status = support_child(store_where_it_is_wrong, memory + 4 * page);
    assert_true(support_is_asan() || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
    status = support_child(tracked_store_where_it_is_wrong, memory);
    assert_true(support_is_asan() || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
}

static void test_several_mappings(void **state)
{
    (void)state;
    by_each_method(several);
}

/* ---- Two at once, and the end of things ---- */

static void busy(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    struct verso_clone_track *second = (void *)&second, *elsewhere;

    assert_fails(verso_clone_track_begin(memory + 8 * page, page, method, &second), -EBUSY);
    assert_fails(verso_clone_track_begin(memory, PAGES * page, method, &second), -EBUSY);
    assert_ptr_equal(second, &second);
    memory[page] = 1;
    assert_string_equal(take(track), ".w.............."); /* the first knows nothing of it */
    verso_clone_track_end(track);
    assert_ok(verso_clone_track_begin(memory, 8 * page, method, &track));
    assert_ok(verso_clone_track_begin(memory + 8 * page, 8 * page, method, &elsewhere)); /* side by side */
    memory[8 * page] = memory[0] = 1;
    assert_string_equal(take(track), "w...............");
    assert_string_equal(take(elsewhere), "w...............");
    verso_clone_track_end(elsewhere);
    memory[8 * page] = 1;
    memory[page] = 1;
    assert_string_equal(take(track), ".w..............");
    verso_clone_track_end(track);
}

static void test_one_track_a_place(void **state)
{
    (void)state;
    by_each_method(busy);
}

/* The kernel's way and the faults' way do not get in each other's way. */
static void test_both_methods_over_one_place(void **state)
{
    unsigned char *memory = memory_of(&subjects[0]);
    struct verso_clone_track *kernel = tracked(memory, PAGES * page, VERSO_CLONE_TRACK_KERNEL), *faults;

    (void)state;
    if (!kernel) {
        forget(memory);
        skip_because("no userfaultfd with asynchronous write-protection here");
    }
    faults = tracked(memory, PAGES * page, VERSO_CLONE_TRACK_FAULTS);
    memory[2 * page] = 1;
    assert_string_equal(take(kernel), "..w.............");
    memory[2 * page] = 1;
    memory[3 * page] = 1;
    assert_string_equal(take(faults), "..ww............");
    assert_string_equal(take(kernel), "..ww............");
    verso_clone_track_end(kernel);
    memory[2 * page] = 1;
    assert_string_equal(take(faults), "..w.............");
    verso_clone_track_end(faults);
    memset(memory, 1, PAGES * page);
    forget(memory);
}

static void gone(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    memory[page] = 1;
    assert_int_equal(munmap(memory + 3 * page, page), 0);
    assert_fails(verso_clone_track_take(track, NULL), VERSO_E_UNTRACKED);
    assert_fails(verso_clone_track_look(track, NULL), VERSO_E_UNTRACKED);
    assert_ptr_not_equal(
        mmap(memory + 3 * page, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        MAP_FAILED);
    if (method == VERSO_CLONE_TRACK_KERNEL)
        assert_fails(verso_clone_track_take(track, NULL), VERSO_E_UNTRACKED);
}

static void test_unmapped_under_a_track(void **state)
{
    (void)state;
    everywhere(gone);
}

/* What lies behind the hole must be writable again. */
static void ended_around_a_hole(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    struct verso_clone_track *again;

    verso_clone_track_end(track);
    assert_ok(verso_clone_track_begin(memory, PAGES * page, method, &again));
    assert_int_equal(munmap(memory + 3 * page, page), 0);
    verso_clone_track_end(again);
    memory[0] = memory[9 * page] = 1;
}

static void test_ended_around_a_hole(void **state)
{
    (void)state;
    by_each_method(ended_around_a_hole);
}

static struct sigaction beneath;
static unsigned char *late_page;

static void comes_late(int number, siginfo_t *info, void *context)
{
    (void)mprotect(late_page, page, PROT_READ | PROT_WRITE);
    beneath.sa_sigaction(number, info, context);
}

/* A store that met a read-only page, and whose signal is delivered when its tracking has ended already. */
static int store_late(void *arg)
{
    struct sigaction action = { .sa_sigaction = comes_late, .sa_flags = SA_SIGINFO | SA_NODEFER };
    struct verso_clone_track *track;

    late_page = arg;
    (void)signal(SIGSEGV, SIG_DFL);
    if (verso_clone_track_begin(late_page, page, VERSO_CLONE_TRACK_FAULTS, &track) < 0)
        return 1;
    verso_clone_track_end(track);
    if (mprotect(late_page, page, PROT_READ) < 0 || sigaction(SIGSEGV, &action, &beneath) < 0)
        return 2;
    *(volatile unsigned char *)late_page = 1;
    return 0;
}

static void test_a_fault_that_comes_late(void **state)
{
    unsigned char *memory = memory_of(&subjects[0]);

    (void)state;
    assert_int_equal(support_child(store_late, memory), 0);
    forget(memory);
}

static void moved(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    void *room = mmap(NULL, page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)method;
    assert_ptr_equal(mremap(memory + 5 * page, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, room), room);
    assert_fails(verso_clone_track_take(track, NULL), VERSO_E_UNTRACKED);
    assert_int_equal(munmap(room, page), 0);
    assert_ptr_not_equal(
        mmap(memory + 5 * page, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
        MAP_FAILED);
}

static void test_moved_away(void **state)
{
    (void)state;
    everywhere(moved);
}

struct inherited {
    unsigned char *memory;
    struct verso_clone_track *track;
    unsigned method;
};

static int in_a_child(void *arg)
{
    const struct inherited *inherited = arg;
    struct verso_clone_track *own;
    uint64_t bytes;

    inherited->memory[2 * page] = 1; /* must work, whatever the parent's track did to the pages */
    if (verso_clone_track_take(inherited->track, NULL) != VERSO_E_UNTRACKED ||
        verso_clone_track_look(inherited->track, NULL) != VERSO_E_UNTRACKED ||
        verso_clone_track_touch(inherited->track, 0, 1) != VERSO_E_UNTRACKED)
        return 1;
    verso_clone_track_end(inherited->track);
    inherited->memory[3 * page] = 1;
    if (verso_clone_track_begin(inherited->memory, PAGES * page, inherited->method, &own) < 0)
        return 2;
    inherited->memory[4 * page] = 1;
    if (verso_clone_track_take(own, &bytes) < 0 || bytes != page)
        return 3;
    verso_clone_track_end(own);
    return 0;
}

static void forked(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    struct inherited inherited = { memory, track, method };

    memory[page] = 1;
    assert_int_equal(support_child(in_a_child, &inherited), 0);
    assert_string_equal(take(track), ".w.............."); /* what the child did to its own is no matter of ours */
    memory[7 * page] = 1;
    assert_string_equal(take(track), ".......w........");
}

static void test_a_child_is_not_tracked(void **state)
{
    (void)state;
    everywhere(forked);
}

/* A child that lives on holds a copy of the descriptors: the parent's end must work all the same. */
static void lives_on(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    int ends[2], status;
    pid_t child;
    char byte;

    verso_clone_track_end(track);
    assert_ok(verso_clone_track_begin(memory, PAGES * page, method, &track));
    assert_int_equal(pipe(ends), 0);
    child = fork();
    if (child == 0) {
        (void)close(ends[1]);
        (void)!read(ends[0], &byte, 1); /* until the parent has closed its end */
        _exit(0);
    }
    assert_true(child > 0);
    verso_clone_track_end(track);
    assert_ok(verso_clone_track_begin(memory, PAGES * page, method, &track));
    memory[0] = 1;
    assert_string_equal(take(track), "w...............");
    verso_clone_track_end(track);
    assert_int_equal(close(ends[0]) + close(ends[1]), 0);
    assert_int_equal(waitpid(child, &status, 0), child);
}

static void test_the_end_does_not_wait_for_children(void **state)
{
    (void)state;
    by_each_method(lives_on);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_one_page_of_many),
        cmocka_unit_test(test_several_mappings),
        cmocka_unit_test(test_one_track_a_place),
        cmocka_unit_test(test_both_methods_over_one_place),
        cmocka_unit_test(test_unmapped_under_a_track),
        cmocka_unit_test(test_ended_around_a_hole),
        cmocka_unit_test(test_a_fault_that_comes_late),
        cmocka_unit_test(test_moved_away),
        cmocka_unit_test(test_a_child_is_not_tracked),
        cmocka_unit_test(test_the_end_does_not_wait_for_children),
    };

    return cmocka_run_group_tests(list, make_subjects, support_teardown);
}
