/* SPDX-License-Identifier: MIT */
/*
 * cache - what of files is in memory; bringing them in, letting them go, keeping them.
 */
#include "cache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <verso/base.h>

#define THREADS_MAX 64
#define COLUMNS_OF_NUMBERS 64
#define COLUMNS_OF_NAME 24

static bool touch, evict, lock, null_ends, background;
static const char *names_file, *pidfile;
static uint64_t thread_count;
static struct walk_options walk_options = { .bytes_max = UINT64_MAX };

static const struct option_row options[] = {
    { 't', "touch", OPTION_FLAG, NULL, "read what is missing", &touch },
    { 'e', "evict", OPTION_FLAG, NULL, "let go of what is cached, and say what stayed and why", &evict },
    { 0, "sync", OPTION_FLAG, NULL, "with --evict: write dirty pages first, for only clean ones go",
      &cache_request.write_back },
    { 'l', "lock", OPTION_FLAG, NULL, "read all and keep it in memory until Ctrl-C", &lock },
    { 0, "on-fault", OPTION_FLAG, NULL, "with --lock: only what is cached already; read nothing",
      &cache_request.on_fault },
    { 'd', "daemon", OPTION_FLAG, NULL, "with --lock: go into the background once all is locked", &background },
    { 'P', "pidfile", OPTION_TEXT, "FILE", "with --lock: write the process's number to FILE", &pidfile },
    { 'r', "range", OPTION_RANGE, "RANGE", "only these bytes of each file: 4K-1M, 1G-, -64K", &cache_request.range },
    { 's', "summary", OPTION_FLAG, NULL, "one row for each name given, not for each file", &cache_request.summary },
    { 'S', "sort", OPTION_CHOICE, "name|cached|size|dirty|percent", "order of rows", &cache_request.sort },
    { 'n', "top", OPTION_COUNT, "COUNT", "only the first COUNT rows", &cache_request.top },
    { 'f', "follow", OPTION_FLAG, NULL, "follow symbolic links", &walk_options.follow },
    { 'x', "one-file-system", OPTION_FLAG, NULL, "do not go into other file systems", &walk_options.one_file_system },
    { 'm', "max-size", OPTION_BYTES, "SIZE", "leave out larger files", &walk_options.bytes_max },
    { 'i', "ignore", OPTION_TEXTS, "PATTERN", "leave out matching names; may be repeated", &walk_options.ignore },
    { 'I', "only", OPTION_TEXTS, "PATTERN", "only files of matching names; may be repeated", &walk_options.only },
    { 0, "count-links", OPTION_FLAG, NULL, "count a file as often as it has names", &walk_options.count_links },
    { 'b', "files-from", OPTION_TEXT, "FILE", "take names from FILE, one a line; - is standard input", &names_file },
    { '0', "null", OPTION_FLAG, NULL, "names in that file end in NUL, as find -print0 writes them", &null_ends },
    { 0, "threads", OPTION_COUNT, "COUNT", "how many threads; without it, as many as there are processors",
      &thread_count },
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

/* ---- What was asked for ---- */

static int check_options(void)
{
    if (touch + evict + lock > 1)
        return trouble("only one of --touch, --evict and --lock at a time");
    if (cache_request.write_back && !evict)
        return trouble("--sync goes with --evict");
    if (!lock && (cache_request.on_fault || background || pidfile))
        return trouble("--on-fault, --daemon and --pidfile go with --lock");
    if (null_ends && !names_file)
        return trouble("--null goes with --files-from");
    if (thread_count > THREADS_MAX)
        return trouble("--threads: at most %d", THREADS_MAX);
    if (cache_request.range.start_bytes > INT64_MAX)
        return trouble("--range: no file is that long");
    return -1;
}

static void set_request(void)
{
    int columns = terminal_columns(stdout) - COLUMNS_OF_NUMBERS - COLUMNS_OF_NAME;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    cache_request.action = touch ? CACHE_TOUCH : evict ? CACHE_EVICT : lock ? CACHE_LOCK : CACHE_LOOK;
    if (cache_request.range.end_bytes == 0 || cache_request.range.end_bytes > INT64_MAX)
        cache_request.range.end_bytes = UINT64_MAX;
    cache_request.bar_cells = common.json ? 0 : columns < 10 ? 10 : columns > 40 ? 40 : (size_t)columns;
    if (thread_count == 0)
        thread_count = processors > 8 ? 8 : processors < 1 ? 1 : (uint64_t)processors;
    walk_options.thread_count = (unsigned)thread_count;
}

/* ---- Names ---- */

static int read_names(FILE *file, struct text_list *names)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;

    while ((length = getdelim(&line, &room, null_ends ? '\0' : '\n', file)) > 0) {
        if (line[length - 1] == (null_ends ? '\0' : '\n'))
            line[--length] = '\0';
        if (length == 0)
            continue;
        if (strlen(line) != (size_t)length) {
            free(line);
            return trouble("--files-from: a name with a NUL in it; is --null missing?");
        }
        names->texts = allocate(names->texts, names->count + 1, sizeof(*names->texts));
        names->texts[names->count++] = line;
        line = NULL;
        room = 0;
    }
    free(line);
    return ferror(file) ? trouble("--files-from: %s", strerror(errno)) : -1;
}

static int read_list(struct text_list *names)
{
    bool is_stdin = strcmp(names_file, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(names_file, "re");
    int answer;

    if (!file) {
        char *shown = name_shown(names_file);

        answer = trouble("--files-from: %s: %s", shown, strerror(errno));
        free(shown);
        return answer;
    }
    answer = read_names(file, names);
    if (!is_stdin)
        fclose(file);
    return answer;
}

static void text_list_clear(struct text_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free((void *)(uintptr_t)list->texts[i]);
    free(list->texts);
}

/* The list counts as one more root, called as it was. */
static size_t root_count(const struct walk_names *names)
{
    return names->given.count + (names_file ? 1 : 0);
}

static const char *root_name(const struct walk_names *names, size_t root)
{
    return root < names->given.count ? names->given.texts[root] : names_file;
}

/* ---- Work ---- */

/* For a bar with time left: what is missing altogether. Only where somebody watches, for it is a walk of its own. */
static void measure(struct cache_gather *gather, const struct walk_names *names)
{
    struct walk_options quiet = walk_options;
    struct walk_counts counts;
    uint64_t total;

    if (common.quiet || !isatty(STDERR_FILENO))
        return;
    quiet.silent = true;
    walk_run(&quiet, names, cache_file_missing, gather, &counts);
    total = atomic_exchange(&gather->progress_done, 0);
    progress_start(&gather->progress, cache_request.action == CACHE_LOCK ? "locking" : "reading", total, true);
}

/* All rows of all workers in one array; the rows themselves move, with what they hold. */
static struct cache_row *collect_files(struct cache_gather *gather, size_t *out_count)
{
    struct cache_row *rows;
    size_t count = 0;

    for (unsigned i = 0; i < gather->worker_count; i++)
        count += gather->workers[i].row_count;
    rows = allocate(NULL, count, sizeof(*rows));
    *out_count = count;
    for (unsigned i = 0; i < gather->worker_count; i++) {
        count -= gather->workers[i].row_count;
        if (gather->workers[i].row_count)
            memcpy(rows + count, gather->workers[i].rows, gather->workers[i].row_count * sizeof(*rows));
        gather->workers[i].row_count = 0;
    }
    return rows;
}

/* A row for each name given. */
static struct cache_row *collect_sums(const struct cache_gather *gather, const struct walk_names *names)
{
    struct cache_row *rows = allocate(NULL, gather->root_count, sizeof(*rows));

    for (size_t root = 0; root < gather->root_count; root++) {
        rows[root] = (struct cache_row){ .root = root, .source = "", .why = "" };
        for (unsigned i = 0; i < gather->worker_count; i++)
            cache_row_add(&rows[root], &gather->workers[i].sums[root]);
        rows[root].path = copy_of(root_name(names, root));
    }
    return rows;
}

static int report(struct cache_gather *gather, const struct walk_names *names, const struct walk_counts *counts)
{
    struct cache_row total = { .source = "", .why = "" };
    size_t count = gather->root_count;
    struct cache_row *rows = collect_sums(gather, names);
    int answer;

    for (size_t i = 0; i < count; i++)
        cache_row_add(&total, &rows[i]);
    if (!cache_request.summary) {
        for (size_t i = 0; i < count; i++)
            free(rows[i].path);
        free(rows);
        rows = collect_files(gather, &count);
    }
    answer = cache_rows_print(rows, count, &total, counts);
    for (size_t i = 0; i < count; i++) {
        free(rows[i].path);
        free(rows[i].bar);
    }
    free(rows);
    return counts->troubles || atomic_load(&gather->troubles) ? EXIT_TROUBLE : answer;
}

static int work(const struct walk_names *names)
{
    struct cache_gather gather;
    struct walk_counts counts;
    int answer;

    cache_gather_init(&gather, walk_options.thread_count, root_count(names));
    if (cache_request_reads())
        measure(&gather, names);
    else
        progress_start(&gather.progress, "files", 0, false);
    walk_run(&walk_options, names, cache_file, &gather, &counts);
    progress_end(&gather.progress);
    if (interrupted()) {
        answer = trouble("interrupted");
    } else if (cache_request.action == CACHE_LOCK && atomic_load(&gather.troubles)) {
        answer = EXIT_TROUBLE; /* a lock that holds half is given up, not held */
    } else {
        answer = report(&gather, names, &counts);
        if (cache_request.action == CACHE_LOCK) {
            fflush(stdout);
            note("holding; %s ends it", background ? "SIGTERM" : "Ctrl-C");
            cache_hold_ready(answer, true);
            cache_hold_wait();
        }
    }
    cache_gather_clear(&gather);
    return answer;
}

static int hold(const struct walk_names *names)
{
    int answer;

    cache_hold_raise_limit();
    answer = background ? cache_hold_background() : -1;
    if (answer >= 0)
        return answer;
    if (pidfile && !cache_hold_pidfile(pidfile)) {
        cache_hold_ready(EXIT_TROUBLE, false);
        return EXIT_TROUBLE;
    }
    answer = work(names);
    cache_hold_pidfile_remove();
    cache_hold_ready(answer, false);
    return answer;
}

static int run(int count, char **arguments)
{
    struct walk_names names = { { NULL, 0 }, { NULL, 0 } };
    int answer = check_options();

    if (answer >= 0)
        return answer;
    if (count == 0 && !names_file)
        return trouble("name files or directories; see `verso cache --help`");
    set_request();
    names.given.texts = allocate(NULL, (size_t)count, sizeof(*names.given.texts));
    for (int i = 0; i < count; i++)
        names.given.texts[names.given.count++] = arguments[i];
    if (names_file)
        answer = read_list(&names.listed);
    if (answer < 0)
        answer = lock ? hold(&names) : work(&names);
    free(names.given.texts);
    text_list_clear(&names.listed);
    free(walk_options.ignore.texts);
    free(walk_options.only.texts);
    return answer;
}

const struct command command_cache = {
    .name = "cache",
    .summary = "what of files is in memory; touch, evict, lock",
    .arguments = "FILE|DIR...",
    .example = "  $ verso cache /usr/lib/x86_64-linux-gnu/libc.so.6\n"
               "  $ verso cache --sort=cached --top=20 /usr\n"
               "  $ verso cache --touch database.db\n",
    .details =
        "Rows: what is cached, of what size; dirty (newer than the disk), writeback (on the way there), evicted\n"
        "(was cached, and has been reclaimed). In the bar # is cached, : in part, . not, * has dirty pages,\n"
        "? unknown; of sums, = is the share. Nothing but --touch and --lock reads files.\n"
        "The kernel tells of a file's pages only to its owner and to those who may write it.\n"
        "\n"
        "Exit codes: 0 done and all known, 1 something stayed, is still missing, or is unknown, 2 trouble.\n",
    .options = options,
    .has_json = true,
    .run = run,
};
