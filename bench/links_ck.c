/* SPDX-License-Identifier: MIT */
/*
 * links_ck - Concurrency Kit's ring in shared memory: slots of one size, sixteen to a ring at least.
 *
 * Its entries are of a type, so there is a ring for each length that is measured. It has no way to sleep.
 */
#include "bench.h"
#include "links.h"

#include <ck_ring.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS_BYTES ((size_t)256 << 10) /* as large as verso's ring */

#define SIZES(X) X(8) X(64) X(256) X(1024) X(65536)

#define DECLARE(size)              \
    struct slot_##size {           \
        unsigned char bytes[size]; \
    };                             \
    CK_RING_PROTOTYPE(of_##size, slot_##size)
SIZES(DECLARE)

struct direction {
    _Alignas(128) struct ck_ring ring;
    _Alignas(128) unsigned char slots[];
};

struct rings {
    bool has_many;
    size_t bytes; /* of both directions */
    struct direction *direction[2];
};

static unsigned slots_of(size_t message_bytes)
{
    unsigned slots = 16;

    while ((size_t)slots * 2 * message_bytes <= SLOTS_BYTES)
        slots *= 2;
    return slots;
}

static bool has_size(size_t bytes)
{
#define IS_SIZE(size) bytes == (size) ||
    return SIZES(IS_SIZE) false;
}

static void *rings_make(const struct link_plan *plan, const char **out_why)
{
    unsigned slots = slots_of(plan->message_bytes);
    size_t each = sizeof(struct direction) + slots * plan->message_bytes;
    struct rings *link;
    unsigned char *memory;

    if (!has_size(plan->message_bytes)) {
        *out_why = "no ring of entries of that size was compiled";
        return NULL;
    }
    link = calloc(1, sizeof(*link));
    if (!link)
        bench_die("calloc");
    link->has_many = plan->shape == LINK_MANY;
    link->bytes = 2 * each;
    memory = link_shared(link->bytes);
    for (int i = 0; i < 2; i++) {
        link->direction[i] = (struct direction *)(void *)(memory + (size_t)i * each);
        ck_ring_init(&link->direction[i]->ring, slots);
    }
    return link;
}

static void rings_unmake(void *arg)
{
    struct rings *link = arg;

    link_shared_free(link->direction[0], link->bytes);
    free(link);
}

static void rings_join(void *arg, int side)
{
    (void)arg;
    (void)side;
}

static bool put(const struct rings *link, struct direction *to, const void *data, size_t bytes)
{
    void *slots = to->slots;

#define PUT(size)                                                                                          \
    case size:                                                                                             \
        return link->has_many ? CK_RING_ENQUEUE_MPSC(of_##size, &to->ring, slots, (void *)(uintptr_t)data) \
                              : CK_RING_ENQUEUE_SPSC(of_##size, &to->ring, slots, (void *)(uintptr_t)data);
    switch (bytes) {
        SIZES(PUT)
    default:
        return false;
    }
}

static bool take(const struct rings *link, struct direction *from, void *out_data, size_t bytes)
{
    void *slots = from->slots;

#define TAKE(size)                                                                            \
    case size:                                                                                \
        return link->has_many ? CK_RING_DEQUEUE_MPSC(of_##size, &from->ring, slots, out_data) \
                              : CK_RING_DEQUEUE_SPSC(of_##size, &from->ring, slots, out_data);
    switch (bytes) {
        SIZES(TAKE)
    default:
        return false;
    }
}

static void rings_send(void *arg, int side, const void *data, size_t bytes)
{
    const struct rings *link = arg;

    while (!put(link, link->direction[side], data, bytes))
        link_pause();
}

static const void *rings_receive(void *arg, int side, void *out_data, size_t bytes)
{
    const struct rings *link = arg;

    while (!take(link, link->direction[!side], out_data, bytes))
        link_pause();
    return out_data;
}

extern const struct link_kind link_ck;
const struct link_kind link_ck = {
    "Concurrency Kit ring", LINK_SPINS,   LINK_BOTH_WAYS | LINK_ONE_WAY | LINK_MANY, rings_make, rings_join, rings_send,
    rings_receive,          rings_unmake,
};
