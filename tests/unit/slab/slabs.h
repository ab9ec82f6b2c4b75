/* SPDX-License-Identifier: MIT */
/* slabs.h - what the tests of slabs share. */
#ifndef VERSO_TESTS_SLABS_H
#define VERSO_TESTS_SLABS_H

#include "support.h"

#include <verso/slab.h>

/* For looking at memory that ASan, rightly, holds to be nobody's. */
#define UNSANITIZED __attribute__((no_sanitize("address")))

static inline struct verso_slab *opened(size_t object_bytes, unsigned flags)
{
    struct verso_slab_options options = VERSO_SLAB_OPTIONS_INIT;
    struct verso_slab *slab;

    options.flags = flags;
    assert_ok(verso_slab_open(object_bytes, &options, &slab));
    return slab;
}

static inline struct verso_slab_info info_of(struct verso_slab *slab)
{
    struct verso_slab_info info = VERSO_SLAB_INFO_INIT;

    assert_ok(verso_slab_info(slab, &info));
    return info;
}

static inline void *taken(struct verso_slab *slab)
{
    void *object = verso_slab_alloc(slab);

    assert_non_null(object);
    return object;
}

#define assert_no_object(slab, error)                        \
    do {                                                     \
        assert_null(verso_slab_alloc(slab));                 \
        assert_int_equal(verso_error_last()->code, (error)); \
    } while (0)

/* The same numbers each time. */
static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
