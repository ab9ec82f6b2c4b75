/* SPDX-License-Identifier: MIT */
/* finder - needles are checked, copied, and brought into the form in which they are compared. */
#include "scan/finder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD sizeof(uint64_t)

static bool is_letter(unsigned char byte)
{
    unsigned char lower = byte | 0x20;

    return lower >= 'a' && lower <= 'z';
}

static uint64_t word_at(const unsigned char *at, size_t bytes)
{
    uint64_t word = 0;

    memcpy(&word, at, bytes < WORD ? bytes : WORD);
    return word;
}

/* @room: for the needle, and behind it, when case is folded, what is or-ed. */
static void compile(struct verso__scan_compiled *out, const struct verso_scan_needle *needle, unsigned flags,
                    unsigned char *room)
{
    const unsigned char ones[WORD] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const unsigned char *from = needle->data;
    size_t n = needle->bytes, tail = n > WORD ? n - WORD : 0;
    unsigned char *fold = flags & VERSO_SCAN_FOLD_CASE ? room + n : NULL;

    memcpy(room, from, n);
    for (size_t i = 0; fold && i < n; i++) {
        fold[i] = is_letter(from[i]) ? 0x20 : 0;
        room[i] = (unsigned char)(from[i] | fold[i]);
    }
    *out = (struct verso__scan_compiled){
        .head = word_at(room, n),
        .head_fold = fold ? word_at(fold, n) : 0,
        .head_mask = word_at(ones, n),
        .tail = word_at(room + tail, n),
        .tail_fold = fold ? word_at(fold + tail, n) : 0,
        .want = room,
        .fold = fold,
        .bytes = (uint32_t)n,
        .has_newline = memchr(from, '\n', n) != NULL,
    };
}

static int check(const struct verso_scan_needle *needles, size_t count, unsigned flags, size_t *out_bytes)
{
    const unsigned known =
        VERSO_SCAN_FOLD_CASE | VERSO_SCAN_COUNT_LINES | VERSO_SCAN_ONLY_LINES | VERSO_SCAN_WITH_CONTENT;
    size_t bytes = 0;

    if (count == 0 || count > VERSO_SCAN_NEEDLES_MAX || flags & ~known)
        return VERSO_E_OPTIONS;
    for (size_t i = 0; i < count; i++) {
        if (!needles[i].data || needles[i].bytes == 0 || needles[i].bytes > VERSO_SCAN_NEEDLE_BYTES_MAX)
            return VERSO_E_OPTIONS;
        bytes += needles[i].bytes;
    }
    *out_bytes = flags & VERSO_SCAN_FOLD_CASE ? 2 * bytes : bytes;
    return 0;
}

static void compile_all(struct verso__scan_finder *finder, const struct verso_scan_needle *needles, unsigned flags)
{
    unsigned char *room = finder->bytes;

    finder->shortest_bytes = SIZE_MAX;
    for (size_t i = 0; i < finder->count; i++) {
        size_t n = needles[i].bytes;

        compile(&finder->needles[i], &needles[i], flags, room);
        room += flags & VERSO_SCAN_FOLD_CASE ? 2 * n : n;
        if (n < finder->shortest_bytes)
            finder->shortest_bytes = n;
        if (n > finder->longest_bytes)
            finder->longest_bytes = n;
    }
}

int verso__scan_finder_open(const struct verso_scan_needle *needles, size_t count, unsigned flags,
                            struct verso__scan_finder **out_finder)
{
    struct verso__scan_finder *finder;
    size_t bytes = 0;
    int r = check(needles, count, flags, &bytes);

    if (r < 0)
        return r;
    finder = calloc(1, sizeof(*finder));
    if (!finder)
        return -ENOMEM;
    finder->count = count;
    finder->needles = calloc(count, sizeof(*finder->needles));
    finder->bytes = malloc(bytes);
    r = -ENOMEM;
    if (finder->needles && finder->bytes) {
        compile_all(finder, needles, flags);
        r = verso__scan_filter_make(finder);
    }
    if (r < 0) {
        verso__scan_finder_close(finder);
        return r;
    }
    *out_finder = finder;
    return 0;
}

void verso__scan_finder_close(struct verso__scan_finder *finder)
{
    if (!finder)
        return;
    free(finder->needles);
    free(finder->bytes);
    free(finder->slots);
    free(finder->members);
    free(finder->bits);
    free(finder);
}

size_t verso__scan_finder_lead_bytes(const struct verso__scan_finder *finder)
{
    return finder->longest_bytes - 1;
}

bool verso__scan_finder_has_one_length(const struct verso__scan_finder *finder)
{
    return finder->shortest_bytes == finder->longest_bytes;
}
