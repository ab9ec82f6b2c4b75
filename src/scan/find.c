/* SPDX-License-Identifier: MIT */
/*
 * find - every place where a needle stands: a filter marks places (form.h), here they are compared and counted.
 *
 *     data          lead                                                 bytes
 *      |-------------|------- 4096 places -------|--- 4096 ---|-- rest ---|
 *      ^ first place: one whose needle ends past the lead     ^ copied: the filter would look past the end
 *
 * Where marks are many, a branch for each would cost more than all else. A short needle is then settled without: all of
 * its bytes are compared in vectors, and what is left is counted. Lines are never looked for one by one: marks that
 * turned out to be matches are added to the newlines (lines_loop.h).
 */
#include "scan/finder.h"

#include <string.h>

#define CHUNK_BLOCKS ((size_t)64)
#define CHUNK (CHUNK_BLOCKS * VERSO__SCAN_BLOCK)
#define WORD sizeof(uint64_t)
/* Comparing one byte at all places of a chunk costs as much as looking at this many marks (measured). */
#define MARKS_PER_OTHER 8U
/* From so many marks in 64 bytes on, several are likely to be in one line. */
#define MARKS_OF_DENSE 2U

struct hunt {
    const struct verso__scan_finder *finder;
    const struct verso__scan_form *form;
    const unsigned char *data;
    size_t lead, bytes;
    size_t places_end; /* no needle fits from here on */
    struct verso__scan_found *found;
    uint64_t matches;  /* not yet in found */
    size_t last_match; /* of one needle, when matched */
    bool matched;
    size_t line_end; /* only lines: a match is known of the line that ends here; places before it are passed over */
    bool past_first_line;
    bool line_matched; /* the line that is open holds a match */
    bool stopped;
};

/* ---- Comparing ---- */

static inline uint64_t word_at(const unsigned char *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

/* From byte @from on; the last eight are known to. */
static bool middle_equals(const struct verso__scan_compiled *needle, const unsigned char *at, size_t from)
{
    uint64_t differs = 0;

    if (!needle->fold)
        return memcmp(at + from, needle->want + from, needle->bytes - from - WORD) == 0;
    for (size_t i = from; i + WORD < needle->bytes && !differs; i += WORD)
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
    return needle->bytes <= 2 * WORD || middle_equals(needle, at, WORD);
}

/* ---- Matches ---- */

static void count_matches(struct hunt *hunt, size_t needle, uint64_t count)
{
    if (hunt->found->only_lines)
        return;
    hunt->matches += count;
    if (hunt->found->needle_counts)
        hunt->found->needle_counts[needle] += count;
}

/* Answers whether lines can hold it. */
static bool take(struct hunt *hunt, size_t place, size_t needle)
{
    struct verso__scan_found *found = hunt->found;

    count_matches(hunt, needle, 1);
    if (found->each && !found->each(place, needle, found->arg))
        hunt->stopped = true;
    return !hunt->finder->needles[needle].has_newline;
}

static inline uint32_t print_at(const struct verso__scan_finder *finder, const unsigned char *at, size_t room)
{
    uint32_t print = 0;

    at += finder->print_offset;
    if (room >= finder->print_offset + sizeof(print))
        memcpy(&print, at, sizeof(print));
    else
        memcpy(&print, at, finder->print_bytes);
    return (print | finder->print_fold) & finder->print_mask;
}

static const struct verso__scan_group *group_at(const struct hunt *hunt, size_t place)
{
    const struct verso__scan_finder *finder = hunt->finder;
    uint32_t print = print_at(finder, hunt->data + place, hunt->bytes - place);
    size_t slot = verso__scan_hash(print, finder->slot_shift), slot_mask = UINT32_MAX >> finder->slot_shift;

    while (finder->slots[slot].count && finder->slots[slot].print != print)
        slot = (slot + 1) & slot_mask;
    return &finder->slots[slot];
}

/* Compares with all needles that have the print found at a marked place; answers whether a line holds one. */
static bool look_at_group(struct hunt *hunt, size_t place)
{
    const struct verso__scan_group *group = group_at(hunt, place);
    bool held = false;

    for (size_t i = 0; i < group->count && !hunt->stopped; i++) {
        size_t needle = hunt->finder->members[group->first + i];
        const struct verso__scan_compiled *compiled = &hunt->finder->needles[needle];

        if (place + compiled->bytes > hunt->lead && equals(compiled, hunt->data + place, hunt->bytes - place))
            held |= take(hunt, place, needle);
    }
    return held;
}

/*
 * A long needle that stands at many places, each a byte after the other, would be compared in full at each. But after a
 * match it can't stand before its period is over; and there all but as many bytes at its end are known to agree.
 */
static bool stands_again(const struct hunt *hunt, size_t place)
{
    const struct verso__scan_compiled *needle = hunt->finder->needles;
    size_t period = hunt->finder->period_bytes, since = place - hunt->last_match;
    const unsigned char *at = hunt->data + place;

    if (since > period)
        return equals(needle, at, hunt->bytes - place);
    if (since < period || hunt->bytes - place < needle->bytes)
        return false;
    return (word_at(at + needle->bytes - WORD) | needle->tail_fold) == needle->tail &&
           (period <= WORD || middle_equals(needle, at, needle->bytes - period));
}

static bool look_at(struct hunt *hunt, size_t place)
{
    const struct verso__scan_finder *finder = hunt->finder;
    bool stands;

    if (finder->count > 1)
        return look_at_group(hunt, place);
    stands = finder->period_bytes && hunt->matched ? stands_again(hunt, place)
                                                   : equals(finder->needles, hunt->data + place, hunt->bytes - place);
    if (!stands)
        return false;
    hunt->last_match = place;
    hunt->matched = true;
    return take(hunt, place, 0);
}

/* Whether a marked place is worth a look: the buckets agree with many where there is no needle's print. */
static inline bool has_print(const struct verso__scan_finder *finder, const unsigned char *at)
{
    uint32_t hash;

    if (finder->count == 1)
        return true;
    hash = verso__scan_hash(print_at(finder, at, SIZE_MAX), finder->bit_shift);
    return finder->bits[hash / 64] >> hash % 64 & 1;
}

/* Lists the marked places that are worth a look, without a branch that depends on it; answers how many. */
static size_t list_marks(const struct verso__scan_finder *finder, const unsigned char *at, size_t blocks,
                         const uint64_t *masks, uint16_t *list)
{
    size_t count = 0;

    for (size_t block = 0; block < blocks; block++) {
        for (uint64_t marks = masks[block]; marks; marks &= marks - 1) {
            size_t place = block * VERSO__SCAN_BLOCK + (unsigned)__builtin_ctzll(marks);

            list[count] = (uint16_t)place;
            count += has_print(finder, at + place);
        }
    }
    return count;
}

/* Its newline is looked for once, where the other marks in the line would cost more. */
static void pass_over_line(struct hunt *hunt, size_t place)
{
    const unsigned char *newline = memchr(hunt->data + place, '\n', hunt->bytes - place);

    hunt->line_end = newline ? (size_t)(newline - hunt->data) : hunt->bytes;
}

/* Marks remain where a line holds a match. */
static void look_at_marks(struct hunt *hunt, const unsigned char *at, size_t place, size_t blocks, uint64_t *masks)
{
    uint16_t list[CHUNK];
    size_t count = list_marks(hunt->finder, at, blocks, masks, list);
    bool passes_over = hunt->found->only_lines && count >= MARKS_OF_DENSE * blocks;

    memset(masks, 0, blocks * sizeof(*masks));
    for (size_t i = 0; i < count && !hunt->stopped; i++) {
        size_t marked = place + list[i];

        if (marked < hunt->line_end || !look_at(hunt, marked))
            continue;
        masks[list[i] / VERSO__SCAN_BLOCK] |= (uint64_t)1 << list[i] % VERSO__SCAN_BLOCK;
        if (passes_over)
            pass_over_line(hunt, marked);
    }
}

/* All at once, where that is cheaper: one needle whose bytes can all be compared, and nobody asks for the places. */
static bool settle_at_once(struct hunt *hunt, const unsigned char *at, size_t blocks, uint64_t *masks, uint64_t marked)
{
    const struct verso__scan_finder *finder = hunt->finder;
    size_t others = finder->others.count;

    if (finder->count > 1 || hunt->found->each || finder->needles->bytes > others + 2 ||
        marked < MARKS_PER_OTHER * others)
        return false;
    if (others)
        marked = hunt->form->others(&finder->others, at, blocks, masks);
    count_matches(hunt, 0, marked);
    if (finder->needles->has_newline)
        memset(masks, 0, blocks * sizeof(*masks));
    return true;
}

static void hold_lines(struct hunt *hunt, const unsigned char *at, size_t blocks, const uint64_t *masks)
{
    if (hunt->past_first_line) {
        hunt->found->lines->matched += hunt->form->lines(at, blocks, masks, &hunt->line_matched);
        return;
    }
    for (size_t block = 0; block < blocks; block++)
        hunt->line_matched |= masks[block] != 0;
}

/* ---- Places ---- */

/* @at is where the places' bytes can be read, with the filter's reach behind them. */
static void hunt_blocks(struct hunt *hunt, const unsigned char *at, size_t place, size_t blocks, uint64_t valid)
{
    uint64_t masks[CHUNK_BLOCKS];
    bool is_one = hunt->finder->count == 1;
    uint64_t marked = is_one ? hunt->form->pair(&hunt->finder->pair, at, blocks, masks)
                             : hunt->form->buckets(&hunt->finder->buckets, at, blocks, masks);

    if (valid != UINT64_MAX) { /* one block */
        masks[0] &= valid;
        marked = (unsigned)__builtin_popcountll(masks[0]);
    }
    if (marked && !settle_at_once(hunt, at, blocks, masks, marked))
        look_at_marks(hunt, at, place, blocks, masks);
    if (hunt->found->lines && (marked || hunt->line_matched))
        hold_lines(hunt, at, blocks, masks);
}

/* The next places, 64 at most, before @end, where the filter would look past the end: shown a copy with room behind. */
static size_t hunt_rest(struct hunt *hunt, size_t place, size_t end)
{
    unsigned char copy[VERSO__SCAN_BLOCK + VERSO__SCAN_REACH_MAX] = { 0 };
    size_t bytes = hunt->bytes - place, last = end < hunt->places_end ? end : hunt->places_end;
    size_t count = last > place ? last - place : 0;
    uint64_t valid = count < VERSO__SCAN_BLOCK ? ((uint64_t)1 << count) - 1 : UINT64_MAX;

    memcpy(copy, hunt->data + place, bytes < sizeof(copy) ? bytes : sizeof(copy));
    hunt_blocks(hunt, copy, place, 1, valid);
    return end - place < VERSO__SCAN_BLOCK ? end : place + VERSO__SCAN_BLOCK;
}

/* All places in [place, end), which are no matches from places_end on. */
static void hunt_places(struct hunt *hunt, size_t place, size_t end)
{
    size_t reach = hunt->finder->reach_bytes;
    size_t free_end = hunt->bytes >= reach ? hunt->bytes - reach + 1 : 0; /* the filter stays inside before here */

    if (free_end > end)
        free_end = end;
    while (place < end && !hunt->stopped) {
        size_t blocks = place < free_end ? (free_end - place) / VERSO__SCAN_BLOCK : 0;

        if (blocks > CHUNK_BLOCKS)
            blocks = CHUNK_BLOCKS;
        if (blocks > 0)
            hunt_blocks(hunt, hunt->data + place, place, blocks, UINT64_MAX);
        place = blocks > 0 ? place + blocks * VERSO__SCAN_BLOCK : hunt_rest(hunt, place, end);
    }
}

/* ---- A look ---- */

/* What is before the first newline, then the rest, to the last byte: places where no needle fits may have newlines. */
static void hunt_lines(struct hunt *hunt, size_t first)
{
    struct verso__scan_lines *lines = hunt->found->lines;
    size_t lead = hunt->lead, bytes = hunt->bytes, end;
    const unsigned char *newline = bytes > lead ? memchr(hunt->data + lead, '\n', bytes - lead) : NULL;

    *lines = (struct verso__scan_lines){ .has_newline = newline != NULL };
    end = newline ? (size_t)(newline - hunt->data) + 1 : bytes;
    hunt_places(hunt, first, end < hunt->places_end ? end : hunt->places_end);
    lines->first_matched = hunt->line_matched;
    if (newline) {
        hunt->line_matched = false;
        hunt->past_first_line = true;
        hunt_places(hunt, end, bytes);
    }
    lines->last_matched = hunt->line_matched;
}

bool verso__scan_find(const struct verso__scan_finder *finder, const void *data, size_t lead, size_t bytes,
                      struct verso__scan_found *found)
{
    size_t longest_lead = finder->longest_bytes - 1;
    size_t first = lead > longest_lead ? lead - longest_lead : 0;
    bool fits = bytes > lead && bytes >= finder->shortest_bytes;
    struct hunt hunt = {
        .finder = finder,
        .form = verso__scan_form(),
        .data = data,
        .lead = lead,
        .bytes = bytes,
        .places_end = fits ? bytes - finder->shortest_bytes + 1 : 0,
        .found = found,
    };

    if (found->lines)
        hunt_lines(&hunt, first);
    else
        hunt_places(&hunt, first, hunt.places_end);
    found->matches += hunt.matches;
    return !hunt.stopped;
}
