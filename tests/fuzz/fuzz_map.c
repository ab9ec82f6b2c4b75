/* SPDX-License-Identifier: MIT */
/*
 * map - any sequence of calls on one small file, held against a model.
 *
 * The input is read as a list of calls with their arguments: first an open with any flags, offset and length, then
 * stores, resizes, advice, syncs, cuts by somebody else, ... The model is an array: what the file must hold, and what
 * the map must show. It also knows which calls must fail; what the model allows must work, and show the right bytes.
 *
 *      input   | 1 byte: which call | its arguments, a few bytes each | ... until the bytes run out
 */
#include "must.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <verso/guard.h>
#include <verso/map.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define FILE_BYTES_MAX ((size_t)5 << 14)
#define CALLS_MAX 100
#define UNTOUCHED ((struct verso_map *)(uintptr_t)0x5a5a5a5a)
#define FLAGS_KNOWN ((unsigned)VERSO_MAP_DURABLE * 2 - 1)

struct input {
    const uint8_t *data;
    size_t left;
};

static struct {
    int fd;
    unsigned char file[FILE_BYTES_MAX]; /* what the file holds */
    size_t file_bytes;
    struct verso_map *map; /* NULL: none is open */
    struct verso_map_info info;
    unsigned char seen[FILE_BYTES_MAX]; /* what the map shows, where it is not the file's own pages */
    bool is_file;                       /* it shows the file's own pages */
    bool is_writable;
    bool was_protected; /* then it may be in pieces that can't move together */
    uint64_t offset;
    size_t bytes;
} model;

/* A failure must have left its record. */
static int recorded(int code)
{
    if (code < 0)
        must(verso_error_last()->code == code && *verso_error_last()->step);
    return code;
}

/* ---- Input ---- */

static uint64_t take(struct input *input, unsigned bytes)
{
    uint64_t value = 0;

    for (; bytes && input->left; bytes--, input->left--)
        value = value << 8 | *input->data++;
    return value;
}

/* A size or an offset: any in a small file, next to a page border, or out of this world. */
static uint64_t take_size(struct input *input)
{
    uint64_t page = verso_page_bytes();

    switch (take(input, 1) % 6) {
    case 0:
        return 0;
    case 1:
    case 2:
        return take(input, 2) % FILE_BYTES_MAX;
    case 3:
    case 4:
        return take(input, 1) % (FILE_BYTES_MAX / page) * page + take(input, 1) % 3;
    default:
        return UINT64_MAX - take(input, 2); /* never so small that a file could have that size */
    }
}

/* ---- What the map must show ---- */

static const unsigned char *shown(void)
{
    return model.is_file ? model.file + model.offset : model.seen;
}

static void check_content(void)
{
    must(verso_map_bytes(model.map) == model.bytes);
    must(verso_map_data(model.map) != NULL);
    must(memcmp(verso_map_data(model.map), shown(), model.bytes) == 0);
}

static void check_file(void)
{
    static unsigned char content[FILE_BYTES_MAX];

    must(lseek(model.fd, 0, SEEK_END) == (off_t)model.file_bytes);
    must(pread(model.fd, content, sizeof(content), 0) == (ssize_t)model.file_bytes);
    must(memcmp(content, model.file, model.file_bytes) == 0);
}

/* ---- Open ---- */

static bool are_options_wrong(const struct verso_map_options *options)
{
    unsigned flags = options->flags;

    return (flags & ~FLAGS_KNOWN) || ((flags & VERSO_MAP_EXEC) && (flags & (VERSO_MAP_WRITE | VERSO_MAP_PRIVATE))) ||
           ((flags & VERSO_MAP_WRITE) && (flags & VERSO_MAP_PRIVATE)) ||
           (flags & (VERSO_MAP_CREATE | VERSO_MAP_EXCLUSIVE | VERSO_MAP_NOFOLLOW)) || /* for names, not descriptors */
           ((flags & (VERSO_MAP_SPARSE | VERSO_MAP_DURABLE)) && !(flags & VERSO_MAP_WRITE)) ||
           (options->span_bytes && !(flags & VERSO_MAP_GROW)) || options->stability > VERSO_MAP_COPY ||
           (options->stability > VERSO_MAP_GUARDED && (flags & VERSO_MAP_WRITE)) || options->timeout_ms < 0;
}

/* Which failures this open may give; a call that has none of these reasons must work. */
static bool may_fail_with(const struct verso_map_options *options, int code)
{
    uint64_t offset = options->offset_bytes, length = options->length_bytes;
    bool overflows = length > INT64_MAX || offset > INT64_MAX - length;
    bool is_outside = !overflows && offset + length > model.file_bytes;
    size_t bytes = overflows || is_outside ? 0 : length ? (size_t)length : model.file_bytes - (size_t)offset;

    switch (code) {
    case VERSO_E_OPTIONS:
    case VERSO_E_WX:
        return are_options_wrong(options);
    case VERSO_E_OVERFLOW:
        return overflows || options->span_bytes > INT64_MAX / 2;
    case VERSO_E_RANGE:
        return is_outside;
    case VERSO_E_TOO_LARGE:
        /* What says it is empty may be made up as it is read; the limit is then looked at first. */
        return options->copy_bytes_max && options->copy_bytes_max < (model.file_bytes ? bytes : length);
    case VERSO_E_SPAN:
        return options->span_bytes && options->span_bytes < bytes;
    case VERSO_E_UNSUPPORTED:
    case -EOPNOTSUPP:
        return options->flags & VERSO_MAP_DURABLE;
    case -ENOMEM:
    case -EAGAIN:
    case -EPERM:
        return options->flags & (VERSO_MAP_LOCK | VERSO_MAP_GROW); /* limits of this machine */
    default:
        return false;
    }
}

static void note_opened(const struct verso_map_options *options)
{
    model.info = (struct verso_map_info)VERSO_MAP_INFO_INIT;
    must(verso_map_info(model.map, &model.info) == 0);
    must(model.info.flags == (model.info.flags & FLAGS_KNOWN));
    model.offset = options->offset_bytes;
    model.bytes = options->length_bytes ? (size_t)options->length_bytes : model.file_bytes - (size_t)model.offset;
    model.is_writable = options->flags & (VERSO_MAP_WRITE | VERSO_MAP_PRIVATE);
    model.was_protected = false;
    model.is_file = model.info.kind == VERSO_MAP_KIND_FILE && !(options->flags & VERSO_MAP_PRIVATE);
    must(model.info.offset_bytes == model.offset);
    must((model.bytes == 0) == (model.info.kind == VERSO_MAP_KIND_EMPTY));
    memcpy(model.seen, model.file + model.offset, model.bytes);
}

static void close_map(void)
{
    if (model.map)
        verso_map_close(model.map);
    model.map = NULL;
}

static void open_map(struct input *input)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map = UNTOUCHED;
    int r;

    close_map();
    options.flags = (unsigned)take(input, 2);
    if (take(input, 1) % 8)
        options.flags &= FLAGS_KNOWN & ~(unsigned)(VERSO_MAP_CREATE | VERSO_MAP_EXCLUSIVE | VERSO_MAP_NOFOLLOW);
    else
        options.flags |= (unsigned)take(input, 1) << 16;
    options.offset_bytes = take_size(input);
    options.length_bytes = take_size(input);
    options.stability = (unsigned)take(input, 1) % 7;
    if (take(input, 1) % 4 == 0) {
        options.span_bytes = take_size(input);
        options.copy_bytes_max = take_size(input);
        options.timeout_ms = (int)take(input, 1) - 1;
    }
    r = recorded(verso_map_open_fd(model.fd, &options, &map));
    if (r < 0) {
        must(map == UNTOUCHED);
        must(may_fail_with(&options, r));
        return;
    }
    must(!are_options_wrong(&options));
    model.map = map;
    note_opened(&options);
}

/* ---- Calls on an open map ---- */

static void store(struct input *input)
{
    unsigned char *data = verso_map_data(model.map);
    size_t at, count;

    if (!model.is_writable || model.bytes == 0)
        return;
    at = (size_t)take(input, 2) % model.bytes;
    count = 1 + (size_t)take(input, 1) % 64;
    for (; count && at < model.bytes; count--, at++) {
        data[at] = (unsigned char)take(input, 1);
        if (model.is_file)
            model.file[model.offset + at] = data[at];
        else
            model.seen[at] = data[at];
    }
}

static bool may_resize(uint64_t bytes)
{
    if (!(model.info.flags & VERSO_MAP_WRITE) || !(model.info.flags & VERSO_MAP_KEEP_FD) ||
        model.offset + model.bytes < model.file_bytes)
        return false;
    if (bytes > FILE_BYTES_MAX)
        return false;
    return !(model.info.flags & VERSO_MAP_GROW) || bytes <= model.info.span_bytes;
}

static void resize(struct input *input)
{
    uint64_t bytes = take_size(input);
    void *data = verso_map_data(model.map);
    int r;

    if (bytes <= FILE_BYTES_MAX && model.offset + bytes > FILE_BYTES_MAX)
        bytes = FILE_BYTES_MAX - model.offset;
    r = recorded(verso_map_resize(model.map, bytes));
    if (r == -ENOMEM || r == -EAGAIN)
        must(model.info.flags & VERSO_MAP_LOCK); /* a limit of this machine */
    else if (r == -EOPNOTSUPP)
        must(model.info.flags & VERSO_MAP_DURABLE); /* an empty map has not met that refusal before */
    else
        must((r == 0) == may_resize(bytes) || (r == VERSO_E_SPAN && model.was_protected));
    if (r == 0) {
        if (model.info.flags & VERSO_MAP_GROW)
            must(verso_map_data(model.map) == data);
        if (model.offset + bytes > model.file_bytes)
            memset(model.file + model.file_bytes, 0, model.offset + bytes - model.file_bytes);
        model.file_bytes = model.offset + bytes;
        model.bytes = bytes;
        model.is_file = bytes > 0;
    }
    check_file();
}

/* Advice on a PRIVATE map may drop stores: then each byte is the file's again, or still ours. */
static void accept_dropped_stores(void)
{
    const unsigned char *data = verso_map_data(model.map);

    for (size_t i = 0; i < model.bytes; i++) {
        must(data[i] == model.seen[i] || data[i] == model.file[model.offset + i]);
        model.seen[i] = data[i];
    }
}

static void advise(struct input *input)
{
    uint64_t offset = take_size(input), length = take_size(input);
    enum verso_map_advice advice = (enum verso_map_advice)(take(input, 1) % 13);
    bool is_inside = offset <= model.bytes && length <= model.bytes - offset;
    int r = recorded(verso_map_advise(model.map, offset, length, advice));

    if (advice < VERSO_MAP_ADVICE_NORMAL || advice > VERSO_MAP_ADVICE_NO_CORE)
        must(r == VERSO_E_OPTIONS);
    else if (!is_inside)
        must(r == VERSO_E_RANGE);
    else if (advice <= VERSO_MAP_ADVICE_WILLNEED)
        must(r == 0);
    if (model.info.flags & VERSO_MAP_PRIVATE)
        accept_dropped_stores();
}

static void populate_or_lock(struct input *input)
{
    uint64_t offset = take_size(input), length = take_size(input);
    bool is_inside = offset <= model.bytes && length <= model.bytes - offset;
    unsigned which = (unsigned)take(input, 1) % 4;
    int r;

    if (which < 2)
        r = recorded(verso_map_populate(model.map, offset, length, (int)which));
    else if (which == 2)
        r = recorded(verso_map_lock(model.map, offset, length, (int)take(input, 1) & 1));
    else
        r = recorded(verso_map_unlock(model.map, offset, length));
    if (!is_inside)
        must(r == VERSO_E_RANGE);
    else if (which == 1 && !(model.info.flags & (VERSO_MAP_WRITE | VERSO_MAP_PRIVATE)))
        must(r == VERSO_E_READ_ONLY);
    else if (which == 0 || which == 3)
        must(r == 0);
}

static void sync_range(struct input *input)
{
    uint64_t offset = take_size(input), length = take_size(input);
    unsigned level = (unsigned)take(input, 1) % 5;
    int r = recorded(verso_map_sync(model.map, offset, length, (enum verso_map_sync_level)level));

    if (level < VERSO_MAP_SYNC_START || level > VERSO_MAP_SYNC_FULL)
        must(r == VERSO_E_OPTIONS);
    else if (!(offset <= model.bytes && length <= model.bytes - offset))
        must(r == VERSO_E_RANGE);
    else if (model.info.flags & VERSO_MAP_WRITE)
        must(r == 0 || (r == VERSO_E_NO_DESCRIPTOR && !(model.info.flags & VERSO_MAP_KEEP_FD)));
    else
        must(r == VERSO_E_READ_ONLY || r == VERSO_E_NOT_MAPPED);
}

/* The whole map for reading only, and for all again. */
static void protect(struct input *input)
{
    bool may_write = model.info.flags & (VERSO_MAP_WRITE | VERSO_MAP_PRIVATE);
    enum verso_map_access wanted = take(input, 1) & 1 ? VERSO_MAP_ACCESS_WRITE : VERSO_MAP_ACCESS_READ;
    int r = recorded(verso_map_protect(model.map, 0, 0, wanted));

    must(r == (wanted == VERSO_MAP_ACCESS_WRITE && !may_write ? VERSO_E_READ_ONLY : 0));
    if (r == 0) {
        model.is_writable = wanted == VERSO_MAP_ACCESS_WRITE;
        model.was_protected = true;
    }
}

static void remap(struct input *input)
{
    uint64_t offset = take_size(input), length = take_size(input);
    bool overflows = length > INT64_MAX || offset > INT64_MAX - length;
    int r = recorded(verso_map_remap(model.map, offset, length));

    if (model.info.kind == VERSO_MAP_KIND_MEMORY || model.info.kind == VERSO_MAP_KIND_BUFFER) {
        must(r == VERSO_E_NOT_MAPPED);
    } else if (!(model.info.flags & VERSO_MAP_KEEP_FD)) {
        must(r == VERSO_E_NO_DESCRIPTOR);
    } else if (overflows) {
        must(r == VERSO_E_OVERFLOW);
    } else if (offset + length > model.file_bytes) {
        must(r == VERSO_E_RANGE);
    } else if (r == 0) {
        model.offset = offset;
        model.bytes = length ? (size_t)length : model.file_bytes - (size_t)offset;
        model.is_writable = model.info.flags & (VERSO_MAP_WRITE | VERSO_MAP_PRIVATE);
        model.is_file = model.bytes && !(model.info.flags & VERSO_MAP_PRIVATE);
        memcpy(model.seen, model.file + model.offset, model.bytes);
    } else {
        must((model.info.flags & VERSO_MAP_LOCK) && (r == -ENOMEM || r == -EAGAIN));
    }
}

/*
 * Somebody else cuts the file and makes it long again. While it is short, a guarded copy stops at the last page that is
 * there; the last byte before that page's end is zero, as the kernel has it.
 */
static void cut(struct input *input)
{
    static unsigned char copy[FILE_BYTES_MAX];
    size_t page = verso_page_bytes(), old_bytes = model.file_bytes, done, alive;
    size_t bytes = old_bytes ? (size_t)take(input, 2) % old_bytes : 0;

    if (!model.is_file)
        return;
    must(ftruncate(model.fd, (off_t)bytes) == 0);
    memset(model.file + bytes, 0, old_bytes - bytes);
    alive = (bytes + page - 1) / page * page;
    alive = alive > model.offset ? alive - (size_t)model.offset : 0;
    alive = alive < model.bytes ? alive : model.bytes;
    done = verso_guard_copy(copy, verso_map_data(model.map), model.bytes);
    must(done == alive || (model.info.flags & VERSO_MAP_SUBSTITUTE && done >= alive));
    must(memcmp(copy, model.file + model.offset, done) == 0);
    if (alive < model.bytes || (bytes < model.offset + model.bytes && model.info.flags & VERSO_MAP_KEEP_FD))
        must(recorded(verso_map_check(model.map)) < 0);
    must(ftruncate(model.fd, (off_t)old_bytes) == 0);
    if (model.info.flags & VERSO_MAP_KEEP_FD)
        must(recorded(verso_map_refresh(model.map)) == 0);
}

static void (*const calls[])(struct input *input) = {
    open_map, open_map, store, store, resize, resize, advise, populate_or_lock, sync_range, protect, remap, cut,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct input input = { data, bytes };

    if (verso_guard_state() != VERSO_GUARD_ACTIVE)
        must(verso_guard_install() == 0);
    memset(&model, 0, sizeof(model));
    model.fd = memfd_create("fuzz", MFD_CLOEXEC);
    must(model.fd >= 0);
    model.file_bytes = (size_t)take(&input, 2) % FILE_BYTES_MAX;
    for (size_t i = 0; i < model.file_bytes; i++)
        model.file[i] = (unsigned char)(i * 167 >> 4);
    must(pwrite(model.fd, model.file, model.file_bytes, 0) == (ssize_t)model.file_bytes);
    open_map(&input);
    for (unsigned i = 0; i < CALLS_MAX && input.left; i++) {
        size_t which = (size_t)take(&input, 1) % (sizeof(calls) / sizeof(calls[0]));

        if (!model.map && calls[which] != open_map)
            continue;
        calls[which](&input);
        if (model.map)
            check_content();
    }
    close_map();
    check_file();
    must(close(model.fd) == 0);
    return 0;
}
