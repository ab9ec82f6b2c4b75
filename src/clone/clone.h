/* SPDX-License-Identifier: MIT */
/* clone.h (inner) - what a base and a clone are made of. */
#ifndef VERSO_SRC_CLONE_H
#define VERSO_SRC_CLONE_H

#include "base/fail.h"
#include "clone/bits.h"
#include "guard/guard.h"

#include <stdatomic.h>
#include <verso/clone.h>

struct verso_clone_base {
    atomic_uint users; /* its owner, until closed, and each clone */
    int fd;            /* never in append mode: merges write at offsets */
    unsigned flags;    /* enum verso_clone_flags */
    uint64_t bytes;
    size_t mapped_bytes; /* whole pages */
    void *data;          /* shared; of a frozen base private and read-only */
    struct verso__guard_range range;
    char *path; /* "" for descriptors and for memory */
};

struct verso_clone {
    struct verso_clone_base *base;
    uint64_t offset_bytes; /* of the base */
    uint64_t bytes;
    size_t mapped_bytes;
    unsigned char *data;
    struct verso__guard_range range;
    struct verso__clone_bits own; /* what the last look found; no words before the first */
    enum verso_clone_source source;
};

void verso__clone_base_use(struct verso_clone_base *base);
void verso__clone_base_release(struct verso_clone_base *base);

static inline int verso__clone_fail(const struct verso_clone_base *base, int code, const char *step)
{
    return verso__fail(code, step, base->path);
}

/* Adds to @own the pages of [first_page, end_page) that are the clone's own; fills clone->source. No record. */
int verso__clone_changed(struct verso_clone *clone, uint64_t first_page, uint64_t end_page,
                         struct verso__clone_bits *own);

/* Makes clone->own say which pages are its own among [first_page, end_page), and none outside. Fills the record. */
int verso__clone_look(struct verso_clone *clone, uint64_t first_page, uint64_t end_page);

#endif
