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

/* Places where needles begin, by offset, then by needle. */
struct verso__scan_place {
    uint64_t offset;
    size_t needle;
    uint64_t lines; /* newlines before it; known once it was to be told of */
};

struct verso__scan_matches {
    struct verso__scan_place *list;
    size_t count;
    size_t room;
    bool lacks_some; /* there were more than are kept */
};

/* A function of the caller. */
struct verso__scan_caller {
    verso_scan_piece_function *each;
    void *arg;
    unsigned flags; /* enum verso_scan_piece_flags */
    bool is_records;
    unsigned char delimiter;
    size_t record_bytes_max;
    unsigned char *carried; /* the beginning of a record whose end has not been seen */
    size_t carried_bytes;
    size_t carry_room;
    uint64_t carried_offset;
};

struct verso__scan_jobs {
    unsigned counts; /* enum verso_scan_counts */
    bool histogram;
    struct verso__scan_finder *finder; /* NULL: no needles */
    size_t needle_count;
    unsigned needle_flags; /* enum verso_scan_needle_flags */
    verso_scan_match_function *each_match;
    void *match_arg;
    struct verso__scan_matches pending; /* found, and to be told of when all that begin before are known */
    struct verso__scan_caller *callers;
    size_t caller_count;
    struct verso_digest *digests[VERSO__SCAN_DIGESTS]; /* by kind; NULL: not wanted */
    struct verso_digest *earlier[VERSO__SCAN_DIGESTS]; /* as they were before the window that is passed */
};

/* A stretch of the content, in memory. */
struct verso__scan_stretch {
    const unsigned char *data;
    size_t bytes;
    uint64_t offset;
    size_t lead; /* so many bytes before @data are there as well: of what comes before, for needles that lie across */
    unsigned worker;
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
    uint64_t place;   /* of the error */
};

/* Answers @status. The first reason stays. */
static inline int verso__scan_stop(struct verso__scan_outcome *outcome, int status, const char *step, uint64_t place)
{
    if (outcome->status == 0) {
        outcome->status = status;
        outcome->step = step;
        outcome->place = place;
    }
    return status;
}

/* What a stretch holds. */
struct verso__scan_summary {
    uint64_t bytes;
    struct verso__scan_text text;
    uint64_t *histogram; /* 256 counts; NULL: not wanted */
    uint64_t matches;
    uint64_t *needle_counts; /* NULL: no needles */
    struct verso__scan_lines lines;
    struct verso__scan_matches kept; /* of the stretch that was looked at last; not joined */
};

/* Room for what @jobs want to know. False without memory. */
bool verso__scan_summary_make(struct verso__scan_summary *summary, const struct verso__scan_jobs *jobs);
void verso__scan_summary_free(struct verso__scan_summary *summary);

/* Nothing: the neutral element of join. */
void verso__scan_summary_reset(const struct verso__scan_jobs *jobs, struct verso__scan_summary *summary);

/* @left becomes what the two hold together, @right directly after it. */
void verso__scan_summary_join(const struct verso__scan_jobs *jobs, struct verso__scan_summary *left,
                              const struct verso__scan_summary *right);

/*
 * Looks at a stretch that directly follows what @summary holds, and adds it: what may be done in any order. A function
 * of the caller may stop the run; the stretch counts as passed then.
 */
void verso__scan_look(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                      struct verso__scan_summary *summary, struct verso__scan_outcome *outcome);

/* The part of the jobs that need the content from start to end, but for telling of matches. */
void verso__scan_look_ordered(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                              struct verso__scan_outcome *outcome);

/* Whether there are such jobs; and whether functions of the caller may not see a map. */
bool verso__scan_is_ordered(const struct verso__scan_jobs *jobs);
/* Whether a stretch has anything to do with order: not where no match was found, and none can be pending. */
bool verso__scan_needs_turn(const struct verso__scan_jobs *jobs, const struct verso__scan_summary *summary);
bool verso__scan_wants_copies(const struct verso__scan_jobs *jobs);

/* Remembers how those jobs stand, and takes them back to there. */
void verso__scan_remember(const struct verso__scan_jobs *jobs);
void verso__scan_go_back(const struct verso__scan_jobs *jobs);

/* Begins anew. */
void verso__scan_jobs_reset(struct verso__scan_jobs *jobs);
void verso__scan_jobs_free(struct verso__scan_jobs *jobs);

/* Needles (needles.c). All that end in the stretch, added to @summary; kept there as well, when they are to be told. */
void verso__scan_find_all(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                          struct verso__scan_summary *summary);
/* Tells of those, in order, that no place in what follows can come before; and of the others, at the end. @lines:
 * newlines before the stretch. An error. */
int verso__scan_tell_matches(struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch, uint64_t lines,
                             const struct verso__scan_matches *kept);
int verso__scan_tell_pending(struct verso__scan_jobs *jobs);

/* Functions of the caller (records.c). What stopped the run, or 0; the last is for a record without a delimiter. */
struct verso__scan_caller *verso__scan_caller_add(struct verso__scan_jobs *jobs);
int verso__scan_call_any_order(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                               struct verso__scan_outcome *outcome);
int verso__scan_call_in_order(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                              struct verso__scan_outcome *outcome);
int verso__scan_call_at_end(const struct verso__scan_jobs *jobs, struct verso__scan_outcome *outcome);

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

/* ---- Passing it ---- */

struct verso__scan_leg {
    uint64_t start;
    uint64_t end;
    uint64_t first_window; /* the number of the one that holds the first byte */
    uint64_t first_ticket;
    uint64_t dropped_to;                /* what is before it has been let go of in the page cache, as the options say */
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
    bool is_void; /* beyond where the content ended: not passed */
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
    unsigned looks_passed_over; /* times to wait for a turn without looking for it first */
    uint64_t runs;              /* that it has seen */
    struct verso__scan_view view;
    unsigned char *buffer;           /* for what is read, behind room for the lead; NULL: not needed yet */
    size_t buffer_bytes;             /* without that room: VERSO__SCAN_PIECE_BYTES, or all of what is smaller */
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
    bool is_resident_first;
    unsigned leg_count;
    uint64_t tickets;
    bool is_ordered;
    size_t lead_bytes;
    uint64_t told_ns; /* when progress was last told of */
    /* Under the scan's lock: */
    uint64_t done_bytes;
    uint64_t next;           /* ticket to be drawn */
    _Atomic uint64_t joined; /* tickets before this one are; may be read without the lock */
    unsigned drawn_leg;      /* the one that the next ticket lies in, or before it */
    uint64_t limit;          /* some leg has ended here: nothing behind it is wanted */
    unsigned waiting;
    bool is_stopped;          /* no more tickets */
    const char *cancelled_by; /* a function of the caller; NULL: none */
    /* At the end: */
    struct verso__scan_outcome outcome;
};

/* Which pages were cached when the run began. */
struct verso__scan_before {
    unsigned char *bits; /* one for each granule; NULL: not wanted, or not known */
    uint64_t start;
    uint64_t end;
    uint64_t granule_bytes;
};

#define VERSO__SCAN_LEGS_MAX 64

struct verso_scan {
    struct verso_scan_options options;
    struct verso__scan_jobs jobs;
    bool has_run;
    struct verso__scan_worker *workers; /* options.thread_count */
    struct verso__scan_slot *slots;
    unsigned slot_count;
    struct verso__scan_leg *legs;
    unsigned legs_made; /* at most VERSO__SCAN_LEGS_MAX */
    struct verso__scan_before before;
    struct verso__scan_run run;
    struct verso__scan_summary sum; /* of the whole run */
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
#define VERSO__SCAN_PIECE_BYTES ((size_t)512 << 10)

/*
 * Reads up to @bytes at @offset into @into, and answers how many bytes of it can be vouched for: they were in the file
 * before and after. Less than asked for: *outcome says why. @info gets the file as it is behind it.
 */
size_t verso__scan_read(struct verso_scan *scan, uint64_t offset, unsigned char *into, size_t bytes,
                        struct verso__os_file_info *info, struct verso__scan_outcome *outcome);

/* Decides how scan->run goes about its source: method, why, windows, threads. */
void verso__scan_choose(struct verso_scan *scan);

/* Lays the source out in legs and tickets. False without memory. */
bool verso__scan_plan(struct verso_scan *scan);

/* Joins the legs, in the order of the file, to scan->sum and run->outcome. */
void verso__scan_gather(struct verso_scan *scan);

/* Leaving the page cache as the options say (cache.c): a look before the run; then what has been passed. */
void verso__scan_before_look(struct verso_scan *scan);
void verso__scan_before_forget(struct verso__scan_before *before);
uint64_t verso__scan_droppable_to(const struct verso_scan *scan, const struct verso__scan_leg *leg);
void verso__scan_drop(struct verso_scan *scan, uint64_t start, uint64_t end);
void verso__scan_drop_ahead(struct verso_scan *scan);

/* Fills a slot, from its start on as far as it goes. */
void verso__scan_pass(struct verso__scan_worker *worker, struct verso__scan_slot *slot);

/* Lets the caller know how far the run is, when it is time, or @now; from worker 0. False: it shall end. */
bool verso__scan_tell_progress(struct verso_scan *scan, uint64_t done_bytes, bool now);

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
