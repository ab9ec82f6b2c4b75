/* SPDX-License-Identifier: MIT */
/*
 * cache.h - files into the page cache, and out of it. What is in it, inspect.h tells.
 *
 * Neither call leaves a mapping, or marks pages as used: what is fetched and never used is the first to be reclaimed.
 */
#ifndef VERSO_CACHE_H
#define VERSO_CACHE_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

/**
 * verso_cache_fetch() - bring a range of a file into memory, and wait until it is there
 * @fd:          open for reading; its position stays
 * @length_bytes: 0: to the end; what lies past the end is left out
 *
 * The range is faulted in by stretches, mapped for that moment; what can't be mapped is read. Pages that are cached
 * already cost little, but not nothing: verso_inspect_cached_runs() tells which those are. Under memory pressure pages
 * may be gone again by the time the call returns.
 *
 * Errors:  VERSO_E_OVERFLOW; -EBADF (closed, or not open for reading), -EISDIR, -ESPIPE (a pipe or socket), -ENODEV (a
 *          terminal or other character device: it has no cache); -ENOMEM;
 *          -EIO and what else read(2) answers, with the offset in the record.
 * Threads: any; several may fetch parts of one file.
 * Source:  madvise(2) MADV_POPULATE_READ; pread(2) where that fails, and before Linux 5.14.
 */
VERSO_API int verso_cache_fetch(int fd, uint64_t offset_bytes, uint64_t length_bytes);

enum verso_cache_drop_flags {
    VERSO_CACHE_WRITE_BACK = 1 << 0, /* write dirty pages of the range first, and wait: only clean ones can go */
};

/**
 * verso_cache_drop() - let go of a file's cached pages
 * @fd:    open in any mode
 * @length_bytes: 0: to the end
 * @flags: enum verso_cache_drop_flags
 *
 * Drops whole pages that lie in the range. A request, not an order: the kernel keeps, without a word, pages that are
 * dirty, being written or read, locked, or mapped by any process, folios that reach out of the range, and all pages of
 * tmpfs, which has no other place for them. verso_inspect_cache() afterwards says how many stayed. Nothing is ever
 * lost; without WRITE_BACK, write-back of dirty pages is begun but not waited for.
 *
 * Errors:  VERSO_E_OVERFLOW, VERSO_E_OPTIONS (unknown flags); -EBADF, -ESPIPE; of WRITE_BACK -EIO, -ENOSPC, -EDQUOT.
 * Threads: any.
 * Source:  posix_fadvise(2) POSIX_FADV_DONTNEED, sync_file_range(2).
 */
VERSO_API int verso_cache_drop(int fd, uint64_t offset_bytes, uint64_t length_bytes, unsigned flags);

VERSO_END_DECLS

#endif
