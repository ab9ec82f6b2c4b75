/* SPDX-License-Identifier: MIT */
/* info - what was got, and why not more. */
#include "pages/pages.h"

#include <string.h>

void *verso_pages_data(const struct verso_pages *pages)
{
    return pages->data;
}

size_t verso_pages_bytes(const struct verso_pages *pages)
{
    return atomic_load_explicit(&pages->bytes, memory_order_relaxed);
}

static uint64_t count_guards(const struct verso_pages *pages)
{
    struct verso__pages_piece piece;
    bool before = false;
    uint64_t count = 0;

    for (size_t at = 0; verso__pages_runs_piece(&pages->runs, at, pages->runs.bytes, &piece); at = piece.end) {
        bool now = (piece.state & VERSO__PAGES_GUARD) != 0;

        count += now && !before;
        before = now;
    }
    return count;
}

/* What a kind brings with it, asked for or not. */
static unsigned flags_of(const struct verso_pages *pages)
{
    switch (pages->kind) {
    case VERSO_PAGES_DROPPABLE:
        return pages->flags | (unsigned)(VERSO_PAGES_NO_CORE | VERSO_PAGES_WIPE_ON_FORK);
    case VERSO_PAGES_SECRET:
        return pages->flags | (unsigned)(VERSO_PAGES_NO_CORE | VERSO_PAGES_LOCK);
    default:
        return pages->flags;
    }
}

static void fill_guards(const struct verso_pages *pages, struct verso_pages_info *info)
{
    const char *why;

    info->guard_method = (enum verso_pages_guard_method)atomic_load(&pages->guard_method);
    info->guard_why = atomic_load(&pages->guard_why);
    info->guard_count = count_guards(pages);
    if (info->guard_method == VERSO_PAGES_GUARD_MARKERS && !verso__pages_takes_markers(pages, &why)) {
        info->guard_method = VERSO_PAGES_GUARD_MAPPINGS;
        info->guard_why = why;
    }
}

static const char *why_size(const struct verso_pages *pages)
{
    if ((pages->flags & VERSO_PAGES_HUGE) && pages->size == VERSO_PAGES_SIZE_BASE && !pages->huge_is_tried)
        return "no range that a huge page fits into has been committed yet";
    return pages->size_why;
}

int verso_pages_info(const struct verso_pages *pages, struct verso_pages_info *out_info)
{
    struct verso_pages_info info = { .struct_bytes = out_info->struct_bytes };

    if (info.struct_bytes < sizeof(info))
        return verso__pages_fail(pages, VERSO_E_OPTIONS, "info", "start from VERSO_PAGES_INFO_INIT");
    verso__pages_lock_take();
    info.kind = pages->kind;
    info.flags = flags_of(pages);
    info.committed_bytes = pages->runs.committed_bytes;
    info.size = pages->size;
    info.size_why = why_size(pages);
    info.page_bytes = pages->page_bytes;
    info.nodes_why = pages->nodes_why;
    info.sealed = atomic_load(&pages->sealed);
    fill_guards(pages, &info);
    verso__pages_lock_give();
    memcpy(out_info, &info, sizeof(info));
    return 0;
}
