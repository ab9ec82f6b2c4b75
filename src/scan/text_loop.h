/* SPDX-License-Identifier: MIT */
/*
 * text_loop.h - counting a text by masks; included by each form, for its own processor, after it has defined
 *
 *     TARGET               the attribute that lets a function use the processor's instructions
 *     newlines_in(at)      which of the 64 bytes at @at are newlines,
 *     words_in(at)         belong to words,
 *     characters_in(at)    begin a character
 *
 * A word begins where a byte of a word follows one that is not: mask & ~(mask << 1), the bit shifted in being the last
 * of the block before. A line is longest between two newlines; in a block that has any, only the first can end a line
 * that is longer than 64 bytes, so the others are only looked at as long as no line that long has been seen.
 */
#include "scan/form.h"

#include <string.h>

/* Where in the stretch things stand. */
struct text_state {
    uint64_t at;         /* the block */
    uint64_t line_start; /* of the line that has not ended */
    uint64_t in_word;    /* 1: the last byte before the block belongs to a word */
    bool had_newline;
};

TARGET static inline void end_line(struct text_state *state, uint64_t at, struct verso__scan_text *out)
{
    uint64_t line_bytes = at - state->line_start;

    if (!state->had_newline)
        out->first_bytes = line_bytes;
    if (line_bytes > out->longest_bytes)
        out->longest_bytes = line_bytes;
    state->had_newline = true;
    state->line_start = at + 1;
}

TARGET static inline void end_lines(struct text_state *state, uint64_t newlines, struct verso__scan_text *out)
{
    uint64_t others = newlines;

    if (!newlines)
        return;
    end_line(state, state->at + (unsigned)__builtin_ctzll(newlines), out);
    while (out->longest_bytes < VERSO__SCAN_BLOCK && (others &= others - 1))
        end_line(state, state->at + (unsigned)__builtin_ctzll(others), out);
    state->line_start = state->at + VERSO__SCAN_BLOCK - (unsigned)__builtin_clzll(newlines);
}

/* One block of which @valid are looked at. */
TARGET static inline void text_block(const unsigned char *at, uint64_t valid, unsigned counts, struct text_state *state,
                                     struct verso__scan_text *out)
{
    if (counts & (VERSO_SCAN_LINES | VERSO_SCAN_LONGEST)) {
        uint64_t newlines = newlines_in(at) & valid;

        if (counts & VERSO_SCAN_LINES)
            out->lines += (unsigned)__builtin_popcountll(newlines);
        if (counts & VERSO_SCAN_LONGEST)
            end_lines(state, newlines, out);
    }
    if (counts & VERSO_SCAN_WORDS) {
        uint64_t words = words_in(at) & valid;

        out->words += (unsigned)__builtin_popcountll(words & ~(words << 1 | state->in_word));
        state->in_word = words >> (VERSO__SCAN_BLOCK - 1);
    }
    if (counts & VERSO_SCAN_CHARACTERS)
        out->characters += (unsigned)__builtin_popcountll(characters_in(at) & valid);
    state->at += VERSO__SCAN_BLOCK;
}

TARGET static inline void text_blocks(const unsigned char *data, size_t bytes, unsigned counts,
                                      struct text_state *state, struct verso__scan_text *out)
{
    for (size_t at = 0; at + VERSO__SCAN_BLOCK <= bytes; at += VERSO__SCAN_BLOCK) {
        verso__scan_ask_ahead(data + at);
        text_block(data + at, UINT64_MAX, counts, state, out);
    }
}

static inline bool in_word(unsigned char byte)
{
    return byte != ' ' && (byte < '\t' || byte > '\r');
}

/* Of at least one byte. The commonest counts have a loop each in which nothing else is asked. */
TARGET static void text(const unsigned char *data, size_t bytes, unsigned counts, struct verso__scan_text *out)
{
    struct verso__scan_text sums = *out;
    struct text_state state = { 0 };
    size_t rest = bytes % VERSO__SCAN_BLOCK;

    if (counts == VERSO_SCAN_LINES)
        text_blocks(data, bytes, VERSO_SCAN_LINES, &state, &sums);
    else if (counts == (VERSO_SCAN_LINES | VERSO_SCAN_WORDS))
        text_blocks(data, bytes, VERSO_SCAN_LINES | VERSO_SCAN_WORDS, &state, &sums);
    else
        text_blocks(data, bytes, counts, &state, &sums);
    if (rest) {
        unsigned char last[VERSO__SCAN_BLOCK] = { 0 };

        memcpy(last, data + bytes - rest, rest);
        text_block(last, ((uint64_t)1 << rest) - 1, counts, &state, &sums);
    }
    if (counts & VERSO_SCAN_LONGEST) {
        sums.last_bytes = bytes - state.line_start;
        if (!state.had_newline)
            sums.first_bytes = bytes;
        if (sums.last_bytes > sums.longest_bytes)
            sums.longest_bytes = sums.last_bytes;
    }
    if (counts & VERSO_SCAN_WORDS) {
        sums.begins_in_word = in_word(data[0]);
        sums.ends_in_word = in_word(data[bytes - 1]);
    }
    *out = sums;
}
