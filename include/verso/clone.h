/* SPDX-License-Identifier: MIT */
/*
 * clone.h - memory that many share until one of them writes; and which pages were written.
 *
 *      base       |=====|=====|=====|=====|=====|       once in memory: a file, or memory that verso makes
 *                    |     |     |     |     |
 *      clone 1    |  .  |  .  | own |  .  |  .  |       a private view: costs the pages it has written, no more
 *      clone 2    | own |  .  |  .  |  .  | own |
 *
 * A base is opened once. Any number of clones are taken of it, here or in children; each reads the base until it
 * writes, page by page. What a clone has written can be looked at, merged into the base, or dropped. A base that was
 * frozen stays as it is, whoever tries.
 *
 * Between fork()ed processes the base itself is shared memory: all see each other's stores through
 * verso_clone_base_data().
 *
 * The second half, verso_clone_track_*, says of any memory of this process which pages were written since the last
 * time it was asked: for checkpoints, incremental copies, and finding out who writes where.
 *
 * Caveats:
 *   - A clone shows what others store into its base, in pages that it has not written itself. Freeze the base where
 *     that must not be.
 *   - Pages of a clone are promised, not reserved: as after fork(), a machine that runs out of memory may kill.
 *   - A base that is a file can be cut or fail under its clones: see guard.h, which knows of both.
 */
#ifndef VERSO_CLONE_H
#define VERSO_CLONE_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

struct verso_clone_base;
struct verso_clone;
struct verso_clone_track;

/* Neighbouring bytes: whole pages, but for the end of what they are of. */
struct verso_clone_run {
    uint64_t offset_bytes; /* from the start of the clone, or of the tracked memory */
    uint64_t length_bytes;
};

/* ---- Bases ---------------------------------------------------------------------------------------------------- */

enum verso_clone_flags {
    /* The base may be changed: by stores through verso_clone_base_data(), and by merges. */
    VERSO_CLONE_WRITE = 1 << 0,
    /* With WRITE: give the base its memory or disk space now; else holes are filled as they are stored to, and a store
     * that finds none left is a SIGBUS. */
    VERSO_CLONE_ALLOCATE = 1 << 1,
    VERSO_CLONE_NOFOLLOW = 1 << 2, /* -ELOOP when the last part of the path is a symbolic link */
};

/**
 * verso_clone_base_make()    - a base of new memory, all zeros
 * verso_clone_base_open()    - a file as base, as long as it is now
 * verso_clone_base_open_fd() - the same for an open descriptor: a file, or the memory of another process's base
 * @bytes: how long; memory comes in whole pages, the rest of the last one is zeros
 * @flags: enum verso_clone_flags; make() implies WRITE
 *
 * Memory that was made can't change its length. The file of an opened base must not be cut while it is in use.
 *
 * Owns:    you own *out_base until verso_clone_base_close(). @path and @fd are borrowed.
 * Errors:  VERSO_E_RANGE (0 bytes, an empty file); VERSO_E_OVERFLOW (more than can be addressed); VERSO_E_OPTIONS
 *          (unknown flags; ALLOCATE without WRITE); VERSO_E_NOT_MAPPED (pipes, devices, /proc); -EISDIR;
 *          VERSO_E_UNSUPPORTED (files of hugetlbfs; no memory files here); -EBADF (@fd is not open for reading, or,
 *          with WRITE, for writing); -ENOSPC, -ENOMEM (ALLOCATE); -errno of open, fstat, memfd_create, mmap.
 * Threads: any.
 * Source:  memfd_create(2).
 */
VERSO_API VERSO_MUST_CHECK int verso_clone_base_make(uint64_t bytes, unsigned flags,
                                                     struct verso_clone_base **out_base);
VERSO_API VERSO_MUST_CHECK int verso_clone_base_open(const char *path, unsigned flags,
                                                     struct verso_clone_base **out_base);
VERSO_API VERSO_MUST_CHECK int verso_clone_base_open_fd(int fd, unsigned flags, struct verso_clone_base **out_base);

/** verso_clone_base_close() - let go of a base. Takes NULL; cannot fail. Its clones live on, and merge as before. */
VERSO_API void verso_clone_base_close(struct verso_clone_base *base);

/**
 * verso_clone_base_data()  - the base itself, shared: with WRITE, stores reach every clone that has not written there
 * verso_clone_base_bytes() - its length
 * verso_clone_base_fd()    - its descriptor, to hand to another process, which opens it with open_fd()
 *
 * Owns:    the base; valid until it is closed. Do not close the descriptor; it is close-on-exec.
 * Errors:  none.
 * Threads: any.
 */
VERSO_API void *verso_clone_base_data(const struct verso_clone_base *base);
VERSO_API uint64_t verso_clone_base_bytes(const struct verso_clone_base *base);
VERSO_API int verso_clone_base_fd(const struct verso_clone_base *base);

enum verso_clone_frozen {
    VERSO_CLONE_NOT_FROZEN = 0,
    VERSO_CLONE_FROZEN_FOR_OTHERS = 1, /* only shared mappings that exist may store: this one, and those of children */
    VERSO_CLONE_FROZEN = 2,            /* nobody, by no means, this process included */
};

/**
 * verso_clone_base_freeze() - from now on the base stays as it is, for ever
 * @how: FROZEN_FOR_OTHERS or FROZEN
 *
 * With FROZEN verso_clone_base_data() becomes read-only, and merges are refused; nobody may be storing there meanwhile.
 * FROZEN_FOR_OTHERS refuses new writable mappings, write(2), and merges.
 *
 * Errors:  -EBUSY (FROZEN: another process, such as a child made before, has the base mapped for stores, or the kernel
 *          is writing to it; the base is then as it was, but one that was FROZEN_FOR_OTHERS is read-only here);
 *          VERSO_E_UNSUPPORTED (files on disk can't be frozen, nor can memory whose maker forbade it: make a base and
 *          copy the content there); VERSO_E_OPTIONS.
 * Threads: one at a time.
 * Source:  fcntl(2), F_SEAL_WRITE, F_SEAL_FUTURE_WRITE.
 */
VERSO_API VERSO_MUST_CHECK int verso_clone_base_freeze(struct verso_clone_base *base, enum verso_clone_frozen how);

/** verso_clone_base_frozen() - whether it is: enum verso_clone_frozen, also when another process did it. One system
 * call; cannot fail. */
VERSO_API enum verso_clone_frozen verso_clone_base_frozen(const struct verso_clone_base *base);

/* ---- Clones --------------------------------------------------------------------------------------------------- */

/**
 * verso_clone_open() - a private view of a base
 * @offset_bytes: a multiple of verso_page_bytes()
 * @length_bytes: any; 0: to the end of the base
 *
 * Costs one mapping (vm.max_map_count, most often 65,530, limits a process's), and nothing that grows with the length.
 * A child of fork() inherits it: parent and child part page by page, as each writes.
 *
 * Owns:    you own *out_clone until verso_clone_close(). The base may be closed before.
 * Errors:  VERSO_E_RANGE (outside the base, or an unaligned offset); -ENOMEM (address space, or too many mappings).
 * Threads: any, also several at once on one base.
 * Source:  mmap(2), MAP_PRIVATE; `./dev bench clone`.
 */
VERSO_API VERSO_MUST_CHECK int verso_clone_open(struct verso_clone_base *base, uint64_t offset_bytes,
                                                uint64_t length_bytes, struct verso_clone **out_clone);

/** verso_clone_close() - give it back, with all that was written to it and not merged. Takes NULL; cannot fail. */
VERSO_API void verso_clone_close(struct verso_clone *clone);

/**
 * verso_clone_data()  - its memory, readable and writable
 * verso_clone_bytes() - its length
 *
 * Errors:  none.
 * Threads: any.
 */
VERSO_API void *verso_clone_data(const struct verso_clone *clone);
VERSO_API uint64_t verso_clone_bytes(const struct verso_clone *clone);

/* How it was found out which pages a clone has of its own. */
enum verso_clone_source {
    VERSO_CLONE_SOURCE_SCAN = 1,    /* PAGEMAP_SCAN: up to some 10 ms a GiB, less where little is mapped */
    VERSO_CLONE_SOURCE_PAGEMAP = 2, /* /proc/self/pagemap, word by word: some ms a GiB */
    /* No /proc: by comparing all bytes. Pages that were written with what stood there do not count, and somebody
     * storing into the base meanwhile may be taken for the clone's doing. A file must not be cut meanwhile. */
    VERSO_CLONE_SOURCE_COMPARED = 3,
};

/**
 * verso_clone_look() - which pages this clone has of its own
 * @out_own_bytes: how much they are, in whole pages; may be NULL
 *
 * Pages swapped out count. What was found is for verso_clone_next(), until the next look, merge or drop.
 *
 * Errors:  -ENOMEM; -errno of reading /proc.
 * Threads: one at a time for one clone. Stores of other threads while it looks may or may not be told.
 * Source:  PAGEMAP_SCAN (Linux 6.7), else /proc/PID/pagemap.
 */
VERSO_API VERSO_MUST_CHECK int verso_clone_look(struct verso_clone *clone, uint64_t *out_own_bytes);

/** verso_clone_source() - how the last look found out: enum verso_clone_source, 0 before the first */
VERSO_API enum verso_clone_source verso_clone_source(const struct verso_clone *clone);

/**
 * verso_clone_next() - the next run of pages found by the last look
 * @offset_bytes: where to begin; for the next run, the end of the one before
 *
 *     struct verso_clone_run run = { 0, 0 };
 *     while (verso_clone_next(clone, run.offset_bytes + run.length_bytes, &run))
 *         ...
 *
 * Errors:  none; 1, or 0 when there is no more.
 * Threads: as verso_clone_look().
 */
VERSO_API int verso_clone_next(const struct verso_clone *clone, uint64_t offset_bytes, struct verso_clone_run *out_run);

/**
 * verso_clone_merge() - write the pages that this clone has of its own into the base, and let go of them
 * verso_clone_drop()  - let go of them: the clone shows the base again
 * @offset_bytes: a multiple of the page size
 * @length_bytes: a multiple of the page size, or up to the end of the clone; 0: to its end
 *
 * After a merge every clone that has not written these pages shows them; one that has keeps its own, and replaces them
 * when it is merged itself: the last merge wins, by whole pages. Durability of a file is fsync(2)'s. Nobody may be
 * storing into that range of the clone meanwhile: such a store would be lost.
 *
 * Errors:  VERSO_E_RANGE; merge: VERSO_E_READ_ONLY (the base was opened without WRITE, or is frozen); VERSO_E_TORN (the
 *          file has been cut); -ENOSPC, -EDQUOT, -EIO (what was merged before stays so, the rest stays with the clone:
 *          merge again; the record has the offset in the base); as verso_clone_look(). drop: -EINVAL (locked memory).
 * Threads: one at a time for one clone; clones of one base may merge at once, in any order of their pages.
 * Source:  pwrite(2); madvise(2), MADV_DONTNEED.
 */
VERSO_API VERSO_MUST_CHECK int verso_clone_merge(struct verso_clone *clone, uint64_t offset_bytes,
                                                 uint64_t length_bytes);
VERSO_API VERSO_MUST_CHECK int verso_clone_drop(struct verso_clone *clone, uint64_t offset_bytes,
                                                uint64_t length_bytes);

/* ---- Tracking writes ------------------------------------------------------------------------------------------ */

enum verso_clone_track_method {
    VERSO_CLONE_TRACK_BEST = 0, /* KERNEL, else FAULTS */
    /* The kernel notes the first store to each page, by the program or by a system call: some 1 us each. */
    VERSO_CLONE_TRACK_KERNEL = 1,
    /*
     * Pages are made read-only, and a SIGSEGV handler notes the first store to each: some 3-13 us. Until it has been
     * written, a page answers a system call that would store there (read(2) into it) with -EFAULT: see
     * verso_clone_track_touch(). Not for a thread's stack; not under mprotect(2), signals blocked, or a handler of
     * another's over ours that passes nothing on. Pages that are dropped (MADV_DONTNEED) are not told, nor stores to
     * what was mapped anew in their place; the end of tracking gives that the access that was there before.
     */
    VERSO_CLONE_TRACK_FAULTS = 2,
};

/**
 * verso_clone_track_begin() - begin to track which pages of some memory are written
 * @address, @bytes: whole pages of this process, mapped for all that time: verso's or not, anonymous, shared, of a file
 * @method:          enum verso_clone_track_method
 *
 * Pages that were never touched are tracked too; reading is not writing. What counts is stores through these addresses
 * by this process: not those of others into shared memory, nor write(2) to the file. Huge pages are split where they
 * are written, and not made anew while tracked: an answer is exact to a page (of hugetlbfs: to its huge page).
 *
 * FAULTS, also when BEST comes to it, installs a SIGSEGV handler that passes on what is not its own. It stays for as
 * long as the process lives: a thread may have faulted just before its tracking ended.
 *
 * Owns:    you own *out_track until verso_clone_track_end(). The memory stays yours.
 * Errors:  VERSO_E_RANGE (not whole pages, or none); VERSO_E_OVERFLOW; -ENOMEM (part of it is not mapped); -EBUSY (part
 *          of it is tracked already, or registered with another userfaultfd: the kernel allows one); -EMFILE;
 *          VERSO_E_UNSUPPORTED (KERNEL: the record has the cause; needs Linux 6.7, and a container that allows
 *          userfaultfd); -ENOSPC (FAULTS: more than 256 at once); VERSO_E_OPTIONS.
 * Threads: any. For exactness no thread should be storing there while it begins: such stores may go untold.
 * Source:  userfaultfd(2), UFFD_FEATURE_WP_ASYNC; PAGEMAP_SCAN; mprotect(2).
 */
VERSO_API VERSO_MUST_CHECK int verso_clone_track_begin(void *address, uint64_t bytes, unsigned method,
                                                       struct verso_clone_track **out_track);

/**
 * verso_clone_track_end() - track no longer
 *
 * Takes NULL; cannot fail. Other threads may go on storing. A child of fork() ends what it inherited as well; by FAULTS
 * it must, before it can begin its own there.
 */
VERSO_API void verso_clone_track_end(struct verso_clone_track *track);

/**
 * verso_clone_track_look() - which pages were written since the last take (or the beginning)
 * verso_clone_track_take() - the same, and begin anew: from here on they count as unwritten
 * @out_written_bytes: how much they are, in whole pages; may be NULL
 *
 * Threads may store all the time. No store is lost: one that was done when take returns is in this answer or in the
 * next. So whoever copies the pages of an answer after it was given, again and again, has in the end a true copy. A
 * page may be told though nothing changed: dropped and read again, or stored to while take was at it.
 *
 * Errors:  VERSO_E_UNTRACKED (part of the memory was unmapped, moved or mapped anew; or this is a child of the process
 *          that began: tracking is not inherited); -ENOMEM. What was found before a failure is told by the next call.
 * Threads: one at a time for one track.
 * Source:  PAGEMAP_SCAN with PM_SCAN_WP_MATCHING; `./dev bench clone`.
 */
VERSO_API VERSO_MUST_CHECK int verso_clone_track_look(struct verso_clone_track *track, uint64_t *out_written_bytes);
VERSO_API VERSO_MUST_CHECK int verso_clone_track_take(struct verso_clone_track *track, uint64_t *out_written_bytes);

/** verso_clone_track_next() - the next run of the last answer; as verso_clone_next(). */
VERSO_API int verso_clone_track_next(const struct verso_clone_track *track, uint64_t offset_bytes,
                                     struct verso_clone_run *out_run);

/**
 * verso_clone_track_touch() - a system call is going to store here: let it
 * @offset_bytes, @length_bytes: any bytes of the tracked memory
 *
 * With FAULTS the pages become writable and count as written; no take may come between this and the end of the system
 * call. With KERNEL nothing is needed, and nothing is done.
 *
 * Errors:  VERSO_E_RANGE, VERSO_E_UNTRACKED (part of the memory is gone).
 * Threads: any.
 */
VERSO_API VERSO_MUST_CHECK int verso_clone_track_touch(struct verso_clone_track *track, uint64_t offset_bytes,
                                                       uint64_t length_bytes);

struct verso_clone_track_info {
    size_t struct_bytes;
    unsigned method; /* which it is: KERNEL or FAULTS */
    int refused;     /* with FAULTS: what the kernel answered when asked for the better way, negative; 0: not asked */
    const char *refused_step; /* and to what: "userfaultfd", "PAGEMAP_SCAN"; never NULL */
};
#define VERSO_CLONE_TRACK_INFO_INIT                     \
    {                                                   \
        sizeof(struct verso_clone_track_info), 0, 0, "" \
    }

/**
 * verso_clone_track_info() - by which method, and why not by the better one
 *
 * Errors:  VERSO_E_OPTIONS (struct_bytes).
 * Threads: any.
 */
VERSO_API int verso_clone_track_info(const struct verso_clone_track *track, struct verso_clone_track_info *out_info);

VERSO_END_DECLS

#endif
