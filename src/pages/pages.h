/* SPDX-License-Identifier: MIT */
/*
 * pages.h (inner) - what a span is made of.
 *
 *      outer   data                                data + bytes
 *       |-G-----|======|~~~~~~~~~|=====|~~~~~~~~~~~~|-G-----|      G: with GUARD_ENDS; else the two are one
 *               ^ committed       ^ committed
 *
 * What is not committed, the guards at the ends as well, may not be touched, and the kernel has promised nothing for
 * it. Committing changes the access of a part, and the kernel charges for it then. Which pages are what is in runs.h;
 * what the memory is made of, and so how it is given back, in backing.c.
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
    size_t page_bytes;  /* the base page; of hugetlb memory, its page */
    size_t align_bytes; /* at least a page */
    unsigned kind;
    unsigned flags; /* enum verso_pages_flags in effect */
    uint64_t nodes;
    int fd;                        /* SHARED, SECRET: the file of memory behind the span; else -1 */
    bool is_named;                 /* the kernel shows our name */
    struct verso__pages_runs runs; /* with the next three, under the lock */
    enum verso_pages_size size;
    const char *size_why; /* literals */
    const char *nodes_why;
    bool huge_is_tried;
    _Atomic unsigned guard_method;   /* enum verso_pages_guard_method: MAPPINGS once one had to be */
    _Atomic(const char *) guard_why; /* a literal */
    atomic_bool has_markers;         /* guards have been made that only the page table knows */
    atomic_bool sealed;
    unsigned forks; /* verso__os_forks() when it was opened */
    uint32_t slot;  /* where the registry keeps it */
    char name[VERSO__PAGES_NAME_BYTES];
};

/* Room for a guard at each end. */
static inline size_t verso__pages_end_bytes(const struct verso_pages *pages)
{
    return pages->flags & VERSO_PAGES_GUARD_ENDS ? verso__os_page_bytes() : 0;
}

/* ---- span.c ----------------------------------------------------------------------------------------------------- */

/*
 * One thread at a time changes runs and the mappings that they tell of, of any span: the kernel would make them wait
 * for each other all the same.
 */
void verso__pages_lock_take(void);
void verso__pages_lock_give(void);

extern const char verso__pages_sealed_hint[];
extern const char verso__pages_left_behind_hint[];

/* This process is a child, and the span's memory stayed with its parent (NO_FORK): what stands there by now may be
 * anybody's, so it must not be touched, mapped or unmapped. */
bool verso__pages_is_left_behind(const struct verso_pages *pages);

/* A failing call's end: fills the record. @hint NULL: the code's own remedy. */
int verso__pages_fail(const struct verso_pages *pages, int code, const char *step, const char *hint);

/*
 * A range of the span in whole pages, as offsets. @to_end: 0 bytes mean all that follows. VERSO_E_RANGE, or -EPERM
 * in a child that has no part of it, with the record filled.
 */
int verso__pages_range(const struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes, bool to_end,
                       size_t *out_start, size_t *out_end);

/* Takes over and checks what was asked (options.c); the record is filled on failure. */
int verso__pages_options_take(const struct verso_pages_options *given, struct verso_pages_options *out_options);

/* Why the kernel refused a step that needed @bytes more (why.c): which limit was met. A literal, or NULL. */
const char *verso__pages_refused(int code, const char *step, uint64_t bytes);

/* ---- place.c: where a span stands ------------------------------------------------------------------------------- */

/*
 * Reserves room for @inner bytes and the guards, at @address or anywhere, and lays the memory of the span's kind there:
 * fills in data, bytes, outer and outer_bytes. On failure nothing stands. VERSO_E_OVERFLOW, -EEXIST, -ENOMEM, ...
 */
int verso__pages_place(struct verso_pages *pages, void *address, size_t inner);

/* ---- backing.c: what the memory is made of; the lock is held. Bare codes. -------------------------------------- */

/* The file of memory behind kinds that need one, of @bytes. VERSO_E_UNSUPPORTED is for callers to say. */
int verso__pages_back(struct verso_pages *pages, size_t bytes);

/* Maps bare pages of the span's kind exactly there: @flags AT or OVER. */
int verso__pages_lay(struct verso_pages *pages, unsigned char *address, size_t bytes, unsigned flags);

/* Has the kernel promise memory for pages that are about to be committed, where making them writable does not. */
int verso__pages_promise(struct verso_pages *pages, size_t start, size_t end);

/* Pages become zeros, and their memory is given back; the access stays. SECRET: committed pages only, and kept. */
int verso__pages_empty(struct verso_pages *pages, size_t start, size_t end);

/* Gives pages the access that the runs say (prepared); what refuses is noted as committed, without any. */
void verso__pages_restore(struct verso_pages *pages, size_t start, size_t end);

/* No access and no content, but still the same mapping. On failure the access is as it was. */
int verso__pages_shut(struct verso_pages *pages, size_t start, size_t end);

/* Bare addresses again: content, promise and guards go. On failure the access is as it was. */
int verso__pages_bare(struct verso_pages *pages, size_t start, size_t end);

/* What the flags want of pages that are about to be committed: core dumps, children, nodes, huge pages. */
int verso__pages_dress(struct verso_pages *pages, size_t start, size_t end);

/* What may be done with pages in a state: enum verso__os_access. */
unsigned verso__pages_access_of(unsigned state);

/* ---- commit.c, populate.c; the lock is held. Bare codes. --------------------------------------------------------- */

/* Commits a range: all of it or nothing. */
int verso__pages_commit_range(struct verso_pages *pages, size_t start, size_t end, const char **out_step);

/* Brings pages in, or locks them as well; none of them is a guard. On failure some may be in, or locked. */
int verso__pages_bring_in(struct verso_pages *pages, size_t start, size_t end, bool locked);

/* ---- guard.c ---------------------------------------------------------------------------------------------------- */

/* Whether guards can be markers here, as far as can be told before trying. *out_why: why not, a literal, or "". */
bool verso__pages_takes_markers(const struct verso_pages *pages, const char **out_why);

/* ---- registry.c: which span holds an address, for who can't wait ------------------------------------------------- */

/* A span as it was when it was found. */
struct verso__pages_place {
    uintptr_t outer_start; /* [outer_start, outer_end) holds the address: the span and the guards at its ends */
    uintptr_t outer_end;
    uintptr_t start; /* the span */
    uintptr_t end;
    uint64_t committed_bytes;
    unsigned kind;           /* enum verso_pages_kind */
    unsigned flags;          /* enum verso_pages_flags in effect */
    size_t page_bytes;       /* of which it consists */
    bool has_guard_mappings; /* a page without access may be a guard, too; else it is reserved (or protected) */
    char name[VERSO__PAGES_NAME_BYTES];
};

/* Finds the span that holds @address, guards at its ends counted. Async-signal-safe; waits for nobody. */
bool verso__pages_find(uintptr_t address, struct verso__pages_place *out_place);

/* Enters a span, and keeps what is known of it true. enter: -ENOMEM. Leaving one that is not in does nothing. */
int verso__pages_enter(struct verso_pages *pages);
void verso__pages_moved(struct verso_pages *pages);
void verso__pages_changed(struct verso_pages *pages); /* what is committed, how guards are made */
void verso__pages_leave(struct verso_pages *pages);

#endif
