/* SPDX-License-Identifier: MIT */
/*
 * scan.h - one pass through a file, by the fastest way there is to it, for everything you want to know.
 *
 *     verso_scan_open()      a scan: how much memory, how many threads
 *     verso_scan_want_...()  what to find out: counts, needles, checksums, a histogram, functions of your own
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
 * Where any order will do, what is cached is passed first, before the rest drives it out of the cache.
 *
 * A file that is cut short, or whose storage fails, meanwhile never ends the program: the result then covers exactly
 * the bytes before the first that could not be had, in every method and with any number of threads.
 *
 * Caveats:
 *   - The scan looks at a file's size when it begins. What is appended later is not seen; the result says that the file
 *     changed (changed). What is rewritten during the pass may be seen before, after, or half.
 *   - Functions of your own are given private copies of the content (which cost a copy), unless they say that they can
 *     be left in the middle and called again: VERSO_SCAN_RESTARTABLE.
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

enum verso_scan_cache {
    VERSO_SCAN_CACHE_KEEP = 0,    /* what is read stays cached, as with any reader */
    VERSO_SCAN_CACHE_NEUTRAL = 1, /* what this scan brought in leaves again; what was there, or can't be known, stays */
    VERSO_SCAN_CACHE_DROP = 2,    /* the whole file leaves the page cache as it is passed */
};

enum verso_scan_flags {
    VERSO_SCAN_IN_ORDER = 1 << 0, /* pass the file from start to end even when all jobs would do in any order */
};

/* How far a run is. */
struct verso_scan_progress {
    uint64_t done_bytes;
    uint64_t total_bytes; /* 0: not known (a pipe) */
};

/* Called now and then from the thread that runs the scan; anything but 0 ends the run: VERSO_E_CANCELLED. */
typedef int verso_scan_progress_function(const struct verso_scan_progress *progress, void *arg);

struct verso_scan_options {
    size_t struct_bytes;
    uint64_t budget_bytes; /* most memory for windows and buffers of all threads; at least 1 MiB; 0: 32 MiB */
    unsigned thread_count; /* at most; 0: one per CPU this process may run on. Small files get one */
    unsigned method;       /* enum verso_scan_method */
    unsigned cache;        /* enum verso_scan_cache */
    unsigned flags;        /* enum verso_scan_flags */
    verso_scan_progress_function *progress; /* NULL: none */
    void *progress_arg;
};
#define VERSO_SCAN_OPTIONS_INIT                                      \
    {                                                                \
        sizeof(struct verso_scan_options), 0, 0, 0, 0, 0, NULL, NULL \
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
    VERSO_SCAN_ONLY_LINES = 1 << 2, /* only that: places are not counted, and @each may be told of a line's first alone,
                                         which is faster */
    VERSO_SCAN_WITH_CONTENT = 1 << 3, /* matches come with what is around them; the content is read, not mapped */
};

/* A place where a needle begins. */
struct verso_scan_match {
    uint64_t offset_bytes;
    size_t needle; /* its index */
    /* VERSO_SCAN_WITH_CONTENT: what is in memory around the place, for the time of the call. Places that were sure
     * only when the run ended come without (0 bytes). */
    const unsigned char *content;
    size_t content_bytes;
    uint64_t content_offset_bytes;
    uint64_t lines; /* newlines before the place, where VERSO_SCAN_LINES are wanted as well */
};

/* Takes matches in the order of their offsets (then of their needles), from one thread at a time; anything but 0 ends
 * the run: VERSO_E_CANCELLED. */
typedef int verso_scan_match_function(const struct verso_scan_match *match, void *arg);

/**
 * verso_scan_want_needles() - every place where one of these byte strings begins
 * @needles: copied. Places may overlap: "aa" is twice in "aaa". The same needle given twice is found twice
 * @flags:   enum verso_scan_needle_flags
 * @each:    NULL: matches are only counted, which does in any order; otherwise passes from start to end
 *
 * Can be asked for once. A place counts when the needle lies in what was passed as a whole.
 *
 * Errors:  VERSO_E_OPTIONS (no needles, too many, an empty or too long one, unknown flags; WITH_CONTENT without @each);
 *          -EEXIST (asked before); -ENOMEM; -EBUSY.
 * Threads: as the scan; @each runs on threads of the scan, one at a time.
 */
VERSO_API VERSO_MUST_CHECK int verso_scan_want_needles(struct verso_scan *scan, const struct verso_scan_needle *needles,
                                                       size_t count, unsigned flags, verso_scan_match_function *each,
                                                       void *arg);

/* A stretch of the file, or a record of it. Valid during the call. */
struct verso_scan_piece {
    uint64_t offset_bytes;
    const void *data;
    size_t bytes;
    unsigned worker; /* which thread calls, below thread_count: for sums of its own */
};

/* Anything but 0 ends the run: VERSO_E_CANCELLED. */
typedef int verso_scan_piece_function(const struct verso_scan_piece *piece, void *arg);

enum verso_scan_piece_flags {
    VERSO_SCAN_ANY_ORDER = 1 << 0, /* pieces may come in any order, from several threads at once */
    VERSO_SCAN_RESTARTABLE =
        1 << 1, /* may see the map itself: after a fault the function is left as by longjmp. Left or not, it may be
                   called again with the same offset and fewer bytes, and then for the rest */
};

/**
 * verso_scan_want_windows() - call a function for each stretch of the file
 * verso_scan_want_records() - call a function for each record: the bytes between two delimiters
 * @delimiter:        ends a record; it is not part of it. The last may lack it; an empty rest is no record
 * @record_bytes_max: a longer record ends the run: VERSO_E_TOO_LARGE; 0: 64 MiB. Counts beyond the budget
 * @flags:            enum verso_scan_piece_flags; records know only ANY_ORDER
 *
 * Several functions may be given; each sees all of the file. Where one of them ends the run, the stretch that it was
 * called for, or that holds the record, still counts as passed. After an error the record that was cut is not told of.
 *
 * Errors:  VERSO_E_OPTIONS; -ENOMEM; -EBUSY.
 * Threads: as the scan; without ANY_ORDER a function runs in one thread at a time, in the order of offsets.
 */
VERSO_API VERSO_MUST_CHECK int verso_scan_want_windows(struct verso_scan *scan, unsigned flags,
                                                       verso_scan_piece_function *each, void *arg);
VERSO_API VERSO_MUST_CHECK int verso_scan_want_records(struct verso_scan *scan, unsigned char delimiter,
                                                       size_t record_bytes_max, unsigned flags,
                                                       verso_scan_piece_function *each, void *arg);

/* ---- Running ---- */

/**
 * verso_scan_file()   - run on a file by name
 * verso_scan_fd()     - run on an open descriptor, which stays yours: a regular file or block device from its start,
 *                       wherever its position is; anything else from where it is to its end
 * verso_scan_range()  - the same on a part of what has offsets: 0 bytes: to the end; what lies past the end is left out
 * verso_scan_memory() - run on memory
 *
 * Pipes, terminals, sockets and files of /proc and /sys are read to their end. Whatever the answer is, a run that
 * began leaves its result (verso_scan_result()): after an error it covers what was done before.
 *
 * Errors:  VERSO_E_TORN (the file was cut short meanwhile; the record has the exact offset), -EIO and what else read(2)
 *          answers, with the offset; VERSO_E_CANCELLED (a function of yours ended it); VERSO_E_TOO_LARGE (a record: its
 *          offset); -EISDIR; -errno of open; VERSO_E_OVERFLOW, -ESPIPE (range); -ENOMEM.
 * Threads: as the scan.
 */
VERSO_API VERSO_MUST_CHECK int verso_scan_file(struct verso_scan *scan, const char *path);
VERSO_API VERSO_MUST_CHECK int verso_scan_fd(struct verso_scan *scan, int fd);
VERSO_API VERSO_MUST_CHECK int verso_scan_range(struct verso_scan *scan, int fd, uint64_t offset_bytes,
                                                uint64_t length_bytes);
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
    uint64_t matches;       /* of all needles */
    uint64_t matched_lines; /* VERSO_SCAN_COUNT_LINES, ONLY_LINES */
    /* how it went: */
    unsigned method;       /* enum verso_scan_method */
    unsigned thread_count; /* that took part */
    int resident_first;    /* 1: what was cached was passed before the rest */
    uint64_t cached_bytes; /* when it began; VERSO_OFFSET_NONE: not known, or too small to ask */
    uint64_t duration_ns;
    const char *why;    /* one sentence: why this method; constant; "" before the first run */
    const char *kernel; /* which loop ran: "AVX-512", "AVX2", "NEON", "portable"; constant */
};
#define VERSO_SCAN_RESULT_INIT                                                                 \
    {                                                                                          \
        sizeof(struct verso_scan_result), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, NULL \
    }

/**
 * verso_scan_result()         - counts and circumstances of the last run
 * verso_scan_result_digest()  - its checksum of a kind
 * verso_scan_result_bytes()   - its histogram: 256 counts
 * verso_scan_result_needles() - how often each needle was found: @count counts, in the order they were given
 *
 * Owns:    you own what is filled in.
 * Errors:  VERSO_E_OPTIONS (it was not asked for; another count of needles; struct_bytes not set).
 * Threads: as the scan, not during a run.
 */
VERSO_API VERSO_MUST_CHECK int verso_scan_result(const struct verso_scan *scan, struct verso_scan_result *out_result);
VERSO_API VERSO_MUST_CHECK int verso_scan_result_digest(const struct verso_scan *scan, enum verso_digest_kind kind,
                                                        struct verso_digest_value *out_value);
VERSO_API VERSO_MUST_CHECK int verso_scan_result_bytes(const struct verso_scan *scan, uint64_t out_counts[256]);
VERSO_API VERSO_MUST_CHECK int verso_scan_result_needles(const struct verso_scan *scan, uint64_t *out_counts,
                                                         size_t count);

VERSO_END_DECLS

#endif
