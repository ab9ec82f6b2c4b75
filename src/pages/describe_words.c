/* SPDX-License-Identifier: MIT */
/* describe_words - the facts as one sentence: what it is, where in it the address lies, and why an access fails. */
#include "pages/describe.h"
#include "pages/text.h"

static const char *verb_of(enum verso_pages_try attempt)
{
    switch (attempt) {
    case VERSO_PAGES_TRY_READ:
        return "reading";
    case VERSO_PAGES_TRY_WRITE:
        return "writing";
    case VERSO_PAGES_TRY_EXECUTE:
        return "executing";
    default:
        return "an access";
    }
}

static void add_access(struct verso__text *text, const struct verso__os_neighbour *mapping)
{
    const char letters[] = { mapping->access & VERSO__OS_ACCESS_READ ? 'r' : '-',
                             mapping->access & VERSO__OS_ACCESS_WRITE ? 'w' : '-',
                             mapping->access & VERSO__OS_ACCESS_EXEC ? 'x' : '-', mapping->shared ? 's' : 'p', '\0' };

    verso__text_add(text, letters);
}

/* "libc.so.6 (r-xp)", "1.0 MiB of memory without a name (rw-p)" */
static void add_mapping(struct verso__text *text, const struct verso__os_neighbour *mapping)
{
    if (mapping->name[0]) {
        verso__text_add_name(text, mapping->name);
    } else {
        verso__text_add_size(text, mapping->end - mapping->start);
        verso__text_add(text, " of memory without a name");
    }
    verso__text_add(text, " (");
    add_access(text, mapping);
    verso__text_add(text, ")");
}

/* "arena" (1.0 GiB at 0x7f..., 64.0 KiB committed) */
static void add_span(struct verso__text *text, const struct verso__pages_place *span)
{
    verso__text_add(text, "\"");
    verso__text_add_name(text, span->name);
    verso__text_add(text, "\" (");
    verso__text_add_size(text, span->end - span->start);
    verso__text_add(text, " at ");
    verso__text_add_hex(text, span->start);
    verso__text_add(text, ", ");
    verso__text_add_size(text, span->committed_bytes);
    verso__text_add(text, " committed)");
}

/* "; writing there ..." */
static void add_reason(struct verso__text *text, const struct verso__pages_facts *facts, const char *reason)
{
    verso__text_add(text, "; ");
    verso__text_add(text, verb_of(facts->asked.attempt));
    verso__text_add(text, " there ");
    verso__text_add(text, reason);
}

static void say_null(struct verso__text *text, const struct verso__pages_facts *facts)
{
    if (facts->asked.address == 0) {
        verso__text_add(text, " is NULL");
    } else {
        verso__text_add(text, " is what no program may map: NULL, with an offset of ");
        verso__text_add_number(text, facts->asked.address);
        verso__text_add(text, " (a member of a structure, an element of an array)");
    }
}

static void say_nothing(struct verso__text *text, const struct verso__pages_facts *facts)
{
    const struct verso__os_neighbour *before = &facts->around.before, *after = &facts->around.after;

    if (facts->asked.address >> (sizeof(uintptr_t) * 8 - 1)) {
        verso__text_add(text, " belongs to the kernel: a corrupted pointer");
        return;
    }
    verso__text_add(text, " is not mapped: a wild or stale pointer");
    if (before->end > before->start) {
        verso__text_add(text, "; ");
        verso__text_add_size(text, facts->asked.address - before->end + 1);
        verso__text_add(text, " past the end of ");
        add_mapping(text, before);
    }
    if (after->end > after->start) {
        verso__text_add(text, "; ");
        verso__text_add_size(text, after->start - facts->asked.address);
        verso__text_add(text, " before ");
        add_mapping(text, after);
    }
}

static void say_guard(struct verso__text *text, const struct verso__pages_facts *facts)
{
    uintptr_t address = facts->asked.address;

    if (!facts->is_in_span) {
        verso__text_add(text, " is a guard page in front of ");
        add_mapping(text, facts->is_marked ? &facts->around.at : &facts->around.after);
        verso__text_add(text, ", as under a thread's stack");
    } else {
        if (address < facts->span.start)
            verso__text_add(text, " is the guard page in front of ");
        else if (address >= facts->span.end)
            verso__text_add(text, " is the guard page behind ");
        else
            verso__text_add(text, " is a guard page in ");
        add_span(text, &facts->span);
        if (address >= facts->span.start && address < facts->span.end) {
            verso__text_add(text, " at offset ");
            verso__text_add_number(text, address - facts->span.start);
        }
    }
    add_reason(text, facts,
               address < facts->span.start || !facts->is_in_span ? "runs below the beginning"
                                                                 : "runs over the end of what lies before");
}

static void say_span_page(struct verso__text *text, const struct verso__pages_facts *facts)
{
    bool is_committed = facts->place == VERSO_PAGES_PLACE_COMMITTED;

    verso__text_add(text, is_committed ? " is memory of " : " is not committed in ");
    add_span(text, &facts->span);
    verso__text_add(text, " at offset ");
    verso__text_add_number(text, facts->asked.address - facts->span.start);
    if (!is_committed && facts->would_fault)
        add_reason(text, facts, "needs verso_pages_commit() first, or comes too late: it was given back or protected");
}

static void say_stack(struct verso__text *text, const struct verso__pages_facts *facts)
{
    bool in_guard = facts->around.at.end > facts->around.at.start;
    const struct verso__os_neighbour *stack = facts->is_marked ? &facts->around.at : &facts->around.after;

    verso__text_add(text, in_guard ? " is the guard below the stack " : " is below the stack ");
    add_mapping(text, stack);
    verso__text_add(text, ": the stack has overflowed (endless recursion, or too large an array on it)");
}

static void say_mapping(struct verso__text *text, const struct verso__pages_facts *facts)
{
    const struct verso__os_neighbour *at = &facts->around.at;

    verso__text_add(text, " is ");
    add_mapping(text, at);
    verso__text_add(text, " at offset ");
    verso__text_add_number(text, facts->asked.address - at->start + at->offset);
}

/* Of memory that is there: why the access fails all the same. */
static void say_why(struct verso__text *text, const struct verso__pages_facts *facts)
{
    switch (facts->asked.cause) {
    case VERSO__OS_FAULT_PAST_END:
        add_reason(text, facts, "fails: the file has been cut short, its disk is full, or its storage failed");
        break;
    case VERSO__OS_FAULT_POISON:
        add_reason(text, facts, "fails: the memory itself is broken (a hardware error)");
        break;
    default:
        if (facts->would_fault)
            add_reason(text, facts, "is not allowed");
        else if (facts->asked.attempt != VERSO_PAGES_TRY_NONE)
            add_reason(text, facts, "works");
        break;
    }
}

void verso__pages_put_in_words(const struct verso__pages_facts *facts, char *out_text, size_t room_bytes)
{
    struct verso__text text;

    verso__text_begin(&text, out_text, room_bytes);
    verso__text_add_hex(&text, facts->asked.address);
    switch (facts->place) {
    case VERSO_PAGES_PLACE_NULL:
        say_null(&text, facts);
        break;
    case VERSO_PAGES_PLACE_NOTHING:
        say_nothing(&text, facts);
        break;
    case VERSO_PAGES_PLACE_NONCANONICAL:
        verso__text_add(&text, " is no address that this machine has (not canonical): a corrupted pointer");
        break;
    case VERSO_PAGES_PLACE_GUARD:
        say_guard(&text, facts);
        break;
    case VERSO_PAGES_PLACE_BELOW_STACK:
        say_stack(&text, facts);
        break;
    case VERSO_PAGES_PLACE_RESERVED:
        say_span_page(&text, facts);
        break;
    case VERSO_PAGES_PLACE_COMMITTED:
        say_span_page(&text, facts);
        say_why(&text, facts);
        break;
    case VERSO_PAGES_PLACE_MAPPING:
        say_mapping(&text, facts);
        say_why(&text, facts);
        break;
    }
}
