/* SPDX-License-Identifier: MIT */
/*
 * cache_rows - what was found: a table with bars, and remarks on what was done and left; or JSON.
 */
#include "cache.h"

#include <stdlib.h>
#include <string.h>
#include <verso/base.h>

#define SCHEMA 1

/* Why pages stayed is looked into for so many files: it means reading the maps of every process each time. */
#define STAY_ROWS 10

/* ---- Order ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct cache_row *)a)->path, ((const struct cache_row *)b)->path);
}

static double percent(const struct cache_row *row)
{
    if (row->now.cached == CACHE_UNKNOWN)
        return -1;
    return row->pages ? 100.0 * (double)row->now.cached / (double)row->pages : 0;
}

static double key(const struct cache_row *row)
{
    uint64_t count = 0;

    switch (cache_request.sort) {
    case CACHE_SORT_CACHED:
        count = row->now.cached;
        break;
    case CACHE_SORT_SIZE:
        count = row->bytes;
        break;
    case CACHE_SORT_DIRTY:
        count = row->now.dirty;
        break;
    case CACHE_SORT_PERCENT:
        return percent(row);
    default:
        break;
    }
    return count == CACHE_UNKNOWN ? -1 : (double)count;
}

static int by_key(const void *a, const void *b)
{
    double x = key(a), y = key(b);

    return x == y ? by_name(a, b) : x < y ? 1 : -1;
}

/* Pages that are neither dirty nor being written: what of them an eviction leaves is held by somebody. */
static uint64_t clean(const struct cache_counts *now)
{
    uint64_t dirty = now->dirty == CACHE_UNKNOWN ? 0 : now->dirty;
    uint64_t writeback = now->writeback == CACHE_UNKNOWN ? 0 : now->writeback;

    return now->cached == CACHE_UNKNOWN || now->cached < dirty + writeback ? 0 : now->cached - dirty - writeback;
}

static int by_clean(const void *a, const void *b)
{
    uint64_t x = clean(&((const struct cache_row *)a)->now), y = clean(&((const struct cache_row *)b)->now);

    return x == y ? by_name(a, b) : x < y ? 1 : -1;
}

/* ---- Numbers ---- */

static const char *pages_shown(uint64_t pages, char *text)
{
    if (pages == CACHE_UNKNOWN)
        return "?";
    return pages ? bytes_shown(pages * verso_page_bytes(), text) : "0";
}

/* "1 file", "1,234 files", in @text (at least 40 bytes). */
static const char *files_shown(uint64_t count, char *text)
{
    char number[32];

    (void)snprintf(text, 40, "%s file%s", count_shown(count, number), count == 1 ? "" : "s");
    return text;
}

/* Tenths of a percent, rounded down, so that 100 means all and 0 nothing. */
static const char *percent_shown(const struct cache_row *row, char *text, size_t room_bytes)
{
    uint64_t cached = row->now.cached, tenths;

    if (cached == CACHE_UNKNOWN)
        return "?";
    if (cached == 0 || row->pages == 0)
        return "0";
    if (cached >= row->pages)
        return "100";
    tenths = (uint64_t)((long double)cached / (long double)row->pages * 1000);
    if (tenths == 0)
        return "<0.1";
    (void)snprintf(text, room_bytes, "%u.%u", (unsigned)(tenths / 10 % 100), (unsigned)(tenths % 10));
    return text;
}

/* ---- The table ---- */

static void print_headings(void)
{
    printf("%10s %10s %6s %10s %10s %10s  %-*s %s\n", "CACHED", "SIZE", "%", "DIRTY", "WRITEBACK", "EVICTED",
           (int)cache_request.bar_cells + 2, "RESIDENCY", "FILE");
}

/* A bar for what has no places: all, nothing, unknown; or the share of a sum. */
static void fill_plain_bar(const struct cache_row *row, char *bar, size_t cells)
{
    bool is_sum = row->files != 1;
    size_t full = row->pages ? (size_t)((double)row->now.cached / (double)row->pages * (double)cells) : 0;
    char filled = is_sum ? '=' : row->now.dirty && row->now.dirty != CACHE_UNKNOWN ? '*' : '#';

    memset(bar, row->now.cached == CACHE_UNKNOWN ? '?' : is_sum ? ' ' : '.', cells);
    if (row->now.cached != CACHE_UNKNOWN && (full == cells || is_sum))
        memset(bar, filled, full > cells ? cells : full);
}

static void print_bar(const struct cache_row *row)
{
    size_t cells = cache_request.bar_cells, used = cells;
    char *bar = row->bar;

    if (!bar) {
        if (row->files == 1 && row->pages < cells)
            used = (size_t)row->pages;
        bar = allocate(NULL, cells + 1, 1);
        fill_plain_bar(row, bar, used);
        bar[used] = '\0';
    }
    used = strlen(bar);
    printf("[%s]%*s", bar, (int)(cells - used), "");
    if (!row->bar)
        free(bar);
}

static void print_row(const struct cache_row *row, const char *name)
{
    char cached[32], size[32], share[16], dirty[32], writeback[32], evicted[32];

    printf("%10s %10s %6s %10s %10s %10s  ", pages_shown(row->now.cached, cached), bytes_shown(row->bytes, size),
           percent_shown(row, share, sizeof(share)), pages_shown(row->now.dirty, dirty),
           pages_shown(row->now.writeback, writeback), pages_shown(row->now.evicted, evicted));
    print_bar(row);
    printf(" %s\n", name);
}

static void print_table(struct cache_row *rows, size_t count, const struct cache_row *total)
{
    size_t shown = cache_request.top && cache_request.top < count ? (size_t)cache_request.top : count;
    char total_name[80], files[40];

    if (count == 0)
        return;
    print_headings();
    for (size_t i = 0; i < shown && !ferror(stdout); i++) {
        char *name = name_shown(rows[i].path);

        print_row(&rows[i], name);
        free(name);
    }
    if (shown < count)
        printf("%*s ... and %s more\n", 61 + (int)cache_request.bar_cells, "", count_shown(count - shown, files));
    if (count == 1 && rows->files == 1)
        return;
    (void)snprintf(total_name, sizeof(total_name), "total of %s", files_shown(total->files, files));
    print_row(total, total_name);
}

/* ---- Remarks ---- */

static void remark_touch(const struct cache_row *total)
{
    char bytes[32];

    printf("Read %s%s.\n", bytes_shown(total->read_bytes, bytes),
           total->unknown_files ? "; how much of it was missing is not known" : " that was missing");
    if (total->missing)
        printf("Still missing: %s; memory is short, or the files are being changed.\n",
               pages_shown(total->missing, bytes));
}

static void remark_evict(const struct cache_row *total)
{
    uint64_t dropped = total->cached_before > total->now.cached ? total->cached_before - total->now.cached : 0;
    uint64_t held = clean(&total->now);
    char a[32], b[32];

    if (total->pages || total->unknown_files == 0)
        printf("Evicted %s of %s.\n", pages_shown(dropped, a), pages_shown(total->cached_before, b));
    if (total->now.cached > held)
        printf("Stayed: %s dirty or being written; %s.\n", pages_shown(total->now.cached - held, a),
               cache_request.write_back ? "somebody writes there now" : "--sync writes them first");
    if (held)
        printf("Stayed: %s in use.%s\n", pages_shown(held, a), cache_request.summary ? "" : " Most of it:");
}

static void remark_stays(struct cache_row *rows, size_t count)
{
    if (cache_request.summary)
        return;
    qsort(rows, count, sizeof(*rows), by_clean);
    for (size_t i = 0; i < count && i < STAY_ROWS && clean(&rows[i].now) && !interrupted(); i++) {
        char size[32], *name = name_shown(rows[i].path), *why = cache_stay_shown(&rows[i]);

        printf("%10s  %s: %s\n", pages_shown(clean(&rows[i].now), size), name, why);
        free(why);
        free(name);
    }
}

static void remark_left_out(const struct walk_counts *counts)
{
    const struct {
        uint64_t count;
        const char *what;
    } kinds[] = {
        { counts->repeats, "met again (other names of the same files)" },
        { counts->too_large, "larger than --max-size" },
        { counts->special, "neither files nor directories" },
        { counts->links, "symbolic links" },
    };
    const char *before = "Left out: ";
    char text[32];

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (!kinds[i].count)
            continue;
        printf("%s%s %s", before, count_shown(kinds[i].count, text), kinds[i].what);
        before = ", ";
    }
    if (*before == ',')
        puts(".");
}

static void print_remarks(struct cache_row *rows, size_t count, const struct cache_row *total,
                          const struct walk_counts *counts)
{
    char files[40], size[32];

    if (cache_request.action == CACHE_TOUCH)
        remark_touch(total);
    if (cache_request.action == CACHE_LOCK)
        printf("Locked %s in %s.\n", bytes_shown(total->locked_bytes, size), files_shown(total->files, files));
    if (cache_request.action == CACHE_EVICT) {
        remark_evict(total);
        remark_stays(rows, count);
    }
    if (total->unknown_files)
        printf("Unknown: %s in %s: %s.\n", bytes_shown(total->unknown_bytes, size),
               files_shown(total->unknown_files, files), total->why);
    remark_left_out(counts);
}

/* ---- JSON ---- */

static void set_count(json_t *object, const char *name, uint64_t count)
{
    json_object_set_new(object, name, count == CACHE_UNKNOWN ? json_null() : json_integer((json_int_t)count));
}

static json_t *row_json(const struct cache_row *row)
{
    json_t *object = json_object();

    if (row->path)
        json_set_name(object, "path", row->path);
    if (!row->path || cache_request.summary)
        set_count(object, "files", row->files);
    set_count(object, "bytes", row->bytes);
    set_count(object, "pages", row->pages);
    set_count(object, "cached", row->now.cached);
    set_count(object, "dirty", row->now.dirty);
    set_count(object, "writeback", row->now.writeback);
    set_count(object, "evicted", row->now.evicted);
    set_count(object, "recently_evicted", row->now.recently_evicted);
    json_object_set_new(object, "source", json_string(row->source ? row->source : ""));
    json_object_set_new(object, "why_unknown", json_string(row->why ? row->why : ""));
    if (!row->path || cache_request.summary) {
        set_count(object, "unknown_files", row->unknown_files);
        set_count(object, "unknown_bytes", row->unknown_bytes);
    }
    if (cache_request.action == CACHE_TOUCH || cache_request.action == CACHE_EVICT)
        set_count(object, "cached_before", row->cached_before);
    if (cache_request.action == CACHE_TOUCH) {
        set_count(object, "read_bytes", row->read_bytes);
        set_count(object, "missing", row->missing);
    }
    if (cache_request.action == CACHE_LOCK)
        set_count(object, "locked_bytes", row->locked_bytes);
    return object;
}

static json_t *counts_json(const struct walk_counts *counts)
{
    json_t *object = json_object();

    set_count(object, "met_again", counts->repeats);
    set_count(object, "too_large", counts->too_large);
    set_count(object, "special", counts->special);
    set_count(object, "symbolic_links", counts->links);
    set_count(object, "troubles", counts->troubles);
    return object;
}

/* Rows one by one, not as one tree: a million of them would not be small. */
static void print_json(struct cache_row *rows, size_t count, const struct cache_row *total,
                       const struct walk_counts *counts)
{
    static const char *const actions[] = { "look", "touch", "evict", "lock" };
    size_t shown = cache_request.top && cache_request.top < count ? (size_t)cache_request.top : count;
    size_t explained = 0;
    json_t *object;

    printf("{\n\"schema\": %d,\n\"action\": \"%s\",\n\"page_bytes\": %zu,\n\"rows\": [", SCHEMA,
           actions[cache_request.action], verso_page_bytes());
    for (size_t i = 0; i < shown && !ferror(stdout); i++) {
        object = row_json(&rows[i]);
        if (cache_request.action == CACHE_EVICT && !cache_request.summary && clean(&rows[i].now) &&
            explained++ < STAY_ROWS)
            json_object_set_new(object, "stayed", cache_stay_json(&rows[i]));
        fputs(i ? ",\n" : "\n", stdout);
        json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        json_decref(object);
    }
    fputs("\n],\n\"total\": ", stdout);
    object = row_json(total);
    json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
    fputs(",\n\"left_out\": ", stdout);
    object = counts_json(counts);
    json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
    fputs("\n}\n", stdout);
}

int cache_rows_print(struct cache_row *rows, size_t count, const struct cache_row *total,
                     const struct walk_counts *counts)
{
    qsort(rows, count, sizeof(*rows), cache_request.sort == CACHE_SORT_NAME ? by_name : by_key);
    if (common.json) {
        print_json(rows, count, total, counts);
    } else {
        print_table(rows, count, total);
        print_remarks(rows, count, total, counts);
    }
    if (total->unknown_files || total->missing || (cache_request.action == CACHE_EVICT && total->now.cached))
        return EXIT_NO;
    return EXIT_YES;
}
