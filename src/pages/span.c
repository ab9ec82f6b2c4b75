/* SPDX-License-Identifier: MIT */
/* span - what every other file here needs of a span: its lock, its ranges, its failures. */
#include "pages/pages.h"

#include "base/sums.h"

#include <errno.h>
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void take(void)
{
    (void)pthread_mutex_lock(&lock);
}

void verso__pages_lock_give(void)
{
    (void)pthread_mutex_unlock(&lock);
}

/* A child of fork() has one thread; a lock that another thread of its parent held would never be given back. */
static void survive_fork(void)
{
    (void)pthread_atfork(take, verso__pages_lock_give, verso__pages_lock_give);
}

bool verso__pages_is_left_behind(const struct verso_pages *pages)
{
    return (pages->flags & VERSO_PAGES_NO_FORK) && pages->forks != verso__os_forks();
}

void verso__pages_lock_take(void)
{
    (void)pthread_once(&fork_once, survive_fork);
    take();
}

const char verso__pages_sealed_hint[] = "the span was sealed by verso_pages_seal(), for as long as the process lives";

const char verso__pages_left_behind_hint[] = "a child has no part of this span (NO_FORK): all it can do is close it";

int verso__pages_fail(const struct verso_pages *pages, int code, const char *step, const char *hint)
{
    return verso__fail_hint(code, step, pages->name, hint);
}

int verso__pages_range(const struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes, bool to_end,
                       size_t *out_start, size_t *out_end)
{
    size_t bytes = atomic_load_explicit(&pages->bytes, memory_order_relaxed);
    struct verso__failure failure = { VERSO_E_RANGE, 0,
                                      "range",       pages->name,
                                      offset_bytes,  "ask for a range that ends within the span" };

    if (verso__pages_is_left_behind(pages))
        return verso__pages_fail(pages, -EPERM, "fork", verso__pages_left_behind_hint);
    if (to_end && length_bytes == 0 && offset_bytes <= bytes)
        length_bytes = bytes - offset_bytes;
    if (!verso__within(offset_bytes, length_bytes, bytes))
        return verso__fail_with(&failure);
    if ((offset_bytes | length_bytes) & (pages->page_bytes - 1)) {
        failure.hint = "offset and length are in whole pages: see page_bytes of verso_pages_info()";
        return verso__fail_with(&failure);
    }
    *out_start = (size_t)offset_bytes;
    *out_end = (size_t)(offset_bytes + length_bytes);
    return 0;
}
