/* SPDX-License-Identifier: MIT */
/*
 * portable - the primitives without a line of assembly.
 *
 * The work is cut into pieces of which none crosses a page border, on either side. A page can be had or it can't, so a
 * fault always strikes a piece's first byte (which is touched by itself, since libraries like to begin at the end), and
 * the pieces done before it are the exact count; they are counted in memory that survives the jump out. Only when a
 * page goes away in the very moment that its piece is copied may some bytes of that piece have been stored without
 * being counted.
 */
#include "base/sums.h"
#include "guard/guard.h"
#include "guard/primitives.h"
#include "os/os.h"

#include <string.h>

struct work {
    unsigned char *target;
    const unsigned char *source, *other; /* to read; compare reads both */
    size_t bytes;
    unsigned char value;
    volatile size_t done;
    volatile size_t count;
    volatile size_t found;
};

/* The piece from work->done on: up to the next border of either range. */
static size_t piece_bytes(const struct work *work, const void *a, const void *b)
{
    size_t page = verso__os_page_bytes();
    size_t done = work->done;
    size_t to_border_a = page - (((uintptr_t)a + done) & (page - 1));
    size_t to_border_b = page - (((uintptr_t)b + done) & (page - 1));

    return (size_t)verso__min_u64(verso__min_u64(to_border_a, to_border_b), work->bytes - done);
}

static void touch(const unsigned char *data)
{
    (void)*(const volatile unsigned char *)data;
}

static void put(unsigned char *target, unsigned char value)
{
    *(volatile unsigned char *)target = value;
}

/* Under guard where there is one; without it a fault kills, as in plain code. */
static bool run(verso_guard_function *function, struct work *work)
{
    int answer = verso__guard_run(NULL, function, work, NULL);

    return (answer == VERSO_E_GUARD ? function(work) : answer) == VERSO_E_TORN;
}

static int copy(void *arg)
{
    struct work *work = arg;

    while (work->done < work->bytes) {
        size_t piece = piece_bytes(work, work->target, work->source);

        put(work->target + work->done, work->source[work->done]);
        memcpy(work->target + work->done, work->source + work->done, piece);
        work->done += piece;
    }
    return 0;
}

size_t verso__guard_portable_copy(void *target, const void *source, size_t bytes)
{
    struct work work = { .target = target, .source = source, .bytes = bytes };

    (void)run(copy, &work);
    return work.done;
}

static int fill(void *arg)
{
    struct work *work = arg;

    while (work->done < work->bytes) {
        size_t piece = piece_bytes(work, work->target, work->target);

        put(work->target + work->done, work->value);
        memset(work->target + work->done, work->value, piece);
        work->done += piece;
    }
    return 0;
}

size_t verso__guard_portable_fill(void *target, unsigned char value, size_t bytes)
{
    struct work work = { .target = target, .value = value, .bytes = bytes };

    (void)run(fill, &work);
    return work.done;
}

static struct verso_guard_scan scan(verso_guard_function *function, struct work *work)
{
    struct verso_guard_scan result = { 0 };

    work->found = SIZE_MAX;
    result.torn = run(function, work);
    result.done_bytes = work->done;
    result.found_bytes = work->found;
    result.count = work->count;
    return result;
}

static int find(void *arg)
{
    struct work *work = arg;

    while (work->done < work->bytes) {
        size_t piece = piece_bytes(work, work->source, work->source);
        const unsigned char *match;

        touch(work->source + work->done);
        match = memchr(work->source + work->done, work->value, piece);
        if (match) {
            work->found = (size_t)(match - work->source);
            work->done = work->found + 1;
            return 0;
        }
        work->done += piece;
    }
    return 0;
}

struct verso_guard_scan verso__guard_portable_find(const void *data, unsigned char value, size_t bytes)
{
    struct work work = { .source = data, .value = value, .bytes = bytes };

    return scan(find, &work);
}

static int count(void *arg)
{
    struct work *work = arg;

    while (work->done < work->bytes) {
        size_t piece = piece_bytes(work, work->source, work->source);
        const unsigned char *data = work->source + work->done;
        size_t matches = 0;

        for (size_t i = 0; i < piece; i++)
            matches += data[i] == work->value;
        work->count += matches;
        work->done += piece;
    }
    return 0;
}

struct verso_guard_scan verso__guard_portable_count(const void *data, unsigned char value, size_t bytes)
{
    struct work work = { .source = data, .value = value, .bytes = bytes };

    return scan(count, &work);
}

static int compare(void *arg)
{
    struct work *work = arg;

    while (work->done < work->bytes) {
        size_t piece = piece_bytes(work, work->source, work->other);
        const unsigned char *a = work->source + work->done, *b = work->other + work->done;
        size_t equal = 0;

        while (equal < piece && a[equal] == b[equal])
            equal++;
        work->done += equal;
        if (equal < piece) {
            work->found = work->done;
            work->done = work->found + 1;
            return 0;
        }
    }
    return 0;
}

struct verso_guard_scan verso__guard_portable_compare(const void *a, const void *b, size_t bytes)
{
    struct work work = { .source = a, .other = b, .bytes = bytes };

    return scan(compare, &work);
}
