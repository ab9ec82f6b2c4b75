/* SPDX-License-Identifier: MIT */
/*
 * needles - places where byte strings lie, found in any order and told of in the order of the file.
 *
 *      stretch k                           stretch k+1
 *      ....................|--- lead -----|........................
 *                             [== A ====]                           ends in k: found there
 *                           [== B ==========]                       ends in k+1: found there, and begins before A
 *
 * A needle is found in the stretch in which it ends. So a place that begins in the last bytes of a stretch, the lead of
 * the next one, may have to wait for an earlier one: it is pending until that stretch has been passed.
 */
#include "scan/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What is kept of a stretch before its turn; where there are more, they are looked for again. */
#define KEPT_MATCHES_MAX ((size_t)1 << 15)

/* False without memory. */
static bool append(struct verso__scan_matches *matches, const struct verso__scan_place *place)
{
    struct verso__scan_place *list = matches->list;

    if (matches->count == matches->room) {
        size_t room = matches->room ? 2 * matches->room : 64;

        list = realloc(matches->list, room * sizeof(*list));
        if (!list)
            return false;
        matches->list = list;
        matches->room = room;
    }
    list[matches->count++] = *place;
    return true;
}

/* ---- In any order ---- */

struct keeping {
    struct verso__scan_matches *matches;
    uint64_t offset; /* of what the finder sees */
};

/* Goes on when it can't keep more: there is still to be counted. */
static bool keep(size_t offset, size_t needle, void *arg)
{
    struct keeping *keeping = arg;
    const struct verso__scan_place place = { keeping->offset + offset, needle, 0 };

    if (!keeping->matches->lacks_some &&
        (keeping->matches->count == KEPT_MATCHES_MAX || !append(keeping->matches, &place)))
        keeping->matches->lacks_some = true;
    return true;
}

void verso__scan_find_all(const struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                          struct verso__scan_summary *summary)
{
    struct keeping keeping = { &summary->kept, stretch->offset - stretch->lead };
    struct verso__scan_lines lines = { 0 };
    struct verso__scan_found found = {
        .needle_counts = summary->needle_counts,
        .lines = jobs->needle_flags & (VERSO_SCAN_COUNT_LINES | VERSO_SCAN_ONLY_LINES) ? &lines : NULL,
        .only_lines = jobs->needle_flags & VERSO_SCAN_ONLY_LINES,
        .each = jobs->each_match ? keep : NULL,
        .arg = &keeping,
    };

    summary->kept.count = 0;
    summary->kept.lacks_some = false;
    (void)verso__scan_find(jobs->finder, stretch->data - stretch->lead, stretch->lead, stretch->lead + stretch->bytes,
                           &found);
    summary->matches += found.matches;
    if (found.lines)
        verso__scan_lines_join(&summary->lines, &lines);
}

/* ---- In order ---- */

struct telling {
    struct verso__scan_jobs *jobs;
    struct verso__scan_matches waiting; /* what was pending, to be merged in */
    size_t next;                        /* of those */
    uint64_t offset;                    /* of what the finder sees */
    uint64_t limit;                     /* what begins before it is told, the rest becomes pending */
    bool counts_lines;
    uint64_t counted_to; /* lines are counted as far as they are asked for */
    uint64_t lines;
    struct verso_scan_match match; /* its content; the place is filled in for each */
    int status;
};

static void count_lines_to(struct telling *telling, uint64_t offset)
{
    const struct verso_scan_match *match = &telling->match;
    struct verso__scan_text text;

    verso__scan_text(match->content + (telling->counted_to - match->content_offset_bytes),
                     (size_t)(offset - telling->counted_to), VERSO_SCAN_LINES, &text);
    telling->lines += text.lines;
    telling->counted_to = offset;
}

static bool tell(struct telling *telling, const struct verso__scan_place *place)
{
    telling->match.offset_bytes = place->offset;
    telling->match.needle = place->needle;
    telling->match.lines = place->lines;
    if (place->offset >= telling->limit) {
        if (!append(&telling->jobs->pending, place))
            telling->status = -ENOMEM;
    } else if (telling->jobs->each_match(&telling->match, telling->jobs->match_arg) != 0) {
        telling->status = VERSO_E_CANCELLED;
    }
    return telling->status == 0;
}

static bool comes_before(const struct verso__scan_place *a, const struct verso__scan_place *b)
{
    return a->offset < b->offset || (a->offset == b->offset && a->needle < b->needle);
}

/* NULL: only what was waiting is left. */
static bool tell_in_order(struct telling *telling, const struct verso__scan_place *place)
{
    while (telling->next < telling->waiting.count &&
           (!place || comes_before(&telling->waiting.list[telling->next], place)))
        if (!tell(telling, &telling->waiting.list[telling->next++]))
            return false;
    return !place || tell(telling, place);
}

static bool tell_found_place(struct telling *telling, const struct verso__scan_place *found)
{
    struct verso__scan_place place = *found;

    if (telling->counts_lines) {
        count_lines_to(telling, place.offset);
        place.lines = telling->lines;
    }
    return tell_in_order(telling, &place);
}

static bool tell_found(size_t offset, size_t needle, void *arg)
{
    struct telling *telling = arg;

    return tell_found_place(telling, &(struct verso__scan_place){ telling->offset + offset, needle, 0 });
}

/* The stretch, with its lead: places may lie there. */
static void show_content(struct telling *telling, const struct verso__scan_stretch *stretch, uint64_t lines)
{
    telling->match.content = stretch->data - stretch->lead;
    telling->match.content_bytes = stretch->lead + stretch->bytes;
    telling->match.content_offset_bytes = telling->offset;
    telling->counts_lines = telling->jobs->counts & VERSO_SCAN_LINES;
    telling->counted_to = telling->offset;
    if (!telling->counts_lines)
        return;
    count_lines_to(telling, stretch->offset); /* of the lead */
    telling->lines = lines - telling->lines;
    telling->counted_to = telling->offset;
}

static int tell_all(struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch, uint64_t lines,
                    const struct verso__scan_matches *kept, uint64_t limit)
{
    struct telling telling = {
        .jobs = jobs,
        .waiting = jobs->pending,
        .offset = stretch->offset - stretch->lead,
        .limit = limit,
    };
    struct verso__scan_found again = {
        .only_lines = jobs->needle_flags & VERSO_SCAN_ONLY_LINES,
        .each = tell_found,
        .arg = &telling,
    };

    if (jobs->needle_flags & VERSO_SCAN_WITH_CONTENT)
        show_content(&telling, stretch, lines);
    jobs->pending = (struct verso__scan_matches){ 0 };
    if (kept->lacks_some)
        (void)verso__scan_find(jobs->finder, stretch->data - stretch->lead, stretch->lead,
                               stretch->lead + stretch->bytes, &again);
    for (size_t i = 0; i < kept->count && !kept->lacks_some; i++)
        if (!tell_found_place(&telling, &kept->list[i]))
            break;
    if (telling.status == 0)
        (void)tell_in_order(&telling, NULL);
    free(telling.waiting.list);
    return telling.status;
}

int verso__scan_tell_matches(struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch, uint64_t lines,
                             const struct verso__scan_matches *kept)
{
    uint64_t end = stretch->offset + stretch->bytes;
    size_t lead;

    if (!jobs->each_match)
        return 0;
    lead = verso__scan_finder_lead_bytes(jobs->finder);
    return tell_all(jobs, stretch, lines, kept, end > lead ? end - lead : 0);
}

int verso__scan_tell_pending(struct verso__scan_jobs *jobs)
{
    static const unsigned char nothing[1];
    static const struct verso__scan_stretch end = { .data = nothing };
    static const struct verso__scan_matches none;

    return jobs->pending.count ? tell_all(jobs, &end, 0, &none, UINT64_MAX) : 0;
}
