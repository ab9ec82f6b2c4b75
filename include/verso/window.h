/* SPDX-License-Identifier: MIT */
/*
 * window.h - a file of any size through a window of a fixed size.
 *
 *          file   |.......|=========|..............................|
 *                          ^ window: at most budget_bytes mapped
 *
 * For files larger than memory, for 32-bit address spaces, and for programs that must not grow: never more than the
 * budget is in use, and what has been passed is given back (unmapped; written pages are sent on their way to the disk).
 * While the window moves, the new place is mapped before the old one is let go, so that a failed move loses nothing.
 */
#ifndef VERSO_WINDOW_H
#define VERSO_WINDOW_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

struct verso_window;

enum verso_window_flags {
    VERSO_WINDOW_WRITE = 1 << 0,  /* stores reach the file */
    VERSO_WINDOW_CREATE = 1 << 1, /* with WRITE: make the file (mode 0600) */
    VERSO_WINDOW_EXTEND =
        1 << 2, /* with WRITE: a view past the end grows the file, with disk space (-ENOSPC, never SIGBUS) */
    VERSO_WINDOW_DROP = 1 << 3, /* what has been passed also leaves the page cache, if this window brought it in */
    VERSO_WINDOW_NOFOLLOW = 1 << 4,
};

struct verso_window_options {
    size_t struct_bytes;
    uint64_t budget_bytes; /* most to have mapped; at least two pages; 0: 64 MiB (16 MiB on 32-bit systems) */
    unsigned flags;        /* enum verso_window_flags */
};
#define VERSO_WINDOW_OPTIONS_INIT                 \
    {                                             \
        sizeof(struct verso_window_options), 0, 0 \
    }

/**
 * verso_window_open()    - open a file to be seen through a window
 * verso_window_open_fd() - the same for an open descriptor, which stays yours and may be closed at once
 *
 * Owns:    you own *out_window until verso_window_close(). @path, @fd, @options are borrowed.
 * Errors:  VERSO_E_OPTIONS (budget under two pages, EXTEND or CREATE without WRITE); VERSO_E_NOT_MAPPED (pipes and
 *          files that can't be mapped: verso_map_open() reads those in); -EISDIR; -errno of open, fstat.
 * Threads: any; the window then belongs to one thread at a time.
 */
VERSO_API VERSO_MUST_CHECK int verso_window_open(const char *path, const struct verso_window_options *options,
                                                 struct verso_window **out_window);
VERSO_API VERSO_MUST_CHECK int verso_window_open_fd(int fd, const struct verso_window_options *options,
                                                    struct verso_window **out_window);

/** verso_window_close() - unmap and close. Takes NULL; cannot fail. Call verso_window_sync() before if stores must be
 * safe. */
VERSO_API void verso_window_close(struct verso_window *window);

/**
 * verso_window_file_bytes() - the file's size in bytes, as last seen
 *
 * The window looks when next() is called, and when a view meets the end it knew.
 */
VERSO_API uint64_t verso_window_file_bytes(const struct verso_window *window);

/**
 * verso_window_view() - these bytes of the file, contiguous
 * @offset_bytes, @length_bytes: any alignment; length at most verso_window_view_bytes_max()
 * @out_data: the first byte; valid until the next view or next
 *
 * Views inside the mapped window cost no system call, with WRITE one for what no neighbouring view has asked for yet:
 * holes under the view are given disk space. With EXTEND, a view past the end grows the file to the view's end; what
 * lies between stays a hole.
 *
 * Errors:  VERSO_E_RANGE (past the end, without EXTEND); VERSO_E_SPAN (longer than the budget allows);
 *          VERSO_E_OVERFLOW; -ENOSPC, -EDQUOT, -EFBIG (EXTEND); -ENOMEM. On failure the last view stays valid.
 * Threads: one at a time.
 */
VERSO_API VERSO_MUST_CHECK int verso_window_view(struct verso_window *window, uint64_t offset_bytes,
                                                 size_t length_bytes, void **out_data);

/** verso_window_view_bytes_max() - the longest view at any alignment: the budget less one page. */
VERSO_API size_t verso_window_view_bytes_max(const struct verso_window *window);

/**
 * verso_window_next() - the next stretch of the file, for reading (or rewriting) it once from start to end
 * @out_data, @out_bytes: the stretch; 0 bytes at the end of the file
 *
 * Begins where the last view or next ended; at first, at 0. Stretches are as long as serves speed, within the budget.
 *
 * Errors:  as verso_window_view(); VERSO_E_TORN (part of the stretch can't be read: it was cut, or its storage failed;
 *          the record has the stretch's offset).
 * Threads: one at a time.
 */
VERSO_API VERSO_MUST_CHECK int verso_window_next(struct verso_window *window, void **out_data, size_t *out_bytes);

/** verso_window_seek() - where the next verso_window_next() begins, in bytes; past the end is the end. Cannot fail. */
VERSO_API void verso_window_seek(struct verso_window *window, uint64_t offset_bytes);

/**
 * verso_window_sync() - all stores made through this window so far are on stable storage
 *
 * Errors:  VERSO_E_POISONED after the first failed write-back, for ever; VERSO_E_READ_ONLY; -EIO, -ENOSPC, -EDQUOT.
 * Threads: one at a time.
 */
VERSO_API VERSO_MUST_CHECK int verso_window_sync(struct verso_window *window);

VERSO_END_DECLS

#endif
