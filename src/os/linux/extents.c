/* SPDX-License-Identifier: MIT */
/* extents - where a file lies on its disk: FIEMAP, never with its sync flag, for looking must not write. */
#include "os/os.h"

#include <errno.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <sys/ioctl.h>

/* Extents asked for at once: the kernel walks the file's tree from the top each time, so neither few nor a huge buffer.
 */
#define BATCH_MAX ((size_t)4096)

static uint32_t flags_of(uint32_t fiemap)
{
    static const struct {
        uint32_t fiemap, ours;
    } rows[] = {
        { FIEMAP_EXTENT_LAST, VERSO__OS_EXTENT_LAST },
        { FIEMAP_EXTENT_UNKNOWN, VERSO__OS_EXTENT_UNKNOWN },
        { FIEMAP_EXTENT_DELALLOC, VERSO__OS_EXTENT_DELAYED | VERSO__OS_EXTENT_UNKNOWN },
        { FIEMAP_EXTENT_UNWRITTEN, VERSO__OS_EXTENT_UNWRITTEN },
        { FIEMAP_EXTENT_SHARED, VERSO__OS_EXTENT_SHARED },
        { FIEMAP_EXTENT_DATA_INLINE, VERSO__OS_EXTENT_INLINE },
        { FIEMAP_EXTENT_DATA_TAIL, VERSO__OS_EXTENT_INLINE }, /* shares a block: the same to a reader of addresses */
        { FIEMAP_EXTENT_ENCODED, VERSO__OS_EXTENT_ENCODED },
        { FIEMAP_EXTENT_DATA_ENCRYPTED, VERSO__OS_EXTENT_ENCODED },
    };
    uint32_t flags = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (fiemap & rows[i].fiemap)
            flags |= rows[i].ours;
    return flags;
}

int verso__os_extents(int fd, uint64_t offset, struct verso__os_extent *out_extents, size_t room, size_t *out_count)
{
    size_t count = room < BATCH_MAX ? room : BATCH_MAX;
    struct fiemap *answer;
    int r;

    if (count == 0)
        return -EINVAL;
    answer = calloc(1, sizeof(*answer) + count * sizeof(answer->fm_extents[0]));
    if (!answer)
        return -ENOMEM;
    answer->fm_start = offset;
    answer->fm_length = FIEMAP_MAX_OFFSET - offset;
    answer->fm_extent_count = (uint32_t)count;
    do
        r = ioctl(fd, FS_IOC_FIEMAP, answer);
    while (r < 0 && errno == EINTR);
    if (r < 0) {
        r = errno == ENOTTY ? -EOPNOTSUPP : -errno;
    } else {
        for (size_t i = 0; i < answer->fm_mapped_extents; i++) {
            const struct fiemap_extent *extent = &answer->fm_extents[i];

            out_extents[i] = (struct verso__os_extent){ extent->fe_logical, extent->fe_physical, extent->fe_length,
                                                        flags_of(extent->fe_flags) };
        }
        *out_count = answer->fm_mapped_extents;
    }
    free(answer);
    return r;
}
