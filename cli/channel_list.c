/* SPDX-License-Identifier: MIT */
/* channel_list - the channels that have a name: how they were made, what waits in them, who is there. */
#include "channel.h"
#include "command.h"
#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The channels among the regions; the rest is for `verso share`. */
struct names {
    char **names;
    size_t count;
};

struct rows {
    json_t *json; /* NULL: text */
    bool had_trouble;
};

/* ---- One ---- */

static void print_head(void)
{
    printf("%-9s %9s %12s %9s %8s %8s  %s\n", "KIND", "CAPACITY", "WAITING", "USED", "WRITERS", "READERS", "NAME");
}

uint64_t channel_waiting(const struct verso_channel_info *info)
{
    uint64_t gone = info->received + info->lost + (info->full == VERSO_CHANNEL_FULL_DROP_OLDEST ? info->dropped : 0);

    return info->sent > gone ? info->sent - gone : 0;
}

static void print_info(const char *name, const struct verso_channel_info *info)
{
    char capacity[16], used[16], waiting[32] = "-", writers[16], readers[16];
    char *shown = name_shown(name);

    if (info->kind != VERSO_CHANNEL_BROADCAST)
        count_shown(channel_waiting(info), waiting);
    (void)snprintf(writers, sizeof(writers), "%u/%u", info->writers, info->writer_room);
    (void)snprintf(readers, sizeof(readers), "%u/%u", info->readers, info->reader_room);
    printf("%-9s %9s %12s %9s %8s %8s  %s\n", channel_kind_shown(info->kind),
           bytes_shown(info->capacity_bytes, capacity), waiting, bytes_shown(info->used_bytes, used), writers, readers,
           shown);
    free(shown);
}

json_t *channel_info_json(const char *name, const struct verso_channel_info *info)
{
    json_t *object = json_object();

    if (name)
        json_set_name(object, "name", name);
    json_object_update_new(
        object, json_pack("{ss ss sb sb sI sI sI}", "kind", channel_kind_shown(info->kind), "full",
                          channel_full_shown(info->full), "is_lasting", (info->flags & VERSO_CHANNEL_LASTING) != 0,
                          "is_redelivering", (info->flags & VERSO_CHANNEL_REDELIVER) != 0, "capacity_bytes",
                          (json_int_t)info->capacity_bytes, "message_bytes_most", (json_int_t)info->message_bytes_most,
                          "used_bytes", (json_int_t)info->used_bytes));
    json_object_set_new(object, "waiting",
                        info->kind == VERSO_CHANNEL_BROADCAST ? json_null()
                                                              : json_integer((json_int_t)channel_waiting(info)));
    json_object_update_new(
        object,
        json_pack("{sI sI sI sI sI sI sI sI sI sI sI sI sI}", "sent", (json_int_t)info->sent, "sent_bytes",
                  (json_int_t)info->sent_bytes, "received", (json_int_t)info->received, "received_bytes",
                  (json_int_t)info->received_bytes, "dropped", (json_int_t)info->dropped, "lost",
                  (json_int_t)info->lost, "given_up", (json_int_t)info->given_up, "writer_sleeps",
                  (json_int_t)info->room_sleeps, "reader_sleeps", (json_int_t)info->data_sleeps, "dead_writers",
                  (json_int_t)info->dead_writers, "dead_readers", (json_int_t)info->dead_readers, "opened_writers",
                  (json_int_t)info->opened_writers, "opened_readers", (json_int_t)info->opened_readers));
    json_object_update_new(object, json_pack("{si si si si si si ss}", "writers", (int)info->writers, "writer_room",
                                             (int)info->writer_room, "readers", (int)info->readers, "reader_room",
                                             (int)info->reader_room, "clients", (int)info->clients, "client_room",
                                             (int)info->client_room, "barrier", info->barrier));
    return object;
}

static void print_trouble(struct rows *rows, const char *name, int error)
{
    char *shown = name_shown(name);

    if (rows->json) {
        json_t *object = json_object();

        json_set_name(object, "name", name);
        json_object_set_new(object, "error", json_integer(error));
        json_object_set_new(object, "error_name", json_string(verso_error_name(error)));
        json_array_append_new(rows->json, object);
    } else {
        printf("%-9s %9s %12s %9s %8s %8s  %s: %s\n", "trouble", "-", "-", "-", "-", "-", shown,
               verso_error_name(error));
    }
    free(shown);
    rows->had_trouble = true;
}

static void show(struct rows *rows, const char *name)
{
    struct verso_channel_info info = VERSO_CHANNEL_INFO_INIT;
    int r = verso_channel_look(name, &info);

    if (r == -ENOENT)
        return; /* its last user has left since it was found */
    if (r < 0)
        print_trouble(rows, name, r);
    else if (rows->json)
        json_array_append_new(rows->json, channel_info_json(name, &info));
    else
        print_info(name, &info);
}

/* ---- All ---- */

static int take_name(const struct verso_share_entry *entry, void *arg)
{
    struct names *names = arg;

    if (!entry->error && strcmp(entry->info.kind, CHANNEL_SHARE_KIND) == 0) {
        names->names = allocate(names->names, names->count + 1, sizeof(*names->names));
        names->names[names->count++] = copy_of(entry->name);
    }
    return interrupted() ? 1 : 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int channel_list(void)
{
    struct names names = { NULL, 0 };
    struct rows rows = { .json = common.json ? json_array() : NULL };
    int r = verso_share_list(take_name, &names);

    if (r == 0) {
        if (names.count)
            qsort(names.names, names.count, sizeof(*names.names), compare);
        if (!rows.json)
            print_head();
        for (size_t i = 0; i < names.count; i++)
            show(&rows, names.names[i]);
    }
    for (size_t i = 0; i < names.count; i++)
        free(names.names[i]);
    free(names.names);
    if (r != 0) {
        json_decref(rows.json);
        return r < 0 ? trouble_error() : trouble("interrupted");
    }
    if (rows.json &&
        json_print(json_pack("{ss so}", "action", "list", "channels", rows.json), CHANNEL_SCHEMA) != EXIT_YES)
        return EXIT_TROUBLE;
    return rows.had_trouble ? EXIT_TROUBLE : EXIT_YES;
}
