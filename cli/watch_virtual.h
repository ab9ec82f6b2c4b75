/* SPDX-License-Identifier: MIT */
/*
 * watch_virtual.h - the pages of one mapping as runs, and what is known of a mapping process.
 *
 * The kernel answers in runs of addresses (verso_inspect_runs). A mapping keeps them sorted; a slice that was asked for
 * anew replaces what stood there:
 *
 *     before   [--present--]     [---present---]
 *     slice           <-------------->              asked anew: one run
 *     after    [--pre-][---------present-------]    neighbours in the same state join
 */
#ifndef VERSO_CLI_WATCH_VIRTUAL_H
#define VERSO_CLI_WATCH_VIRTUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <verso/inspect.h>

struct watch_mapping {
    uint64_t start; /* addresses: [start, end) */
    uint64_t end;
    uint64_t offset_bytes;
    unsigned access;                /* enum verso_inspect_access */
    struct verso_inspect_run *runs; /* by address, within [start, end), never touching each other in the same state */
    size_t run_count;
    uint64_t swept; /* address up to which the current sweep has come; end when it is done */
};

struct watch_process {
    pid_t pid;
    char command[64];
    struct watch_mapping *mappings;
    size_t mapping_count;
    uint64_t minor_faults;
    uint64_t major_faults;
    uint64_t resident_bytes;
    bool counted;           /* the three above were read at least once */
    bool sweep_asked;       /* something moved since the last sweep began: sweep again when it has ended */
    uint64_t sweep_next_ns; /* sweep again then, whether anything moved or not */
    int error;              /* why its pages could not be looked at; 0 */
};

/* Sums over the pages of a range of the file, in one process. A page mapped twice counts twice. */
struct virtual_sums {
    uint64_t mapped;
    uint64_t present;
    uint64_t own; /* present and private: this process has its own copy */
    uint64_t huge;
    uint64_t swapped;
    uint64_t guard;
};

/*
 * Puts @fresh, the whole truth for addresses [start, end), in place of what was known there. False on no memory, with
 * nothing changed.
 */
bool mapping_splice(struct watch_mapping *mapping, uint64_t start, uint64_t end, const struct verso_inspect_run *fresh,
                    size_t fresh_count);

/* The state bits at an address (enum verso_inspect_page_state), 0 where nothing is present. */
unsigned mapping_state(const struct watch_mapping *mapping, uint64_t address);

/* Where a file page stands in the mapping: false when it is not mapped there. */
bool mapping_address(const struct watch_mapping *mapping, uint64_t page, uint64_t page_bytes, uint64_t *out_address);

struct virtual_sums virtual_sum(const struct watch_process *process, uint64_t first_page, uint64_t page_count,
                                uint64_t page_bytes);

/* Whether its pages are still being looked at, or should be again. */
bool process_is_sweeping(const struct watch_process *process);

void process_clear(struct watch_process *process);

#endif
