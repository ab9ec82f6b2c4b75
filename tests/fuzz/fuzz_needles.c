/* SPDX-License-Identifier: MIT */
/*
 * needles - every form of the finder against a comparison at every place, whatever the needles and the text are.
 *
 *     input    flags lead | needle | needle | ... | | text         each "|" is a byte 0xff
 */
#include "must.h"
#include "scan/kernels.h"

#include <stdint.h>
#include <string.h>

#define NEEDLES_MAX 64
#define SEPARATOR 0xff

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct looking {
    struct verso_scan_needle needles[NEEDLES_MAX];
    size_t count;
    unsigned flags;
    const uint8_t *text;
    size_t lead, bytes;
    size_t at, needle; /* where the plain way stands */
};

static uint8_t folded(uint8_t byte, unsigned flags)
{
    return flags & VERSO_SCAN_FOLD_CASE && byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte | 0x20) : byte;
}

static bool stands(const struct looking *l)
{
    const struct verso_scan_needle *needle = &l->needles[l->needle];
    const uint8_t *want = needle->data;

    if (needle->bytes > l->bytes - l->at || l->at + needle->bytes <= l->lead)
        return false;
    for (size_t i = 0; i < needle->bytes; i++) {
        if (folded(want[i], l->flags) != folded(l->text[l->at + i], l->flags))
            return false;
    }
    return true;
}

/* The next match of the plain way, if there is one. */
static bool next_plain(struct looking *l)
{
    while (l->at < l->bytes) {
        if (l->needle == l->count) {
            l->needle = 0;
            l->at++;
        } else if (stands(l)) {
            return true;
        } else {
            l->needle++;
        }
    }
    return false;
}

static bool is_next(size_t offset, size_t needle, void *arg)
{
    struct looking *l = arg;

    must(next_plain(l) && l->at == offset && l->needle == needle);
    l->needle++;
    return true;
}

static void check(struct looking *l, const char *kernel)
{
    struct verso__scan_lines all, only;
    struct verso__scan_found places = { .each = is_next, .arg = l }, counted = { .lines = &all };
    struct verso__scan_found lines = { .lines = &only, .only_lines = true };
    struct verso__scan_finder *finder;

    if (!verso__scan_kernel_force(kernel))
        return;
    must(verso__scan_finder_open(l->needles, l->count, l->flags, &finder) == 0);
    l->at = l->needle = 0;
    must(verso__scan_find(finder, l->text, l->lead, l->bytes, &places));
    must(!next_plain(l));
    must(verso__scan_find(finder, l->text, l->lead, l->bytes, &counted));
    must(verso__scan_find(finder, l->text, l->lead, l->bytes, &lines));
    must(counted.matches == places.matches && lines.matches == 0);
    must(all.has_newline == only.has_newline && all.first_matched == only.first_matched);
    must(all.last_matched == only.last_matched && all.matched == only.matched);
    verso__scan_finder_close(finder);
}

/* What is before the next separator. */
static struct verso_scan_needle take_field(const uint8_t **data, const uint8_t *end)
{
    const uint8_t *from = *data, *to = from < end ? memchr(from, SEPARATOR, (size_t)(end - from)) : NULL;

    *data = to ? to + 1 : end;
    return (struct verso_scan_needle){ from, (size_t)((to ? to : end) - from) };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *end = data + bytes;
    struct looking l = { .count = 0 };
    struct verso_scan_needle field;

    if (bytes < 3)
        return 0;
    l.flags = data[0] & 1 ? VERSO_SCAN_FOLD_CASE : 0;
    l.lead = data[1];
    data += 2;
    for (field = take_field(&data, end); field.bytes > 0 && l.count < NEEDLES_MAX; field = take_field(&data, end))
        l.needles[l.count++] = field;
    if (l.count == 0)
        return 0;
    l.text = data;
    l.bytes = (size_t)(end - data);
    if (l.lead > l.bytes)
        l.lead = l.bytes;
    check(&l, "portable");
    check(&l, "NEON");
    check(&l, "AVX2");
    check(&l, "AVX-512");
    (void)verso__scan_kernel_force(NULL);
    return 0;
}
