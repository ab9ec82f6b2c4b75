/* SPDX-License-Identifier: MIT */
/*
 * options - a command line, as somebody might type it: the words of the input, separated by NUL bytes.
 *
 * Whatever is typed, the parser answers "go on", "help" or "wrong", and what it then says of sizes, ranges and times is
 * within what the commands count on.
 */
#include "must.h"

#include "../../cli/command.h"
#include "../../cli/output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define WORDS_MAX 64

static bool flag;
static const char *text;
static struct text_list texts;
static unsigned choice;
static uint64_t count;
static uint64_t size;
static double seconds;
static struct byte_range range;

static const struct option_row rows[] = {
    { 'f', "flag", OPTION_FLAG, NULL, "a flag", &flag },
    { 't', "text", OPTION_TEXT, "TEXT", "a text", &text },
    { 0, "texts", OPTION_TEXTS, "TEXT", "texts", &texts },
    { 0, "choice", OPTION_CHOICE, "one|two|three", "a choice", &choice },
    { 'n', "count", OPTION_COUNT, "N", "a number", &count },
    { 'b', "bytes", OPTION_BYTES, "BYTES", "a size", &size },
    { 's', "seconds", OPTION_SECONDS, "SECONDS", "a time", &seconds },
    { 'r', "range", OPTION_RANGE, "FROM-TO", "a range", &range },
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

static int run_nothing(int argument_count, char **arguments)
{
    (void)argument_count;
    (void)arguments;
    return EXIT_YES;
}

static const struct command command_fuzzed = {
    .name = "fuzzed",
    .summary = "nothing",
    .arguments = "FILE...",
    .example = "$ verso fuzzed",
    .details = "",
    .options = rows,
    .has_json = true,
    .run = run_nothing,
};

static void forget(void)
{
    free(texts.texts);
    texts = (struct text_list){ 0 };
    flag = false;
    text = NULL;
    choice = 0;
    count = size = 0;
    seconds = 0;
    range = (struct byte_range){ 0, UINT64_MAX };
    memset(&common, 0, sizeof(common));
}

static void parse(int word_count, char **words)
{
    char **rest = NULL;
    int rest_count = -1, r;

    r = options_parse(&command_fuzzed, word_count, words, &rest_count, &rest);
    must(r == -1 || r == EXIT_YES || r == EXIT_TROUBLE);
    if (r == -1) {
        must(rest_count >= 0 && rest_count <= word_count);
        for (int i = 0; i < rest_count; i++)
            must(rest[i] != NULL);
    }
    must(choice < 3);
    must(seconds >= 0 && seconds < 1e308);
    must(range.start_bytes < range.end_bytes);
    for (size_t i = 0; i < texts.count; i++)
        must(texts.texts[i] != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static FILE *nowhere;
    char *words[WORDS_MAX + 2] = { (char *)(uintptr_t) "fuzzed" };
    char *copy = malloc(bytes + 1);
    FILE *out = stdout, *err = stderr;
    uint64_t value = 7;
    int word_count = 1;

    must(copy != NULL);
    if (!nowhere)
        nowhere = fopen("/dev/null", "we");
    must(nowhere != NULL);
    memcpy(copy, data, bytes);
    copy[bytes] = '\0';
    for (size_t at = 0; at < bytes && word_count <= WORDS_MAX; at += strlen(copy + at) + 1)
        words[word_count++] = copy + at;
    forget();
    stdout = stderr = nowhere; /* complaints and help are part of it, but nobody is to read them */
    parse(word_count, words);
    must(parse_bytes(copy, &value) || value == 7);
    stdout = out;
    stderr = err;
    forget();
    free(copy);
    return 0;
}
