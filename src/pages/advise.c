/* SPDX-License-Identifier: MIT */
/* advise - how a range will be used. */
#include "pages/pages.h"

#include <errno.h>

static const char no_such_advice[] = "this kernel, or this kind of memory, has no such advice";
static const char locked_stays[] = "locked pages stay until verso_pages_unlock(); hugetlb pages have no such advice";

static const struct advice {
    enum verso__os_advice kernel;
    const char *refused; /* what -EINVAL means here */
} advices[] = {
    [VERSO_PAGES_ADVICE_NORMAL] = { VERSO__OS_ADVICE_NORMAL, no_such_advice },
    [VERSO_PAGES_ADVICE_COLD] = { VERSO__OS_ADVICE_COLD, locked_stays },
    [VERSO_PAGES_ADVICE_PAGEOUT] = { VERSO__OS_ADVICE_PAGEOUT, locked_stays },
    [VERSO_PAGES_ADVICE_DISCARD] = { VERSO__OS_ADVICE_DONTNEED, locked_stays }, /* see discard() */
    [VERSO_PAGES_ADVICE_FREE] = { VERSO__OS_ADVICE_FREE, locked_stays },
    [VERSO_PAGES_ADVICE_HUGE] = { VERSO__OS_ADVICE_HUGE, "this kernel was built without transparent huge pages" },
    [VERSO_PAGES_ADVICE_NO_HUGE] = { VERSO__OS_ADVICE_NO_HUGE, "this kernel was built without transparent huge pages" },
    [VERSO_PAGES_ADVICE_COLLAPSE] = { VERSO__OS_ADVICE_COLLAPSE,
                                      "no huge page fits into the committed pages there, or a kernel before 6.1" },
    [VERSO_PAGES_ADVICE_MERGE] = { VERSO__OS_ADVICE_MERGE, "this kernel was built without KSM" },
};

/* Zeros again: what that takes depends on what the memory is made of. */
static int discard(struct verso_pages *pages, size_t start, size_t end)
{
    int r;

    verso__pages_lock_take();
    r = verso__pages_empty(pages, start, end);
    verso__pages_lock_give();
    return r;
}

int verso_pages_advise(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes,
                       enum verso_pages_advice advice)
{
    size_t start, end;
    int r;

    if (advice < VERSO_PAGES_ADVICE_NORMAL || (size_t)advice >= sizeof(advices) / sizeof(advices[0]))
        return verso__pages_fail(pages, VERSO_E_OPTIONS, "madvise", "use a value of enum verso_pages_advice");
    r = verso__pages_range(pages, offset_bytes, length_bytes, true, &start, &end);
    if (r < 0 || start == end)
        return r;
    if (advice == VERSO_PAGES_ADVICE_DISCARD)
        r = discard(pages, start, end);
    else
        r = verso__os_advise(pages->data + start, end - start, advices[advice].kernel);
    if (r == -EINVAL && advice == VERSO_PAGES_ADVICE_FREE)
        r = discard(pages, start, end);
    return r < 0 ? verso__pages_fail(pages, r, "madvise", r == -EINVAL ? advices[advice].refused : NULL) : 0;
}
