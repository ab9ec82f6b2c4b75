/* SPDX-License-Identifier: MIT */
/*
 * view - a file's content: out of a map of a few MiB that moves along, else read into memory.
 *
 * A map saves one copying of the bytes. It is never touched here; what does (put.c, digest) stands a fault: the kernel
 * answers -EFAULT to write(2), and the guard ends loops and functions.
 */
#include "copy/copy.h"

#include "base/sums.h"

#include <errno.h>
#include <stdlib.h>

/* Mapped at once: many pieces for one mmap, little enough that page tables stay small. */
#define MAP_BYTES ((size_t)8 << 20)

void verso__copy_view_open(struct verso__copy_view *view, int fd, bool may_map)
{
    view->fd = fd;
    view->may_map = may_map;
    verso__guard_range_init(&view->range);
}

static void unmap(struct verso__copy_view *view)
{
    if (!view->base)
        return;
    verso__guard_range_drop(&view->range);
    (void)verso__os_unmap(view->base, view->map_bytes);
    view->base = NULL;
}

void verso__copy_view_unmap(struct verso__copy_view *view)
{
    unmap(view);
    view->may_map = false;
}

void verso__copy_view_close(struct verso__copy_view *view)
{
    unmap(view);
    free(view->buffer);
    view->buffer = NULL;
}

static bool holds(const struct verso__copy_view *view, uint64_t offset, size_t bytes)
{
    return view->base && offset >= view->map_offset && verso__within(offset - view->map_offset, bytes, view->map_bytes);
}

static int move_map(struct verso__copy_view *view, uint64_t offset)
{
    uint64_t start = verso__round_down(offset, verso__os_page_bytes());
    void *base;
    int r;

    unmap(view);
    r = verso__os_map(NULL, MAP_BYTES, VERSO__OS_ACCESS_READ, VERSO__OS_MAP_SHARED, view->fd, start, &base);
    if (r < 0)
        return r;
    view->base = base;
    view->map_offset = start;
    view->map_bytes = MAP_BYTES;
    view->range.start = (uintptr_t)base;
    view->range.end = (uintptr_t)base + MAP_BYTES;
    view->range.file_offset_bytes = start;
    r = verso__guard_range_add(&view->range);
    if (r < 0)
        unmap(view);
    return r;
}

static int read_piece(struct verso__copy_view *view, uint64_t offset, size_t bytes, size_t *out_bytes)
{
    unsigned char *buffer;

    if (view->buffer_bytes < bytes) {
        buffer = realloc(view->buffer, bytes);
        if (!buffer)
            return -ENOMEM;
        view->buffer = buffer;
        view->buffer_bytes = bytes;
    }
    return verso__os_read_at(view->fd, offset, view->buffer, bytes, out_bytes);
}

int verso__copy_view_at(struct verso__copy_view *view, uint64_t offset, size_t bytes, const unsigned char **out_data,
                        size_t *out_bytes)
{
    int r;

    if (view->may_map && !holds(view, offset, bytes) && move_map(view, offset) < 0)
        view->may_map = false; /* what can't be mapped can be read */
    if (view->may_map) {
        *out_data = view->base + (offset - view->map_offset);
        *out_bytes = bytes;
        return 0;
    }
    r = read_piece(view, offset, bytes, out_bytes);
    if (r == 0)
        *out_data = view->buffer;
    return r;
}
