/* SPDX-License-Identifier: MIT */
/* info - what was got, and why not more. */
#include "pages/pages.h"

#include <string.h>

/* Under the lock. */
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

int verso_pages_info(const struct verso_pages *pages, struct verso_pages_info *out_info)
{
    struct verso_pages_info info = { .struct_bytes = out_info->struct_bytes };

    if (info.struct_bytes < sizeof(info))
        return verso__pages_fail(pages, VERSO_E_OPTIONS, "info", NULL);
    verso__pages_lock_take();
    info.kind = pages->kind;
    info.flags = pages->flags;
    info.size = pages->size;
    info.size_why = pages->size_why;
    info.page_bytes = pages->page_bytes;
    info.guard_method = (enum verso_pages_guard_method)atomic_load(&pages->guard_method);
    info.guard_why = atomic_load(&pages->guard_why);
    info.guard_count = count_guards(pages);
    info.nodes_why = pages->nodes_why;
    info.sealed = pages->sealed;
    verso__pages_lock_give();
    memcpy(out_info, &info, sizeof(info));
    return 0;
}
