/* SPDX-License-Identifier: MIT */
/*
 * track - which pages were written: every case by each method, over each kind of memory.
 *
 * A case gets the memory and a track over it; own() style text says which of its pages were told: "." and "w".
 */
#include "support.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso.h>

#define PAGES 16

static uint64_t page;

struct subject {
    const char *name;
    int flags; /* of mmap */
    int fd;    /* -1, or a file of PAGES pages */
};

static struct subject subjects[] = {
    { "anonymous", MAP_PRIVATE | MAP_ANONYMOUS, -1 },
    { "shared", MAP_SHARED | MAP_ANONYMOUS, -1 },
    { "memory file, shared", MAP_SHARED, -1 },
    { "memory file, private", MAP_PRIVATE, -1 },
    { "file, shared", MAP_SHARED, -1 },
    { "file, private", MAP_PRIVATE, -1 },
};

#define SUBJECTS (sizeof(subjects) / sizeof(*subjects))

static unsigned char *memory_of(const struct subject *subject)
{
    void *memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, subject->flags, subject->fd, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    (void)madvise(memory, PAGES * page, MADV_NOHUGEPAGE); /* EINVAL where there are none */
    return memory;
}

static void forget(unsigned char *memory)
{
    assert_int_equal(munmap(memory, PAGES * page), 0);
}

/* NULL where this machine has not the method. */
static struct verso_clone_track *tracked(void *memory, uint64_t bytes, unsigned method)
{
    struct verso_clone_track *track = NULL;
    int r = verso_clone_track_begin(memory, bytes, method, &track);

    if (r == VERSO_E_UNSUPPORTED && method == VERSO_CLONE_TRACK_KERNEL)
        return NULL;
    assert_ok(r);
    return track;
}

static const char *told(const struct verso_clone_track *track, uint64_t told_bytes)
{
    static char text[PAGES + 1];
    struct verso_clone_run run = { 0, 0 };
    uint64_t seen = 0;

    memset(text, '.', PAGES);
    while (verso_clone_track_next(track, run.offset_bytes + run.length_bytes, &run)) {
        assert_true(run.offset_bytes % page == 0 && run.length_bytes % page == 0 && run.length_bytes > 0);
        assert_true(run.offset_bytes + run.length_bytes <= PAGES * page);
        memset(text + run.offset_bytes / page, 'w', run.length_bytes / page);
        seen += run.length_bytes;
    }
    assert_true(seen == told_bytes);
    return text;
}

static const char *look(struct verso_clone_track *track)
{
    uint64_t bytes;

    assert_ok(verso_clone_track_look(track, &bytes));
    return told(track, bytes);
}

static const char *take(struct verso_clone_track *track)
{
    uint64_t bytes;

    assert_ok(verso_clone_track_take(track, &bytes));
    return told(track, bytes);
}

static unsigned read_all(const unsigned char *memory)
{
    unsigned sum = 0;

    for (uint64_t i = 0; i < PAGES; i++)
        sum += *(const volatile unsigned char *)(memory + i * page);
    return sum;
}

#define NOTHING "................"

typedef void case_function(unsigned char *memory, struct verso_clone_track *track, unsigned method);

static void by_each_method_over(const struct subject *subject, case_function *function)
{
    for (unsigned method = VERSO_CLONE_TRACK_KERNEL; method <= VERSO_CLONE_TRACK_FAULTS; method++) {
        unsigned char *memory = memory_of(subject);
        struct verso_clone_track *track = tracked(memory, PAGES * page, method);

        if (track)
            function(memory, track, method);
        else
            print_message("# no userfaultfd with asynchronous write-protection here\n");
        verso_clone_track_end(track);
        memset(memory, 1, PAGES * page); /* it is ordinary memory again */
        forget(memory);
    }
}

static void everywhere(case_function *function)
{
    for (size_t i = 0; i < SUBJECTS; i++) {
        print_message("# over: %s\n", subjects[i].name);
        by_each_method_over(&subjects[i], function);
    }
}

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
    for (unsigned method = VERSO_CLONE_TRACK_KERNEL; method <= VERSO_CLONE_TRACK_FAULTS; method++) {
        unsigned char *memory = memory_of(&subjects[0]);
        struct verso_clone_track *track = tracked(memory, PAGES * page, method);

        if (track)
            part(memory, track, method);
        forget(memory);
    }
}

/* Several mappings, one of them read-only: it stays so, and stores to it are wrong as before. */
static void several(unsigned char *memory, struct verso_clone_track *track, unsigned method)
{
    verso_clone_track_end(track);
    assert_int_equal(mprotect(memory + 4 * page, 4 * page, PROT_READ), 0);
    assert_int_equal(mprotect(memory + 12 * page, page, PROT_READ | PROT_WRITE | PROT_EXEC), 0);
    assert_ok(verso_clone_track_begin(memory, PAGES * page, method, &track));
    memory[0] = memory[9 * page] = memory[12 * page] = 1;
    assert_string_equal(take(track), "w........w..w...");
    verso_clone_track_end(track);
    memory[1] = memory[10 * page] = memory[12 * page] = 1;
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

static void test_several_mappings(void **state)
{
    (void)state;
    for (unsigned method = VERSO_CLONE_TRACK_KERNEL; method <= VERSO_CLONE_TRACK_FAULTS; method++) {
        unsigned char *memory = memory_of(&subjects[0]);
        struct verso_clone_track *track = tracked(memory, PAGES * page, method);
        int status;

        if (track) {
            several(memory, track, method);
            status = support_child(store_where_it_is_wrong, memory + 4 * page);
            assert_true(support_is_asan() || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
            status = support_child(tracked_store_where_it_is_wrong, memory);
            assert_true(support_is_asan() || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV));
        }
        forget(memory);
    }
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
    for (unsigned method = VERSO_CLONE_TRACK_KERNEL; method <= VERSO_CLONE_TRACK_FAULTS; method++) {
        unsigned char *memory = memory_of(&subjects[0]);
        struct verso_clone_track *track = tracked(memory, PAGES * page, method);

        if (track)
            busy(memory, track, method);
        forget(memory);
    }
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
    for (unsigned method = VERSO_CLONE_TRACK_KERNEL; method <= VERSO_CLONE_TRACK_FAULTS; method++) {
        unsigned char *memory = memory_of(&subjects[0]);
        struct verso_clone_track *track = tracked(memory, PAGES * page, method);

        if (track)
            ended_around_a_hole(memory, track, method);
        forget(memory);
    }
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
    for (unsigned method = VERSO_CLONE_TRACK_KERNEL; method <= VERSO_CLONE_TRACK_FAULTS; method++) {
        unsigned char *memory = memory_of(&subjects[0]);
        struct verso_clone_track *track = tracked(memory, PAGES * page, method);

        if (track)
            lives_on(memory, track, method);
        forget(memory);
    }
}

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

/* The files behind the subjects; they are open until the process ends. */
static int make_subjects(void **state)
{
    int r = support_setup(state);

    for (size_t i = 2; i < SUBJECTS; i++) {
        if (i < 4)
            subjects[i].fd = memfd_create("subject", MFD_CLOEXEC);
        else
            subjects[i].fd = open(support_file(i == 4 ? "shared" : "private", 0), O_RDWR | O_CLOEXEC);
        if (subjects[i].fd < 0 || ftruncate(subjects[i].fd, (off_t)(PAGES * page)) < 0)
            return -1;
    }
    return r;
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
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_nothing_is_left_behind),
        cmocka_unit_test(test_as_many_as_there_is_room),
    };

    page = verso_page_bytes();
    return cmocka_run_group_tests(list, make_subjects, support_teardown);
}
