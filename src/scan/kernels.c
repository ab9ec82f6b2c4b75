/* SPDX-License-Identifier: MIT */
/* kernels - the inner loops of a scan, in plain C. */
#include "scan/kernels.h"

#include <string.h>

const char *verso__scan_kernel_name(void)
{
    return "portable";
}

void verso__scan_text(const void *data, size_t bytes, unsigned counts, struct verso__scan_text *out)
{
    const unsigned char *p = data;
    bool in = false;
    uint64_t line = 0;
    bool any = false;
    memset(out, 0, sizeof(*out));
    out->bytes = bytes;
    if (counts == VERSO_SCAN_LINES) {
        uint64_t n = 0;
        for (size_t i = 0; i < bytes; i++)
            n += p[i] == '\n';
        out->lines = n;
        return;
    }
    for (size_t i = 0; i < bytes; i++) {
        bool space = p[i] == ' ' || (p[i] >= 9 && p[i] <= 13);
        if (i == 0)
            out->begins_in_word = !space;
        out->words += !space && !in;
        in = !space;
        out->characters += (p[i] & 0xc0) != 0x80;
        if (p[i] == '\n') {
            out->lines++;
            if (!any)
                out->first_bytes = line;
            any = true;
            if (line > out->longest_bytes)
                out->longest_bytes = line;
            line = 0;
        } else
            line++;
    }
    out->ends_in_word = in && (counts & VERSO_SCAN_WORDS);
    out->begins_in_word = out->begins_in_word && (counts & VERSO_SCAN_WORDS);
    if (!any)
        out->first_bytes = line;
    out->last_bytes = line;
    if (line > out->longest_bytes)
        out->longest_bytes = line;
    if (!(counts & VERSO_SCAN_LINES))
        out->lines = 0;
    if (!(counts & VERSO_SCAN_WORDS))
        out->words = 0;
    if (!(counts & VERSO_SCAN_CHARACTERS))
        out->characters = 0;
    if (!(counts & VERSO_SCAN_LONGEST))
        out->first_bytes = out->last_bytes = out->longest_bytes = 0;
}

void verso__scan_text_join(struct verso__scan_text *left, const struct verso__scan_text *right)
{
    struct verso__scan_text l = *left, r = *right;
    if (r.bytes == 0)
        return;
    if (l.bytes == 0) {
        *left = r;
        return;
    }
    left->bytes += r.bytes;
    left->lines += r.lines;
    left->words += r.words - (l.ends_in_word && r.begins_in_word);
    left->characters += r.characters;
    left->ends_in_word = r.ends_in_word;
    bool lone = l.last_bytes == l.bytes, rone = r.first_bytes == r.bytes;
    uint64_t mid = l.last_bytes + r.first_bytes;
    left->first_bytes = lone ? mid : l.first_bytes;
    left->last_bytes = rone ? mid : r.last_bytes;
    if (r.longest_bytes > left->longest_bytes)
        left->longest_bytes = r.longest_bytes;
    if (mid > left->longest_bytes)
        left->longest_bytes = mid;
}

void verso__scan_histogram(const void *data, size_t bytes, uint64_t counts[256])
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        counts[p[i]]++;
}
