/* SPDX-License-Identifier: MIT */
/*
 * channel.h - messages between processes at the speed of memory, that outlive the death of any of them.
 *
 *     writer |-- send ----------.                              .--- receive --| reader
 *     writer |-- reserve ...    |   |a message|another|...|    |--- receive --| reader
 *             ... commit -------'    one ring in shared memory '--- receive --| reader
 *
 * A channel is a share (verso/share.h) with a ring of messages in it. Who wants to send opens a writer, who wants to
 * receive a reader; how many of each there may be, and who gets which message, is said when the channel is made:
 *
 *     SPSC        one writer, one reader                       each message goes to the reader
 *     MPSC        writers, one reader                          each message goes to the reader
 *     MPMC        writers, readers                             each message goes to one of the readers
 *     BROADCAST   writers, readers                             each message goes to every reader
 *
 *     verso_channel_open("orders", NULL, &channel);            verso_channel_open("orders", NULL, &channel);
 *     verso_channel_writer_open(channel, NULL, &writer);       verso_channel_reader_open(channel, NULL, &reader);
 *     verso_channel_send(writer, "buy", 3, -1);                verso_channel_receive(reader, -1, &message);
 *                                                              handle(message.data, message.bytes);
 *                                                              verso_channel_release(reader);
 *
 * Messages are of any length from 0 to what the ring holds, whole, in one piece and never copied unless you ask for it:
 * send copies in; reserve and commit let you write in place. Receive shows the message where it lies. Where nobody
 * sleeps, no call here makes a system call.
 *
 * What death does, by SIGKILL at any instruction or in any other way: nothing to the survivors. A message whose send or
 * commit had returned is received; one whose had not is received whole or not at all; none is received twice. What a
 * dead writer had reserved is given back by whoever comes upon it, when the kernel has proved the death, never by a
 * time-out. A reader that waits is told: VERSO_E_PEER_DIED is a result like another.
 *
 * Caveats, most bitten first:
 *   - A writer or reader is used by one thread at a time; it may pass from thread to thread when the program orders it.
 *     Threads that send at once open a writer each, and the channel must be of a kind that has several.
 *   - What receive shows is yours until you release it, and holds the ring up for as long: release soon, or copy. The
 *     same goes for a reservation: messages behind it wait, whoever sent them.
 *   - A message that a reader held when it died counts as received. With REDELIVER (MPMC) another one gets it; then it
 *     may have been worked on twice.
 *   - In a BROADCAST that drops the oldest, a message may be overwritten while you look at it in place: what you made
 *     of it counts only when release has answered 0. verso_channel_read() copies, and never gives such a message.
 *   - A peer can write to all of the ring. It can stop its channel, and change a message that you look at in place:
 *     copy first what you check, when you don't trust who writes. It can't make these calls touch other memory.
 *   - fork(): writers and readers stay the parent's; in the child each call with one answers VERSO_E_RANGE, and the
 *     channel itself can be used to open others.
 *
 * In all calls @timeout_ms says how long to wait at most: 0: not at all, and the answer is -EAGAIN; negative: for ever;
 * else -ETIMEDOUT when it is over. Waiting looks for a few microseconds, then sleeps in the kernel. Signals don't end a
 * wait; their handlers run.
 */
#ifndef VERSO_CHANNEL_H
#define VERSO_CHANNEL_H

#include <verso/base.h>
#include <verso/error.h>
#include <verso/share.h>

VERSO_BEGIN_DECLS

/* Opaque, so they may grow without an ABI break. */
struct verso_channel;
struct verso_channel_writer;
struct verso_channel_reader;

/* ---- A channel --------------------------------------------------------------------------------------------------- */

enum verso_channel_kind {
    VERSO_CHANNEL_KIND_ANY = 0, /* attaching: whichever it is; creation: SPSC */
    VERSO_CHANNEL_SPSC,
    VERSO_CHANNEL_MPSC,
    VERSO_CHANNEL_MPMC,
    VERSO_CHANNEL_BROADCAST,
};

/* What a send does when the ring is full: of messages that nobody has taken or, of a BROADCAST, not everybody. */
enum verso_channel_full {
    VERSO_CHANNEL_FULL_WAIT = 0,    /* waits for room as long as its @timeout_ms says */
    VERSO_CHANNEL_FULL_REFUSE,      /* -EAGAIN at once, whatever @timeout_ms says */
    VERSO_CHANNEL_FULL_DROP_NEWEST, /* drops its own message, counts it, and answers VERSO_CHANNEL_DROPPED */
    VERSO_CHANNEL_FULL_DROP_OLDEST, /* drops the oldest, counts them: readers never hold a writer up, but by a message
                                       of a queue that they have received and not yet released */
};

enum verso_channel_flags {
    /* Creation. */
    VERSO_CHANNEL_LASTING = 1 << 0,   /* when the last writer, or reader, has gone, wait for another: no -EPIPE */
    VERSO_CHANNEL_REDELIVER = 1 << 1, /* MPMC: what a reader held when it died goes to another, before what is newer */
    VERSO_CHANNEL_KEEP = 1 << 2,      /* as VERSO_SHARE_KEEP: the channel, and what is in it, outlives its last user */
    VERSO_CHANNEL_HUGE = 1 << 3,      /* as VERSO_SHARE_HUGE */
    /* For this process. */
    VERSO_CHANNEL_LOCK = 1 << 4,    /* as VERSO_SHARE_LOCK */
    VERSO_CHANNEL_NO_CORE = 1 << 5, /* as VERSO_SHARE_NO_CORE */
};

/* Start from VERSO_CHANNEL_OPTIONS_INIT; 0 always means the default. */
struct verso_channel_options {
    size_t struct_bytes;
    /* Of the channel: attaching refuses one of another kind, and does not look at what follows. */
    enum verso_channel_kind kind;
    enum verso_channel_full full;
    uint64_t capacity_bytes; /* of the ring; rounded up to a power of two of at least a page; 0: 256 KiB */
    unsigned writers_most;   /* how many at once, to 63; 0: 16, or as the kind says */
    unsigned readers_most;   /* the same */
    unsigned clients_most;   /* who may ask (see below), each with a ring for answers; 0: none. Not in a BROADCAST, and
                                not with FULL_DROP_OLDEST, which would drop requests unseen */
    uint64_t answers_bytes;  /* of each such ring, as capacity_bytes; 0: 64 KiB */
    unsigned mode;           /* permission bits; 0: 0600 */
    unsigned flags;          /* enum verso_channel_flags */
};
#define VERSO_CHANNEL_OPTIONS_INIT                                                                                 \
    {                                                                                                              \
        sizeof(struct verso_channel_options), VERSO_CHANNEL_KIND_ANY, VERSO_CHANNEL_FULL_WAIT, 0, 0, 0, 0, 0, 0, 0 \
    }

/**
 * verso_channel_create() - make a channel
 * verso_channel_attach() - use one that is there
 * verso_channel_open()   - attach, or create when there is none
 * @name:    as of verso_share_create(); for create also NULL: without a name, to be passed on by verso_channel_share()
 * @options: NULL for the defaults
 *
 * All memory is taken here; sending never meets a full /dev/shm. Costs the ring, and a mapping of it twice side by side
 * in each process, so that every message lies in one piece.
 *
 * Owns:    you own *out_channel until verso_channel_close(); untouched on failure.
 * Errors:  those of verso_share_create() and verso_share_attach(), VERSO_E_KIND among them for a share that is no
 *          channel, or one of another kind; VERSO_E_OPTIONS (a kind with more writers or readers than it may have;
 *          flags that contradict it); VERSO_E_OVERFLOW (more than can be addressed twice); VERSO_E_CORRUPT (what stands
 *          at its beginning is not what creation writes).
 * Threads: any.
 * Source:  mmap(2); membarrier(2) MEMBARRIER_CMD_GLOBAL_EXPEDITED.
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_create(const char *name, const struct verso_channel_options *options,
                                                    struct verso_channel **out_channel);
VERSO_API VERSO_MUST_CHECK int verso_channel_attach(const char *name, const struct verso_channel_options *options,
                                                    struct verso_channel **out_channel);
VERSO_API VERSO_MUST_CHECK int verso_channel_open(const char *name, const struct verso_channel_options *options,
                                                  struct verso_channel **out_channel);

/**
 * verso_channel_attach_share() - use the channel in a share that this process has attached
 * verso_channel_share()        - the share that a channel lies in: to send it, to look at its members
 *
 *     verso_share_send(verso_channel_share(channel), socket);  verso_share_receive(socket, NULL, &share);
 *                                                              verso_channel_attach_share(share, NULL, &channel);
 *
 * Owns:    attach_share: @share becomes the channel's, and is closed with it; on failure it stays yours.
 *          share: the channel's, until verso_channel_close().
 * Errors:  attach_share: as verso_channel_attach(); VERSO_E_READ_ONLY (attached for looking only).
 * Threads: any.
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_attach_share(struct verso_share *share,
                                                          const struct verso_channel_options *options,
                                                          struct verso_channel **out_channel);
VERSO_API struct verso_share *verso_channel_share(const struct verso_channel *channel);

/**
 * verso_channel_close()  - leave; takes NULL, cannot fail
 * verso_channel_remove() - take its name away; who is in it goes on
 *
 * Close also closes the writers and readers that this process still has open. The last to leave takes the name away,
 * unless the channel was made with KEEP; messages that nobody received are then gone.
 *
 * Errors:  remove: as verso_share_remove(); VERSO_E_KIND (it is no channel: it stays).
 * Threads: close: nobody else of this process may be using it, or what was opened from it.
 */
VERSO_API void verso_channel_close(struct verso_channel *channel);
VERSO_API int verso_channel_remove(const char *name);

/* ---- Writers and readers ----------------------------------------------------------------------------------------- */

/* Where in the stream a reader begins. */
enum verso_channel_from {
    /* A queue: with what nobody has taken. BROADCAST: with the next message that is sent. */
    VERSO_CHANNEL_FROM_NEXT = 0,
    /* BROADCAST: with the oldest that is still in the ring. */
    VERSO_CHANNEL_FROM_OLDEST,
    /* BROADCAST: with the last @history messages, or as many of them as are still in the ring. */
    VERSO_CHANNEL_FROM_LAST,
};

/* Start from VERSO_CHANNEL_END_INIT; 0 always means the default. */
struct verso_channel_end {
    size_t struct_bytes;
    /* How long waiting looks before it sleeps. 0: some 2 us where another processor can meanwhile do what is waited
     * for, not at all where there is but one; VERSO_CHANNEL_NEVER_SLEEP: as long as it takes, at the price of a
     * processor. */
    uint64_t look_ns;
    enum verso_channel_from from; /* readers */
    uint64_t history;
};
#define VERSO_CHANNEL_NEVER_SLEEP UINT64_MAX
#define VERSO_CHANNEL_END_INIT                                          \
    {                                                                   \
        sizeof(struct verso_channel_end), 0, VERSO_CHANNEL_FROM_NEXT, 0 \
    }

/**
 * verso_channel_writer_open()  - begin to send
 * verso_channel_writer_close() - stop; takes NULL, cannot fail
 * verso_channel_reader_open()  - begin to receive
 * verso_channel_reader_close() - stop; takes NULL, cannot fail
 * @end: NULL for the defaults
 *
 * The place of one that died is taken over, its remains are put in order first. In a queue a new reader goes on where
 * the last one stopped.
 *
 * What is still reserved when a writer is closed is given up; what a reader holds is released.
 *
 * Owns:    you own *out_writer, *out_reader until you close it, or the channel.
 * Errors:  -EUSERS (all places are taken by the living); -EBUSY (somebody has kept the lock over the places for two
 *          seconds); VERSO_E_OPTIONS; VERSO_E_CORRUPT; -ENOMEM; what verso/share.h says of a thread's first use of a
 *          share.
 * Threads: any.
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_writer_open(struct verso_channel *channel,
                                                         const struct verso_channel_end *end,
                                                         struct verso_channel_writer **out_writer);
VERSO_API void verso_channel_writer_close(struct verso_channel_writer *writer);
VERSO_API VERSO_MUST_CHECK int verso_channel_reader_open(struct verso_channel *channel,
                                                         const struct verso_channel_end *end,
                                                         struct verso_channel_reader **out_reader);
VERSO_API void verso_channel_reader_close(struct verso_channel_reader *reader);

/** verso_channel_message_bytes_most() - the longest message there may be: the ring's size less 16, of a BROADCAST 32 */
VERSO_API uint64_t verso_channel_message_bytes_most(const struct verso_channel *channel);

/* ---- Sending ----------------------------------------------------------------------------------------------------- */

/* Not an error: FULL_DROP_NEWEST, and the ring was full; the message is counted as dropped. */
#define VERSO_CHANNEL_DROPPED 1

/**
 * verso_channel_send() - copy a message into the ring
 * @data: @bytes of it; 0 is a message, too
 *
 * When it has returned 0, the message is received even if this process dies at once, as long as one reader lives.
 *
 * Errors:  -EAGAIN, -ETIMEDOUT (full); VERSO_E_RANGE (longer than verso_channel_message_bytes_most(); or in a child of
 *          fork()); -EBUSY (something is reserved: commit or abandon it first); -EPIPE (full, and the last reader has
 *          left); VERSO_E_PEER_DIED (full, and since this writer was last told, a reader has died; told once for each
 *          time that happens); VERSO_E_CORRUPT (what the other side writes is not what verso writes; nothing was sent);
 *          -errno of futex or membarrier, where seccomp forbids them.
 * Threads: one at a time for each writer.
 * Source:  docs/internals/channel.md, and its model.
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_send(struct verso_channel_writer *writer, const void *data, size_t bytes,
                                                  int timeout_ms);

/* A message to be sent. */
struct verso_channel_part {
    const void *data;
    size_t bytes;
};

/**
 * verso_channel_send_many() - copy messages into the ring, for readers to see all at once
 * @out_count: how many were sent: all, or those for which there was room without waiting, then at least 1
 *
 * Cheaper for each than one by one: what must be ordered, looked at or woken is so once. Several messages sent at once
 * stand side by side in the ring; those of a writer that dies in the call are received up to some one of them.
 *
 * Errors:  as verso_channel_send(); VERSO_E_RANGE (one of them is too long; none is sent).
 * Threads: one at a time for each writer.
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_send_many(struct verso_channel_writer *writer,
                                                       const struct verso_channel_part *messages, size_t count,
                                                       int timeout_ms, size_t *out_count);

/**
 * verso_channel_reserve() - room in the ring for a message of up to @bytes
 * verso_channel_commit()  - it is whole, and @bytes long: send it
 * verso_channel_abandon() - it is not wanted after all; without a reservation, does nothing
 * @out_data: where to write; aligned to 8 bytes
 *
 * One reservation at a time for each writer. Where there are several writers, the message has its place in the order
 * from reserve on, and readers wait for it: fill it soon. With FULL_DROP_NEWEST, a reserve without room answers
 * VERSO_CHANNEL_DROPPED and reserves nothing.
 *
 * Errors:  reserve: as verso_channel_send(). commit: VERSO_E_RANGE (more than reserved, or nothing is; the reservation
 *          stands).
 * Threads: one at a time for each writer.
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_reserve(struct verso_channel_writer *writer, size_t bytes, int timeout_ms,
                                                     void **out_data);
VERSO_API VERSO_MUST_CHECK int verso_channel_commit(struct verso_channel_writer *writer, size_t bytes);
VERSO_API void verso_channel_abandon(struct verso_channel_writer *writer);

/* ---- Receiving --------------------------------------------------------------------------------------------------- */

struct verso_channel_message {
    const void *data; /* in the ring, aligned to 8 bytes; yours until you release it */
    size_t bytes;
    unsigned writer; /* which place among the writers it came from */
    /* BROADCAST, else 0: how many were sent before it, and how many of these this reader has lost since the message
     * before (those that a writer gave up or died over count as lost when they were overwritten, too; what release
     * called overrun is not counted again). */
    uint64_t number;
    uint64_t lost;
};

/**
 * verso_channel_receive() - the next message, where it lies
 * verso_channel_release() - done with what was received
 *
 * A receive releases what the reader held before.
 *
 * Errors:  receive: -EAGAIN, -ETIMEDOUT (none); -EPIPE (none, and the last writer has left: there will be none);
 *          VERSO_E_PEER_DIED (none, and since this reader was last told, a writer has died; told once for each time
 *          that happens, after all that had been sent was received; receiving may go on); VERSO_E_CORRUPT;
 *          VERSO_E_RANGE (in a child of fork()); -errno of futex or membarrier, where seccomp forbids them.
 *          release: VERSO_E_OVERRUN (BROADCAST with FULL_DROP_OLDEST: it was overwritten while you had it; forget what
 *          you read; it counts as lost); VERSO_E_RANGE (nothing is held); -EBUSY (somebody has kept the lock of a
 *          shared queue; the message is held still, and the next call releases it).
 * Threads: one at a time for each reader.
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_receive(struct verso_channel_reader *reader, int timeout_ms,
                                                     struct verso_channel_message *out_message);
VERSO_API int verso_channel_release(struct verso_channel_reader *reader);

/**
 * verso_channel_receive_many() - what there is, at most @room messages, where they lie; waits only for the first
 *
 * All of them are held until verso_channel_release(), which releases them together.
 *
 * Errors:  as verso_channel_receive().
 * Threads: one at a time for each reader.
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_receive_many(struct verso_channel_reader *reader, int timeout_ms,
                                                          struct verso_channel_message *out_messages, size_t room,
                                                          size_t *out_count);

/**
 * verso_channel_read() - the next message, copied
 * @out_message: may be NULL; its data is @out_data
 *
 * Nothing is held afterwards.
 *
 * Errors:  as verso_channel_receive(); -EMSGSIZE (longer than @room_bytes: the message is still the next; *out_message
 *          says how long it is).
 * Threads: one at a time for each reader.
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_read(struct verso_channel_reader *reader, void *out_data,
                                                  size_t room_bytes, int timeout_ms,
                                                  struct verso_channel_message *out_message);

/* ---- poll(2), epoll(7) ------------------------------------------------------------------------------------------- */

/**
 * verso_channel_descriptor()        - a descriptor that can be read from when there is, or may be, something to receive
 * verso_channel_arm()               - from now on; 1: there is something already, and the descriptor stays as it is
 * verso_channel_writer_descriptor() - the same for room to send
 * verso_channel_writer_arm()        - from now on; 1: there is room already
 *
 * For programs that wait for other things as well. Senders pay for it only while it is armed:
 *
 *     while (verso_channel_arm(reader) == 1)
 *         if (verso_channel_receive(reader, 0, &message) == 0)
 *             ...
 *     poll(...)                                     and when it can be read: from the beginning
 *
 * Arming releases what the reader holds. Room means: for what the last send or reserve found none, else for a message
 * of 0 bytes. The descriptor is an epoll; what made it readable is taken back by arming it again, which is needed each
 * time. The death of a peer makes it readable as well: within a millisecond where the kernel tells of it (pidfd), else
 * within 100 ms, since it becomes readable in any case 100 ms after it was armed: peers that can't ring at it (of other
 * users, or with another directory of names, see verso/share.h) are late by that much, and nothing is lost.
 *
 * Owns:    the reader, or the writer; closed with it. Don't read, write or close it.
 * Errors:  descriptor: VERSO_E_UNSUPPORTED (no /proc); VERSO_E_OWNER (the directory of names is not this user's alone);
 *          -EMFILE, -ENOMEM. arm: 0 or 1; -EINVAL (no descriptor was asked for); as verso_channel_receive() with
 *          @timeout_ms 0 but -EAGAIN: VERSO_E_PEER_DIED and -EPIPE are told here, too.
 * Threads: one at a time for each reader, or writer.
 * Source:  unix(7), epoll(7), pidfd_open(2), timerfd_create(2).
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_descriptor(struct verso_channel_reader *reader, int *out_fd);
VERSO_API VERSO_MUST_CHECK int verso_channel_arm(struct verso_channel_reader *reader);
VERSO_API VERSO_MUST_CHECK int verso_channel_writer_descriptor(struct verso_channel_writer *writer, int *out_fd);
VERSO_API VERSO_MUST_CHECK int verso_channel_writer_arm(struct verso_channel_writer *writer);

/* ---- Request and response ---------------------------------------------------------------------------------------- */

/*
 * A channel made with clients_most has, beside its ring, one for answers to each client. A client asks through the
 * channel; whoever receives the request as a reader of the channel answers it, before or after it is released; the
 * answer goes to that client alone. With MPSC there is one server, with MPMC each request goes to one of several.
 *
 *     verso_channel_client_open(channel, NULL, &client);       verso_channel_reader_open(channel, NULL, &server);
 *     verso_channel_call(client, "2+3", 3, 1000, &answer);     verso_channel_receive(server, -1, &message);
 *     ...                                                      verso_channel_request_of(&message, &request);
 *     verso_channel_client_release(client);                    verso_channel_answer(server, &request, "5", 1, 0);
 */
struct verso_channel_client;

/* Who asked, and what; a plain copy that may be kept and answered later. */
struct verso_channel_request {
    const void *data; /* valid as long as the message is held */
    size_t bytes;
    uint64_t client; /* place and generation: an answer to a client that has gone is dropped */
    uint64_t number; /* of its requests */
};

/**
 * verso_channel_client_open()    - begin to ask; takes a place among the writers and one among the clients
 * verso_channel_client_close()   - stop; takes NULL, cannot fail. Answers that come later are dropped
 * verso_channel_call()           - ask, and wait for the answer
 * verso_channel_ask()            - ask only; *out_number is the request's
 * verso_channel_answer_receive() - the next answer to any request of this client: out_answer->number says to which
 * verso_channel_client_release() - done with the answer that was received, which until then is held
 *
 * A request is a message 24 bytes longer than what is asked; an answer, 16. A call drops all that comes before its own
 * answer: answers to calls that had been given up, and to what was only asked. @timeout_ms is for all of it together.
 *
 * Errors:  as verso_channel_send() and verso_channel_receive(). VERSO_E_PEER_DIED: the server that had the request
 *          died, or closed its reader, before it answered; whether it did what was asked can't be known. With REDELIVER
 *          another server's answer is waited for instead, as long as the request had not been released. Told once for
 *          each of the last 256 requests; the record's offset_bytes is the request's number. -EPIPE: not served yet,
 *          and the last server has left; it stays in the ring for one that may come. VERSO_E_OPTIONS: the channel has
 *          no clients. -EUSERS: as many clients, or writers, as there may be.
 * Threads: one at a time for each client.
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_client_open(struct verso_channel *channel,
                                                         const struct verso_channel_end *end,
                                                         struct verso_channel_client **out_client);
VERSO_API void verso_channel_client_close(struct verso_channel_client *client);
VERSO_API VERSO_MUST_CHECK int verso_channel_call(struct verso_channel_client *client, const void *data, size_t bytes,
                                                  int timeout_ms, struct verso_channel_message *out_answer);
VERSO_API VERSO_MUST_CHECK int verso_channel_ask(struct verso_channel_client *client, const void *data, size_t bytes,
                                                 int timeout_ms, uint64_t *out_number);
VERSO_API VERSO_MUST_CHECK int verso_channel_answer_receive(struct verso_channel_client *client, int timeout_ms,
                                                            struct verso_channel_message *out_answer);
VERSO_API int verso_channel_client_release(struct verso_channel_client *client);

/**
 * verso_channel_request_of() - what a received message asks, and who
 * verso_channel_answer()     - answer it: copies @bytes into the client's ring
 *
 * @timeout_ms is for room in the client's ring. Who answers a request twice is heard twice.
 *
 * Errors:  request_of: VERSO_E_CORRUPT (it is no request). answer: as verso_channel_send(); VERSO_E_CORRUPT (no client
 *          of this channel asked that); -EPIPE (the client has gone: the answer is dropped).
 * Threads: one at a time for each reader.
 */
VERSO_API VERSO_MUST_CHECK int verso_channel_request_of(const struct verso_channel_message *message,
                                                        struct verso_channel_request *out_request);
VERSO_API VERSO_MUST_CHECK int verso_channel_answer(struct verso_channel_reader *server,
                                                    const struct verso_channel_request *request, const void *data,
                                                    size_t bytes, int timeout_ms);

/* ---- Seeing ------------------------------------------------------------------------------------------------------ */

/* Initialise struct_bytes by VERSO_CHANNEL_INFO_INIT. Counts are since the channel was made, by all who ever were in
 * it. */
struct verso_channel_info {
    size_t struct_bytes;
    enum verso_channel_kind kind;
    enum verso_channel_full full;
    unsigned flags; /* as made */
    uint64_t capacity_bytes;
    uint64_t message_bytes_most;
    /* Of the ring, by messages that hold room, with what the ring needs for each; of a BROADCAST by those that its
     * slowest reader has not released. */
    uint64_t used_bytes;
    uint64_t sent; /* messages */
    uint64_t sent_bytes;
    uint64_t received; /* of a BROADCAST: by all readers together */
    uint64_t received_bytes;
    uint64_t dropped;      /* by FULL_DROP_NEWEST and FULL_DROP_OLDEST of a queue, before anybody had received them */
    uint64_t lost;         /* by slow readers of a BROADCAST; and by readers that died with them */
    uint64_t given_up;     /* reservations abandoned, by their writer or its death */
    uint64_t room_sleeps;  /* how often a writer had to sleep: readers are slower, or the ring too small */
    uint64_t data_sleeps;  /* how often a reader had to */
    uint64_t dead_writers; /* died, and were found dead, since the channel was made */
    uint64_t dead_readers;
    uint64_t opened_writers; /* how often one was opened: tells one that has come and left between two looks */
    uint64_t opened_readers;
    unsigned writer_room; /* writers_most */
    unsigned reader_room;
    unsigned writers; /* open now, of living processes */
    unsigned readers;
    unsigned client_room;
    unsigned clients;
    const char *barrier; /* how sleepers are noticed: "membarrier": free for the others; "fence": some ns a message */
};
#define VERSO_CHANNEL_INFO_INIT                                                                                        \
    {                                                                                                                  \
        sizeof(struct verso_channel_info), VERSO_CHANNEL_KIND_ANY, VERSO_CHANNEL_FULL_WAIT, 0, 0, 0, 0, 0, 0, 0, 0, 0, \
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ""                                                               \
    }

/* A place among the writers or the readers that is, or was, taken. */
struct verso_channel_place {
    unsigned number;
    int is_writer;
    int is_alive;      /* 0: the process that has it died, and nobody has put it in order yet */
    int32_t process;   /* its pid, as it sees it itself; 0: nobody has the place; -1: of one that died, not known now */
    char name[16];     /* of its program, as ps shows it */
    uint64_t messages; /* sent, or received, at this place: also by those before */
    uint64_t bytes;
    uint64_t lost; /* dropped, or lost, at this place */
    uint64_t sleeps;
    uint64_t lag_bytes; /* readers: how much of the ring lies before it */
    int is_asleep;
    int holds; /* something reserved, or received and not released; 0 of an SPSC's writer and of a BROADCAST's readers,
                  who alone know it */
};

/**
 * verso_channel_info()   - what there is to know
 * verso_channel_places() - who is there; @each may end the walk by answering other than 0, which is the answer then
 * verso_channel_look()   - the info of a channel by its name, without attaching: its users don't notice
 *
 * Errors:  VERSO_E_OPTIONS (struct_bytes); look: as verso_channel_attach().
 * Threads: any. The counts are of a moment that has passed.
 */
VERSO_API int verso_channel_info(const struct verso_channel *channel, struct verso_channel_info *out_info);
VERSO_API int verso_channel_places(const struct verso_channel *channel,
                                   int (*each)(const struct verso_channel_place *place, void *arg), void *arg);
VERSO_API int verso_channel_look(const char *name, struct verso_channel_info *out_info);

VERSO_END_DECLS

#endif
