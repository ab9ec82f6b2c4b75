/* SPDX-License-Identifier: MIT */
/* spans - on one thread: every position and length around the end, full and empty, copies, counters that wrap. */
#include "rings.h"

#include "ring/ring.h"

/* Each position, with lengths that end before, at and after the end, up to all of it. */
static void test_each_position_is_contiguous(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    const size_t capacity = verso_ring_capacity_bytes(ring);
    uint64_t offset = 0;

    (void)state;
    assert_int_equal(capacity, verso_page_bytes());
    for (size_t position = 0; position < capacity; position++) {
        const size_t lengths[] = { 1, 7, capacity - position, capacity - position + 1, capacity - 1, capacity };

        for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
            const size_t bytes = lengths[i] > capacity ? capacity : lengths[i];

            if (bytes > 64 && position % 61 && position + 64 < capacity)
                continue; /* long ones at some places, and at all near the end */
            put(ring, offset, bytes);
            take(ring, offset, bytes);
            offset += bytes;
            move_to(ring, position);
        }
        move_to(ring, (position + 1) % capacity);
    }
    verso_ring_close(ring);
}

/* Odd sizes: three pages, seven; what is in it stays while more comes behind it. */
static void test_streams_through_odd_capacities(void **state)
{
    const size_t pages[] = { 1, 2, 3, 5, 7 };

    (void)state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        struct verso_ring *ring = opened_ring(pages[i] * verso_page_bytes(), 0);
        const size_t capacity = verso_ring_capacity_bytes(ring);
        uint64_t in = 0, out = 0, dice = 88172645463325252U;

        assert_int_equal(capacity, pages[i] * verso_page_bytes());
        while (out < 40 * capacity) {
            size_t bytes;

            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            bytes = (size_t)(dice >> 20) % capacity + 1;
            if (dice & 1 && bytes <= capacity - (in - out)) {
                put(ring, in, bytes);
                in += bytes;
            } else if (!(dice & 1) && bytes <= in - out) {
                take(ring, out, bytes);
                out += bytes;
            }
            assert_true(info_of(ring).used_bytes == in - out);
        }
        assert_true(info_of(ring).written_bytes == in && info_of(ring).read_bytes == out);
        verso_ring_close(ring);
    }
}

static void test_full_and_empty_are_eagain(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    const size_t capacity = verso_ring_capacity_bytes(ring);
    void *data = &ring;
    size_t bytes = 77;

    (void)state;
    assert_fails(verso_ring_peek(ring, 0, &data, &bytes), -EAGAIN);
    assert_ptr_equal(data, &ring);
    assert_int_equal(bytes, 77);
    put(ring, 0, capacity - 1);
    assert_fails(verso_ring_reserve(ring, 2, &data, &bytes), -EAGAIN);
    assert_ptr_equal(data, &ring);
    assert_int_equal(bytes, 77);
    assert_ok(verso_ring_reserve(ring, 0, &data, &bytes));
    assert_int_equal(bytes, 1);
    assert_ok(verso_ring_commit(ring, 1));
    assert_fails(verso_ring_reserve(ring, 1, &data, NULL), -EAGAIN);
    assert_fails(verso_ring_write(ring, "x", 1), -EAGAIN);
    assert_ok(verso_ring_peek(ring, capacity, &data, &bytes));
    assert_int_equal(bytes, capacity);
    assert_ok(verso_ring_consume(ring, 1));
    assert_ok(verso_ring_write(ring, "x", 1));
    verso_ring_close(ring);
}

/* Without @out_bytes only what was asked for is held; with it, all there is. */
static void test_how_much_is_told(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    const size_t capacity = verso_ring_capacity_bytes(ring);
    void *data, *again;
    size_t bytes;

    (void)state;
    assert_ok(verso_ring_reserve(ring, 10, &data, &bytes));
    assert_int_equal(bytes, capacity);
    assert_ok(verso_ring_reserve(ring, 10, &again, NULL));
    assert_ptr_equal(again, data);
    assert_fails(verso_ring_commit(ring, 11), VERSO_E_RANGE);
    assert_ok(verso_ring_commit(ring, 10));
    assert_fails(verso_ring_commit(ring, 1), VERSO_E_RANGE);
    assert_ok(verso_ring_peek(ring, 1, &data, &bytes));
    assert_int_equal(bytes, 10);
    assert_ok(verso_ring_peek(ring, 4, &data, NULL));
    assert_fails(verso_ring_consume(ring, 5), VERSO_E_RANGE);
    assert_ok(verso_ring_consume(ring, 1)); /* in parts, front to back */
    assert_ok(verso_ring_consume(ring, 3));
    assert_ok(verso_ring_commit(ring, 0));
    assert_ok(verso_ring_consume(ring, 0));
    assert_true(info_of(ring).used_bytes == 6);
    verso_ring_close(ring);
}

/* What is reserved is not data until it is committed, and what is peeked stays until it is consumed. */
static void test_reserving_and_peeking_change_nothing(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    void *data;

    (void)state;
    assert_ok(verso_ring_reserve(ring, 100, &data, NULL));
    pattern_fill(data, 0, 100);
    assert_fails(verso_ring_peek(ring, 1, &data, NULL), -EAGAIN);
    assert_ok(verso_ring_commit(ring, 60));
    assert_fails(verso_ring_peek(ring, 61, &data, NULL), -EAGAIN);
    assert_ok(verso_ring_peek(ring, 60, &data, NULL));
    assert_ok(verso_ring_peek(ring, 60, &data, NULL));
    assert_true(support_matches(data, 0, 60));
    assert_ok(verso_ring_commit(ring, 40));
    take(ring, 0, 100);
    verso_ring_close(ring);
}

/* The two addresses are one memory, in both directions. */
static void test_the_halves_are_one(void **state)
{
    struct verso_ring *ring = opened_ring(3 * verso_page_bytes(), 0);
    const size_t capacity = verso_ring_capacity_bytes(ring);

    (void)state;
    for (size_t i = 0; i < capacity; i += 97) {
        ring->data[i] = (unsigned char)(i >> 4);
        assert_int_equal(ring->data[capacity + i], (unsigned char)(i >> 4));
        ring->data[capacity + i] = (unsigned char)~(i >> 4);
        assert_int_equal(ring->data[i], (unsigned char)~(i >> 4));
    }
    verso_ring_close(ring);
}

static void test_copies(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    const size_t capacity = verso_ring_capacity_bytes(ring);
    unsigned char *in = malloc(capacity), *out = malloc(capacity + 10);
    uint64_t offset = 0;
    size_t bytes = 77;

    (void)state;
    assert_non_null(in);
    assert_non_null(out);
    assert_fails(verso_ring_read(ring, out, 1, &bytes), -EAGAIN);
    assert_int_equal(bytes, 77);
    assert_ok(verso_ring_read(ring, out, 0, &bytes));
    assert_int_equal(bytes, 0);
    assert_ok(verso_ring_write(ring, in, 0));
    for (size_t length = 1; length <= capacity; length += 1 + length / 3) {
        pattern_fill(in, offset, length);
        assert_ok(verso_ring_write(ring, in, length));
        assert_ok(verso_ring_read(ring, out, length / 2 + 1, &bytes)); /* less than there is */
        assert_int_equal(bytes, length / 2 + 1);
        assert_true(support_matches(out, offset, bytes));
        if (bytes < length) {
            assert_ok(verso_ring_read(ring, out, capacity + 10, &bytes)); /* more than there is */
            assert_int_equal(bytes, length - (length / 2 + 1));
            assert_true(support_matches(out, offset + length / 2 + 1, bytes));
        }
        offset += length;
    }
    free(in);
    free(out);
    verso_ring_close(ring);
}

/* 2^64 bytes take centuries, so the counters are put near their end. */
static void test_counters_may_wrap(void **state)
{
    struct verso_ring *ring = opened_ring(3 * verso_page_bytes(), 0);
    const size_t capacity = verso_ring_capacity_bytes(ring);
    const uint64_t start = UINT64_MAX - 2 * capacity - 5;
    void *data;

    (void)state;
    ring->sides[VERSO__RING_PRODUCER].moved = start;
    ring->sides[VERSO__RING_CONSUMER].moved = start;
    ring->sides[VERSO__RING_PRODUCER].limit = start + capacity;
    ring->sides[VERSO__RING_CONSUMER].limit = start;
    for (uint64_t done = 0; done < 6 * capacity; done += capacity / 2) {
        put(ring, done, capacity / 2);
        put(ring, done, capacity - capacity / 2);
        assert_fails(verso_ring_reserve(ring, 1, &data, NULL), -EAGAIN);
        assert_fails(verso_ring_wait_room(ring, 1, 0), -ETIMEDOUT);
        assert_true(info_of(ring).used_bytes == capacity);
        take(ring, done, capacity / 2);
        take(ring, done, capacity - capacity / 2);
        assert_fails(verso_ring_peek(ring, 1, &data, NULL), -EAGAIN);
        assert_true(info_of(ring).used_bytes == 0);
    }
    assert_true(info_of(ring).written_bytes < capacity * 10); /* it did wrap */
    verso_ring_close(ring);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_each_position_is_contiguous),
        cmocka_unit_test(test_streams_through_odd_capacities),
        cmocka_unit_test(test_full_and_empty_are_eagain),
        cmocka_unit_test(test_how_much_is_told),
        cmocka_unit_test(test_reserving_and_peeking_change_nothing),
        cmocka_unit_test(test_the_halves_are_one),
        cmocka_unit_test(test_copies),
        cmocka_unit_test(test_counters_may_wrap),
    };

    return run_test_list(list);
}
