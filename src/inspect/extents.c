/* SPDX-License-Identifier: MIT */
/*
 * extents - where a file lies on its disk.
 *
 * The kernel answers in batches, and the file may change between two of them. Each batch goes on where the last ended,
 * and an extent that reaches back over that point (its neighbours grew together meanwhile) is cut there, so that the
 * list is always by offset and never overlaps.
 */
#include "base/sums.h"
#include "inspect/inspect.h"
#include "os/os.h"

#include <errno.h>
#include <stdlib.h>

#define BATCH 1024

struct extent_list {
    struct verso_inspect_extent *items;
    size_t count;
    size_t room;
    uint64_t next; /* the offset to go on from */
};

static unsigned state_of(uint32_t flags)
{
    static const struct {
        uint32_t os;
        unsigned state;
    } rows[] = {
        { VERSO__OS_EXTENT_UNKNOWN, VERSO_INSPECT_EXTENT_UNKNOWN },
        { VERSO__OS_EXTENT_DELAYED, VERSO_INSPECT_EXTENT_DELAYED },
        { VERSO__OS_EXTENT_UNWRITTEN, VERSO_INSPECT_EXTENT_UNWRITTEN },
        { VERSO__OS_EXTENT_SHARED, VERSO_INSPECT_EXTENT_SHARED },
        { VERSO__OS_EXTENT_INLINE, VERSO_INSPECT_EXTENT_INLINE },
        { VERSO__OS_EXTENT_ENCODED, VERSO_INSPECT_EXTENT_ENCODED },
    };
    unsigned state = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (flags & rows[i].os)
            state |= rows[i].state;
    return state;
}

static int append(struct extent_list *list, const struct verso__os_extent *extent)
{
    uint64_t end, cut = extent->logical_bytes < list->next ? list->next - extent->logical_bytes : 0;
    struct verso_inspect_extent *items;

    if (!verso__add_u64(extent->logical_bytes, extent->length_bytes, &end))
        return -EPROTO;
    if (cut >= extent->length_bytes)
        return 0;
    items = verso__inspect_grow(list->items, &list->room, list->count, sizeof(*items));
    if (!items)
        return -ENOMEM;
    list->items = items;
    items[list->count] = (struct verso_inspect_extent){
        .file_offset_bytes = extent->logical_bytes + cut,
        .disk_offset_bytes = extent->physical_bytes,
        .length_bytes = extent->length_bytes - cut,
        .state = state_of(extent->flags),
    };
    /* Inside an encoded or unknown extent, file and disk bytes don't go side by side. */
    if (!(extent->flags & (VERSO__OS_EXTENT_UNKNOWN | VERSO__OS_EXTENT_ENCODED)))
        items[list->count].disk_offset_bytes += cut;
    list->count++;
    list->next = end;
    return 0;
}

/* Answers 1 when there may be more. */
static int append_batch(int fd, struct extent_list *list, struct verso__os_extent *batch)
{
    uint64_t before = list->next;
    size_t count = 0;
    int r = verso__os_extents(fd, list->next, batch, BATCH, &count);

    for (size_t i = 0; r == 0 && i < count; i++)
        r = append(list, &batch[i]);
    if (r < 0)
        return r;
    return count > 0 && !(batch[count - 1].flags & VERSO__OS_EXTENT_LAST) && list->next > before;
}

static int collect(int fd, struct extent_list *list)
{
    struct verso__os_extent *batch = malloc(BATCH * sizeof(*batch));
    int r;

    if (!batch)
        return -ENOMEM;
    while ((r = append_batch(fd, list, batch)) > 0)
        ;
    free(batch);
    return r;
}

int verso_inspect_extents(int fd, struct verso_inspect_extent **out_extents, size_t *out_count)
{
    struct extent_list list = { 0 };
    struct verso__os_file_info info;
    int r = verso__os_file_info(fd, &info);

    if (r < 0)
        return verso__inspect_fail_fd(r, "fstat", fd);
    if (info.kind == VERSO__OS_FILE_DIRECTORY)
        return verso__inspect_fail_fd(-EISDIR, "fiemap", fd);
    r = collect(fd, &list);
    if (r < 0) {
        free(list.items);
        return verso__inspect_fail_fd(r, "fiemap", fd);
    }
    *out_extents = list.items;
    *out_count = list.count;
    return 0;
}
