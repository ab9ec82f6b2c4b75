/* SPDX-License-Identifier: MIT */
/*
 * machine.h - what the machine can do at best: counting newlines in memory, and what its disk gives. Plain loops over
 * plain system calls; nothing of verso.
 */
#ifndef VERSO_BENCH_MACHINE_H
#define VERSO_BENCH_MACHINE_H

#include "bench.h"

/* Prints what memory is made of here: free pages that a balloon reports to its host cost extra when used again. */
void machine_note(void);

/* Threads that run at once here. */
unsigned machine_thread_count(void);

/* GB/s at which that many threads count newlines in @bytes of anonymous huge pages; best of seven. */
double machine_count_memory(uint64_t bytes);

/* Peers of a cold scan: count a file's newlines straight from the disk (O_DIRECT, eight reads of 1 MiB at a time), or
 * through the page cache by the plainest loop (read of 1 MiB). @path: const char *. */
uint64_t machine_count_direct(void *path);
uint64_t machine_count_buffered(void *path);

#endif
