/* SPDX-License-Identifier: MIT */
/*
 * maps_table - an address space as a table.
 *
 * Numbers stand in columns as wide as their widest; the name comes last and takes what is left. Where the memory
 * numbers could not be had, their columns are not there at all: a 0 would be a lie.
 */
#include "maps_table.h"

#include "command.h"
#include "maps_shares.h"
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_ROOM TRAITS_ROOM
#define NAME_COLUMNS_MIN 16

char *access_shown(unsigned access, char *text)
{
    text[0] = access & VERSO_INSPECT_READ ? 'r' : '-';
    text[1] = access & VERSO_INSPECT_WRITE ? 'w' : '-';
    text[2] = access & VERSO_INSPECT_EXEC ? 'x' : '-';
    text[3] = access & VERSO_INSPECT_SHARED ? 's' : 'p';
    text[4] = '\0';
    return text;
}

/* What is printed, for everything below. */
struct table {
    const struct verso_inspect_space *space;
    const struct space_facts *facts;
};

static const struct mapping_facts *facts_of(const struct table *table, const struct verso_inspect_mapping *mapping)
{
    return &table->facts->mappings[mapping - table->space->mappings];
}

/* ---- Numbers of a mapping ---- */

typedef uint64_t number_of(const struct verso_inspect_memory *memory);

static uint64_t resident(const struct verso_inspect_memory *memory)
{
    return memory->resident_bytes;
}

static uint64_t proportional(const struct verso_inspect_memory *memory)
{
    return memory->proportional_bytes;
}

static uint64_t private_bytes(const struct verso_inspect_memory *memory)
{
    return memory->private_clean_bytes + memory->private_dirty_bytes;
}

static uint64_t shared_bytes(const struct verso_inspect_memory *memory)
{
    return memory->shared_clean_bytes + memory->shared_dirty_bytes;
}

static uint64_t dirty(const struct verso_inspect_memory *memory)
{
    return memory->private_dirty_bytes + memory->shared_dirty_bytes;
}

static uint64_t huge(const struct verso_inspect_memory *memory)
{
    return memory->huge_bytes;
}

static uint64_t swapped(const struct verso_inspect_memory *memory)
{
    return memory->swapped_bytes;
}

/* ---- Words of a mapping, and what was counted apart; facts NULL: of the totals ---- */

typedef const char *words_of(const struct table *table, const struct mapping_facts *facts, char *text);

static const char *kind_words(const struct table *table, const struct mapping_facts *facts, char *text)
{
    (void)table;
    (void)text;
    return facts ? kind_shown(facts->kind) : "";
}

static const char *guard_words(const struct table *table, const struct mapping_facts *facts, char *text)
{
    (void)snprintf(text, TEXT_ROOM, "%" PRIu64, facts ? facts->guard_pages : table->facts->guard_pages);
    return text;
}

static const char *trait_words(const struct table *table, const struct mapping_facts *facts, char *text)
{
    (void)table;
    if (!facts)
        return "";
    return *traits_shown(facts->traits, text) ? text : "-";
}

/* In the order of the table; @worth: the column worth least goes first when there is no room. */
static const struct column {
    const char *title;
    unsigned order; /* enum table_order that sorts by it */
    int worth;
    number_of *number; /* bytes of memory ... */
    words_of *words;   /* ... or this */
    bool is_left;      /* begins at the left of its column */
} all_columns[] = {
    { "kind", ORDER_KIND, 9, NULL, kind_words, true },
    { "resident", ORDER_RESIDENT, 10, resident, NULL, false },
    { "proportional", ORDER_PROPORTIONAL, 2, proportional, NULL, false },
    { "private", ORDER_PRIVATE, 5, private_bytes, NULL, false },
    { "shared", ORDER_SHARED, 3, shared_bytes, NULL, false },
    { "dirty", ORDER_DIRTY, 7, dirty, NULL, false },
    { "huge", ORDER_HUGE, 1, huge, NULL, false },
    { "swapped", ORDER_SWAPPED, 4, swapped, NULL, false },
    { "guards", ORDER_COUNT, 8, NULL, guard_words, false },
    { "traits", ORDER_COUNT, 6, NULL, trait_words, true },
};
#define COLUMN_COUNT (sizeof(all_columns) / sizeof(all_columns[0]))

/* Whether a column would say nothing but 0 or -. */
static bool is_blank(const struct table *table, const struct column *column)
{
    if (column->number)
        return column->number(&table->space->total) == 0;
    if (column->words == guard_words)
        return table->facts->guard_pages == 0;
    for (size_t i = 0; column->words == trait_words && i < table->space->count; i++)
        if (table->facts->mappings[i].traits)
            return false;
    return column->words == trait_words;
}

/* Memory numbers and flags are there for all mappings or for none: one file holds them. */
static bool is_known(const struct table *table, const struct column *column)
{
    if (column->words == guard_words)
        return table->facts->guards_error == 0;
    return column->words == kind_words || table->facts->traits_known;
}

/* ---- Order ---- */

static unsigned sort_order; /* qsort has no argument for these */
static const struct table *sort_table;

static uint64_t sort_number(const struct verso_inspect_mapping *mapping)
{
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (all_columns[i].number && all_columns[i].order == sort_order)
            return all_columns[i].number(&mapping->memory);
    return mapping->end - mapping->start;
}

static int compare_words(const struct verso_inspect_mapping *a, const struct verso_inspect_mapping *b)
{
    if (sort_order == ORDER_NAME)
        return strcmp(a->name, b->name);
    return strcmp(kind_shown(facts_of(sort_table, a)->kind), kind_shown(facts_of(sort_table, b)->kind));
}

static int compare_mappings(const void *left, const void *right)
{
    const struct verso_inspect_mapping *a = *(const struct verso_inspect_mapping *const *)left;
    const struct verso_inspect_mapping *b = *(const struct verso_inspect_mapping *const *)right;
    bool is_by_words = sort_order == ORDER_NAME || sort_order == ORDER_KIND;
    int by_words = is_by_words ? compare_words(a, b) : 0;
    uint64_t number_a, number_b;

    if (by_words)
        return by_words;
    if (sort_order != ORDER_ADDRESS && !is_by_words) {
        number_a = sort_number(a);
        number_b = sort_number(b);
        if (number_a != number_b)
            return number_a > number_b ? -1 : 1;
    }
    return a->start < b->start ? -1 : a->start > b->start;
}

static const struct verso_inspect_mapping **in_order(const struct table *table, unsigned order)
{
    const struct verso_inspect_space *space = table->space;
    const struct verso_inspect_mapping **rows = allocate(NULL, space->count, sizeof(*rows));

    for (size_t i = 0; i < space->count; i++)
        rows[i] = &space->mappings[i];
    sort_order = order;
    sort_table = table;
    qsort(rows, space->count, sizeof(*rows), compare_mappings);
    return rows;
}

/* ---- Columns ---- */

/* The table's form: which columns, how wide. The address and the size are always there. */
struct form {
    size_t address_width;
    size_t size_width;
    size_t widths[COLUMN_COUNT]; /* 0: left out */
    size_t name_columns;         /* SIZE_MAX: no limit */
    bool lacks_room;             /* columns with something in them had to go */
};

/* Where there is little room, no column is made wider by the few addresses that are not for programs. */
static const char *address_text(const struct form *form, const struct verso_inspect_mapping *mapping, char *text)
{
    if (form->name_columns != SIZE_MAX && mapping->start >> 63)
        (void)snprintf(text, TEXT_ROOM, "%" PRIx64 "-...", mapping->start);
    else
        (void)snprintf(text, TEXT_ROOM, "%" PRIx64 "-%" PRIx64, mapping->start, mapping->end);
    return text;
}

/* What a column says of a mapping. */
static const char *cell_text(const struct table *table, const struct verso_inspect_mapping *mapping, size_t column,
                             char *text)
{
    if (all_columns[column].number)
        return bytes_brief(all_columns[column].number(&mapping->memory), text);
    return all_columns[column].words(table, facts_of(table, mapping), text);
}

static const char *total_text(const struct table *table, size_t column, char *text)
{
    if (all_columns[column].number)
        return bytes_brief(all_columns[column].number(&table->space->total), text);
    return all_columns[column].words(table, NULL, text);
}

static void widen(size_t *width, const char *text)
{
    size_t length = strlen(text);

    if (length > *width)
        *width = length;
}

static void widen_for(const struct table *table, struct form *form, const struct verso_inspect_mapping *mapping)
{
    char text[TEXT_ROOM];

    widen(&form->address_width, address_text(form, mapping, text));
    widen(&form->size_width, bytes_brief(mapping->end - mapping->start, text));
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (form->widths[i])
            widen(&form->widths[i], cell_text(table, mapping, i, text));
}

/* "address  size  acc   numbers...  name": the columns before the name, with the blanks between. */
static size_t columns_before_name(const struct form *form)
{
    size_t columns = form->address_width + 2 + form->size_width + 2 + 4 + 2;

    for (size_t i = 0; i < COLUMN_COUNT; i++)
        columns += form->widths[i] ? form->widths[i] + 2 : 0;
    return columns;
}

/* Leaves out the least worthy column that is left. False when there is none. */
static bool drop_one(struct form *form)
{
    size_t least = COLUMN_COUNT;

    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (form->widths[i] && (least == COLUMN_COUNT || all_columns[i].worth < all_columns[least].worth))
            least = i;
    if (least == COLUMN_COUNT)
        return false;
    form->widths[least] = 0;
    form->lacks_room = true;
    return true;
}

static void fit(const struct table *table, struct form *form, size_t columns)
{
    if (columns == 0)
        return;
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (is_blank(table, &all_columns[i]))
            form->widths[i] = 0; /* the totals say that it is */
    while (columns_before_name(form) + NAME_COLUMNS_MIN > columns && drop_one(form))
        ;
    form->name_columns =
        columns > columns_before_name(form) + NAME_COLUMNS_MIN ? columns - columns_before_name(form) : NAME_COLUMNS_MIN;
}

static struct form form_of(const struct table *table, size_t columns)
{
    struct form form = { .address_width = strlen("address"),
                         .size_width = strlen("size"),
                         .name_columns = columns ? NAME_COLUMNS_MIN : SIZE_MAX };

    for (size_t i = 0; i < COLUMN_COUNT; i++)
        form.widths[i] = is_known(table, &all_columns[i]) ? strlen(all_columns[i].title) : 0;
    for (size_t i = 0; i < table->space->count; i++)
        widen_for(table, &form, &table->space->mappings[i]);
    fit(table, &form, columns);
    return form;
}

/* ---- Printing ---- */

static void print_cell(const struct form *form, size_t column, const char *text)
{
    int width = (int)form->widths[column];

    if (width)
        printf("%*s  ", all_columns[column].is_left ? -width : width, text);
}

static void print_titles(const struct form *form)
{
    printf("%-*s  %*s  %-4s  ", (int)form->address_width, "address", (int)form->size_width, "size", "acc.");
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        print_cell(form, i, all_columns[i].title);
    puts("name");
}

/* Writable and executable at once is marked: that is how injected code comes to run. */
static void print_access(const struct verso_inspect_mapping *mapping)
{
    char access[5];
    bool is_marked = is_writable_code(mapping), has_color = is_marked && color_wanted(stdout);

    printf("%s%s%s%s ", has_color ? ALARM_COLOR : "", access_shown(mapping->access, access), is_marked ? "!" : " ",
           has_color ? "\033[0m" : "");
}

static void print_row(const struct table *table, const struct form *form, const struct verso_inspect_mapping *mapping)
{
    char address[TEXT_ROOM], text[TEXT_ROOM];
    char *name = name_shown(*mapping->name ? mapping->name : "[anonymous]");

    printf("%-*s  %*s  ", (int)form->address_width, address_text(form, mapping, address), (int)form->size_width,
           bytes_brief(mapping->end - mapping->start, text));
    print_access(mapping);
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (form->widths[i])
            print_cell(form, i, cell_text(table, mapping, i, text));
    print_tail(name, form->name_columns);
    putchar('\n');
    free(name);
}

static void print_totals(const struct table *table, const struct form *form, uint64_t size)
{
    char text[TEXT_ROOM];

    printf("%-*s  %*s  %-4s  ", (int)form->address_width, "total", (int)form->size_width, bytes_brief(size, text), "");
    for (size_t i = 0; i < COLUMN_COUNT; i++)
        if (form->widths[i])
            print_cell(form, i, total_text(table, i, text));
    printf("%s mapping%s\n", count_shown(table->space->count, text), table->space->count == 1 ? "" : "s");
}

/* Prints a word after @separator, or on a line of its own where there is no room. */
static void print_word(const char *separator, const char *word, size_t *used, size_t columns)
{
    size_t length = strlen(separator) + strlen(word);

    if (*used > 0 && *used + length >= columns) { /* a comma may follow */
        printf("%s\n  %s", *separator == ',' ? "," : "", word);
        *used = 2 + strlen(word);
        return;
    }
    printf("%s%s", separator, word);
    *used += length;
}

static void print_left_out(const struct table *table, const struct form *form, size_t columns)
{
    const char *separator = "Without room for: ";
    size_t used = 0;

    if (!form->lacks_room)
        return;
    for (size_t i = 0; i < COLUMN_COUNT; i++) {
        if (form->widths[i] || !is_known(table, &all_columns[i]) || is_blank(table, &all_columns[i]))
            continue;
        print_word(separator, all_columns[i].title, &used, columns);
        separator = ", ";
    }
    print_word(" ", "(see --width)", &used, columns);
    putchar('\n');
}

void table_print(const struct verso_inspect_space *space, const struct space_facts *facts, unsigned order,
                 size_t columns)
{
    const struct table table = { space, facts };
    const struct verso_inspect_mapping **rows = in_order(&table, order);
    struct form form = form_of(&table, columns);
    uint64_t size = 0;

    print_titles(&form);
    for (size_t i = 0; i < space->count; i++) {
        print_row(&table, &form, rows[i]);
        size += rows[i]->end - rows[i]->start;
    }
    print_totals(&table, &form, size);
    print_left_out(&table, &form, columns);
    free(rows);
}
