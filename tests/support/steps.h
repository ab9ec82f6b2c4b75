/* SPDX-License-Identifier: MIT */
/* steps.h - a process that is killed at each instruction of what it does, one after the other. */
#ifndef VERSO_TESTS_STEPS_H
#define VERSO_TESTS_STEPS_H

#include <stdbool.h>

struct support_steps {
    void (*begin)(void *arg);  /* in the test, before the child is made; may be NULL, as all but @act and @killed */
    void (*ready)(void *arg);  /* in the child: what comes before. Calls into libc that @act makes are made here once,
                                * or their binding is stepped through, too */
    void (*before)(void *arg); /* in the test: the child stands right before @act */
    void (*act)(void *arg);    /* in the child, instruction by instruction */
    void (*killed)(void *arg, bool was_done); /* in the test: the child is dead. @was_done: it had come to its end */
    void *arg;
};

/* Whether this process may trace its children; and whether it knows the processor's registers, too. */
bool support_can_step(void);
bool support_can_survey(void);

/*
 * Kills a child before the first instruction of @act, another before the second ... until one has come to its end; says
 * how many there were. All on one processor. Each child takes all the steps before, so of an act of thousands only the
 * first 400 are tried one by one, then fewer and fewer; with TEST_LONG=SECONDS in the environment, one by one for a
 * tenth of that as well, since there are some ten acts in a test.
 */
unsigned support_kill_at_each_step(const struct support_steps *steps);

/*
 * The same for acts that make system calls, which are too long for that: a child is killed before and after each system
 * call, and before each instruction of the program's own (not of shared libraries: what they do to others' memory, our
 * instructions have handed them). Of the latter @most are tried, evenly spread, and 5 more for each second that
 * TEST_LONG in the environment says: an hour is all of them.
 */
struct support_stations {
    unsigned calls;        /* system calls, of a child that came to its end */
    unsigned instructions; /* of the program's own */
    unsigned kills;
};
struct support_stations support_kill_between_calls(const struct support_steps *steps, unsigned most);

#endif
