/* SPDX-License-Identifier: MIT */
/* ring - opening, moving, waiting and closing, with every call beneath failing in turn. */
#include "torture.h"

#include <verso/ring.h>

static struct verso_ring *opened(unsigned flags)
{
    struct verso_ring_options options = VERSO_RING_OPTIONS_INIT;
    struct verso_ring *ring = UNTOUCHED;

    options.flags = flags;
    attempt(verso_ring_open(3 * verso_page_bytes(), &options, &ring)) assert_ptr_equal(ring, UNTOUCHED);
    return ring;
}

static void fill(struct verso_ring *ring, uint64_t offset, size_t bytes)
{
    unsigned char *data;
    void *room = UNTOUCHED;

    attempt(verso_ring_reserve(ring, bytes, &room, NULL)) assert_ptr_equal(room, UNTOUCHED);
    data = room;
    for (size_t i = 0; i < bytes; i++)
        data[i] = support_byte(offset + i);
    attempt(verso_ring_commit(ring, bytes)) assert_true(torture_refusals() > 0);
}

static void drain(struct verso_ring *ring, uint64_t offset, size_t bytes)
{
    void *data = UNTOUCHED;

    attempt(verso_ring_peek(ring, bytes, &data, NULL)) assert_ptr_equal(data, UNTOUCHED);
    assert_true(support_matches(data, offset, bytes));
    attempt(verso_ring_consume(ring, bytes)) assert_true(torture_refusals() > 0);
}

static void use(unsigned flags)
{
    struct verso_ring *ring = opened(flags);
    struct verso_ring_info info = VERSO_RING_INFO_INIT;
    size_t bytes = 3 * verso_page_bytes() - 100; /* of a larger ring, should it have become one, a part will do */

    for (uint64_t at = 0; at < 4 * bytes; at += bytes) {
        attempt(verso_ring_wait_room(ring, bytes, -1)) assert_true(torture_refusals() > 0);
        fill(ring, at, bytes);
        attempt(verso_ring_wait_data(ring, bytes, -1)) assert_true(torture_refusals() > 0);
        drain(ring, at, bytes);
    }
    attempt(verso_ring_info(ring, &info)) assert_true(torture_refusals() > 0);
    assert_true(info.used_bytes == 0 && info.written_bytes == 4 * bytes);
    verso_ring_close(ring);
}

static void plain(void)
{
    use(0);
}

static void locked_and_not_dumped(void)
{
    use(VERSO_RING_LOCK | VERSO_RING_NO_CORE);
}

static void huge(void)
{
    use(VERSO_RING_HUGE);
}

/* A sleep that can't be had is an error; the ring works on. Asleep or not, the time runs out. */
static void wait_in_vain(void)
{
    struct verso_ring *ring = opened(0);
    unsigned before = fake_failures();
    int r = verso_ring_wait_data(ring, 1, 1);

    assert_true(r == -ETIMEDOUT || (r == -EPERM && fake_failures() > before));
    assert_int_equal(verso_error_last()->code, r);
    fill(ring, 5, 100);
    attempt(verso_ring_wait_data(ring, 100, 1)) assert_true(torture_refusals() > 0);
    drain(ring, 5, 100);
    verso_ring_close(ring);
}

static void test_plain(void **state)
{
    (void)state;
    torture(plain);
}

static void test_locked_and_not_dumped(void **state)
{
    struct verso_ring_options options = VERSO_RING_OPTIONS_INIT;
    struct verso_ring *ring;

    (void)state;
    options.flags = VERSO_RING_LOCK;
    if (verso_ring_open(3 * verso_page_bytes(), &options, &ring) < 0)
        skip_because("locking is not allowed here: %s", verso_error_name(verso_error_last()->code));
    verso_ring_close(ring);
    torture(locked_and_not_dumped);
}

static void test_huge(void **state)
{
    (void)state;
    torture(huge);
}

static void test_wait_in_vain(void **state)
{
    (void)state;
    torture(wait_in_vain);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_plain),
        torture_test(test_locked_and_not_dumped),
        torture_test(test_huge),
        torture_test(test_wait_in_vain),
    };

    return run_test_list(list);
}
