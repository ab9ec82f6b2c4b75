/* SPDX-License-Identifier: MIT */
/* open - a span of addresses: which pages it gets, and its end. */
#include "pages/pages.h"

#include "base/registry.h"
#include "base/sums.h"
#include "huge/huge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One opening while it lasts. */
struct opening {
    struct verso_pages *pages;
    uint64_t bytes; /* asked for */
    void *address;
    const char *step;
    const char *hint;
};

static int failed(struct opening *opening, int code, const char *step, const char *hint)
{
    opening->step = step;
    opening->hint = hint;
    return code;
}

static void set_up(struct verso_pages *pages, const struct verso_pages_options *options)
{
    const char *name = options->name ? options->name : "verso";

    memcpy(pages->name, name, strlen(name) + 1); /* its length was checked */
    pages->kind = options->kind;
    pages->flags = options->flags;
    pages->nodes = options->nodes;
    pages->fd = -1;
    pages->forks = verso__os_forks();
    pages->slot = VERSO__REGISTRY_NONE;
    pages->page_bytes = verso__os_page_bytes();
    pages->align_bytes = options->align_bytes > pages->page_bytes ? options->align_bytes : pages->page_bytes;
    pages->size = VERSO_PAGES_SIZE_BASE;
    pages->size_why = "";
    pages->nodes_why = "";
    atomic_init(&pages->guard_method, VERSO_PAGES_GUARD_MARKERS);
    atomic_init(&pages->guard_why, "");
}

static const char *why_not(const struct opening *opening, int error, uint64_t bytes)
{
    switch (error) {
    case -EEXIST:
        return "something stands in that span already: NULL lets the kernel choose";
    case -EPERM:
        return opening->address ? "no memory may stand that low: see vm.mmap_min_addr" : NULL;
    case -EAGAIN:
        return "over the limit of locked memory (RLIMIT_MEMLOCK; `ulimit -l` says it): secret memory counts in full";
    default:
        return verso__pages_refused(error, "mmap", bytes);
    }
}

/* ---- A rung of the ladder ------------------------------------------------------------------------------------- */

static void drop_back(struct verso_pages *pages)
{
    if (pages->fd >= 0)
        verso__os_close(pages->fd);
    pages->fd = -1;
}

/* Lays the span out in pages of its page_bytes, nothing committed. On failure it is as it was. */
static int lay_out(struct opening *opening)
{
    struct verso_pages *pages = opening->pages;
    uint64_t inner;
    int r;

    if (!verso__round_up(opening->bytes, pages->page_bytes, &inner) || inner > PTRDIFF_MAX)
        return failed(opening, VERSO_E_OVERFLOW, "range", "no address space is that large");
    r = verso__pages_back(pages, inner);
    if (r < 0) {
        drop_back(pages);
        return failed(opening, r, pages->kind == VERSO_PAGES_SECRET ? "memfd_secret" : "memfd_create", NULL);
    }
    r = verso__pages_place(pages, opening->address, (size_t)inner);
    if (r < 0) {
        drop_back(pages);
        return failed(opening, r, "mmap", r == VERSO_E_OVERFLOW ? NULL : why_not(opening, r, inner));
    }
    return 0;
}

/* Why the pool can't be asked at all; NULL: it can. */
static const char *pool_unfit(const struct opening *opening, size_t granule)
{
    const struct verso_pages *pages = opening->pages;

    if (!(pages->flags & VERSO_PAGES_COMMIT))
        return "pages of the pool are for spans that are committed from the start (COMMIT)";
    if (pages->kind != VERSO_PAGES_PRIVATE && pages->kind != VERSO_PAGES_SHARED)
        return "pages of the pool are neither droppable nor secret";
    if (pages->flags & VERSO_PAGES_WIPE_ON_FORK)
        return "pages of the pool can't be wiped for children";
    if (granule == 0)
        return "this kernel has no pool of huge pages (hugetlb)";
    if (opening->bytes < granule)
        return "the span is smaller than a huge page of the pool";
    if ((uintptr_t)opening->address & (granule - 1))
        return "the address does not suit huge pages of the pool";
    return NULL;
}

static bool lay_out_from_pool(struct opening *opening)
{
    struct verso_pages *pages = opening->pages;
    size_t granule = verso__huge_pool_bytes(), align = pages->align_bytes;
    const char *why = pool_unfit(opening, granule);

    if (!why) {
        pages->size = VERSO_PAGES_SIZE_HUGETLB;
        pages->page_bytes = granule;
        pages->align_bytes = align > granule ? align : granule;
        pages->huge_is_tried = true;
        if (lay_out(opening) == 0)
            return true;
        pages->huge_is_tried = false;
        pages->size = VERSO_PAGES_SIZE_BASE;
        pages->page_bytes = verso__os_page_bytes();
        pages->align_bytes = align;
        why = verso__huge_pool_is_empty;
    }
    pages->size_why = why;
    return false;
}

static int climb(struct opening *opening)
{
    struct verso_pages *pages = opening->pages;
    size_t huge = verso__os_huge_page_bytes();

    if (!(pages->flags & VERSO_PAGES_HUGE))
        return lay_out(opening);
    if (lay_out_from_pool(opening))
        return 0;
    if (pages->kind == VERSO_PAGES_SECRET) {
        pages->size_why = "secret memory has no huge pages";
        pages->huge_is_tried = true;
    } else if (!opening->address && huge > pages->align_bytes) {
        pages->align_bytes = huge;
    }
    return lay_out(opening);
}

/* ---- The call ------------------------------------------------------------------------------------------------- */

static bool is_lacking(const struct verso_pages *pages, int error)
{
    const int not_supported = -524; /* the kernel's ENOTSUPP, which no header has: DROPPABLE on 32 bits */

    if (pages->kind == VERSO_PAGES_DROPPABLE)
        return error == -EINVAL || error == -EOPNOTSUPP || error == not_supported;
    return pages->kind == VERSO_PAGES_SECRET && error == -ENOSYS;
}

static int commit_all(struct opening *opening)
{
    struct verso_pages *pages = opening->pages;
    size_t bytes = verso_pages_bytes(pages);
    int r;

    if (!(pages->flags & VERSO_PAGES_COMMIT))
        return 0;
    verso__pages_lock_take();
    r = verso__pages_commit_range(pages, 0, bytes, &opening->step);
    verso__pages_lock_give();
    return r < 0 ? failed(opening, r, opening->step, verso__pages_refused(r, opening->step, bytes)) : 0;
}

static int open_span(struct opening *opening)
{
    struct verso_pages *pages = opening->pages;
    int r = climb(opening);

    if (r < 0)
        return r;
    r = verso__pages_runs_init(&pages->runs, verso_pages_bytes(pages), VERSO__PAGES_RESERVED);
    if (r < 0)
        return failed(opening, r, "malloc", NULL);
    r = commit_all(opening);
    if (r < 0)
        return r;
    r = verso__pages_enter(pages);
    return r < 0 ? failed(opening, r, "malloc", NULL) : 0;
}

int verso_pages_open(uint64_t bytes, const struct verso_pages_options *given, struct verso_pages **out_pages)
{
    struct verso_pages_options options = VERSO_PAGES_OPTIONS_INIT;
    struct opening opening = { .bytes = bytes, .step = "mmap" };
    int r = verso__pages_options_take(given, &options);

    if (r < 0)
        return r;
    if (bytes == 0)
        return verso__fail_hint(VERSO_E_RANGE, "range", options.name, "a span has one page at least");
    opening.pages = calloc(1, sizeof(*opening.pages));
    opening.address = options.address;
    if (!opening.pages)
        return verso__fail(-ENOMEM, "malloc", options.name);
    set_up(opening.pages, &options);
    r = open_span(&opening);
    if (r == 0) {
        *out_pages = opening.pages;
    } else if (is_lacking(opening.pages, r)) {
        const struct verso__failure failure = { VERSO_E_UNSUPPORTED, r,   opening.step, opening.pages->name,
                                                VERSO_OFFSET_NONE,   NULL };

        r = verso__fail_with(&failure);
    } else {
        r = verso__pages_fail(opening.pages, r, opening.step, opening.hint);
    }
    if (r < 0)
        verso_pages_close(opening.pages);
    return r;
}

void verso_pages_close(struct verso_pages *pages)
{
    if (!pages)
        return;
    verso__pages_leave(pages);
    if (pages->outer && !atomic_load(&pages->sealed) && !verso__pages_is_left_behind(pages) &&
        verso__os_unmap(pages->outer, pages->outer_bytes) < 0) /* it would split a mapping too many */
        (void)verso__os_advise(pages->outer, pages->outer_bytes, VERSO__OS_ADVICE_DONTNEED);
    drop_back(pages);
    verso__pages_runs_free(&pages->runs);
    free(pages);
}
