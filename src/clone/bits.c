/* SPDX-License-Identifier: MIT */
/* bits - see bits.h. */
#include "clone/bits.h"

#include "base/sums.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_BITS 64

static uint64_t word_count(const struct verso__clone_bits *bits)
{
    return (bits->pages + WORD_BITS - 1) / WORD_BITS;
}

int verso__clone_bits_make(struct verso__clone_bits *bits, uint64_t pages)
{
    bits->pages = pages;
    bits->words = calloc((size_t)word_count(bits), sizeof(uint64_t));
    return bits->words ? 0 : -ENOMEM;
}

void verso__clone_bits_free(struct verso__clone_bits *bits)
{
    free(bits->words);
    bits->words = NULL;
}

void verso__clone_bits_clear(struct verso__clone_bits *bits)
{
    memset(bits->words, 0, (size_t)word_count(bits) * sizeof(uint64_t));
}

void verso__clone_bits_copy(struct verso__clone_bits *target, const struct verso__clone_bits *source)
{
    memcpy(target->words, source->words, (size_t)word_count(target) * sizeof(uint64_t));
}

/* The bits [first, end) of a word; end - first is 1 to 64. */
static uint64_t mask_of(uint64_t first, uint64_t end)
{
    return (UINT64_MAX >> (WORD_BITS - (end - first))) << first;
}

void verso__clone_bits_add(struct verso__clone_bits *bits, uint64_t first_page, uint64_t end_page)
{
    while (first_page < end_page) {
        uint64_t word = first_page / WORD_BITS;
        uint64_t end = verso__min_u64(end_page, (word + 1) * WORD_BITS);

        bits->words[word] |= mask_of(first_page - word * WORD_BITS, end - word * WORD_BITS);
        first_page = end;
    }
}

uint64_t verso__clone_bits_count(const struct verso__clone_bits *bits)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < word_count(bits); i++)
        count += (uint64_t)__builtin_popcountll(bits->words[i]);
    return count;
}

/* The first page from @page on whose bit is @set; bits->pages when there is none. */
static uint64_t find(const struct verso__clone_bits *bits, uint64_t page, bool set)
{
    while (page < bits->pages) {
        uint64_t word = bits->words[page / WORD_BITS];
        uint64_t left = (set ? word : ~word) >> (page % WORD_BITS);

        if (left)
            return page + (uint64_t)__builtin_ctzll(left); /* at most the first after the last, which is never set */
        page = (page / WORD_BITS + 1) * WORD_BITS;
    }
    return bits->pages;
}

bool verso__clone_bits_next(const struct verso__clone_bits *bits, uint64_t page, uint64_t *out_first, uint64_t *out_end)
{
    uint64_t first = bits->words ? find(bits, page, true) : bits->pages;

    if (first >= bits->pages)
        return false;
    *out_first = first;
    *out_end = find(bits, first, false);
    return true;
}

int verso__clone_bits_run(const struct verso__clone_bits *bits, uint64_t offset_bytes, uint64_t bytes,
                          struct verso_clone_run *out_run)
{
    uint64_t page_bytes = verso__os_page_bytes(), first, end;

    if (offset_bytes >= bytes || !verso__clone_bits_next(bits, offset_bytes / page_bytes, &first, &end))
        return 0;
    out_run->offset_bytes = first * page_bytes;
    out_run->length_bytes = verso__min_u64(end * page_bytes, bytes) - first * page_bytes;
    return 1;
}
