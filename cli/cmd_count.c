/* SPDX-License-Identifier: MIT */
/*
 * count - lines, words, characters, bytes, the longest line: as wc has them, and faster.
 */
#include "scan_files.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA 1
#define COLUMNS_MAX 5
#define WIDTH_UNKNOWN 7 /* of numbers of things that have no size beforehand, as wc has it */

static bool lines, words, characters, bytes, longest;

static const struct option_row options[] = {
    { 'l', "lines", OPTION_FLAG, NULL, "newlines; the default", &lines },
    { 'w', "words", OPTION_FLAG, NULL, "words: what stands between white space", &words },
    { 'm', "chars", OPTION_FLAG, NULL, "characters of UTF-8", &characters },
    { 'c', "bytes", OPTION_FLAG, NULL, "bytes", &bytes },
    { 'L', "max-line-length", OPTION_FLAG, NULL, "the longest line, in bytes without its newline", &longest },
    SCAN_OPTION_ROWS,
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

/* ---- One file ---- */

static int prepare(struct verso_scan *scan, void *state)
{
    unsigned counts = (lines ? VERSO_SCAN_LINES : 0) | (words ? VERSO_SCAN_WORDS : 0) |
                      (characters ? VERSO_SCAN_CHARACTERS : 0) | (longest ? VERSO_SCAN_LONGEST : 0);

    (void)state;
    return counts ? verso_scan_want_counts(scan, counts) : 0;
}

/* Files of /sys say a page, whatever they hold. */
static bool has_last_byte(int fd, const struct scan_file *file)
{
    char byte;

    return S_ISREG(file->status.st_mode) && file->status.st_size > 0 &&
           pread(fd, &byte, 1, file->status.st_size - 1) == 1;
}

/* Where only bytes are asked for, and the file's size is true, there is nothing more to read. */
static int count_file(struct verso_scan *scan, int fd, struct scan_file *file, void *state)
{
    (void)state;
    if (lines || words || characters || longest || !has_last_byte(fd, file))
        return scan_run(scan, fd, file);
    file->result.bytes = (uint64_t)file->status.st_size;
    file->result.bytes -= file->start_bytes < file->result.bytes ? file->start_bytes : file->result.bytes;
    file->result.cached_bytes = VERSO_OFFSET_NONE;
    file->result.why = "a file's size says how many bytes it has";
    return 0;
}

static void set_numbers_json(json_t *object, const struct verso_scan_result *result)
{
    json_object_set_new(object, "bytes", json_integer((json_int_t)result->bytes));
    if (lines)
        json_object_set_new(object, "lines", json_integer((json_int_t)result->lines));
    if (words)
        json_object_set_new(object, "words", json_integer((json_int_t)result->words));
    if (characters)
        json_object_set_new(object, "characters", json_integer((json_int_t)result->characters));
    if (longest)
        json_object_set_new(object, "longest_bytes", json_integer((json_int_t)result->longest_bytes));
}

static void finish(struct verso_scan *scan, struct scan_file *file, void *state)
{
    json_t *object;

    (void)scan;
    (void)state;
    if (!common.json)
        return;
    object = scan_file_json(file);
    set_numbers_json(object, &file->result);
    scan_print_json(file, object);
}

/* ---- Rows ---- */

struct row {
    const char *name;
    uint64_t numbers[COLUMNS_MAX];
    bool is_partial;
};

static struct {
    struct row *rows;
    size_t count;
    size_t room;
    struct verso_scan_result total;
    uint64_t size_bytes; /* of all that have one */
    bool has_unsized;
    bool is_partial; /* some file */
} table;

/* The columns asked for, in wc's order; answers how many. */
static size_t numbers_of(const struct verso_scan_result *result, uint64_t *numbers)
{
    size_t count = 0;

    if (lines)
        numbers[count++] = result->lines;
    if (words)
        numbers[count++] = result->words;
    if (characters)
        numbers[count++] = result->characters;
    if (bytes)
        numbers[count++] = result->bytes;
    if (longest)
        numbers[count++] = result->longest_bytes;
    return count;
}

static void add_to_total(const struct verso_scan_result *result)
{
    struct verso_scan_result *total = &table.total;

    total->lines += result->lines;
    total->words += result->words;
    total->characters += result->characters;
    total->bytes += result->bytes;
    if (result->longest_bytes > total->longest_bytes)
        total->longest_bytes = result->longest_bytes;
}

static void keep_row(const struct scan_file *file)
{
    struct row *row;

    if (table.count == table.room) {
        table.room = table.room ? table.room * 2 : 64;
        table.rows = allocate(table.rows, table.room, sizeof(*table.rows));
    }
    row = &table.rows[table.count];
    *row = (struct row){ .name = file->name, .is_partial = file->is_partial };
    numbers_of(&file->result, row->numbers);
    if (S_ISREG(file->status.st_mode))
        table.size_bytes += (uint64_t)file->status.st_size;
    else
        table.has_unsized = true;
}

/* In the order of the names. */
static void keep(struct scan_file *file)
{
    if (!file->is_open)
        return;
    add_to_total(&file->result);
    table.is_partial |= file->is_partial;
    if (!common.json)
        keep_row(file);
    table.count++;
}

/* ---- Printing ---- */

/* wc's width: enough for all bytes, which no count exceeds; one number of one file stands alone. */
static int width_of_numbers(size_t columns, const struct scan_names *names)
{
    int width = 1;

    if (columns == 1 && names->count == 1)
        return 1;
    for (uint64_t rest = table.size_bytes; rest >= 10; rest /= 10)
        width++;
    return table.has_unsized && width < WIDTH_UNKNOWN ? WIDTH_UNKNOWN : width;
}

static void print_row(const uint64_t *numbers, size_t columns, int width, const char *name, bool is_partial)
{
    char *shown = name ? name_shown(name) : NULL;

    for (size_t i = 0; i < columns; i++)
        printf("%s%*llu", i ? " " : "", width, (unsigned long long)numbers[i]);
    printf("%s%s%s\n", shown ? " " : "", shown ? shown : "", is_partial ? " (partial)" : "");
    free(shown);
}

static void print_table(const struct scan_names *names)
{
    uint64_t totals[COLUMNS_MAX];
    size_t columns = numbers_of(&table.total, totals);
    int width = width_of_numbers(columns, names);

    for (size_t i = 0; i < table.count && !ferror(stdout); i++)
        print_row(table.rows[i].numbers, columns, width, names->is_stdin ? NULL : table.rows[i].name,
                  table.rows[i].is_partial);
    if (names->count > 1 || names->own)
        print_row(totals, columns, width, "total", table.is_partial || interrupted());
}

static json_t *total_json(void)
{
    json_t *total = json_object();

    json_object_set_new(total, "files", json_integer((json_int_t)table.count));
    json_object_set_new(total, "partial", json_boolean(table.is_partial || interrupted()));
    set_numbers_json(total, &table.total);
    return total;
}

/* ---- The command ---- */

static int run(int count, char **arguments)
{
    static const struct scan_job job = {
        .prepare = prepare,
        .run = count_file,
        .finish = finish,
        .show = keep,
        .total_json = total_json,
        .print_total = print_table,
        .schema = SCHEMA,
    };
    struct scan_names names;
    int answer = scan_names_read(count, arguments, &names);

    if (answer >= 0)
        return answer;
    if (!lines && !words && !characters && !bytes && !longest)
        lines = true;
    answer = scan_command(&job, &names);
    free(table.rows);
    return answer;
}

const struct command command_count = {
    .name = "count",
    .summary = "lines, words, characters, bytes of files",
    .arguments = "[FILE]...",
    .example = "  $ verso count access.log\n"
               "  $ verso count -lwc *.txt\n"
               "  $ verso count -r --explain src\n",
    .details =
        "Columns come in the order lines, words, characters, bytes, longest line, and a total follows several files,\n"
        "as wc has them. Without FILE, or with -, standard input is read. Files are shown in the order given, those\n"
        "below a directory by name. What could be read of a file that was cut or fails is counted, and its row ends\n"
        "in (partial).\n"
        "\n"
        "Exit codes: 0 all counted, 2 trouble.\n",
    .options = options,
    .has_json = true,
    .run = run,
};
