/* SPDX-License-Identifier: MIT */
/* maps - the address space of a process, as a ladder, as a table, as JSON. */
#include "command.h"
#include "maps_kinds.h"
#include "maps_ladder.h"
#include "maps_table.h"
#include "output.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <verso/inspect.h>

#define SCHEMA 1
#define RUNGS_DEFAULT 24

static bool no_ladder, no_table, no_memory;
static unsigned order;
static uint64_t rung_count = RUNGS_DEFAULT;
static uint64_t width = UINT64_MAX; /* not given */

static const struct option_row options[] = {
    { 's', "sort", OPTION_CHOICE, TABLE_ORDERS, "order of the table; sizes largest first", &order },
    { 'r', "rungs", OPTION_COUNT, "COUNT", "join neighbours until the ladder has so many; 0: never (default 24)",
      &rung_count },
    { 'w', "width", OPTION_COUNT, "COLUMNS", "fit into so many; 0: no limit (default: the terminal; else none)",
      &width },
    { 0, "no-ladder", OPTION_FLAG, NULL, "only the table", &no_ladder },
    { 0, "no-table", OPTION_FLAG, NULL, "only the ladder", &no_table },
    { 0, "no-memory", OPTION_FLAG, NULL, "addresses and names only: the kernel need not walk the page tables",
      &no_memory },
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

/* ---- For programs ---- */

/* Addresses of 64 bits don't fit the numbers of JSON readers, so they are text, as in /proc/PID/maps. */
static json_t *address_json(uint64_t address)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "0x%" PRIx64, address);
    return json_string(text);
}

static json_t *bytes_json(uint64_t bytes)
{
    return json_integer((json_int_t)bytes);
}

static json_t *memory_json(const struct verso_inspect_memory *memory)
{
    return json_pack("{so so so so so so so so so so so so}", "resident_bytes", bytes_json(memory->resident_bytes),
                     "proportional_bytes", bytes_json(memory->proportional_bytes), "shared_clean_bytes",
                     bytes_json(memory->shared_clean_bytes), "shared_dirty_bytes",
                     bytes_json(memory->shared_dirty_bytes), "private_clean_bytes",
                     bytes_json(memory->private_clean_bytes), "private_dirty_bytes",
                     bytes_json(memory->private_dirty_bytes), "referenced_bytes", bytes_json(memory->referenced_bytes),
                     "anonymous_bytes", bytes_json(memory->anonymous_bytes), "swapped_bytes",
                     bytes_json(memory->swapped_bytes), "locked_bytes", bytes_json(memory->locked_bytes), "huge_bytes",
                     bytes_json(memory->huge_bytes), "page_bytes", bytes_json(memory->page_bytes));
}

static json_t *mapping_json(const struct verso_inspect_space *space, const struct space_facts *facts, size_t index)
{
    const struct verso_inspect_mapping *mapping = &space->mappings[index];
    json_t *object = json_object();
    char access[5], device[32];

    (void)snprintf(device, sizeof(device), "%u:%u", major(mapping->device), minor(mapping->device));
    json_object_set_new(object, "start", address_json(mapping->start));
    json_object_set_new(object, "end", address_json(mapping->end));
    json_object_set_new(object, "bytes", bytes_json(mapping->end - mapping->start));
    json_object_set_new(object, "access", json_string(access_shown(mapping->access, access)));
    json_object_set_new(object, "offset_bytes", bytes_json(mapping->offset_bytes));
    json_object_set_new(object, "device", json_string(device));
    json_object_set_new(object, "inode", bytes_json(mapping->inode));
    json_set_name(object, "name", mapping->name);
    kinds_to_json(space, facts, index, object);
    json_object_set_new(object, "flags", json_string(mapping->flags));
    json_object_set_new(object, "memory", mapping->memory_error ? json_null() : memory_json(&mapping->memory));
    json_object_set_new(object, "memory_error", json_integer(mapping->memory_error));
    json_object_set_new(object, "memory_error_name",
                        mapping->memory_error ? json_string(verso_error_name(mapping->memory_error)) : json_null());
    return object;
}

static bool has_memory(const struct verso_inspect_space *space)
{
    return space->count > 0 && space->mappings[0].memory_error == 0;
}

static uint64_t size_of(const struct verso_inspect_space *space)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < space->count; i++)
        bytes += space->mappings[i].end - space->mappings[i].start;
    return bytes;
}

static int print_json(const struct verso_inspect_space *space, const struct space_facts *facts, pid_t pid)
{
    json_t *mappings = json_array(), *root = json_object();

    for (size_t i = 0; i < space->count; i++)
        json_array_append_new(mappings, mapping_json(space, facts, i));
    json_object_set_new(root, "pid", json_integer(pid));
    json_set_name(root, "command", space->command);
    json_object_set_new(root, "source", json_string(space->source));
    json_object_set_new(root, "mapped_bytes", bytes_json(size_of(space)));
    json_object_set_new(root, "total", has_memory(space) ? memory_json(&space->total) : json_null());
    kinds_total_to_json(facts, root);
    json_object_set_new(root, "mappings", mappings);
    return json_print(root, SCHEMA);
}

/* ---- For people ---- */

/* What of it an attacker could use, and what would stop a stray store: said of every process, also when none. */
static void print_safety(const struct verso_inspect_space *space, const struct space_facts *facts)
{
    bool has_color = facts->writable_code_mappings > 0 && color_wanted(stdout);
    char number[32], bytes[16], guards[GUARDS_ROOM];

    if (space->count == 0)
        return;
    if (facts->writable_code_mappings == 0)
        puts("writable and executable: none");
    else
        printf("%swritable and executable: %s mapping%s, %s!%s\n", has_color ? ALARM_COLOR : "",
               count_shown(facts->writable_code_mappings, number), facts->writable_code_mappings == 1 ? "" : "s",
               bytes_shown(facts->writable_code_bytes, bytes), has_color ? "\033[0m" : "");
    if (facts->guards_error && facts->guards_error != -ENODATA)
        printf("guards inside mappings: not known: %s\n", facts->guards_why);
    else if (facts->guard_pages)
        printf("guards inside mappings: %s, in %s mapping%s\n",
               guards_shown("page", facts->guard_pages, facts->guard_places, guards),
               count_shown(facts->guarded_mappings, number), facts->guarded_mappings == 1 ? "" : "s");
    else if (facts->guards_error == 0)
        puts("guards inside mappings: none");
}

static void print_summary(const struct verso_inspect_space *space, const struct space_facts *facts, pid_t pid)
{
    char mapped[16], resident[16], proportional[16], swapped[16], number[32];
    char *command = name_shown(space->command);

    printf("%s %ld: %s in %s mapping%s  [%s]\n", command, (long)pid, bytes_shown(size_of(space), mapped),
           count_shown(space->count, number), space->count == 1 ? "" : "s", space->source);
    if (has_memory(space))
        printf("in memory %s, of which its share is %s; swapped out %s\n",
               bytes_shown(space->total.resident_bytes, resident),
               bytes_shown(space->total.proportional_bytes, proportional),
               bytes_shown(space->total.swapped_bytes, swapped));
    print_safety(space, facts);
    free(command);
}

/* Said once, on stderr: the numbers are not 0, they are not there. */
static void note_missing(const struct verso_inspect_space *space)
{
    int error = space->count ? space->mappings[0].memory_error : 0;

    if (error && error != -ENODATA)
        note("memory numbers are missing: %s (%s); look as root", verso_error_text(error), verso_error_name(error));
}

static size_t columns_wanted(void)
{
    if (width != UINT64_MAX)
        return width > SIZE_MAX ? 0 : (size_t)width;
    return isatty(STDOUT_FILENO) ? (size_t)terminal_columns(stdout) : 0;
}

static void print_text(const struct verso_inspect_space *space, const struct space_facts *facts, pid_t pid)
{
    size_t columns = columns_wanted();
    bool can_utf8;

    setlocale(LC_CTYPE, "");
    can_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    print_summary(space, facts, pid);
    note_missing(space);
    if (space->count == 0) {
        puts("It has no address space of its own: a thread of the kernel.");
        return;
    }
    if (!no_ladder) {
        putchar('\n');
        ladder_print(space, facts, rung_count > SIZE_MAX ? 0 : (size_t)rung_count, columns, can_utf8);
    }
    if (!no_table) {
        putchar('\n');
        table_print(space, facts, order, columns);
    }
}

/* "self" or a process id; -1 when it is neither. */
static pid_t parse_process(const char *text)
{
    char *end;
    long pid;

    if (strcmp(text, "self") == 0)
        return getpid();
    if (!isdigit((unsigned char)*text))
        return -1;
    errno = 0;
    pid = strtol(text, &end, 10);
    return *end || errno || pid <= 0 || pid > INT_MAX ? -1 : (pid_t)pid;
}

static int run(int count, char **arguments)
{
    struct verso_inspect_space *space;
    struct space_facts facts;
    int answer = EXIT_YES;
    pid_t pid;

    if (count != 1)
        return trouble("give one process: its id, or self; see `verso maps --help`");
    if (no_ladder && no_table && !common.json)
        return trouble("--no-ladder and --no-table together leave nothing to print");
    pid = parse_process(arguments[0]);
    if (pid < 0) {
        char *shown = name_shown(arguments[0]);

        answer = trouble("'%s' is not a process id; give a number above 0, or self", shown);
        free(shown);
        return answer;
    }
    if (verso_inspect_space(pid == getpid() ? 0 : pid, no_memory ? 0 : VERSO_INSPECT_SPACE_MEMORY, &space) < 0)
        return trouble_error();
    kinds_find(space, !no_memory, &facts);
    if (common.json)
        answer = print_json(space, &facts, pid);
    else
        print_text(space, &facts, pid);
    kinds_free(&facts);
    verso_inspect_space_free(space);
    return answer;
}

const struct command command_maps = {
    .name = "maps",
    .summary = "the address space of a process, as a ladder and a table",
    .arguments = "PID|self",
    .example = "  $ verso maps self\n"
               "  $ sudo verso maps $(pidof -s postgres) --sort dirty --no-ladder\n",
    .details =
        "Each mapping is called by its kind: memory, reserved, mirrored, clone, code, file ...; the manual has the\n"
        "list. What is writable and executable at once is marked with !, and guard pages are counted.\n"
        "\n"
        "The ladder goes from the highest address down. A rung is a run of mappings of one file; its letters\n"
        "say which share of it is in memory, and how. Gaps are drawn small and named by their size.\n"
        "\n"
        "The kernel walks the page tables of the process for the memory numbers: milliseconds for each GiB.\n"
        "Where they can't be had they are left out and the reason is said. \"self\" is verso itself.\n"
        "\n"
        "Exit codes: 0 done, 2 trouble.\n",
    .options = options,
    .has_json = true,
    .run = run,
};
