/* SPDX-License-Identifier: MIT */
/*
 * map.h (inner) - what a map is made of.
 *
 *      base                data                    data + length      mapped end             span end
 *       |------ lead ------|-------- length --------|---- to page ----|---- reserved ---------|
 *       ^ page-aligned                                                  PROT_NONE, GROW only
 *
 * The kernel maps whole pages; callers ask for bytes. So the map begins at the page that holds the first byte and
 * remembers the gap. Which system calls are made when is in the file named after the job: open.c, resize.c, sync.c, ...
 */
#ifndef VERSO_SRC_MAP_H
#define VERSO_SRC_MAP_H

#include "base/fail.h"
#include "guard/guard.h"
#include "os/os.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <verso/map.h>

struct verso_map {
    unsigned char *base;         /* page-aligned start; the empty map points at a page of its own, see open.c */
    size_t lead_bytes;           /* from base to the first byte asked for */
    _Atomic size_t length_bytes; /* what the caller sees; atomic, for readers while a resize goes on */
    _Atomic size_t mapped_bytes; /* from base: whole pages that are mapped */
    size_t span_bytes;           /* from base: whole pages that are ours, mapped or reserved */
    size_t granule_bytes;        /* what the mapping's borders obey: the base page; the huge page for hugetlb memory */
    uint64_t offset_bytes;       /* in the file, of the first byte asked for */
    uint64_t left_bytes;         /* how long a failed resize may have left the file; 0: never */
    unsigned flags;              /* enum verso_map_flags in effect */
    unsigned access;             /* enum verso__os_access now */
    enum verso_map_kind kind;
    enum verso_map_stability stability;
    enum verso_map_pages pages;
    const char *stability_why; /* literals */
    const char *pages_why;
    int fd;               /* kept, owned; -1. The mapping's own open file: both see each write-back error */
    bool path_is_name;    /* @path was given to open (else ask verso__map_path(), which asks the kernel) */
    atomic_bool sealed;   /* mseal: the memory can't be unmapped */
    atomic_bool narrowed; /* verso_map_protect() has changed the access of some pages */
    bool address_is_fixed;
    const char *path;            /* lies behind this struct, in the same allocation; never NULL */
    _Atomic(char *) kernel_path; /* owned; what verso__map_path() found */
    uint64_t device;             /* with inode: which file it was, for opening it again */
    uint64_t inode;
    int lease_fd;                       /* LEASED: an open file of its own that holds the lease; else -1 */
    struct verso__os_file_info witness; /* LEASED: the file as it was when the lease was taken */
    atomic_int poison;                  /* the first failed write-back, -errno; 0 */
    struct verso__guard_range range;    /* in the guard's registry while mapped */
    bool watched;                       /* whether it is */
    unsigned forks;                     /* verso__os_forks() when it was opened */
};

/* Remembers what the kernel calls @fd, for a map that has neither name nor mapping to ask later. */
void verso__map_path_remember(struct verso_map *map, int fd);

/* The file's name for records and reports: as given to open, else what the kernel calls it, else "". Never NULL. */
const char *verso__map_path(const struct verso_map *map);

/* This process is a child, and the map's memory stayed with its parent (NO_FORK): what stands there by now may be
 * anybody's, so it must not be touched, mapped or unmapped. */
bool verso__map_is_left_behind(const struct verso_map *map);

/* What every call on the memory asks first: 0, or -EPERM with a record when the map was left behind. */
int verso__map_check_here(const struct verso_map *map);

/* Bytes of the file that the page at base begins with. */
static inline uint64_t verso__map_base_offset(const struct verso_map *map)
{
    return map->offset_bytes - map->lead_bytes;
}

/*
 * Turns a range of the map in bytes (length 0: to the end) into whole pages of memory. @inside: only pages that lie
 * wholly in the range (for what changes content), else all that it touches. The pages may be none: *out_bytes 0.
 * VERSO_E_RANGE.
 */
int verso__map_pages_of(const struct verso_map *map, uint64_t offset_bytes, uint64_t length_bytes, bool inside,
                        void **out_address, size_t *out_bytes);

/*
 * The map's file, for calls that need a descriptor: the kept one, else opened again by name when it is still the same
 * file.
 * @flags: enum verso__os_open_flags. *out_owned: close it afterwards. VERSO_E_NO_DESCRIPTOR.
 */
int verso__map_descriptor(const struct verso_map *map, unsigned flags, int *out_fd, bool *out_owned);

/*
 * Real disk space for [offset, offset + bytes) of the file, which grows to hold it; data is left alone. @fd: an open
 * file whose position nobody else uses. On failure the file may have grown part of the way. -ENOSPC, -EDQUOT, -EFBIG.
 */
int verso__map_allocate(int fd, uint64_t offset, uint64_t bytes, uint64_t file_bytes);

/*
 * The same for a descriptor that may be somebody else's, too: the search for holes moves the position, so it is opened
 * again; where that can't be, all is asked for without looking. @position_is_ours: no need.
 */
int verso__map_fill_holes(int fd, bool position_is_ours, uint64_t offset, uint64_t bytes, uint64_t file_bytes);

/* After a growth from @before to @wanted bytes that failed, perhaps part of the way: the file gets its size back. */
int verso__map_ungrow(int fd, uint64_t before, uint64_t wanted);

/* Opens by name (enum verso__os_open_flags) without waiting for a FIFO's other end, but for a lease to be given up. */
int verso__map_open_patiently(const char *path, unsigned flags, unsigned mode, int *out_fd);

/*
 * Maps @bytes of @fd from @file_offset at @wanted (for AT and OVER) or anywhere, shared or not as map->flags say, with
 * map->access. For open, resize, remap, refresh.
 */
int verso__map_place(const struct verso_map *map, int fd, uint64_t file_offset, void *wanted, size_t bytes,
                     unsigned os_flags, void **out_address);

/* What the flags NO_CORE, NO_FORK, LOCK and POPULATE want of pages that have just been placed. Bare codes; on
 * failure *out_step and *out_hint are literals for the record. */
int verso__map_dress(struct verso_map *map, void *address, size_t bytes, const char **out_step, const char **out_hint);

/* Tells the guard where the mapped pages are now. -ENOMEM only the first time. */
int verso__map_watch(struct verso_map *map);

/*
 * Brings pages in (populate.c), on any kernel. Bare codes: VERSO_E_TORN (the map is then marked, and *out_offset in the
 * file is told where one can't be had; NULL: no matter), VERSO_E_GUARD, -EINVAL (not accessible so), -ENOMEM.
 */
int verso__map_populate_pages(struct verso_map *map, void *address, size_t bytes, bool for_writing,
                              uint64_t *out_offset);

/* ---- torn.c: pages that can't be had --------------------------------------------------------------------------- */

/* Remembers the lowest torn offset and counts, as the guard does when it meets a fault. */
void verso__map_mark_torn(struct verso_map *map, uint64_t file_offset);

/*
 * Finds the first of some pages that can't be brought in, and marks the map torn there. False when all can, by now.
 * *out_offset: in the file; for pages that are not the map's, or not yet, there is no mark and no offset.
 */
bool verso__map_find_torn(struct verso_map *map, void *address, size_t bytes, bool for_writing, uint64_t *out_offset);

/* Fills the record for pages that can't be had at a file offset, with the reason where it can be found.
 * VERSO_E_TORN. */
int verso__map_fail_torn(const struct verso_map *map, const char *step, uint64_t file_offset, bool for_writing);

/* Fills the record for a range that is not the map's; @code is handed through. */
int verso__map_fail_range(const struct verso_map *map, int code, uint64_t offset_bytes);

/* What resize, remap, protect, ... say of a sealed map, with -EPERM (seal.c). */
extern const char verso__map_sealed_hint[];

/* ---- stability.c: the rungs ----------------------------------------------------------------------------------- */

/*
 * Takes the rung that options ask for, or the next above it that can be had, for a map that is not yet placed but whose
 * offset, length, flags and access are set. @fd: the opened file, borrowed. Sets stability, stability_why, and of a
 * copy kind, pages and granule (lay the pages out again), and adds what the rung implies to flags (GUARDED: SUBSTITUTE
 * and KEEP_FD). *out_fd: what to map instead of @fd, at the same offsets, owned by the caller; what the map keeps is
 * then this one, and device and inode are its; -1: the file itself. On failure *out_failure has all but the path, and
 * nothing is left to undo. VERSO_E_GUARD; VERSO_E_UNSUPPORTED; VERSO_E_TOO_LARGE; VERSO_E_CHANGED; -ENOMEM.
 */
int verso__map_stability_source(struct verso_map *map, int fd, const struct verso_map_options *options, int *out_fd,
                                struct verso__failure *out_failure);

/* Gives up a lease, if there is one. For close, and for open when a later step fails. */
void verso__map_lease_drop(struct verso_map *map);

/* ---- residency.c ---------------------------------------------------------------------------------------------- */

/* Whether mincore tells the truth about this map. Of a file that one may neither write nor own it says "all". */
bool verso__map_mincore_is_true(const struct verso_map *map);

/* ---- huge.c: the ladder of pages ------------------------------------------------------------------------------ */

/* Anonymous zeros for a buffer of at least @bytes, named, on the largest pages that flags (HUGE) ask for and that can
 * be had. Sets granule, pages and pages_why. *out_bytes: whole granules. */
int verso__map_memory(struct verso_map *map, const char *name, size_t bytes, void **out_address, size_t *out_bytes);

/* Reserved address space for file pages, where huge ones fit: congruent to the file's offset modulo the huge page.
 * Place over it with VERSO__OS_MAP_OVER. */
int verso__map_huge_reserve(uint64_t base_offset, size_t bytes, void **out_address);

/* Asks for huge pages in what is mapped, looks whether they came, and sets pages and pages_why. Without HUGE in flags:
 * BASE and "". Never fails: smaller pages are an answer. */
void verso__map_huge_ask(struct verso_map *map);

#endif
