/* SPDX-License-Identifier: MIT */
/*
 * allocators.h - who else hands out memory: glibc, mimalloc and jemalloc.
 *
 * Each is reached through its own symbols, so that none takes the process's malloc over.
 */
#ifndef VERSO_BENCH_ALLOCATORS_H
#define VERSO_BENCH_ALLOCATORS_H

#include "bench.h"

struct allocator {
    const char *name;
    void *(*allocate)(size_t bytes);
    void *(*allocate_zero)(size_t count, size_t bytes);
    void *(*reallocate)(void *block, size_t bytes);
    void (*release)(void *block);
};

enum {
    ALLOCATORS_MAX = 3
};

/* First of all in main(): allocators that are loaded want more thread-local storage than a program has left for them,
 * so it is started again with more. */
void allocators_make_room(char **arguments);

/* Those that are installed, glibc's first; answers how many. A note tells of each that is left out. */
size_t allocators_load(struct allocator out_allocators[ALLOCATORS_MAX]);

#endif
