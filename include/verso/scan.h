/* SPDX-License-Identifier: MIT */
/*
 * scan.h - one pass through a file, by the fastest way there is to it, for everything you want to know.
 *
 *     verso_scan_open()      a scan: how many threads
 *     verso_scan_want_...()  what to find out: counts, checksums, a histogram
 *     verso_scan_file()      run it: on a path, a descriptor, memory; again and again
 *     verso_scan_result()    what came out, and how it went: method, why, how fast
 *
 * A file is passed in windows, by several threads:
 *
 *     file   |--- window 0 ---|--- window 1 ---|--- window 2 ---|--- window 3 ...
 *               thread A          thread B         thread A
 *
 * Whether a map or read(2) is faster is decided by the size of the pages that hold the file in the page cache: with
 * large ones a map costs nothing (a fault each 2 MiB), with base pages two threads that read win. Nobody can know
 * beforehand, so the scan looks: what is cached, and in which pages; then it chooses, and says why.
 *
 * A file that is cut short, or whose storage fails, meanwhile never ends the program: the result then covers exactly
 * the bytes before the first that could not be had, in every method and with any number of threads.
 *
 * Caveats:
 *   - The scan looks at a file's size when it begins. What is appended later is not seen; the result says that the file
 *     changed (changed). What is rewritten during the pass may be seen before, after, or half.
 *   - Mapped windows need the guard. The scan installs it for as long as it is open, and reads where another handler
 *     has been put over it.
 */
#ifndef VERSO_SCAN_H
#define VERSO_SCAN_H

#include <verso/base.h>
#include <verso/digest.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

struct verso_scan;

/* ---- Opening ---- */

enum verso_scan_method {
    VERSO_SCAN_AUTO = 0,
    VERSO_SCAN_MAPPED = 1, /* windows of the page cache itself; what can't be mapped is read */
    VERSO_SCAN_READ = 2,   /* copied into buffers that stay in the processor's cache */
    VERSO_SCAN_MEMORY = 3, /* reported by verso_scan_memory(); can't be asked for */
};

struct verso_scan_options {
    size_t struct_bytes;
    uint64_t budget_bytes; /* most memory for windows and buffers of all threads; at least 1 MiB; 0: 32 MiB */
    unsigned thread_count; /* at most; 0: one per CPU this process may run on. Small files get one */
    unsigned method;       /* enum verso_scan_method */
};
#define VERSO_SCAN_OPTIONS_INIT                    \
    {                                              \
        sizeof(struct verso_scan_options), 0, 0, 0 \
    }

/**
 * verso_scan_open()  - prepare a scan that wants nothing yet
 * verso_scan_close() - let it go, with its threads; takes NULL, cannot fail
 *
 * Threads are started by the first run on something large enough to need them, and kept until close.
 *
 * Owns:    you own *out_scan until verso_scan_close(). @options is only read.
 * Errors:  VERSO_E_OPTIONS; -ENOMEM; those of verso_guard_install().
 * Threads: a scan belongs to one thread at a time.
 */
VERSO_API VERSO_MUST_CHECK int verso_scan_open(const struct verso_scan_options *options, struct verso_scan **out_scan);
VERSO_API void verso_scan_close(struct verso_scan *scan);

/* ---- What to find out ---- */

enum verso_scan_counts {
    VERSO_SCAN_LINES = 1 << 0,      /* newlines */
    VERSO_SCAN_WORDS = 1 << 1,      /* runs of bytes other than space, \t, \n, \v, \f, \r */
    VERSO_SCAN_LONGEST = 1 << 2,    /* the longest line, in bytes without its newline; the last may lack one */
    VERSO_SCAN_CHARACTERS = 1 << 3, /* bytes that begin a character of UTF-8: all but 10xxxxxx */
};

/* Literal bytes to look for. */
struct verso_scan_needle {
    const void *data;
    size_t bytes; /* 1 to VERSO_SCAN_NEEDLE_BYTES_MAX */
};
#define VERSO_SCAN_NEEDLE_BYTES_MAX 65536
#define VERSO_SCAN_NEEDLES_MAX 4096

enum verso_scan_needle_flags {
    VERSO_SCAN_FOLD_CASE = 1 << 0,   /* a to z match A to Z, and the other way round */
    VERSO_SCAN_COUNT_LINES = 1 << 1, /* also: how many lines hold at least one needle; one with a newline is in none */
    VERSO_SCAN_ONLY_LINES = 1 << 2,  /* only that: places are neither told nor counted, which is faster */
};

/**
 * verso_scan_want_counts()    - lines, words, ...: enum verso_scan_counts, or-ed
 * verso_scan_want_histogram() - how often each byte value occurs
 * verso_scan_want_digest()    - a checksum of all bytes; once for each kind
 *
 * Asking again adds. Counts and the histogram do in any order; a digest makes the scan pass the file from start to end.
 *
 * Errors:  VERSO_E_OPTIONS (unknown bits or kinds); -ENOMEM; -EBUSY (the scan has run: what it wants stays).
 * Threads: as the scan.
 */
VERSO_API VERSO_MUST_CHECK int verso_scan_want_counts(struct verso_scan *scan, unsigned counts);
VERSO_API VERSO_MUST_CHECK int verso_scan_want_histogram(struct verso_scan *scan);
VERSO_API VERSO_MUST_CHECK int verso_scan_want_digest(struct verso_scan *scan, enum verso_digest_kind kind);

/* ---- Running ---- */

/**
 * verso_scan_file()   - run on a file by name
 * verso_scan_fd()     - run on an open descriptor, which stays yours: a regular file or block device from its start,
 *                       wherever its position is; anything else from where it is to its end
 * verso_scan_memory() - run on memory
 *
 * Pipes, terminals, sockets and files of /proc and /sys are read to their end. Whatever the answer is, a run that
 * began leaves its result (verso_scan_result()): after an error it covers what was done before.
 *
 * Errors:  VERSO_E_TORN (the file was cut short meanwhile; the record has the exact offset), -EIO and what else read(2)
 *          answers, with the offset; -EISDIR; -errno of open; -ENOMEM.
 * Threads: as the scan.
 */
VERSO_API VERSO_MUST_CHECK int verso_scan_file(struct verso_scan *scan, const char *path);
VERSO_API VERSO_MUST_CHECK int verso_scan_fd(struct verso_scan *scan, int fd);
VERSO_API VERSO_MUST_CHECK int verso_scan_memory(struct verso_scan *scan, const void *data, size_t bytes);

/* ---- What came out ---- */

/* Of the last run. Counts that were not asked for are 0. */
struct verso_scan_result {
    size_t struct_bytes;
    uint64_t bytes; /* that were looked at: all others cover exactly these, from the start of the file */
    int is_partial; /* 1: the run ended early; bytes is where */
    int changed;    /* 1: size or time of the file were not the same afterwards */
    uint64_t lines;
    uint64_t words;
    uint64_t characters;
    uint64_t longest_bytes;
    /* how it went: */
    unsigned method;       /* enum verso_scan_method */
    unsigned thread_count; /* that took part */
    uint64_t cached_bytes; /* when it began; VERSO_OFFSET_NONE: not known, or too small to ask */
    uint64_t duration_ns;
    const char *why;    /* one sentence: why this method; constant; "" before the first run */
    const char *kernel; /* which loop ran: "AVX-512", "AVX2", "NEON", "portable"; constant */
};
#define VERSO_SCAN_RESULT_INIT                                                        \
    {                                                                                 \
        sizeof(struct verso_scan_result), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL \
    }

/**
 * verso_scan_result()        - counts and circumstances of the last run
 * verso_scan_result_digest() - its checksum of a kind
 * verso_scan_result_bytes()  - its histogram: 256 counts
 *
 * Owns:    you own what is filled in.
 * Errors:  VERSO_E_OPTIONS (it was not asked for; struct_bytes not set).
 * Threads: as the scan, not during a run.
 */
VERSO_API VERSO_MUST_CHECK int verso_scan_result(const struct verso_scan *scan, struct verso_scan_result *out_result);
VERSO_API VERSO_MUST_CHECK int verso_scan_result_digest(const struct verso_scan *scan, enum verso_digest_kind kind,
                                                        struct verso_digest_value *out_value);
VERSO_API VERSO_MUST_CHECK int verso_scan_result_bytes(const struct verso_scan *scan, uint64_t out_counts[256]);

VERSO_END_DECLS

#endif
