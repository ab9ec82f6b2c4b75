/* SPDX-License-Identifier: MIT */
/*
 * torture.h - run a piece of work again and again, each time with another call to the kernel failing.
 *
 * A scenario is a function that uses verso as a program would, each fallible call within attempt():
 *
 *     static void read_a_file(void)
 *     {
 *         struct verso_map *map = UNTOUCHED;
 *
 *         attempt(verso_map_open(path, NULL, &map))
 *             assert_ptr_equal(map, UNTOUCHED);
 *         ...
 *         verso_map_close(map);
 *     }
 *
 * What attempt() demands of a call: it fails only when something beneath it was refused; code and record agree; and
 * tried once more, with nothing in its way, it works. The statement behind it runs after each failure: what must still
 * hold then. torture() demands, after each run: every descriptor closed, every mapping undone, every allocation freed,
 * nothing touched that is not ours.
 */
#ifndef VERSO_TESTS_TORTURE_H
#define VERSO_TESTS_TORTURE_H

#include "support.h"

#include "os/fake/fake.h"

/* What an output holds before a call: nobody's address. */
#define UNTOUCHED ((void *)(uintptr_t)0x5a5a5a5a)

#define attempt(call)                                    \
    for (unsigned before_ = fake_failures(), tries_ = 0; \
         !torture_judge((call), &before_, &tries_, #call, __FILE__, __LINE__);)

bool torture_judge(int code, unsigned *failures_before, unsigned *tries, const char *call, const char *file, int line);

/*
 * Runs @scenario unhindered, to warm up; then with the 1st, 2nd, ... call refused, for each error that call is known
 * to give; where the scenario got around the refusal, also with each later call refused as well; then with everything
 * refused from the 1st, 2nd, ... call on, until an attempt() sees it.
 */
void torture(void (*scenario)(void));

/* How many calls have been refused in this run: what failed with one refusal must leave no trace; where a second one
 * struck, even the undoing may have been refused. */
unsigned torture_refusals(void);

/* To be each test's teardown: says which run failed, lifts every refusal. */
int torture_calm(void **state);

#define torture_test(test) cmocka_unit_test_teardown(test, torture_calm)

#endif
