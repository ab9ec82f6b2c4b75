/* SPDX-License-Identifier: MIT */
/*
 * scan.h (inner) - one pass over some content: who looks at what, and how it comes together again.
 *
 *      content   |== leg 0 ====================|== leg 1 ==========|    parts, in the order they are passed in
 *      tickets   |  0  |  1  |  2  |  3  |  4  |  5  |  6  |  7  |      windows, drawn by the workers in turn
 *      slots        A     B     A     B  ...                            what was found in each, kept until it is joined
 *
 * A summary says what a stretch holds in such a way that two neighbours can be joined (kernels.h). Slots are joined
 * into the sum of their leg strictly in the order of their tickets, so that a leg's sum covers, at any time, what
 * lies before one offset and nothing else: when a window fails in the middle, the leg ends there, and what others
 * found behind it is thrown away. Legs are joined at last, in the order of the file, up to the first that ended
 * early.
 *
 * What must happen in order (checksums, functions of the caller) happens on the worker whose ticket is the next to be
 * joined: it has the turn. The others meanwhile bring in what comes next.
 */
#ifndef VERSO_SRC_SCAN_H
#define VERSO_SRC_SCAN_H

#include "guard/guard.h"
#include "os/os.h"
#include "scan/kernels.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <verso/scan.h>

/* ---- What is looked for, and what was found ---- */

#define VERSO__SCAN_DIGESTS (VERSO_DIGEST_XXH32 + 1)

struct verso__scan_jobs {
    unsigned counts; /* enum verso_scan_counts */
    bool histogram;
    struct verso_digest *digests[VERSO__SCAN_DIGESTS]; /* by kind; NULL: not wanted */
    struct verso_digest *earlier[VERSO__SCAN_DIGESTS]; /* as they were before the window that is passed */
};

/* A stretch of the content, in memory. */
struct verso__scan_stretch {
    const unsigned char *data;
    size_t bytes;
    uint64_t offset;
};

/* What a stretch holds. */
struct verso__scan_summary {
    uint64_t bytes;
    struct verso__scan_text text;
    uint64_t *histogram; /* 256 counts; NULL: not wanted */
};

/* Room for what @jobs want to know. False without memory. */
bool verso__scan_summary_make(struct verso__scan_summary *summary, const struct verso__scan_jobs *jobs);
void verso__scan_summary_free(struct verso__scan_summary *summary);

/* Nothing: the neutral element of join. */
void verso__scan_summary_reset(struct verso__scan_summary *summary);

/* @left becomes what the two hold together, @right directly after it. */
void verso__scan_summary_join(struct verso__scan_summary *left, const struct verso__scan_summary *right);

/* Looks at a stretch that directly follows what @summary holds, and adds it: what may be done in any order. */
void verso__scan_look(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                      struct verso__scan_summary *summary);

/* Whether some job needs the content from start to end; and the part of those jobs. */
bool verso__scan_is_ordered(const struct verso__scan_jobs *jobs);
void verso__scan_look_ordered(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch);

/* Remembers how those jobs stand, and takes them back to there. */
void verso__scan_remember(const struct verso__scan_jobs *jobs);
void verso__scan_go_back(const struct verso__scan_jobs *jobs);

/* ---- What is passed ---- */

enum verso__scan_kind {
    VERSO__SCAN_STREAM = 1, /* read(2) until it ends */
    VERSO__SCAN_UNSIZED,    /* has offsets, and ends where it ends: /proc */
    VERSO__SCAN_FILE,       /* has offsets, and a size */
    VERSO__SCAN_MEMORY,
};

struct verso__scan_source {
    enum verso__scan_kind kind;
    int fd;
    const unsigned char *memory;
    const char *path; /* for messages; NULL: ask the kernel */
    uint64_t start;
    uint64_t end; /* UINT64_MAX: not known */
    struct verso__os_file_info before;
};

/* Why a window, and with it its leg, ended before its end. Below 0: an error. */
enum verso__scan_status {
    VERSO__SCAN_WHOLE = 0,
    VERSO__SCAN_ENDED = 1, /* the content has no more */
};

/* What became of a stretch: [start, reached) was passed, and why not more. */
struct verso__scan_outcome {
    uint64_t reached;
    int status;       /* enum verso__scan_status, or an error */
    const char *step; /* of the error */
};

/*
 * Reads up to @bytes at @offset into @into, and answers how many bytes of it can be vouched for: they were in the file
 * before and after. Less than asked for: *outcome says why. @info (may be NULL) gets the file as it is behind it.
 */
size_t verso__scan_read(const struct verso__scan_source *source, uint64_t offset, unsigned char *into, size_t bytes,
                        struct verso__os_file_info *info, struct verso__scan_outcome *outcome);

/* ---- Passing it ---- */

struct verso__scan_leg {
    uint64_t start;
    uint64_t end;
    struct verso__scan_outcome outcome; /* what has been joined; with a status, nothing is added any more */
    struct verso__scan_summary sum;
};

/* A window, and what was found in it. */
struct verso__scan_slot {
    uint64_t ticket;
    struct verso__scan_leg *leg;
    uint64_t start;
    uint64_t end;
    bool is_done;
    struct verso__scan_outcome outcome;
    struct verso__scan_summary summary;
};

/* Where a worker maps its windows, one over the other, so that no more than one is in memory. */
struct verso__scan_view {
    unsigned char *span; /* NULL: no address space yet */
    size_t span_bytes;
    struct verso__guard_range range; /* what is mapped now; empty: nothing */
};

/*
 * Maps [offset, offset + bytes) and brings it in. NULL: it can't be mapped, or part of it can't be had; reading will
 * tell why. Reading what it answers still may fault.
 */
const unsigned char *verso__scan_view_place(struct verso__scan_view *view, const struct verso__scan_source *source,
                                            uint64_t offset, size_t bytes);

/* Lets go of the pages; of the addresses, too. */
void verso__scan_view_leave(struct verso__scan_view *view);
void verso__scan_view_close(struct verso__scan_view *view);

/* Whether the pages of the view are huge: 1, 0, or negative when this kernel does not tell. */
int verso__scan_view_is_huge(const struct verso__scan_view *view);

struct verso__scan_worker {
    struct verso_scan *scan;
    unsigned number; /* 0: the thread that runs the scan */
    pthread_t thread;
    bool has_turn;
    uint64_t runs; /* that it has seen */
    struct verso__scan_view view;
    unsigned char *buffer;           /* for what is read; NULL: not needed yet */
    struct verso__os_file_info seen; /* the file, after the last piece that was read */
};

/* One run. */
struct verso__scan_run {
    struct verso__scan_source source;
    unsigned method;       /* enum verso_scan_method */
    unsigned thread_count; /* that may take part */
    unsigned slot_count;
    uint64_t window_bytes; /* windows begin at its multiples */
    const char *why;
    uint64_t cached_bytes;
    struct verso__scan_leg leg;
    uint64_t first_window; /* the number of the one that holds the first byte */
    uint64_t tickets;
    bool is_ordered;
    /* Under the scan's lock: */
    uint64_t next;   /* ticket to be drawn */
    uint64_t joined; /* tickets before this one are */
    unsigned waiting;
    bool is_stopped; /* no more tickets */
};

struct verso_scan {
    struct verso_scan_options options;
    struct verso__scan_jobs jobs;
    bool has_run;
    struct verso__scan_worker *workers; /* options.thread_count */
    struct verso__scan_slot *slots;
    unsigned slot_count;
    struct verso__scan_run run;
    struct verso_scan_result result;
    /* The pool: threads that wait for a run. */
    pthread_mutex_t lock;
    pthread_cond_t to_work;  /* a run has begun, or all ends */
    pthread_cond_t to_go_on; /* a ticket was joined; a thread is done */
    unsigned started;        /* threads; they are workers 1 to started */
    unsigned busy;
    uint64_t runs;
    bool is_closing;
};

/* How much is read at once: stays in the processor's second-level cache until it is looked at. */
#define VERSO__SCAN_PIECE_BYTES ((size_t)128 << 10)

/* Decides how scan->run goes about its source: method, why, windows, threads. */
void verso__scan_choose(struct verso_scan *scan);

/* Fills a slot, from its start on as far as it goes. */
void verso__scan_pass(struct verso__scan_worker *worker, struct verso__scan_slot *slot);

/* Waits until all before @slot is joined. Having the turn already is fine. */
void verso__scan_take_turn(struct verso__scan_worker *worker, const struct verso__scan_slot *slot);

/* Room for @count slots. False without memory. */
bool verso__scan_make_slots(struct verso_scan *scan, unsigned count);

/* Starts threads until @count workers are there, as far as the system lets. */
void verso__scan_start_threads(struct verso_scan *scan, unsigned count);
void verso__scan_end_threads(struct verso_scan *scan);

/* Draws tickets of scan->run and passes their windows, with all threads, until none is left. */
void verso__scan_work(struct verso_scan *scan);

/* One run over @source, and its result. Fills the record. */
int verso__scan_run(struct verso_scan *scan, const struct verso__scan_source *source);

#endif
