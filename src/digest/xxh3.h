/* SPDX-License-Identifier: MIT */
/*
 * xxh3.h - XXH3's loops over many bytes, in a form for each processor.
 *
 * libxxhash is a header that holds all of it; packages compile it for the oldest processor, or with a choice of their
 * own, which asks the processor again. Compiled in, once for each form, it is ours to choose; and a program has a
 * library less to find, map and relocate: 100 us of the 1100 that a small one runs.
 */
#ifndef VERSO_SRC_DIGEST_XXH3_H
#define VERSO_SRC_DIGEST_XXH3_H

#define XXH_INLINE_ALL
#include <xxhash.h>

/* What stays, with a state, the same in all forms. */
struct verso__xxh3 {
    XXH64_hash_t (*of_64)(const void *data, size_t bytes);
    XXH128_hash_t (*of_128)(const void *data, size_t bytes);
    XXH_errorcode (*update_64)(XXH3_state_t *state, const void *data, size_t bytes);
    XXH_errorcode (*update_128)(XXH3_state_t *state, const void *data, size_t bytes);
};

extern const struct verso__xxh3 verso__xxh3_avx512, verso__xxh3_avx2, verso__xxh3_plain;

#endif
