/* SPDX-License-Identifier: MIT */
/*
 * links_zmq - ZeroMQ over ipc: PAIR, and PUSH to PULL where there are several writers.
 *
 * Its context starts a thread, so it is made after the fork; the receiver binds, senders connect and go on trying.
 */
#include "bench.h"
#include "links.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

struct zmq_link {
    char address[256];
    int flags;
    enum link_shape shape;
    void *context;
    void *socket;
};

static void *zmq_make(const struct link_plan *plan, const char **out_why)
{
    static unsigned made;
    struct zmq_link *link = calloc(1, sizeof(*link));

    (void)out_why;
    if (!link)
        bench_die("calloc");
    (void)snprintf(link->address, sizeof(link->address), "ipc://%s/verso-bench-zmq-%ld-%u", bench_directory(),
                   (long)getpid(), made++);
    link->flags = plan->wait == LINK_SPINS ? ZMQ_DONTWAIT : 0;
    link->shape = plan->shape;
    return link;
}

static int type_of(const struct zmq_link *link, int side)
{
    if (link->shape != LINK_MANY)
        return ZMQ_PAIR;
    return side == 0 ? ZMQ_PUSH : ZMQ_PULL;
}

static void zmq_join(void *arg, int side)
{
    struct zmq_link *link = arg;

    link->context = zmq_ctx_new();
    link->socket = link->context ? zmq_socket(link->context, type_of(link, side)) : NULL;
    if (!link->socket)
        bench_die("zmq_socket");
    if ((side == 1 ? zmq_bind(link->socket, link->address) : zmq_connect(link->socket, link->address)) < 0)
        bench_die(side == 1 ? "zmq_bind" : "zmq_connect");
}

static void zmq_send_one(void *arg, int side, const void *data, size_t bytes)
{
    const struct zmq_link *link = arg;

    (void)side;
    while (zmq_send(link->socket, data, bytes, link->flags) != (int)bytes) {
        if (errno != EAGAIN && errno != EINTR)
            bench_die("zmq_send");
        link_pause();
    }
}

static const void *zmq_receive_one(void *arg, int side, void *out_data, size_t bytes)
{
    const struct zmq_link *link = arg;

    (void)side;
    while (zmq_recv(link->socket, out_data, bytes, link->flags) != (int)bytes) {
        if (errno != EAGAIN && errno != EINTR)
            bench_die("zmq_recv");
        link_pause();
    }
    return out_data;
}

static void zmq_unmake(void *arg)
{
    struct zmq_link *link = arg;

    if (link->socket)
        (void)zmq_close(link->socket);
    if (link->context)
        (void)zmq_ctx_term(link->context);
    (void)unlink(link->address + strlen("ipc://"));
    free(link);
}

extern const struct link_kind link_zmq;
const struct link_kind link_zmq = {
    "ZeroMQ ipc",
    LINK_SPINS | LINK_SLEEPS,
    LINK_BOTH_WAYS | LINK_ONE_WAY | LINK_MANY,
    zmq_make,
    zmq_join,
    zmq_send_one,
    zmq_receive_one,
    zmq_unmake,
};
