/* SPDX-License-Identifier: MIT */
/*
 * links_kernel - what the kernel carries: pipe, Unix sockets, POSIX message queue; and the two lower bounds.
 *
 * All of them are made before the fork and inherited. What spins asks a descriptor that does not block.
 */
#include "bench.h"
#include "links.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

void *link_shared(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    if (memory == MAP_FAILED)
        bench_die("mmap");
    return memory;
}

void link_shared_free(void *memory, size_t bytes)
{
    (void)munmap(memory, bytes);
}

/* ---- Descriptors: [direction], who sends in direction 0 is side 0 -------------------------------------------------*/

struct descriptors {
    int in[2];
    int out[2];
};

static void *descriptors_new(void)
{
    struct descriptors *link = malloc(sizeof(*link));

    if (!link)
        bench_die("malloc");
    for (int direction = 0; direction < 2; direction++)
        link->in[direction] = link->out[direction] = -1;
    return link;
}

static void set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        bench_die("fcntl");
}

static void *descriptors_made(struct descriptors *link, const struct link_plan *plan)
{
    if (plan->wait == LINK_SPINS)
        for (int direction = 0; direction < 2; direction++) {
            set_nonblocking(link->in[direction]);
            set_nonblocking(link->out[direction]);
        }
    return link;
}

static void descriptors_join(void *arg, int side)
{
    (void)arg;
    (void)side;
}

static void descriptors_unmake(void *arg)
{
    struct descriptors *link = arg;

    for (int direction = 0; direction < 2; direction++) {
        (void)close(link->in[direction]);
        if (link->in[direction] != link->out[direction])
            (void)close(link->out[direction]);
    }
    free(link);
}

/* The messages of a stream have no ends but their known length. */
static void stream_send(void *arg, int side, const void *data, size_t bytes)
{
    int fd = ((const struct descriptors *)arg)->out[side];

    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(fd, (const char *)data + done, bytes - done);

        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            link_pause();
        else
            bench_die("write");
    }
}

static const void *stream_receive(void *arg, int side, void *out_data, size_t bytes)
{
    int fd = ((const struct descriptors *)arg)->in[!side];

    for (size_t done = 0; done < bytes;) {
        ssize_t n = read(fd, (char *)out_data + done, bytes - done);

        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            link_pause();
        else
            bench_die("read");
    }
    return out_data;
}

static void *pipe_make(const struct link_plan *plan, const char **out_why)
{
    struct descriptors *link;
    int ends[2];

    if (plan->shape == LINK_MANY && plan->message_bytes > PIPE_BUF) {
        *out_why = "several writers of more than 4096 bytes mix their messages";
        return NULL;
    }
    link = descriptors_new();
    for (int direction = 0; direction < 2; direction++) {
        if (pipe2(ends, O_CLOEXEC) < 0)
            bench_die("pipe2");
        link->in[direction] = ends[0];
        link->out[direction] = ends[1];
    }
    return descriptors_made(link, plan);
}

static const struct link_kind link_pipe = {
    "pipe",         LINK_SPINS | LINK_SLEEPS, LINK_BOTH_WAYS | LINK_ONE_WAY | LINK_MANY,
    pipe_make,      descriptors_join,         stream_send,
    stream_receive, descriptors_unmake,
};

/* A pair of sockets carries both directions. */
static void *sockets_make(const struct link_plan *plan, int type)
{
    struct descriptors *link = descriptors_new();
    int ends[2];

    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
        bench_die("socketpair");
    link->out[0] = link->in[1] = ends[0];
    link->in[0] = link->out[1] = ends[1];
    return descriptors_made(link, plan);
}

static void sockets_unmake(void *arg)
{
    struct descriptors *link = arg;

    (void)close(link->out[0]);
    (void)close(link->out[1]);
    free(link);
}

static void *stream_make(const struct link_plan *plan, const char **out_why)
{
    (void)out_why;
    return sockets_make(plan, SOCK_STREAM);
}

static const struct link_kind link_stream = {
    "unix stream",  LINK_SPINS | LINK_SLEEPS, LINK_BOTH_WAYS | LINK_ONE_WAY, stream_make, descriptors_join, stream_send,
    stream_receive, sockets_unmake,
};

static void *seqpacket_make(const struct link_plan *plan, const char **out_why)
{
    (void)out_why;
    return sockets_make(plan, SOCK_SEQPACKET);
}

static void seqpacket_send(void *arg, int side, const void *data, size_t bytes)
{
    int fd = ((const struct descriptors *)arg)->out[side];

    while (send(fd, data, bytes, MSG_NOSIGNAL) != (ssize_t)bytes) {
        if (errno != EAGAIN)
            bench_die("send");
        link_pause();
    }
}

static const void *seqpacket_receive(void *arg, int side, void *out_data, size_t bytes)
{
    int fd = ((const struct descriptors *)arg)->in[!side];

    while (recv(fd, out_data, bytes, 0) != (ssize_t)bytes) {
        if (errno != EAGAIN)
            bench_die("recv");
        link_pause();
    }
    return out_data;
}

static const struct link_kind link_seqpacket = {
    "unix seqpacket",  LINK_SPINS | LINK_SLEEPS, LINK_BOTH_WAYS | LINK_ONE_WAY | LINK_MANY,
    seqpacket_make,    descriptors_join,         seqpacket_send,
    seqpacket_receive, sockets_unmake,
};

/* ---- POSIX message queue ------------------------------------------------------------------------------------------*/

/* Nobody else can find it: its name is taken away at once, and the descriptor inherited. */
static mqd_t queue_open(const struct link_plan *plan, int direction)
{
    struct mq_attr attributes = { .mq_maxmsg = 10, .mq_msgsize = (long)plan->message_bytes };
    int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | (plan->wait == LINK_SPINS ? O_NONBLOCK : 0);
    char name[64];
    mqd_t queue;

    (void)snprintf(name, sizeof(name), "/verso-bench-%ld-%d", (long)getpid(), direction);
    queue = mq_open(name, flags, 0600, &attributes);
    if (queue != (mqd_t)-1)
        (void)mq_unlink(name);
    return queue;
}

static void *queue_make(const struct link_plan *plan, const char **out_why)
{
    struct descriptors *link = descriptors_new();

    for (int direction = 0; direction < 2; direction++) {
        link->in[direction] = link->out[direction] = queue_open(plan, direction);
        if (link->in[direction] < 0) {
            *out_why = errno == EINVAL ? "longer than /proc/sys/fs/mqueue/msgsize_max"
                                       : "no queue can be had: ulimit -q, /proc/sys/fs/mqueue";
            descriptors_unmake(link);
            return NULL;
        }
    }
    return link;
}

static void queue_send(void *arg, int side, const void *data, size_t bytes)
{
    mqd_t queue = ((const struct descriptors *)arg)->out[side];

    while (mq_send(queue, data, bytes, 0) < 0) {
        if (errno != EAGAIN)
            bench_die("mq_send");
        link_pause();
    }
}

static const void *queue_receive(void *arg, int side, void *out_data, size_t bytes)
{
    mqd_t queue = ((const struct descriptors *)arg)->in[!side];

    while (mq_receive(queue, out_data, bytes, NULL) != (ssize_t)bytes) {
        if (errno != EAGAIN)
            bench_die("mq_receive");
        link_pause();
    }
    return out_data;
}

static const struct link_kind link_queue = {
    "POSIX mq",    LINK_SPINS | LINK_SLEEPS, LINK_BOTH_WAYS | LINK_ONE_WAY | LINK_MANY,
    queue_make,    descriptors_join,         queue_send,
    queue_receive, descriptors_unmake,
};

/* ---- The lower bounds ---------------------------------------------------------------------------------------------*/

/* A number and the payload behind it: in one cache line when there is room. */
struct line {
    _Alignas(128) _Atomic uint32_t number;
    unsigned char data[];
};

struct lines {
    size_t bytes;
    struct line *line[2];
    uint32_t sent;
    uint32_t received;
};

static void *lines_make(const struct link_plan *plan, const char **out_why)
{
    struct lines *link = calloc(1, sizeof(*link));
    size_t each = (sizeof(struct line) + plan->message_bytes + 127) / 128 * 128;
    unsigned char *memory;

    (void)out_why;
    if (!link)
        bench_die("calloc");
    link->bytes = 2 * each;
    memory = link_shared(link->bytes);
    link->line[0] = (struct line *)(void *)memory;
    link->line[1] = (struct line *)(void *)(memory + each);
    return link;
}

static void lines_unmake(void *arg)
{
    struct lines *link = arg;

    link_shared_free(link->line[0], link->bytes);
    free(link);
}

static void line_send(void *arg, int side, const void *data, size_t bytes)
{
    struct lines *link = arg;
    struct line *line = link->line[side];

    memcpy(line->data, data, bytes);
    atomic_store_explicit(&line->number, ++link->sent, memory_order_release);
}

static const void *line_receive(void *arg, int side, void *out_data, size_t bytes)
{
    struct lines *link = arg;
    struct line *line = link->line[!side];

    link->received++;
    while (atomic_load_explicit(&line->number, memory_order_acquire) != link->received)
        link_pause();
    memcpy(out_data, line->data, bytes);
    return out_data;
}

const struct link_kind link_line = {
    "one cache line", LINK_SPINS, LINK_BOTH_WAYS, lines_make, descriptors_join, line_send, line_receive, lines_unmake,
};

/* Slots in turn; a number that is even: free, for the writer's round; odd: full. */
struct slots {
    size_t each;
    unsigned char *memory;
    uint32_t next;
    struct line *held;
};

static struct line *slot_of(const struct slots *link, uint32_t number)
{
    return (struct line *)(void *)(link->memory + number % LINK_SLOTS * link->each);
}

static void *slots_make(const struct link_plan *plan, const char **out_why)
{
    struct slots *link = calloc(1, sizeof(*link));

    (void)out_why;
    if (!link)
        bench_die("calloc");
    link->each = (sizeof(struct line) + plan->message_bytes + 127) / 128 * 128;
    link->memory = link_shared(LINK_SLOTS * link->each);
    return link;
}

static void slots_unmake(void *arg)
{
    struct slots *link = arg;

    link_shared_free(link->memory, LINK_SLOTS * link->each);
    free(link);
}

static void slots_send(void *arg, int side, const void *data, size_t bytes)
{
    struct slots *link = arg;
    struct line *slot = slot_of(link, link->next);
    uint32_t round = link->next++ / LINK_SLOTS * 2;

    (void)side;
    while (atomic_load_explicit(&slot->number, memory_order_acquire) != round)
        link_pause();
    memcpy(slot->data, data, bytes);
    atomic_store_explicit(&slot->number, round + 1, memory_order_release);
}

static const void *slots_receive(void *arg, int side, void *room, size_t bytes)
{
    struct slots *link = arg;
    uint32_t round = link->next / LINK_SLOTS * 2;

    (void)side;
    (void)room;
    (void)bytes;
    if (link->held)
        (void)atomic_fetch_add_explicit(&link->held->number, 1, memory_order_release);
    link->held = slot_of(link, link->next++);
    while (atomic_load_explicit(&link->held->number, memory_order_acquire) != round + 1)
        link_pause();
    return link->held->data;
}

const struct link_kind link_slots = {
    "bare slots", LINK_SPINS, LINK_ONE_WAY, slots_make, descriptors_join, slots_send, slots_receive, slots_unmake,
};

static void futex_send(void *arg, int side, const void *data, size_t bytes)
{
    struct lines *link = arg;

    line_send(arg, side, data, bytes);
    (void)syscall(SYS_futex, &link->line[side]->number, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static const void *futex_receive(void *arg, int side, void *out_data, size_t bytes)
{
    struct lines *link = arg;
    struct line *line = link->line[!side];

    link->received++;
    while (atomic_load_explicit(&line->number, memory_order_acquire) != link->received)
        (void)syscall(SYS_futex, &line->number, FUTEX_WAIT, link->received - 1, NULL, NULL, 0);
    memcpy(out_data, line->data, bytes);
    return out_data;
}

const struct link_kind link_futex = {
    "bare futex pair", LINK_SLEEPS, LINK_BOTH_WAYS, lines_make,
    descriptors_join,  futex_send,  futex_receive,  lines_unmake,
};

#ifdef HAVE_ZMQ
extern const struct link_kind link_zmq;
#endif
#ifdef HAVE_NNG
extern const struct link_kind link_nng;
#endif
#ifdef HAVE_CK
extern const struct link_kind link_ck;
#endif
#ifdef HAVE_BOOST
extern const struct link_kind link_boost;
#endif

const struct link_kind *const link_kinds[] = {
    &link_pipe,  &link_stream, &link_seqpacket, &link_queue, &link_futex,
#ifdef HAVE_BOOST
    &link_boost,
#endif
#ifdef HAVE_ZMQ
    &link_zmq,
#endif
#ifdef HAVE_NNG
    &link_nng,
#endif
#ifdef HAVE_CK
    &link_ck,
#endif
    NULL,
};
