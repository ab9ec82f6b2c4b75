/* SPDX-License-Identifier: MIT */
/*
 * tracks.h - what the tests of tracks share: memory of each kind, and every case by each method.
 *
 * A case gets the memory and a track over it; which of its pages were told is a text: "." and "w".
 */
#ifndef VERSO_TESTS_TRACKS_H
#define VERSO_TESTS_TRACKS_H

#include "support.h"

#include <fcntl.h>
#include <sys/mman.h>
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

static inline unsigned char *memory_of(const struct subject *subject)
{
    void *memory = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, subject->flags, subject->fd, 0);

    assert_ptr_not_equal(memory, MAP_FAILED);
    (void)madvise(memory, PAGES * page, MADV_NOHUGEPAGE); /* EINVAL where there are none */
    return memory;
}

static inline void forget(unsigned char *memory)
{
    assert_int_equal(munmap(memory, PAGES * page), 0);
}

/* NULL where this machine has not the method. */
static inline struct verso_clone_track *tracked(void *memory, uint64_t bytes, unsigned method)
{
    struct verso_clone_track *track = NULL;
    int r = verso_clone_track_begin(memory, bytes, method, &track);

    if (r == VERSO_E_UNSUPPORTED && method == VERSO_CLONE_TRACK_KERNEL)
        return NULL;
    assert_ok(r);
    return track;
}

static inline const char *told(const struct verso_clone_track *track, uint64_t told_bytes)
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

static inline const char *look(struct verso_clone_track *track)
{
    uint64_t bytes;

    assert_ok(verso_clone_track_look(track, &bytes));
    return told(track, bytes);
}

static inline const char *take(struct verso_clone_track *track)
{
    uint64_t bytes;

    assert_ok(verso_clone_track_take(track, &bytes));
    return told(track, bytes);
}

static inline unsigned read_all(const unsigned char *memory)
{
    unsigned sum = 0;

    for (uint64_t i = 0; i < PAGES; i++)
        sum += *(const volatile unsigned char *)(memory + i * page);
    return sum;
}

#define NOTHING "................"

typedef void case_function(unsigned char *memory, struct verso_clone_track *track, unsigned method);

static inline void by_each_method_over(const struct subject *subject, case_function *function)
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

static inline void everywhere(case_function *function)
{
    for (size_t i = 0; i < SUBJECTS; i++) {
        print_message("# over: %s\n", subjects[i].name);
        by_each_method_over(&subjects[i], function);
    }
}

/* Before the first case. The files behind the subjects are open until the process ends. */
static inline int make_subjects(void **state)
{
    int r = support_setup(state);

    page = verso_page_bytes();
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

#endif
