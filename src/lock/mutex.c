/* SPDX-License-Identifier: MIT */
/* mutex - an owned word (owner.h), and nothing else. */
#include "lock/owner.h"

#include <verso/lock.h>

#define STEP "mutex"

static int no_seat(const struct verso_mutex *mutex, int error)
{
    return verso__fail(mutex ? error : -EINVAL, mutex ? "seat" : "arguments", NULL);
}

static VERSO__SLOW int lock_slowly(struct verso_mutex *mutex, int timeout_ms)
{
    const struct verso__share_seat *seat;
    struct verso__lock_wait wait;
    int r = verso__share_seat_of(mutex, &seat);

    if (r < 0)
        return no_seat(mutex, r);
    if (verso__owner_take_free(&mutex->word, seat)) /* only the seat had to be looked for */
        return 0;
    wait = verso__lock_wait_begin(timeout_ms);
    r = verso__owner_take(&mutex->word, seat, 0, &wait);
    return r < 0 ? verso__lock_fail(r, timeout_ms, STEP) : 0;
}

int verso_mutex_lock(struct verso_mutex *mutex, int timeout_ms)
{
    const struct verso__share_seat *seat = verso__share_seat_here(mutex);

    if (__builtin_expect(seat && verso__owner_take_free(&mutex->word, seat), 1))
        return 0;
    return lock_slowly(mutex, timeout_ms);
}

static VERSO__SLOW int unlock_slowly(struct verso_mutex *mutex)
{
    const struct verso__share_seat *seat;
    int r = verso__share_seat_of(mutex, &seat);

    if (r < 0)
        return no_seat(mutex, r);
    r = verso__owner_give(&mutex->word, seat, 0, 1);
    return r < 0 ? verso__fail(r, STEP, NULL) : 0;
}

int verso_mutex_unlock(struct verso_mutex *mutex)
{
    const struct verso__share_seat *seat = verso__share_seat_here(mutex);

    if (__builtin_expect(seat && verso__owner_give_bare(&mutex->word, seat), 1))
        return 0;
    return unlock_slowly(mutex);
}

int verso_mutex_consistent(struct verso_mutex *mutex)
{
    const struct verso__share_seat *seat;
    int r = verso__share_seat_of(mutex, &seat);

    if (r < 0)
        return no_seat(mutex, r);
    r = verso__owner_absolve(&mutex->word, seat);
    return r < 0 ? verso__fail(r, STEP, NULL) : 0;
}
