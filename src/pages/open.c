/* SPDX-License-Identifier: MIT */
/* open - a span of addresses, and its end. */
#include "pages/pages.h"

#include "base/sums.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Room for the span and its guards, from which the span begins at a multiple of @align. */
static int reserve_anywhere(struct verso_pages *pages, size_t guard, size_t inner)
{
    size_t align = pages->align_bytes, skip = guard ? align - guard : 0;
    unsigned char *room;
    void *address;
    int r;

    if (inner > PTRDIFF_MAX - align - guard)
        return VERSO_E_OVERFLOW;
    r = verso__os_reserve(skip + guard + inner + guard, align, &address);
    if (r < 0)
        return r;
    room = address;
    if (skip)
        (void)verso__os_unmap(room, skip);
    pages->outer = room + skip;
    return 0;
}

static int reserve_at(struct verso_pages *pages, unsigned char *wanted, size_t guard, size_t inner)
{
    void *address;
    int r;

    if ((uintptr_t)wanted < guard || inner > PTRDIFF_MAX - 2 * guard)
        return VERSO_E_OVERFLOW;
    r = verso__os_map(wanted - guard, inner + 2 * guard, VERSO__OS_ACCESS_NONE, VERSO__OS_MAP_AT, -1, 0, &address);
    if (r == 0)
        pages->outer = address;
    return r;
}

static int reserve(struct verso_pages *pages, const struct verso_pages_options *options, size_t inner)
{
    size_t guard = pages->flags & VERSO_PAGES_GUARD_ENDS ? verso__os_page_bytes() : 0;
    int r;

    if (options->address)
        r = reserve_at(pages, options->address, guard, inner);
    else
        r = reserve_anywhere(pages, guard, inner);
    if (r < 0)
        return r;
    pages->outer_bytes = inner + 2 * guard;
    pages->data = pages->outer + guard;
    atomic_store_explicit(&pages->bytes, inner, memory_order_relaxed);
    pages->is_named = verso__os_name(pages->outer, pages->outer_bytes, pages->name) == 0; /* before 5.17: none */
    return 0;
}

static void set_up(struct verso_pages *pages, const struct verso_pages_options *options)
{
    const char *name = options->name ? options->name : "verso";

    memcpy(pages->name, name, strlen(name) + 1); /* its length was checked */
    pages->kind = options->kind;
    pages->flags = options->flags;
    pages->nodes = options->nodes;
    pages->page_bytes = verso__os_page_bytes();
    pages->align_bytes = options->align_bytes > pages->page_bytes ? options->align_bytes : pages->page_bytes;
    pages->size = VERSO_PAGES_SIZE_BASE;
    pages->size_why = "";
    pages->nodes_why = "";
    atomic_init(&pages->guard_method, VERSO_PAGES_GUARD_MARKERS);
    atomic_init(&pages->guard_why, "");
}

static const char *refused(int error, uint64_t bytes)
{
    switch (error) {
    case -ENOMEM:
        return verso__pages_why_no_memory(bytes);
    case -EEXIST:
        return "something stands in that span already: NULL lets the kernel choose";
    case -EPERM:
        return "no memory may stand that low: see vm.mmap_min_addr";
    default:
        return NULL;
    }
}

static int open_span(struct verso_pages *pages, const struct verso_pages_options *options, uint64_t bytes)
{
    const char *step = "mmap";
    uint64_t inner;
    int r;

    if (!verso__round_up(bytes, pages->page_bytes, &inner) || inner > PTRDIFF_MAX)
        return verso__pages_fail(pages, VERSO_E_OVERFLOW, "range", "no address space is that large");
    r = verso__pages_runs_init(&pages->runs, (size_t)inner, VERSO__PAGES_RESERVED);
    if (r < 0)
        return verso__pages_fail(pages, r, "malloc", NULL);
    r = reserve(pages, options, (size_t)inner);
    if (r == 0 && (pages->flags & VERSO_PAGES_COMMIT)) {
        verso__pages_lock_take();
        r = verso__pages_commit_range(pages, 0, (size_t)inner, &step);
        verso__pages_lock_give();
    }
    return r < 0 ? verso__pages_fail(pages, r, step, refused(r, inner)) : 0;
}

int verso_pages_open(uint64_t bytes, const struct verso_pages_options *given, struct verso_pages **out_pages)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct verso_pages *pages;
    int r = verso__pages_options_take(given, &options);

    if (r < 0)
        return r;
    if (bytes == 0)
        return verso__fail_hint(VERSO_E_RANGE, "range", options.name, "a span has one page at least");
    pages = calloc(1, sizeof(*pages));
    if (!pages)
        return verso__fail(-ENOMEM, "malloc", options.name);
    set_up(pages, &options);
    r = open_span(pages, &options, bytes);
    if (r < 0)
        verso_pages_close(pages);
    else
        *out_pages = pages;
    return r;
}

void verso_pages_close(struct verso_pages *pages)
{
    if (!pages)
        return;
    if (pages->outer && !pages->sealed)
        (void)verso__os_unmap(pages->outer, pages->outer_bytes);
    verso__pages_runs_free(&pages->runs);
    free(pages);
}
