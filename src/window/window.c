/* SPDX-License-Identifier: MIT */
/*
 * window - a file of any size through a mapping of a fixed size.
 *
 *      file     |..........[=== view ===]......................|........
 *      mapping         |-------- mapped_bytes, at most the budget ------|
 *                      ^ mapped_offset                        ^ file's end; the mapping may reach past it
 *
 * The mapping is laid so that views near the last one fall inside it: ahead of a view that moved forward, behind one
 * that moved back. It may reach past the end of the file, where nothing is touched; when the file grows, it is already
 * there.
 *
 * What the window itself brought into the page cache it can drop again (VERSO_WINDOW_DROP). To know, it looks which
 * pages are in *before* they are read, and as far ahead as the kernel might read: a page that readahead brought in was
 * not there before us.
 */
#include "base/fail.h"
#include "base/options.h"
#include "base/sums.h"
#include "guard/guard.h"
#include "map/map.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <verso/window.h>

#if UINTPTR_MAX > UINT32_MAX
#define BUDGET_BYTES_DEFAULT ((uint64_t)64 << 20)
#else
#define BUDGET_BYTES_DEFAULT ((uint64_t)16 << 20)
#endif

/* How much next() hands out at once: populated in one call, long enough for the disk, short enough for the cache (8 MiB
 * was the best of 2, 8 and 64 MiB, cold and warm). */
#define STRETCH_BYTES ((uint64_t)8 << 20)

/* The farthest the kernel is expected to read ahead of what was asked for. */
#define AHEAD_BYTES ((uint64_t)32 << 20)

#define FLAGS_KNOWN \
    (VERSO_WINDOW_WRITE | VERSO_WINDOW_CREATE | VERSO_WINDOW_EXTEND | VERSO_WINDOW_DROP | VERSO_WINDOW_NOFOLLOW)

/* Which pages of a stretch of the file were cached before this window read there: one byte a page, bit 0. */
struct before {
    unsigned char *pages;
    uint64_t offset;
    uint64_t bytes; /* 0: nothing known */
};

struct verso_window {
    int fd;
    unsigned flags;
    uint64_t budget_bytes; /* whole pages */
    uint64_t file_bytes;   /* as last seen */
    uint64_t position;     /* where next() begins */
    unsigned char *base;   /* NULL: nothing mapped yet */
    uint64_t mapped_offset;
    size_t mapped_bytes;
    uint64_t ready_start; /* with WRITE: the last stretch that is known to have disk space; [start, end) */
    uint64_t ready_end;
    int poison;
    bool honest; /* the kernel tells us truly what is cached */
    struct before before;
    uint64_t own_start; /* the last run that was dropped, as far as it hangs together: [start, end) */
    uint64_t own_end;
    struct verso__guard_range range;
    char *path; /* "" for descriptors */
};

static int fail(const struct verso_window *window, int code, const char *step)
{
    return verso__fail(code, step, window->path);
}

/* ---- Opening ---- */

static int options_read(const struct verso_window_options *given, struct verso_window_options *out_options)
{
    struct verso_window_options options = VERSO_WINDOW_OPTIONS_INIT;

    if (given && !verso__options_take(given, &options, sizeof(options), sizeof(options)))
        return VERSO_E_OPTIONS;
    if (options.flags & ~(unsigned)FLAGS_KNOWN)
        return VERSO_E_OPTIONS;
    if ((options.flags & (VERSO_WINDOW_CREATE | VERSO_WINDOW_EXTEND)) && !(options.flags & VERSO_WINDOW_WRITE))
        return VERSO_E_OPTIONS;
    if (options.budget_bytes == 0)
        options.budget_bytes = BUDGET_BYTES_DEFAULT;
    options.budget_bytes = verso__round_down(options.budget_bytes, verso__os_page_bytes());
    if (options.budget_bytes < 2 * verso__os_page_bytes() || options.budget_bytes > SIZE_MAX / 4)
        return VERSO_E_OPTIONS;
    *out_options = options;
    return 0;
}

/* A size of 0 is what /proc says of files that have content: those can be read, but not mapped. */
static int check_empty(int fd)
{
    char byte;
    size_t done;
    int r = verso__os_read_at(fd, 0, &byte, 1, &done);

    return r == 0 && done > 0 ? VERSO_E_NOT_MAPPED : 0;
}

static int check_kind(int fd, uint64_t *out_bytes)
{
    struct verso__os_file_info info;
    int r = verso__os_file_info(fd, &info);

    if (r < 0)
        return r;
    if (info.kind == VERSO__OS_FILE_DIRECTORY)
        return -EISDIR;
    if (info.kind != VERSO__OS_FILE_REGULAR && info.kind != VERSO__OS_FILE_BLOCK)
        return VERSO_E_NOT_MAPPED;
    *out_bytes = info.bytes;
    return info.bytes == 0 ? check_empty(fd) : 0;
}

/* Takes @fd over, also on failure. */
static int window_make(int fd, const char *path, const struct verso_window_options *options,
                       struct verso_window **out_window)
{
    struct verso_window *window = calloc(1, sizeof(*window));
    int r;

    if (!window || !(window->path = strdup(path))) {
        free(window);
        verso__os_close(fd);
        return verso__fail(-ENOMEM, "allocate", path);
    }
    window->fd = fd;
    window->flags = options->flags;
    window->budget_bytes = options->budget_bytes;
    verso__guard_range_init(&window->range);
    r = check_kind(fd, &window->file_bytes);
    if (r < 0) {
        (void)fail(window, r, "stat");
        verso_window_close(window);
        return r;
    }
    window->honest = options->flags & VERSO_WINDOW_DROP && verso__os_residency_is_honest(fd);
    *out_window = window;
    return 0;
}

int verso_window_open(const char *path, const struct verso_window_options *given, struct verso_window **out_window)
{
    struct verso_window_options options;
    unsigned how = VERSO__OS_OPEN_READ;
    int fd, r;

    if (!path || !out_window)
        return verso__fail(-EINVAL, "arguments", path);
    r = options_read(given, &options);
    if (r < 0)
        return verso__fail(r, "options", path);
    if (options.flags & VERSO_WINDOW_WRITE)
        how |= VERSO__OS_OPEN_WRITE;
    if (options.flags & VERSO_WINDOW_CREATE)
        how |= VERSO__OS_OPEN_CREATE;
    if (options.flags & VERSO_WINDOW_NOFOLLOW)
        how |= VERSO__OS_OPEN_NOFOLLOW;
    r = verso__map_open_patiently(path, how, 0600, &fd);
    if (r < 0)
        return verso__fail(r, "open", path);
    return window_make(fd, path, &options, out_window);
}

/* Whether @fd was opened for what the window wants to do. */
static int check_mode(int fd, unsigned flags)
{
    unsigned mode;
    int r = verso__os_open_mode(fd, &mode);

    if (r < 0)
        return r;
    if (!(mode & VERSO__OS_OPEN_READ) || ((flags & VERSO_WINDOW_WRITE) && !(mode & VERSO__OS_OPEN_WRITE)))
        return -EBADF;
    return 0;
}

int verso_window_open_fd(int fd, const struct verso_window_options *given, struct verso_window **out_window)
{
    struct verso_window_options options;
    unsigned how = VERSO__OS_OPEN_READ;
    uint64_t bytes;
    int own, r;

    if (!out_window)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = options_read(given, &options);
    if (r < 0)
        return verso__fail(r, "options", NULL);
    r = check_mode(fd, options.flags);
    if (r < 0)
        return verso__fail(r, "descriptor", NULL);
    r = check_kind(fd, &bytes); /* before it is opened again: that would wait for a FIFO's other end */
    if (r < 0)
        return verso__fail(r, "stat", NULL);
    if (options.flags & VERSO_WINDOW_WRITE)
        how |= VERSO__OS_OPEN_WRITE;
    /* A position of our own, for looking for holes; a file that can't be opened again is seen through the caller's. */
    r = verso__os_reopen(fd, how, &own);
    if (r < 0)
        r = verso__os_duplicate(fd, &own);
    if (r < 0)
        return verso__fail(r, "dup", NULL);
    return window_make(own, "", &options, out_window);
}

/* ---- Giving back ---- */

/*
 * Drops [start, end), all of which we brought in. A large folio leaves only when a call covers all of it, and one may
 * have begun in the place before this one: so what was ours there is named again, as far back as a folio can reach.
 */
static void drop_run(struct verso_window *window, uint64_t start, uint64_t end)
{
    uint64_t back = verso__max_u64(verso__os_huge_page_bytes(), verso__os_page_bytes());
    bool goes_on = start == window->own_end && end > start;
    uint64_t from = goes_on ? verso__max_u64(window->own_start, start - verso__min_u64(start, back)) : start;

    (void)verso__os_cache_drop(window->fd, from, end - from); /* advice: nothing is lost when it is not taken */
    window->own_start = goes_on ? window->own_start : start;
    window->own_end = end;
}

/* Drops from the page cache what lies in the mapping, was not there before us, and is clean. */
static void drop_own(struct verso_window *window)
{
    const struct before *before = &window->before;
    uint64_t page = verso__os_page_bytes();
    uint64_t end = verso__min_u64(window->mapped_offset + window->mapped_bytes, before->offset + before->bytes);
    uint64_t start = verso__max_u64(window->mapped_offset, before->offset);

    while (start < end) {
        uint64_t run = start;

        while (run < end && !(before->pages[(run - before->offset) / page] & 1))
            run += page;
        if (run > start)
            drop_run(window, start, run);
        start = run + page;
    }
}

/* Lets go of the mapping. Dirty pages start on their way to the disk, so that a long write doesn't fill memory with
 * them. */
static void give_back(struct verso_window *window)
{
    if (!window->base)
        return;
    verso__guard_range_drop(&window->range);
    (void)verso__os_unmap(window->base, window->mapped_bytes);
    if (window->flags & VERSO_WINDOW_WRITE)
        (void)verso__os_sync_start(window->fd, window->mapped_offset, window->mapped_bytes); /* errors come at sync */
    if (window->before.bytes)
        drop_own(window);
    window->base = NULL;
}

void verso_window_close(struct verso_window *window)
{
    if (!window)
        return;
    give_back(window);
    verso__os_close(window->fd);
    free(window->before.pages);
    free(window->path);
    free(window);
}

/* ---- Moving ---- */

static int look_at_size(struct verso_window *window)
{
    struct verso__os_file_info info;
    int r = verso__os_file_info(window->fd, &info);

    if (r == 0)
        window->file_bytes = info.bytes;
    return r;
}

/* Looks which pages of [offset, offset + bytes) are cached, through a mapping that is never touched. */
static int look_cached(const struct verso_window *window, uint64_t offset, uint64_t bytes, unsigned char *out_pages)
{
    void *look;
    int r = verso__os_map(NULL, (size_t)bytes, VERSO__OS_ACCESS_READ, VERSO__OS_MAP_SHARED, window->fd, offset, &look);

    if (r < 0)
        return r;
    r = verso__os_resident(look, (size_t)bytes, out_pages);
    (void)verso__os_unmap(look, (size_t)bytes);
    return r;
}

/*
 * Before reading in [offset, ...): which of its pages, and of those that readahead may bring, are there already. What
 * an earlier look said stands: since then, we may have brought the page in ourselves. When it can't be known, nothing
 * will be dropped. The answer is the caller's, to become window->before once the old place has been given back.
 */
static struct before look_before(const struct verso_window *window, uint64_t offset, uint64_t bytes)
{
    uint64_t page = verso__os_page_bytes();
    const struct before *was = &window->before;
    struct before now = { NULL, offset, bytes + AHEAD_BYTES };
    uint64_t known_end = verso__min_u64(was->offset + was->bytes, now.offset + now.bytes);

    if (window->honest)
        now.pages = malloc((size_t)(now.bytes / page));
    if (!now.pages || look_cached(window, now.offset, now.bytes, now.pages) < 0) {
        free(now.pages);
        return (struct before){ NULL, offset, 0 };
    }
    for (uint64_t at = verso__max_u64(was->offset, now.offset); at < known_end; at += page)
        now.pages[(at - now.offset) / page] = was->pages[(at - was->offset) / page];
    return now;
}

/* Where the mapping should begin so that the view lies inside and its neighbours in the direction of travel do, too. */
static uint64_t choose_start(const struct verso_window *window, uint64_t offset, uint64_t length)
{
    uint64_t page = verso__os_page_bytes();
    uint64_t start = verso__round_down(offset, page), end;

    if (window->base && offset < window->mapped_offset && verso__round_up(offset + length, page, &end))
        start = end > window->budget_bytes ? verso__min_u64(start, end - window->budget_bytes) : 0;
    return start;
}

/* Maps a new place that holds [offset, offset + length), then lets go of the old one. */
static int move_to(struct verso_window *window, uint64_t offset, uint64_t length)
{
    unsigned access = VERSO__OS_ACCESS_READ | (window->flags & VERSO_WINDOW_WRITE ? VERSO__OS_ACCESS_WRITE : 0U);
    uint64_t start = choose_start(window, offset, length);
    size_t bytes = (size_t)window->budget_bytes;
    struct before before;
    void *base;
    int r;

    if (start > (uint64_t)INT64_MAX - bytes)
        bytes = (size_t)verso__round_down((uint64_t)INT64_MAX - start, verso__os_page_bytes());
    before = look_before(window, start, bytes);
    r = verso__os_map(NULL, bytes, access, VERSO__OS_MAP_SHARED, window->fd, start, &base);
    if (r < 0) {
        free(before.pages);
        return fail(window, r, "mmap");
    }
    give_back(window);
    free(window->before.pages);
    window->before = before;
    window->base = base;
    window->mapped_offset = start;
    window->mapped_bytes = bytes;
    window->range.start = (uintptr_t)base;
    window->range.end = (uintptr_t)base + bytes;
    window->range.file_offset_bytes = start;
    window->range.access = access;
    r = verso__guard_range_add(&window->range);
    if (r < 0) {
        (void)verso__os_unmap(base, bytes);
        window->base = NULL;
        return fail(window, r, "guard");
    }
    return 0;
}

static bool holds(const struct verso_window *window, uint64_t offset, uint64_t length)
{
    return window->base && offset >= window->mapped_offset &&
           verso__within(offset - window->mapped_offset, length, window->mapped_bytes);
}

/* Looks again when the file, as known, ends before @end; the answer may have changed. */
static int reaches(struct verso_window *window, uint64_t end)
{
    int r;

    if (end <= window->file_bytes)
        return 0;
    r = look_at_size(window);
    if (r < 0)
        return fail(window, r, "stat");
    if (end > window->file_bytes && !(window->flags & VERSO_WINDOW_EXTEND))
        return verso__fail_at(VERSO_E_RANGE, "view", window->path, window->file_bytes);
    return 0;
}

/*
 * Before a view may be stored to: disk space under all of it, growing the file when it ends before. A store into a hole
 * of a full disk would be a SIGBUS. Only the view is given space, so a sparse file stays sparse where nobody goes.
 */
static int make_ready(struct verso_window *window, uint64_t start, uint64_t end)
{
    int r;

    if (!(window->flags & VERSO_WINDOW_WRITE) || start == end)
        return 0;
    if (start >= window->ready_start && end <= window->ready_end)
        return 0;
    r = verso__map_allocate(window->fd, start, end - start, window->file_bytes);
    if (r < 0) {
        (void)verso__map_ungrow(window->fd, window->file_bytes, end); /* what failed is told; this is for tidiness */
        return verso__fail_at(r, "allocate", window->path, start);
    }
    window->file_bytes = verso__max_u64(window->file_bytes, end);
    if (start > window->ready_end || end < window->ready_start) {
        window->ready_start = start;
        window->ready_end = end;
    } else {
        window->ready_start = verso__min_u64(window->ready_start, start);
        window->ready_end = verso__max_u64(window->ready_end, end);
    }
    return 0;
}

int verso_window_view(struct verso_window *window, uint64_t offset_bytes, size_t length_bytes, void **out_data)
{
    uint64_t end;
    int r;

    if (!window || !out_data)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!verso__add_u64(offset_bytes, length_bytes, &end) || end > (uint64_t)INT64_MAX)
        return fail(window, VERSO_E_OVERFLOW, "view");
    if (length_bytes > verso_window_view_bytes_max(window))
        return fail(window, VERSO_E_SPAN, "view");
    r = reaches(window, end);
    if (r == 0)
        r = make_ready(window, offset_bytes, end);
    if (r == 0 && !holds(window, offset_bytes, length_bytes))
        r = move_to(window, offset_bytes, length_bytes);
    if (r < 0)
        return r;
    window->position = end;
    *out_data = window->base + (offset_bytes - window->mapped_offset);
    return 0;
}

size_t verso_window_view_bytes_max(const struct verso_window *window)
{
    return (size_t)window->budget_bytes - verso__os_page_bytes();
}

uint64_t verso_window_file_bytes(const struct verso_window *window)
{
    return window->file_bytes;
}

/* ---- From start to end ---- */

/*
 * Brings a stretch in with one call: many faults less, and what can't be had is an error instead of a signal. Kernels
 * without the call (before 5.14) fault page by page as it is touched.
 */
static int bring_in(struct verso_window *window, void *data, uint64_t offset, size_t bytes)
{
    uint64_t page = verso__os_page_bytes();
    size_t lead = (uintptr_t)data % page;
    uint64_t whole;
    int r;

    if (!verso__round_up(bytes + lead, page, &whole))
        return fail(window, VERSO_E_OVERFLOW, "next");
    r = verso__os_populate((unsigned char *)data - lead, (size_t)whole, false);
    if (r == -EFAULT || r == -EIO || r == -EHWPOISON)
        return verso__fail_at(VERSO_E_TORN, "populate", window->path, offset);
    return r < 0 && r != -EINVAL ? fail(window, r, "populate") : 0;
}

int verso_window_next(struct verso_window *window, void **out_data, size_t *out_bytes)
{
    static unsigned char nothing;
    uint64_t offset, left, bytes;
    void *data;
    int r;

    if (!window || !out_data || !out_bytes)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = look_at_size(window);
    if (r < 0)
        return fail(window, r, "stat");
    offset = window->position;
    left = window->file_bytes > offset ? window->file_bytes - offset : 0;
    bytes = verso__min_u64(left, STRETCH_BYTES - offset % STRETCH_BYTES);
    bytes = verso__min_u64(bytes, verso_window_view_bytes_max(window));
    if (holds(window, offset, 1)) /* what is left of the mapping, rather than moving it for the rest */
        bytes = verso__min_u64(bytes, window->mapped_offset + window->mapped_bytes - offset);
    if (bytes == 0) {
        *out_data = &nothing;
        *out_bytes = 0;
        return 0;
    }
    r = verso_window_view(window, offset, (size_t)bytes, &data);
    if (r == 0) {
        r = bring_in(window, data, offset, (size_t)bytes);
        if (r < 0)
            window->position = offset;
    }
    if (r < 0)
        return r;
    *out_data = data;
    *out_bytes = (size_t)bytes;
    return 0;
}

void verso_window_seek(struct verso_window *window, uint64_t offset_bytes)
{
    window->position = offset_bytes;
}

/* ---- Durability ---- */

int verso_window_sync(struct verso_window *window)
{
    struct verso__failure failure = { VERSO_E_POISONED, 0, "sync", NULL, VERSO_OFFSET_NONE, NULL };
    int r;

    if (!window)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!(window->flags & VERSO_WINDOW_WRITE))
        return fail(window, VERSO_E_READ_ONLY, "sync");
    if (window->poison == 0) {
        /* All mappings of the window shared this descriptor's open file, so their write-back errors are reported here.
         */
        r = verso__os_sync_data(window->fd);
        if (r == 0)
            return 0;
        if (r != -EIO && r != -ENOSPC && r != -EDQUOT)
            return fail(window, r, "fdatasync");
        window->poison = r;
        return fail(window, r, "fdatasync");
    }
    failure.cause = window->poison;
    failure.path = window->path;
    return verso__fail_with(&failure);
}
