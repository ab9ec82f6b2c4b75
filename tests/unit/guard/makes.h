/* SPDX-License-Identifier: MIT */
/* makes.h - every make of the primitives that this machine can run, so that each test sees them all. */
#ifndef VERSO_TESTS_MAKES_H
#define VERSO_TESTS_MAKES_H

#include "guard/primitives.h"

#if defined(VERSO__GUARD_HAS_LOOPS) && defined(__x86_64__)
#include "guard/vector_x86_64.h"
#endif

struct make {
    const char *name;
    unsigned features; /* what the processor may use; 0: leave it alone */
    size_t (*copy)(void *target, const void *source, size_t bytes);
    size_t (*fill)(void *target, unsigned char value, size_t bytes);
    struct verso_guard_scan (*find)(const void *data, unsigned char value, size_t bytes);
    struct verso_guard_scan (*count)(const void *data, unsigned char value, size_t bytes);
    struct verso_guard_scan (*compare)(const void *a, const void *b, size_t bytes);
};

#define MAKE_PUBLIC(name, features)                                                                                  \
    {                                                                                                                \
        name, features, verso_guard_copy, verso_guard_fill, verso_guard_find, verso_guard_count, verso_guard_compare \
    }

static const struct make makes[] = {
    { "portable", 0, verso__guard_portable_copy, verso__guard_portable_fill, verso__guard_portable_find,
      verso__guard_portable_count, verso__guard_portable_compare },
#if defined(VERSO__GUARD_HAS_LOOPS) && defined(__x86_64__)
    MAKE_PUBLIC("sse2", VERSO__GUARD_CPU_KNOWN),
    MAKE_PUBLIC("sse2 + strings", VERSO__GUARD_CPU_KNOWN | VERSO__GUARD_CPU_STRINGS),
    MAKE_PUBLIC("avx2", VERSO__GUARD_CPU_KNOWN | VERSO__GUARD_CPU_AVX2),
    MAKE_PUBLIC("avx2 + strings", VERSO__GUARD_CPU_KNOWN | VERSO__GUARD_CPU_AVX2 | VERSO__GUARD_CPU_STRINGS),
    MAKE_PUBLIC("avx512 + strings",
                VERSO__GUARD_CPU_KNOWN | VERSO__GUARD_CPU_AVX2 | VERSO__GUARD_CPU_AVX512 | VERSO__GUARD_CPU_STRINGS),
    MAKE_PUBLIC("avx512", VERSO__GUARD_CPU_KNOWN | VERSO__GUARD_CPU_AVX2 | VERSO__GUARD_CPU_AVX512),
#endif
    MAKE_PUBLIC("as found", 0),
};

/* Turns to a make; false when this processor can't. Ends with make_restore(). */
static inline bool make_use(const struct make *make)
{
#if defined(VERSO__GUARD_HAS_LOOPS) && defined(__x86_64__)
    unsigned found = verso__guard_cpu_ask();

    if (make->features & ~found)
        return false;
    if (make->features)
        atomic_store(&verso__guard_cpu_features, make->features);
#else
    (void)make;
#endif
    return true;
}

static inline void make_restore(void)
{
#if defined(VERSO__GUARD_HAS_LOOPS) && defined(__x86_64__)
    (void)verso__guard_cpu_ask();
#endif
}

/* Runs @body for each make that can be; says which one when it fails. */
static inline void each_make(void (*body)(const struct make *make))
{
    for (size_t i = 0; i < sizeof(makes) / sizeof(makes[0]); i++) {
        if (!make_use(&makes[i])) {
            print_message("# this processor lacks what the make \"%s\" needs\n", makes[i].name);
            continue;
        }
        body(&makes[i]);
        make_restore();
    }
}

/* An assertion that tells the make and the case. */
#define assert_case(condition, make, ...)                                    \
    do {                                                                     \
        if (!(condition)) {                                                  \
            print_error("make \"%s\": %s, with ", (make)->name, #condition); \
            print_error(__VA_ARGS__);                                        \
            print_error("\n");                                               \
            _fail(__FILE__, __LINE__);                                       \
        }                                                                    \
    } while (0)

#endif
