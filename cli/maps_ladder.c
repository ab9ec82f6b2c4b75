/* SPDX-License-Identifier: MIT */
/*
 * maps_ladder - an address space as a picture, from the highest address down.
 *
 *     7ffc5d0bc000 +------------------------+
 *                  | DDDD.................. | [stack]  132K rw-p  16K in memory, 16K dirty
 *     7ffc5d09b000 +------------------------+
 *                  :                          2.1G free
 *     7f3a1c2e0000 +------------------------+
 *                  | SSSSSSSSSSSSSSSSSSSSSS | libc.so.6  1.9M r--p/r-xp/rw-p  ...
 *
 * A rung is a run of neighbouring mappings of one file; its height grows with the logarithm of its size, and its
 * letters say which share of it is in memory, and how. Gaps are one line however large. When there are too many rungs,
 * those with the least between them are joined.
 */
#include "maps_ladder.h"

#include "command.h"
#include "maps_shares.h"
#include "maps_table.h"
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BAR_COLUMNS_MAX 24
#define BAR_COLUMNS_NARROW 12
#define COLUMNS_NARROW 100
#define LABEL_COLUMNS_MIN 16
#define HEIGHT_MAX 6
#define NAMES_SHOWN 3

struct rung {
    size_t first; /* mappings [first, end) of the space */
    size_t end;
};

struct ladder {
    const struct verso_inspect_space *space;
    const struct space_facts *facts;
    struct rung *rungs; /* by address, lowest first */
    size_t count;
    int address_width;
    size_t bar_columns;
    size_t label_columns;
    bool can_utf8;
    bool color;
    bool seen[SHARE_COUNT]; /* for the legend */
};

/* ---- Rungs ---- */

static const struct verso_inspect_mapping *mapping_of(const struct ladder *ladder, size_t index)
{
    return &ladder->space->mappings[index];
}

static uint64_t start_of(const struct ladder *ladder, size_t rung)
{
    return mapping_of(ladder, ladder->rungs[rung].first)->start;
}

static uint64_t end_of(const struct ladder *ladder, size_t rung)
{
    return mapping_of(ladder, ladder->rungs[rung].end - 1)->end;
}

static bool is_same_object(const struct verso_inspect_mapping *a, const struct verso_inspect_mapping *b)
{
    return a->device == b->device && a->inode == b->inode && strcmp(a->name, b->name) == 0;
}

static void make_rungs(struct ladder *ladder)
{
    const struct verso_inspect_space *space = ladder->space;

    ladder->rungs = allocate(NULL, space->count, sizeof(*ladder->rungs));
    for (size_t i = 0; i < space->count; i++) {
        bool goes_on = i > 0 && space->mappings[i - 1].end == space->mappings[i].start &&
                       is_same_object(&space->mappings[i - 1], &space->mappings[i]);

        if (!goes_on)
            ladder->rungs[ladder->count++] = (struct rung){ i, i };
        ladder->rungs[ladder->count - 1].end = i + 1;
    }
}

/* The space between a rung and the one below it. */
struct joint {
    size_t upper;
    uint64_t gap;
    uint64_t size; /* of both together: small ones are missed least */
};

static int compare_joints(const void *left, const void *right)
{
    const struct joint *a = left, *b = right;

    if (a->gap != b->gap)
        return a->gap < b->gap ? -1 : 1;
    return a->size < b->size ? -1 : a->size > b->size;
}

/* Joins rungs over the smallest gaps until @wanted are left. */
static void join_rungs(struct ladder *ladder, size_t wanted)
{
    size_t joint_count = ladder->count - 1, kept = 0;
    struct joint *joints = allocate(NULL, joint_count, sizeof(*joints));
    bool *joins = allocate(NULL, ladder->count, sizeof(*joins));

    memset(joins, 0, ladder->count * sizeof(*joins));
    for (size_t i = 1; i < ladder->count; i++)
        joints[i - 1] = (struct joint){ i, start_of(ladder, i) - end_of(ladder, i - 1),
                                        end_of(ladder, i) - start_of(ladder, i - 1) };
    qsort(joints, joint_count, sizeof(*joints), compare_joints);
    for (size_t i = 0; i < ladder->count - wanted; i++)
        joins[joints[i].upper] = true;
    for (size_t i = 0; i < ladder->count; i++) {
        if (joins[i])
            ladder->rungs[kept - 1].end = ladder->rungs[i].end;
        else
            ladder->rungs[kept++] = ladder->rungs[i];
    }
    ladder->count = kept;
    free(joints);
    free(joins);
}

static uint64_t size_of(const struct ladder *ladder, const struct rung *rung)
{
    uint64_t bytes = 0;

    for (size_t i = rung->first; i < rung->end; i++)
        bytes += mapping_of(ladder, i)->end - mapping_of(ladder, i)->start;
    return bytes;
}

/* What a joined rung covers that is not mapped. */
static uint64_t gaps_of(const struct ladder *ladder, const struct rung *rung)
{
    return mapping_of(ladder, rung->end - 1)->end - mapping_of(ladder, rung->first)->start - size_of(ladder, rung);
}

/* ---- Words ---- */

/* What stands beside a rung: pieces, which share lines while they fit. */
enum piece {
    PIECE_NAMES,
    PIECE_KINDS,
    PIECE_SIZE,
    PIECE_MEMORY,
    PIECE_GUARDS,
    PIECE_COUNT
};

struct label {
    char *pieces[PIECE_COUNT];
    size_t lines[PIECE_COUNT]; /* which line each piece stands on */
    size_t line_count;
};

static void label_add(struct label *label, enum piece piece, const char *text)
{
    size_t old = label->pieces[piece] ? strlen(label->pieces[piece]) : 0, bytes = strlen(text);

    label->pieces[piece] = allocate(label->pieces[piece], old + bytes + 1, 1);
    memcpy(label->pieces[piece] + old, text, bytes + 1);
}

/* "libc.so.6" of a path; all of "[heap]"; of what has no name, its kind: "[reserved]". */
static char *short_name(const struct ladder *ladder, size_t index)
{
    const struct verso_inspect_mapping *mapping = mapping_of(ladder, index);
    const char *slash = mapping->name[0] == '/' ? strrchr(mapping->name, '/') : NULL;
    char kind[32];

    (void)snprintf(kind, sizeof(kind), "[%s]", kind_shown(ladder->facts->mappings[index].kind));
    return name_shown(slash ? slash + 1 : *mapping->name ? mapping->name : kind);
}

static void label_bytes(struct label *label, enum piece piece, const char *before, uint64_t bytes, const char *after)
{
    char text[8];

    if (bytes == 0)
        return;
    label_add(label, piece, before);
    label_add(label, piece, bytes_brief(bytes, text));
    label_add(label, piece, after);
}

/* Kinds that a name does not say. */
#define TELLING                                                                                                  \
    (1U << KIND_RESERVED | 1U << KIND_NO_ACCESS | 1U << KIND_DROPPABLE | 1U << KIND_SECRET | 1U << KIND_SHARED | \
     1U << KIND_CLONE | 1U << KIND_MIRRORED | 1U << KIND_CODE | 1U << KIND_CODE_RUN | 1U << KIND_CODE_WRITE)
/* What children and core dumps get is for the table. */
#define TRAITS_TOLD                                                                                             \
    (1U << TRAIT_SEALED | 1U << TRAIT_TRACKED | 1U << TRAIT_SERVED | 1U << TRAIT_LOCKED | 1U << TRAIT_HUGETLB | \
     1U << TRAIT_THP)

/* "clone, 8K its own (locked)": each telling kind of what has a name once, then what else is special. */
static void label_kinds(const struct ladder *ladder, const struct rung *rung, struct label *label)
{
    unsigned seen = 0, traits = 0;
    uint64_t own_bytes = 0;
    char text[TRAITS_ROOM];

    label_add(label, PIECE_KINDS, "");
    for (size_t i = rung->first; i < rung->end; i++) {
        const struct mapping_facts *facts = &ladder->facts->mappings[i];
        unsigned kind = 1U << facts->kind;

        traits |= facts->traits & TRAITS_TOLD;
        own_bytes += facts->kind == KIND_CLONE ? mapping_of(ladder, i)->memory.anonymous_bytes : 0;
        if (seen & kind || !(TELLING & kind) || !*mapping_of(ladder, i)->name)
            continue;
        label_add(label, PIECE_KINDS, seen ? ", " : "");
        label_add(label, PIECE_KINDS, kind_shown(facts->kind));
        seen |= kind;
    }
    label_bytes(label, PIECE_KINDS, ", ", own_bytes, " its own");
    if (!traits)
        return;
    label_add(label, PIECE_KINDS, seen ? " (" : "(");
    label_add(label, PIECE_KINDS, traits_shown(traits, text));
    label_add(label, PIECE_KINDS, ")");
}

/* Whether a name has been said of the rung already: what lies side by side, and kinds of what has none, once. */
static bool is_repeated(const struct ladder *ladder, const struct rung *rung, size_t index, unsigned *seen_kinds)
{
    unsigned kind = 1U << ladder->facts->mappings[index].kind;
    bool was_seen = *seen_kinds & kind;

    if (*mapping_of(ladder, index)->name)
        return index > rung->first && is_same_object(mapping_of(ladder, index - 1), mapping_of(ladder, index));
    *seen_kinds |= kind;
    return was_seen;
}

/* The names of a rung, each once while it repeats, and how many more. */
static void label_names(const struct ladder *ladder, const struct rung *rung, struct label *label)
{
    size_t names = 0;
    unsigned seen_kinds = 0;
    char number[32];

    for (size_t i = rung->first; i < rung->end; i++) {
        char *name;

        if (is_repeated(ladder, rung, i, &seen_kinds))
            continue;
        if (++names > NAMES_SHOWN)
            continue;
        name = short_name(ladder, i);
        label_add(label, PIECE_NAMES, names > 1 ? ", " : "");
        label_add(label, PIECE_NAMES, name);
        free(name);
    }
    if (names > NAMES_SHOWN) {
        label_add(label, PIECE_NAMES, " and ");
        label_add(label, PIECE_NAMES, count_shown(names - NAMES_SHOWN, number));
        label_add(label, PIECE_NAMES, " more");
    }
}

/* @seen: by the bits of access. */
static bool seen_writable_code(const bool seen[16])
{
    for (unsigned access = 0; access < 16; access++)
        if (seen[access] && is_writable_code(&(struct verso_inspect_mapping){ .access = access }))
            return true;
    return false;
}

/* "1.8M  r--p/r-xp/rw-p": the size, and each kind of access once. */
static void label_size(const struct ladder *ladder, const struct rung *rung, struct label *label)
{
    bool seen[16] = { false };
    const char *separator = "  ";
    char text[5];

    label_bytes(label, PIECE_SIZE, "", size_of(ladder, rung), "");
    for (size_t i = rung->first; i < rung->end; i++) {
        unsigned access = mapping_of(ladder, i)->access & 15;

        if (seen[access])
            continue;
        seen[access] = true;
        label_add(label, PIECE_SIZE, separator);
        label_add(label, PIECE_SIZE, access_shown(access, text));
        separator = "/";
    }
    if (seen_writable_code(seen))
        label_add(label, PIECE_SIZE, ", writable and executable!");
    label_bytes(label, PIECE_SIZE, ", ", gaps_of(ladder, rung), " of gaps");
}

static void label_memory(const struct ladder *ladder, const struct rung *rung, struct label *label)
{
    uint64_t resident = 0, dirty = 0, huge = 0, swapped = 0;

    label_add(label, PIECE_MEMORY, "");
    for (size_t i = rung->first; i < rung->end; i++) {
        const struct verso_inspect_memory *memory = &mapping_of(ladder, i)->memory;

        if (mapping_of(ladder, i)->memory_error)
            return;
        resident += memory->resident_bytes;
        dirty += memory->private_dirty_bytes + memory->shared_dirty_bytes;
        huge += memory->huge_bytes;
        swapped += memory->swapped_bytes;
    }
    label_add(label, PIECE_MEMORY, resident ? "" : "none in memory");
    label_bytes(label, PIECE_MEMORY, "", resident, " in memory");
    label_bytes(label, PIECE_MEMORY, ", ", dirty, " dirty");
    label_bytes(label, PIECE_MEMORY, ", ", huge, " huge");
    label_bytes(label, PIECE_MEMORY, ", ", swapped, " swapped");
}

static void label_guards(const struct ladder *ladder, const struct rung *rung, struct label *label)
{
    uint64_t pages = 0, places = 0;
    char text[GUARDS_ROOM];

    for (size_t i = rung->first; i < rung->end; i++) {
        pages += ladder->facts->mappings[i].guard_pages;
        places += ladder->facts->mappings[i].guard_places;
    }
    label_add(label, PIECE_GUARDS, guards_shown("guard", pages, places, text));
}

/* Puts the pieces on as few lines of @columns as they fit on. */
static void label_fold(struct label *label, size_t columns)
{
    size_t used = 0;

    label->line_count = 1;
    for (size_t i = 0; i < PIECE_COUNT; i++) {
        size_t width = columns_of(label->pieces[i]);

        if (i > 0 && width > 0 && used + 2 + width > columns) {
            label->line_count++;
            used = 0;
        }
        label->lines[i] = label->line_count - 1;
        used += (used ? 2 : 0) + width;
    }
}

static void print_label_line(const struct label *label, size_t line, size_t columns)
{
    const char *separator = " ";

    for (size_t i = 0; i < PIECE_COUNT; i++) {
        if (label->lines[i] != line || !*label->pieces[i])
            continue;
        fputs(separator, stdout);
        print_tail(label->pieces[i], columns);
        separator = "  ";
    }
    putchar('\n');
}

/* ---- Lines ---- */

/* 1 below half a MiB, then one more for each factor of 16. */
static size_t height_of(uint64_t bytes)
{
    size_t height = 1;

    for (bytes /= 512 * 1024; bytes > 0 && height < HEIGHT_MAX; bytes /= 16)
        height++;
    return height;
}

static void print_repeated(const char *text, size_t count)
{
    while (count--)
        fputs(text, stdout);
}

static void print_edge(const struct ladder *ladder, uint64_t address)
{
    printf("%*" PRIx64 " %s", ladder->address_width, address, ladder->can_utf8 ? "├" : "+");
    print_repeated(ladder->can_utf8 ? "─" : "-", ladder->bar_columns + 2);
    puts(ladder->can_utf8 ? "┤" : "+");
}

/* Above the programs' half is nothing that they could use: calling it free would be wrong. */
static void print_gap(const struct ladder *ladder, uint64_t start, uint64_t end)
{
    char text[16];

    printf("%*s %s%*s%s %s\n", ladder->address_width, "", ladder->can_utf8 ? "┊" : ":", (int)ladder->bar_columns + 4,
           "", bytes_shown(end - start, text), end >> 63 ? "not for programs" : "free");
}

static void print_bar(struct ladder *ladder, const unsigned char *kinds)
{
    const char *side = ladder->can_utf8 ? "│" : "|";
    int last = -1;

    printf("%*s %s ", ladder->address_width, "", side);
    for (size_t i = 0; i < ladder->bar_columns; i++) {
        const struct share_kind_row *row = &share_kinds[kinds[i]];

        if (ladder->color && kinds[i] != last)
            fputs(row->color, stdout);
        putchar(row->letter);
        last = kinds[i];
        ladder->seen[kinds[i]] = true;
    }
    printf("%s %s", ladder->color ? "\033[0m" : "", side);
}

static void print_rung(struct ladder *ladder, size_t index)
{
    const struct rung *rung = &ladder->rungs[index];
    unsigned char kinds[BAR_COLUMNS_MAX * HEIGHT_MAX];
    size_t height = height_of(size_of(ladder, rung));
    struct label label = { 0 };
    struct shares shares = { { 0 } };

    label_names(ladder, rung, &label);
    label_kinds(ladder, rung, &label);
    label_size(ladder, rung, &label);
    label_memory(ladder, rung, &label);
    label_guards(ladder, rung, &label);
    label_fold(&label, ladder->label_columns);
    if (height < label.line_count)
        height = label.line_count;
    for (size_t i = rung->first; i < rung->end; i++)
        shares_add(&shares, mapping_of(ladder, i));
    shares_to_cells(&shares, kinds, height * ladder->bar_columns);
    for (size_t line = 0; line < height; line++) {
        print_bar(ladder, kinds + line * ladder->bar_columns);
        print_label_line(&label, line, ladder->label_columns);
    }
    for (size_t i = 0; i < PIECE_COUNT; i++)
        free(label.pieces[i]);
}

static void print_legend(const struct ladder *ladder)
{
    puts("\nLetters are shares of a rung, not places in it. Heights grow with the logarithm.");
    for (size_t i = 0; i < SHARE_COUNT; i++)
        if (ladder->seen[i])
            printf("  %s%c%s %s\n", ladder->color ? share_kinds[i].color : "", share_kinds[i].letter,
                   ladder->color ? "\033[0m" : "", share_kinds[i].name);
}

/* "ADDRESS | BAR | LABEL" in @columns; 0: as wide as it comes. */
static void lay_out(struct ladder *ladder, size_t columns)
{
    uint64_t highest = ladder->space->mappings[ladder->space->count - 1].end;
    size_t before;

    ladder->address_width = snprintf(NULL, 0, "%" PRIx64, highest);
    ladder->bar_columns = columns && columns < COLUMNS_NARROW ? BAR_COLUMNS_NARROW : BAR_COLUMNS_MAX;
    before = (size_t)ladder->address_width + 1 + ladder->bar_columns + 4 + 1;
    if (columns == 0)
        ladder->label_columns = SIZE_MAX;
    else
        ladder->label_columns = columns > before + LABEL_COLUMNS_MIN ? columns - before : LABEL_COLUMNS_MIN;
}

void ladder_print(const struct verso_inspect_space *space, const struct space_facts *facts, size_t rung_count,
                  size_t columns, bool can_utf8)
{
    struct ladder ladder = { .space = space, .facts = facts, .can_utf8 = can_utf8, .color = color_wanted(stdout) };

    if (space->count == 0)
        return;
    lay_out(&ladder, columns);
    make_rungs(&ladder);
    if (rung_count && ladder.count > rung_count)
        join_rungs(&ladder, rung_count);
    for (size_t i = ladder.count; i-- > 0;) {
        bool touches = i > 0 && end_of(&ladder, i - 1) == start_of(&ladder, i);

        print_edge(&ladder, end_of(&ladder, i));
        print_rung(&ladder, i);
        if (!touches)
            print_edge(&ladder, start_of(&ladder, i));
        if (i > 0 && !touches)
            print_gap(&ladder, end_of(&ladder, i - 1), start_of(&ladder, i));
    }
    print_legend(&ladder);
    free(ladder.rungs);
}
