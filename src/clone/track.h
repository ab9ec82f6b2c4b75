/* SPDX-License-Identifier: MIT */
/*
 * track.h - two ways to learn which pages were written, behind one set of answers.
 *
 *      stores --> kernel's marks    --collect--.
 *                                               >-- found --(take: moved; look: copied)--> told --> next()
 *      stores --> SIGSEGV, our bits --collect--'
 *
 * What was collected stays in @found until it has been told: a collect that fails half way, after the kernel forgot the
 * first half, loses nothing.
 */
#ifndef VERSO_SRC_CLONE_TRACK_H
#define VERSO_SRC_CLONE_TRACK_H

#include "clone/bits.h"

#include <sys/types.h>
#include <verso/clone.h>

struct verso__clone_faults;

struct verso_clone_track {
    uintptr_t start; /* whole pages: [start, start + bytes) */
    uint64_t bytes;
    pid_t owner; /* the process that began: a child's copy of this struct tracks nothing */
    unsigned method;
    int refused;
    const char *refused_step;
    struct verso__clone_bits found;
    struct verso__clone_bits told;
    int watch_fd; /* KERNEL */
    int pagemap_fd;
    bool ask_dropped;                   /* this kernel's first question passes something over */
    struct verso__clone_faults *faults; /* FAULTS */
};

/*
 * begin: on failure nothing is left behind, *out_step says what failed, and there is no record. end: @own says that
 * this is the process that began. collect adds to track->found what was written; with @reset it counts as unwritten
 * from then on.
 */
int verso__clone_kernel_begin(struct verso_clone_track *track, const char **out_step);
void verso__clone_kernel_end(struct verso_clone_track *track, bool own);
int verso__clone_kernel_collect(struct verso_clone_track *track, bool reset);

int verso__clone_faults_begin(struct verso_clone_track *track, const char **out_step);
void verso__clone_faults_end(struct verso_clone_track *track);
void verso__clone_faults_collect(struct verso_clone_track *track, bool reset);

/* Makes pages [first, end) writable, and written. -ENOMEM when they are gone. */
int verso__clone_faults_touch(struct verso_clone_track *track, uint64_t first_page, uint64_t end_page);

#endif
