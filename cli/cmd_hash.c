/* SPDX-License-Identifier: MIT */
/*
 * hash - checksums of files, written and checked in the forms of xxhsum.
 */
#include "hash_list.h"
#include "scan_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA 1

static unsigned algorithm = 1; /* xxhsum's default */
static bool checks, tagged, is_silent, is_strict, warns, ignore_missing;

static const struct option_row options[] = {
    { 'H', "algorithm", OPTION_CHOICE, "0|1|2|3|32|64|128|xxh32|xxh64|xxh128|xxh3",
      "which checksum, by xxhsum's numbers, or by name; 1 is xxh64, the default", &algorithm },
    { 0, "tag", OPTION_FLAG, NULL, "write lines with a tag: XXH64 (name) = digits", &tagged },
    { 'c', "check", OPTION_FLAG, NULL, "FILEs hold lines of checksums: check what they name", &checks },
    { 0, "status", OPTION_FLAG, NULL, "with --check: print nothing; the exit code says it", &is_silent },
    { 0, "strict", OPTION_FLAG, NULL, "with --check: improper lines are trouble", &is_strict },
    { 'w', "warn", OPTION_FLAG, NULL, "with --check: name each improper line", &warns },
    { 0, "ignore-missing", OPTION_FLAG, NULL, "with --check: pass by files that are not there", &ignore_missing },
    SCAN_OPTION_ROWS,
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

static enum verso_digest_kind kind_wanted(void)
{
    static const enum verso_digest_kind kinds[] = {
        VERSO_DIGEST_XXH32, VERSO_DIGEST_XXH64,    VERSO_DIGEST_XXH3_128, VERSO_DIGEST_XXH3_64,
        VERSO_DIGEST_XXH32, VERSO_DIGEST_XXH64,    VERSO_DIGEST_XXH3_128, VERSO_DIGEST_XXH32,
        VERSO_DIGEST_XXH64, VERSO_DIGEST_XXH3_128, VERSO_DIGEST_XXH3_64,
    };

    return kinds[algorithm];
}

static void set_value(json_t *object, const char *key, const struct verso_digest_value *value)
{
    char digits[VERSO_DIGEST_TEXT_BYTES];

    json_object_set_new(object, key, json_string(verso_digest_text(value, digits)));
}

/* ---- Making ---- */

static int prepare_making(struct verso_scan *scan, void *state)
{
    (void)state;
    return verso_scan_want_digest(scan, kind_wanted());
}

static const char *kind_name(unsigned kind)
{
    return kind == VERSO_DIGEST_XXH32     ? "xxh32"
           : kind == VERSO_DIGEST_XXH64   ? "xxh64"
           : kind == VERSO_DIGEST_XXH3_64 ? "xxh3"
                                          : "xxh128";
}

/* A checksum of a part looks like any other, so in lines, which are kept for years, none is printed. */
static void finish_making(struct verso_scan *scan, struct scan_file *file, void *state)
{
    struct verso_digest_value value;
    char *line;

    (void)state;
    if (verso_scan_result_digest(scan, kind_wanted(), &value) < 0) {
        scan_trouble_error(file, verso_error_last()->code);
        return;
    }
    if (common.json) {
        json_t *object = scan_file_json(file);

        json_object_set_new(object, "algorithm", json_string(kind_name(value.kind)));
        set_value(object, "hash", &value);
        scan_print_json(file, object);
    } else if (!file->is_partial) {
        line = hash_line_shown(&value, strcmp(file->name, "-") == 0 ? "stdin" : file->name, tagged);
        scan_print(file, line, strlen(line));
        free(line);
    }
}

static int make(int count, char **arguments)
{
    static const struct scan_job job = {
        .is_in_order = true,
        .prepare = prepare_making,
        .finish = finish_making,
        .schema = SCHEMA,
    };
    struct scan_names names;
    int answer = scan_names_read(count, arguments, &names);

    return answer >= 0 ? answer : scan_command(&job, &names);
}

/* ---- Checking ---- */

static struct {
    struct hash_list list;
    unsigned kinds; /* that are in it, as bits */
    uint64_t ok;
    uint64_t failed;
    uint64_t unread;
    uint64_t missing; /* passed by */
} check;

static int prepare_checking(struct verso_scan *scan, void *state)
{
    int r = 0;

    (void)state;
    for (unsigned kind = VERSO_DIGEST_XXH3_64; kind <= VERSO_DIGEST_XXH32 && r == 0; kind++)
        if (check.kinds & 1U << kind)
            r = verso_scan_want_digest(scan, kind);
    return r;
}

enum verdict {
    VERDICT_UNREAD,
    VERDICT_OK,
    VERDICT_FAILED,
};

struct answer {
    enum verdict verdict;
    struct verso_digest_value value;
};

static void finish_checking(struct verso_scan *scan, struct scan_file *file, void *state)
{
    const struct hash_line *line = &check.list.lines[file->index];
    struct answer *answer = file->answer;

    (void)state;
    if (verso_scan_result_digest(scan, line->value.kind, &answer->value) < 0)
        scan_trouble_error(file, verso_error_last()->code);
    else if (!file->is_partial)
        answer->verdict = verso_digest_equal(&answer->value, &line->value) ? VERDICT_OK : VERDICT_FAILED;
}

static void print_verdict(const struct scan_file *file, enum verdict verdict)
{
    static const char *const words[] = { "FAILED open or read", "OK", "FAILED" };
    char *shown;

    if (is_silent || (common.quiet && verdict == VERDICT_OK))
        return;
    shown = name_shown(file->name);
    printf("%s: %s\n", shown, words[verdict]);
    free(shown);
}

static void print_verdict_json(const struct scan_file *file, const struct answer *answer)
{
    static const char *const words[] = { "unread", "ok", "failed" };
    const struct hash_line *line = &check.list.lines[file->index];
    json_t *object = scan_file_json(file);

    json_object_set_new(object, "algorithm", json_string(kind_name(line->value.kind)));
    json_object_set_new(object, "verdict", json_string(words[answer->verdict]));
    set_value(object, "expected", &line->value);
    if (answer->value.kind)
        set_value(object, "hash", &answer->value);
    fputs(check.ok + check.failed + check.unread > 1 ? ",\n" : "\n", stdout);
    json_dumpf(object, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
}

/* In the order of the lines. */
static void judge(struct scan_file *file)
{
    const struct answer *answer = file->answer;

    if (answer->verdict == VERDICT_UNREAD && ignore_missing && file->is_missing) {
        check.missing++;
        return;
    }
    check.ok += answer->verdict == VERDICT_OK;
    check.failed += answer->verdict == VERDICT_FAILED;
    check.unread += answer->verdict == VERDICT_UNREAD;
    if (common.json)
        print_verdict_json(file, answer);
    else
        print_verdict(file, answer->verdict);
}

static int read_list(const char *name)
{
    bool is_stdin = strcmp(name, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(name, "re");
    char *shown = name_shown(is_stdin ? "standard input" : name);
    int answer = -1;

    if (!file)
        answer = trouble("open: %s: %s", shown, strerror(errno));
    else if (hash_list_read(&check.list, file, shown, warns && !is_silent) == 0 && !ferror(file))
        answer = trouble("%s: no line of a checksum in it", shown);
    if (file && ferror(file))
        answer = trouble("read: %s: %s", shown, strerror(errno));
    if (file && !is_stdin)
        fclose(file);
    free(shown);
    return answer;
}

static void say_count(uint64_t count, const char *one, const char *several)
{
    char text[32];

    if (count)
        (void)trouble("%s %s", count_shown(count, text), count == 1 ? one : several);
}

static int sum_up(int answer)
{
    if (!is_silent) {
        say_count(check.list.improper, "line is no line of a checksum", "lines are no lines of checksums");
        say_count(check.unread, "file could not be read", "files could not be read");
        say_count(check.failed, "checksum does not match", "checksums do not match");
    }
    if (ignore_missing && check.list.count && check.missing == check.list.count && !interrupted())
        return trouble("none of the files is there");
    if (answer != EXIT_YES || (is_strict && check.list.improper))
        return EXIT_TROUBLE;
    return check.failed ? EXIT_NO : EXIT_YES;
}

static int check_lines(int answer)
{
    static const struct scan_job job = {
        .is_in_order = true,
        .answer_bytes = sizeof(struct answer),
        .prepare = prepare_checking,
        .finish = finish_checking,
        .show = judge,
        .schema = SCHEMA,
    };
    struct scan_names names = { .count = check.list.count };
    int files_answer;

    names.names = allocate(NULL, names.count, sizeof(*names.names));
    for (size_t i = 0; i < names.count; i++) {
        names.names[i] = (struct scan_name){ check.list.lines[i].name, false };
        check.kinds |= 1U << check.list.lines[i].value.kind;
    }
    scan_request.ignores_missing = ignore_missing;
    scan_request.is_silent = is_silent;
    files_answer = scan_command(&job, &names);
    return sum_up(answer > files_answer ? answer : files_answer);
}

static int check_all(int count, char **arguments)
{
    int answer = EXIT_YES;

    if (count == 0)
        answer = read_list("-");
    for (int i = 0; i < count; i++) {
        int r = read_list(arguments[i]);

        answer = r > answer ? r : answer;
    }
    answer = check_lines(answer > 0 ? answer : EXIT_YES);
    hash_list_clear(&check.list);
    return answer;
}

/* ---- The command ---- */

static int run(int count, char **arguments)
{
    if (!checks && (is_silent || is_strict || warns || ignore_missing))
        return trouble("--status, --strict, --warn and --ignore-missing go with --check");
    if (checks && (tagged || scan_request.recursive || scan_request.names_file))
        return trouble("--tag, --recursive and --files0-from do not go with --check: the lines say what there is");
    if (scan_request.thread_count > SCAN_THREADS_MAX)
        return trouble("--threads: at most %d", SCAN_THREADS_MAX);
    return checks ? check_all(count, arguments) : make(count, arguments);
}

const struct command command_hash = {
    .name = "hash",
    .summary = "checksums of files, made and checked as xxhsum does",
    .arguments = "[FILE]...",
    .example = "  $ verso hash *.iso >sums\n"
               "  $ verso hash --check sums\n"
               "  $ verso hash -r -H3 photos\n",
    .details =
        "Lines are those of xxhsum, and either reads the other's: `digits  name`, with --tag and for xxh3\n"
        "`XXH3 (name) = digits`. These checksums find accidents, not forgeries. Without FILE, or with -, standard\n"
        "input is read. Files are shown in the order given, those below a directory by name. What could be read only\n"
        "in part gets no line.\n"
        "\n"
        "Exit codes: 0 done and all match, 1 some checksum does not match, 2 trouble.\n",
    .options = options,
    .has_json = true,
    .run = run,
};
