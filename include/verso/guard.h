/* SPDX-License-Identifier: MIT */
/*
 * guard.h - reading and writing maps that may fail under you.
 *
 * A mapped file can be cut short by anybody who may write it, its disk can fail, and a store into a hole can meet a
 * full disk. The kernel answers all of these with SIGBUS, which kills. With the guard installed there are three ways to
 * live:
 *
 *     what you do                       what a fault becomes                cost without a fault
 *     verso_guard_copy() and friends    a short count, exact to the byte    that of memcpy
 *     verso_guard_run(map, fn, arg)     fn is left; VERSO_E_TORN            about 10 ns a call
 *     a map opened with                 zeros from the bad page on; the     nothing at all
 *       VERSO_MAP_SUBSTITUTE            map says torn, and from where
 *
 * The guard acts only on memory that verso mapped. Every other fault goes on to whoever handled it before.
 *
 * Caveats:
 *   - The handler is process-wide. A library that installs its own SIGBUS handler later must pass on what is not its
 *     own, as this one does; verso_guard_state() tells whether ours is still the installed one.
 *   - Inside verso_guard_run() the function is left as by longjmp: what it allocated or locked stays so. Read there;
 *     act outside.
 *   - Such a function ends by returning, or by a fault. One that is left in another way (longjmp, a C++ exception)
 *     takes its scope with it, and the next fault jumps to where nothing is any more.
 *   - A signal handler that meets a fault while such a function is under way makes it be left, too, and the signals
 *     that were blocked for the handler stay blocked. Handlers use verso_guard_copy() and its like, or a scope of their
 *     own.
 *   - A thread that blocks SIGBUS can't be guarded: the kernel kills the process when a fault meets a blocked signal.
 *   - Nothing here covers SIGSEGV: a wrong pointer still stops the program where it is wrong.
 */
#ifndef VERSO_GUARD_H
#define VERSO_GUARD_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

struct verso_map;

/**
 * verso_guard_install() - begin to handle faults in verso's maps
 * verso_guard_remove()  - undo one verso_guard_install()
 *
 * Installs one SIGBUS handler (SA_SIGINFO, SA_ONSTACK, SA_NODEFER; SA_RESTART unless the handler beneath does without).
 * Installing again only counts, unless another handler has been put over ours since: then ours comes on top again, with
 * the other beneath. The last remove puts the earlier action back.
 *
 * Errors:  -errno of sigaction; -EBUSY when others have been put over ours eight times. remove: VERSO_E_GUARD when
 *          never installed, or when another handler has been installed over ours; ours then stays underneath it and
 *          passes everything on.
 * Threads: any; the effect is process-wide.
 * Source:  sigaction(2); mmap(2), NOTES, SIGBUS.
 */
VERSO_API int verso_guard_install(void);
VERSO_API int verso_guard_remove(void);

enum verso_guard_state {
    VERSO_GUARD_ABSENT = 0,   /* not installed */
    VERSO_GUARD_ACTIVE = 1,   /* installed, and the one the kernel calls */
    VERSO_GUARD_REPLACED = 2, /* installed, but another handler has been put over it since */
};

/**
 * verso_guard_state() - whether the guard is installed and still the one the kernel calls
 *
 * Errors:  none; returns an enum verso_guard_state. Costs one system call.
 * Threads: any.
 */
VERSO_API enum verso_guard_state verso_guard_state(void);

/**
 * verso_guard_copy() - memcpy that stops at a fault instead of dying
 * @target, @source: must not overlap; either may lie in a verso map
 * @bytes:           how many
 *
 * Units:   returns the exact count of bytes copied: @bytes, or less when byte number "count" could not be read or
 *          written. After a short count the map is marked torn (verso_map_info()). Bytes past the count are untouched;
 *          only when the file is cut again, further, while the first cut is dealt with, may bytes up to the first have
 *          been stored.
 * Errors:  none besides the short count. Without an active guard a fault kills, as with memcpy.
 * Threads: any.
 * Source:  the kernel's exception tables; cost in `./dev bench guard`.
 */
VERSO_API size_t verso_guard_copy(void *target, const void *source, size_t bytes);

/**
 * verso_guard_fill() - memset that stops at a fault
 *
 * Units, errors, threads: as verso_guard_copy(). A short count here is most often a full disk under a sparse file.
 */
VERSO_API size_t verso_guard_fill(void *target, unsigned char value, size_t bytes);

/* What a scan loop saw. */
struct verso_guard_scan {
    size_t done_bytes;  /* how many bytes were looked at, the match or the difference included */
    size_t found_bytes; /* find: offset of the match; compare: of the first difference; else SIZE_MAX */
    size_t count;       /* count: how many matched among done_bytes */
    int torn;           /* 1 when a fault ended it; done_bytes is then the offset of the byte that can't be had */
};

/**
 * verso_guard_find()    - memchr that stops at a fault
 * verso_guard_count()   - how often a byte value occurs, up to a fault
 * verso_guard_compare() - where two ranges first differ, up to a fault
 *
 * Units:   bytes; see struct verso_guard_scan. Returned by value; nothing to own.
 * Errors, threads: as verso_guard_copy().
 */
VERSO_API struct verso_guard_scan verso_guard_find(const void *data, unsigned char value, size_t bytes);
VERSO_API struct verso_guard_scan verso_guard_count(const void *data, unsigned char value, size_t bytes);
VERSO_API struct verso_guard_scan verso_guard_compare(const void *a, const void *b, size_t bytes);

/* What to run under guard. What it returns is passed on; let it be 0 or positive, so that it can't be taken for an
 * error. */
typedef int verso_guard_function(void *arg);

/**
 * verso_guard_run() - run a function that reads or writes a map; leave it when a fault comes
 * @map:      the map whose faults are meant; NULL: any verso map
 * @function: what to run, on this thread, now
 * @arg:      handed to it
 *
 * Calls may nest; a fault leaves the innermost one that covers its address. A fault outside @map is not ours to leave
 * for.
 *
 * Owns:    nothing. What @function acquired before the fault is not released: see Caveats.
 * Errors:  VERSO_E_TORN when a fault ended it: the record holds the offset in the file and, with @map, its path.
 *          VERSO_E_GUARD when the guard is absent. Else what @function returned.
 * Threads: any; each thread has its own.
 * Source:  sigsetjmp(3) without the signal mask; cost in `./dev bench guard`.
 */
VERSO_API int verso_guard_run(struct verso_map *map, verso_guard_function *function, void *arg);

VERSO_END_DECLS

#endif
