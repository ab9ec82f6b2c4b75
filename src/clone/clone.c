/* SPDX-License-Identifier: MIT */
/* clone - private views of a base: opening, looking, letting go. */
#include "base/fail.h"
#include "base/sums.h"
#include "os/os.h"

#include "clone/clone.h"

#include <errno.h>
#include <stdlib.h>

static int measure(struct verso_clone *clone, uint64_t offset_bytes, uint64_t length_bytes)
{
    uint64_t mapped_bytes;

    if (offset_bytes % verso__os_page_bytes() != 0 || offset_bytes >= clone->base->bytes)
        return VERSO_E_RANGE;
    if (length_bytes == 0)
        length_bytes = clone->base->bytes - offset_bytes;
    if (!verso__within(offset_bytes, length_bytes, clone->base->bytes) ||
        !verso__round_up(length_bytes, verso__os_page_bytes(), &mapped_bytes))
        return VERSO_E_RANGE;
    clone->offset_bytes = offset_bytes;
    clone->bytes = length_bytes;
    clone->mapped_bytes = (size_t)mapped_bytes; /* no more than the base's */
    return 0;
}

static int map(struct verso_clone *clone)
{
    void *address;
    int r = verso__os_map(NULL, clone->mapped_bytes, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE,
                          VERSO__OS_MAP_NORESERVE, clone->base->fd, clone->offset_bytes, &address);

    if (r < 0)
        return r;
    clone->data = address;
    clone->range.start = (uintptr_t)address;
    clone->range.end = clone->range.start + clone->mapped_bytes;
    clone->range.file_offset_bytes = clone->offset_bytes;
    r = verso__guard_range_add(&clone->range);
    if (r < 0)
        (void)verso__os_unmap(address, clone->mapped_bytes);
    return r;
}

int verso_clone_open(struct verso_clone_base *base, uint64_t offset_bytes, uint64_t length_bytes,
                     struct verso_clone **out_clone)
{
    struct verso_clone *clone;
    int r;

    if (!base || !out_clone)
        return verso__fail(-EINVAL, "arguments", NULL);
    clone = calloc(1, sizeof(*clone));
    if (!clone)
        return verso__clone_fail(base, -ENOMEM, "allocate");
    clone->base = base;
    verso__guard_range_init(&clone->range);
    r = measure(clone, offset_bytes, length_bytes);
    if (r < 0)
        (void)verso__fail_at(r, "range", base->path, offset_bytes);
    else if ((r = map(clone)) < 0)
        (void)verso__clone_fail(base, r, "mmap");
    if (r < 0) {
        free(clone);
        return r;
    }
    verso__clone_base_use(base);
    *out_clone = clone;
    return 0;
}

void verso_clone_close(struct verso_clone *clone)
{
    if (!clone)
        return;
    verso__guard_range_drop(&clone->range);
    (void)verso__os_unmap(clone->data, clone->mapped_bytes);
    verso__clone_bits_free(&clone->own);
    verso__clone_base_release(clone->base);
    free(clone);
}

void *verso_clone_data(const struct verso_clone *clone)
{
    return clone->data;
}

uint64_t verso_clone_bytes(const struct verso_clone *clone)
{
    return clone->bytes;
}

/* ---- Looking ---- */

int verso__clone_look(struct verso_clone *clone, uint64_t first_page, uint64_t end_page)
{
    int r = 0;

    if (clone->own.words)
        verso__clone_bits_clear(&clone->own);
    else
        r = verso__clone_bits_make(&clone->own, clone->mapped_bytes / verso__os_page_bytes());
    if (r < 0)
        return verso__clone_fail(clone->base, r, "allocate");
    r = verso__clone_changed(clone, first_page, end_page, &clone->own);
    if (r < 0)
        verso__clone_bits_clear(&clone->own); /* half an answer would be taken for a whole one */
    return r < 0 ? verso__clone_fail(clone->base, r, "look") : 0;
}

int verso_clone_look(struct verso_clone *clone, uint64_t *out_own_bytes)
{
    int r;

    if (!clone)
        return verso__fail(-EINVAL, "arguments", NULL);
    r = verso__clone_look(clone, 0, clone->mapped_bytes / verso__os_page_bytes());
    if (r == 0 && out_own_bytes)
        *out_own_bytes = verso__clone_bits_count(&clone->own) * verso__os_page_bytes();
    return r;
}

enum verso_clone_source verso_clone_source(const struct verso_clone *clone)
{
    return clone->source;
}

int verso_clone_next(const struct verso_clone *clone, uint64_t offset_bytes, struct verso_clone_run *out_run)
{
    return verso__clone_bits_run(&clone->own, offset_bytes, clone->bytes, out_run);
}
