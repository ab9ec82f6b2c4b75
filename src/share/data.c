/* SPDX-License-Identifier: MIT */
/* data - the content: where it is, pointers within it, and more of it. */
#include "share/region.h"

#include "base/sums.h"

#include <errno.h>

void *verso_share_data(const struct verso_share *share)
{
    return share ? share->base + share->made.content_offset : NULL;
}

uint64_t verso_share_bytes(const struct verso_share *share)
{
    if (!share)
        return 0;
    return verso__min_u64(atomic_load_explicit(&verso__share_header(share)->bytes, memory_order_acquire),
                          share->made.most_bytes);
}

void *verso_share_at(const struct verso_share *share, const struct verso_rel *rel, uint64_t bytes, size_t align_bytes)
{
    int64_t distance;
    uintptr_t target;

    if (!share || !rel)
        return NULL;
    distance = __atomic_load_n(&rel->distance_bytes, __ATOMIC_ACQUIRE);
    target = (uintptr_t)rel + (uintptr_t)distance;
    if (distance == 0 || !verso__within(target - (uintptr_t)verso_share_data(share), bytes, verso_share_bytes(share)) ||
        (align_bytes > 1 && target & (align_bytes - 1)))
        return NULL;
    return (void *)target;
}

/* ---- Growing ---- */

pthread_mutex_t verso__share_growing = PTHREAD_MUTEX_INITIALIZER;

/* The byte count is the last thing that changes: who dies before it has done nothing that shows. */
static int grow(struct verso_share *share, uint64_t bytes, const char **out_step)
{
    uint64_t now = verso_share_bytes(share);
    int r;

    if (bytes <= now)
        return 0;
    *out_step = "fallocate";
    r = verso__os_allocate(share->fd, share->made.content_offset + now, bytes - now);
    if (r == 0)
        atomic_store_explicit(&verso__share_header(share)->bytes, bytes, memory_order_release);
    return r;
}

int verso_share_grow(struct verso_share *share, uint64_t bytes)
{
    const char *step = "lock";
    int r;

    if (!share)
        return verso__fail(-EINVAL, "arguments", NULL);
    if (!share->is_member)
        return verso__fail_hint(VERSO_E_READ_ONLY, "grow", share->path, "attach it without VERSO_SHARE_READ_ONLY");
    if (bytes > share->made.most_bytes)
        return verso__fail_hint(VERSO_E_RANGE, "grow", share->path,
                                "how far it may grow is said at creation: most_bytes");
    r = verso__share_adopt_now(share);
    if (r < 0)
        return verso__fail(r, "fork", share->path);
    (void)pthread_mutex_lock(&verso__share_growing);
    r = verso__share_lock(share->fd, VERSO__SHARE_GROW_BYTE, VERSO__OS_BYTE_EXCLUSIVE);
    if (r == 0) {
        r = grow(share, bytes, &step);
        verso__os_byte_unlock(share->fd, VERSO__SHARE_GROW_BYTE);
    }
    (void)pthread_mutex_unlock(&verso__share_growing);
    return r == 0 ? 0 : verso__fail(r, step, share->path);
}
