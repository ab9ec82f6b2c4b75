/* SPDX-License-Identifier: MIT */
/*
 * channel.h (inner) - a ring of messages in shared memory; docs/internals/channel.md has each byte and each step.
 *
 *     content    |plan |lane 0: bells, counters, places|lane 1 ...|ring 0        |ring 1 ...
 *     a mapping of its own                                        |ring 0        |ring 0 again|
 *
 * Headers of records are the truth, counters are hints that may lag: whoever may die between two steps is anybody, and
 * whoever comes next walks on over the headers that are there. What others can write is loaded once, checked, then
 * used; own positions are kept in private memory, and the shared ones only published.
 */
#ifndef VERSO_SRC_CHANNEL_H
#define VERSO_SRC_CHANNEL_H

#include "base/fail.h"
#include "share/share.h"

#include <stdatomic.h>
#include <verso/channel.h>
#include <verso/lock.h>

/* ---- Layout ---- */

#define VERSO__CHANNEL_KIND "verso channel"
#define VERSO__CHANNEL_VERSION 1
#define VERSO__CHANNEL_PLACES 63
#define VERSO__CHANNEL_SERVED 256

struct verso__channel_plan {
    uint64_t checksum; /* XXH3-64 of what follows */
    uint32_t kind;
    uint32_t full;
    uint32_t flags;
    uint32_t header_bytes;
    uint64_t capacity_bytes;
    uint32_t writers_most;
    uint32_t readers_most;
    uint32_t clients_most;
    uint32_t zero;
    uint64_t answers_bytes;
    uint64_t ring_offset;
    uint64_t lanes_offset;
    uint64_t lane_bytes;
    uint64_t reserved[6];
};

/* How often somebody had to sleep, and whether it does: for who looks at it. */
struct verso__channel_sleeps {
    _Atomic uint64_t count;
    _Atomic uint64_t is_asleep;
};

/* Whose an end is: the member's number + 1, and its generation in the upper half; 0: nobody's. Of seats the same. */
struct verso__channel_writer_place {
    _Atomic uint64_t owner;
    _Atomic uint64_t seat; /* of the thread that opened it */
    _Atomic uint64_t sent;
    _Atomic uint64_t sent_bytes;
    _Atomic uint64_t dropped;
    struct verso__channel_sleeps sleeps;
    _Atomic uint64_t bell; /* not 0: there is a name to ring at, which must go with its owner */
    uint64_t reserved[8];
};

struct verso__channel_reader_place {
    _Atomic uint64_t owner;
    _Atomic uint64_t seat;
    struct verso__channel_sleeps sleeps;
    _Atomic uint64_t serial; /* how many had been opened, and this one: tells it from who is here later */
    _Atomic uint64_t bell;
    uint64_t reserved[10];
    _Atomic uint64_t position; /* all before it is released */
    _Atomic uint64_t passed;   /* all before it counts as received */
    _Atomic uint64_t received;
    _Atomic uint64_t received_bytes;
    _Atomic uint64_t lost;
    uint64_t reserved_too[11];
};

/* Somebody sleeps, or is about to: bit 0. Above it, how often it was rung. */
struct verso__channel_bell {
    _Alignas(128) _Atomic uint32_t word;
    _Atomic uint32_t fences; /* 1: a process that uses this lane has no membarrier */
    _Atomic uint64_t wanted; /* of the room's: the reader's position that is waited for */
    _Atomic uint64_t armed;  /* bits of places: a descriptor is to be made readable (poll.c) */
};

struct verso__channel_lane {
    _Alignas(128) struct verso_mutex claim;
    _Atomic uint64_t tail;
    uint64_t padding;
    _Atomic uint64_t number;

    _Alignas(128) struct verso_mutex take;
    _Atomic uint64_t next;
    _Atomic uint64_t head;
    _Atomic uint64_t oldest; /* in a line that hardly ever changes: readers look at it for each message */

    struct verso__channel_bell data_bell;
    struct verso__channel_bell room_bell;

    _Alignas(128) _Atomic uint64_t opened_writers;
    _Atomic uint64_t dead_writers;
    _Atomic uint64_t opened_readers;
    _Atomic uint64_t dead_readers;
    _Atomic uint64_t given_up;
    _Atomic uint64_t lost_held;
    _Atomic uint64_t dropped_oldest;
    _Atomic uint64_t asked; /* lanes of answers: the number of the last request */
    uint64_t reserved[56];

    _Alignas(128) struct verso__channel_writer_place writers[VERSO__CHANNEL_PLACES];
    _Alignas(128) struct verso__channel_reader_place readers[VERSO__CHANNEL_PLACES];

    /* Lanes of answers: who received the last so many requests, each at its number: ask.c */
    _Alignas(128) _Atomic uint64_t served[VERSO__CHANNEL_SERVED];
};

_Static_assert(sizeof(struct verso__channel_plan) == 128 && sizeof(struct verso__channel_writer_place) == 128 &&
                   sizeof(struct verso__channel_reader_place) == 256 &&
                   offsetof(struct verso__channel_lane, take) == 128 &&
                   offsetof(struct verso__channel_lane, oldest) == 152 &&
                   offsetof(struct verso__channel_lane, data_bell) == 256 &&
                   offsetof(struct verso__channel_lane, room_bell) == 384 &&
                   offsetof(struct verso__channel_lane, opened_writers) == 512 &&
                   offsetof(struct verso__channel_lane, writers) == 1024 &&
                   offsetof(struct verso__channel_lane, readers) == 9088 &&
                   offsetof(struct verso__channel_lane, served) == 25216,
               "what is documented byte by byte");

/* ---- Headers of records ---- */

enum verso__channel_state {
    VERSO__CHANNEL_NOTHING = 0,
    VERSO__CHANNEL_RESERVED,
    VERSO__CHANNEL_COMMITTED,
    VERSO__CHANNEL_VOID,
    VERSO__CHANNEL_TAKEN,
    VERSO__CHANNEL_DONE,
};

#define VERSO__CHANNEL_HEADER_BYTES 8
#define VERSO__CHANNEL_NUMBERED_BYTES 16 /* of a BROADCAST: with the number behind it */

static inline uint64_t verso__channel_header(enum verso__channel_state state, uint32_t place, size_t bytes)
{
    return (uint64_t)state | (uint64_t)place << 16 | (uint64_t)bytes << 32;
}
static inline unsigned verso__channel_state(uint64_t header)
{
    return (unsigned)header & 0xff;
}
static inline uint32_t verso__channel_place(uint64_t header)
{
    return (uint32_t)(header >> 16) & 0xffff;
}
static inline size_t verso__channel_length(uint64_t header)
{
    return (size_t)(header >> 32);
}

/* ---- The ways to receive: who moves what, and under which lock ---- */

struct verso__channel_side;
struct verso__channel_others;

struct verso__channel_way {
    unsigned wakes; /* how many readers a message wakes: one where one gets it, else all */

    /* The public calls; arguments were checked, and that this is not a child of fork(). Release: something is held.
     * Those of the direct way are NULL: they are the public calls' own bodies. */
    int (*receive)(struct verso_channel_reader *reader, int timeout_ms, struct verso_channel_message *out_messages,
                   size_t room, size_t *out_count);
    int (*read)(struct verso_channel_reader *reader, void *out_data, size_t room_bytes, int timeout_ms,
                struct verso_channel_message *out_message);
    int (*release)(struct verso_channel_reader *reader);

    /* Whether there is something to receive: 0, -EAGAIN, VERSO_E_CORRUPT. Another reader may be faster. */
    int (*look)(struct verso_channel_reader *reader);
    /* The lock under which places of readers are taken, given up, and taken over. */
    struct verso_mutex *(*readers_lock)(struct verso__channel_lane *lane);
    /* Under that lock, before the place counts as taken: where it begins. */
    int (*settle)(struct verso_channel_reader *reader, const struct verso_channel_end *end);
    /* Under that lock, before the place is free: what a dead reader had. */
    int (*bury)(struct verso__channel_side *side, uint32_t place);

    /* All before it is free, as far as that is published. Any value: whoever asks checks. */
    uint64_t (*head)(const struct verso__channel_side *side);
    /* Moves that head, where a writer may do so itself: one without room for @span, under the claim's lock if it is not
     * alone. NULL: only readers do. */
    int (*make_room)(struct verso_channel_writer *writer, uint64_t tail, uint64_t span);
    /* Whether it could, for who looks without the lock: 0 or -EAGAIN. NULL: when the head says so. */
    int (*may_have_room)(const struct verso_channel_writer *writer, uint64_t tail, uint64_t span);
};
extern const struct verso__channel_way verso__channel_direct;                         /* receive.c */
extern const struct verso__channel_way verso__channel_taken, verso__channel_dropping; /* take.c */
extern const struct verso__channel_way verso__channel_each;                           /* each.c */

/* ---- A channel, as this process has it ---- */

/* A ring, mapped twice side by side. */
struct verso__channel_mapped {
    unsigned char *ring;
    void *span; /* and pages behind it that nobody may touch */
    size_t span_bytes;
};

/* To one who was armed: a connected socket, kept. */
struct verso__channel_line {
    struct verso__channel_line *next;
    uint32_t lane;
    uint32_t place;
    bool is_reader;
    int fd; /* -1: not open */
};

struct verso__channel_poll;

struct verso_channel {
    struct verso_share *share;
    struct verso__channel_plan plan; /* as it was checked; never read again from memory */
    const struct verso__channel_way *way;
    struct verso__channel_lane *lane; /* the first; writers and readers have one of their own to go by */
    struct verso__channel_mapped ring;
    struct verso__channel_mapped *answers; /* of lanes 1 to clients_most, mapped when first needed */
    uint64_t bytes_most;
    uint64_t device; /* with @inode: the region's file */
    uint64_t inode;
    unsigned forks; /* verso__os_forks() where it was attached */
    bool has_barrier;
    /* Under verso__channel_lists_lock(), as what of @answers is mapped: */
    struct verso__channel_line *lines;
    struct verso_channel_writer *writers;
    struct verso_channel_reader *readers;
    struct verso_channel_client *clients;
};

/* Of all channels of this process. A child of fork() finds it free, whichever thread of its parent had it. */
void verso__channel_lists_lock(void);
void verso__channel_lists_unlock(void);

/* What writers and readers have in common: a lane, a place in it, and how to wait there. */
struct verso__channel_side {
    struct verso_channel *channel;
    const struct verso__channel_way *way;
    struct verso__channel_lane *lane;
    unsigned char *ring;
    uint64_t mask;
    uint64_t bytes_most;
    uint32_t header_bytes;
    bool is_overwritten; /* while others may be reading: each, and the oldest are dropped */
    uint32_t full;       /* enum verso_channel_full */
    uint32_t flags;      /* of the plan */
    uint32_t writers_most;
    uint32_t readers_most;
    uint32_t place;
    unsigned forks;       /* verso__os_forks() where it was opened */
    uint64_t look_ns;     /* how long to look before sleeping */
    unsigned yields_off;  /* so many waits go by without yielding */
    uint64_t deaths_told; /* of the other side: the lane's count when its owner was last told */
    uint64_t looked_ns;   /* when the other side's places were looked through, by one who does not sleep */
    uint64_t asked_ns;    /* the same, thoroughly */
    /* Of requests and answers: who is waited for, in place of the lane's other side. 0, or what to tell. */
    int (*see)(struct verso__channel_side *side, bool is_thorough, struct verso__channel_others *out_others);
    void *see_arg;
};

struct verso_channel_writer {
    struct verso__channel_side side;
    struct verso__channel_writer_place *own;
    bool is_alone;   /* nobody else may write to this lane: no lock */
    uint64_t tail;   /* alone: where the next record begins */
    uint64_t head;   /* as last seen */
    uint64_t number; /* the next message's: alone, or under the claim's lock */
    uint64_t sent;   /* the counts at its place */
    uint64_t sent_bytes;
    bool has_reserved;
    uint64_t reserved_at;
    size_t reserved_bytes;
    uint64_t refused_span; /* for which the last wait for room found none; 0: it did */
    struct verso__channel_poll *poll;
    struct verso_channel_writer *next;
};

struct verso_channel_reader {
    struct verso__channel_side side;
    struct verso__channel_reader_place *own;
    uint64_t position;
    uint64_t held_bytes; /* of the ring, from position on: received and not released */
    uint64_t received;
    uint64_t received_bytes;
    uint32_t tag;                          /* which server this is; 0: nobody asks in this channel */
    uint64_t answering;                    /* whom */
    struct verso_channel_writer **answers; /* to each client that it has answered, by lane */
    /* Each. */
    uint64_t number; /* of the next message, when none is lost */
    uint64_t missed; /* before that number, and not told of */
    uint64_t lost;
    uint64_t held_messages;
    uint64_t held_content; /* in bytes */
    struct verso__channel_poll *poll;
    struct verso_channel_reader *next;
};

static inline _Atomic uint64_t *verso__channel_at(const struct verso__channel_side *side, uint64_t position)
{
    return (_Atomic uint64_t *)(void *)(side->ring + (position & side->mask));
}

static inline uint64_t verso__channel_capacity(const struct verso__channel_side *side)
{
    return side->mask + 1;
}

/* A BROADCAST's records have a number, behind the header: all that were claimed to be messages. */
static inline bool verso__channel_is_numbered(const struct verso__channel_side *side)
{
    return side->header_bytes == VERSO__CHANNEL_NUMBERED_BYTES;
}

#define VERSO__CHANNEL_NO_NUMBER UINT64_MAX /* what is left over of a reservation */

static inline uint64_t verso__channel_number(const struct verso__channel_side *side, uint64_t position)
{
    return atomic_load_explicit(verso__channel_at(side, position) + 1, memory_order_relaxed);
}

static inline bool verso__channel_has_number(const struct verso__channel_side *side, uint64_t position, uint64_t span)
{
    return verso__channel_is_numbered(side) && span >= VERSO__CHANNEL_NUMBERED_BYTES &&
           verso__channel_number(side, position) != VERSO__CHANNEL_NO_NUMBER;
}

/* What a message takes. */
static inline uint64_t verso__channel_span(const struct verso__channel_side *side, size_t length_bytes)
{
    return ((uint64_t)length_bytes + side->header_bytes + 7) & ~UINT64_C(7);
}

/* What is skipped has no more than a header's 8 bytes before it, whatever it was. */
static inline uint64_t verso__channel_void(uint32_t place, uint64_t span)
{
    return verso__channel_header(VERSO__CHANNEL_VOID, place, (size_t)span - VERSO__CHANNEL_HEADER_BYTES);
}

/* A record that could be one: its span, or 0. */
static inline uint64_t verso__channel_span_of(const struct verso__channel_side *side, uint64_t header)
{
    bool is_void = verso__channel_state(header) == VERSO__CHANNEL_VOID;
    uint64_t front = is_void ? VERSO__CHANNEL_HEADER_BYTES : side->header_bytes;
    uint64_t span = (verso__channel_length(header) + front + 7) & ~UINT64_C(7);

    return span <= side->mask + 1 - VERSO__CHANNEL_HEADER_BYTES ? span : 0;
}

/* A counter that only its owner writes. */
static inline void verso__channel_publish(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

/* ---- places.c: who is there, and what the dead leave ---- */

/* This process as an owner of places, and the calling thread's seat. Errors of verso__share_seat_of(). */
int verso__channel_who(struct verso_channel *channel, uint64_t *out_owner, uint64_t *out_seat);

/*
 * One side of @side's lane, added to @out_others: how many live, and whom to watch. Puts in order what the dead left,
 * and counts them. Who is not marked as dead by the kernel is asked about only when @is_thorough: that takes some 10 us
 * for each.
 */
struct verso__channel_others {
    unsigned alive;
    size_t seat_count;
    bool is_unsure; /* some can't be watched, so look again soon */
    struct verso__share_seat seats[2 * VERSO__CHANNEL_PLACES];
};
void verso__channel_see_nobody(struct verso__channel_others *out_others);
int verso__channel_see_writers(struct verso__channel_side *side, bool is_thorough,
                               struct verso__channel_others *out_others);
int verso__channel_see_readers(struct verso__channel_side *side, bool is_thorough,
                               struct verso__channel_others *out_others);

#define VERSO__CHANNEL_MOMENT_MS 100 /* a holder that is not running, on a busy machine */
#define VERSO__CHANNEL_KEPT_MS 2000

/*
 * The claim's lock, and the taking's. Nothing needs repair after a dead owner: headers are the truth. The living hold
 * one for moments; who keeps it, or writes a name into it, stops the channel, and nobody who has a time limit.
 *
 * lock_for: as @timeout_ms says, but a moment at least: -EAGAIN, -ETIMEDOUT. lock: -EBUSY after two seconds. Both:
 * VERSO_E_CORRUPT when it has the name of the calling thread; what taking a seat answers. The record is filled.
 */
int verso__channel_lock_for(struct verso_mutex *mutex, int timeout_ms);
int verso__channel_lock(struct verso_mutex *mutex);
void verso__channel_unlock(struct verso_mutex *mutex);

/* Whether the owner of a place is proven dead. Any value. */
bool verso__channel_is_dead(const struct verso_channel *channel, uint64_t owner);

/* Where the records end, whoever died before saying so, and which number comes next. Under the claim's lock, or alone.
 * VERSO_E_CORRUPT. */
int verso__channel_find_end(const struct verso__channel_side *side, uint64_t *out_tail, uint64_t *out_number);

/* Makes a dead writer's reservation void: @header at @position, if that still stands there. */
void verso__channel_give_up(struct verso__channel_side *side, uint64_t position, uint64_t header);

/* ---- ends.c: writers and readers ---- */

/* A side at a lane: its way, its ring if that is mapped, its limits; nobody's yet. */
void verso__channel_stand(const struct verso_channel *channel, uint32_t lane, struct verso__channel_side *out_side);

/* The public calls, for any lane whose ring is mapped. They fill the record. */
int verso__channel_writer_open(struct verso_channel *channel, uint32_t lane, const struct verso_channel_end *given,
                               struct verso_channel_writer **out_writer);
int verso__channel_reader_open(struct verso_channel *channel, uint32_t lane, const struct verso_channel_end *given,
                               struct verso_channel_reader **out_reader);

/* ---- wait.c ---- */

/* Whether what is waited for is there: 0; -EAGAIN: not yet; else what to answer. */
typedef int verso__channel_look(void *end, uint64_t arg);

struct verso__channel_wait {
    struct verso__channel_side *side;
    struct verso__channel_bell *bell;
    struct verso__channel_sleeps *sleeps;
    bool is_writer;
    verso__channel_look *look;
    void *end;
    uint64_t arg;
    uint64_t (*wanted)(void *end, uint64_t arg); /* room: which head will do; NULL: each time there is some */
    bool is_impatient;                           /* it has waited for so much in vain: any will do */
};

/* Without waiting: whether it is there; now and then, since some ask in a loop, also looks at the others, and tells of
 * death and the end. No record. */
int verso__channel_peek(const struct verso__channel_wait *wait);

/* Waits as @timeout_ms says. 0, or what the caller is told, the record filled by it. */
int verso__channel_wait_for(const struct verso__channel_wait *given, int timeout_ms);

/* For what a reader's way finds. wait_for: as verso__channel_wait_for(). */
int verso__channel_look_for_data(void *end, uint64_t unused);
int verso__channel_wait_for_data(struct verso_channel_reader *reader, int timeout_ms);

/* Its parts, for who waits by other means: what the other side is up to, 0 or what to tell; the barrier between saying
 * that one waits and looking again; the record. */
int verso__channel_look_at_others(const struct verso__channel_wait *wait, bool is_thorough,
                                  struct verso__channel_others *out_others);
int verso__channel_barrier(const struct verso__channel_side *side);
int verso__channel_fail_wait(const struct verso__channel_wait *wait, int code, const char *step);

/* @side: whoever rings; the bell is its lane's. */
void verso__channel_ring_slowly(const struct verso__channel_side *side, struct verso__channel_bell *bell,
                                unsigned count);

/*
 * After publishing: wakes who sleeps. What was published must be visible before the bell is looked at; with membarrier
 * the sleeper sees to that, and here only the compiler must not swap the two.
 */
static inline bool verso__channel_is_asleep(struct verso__channel_bell *bell)
{
    atomic_signal_fence(memory_order_seq_cst);
    if (__builtin_expect(atomic_load_explicit(&bell->fences, memory_order_relaxed) != 0, 0))
        atomic_thread_fence(memory_order_seq_cst);
    return __builtin_expect(atomic_load_explicit(&bell->word, memory_order_relaxed) & 1, 0);
}

static inline void verso__channel_ring(const struct verso__channel_side *side, struct verso__channel_bell *bell,
                                       unsigned count)
{
    if (verso__channel_is_asleep(bell))
        verso__channel_ring_slowly(side, bell, count);
}

#define VERSO__CHANNEL_ALL 0x7fffffffU

/* ---- open.c ---- */

static inline struct verso__channel_lane *verso__channel_lane_at(const struct verso_channel *channel, uint32_t lane)
{
    return (struct verso__channel_lane *)(void *)((unsigned char *)channel->lane + lane * channel->plan.lane_bytes);
}

/* Maps the ring of a lane of answers, if nobody of this process has. Fills no record. */
int verso__channel_map_answers(struct verso_channel *channel, uint32_t lane);

/* ---- ask.c ---- */

/* A server is about to take @message: before it counts as received, so that no death leaves it nobody's. */
void verso__channel_note_request(const struct verso_channel_reader *reader,
                                 const struct verso_channel_message *message);
static inline void verso__channel_note(const struct verso_channel_reader *reader,
                                       const struct verso_channel_message *message)
{
    if (__builtin_expect(reader->tag != 0, 0))
        verso__channel_note_request(reader, message);
}

/* A reader that opens is a server, if the channel has clients; one that closes answers no more. */
void verso__channel_server_begin(struct verso_channel_reader *reader, uint64_t serial);
void verso__channel_server_end(struct verso_channel_reader *reader);
void verso__channel_server_left(const struct verso_channel_reader *reader); /* when its place is free */

/* ---- each.c ---- */

/* How much of the ring writers can't have, for the sake of the slowest reader. */
uint64_t verso__channel_each_used(const struct verso__channel_side *side);

/* Copies into a ring that is overwritten while others read. */
void verso__channel_words_in(_Atomic uint64_t *to, const void *from, size_t bytes);

/* ---- open.c ---- */

/* Copies the plan out of the channel's share, checks it, and sets what follows from it; maps nothing, and writes
 * nothing. VERSO_E_CORRUPT, VERSO_E_KIND. */
int verso__channel_plan_read(struct verso_channel *channel, const struct verso_channel_options *options,
                             const char **out_hint);

/* ---- poll.c ---- */

/* Makes the descriptors of those who are armed readable. */
void verso__channel_ring_armed(const struct verso__channel_side *side, struct verso__channel_bell *bell);

/* Closes what was opened for that. */
void verso__channel_hang_up(struct verso_channel *channel);

/* Of an end that closes: its descriptor, if it has one. */
void verso__channel_unpoll(const struct verso__channel_side *side, struct verso__channel_poll *poll, bool is_reader);

/* Takes the name away of a place's bell, if there is one. By its owner, or who buries it. */
void verso__channel_clear_bell(const struct verso__channel_side *side, bool is_reader, uint32_t place);

/* ---- ends ---- */

/* Whether there is room: 0, -EAGAIN, VERSO_E_CORRUPT. Another writer may be faster. */
int verso__channel_look_for_room(struct verso_channel_writer *writer, uint64_t span);

/* False in a child of fork(). */
static inline bool verso__channel_is_here(const struct verso__channel_side *side)
{
    return __builtin_expect(side->forks == verso__os_forks(), 1);
}

int verso__channel_fail_fork(void);
int verso__channel_fail_long(void);

#endif
