/* SPDX-License-Identifier: MIT */
/*
 * pages.h - memory from nothing: address space first, memory when it is wanted, guards where none is.
 *
 *     struct verso_pages *pages;
 *     int error = verso_pages_open(1ULL << 40, NULL, &pages);        a terabyte of addresses, no memory
 *     if (error == 0)
 *         error = verso_pages_commit(pages, 0, 64 << 10);            64 KiB of them become memory
 *     unsigned char *bytes = verso_pages_data(pages);
 *
 *     span   |======committed======|....reserved....|G|==committed==|.......reserved......|
 *            ^ verso_pages_data()                    ^ a guard: any access faults          ^ verso_pages_bytes()
 *
 * Reserved pages cost address space and nothing else: no memory, no commit charge; touching them is SIGSEGV. Committed
 * pages are zeros that may be read and written; the kernel has promised them (see "out of memory" below), and finds
 * each when it is first touched. arena.h and slab.h hand out pieces of such memory; ring.h, code.h and clone.h need
 * other shapes of it.
 *
 * Caveats, most bitten first:
 *   - Out of memory. Every call here answers -ENOMEM; none crashes. But with vm.overcommit_memory 0 (the default) and 1
 *     the kernel promises more than there is, and kills a process when promises fall due. Where that must not be,
 *     verso_pages_populate() or _lock() what you commit, or set vm.overcommit_memory to 2.
 *   - A guard, like any page that must not be touched, answers with SIGSEGV, at the instruction that is wrong. That is
 *     its purpose: verso_guard_run() does not cover it. verso_pages_describe() says what was hit.
 *   - fork() gives the child a copy-on-write copy of it all, unless NO_FORK or WIPE_ON_FORK is asked, or the kind is
 *     another than PRIVATE.
 *   - Kernel mappings are limited (vm.max_map_count, 65,530): neighbouring pages with different access are different
 *     mappings. Guards are not, where the kernel has MADV_GUARD_INSTALL: verso_pages_info() says.
 */
#ifndef VERSO_PAGES_H
#define VERSO_PAGES_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

/* Opaque, so it may grow without an ABI break. */
struct verso_pages;

/* What it is made of. */
enum verso_pages_kind {
    VERSO_PAGES_PRIVATE = 0, /* default: ours, and copied when a child of fork() or we write */
    /* One memory for this process and the children it forks from now on; each commits and guards for itself. Its pages
     * are taken when they are committed, and not when first touched; see clone.h. */
    VERSO_PAGES_SHARED,
    /* The kernel may drop pages when memory is short; they read as zeros again (MAP_DROPPABLE). For caches. Promised by
     * nobody, a child gets zeros, no core dump holds it. */
    VERSO_PAGES_DROPPABLE,
    /* Out of the kernel's own sight: not in its direct map, in no core dump, not swapped, not readable through
     * /proc/PID/mem (memfd_secret). The whole span counts against RLIMIT_MEMLOCK. Children share it: see NO_FORK. For
     * keys. */
    VERSO_PAGES_SECRET,
};

enum verso_pages_flags {
    VERSO_PAGES_COMMIT = 1 << 0,   /* all of it, from the start */
    VERSO_PAGES_POPULATE = 1 << 1, /* whatever is committed is brought in as well */
    VERSO_PAGES_LOCK = 1 << 2,     /* and kept in */
    /* Huge pages where they can be had: hugetlb (with COMMIT only), else THP, else base; verso_pages_info() says. */
    VERSO_PAGES_HUGE = 1 << 3,
    /* One guard page before the span and one behind it, not counted in its size. Without: what stands next to the span
     * is the kernel's choice, and may be memory. */
    VERSO_PAGES_GUARD_ENDS = 1 << 4,
    VERSO_PAGES_NO_CORE = 1 << 5, /* leave it out of core dumps */
    /* A child does not get it: touching it there is SIGSEGV, and calls answer -EPERM, but for close. */
    VERSO_PAGES_NO_FORK = 1 << 6,
    VERSO_PAGES_WIPE_ON_FORK = 1 << 7, /* a child gets zeros; where guards stood, it may get zeros as well */
};

/* What to reserve and how. Start from VERSO_PAGES_OPTIONS_INIT; 0 always means "the default". */
struct verso_pages_options {
    size_t struct_bytes; /* set by the INIT macro; lets this struct grow */
    void *address;       /* where it is to begin, page-aligned; only where nothing stands; NULL: anywhere */
    size_t align_bytes;  /* a power of two that the address is a multiple of; 0: a page (with HUGE: a huge page) */
    /* Shown by verso_pages_describe(), and as [anon:name] in /proc/PID/maps where the kernel names memory: 1 to 79
     * letters, digits, spaces and - _ . : / ; NULL: "verso". */
    const char *name;
    uint64_t nodes; /* bit n: NUMA node n is preferred for its pages; 0: as the thread that touches them */
    unsigned kind;  /* enum verso_pages_kind */
    unsigned flags; /* enum verso_pages_flags */
};
#define VERSO_PAGES_OPTIONS_INIT                                   \
    {                                                              \
        sizeof(struct verso_pages_options), NULL, 0, NULL, 0, 0, 0 \
    }

/**
 * verso_pages_open()  - reserve a span of addresses; with COMMIT, memory
 * verso_pages_close() - give addresses and memory back; takes NULL
 * @bytes: its size; rounded up to whole pages (of the pool, when those were got)
 *
 * Owns:    you own *out_pages until verso_pages_close(); the memory's address is invalid afterwards.
 * Errors:  VERSO_E_OPTIONS; VERSO_E_RANGE (0 bytes); VERSO_E_OVERFLOW (more than can be addressed); -EEXIST (something
 *          stands at address); -ENOMEM (no such span is free, ulimit -v, vm.max_map_count, or the kernel will not
 *          promise that much: the hint says which); -EAGAIN, -EPERM (LOCK and SECRET: RLIMIT_MEMLOCK; EPERM also: an
 *          address below vm.mmap_min_addr); -ENOSPC, -EMFILE (SHARED, SECRET: files of memory); VERSO_E_UNSUPPORTED
 *          (this kernel has no such kind). close: none.
 * Threads: any; close when no other thread uses it.
 * Source:  mmap(2); memfd_secret(2); `verso doctor`.
 */
VERSO_API VERSO_MUST_CHECK int verso_pages_open(uint64_t bytes, const struct verso_pages_options *options,
                                                struct verso_pages **out_pages);
VERSO_API void verso_pages_close(struct verso_pages *pages);

/**
 * verso_pages_data()  - the first byte of the span; never NULL
 * verso_pages_bytes() - the size of the span in bytes
 *
 * Threads: any. The address stays until close, unless verso_pages_resize() was allowed to move it.
 */
VERSO_API void *verso_pages_data(const struct verso_pages *pages);
VERSO_API size_t verso_pages_bytes(const struct verso_pages *pages);

/**
 * verso_pages_commit()   - make a range memory: readable, writable, zeros where it was not committed before
 * verso_pages_decommit() - make it bare addresses again: its content is gone, its memory and the promise given back
 * @offset_bytes, @length_bytes: of the span, whole pages
 *
 * Each is one system call, unless the range is of several states or a flag of open needs one more. Committing what is
 * committed keeps its content and undoes verso_pages_protect(); guards inside stay guards. Without more memory nothing
 * changes. Decommitting takes guards and advice with it. Of a SECRET kind the kernel keeps the pages until close, as it
 * keeps those of the huge pool for this span; they are wiped.
 *
 * Errors:  VERSO_E_RANGE (outside the span, not whole pages); -ENOMEM (the hint says which limit); -ENOSPC (SHARED: no
 *          memory); -EAGAIN (LOCK); -EPERM (sealed).
 * Threads: any, for ranges that do not overlap.
 * Source:  mmap(2), mprotect(2), vm/overcommit-accounting; cost in `./dev bench guard-pages`.
 */
VERSO_API VERSO_MUST_CHECK int verso_pages_commit(struct verso_pages *pages, uint64_t offset_bytes,
                                                  uint64_t length_bytes);
VERSO_API int verso_pages_decommit(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes);

/**
 * verso_pages_guard()   - turn pages into guards: any access is SIGSEGV, their content is gone
 * verso_pages_unguard() - and back into what they were: committed pages are zeros again
 *
 * With MADV_GUARD_INSTALL (Linux 6.13; for SHARED 6.15) a guard costs a page-table entry: 20,000 of them are still one
 * mapping. Without, or where the kernel refuses it (locked, secret and hugetlb pages), each is a mapping of its own by
 * mprotect; the count is in verso_pages_info(). Pages that were locked by verso_pages_lock() are not any more.
 * Unguarding what is no guard changes nothing.
 *
 * Errors:  VERSO_E_RANGE; -ENOMEM (vm.max_map_count; unguard with LOCK: RLIMIT_MEMLOCK); -ENOSPC (unguard, SHARED: no
 *          memory); -EPERM (sealed).
 * Threads: any, for ranges that do not overlap.
 * Source:  madvise(2), MADV_GUARD_INSTALL; cost in `./dev bench guard-pages`.
 */
VERSO_API VERSO_MUST_CHECK int verso_pages_guard(struct verso_pages *pages, uint64_t offset_bytes,
                                                 uint64_t length_bytes);
VERSO_API int verso_pages_unguard(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes);

enum verso_pages_access {
    VERSO_PAGES_ACCESS_NONE = 1,
    VERSO_PAGES_ACCESS_READ,
    VERSO_PAGES_ACCESS_WRITE, /* and read */
};

/**
 * verso_pages_protect() - change what may be done with committed pages
 *
 * There is no executable access here: code.h keeps W^X.
 *
 * Errors:  VERSO_E_RANGE (also: part of it is not committed); VERSO_E_OPTIONS (no such access); -ENOMEM
 *          (vm.max_map_count); -EPERM (sealed).
 * Threads: any, for ranges that do not overlap; others fault where they no longer may.
 * Source:  mprotect(2).
 */
VERSO_API int verso_pages_protect(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes,
                                  enum verso_pages_access access);

enum verso_pages_advice {
    VERSO_PAGES_ADVICE_NORMAL = 1,
    VERSO_PAGES_ADVICE_COLD,    /* first to go under pressure */
    VERSO_PAGES_ADVICE_PAGEOUT, /* to swap now, where there is any */
    VERSO_PAGES_ADVICE_DISCARD, /* zeros again, memory given back now; still committed (SHARED: without the promise) */
    VERSO_PAGES_ADVICE_FREE,    /* the same, when the kernel needs it; until written again either content may show */
    VERSO_PAGES_ADVICE_HUGE,    /* THP where they fit */
    VERSO_PAGES_ADVICE_NO_HUGE,
    VERSO_PAGES_ADVICE_COLLAPSE, /* huge pages now, of what is there; best effort */
    VERSO_PAGES_ADVICE_MERGE,    /* equal pages may become one (KSM, when it runs) */
};

/**
 * verso_pages_advise()   - say how a range will be used
 * verso_pages_populate() - bring committed pages in now, for writing; failures are errors, not faults
 * verso_pages_lock()     - keep committed pages in memory, and bring them in now
 * verso_pages_unlock()   - let them go
 * @length_bytes: whole pages; 0: to the end of the span
 *
 * Locking guarded or uncommitted pages is an error, and then nothing of the range is locked.
 *
 * Errors:  VERSO_E_RANGE; VERSO_E_OPTIONS; -ENOMEM (populate, lock: part of the range is not committed; RLIMIT_MEMLOCK;
 *          no memory); -EACCES (populate, lock: part of it was protected); -EFAULT (populate, lock: a guard stands
 *          there); -EAGAIN, -EPERM (lock); -EINVAL (advise: this kernel or kind has no such advice, or the pages are
 *          locked); -EHWPOISON. VERSO_PAGES_ADVICE_FREE falls back to DISCARD where the kind has no FREE.
 * Threads: any; DISCARD and FREE change what others see.
 * Source:  madvise(2), mlock(2).
 */
VERSO_API int verso_pages_advise(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes,
                                 enum verso_pages_advice advice);
VERSO_API VERSO_MUST_CHECK int verso_pages_populate(struct verso_pages *pages, uint64_t offset_bytes,
                                                    uint64_t length_bytes);
VERSO_API VERSO_MUST_CHECK int verso_pages_lock(struct verso_pages *pages, uint64_t offset_bytes,
                                                uint64_t length_bytes);
VERSO_API int verso_pages_unlock(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes);

/**
 * verso_pages_resize() - grow or shrink the span
 * @bytes:    the new size, rounded up as in open
 * @may_move: 0: only in place. Else, when the room behind is taken, all pages move to a larger place (the page tables
 *            move, no byte is copied): fetch verso_pages_data() again
 *
 * New pages are reserved; with COMMIT committed. Shrinking gives back what is cut off.
 *
 * Errors:  VERSO_E_SPAN (in place, and the room behind is taken; or its content is several mappings, as several
 *          committed parts are, and kernels before 6.17 move only one; or part of it is being watched, see
 *          clone.h); VERSO_E_RANGE (0); VERSO_E_OVERFLOW; -ENOMEM;
 *          -EPERM (sealed); VERSO_E_UNSUPPORTED (hugetlb, SECRET and SHARED can't grow). On failure all is as before.
 * Threads: one at a time; with may_move no other thread may use the memory.
 * Source:  mremap(2).
 */
VERSO_API VERSO_MUST_CHECK int verso_pages_resize(struct verso_pages *pages, uint64_t bytes, int may_move);

/**
 * verso_pages_seal() - nobody may unmap, move or re-protect this memory while the process lives (mseal)
 *
 * Commit, decommit, guard, protect and resize answer -EPERM from then on, and close keeps the memory.
 *
 * Errors:  VERSO_E_UNSUPPORTED before Linux 6.10 or on 32-bit.
 * Threads: any.
 * Source:  mseal(2).
 */
VERSO_API int verso_pages_seal(struct verso_pages *pages);

/* Which pages hold it. */
enum verso_pages_size {
    VERSO_PAGES_SIZE_BASE = 1,
    VERSO_PAGES_SIZE_THP,     /* huge pages were asked for and are given: tried, and seen in the page table */
    VERSO_PAGES_SIZE_HUGETLB, /* from the reserved pool */
};

/* How guards are made. */
enum verso_pages_guard_method {
    VERSO_PAGES_GUARD_MARKERS = 1, /* MADV_GUARD_INSTALL: no mapping of its own */
    VERSO_PAGES_GUARD_MAPPINGS,    /* mprotect, once one had to be so: a mapping each, two when it splits one */
};

/* What was got. Initialise struct_bytes by VERSO_PAGES_INFO_INIT. */
struct verso_pages_info {
    size_t struct_bytes;
    unsigned kind;  /* enum verso_pages_kind */
    unsigned flags; /* enum verso_pages_flags in effect, those that the kind brings with it as well */
    uint64_t committed_bytes;
    enum verso_pages_size size;
    const char *size_why; /* why not larger pages; "" when got as asked */
    size_t page_bytes;    /* of which commit, guard and the others take whole ones; of hugetlb memory, its page */
    enum verso_pages_guard_method guard_method;
    const char *guard_why; /* why not markers; "" */
    uint64_t guard_count;  /* guard ranges made by mprotect that stand */
    const char *nodes_why; /* why the preferred nodes could not be set; "" */
    int sealed;
};
#define VERSO_PAGES_INFO_INIT                                                                                         \
    {                                                                                                                 \
        sizeof(struct verso_pages_info), 0, 0, 0, VERSO_PAGES_SIZE_BASE, "", 0, VERSO_PAGES_GUARD_MARKERS, "", 0, "", \
            0                                                                                                         \
    }

/**
 * verso_pages_info() - what was got, and why not more
 *
 * Owns:    strings are constants.
 * Errors:  VERSO_E_OPTIONS when out_info->struct_bytes was not set.
 * Threads: any.
 */
VERSO_API int verso_pages_info(const struct verso_pages *pages, struct verso_pages_info *out_info);

/* ---- What is at this address, and why did it fault? ---- */

enum verso_pages_place {
    VERSO_PAGES_PLACE_NOTHING = 1,  /* no mapping: a wild or stale pointer */
    VERSO_PAGES_PLACE_NULL,         /* below vm.mmap_min_addr: NULL, or NULL with a member's offset */
    VERSO_PAGES_PLACE_GUARD,        /* a guard page, of verso or another */
    VERSO_PAGES_PLACE_RESERVED,     /* a span's page that is not committed */
    VERSO_PAGES_PLACE_COMMITTED,    /* a span's memory */
    VERSO_PAGES_PLACE_MAPPING,      /* other memory: heap, stack, file, library */
    VERSO_PAGES_PLACE_BELOW_STACK,  /* below the lowest page of a stack: an overflow */
    VERSO_PAGES_PLACE_NONCANONICAL, /* not an address this machine has: a corrupted pointer */
};

/* What may be done with a mapping. */
enum verso_pages_may {
    VERSO_PAGES_MAY_READ = 1 << 0,
    VERSO_PAGES_MAY_WRITE = 1 << 1,
    VERSO_PAGES_MAY_EXECUTE = 1 << 2,
    VERSO_PAGES_MAY_SHARE = 1 << 3, /* stores are seen by others who map the same */
};

enum verso_pages_try {
    VERSO_PAGES_TRY_NONE = 0, /* just asking */
    VERSO_PAGES_TRY_READ,
    VERSO_PAGES_TRY_WRITE,
    VERSO_PAGES_TRY_EXECUTE,
    VERSO_PAGES_TRY_UNKNOWN, /* it faulted; which access, the machine did not say */
};

struct verso_pages_description {
    size_t struct_bytes;
    enum verso_pages_place place;
    uintptr_t mapping_start; /* [start, end) of the kernel's mapping that holds the address; 0, 0: none */
    uintptr_t mapping_end;
    unsigned access;      /* enum verso_pages_may */
    uintptr_t span_start; /* [start, end) of the verso span that holds it; 0, 0: none */
    uintptr_t span_end;
    int present;     /* 1: a page stands there, 0: none yet, -1: not known */
    int would_fault; /* 1: the access asked about faults there */
    char name[128];  /* of the mapping: path, "[heap]", "[anon:verso]"; "..." at its end when cut */
    char text[384];  /* all of it, with the reason, as one line for people */
};
#define VERSO_PAGES_DESCRIPTION_INIT                                                                   \
    {                                                                                                  \
        sizeof(struct verso_pages_description), VERSO_PAGES_PLACE_NOTHING, 0, 0, 0, 0, 0, 0, 0, "", "" \
    }

/**
 * verso_pages_describe() - what stands at an address of this process, and what an access there does
 * @address: any value at all; it is never touched
 * @attempt: enum verso_pages_try: the access that happened, or would
 *
 * The text reads like: `0x7f21c0410000 is the guard page behind "arena" (64.0 KiB at 0x7f21c0400000, 64.0 KiB
 * committed); writing there runs over the end of what lies before`.
 *
 * Errors:  VERSO_E_OPTIONS (struct_bytes not set, no such attempt); -errno of opening and reading /proc/self/maps. For
 *          the sake of signal handlers these fill no error record.
 * Threads: any; async-signal-safe, with four KiB of stack (the first call of a program that binds names lazily: seven;
 *          verso_pages_report_install() makes it). Reads all mappings below the address: some microseconds,
 *          more in a process with many.
 * Source:  /proc/self/maps; PAGEMAP_SCAN (Linux 6.7), else /proc/self/pagemap; verso's own list of spans.
 */
VERSO_API int verso_pages_describe(const void *address, enum verso_pages_try attempt,
                                   struct verso_pages_description *out_description);

/**
 * verso_pages_report_install() - from now on, a SIGSEGV or SIGBUS first prints what was hit, then takes its course
 * verso_pages_report_remove()  - undo one verso_pages_report_install()
 * @fd: where to print, 2 for stderr; borrowed, and must stay open
 *
 * One line, `verso: pid 4711, thread 4712: SIGSEGV writing 0x7f21c0401000, from 0x401a2b in app+0x1a2b: ...`, written
 * without allocating or locking, on the alternate stack where the thread has one (a stack overflow needs one). Then the
 * earlier action goes on as if nothing had been: a handler, a core dump. A fault that another handler of verso answers
 * (guard.h, clone.h) prints nothing.
 *
 * Errors:  -EBADF (@fd can't be written to); -errno of sigaction; -EBUSY when too many handlers have been stacked.
 *          remove: VERSO_E_GUARD when it was not installed, or another handler is over ours, which then stays beneath.
 * Threads: any; the effect is process-wide.
 * Source:  sigaction(2), signal-safety(7).
 */
VERSO_API int verso_pages_report_install(int fd);
VERSO_API int verso_pages_report_remove(void);

VERSO_END_DECLS

#endif
