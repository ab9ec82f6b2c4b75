/* SPDX-License-Identifier: MIT */
/* registry.h - which range holds an address, asked from a signal handler. */
#ifndef VERSO_SRC_GUARD_REGISTRY_H
#define VERSO_SRC_GUARD_REGISTRY_H

#include "guard/guard.h"

/* A range as it was when it was found. */
struct verso__guard_place {
    struct verso__guard_range *range;
    uintptr_t address; /* that was asked for */
    uintptr_t start;   /* [start, end) holds it */
    uintptr_t end;
    uint64_t file_shift; /* address + file_shift is the offset in the file, modulo 2^64 */
};

/* Finds the range that holds @address. Async-signal-safe; waits for nobody. */
bool verso__guard_place_find(uintptr_t address, struct verso__guard_place *out_place);

/* Leaves word that @place could not be read or written. Async-signal-safe. */
void verso__guard_place_mark(const struct verso__guard_place *place, uint64_t file_offset_bytes);

static inline uint64_t verso__guard_place_offset(const struct verso__guard_place *place)
{
    return place->address + place->file_shift;
}

#endif
