/* SPDX-License-Identifier: MIT */
/*
 * stability.h - the parts that the rungs are built from; shared by stability.c and settle.c.
 *
 *     rung       file            part
 *     LEASED     lease.c         a read lease on an open file of its own, and what the file looked like then
 *     SNAPSHOT   snapshot.c      a reflink in an unnamed file
 *     COPY       copy.c          a sealed file of memory
 */
#ifndef VERSO_SRC_MAP_STABILITY_H
#define VERSO_SRC_MAP_STABILITY_H

#include "map/map.h"

/* A lease while it is held. */
struct verso__map_lease {
    int fd; /* an open file of its own; -1: none */
    struct verso__os_file_info witness;
};

/* Takes a read lease on the file behind @fd. On failure *out_why is a sentence. */
int verso__map_lease_take(int fd, struct verso__map_lease *out_lease, const char **out_why);
void verso__map_lease_end(struct verso__map_lease *lease);

/*
 * Whether nobody can have changed the content since the lease was taken. While the lease stands or is being broken:
 * surely. When it has run out: only when the file looks the same to the nanosecond.
 */
bool verso__map_lease_kept(const struct verso__map_lease *lease);

/* A reflink of the file behind @fd, at least @bytes_min long, read-only, without a name. */
int verso__map_snapshot(int fd, uint64_t bytes_min, int *out_fd, const char **out_why);

/* What to copy and how. Offsets are the same in the copy: a hole stands for what comes before. */
struct verso__map_copy {
    const char *name;
    uint64_t offset_bytes;
    uint64_t length_bytes;
    bool is_executable;
    bool wants_huge;    /* the largest pages that can be had */
    bool takes_hugetlb; /* those of the pool, too */
    /* Answers: */
    size_t granule_bytes;
    enum verso_map_pages pages;
    uint64_t bad_offset_bytes; /* where the source failed; VERSO_OFFSET_NONE */
};

/*
 * A sealed memory file with a range of a file or of memory, which may fail under the copy. VERSO_E_CHANGED: the file
 * ended before the range. -EIO and the like: bad_offset_bytes says where. From memory: -EFAULT likewise.
 */
int verso__map_copy_file(struct verso__map_copy *copy, int fd, int *out_fd);
int verso__map_copy_memory(struct verso__map_copy *copy, const void *source, int *out_fd);

#endif
