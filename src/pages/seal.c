/* SPDX-License-Identifier: MIT */
/* seal - memory that stays as it is until the process ends. */
#include "pages/pages.h"

#include <errno.h>

int verso_pages_seal(struct verso_pages *pages)
{
    int r = 0;

    if (verso__pages_is_left_behind(pages))
        return verso__pages_fail(pages, -EPERM, "fork", verso__pages_left_behind_hint);
    verso__pages_lock_take(); /* not in the middle of a change */
    if (!atomic_load(&pages->sealed))
        r = verso__os_seal_mapping(pages->outer, pages->outer_bytes);
    if (r == 0)
        atomic_store(&pages->sealed, true);
    verso__pages_lock_give();
    if (r == -ENOSYS || r == -EPERM) { /* EPERM: a 32-bit process */
        const struct verso__failure failure = { VERSO_E_UNSUPPORTED, r, "mseal", pages->name, VERSO_OFFSET_NONE, NULL };

        return verso__fail_with(&failure);
    }
    return r < 0 ? verso__pages_fail(pages, r, "mseal", NULL) : 0;
}
