/* SPDX-License-Identifier: MIT */
/*
 * command.h - what a subcommand is.
 *
 * One subcommand is one file cmd_<name>.c that defines one `const struct command command_<name>`, and one line in
 * COMMAND_LIST. Its table of options is parsed, printed by --help, and put into the manual and the completions: there
 * is no second place to forget. To add one, see CONTRIBUTING.md.
 */
#ifndef VERSO_CLI_COMMAND_H
#define VERSO_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every subcommand, in the order of help. */
#define COMMAND_LIST(X) \
    X(watch)            \
    X(cache)            \
    X(channel)          \
    X(copy)             \
    X(count)            \
    X(find)             \
    X(hash)             \
    X(share)            \
    X(stat)             \
    X(maps)             \
    X(doctor)

/* Exit codes, as grep, cmp and diff have them. */
enum exit_code {
    EXIT_YES = 0,     /* done */
    EXIT_NO = 1,      /* checked, and no */
    EXIT_TROUBLE = 2, /* bad input, bad usage, or the system refused */
};

/* What an option's argument is. The parser checks it, so commands never see rubbish. */
enum option_kind {
    OPTION_FLAG,         /* no argument; sets a bool */
    OPTION_TEXT,         /* sets a const char * */
    OPTION_TEXTS,        /* may be given several times; adds to a struct text_list */
    OPTION_CHOICE,       /* one of the words of @argument, "name|size"; sets an unsigned: which, from 0 */
    OPTION_MAYBE_CHOICE, /* the same, and without an argument it is the first word */
    OPTION_COUNT,        /* a whole number; sets a uint64_t */
    OPTION_BYTES,        /* 4096, 64K, 1.5G (powers of 1024); sets a uint64_t */
    OPTION_SECONDS,      /* 10, 0.5; sets a double */
    OPTION_RANGE,        /* FROM-TO, FROM-, -TO, in bytes with the same suffixes; sets a struct byte_range */
};

struct text_list {
    const char **texts;
    size_t count;
};

struct byte_range {
    uint64_t start_bytes;
    uint64_t end_bytes; /* UINT64_MAX: to the end */
};

struct option_row {
    char letter;      /* 0: long form only */
    const char *name; /* "range" for --range */
    enum option_kind kind;
    const char *argument; /* how help names it: "SECONDS"; for a choice its words; NULL for flags */
    const char *help;     /* one line */
    void *target;         /* what it sets, as its kind says; keeps its value when the option is not given */
};

struct command {
    const char *name;
    const char *summary;              /* one line for `verso help` */
    const char *arguments;            /* "FILE|DIR..." */
    const char *example;              /* shown first by --help: lines of "  $ verso ..." */
    const char *details;              /* paragraphs after the options: states, limits, exit codes; may be "" */
    const struct option_row *options; /* ends with a row without a name; --json, --quiet, --help come by themselves */
    bool has_json;
    int (*run)(int count, char **arguments); /* what is left after the options; answers an enum exit_code */
};

enum color_when {
    COLOR_AUTO,
    COLOR_ALWAYS,
    COLOR_NEVER,
};

/* Set by the common options. */
struct common_options {
    bool help;
    bool json;
    bool quiet;
    unsigned color; /* enum color_when */
};
extern struct common_options common;

#define COMMAND_DECLARE(name) extern const struct command command_##name;
COMMAND_LIST(COMMAND_DECLARE)
#undef COMMAND_DECLARE

/* Parses @arguments by the command's table (options.c). On bad usage prints one line and answers EXIT_TROUBLE; for
 * --help prints it and answers EXIT_YES; else answers -1 and sets *out_count, *out_rest to what is left. */
int options_parse(const struct command *command, int count, char **arguments, int *out_count, char ***out_rest);

/* Prints a command's help as --help does. */
void options_help(const struct command *command);

/* "64K" -> 65536. False when it is not a size or does not fit. */
bool parse_bytes(const char *text, uint64_t *out_bytes);

/* realloc() of @count things of @bytes, that ends the program with one clear line when there is no memory. Keeps errno.
 */
void *allocate(void *old, size_t count, size_t bytes);

/* A copy of @text, by allocate(). Caller frees. */
char *copy_of(const char *text);

#endif
