/* SPDX-License-Identifier: MIT */
/*
 * walk.h - every regular file below some names, once, by several threads.
 *
 * Directories are opened relative to their parents, so no path is too long and none is looked up twice. Symbolic links
 * are followed only when asked, and only once round a loop. A file that is met again, by another name (hard link) or
 * because the names overlap, is left out, unless asked for.
 */
#ifndef VERSO_CLI_WALK_H
#define VERSO_CLI_WALK_H

#include "command.h"

#include <sys/stat.h>

/* A file as the walk meets it. */
struct walk_file {
    int fd;                    /* open for reading; the walk closes it; -1 with names_only */
    const struct stat *status; /* of fd; NULL with names_only */
    const char *directory;     /* path of its directory, NULL for a name given to the walk */
    const char *name;
    size_t root;     /* where it was found; see struct walk_names */
    unsigned worker; /* which thread calls, from 0: for sums of its own */
};

typedef void walk_function(const struct walk_file *file, void *context);

struct walk_options {
    bool follow;             /* symbolic links */
    bool one_file_system;    /* stay on the one of each name */
    bool count_links;        /* meet a file as often as it has names */
    uint64_t bytes_max;      /* leave out larger files */
    struct text_list ignore; /* patterns of names to leave out, directories with all they hold */
    struct text_list only;   /* patterns, one of which a file's name must match; none: all */
    unsigned thread_count;   /* at least 1 */
    bool silent;             /* troubles are counted, not told */
    bool names_only;         /* open no file: repeats and sizes are not looked at, and files may turn out otherwise */
};

/* Where to begin. Each name given is a root of its own, the list together is the last one. */
struct walk_names {
    struct text_list given;
    struct text_list listed;
};

/* What was met, and what was left out. */
struct walk_counts {
    uint64_t files; /* that the function was called for */
    uint64_t directories;
    uint64_t repeats;
    uint64_t too_large;
    uint64_t special;  /* devices, pipes, sockets */
    uint64_t links;    /* symbolic ones, not followed */
    uint64_t troubles; /* each told on stderr */
};

/*
 * Calls @each for every file, from up to thread_count threads at once; ends early when interrupted() or after
 * walk_stop(). A name that is not there, or of a kind without a page cache, is trouble; in directories such things are
 * passed by. Names that are block devices count as files.
 */
void walk_run(const struct walk_options *options, const struct walk_names *names, walk_function *each, void *context,
              struct walk_counts *out_counts);

/* From @each: no more files. */
void walk_stop(void);

/* The path of a file, as one would type it. Caller frees. */
char *walk_path(const struct walk_file *file);

#endif
