/* SPDX-License-Identifier: MIT */
/*
 * pages.h (inner) - what a span is made of.
 *
 *      outer   data                                data + bytes
 *       |-G-----|======|~~~~~~~~~|=====|~~~~~~~~~~~~|-G-----|      G: with GUARD_ENDS; else the two are one
 *               ^ committed       ^ committed
 *
 * What is not committed, the guards at the ends as well, is one mapping that may not be touched, without a promise of
 * memory. Committing changes the access of a part, and the kernel charges for it then; giving back maps bare addresses
 * over it, which is the only way to lose the charge. Which pages are what is in runs.h.
 */
#ifndef VERSO_SRC_PAGES_H
#define VERSO_SRC_PAGES_H

#include "base/fail.h"
#include "os/os.h"
#include "pages/runs.h"

#include <stdatomic.h>
#include <verso/pages.h>

#define VERSO__PAGES_NAME_BYTES 80 /* with the NUL; what the kernel takes */

struct verso_pages {
    unsigned char *data;
    _Atomic size_t bytes; /* atomic, for others while it grows */
    unsigned char *outer;
    size_t outer_bytes;
    size_t page_bytes; /* the base page; of hugetlb memory, its page */
    size_t align_bytes;
    unsigned kind;
    unsigned flags; /* enum verso_pages_flags in effect */
    uint64_t nodes;
    enum verso_pages_size size;
    const char *size_why; /* literals */
    const char *nodes_why;
    struct verso__pages_runs runs;   /* under the lock */
    _Atomic unsigned guard_method;   /* enum verso_pages_guard_method: what was last used, or will be */
    _Atomic(const char *) guard_why; /* a literal */
    atomic_bool has_markers;         /* guards have been made that only the page table knows */
    atomic_bool sealed;
    bool is_named; /* the kernel shows our name */
    char name[VERSO__PAGES_NAME_BYTES];
};

/*
 * One thread at a time changes runs and the mappings that they tell of, of any span: the kernel would make them wait
 * for each other all the same.
 */
void verso__pages_lock_take(void);
void verso__pages_lock_give(void);

extern const char verso__pages_sealed_hint[];

/* A failing call's end: fills the record. @hint NULL: the code's own remedy. */
int verso__pages_fail(const struct verso_pages *pages, int code, const char *step, const char *hint);

/*
 * A range of the span in whole pages, as offsets. @to_end: 0 bytes mean all that follows. VERSO_E_RANGE, with the
 * record filled.
 */
int verso__pages_range(const struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes, bool to_end,
                       size_t *out_start, size_t *out_end);

/* What may be done with pages in a state: enum verso__os_access. */
unsigned verso__pages_access_of(unsigned state);

/* Bare addresses over pages: content, charge and guards go. */
int verso__pages_reserve_again(struct verso_pages *pages, size_t start, size_t end);

/* Commits a range: all of it or nothing. Bare codes; the lock is held. */
int verso__pages_commit_range(struct verso_pages *pages, size_t start, size_t end, const char **out_step);

/* Why the kernel answered -ENOMEM to a step that needed @bytes; a literal. */
const char *verso__pages_why_no_memory(uint64_t bytes);

/* Takes over and checks what was asked; the record is filled on failure. */
int verso__pages_options_take(const struct verso_pages_options *given, struct verso_pages_options *out_options);

#endif
