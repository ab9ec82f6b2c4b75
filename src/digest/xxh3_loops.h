/* SPDX-License-Identifier: MIT */
/* xxh3_loops.h - libxxhash's loops as a table; included by each form, after it has said which vectors there are. */
#include "digest/xxh3.h"

static XXH64_hash_t of_64(const void *data, size_t bytes)
{
    return XXH3_64bits(data, bytes);
}

static XXH128_hash_t of_128(const void *data, size_t bytes)
{
    return XXH3_128bits(data, bytes);
}

static XXH_errorcode update_64(XXH3_state_t *state, const void *data, size_t bytes)
{
    return XXH3_64bits_update(state, data, bytes);
}

static XXH_errorcode update_128(XXH3_state_t *state, const void *data, size_t bytes)
{
    return XXH3_128bits_update(state, data, bytes);
}

#define XXH3_TABLE                                                                          \
    {                                                                                       \
        .of_64 = of_64, .of_128 = of_128, .update_64 = update_64, .update_128 = update_128, \
    }
