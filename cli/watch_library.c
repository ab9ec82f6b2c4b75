/* SPDX-License-Identifier: MIT */
/* watch_library - looks for something worth watching: in the library directories, or in a process. */
#include "watch_library.h"
#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <verso/inspect.h>

#include "watch_model.h"

#define SEARCH_NS UINT64_C(1000000000)
#define DEPTH_MAX 4

struct search {
    uint64_t end_ns;
    uint64_t largest_bytes;
    char *largest;
};

/* "libm.so", "libm.so.6", not "libsox.a". */
static bool is_library_name(const char *name)
{
    const char *ending = strstr(name, ".so");

    return ending && (ending[3] == '\0' || ending[3] == '.');
}

static void search_folder(struct search *search, const char *folder, int depth);

static void search_entry(struct search *search, const char *folder, const struct dirent *entry, int depth)
{
    struct stat status;
    char *path;

    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
        return;
    if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
        return;
    if (lstat(path, &status) == 0) { /* not stat: links would show libraries twice, and folders for ever */
        if (S_ISDIR(status.st_mode))
            search_folder(search, path, depth + 1);
        else if (S_ISREG(status.st_mode) && is_library_name(entry->d_name) &&
                 (uint64_t)status.st_size > search->largest_bytes && access(path, R_OK) == 0) {
            free(search->largest);
            search->largest = path;
            search->largest_bytes = (uint64_t)status.st_size;
            return;
        }
    }
    free(path);
}

static void search_folder(struct search *search, const char *folder, int depth)
{
    struct dirent *entry;
    DIR *stream;

    if (depth > DEPTH_MAX || watch_clock_ns() > search->end_ns || interrupted())
        return;
    stream = opendir(folder);
    if (!stream)
        return; /* not there, or not ours to read: the others will do */
    while ((entry = readdir(stream)) != NULL)
        search_entry(search, folder, entry, depth);
    closedir(stream);
}

char *library_largest(void)
{
    static const char *const folders[] = { "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib" };
    struct search search = { .end_ns = watch_clock_ns() + SEARCH_NS };

    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        struct stat status;

        if (lstat(folders[i], &status) == 0 && S_ISDIR(status.st_mode)) /* /lib is often a link to /usr/lib */
            search_folder(&search, folders[i], 0);
    }
    return search.largest;
}

/* ---- Of a process ---- */

/* Bytes of the address space that map the same file as mapping @at. */
static uint64_t mapped_bytes(const struct verso_inspect_space *space, size_t at)
{
    const struct verso_inspect_mapping *this = &space->mappings[at];
    uint64_t bytes = 0;

    for (size_t i = 0; i < space->count; i++)
        if (space->mappings[i].inode == this->inode && space->mappings[i].device == this->device)
            bytes += space->mappings[i].end - space->mappings[i].start;
    return bytes;
}

static bool can_be_opened(const struct verso_inspect_mapping *mapping)
{
    return mapping->inode != 0 && mapping->name[0] == '/' && access(mapping->name, R_OK) == 0;
}

char *library_of_process(pid_t pid)
{
    struct verso_inspect_space *space;
    const char *largest = NULL;
    uint64_t largest_bytes = 0;
    char *path;

    if (verso_inspect_space(pid, 0, &space) < 0) {
        trouble_error();
        return NULL;
    }
    for (size_t i = 0; i < space->count; i++) {
        uint64_t bytes = can_be_opened(&space->mappings[i]) ? mapped_bytes(space, i) : 0;

        if (bytes > largest_bytes) {
            largest_bytes = bytes;
            largest = space->mappings[i].name;
        }
    }
    path = largest ? strdup(largest) : NULL;
    if (!path)
        trouble("process %ld maps no file that can be opened; name one", (long)pid);
    verso_inspect_space_free(space);
    return path;
}
