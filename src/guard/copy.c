/* SPDX-License-Identifier: MIT */
/*
 * copy - memcpy and memset that stop at a fault.
 *
 * The fast way copies in blocks, all loads of one before its first store, both in order. After a fault the address that
 * could not be had says how many bytes can: those are copied again, from the first on, and no fault is met. So a fault
 * costs one signal, and its absence nothing. Should a page have gone in between, the second time is stopped in turn.
 */
#include "guard/primitives.h"
#include "guard/registry.h"

#ifdef VERSO__GUARD_HAS_LOOPS

#if defined(__x86_64__)
#include "guard/copy_x86_64.h"
#else
#include "guard/copy_aarch64.h"
#endif

#define EVERY_BYTE (UINT64_MAX / 255)

/* The byte at @fault ended it. */
static size_t torn_at(uintptr_t fault, size_t done)
{
    struct verso__guard_place place;

    if (verso__guard_place_find(fault, &place))
        verso__guard_place_mark(&place, verso__guard_place_offset(&place));
    return done;
}

size_t verso__guard_copy_again(unsigned char *target, const unsigned char *source, size_t bytes, uintptr_t fault)
{
    size_t wanted = fault - (uintptr_t)source, done;

    if (wanted >= bytes)
        wanted = fault - (uintptr_t)target;
    if (wanted >= bytes) /* told of by its page, which begins before both */
        return bytes - copy_exact(target, source, bytes);
    done = verso_guard_copy(target, source, wanted);
    return done == wanted ? torn_at(fault, done) : done;
}

size_t verso_guard_copy(void *target, const void *source, size_t bytes)
{
    uintptr_t fault;

    if (bytes > COPY_SMALL_BYTES)
        return copy_large(target, source, bytes);
    return copy_small(target, source, bytes, &fault) ? bytes : verso__guard_copy_again(target, source, bytes, fault);
}

size_t verso__guard_fill_again(unsigned char *target, uint64_t value, size_t bytes, uintptr_t fault)
{
    size_t wanted = fault - (uintptr_t)target, done;

    if (wanted >= bytes)
        return bytes - fill_exact(target, value, bytes);
    done = verso_guard_fill(target, (unsigned char)value, wanted);
    return done == wanted ? torn_at(fault, done) : done;
}

size_t verso_guard_fill(void *target, unsigned char value, size_t bytes)
{
    uint64_t values = value * EVERY_BYTE;
    uintptr_t fault;

    if (bytes > FILL_SMALL_BYTES)
        return fill_large(target, values, bytes);
    return fill_small(target, values, bytes, &fault) ? bytes : verso__guard_fill_again(target, values, bytes, fault);
}

#else

size_t verso_guard_copy(void *target, const void *source, size_t bytes)
{
    return verso__guard_portable_copy(target, source, bytes);
}

size_t verso_guard_fill(void *target, unsigned char value, size_t bytes)
{
    return verso__guard_portable_fill(target, value, bytes);
}

#endif
