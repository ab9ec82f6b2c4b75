/* SPDX-License-Identifier: MIT */
/*
 * record - messages that stay whole: a length, the content, and up to 7 bytes so that the next is aligned again.
 *
 * Pages are multiples of 8, so positions that are multiples of 8 stay so around the ring, and so do addresses.
 */
#include "ring/ring.h"

#include "base/sums.h"

#include <errno.h>
#include <string.h>

#define HEADER_BYTES sizeof(uint64_t)

static const char no_records[] = "this ring carries plain bytes; a ring takes either those or records";

/* False when no ring can hold it. */
static bool record_span(uint64_t bytes, uint64_t *out_span_bytes)
{
    uint64_t whole;

    return verso__add_u64(bytes, HEADER_BYTES, &whole) && verso__round_up(whole, HEADER_BYTES, out_span_bytes) &&
           *out_span_bytes <= SIZE_MAX;
}

int verso_ring_record_reserve(struct verso_ring *ring, size_t bytes, void **out_data)
{
    struct verso__ring_side *side;
    uint64_t span_bytes;
    void *header;
    int r;

    if (!ring || !out_data)
        return verso__fail(-EINVAL, "arguments", NULL);
    side = &ring->sides[VERSO__RING_PRODUCER];
    if (!record_span(bytes, &span_bytes))
        return verso__ring_refuse(ring, VERSO__RING_PRODUCER, VERSO_E_RANGE, "record");
    if (side->at % HEADER_BYTES)
        return verso__fail_hint(VERSO_E_RANGE, "record", NULL, no_records);
    r = verso__ring_hold(ring, VERSO__RING_PRODUCER, (size_t)span_bytes, &header, NULL, "record");
    if (r < 0)
        return r;
    side->held = 0; /* to be committed as a record, or not at all */
    side->holds_record = true;
    side->record_bytes = bytes;
    *out_data = (unsigned char *)header + HEADER_BYTES;
    return 0;
}

int verso_ring_record_commit(struct verso_ring *ring, size_t bytes)
{
    struct verso__ring_side *side;
    uint64_t length = bytes, span_bytes;

    if (!ring)
        return verso__fail(-EINVAL, "arguments", NULL);
    side = &ring->sides[VERSO__RING_PRODUCER];
    if (!side->holds_record || bytes > side->record_bytes || !record_span(bytes, &span_bytes))
        return verso__fail_hint(VERSO_E_RANGE, "record", NULL, "commit at most what verso_ring_record_reserve() gave");
    memcpy(ring->data + side->at, &length, HEADER_BYTES);
    side->holds_record = false;
    side->held = (size_t)span_bytes;
    verso__ring_pass(ring, VERSO__RING_PRODUCER, (size_t)span_bytes);
    return 0;
}

/* Whether all of a record is there: it was committed in one piece, so what is known of holds all of it or none. */
static bool is_record(const struct verso__ring_side *side, uint64_t length, uint64_t *out_span_bytes)
{
    return side->at % HEADER_BYTES == 0 && record_span(length, out_span_bytes) &&
           *out_span_bytes <= verso__ring_known(side);
}

int verso_ring_record_peek(struct verso_ring *ring, void **out_data, size_t *out_bytes)
{
    struct verso__ring_side *side;
    uint64_t length, span_bytes;
    void *header;
    int r;

    if (!ring || !out_data || !out_bytes)
        return verso__fail(-EINVAL, "arguments", NULL);
    side = &ring->sides[VERSO__RING_CONSUMER];
    r = verso__ring_hold(ring, VERSO__RING_CONSUMER, HEADER_BYTES, &header, NULL, "record");
    if (r < 0)
        return r;
    side->held = 0;
    memcpy(&length, header, HEADER_BYTES);
    if (!is_record(side, length, &span_bytes))
        return verso__fail_hint(VERSO_E_RANGE, "record", NULL, no_records);
    side->holds_record = true;
    side->record_bytes = (size_t)length;
    *out_data = (unsigned char *)header + HEADER_BYTES;
    *out_bytes = (size_t)length;
    return 0;
}

/* What was peeked counts, not what stands there by now: the content was the caller's to change. */
int verso_ring_record_consume(struct verso_ring *ring)
{
    struct verso__ring_side *side;
    uint64_t span_bytes;

    if (!ring)
        return verso__fail(-EINVAL, "arguments", NULL);
    side = &ring->sides[VERSO__RING_CONSUMER];
    if (!side->holds_record || !record_span(side->record_bytes, &span_bytes))
        return verso__fail_hint(VERSO_E_RANGE, "record", NULL, "verso_ring_record_peek() first");
    side->holds_record = false;
    side->held = (size_t)span_bytes;
    verso__ring_pass(ring, VERSO__RING_CONSUMER, (size_t)span_bytes);
    return 0;
}
