/* SPDX-License-Identifier: MIT */
/*
 * maps_shares.h - what a mapping's bytes are: kinds that add up to its size, as letters and colours.
 *
 * Kinds have a letter and a colour each, the colours those of Okabe and Ito; the letter alone tells them apart.
 */
#ifndef VERSO_CLI_MAPS_SHARES_H
#define VERSO_CLI_MAPS_SHARES_H

#include <stdbool.h>
#include <verso/inspect.h>

/* X(kind, letter, colour, name) in the order in which they fill a rung, which is that of the legend. */
#define SHARE_KINDS(X)                                                                     \
    X(SHARE_PRIVATE_DIRTY, 'D', "\033[38;5;202m", "in this process alone, written")        \
    X(SHARE_PRIVATE_CLEAN, 'P', "\033[38;5;214m", "in this process alone, as on the disk") \
    X(SHARE_SHARED_DIRTY, 'M', "\033[38;5;175m", "mapped elsewhere too, written")          \
    X(SHARE_SHARED_CLEAN, 'S', "\033[38;5;74m", "mapped elsewhere too, as on the disk")    \
    X(SHARE_HUGETLB, 'H', "\033[38;5;36m", "hugetlb pages")                                \
    X(SHARE_SWAPPED, 'W', "\033[38;5;227m", "swapped out")                                 \
    X(SHARE_ABSENT, '.', "\033[38;5;244m", "mapped, not in memory")                        \
    X(SHARE_UNKNOWN, '?', "\033[38;5;244m", "not known")

enum share_kind {
#define SHARE_ENUM(kind, letter, color, name) kind,
    SHARE_KINDS(SHARE_ENUM)
#undef SHARE_ENUM
    SHARE_COUNT
};

struct share_kind_row {
    char letter;
    const char *color;
    const char *name;
};
extern const struct share_kind_row share_kinds[SHARE_COUNT];

/* Bytes of each kind; they add up to the sizes of what was added. */
struct shares {
    uint64_t bytes[SHARE_COUNT];
};

void shares_add(struct shares *shares, const struct verso_inspect_mapping *mapping);
uint64_t shares_total(const struct shares *shares);

/* Gives @count cells to the kinds in proportion; what is there at all gets at least one, where there are enough. */
void shares_to_cells(const struct shares *shares, unsigned char *out_kinds, size_t count);

/* 0 -> "0", 4096 -> "4K", 1887437 -> "1.8M", rounded down; in @text of at least 8 bytes, which is returned. */
char *bytes_brief(uint64_t bytes, char *text);

/* How many columns @text takes, one for each character. */
size_t columns_of(const char *text);

/* Prints @text in @columns; where it is longer, its end, for the end of a path tells more than its start. */
void print_tail(const char *text, size_t columns);

#endif
