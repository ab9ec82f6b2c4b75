/* SPDX-License-Identifier: MIT */
/*
 * pack - thousands of files as memory.
 *
 *      span   | a.txt 0| b.json 0| c.txt 0| ... room that grows ... |........ reserved ........|
 *             ^ slots: 64-byte aligned, one NUL at least             ^ cursor  ^ committed      ^ span end
 *
 * Small files are read side by side into one span of address space; committed as the cursor advances, and cut and made
 * read-only at the end: one mapping, however many files. Slots are claimed under a lock, after the file's size is known
 * and before it is read, so threads read at the same time. Large files are put off until all are seen: then the largest
 * are mapped, as many as was allowed, and the others read.
 */
#include "base/fail.h"
#include "base/options.h"
#include "base/sums.h"
#include "guard/guard.h"
#include "map/map.h"
#include "os/os.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <verso/pack.h>

#define SLOT_ALIGN_BYTES 64 /* a cache line: no two files share one */
#define COMMIT_BYTES ((uint64_t)4 << 20)
#define THREADS_MAX 64
#define FLAGS_KNOWN (VERSO_PACK_STRICT | VERSO_PACK_NOFOLLOW)

/* How often a file that grows while it is read to its end may make its buffer double: 4 KiB to far beyond any limit. */
#define STREAM_BYTES_FIRST 4096

struct slot {
    unsigned char *data; /* NULL when error is set */
    uint64_t bytes;
    int error;
    bool mapped;
    bool put_off; /* large: decided when all are seen */
};

/* A large file's own mapping. */
struct mapping {
    void *base;
    size_t bytes;
    struct verso__guard_range range;
};

struct verso_pack {
    struct slot *slots;
    size_t count;
    unsigned char *span;
    size_t span_bytes;
    struct mapping *mappings;
    size_t mapping_count;
};

/* The making of a pack: what its threads share. */
struct work {
    struct verso_pack *pack;
    const char *const *paths;
    const struct verso_pack_options *options;
    pthread_mutex_t lock;
    size_t next;            /* under lock: the next file nobody has taken */
    uint64_t claimed_bytes; /* under lock: of files, for the limit */
    uint64_t cursor;        /* under lock: bytes of the span that are claimed */
    uint64_t committed;     /* under lock: bytes of the span that may be written */
    int stop;               /* under lock: out of memory or over the limit: the whole call fails */
    bool only_put_off;      /* the second round: files that were put off and not mapped */
};

/* ---- Room ---- */

/* Makes the span writable up to @end; under lock. */
static int commit_to(struct work *work, uint64_t end)
{
    uint64_t wanted;
    int r;

    if (end <= work->committed)
        return 0;
    if (end > work->pack->span_bytes || !verso__round_up(end, COMMIT_BYTES, &wanted))
        return VERSO_E_TOO_LARGE;
    wanted = verso__min_u64(wanted, work->pack->span_bytes);
    r = verso__os_protect(work->pack->span + work->committed, (size_t)(wanted - work->committed),
                          VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE);
    if (r == 0)
        work->committed = wanted;
    return r;
}

/* A slot for @bytes and a NUL. */
static int claim(struct work *work, uint64_t bytes, unsigned char **out_data)
{
    uint64_t end;
    int r;

    if (!verso__add_u64(bytes, 1, &end) || !verso__round_up(end, SLOT_ALIGN_BYTES, &end))
        return VERSO_E_TOO_LARGE;
    pthread_mutex_lock(&work->lock);
    if (bytes > work->options->read_bytes_max - work->claimed_bytes || !verso__add_u64(work->cursor, end, &end)) {
        r = VERSO_E_TOO_LARGE;
    } else {
        r = commit_to(work, end);
        if (r == 0) {
            *out_data = work->pack->span + work->cursor;
            work->cursor = end;
            work->claimed_bytes += bytes;
        }
    }
    if (r < 0 && work->stop == 0)
        work->stop = r;
    pthread_mutex_unlock(&work->lock);
    return r;
}

/* ---- Reading ---- */

/* A file whose size says nothing (0 in /proc): read to its end first, then given a slot. */
static int read_stream(struct work *work, int fd, struct slot *slot)
{
    uint64_t room = STREAM_BYTES_FIRST, bytes = 0;
    unsigned char *text = malloc((size_t)room), *larger;
    size_t done = 0;
    int r = text ? 0 : -ENOMEM;

    while (r == 0) {
        r = verso__os_read(fd, text + bytes, (size_t)(room - bytes), &done);
        if (r < 0 || done == 0)
            break;
        bytes += done;
        if (bytes > work->options->read_bytes_max) {
            r = VERSO_E_TOO_LARGE;
        } else if (bytes == room) {
            larger = room > SIZE_MAX / 2 ? NULL : realloc(text, (size_t)room * 2);
            r = larger ? 0 : -ENOMEM;
            text = larger ? larger : text;
            room *= 2;
        }
    }
    if (r == 0)
        r = claim(work, bytes, &slot->data);
    if (r == 0) {
        memcpy(slot->data, text, (size_t)bytes); /* the span is zeros: the NUL stands there already */
        slot->bytes = bytes;
    }
    free(text);
    return r;
}

static int read_sized(struct work *work, int fd, uint64_t bytes, struct slot *slot)
{
    unsigned char *data;
    size_t done = 0;
    int r = claim(work, bytes, &data);

    if (r == 0)
        r = verso__os_read_at(fd, 0, data, (size_t)bytes, &done);
    if (r < 0)
        return r;
    slot->data = data;
    slot->bytes = done; /* less when the file was cut meanwhile, or promised more than it has (/sys) */
    return 0;
}

static int check_kind(const struct verso__os_file_info *info)
{
    if (info->kind == VERSO__OS_FILE_DIRECTORY)
        return -EISDIR;
    return info->kind == VERSO__OS_FILE_REGULAR ? 0 : -ENODEV;
}

static int open_file(const struct work *work, size_t index, int *out_fd, struct verso__os_file_info *out_info)
{
    unsigned how = VERSO__OS_OPEN_READ;
    int fd, r;

    if (work->options->flags & VERSO_PACK_NOFOLLOW)
        how |= VERSO__OS_OPEN_NOFOLLOW;
    r = verso__map_open_patiently(work->paths[index], how, 0, &fd);
    if (r < 0)
        return r;
    r = verso__os_file_info(fd, out_info);
    if (r == 0)
        r = check_kind(out_info);
    if (r < 0)
        verso__os_close(fd);
    else
        *out_fd = fd;
    return r;
}

static void take_in(struct work *work, size_t index)
{
    struct slot *slot = &work->pack->slots[index];
    struct verso__os_file_info info;
    int fd;

    slot->error = open_file(work, index, &fd, &info);
    if (slot->error < 0)
        return;
    if (!work->only_put_off && info.bytes >= work->options->map_above_bytes && info.bytes > 0) {
        slot->put_off = true;
        slot->bytes = info.bytes;
    } else if (info.bytes == 0) {
        slot->error = read_stream(work, fd, slot);
    } else {
        slot->put_off = false;
        slot->error = read_sized(work, fd, info.bytes, slot);
    }
    verso__os_close(fd);
}

/* The next file to take in; false when none is left or the work has failed as a whole. */
static bool next_file(struct work *work, size_t *out_index)
{
    bool found = false;

    pthread_mutex_lock(&work->lock);
    while (work->stop == 0 && work->next < work->pack->count && !found) {
        const struct slot *slot = &work->pack->slots[work->next];

        *out_index = work->next++;
        found = !work->only_put_off || (slot->put_off && !slot->mapped);
    }
    pthread_mutex_unlock(&work->lock);
    return found;
}

static void *take_in_all(void *arg)
{
    struct work *work = arg;
    size_t index;

    while (next_file(work, &index))
        take_in(work, index);
    return NULL;
}

/* Threads that can't be started are done without: the caller's own does all that is left. */
static void run_round(struct work *work)
{
    pthread_t threads[THREADS_MAX];
    unsigned started = 0, wanted = work->options->thread_count > 1 ? work->options->thread_count - 1 : 0;

    work->next = 0;
    while (started < wanted && pthread_create(&threads[started], NULL, take_in_all, work) == 0)
        started++;
    take_in_all(work);
    while (started > 0)
        pthread_join(threads[--started], NULL);
}

/* ---- Mapping the large ones ---- */

static int map_one(struct work *work, size_t index)
{
    struct verso_pack *pack = work->pack;
    struct mapping *mapping = &pack->mappings[pack->mapping_count];
    struct slot *slot = &pack->slots[index];
    struct verso__os_file_info info;
    uint64_t whole;
    int fd, r;

    r = open_file(work, index, &fd, &info);
    if (r < 0)
        return r;
    r = -ENODEV;
    if (info.bytes > 0 && verso__round_up(info.bytes, verso__os_page_bytes(), &whole) && whole <= SIZE_MAX)
        r = verso__os_map(NULL, (size_t)whole, VERSO__OS_ACCESS_READ, VERSO__OS_MAP_SHARED, fd, 0, &mapping->base);
    verso__os_close(fd);
    if (r < 0)
        return r;
    mapping->bytes = (size_t)whole;
    verso__guard_range_init(&mapping->range);
    mapping->range.start = (uintptr_t)mapping->base;
    mapping->range.end = mapping->range.start + mapping->bytes;
    mapping->range.access = VERSO__OS_ACCESS_READ;
    r = verso__guard_range_add(&mapping->range);
    if (r < 0) {
        (void)verso__os_unmap(mapping->base, mapping->bytes);
        return r;
    }
    pack->mapping_count++;
    slot->data = mapping->base;
    slot->bytes = info.bytes;
    slot->mapped = true;
    return 0;
}

struct large {
    uint64_t bytes;
    size_t index;
};

static int larger_first(const void *a, const void *b)
{
    const struct large *x = a, *y = b;

    return x->bytes != y->bytes ? (x->bytes < y->bytes ? 1 : -1) : (x->index > y->index) - (x->index < y->index);
}

/* Maps the largest of what was put off, as many as allowed. One that can't be mapped is left for reading. */
static int map_large(struct work *work)
{
    struct verso_pack *pack = work->pack;
    struct large *large;
    size_t count = 0;

    for (size_t i = 0; i < pack->count; i++)
        count += pack->slots[i].put_off;
    if (count == 0)
        return 0;
    large = calloc(count, sizeof(*large));
    pack->mappings = calloc(verso__min_u64(count, work->options->mapping_count_max), sizeof(*pack->mappings));
    if (!large || !pack->mappings) {
        free(large);
        return -ENOMEM;
    }
    count = 0;
    for (size_t i = 0; i < pack->count; i++)
        if (pack->slots[i].put_off)
            large[count++] = (struct large){ pack->slots[i].bytes, i };
    qsort(large, count, sizeof(*large), larger_first);
    for (size_t i = 0; i < count && pack->mapping_count < work->options->mapping_count_max; i++)
        (void)map_one(work, large[i].index); /* what fails is read in the next round, and tells its error there */
    free(large);
    return 0;
}

/* ---- Opening ---- */

static int options_read(const struct verso_pack_options *given, struct verso_pack_options *out_options)
{
    struct verso_pack_options options = VERSO_PACK_OPTIONS_INIT;

    if (given && !verso__options_take(given, &options, sizeof(options), sizeof(options)))
        return VERSO_E_OPTIONS;
    if (options.flags & ~(unsigned)FLAGS_KNOWN || options.thread_count > THREADS_MAX)
        return VERSO_E_OPTIONS;
    if (options.map_above_bytes == 0)
        options.map_above_bytes = (uint64_t)1 << 20;
    if (options.mapping_count_max == 0)
        options.mapping_count_max = 1000;
    if (options.read_bytes_max == 0)
        options.read_bytes_max = (uint64_t)1 << 30;
    *out_options = options;
    return 0;
}

/* Address space for the most that can be read in: every slot may waste up to a cache line and its NUL. */
static int reserve_span(struct work *work)
{
    size_t huge = verso__os_huge_page_bytes();
    uint64_t bytes, slack;
    void *span;
    int r;

    if (!verso__multiply_u64(work->pack->count, 2 * SLOT_ALIGN_BYTES, &slack) ||
        !verso__add_u64(work->options->read_bytes_max, slack, &bytes) ||
        !verso__round_up(bytes, verso__os_page_bytes(), &bytes) || bytes > SIZE_MAX / 2)
        return VERSO_E_OVERFLOW;
    r = verso__os_reserve((size_t)bytes, verso__max_u64(verso__os_page_bytes(), huge), &span);
    if (r < 0)
        return r;
    if (huge) /* a fault for each 2 MiB instead of each 4 KiB; where it is refused, small pages do */
        (void)verso__os_advise(span, (size_t)bytes, VERSO__OS_ADVICE_HUGE);
    work->pack->span = span;
    work->pack->span_bytes = (size_t)bytes;
    return 0;
}

/* Cuts the span to what is used and makes it read-only: from here on, a store into it is a fault where it happens. */
static int finish_span(struct work *work)
{
    struct verso_pack *pack = work->pack;
    uint64_t used;
    int r;

    if (!verso__round_up(work->cursor, verso__os_page_bytes(), &used))
        return VERSO_E_OVERFLOW;
    if (used < pack->span_bytes) {
        r = verso__os_unmap(pack->span + used, pack->span_bytes - (size_t)used);
        if (r < 0)
            return r;
        pack->span_bytes = (size_t)used;
    }
    if (used == 0) {
        pack->span = NULL;
        return 0;
    }
    (void)verso__os_name(pack->span, (size_t)used, "verso pack"); /* for people; works without */
    return verso__os_protect(pack->span, (size_t)used, VERSO__OS_ACCESS_READ);
}

static int make(struct work *work)
{
    int r = reserve_span(work);

    if (r < 0)
        return r;
    run_round(work);
    if (work->stop == 0)
        work->stop = map_large(work);
    work->only_put_off = true;
    if (work->stop == 0)
        run_round(work);
    return work->stop < 0 ? work->stop : finish_span(work);
}

/* With STRICT: the first file, in the caller's order, that failed. */
static int first_failure(const struct work *work, const char **out_path)
{
    for (size_t i = 0; i < work->pack->count; i++) {
        if (work->pack->slots[i].error < 0) {
            *out_path = work->paths[i];
            return work->pack->slots[i].error;
        }
    }
    return 0;
}

int verso_pack_open(const char *const *paths, size_t count, const struct verso_pack_options *given,
                    struct verso_pack **out_pack)
{
    struct verso_pack_options options;
    struct work work = { .paths = paths, .options = &options, .lock = PTHREAD_MUTEX_INITIALIZER };
    const char *path = NULL;
    int r;

    if (!out_pack || (!paths && count > 0))
        return verso__fail(-EINVAL, "arguments", NULL);
    for (size_t i = 0; i < count; i++)
        if (!paths[i])
            return verso__fail(-EINVAL, "arguments", NULL);
    r = options_read(given, &options);
    if (r < 0)
        return verso__fail(r, "options", NULL);
    work.pack = calloc(1, sizeof(*work.pack));
    if (work.pack)
        work.pack->slots = calloc(count ? count : 1, sizeof(struct slot));
    if (!work.pack || !work.pack->slots) {
        free(work.pack);
        return verso__fail(-ENOMEM, "allocate", NULL);
    }
    work.pack->count = count;
    r = make(&work);
    if (r == 0 && (options.flags & VERSO_PACK_STRICT))
        r = first_failure(&work, &path);
    if (r < 0) {
        verso_pack_close(work.pack);
        return verso__fail(r, "pack", path);
    }
    *out_pack = work.pack;
    return 0;
}

void verso_pack_close(struct verso_pack *pack)
{
    if (!pack)
        return;
    for (size_t i = 0; i < pack->mapping_count; i++) {
        verso__guard_range_drop(&pack->mappings[i].range);
        (void)verso__os_unmap(pack->mappings[i].base, pack->mappings[i].bytes);
    }
    if (pack->span)
        (void)verso__os_unmap(pack->span, pack->span_bytes);
    free(pack->mappings);
    free(pack->slots);
    free(pack);
}

/* ---- Asking ---- */

size_t verso_pack_count(const struct verso_pack *pack)
{
    return pack->count;
}

int verso_pack_entry(const struct verso_pack *pack, size_t index, struct verso_pack_entry *out_entry)
{
    const struct slot *slot;

    if (!pack || !out_entry)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (index >= pack->count)
        return verso__fail(VERSO_E_RANGE, "index", NULL);
    slot = &pack->slots[index];
    *out_entry = (struct verso_pack_entry){
        .data = slot->data,
        .bytes = slot->error < 0 ? 0 : (size_t)slot->bytes,
        .error = slot->error,
        .mapped = slot->mapped,
        .terminated = slot->error == 0 && !slot->mapped,
    };
    return 0;
}

int verso_pack_totals(const struct verso_pack *pack, struct verso_pack_totals *out_totals)
{
    struct verso_pack_totals totals = VERSO_PACK_TOTALS_INIT;

    if (!pack || !out_totals)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (out_totals->struct_bytes < sizeof(totals))
        return verso__fail(VERSO_E_OPTIONS, "totals", NULL);
    totals.struct_bytes = out_totals->struct_bytes;
    totals.span_bytes = pack->span_bytes;
    totals.mapping_count = pack->mapping_count;
    for (size_t i = 0; i < pack->mapping_count; i++)
        totals.span_bytes += pack->mappings[i].bytes;
    for (size_t i = 0; i < pack->count; i++) {
        const struct slot *slot = &pack->slots[i];

        totals.failed_count += slot->error < 0;
        if (slot->error == 0)
            *(slot->mapped ? &totals.mapped_bytes : &totals.read_bytes) += slot->bytes;
    }
    memcpy(out_totals, &totals, sizeof(totals));
    return 0;
}
