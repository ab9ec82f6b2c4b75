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

#define TEXT_ROOM 48
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

/* In the order of the table; @worth: the column worth least goes first when there is no room. */
static const struct number_column {
    const char *title;
    unsigned order; /* enum table_order that sorts by it */
    number_of *number;
    int worth;
} number_columns[] = {
    { "resident", ORDER_RESIDENT, resident, 7 },
    { "proportional", ORDER_PROPORTIONAL, proportional, 2 },
    { "private", ORDER_PRIVATE, private_bytes, 5 },
    { "shared", ORDER_SHARED, shared_bytes, 3 },
    { "dirty", ORDER_DIRTY, dirty, 6 },
    { "huge", ORDER_HUGE, huge, 1 },
    { "swapped", ORDER_SWAPPED, swapped, 4 },
};
#define NUMBER_COUNT (sizeof(number_columns) / sizeof(number_columns[0]))

/* ---- Order ---- */

static unsigned sort_order; /* qsort has no argument for it */

static uint64_t sort_number(const struct verso_inspect_mapping *mapping)
{
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        if (number_columns[i].order == sort_order)
            return number_columns[i].number(&mapping->memory);
    return mapping->end - mapping->start;
}

static int compare_mappings(const void *left, const void *right)
{
    const struct verso_inspect_mapping *a = *(const struct verso_inspect_mapping *const *)left;
    const struct verso_inspect_mapping *b = *(const struct verso_inspect_mapping *const *)right;
    int by_name = sort_order == ORDER_NAME ? strcmp(a->name, b->name) : 0;
    uint64_t number_a, number_b;

    if (by_name)
        return by_name;
    if (sort_order != ORDER_ADDRESS && sort_order != ORDER_NAME) {
        number_a = sort_number(a);
        number_b = sort_number(b);
        if (number_a != number_b)
            return number_a > number_b ? -1 : 1;
    }
    return a->start < b->start ? -1 : a->start > b->start;
}

static const struct verso_inspect_mapping **in_order(const struct verso_inspect_space *space, unsigned order)
{
    const struct verso_inspect_mapping **rows = allocate(NULL, space->count, sizeof(*rows));

    for (size_t i = 0; i < space->count; i++)
        rows[i] = &space->mappings[i];
    sort_order = order;
    qsort(rows, space->count, sizeof(*rows), compare_mappings);
    return rows;
}

/* ---- Columns ---- */

/* The table's form: which columns, how wide. The address and the size are always there. */
struct form {
    size_t address_width;
    size_t size_width;
    size_t widths[NUMBER_COUNT]; /* 0: left out */
    size_t name_columns;         /* SIZE_MAX: no limit */
    bool lacks_room;             /* columns with something in them had to go */
};

static const char *address_text(const struct verso_inspect_mapping *mapping, char *text)
{
    (void)snprintf(text, TEXT_ROOM, "%" PRIx64 "-%" PRIx64, mapping->start, mapping->end);
    return text;
}

static const char *number_text(const struct verso_inspect_mapping *mapping, size_t column, char *text)
{
    return bytes_brief(number_columns[column].number(&mapping->memory), text);
}

static void widen(size_t *width, const char *text)
{
    size_t length = strlen(text);

    if (length > *width)
        *width = length;
}

static void widen_for(struct form *form, const struct verso_inspect_mapping *mapping)
{
    char text[TEXT_ROOM];

    widen(&form->address_width, address_text(mapping, text));
    widen(&form->size_width, bytes_brief(mapping->end - mapping->start, text));
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        if (form->widths[i])
            widen(&form->widths[i], number_text(mapping, i, text));
}

/* The memory numbers are there for all mappings or for none: one file holds them. */
static bool has_memory(const struct verso_inspect_space *space)
{
    return space->count > 0 && space->mappings[0].memory_error == 0;
}

/* "address  size  acc   numbers...  name": the columns before the name, with the blanks between. */
static size_t columns_before_name(const struct form *form)
{
    size_t columns = form->address_width + 2 + form->size_width + 2 + 4 + 2;

    for (size_t i = 0; i < NUMBER_COUNT; i++)
        columns += form->widths[i] ? form->widths[i] + 2 : 0;
    return columns;
}

/* Leaves out the least worthy column that is left. False when there is none. */
static bool drop_one(struct form *form)
{
    size_t least = NUMBER_COUNT;

    for (size_t i = 0; i < NUMBER_COUNT; i++)
        if (form->widths[i] && (least == NUMBER_COUNT || number_columns[i].worth < number_columns[least].worth))
            least = i;
    if (least == NUMBER_COUNT)
        return false;
    form->widths[least] = 0;
    form->lacks_room = true;
    return true;
}

static void fit(const struct verso_inspect_space *space, struct form *form, size_t columns)
{
    form->name_columns = SIZE_MAX;
    if (columns == 0)
        return;
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        if (number_columns[i].number(&space->total) == 0)
            form->widths[i] = 0; /* the totals say that it is */
    while (columns_before_name(form) + NAME_COLUMNS_MIN > columns && drop_one(form))
        ;
    form->name_columns =
        columns > columns_before_name(form) + NAME_COLUMNS_MIN ? columns - columns_before_name(form) : NAME_COLUMNS_MIN;
}

static struct form form_of(const struct verso_inspect_space *space, size_t columns)
{
    struct form form = { .address_width = strlen("address"), .size_width = strlen("size") };

    for (size_t i = 0; i < NUMBER_COUNT; i++)
        form.widths[i] = has_memory(space) ? strlen(number_columns[i].title) : 0;
    for (size_t i = 0; i < space->count; i++)
        widen_for(&form, &space->mappings[i]);
    fit(space, &form, columns);
    return form;
}

/* ---- Printing ---- */

static void print_titles(const struct form *form)
{
    printf("%-*s  %*s  %-4s  ", (int)form->address_width, "address", (int)form->size_width, "size", "acc.");
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        if (form->widths[i])
            printf("%*s  ", (int)form->widths[i], number_columns[i].title);
    puts("name");
}

static void print_row(const struct form *form, const struct verso_inspect_mapping *mapping)
{
    char address[TEXT_ROOM], text[TEXT_ROOM], access[5];
    char *name = name_shown(*mapping->name ? mapping->name : "[anonymous]");

    printf("%-*s  %*s  %s  ", (int)form->address_width, address_text(mapping, address), (int)form->size_width,
           bytes_brief(mapping->end - mapping->start, text), access_shown(mapping->access, access));
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        if (form->widths[i])
            printf("%*s  ", (int)form->widths[i], number_text(mapping, i, text));
    print_tail(name, form->name_columns);
    putchar('\n');
    free(name);
}

static void print_totals(const struct form *form, const struct verso_inspect_space *space, uint64_t size)
{
    char text[TEXT_ROOM];

    printf("%-*s  %*s  %-4s  ", (int)form->address_width, "total", (int)form->size_width, bytes_brief(size, text), "");
    for (size_t i = 0; i < NUMBER_COUNT; i++)
        if (form->widths[i])
            printf("%*s  ", (int)form->widths[i], bytes_brief(number_columns[i].number(&space->total), text));
    printf("%s mapping%s\n", count_shown(space->count, text), space->count == 1 ? "" : "s");
}

static void print_left_out(const struct form *form, const struct verso_inspect_space *space)
{
    const char *separator = "Without room for: ";

    if (!form->lacks_room)
        return;
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        if (form->widths[i] || number_columns[i].number(&space->total) == 0)
            continue;
        printf("%s%s", separator, number_columns[i].title);
        separator = ", ";
    }
    puts(" (see --width)");
}

void table_print(const struct verso_inspect_space *space, unsigned order, size_t columns)
{
    const struct verso_inspect_mapping **rows = in_order(space, order);
    struct form form = form_of(space, columns);
    uint64_t size = 0;

    print_titles(&form);
    for (size_t i = 0; i < space->count; i++) {
        print_row(&form, rows[i]);
        size += rows[i]->end - rows[i]->start;
    }
    print_totals(&form, space, size);
    print_left_out(&form, space);
    free(rows);
}
