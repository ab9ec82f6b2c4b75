/* SPDX-License-Identifier: MIT */
/*
 * links.h - ways to get messages from one process to another, behind one set of calls.
 *
 * A link is made in one process, which then forks; each side joins once and sends or receives from then on. What can't
 * be had on this machine is not left out silently: make() says why.
 */
#ifndef VERSO_BENCH_LINKS_H
#define VERSO_BENCH_LINKS_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How it waits. */
enum link_wait {
    LINK_SPINS = 1 << 0,  /* asks again and again */
    LINK_SLEEPS = 1 << 1, /* in the kernel */
};

/* What it is for. */
enum link_shape {
    LINK_BOTH_WAYS = 1 << 0, /* two processes, each sends and receives */
    LINK_ONE_WAY = 1 << 1,   /* side 0 sends, side 1 receives */
    LINK_MANY = 1 << 2,      /* the same; side 0 is several processes */
};

struct link_plan {
    size_t message_bytes;
    enum link_wait wait;
    enum link_shape shape;
};

struct link_kind {
    const char *name;
    unsigned waits;  /* which it can: enum link_wait */
    unsigned shapes; /* enum link_shape */

    /* Before the fork. NULL: can't be had here, and *out_why (a constant string) says why. */
    void *(*make)(const struct link_plan *plan, const char **out_why);

    /* In each process that uses it, once, after the fork. */
    void (*join)(void *link, int side);

    /* Whole messages, of the planned length. Receive answers where the message lies: in @room, or, until the next
     * receive, in the link itself. Whatever goes wrong ends the bench. */
    void (*send)(void *link, int side, const void *data, size_t bytes);
    const void *(*receive)(void *link, int side, void *room, size_t bytes);

    /* In the process that made it, when the others have ended. */
    void (*unmake)(void *link);
};

extern const struct link_kind link_verso;

/* The same, where what is received is read where it lies. */
extern const struct link_kind link_verso_in_place;

/* Its peers, ending with NULL. */
extern const struct link_kind *const link_kinds[];

/* The lower bound of what spins: number and payload in one cache line (or in as many as it takes), one for each
 * direction. Both ways only. */
extern const struct link_kind link_line;

/* The lower bound of what sleeps: the same, and each waits for the other by a futex, at once. */
extern const struct link_kind link_futex;

#define LINK_SLOTS 16 /* messages of 64 KiB that a ring holds */

/* The lower bound of what is read in place: as many slots as a ring would hold, each with a number that says whose it
 * is. One way only. */
extern const struct link_kind link_slots;

/* Memory that processes made by fork() share; ends the bench when there is none. */
void *link_shared(size_t bytes);
void link_shared_free(void *memory, size_t bytes);

/* More processes than processors: who spins there without ever yielding would wait for the scheduler's time slices. */
extern bool link_is_crowded;

/* Between two questions of one that spins. */
static inline void link_pause(void)
{
    static unsigned turns;

    if (link_is_crowded && ++turns % 16 == 0)
        (void)sched_yield();
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

#endif
