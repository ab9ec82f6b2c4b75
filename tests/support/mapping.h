/* SPDX-License-Identifier: MIT */
/* mapping.h - what the kernel says of the mapping at an address: the second opinion of these tests. */
#ifndef VERSO_TESTS_MAPPING_H
#define VERSO_TESTS_MAPPING_H

#include "os/os.h"
#include "support.h"

struct mapping_seen {
    uintptr_t address;
    bool found;
    struct verso__os_mapping mapping; /* name does not stay: see @name */
    struct verso__os_mapping_memory memory;
    char name[256];
};

static inline int mapping_each(const struct verso__os_mapping *mapping, const struct verso__os_mapping_memory *memory,
                               void *arg)
{
    struct mapping_seen *seen = arg;

    if (seen->address < mapping->start || seen->address >= mapping->end)
        return 0;
    seen->found = true;
    seen->mapping = *mapping;
    seen->memory = *memory;
    assert_true(snprintf(seen->name, sizeof(seen->name), "%s", mapping->name) >= 0);
    return 1;
}

/* The mapping that holds @address, from smaps. Fails the test when there is none. */
static inline struct mapping_seen mapping_at(const void *address)
{
    struct mapping_seen seen = { .address = (uintptr_t)address };

    assert_int_equal(verso__os_mappings_memory(0, mapping_each, &seen), 1);
    assert_true(seen.found);
    return seen;
}

/* Whether its VmFlags hold a two-letter flag (proc(5)): "lo" locked, "rr" random, "dd" not dumped, ... */
static inline bool mapping_has_flag(const void *address, const char *flag)
{
    struct mapping_seen seen = mapping_at(address);
    const char *found = strstr(seen.memory.flags, flag);

    return found && (found == seen.memory.flags || found[-1] == ' ') && (found[2] == ' ' || found[2] == '\0');
}

#endif
