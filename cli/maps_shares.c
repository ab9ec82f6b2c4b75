/* SPDX-License-Identifier: MIT */
/* maps_shares - see maps_shares.h. */
#include "maps_shares.h"

#include <stdio.h>
#include <string.h>

const struct share_kind_row share_kinds[SHARE_COUNT] = {
#define SHARE_ROW(kind, letter, color, name) { letter, color, name },
    SHARE_KINDS(SHARE_ROW)
#undef SHARE_ROW
};

/* Takes from *left what is there of it. */
static void take(struct shares *shares, enum share_kind kind, uint64_t bytes, uint64_t *left)
{
    uint64_t taken = bytes < *left ? bytes : *left;

    shares->bytes[kind] += taken;
    *left -= taken;
}

void shares_add(struct shares *shares, const struct verso_inspect_mapping *mapping)
{
    const struct verso_inspect_memory *memory = &mapping->memory;
    uint64_t left = mapping->end - mapping->start;

    if (mapping->memory_error) {
        shares->bytes[SHARE_UNKNOWN] += left;
        return;
    }
    take(shares, SHARE_PRIVATE_DIRTY, memory->private_dirty_bytes, &left);
    take(shares, SHARE_PRIVATE_CLEAN, memory->private_clean_bytes, &left);
    take(shares, SHARE_SHARED_DIRTY, memory->shared_dirty_bytes, &left);
    take(shares, SHARE_SHARED_CLEAN, memory->shared_clean_bytes, &left);
    if (memory->page_bytes > verso_page_bytes()) /* the kernel does not count these as resident */
        take(shares, SHARE_HUGETLB, memory->huge_bytes, &left);
    take(shares, SHARE_SWAPPED, memory->swapped_bytes, &left);
    shares->bytes[SHARE_ABSENT] += left;
}

uint64_t shares_total(const struct shares *shares)
{
    uint64_t total = 0;

    for (size_t i = 0; i < SHARE_COUNT; i++)
        total += shares->bytes[i];
    return total;
}

/* The kind that has the most cells, to take one from. */
static size_t largest(const size_t cells[SHARE_COUNT])
{
    size_t at = 0;

    for (size_t i = 1; i < SHARE_COUNT; i++)
        if (cells[i] > cells[at])
            at = i;
    return at;
}

void shares_to_cells(const struct shares *shares, unsigned char *out_kinds, size_t count)
{
    uint64_t total = shares_total(shares);
    size_t cells[SHARE_COUNT] = { 0 }, given = 0, at = 0;

    for (size_t i = 0; i < SHARE_COUNT && total > 0; i++) {
        cells[i] = (size_t)((long double)shares->bytes[i] / (long double)total * (long double)count);
        if (cells[i] == 0 && shares->bytes[i] > 0)
            cells[i] = 1;
        given += cells[i];
    }
    for (; given > count; given--)
        cells[largest(cells)]--;
    if (total > 0)
        cells[largest(cells)] += count - given; /* what rounding left over */
    for (size_t i = 0; i < SHARE_COUNT; i++)
        for (size_t j = 0; j < cells[i]; j++)
            out_kinds[at++] = (unsigned char)i;
    while (at < count)
        out_kinds[at++] = SHARE_UNKNOWN;
}

char *bytes_brief(uint64_t bytes, char *text)
{
    static const char letters[] = "KMGTPE";
    uint64_t unit = 1024;
    int letter = 0;

    while (letter < 5 && bytes / unit >= 1024) {
        unit *= 1024;
        letter++;
    }
    if (bytes < 1024)
        (void)snprintf(text, 8, "%u", (unsigned)bytes);
    else if (bytes / unit < 10 && bytes % unit * 10 / unit > 0)
        (void)snprintf(text, 8, "%u.%u%c", (unsigned)(bytes / unit), (unsigned)(bytes % unit * 10 / unit),
                       letters[letter]);
    else
        (void)snprintf(text, 8, "%u%c", (unsigned)(bytes / unit), letters[letter]);
    return text;
}

static bool starts_character(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

size_t columns_of(const char *text)
{
    size_t columns = 0;

    for (; *text; text++)
        columns += starts_character(*text);
    return columns;
}

void print_tail(const char *text, size_t columns)
{
    size_t extra, length = columns_of(text);
    size_t dots = columns < 3 ? columns : 3;

    if (length <= columns) {
        fputs(text, stdout);
        return;
    }
    for (extra = length - columns + dots; extra > 0; extra--)
        for (text++; !starts_character(*text); text++)
            ;
    printf("%.*s%s", (int)dots, "...", text);
}
