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

/* Whether this process may trace its children. */
bool support_can_step(void);

/*
 * Kills a child before the first instruction of @act, another before the second ... until one has come to its end; says
 * how many there were. All on one processor. Each child takes all the steps before, so of an act of thousands only the
 * first 400 are tried one by one, then fewer and fewer; with TEST_LONG in the environment, all.
 */
unsigned support_kill_at_each_step(const struct support_steps *steps);

#endif
