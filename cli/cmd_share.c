/* SPDX-License-Identifier: MIT */
/* share - regions of shared memory that have a name: who is in them, and taking away what nobody needs. */
#include "command.h"
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <verso/share.h>

#define SCHEMA 1

static bool show_members;

static const struct option_row options[] = {
    { 'm', "members", OPTION_FLAG, NULL, "list: a line for each process that has a region attached", &show_members },
    { 0, NULL, OPTION_FLAG, NULL, NULL, NULL },
};

/* What came of a walk so far. */
struct rows {
    json_t *json; /* NULL: text */
    unsigned count;
    bool had_trouble;
};

/* ---- For people ---- */

static const char *state_of(const struct verso_share_entry *entry)
{
    if (!entry->is_abandoned)
        return "in use";
    return entry->info.flags & VERSO_SHARE_KEEP ? "kept" : "abandoned";
}

static const char *date_shown(int64_t date_ns, char text[32])
{
    time_t seconds = (time_t)(date_ns / 1000000000);
    struct tm parts;

    if (!localtime_r(&seconds, &parts) || strftime(text, 32, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        (void)snprintf(text, 32, "?");
    return text;
}

static void print_members(const struct verso_share_entry *entry)
{
    char date[32];

    for (unsigned i = 0; i < entry->info.members; i++) {
        const struct verso_share_member *member = &entry->member[i];
        char *name = name_shown(member->name);

        printf("    %" PRId32 "%s %s  since %s\n", member->process,
               member->is_same_namespace ? "" : " (in another namespace of pids)", name,
               date_shown(member->attached_ns, date));
        free(name);
    }
    if (entry->info.has_readers)
        puts("    and who only reads it");
}

static void print_entry(const struct verso_share_entry *entry)
{
    char size[16], most[16], memory[16];
    char *name = name_shown(entry->name), *kind = name_shown(entry->info.kind);

    if (entry->error) {
        printf("%10s %10s %10s %7s  %-9s %-13s %s\n", "-", "-", "-", "-", "trouble", verso_error_name(entry->error),
               name);
    } else {
        printf("%10s %10s %10s %4u/%-4u %-9s %-13s %s\n", bytes_shown(entry->info.bytes, size),
               bytes_shown(entry->info.most_bytes, most), bytes_shown(entry->info.allocated_bytes, memory),
               entry->info.members, entry->info.member_room, state_of(entry), *kind ? kind : "-", name);
        if (show_members)
            print_members(entry);
    }
    free(name);
    free(kind);
}

/* ---- For programs ---- */

static json_t *members_json(const struct verso_share_entry *entry)
{
    json_t *members = json_array();

    for (unsigned i = 0; i < entry->info.members; i++) {
        const struct verso_share_member *member = &entry->member[i];
        json_t *object =
            json_pack("{si si si si sI sb}", "number", (int)member->number, "generation", (int)member->generation,
                      "pid", (int)member->process, "user", (int)member->user, "attached_ns",
                      (json_int_t)member->attached_ns, "is_same_namespace", member->is_same_namespace);

        json_set_name(object, "command", member->name);
        json_array_append_new(members, object);
    }
    return members;
}

static json_t *entry_json(const struct verso_share_entry *entry)
{
    const struct verso_share_info *info = &entry->info;
    json_t *object = json_object();
    char text[24];

    json_set_name(object, "name", entry->name);
    json_object_set_new(object, "error", json_integer(entry->error));
    json_object_set_new(object, "error_name", entry->error ? json_string(verso_error_name(entry->error)) : json_null());
    if (entry->error)
        return object;
    json_set_name(object, "kind", info->kind);
    (void)snprintf(text, sizeof(text), "0x%" PRIx64, info->layout);
    json_object_set_new(object, "layout", json_string(text)); /* 64 bits don't fit the numbers of JSON readers */
    (void)snprintf(text, sizeof(text), "%04o", info->mode);
    json_object_set_new(object, "mode", json_string(text));
    json_object_update_new(
        object,
        json_pack("{sI sI sI sI sI sI si sI sb sb sb sb sb si si}", "version", (json_int_t)info->version, "bytes",
                  (json_int_t)info->bytes, "most_bytes", (json_int_t)info->most_bytes, "file_bytes",
                  (json_int_t)info->file_bytes, "allocated_bytes", (json_int_t)info->allocated_bytes, "created_ns",
                  (json_int_t)info->created_ns, "creator", (int)info->creator, "owner", (json_int_t)info->owner,
                  "is_kept", (info->flags & VERSO_SHARE_KEEP) != 0, "is_huge", (info->flags & VERSO_SHARE_HUGE) != 0,
                  "has_readers", info->has_readers, "is_abandoned", entry->is_abandoned, "is_removed",
                  entry->is_removed, "member_room", (int)info->member_room, "seat_room", (int)info->seat_room));
    json_object_set_new(object, "members", members_json(entry));
    return object;
}

static int take_row(const struct verso_share_entry *entry, void *arg)
{
    struct rows *rows = arg;

    rows->count++;
    rows->had_trouble |= entry->error != 0;
    if (rows->json)
        json_array_append_new(rows->json, entry_json(entry));
    else
        print_entry(entry);
    return interrupted() ? 1 : 0;
}

/* ---- What it can do ---- */

static int finish(const struct rows *rows, const char *action)
{
    if (!rows->json)
        return rows->had_trouble ? EXIT_TROUBLE : EXIT_YES;
    if (json_print(json_pack("{ss so}", "action", action, "regions", rows->json), SCHEMA) != EXIT_YES)
        return EXIT_TROUBLE;
    return rows->had_trouble ? EXIT_TROUBLE : EXIT_YES;
}

/* What a walk tells, kept until all of it can be sorted. */
struct entries {
    struct verso_share_entry *entries;
    size_t count;
};

static int keep_entry(const struct verso_share_entry *entry, void *arg)
{
    struct entries *kept = arg;
    struct verso_share_entry *copy;
    struct verso_share_member *members = NULL;

    if (entry->info.members) {
        members = allocate(NULL, entry->info.members, sizeof(*members));
        memcpy(members, entry->member, entry->info.members * sizeof(*members));
    }
    kept->entries = allocate(kept->entries, kept->count + 1, sizeof(*kept->entries));
    copy = &kept->entries[kept->count++];
    *copy = *entry;
    copy->name = copy_of(entry->name);
    copy->member = members;
    return interrupted() ? 1 : 0;
}

static int compare(const void *a, const void *b)
{
    const struct verso_share_entry *one = a, *other = b;

    return strcmp(one->name, other->name);
}

static int list_all(struct rows *rows)
{
    struct entries kept = { NULL, 0 };
    int r = verso_share_list(keep_entry, &kept);

    if (kept.count)
        qsort(kept.entries, kept.count, sizeof(*kept.entries), compare);
    for (size_t i = 0; i < kept.count; i++) {
        if (r == 0)
            r = take_row(&kept.entries[i], rows);
        free((void *)(uintptr_t)kept.entries[i].name);
        free((void *)(uintptr_t)kept.entries[i].member);
    }
    free(kept.entries);
    return r;
}

static int list(int count, char **names)
{
    struct rows rows = { .json = common.json ? json_array() : NULL };
    int r = 0;

    if (!rows.json)
        printf("%10s %10s %10s %-9s %-9s %-13s %s\n", "SIZE", "MOST", "MEMORY", " MEMBERS", "STATE", "KIND", "NAME");
    if (count == 0)
        r = list_all(&rows);
    for (int i = 0; i < count; i++)
        if (verso_share_look(names[i], take_row, &rows) < 0) {
            (void)trouble_error();
            rows.had_trouble = true;
        }
    if (r != 0) {
        json_decref(rows.json);
        return r < 0 ? trouble_error() : trouble("interrupted");
    }
    return finish(&rows, "list");
}

static int take_away(int count, char **names)
{
    int answer = EXIT_YES;

    if (count == 0)
        return trouble("remove: which? `verso share list` shows what there is");
    for (int i = 0; i < count; i++)
        if (verso_share_remove(names[i]) < 0)
            answer = trouble_error();
    return answer;
}

static int name_row(const struct verso_share_entry *entry, void *arg)
{
    struct rows *rows = arg;
    char *name = name_shown(entry->name), size[16];

    rows->count++;
    if (rows->json)
        json_array_append_new(rows->json, entry_json(entry));
    else
        printf("removed %s, %s\n", name, bytes_shown(entry->info.allocated_bytes, size));
    free(name);
    return 0;
}

static int collect(int count)
{
    struct rows rows = { .json = common.json ? json_array() : NULL };

    if (count > 0)
        return trouble("gc takes no names: it removes what nobody has attached");
    if (verso_share_collect(name_row, &rows) < 0) {
        json_decref(rows.json);
        return trouble_error();
    }
    if (rows.count == 0)
        note("nothing is abandoned");
    return finish(&rows, "gc");
}

static int run(int count, char **arguments)
{
    if (count == 0)
        return trouble("what to do? list, remove or gc; see `verso share --help`");
    if (show_members && strcmp(arguments[0], "list") != 0)
        return trouble("--members goes with list");
    if (strcmp(arguments[0], "list") == 0)
        return list(count - 1, arguments + 1);
    if (strcmp(arguments[0], "remove") == 0)
        return common.json ? trouble("--json goes with list and gc") : take_away(count - 1, arguments + 1);
    if (strcmp(arguments[0], "gc") == 0)
        return collect(count - 1);
    return trouble("%s: list, remove or gc", arguments[0]);
}

const struct command command_share = {
    .name = "share",
    .summary = "regions of shared memory: who is in them; remove what nobody needs",
    .arguments = "list [NAME...] | remove NAME... | gc",
    .example = "  $ verso share list --members\n"
               "  $ verso share gc\n",
    .details =
        "A NAME is one that a program gave to verso_share_create(): a file in /dev/shm/verso-UID, or in\n"
        "$VERSO_SHARE_DIRECTORY. One with a slash in it is a path.\n"
        "\n"
        "list     all regions of this user, or those named\n"
        "remove   take a name away; who has the region attached goes on with it\n"
        "gc       remove what no living process has attached and was not made to be kept\n"
        "\n"
        "A region is abandoned when the kernel holds no lock of a process on it any more: it lets go of them when\n"
        "a process dies, so this is never guessed from time.\n",
    .options = options,
    .has_json = true,
    .run = run,
};
