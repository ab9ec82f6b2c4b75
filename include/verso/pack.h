/* SPDX-License-Identifier: MIT */
/*
 * pack.h - thousands of files as memory, in one call and a few mappings.
 *
 * A mapping per file costs a system call, a TLB flush and one of the 65,530 mappings a process may have
 * (vm.max_map_count). A pack lays small files side by side in one span and maps only the large ones:
 *
 *      | a.txt 0| b.json 0| c.txt 0|..padding..| big.bin (mapped)        |
 *      ^ 64-byte aligned, read in               ^ page aligned, its own mapping
 *
 * Read-in files are followed by at least one NUL byte, so their text may be used as a C string; mapped ones are not
 * always (entry.terminated says). The whole span is read-only once the pack is open.
 */
#ifndef VERSO_PACK_H
#define VERSO_PACK_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

struct verso_pack;

enum verso_pack_flags {
    VERSO_PACK_STRICT = 1 << 0,   /* the first file that fails fails the call; else its entry carries the error */
    VERSO_PACK_NOFOLLOW = 1 << 1, /* symbolic links are -ELOOP */
};

struct verso_pack_options {
    size_t struct_bytes;
    uint64_t map_above_bytes; /* files of this size and more are mapped; 0: 1 MiB; UINT64_MAX: never */
    size_t mapping_count_max; /* at most this many mappings, the largest files first; 0: 1,000 */
    uint64_t read_bytes_max;  /* most to read in altogether; 0: 1 GiB. Beyond: VERSO_E_TOO_LARGE */
    unsigned flags;           /* enum verso_pack_flags */
    unsigned thread_count;    /* threads that read; 0 or 1: the caller's alone; at most 64 */
};
#define VERSO_PACK_OPTIONS_INIT                          \
    {                                                    \
        sizeof(struct verso_pack_options), 0, 0, 0, 0, 0 \
    }

/* One file of a pack. */
struct verso_pack_entry {
    const void *data; /* never NULL when error is 0 */
    size_t bytes;
    int error;      /* 0, or why this file is not here: -ENOENT, -EISDIR, ... */
    int mapped;     /* 1: its own mapping of the file (may be torn, see guard.h); 0: read in, a private copy */
    int terminated; /* 1: data[bytes] may be read and is NUL */
};

/**
 * verso_pack_open() - bring many files into memory at once
 * @paths, @count: which; the order is kept
 *
 * A file that grows or shrinks while being read in is taken as far as it then went; special files (/proc, pipes
 * excepted) are read to their end; one that alone has more than read_bytes_max has VERSO_E_TOO_LARGE in its entry.
 *
 * Owns:    you own *out_pack until verso_pack_close(). @paths is borrowed for the call; @options too.
 * Errors:  VERSO_E_OPTIONS; VERSO_E_TOO_LARGE; VERSO_E_OVERFLOW (read_bytes_max is more than addresses can reach);
 *          -ENOMEM; with STRICT: the first failing file's error, its path in the
 *          record. 0 files are an empty pack.
 * Threads: any. An open pack may be read by all.
 */
VERSO_API VERSO_MUST_CHECK int verso_pack_open(const char *const *paths, size_t count,
                                               const struct verso_pack_options *options, struct verso_pack **out_pack);

/** verso_pack_close() - unmap all. Takes NULL; cannot fail. */
VERSO_API void verso_pack_close(struct verso_pack *pack);

/** verso_pack_count() - how many files were asked for. */
VERSO_API size_t verso_pack_count(const struct verso_pack *pack);

/**
 * verso_pack_entry() - one file
 *
 * Errors:  VERSO_E_RANGE when @index is not below verso_pack_count(); out_entry->error tells of the file itself.
 * Owns:    the data belongs to the pack.
 * Threads: any.
 */
VERSO_API int verso_pack_entry(const struct verso_pack *pack, size_t index, struct verso_pack_entry *out_entry);

/* What a pack costs. */
struct verso_pack_totals {
    size_t struct_bytes;
    uint64_t span_bytes; /* address space */
    uint64_t read_bytes; /* copied in */
    uint64_t mapped_bytes;
    size_t mapping_count; /* mappings of files, besides the span's own few */
    size_t failed_count;
};
#define VERSO_PACK_TOTALS_INIT                          \
    {                                                   \
        sizeof(struct verso_pack_totals), 0, 0, 0, 0, 0 \
    }

/**
 * verso_pack_totals() - what the whole pack costs
 *
 * Errors:  VERSO_E_OPTIONS when out_totals->struct_bytes is not set by the INIT macro.
 * Threads: any.
 */
VERSO_API int verso_pack_totals(const struct verso_pack *pack, struct verso_pack_totals *out_totals);

VERSO_END_DECLS

#endif
