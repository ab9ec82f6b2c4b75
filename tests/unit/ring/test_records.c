/* SPDX-License-Identifier: MIT */
/* records - messages stay whole, aligned and in order, at every length and around the end. */
#include "rings.h"

static void put_record(struct verso_ring *ring, uint64_t offset, size_t bytes)
{
    void *data;

    assert_ok(verso_ring_record_reserve(ring, bytes, &data));
    assert_int_equal((uintptr_t)data % 8, 0);
    pattern_fill(data, offset, bytes);
    assert_ok(verso_ring_record_commit(ring, bytes));
}

static void take_record(struct verso_ring *ring, uint64_t offset, size_t bytes)
{
    size_t got;
    void *data;

    assert_ok(verso_ring_record_peek(ring, &data, &got));
    assert_int_equal(got, bytes);
    assert_int_equal((uintptr_t)data % 8, 0);
    assert_true(support_matches(data, offset, bytes));
    assert_ok(verso_ring_record_consume(ring));
}

static void test_each_length(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    const size_t most = verso_ring_capacity_bytes(ring) - 8;
    size_t bytes;
    void *data;

    (void)state;
    for (size_t length = 0; length <= most; length += length < 70 || length > most - 20 ? 1 : 13) {
        put_record(ring, length * 7, length);
        take_record(ring, length * 7, length);
        assert_true(info_of(ring).written_bytes % 8 == 0);
    }
    assert_fails(verso_ring_record_peek(ring, &data, &bytes), -EAGAIN);
    verso_ring_close(ring);
}

static void test_many_at_once_in_order(void **state)
{
    struct verso_ring *ring = opened_ring(3 * verso_page_bytes(), 0);
    uint64_t in = 0, out = 0;

    (void)state;
    while (out < 5000) {
        void *data;
        int r = verso_ring_record_reserve(ring, in % 300, &data);

        if (r == 0) {
            pattern_fill(data, in, in % 300);
            assert_ok(verso_ring_record_commit(ring, in % 300));
            in++;
            continue;
        }
        assert_int_equal(r, -EAGAIN);
        for (int i = 0; i < 5; i++, out++)
            take_record(ring, out, out % 300);
    }
    verso_ring_close(ring);
}

/* As long as it turns out to be, at most as long as reserved. */
static void test_shorter_than_reserved(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    void *data;

    (void)state;
    assert_ok(verso_ring_record_reserve(ring, 100, &data));
    pattern_fill(data, 0, 100);
    assert_fails(verso_ring_record_commit(ring, 101), VERSO_E_RANGE);
    assert_ok(verso_ring_record_commit(ring, 33));
    assert_fails(verso_ring_record_commit(ring, 0), VERSO_E_RANGE);
    assert_true(info_of(ring).used_bytes == 8 + 40);
    take_record(ring, 0, 33);
    verso_ring_close(ring);
}

static void test_what_no_ring_can_hold(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    const size_t capacity = verso_ring_capacity_bytes(ring);
    void *data = &ring;

    (void)state;
    assert_fails(verso_ring_record_reserve(ring, capacity - 7, &data), VERSO_E_RANGE);
    assert_fails(verso_ring_record_reserve(ring, capacity, &data), VERSO_E_RANGE);
    assert_fails(verso_ring_record_reserve(ring, SIZE_MAX, &data), VERSO_E_RANGE);
    assert_fails(verso_ring_record_reserve(ring, SIZE_MAX - 8, &data), VERSO_E_RANGE);
    assert_ptr_equal(data, &ring);
    put_record(ring, 0, capacity - 8);
    assert_fails(verso_ring_record_reserve(ring, 0, &data), -EAGAIN);
    take_record(ring, 0, capacity - 8);
    verso_ring_close(ring);
}

/* A record is committed as such or not at all, and consumed as such. */
static void test_records_and_spans_are_kept_apart(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    size_t bytes;
    void *data;

    (void)state;
    assert_ok(verso_ring_record_reserve(ring, 16, &data));
    assert_fails(verso_ring_commit(ring, 1), VERSO_E_RANGE);
    assert_ok(verso_ring_reserve(ring, 16, &data, NULL)); /* replaces it */
    assert_fails(verso_ring_record_commit(ring, 1), VERSO_E_RANGE);
    put_record(ring, 0, 16);
    assert_fails(verso_ring_record_consume(ring), VERSO_E_RANGE);
    assert_ok(verso_ring_record_peek(ring, &data, &bytes));
    assert_fails(verso_ring_consume(ring, 1), VERSO_E_RANGE);
    assert_ok(verso_ring_record_consume(ring));
    assert_fails(verso_ring_record_consume(ring), VERSO_E_RANGE);
    verso_ring_close(ring);
}

static void test_plain_bytes_are_no_records(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    const uint64_t lengths[] = { 1, 8, 4096, UINT64_MAX, UINT64_MAX - 8, UINT64_MAX - 7 };
    void *data = &ring;
    size_t bytes = 77;

    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        assert_ok(verso_ring_write(ring, &lengths[i], sizeof(lengths[i])));
        assert_fails(verso_ring_record_peek(ring, &data, &bytes), VERSO_E_RANGE);
        assert_fails(verso_ring_record_consume(ring), VERSO_E_RANGE);
        assert_ok(verso_ring_read(ring, &(uint64_t){ 0 }, 8, &bytes));
        bytes = 77;
    }
    assert_ok(verso_ring_write(ring, "abc", 3));
    assert_fails(verso_ring_record_peek(ring, &data, &bytes), -EAGAIN); /* not even a length */
    assert_fails(verso_ring_record_reserve(ring, 0, &data), VERSO_E_RANGE);
    assert_ptr_equal(data, &ring);
    assert_int_equal(bytes, 77);
    verso_ring_close(ring);
}

static void test_records_end_with_the_ring(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    size_t bytes;
    void *data;

    (void)state;
    put_record(ring, 0, 5);
    assert_ok(verso_ring_record_reserve(ring, 3, &data));
    verso_ring_shutdown(ring);
    assert_fails(verso_ring_record_reserve(ring, 3, &data), -EPIPE);
    take_record(ring, 0, 5);
    assert_fails(verso_ring_record_peek(ring, &data, &bytes), -EPIPE);
    verso_ring_close(ring);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_each_length),
        cmocka_unit_test(test_many_at_once_in_order),
        cmocka_unit_test(test_shorter_than_reserved),
        cmocka_unit_test(test_what_no_ring_can_hold),
        cmocka_unit_test(test_records_and_spans_are_kept_apart),
        cmocka_unit_test(test_plain_bytes_are_no_records),
        cmocka_unit_test(test_records_end_with_the_ring),
    };

    return run_test_list(list);
}
