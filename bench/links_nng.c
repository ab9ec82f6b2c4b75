/* SPDX-License-Identifier: MIT */
/*
 * links_nng - nng over ipc: pair0, and push0 to pull0 where there are several writers.
 *
 * It starts threads at its first call, so that is after the fork; the receiver listens, senders dial until it does.
 */
#include "bench.h"
#include "links.h"

#include <errno.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pipeline0/pull.h>
#include <nng/protocol/pipeline0/push.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct nng_link {
    char address[256];
    int flags;
    enum link_shape shape;
    nng_socket socket;
    bool is_open;
};

static _Noreturn void nng_die(const char *what, int error)
{
    (void)fprintf(stderr, "bench channel: %s: %s\n", what, nng_strerror(error));
    exit(2);
}

static void *nng_make(const struct link_plan *plan, const char **out_why)
{
    static unsigned made;
    struct nng_link *link = calloc(1, sizeof(*link));

    (void)out_why;
    if (!link)
        bench_die("calloc");
    (void)snprintf(link->address, sizeof(link->address), "ipc://%s/verso-bench-nng-%ld-%u", bench_directory(),
                   (long)getpid(), made++);
    link->flags = plan->wait == LINK_SPINS ? NNG_FLAG_NONBLOCK : 0;
    link->shape = plan->shape;
    return link;
}

static int open_socket(struct nng_link *link, int side)
{
    if (link->shape != LINK_MANY)
        return nng_pair0_open(&link->socket);
    return side == 0 ? nng_push0_open(&link->socket) : nng_pull0_open(&link->socket);
}

static void nng_join(void *arg, int side)
{
    struct nng_link *link = arg;
    int r = open_socket(link, side);

    if (r != 0)
        nng_die("nng_open", r);
    link->is_open = true;
    if (side == 1) {
        r = nng_listen(link->socket, link->address, NULL, 0);
        if (r != 0)
            nng_die("nng_listen", r);
        return;
    }
    while ((r = nng_dial(link->socket, link->address, NULL, 0)) == NNG_ECONNREFUSED || r == NNG_ENOENT)
        (void)usleep(1000);
    if (r != 0)
        nng_die("nng_dial", r);
}

static void nng_send_one(void *arg, int side, const void *data, size_t bytes)
{
    const struct nng_link *link = arg;
    int r;

    (void)side;
    while ((r = nng_send(link->socket, (void *)(uintptr_t)data, bytes, link->flags)) == NNG_EAGAIN)
        link_pause();
    if (r != 0)
        nng_die("nng_send", r);
}

static const void *nng_receive_one(void *arg, int side, void *out_data, size_t bytes)
{
    const struct nng_link *link = arg;
    size_t got = bytes;
    int r;

    (void)side;
    while ((r = nng_recv(link->socket, out_data, &got, link->flags)) == NNG_EAGAIN)
        link_pause();
    if (r != 0)
        nng_die("nng_recv", r);
    return out_data;
}

static void nng_unmake(void *arg)
{
    struct nng_link *link = arg;

    if (link->is_open)
        (void)nng_close(link->socket);
    (void)unlink(link->address + strlen("ipc://"));
    free(link);
}

extern const struct link_kind link_nng;
const struct link_kind link_nng = {
    "nng ipc",
    LINK_SPINS | LINK_SLEEPS,
    LINK_BOTH_WAYS | LINK_ONE_WAY | LINK_MANY,
    nng_make,
    nng_join,
    nng_send_one,
    nng_receive_one,
    nng_unmake,
};
