/* SPDX-License-Identifier: MIT */
/*
 * stat - everything that one pass through a file tells: how long, of what, and its checksum.
 */
#include "scan_files.h"

#include <stdlib.h>
#include <string.h>

#define SCHEMA 1
#define FREQUENT_MAX 5

static const struct option_row options[] = {
    SCAN_OPTION_ROWS,
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

struct answer {
    struct verso_digest_value digest;
    uint64_t counts[256];
};

/* ---- What a histogram tells ---- */

/* By squaring, bit after bit: the mathematics library would cost more to load than this to run. 0 < x <= 1 */
static double logarithm(double x)
{
    double answer = 0, weight = 1;

    while (x < 1) {
        x *= 2;
        answer -= 1;
    }
    for (int bit = 0; bit < 30; bit++) {
        x *= x;
        weight /= 2;
        if (x >= 2) {
            x /= 2;
            answer += weight;
        }
    }
    return answer;
}

static uint64_t sum(const uint64_t counts[256], unsigned from, unsigned to)
{
    uint64_t total = 0;

    for (unsigned byte = from; byte <= to; byte++)
        total += counts[byte];
    return total;
}

/* Shannon's, in bits a byte: 8 is noise, or well compressed. */
static double entropy(const uint64_t counts[256])
{
    double total = (double)sum(counts, 0, 255), answer = 0;

    for (unsigned byte = 0; byte < 256; byte++) {
        double share = counts[byte] ? (double)counts[byte] / total : 1;

        answer -= share < 1 ? share * logarithm(share) : 0;
    }
    return answer;
}

/* Text has none of these: NUL to BEL, SO to US but ESC, DEL. */
static uint64_t controls(const uint64_t counts[256])
{
    return sum(counts, 0, 7) + sum(counts, 14, 31) - counts[27] + counts[127];
}

/* Whether as many bytes go on with characters as others begin that need it. Where they stand, a histogram does not say,
 * but no other encoding comes to this by accident. */
static bool is_utf8(const uint64_t counts[256])
{
    return counts[0xc0] + counts[0xc1] + sum(counts, 0xf5, 0xff) == 0 &&
           sum(counts, 0x80, 0xbf) ==
               sum(counts, 0xc2, 0xdf) + 2 * sum(counts, 0xe0, 0xef) + 3 * sum(counts, 0xf0, 0xf4);
}

static const char *content(const uint64_t counts[256])
{
    if (sum(counts, 0, 255) == 0)
        return "empty";
    if (counts[0] == sum(counts, 0, 255))
        return "zeros";
    if (controls(counts))
        return "binary";
    if (sum(counts, 0x80, 0xff) == 0)
        return "text (ASCII)";
    return is_utf8(counts) ? "text (UTF-8)" : "text (neither ASCII nor UTF-8)";
}

static bool comes_before(const uint64_t counts[256], int byte, int other)
{
    if (counts[byte] != counts[other])
        return counts[byte] > counts[other];
    return byte < other;
}

/* The most frequent byte of those that are less frequent than the last one; -1: no more. */
static int next_frequent(const uint64_t counts[256], int last)
{
    int best = -1;

    for (int byte = 0; byte < 256; byte++) {
        bool is_after = last < 0 || comes_before(counts, last, byte);

        if (counts[byte] && is_after && (best < 0 || comes_before(counts, byte, best)))
            best = byte;
    }
    return best;
}

/* ---- Text ---- */

static const char *byte_shown(int byte, char *text, size_t bytes)
{
    static const char *const names[] = { "NUL", "tab", "newline", "space" };
    static const char named[] = "\0\t\n ";
    const char *at = memchr(named, byte, 4);

    if (at)
        return names[at - named];
    (void)snprintf(text, bytes, byte > ' ' && byte < 0x7f ? "%c" : "\\x%02x", (unsigned)byte);
    return text;
}

/* As many of the most frequent bytes as the line takes. */
static void print_frequent(struct scan_file *file, const uint64_t counts[256], uint64_t total)
{
    int room = terminal_columns(stdout) - 13, byte = -1;
    char name[8], entry[48];

    scan_printf(file, "  %-11s", "frequent");
    for (int i = 0; i < FREQUENT_MAX && (byte = next_frequent(counts, byte)) >= 0; i++) {
        int length = snprintf(entry, sizeof(entry), "%s%s %.1f %%", i ? ", " : "", byte_shown(byte, name, sizeof(name)),
                              100 * (double)counts[byte] / (double)total);

        if (length > room)
            break;
        room -= length;
        scan_print(file, entry, (size_t)length);
    }
    scan_print(file, "\n", 1);
}

static void print_count(struct scan_file *file, const char *what, uint64_t count)
{
    char text[32];

    scan_printf(file, "  %-11s%s\n", what, count_shown(count, text));
}

static void print_numbers(struct scan_file *file, const struct verso_scan_result *result, const struct answer *answer)
{
    const uint64_t *counts = answer->counts;
    char digits[VERSO_DIGEST_TEXT_BYTES], size[32], number[32];

    if (result->bytes < 1024)
        print_count(file, "bytes", result->bytes);
    else
        scan_printf(file, "  %-11s%s (%s)\n", "bytes", count_shown(result->bytes, number),
                    bytes_shown(result->bytes, size));
    print_count(file, "lines", result->lines);
    print_count(file, "words", result->words);
    print_count(file, "characters", result->characters);
    print_count(file, "longest", result->longest_bytes);
    if (answer->digest.kind)
        scan_printf(file, "  %-11s%s\n", "xxh3", verso_digest_text(&answer->digest, digits));
    scan_printf(file, "  %-11s%s\n", "content", content(counts));
    if (result->bytes == 0)
        return;
    scan_printf(file, "  %-11s%.2f bits a byte\n", "entropy", entropy(counts));
    scan_printf(file, "  %-11s%s (%.1f %%)\n", "zeros", count_shown(counts[0], number),
                100 * (double)counts[0] / (double)result->bytes);
    print_frequent(file, counts, result->bytes);
}

/* ---- JSON ---- */

static void set_count(json_t *object, const char *key, uint64_t count)
{
    json_object_set_new(object, key, json_integer((json_int_t)count));
}

static void set_numbers(json_t *object, const struct verso_scan_result *result, const struct answer *answer)
{
    char digits[VERSO_DIGEST_TEXT_BYTES];
    json_t *counts = json_array();

    set_count(object, "lines", result->lines);
    set_count(object, "words", result->words);
    set_count(object, "characters", result->characters);
    set_count(object, "longest_bytes", result->longest_bytes);
    if (answer->digest.kind)
        json_object_set_new(object, "xxh3", json_string(verso_digest_text(&answer->digest, digits)));
    json_object_set_new(object, "content", json_string(content(answer->counts)));
    json_object_set_new(object, "entropy", json_real(result->bytes ? entropy(answer->counts) : 0));
    for (unsigned byte = 0; byte < 256; byte++)
        json_array_append_new(counts, json_integer((json_int_t)answer->counts[byte]));
    json_object_set_new(object, "histogram", counts);
}

/* ---- Files ---- */

static int prepare(struct verso_scan *scan, void *state)
{
    int r =
        verso_scan_want_counts(scan, VERSO_SCAN_LINES | VERSO_SCAN_WORDS | VERSO_SCAN_LONGEST | VERSO_SCAN_CHARACTERS);

    (void)state;
    if (r == 0)
        r = verso_scan_want_histogram(scan);
    return r < 0 ? r : verso_scan_want_digest(scan, VERSO_DIGEST_XXH3_64);
}

static void print_file(struct scan_file *file)
{
    const struct answer *answer = file->answer;
    char *shown;

    if (common.json) {
        json_t *object = scan_file_json(file);

        set_numbers(object, &file->result, answer);
        scan_print_json(file, object);
        return;
    }
    shown = name_shown(strcmp(file->name, "-") == 0 ? "(standard input)" : file->name);
    scan_printf(file, "%s%s\n", shown, file->is_partial ? " (partial)" : "");
    free(shown);
    print_numbers(file, &file->result, answer);
}

static void finish(struct verso_scan *scan, struct scan_file *file, void *state)
{
    struct answer *answer = file->answer;

    (void)state;
    if (verso_scan_result_bytes(scan, answer->counts) < 0 ||
        verso_scan_result_digest(scan, VERSO_DIGEST_XXH3_64, &answer->digest) < 0)
        scan_trouble_error(file, verso_error_last()->code);
    else
        print_file(file);
}

static struct {
    uint64_t files;
    bool is_partial;
    struct verso_scan_result result;
    struct answer answer;
} total;

/* In the order of the names. */
static void keep(struct scan_file *file)
{
    const struct answer *answer = file->answer;
    const struct verso_scan_result *result = &file->result;

    if (!file->is_open)
        return;
    total.files++;
    total.is_partial |= file->is_partial;
    total.result.bytes += result->bytes;
    total.result.lines += result->lines;
    total.result.words += result->words;
    total.result.characters += result->characters;
    if (result->longest_bytes > total.result.longest_bytes)
        total.result.longest_bytes = result->longest_bytes;
    for (unsigned byte = 0; byte < 256; byte++)
        total.answer.counts[byte] += answer->counts[byte];
}

static json_t *total_json(void)
{
    json_t *object = json_object();

    set_count(object, "files", total.files);
    set_count(object, "bytes", total.result.bytes);
    json_object_set_new(object, "partial", json_boolean(total.is_partial || interrupted()));
    set_numbers(object, &total.result, &total.answer);
    return object;
}

static void print_total(const struct scan_names *names)
{
    char count[32];
    struct scan_file all = { .name = "" };

    if (names->count < 2)
        return;
    scan_printf(&all, "total of %s file%s%s\n", count_shown(total.files, count), total.files == 1 ? "" : "s",
                total.is_partial || interrupted() ? " (partial)" : "");
    print_numbers(&all, &total.result, &total.answer);
    fwrite(all.text.data, 1, all.text.bytes, stdout);
    free(all.text.data);
}

static int run(int count, char **arguments)
{
    static const struct scan_job job = {
        .answer_bytes = sizeof(struct answer),
        .prepare = prepare,
        .finish = finish,
        .show = keep,
        .total_json = total_json,
        .print_total = print_total,
        .schema = SCHEMA,
    };
    struct scan_names names;
    int answer = scan_names_read(count, arguments, &names);

    return answer >= 0 ? answer : scan_command(&job, &names);
}

const struct command command_stat = {
    .name = "stat",
    .summary = "all that one pass through files tells",
    .arguments = "[FILE]...",
    .example = "  $ verso stat data.bin\n"
               "  $ verso stat -r --json . | jq .total\n"
               "  $ verso stat --explain large.log\n",
    .details =
        "Bytes, lines, words, characters of UTF-8, the longest line in bytes, a checksum (xxh3, as `verso hash -H3`),\n"
        "text or binary, entropy, how many bytes are zero, and the most frequent ones; a total follows several files.\n"
        "Without FILE, or with -, standard input is read. What could be read of a file that was cut or fails is\n"
        "marked (partial).\n"
        "\n"
        "Exit codes: 0 done, 2 trouble.\n",
    .options = options,
    .has_json = true,
    .run = run,
};
