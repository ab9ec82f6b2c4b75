/* SPDX-License-Identifier: MIT */
/*
 * code.h - memory for machine code that is never writable and executable at once (W^X).
 *
 *     static const unsigned char add[] = { 0x48, 0x8d, 0x04, 0x37, 0xc3 };    x86-64: lea rax, [rdi + rsi]; ret
 *     long (*function)(long, long);
 *     const void *block;
 *
 *     if (verso_code_open(NULL, &code) == 0 && verso_code_add(code, add, sizeof(add), &block) == 0) {
 *         memcpy(&function, &block, sizeof(function));
 *         function(40, 2);
 *     }
 *
 * A pool hands out blocks. Code is written through one address and run through another: two views of the same sealed
 * memory, of which neither ever changes what it allows. Writing stops no thread and needs no system call:
 *
 *      view for writing     |####|##|......|     what verso_code_begin() gives, for use until verso_code_end()
 *                             \   \               not inherited by fork()
 *      memory               [####|##|......]     no new writable view (F_SEAL_FUTURE_WRITE), no other size
 *                             /   /
 *      view for running     |####|##|~~~~~~|     the block's address; can't be made writable: mprotect answers EACCES
 *
 * Caveats, most bitten first:
 *   - A block's address is where it runs. Position-dependent code must be made for that address, not for the one that
 *     it is written through.
 *   - What has not been written, and what has been freed, traps (SIGTRAP on x86-64 and aarch64).
 *   - Free a block only when no thread is in it, or will return into it.
 *   - A child of fork() runs the code that was there, and can't change it: every call but close answers -EPERM there.
 *   - The view for writing stays mapped after verso_code_end(), so a stray store through an old cursor still changes
 *     the code. Who can already call mprotect() in the process may even make that view executable; VERSO_CODE_SEAL, or
 *     prctl(PR_SET_MDWE), takes that away.
 *   - The pool keeps a descriptor for each segment. When somebody closes it, the segment gets no more memory: -EBADF.
 */
#ifndef VERSO_CODE_H
#define VERSO_CODE_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

/* A pool of memory for code. */
struct verso_code;

enum verso_code_mode {
    VERSO_CODE_BEST = 0, /* as an option: DUAL, and where the system has no such thing, TOGGLE */
    VERSO_CODE_DUAL = 1, /* two views, as pictured above */
    /* One view; a block can be written to, and then not run, between begin and end: two mprotect(2), and every block
     * has pages of its own, so that the others run on meanwhile. */
    VERSO_CODE_TOGGLE = 2,
};

enum verso_code_flags {
    /* DUAL only: neither view can be unmapped, moved or re-protected by anybody until the process ends (mseal); close
     * then leaves them where they are. */
    VERSO_CODE_SEAL = 1 << 0,
};

/* How the pool is to be. Start from VERSO_CODE_OPTIONS_INIT; 0 always means "the default". */
struct verso_code_options {
    size_t struct_bytes;
    uint64_t segment_bytes;   /* addresses are reserved in pieces of this; 0: 16 MiB (1 MiB on 32-bit systems). Memory
                                 is taken as it is used, 64 KiB at a time */
    uint64_t total_bytes_max; /* most addresses to reserve in all; 0: as many as can be had */
    const void *near_start;   /* code that every block must reach, and be reached from, by a direct call; NULL: any */
    uint64_t near_bytes;      /* and how long that code is */
    uint64_t reach_bytes; /* how far a direct call goes; 0: as this CPU has it: 2 GiB on x86-64, 128 MiB on aarch64 */
    const char *dump_directory; /* where to write jit-PID.dump for perf, see verso_code_name(); NULL: nowhere */
    const char *name;           /* shown in /proc/PID/maps; NULL: "verso-code" */
    unsigned mode;              /* enum verso_code_mode: BEST, or exactly this one */
    unsigned flags;             /* enum verso_code_flags */
};
#define VERSO_CODE_OPTIONS_INIT                                               \
    {                                                                         \
        sizeof(struct verso_code_options), 0, 0, NULL, 0, 0, NULL, NULL, 0, 0 \
    }

/**
 * verso_code_open() - a pool of memory for code
 * @options:  may be NULL
 * @out_code: the pool; untouched on failure
 *
 * Reserves the first segment; further ones are reserved as blocks need them. With near_start the room is taken from
 * what is free around it now, so open the pool early.
 *
 * Owns:    you own *out_code until verso_code_close(). @options is borrowed.
 * Errors:  VERSO_E_OPTIONS (SEAL with TOGGLE; an unknown flag or mode; a segment larger than the reach or than
 *          total_bytes_max); VERSO_E_OVERFLOW; VERSO_E_EXEC (a policy forbids executable memory, or, with mode DUAL,
 *          two views of it; the record has its -errno as cause); VERSO_E_UNSUPPORTED (mode DUAL where there are no
 *          sealed files of memory; SEAL before Linux 6.10); VERSO_E_NEAR (no room within reach of near_start); -EEXIST
 *          (the dump is there already: one pool to a directory); -EACCES, -ENOENT ... of making it; -ENOMEM, -EMFILE.
 * Threads: any.
 * Source:  memfd_create(2), fcntl(2) (seals), mseal(2), madvise(2) (MADV_DONTFORK, MADV_WIPEONFORK), membarrier(2).
 */
VERSO_API VERSO_MUST_CHECK int verso_code_open(const struct verso_code_options *options, struct verso_code **out_code);

/**
 * verso_code_close() - give all blocks back, and the pool
 *
 * Takes NULL; cannot fail. In a child of fork() it takes away what the child has of the pool, unless another thread was
 * using the pool at that moment. A dump stays in its directory: perf reads it afterwards.
 *
 * Threads: no other thread may use the pool, or run code in it.
 */
VERSO_API void verso_code_close(struct verso_code *code);

/**
 * verso_code_alloc() - a block of memory for code
 * @bytes:     at least one
 * @out_block: where the code will run; its address is a multiple of the granule (64 bytes; a page with TOGGLE)
 *
 * The block is full of traps, and can be written to between verso_code_begin() and verso_code_end(). Freed memory is
 * used again, the lowest addresses first; where it held code, only after every thread has been made to forget what it
 * had fetched of it (membarrier(2), once for many blocks).
 *
 * Units:   bytes; rounded up to whole granules.
 * Owns:    the pool, until verso_code_free() or verso_code_close().
 * Errors:  VERSO_E_RANGE (0 bytes); VERSO_E_OVERFLOW; VERSO_E_TOO_LARGE (total_bytes_max); VERSO_E_NEAR (a further
 *          segment has no room within reach); -ENOMEM, -EMFILE; -EBADF (somebody closed a descriptor of the pool's);
 *          -EPERM (in a child of fork()).
 * Threads: any.
 */
VERSO_API VERSO_MUST_CHECK int verso_code_alloc(struct verso_code *code, size_t bytes, const void **out_block);

/**
 * verso_code_begin() - start writing to a block
 * verso_code_end()   - stop writing: from now on it can be run
 * @block:     as verso_code_alloc() gave it
 * @out_write: where to write the block's bytes; valid until verso_code_end()
 *
 * The end makes this thread and every other see the new code: instruction caches are flushed; where the CPU needs more,
 * or where the block had been run before, all threads of the process pass a barrier (membarrier(2), SYNC_CORE). Handing
 * the address to another thread is the caller's: a store with release and a load with acquire order, or a lock.
 *
 * A block that has been run may be written again. With DUAL, threads that run it meanwhile see the stores in any order,
 * byte by byte, so it should be one that nobody runs; with TOGGLE they meet SIGSEGV.
 *
 * Errors:  VERSO_E_RANGE (no block of this pool begins there); -EBUSY (begin: somebody is writing to it); -EINVAL (end:
 *          nobody is); -EPERM (in a child of fork()); with TOGGLE VERSO_E_EXEC, -ENOMEM of mprotect; -ENOMEM of
 *          membarrier. After a failed end the block can be neither run nor written: call it again.
 * Threads: any; different blocks at the same time.
 * Source:  Intel SDM vol. 3, "Handling Self- and Cross-Modifying Code"; Arm ARM, "Concurrent modification and execution
 *          of instructions"; membarrier(2).
 */
VERSO_API VERSO_MUST_CHECK int verso_code_begin(struct verso_code *code, const void *block, void **out_write);
VERSO_API VERSO_MUST_CHECK int verso_code_end(struct verso_code *code, const void *block);

/**
 * verso_code_add() - a block with this code in it, ready to run: alloc, begin, copy and end in one call
 * @data, @bytes: position-independent machine code, copied
 *
 * Errors:  as those; on failure there is no block.
 * Threads: any.
 */
VERSO_API VERSO_MUST_CHECK int verso_code_add(struct verso_code *code, const void *data, size_t bytes,
                                              const void **out_block);

/**
 * verso_code_shrink() - give back what a block has too much
 * @bytes: what is still needed, at least one; more than the block has is VERSO_E_RANGE
 *
 * Errors:  VERSO_E_RANGE; -EBUSY (somebody is writing to it); -EPERM (in a child); with TOGGLE -errno of mprotect: the
 *          block is as large as it was, but of the part that was to go nothing is promised. Call it again.
 * Threads: any; no thread may be in the part that goes.
 */
VERSO_API VERSO_MUST_CHECK int verso_code_shrink(struct verso_code *code, const void *block, size_t bytes);

/**
 * verso_code_free() - give a block back; NULL does nothing
 *
 * Its memory is filled with traps at once. A segment that becomes empty goes back to the system, unless it is the first
 * one, or sealed.
 *
 * Errors:  as verso_code_shrink(); on failure it is still a block.
 * Threads: any; no thread may be in it, or return into it.
 */
VERSO_API int verso_code_free(struct verso_code *code, const void *block);

/**
 * verso_code_name() - tell perf what a block is called
 * @name: the function's name
 *
 * Writes the block's address, name and bytes, as they are now, to the jitdump that options.dump_directory asked for
 * (jit-PID.dump, mode 0600):
 *
 *     perf record -k mono ./program; perf inject --jit -i perf.data -o named.data; perf report -i named.data
 *
 * The plainer /tmp/perf-PID.map would not do: perf reads that only for memory that is not of a file, and sealed memory
 * is. Without dump_directory nothing is written, and the answer is 0: programs need not ask which.
 *
 * Errors:  VERSO_E_RANGE (no such block); -EBUSY (somebody is writing to it); -EPERM (in a child); -ENOSPC, -EIO ... of
 *          writing the dump.
 * Threads: any.
 * Source:  Linux, tools/perf/Documentation/jitdump-specification.txt.
 */
VERSO_API int verso_code_name(struct verso_code *code, const void *block, const char *name);

/* What the pool got, and what is in it. Initialise struct_bytes by VERSO_CODE_INFO_INIT. */
struct verso_code_info {
    size_t struct_bytes;
    enum verso_code_mode mode;
    const char *mode_why; /* why not DUAL; "" when it is, or was not asked for */
    const char
        *sync_why; /* why other threads' CPUs are not told of changed code; "" when they are. On x86-64 caches are
                             coherent all the same; elsewhere each thread must see to itself (aarch64: ISB) */
    uint64_t granule_bytes;  /* sizes and addresses of blocks are multiples of it */
    uint64_t segments;       /* in use */
    uint64_t reserved_bytes; /* addresses taken, for running */
    uint64_t ready_bytes;    /* of these, with memory behind them */
    uint64_t used_bytes;     /* of these, in blocks */
    uint64_t waiting_bytes;  /* freed, and used again when all threads have passed a barrier */
    uint64_t blocks;
    uint64_t barriers; /* how often they had to, since open */
};
#define VERSO_CODE_INFO_INIT                                                            \
    {                                                                                   \
        sizeof(struct verso_code_info), VERSO_CODE_BEST, "", "", 0, 0, 0, 0, 0, 0, 0, 0 \
    }

/**
 * verso_code_info() - what the pool got, and what is in it
 *
 * Owns:    strings are constants.
 * Errors:  VERSO_E_OPTIONS (out_info->struct_bytes was not set); -EPERM (in a child of fork()).
 * Threads: any.
 */
VERSO_API int verso_code_info(struct verso_code *code, struct verso_code_info *out_info);

VERSO_END_DECLS

#endif
