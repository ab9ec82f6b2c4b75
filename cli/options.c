/* SPDX-License-Identifier: MIT */
/*
 * options - a command's table of options, parsed and explained.
 *
 * getopt_long() does the reading (order, "--", "--name=value", joined letters, unambiguous beginnings of names); the
 * checks of arguments and the words of complaint are ours, so that they are the same everywhere.
 */
#include "command.h"
#include "output.h"

#include <ctype.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Values of getopt's answers: letters answer themselves, rows without a letter this and their index. */
#define LONG_ONLY 256

struct common_options common = { false, false, false, COLOR_AUTO };

static const struct option_row json_row = { 0, "json", OPTION_FLAG, NULL, "print JSON instead of text", &common.json };
static const struct option_row shared_rows[] = {
    { 'q', "quiet", OPTION_FLAG, NULL, "no notes, no progress; only data and errors", &common.quiet },
    { 0, "color", OPTION_CHOICE, "auto|always|never", "when to use colours (also NO_COLOR)", &common.color },
    { 'h', "help", OPTION_FLAG, NULL, "print this and end", &common.help },
};
#define SHARED_COUNT (sizeof(shared_rows) / sizeof(shared_rows[0]))

/* Whether a command says itself what an option does that is shared otherwise. */
static bool has_row(const struct command *command, const char *name)
{
    for (const struct option_row *row = command->options; row->name; row++)
        if (strcmp(row->name, name) == 0)
            return true;
    return false;
}

/* All rows of a command, its own first. Caller frees. */
static const struct option_row **rows_of(const struct command *command, size_t *out_count)
{
    const struct option_row **rows;
    size_t own = 0, count = 0;

    while (command->options[own].name)
        own++;
    rows = allocate(NULL, own + 1 + SHARED_COUNT, sizeof(*rows));
    for (size_t i = 0; i < own; i++)
        rows[count++] = &command->options[i];
    if (command->has_json)
        rows[count++] = &json_row;
    for (size_t i = 0; i < SHARED_COUNT; i++)
        if (!has_row(command, shared_rows[i].name))
            rows[count++] = &shared_rows[i];
    *out_count = count;
    return rows;
}

/* ---- Arguments ---- */

static bool parse_count(const char **text, uint64_t *out_count)
{
    uint64_t count = 0;

    if (!isdigit((unsigned char)**text))
        return false;
    for (; isdigit((unsigned char)**text); ++*text)
        if (__builtin_mul_overflow(count, 10U, &count) ||
            __builtin_add_overflow(count, (unsigned)(**text - '0'), &count))
            return false;
    *out_count = count;
    return true;
}

/* "K", "KiB", "k" and so on up to E -> a power of 1024; nothing -> 1. Moves *text behind it. */
static uint64_t parse_unit(const char **text)
{
    static const char letters[] = "KMGTPE";
    const char *letter = **text ? strchr(letters, toupper((unsigned char)**text)) : NULL;

    if (!letter)
        return 1;
    ++*text;
    if (strncmp(*text, "iB", 2) == 0)
        *text += 2;
    return UINT64_C(1) << (10 * (letter - letters + 1));
}

/* A size at the start of *text; moves it behind. */
static bool parse_size(const char **text, uint64_t *out_bytes)
{
    uint64_t whole, unit;
    long double part = 0, scale = 1;
    const char *dot;

    if (!parse_count(text, &whole))
        return false;
    dot = *text;
    if (*dot == '.')
        for (++*text; isdigit((unsigned char)**text); ++*text) {
            scale /= 10;
            part += scale * (**text - '0');
        }
    if (*dot == '.' && *text == dot + 1)
        return false;
    unit = parse_unit(text);
    if (unit == 1 && *dot == '.')
        return false; /* half a byte */
    if (__builtin_mul_overflow(whole, unit, &whole))
        return false;
    return !__builtin_add_overflow(whole, (uint64_t)(part * (long double)unit), out_bytes);
}

bool parse_bytes(const char *text, uint64_t *out_bytes)
{
    uint64_t bytes;

    if (!parse_size(&text, &bytes) || *text)
        return false;
    *out_bytes = bytes;
    return true;
}

static bool parse_range(const char *text, struct byte_range *out_range)
{
    struct byte_range range = { 0, UINT64_MAX };

    if (*text != '-' && !parse_size(&text, &range.start_bytes))
        return false;
    if (*text++ != '-')
        return false;
    if (*text && !parse_size(&text, &range.end_bytes))
        return false;
    if (*text || range.end_bytes <= range.start_bytes)
        return false;
    *out_range = range;
    return true;
}

static bool parse_seconds(const char *text, double *out_seconds)
{
    char *end;
    double seconds;

    if (!isdigit((unsigned char)*text) && *text != '.')
        return false;
    seconds = strtod(text, &end);
    if (*end || end == text || !isfinite(seconds) || seconds < 0)
        return false;
    *out_seconds = seconds;
    return true;
}

static bool parse_choice(const char *words, const char *text, unsigned *out_index)
{
    size_t length = strlen(text);
    unsigned index = 0;

    for (const char *word = words; *word; index++) {
        size_t word_length = strcspn(word, "|");

        if (word_length == length && memcmp(word, text, length) == 0) {
            *out_index = index;
            return true;
        }
        word += word_length + (word[word_length] == '|');
    }
    return false;
}

static bool text_list_add(struct text_list *list, const char *text)
{
    list->texts = allocate(list->texts, list->count + 1, sizeof(*list->texts));
    list->texts[list->count++] = text;
    return true;
}

/* Checks @text and stores it where the row says. */
static bool set(const struct option_row *row, const char *text)
{
    switch (row->kind) {
    case OPTION_FLAG:
        *(bool *)row->target = true;
        return true;
    case OPTION_TEXT:
        *(const char **)row->target = text;
        return true;
    case OPTION_TEXTS:
        return text_list_add(row->target, text);
    case OPTION_CHOICE:
        return parse_choice(row->argument, text, row->target);
    case OPTION_MAYBE_CHOICE:
        if (!text)
            *(unsigned *)row->target = 0;
        return !text || parse_choice(row->argument, text, row->target);
    case OPTION_COUNT:
        return parse_count(&text, row->target) && !*text;
    case OPTION_BYTES:
        return parse_bytes(text, row->target);
    case OPTION_SECONDS:
        return parse_seconds(text, row->target);
    case OPTION_RANGE:
        return parse_range(text, row->target);
    }
    return false;
}

static const char *expectation(const struct option_row *row)
{
    switch (row->kind) {
    case OPTION_COUNT:
        return "a whole number";
    case OPTION_BYTES:
        return "a size such as 4096, 64K or 1.5G";
    case OPTION_SECONDS:
        return "seconds such as 10 or 0.5";
    case OPTION_RANGE:
        return "a range such as 4K-1M, 1G- or -64K, that ends after it starts";
    case OPTION_CHOICE:
    case OPTION_MAYBE_CHOICE:
        return row->argument;
    default:
        return "an argument";
    }
}

static const char *one_of(const struct option_row *row)
{
    return row->kind == OPTION_CHOICE || row->kind == OPTION_MAYBE_CHOICE ? "one of " : "";
}

static int complain_argument(const struct option_row *row, const char *text)
{
    char *shown = name_shown(text);
    int answer = trouble("--%s wants %s%s, not '%s'", row->name, one_of(row), expectation(row), shown);

    free(shown);
    return answer;
}

/* ---- Reading ---- */

/* What getopt needs to know, made from the rows. */
struct reader {
    const struct option_row **rows;
    size_t row_count;
    struct option *longs;
    char *letters;
};

static void reader_init(struct reader *reader, const struct command *command)
{
    char *letter;

    reader->rows = rows_of(command, &reader->row_count);
    reader->longs = allocate(NULL, reader->row_count + 1, sizeof(*reader->longs));
    reader->letters = allocate(NULL, reader->row_count * 3 + 2, 1);
    letter = reader->letters;
    *letter++ = ':'; /* answer ':' for a missing argument, and print nothing */
    for (size_t i = 0; i < reader->row_count; i++) {
        const struct option_row *row = reader->rows[i];
        int has_argument = row->kind == OPTION_FLAG           ? no_argument
                           : row->kind == OPTION_MAYBE_CHOICE ? optional_argument
                                                              : required_argument;

        reader->longs[i] = (struct option){ row->name, has_argument, NULL, LONG_ONLY + (int)i };
        if (row->letter) {
            *letter++ = row->letter;
            for (int colons = has_argument; colons > 0; colons--) /* two: it may be left out */
                *letter++ = ':';
        }
    }
    reader->longs[reader->row_count] = (struct option){ 0 };
    *letter = '\0';
}

static void reader_clear(struct reader *reader)
{
    free(reader->rows);
    free(reader->longs);
    free(reader->letters);
}

static const struct option_row *row_of(const struct reader *reader, int answer)
{
    if (answer >= LONG_ONLY)
        return reader->rows[answer - LONG_ONLY];
    for (size_t i = 0; i < reader->row_count; i++)
        if (reader->rows[i]->letter && reader->rows[i]->letter == answer)
            return reader->rows[i];
    return NULL;
}

/* getopt answered '?' or ':'; @argument is the one it was reading. */
static int complain_option(const struct reader *reader, const struct command *command, int answer, const char *argument)
{
    const struct option_row *row = optopt ? row_of(reader, optopt) : NULL;
    char *shown;

    if (row && answer == ':')
        return trouble("--%s wants %s%s; see `verso %s --help`", row->name, one_of(row), expectation(row),
                       command->name);
    if (row)
        return trouble("--%s takes no argument; see `verso %s --help`", row->name, command->name);
    if (optopt > 0 && optopt < LONG_ONLY) {
        char letter[2] = { (char)optopt, '\0' };

        shown = name_shown(letter);
        answer = trouble("no option is called '-%s'; see `verso %s --help`", shown, command->name);
    } else {
        shown = name_shown(argument);
        answer = trouble("no option is called '%s', or several begin so; see `verso %s --help`", shown, command->name);
    }
    free(shown);
    return answer;
}

static int read_options(const struct reader *reader, const struct command *command, int count, char **arguments)
{
    int answer;

    opterr = 0;
    optind = 0; /* not 1: an earlier scan is forgotten as well */
    while ((answer = getopt_long(count, arguments, reader->letters, reader->longs, NULL)) != -1) {
        const struct option_row *row;

        if (answer == '?' || answer == ':')
            return complain_option(reader, command, answer, arguments[optind - 1]);
        row = row_of(reader, answer);
        if (!set(row, optarg))
            return complain_argument(row, optarg);
    }
    return -1;
}

int options_parse(const struct command *command, int count, char **arguments, int *out_count, char ***out_rest)
{
    struct reader reader;
    int answer;

    reader_init(&reader, command);
    answer = read_options(&reader, command, count, arguments);
    reader_clear(&reader);
    if (answer >= 0)
        return answer;
    if (common.help) {
        options_help(command);
        return EXIT_YES;
    }
    *out_count = count - optind;
    *out_rest = arguments + optind;
    return -1;
}

/* ---- Help ---- */

static size_t row_width(const struct option_row *row)
{
    size_t brackets = row->kind == OPTION_MAYBE_CHOICE ? 2 : 0;

    return strlen(row->name) + (row->argument ? strlen(row->argument) + 1 + brackets : 0);
}

static void print_row(const struct option_row *row, size_t width)
{
    bool maybe = row->kind == OPTION_MAYBE_CHOICE;

    printf("  %c%c%c --%s%s%s%s%*s  %s\n", row->letter ? '-' : ' ', row->letter ? row->letter : ' ',
           row->letter ? ',' : ' ', row->name,
           maybe           ? "[="
           : row->argument ? "="
                           : "",
           row->argument ? row->argument : "", maybe ? "]" : "", (int)(width - row_width(row)), "", row->help);
}

void options_help(const struct command *command)
{
    size_t count, width = 0;
    const struct option_row **rows = rows_of(command, &count);

    for (size_t i = 0; i < count; i++)
        width = row_width(rows[i]) > width ? row_width(rows[i]) : width;
    printf("verso %s - %s\n\n%s\nUsage: verso %s [OPTION]...%s%s\n\nOptions:\n", command->name, command->summary,
           command->example, command->name, *command->arguments ? " " : "", command->arguments);
    for (size_t i = 0; i < count; i++)
        print_row(rows[i], width);
    if (*command->details)
        printf("\n%s", command->details);
    free(rows);
}
