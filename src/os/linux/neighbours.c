/* SPDX-License-Identifier: MIT */
/*
 * neighbours - what stands at an address of this process and next to it, asked from a signal handler.
 *
 * So it takes no memory but its stack, which may be a small one of its own, and no lock: /proc/self/maps is read in
 * pieces, of each line as much as matters is kept.
 */
#include "os/linux/parse.h"

#include <string.h>

/* Numbers, blanks and the part of a name that is told; what is longer loses its end. */
#define LINE_BYTES 512

struct reader {
    int fd;
    size_t held;     /* of text */
    size_t consumed; /* lines given out */
    bool is_long;    /* the line's end has not been read yet, and what was kept of it has been given out */
    bool ended;
    char text[2 * LINE_BYTES];
};

/* More text behind what is not yet given out; there is always room for some. */
static int read_more(struct reader *reader)
{
    size_t done;
    int r;

    memmove(reader->text, reader->text + reader->consumed, reader->held - reader->consumed);
    reader->held -= reader->consumed;
    reader->consumed = 0;
    r = verso__os_read(reader->fd, reader->text + reader->held, sizeof(reader->text) - reader->held, &done);
    if (r < 0)
        return r;
    reader->held += done;
    reader->ended = done == 0;
    return 0;
}

/* 1: a line, or the beginning of a long one; 0: the end. */
static int next_line(struct reader *reader, const char **out_line, size_t *out_bytes)
{
    for (;;) {
        const char *line = reader->text + reader->consumed;
        size_t held = reader->held - reader->consumed;
        const char *newline = memchr(line, '\n', held);
        bool is_rest = reader->is_long;
        int r;

        if (newline || held >= LINE_BYTES || (reader->ended && held > 0)) {
            *out_line = line;
            *out_bytes = newline ? (size_t)(newline - line) : held;
            reader->consumed += *out_bytes + (newline != NULL);
            reader->is_long = !newline;
            if (is_rest)
                continue;
            return 1;
        }
        if (reader->ended)
            return 0;
        r = read_more(reader);
        if (r < 0)
            return r;
    }
}

static void keep(const struct verso__os_mapping *mapping, const char *name, size_t name_bytes, bool is_whole,
                 struct verso__os_neighbour *out_neighbour)
{
    size_t room = sizeof(out_neighbour->name) - 1;
    size_t kept = name_bytes < room ? name_bytes : room;

    out_neighbour->start = mapping->start;
    out_neighbour->end = mapping->end;
    out_neighbour->offset = mapping->offset;
    out_neighbour->inode = mapping->inode;
    out_neighbour->access = mapping->access;
    out_neighbour->shared = mapping->shared;
    memcpy(out_neighbour->name, name, kept);
    out_neighbour->name[kept] = '\0';
    if (kept < name_bytes || !is_whole)
        memcpy(out_neighbour->name + (kept > 3 ? kept - 3 : 0), "...", kept > 3 ? 3 : kept);
}

int verso__os_neighbours(uint64_t address, struct verso__os_neighbours *out_neighbours)
{
    struct verso__os_neighbours found = { .before = { 0 } };
    struct reader reader = { .fd = -1 };
    struct verso__os_mapping mapping;
    const char *line;
    size_t bytes, name_start;
    int r = verso__os_open("/proc/self/maps", VERSO__OS_OPEN_READ, 0, &reader.fd);

    if (r < 0)
        return r;
    while ((r = next_line(&reader, &line, &bytes)) == 1) {
        struct verso__os_neighbour *place = &found.before;

        if (!verso__parse_mapping(line, bytes, &mapping, &name_start))
            continue;
        if (address < mapping.start)
            place = &found.after;
        else if (address < mapping.end)
            place = &found.at;
        keep(&mapping, line + name_start, bytes - name_start, !reader.is_long, place);
        if (place == &found.after)
            break;
    }
    verso__os_close(reader.fd);
    if (r < 0)
        return r;
    *out_neighbours = found;
    return 0;
}
