/* SPDX-License-Identifier: MIT */
/*
 * find - every place where a needle stands: a filter marks places (form.h), here they are compared and counted.
 *
 *     data          lead                                                 bytes
 *      |-------------|------- 4096 places -------|--- 4096 ---|-- rest ---|
 *      ^ first place: one whose needle ends past the lead     ^ copied: the filter would look past the end
 *
 * In lines alone, a match moves the next place behind the line's newline; marks before it are passed over.
 */
#include "scan/finder.h"

#include <string.h>

#define CHUNK_BLOCKS ((size_t)64)
#define CHUNK (CHUNK_BLOCKS * VERSO__SCAN_BLOCK)
#define WORD sizeof(uint64_t)

struct hunt {
    const struct verso__scan_finder *finder;
    const struct verso__scan_form *form;
    const unsigned char *data;
    size_t lead, bytes;
    size_t next_place; /* places before it are of no interest */
    struct verso__scan_found *found;
    uint64_t matches; /* not yet in found */
    bool is_plain;    /* matches of one needle are counted, nothing else */
    bool stopped;
    /* lines: */
    size_t first_newline; /* SIZE_MAX: none */
    size_t line_end;      /* matches that end before here lie in a line that is counted already */
};

/* ---- Comparing ---- */

static inline uint64_t word_at(const unsigned char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

static bool middle_equals(const struct verso__scan_compiled *needle, const unsigned char *at)
{
    uint64_t differs = 0;

    if (!needle->fold)
        return memcmp(at + WORD, needle->want + WORD, needle->bytes - 2 * WORD) == 0;
    for (size_t i = WORD; i + WORD < needle->bytes && !differs; i += WORD)
        differs = (word_at(at + i) | word_at(needle->fold + i)) ^ word_at(needle->want + i);
    return !differs;
}

/* @room: how many bytes can be read at @at. */
static inline bool equals(const struct verso__scan_compiled *needle, const unsigned char *at, size_t room)
{
    uint64_t head = 0;

    if (room < needle->bytes)
        return false;
    if (room >= WORD)
        head = word_at(at);
    else
        memcpy(&head, at, room);
    if (((head | needle->head_fold) ^ needle->head) & needle->head_mask)
        return false;
    if (needle->bytes <= WORD)
        return true;
    if ((word_at(at + needle->bytes - WORD) | needle->tail_fold) != needle->tail)
        return false;
    return needle->bytes <= 2 * WORD || middle_equals(needle, at);
}

/* ---- Matches ---- */

/* A line holds the match that ends at @last: counts it, once. */
static void take_line(struct hunt *hunt, size_t last)
{
    struct verso__scan_lines *lines = hunt->found->lines;
    const unsigned char *newline;

    if (last < hunt->line_end)
        return;
    newline = memchr(hunt->data + last, '\n', hunt->bytes - last);
    hunt->line_end = newline ? (size_t)(newline - hunt->data) + 1 : hunt->bytes;
    if (last < hunt->first_newline)
        lines->first_matched = true;
    else if (newline)
        lines->matched++;
    else
        lines->last_matched = true;
}

static void take(struct hunt *hunt, size_t place, size_t needle)
{
    const struct verso__scan_compiled *compiled = &hunt->finder->needles[needle];
    struct verso__scan_found *found = hunt->found;

    if (found->lines && !compiled->has_newline) {
        take_line(hunt, place + compiled->bytes - 1);
        if (found->only_lines)
            hunt->next_place = hunt->line_end;
    }
    if (found->only_lines)
        return;
    hunt->matches++;
    if (found->needle_counts)
        found->needle_counts[needle]++;
    if (found->each && !found->each(place, needle, found->arg))
        hunt->stopped = true;
}

static const struct verso__scan_group *group_at(const struct hunt *hunt, size_t place)
{
    const struct verso__scan_finder *finder = hunt->finder;
    const unsigned char *at = hunt->data + place + finder->print_offset;
    size_t slot, room = hunt->bytes - place - finder->print_offset, slot_mask = UINT32_MAX >> finder->slot_shift;
    uint32_t print = 0;

    memcpy(&print, at, room < sizeof(print) ? room : sizeof(print));
    print = (print | finder->print_fold) & finder->print_mask;
    slot = verso__scan_hash(print, finder->slot_shift);
    while (finder->slots[slot].count && finder->slots[slot].print != print)
        slot = (slot + 1) & slot_mask;
    return &finder->slots[slot];
}

/* Compares with all needles that have the print found at a marked place. */
static void look_at_group(struct hunt *hunt, size_t place)
{
    const struct verso__scan_group *group = group_at(hunt, place);

    for (size_t i = 0; i < group->count && !hunt->stopped && place >= hunt->next_place; i++) {
        size_t needle = hunt->finder->members[group->first + i];
        const struct verso__scan_compiled *compiled = &hunt->finder->needles[needle];

        if (place + compiled->bytes > hunt->lead && equals(compiled, hunt->data + place, hunt->bytes - place))
            take(hunt, place, needle);
    }
}

/* One needle always ends past the lead: the first place is chosen so. */
static inline void look_at(struct hunt *hunt, size_t place)
{
    const struct verso__scan_compiled *needle = hunt->finder->needles;

    if (hunt->finder->filter != VERSO__SCAN_PAIR)
        look_at_group(hunt, place);
    else if (hunt->finder->pair_is_all || equals(needle, hunt->data + place, hunt->bytes - place)) {
        if (hunt->is_plain)
            hunt->matches++;
        else
            take(hunt, place, 0);
    }
}

/* ---- Places ---- */

/* Marks of places before @next, in the 64 from @place on, go. */
static inline uint64_t marks_from(uint64_t marks, size_t place, size_t next)
{
    if (next <= place)
        return marks;
    return next - place >= VERSO__SCAN_BLOCK ? 0 : marks & UINT64_MAX << (next - place);
}

static void look_at_marks(struct hunt *hunt, size_t place, const uint64_t *masks, size_t blocks)
{
    for (size_t block = 0; block < blocks && !hunt->stopped; block++, place += VERSO__SCAN_BLOCK) {
        uint64_t marks = marks_from(masks[block], place, hunt->next_place);

        while (marks && !hunt->stopped) {
            look_at(hunt, place + (unsigned)__builtin_ctzll(marks));
            marks &= marks - 1;
            marks = marks_from(marks, place, hunt->next_place);
        }
    }
}

static uint64_t filter(const struct hunt *hunt, const unsigned char *at, size_t blocks, uint64_t *masks)
{
    const struct verso__scan_finder *finder = hunt->finder;

    switch (finder->filter) {
    case VERSO__SCAN_PAIR:
        return hunt->form->pair(&finder->pair, at, blocks, masks);
    case VERSO__SCAN_BUCKETS:
        return hunt->form->buckets(&finder->buckets, at, blocks, masks);
    case VERSO__SCAN_HASHES:
        break;
    }
    return hunt->form->hashes(&finder->hashes, at, blocks, masks);
}

/* Whole blocks. */
static void hunt_blocks(struct hunt *hunt, size_t place, size_t blocks)
{
    uint64_t masks[CHUNK_BLOCKS];
    uint64_t marked = filter(hunt, hunt->data + place, blocks, masks);

    if (marked && hunt->is_plain && hunt->finder->pair_is_all)
        hunt->matches += marked;
    else if (marked)
        look_at_marks(hunt, place, masks, blocks);
}

/* The last @count places, 64 at most, where the filter would look past the end: shown a copy with room behind it. */
static void hunt_rest(struct hunt *hunt, size_t place, size_t count)
{
    unsigned char copy[VERSO__SCAN_BLOCK + VERSO__SCAN_REACH_MAX] = { 0 };
    size_t bytes = hunt->bytes - place;
    uint64_t mask;

    memcpy(copy, hunt->data + place, bytes < sizeof(copy) ? bytes : sizeof(copy));
    (void)filter(hunt, copy, 1, &mask);
    mask &= UINT64_MAX >> (VERSO__SCAN_BLOCK - count);
    look_at_marks(hunt, place, &mask, 1);
}

/* Of all places in [place, end). */
static void hunt_places(struct hunt *hunt, size_t place, size_t end)
{
    size_t reach = hunt->finder->reach_bytes;

    while (place < end && !hunt->stopped) {
        size_t whole = hunt->bytes - place >= reach ? hunt->bytes - place - reach + 1 : 0, count = end - place;

        if (count > whole)
            count = whole; /* places at which the filter may look */
        if (count >= VERSO__SCAN_BLOCK) {
            size_t blocks = count >= CHUNK ? CHUNK_BLOCKS : count / VERSO__SCAN_BLOCK;

            hunt_blocks(hunt, place, blocks);
            place += blocks * VERSO__SCAN_BLOCK;
        } else {
            count = end - place < VERSO__SCAN_BLOCK ? end - place : VERSO__SCAN_BLOCK;
            hunt_rest(hunt, place, count);
            place += count;
        }
        if (place < hunt->next_place)
            place = hunt->next_place;
    }
}

/* ---- A look ---- */

static void begin_lines(struct hunt *hunt, struct verso__scan_lines *lines)
{
    const unsigned char *newline =
        hunt->bytes > hunt->lead ? memchr(hunt->data + hunt->lead, '\n', hunt->bytes - hunt->lead) : NULL;

    *lines = (struct verso__scan_lines){ .has_newline = newline != NULL };
    hunt->first_newline = newline ? (size_t)(newline - hunt->data) : SIZE_MAX;
}

bool verso__scan_find(const struct verso__scan_finder *finder, const void *data, size_t lead, size_t bytes,
                      struct verso__scan_found *found)
{
    size_t longest_lead = finder->longest_bytes - 1;
    size_t first = lead > longest_lead ? lead - longest_lead : 0;
    struct hunt hunt = {
        .finder = finder,
        .form = verso__scan_form(),
        .data = data,
        .lead = lead,
        .bytes = bytes,
        .found = found,
        .is_plain = finder->count == 1 && !found->lines && !found->each,
    };

    if (found->lines)
        begin_lines(&hunt, found->lines);
    if (bytes > lead && bytes - first >= finder->shortest_bytes)
        hunt_places(&hunt, first, bytes - finder->shortest_bytes + 1);
    if (found->lines && !found->lines->has_newline)
        found->lines->last_matched = found->lines->first_matched;
    found->matches += hunt.matches;
    if (hunt.is_plain && found->needle_counts)
        found->needle_counts[0] += hunt.matches;
    return !hunt.stopped;
}
