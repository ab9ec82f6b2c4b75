/* SPDX-License-Identifier: MIT */
/*
 * kernels - which form of the loops runs here; and what is the same in all of them: joining stretches, and the
 * histogram.
 *
 * The histogram is bound by one store each byte, which no vector can do for it. Eight bytes are taken from a word and
 * counted in four tables in turn, so that runs of one value don't wait for their own last store.
 */
#include "scan/form.h"

#include <stdatomic.h>
#include <string.h>

/* ---- The form ---- */

/* Best first. */
static const struct verso__scan_form *const forms[] = {
#if defined(__x86_64__)
    &verso__scan_avx512,
    &verso__scan_avx2,
#elif defined(__aarch64__)
    &verso__scan_neon,
#endif
    &verso__scan_portable,
};
#define FORM_COUNT (sizeof(forms) / sizeof(forms[0]))

static _Atomic(const struct verso__scan_form *) chosen;

/* Two threads may do this at once, and agree. */
static const struct verso__scan_form *choose(void)
{
    size_t i = 0;

    while (i < FORM_COUNT - 1 && !forms[i]->is_supported()) /* the last one always is */
        i++;
    atomic_store_explicit(&chosen, forms[i], memory_order_relaxed);
    return forms[i];
}

const struct verso__scan_form *verso__scan_form(void)
{
    const struct verso__scan_form *form = atomic_load_explicit(&chosen, memory_order_relaxed);

    return form ? form : choose();
}

const char *verso__scan_kernel_name(void)
{
    return verso__scan_form()->name;
}

bool verso__scan_kernel_force(const char *name)
{
    for (size_t i = 0; name && i < FORM_COUNT; i++) {
        if (strcmp(forms[i]->name, name) == 0 && forms[i]->is_supported()) {
            atomic_store_explicit(&chosen, forms[i], memory_order_relaxed);
            return true;
        }
    }
    if (!name)
        (void)choose();
    return !name;
}

/* ---- Joining ---- */

void verso__scan_text(const void *data, size_t bytes, unsigned counts, struct verso__scan_text *out)
{
    *out = (struct verso__scan_text){ .bytes = bytes };
    if (bytes > 0)
        verso__scan_form()->text(data, bytes, counts, out);
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Without a newline, what lies before the first one is everything. */
static bool has_newline(const struct verso__scan_text *text)
{
    return text->first_bytes != text->bytes;
}

void verso__scan_text_join(struct verso__scan_text *left, const struct verso__scan_text *right)
{
    struct verso__scan_text whole = {
        .bytes = left->bytes + right->bytes,
        .lines = left->lines + right->lines,
        .words = left->words + right->words - (left->ends_in_word && right->begins_in_word ? 1 : 0),
        .characters = left->characters + right->characters,
        .first_bytes = has_newline(left) ? left->first_bytes : left->bytes + right->first_bytes,
        .last_bytes = has_newline(right) ? right->last_bytes : left->last_bytes + right->bytes,
        .longest_bytes =
            larger(left->last_bytes + right->first_bytes, larger(left->longest_bytes, right->longest_bytes)),
        .begins_in_word = left->bytes ? left->begins_in_word : right->begins_in_word,
        .ends_in_word = right->bytes ? right->ends_in_word : left->ends_in_word,
    };

    *left = whole;
}

void verso__scan_lines_join(struct verso__scan_lines *left, const struct verso__scan_lines *right)
{
    bool between = left->last_matched || right->first_matched; /* the line that lies in both */

    left->matched += right->matched + (left->has_newline && right->has_newline && between ? 1 : 0);
    if (!left->has_newline)
        left->first_matched = between;
    left->last_matched = right->has_newline ? right->last_matched : between;
    left->has_newline = left->has_newline || right->has_newline;
}

uint64_t verso__scan_lines_total(const struct verso__scan_lines *lines)
{
    return lines->matched + (lines->first_matched ? 1 : 0) + (lines->has_newline && lines->last_matched ? 1 : 0);
}

/* ---- Histogram ---- */

void verso__scan_histogram(const void *data, size_t bytes, uint64_t counts[256])
{
    const unsigned char *at = data;
    uint64_t tables[4][256] = { 0 };
    uint64_t word;

    for (; bytes >= sizeof(word); at += sizeof(word), bytes -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        tables[0][word & 0xff]++;
        tables[1][word >> 8 & 0xff]++;
        tables[2][word >> 16 & 0xff]++;
        tables[3][word >> 24 & 0xff]++;
        tables[0][word >> 32 & 0xff]++;
        tables[1][word >> 40 & 0xff]++;
        tables[2][word >> 48 & 0xff]++;
        tables[3][word >> 56]++;
    }
    while (bytes-- > 0)
        tables[0][*at++]++;
    for (size_t value = 0; value < 256; value++)
        counts[value] += tables[0][value] + tables[1][value] + tables[2][value] + tables[3][value];
}
