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
static bool append(struct verso__scan_matches *matches, const struct verso_scan_match *match)
{
    struct verso_scan_match *list = matches->list;

    if (matches->count == matches->room) {
        size_t room = matches->room ? 2 * matches->room : 64;

        list = realloc(matches->list, room * sizeof(*list));
        if (!list)
            return false;
        matches->list = list;
        matches->room = room;
    }
    list[matches->count++] = *match;
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
    const struct verso_scan_match match = { keeping->offset + offset, needle };

    if (!keeping->matches->lacks_some &&
        (keeping->matches->count == KEPT_MATCHES_MAX || !append(keeping->matches, &match)))
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
    int status;
};

static bool tell(struct telling *telling, const struct verso_scan_match *match)
{
    if (match->offset_bytes >= telling->limit) {
        if (!append(&telling->jobs->pending, match))
            telling->status = -ENOMEM;
    } else if (telling->jobs->each_match(match, telling->jobs->match_arg) != 0) {
        telling->status = VERSO_E_CANCELLED;
    }
    return telling->status == 0;
}

static bool comes_before(const struct verso_scan_match *a, const struct verso_scan_match *b)
{
    return a->offset_bytes < b->offset_bytes || (a->offset_bytes == b->offset_bytes && a->needle < b->needle);
}

/* NULL: only what was waiting is left. */
static bool tell_in_order(struct telling *telling, const struct verso_scan_match *match)
{
    while (telling->next < telling->waiting.count &&
           (!match || comes_before(&telling->waiting.list[telling->next], match)))
        if (!tell(telling, &telling->waiting.list[telling->next++]))
            return false;
    return !match || tell(telling, match);
}

static bool tell_found(size_t offset, size_t needle, void *arg)
{
    struct telling *telling = arg;
    const struct verso_scan_match match = { telling->offset + offset, needle };

    return tell_in_order(telling, &match);
}

static int tell_all(struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                    const struct verso__scan_matches *kept, uint64_t limit)
{
    struct telling telling = { jobs, jobs->pending, 0, stretch->offset - stretch->lead, limit, 0 };
    struct verso__scan_found again = { .each = tell_found, .arg = &telling };

    jobs->pending = (struct verso__scan_matches){ 0 };
    if (kept->lacks_some)
        (void)verso__scan_find(jobs->finder, stretch->data - stretch->lead, stretch->lead,
                               stretch->lead + stretch->bytes, &again);
    for (size_t i = 0; i < kept->count && !kept->lacks_some; i++)
        if (!tell_in_order(&telling, &kept->list[i]))
            break;
    if (telling.status == 0)
        (void)tell_in_order(&telling, NULL);
    free(telling.waiting.list);
    return telling.status;
}

int verso__scan_tell_matches(struct verso__scan_jobs *jobs, const struct verso__scan_stretch *stretch,
                             const struct verso__scan_matches *kept)
{
    uint64_t end = stretch->offset + stretch->bytes;
    size_t lead;

    if (!jobs->each_match)
        return 0;
    lead = verso__scan_finder_lead_bytes(jobs->finder);
    return tell_all(jobs, stretch, kept, end > lead ? end - lead : 0);
}

int verso__scan_tell_pending(struct verso__scan_jobs *jobs)
{
    static const struct verso__scan_stretch nothing;
    static const struct verso__scan_matches none;

    return jobs->pending.count ? tell_all(jobs, &nothing, &none, UINT64_MAX) : 0;
}
