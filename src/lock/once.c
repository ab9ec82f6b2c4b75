/* SPDX-License-Identifier: MIT */
/* once - an owned word (owner.h) that ends as DONE. What a dead owner made is suspect: DO_OVER. */
#include "lock/owner.h"

#include <verso/lock.h>

#define STEP "once"

static int no_seat(const struct verso_once *once, int error)
{
    return verso__fail(once ? error : -EINVAL, once ? "seat" : "arguments", NULL);
}

int verso_once_begin(struct verso_once *once, int timeout_ms)
{
    const struct verso__share_seat *seat;
    struct verso__lock_wait wait;
    int r;

    if (once && __atomic_load_n(&once->word, __ATOMIC_ACQUIRE) & VERSO__OWNER_DONE)
        return VERSO_ONCE_DONE;
    r = verso__share_seat_of(once, &seat);
    if (r < 0)
        return no_seat(once, r);
    wait = verso__lock_wait_begin(timeout_ms);
    r = verso__owner_take(&once->word, seat, VERSO__OWNER_DONE, &wait);
    if (r == -EALREADY)
        return VERSO_ONCE_DONE;
    if (r == VERSO_E_OWNER_DIED)
        return VERSO_ONCE_DO_OVER;
    return r < 0 ? verso__lock_fail(r, timeout_ms, STEP) : VERSO_ONCE_DO;
}

int verso_once_end(struct verso_once *once, int is_done)
{
    const struct verso__share_seat *seat;
    int r = verso__share_seat_of(once, &seat);

    if (r < 0)
        return no_seat(once, r);
    r = verso__owner_absolve(&once->word, seat);
    if (r == 0)
        r = verso__owner_give(&once->word, seat, is_done ? VERSO__OWNER_DONE : 0, is_done ? VERSO__LOCK_ALL : 1);
    return r < 0 ? verso__fail(r, STEP, NULL) : 0;
}
