/* SPDX-License-Identifier: MIT */
/* bits.h - one bit a granule, in words of 64. Ranges are [start, end). */
#ifndef VERSO_SRC_CODE_BITS_H
#define VERSO_SRC_CODE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORD_BITS 64

static inline size_t verso__bits_words(size_t bits)
{
    return (bits + WORD_BITS - 1) / WORD_BITS;
}

static inline bool verso__bit(const uint64_t *words, size_t at)
{
    return words[at / WORD_BITS] >> (at % WORD_BITS) & 1;
}

/* The bits of the word that holds @at which belong to [at, end). */
static inline uint64_t verso__bits_mask(size_t at, size_t end)
{
    uint64_t mask = UINT64_MAX << (at % WORD_BITS);
    size_t word_end = at - at % WORD_BITS + WORD_BITS;

    return end < word_end ? mask & UINT64_MAX >> (word_end - end) : mask;
}

static inline size_t verso__bits_next_word(size_t at)
{
    return at - at % WORD_BITS + WORD_BITS;
}

static inline void verso__bits_set(uint64_t *words, size_t start, size_t end)
{
    for (size_t at = start; at < end; at = verso__bits_next_word(at))
        words[at / WORD_BITS] |= verso__bits_mask(at, end);
}

static inline void verso__bits_clear(uint64_t *words, size_t start, size_t end)
{
    for (size_t at = start; at < end; at = verso__bits_next_word(at))
        words[at / WORD_BITS] &= ~verso__bits_mask(at, end);
}

/* The first bit of [start, end) that is set, or that is not; @end when there is none. */
static inline size_t verso__bits_find(const uint64_t *words, bool set, size_t start, size_t end)
{
    for (size_t at = start; at < end; at = verso__bits_next_word(at)) {
        uint64_t found = (set ? words[at / WORD_BITS] : ~words[at / WORD_BITS]) & verso__bits_mask(at, end);

        if (found)
            return at - at % WORD_BITS + (size_t)__builtin_ctzll(found);
    }
    return end;
}

/* Where the run of bits that are not set and end before @end begins. */
static inline size_t verso__bits_run_start(const uint64_t *words, size_t end)
{
    while (end > 0) {
        size_t word = (end - 1) / WORD_BITS;
        uint64_t found = words[word] & UINT64_MAX >> ((word + 1) * WORD_BITS - end);

        if (found)
            return (word + 1) * WORD_BITS - (size_t)__builtin_clzll(found);
        end = word * WORD_BITS;
    }
    return 0;
}

#endif
