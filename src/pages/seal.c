/* SPDX-License-Identifier: MIT */
/* seal - memory that stays as it is until the process ends. */
#include "pages/pages.h"

#include <errno.h>

int verso_pages_seal(struct verso_pages *pages)
{
    int r;

    if (atomic_load(&pages->sealed))
        return 0;
    if (verso__pages_is_left_behind(pages))
        return verso__pages_fail(pages, -EPERM, "fork", verso__pages_left_behind_hint);
    r = verso__os_seal_mapping(pages->outer, pages->outer_bytes);
    if (r == -ENOSYS || r == -EPERM) { /* EPERM: a 32-bit process */
        const struct verso__failure failure = { VERSO_E_UNSUPPORTED, r, "mseal", pages->name, VERSO_OFFSET_NONE, NULL };

        return verso__fail_with(&failure);
    }
    if (r < 0)
        return verso__pages_fail(pages, r, "mseal", NULL);
    atomic_store(&pages->sealed, true);
    return 0;
}
