/* SPDX-License-Identifier: MIT */
/*
 * describe - what stands at an address, from three witnesses: verso's own registry of spans, the kernel's list of
 * mappings, and the page table. None of them touches the address.
 */
#include "pages/describe.h"

#include <string.h>

/* How far from a stack's end an access still counts as the stack's: a large array on it reaches that far. */
#define STACK_REACH_BYTES ((uintptr_t)256 * 1024)
/* Where addresses that began as NULL end: what no program may map, by the usual vm.mmap_min_addr. */
#define NULL_REACH_BYTES ((uintptr_t)64 * 1024)

static bool is_empty(const struct verso__os_neighbour *mapping)
{
    return mapping->start == mapping->end;
}

/* Between the two halves of the address space lies what no page table can hold. */
static bool is_noncanonical(uintptr_t address)
{
    uint64_t user = verso__os_address_space_bytes();

    return sizeof(address) == sizeof(uint64_t) && address >= user && address < (uint64_t)0 - user;
}

/* ---- The page table --------------------------------------------------------------------------------------------- */

static void look_by_scan(int fd, struct verso__pages_facts *facts)
{
    uint64_t start = facts->asked.address & ~(uint64_t)(verso__os_page_bytes() - 1), walked;
    const uint64_t standing = VERSO__OS_PAGE_PRESENT | VERSO__OS_PAGE_SWAPPED;
    struct verso__os_page_run run;
    size_t count;
    int r = verso__os_page_scan(fd, start, start + verso__os_page_bytes(), standing | VERSO__OS_PAGE_GUARD, &run, 1,
                                &count, &walked);

    if (r < 0) /* before guards could be told apart */
        r = verso__os_page_scan(fd, start, start + verso__os_page_bytes(), standing, &run, 1, &count, &walked);
    if (r < 0)
        return;
    facts->is_present = count > 0 && (run.categories & standing) != 0;
    facts->is_marked = count > 0 && (run.categories & VERSO__OS_PAGE_GUARD) != 0;
}

/* The older way: bit 63 present, 62 swapped, 58 a guard (Linux 6.14). */
static void look_by_entry(int fd, struct verso__pages_facts *facts)
{
    uint64_t entry;

    if (verso__os_pagemap(fd, facts->asked.address & ~(uint64_t)(verso__os_page_bytes() - 1), 1, &entry) < 0)
        return;
    facts->is_present = entry >> 62 != 0;
    facts->is_marked = (entry >> 58 & 1) != 0;
}

/* What can't be learned stays unknown: the mapping alone says much. */
static void look_at_page(struct verso__pages_facts *facts)
{
    int fd;

    facts->is_present = -1;
    if (is_empty(&facts->around.at) || verso__os_open("/proc/self/pagemap", VERSO__OS_OPEN_READ, 0, &fd) < 0)
        return;
    look_by_scan(fd, facts);
    if (facts->is_present < 0)
        look_by_entry(fd, facts);
    verso__os_close(fd);
}

/* ---- Which place it is ------------------------------------------------------------------------------------------ */

/* Whether the thread that faulted has its stack right above this gap, or this mapping without access. */
static bool is_below_stack(const struct verso__pages_facts *facts, const struct verso__os_neighbour *stack)
{
    uintptr_t address = facts->asked.address, pointer = facts->asked.stack_pointer;

    if (is_empty(stack) || !(stack->access & VERSO__OS_ACCESS_WRITE))
        return false;
    if (pointer)
        return pointer < stack->end && pointer + STACK_REACH_BYTES > address && pointer < address + STACK_REACH_BYTES;
    return strcmp(stack->name, "[stack]") == 0 && stack->start - address <= STACK_REACH_BYTES;
}

static enum verso_pages_place place_of_gap(const struct verso__pages_facts *facts)
{
    if (facts->asked.address < NULL_REACH_BYTES)
        return VERSO_PAGES_PLACE_NULL;
    if (is_below_stack(facts, &facts->around.after))
        return VERSO_PAGES_PLACE_BELOW_STACK;
    return VERSO_PAGES_PLACE_NOTHING;
}

/* A guard that is a mapping is a stretch without access between memory and whatever comes. */
static bool is_guard_mapping(const struct verso__pages_facts *facts)
{
    const struct verso__os_neighbour *before = &facts->around.before, *at = &facts->around.at;

    return facts->span.has_guard_mappings && before->end == at->start && before->access != VERSO__OS_ACCESS_NONE;
}

static enum verso_pages_place place_in_span(const struct verso__pages_facts *facts)
{
    uintptr_t address = facts->asked.address;

    if (address < facts->span.start || address >= facts->span.end || facts->is_marked)
        return VERSO_PAGES_PLACE_GUARD;
    if (facts->around.at.access != VERSO__OS_ACCESS_NONE)
        return VERSO_PAGES_PLACE_COMMITTED;
    return is_guard_mapping(facts) ? VERSO_PAGES_PLACE_GUARD : VERSO_PAGES_PLACE_RESERVED;
}

static enum verso_pages_place place_in_mapping(const struct verso__pages_facts *facts)
{
    const struct verso__os_neighbour *at = &facts->around.at, *after = &facts->around.after;
    bool is_bare = at->access == VERSO__OS_ACCESS_NONE && at->inode == 0;

    if (facts->is_marked || is_bare) {
        const struct verso__os_neighbour *above = facts->is_marked ? at : after;

        if (above->start <= at->end && is_below_stack(facts, above))
            return VERSO_PAGES_PLACE_BELOW_STACK;
    }
    if (facts->is_marked || (is_bare && at->end == after->start && (after->access & VERSO__OS_ACCESS_WRITE)))
        return VERSO_PAGES_PLACE_GUARD;
    return VERSO_PAGES_PLACE_MAPPING;
}

static enum verso_pages_place place_of(const struct verso__pages_facts *facts)
{
    if (is_noncanonical(facts->asked.address))
        return VERSO_PAGES_PLACE_NONCANONICAL;
    if (facts->is_in_span)
        return place_in_span(facts);
    return is_empty(&facts->around.at) ? place_of_gap(facts) : place_in_mapping(facts);
}

static bool would_fault(const struct verso__pages_facts *facts)
{
    unsigned access = facts->around.at.access;

    if (facts->asked.cause)
        return true;
    if (facts->place != VERSO_PAGES_PLACE_COMMITTED && facts->place != VERSO_PAGES_PLACE_MAPPING)
        return true;
    switch (facts->asked.attempt) {
    case VERSO_PAGES_TRY_WRITE:
        return !(access & VERSO__OS_ACCESS_WRITE);
    case VERSO_PAGES_TRY_EXECUTE:
        return !(access & VERSO__OS_ACCESS_EXEC);
    default: /* what may be written or executed may be read, on machines without keys for it */
        return access == VERSO__OS_ACCESS_NONE;
    }
}

int verso__pages_find_out(const struct verso__pages_question *question, struct verso__pages_facts *out_facts)
{
    int r = verso__os_neighbours(question->address, &out_facts->around);

    if (r < 0)
        return r;
    out_facts->asked = *question;
    out_facts->is_marked = false;
    out_facts->is_in_span = verso__pages_find(question->address, &out_facts->span);
    look_at_page(out_facts);
    out_facts->place = place_of(out_facts);
    out_facts->would_fault = would_fault(out_facts);
    return 0;
}

/* ---- The call --------------------------------------------------------------------------------------------------- */

static void tell(const struct verso__pages_facts *facts, struct verso_pages_description *description)
{
    const struct verso__os_neighbour *at = &facts->around.at;

    description->place = facts->place;
    description->mapping_start = (uintptr_t)at->start;
    description->mapping_end = (uintptr_t)at->end;
    description->access = at->access | (at->shared ? VERSO_PAGES_MAY_SHARE : 0U);
    description->span_start = facts->is_in_span ? facts->span.start : 0;
    description->span_end = facts->is_in_span ? facts->span.end : 0;
    description->present = facts->is_present;
    description->would_fault = facts->would_fault;
    memcpy(description->name, at->name, sizeof(description->name));
    verso__pages_put_in_words(facts, description->text, sizeof(description->text));
}

/* Fills no error record, which is not for signal handlers. */
int verso_pages_describe(const void *address, enum verso_pages_try attempt,
                         struct verso_pages_description *out_description)
{
    const struct verso__pages_question question = { (uintptr_t)address, attempt, 0, 0 };
    struct verso__pages_facts facts;
    int r;

    if (out_description->struct_bytes < sizeof(*out_description) || attempt > VERSO_PAGES_TRY_UNKNOWN)
        return VERSO_E_OPTIONS;
    r = verso__pages_find_out(&question, &facts);
    if (r == 0)
        tell(&facts, out_description);
    return r;
}
