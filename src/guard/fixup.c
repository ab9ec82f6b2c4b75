/* SPDX-License-Identifier: MIT */
/* fixup - looking an instruction up in the table. */
#include "guard/fixup.h"

#include <stddef.h>

/* As VERSO__FIXUP() writes it: distances from each field to what it names. */
struct fixup {
    int32_t begin;
    int32_t end;
    int32_t landing;
    uint32_t kind;
};

/*
 * The linker makes these for a section whose name is a C identifier. Weak: a program that links the static library and
 * uses none of the guarded loops has no such section. Hidden: each library sees its own.
 */
extern const struct fixup __start_verso_fixups[] __attribute__((weak, visibility("hidden")));
extern const struct fixup __stop_verso_fixups[] __attribute__((weak, visibility("hidden")));

static uintptr_t named_by(const int32_t *distance)
{
    return (uintptr_t)distance + (uintptr_t)(intptr_t)*distance;
}

/* A few dozen rows, read once per fault: not worth sorting. */
uintptr_t verso__guard_landing(uintptr_t pc, unsigned *out_kind)
{
    // cppcheck-suppress comparePointers ; the linker makes both ends of one array
    for (const struct fixup *row = __start_verso_fixups; row < __stop_verso_fixups; row++) {
        if (named_by(&row->begin) <= pc && pc < named_by(&row->end)) {
            *out_kind = row->kind;
            return named_by(&row->landing);
        }
    }
    return 0;
}
