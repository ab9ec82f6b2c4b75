/* SPDX-License-Identifier: MIT */
/*
 * find - literal bytes in files: lines that hold them, how many, or where.
 */
#include "find_lines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SCHEMA 1
#define ROOM_BYTES ((size_t)256 << 10)
#define ROOM_BYTES_MAX ((size_t)64 << 20) /* of a line of a pipe */

static bool ignore_case, count_lines, count_matches, offsets, numbers, names_only, with_names, without_names;
static struct text_list pattern_texts;
static const char *pattern_file;

static const struct option_row options[] = {
    { 'e', "pattern", OPTION_TEXTS, "PATTERN", "look for PATTERN; may be repeated", &pattern_texts },
    { 'f', "file", OPTION_TEXT, "FILE", "look for each line of FILE; - is standard input", &pattern_file },
    { 'i', "ignore-case", OPTION_FLAG, NULL, "a to z are A to Z", &ignore_case },
    { 'c', "count", OPTION_FLAG, NULL, "print how many lines hold a pattern", &count_lines },
    { 0, "count-matches", OPTION_FLAG, NULL, "print how many places hold a pattern", &count_matches },
    { 'o', "offsets", OPTION_FLAG, NULL, "print where: the offset of each place, in bytes", &offsets },
    { 'n', "line-number", OPTION_FLAG, NULL, "print the number of each line", &numbers },
    { 'l', "files-with-matches", OPTION_FLAG, NULL, "print only names of files that hold a pattern", &names_only },
    { 'q', "quiet", OPTION_FLAG, NULL, "print nothing; end with the first place found", &common.quiet },
    { 'H', "with-filename", OPTION_FLAG, NULL, "print names also for one file", &with_names },
    { 0, "no-filename", OPTION_FLAG, NULL, "print no names", &without_names },
    SCAN_OPTION_ROWS,
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

/* ---- Patterns ---- */

static struct {
    struct verso_scan_needle *needles;
    size_t count;
    size_t newlines_max; /* in one */
} patterns;

static int add_pattern(const char *data, size_t bytes)
{
    size_t newlines = 0;

    if (bytes == 0)
        return trouble("an empty pattern is everywhere; give at least a letter");
    if (bytes > VERSO_SCAN_NEEDLE_BYTES_MAX)
        return trouble("a pattern of %zu bytes: %d is the limit", bytes, VERSO_SCAN_NEEDLE_BYTES_MAX);
    if (patterns.count == VERSO_SCAN_NEEDLES_MAX)
        return trouble("more than %d patterns", VERSO_SCAN_NEEDLES_MAX);
    for (size_t i = 0; i < bytes; i++)
        newlines += data[i] == '\n';
    if (newlines > patterns.newlines_max)
        patterns.newlines_max = newlines;
    patterns.needles = allocate(patterns.needles, patterns.count + 1, sizeof(*patterns.needles));
    patterns.needles[patterns.count].data = memcpy(allocate(NULL, bytes, 1), data, bytes);
    patterns.needles[patterns.count++].bytes = bytes;
    return -1;
}

static int read_patterns(FILE *file)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    int answer = -1;

    while (answer < 0 && (length = getline(&line, &room, file)) > 0)
        answer = add_pattern(line, (size_t)(line[length - 1] == '\n' ? length - 1 : length));
    if (answer < 0 && ferror(file))
        answer = trouble("--file: %s", strerror(errno));
    free(line);
    return answer;
}

static int read_pattern_file(void)
{
    bool is_stdin = strcmp(pattern_file, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(pattern_file, "re");
    int answer;

    if (!file) {
        char *shown = name_shown(pattern_file);

        answer = trouble("--file: %s: %s", shown, strerror(errno));
        free(shown);
        return answer;
    }
    answer = read_patterns(file);
    if (!is_stdin)
        fclose(file);
    return answer;
}

/* The first argument is the pattern, where no option gave one; answers -1 and how many arguments that took. */
static int take_patterns(int count, char **arguments, int *out_taken)
{
    int answer = -1;

    *out_taken = 0;
    for (size_t i = 0; i < pattern_texts.count && answer < 0; i++)
        answer = add_pattern(pattern_texts.texts[i], strlen(pattern_texts.texts[i]));
    if (answer < 0 && pattern_file)
        answer = read_pattern_file();
    if (answer >= 0 || pattern_file || pattern_texts.count)
        return answer;
    if (count == 0)
        return trouble("name a pattern; see `verso find --help`");
    *out_taken = 1;
    return add_pattern(arguments[0], strlen(arguments[0]));
}

static void free_patterns(void)
{
    for (size_t i = 0; i < patterns.count; i++)
        free((void *)(uintptr_t)patterns.needles[i].data);
    free(patterns.needles);
    free(pattern_texts.texts);
}

/* ---- One file ---- */

static bool prefixed;

/* Beside each scan. */
struct search {
    struct scan_file *file;
    struct find_lines lines;
    char *prefix;
    uint64_t matches; /* taken one by one */
    uint64_t base;    /* offset of the memory that is scanned */
    uint64_t base_lines;
    uint64_t accept_to; /* places from here on belong to the next stretch of memory */
};

static bool wants_lines(void)
{
    return !common.quiet && !names_only && !count_lines && !count_matches && !offsets;
}

static void print_offset(struct search *search, uint64_t offset_bytes, size_t needle)
{
    if (!common.json)
        scan_printf(search->file, "%s%llu\n", search->prefix, (unsigned long long)offset_bytes);
    else if (patterns.count == 1)
        scan_printf(search->file, "%s%llu", search->matches > 1 ? "," : "", (unsigned long long)offset_bytes);
    else
        scan_printf(search->file, "%s[%llu,%zu]", search->matches > 1 ? "," : "", (unsigned long long)offset_bytes,
                    needle);
}

/* From one thread of the scan at a time. */
static int on_match(const struct verso_scan_match *found, void *arg)
{
    struct search *search = arg;
    struct verso_scan_match match = *found;

    match.offset_bytes += search->base;
    match.content_offset_bytes += search->base;
    match.lines += search->base_lines;
    if (!search->file || match.offset_bytes >= search->accept_to)
        return 0; /* no file: --explain measures how fast memory is passed */
    search->matches++;
    if (common.quiet || names_only)
        return 1;
    if (offsets)
        print_offset(search, match.offset_bytes - search->file->start_bytes, match.needle);
    else if (!find_lines_print(&search->lines, &match))
        return 1;
    return scan_is_stopped();
}

static int prepare(struct verso_scan *scan, void *state)
{
    struct search *search = state;
    bool only_counts = !common.quiet && !names_only && (count_lines || count_matches);
    unsigned flags = ignore_case ? VERSO_SCAN_FOLD_CASE : 0;
    int r = 0;

    if (count_lines || (wants_lines() && !common.json)) /* which tells of all places */
        flags |= VERSO_SCAN_ONLY_LINES;
    if (wants_lines())
        flags |= VERSO_SCAN_WITH_CONTENT;
    if (wants_lines() && numbers)
        r = verso_scan_want_counts(scan, VERSO_SCAN_LINES);
    search->accept_to = UINT64_MAX;
    return r < 0 ? r
                 : verso_scan_want_needles(scan, patterns.needles, patterns.count, flags, only_counts ? NULL : on_match,
                                           search);
}

static void clear(void *state)
{
    struct search *search = state;

    find_lines_clear(&search->lines);
    free(search->prefix);
}

/* ---- Lines of what cannot be read twice ---- */

/* How much of @bytes is whole lines, with as many lines left behind as a pattern reaches into. */
static size_t whole_lines(const char *data, size_t bytes, size_t left)
{
    const char *newline = memrchr(data, '\n', bytes);

    while (newline && left-- > 0)
        newline = memrchr(data, '\n', (size_t)(newline - data));
    return newline ? (size_t)(newline - data) + 1 : 0;
}

/* Finds in [data, data + bytes) what begins before @cut. */
static int search_memory(struct verso_scan *scan, struct search *search, const char *data, size_t bytes, size_t cut)
{
    struct verso_scan_result result = VERSO_SCAN_RESULT_INIT;
    int r;

    search->accept_to = search->base + cut;
    find_lines_memory(&search->lines, data, search->base, bytes);
    r = verso_scan_memory(scan, data, bytes);
    if (r == 0)
        r = verso_scan_result(scan, &result);
    search->file->result.kernel = result.kernel;
    search->base += cut;
    if (numbers)
        search->base_lines += result.lines - (cut < bytes ? patterns.newlines_max : 0);
    scan_print_now(search->file);
    (void)fflush(stdout); /* somebody may wait for these lines; the stream remembers failures */
    return r;
}

/* The next bytes; 0 at the end, -errno. */
static ssize_t read_more(int fd, char *data, size_t room)
{
    ssize_t got;

    do
        got = read(fd, data, room);
    while (got < 0 && errno == EINTR && !scan_is_stopped());
    return got < 0 ? -errno : got;
}

static void complain_read(struct scan_file *file, uint64_t offset_bytes, const char *why)
{
    char *shown = name_shown(file->name);

    scan_trouble(file, "read: %s: at byte %llu: %s", shown, (unsigned long long)offset_bytes, why);
    free(shown);
    file->result.is_partial = 1;
}

static int search_stream(struct verso_scan *scan, int fd, struct search *search)
{
    size_t room = ROOM_BYTES, have = 0;
    char *data = allocate(NULL, room, 1);
    struct verso_scan_result *result = &search->file->result;
    int r = 0;

    while (r == 0) {
        ssize_t got;
        size_t cut;

        if (have == room && room == ROOM_BYTES_MAX) {
            complain_read(search->file, search->base, "a line of more than 64 MiB, in something without a size");
            break;
        }
        if (have == room)
            data = allocate(data, room *= 2, 1);
        got = read_more(fd, data + have, room - have);
        if (got < 0 && scan_is_stopped())
            result->is_partial = 1;
        else if (got < 0)
            complain_read(search->file, result->bytes, verso_error_text((int)got));
        if (got <= 0)
            break;
        have += (size_t)got;
        result->bytes += (uint64_t)got;
        cut = whole_lines(data, have, patterns.newlines_max);
        if (cut == 0)
            continue;
        r = search_memory(scan, search, data, whole_lines(data, have, 0), cut);
        memmove(data, data + cut, have -= cut);
    }
    if (r == 0 && have && !result->is_partial)
        r = search_memory(scan, search, data, have, have);
    free(data);
    return r;
}

/* ---- A file ---- */

static const char *file_name(const struct scan_file *file)
{
    return strcmp(file->name, "-") == 0 ? "(standard input)" : file->name;
}

static void begin(struct search *search, struct scan_file *file)
{
    free(search->prefix);
    search->prefix = copy_of("");
    if (prefixed) {
        char *shown = name_shown(file_name(file));

        free(search->prefix);
        search->prefix = allocate(NULL, strlen(shown) + 2, 1);
        (void)stpcpy(stpcpy(search->prefix, shown), ":");
        free(shown);
    }
    search->file = file;
    search->matches = search->base = search->base_lines = 0;
    search->accept_to = UINT64_MAX;
    search->lines.prefix = search->prefix;
    search->lines.numbers = numbers;
}

static void print_json_begin(struct scan_file *file)
{
    json_t *object = json_object();
    char *text;

    json_set_name(object, "path", file->name);
    text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
    scan_print(file, text, strlen(text) - 1); /* without its brace */
    scan_printf(file, ",\"%s\":[", offsets ? "offsets" : "found");
    free(text);
    json_decref(object);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int search_file(struct verso_scan *scan, int fd, struct scan_file *file, void *state)
{
    struct search *search = state;
    bool is_sized = S_ISREG(file->status.st_mode) && file->status.st_size > 0;
    uint64_t start_ns;
    int r;

    begin(search, file);
    if (common.json && (offsets || wants_lines()))
        print_json_begin(file);
    if (wants_lines() && !is_sized) {
        file->result.cached_bytes = VERSO_OFFSET_NONE;
        file->result.method = VERSO_SCAN_READ;
        file->result.thread_count = 1;
        file->result.why = "what can't be read twice is kept until its lines are printed";
        find_lines_begin(&search->lines, file, -1, 0, 0);
        start_ns = now_ns();
        r = search_stream(scan, fd, search);
        file->result.duration_ns = now_ns() - start_ns;
        return r;
    }
    find_lines_begin(&search->lines, file, fd, file->start_bytes, (uint64_t)file->status.st_size);
    r = scan_run(scan, fd, file);
    if (r == VERSO_E_CANCELLED && search->matches && (common.quiet || names_only)) {
        file->result.is_partial = 0; /* one was enough */
        return 0;
    }
    return r;
}

struct answer {
    uint64_t found;
};

static void print_json_end(struct scan_file *file, const struct search *search)
{
    json_t *object = scan_file_json(file);
    char *text;

    json_object_del(object, "path");
    json_object_del(object, "path_escaped");
    json_object_set_new(object, "matches", json_integer((json_int_t)search->matches));
    text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
    scan_print(file, "],", 2);
    scan_print(file, text + 1, strlen(text) - 1);
    free(text);
    json_decref(object);
}

static void print_json(struct scan_file *file, uint64_t found)
{
    json_t *object = scan_file_json(file);

    if (names_only)
        json_object_set_new(object, "found", json_boolean(found));
    else
        json_object_set_new(object, count_lines ? "lines" : "matches", json_integer((json_int_t)found));
    scan_print_json(file, object);
}

static void print_count(struct scan_file *file, const struct search *search, uint64_t found)
{
    char *shown;

    if (!names_only) {
        scan_printf(file, "%s%llu%s\n", search->prefix, (unsigned long long)found,
                    file->is_partial ? " (partial)" : "");
    } else if (found) {
        shown = name_shown(file_name(file));
        scan_printf(file, "%s\n", shown);
        free(shown);
    }
}

static void finish(struct verso_scan *scan, struct scan_file *file, void *state)
{
    struct search *search = state;
    struct answer *answer = file->answer;

    (void)scan;
    answer->found = search->matches;
    if (!common.quiet && !names_only && (count_lines || count_matches))
        answer->found = count_lines ? file->result.matched_lines : file->result.matches;
    if (common.quiet) {
        if (answer->found)
            scan_stop();
    } else if (offsets || wants_lines()) {
        if (common.json)
            print_json_end(file, search);
    } else if (common.json) {
        print_json(file, answer->found);
    } else {
        print_count(file, search, answer->found);
    }
}

/* ---- The command ---- */

static bool found_any;

static void keep(struct scan_file *file)
{
    const struct answer *answer = file->answer;

    found_any |= answer->found > 0;
}

static int check_options(void)
{
    if (count_lines + count_matches + offsets + names_only > 1)
        return trouble("only one of --count, --count-matches, --offsets and --files-with-matches at a time");
    if (numbers && !wants_lines() && !common.quiet)
        return trouble("--line-number goes with lines, and none are printed");
    if (with_names && without_names)
        return trouble("either --with-filename or --no-filename");
    if (common.quiet && common.json)
        return trouble("--quiet prints nothing, also no JSON");
    return -1;
}

static int search_names(int count, char **arguments)
{
    static const struct scan_job job = {
        .state_bytes = sizeof(struct search),
        .answer_bytes = sizeof(struct answer),
        .prepare = prepare,
        .run = search_file,
        .finish = finish,
        .clear = clear,
        .show = keep,
        .schema = SCHEMA,
    };
    struct scan_names names;
    int answer = scan_names_read(count, arguments, &names);

    if (answer >= 0)
        return answer;
    prefixed = with_names || (!without_names && (names.count > 1 || names.own));
    answer = scan_command(&job, &names);
    if (common.quiet && found_any)
        return EXIT_YES;
    return answer != EXIT_YES ? answer : found_any ? EXIT_YES : EXIT_NO;
}

static int run(int count, char **arguments)
{
    int taken, answer = check_options();

    if (answer < 0)
        answer = take_patterns(count, arguments, &taken);
    if (answer < 0)
        answer = search_names(count - taken, arguments + taken);
    free_patterns();
    return answer;
}

const struct command command_find = {
    .name = "find",
    .summary = "literal bytes in files: lines, counts, offsets",
    .arguments = "PATTERN [FILE]...",
    .example = "  $ verso find needle haystack.log\n"
               "  $ verso find -c -e error -e warning *.log\n"
               "  $ verso find --offsets -f patterns image.bin\n",
    .details = "A PATTERN is bytes, not a regular expression. With -e or -f, all arguments are files; without FILE, or "
               "with -,\n"
               "standard input is read. Several files, or -r, put the name before what is found. Files are shown in "
               "the order\n"
               "given, those below a directory by name. Places may overlap: aa is twice in aaa.\n"
               "\n"
               "Exit codes: 0 found, 1 not found, 2 trouble (with -q: only when nothing was found).\n",
    .options = options,
    .has_json = true,
    .run = run,
};
