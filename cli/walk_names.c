/* SPDX-License-Identifier: MIT */
/* walk_names - a pattern with a slash is about the whole path, any other about the name alone. */
#include "walk_names.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

char *walk_joined(const char *directory, const char *name)
{
    size_t length = directory ? strlen(directory) : 0, name_bytes = strlen(name) + 1;
    bool slash = length && directory[length - 1] != '/';
    char *path = allocate(NULL, length + slash + name_bytes, 1);

    if (length)
        memcpy(path, directory, length);
    if (slash)
        path[length] = '/';
    memcpy(path + length + slash, name, name_bytes);
    return path;
}

static bool matches(const struct text_list *patterns, const char *directory, const char *name)
{
    const char *base = strrchr(name, '/');
    bool found = false;

    base = base && base[1] ? base + 1 : name;
    for (size_t i = 0; i < patterns->count && !found; i++) {
        if (strchr(patterns->texts[i], '/')) {
            char *path = walk_joined(directory, name);

            found = fnmatch(patterns->texts[i], path, 0) == 0;
            free(path);
        } else {
            found = fnmatch(patterns->texts[i], base, 0) == 0;
        }
    }
    return found;
}

bool walk_is_wanted(const struct walk_options *options, const char *directory, const char *name, bool is_directory)
{
    if (options->ignore.count && matches(&options->ignore, directory, name))
        return false;
    return is_directory || options->only.count == 0 || matches(&options->only, directory, name);
}
