/* SPDX-License-Identifier: MIT */
/*
 * buffer - reading in what can't be mapped.
 *
 *      pipe, socket, terminal     a stream: read from where it stands; what lies before the offset is read and dropped
 *      /proc, /sys, /dev/zero     has positions: read from the offset on
 *
 * How much there is shows only by reading, so the memory grows as it fills, doubling (mremap moves page tables, not
 * bytes), and what was too much is given back. A limit keeps an endless source from taking all memory.
 *
 * Nothing here may hang where the caller set a time limit: streams are waited for before each read.
 */
#include "base/sums.h"
#include "map/opening.h"
#include "map/stability.h"

#include <errno.h>
#include <string.h>

#define COPY_BYTES_DEFAULT ((uint64_t)1 << 30)
#define FIRST_ROOM_BYTES ((size_t)64 << 10)
#define CHUNK_BYTES 4096

/* They mean nothing without a file behind the map, and are not in effect. */
#define FLAGS_OF_FILES (unsigned)(VERSO_MAP_GROW | VERSO_MAP_KEEP_FD | VERSO_MAP_SUBSTITUTE)

struct reading {
    int fd;
    int timeout_ms;
    bool is_stream;
    uint64_t offset; /* in the source, of the first byte wanted */
    size_t wanted;   /* 0: to the end */
    size_t limit;
    unsigned char *at;   /* where the first byte wanted must be; NULL: anywhere */
    unsigned char *base; /* whole pages; data begins @lead bytes in, so that it lies in its page as in the file */
    size_t room;         /* from base */
    size_t lead;
    size_t filled; /* from base + lead */
    bool has_ended;
};

/* ---- Reading -------------------------------------------------------------------------------------------------- */

/* Signals may come while waiting; they don't lengthen the time. */
static int wait_for_data(const struct reading *reading)
{
    uint64_t start_ns = verso__os_clock_ns();
    int left_ms = reading->timeout_ms;
    int r;

    while ((r = verso__os_wait_readable(reading->fd, reading->timeout_ms ? left_ms : -1)) == -EINTR) {
        uint64_t passed_ms = (verso__os_clock_ns() - start_ns) / 1000000;

        left_ms = passed_ms < (uint64_t)reading->timeout_ms ? reading->timeout_ms - (int)passed_ms : 0;
    }
    return r;
}

/* The next bytes of a stream; *out_done 0: the end. */
static int read_stream(const struct reading *reading, void *to, size_t bytes, size_t *out_done)
{
    int r;

    do {
        r = wait_for_data(reading);
        if (r == 0)
            r = verso__os_read(reading->fd, to, bytes, out_done);
    } while (r == -EAGAIN); /* another reader was faster */
    return r;
}

/* The next bytes of the range, and whether they are the last. -ESPIPE: it is a stream after all. */
static int read_next(struct reading *reading, void *to, size_t bytes, size_t *out_done)
{
    int r;

    if (reading->is_stream)
        r = read_stream(reading, to, bytes, out_done);
    else
        r = verso__os_read_at(reading->fd, reading->offset + reading->filled, to, bytes, out_done);
    if (r == 0)
        reading->has_ended = reading->is_stream ? *out_done == 0 : *out_done < bytes;
    return r;
}

/* Reads a stream up to the range, which counts towards the limit. VERSO_E_RANGE when it ends before. */
static int skip_to_range(const struct reading *reading)
{
    unsigned char chunk[CHUNK_BYTES];
    uint64_t left = reading->offset;
    size_t done;
    int r;

    if (!verso__within(reading->offset, reading->wanted, reading->limit))
        return VERSO_E_TOO_LARGE;

    for (; left > 0; left -= done) {
        r = read_stream(reading, chunk, (size_t)verso__min_u64(left, sizeof(chunk)), &done);
        if (r < 0)
            return r;
        if (done == 0)
            return VERSO_E_RANGE;
    }
    return 0;
}

/*
 * Whether a range that begins past the end or at it was met: reading gives nothing in both cases. VERSO_E_RANGE when
 * not even the byte before it is there.
 */
static int check_end(const struct reading *reading)
{
    unsigned char byte;
    size_t done;
    int r;

    if (reading->is_stream || reading->offset == 0)
        return 0;
    r = verso__os_read_at(reading->fd, reading->offset - 1, &byte, 1, &done);
    return r < 0 ? r : done == 1 ? 0 : VERSO_E_RANGE;
}

/* ---- Memory --------------------------------------------------------------------------------------------------- */

static int map_room(struct reading *reading, size_t room)
{
    void *wanted = reading->at ? reading->at - reading->lead : NULL;
    void *address;
    int r;

    r = verso__os_map(wanted, room, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE, wanted ? VERSO__OS_MAP_AT : 0, -1,
                      0, &address);
    if (r < 0)
        return r;
    reading->base = address;
    reading->room = room;
    return 0;
}

static int stretch_room(struct reading *reading, size_t room)
{
    size_t page = verso__os_page_bytes();
    void *address;
    int r;

    r = verso__os_remap(reading->base, reading->room, room, !reading->at, &address);
    if (r == -ENOMEM && reading->at && room > reading->room + page) /* less may be enough */
        return stretch_room(reading, reading->room + page);
    if (r < 0)
        return r == -ENOMEM && reading->at ? -EEXIST : r;
    reading->base = address;
    reading->room = room;
    return 0;
}

static int make_room(struct reading *reading, size_t more)
{
    uint64_t first = verso__os_page_bytes() + (reading->at ? CHUNK_BYTES : FIRST_ROOM_BYTES);
    uint64_t room = reading->room ? (uint64_t)reading->room * 2 : first;

    if (reading->wanted)
        room = (uint64_t)reading->lead + reading->wanted;
    else if (reading->has_ended)
        room = (uint64_t)reading->lead + reading->filled + more;
    if (!verso__round_up(room, verso__os_page_bytes(), &room) || room > PTRDIFF_MAX)
        return -ENOMEM;
    return reading->room ? stretch_room(reading, (size_t)room) : map_room(reading, (size_t)room);
}

static void give_up(struct reading *reading)
{
    if (reading->base)
        (void)verso__os_unmap(reading->base, reading->room);
    reading->base = NULL;
}

/* ---- All of it ------------------------------------------------------------------------------------------------ */

/*
 * Where there is no room, bytes go to the stack first: so nothing at all (/dev/null, an empty file) costs no memory,
 * and what just fits is not refused for want of room to see its end in.
 */
static int read_into_new_room(struct reading *reading, size_t want)
{
    unsigned char chunk[CHUNK_BYTES];
    size_t done;
    int r;

    r = read_next(reading, chunk, want < sizeof(chunk) ? want : sizeof(chunk), &done);
    if (r < 0 || done == 0)
        return r;
    r = make_room(reading, done);
    if (r < 0)
        return r;
    memcpy(reading->base + reading->lead + reading->filled, chunk, done);
    reading->filled += done;
    return 0;
}

static int read_to_end(struct reading *reading)
{
    size_t target = reading->wanted ? reading->wanted : reading->limit + 1; /* one more: to see that it is too large */
    int r = 0;

    while (r == 0 && !reading->has_ended && reading->filled < target) {
        size_t used = reading->lead + reading->filled, want = target - reading->filled, done = 0;

        if (used >= reading->room) {
            r = read_into_new_room(reading, want);
        } else {
            r = read_next(reading, reading->base + used, (size_t)verso__min_u64(want, reading->room - used), &done);
            reading->filled += done;
        }
    }
    return r;
}

static int read_all(struct reading *reading)
{
    int r = reading->is_stream ? 0 : read_to_end(reading);

    if (r == -ESPIPE)
        reading->is_stream = true;
    if (reading->is_stream) {
        r = skip_to_range(reading);
        if (r == 0)
            r = read_to_end(reading);
    }
    if (r == 0 && reading->filled == 0)
        r = check_end(reading);
    if (r == 0 && reading->wanted && reading->filled < reading->wanted)
        r = VERSO_E_RANGE;
    if (r == 0 && !reading->wanted && reading->filled > reading->limit)
        r = VERSO_E_TOO_LARGE;
    return r;
}

/* ---- Handing over --------------------------------------------------------------------------------------------- */

static int give_back_rest(struct reading *reading)
{
    uint64_t needed =
        verso__round_down(reading->lead + reading->filled + verso__os_page_bytes() - 1, verso__os_page_bytes());
    int r = 0;

    if (needed < reading->room)
        r = verso__os_unmap(reading->base + needed, reading->room - (size_t)needed);
    if (r == 0)
        reading->room = (size_t)needed;
    return r;
}

/* Huge pages can't be stretched as they fill, so the bytes are read into small ones and copied. */
static int copy_to_huge(struct reading *reading, struct verso_map *map, const char *name)
{
    size_t bytes;
    void *address;
    int r;

    r = verso__map_memory(map, name, reading->lead + reading->filled, &address, &bytes);
    if (r < 0)
        return r;
    memcpy((unsigned char *)address + reading->lead, reading->base + reading->lead, reading->filled);
    give_up(reading);
    reading->base = address;
    reading->room = bytes;
    return 0;
}

/* COPY was asked for: sealed memory takes the place of what was read in, which this process could still change. */
static int seal_in_place(struct reading *reading, struct verso_map *map, const char *name)
{
    uint64_t offset = reading->offset - reading->lead;
    struct verso__map_copy copy = { .name = name,
                                    .offset_bytes = offset,
                                    .length_bytes = reading->lead + reading->filled };
    struct verso__os_file_info info;
    void *same;
    int fd, r;

    r = verso__map_copy_memory(&copy, reading->base, &fd);
    if (r < 0)
        return r;
    r = verso__os_file_info(fd, &info);
    if (r == 0)
        r = verso__map_place(map, fd, offset, reading->base, reading->room, VERSO__OS_MAP_OVER, &same);
    verso__os_close(fd);
    if (r < 0)
        return r;
    map->kind = VERSO_MAP_KIND_MEMORY;
    map->stability = VERSO_MAP_COPY;
    map->device = info.device; /* the name leads to something else now */
    map->inode = info.inode;
    return 0;
}

static int keep_as_buffer(struct reading *reading, struct verso_map *map, const char *name, unsigned asked)
{
    int r = 0;

    map->kind = VERSO_MAP_KIND_BUFFER;
    map->stability = VERSO_MAP_SNAPSHOT;
    if (asked != VERSO_MAP_SNAPSHOT)
        map->stability_why = "this kind of file is read into private memory, which nobody else reaches";
    if ((map->flags & VERSO_MAP_HUGE) && !reading->at)
        r = copy_to_huge(reading, map, name);
    else
        (void)verso__os_name(reading->base, reading->room, name); /* for people to read; older kernels have no names */
    if (r == 0 && !(map->access & VERSO__OS_ACCESS_WRITE))
        r = verso__os_protect(reading->base, reading->room, map->access);
    return r;
}

static int hand_over(struct verso__map_opening *opening, struct verso_map *map, struct reading *reading)
{
    const char *name = opening->options.name ? opening->options.name : "verso";
    unsigned asked = opening->options.stability;
    int r;

    r = give_back_rest(reading);
    if (r == 0)
        r = asked == VERSO_MAP_COPY ? seal_in_place(reading, map, name) : keep_as_buffer(reading, map, name, asked);
    if (r < 0)
        return verso__map_failed(opening, r, "mmap", NULL);
    map->base = reading->base;
    map->lead_bytes = reading->lead;
    map->length_bytes = reading->filled;
    map->mapped_bytes = map->span_bytes = reading->room;
    map->offset_bytes = opening->options.offset_bytes;
    map->address_is_fixed = reading->at != NULL;
    map->flags &= ~FLAGS_OF_FILES;
    if ((map->flags & VERSO_MAP_HUGE) && map->kind == VERSO_MAP_KIND_BUFFER && reading->at)
        verso__map_huge_ask(map);
    return 0;
}

static int explain(struct verso__map_opening *opening, const struct reading *reading, int code)
{
    const char *step = code == VERSO_E_RANGE ? "range" : code == -EEXIST || code == -ENOMEM ? "mmap" : "read";
    const char *hint = NULL;

    if (code == VERSO_E_TOO_LARGE)
        hint = "it gives more than copy_bytes_max: raise that, or ask for a length";
    else if (code == -ETIMEDOUT)
        hint = "nothing came within timeout_ms; is somebody writing?";
    else if (code == -EBADF)
        hint = "the descriptor is closed, or open for writing only";
    (void)verso__map_failed(opening, code, step, hint);
    if (code == VERSO_E_RANGE)
        opening->failure->offset_bytes = reading->offset + reading->filled;
    return code;
}

static int begin(struct verso__map_opening *opening, struct reading *reading)
{
    const struct verso_map_options *options = &opening->options;
    uint64_t limit = options->copy_bytes_max ? options->copy_bytes_max : COPY_BYTES_DEFAULT;

    limit = verso__min_u64(limit, PTRDIFF_MAX - 1);
    *reading = (struct reading){
        .fd = opening->fd,
        .timeout_ms = options->timeout_ms,
        .is_stream = opening->file.kind == VERSO__OS_FILE_FIFO || opening->file.kind == VERSO__OS_FILE_SOCKET,
        .offset = options->offset_bytes,
        .lead = (size_t)(options->offset_bytes & (verso__os_page_bytes() - 1)),
        .limit = (size_t)limit,
        .at = options->address,
    };
    if (options->length_bytes > limit)
        return explain(opening, reading, VERSO_E_TOO_LARGE);
    reading->wanted = (size_t)options->length_bytes;
    return 0;
}

/* Stores can't reach what was read in. Only a regular file with nothing in it can be had all the same. */
static int read_for_writing(struct verso__map_opening *opening, struct reading *reading)
{
    unsigned char byte;
    size_t done = 1;
    int r = 0;

    if (opening->file.kind == VERSO__OS_FILE_REGULAR && opening->file.bytes == 0)
        r = verso__os_read_at(reading->fd, 0, &byte, 1, &done);
    if (r == 0 && done > 0)
        return verso__map_failed(opening, VERSO_E_NOT_MAPPED, "mmap", VERSO__MAP_HINT_NOT_MAPPED);
    if (r == 0 && (reading->offset > 0 || reading->wanted > 0))
        r = VERSO_E_RANGE;
    return r < 0 ? explain(opening, reading, r) : 0;
}

int verso__map_read_in(struct verso__map_opening *opening, struct verso_map *map)
{
    struct reading reading;
    int r;

    r = begin(opening, &reading);
    if (r < 0)
        return r;
    map->kind = VERSO_MAP_KIND_EMPTY;
    verso__map_path_remember(map, opening->fd);
    if (opening->options.flags & (VERSO_MAP_WRITE | VERSO_MAP_EXEC))
        return read_for_writing(opening, &reading);
    r = read_all(&reading);
    if (r < 0)
        (void)explain(opening, &reading, r);
    else if (reading.filled > 0)
        r = hand_over(opening, map, &reading);
    if (r < 0)
        give_up(&reading);
    return r;
}
