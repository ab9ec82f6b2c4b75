/* SPDX-License-Identifier: MIT */
/*
 * describe.h - what is known of an address, before it is put in words. Async-signal-safe, all of it.
 *
 *      verso_pages_describe()         a question
 *      report.c                       a fault: its cause and the stack pointer are known too
 *           \--> verso__pages_describe() --> facts (describe.c) --> words (describe_words.c)
 */
#ifndef VERSO_SRC_PAGES_DESCRIBE_H
#define VERSO_SRC_PAGES_DESCRIBE_H

#include "os/os.h"
#include "pages/pages.h"

/* What is asked. */
struct verso__pages_question {
    uintptr_t address;
    enum verso_pages_try attempt;
    enum verso__os_fault_cause cause; /* 0: no fault has happened */
    uintptr_t stack_pointer;          /* 0: not known */
};

/* What was found. */
struct verso__pages_facts {
    struct verso__pages_question asked;
    struct verso__os_neighbours around;
    struct verso__pages_place span;
    bool is_in_span;
    enum verso_pages_place place;
    int is_present; /* 1, 0, -1: not known */
    bool is_marked; /* the page table says guard */
    bool would_fault;
};

int verso__pages_find_out(const struct verso__pages_question *question, struct verso__pages_facts *out_facts);

/* One line for people. */
void verso__pages_put_in_words(const struct verso__pages_facts *facts, char *out_text, size_t room_bytes);

#endif
