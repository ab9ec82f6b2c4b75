/* SPDX-License-Identifier: MIT */
/*
 * guard.h (inner) - the registry of ranges whose faults are ours.
 *
 * A map adds its range when it opens and drops it when it closes. The fault handler finds a range by address without
 * locks, and leaves word in it: how often it was torn, and the first bad place.
 */
#ifndef VERSO_SRC_GUARD_H
#define VERSO_SRC_GUARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <verso/guard.h>

/* What a map tells the guard, and what the guard leaves for the map. Lives inside the map. */
struct verso__guard_range {
    uintptr_t start; /* whole pages: [start, end) */
    uintptr_t end;
    uint64_t file_offset_bytes; /* of start */
    size_t granule_bytes;       /* of which pages it consists: the base page (as after init), or a hugetlb page */
    /* May change while the range is in: */
    _Atomic int fd;          /* for substitution: asked for the file's size in the handler; else -1 */
    _Atomic bool substitute; /* a fault becomes zeros */
    _Atomic unsigned access; /* enum verso__os_access of the zeros */
    /* Written by the handler: */
    _Atomic uint64_t torn_offset_bytes; /* the lowest file offset that failed; VERSO_OFFSET_NONE */
    _Atomic uint64_t torn_count;
    uint32_t slot; /* where the registry keeps it; inner */
};

/* Sets up a range that nobody watches yet. */
void verso__guard_range_init(struct verso__guard_range *range);

/*
 * Adds and drops: a few atomic operations, no lock, no system call in the common case. -ENOMEM. Ranges may not overlap.
 * One thread at a time for one range; any number for different ones. While a range is in, its start, end and offset
 * change through verso__guard_range_move() alone: with only the end changed, readers of what stays may go on; else
 * nobody may use the memory meanwhile. Dropping a range that is not in does nothing.
 */
int verso__guard_range_add(struct verso__guard_range *range);
void verso__guard_range_drop(struct verso__guard_range *range);
void verso__guard_range_move(struct verso__guard_range *range, uintptr_t start, uintptr_t end,
                             uint64_t file_offset_bytes);

/* Runs @function under guard for @range (NULL: any). VERSO_E_TORN without a record: the caller knows the path.
 * *out_offset: in the file. */
int verso__guard_run(struct verso__guard_range *range, verso_guard_function *function, void *arg, uint64_t *out_offset);

/* Whether verso_guard_install() has been called more often than remove. Cheap: no system call. */
bool verso__guard_is_active(void);

/* Whether a fault of this thread would get to the guard now: nobody is over it, and SIGBUS is not blocked, which would
 * end the process. */
bool verso__guard_meets_faults(void);

#endif
