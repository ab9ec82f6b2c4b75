/* SPDX-License-Identifier: MIT */
/* opening.h - one call of open while it lasts; shared by the files that carry it out. */
#ifndef VERSO_SRC_MAP_OPENING_H
#define VERSO_SRC_MAP_OPENING_H

#include "map/map.h"

/* What to do about VERSO_E_NOT_MAPPED when it comes from open. */
#define VERSO__MAP_HINT_NOT_MAPPED \
    "this kind of file is read into private memory: map it without WRITE and EXEC, or with PRIVATE"

struct verso__map_opening {
    struct verso_map_options options;
    const char *path; /* NULL: by descriptor */
    int fd;
    bool fd_is_own; /* opened here: closed here, unless the map keeps it */
    int source_fd;  /* what is mapped instead, with a snapshot or a copy; -1: fd. Ours, unless the map keeps it */
    bool made_file; /* CREATE made it, so a failure removes it */
    struct verso__os_file_info file;
    uint64_t length_bytes;          /* wanted; once the file's size is known, never "to the end" */
    uint64_t grown_to;              /* how long CREATE has made the file; 0: not */
    bool refuses_mmap;              /* this kind of file can't be mapped */
    struct verso__failure *failure; /* all but the path */
};

/*
 * Notes a failure, answers its code. Step and hint are literals; a NULL hint takes the code's own. Cold: so the
 * compiler keeps what leads here out of the way of an open that goes well, where every cache line of code counts.
 */
__attribute__((cold)) int verso__map_failed(struct verso__map_opening *opening, int code, const char *step,
                                            const char *hint);

/* options.c: takes over what the caller wants (NULL: the defaults) and refuses what contradicts itself. */
int verso__map_options_take(struct verso__map_opening *opening, const struct verso_map_options *given);

/* name.c: opens, and with CREATE makes, the file of opening->path. */
int verso__map_open_name(struct verso__map_opening *opening);

/* name.c: CREATE: makes the file as long as the range, with real disk space unless SPARSE. */
int verso__map_grow_file(struct verso__map_opening *opening, uint64_t bytes);

/* name.c: after a failure: the file that was made is removed, the one that was grown gets its size back. */
__attribute__((cold)) void verso__map_undo_file(struct verso__map_opening *opening);

/*
 * buffer.c: reads the range of what can't be mapped into private memory. Sets base, length, mapped, span and kind; for
 * nothing at all, kind is EMPTY and no memory is taken.
 */
int verso__map_read_in(struct verso__map_opening *opening, struct verso_map *map);

#endif
