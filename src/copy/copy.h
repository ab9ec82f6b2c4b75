/* SPDX-License-Identifier: MIT */
/*
 * copy.h (inner) - one copy under way.
 *
 *   source.c, target.c   the two ends: open, commit, discard; temporary.c: what it is until it is whole
 *   plan.c               which way, and why
 *   content.c            holes and data in turn          reflink.c, range.c   what the kernel does alone
 *   through.c            what comes through here: view.c has the bytes, put.c stores what must be stored
 *   stream.c             what has no size
 *   settle.c             what is done when the content is there: changed? attributes.c, verify.c, on disk
 *
 * A function that fails notes step, path and offset in copy->failure and returns the code; the public edge makes the
 * record of it.
 */
#ifndef VERSO_SRC_COPY_H
#define VERSO_SRC_COPY_H

#include "base/fail.h"
#include "guard/guard.h"
#include "os/os.h"

#include <limits.h>
#include <stdbool.h>
#include <verso/copy.h>

/* What is looked at and stored at once: it stays in the second-level cache between the two. */
#define VERSO__COPY_PIECE_BYTES ((size_t)256 << 10)

/* Files up to this are read and written: two calls, where any cleverness costs more. */
#define VERSO__COPY_SMALL_BYTES ((uint64_t)64 << 10)

/* A file's content from an offset on: out of a map, else read into memory. */
struct verso__copy_view {
    int fd;
    bool may_map;
    struct verso__guard_range range; /* of the map */
    unsigned char *base;             /* the map, NULL: none; whole pages */
    uint64_t map_offset;
    size_t map_bytes;
    unsigned char *buffer;
    size_t buffer_bytes;
};

struct verso__copy_source {
    int directory;
    const char *path;
    int fd;
    struct verso__os_file_info info; /* before the first byte was read */
    bool is_stream;                  /* its size says nothing: a pipe, a device, a file that claims to be empty */
};

struct verso__copy_target {
    int directory;
    const char *path;                /* as given: for messages */
    char name[PATH_MAX];             /* links followed: what gets the copy */
    char temporary[PATH_MAX];        /* "": there is none, or it has no name */
    bool is_unnamed;                 /* what fd is had no name when it was made */
    struct verso__os_file_info info; /* as it was; .kind 0: there was none */
    int fd;
    bool has_offsets;
    uint64_t old_bytes;    /* in place: how much was there; what lies past it reads as a hole */
    uint64_t stored_bytes; /* the end of the last byte stored */
};

/* What of a copy was done before: see journal.c. */
struct verso__copy_record;
struct verso__copy_journal {
    int fd; /* -1: there is none */
    char path[PATH_MAX];
    uint64_t window_bytes;
    uint64_t header_check;
    uint64_t end; /* where the next record goes */
    struct verso__copy_record *records;
    size_t count;
    size_t next;                 /* the record that is looked at next */
    struct verso_digest *window; /* of the window under way */
};

/* Which pages of a file were cached before: one bit each. Without bits: none. */
struct verso__copy_resident {
    unsigned char *bits;
    uint64_t pages;
    bool keeps_all; /* not to be known */
};

struct verso__copy_cache {
    struct verso__copy_resident source;
    struct verso__copy_resident target;
    uint64_t passed; /* up to here it is dealt with */
};

struct verso__copy {
    struct verso_copy_options options;
    struct verso_copy_report report;
    struct verso__failure failure;
    struct verso__copy_source source;
    struct verso__copy_target target;
    struct verso__copy_view from; /* the source's content */
    struct verso__copy_view old;  /* DELTA: the target's */
    struct verso__copy_journal journal;
    struct verso__copy_cache cache;
    uint64_t end;                /* where the source ends, as far as is known */
    unsigned method;             /* enum verso_copy_method: of what is not reflinked */
    bool looks;                  /* every byte must be looked at, so it comes through here */
    struct verso_digest *digest; /* NULL: none is wanted */
    uint64_t told_ns;            /* when progress was told of last */
};

/* ---- The ends ---- */

/* Notes the failure; returns @code. @path: one end's. */
int verso__copy_fail(struct verso__copy *copy, int code, const char *step, const char *path, uint64_t offset_bytes,
                     const char *hint);
int verso__copy_fail_source(struct verso__copy *copy, int code, const char *step, uint64_t offset_bytes);
int verso__copy_fail_target(struct verso__copy *copy, int code, const char *step, uint64_t offset_bytes);

int verso__copy_source_open(struct verso__copy *copy);

/* Follows links, finds what is there, holds it against the source and the options. */
int verso__copy_target_find(struct verso__copy *copy);
/* Opens what the content goes to: the target in place, else a temporary file. */
int verso__copy_target_open(struct verso__copy *copy);
/* Gives the temporary file the target's name. */
int verso__copy_target_commit(struct verso__copy *copy);
/* The directory that it stands in: its path from target->directory on; opened. */
int verso__copy_target_directory_path(const struct verso__copy_target *target, char *out_path, size_t room);
int verso__copy_target_directory(const struct verso__copy_target *target, int *out_fd);
/* Closes; takes away a temporary file that did not get the name, but one that a next try can go on with. */
void verso__copy_target_close(struct verso__copy *copy, int result);
/* Makes the temporary file with @mode: target.fd, and .is_unnamed or .temporary. Nothing is noted. */
int verso__copy_temporary_open(struct verso__copy *copy, unsigned mode);
/* Gives one without a name the target's; or a temporary one, where that is taken and may be replaced. Not noted. */
int verso__copy_temporary_name(struct verso__copy *copy);

/* A regular file that this user made, with one name: nobody has put a link to something else there. */
bool verso__copy_is_ours(const struct verso__os_file_info *info);
/* Whether @path, beside the target, is a name of @fd. */
bool verso__copy_is_named(const struct verso__copy *copy, int fd, const char *path);
/* ".base" and @word beside the target. -ENAMETOOLONG. */
int verso__copy_name_beside(const struct verso__copy_target *target, const char *word, char *out_path, size_t room);

static inline bool verso__copy_wants(const struct verso__copy *copy, unsigned flags)
{
    return (copy->options.flags & flags) != 0;
}

static inline bool verso__copy_in_place(const struct verso__copy *copy)
{
    return verso__copy_wants(copy, VERSO_COPY_IN_PLACE);
}

static inline bool verso__copy_is_source(const struct verso__copy *copy, const struct verso__os_file_info *info)
{
    return info->device == copy->source.info.device && info->inode == copy->source.info.inode;
}

/* ---- The way ---- */

/* VERSO_E_OPTIONS when the options contradict each other. DELTA becomes IN_PLACE, too. */
int verso__copy_options_check(struct verso_copy_options *options);
/* Sets method, looks, report.why. */
void verso__copy_plan(struct verso__copy *copy);

/* ---- The content ---- */

int verso__copy_content(struct verso__copy *copy);
int verso__copy_stream(struct verso__copy *copy);

/* 1: it is done. 0: to be copied. */
int verso__copy_reflink(struct verso__copy *copy);

/* Both from *@at towards @end as far as they come; *@at < @end afterwards without an error: by another way, then, or
 * the source has ended there. */
int verso__copy_range(struct verso__copy *copy, uint64_t *at, uint64_t end);
int verso__copy_through(struct verso__copy *copy, uint64_t *at, uint64_t end);
/* What through does: by windows that are noted in the journal, or at once. */
int verso__copy_windows(struct verso__copy *copy, uint64_t *at, uint64_t end);
int verso__copy_pieces(struct verso__copy *copy, uint64_t *at, uint64_t end);

/* The source has nothing at @offset though it should: why. 0: its size lied, and it ends there (copy->end). */
int verso__copy_ended(struct verso__copy *copy, uint64_t offset);

/* Stores @bytes of @data, as DELTA and DIG_HOLES wish. -EFAULT, not noted: @data can't be had (any more). */
int verso__copy_put(struct verso__copy *copy, const unsigned char *data, uint64_t offset, size_t bytes);
/* A stretch of zeros: a hole, or what DENSE makes of it. */
int verso__copy_put_hole(struct verso__copy *copy, uint64_t offset, uint64_t end);

/* VERSO__COPY_PIECE_BYTES zeros. */
extern const unsigned char verso__copy_zeros[];

/* Adds to the checksum. VERSO_E_TORN, not noted: part of @data can't be had, and the checksum is lost. */
int verso__copy_digest(struct verso__copy *copy, const unsigned char *data, size_t bytes);
void verso__copy_digest_zeros(struct verso__copy *copy, uint64_t bytes);

/*
 * The content at [offset, offset + bytes), at most a piece: *out_data, valid until the next call; *out_bytes < @bytes:
 * the file ends there. What comes from a map may fault: only for the guard, and for system calls.
 */
void verso__copy_view_open(struct verso__copy_view *view, int fd, bool may_map);
int verso__copy_view_at(struct verso__copy_view *view, uint64_t offset, size_t bytes, const unsigned char **out_data,
                        size_t *out_bytes);
/* Reads from now on. */
void verso__copy_view_unmap(struct verso__copy_view *view);
void verso__copy_view_close(struct verso__copy_view *view);

/* What has been dealt with. */
uint64_t verso__copy_done(const struct verso_copy_report *report);

/* ---- Resuming ---- */

/* Files below this are not worth a journal. */
#define VERSO__COPY_JOURNAL_BYTES_MIN ((uint64_t)1 << 20)

/* Opens and locks the journal, and the part that is there or made with @mode as the target's temporary file. */
int verso__copy_journal_open(struct verso__copy *copy, unsigned mode);
/* @is_over: there is nothing to go on with. */
void verso__copy_journal_close(struct verso__copy *copy, bool is_over);

/* ---- The page cache ---- */

/* No single transfer is longer where pages shall leave behind it. */
#define VERSO__COPY_CACHE_STEP_BYTES ((uint64_t)8 << 20)

/* NEUTRAL: looks what is cached, before anything is read. */
int verso__copy_cache_open(struct verso__copy *copy);
void verso__copy_cache_close(struct verso__copy *copy);
int verso__copy_cache_passed(struct verso__copy *copy, uint64_t at);
/* When nothing more is read or written. @is_whole: what was written is to be kept. */
void verso__copy_cache_finish(struct verso__copy *copy, bool is_whole);

/* ---- Beside it ---- */

/* Tells how far it is; VERSO_E_CANCELLED. @always: also when it was told a moment ago. */
int verso__copy_tell(struct verso__copy *copy, unsigned phase, uint64_t done, uint64_t total, bool always);

/* Everything up to @at has been dealt with: the page cache is seen to, and whoever wants to know is told. */
int verso__copy_passed(struct verso__copy *copy, uint64_t at);

/* When the content is there: has the source changed; attributes; verified; on stable storage. */
int verso__copy_settle(struct verso__copy *copy);

/*
 * Writes part of the target back, and waits. The kernel tells each open file of a failed write once: an fsync(2) after
 * this knows of it no more. So it is this call that fails.
 */
int verso__copy_write_back(struct verso__copy *copy, uint64_t offset, uint64_t end);

/* Waits until the target's content is on stable storage; all of the file unless @data_only. */
int verso__copy_sync(struct verso__copy *copy, bool data_only);

/* After the name was given. */
int verso__copy_sync_name(struct verso__copy *copy);

/* Where it is not sure that the group is the one meant: it gets no more than others. */
static inline unsigned verso__copy_mode_for_all(unsigned mode)
{
    return (mode & ~070U) | (mode & 070 & (mode << 3));
}

/* With the flags for verso__copy_attributes(): @source had other content, so not what is said of that. */
#define VERSO__COPY_OF_OLD_CONTENT (1U << 31)

/* -errno for what is no mere "not to be had"; that goes into *lost. */
int verso__copy_attributes(int source, const struct verso__os_file_info *info, int target, unsigned flags,
                           unsigned *lost, const char **out_step);

int verso__copy_verify(struct verso__copy *copy);

#endif
