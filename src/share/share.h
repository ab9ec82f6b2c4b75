/* SPDX-License-Identifier: MIT */
/*
 * share.h (inner) - the layout of a region, who is in it, and how one waits for others who may die.
 *
 *   page 0          header: a constant part with a checksum, then what changes
 *   members         128 bytes each; written by the process that holds lock byte MEMBER_BYTE + number
 *   seats           a page each, given memory when first taken; one for each *thread* that holds locks or sends
 *   content
 *
 * Three things say who lives (docs/internals/shared-memory.md has the whole story):
 *
 *   lock byte       an OFD lock on a byte of the file, beyond its end. Taking it IS taking the place; the kernel lets
 *                   go of it when the process dies. Nobody decides anything by what stands in memory.
 *   pid and start   a second proof of death, for a process whose forked children still hold its open file
 *   life word       the last 8 bytes of a seat's page are a robust mutex that its thread holds: the kernel marks them
 *                   when the thread ends, and wakes who sleeps there
 *
 * Each can prove death, none of them life. Numbers and generations of others are read from memory that anybody may have
 * scribbled over: every call here takes any value and stays within the region.
 */
#ifndef VERSO_SRC_SHARE_H
#define VERSO_SRC_SHARE_H

#include "base/fail.h"
#include "os/os.h"

#include <stdatomic.h>
#include <verso/share.h>

/* ---- Layout: docs/internals/shared-memory.md, byte by byte ---- */

#define VERSO__SHARE_MAGIC UINT64_C(0x4552414853535256) /* "VRSSHARE" on a little-endian machine */
#define VERSO__SHARE_ORDER UINT32_C(0x01020304)
#define VERSO__SHARE_FORMAT 1

/* Which bytes of the file are locked for what; the file never gets there. Those that one open file may hold together
 * have a byte between them, so that the kernel keeps them apart. */
#define VERSO__SHARE_GATE_BYTE (UINT64_C(1) << 62)            /* shared: attaching; alone: removing the name */
#define VERSO__SHARE_GROW_BYTE (VERSO__SHARE_GATE_BYTE + 2)   /* alone: growing */
#define VERSO__SHARE_READER_BYTE (VERSO__SHARE_GATE_BYTE + 4) /* shared: attached READ_ONLY */
#define VERSO__SHARE_MEMBER_BYTE (VERSO__SHARE_GATE_BYTE + (UINT64_C(1) << 20)) /* + number, alone: a member */
#define VERSO__SHARE_SEAT_BYTE (VERSO__SHARE_GATE_BYTE + (UINT64_C(2) << 20))   /* + 2 * number, alone: a seat */

static inline uint64_t verso__share_seat_byte(uint32_t number)
{
    return VERSO__SHARE_SEAT_BYTE + (uint64_t)2 * number;
}

struct verso__share_header {
    uint64_t magic;
    uint32_t order;
    uint32_t format;
    uint64_t checksum; /* XXH3-64 of all from here to @changing */
    uint64_t file_bytes;
    uint64_t content_offset;
    uint64_t most_bytes;
    uint64_t members_offset;
    uint64_t seats_offset;
    uint32_t page_bytes;
    uint32_t member_count;
    uint32_t seat_count;
    uint32_t flags;
    uint32_t version;
    uint32_t creator;
    uint64_t layout;
    int64_t created_ns;
    char kind[VERSO_SHARE_KIND_BYTES];
    char reserved[120];
    /* ---- what changes ---- */
    _Atomic uint64_t bytes;      /* of content that has memory */
    _Atomic uint32_t seats_made; /* seats from 0 on that have memory */
    uint32_t padding;
};

struct verso__share_place {
    uint32_t process;
    uint32_t user;
    uint64_t start_ticks; /* with @process and @namespace: which process */
    uint64_t namespace;   /* of pids: its inode number */
    int64_t attached_ns;
    _Atomic uint32_t generation;
    uint32_t padding;
    char name[16];
    char reserved[72];
};

/* The beginning of a seat's page. */
struct verso__share_chair {
    _Atomic uint32_t generation;
    _Atomic uint32_t member; /* number + 1; 0: nobody sits here */
    _Atomic uint32_t member_generation;
    _Atomic uint32_t thread; /* as it sees its own id */
    _Atomic uint64_t thread_start_ticks;
    _Atomic uint32_t has_life;
    char reserved[36];
};

#define VERSO__SHARE_KEEP_OFFSET 64 /* in a seat's page: what lock and channel keep for it */
#define VERSO__SHARE_LIFE_BYTES 64  /* its last line is the life word's alone */

_Static_assert(sizeof(struct verso__share_header) == 272 && sizeof(struct verso__share_place) == 128 &&
                   sizeof(struct verso__share_chair) == VERSO__SHARE_KEEP_OFFSET,
               "what is documented byte by byte");

/* ---- A region, as this process has it ---- */

struct verso__share_sitting;

struct verso_share {
    struct verso_share *next;
    int fd;
    unsigned flags;
    char *path; /* NULL: none, or not known */
    unsigned char *base;
    size_t span_bytes;
    struct verso__share_header made; /* the constant part, as it was checked; never read again from memory */
    bool is_member;
    bool was_abandoned;
    uint32_t member;
    uint32_t member_generation;
    _Atomic unsigned forks; /* verso__os_forks() of the process that is the member; written after @fd and @member */
    const char *pages_why;
    struct verso__share_sitting *sittings; /* of threads of this process */
};

/*
 * A region of that kind for a look that nobody notices: mapped to be read, no member, no lock; the last member who
 * leaves meanwhile takes the name away as ever, and what is seen is then what was. Closed as any other. Errors of
 * verso_share_attach(), and the record.
 */
int verso__share_peek(const char *name, const char *kind, uint32_t version, struct verso_share **out_share);

/* ---- Seats ---- */

/* Who holds something: a seat, and which of those who sat there. */
struct verso__share_seat {
    struct verso_share *share;
    uint32_t number;
    uint32_t generation; /* 1 to 2^31 - 1 */
};

/* Where the thread was last; closing any region, and fork(), make a new epoch. */
struct verso__share_here {
    uintptr_t start;
    uintptr_t bytes;
    uint32_t epoch;
    struct verso__share_seat seat;
};
#define VERSO__SHARE_PLACES 4
extern _Thread_local
    __attribute__((tls_model("initial-exec"))) struct verso__share_here verso__share_here[VERSO__SHARE_PLACES];
extern _Atomic uint32_t verso__share_epoch;

/* As verso__share_seat_of(), the long way. */
int verso__share_seat_find(const void *address, const struct verso__share_seat **out_seat);

/* The calling thread's seat, where it has been last; NULL: it must be looked for. */
static inline const struct verso__share_seat *verso__share_seat_here(const void *address)
{
    const struct verso__share_here *here = &verso__share_here[0];

    if (__builtin_expect((uintptr_t)address - here->start < here->bytes &&
                             here->epoch == atomic_load_explicit(&verso__share_epoch, memory_order_relaxed),
                         1))
        return &here->seat;
    return NULL;
}

/*
 * The calling thread's seat in the region that holds @address in its content; takes one when it has none. It keeps it
 * until it ends or the region is closed; the answer is valid until the thread's next call here about another region.
 * VERSO_E_RANGE: in no region's content; VERSO_E_READ_ONLY; -EUSERS: all seats (or places of members, after fork) are
 * taken; -ENOSPC, -ENOMEM, -ENOLCK. Fills no record. No system call when the thread has been there lately.
 */
static inline int verso__share_seat_of(const void *address, const struct verso__share_seat **out_seat)
{
    const struct verso__share_seat *seat = verso__share_seat_here(address);

    if (seat) {
        *out_seat = seat;
        return 0;
    }
    return verso__share_seat_find(address, out_seat);
}

/*
 * What lock and channel keep in a seat's page, *out_bytes of it; NULL when there is no such seat. The first half is the
 * lock's, the second the channel's. The sitter writes, others read, and finish what the dead have begun: so who sits
 * down finds what was left there. Tag it with the generation.
 */
void *verso__share_seat_keep(const struct verso_share *share, uint32_t number, size_t *out_bytes);

/* ---- Death ---- */

/*
 * True is proof: who sat there has ended, or has left; false, that nothing is known of it. Seats, generations: any
 * value. The first reads memory alone: true as soon as the kernel has marked a death. The second looks at all there is,
 * with some 0.5 us of system calls, 20 us where that is not enough.
 */
bool verso__share_seat_is_marked(const struct verso__share_seat *seat);
bool verso__share_seat_is_dead(const struct verso__share_seat *seat);

/* The same of a whole process, by its place as a member: one that lives on when the thread that sat somewhere has
 * ended.
 */
bool verso__share_member_is_dead(const struct verso_share *share, uint32_t number, uint32_t generation);

/* Who has, or had, that place as a member, alive or dead. Any values; -ESRCH: it has gone to another one since. */
int verso__share_member_describe(const struct verso_share *share, uint32_t number, uint32_t generation,
                                 struct verso_share_member *out_member);

/* Which place this process has; and whose a seat is. Errors as verso__share_seat_of(); -ESRCH: nobody's. */
int verso__share_member_here(struct verso_share *share, uint32_t *out_number, uint32_t *out_generation);
int verso__share_seat_member(const struct verso__share_seat *seat, uint32_t *out_number, uint32_t *out_generation);

/* A descriptor that can be read from once the process of that member has ended. -ESRCH: it has, or is this one;
 * -EXDEV: ids mean something else there; -ENOSYS, -EMFILE. */
int verso__share_member_open(const struct verso_share *share, uint32_t number, uint32_t generation, int *out_fd);

/* ---- The directory of names ---- */

/* How names begin that other modules give to sockets there; verso_share_collect() takes those away that nobody has. */
#define VERSO__SHARE_BELL ".bell-"

/* The directory, as a PLACE, when it is this user's alone; @make: made first. -ENOENT, VERSO_E_OWNER, -ENOTDIR. */
int verso__share_open_directory(bool make, int *out_fd);

/* ---- Waiting ---- */

/*
 * Sleeps as long as *@word is @expected, nobody wakes, all of @seats (up to WATCHED_MAX) seem to live, and @deadline_ns
 * is ahead. 0: look again, also for no reason at all; -ETIMEDOUT; -EOWNERDEAD: one of the seats is dead, for
 * verso__share_seat_is_dead() to say which; else what the kernel refused. A death ends the sleep at once where the
 * kernel can tell of it, after 100 ms at the latest.
 */
#define VERSO__SHARE_WATCHED_MAX 127
int verso__share_wait(const _Atomic uint32_t *word, uint32_t expected, const struct verso__share_seat *seats,
                      size_t count, uint64_t deadline_ns);

/* Wakes up to @count of those who sleep at a word in shared memory. */
static inline void verso__share_wake(const _Atomic uint32_t *word, unsigned count)
{
    verso__os_futex_wake(word, count, VERSO__OS_FUTEX_SHARED);
}

/* ---- Regions ---- */

/* The region that holds @address anywhere in its mapping, which nobody may be closing; takes no seat. VERSO_E_RANGE:
 * none; after fork() what becoming a member answers. */
int verso__share_of(const void *address, struct verso_share **out_share);

#endif
