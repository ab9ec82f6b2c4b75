/* SPDX-License-Identifier: MIT */
/*
 * keeper.h - who tidies up after a bench.
 *
 * Benches make files of gigabytes, file systems and control groups, and people stop them by Ctrl-C. So the bench goes
 * on in a child; the process that was started waits until the last of its descendants has ended, however it ended, and
 * removes what is left.
 *
 *     keeper ----- waits ------------------------------- removes --- ends as the bench did
 *        `--- bench --- verso, peer, verso, peer --- ^C
 */
#ifndef VERSO_BENCH_KEEPER_H
#define VERSO_BENCH_KEEPER_H

/* Returns in the child, once; before anything else was begun. */
void keeper_start(void);

/* What will be removed: a directory, and a control group. Room for PATH_MAX bytes each, empty at first; the bench fills
 * them in. */
char *keeper_directory(void);
char *keeper_group(void);

#endif
