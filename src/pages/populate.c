/* SPDX-License-Identifier: MIT */
/*
 * populate - pages that are there before they are touched, and pages that stay.
 *
 * What can't be had is told apart by the runs before the kernel is asked, which has one answer for too many things.
 */
#include "pages/pages.h"

#include <errno.h>

/* Exchanging a byte for itself is a store to the kernel and nothing to other threads. */
static void touch(unsigned char *address, size_t bytes, size_t page_bytes, bool for_writing)
{
    for (size_t at = 0; at < bytes; at += page_bytes) {
        unsigned char *byte = address + at;
        unsigned char value = __atomic_load_n((volatile unsigned char *)byte, __ATOMIC_RELAXED);

        while (for_writing &&
               !__atomic_compare_exchange_n(byte, &value, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
            ;
    }
}

/* The kernel brings in no secret memory, not being able to see it; and before 5.14, nothing on demand. Touching can't
 * fault where all is committed. */
int verso__pages_bring_in(struct verso_pages *pages, size_t start, size_t end, bool locked)
{
    unsigned char *address = pages->data + start;
    size_t bytes = end - start;
    int r;

    if (pages->kind == VERSO_PAGES_SECRET) {
        touch(address, bytes, pages->page_bytes, !locked); /* what is locked may be read-only */
        return 0;
    }
    if (locked)
        return verso__os_lock(address, bytes, false);
    r = verso__os_populate(address, bytes, true);
    if (r == -EINVAL && verso__os_populate(address, 0, true) == -EINVAL) { /* even of no bytes: not known */
        touch(address, bytes, pages->page_bytes, true);
        r = 0;
    }
    return r;
}

static int check(const struct verso_pages *pages, size_t start, size_t end, bool for_writing, const char **out_hint)
{
    struct verso__pages_piece piece;

    for (size_t at = start; verso__pages_runs_piece(&pages->runs, at, end, &piece); at = piece.end) {
        if (piece.state == VERSO__PAGES_RESERVED) {
            *out_hint = "part of the range is not committed: verso_pages_commit()";
            return -ENOMEM;
        }
        if (piece.state & VERSO__PAGES_GUARD) {
            *out_hint = "a guard stands in the range";
            return -EFAULT;
        }
        if (piece.state == VERSO__PAGES_NONE || (for_writing && piece.state != VERSO__PAGES_WRITE)) {
            *out_hint = "part of the range was protected: verso_pages_protect()";
            return -EACCES;
        }
    }
    return 0;
}

/* A range that may be brought in; with the record filled when it may not. */
static int usable_range(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes, bool for_writing,
                        size_t *out_start, size_t *out_end)
{
    const char *hint = NULL;
    int r = verso__pages_range(pages, offset_bytes, length_bytes, true, out_start, out_end);

    if (r < 0)
        return r;
    verso__pages_lock_take();
    r = check(pages, *out_start, *out_end, for_writing, &hint);
    verso__pages_lock_give();
    return r < 0 ? verso__pages_fail(pages, r, "range", hint) : 0;
}

int verso_pages_populate(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes)
{
    size_t start, end;
    int r;

    r = usable_range(pages, offset_bytes, length_bytes, true, &start, &end);
    if (r < 0 || start == end)
        return r;
    r = verso__pages_bring_in(pages, start, end, false);
    if (r == -EFAULT)
        return verso__pages_fail(pages, r, "populate", "a guard stands in the range, or there is no memory for it");
    return r < 0 ? verso__pages_fail(pages, r, "populate", verso__pages_refused(r, "populate", end - start)) : 0;
}

/* mlock2 answers -ENOMEM for the limit and for guards; locking on fault brings nothing in, so it minds the limit alone.
 */
static bool is_at_guard(struct verso_pages *pages, size_t start, size_t end)
{
    return atomic_load(&pages->has_markers) && verso__os_lock(pages->data + start, end - start, true) == 0;
}

int verso_pages_lock(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes)
{
    size_t start, end;
    int r;

    r = usable_range(pages, offset_bytes, length_bytes, false, &start, &end);
    if (r < 0 || start == end)
        return r;
    r = verso__pages_bring_in(pages, start, end, true);
    if (r == -ENOMEM && is_at_guard(pages, start, end))
        r = -EFAULT;
    if (r < 0)
        (void)verso__os_unlock(pages->data + start, end - start); /* what was locked on the way */
    if (r == -EFAULT)
        return verso__pages_fail(pages, r, "mlock", "a guard stands in the range");
    return r < 0 ? verso__pages_fail(pages, r, "mlock", verso__pages_refused(r, "mlock", end - start)) : 0;
}

int verso_pages_unlock(struct verso_pages *pages, uint64_t offset_bytes, uint64_t length_bytes)
{
    size_t start, end;
    int r;

    r = verso__pages_range(pages, offset_bytes, length_bytes, true, &start, &end);
    if (r < 0 || start == end || pages->kind == VERSO_PAGES_SECRET)
        return r;
    r = verso__os_unlock(pages->data + start, end - start);
    return r < 0 ? verso__pages_fail(pages, r, "munlock", verso__pages_refused(r, "munlock", 0)) : 0;
}
