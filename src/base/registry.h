/* SPDX-License-Identifier: MIT */
/*
 * registry.h - ranges of addresses and a few words about each, for a reader that can't wait.
 *
 * A fault handler may run at any instruction of any thread, so it may take no lock: the thread that holds it could be
 * the very one that was interrupted, or, after fork(), one that does not exist any more. So nothing here is locked.
 *
 *      chunks[0] --> 64 slots      free list:  head --> slot 7 --> slot 2 --> none
 *      chunks[1] --> 128 slots     fresh:      slots from here on were never used
 *      chunks[2] --> 256 ...
 *
 * A record is words: the range's start, its end, and what its owner wants to find with it. Pointers among them lead to
 * things that must not go before the record is dropped.
 */
#ifndef VERSO_SRC_REGISTRY_BASE_H
#define VERSO_SRC_REGISTRY_BASE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VERSO__REGISTRY_CHUNKS 24 /* 64 * (2^24 - 1) slots: more than addresses can hold mappings */
#define VERSO__REGISTRY_NONE UINT32_MAX

enum verso__registry_words {
    VERSO__REGISTRY_START = 0,
    VERSO__REGISTRY_END = 1,
    VERSO__REGISTRY_OWN = 2, /* the owner's words begin here */
};

struct verso__registry {
    const size_t words; /* of a record, start and end counted */
    _Atomic(void *) chunks[VERSO__REGISTRY_CHUNKS];
    _Atomic uint32_t fresh;     /* index of the first slot never used */
    _Atomic uint64_t free_head; /* count << 32 | 1 + index */
};
#define VERSO__REGISTRY_INIT(words) \
    {                               \
        (words), { NULL }, 0, 0     \
    }

/*
 * Adds and drops records: a few atomic operations, no lock, no system call in the common case. Ranges may not overlap.
 * One thread at a time for one record; any number for different ones. add: VERSO__REGISTRY_NONE when out of memory.
 */
uint32_t verso__registry_add(struct verso__registry *registry, const uint64_t *words);
void verso__registry_drop(struct verso__registry *registry, uint32_t slot);

/* Changes one word, under readers; or all of a record, which can't be found meanwhile. */
void verso__registry_store(struct verso__registry *registry, uint32_t slot, size_t word, uint64_t value);
void verso__registry_refill(struct verso__registry *registry, uint32_t slot, const uint64_t *words);

/* Finds the record whose range holds @address, whole. Async-signal-safe; waits for nobody. *out_words: room for a
 * record; undefined when there is none. */
bool verso__registry_find(struct verso__registry *registry, uintptr_t address, uint64_t *out_words);

#endif
