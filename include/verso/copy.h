/* SPDX-License-Identifier: MIT */
/*
 * copy.h - a file from here to there: by the fastest way, never half, and with an account of what was done.
 *
 * The copy is made in a file that has no name, or a temporary one beside the target, and takes the target's name when
 * it is whole:
 *
 *     source ----> a file without a name, or .target.verso-copy ----link, rename----> target
 *                  reflink, else the kernel copies, else through memory; holes stay holes
 *
 * So nobody ever meets half a file, and after any failure the old target is still there. Only what is asked to be done
 * in place (VERSO_COPY_IN_PLACE) works on the target itself, which is the faster way onto a file that is cached; with
 * VERSO_COPY_DELTA it touches only the pages that differ.
 *
 * The fastest way to bytes that must be looked at (checksums, DELTA, DIG_HOLES, RESUME) is a map of the source. A map
 * may fault when the source is cut short, so it is taken for that only in programs that have called
 * verso_guard_install(); in others those bytes are read. So they are with ACCEPT_CHANGED: a map may show one byte to
 * the checksum, and the next to the copy.
 *
 * Caveats:
 *   - A target that is a symbolic link is followed: what it points to is replaced, the link stays. Not so with
 *     NOFOLLOW_TARGET.
 *   - Replacing gives the name to a new file: other hard links of the old target keep the old content, and who has it
 *     open goes on reading that. IN_PLACE changes it for all of them.
 *   - A target that is replaced keeps its permissions, its access control list and extended attributes, and owner and
 *     group where that is allowed; where the group can't be kept, it gets no more than others have, and no list.
 *   - In place, a failure or a cancel leaves the target partly copied: report.done_bytes from its start are done.
 *   - Whether the source changed meanwhile is told by its size and times. Stores through a shared map of another
 *     process show there only when the kernel writes them back; a checksum may then be of other bytes than the
 *     copy has.
 */
#ifndef VERSO_COPY_H
#define VERSO_COPY_H

#include <verso/base.h>
#include <verso/digest.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

enum verso_copy_flags {
    VERSO_COPY_IN_PLACE = 1 << 0,       /* write into the target, which may also be a device, a FIFO, a terminal */
    VERSO_COPY_DELTA = 1 << 1,          /* implies IN_PLACE: compare first, store only into pages that differ */
    VERSO_COPY_NO_REPLACE = 1 << 2,     /* -EEXIST when the target is there */
    VERSO_COPY_NOFOLLOW = 1 << 3,       /* -ELOOP when the source is a symbolic link */
    VERSO_COPY_DURABLE = 1 << 4,        /* returns when file, name and directory are on stable storage */
    VERSO_COPY_VERIFY = 1 << 5,         /* read the target back, past the page cache, and compare checksums */
    VERSO_COPY_RESUME = 1 << 6,         /* keep a journal beside the target; go on where an interrupted copy ended */
    VERSO_COPY_DENSE = 1 << 7,          /* holes become zeros on the disk */
    VERSO_COPY_DIG_HOLES = 1 << 8,      /* pages of zeros become holes, too */
    VERSO_COPY_ACCEPT_CHANGED = 1 << 9, /* keep the copy of a source that changed meanwhile: report.changed says so */
    /* What else the copy gets from the source. Without: a new target gets the source's permissions as umask(2) leaves
     * them, without set-id bits; one that is replaced or written in place keeps its own; times are of now. */
    VERSO_COPY_MODE = 1 << 10, /* permissions, the access control list; set-id bits, where owner and group are equal */
    VERSO_COPY_TIMES = 1 << 11,
    VERSO_COPY_OWNER = 1 << 12,
    VERSO_COPY_XATTRS = 1 << 13,          /* extended attributes: user.*, and what of the others is allowed */
    VERSO_COPY_NOFOLLOW_TARGET = 1 << 14, /* a target that is a symbolic link is itself replaced; IN_PLACE: -ELOOP */
    VERSO_COPY_REGULAR = 1 << 15,         /* -EINVAL when the source is no regular file; never waits for a FIFO */
    VERSO_COPY_ARCHIVE = VERSO_COPY_MODE | VERSO_COPY_TIMES | VERSO_COPY_OWNER | VERSO_COPY_XATTRS,
};

enum verso_copy_reflink {
    VERSO_COPY_REFLINK_AUTO = 0,   /* share the blocks when the file system can */
    VERSO_COPY_REFLINK_ALWAYS = 1, /* or fail: -EOPNOTSUPP, -EXDEV */
    VERSO_COPY_REFLINK_NEVER = 2,  /* blocks of its own: also no copy_file_range(2), which may share them unasked */
};

enum verso_copy_method {
    VERSO_COPY_METHOD_AUTO = 0,
    VERSO_COPY_METHOD_REFLINK = 1, /* reported; ask by verso_copy_reflink */
    VERSO_COPY_METHOD_RANGE = 2,   /* copy_file_range(2): inside the kernel, or on the server */
    VERSO_COPY_METHOD_SPLICE = 3,  /* splice(2), sendfile(2): pipes and devices */
    VERSO_COPY_METHOD_MAPPED = 4,  /* the source mapped, the target written or mapped */
    VERSO_COPY_METHOD_READ = 5,    /* read(2) and write(2) */
};

enum verso_copy_cache {
    VERSO_COPY_CACHE_KEEP = 0,
    VERSO_COPY_CACHE_NEUTRAL = 1, /* pages that were not cached before leave again, the target's once written back */
    VERSO_COPY_CACHE_DROP = 2,    /* both files leave the page cache as they are passed */
};

enum verso_copy_phase {
    VERSO_COPY_LOOKING = 0, /* at what is there already: resume */
    VERSO_COPY_COPYING = 1,
    VERSO_COPY_SYNCING = 2, /* the kernel writes to the disk */
    VERSO_COPY_VERIFYING = 3,
};

struct verso_copy_progress {
    unsigned phase; /* enum verso_copy_phase */
    uint64_t done_bytes;
    uint64_t total_bytes;     /* of this phase; 0: not known */
    uint64_t dirty_bytes;     /* of the target: waiting in memory for the disk; VERSO_OFFSET_NONE: not known */
    uint64_t writeback_bytes; /* of the target: on the way to the disk */
};

/* Called now and then, from the thread that copies; anything but 0 ends the copy: VERSO_E_CANCELLED. */
typedef int verso_copy_progress_function(const struct verso_copy_progress *progress, void *arg);

struct verso_copy_options {
    size_t struct_bytes;
    unsigned flags;   /* enum verso_copy_flags */
    unsigned reflink; /* enum verso_copy_reflink */
    unsigned method;  /* enum verso_copy_method: AUTO, RANGE, SPLICE, MAPPED, READ */
    unsigned cache;   /* enum verso_copy_cache */
    unsigned digest;  /* enum verso_digest_kind: a checksum of what was copied, made in the same pass */
    verso_copy_progress_function *progress;
    void *progress_arg;
};
#define VERSO_COPY_OPTIONS_INIT                                      \
    {                                                                \
        sizeof(struct verso_copy_options), 0, 0, 0, 0, 0, NULL, NULL \
    }

enum verso_copy_verified {
    VERSO_COPY_NOT_VERIFIED = 0,
    VERSO_COPY_VERIFIED_DISK = 1,   /* what was compared came from the disk */
    VERSO_COPY_VERIFIED_MEMORY = 2, /* it came from memory: the file system has no other place (tmpfs), or keeps it */
};

/* What was done. The five kinds of bytes add up to done_bytes. */
struct verso_copy_report {
    size_t struct_bytes;
    uint64_t bytes;           /* the source's size; of a pipe or device, what came out of it */
    uint64_t done_bytes;      /* dealt with; less than bytes after a failure */
    uint64_t reflinked_bytes; /* blocks are shared */
    uint64_t offloaded_bytes; /* copied by the kernel */
    uint64_t hole_bytes;      /* left, or made, as holes */
    uint64_t copied_bytes;    /* came through this process; with DELTA, the pages that differed */
    uint64_t same_bytes;      /* were there already: DELTA, RESUME */
    uint64_t duration_ns;
    struct verso_digest_value digest;
    unsigned method;   /* enum verso_copy_method: what most bytes went through */
    const char *why;   /* one sentence: why that; constant */
    unsigned verified; /* enum verso_copy_verified */
    int changed;       /* 1: the source changed meanwhile */
    int durable;       /* 1: on stable storage */
    unsigned lost;     /* enum verso_copy_flags: which of MODE, TIMES, OWNER, XATTRS could not all be had */
};
#define VERSO_COPY_REPORT_INIT                                                                         \
    {                                                                                                  \
        sizeof(struct verso_copy_report), 0, 0, 0, 0, 0, 0, 0, 0, { 0, 0, { 0 } }, 0, NULL, 0, 0, 0, 0 \
    }

/**
 * verso_copy_file()    - copy one file
 * verso_copy_file_at() - the same with names relative to open directories, or AT_FDCWD
 * @source: a regular file, a device, a pipe
 * @target: its name-to-be; not a directory
 * @options: NULL: the default of each
 * @out_report: what was done, also after a failure; may be NULL. Set struct_bytes (VERSO_COPY_REPORT_INIT)
 *
 * Owns:    nothing is kept. After a failure no temporary file is left; but with RESUME, of files from 1 MiB on, the
 *          part done and its journal, under names that begin with ".<target>.verso-", for the next try. Not so when
 *          the source changed. When the process is killed, no file is left either; but with DURABLE, or where the file
 *          system has no files without names, ".<target>.verso-copy", which the next copy to the target takes away.
 * Errors:  VERSO_E_OPTIONS (also: what can't be had together, and a target that is no file, without IN_PLACE);
 *          VERSO_E_CHANGED (the source changed meanwhile, without ACCEPT_CHANGED: no target was made);
 *          VERSO_E_TORN (it was cut short meanwhile); VERSO_E_VERIFY (what came back from the disk differs: no target
 *          was made); VERSO_E_CANCELLED; VERSO_E_SAME_FILE (source and target are one file); -EISDIR, -EEXIST, -ELOOP;
 *          -ENOSPC, -EDQUOT, -EFBIG, -EIO and what else open, read, write, rename, fsync answer, with path and offset.
 * Threads: any; two copies to one target at once: with RESUME the second gets -EBUSY, else the last one wins, whole.
 * Source:  figures in `./dev bench copy`; ioctl_ficlone(2), copy_file_range(2), rename(2).
 */
VERSO_API VERSO_MUST_CHECK int verso_copy_file(const char *source, const char *target,
                                               const struct verso_copy_options *options,
                                               struct verso_copy_report *out_report);
VERSO_API VERSO_MUST_CHECK int verso_copy_file_at(int source_directory, const char *source, int target_directory,
                                                  const char *target, const struct verso_copy_options *options,
                                                  struct verso_copy_report *out_report);

/**
 * verso_copy_attributes_at() - give a file, directory, symbolic link or device what another has besides content
 * @flags: which of VERSO_COPY_MODE, TIMES, OWNER, XATTRS; symbolic links are not followed
 * @out_lost: which of them could not all be had (not allowed, not known to the file system); may be NULL
 *
 * Errors:  VERSO_E_OPTIONS; -errno when something fails for another reason than that.
 * Threads: any.
 */
VERSO_API VERSO_MUST_CHECK int verso_copy_attributes_at(int source_directory, const char *source, int target_directory,
                                                        const char *target, unsigned flags, unsigned *out_lost);

VERSO_END_DECLS

#endif
