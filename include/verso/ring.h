/* SPDX-License-Identifier: MIT */
/*
 * ring.h - a byte ring between two threads, in which every span is contiguous.
 *
 *     memory     |0123456789abcdef|                            one piece of memory,
 *     addresses  |0123456789abcdef|0123456789abcdef|           mapped twice, side by side
 *                             [cdef0123]                       a span that runs over the end just goes on
 *
 * One thread produces, one consumes, and neither takes a lock:
 *
 *     verso_ring_wait_room(ring, 1, -1);                       verso_ring_wait_data(ring, 1, -1);
 *     verso_ring_reserve(ring, 1, &room, &room_bytes);         verso_ring_peek(ring, 1, &data, &bytes);
 *     ssize_t n = read(socket, room, room_bytes);              size_t used = parse(data, bytes);
 *     verso_ring_commit(ring, (size_t)n);                      verso_ring_consume(ring, used);
 *
 * What is committed becomes visible all at once, in order. Nothing is copied, and a record that wraps is parsed in
 * place. A ring that is full or empty is -EAGAIN; waiting is a call of its own, sleeps in the kernel, and takes a time
 * limit. Where nobody sleeps, no call here makes a system call.
 *
 * Caveats, most bitten first:
 *   - One producer and one consumer at a time (they may be the same thread). A side may pass from thread to thread when
 *     the program orders it, by a lock or a join. Two producers at once corrupt the ring, and nothing can tell in time;
 *     a library built with ThreadSanitizer (./dev test tsan) reports the race, as each side's own fields are plain.
 *   - A span is yours until you commit or consume it, and no longer: consumed bytes are overwritten.
 *   - Ring positions have no alignment but the one you keep up: commit multiples of 8, or use records.
 *   - fork() gives the child no ring: there every call answers VERSO_E_RANGE, and the memory is gone. Two processes
 *     that share counters must not trust each other's; that is another job.
 *   - All memory is taken when the ring is opened, so that no store can fail later: a ring as large as it needs to be
 *     stays in the processor's cache, a larger one does not (64 KiB to 1 MiB serve most).
 */
#ifndef VERSO_RING_H
#define VERSO_RING_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

/* Opaque, so it may grow without an ABI break. */
struct verso_ring;

enum verso_ring_flags {
    /* Huge pages where they can be had: hugetlb, else THP, else base; verso_ring_info() says. The capacity is rounded
     * up to whole huge pages, whichever come. */
    VERSO_RING_HUGE = 1 << 0,
    VERSO_RING_LOCK = 1 << 1,    /* keep it in memory; counts once against RLIMIT_MEMLOCK */
    VERSO_RING_NO_CORE = 1 << 2, /* leave its content out of core dumps */
};

/* Start from VERSO_RING_OPTIONS_INIT; 0 always means the default. */
struct verso_ring_options {
    size_t struct_bytes;
    const char *name; /* shown in /proc/PID/maps; NULL: "verso" */
    unsigned flags;   /* enum verso_ring_flags */
};
#define VERSO_RING_OPTIONS_INIT                    \
    {                                              \
        sizeof(struct verso_ring_options), NULL, 0 \
    }

/**
 * verso_ring_open()  - make a ring
 * verso_ring_close() - give its memory back; takes NULL, cannot fail
 * @capacity_bytes: how much it holds at least; rounded up to whole pages, which need not be a power of two
 *
 * Costs the memory, twice the address space, five mappings, and time: some 35 us for 64 KiB, 360 us for a MiB. The
 * memory is a sealed file without a name (memfd) that no descriptor is left of. The first ring of a process that
 * already has threads takes 10 to 25 ms once, to prepare sleeping without cost to the other side (membarrier).
 *
 * Owns:    you own *out_ring until verso_ring_close(); every pointer into it is invalid afterwards. In a child of
 *          fork() close only forgets.
 * Errors:  VERSO_E_RANGE (0 bytes); VERSO_E_OVERFLOW (more than can be addressed twice); VERSO_E_OPTIONS (unknown
 *          flags); -ENOMEM, -ENOSPC (so much memory can't be had); -EMFILE; -EFBIG (ulimit -f holds for files of
 *          memory, too); with LOCK -ENOMEM, -EAGAIN, -EPERM (ulimit -l); -errno of memfd_create, ftruncate, fallocate,
 *          mmap, madvise.
 * Threads: any; close when neither side uses it any more.
 * Source:  mmap(2), MAP_FIXED; memfd_create(2); membarrier(2); cost in `./dev bench ring`.
 */
VERSO_API VERSO_MUST_CHECK int verso_ring_open(uint64_t capacity_bytes, const struct verso_ring_options *options,
                                               struct verso_ring **out_ring);
VERSO_API void verso_ring_close(struct verso_ring *ring);

/** verso_ring_capacity_bytes() - how much it holds, in bytes; 0 in a child of fork(). Any thread. */
VERSO_API size_t verso_ring_capacity_bytes(const struct verso_ring *ring);

/* ---- Spans: nothing is copied ---- */

/**
 * verso_ring_reserve() - room to write into: at least @least_bytes, contiguous
 * verso_ring_commit()  - the first @bytes of what is reserved are data now
 * @least_bytes: 0 counts as 1; at most the capacity
 * @out_data:    where to write; stays the same until something is committed
 * @out_bytes:   all room there is; NULL: only @least_bytes are reserved, which is cheaper: the other side is not looked
 *               at as long as the room seen before is enough
 *
 * A reservation costs nothing, and needs not be committed; another one replaces it. What is reserved may be committed
 * in parts, front to back.
 *
 * Errors:  reserve: -EAGAIN (not so much room: it is as good as full); VERSO_E_RANGE (more than the capacity; or in a
 *          child of fork()); -EPIPE (shut down). commit: VERSO_E_RANGE (more than is reserved; nothing is committed).
 * Threads: the producer's.
 * Source:  Lamport, "Specifying Concurrent Program Modules", 1983, for the two counters.
 */
VERSO_API VERSO_MUST_CHECK int verso_ring_reserve(struct verso_ring *ring, size_t least_bytes, void **out_data,
                                                  size_t *out_bytes);
VERSO_API int verso_ring_commit(struct verso_ring *ring, size_t bytes);

/**
 * verso_ring_peek()    - the oldest data: at least @least_bytes, contiguous
 * verso_ring_consume() - the first @bytes of what was peeked are done with; their room is the producer's
 * @least_bytes, @out_data, @out_bytes: as of verso_ring_reserve(). What is peeked may be changed in place.
 *
 * Errors:  peek: -EAGAIN (not so much data: it is as good as empty); -EPIPE (and never will be: it was shut down; less
 *          than @least_bytes may be left); VERSO_E_RANGE (more than the capacity; or in a child of fork()). consume:
 *          VERSO_E_RANGE (more than was peeked; nothing is consumed).
 * Threads: the consumer's.
 */
VERSO_API VERSO_MUST_CHECK int verso_ring_peek(struct verso_ring *ring, size_t least_bytes, void **out_data,
                                               size_t *out_bytes);
VERSO_API int verso_ring_consume(struct verso_ring *ring, size_t bytes);

/* ---- Waiting, and the end ---- */

/**
 * verso_ring_wait_room() - until that much can be reserved
 * verso_ring_wait_data() - until that much can be peeked
 * @least_bytes: 0 counts as 1
 * @timeout_ms:  how long at most; 0: don't; negative: for ever
 *
 * Looks for some 2 us, then sleeps in the kernel and uses no processor until the other side has done enough. Signals
 * don't end the wait (their handlers run, and may call verso_ring_shutdown()).
 *
 * Errors:  -ETIMEDOUT; -EPIPE (shut down: of data, when less than @least_bytes is left); VERSO_E_RANGE (more than the
 *          capacity: that never comes; or in a child of fork()); -errno of futex or membarrier, where seccomp forbids
 *          them.
 * Threads: room the producer's, data the consumer's.
 * Source:  futex(2), FUTEX_WAIT_BITSET; membarrier(2); Karlin et al., "Competitive Randomized Algorithms for
 *          Non-Uniform Problems", 1990, for how long to look.
 */
VERSO_API VERSO_MUST_CHECK int verso_ring_wait_room(struct verso_ring *ring, size_t least_bytes, int timeout_ms);
VERSO_API VERSO_MUST_CHECK int verso_ring_wait_data(struct verso_ring *ring, size_t least_bytes, int timeout_ms);

/**
 * verso_ring_shutdown() - no more data: nothing can be reserved, who waits is woken, what is in the ring can be read
 *
 * Called by the producer after its last commit, the consumer gets every byte and then -EPIPE. Called by anybody else,
 * it says "stop": what the producer commits at that very moment may or may not be read. Takes NULL; cannot fail; a
 * second time does nothing. There is no way back.
 *
 * Errors:  none.
 * Threads: any. Async-signal-safe.
 */
VERSO_API void verso_ring_shutdown(struct verso_ring *ring);

/* ---- Copies ---- */

/**
 * verso_ring_write() - copy all of @bytes in, or nothing
 * verso_ring_read()  - copy out what there is, at most @room_bytes
 * @out_bytes: how many bytes were copied: at least 1, but 0 for a @room_bytes of 0
 *
 * They replace a reservation, or a peek, that stands.
 *
 * Errors:  as verso_ring_reserve() and verso_ring_peek().
 * Threads: write the producer's, read the consumer's.
 */
VERSO_API VERSO_MUST_CHECK int verso_ring_write(struct verso_ring *ring, const void *data, size_t bytes);
VERSO_API VERSO_MUST_CHECK int verso_ring_read(struct verso_ring *ring, void *out_data, size_t room_bytes,
                                               size_t *out_bytes);

/* ---- Records: messages that stay whole ---- */

/*
 *     |length : 8 bytes, native|content ... |up to 7 bytes unused|length|...
 *                              ^ 8-byte aligned, contiguous
 *
 * A ring carries either plain bytes or records. A record takes its length rounded up to 8, and 8 more.
 */

/**
 * verso_ring_record_reserve() - room for a record of up to @bytes (may be 0) of content
 * verso_ring_record_commit()  - the reserved record is whole, and @bytes long: no longer than reserved
 * @out_data: where the content goes; aligned to 8 bytes
 *
 * Errors:  reserve: as verso_ring_reserve(); VERSO_E_RANGE for a record that the ring can't hold, or when what was
 *          committed before were no records. commit: VERSO_E_RANGE (nothing reserved, or less).
 * Threads: the producer's.
 */
VERSO_API VERSO_MUST_CHECK int verso_ring_record_reserve(struct verso_ring *ring, size_t bytes, void **out_data);
VERSO_API int verso_ring_record_commit(struct verso_ring *ring, size_t bytes);

/**
 * verso_ring_record_peek()    - the oldest record, whole and in place
 * verso_ring_record_consume() - it is done with
 *
 * Since a record is committed at once, verso_ring_wait_data(ring, 1, ...) waits for the next.
 *
 * Errors:  peek: -EAGAIN (none there), -EPIPE (none will be), VERSO_E_RANGE (what is there is no record). consume:
 *          VERSO_E_RANGE (none was peeked).
 * Threads: the consumer's.
 */
VERSO_API VERSO_MUST_CHECK int verso_ring_record_peek(struct verso_ring *ring, void **out_data, size_t *out_bytes);
VERSO_API int verso_ring_record_consume(struct verso_ring *ring);

/* ---- What it is, and what has gone through it ---- */

/* Which pages hold it. */
enum verso_ring_pages {
    VERSO_RING_PAGES_BASE = 1,
    VERSO_RING_PAGES_THP,     /* huge pages were asked for and came: seen in the page table */
    VERSO_RING_PAGES_HUGETLB, /* from the reserved pool */
};

/* Initialise struct_bytes by VERSO_RING_INFO_INIT. */
struct verso_ring_info {
    size_t struct_bytes;
    uint64_t capacity_bytes;
    uint64_t used_bytes;    /* committed and not yet consumed */
    uint64_t written_bytes; /* committed since open */
    uint64_t read_bytes;    /* consumed since open */
    uint64_t room_sleeps;   /* how often the producer had to sleep: the consumer is slower, or the ring too small */
    uint64_t data_sleeps;   /* how often the consumer had to */
    enum verso_ring_pages pages;
    const char *pages_why; /* why not larger pages; "" when got as asked */
    const char *barrier;   /* how sleepers are noticed: "membarrier" costs the mover nothing, "fence" some ns a call */
    int is_shut_down;
    unsigned flags; /* enum verso_ring_flags in effect */
};
#define VERSO_RING_INFO_INIT                                                                  \
    {                                                                                         \
        sizeof(struct verso_ring_info), 0, 0, 0, 0, 0, 0, VERSO_RING_PAGES_BASE, "", "", 0, 0 \
    }

/**
 * verso_ring_info() - what was got, and the counts so far
 *
 * Owns:    strings are constants.
 * Errors:  VERSO_E_OPTIONS when out_info->struct_bytes was not set.
 * Threads: any. The counts are of a moment that has passed.
 */
VERSO_API int verso_ring_info(const struct verso_ring *ring, struct verso_ring_info *out_info);

VERSO_END_DECLS

#endif
