/* SPDX-License-Identifier: MIT */
/*
 * scan_names - which files: arguments, a list of names, and what directories hold.
 *
 * Directories are listed whole before anything is passed, so that the order is the same every time: that of the names
 * given, and by name below a directory. A file that has several names counts as often as it is met.
 */
#include "scan_files.h"
#include "walk.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ---- A growing list ---- */

struct list {
    struct scan_names *names;
    size_t room;
    pthread_mutex_t lock;
};

static void add(struct list *list, char *path, bool is_found)
{
    struct scan_names *names = list->names;

    if (names->count == list->room) {
        list->room = list->room ? list->room * 2 : 64;
        names->names = allocate(names->names, list->room, sizeof(*names->names));
    }
    names->names[names->count++] = (struct scan_name){ path, is_found };
}

/* ---- Directories ---- */

/* From several threads of the walk. */
static void add_found(const struct walk_file *found, void *context)
{
    struct list *list = context;
    char *path = walk_path(found);

    pthread_mutex_lock(&list->lock);
    add(list, path, true);
    pthread_mutex_unlock(&list->lock);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct scan_name *)a)->path, ((const struct scan_name *)b)->path);
}

static void add_directory(struct list *list, const char *path)
{
    struct walk_options options = { .bytes_max = UINT64_MAX, .count_links = true, .names_only = true };
    struct walk_names roots = { { &path, 1 }, { NULL, 0 } };
    struct walk_counts counts;
    size_t before = list->names->count;

    options.thread_count = scan_request.thread_count == 1 ? 1 : 2;
    walk_run(&options, &roots, add_found, list, &counts);
    list->names->troubled |= counts.troubles > 0;
    qsort(list->names->names + before, list->names->count - before, sizeof(*list->names->names), by_name);
}

static void add_given(struct list *list, const char *name)
{
    struct stat status;

    if (scan_request.recursive && strcmp(name, "-") != 0 && stat(name, &status) == 0 && S_ISDIR(status.st_mode))
        add_directory(list, name);
    else
        add(list, copy_of(name), false);
}

/* ---- Lists of names ---- */

static int read_names(FILE *file, struct list *list)
{
    char *name = NULL;
    size_t room = 0;
    int answer = -1;

    errno = 0;
    while (answer < 0 && getdelim(&name, &room, '\0', file) >= 0) {
        if (!*name)
            answer = trouble("--files0-from: an empty name");
        else if (file == stdin && strcmp(name, "-") == 0)
            answer = trouble("--files0-from=-: standard input cannot be a name in itself");
        else
            add_given(list, name);
    }
    if (answer < 0 && ferror(file))
        answer = trouble("--files0-from: %s", strerror(errno));
    free(name);
    return answer;
}

static int read_list(struct list *list)
{
    bool is_stdin = strcmp(scan_request.names_file, "-") == 0;
    FILE *file = is_stdin ? stdin : fopen(scan_request.names_file, "re");
    int answer;

    if (!file) {
        char *shown = name_shown(scan_request.names_file);

        answer = trouble("--files0-from: %s: %s", shown, strerror(errno));
        free(shown);
        return answer;
    }
    answer = read_names(file, list);
    if (!is_stdin)
        fclose(file);
    return answer;
}

/* ---- All of them ---- */

/* What was typed is used as it is: no directory can be among it. */
static void take_arguments(struct scan_names *names, int count, char **arguments)
{
    names->is_stdin = count == 0;
    names->count = names->is_stdin ? 1 : (size_t)count;
    names->names = allocate(NULL, names->count, sizeof(*names->names));
    names->names[0] = (struct scan_name){ "-", false };
    for (int i = 0; i < count; i++)
        names->names[i].path = arguments[i], names->names[i].is_found = false;
}

int scan_names_read(int count, char **arguments, struct scan_names *out_names)
{
    struct scan_names names = { 0 };
    struct list list = { &names, 0, PTHREAD_MUTEX_INITIALIZER };
    int answer = -1;

    if (scan_request.thread_count > SCAN_THREADS_MAX)
        return trouble("--threads: at most %d", SCAN_THREADS_MAX);
    if (scan_request.names_file && count)
        return trouble("--files0-from takes the place of names: name files either there or here");
    if (scan_request.recursive && !scan_request.names_file && count == 0)
        return trouble("--recursive: name directories");
    if (!scan_request.names_file && !scan_request.recursive) {
        take_arguments(&names, count, arguments);
    } else {
        names.own = true;
        for (int i = 0; i < count; i++)
            add_given(&list, arguments[i]);
        if (scan_request.names_file)
            answer = read_list(&list);
    }
    if (answer >= 0)
        scan_names_clear(&names);
    else
        *out_names = names;
    return answer;
}

void scan_names_clear(struct scan_names *names)
{
    for (size_t i = 0; names->own && i < names->count; i++)
        free((void *)(uintptr_t)names->names[i].path);
    free(names->names);
}
