/* SPDX-License-Identifier: MIT */
/*
 * filter - the tables by which places are marked.
 *
 * One needle is looked for by the two bytes of it that are met least often. Of several, a print of up to four bytes is
 * taken, at the same distance from the start of each (so that places come in order), where the prints are met least.
 * Prints that are alike share a bucket: then its bytes are few.
 */
#include "scan/finder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Print offsets that are tried; later ones are seldom better, and cost what lies between at each end of a stretch. */
#define OFFSETS_TRIED 32U
/* In the table that tells real prints from others; with the most needles it still fits the nearest cache. */
#define BITS_PER_PRINT 48U
#define BITS_LEAST 8192U

static double share_of(unsigned char byte, bool is_folded)
{
    unsigned share = verso__scan_byte_share[byte];

    if (is_folded)
        share += verso__scan_byte_share[byte & ~0x20U];
    return (double)share / 65536;
}

static double share_at(const struct verso__scan_compiled *needle, size_t offset)
{
    return share_of(needle->want[offset], needle->fold && needle->fold[offset]);
}

/* ---- One needle ---- */

/* Two of the same value, or side by side, tell less than two others of the same shares: they come together anyway. */
static double pair_share(const struct verso__scan_compiled *needle, size_t a, size_t b)
{
    double share = share_at(needle, a) * share_at(needle, b);

    if (needle->want[a] == needle->want[b])
        return share * 16;
    return b - a == 1 ? share * 4 : share;
}

static struct verso__scan_byte byte_of(const struct verso__scan_compiled *needle, size_t offset)
{
    return (struct verso__scan_byte){ offset, needle->want[offset], needle->fold ? needle->fold[offset] : 0 };
}

static void make_others(struct verso__scan_finder *finder, size_t first, size_t second)
{
    const struct verso__scan_compiled *needle = finder->needles;

    if (needle->bytes > VERSO__SCAN_OTHERS_MAX + 2)
        return;
    for (size_t i = 0; i < needle->bytes; i++) {
        if (i != first && i != second)
            finder->others.bytes[finder->others.count++] = byte_of(needle, i);
    }
    finder->reach_bytes = needle->bytes;
}

/*
 * Moved by its period a needle agrees with itself: it ends as it begins, by all but that many bytes. How long the
 * beginning is that each part of it ends with follows from the parts before (Knuth, Morris, Pratt).
 */
static int make_period(struct verso__scan_finder *finder)
{
    const struct verso__scan_compiled *needle = finder->needles;
    uint32_t *border = calloc(needle->bytes, sizeof(*border)), length = 0;

    if (!border)
        return -ENOMEM;
    for (size_t i = 1; i < needle->bytes; i++) {
        while (length > 0 && needle->want[i] != needle->want[length])
            length = border[length - 1];
        if (needle->want[i] == needle->want[length])
            length++;
        border[i] = length;
    }
    finder->period_bytes = needle->bytes - length;
    free(border);
    return 0;
}

static void make_pair(struct verso__scan_finder *finder)
{
    const struct verso__scan_compiled *needle = finder->needles;
    size_t n = needle->bytes < VERSO__SCAN_REACH_MAX ? needle->bytes : VERSO__SCAN_REACH_MAX;
    size_t rarest = 0, first, second, a, b;
    double least = 2;

    for (size_t i = 1; i < n; i++) {
        if (share_at(needle, i) < share_at(needle, rarest))
            rarest = i;
    }
    first = second = rarest;
    for (size_t i = 0; i < n; i++) {
        a = i < rarest ? i : rarest;
        b = i < rarest ? rarest : i;
        if (a != b && pair_share(needle, a, b) < least) {
            least = pair_share(needle, a, b);
            first = a;
            second = b;
        }
    }
    finder->pair = (struct verso__scan_pair){ { byte_of(needle, first), byte_of(needle, second) } };
    finder->reach_bytes = second + 1;
    make_others(finder, first, second);
}

/* ---- Prints ---- */

/* A needle's print: the bytes to compare, all of them with 0x20 or-ed when case is folded; others than letters may then
 * share a print, which costs a comparison, no more. */
static uint32_t print_of(const struct verso__scan_finder *finder, size_t needle)
{
    uint32_t print = 0;

    memcpy(&print, finder->needles[needle].want + finder->print_offset, finder->print_bytes);
    return (print | finder->print_fold) & finder->print_mask;
}

static double prints_share(const struct verso__scan_finder *finder, size_t offset)
{
    double sum = 0;

    for (size_t i = 0; i < finder->count; i++) {
        double share = 1;

        for (size_t k = 0; k < finder->print_bytes; k++)
            share *= share_at(&finder->needles[i], offset + k);
        sum += share;
    }
    return sum;
}

static void choose_print(struct verso__scan_finder *finder)
{
    static const unsigned char ones[VERSO__SCAN_PRINT_BYTES] = { 0xff, 0xff, 0xff, 0xff };
    size_t n = finder->shortest_bytes < VERSO__SCAN_PRINT_BYTES ? finder->shortest_bytes : VERSO__SCAN_PRINT_BYTES;
    double least;

    finder->print_bytes = n;
    least = prints_share(finder, 0);
    for (size_t offset = 1; offset <= finder->shortest_bytes - n && offset < OFFSETS_TRIED; offset++) {
        double share = prints_share(finder, offset);

        if (share < least) {
            least = share;
            finder->print_offset = offset;
        }
    }
    memcpy(&finder->print_mask, ones, n);
    if (finder->needles[0].fold)
        finder->print_fold = 0x20202020;
    finder->reach_bytes = finder->print_offset + VERSO__SCAN_PRINT_BYTES;
}

/* ---- Groups ---- */

struct printed {
    uint32_t print;
    uint32_t needle;
};

/* By their bytes from the first on, so that those which begin alike are neighbours; then by number. */
static int compare_printed(const void *a, const void *b)
{
    const struct printed *x = a, *y = b;
    int order = memcmp(&x->print, &y->print, sizeof(x->print));

    return order ? order : (x->needle > y->needle) - (x->needle < y->needle);
}

static void add_group(struct verso__scan_finder *finder, size_t slot_count, struct verso__scan_group group)
{
    size_t slot = verso__scan_hash(group.print, finder->slot_shift);

    while (finder->slots[slot].count)
        slot = (slot + 1) & (slot_count - 1);
    finder->slots[slot] = group;
}

/* At least half of the slots stay empty. Sorted needles become members; answers how many groups. */
static size_t make_groups(struct verso__scan_finder *finder, const struct printed *sorted, size_t slot_count)
{
    size_t groups = 0;

    for (size_t i = 0, next; i < finder->count; i = next) {
        for (next = i; next < finder->count && sorted[next].print == sorted[i].print; next++)
            finder->members[next] = sorted[next].needle;
        add_group(finder, slot_count, (struct verso__scan_group){ sorted[i].print, (uint32_t)i, (uint32_t)(next - i) });
        groups++;
    }
    return groups;
}

/* ---- Buckets ---- */

static void add_byte(struct verso__scan_buckets *buckets, size_t k, unsigned char byte, unsigned char bit)
{
    buckets->low[k][byte & 15] |= bit;
    buckets->high[k][byte >> 4] |= bit;
    buckets->six[k][byte & 63] |= bit;
}

static void add_print(struct verso__scan_finder *finder, size_t needle, size_t bucket)
{
    const struct verso__scan_compiled *from = &finder->needles[needle];
    unsigned char bit = (unsigned char)(1U << bucket);

    for (size_t k = 0; k < finder->print_bytes; k++) {
        unsigned char byte = from->want[finder->print_offset + k];

        add_byte(&finder->buckets, k, byte, bit);
        if (from->fold && from->fold[finder->print_offset + k])
            add_byte(&finder->buckets, k, (unsigned char)(byte ^ 0x20), bit);
    }
}

static void make_buckets(struct verso__scan_finder *finder, const struct printed *sorted, size_t groups)
{
    size_t group = 0;

    finder->buckets.offset = finder->print_offset;
    finder->buckets.byte_count = finder->print_bytes;
    for (size_t i = 0; i < finder->count; i++) {
        group += i > 0 && sorted[i].print != sorted[i - 1].print ? 1 : 0;
        add_print(finder, sorted[i].needle, group * VERSO__SCAN_BUCKET_COUNT / groups);
    }
}

static void make_bits(struct verso__scan_finder *finder)
{
    for (size_t i = 0; i < finder->count; i++) {
        uint32_t hash = verso__scan_hash(print_of(finder, i), finder->bit_shift);

        finder->bits[hash / 64] |= (uint64_t)1 << hash % 64;
    }
}

static unsigned log2_of(size_t least)
{
    unsigned log2 = 1;

    while ((size_t)1 << log2 < least)
        log2++;
    return log2;
}

static int make_prints(struct verso__scan_finder *finder)
{
    size_t count = finder->count;
    unsigned slots_log2 = log2_of(2 * count), words_log2 = log2_of((BITS_LEAST + BITS_PER_PRINT * count) / 64);
    struct printed *sorted = calloc(count, sizeof(*sorted));

    choose_print(finder);
    finder->slot_shift = 32 - slots_log2;
    finder->bit_shift = 32 - words_log2 - 6;
    finder->slots = calloc((size_t)1 << slots_log2, sizeof(*finder->slots));
    finder->bits = calloc((size_t)1 << words_log2, sizeof(*finder->bits));
    finder->members = calloc(count, sizeof(*finder->members));
    if (!sorted || !finder->slots || !finder->bits || !finder->members) {
        free(sorted);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct printed){ print_of(finder, i), (uint32_t)i };
    qsort(sorted, count, sizeof(*sorted), compare_printed);
    make_buckets(finder, sorted, make_groups(finder, sorted, (size_t)1 << slots_log2));
    make_bits(finder);
    free(sorted);
    return 0;
}

int verso__scan_filter_make(struct verso__scan_finder *finder)
{
    if (finder->count > 1)
        return make_prints(finder);
    make_pair(finder);
    return finder->others.count + 2 < finder->shortest_bytes ? make_period(finder) : 0;
}
