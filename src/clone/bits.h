/* SPDX-License-Identifier: MIT */
/*
 * bits.h - a set of pages, one bit each; what look() and take() leave for next() to tell.
 *
 * Not a list of runs: a set never fails to take one more page, so what the kernel was made to forget is never lost.
 */
#ifndef VERSO_SRC_CLONE_BITS_H
#define VERSO_SRC_CLONE_BITS_H

#include <stdbool.h>
#include <stdint.h>
#include <verso/clone.h>

struct verso__clone_bits {
    uint64_t *words;
    uint64_t pages; /* how many there are */
};

/* -ENOMEM. The set is empty. */
int verso__clone_bits_make(struct verso__clone_bits *bits, uint64_t pages);
void verso__clone_bits_free(struct verso__clone_bits *bits);

void verso__clone_bits_clear(struct verso__clone_bits *bits);
void verso__clone_bits_copy(struct verso__clone_bits *target, const struct verso__clone_bits *source);
void verso__clone_bits_add(struct verso__clone_bits *bits, uint64_t first_page, uint64_t end_page);
uint64_t verso__clone_bits_count(const struct verso__clone_bits *bits);

/* The first run of pages that begins at @page or later, or holds it: [first, end). False: there is none. */
bool verso__clone_bits_next(const struct verso__clone_bits *bits, uint64_t page, uint64_t *out_first,
                            uint64_t *out_end);

/* The same in bytes, for next(): 1 and a run that ends at @bytes at the latest, or 0. */
int verso__clone_bits_run(const struct verso__clone_bits *bits, uint64_t offset_bytes, uint64_t bytes,
                          struct verso_clone_run *out_run);

#endif
