/* SPDX-License-Identifier: MIT */
/*
 * maps_kinds - see maps_kinds.h.
 *
 * Each mapping is judged alone first, by name, access and flags. Then come the shapes that only several mappings make:
 * one memory twice, side by side (a ring), and one memory seen by a writer here and by the processor there (code).
 */
#include "maps_kinds.h"

#include "command.h"
#include "output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

static const char *const kinds[] = {
#define KIND_ROW(kind, word) word,
    MAPPING_KINDS(KIND_ROW)
#undef KIND_ROW
};

static const struct trait_row {
    const char *word;
    const char *flags;
} traits[TRAIT_COUNT] = {
#define TRAIT_ROW(trait, word, flags) { word, flags },
    MAPPING_TRAITS(TRAIT_ROW)
#undef TRAIT_ROW
};

/* ---- One mapping ---- */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The kernel's flags are two letters each, with blanks between; so no flag can hide in the middle of two others. */
static bool has_flag(const struct verso_inspect_mapping *mapping, const char *flag)
{
    return strstr(mapping->flags, flag) != NULL;
}

static bool may(const struct verso_inspect_mapping *mapping, unsigned access)
{
    return (mapping->access & access) == access;
}

bool is_writable_code(const struct verso_inspect_mapping *mapping)
{
    return may(mapping, VERSO_INSPECT_WRITE | VERSO_INSPECT_EXEC);
}

/* Memory that was promised ("ac") or is there is memory, whatever may be done with it now. */
static enum mapping_kind inaccessible(const struct verso_inspect_mapping *mapping)
{
    bool is_empty = mapping->memory_error == 0 && mapping->memory.resident_bytes == 0 &&
                    mapping->memory.swapped_bytes == 0 && !has_flag(mapping, "ac");

    return is_empty ? KIND_RESERVED : KIND_NO_ACCESS;
}

static enum mapping_kind kind_without_file(const struct verso_inspect_mapping *mapping)
{
    const unsigned any = VERSO_INSPECT_READ | VERSO_INSPECT_WRITE | VERSO_INSPECT_EXEC;

    if (strcmp(mapping->name, "[heap]") == 0)
        return KIND_HEAP;
    if (begins(mapping->name, "[stack") || has_flag(mapping, "gd"))
        return KIND_STACK;
    if (*mapping->name && !begins(mapping->name, "[anon:"))
        return KIND_KERNEL; /* vdso, vvar, vsyscall, uprobes, anon_inode:... */
    if (has_flag(mapping, "dp"))
        return KIND_DROPPABLE;
    if (!(mapping->access & any))
        return inaccessible(mapping);
    return may(mapping, VERSO_INSPECT_EXEC) ? KIND_CODE : KIND_MEMORY;
}

/* What the kernel names like a file, though it lies on no disk; KIND_FILE for what does. */
static enum mapping_kind kind_of_memory_file(const struct verso_inspect_mapping *mapping)
{
    bool shared = may(mapping, VERSO_INSPECT_SHARED);
    const char *name = mapping->name;

    if (major(mapping->device) == 0 && strcmp(name, "/secretmem (deleted)") == 0)
        return KIND_SECRET;
    if (begins(name, "/memfd:"))
        return !shared && may(mapping, VERSO_INSPECT_WRITE) ? KIND_CLONE : KIND_MEMFD;
    if (begins(name, "/dev/zero") || begins(name, "/anon_hugepage") || begins(name, "[anon_shmem:"))
        return shared ? KIND_SHARED : KIND_MEMORY;
    if (begins(name, "/SYSV") || (shared && begins(name, "/dev/shm/")))
        return KIND_SHARED;
    if (begins(name, "/[aio]") || begins(name, "anon_inode:"))
        return KIND_KERNEL;
    return KIND_FILE;
}

static enum mapping_kind kind_alone(const struct verso_inspect_mapping *mapping)
{
    enum mapping_kind kind;

    if (mapping->inode == 0)
        return kind_without_file(mapping);
    kind = kind_of_memory_file(mapping);
    if (kind == KIND_MEMFD || kind == KIND_CLONE || kind == KIND_SHARED || kind == KIND_MEMORY)
        return may(mapping, VERSO_INSPECT_EXEC) ? KIND_CODE : kind;
    if (kind != KIND_FILE)
        return kind;
    if (has_flag(mapping, "io") || has_flag(mapping, "pf") ||
        (begins(mapping->name, "/dev/") && !begins(mapping->name, "/dev/shm/")))
        return KIND_DEVICE;
    if (!may(mapping, VERSO_INSPECT_SHARED) &&
        (may(mapping, VERSO_INSPECT_WRITE) || mapping->memory.anonymous_bytes > 0))
        return KIND_FILE_COPY;
    return KIND_FILE;
}

static unsigned traits_of(const struct verso_inspect_mapping *mapping)
{
    unsigned found = 0;

    for (unsigned i = 0; i < TRAIT_COUNT; i++)
        for (const char *flag = traits[i].flags; *flag; flag += flag[2] ? 3 : 2) {
            const char letters[] = { flag[0], flag[1], '\0' };

            if (has_flag(mapping, letters))
                found |= 1U << i;
        }
    return found;
}

/* ---- Several ---- */

static bool is_mirror(const struct verso_inspect_mapping *a, const struct verso_inspect_mapping *b)
{
    return a->end == b->start && a->end - a->start == b->end - b->start && a->inode == b->inode && a->inode != 0 &&
           a->device == b->device && a->offset_bytes == b->offset_bytes && a->access == b->access &&
           may(a, VERSO_INSPECT_SHARED);
}

static const struct verso_inspect_space *sorted_space; /* qsort has no argument for it */

static int compare_objects(const void *left, const void *right)
{
    const struct verso_inspect_mapping *a = &sorted_space->mappings[*(const size_t *)left];
    const struct verso_inspect_mapping *b = &sorted_space->mappings[*(const size_t *)right];

    if (a->device != b->device)
        return a->device < b->device ? -1 : 1;
    return a->inode < b->inode ? -1 : a->inode > b->inode;
}

/* Views of one object, @indexes of mappings: whether some may write it and others run it, and which. */
static void find_code_views(const struct verso_inspect_space *space, const size_t *indexes, size_t count,
                            struct mapping_facts *facts)
{
    const unsigned both = VERSO_INSPECT_WRITE | VERSO_INSPECT_EXEC;
    bool writes = false, runs = false;

    for (size_t i = 0; i < count; i++) {
        const struct verso_inspect_mapping *mapping = &space->mappings[indexes[i]];

        if (!may(mapping, VERSO_INSPECT_SHARED))
            continue;
        writes = writes || (mapping->access & both) == VERSO_INSPECT_WRITE;
        runs = runs || (mapping->access & both) == VERSO_INSPECT_EXEC;
    }
    for (size_t i = 0; i < count && writes && runs; i++) {
        const struct verso_inspect_mapping *mapping = &space->mappings[indexes[i]];

        if (!may(mapping, VERSO_INSPECT_SHARED))
            continue;
        if ((mapping->access & both) == VERSO_INSPECT_WRITE)
            facts[indexes[i]].kind = KIND_CODE_WRITE;
        else if ((mapping->access & both) == VERSO_INSPECT_EXEC)
            facts[indexes[i]].kind = KIND_CODE_RUN;
    }
}

static void find_shapes(const struct verso_inspect_space *space, struct mapping_facts *facts)
{
    size_t *indexes = allocate(NULL, space->count, sizeof(*indexes)), count = 0;

    for (size_t i = 0; i < space->count; i++)
        if (space->mappings[i].inode != 0)
            indexes[count++] = i;
    sorted_space = space;
    qsort(indexes, count, sizeof(*indexes), compare_objects);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && compare_objects(&indexes[first], &indexes[end]) == 0; end++)
            ;
        find_code_views(space, indexes + first, end - first, facts);
    }
    free(indexes);
    for (size_t i = 1; i < space->count; i++)
        if (is_mirror(&space->mappings[i - 1], &space->mappings[i]))
            facts[i - 1].kind = facts[i].kind = KIND_MIRRORED;
}

/* ---- Guards ---- */

static bool is_of_programs(const struct verso_inspect_mapping *mapping)
{
    return !(mapping->start >> 63);
}

static bool count_range(const struct verso_inspect_space *space, uint64_t start, uint64_t end,
                        struct space_facts *facts, struct verso_inspect_guards *out_guards)
{
    int r = verso_inspect_guards(space->pid, start, end, out_guards);

    facts->guards_error = r < 0 ? r : out_guards->pages.error;
    facts->guards_why = r < 0 ? verso_error_text(r) : out_guards->pages.why;
    return facts->guards_error == 0;
}

/* Most processes have none: one walk says so. */
static void find_guards(const struct verso_inspect_space *space, struct space_facts *facts)
{
    struct verso_inspect_guards guards;
    size_t count = space->count;

    while (count > 0 && !is_of_programs(&space->mappings[count - 1]))
        count--;
    facts->guards_error = 0;
    facts->guards_why = "";
    if (count == 0 || !count_range(space, space->mappings[0].start, space->mappings[count - 1].end, facts, &guards) ||
        guards.pages.value == 0)
        return;
    facts->guard_places = guards.places.value; /* neighbours count as one, across mappings too */
    for (size_t i = 0; i < count; i++) {
        if (!count_range(space, space->mappings[i].start, space->mappings[i].end, facts, &guards))
            return;
        facts->mappings[i].guard_pages = guards.pages.value;
        facts->mappings[i].guard_places = guards.places.value;
        facts->guard_pages += guards.pages.value;
        facts->guarded_mappings += guards.pages.value > 0;
    }
}

void kinds_find(const struct verso_inspect_space *space, bool count_guards, struct space_facts *out_facts)
{
    struct space_facts facts = { .guards_error = -ENODATA, .guards_why = "not asked for" };

    facts.mappings = allocate(NULL, space->count, sizeof(*facts.mappings));
    memset(facts.mappings, 0, space->count * sizeof(*facts.mappings));
    facts.traits_known = space->count > 0 && space->mappings[0].memory_error == 0;
    for (size_t i = 0; i < space->count; i++) {
        const struct verso_inspect_mapping *mapping = &space->mappings[i];

        facts.mappings[i].kind = kind_alone(mapping);
        if (facts.mappings[i].kind != KIND_KERNEL) /* its flags are its own affair */
            facts.mappings[i].traits = traits_of(mapping);
        if (is_writable_code(mapping)) {
            facts.writable_code_mappings++;
            facts.writable_code_bytes += mapping->end - mapping->start;
        }
    }
    find_shapes(space, facts.mappings);
    if (count_guards)
        find_guards(space, &facts);
    *out_facts = facts;
}

void kinds_free(struct space_facts *facts)
{
    free(facts->mappings);
}

/* ---- Words ---- */

const char *kind_shown(enum mapping_kind kind)
{
    return kinds[kind];
}

char *traits_shown(unsigned found, char *text)
{
    size_t used = 0;

    *text = '\0';
    for (unsigned i = 0; i < TRAIT_COUNT; i++)
        if (found & (1U << i))
            used += (size_t)snprintf(text + used, TRAITS_ROOM - used, "%s%s", used ? "," : "", traits[i].word);
    return text;
}

char *guards_shown(const char *word, uint64_t pages, uint64_t places, char *text)
{
    char page_count[32], place_count[32];

    *text = '\0';
    if (pages > 0)
        (void)snprintf(text, GUARDS_ROOM, "%s %s%s in %s place%s", count_shown(pages, page_count), word,
                       pages == 1 ? "" : "s", count_shown(places, place_count), places == 1 ? "" : "s");
    return text;
}

/* ---- For programs ---- */

static json_t *traits_json(unsigned found)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < TRAIT_COUNT; i++)
        if (found & (1U << i))
            json_array_append_new(list, json_string(traits[i].word));
    return list;
}

static json_t *number_json(uint64_t number, bool is_known)
{
    return is_known ? json_integer((json_int_t)number) : json_null();
}

void kinds_to_json(const struct verso_inspect_space *space, const struct space_facts *facts, size_t index,
                   json_t *object)
{
    const struct mapping_facts *mapping = &facts->mappings[index];
    bool is_known = facts->guards_error == 0;

    json_object_set_new(object, "kind", json_string(kinds[mapping->kind]));
    json_object_set_new(object, "traits", facts->traits_known ? traits_json(mapping->traits) : json_null());
    json_object_set_new(object, "writable_executable", json_boolean(is_writable_code(&space->mappings[index])));
    json_object_set_new(object, "guard_pages", number_json(mapping->guard_pages, is_known));
    json_object_set_new(object, "guard_places", number_json(mapping->guard_places, is_known));
}

void kinds_total_to_json(const struct space_facts *facts, json_t *object)
{
    bool is_known = facts->guards_error == 0;

    json_object_set_new(object, "guards",
                        json_pack("{so so so so ss}", "pages", number_json(facts->guard_pages, is_known), "places",
                                  number_json(facts->guard_places, is_known), "mappings",
                                  number_json(facts->guarded_mappings, is_known), "error",
                                  json_integer(facts->guards_error), "why", facts->guards_why));
    json_object_set_new(object, "writable_executable",
                        json_pack("{so so}", "mappings", json_integer((json_int_t)facts->writable_code_mappings),
                                  "bytes", json_integer((json_int_t)facts->writable_code_bytes)));
}
