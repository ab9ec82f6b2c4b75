/* SPDX-License-Identifier: MIT */
/*
 * inspect.h - seeing memory: address spaces, pages, frames, the page cache, disk extents.
 *
 * Every number carries its source, or the reason that it is missing: a struct verso_number is either known (source says
 * from where) or not (error and why say so). Nothing is guessed, and 0 always means zero.
 *
 * Caveat, the observer's effect: looking can change what is seen. Mapping a file and touching it protects its pages
 * from reclaim, unless the map is VERSO_MAP_ADVICE_RANDOM. These calls say what they touch.
 */
#ifndef VERSO_INSPECT_H
#define VERSO_INSPECT_H

#include <sys/types.h>
#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

/* A number with its source, or without one and the reason. */
struct verso_number {
    uint64_t value;
    int error;          /* 0: known. Else why it is missing: -EPERM, -ENOSYS, ... and value is 0 */
    const char *source; /* "cachestat", "/proc/PID/pagemap"; where it was looked for when missing. Never NULL */
    const char *why;    /* "" when known: else one sentence: "needs root (CAP_SYS_ADMIN)". Never NULL */
};

/* ---- Address spaces ---- */

enum verso_inspect_access {
    VERSO_INSPECT_READ = 1 << 0,
    VERSO_INSPECT_WRITE = 1 << 1,
    VERSO_INSPECT_EXEC = 1 << 2,
    VERSO_INSPECT_SHARED = 1 << 3,
};

/* Sums over a mapping (or several), bytes. */
struct verso_inspect_memory {
    uint64_t resident_bytes;     /* without hugetlb pages: the kernel counts those apart, see huge_bytes */
    uint64_t proportional_bytes; /* each page divided by its users */
    uint64_t shared_clean_bytes;
    uint64_t shared_dirty_bytes;
    uint64_t private_clean_bytes;
    uint64_t private_dirty_bytes;
    uint64_t referenced_bytes;
    uint64_t anonymous_bytes;
    uint64_t swapped_bytes;
    uint64_t locked_bytes;
    uint64_t huge_bytes; /* THP, file huge and hugetlb together */
    uint64_t page_bytes; /* the mapping's own page size; of a sum, the smallest */
};

struct verso_inspect_mapping {
    uint64_t start; /* addresses: [start, end) */
    uint64_t end;
    unsigned access;       /* enum verso_inspect_access */
    uint64_t offset_bytes; /* in the file */
    uint64_t device;       /* with inode: which file; 0 when none */
    uint64_t inode;
    const char *name;  /* path, "[heap]", "[anon:arena]", or "" */
    const char *flags; /* the kernel's two-letter VmFlags, "" without memory */
    int memory_error;  /* 0 when @memory is filled, else why not; -ENODATA: was not asked for */
    struct verso_inspect_memory memory;
};

/* An address space as a list. */
struct verso_inspect_space {
    pid_t pid;
    char command[64];
    size_t count;
    struct verso_inspect_mapping *mappings; /* by address */
    struct verso_inspect_memory total;
    const char *source; /* "/proc/PID/smaps" or "/proc/PID/maps" */
};

enum verso_inspect_space_flags {
    VERSO_INSPECT_SPACE_MEMORY = 1 << 0, /* with memory: the kernel walks the page tables, milliseconds per GiB */
};

/**
 * verso_inspect_space()      - the address space of a process
 * verso_inspect_space_free() - give it back; takes NULL
 * @pid: 0 is this process
 *
 * Owns:    you, verso_inspect_space_free().
 * Errors:  -ESRCH (no such process, or it ended meanwhile), -EACCES or -EPERM (another user's), -ENOMEM. When only the
 *          memory is refused, the list comes without it and each mapping says why.
 * Threads: any.
 * Source:  /proc/PID/maps, smaps.
 */
VERSO_API int verso_inspect_space(pid_t pid, unsigned flags, struct verso_inspect_space **out_space);
VERSO_API void verso_inspect_space_free(struct verso_inspect_space *space);

/**
 * verso_inspect_find() - the one mapping of a process that holds an address
 * @out_mapping: without memory; its name is copied to @out_name
 * @name_room_bytes: size of @out_name; longer names end in "..."
 *
 * Errors:  -ENOENT (nothing there), -ESRCH, -EACCES.
 * Threads: any.
 * Source:  PROCMAP_QUERY (Linux 6.11), else /proc/PID/maps.
 */
VERSO_API int verso_inspect_find(pid_t pid, uint64_t address, struct verso_inspect_mapping *out_mapping, char *out_name,
                                 size_t name_room_bytes);

/* ---- Pages of an address range ---- */

enum verso_inspect_page_state {
    VERSO_INSPECT_PAGE_PRESENT = 1 << 0,
    VERSO_INSPECT_PAGE_SWAPPED = 1 << 1,
    VERSO_INSPECT_PAGE_FILE = 1 << 2,      /* of a file or shared memory; else anonymous */
    VERSO_INSPECT_PAGE_EXCLUSIVE = 1 << 3, /* mapped by this process alone */
    VERSO_INSPECT_PAGE_GUARD = 1 << 4,
    VERSO_INSPECT_PAGE_HUGE = 1 << 5, /* mapped by one huge entry of the page table; needs PAGEMAP_SCAN (Linux 6.7) */
};

struct verso_inspect_page {
    unsigned state; /* enum verso_inspect_page_state */
    uint64_t frame; /* physical frame number; 0 when not present or not allowed to know (see *out_frames_error) */
};

/**
 * verso_inspect_pages() - each page of a range of a process
 * @start:      page-aligned address
 * @count:      how many pages; @out_pages has room for as many
 * @out_frames_error: 0 when frame numbers are true, -EPERM when the kernel hides them (needs CAP_SYS_ADMIN); may be
 * NULL
 *
 * Does not touch the pages. After a failure, @out_pages may hold a part.
 *
 * Errors:  -ESRCH, -EACCES, -EPERM; VERSO_E_RANGE for an unaligned start, or one past the address space.
 * Source:  /proc/PID/pagemap: 6-20 ns a page.
 */
VERSO_API int verso_inspect_pages(pid_t pid, uint64_t start, size_t count, struct verso_inspect_page *out_pages,
                                  int *out_frames_error);

/* A run of neighbouring pages in the same state. */
struct verso_inspect_run {
    uint64_t start;
    uint64_t end;
    unsigned state; /* enum verso_inspect_page_state */
};

/**
 * verso_inspect_runs() - the pages of a range that are present, swapped or guards, as runs
 *
 * Cheaper than pages where memory is sparse or huge. @start and @end are page-aligned. Does not tell EXCLUSIVE.
 * @out_runs: yours, free() it.
 *
 * Errors:  as verso_inspect_pages(); -ENOMEM.
 * Source:  PAGEMAP_SCAN (Linux 6.7), else pagemap.
 */
VERSO_API int verso_inspect_runs(pid_t pid, uint64_t start, uint64_t end, struct verso_inspect_run **out_runs,
                                 size_t *out_count);

/* Guard pages that are no mapping of their own (MADV_GUARD_INSTALL). */
struct verso_inspect_guards {
    struct verso_number pages;
    struct verso_number places; /* runs of neighbouring guards */
};

/**
 * verso_inspect_guards() - how many guard pages a range of a process holds
 * @start, @end: page-aligned addresses
 *
 * Costs a walk of the page tables, and none of what was never touched. Guards made by mprotect are mappings: not here.
 * Kernels that do not tell of guards (before Linux 6.15) leave both numbers missing: that is no failure.
 *
 * Errors:  as verso_inspect_pages().
 * Threads: any.
 * Source:  PAGEMAP_SCAN, PAGE_IS_GUARD.
 */
VERSO_API int verso_inspect_guards(pid_t pid, uint64_t start, uint64_t end, struct verso_inspect_guards *out_guards);

/* ---- Frames ---- */

enum verso_inspect_frame_state {
    VERSO_INSPECT_FRAME_LOCKED = 1 << 0,
    VERSO_INSPECT_FRAME_ERROR = 1 << 1,
    VERSO_INSPECT_FRAME_REFERENCED = 1 << 2,
    VERSO_INSPECT_FRAME_UPTODATE = 1 << 3,
    VERSO_INSPECT_FRAME_DIRTY = 1 << 4,
    VERSO_INSPECT_FRAME_LRU = 1 << 5,
    VERSO_INSPECT_FRAME_ACTIVE = 1 << 6,
    VERSO_INSPECT_FRAME_WRITEBACK = 1 << 7,
    VERSO_INSPECT_FRAME_RECLAIM = 1 << 8,
    VERSO_INSPECT_FRAME_HUGE = 1 << 9,  /* part of a THP or hugetlb page */
    VERSO_INSPECT_FRAME_HEAD = 1 << 10, /* first of a compound page (folio) */
    VERSO_INSPECT_FRAME_TAIL = 1 << 11,
    VERSO_INSPECT_FRAME_ANONYMOUS = 1 << 12,
    VERSO_INSPECT_FRAME_MAPPED = 1 << 13,
    VERSO_INSPECT_FRAME_UNEVICTABLE = 1 << 14,
    VERSO_INSPECT_FRAME_POISONED = 1 << 15,
    VERSO_INSPECT_FRAME_FREE = 1 << 16,
    VERSO_INSPECT_FRAME_ABSENT = 1 << 17, /* a number without memory behind it */
};

struct verso_inspect_frame {
    unsigned state;     /* enum verso_inspect_frame_state */
    uint64_t map_count; /* how often it is mapped, by anybody */
};

/**
 * verso_inspect_frames() - what the kernel says of physical frames
 * @first_frame, @count: neighbouring frames; @out_frames has room for @count, and may hold a part after a failure
 *
 * Errors:  -EACCES or -EPERM without root (CAP_SYS_ADMIN); -ENOENT on kernels without it; VERSO_E_RANGE past the last.
 * Source:  /proc/kpageflags, /proc/kpagecount: 80-240 ns a frame in bulk.
 */
VERSO_API int verso_inspect_frames(uint64_t first_frame, size_t count, struct verso_inspect_frame *out_frames);

/* ---- The page cache of a file ---- */

struct verso_inspect_cache {
    uint64_t file_bytes;
    uint64_t pages; /* of the range */
    struct verso_number cached;
    struct verso_number dirty;
    struct verso_number writeback;
    struct verso_number evicted;
    struct verso_number recently_evicted;
};

/**
 * verso_inspect_cache() - how much of a file's range is in memory
 * @fd: open in any mode; length 0: to the end
 *
 * cachestat where the kernel has and allows it; else mincore for `cached` alone, on a map that is not touched. Where
 * the kernel would say "all" for want of permission (Linux 5.2), the number is missing with that reason.
 *
 * Errors:  -EBADF, -EISDIR, VERSO_E_OVERFLOW; -errno of fstat, mmap.
 */
VERSO_API int verso_inspect_cache(int fd, uint64_t offset_bytes, uint64_t length_bytes,
                                  struct verso_inspect_cache *out_cache);

/* A run of file pages that are all in, or all out of, the page cache. Page numbers count from the file's start. */
struct verso_inspect_cached_run {
    uint64_t first_page;
    uint64_t page_count;
    int cached;
};

/**
 * verso_inspect_cached_runs() - which pages of a file are cached; @out_runs: yours, free() it
 *
 * Errors:  -EPERM when the kernel would not tell the truth; as verso_inspect_cache(); -ENOMEM.
 * Source:  cachestat to find where anything is, mincore there.
 */
VERSO_API int verso_inspect_cached_runs(int fd, uint64_t offset_bytes, uint64_t length_bytes,
                                        struct verso_inspect_cached_run **out_runs, size_t *out_count);

/* ---- The disk blocks of a file ---- */

enum verso_inspect_extent_state {
    VERSO_INSPECT_EXTENT_UNKNOWN = 1 << 0,   /* no address yet or none at all */
    VERSO_INSPECT_EXTENT_DELAYED = 1 << 1,   /* will be allocated at write-back */
    VERSO_INSPECT_EXTENT_UNWRITTEN = 1 << 2, /* allocated, reads as zeros */
    VERSO_INSPECT_EXTENT_SHARED = 1 << 3,    /* with a reflinked file */
    VERSO_INSPECT_EXTENT_INLINE = 1 << 4,    /* inside the inode */
    VERSO_INSPECT_EXTENT_ENCODED = 1 << 5,   /* compressed or encrypted */
};

struct verso_inspect_extent {
    uint64_t file_offset_bytes;
    uint64_t disk_offset_bytes; /* on the file system's device */
    uint64_t length_bytes;
    unsigned state; /* enum verso_inspect_extent_state */
};

/**
 * verso_inspect_extents() - where a file lies on its disk; @out_extents: yours, free() it
 *
 * Gaps between extents are holes. Does not force anything to be written.
 *
 * Errors:  -EOPNOTSUPP (tmpfs, network and virtual file systems: no blocks to tell of), -EBADF, -EISDIR, -ENOMEM.
 * Source:  FIEMAP.
 */
VERSO_API int verso_inspect_extents(int fd, struct verso_inspect_extent **out_extents, size_t *out_count);

/* ---- Who maps a file ---- */

struct verso_inspect_mapper {
    pid_t pid;
    char command[64];
    uint64_t start; /* one row for each mapping of the file */
    uint64_t end;
    uint64_t offset_bytes;
    unsigned access; /* enum verso_inspect_access */
};

/**
 * verso_inspect_mappers() - the mappings of one file in every process one may look at
 * @fd:              the file
 * @out_mappers:     yours, free() it
 * @out_hidden_count: processes that could not be looked into; may be NULL
 *
 * Errors:  -EBADF, -ENOMEM; -errno of reading /proc.
 * Source:  /proc/PID/maps, by device and inode.
 */
VERSO_API int verso_inspect_mappers(int fd, struct verso_inspect_mapper **out_mappers, size_t *out_count,
                                    size_t *out_hidden_count);

/* ---- Processes ---- */

struct verso_inspect_process {
    char command[64];
    uint64_t minor_faults;
    uint64_t major_faults;
    uint64_t resident_bytes;
    uint64_t virtual_bytes;
};

/** verso_inspect_process() - counters of a process; @pid 0: this one. Errors: -ESRCH. Source: /proc/PID/stat. */
VERSO_API int verso_inspect_process(pid_t pid, struct verso_inspect_process *out_process);

VERSO_END_DECLS

#endif
