/* SPDX-License-Identifier: MIT */
/*
 * share.h - memory that processes share, and that outlives the death of any of them.
 *
 *      /dev/shm/verso-1000/prices           one file of memory
 *      |header|members|seats ...|== content ============|      |     mapped by every process that attaches
 *                                                       ^bytes ^most_bytes: room to grow, nobody remaps
 *
 * A region is made under a name, or without one and passed on by its descriptor. Who attaches becomes a member; that he
 * is there, the kernel knows by a lock on a byte of the file, which it lets go of when he dies: no count that a SIGKILL
 * could leave wrong, no heartbeat, no daemon.
 *
 *     verso_share_open("prices", 1 << 20, NULL, &share);       the first makes it, the others attach
 *     struct book *book = verso_share_data(share);
 *     ...
 *     verso_share_close(share);                                the last one out takes the name away
 *
 * Caveats, most bitten first:
 *   - A region has another address in each process: no pointers in it. verso_rel is a pointer that is right everywhere.
 *   - Stores by several need order: atomics, or verso/lock.h.
 *   - After a kill, what the dead one was writing is half-written. verso/lock.h tells the next owner.
 *   - Members trust each other with the content, no further: what stands in a region is read once, checked, then used;
 *     no member can make this library touch memory outside the region. A hostile one can, on a full file system, punch
 *     holes that end in SIGBUS; the guard (verso/guard.h) answers that.
 *   - fork(): the child sees the content. It becomes a member of its own with its first call about the region; until
 *     then it does not count.
 */
#ifndef VERSO_SHARE_H
#define VERSO_SHARE_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

/* Opaque, so it may grow without an ABI break. */
struct verso_share;

enum verso_share_flags {
    VERSO_SHARE_HUGE = 1 << 0,    /* content in transparent huge pages where they can be had; verso_share_info() says */
    VERSO_SHARE_LOCK = 1 << 1,    /* keep the content in memory; counts against RLIMIT_MEMLOCK of each who asks */
    VERSO_SHARE_NO_CORE = 1 << 2, /* leave it out of this process's core dumps */
    /* Creation: the name stays when the last member has gone, and verso_share_collect() leaves it alone. */
    VERSO_SHARE_KEEP = 1 << 3,
    /* Attaching: for looking only. Such a reader is no member: not counted, no name to be found under, but a region
     * that is read is not collected. Needs no write permission. */
    VERSO_SHARE_READ_ONLY = 1 << 4,
    /* Attaching: the region may belong to anybody; else to this user or root. */
    VERSO_SHARE_ANY_OWNER = 1 << 5,
    /* Creation without a name: nobody but this process can ever write; the others attach READ_ONLY. Linux 5.1. */
    VERSO_SHARE_ONE_WRITER = 1 << 6,
};

#define VERSO_SHARE_KIND_BYTES 32

/* Start from VERSO_SHARE_OPTIONS_INIT; 0 always means the default. */
struct verso_share_options {
    size_t struct_bytes;
    unsigned flags; /* enum verso_share_flags */
    /* What the content is. Creation stores the three; attaching refuses a region that has others (NULL or 0: any). */
    const char *kind; /* at most 31 bytes */
    uint32_t version;
    uint64_t layout;     /* VERSO_SHARE_LAYOUT() of what lies in it */
    uint64_t most_bytes; /* creation: how far it may grow; 0: not at all. Address space and file size, no memory */
    unsigned mode;       /* creation: permission bits; 0: 0600. Others can't look into the directory of names: to share
                            * with other users give a path */
    unsigned member_count; /* creation: how many processes at once; 0: 64 */
    unsigned seat_count;   /* creation: how many threads at once that use locks or channels in it; 0: 256 */
    /* Creation: fills the content, zeros so far, before anybody can attach. What it answers other than 0, creation
     * answers, and there is no region. */
    int (*prepare)(void *data, uint64_t bytes, void *arg);
    void *prepare_arg;
};
#define VERSO_SHARE_OPTIONS_INIT                                                  \
    {                                                                             \
        sizeof(struct verso_share_options), 0, NULL, 0, 0, 0, 0, 0, 0, NULL, NULL \
    }

/* A number for options.layout that differs when a struct's size, alignment or version does. */
#define VERSO_SHARE_LAYOUT(type, version)                                                                            \
    ((uint64_t)(version)*UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)sizeof(type) << 8 ^ (uint64_t) __alignof__(type) ^ \
     (uint64_t)sizeof(long) << 48)

/* ---- Names ---- */

/**
 * verso_share_create() - make a region under a name
 * verso_share_attach() - become a member of one that is there
 * verso_share_open()   - attach, or create when there is none
 * @name:    1 to 200 bytes, not beginning with a dot: a file in /dev/shm/verso-UID, of this user alone. With a slash: a
 *           path, on a file system that can map files shared; closing goes there again, so it has to lead there then.
 *           VERSO_SHARE_DIRECTORY in the environment is used in place of /dev/shm/verso-UID.
 * @bytes:   of content, zeros; at least 1
 * @options: NULL for the defaults
 *
 * The region appears under its name all at once, filled and with all its memory: who attaches never meets a half-made
 * one. A region that its members left by dying stands in nobody's way: create takes its name away (so does open when it
 * is of another kind), unless it was made with KEEP.
 *
 * Units:   bytes.
 * Owns:    you own *out_share until verso_share_close(); untouched on failure.
 * Errors:  -EINVAL (a name that is none), -ENAMETOOLONG; VERSO_E_OPTIONS; VERSO_E_RANGE (0 bytes, or more than
 *          most_bytes); VERSO_E_OVERFLOW. Create: -EEXIST; -ENOSPC (/dev/shm is full); what prepare answers. Attach:
 *          -ENOENT; VERSO_E_FORMAT (too short, cut, damaged, not a region), VERSO_E_MACHINE (of another byte order,
 *          page size, or version of this library), VERSO_E_KIND (other kind, version or layout), VERSO_E_OWNER;
 *          -EUSERS (all places of members are taken); -EBUSY (a member that goes has been keeping the door for two
 *          seconds). Both: -EACCES, -EPERM, -ENOMEM, -EMFILE, -ENOLCK, -ELOOP (the name is a symbolic link).
 * Threads: any. One process may attach more than once.
 * Source:  open(2) O_TMPFILE, linkat(2), fallocate(2), fcntl(2) "Open file description locks".
 */
VERSO_API VERSO_MUST_CHECK int verso_share_create(const char *name, uint64_t bytes,
                                                  const struct verso_share_options *options,
                                                  struct verso_share **out_share);
VERSO_API VERSO_MUST_CHECK int verso_share_attach(const char *name, const struct verso_share_options *options,
                                                  struct verso_share **out_share);
VERSO_API VERSO_MUST_CHECK int verso_share_open(const char *name, uint64_t bytes,
                                                const struct verso_share_options *options,
                                                struct verso_share **out_share);

/**
 * verso_share_close() - leave; takes NULL, cannot fail
 *
 * The last member to leave takes the name away, unless the region was made with KEEP. Who came by a descriptor knows no
 * name, nor do readers take it away: then it stays until verso_share_collect() or the next creation. Locks of
 * verso/lock.h that threads of this process still hold in it count as left behind by the dead.
 *
 * May take two seconds where somebody who attaches or leaves is stopped in the middle of it.
 *
 * Threads: nobody else of this process may be using the region.
 */
VERSO_API void verso_share_close(struct verso_share *share);

/**
 * verso_share_remove() - take a region's name away, whoever is in it
 *
 * Members go on; nobody new can find it.
 *
 * Errors:  -ENOENT, -EINVAL, -ENAMETOOLONG; VERSO_E_FORMAT (what has that name is no region: it stays); VERSO_E_OWNER;
 *          -EBUSY (as attach), -EACCES.
 * Threads: any.
 */
VERSO_API int verso_share_remove(const char *name);

/* ---- Without a name ---- */

/**
 * verso_share_create_anonymous()  - make a region that only a descriptor leads to
 * verso_share_descriptor()        - it
 * verso_share_attach_descriptor() - become a member through one, from whoever it came
 * @fd: stays yours
 *
 * A sealed file of memory: nobody can shorten it under you, and it is gone with its last user. Attaching verifies that:
 * a file in memory that lacks the seals is refused.
 *
 * Owns:    as create; the descriptor belongs to @share: duplicate what you keep.
 * Errors:  as create and attach; VERSO_E_UNSEALED; of ONE_WRITER -EINVAL before Linux 5.1.
 * Threads: any.
 * Source:  memfd_create(2), fcntl(2) F_ADD_SEALS.
 */
VERSO_API VERSO_MUST_CHECK int verso_share_create_anonymous(uint64_t bytes, const struct verso_share_options *options,
                                                            struct verso_share **out_share);
VERSO_API int verso_share_descriptor(const struct verso_share *share);
VERSO_API VERSO_MUST_CHECK int verso_share_attach_descriptor(int fd, const struct verso_share_options *options,
                                                             struct verso_share **out_share);

/**
 * verso_share_send()    - hand a region to whoever is at the other end of a Unix socket
 * verso_share_receive() - take it, and become a member
 * @socket_fd: connected; stream, datagram or seqpacket. One byte travels with the descriptor
 *
 * Works with named regions, too.
 *
 * Errors:  what sendmsg(2) and recvmsg(2) answer; receive: -EPROTO (something else came; it has been taken off),
 *          -ECONNRESET (the other end is closed), and those of attach.
 * Threads: any.
 * Source:  unix(7) SCM_RIGHTS.
 */
VERSO_API VERSO_MUST_CHECK int verso_share_send(struct verso_share *share, int socket_fd);
VERSO_API VERSO_MUST_CHECK int verso_share_receive(int socket_fd, const struct verso_share_options *options,
                                                   struct verso_share **out_share);

/* ---- Content ---- */

/**
 * verso_share_data()  - where the content begins: on a page; with HUGE, on a huge page
 * verso_share_bytes() - how much there is now, by whomever it has been grown
 *
 * Owns:    the region; valid until verso_share_close(). Growing does not move it.
 * Errors:  none; of NULL, NULL and 0.
 * Threads: any.
 */
VERSO_API void *verso_share_data(const struct verso_share *share);
VERSO_API uint64_t verso_share_bytes(const struct verso_share *share);

/**
 * verso_share_grow() - more content, for all members at once
 * @bytes: the size wanted, in all; less than there is does nothing
 *
 * Nothing moves: the room is there from the beginning (most_bytes), this gives it memory. A process that dies here
 * leaves the region as it was.
 *
 * Errors:  VERSO_E_RANGE (beyond most_bytes); VERSO_E_READ_ONLY; -ENOSPC (nothing changed); -EBUSY (another member has
 *          been growing it for two seconds).
 * Threads: any.
 * Source:  fallocate(2).
 */
VERSO_API VERSO_MUST_CHECK int verso_share_grow(struct verso_share *share, uint64_t bytes);

/* ---- Pointers inside ---- */

/* The distance from itself to what it points to, 0: nothing. Copying one elsewhere makes it point elsewhere. */
struct verso_rel {
    int64_t distance_bytes;
};

/**
 * verso_rel_set() - make @rel point to @target (NULL: nothing), both in one region
 * verso_rel_get() - where it points; for regions whose members all are to be trusted
 */
static inline void verso_rel_set(struct verso_rel *rel, const void *target)
{
    rel->distance_bytes = target ? (int64_t)((uintptr_t)target - (uintptr_t)rel) : 0;
}
static inline void *verso_rel_get(const struct verso_rel *rel)
{
    return rel->distance_bytes ? (void *)((uintptr_t)rel + (uintptr_t)rel->distance_bytes) : NULL;
}

/**
 * verso_share_at() - where @rel points, if @bytes from there lie within the content
 * @align_bytes: a power of two that the address must be a multiple of; 1: any
 *
 * Reads the distance once: whoever changes it meanwhile changes nothing.
 *
 * Errors:  NULL when it points to nothing, or out of the content; no record.
 * Threads: any.
 */
VERSO_API void *verso_share_at(const struct verso_share *share, const struct verso_rel *rel, uint64_t bytes,
                               size_t align_bytes);

/* ---- Seeing ---- */

struct verso_share_info {
    size_t struct_bytes;
    char kind[VERSO_SHARE_KIND_BYTES];
    uint32_t version;
    uint64_t layout;
    uint64_t bytes;           /* of content */
    uint64_t most_bytes;      /* it may grow to */
    uint64_t file_bytes;      /* the file's size, sparse */
    uint64_t allocated_bytes; /* memory, or disk space, that it takes */
    uint64_t content_offset_bytes;
    int64_t created_ns;   /* since the epoch */
    int32_t creator;      /* its pid, where it was made */
    uint32_t owner;       /* the file's */
    unsigned mode;        /* its permission bits */
    unsigned flags;       /* KEEP, HUGE, ONE_WRITER: as made; of an attached one also as attached */
    unsigned member_room; /* member_count */
    unsigned members;     /* alive now */
    unsigned seat_room;
    unsigned seats;  /* in use now; 0 when only looked at by name */
    int has_readers; /* somebody has it attached READ_ONLY */
    int is_named;
    int was_abandoned;     /* when this process attached, no member was alive */
    const char *pages_why; /* why not huge pages; "" when they came, or were not asked for */
};
#define VERSO_SHARE_INFO_INIT                                                                            \
    {                                                                                                    \
        sizeof(struct verso_share_info), "", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, "" \
    }

/* A living member. */
struct verso_share_member {
    unsigned number;
    uint32_t generation; /* how many were in this place before, and this one */
    int32_t process;     /* its pid, as it sees it itself */
    uint32_t user;
    int64_t attached_ns;   /* since the epoch */
    int is_same_namespace; /* of pids: @process is its number here, too */
    char name[16];         /* of its program, as ps shows it */
};

/**
 * verso_share_info()    - what there is to know
 * verso_share_members() - who is there; @each may end the walk by answering other than 0, which is the answer then
 *
 * Errors:  VERSO_E_OPTIONS (struct_bytes); -EIO, -ENOLCK.
 * Threads: any.
 */
VERSO_API int verso_share_info(struct verso_share *share, struct verso_share_info *out_info);
VERSO_API int verso_share_members(struct verso_share *share,
                                  int (*each)(const struct verso_share_member *member, void *arg), void *arg);

/* A name and what stands behind it. */
struct verso_share_entry {
    const char *name;
    int error;                               /* not 0: it can't be looked at, or is no region; the rest is 0 */
    struct verso_share_info info;            /* as seen without attaching */
    int is_abandoned;                        /* no living member, no reader */
    int is_removed;                          /* verso_share_collect(): it was, and its name is gone */
    const struct verso_share_member *member; /* the living ones, info.members of them */
};

/**
 * verso_share_list()    - each region that has a name in this user's directory
 * verso_share_collect() - take away the names of those that were abandoned and not made with KEEP, and the remains of
 *                         creations that were killed; tells each region that was
 * verso_share_look()    - one region, by name or path
 *
 * Regions made by a path are not among them. @each may be NULL for collect. It may end the walk by answering other than
 * 0, which is the answer then.
 *
 * Owns:    entries are valid during the call of @each.
 * Errors:  -EACCES, -ENOMEM, -EMFILE; VERSO_E_OWNER (the directory is not this user's alone), -ENOTDIR; look: as
 *          attach. A directory that is not there has no regions.
 * Threads: any.
 */
VERSO_API int verso_share_list(int (*each)(const struct verso_share_entry *entry, void *arg), void *arg);
VERSO_API int verso_share_collect(int (*each)(const struct verso_share_entry *entry, void *arg), void *arg);
VERSO_API int verso_share_look(const char *name, int (*each)(const struct verso_share_entry *entry, void *arg),
                               void *arg);

VERSO_END_DECLS

#endif
