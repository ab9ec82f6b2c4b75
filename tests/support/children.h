/* SPDX-License-Identifier: MIT */
/* children.h - other processes for a test to look at: they prepare, then hold still until told to end. */
#ifndef VERSO_TESTS_CHILDREN_H
#define VERSO_TESTS_CHILDREN_H

#include <sys/types.h>

/*
 * A child that has run @prepare(arg) (may be NULL) and now sleeps; fails the test when @prepare answers anything but 0.
 * It dies with the test, however that ends.
 */
pid_t support_child_start(int (*prepare)(void *arg), void *arg);

/* Ends it and waits for it. */
void support_child_stop(pid_t child);

/* Ends it, but leaves it unwaited for: a zombie. support_child_stop() then takes it away. */
void support_child_kill(pid_t child);

/* For use in a child: gives up root, if it has it, for the user "nobody"; 0, or -1 when it can't. */
int support_drop_privileges(void);

#endif
