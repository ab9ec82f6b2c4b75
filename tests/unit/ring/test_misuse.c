/* SPDX-License-Identifier: MIT */
/* misuse - what is asked wrongly is refused, and changes nothing; a child of fork() has no ring, and is told. */
#include "rings.h"

#include "ring/ring.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

static void test_more_than_held(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    const size_t capacity = verso_ring_capacity_bytes(ring);
    void *data;

    (void)state;
    assert_fails_in(verso_ring_commit(ring, 1), VERSO_E_RANGE, "commit");
    assert_fails_in(verso_ring_consume(ring, 1), VERSO_E_RANGE, "consume");
    assert_ok(verso_ring_reserve(ring, 10, &data, NULL));
    assert_fails(verso_ring_commit(ring, SIZE_MAX), VERSO_E_RANGE);
    assert_ok(verso_ring_commit(ring, 10)); /* the refused one took nothing */
    assert_ok(verso_ring_peek(ring, 10, &data, NULL));
    assert_fails(verso_ring_consume(ring, 11), VERSO_E_RANGE);
    assert_ok(verso_ring_consume(ring, 10));
    assert_true(info_of(ring).written_bytes == 10 && info_of(ring).read_bytes == 10);
    assert_fails(verso_ring_reserve(ring, capacity + 1, &data, NULL), VERSO_E_RANGE);
    assert_fails(verso_ring_peek(ring, SIZE_MAX, &data, NULL), VERSO_E_RANGE);
    assert_fails(verso_ring_write(ring, ring, capacity + 1), VERSO_E_RANGE);
    assert_fails(verso_ring_wait_room(ring, capacity + 1, -1), VERSO_E_RANGE);
    assert_fails(verso_ring_wait_data(ring, SIZE_MAX, -1), VERSO_E_RANGE);
    verso_ring_close(ring);
}

/* A failed reservation or peek leaves the one before it standing. */
static void test_a_failure_keeps_what_is_held(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    const size_t capacity = verso_ring_capacity_bytes(ring);
    void *data;

    (void)state;
    assert_ok(verso_ring_reserve(ring, 10, &data, NULL));
    assert_fails(verso_ring_reserve(ring, capacity + 1, &data, NULL), VERSO_E_RANGE);
    assert_ok(verso_ring_commit(ring, 10));
    assert_ok(verso_ring_peek(ring, 10, &data, NULL));
    assert_fails(verso_ring_peek(ring, 11, &data, NULL), -EAGAIN);
    assert_ok(verso_ring_consume(ring, 10));
    verso_ring_close(ring);
}

static void test_no_arguments(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    struct verso_ring_info info = VERSO_RING_INFO_INIT;
    size_t bytes;
    void *data;

    (void)state;
    verso_ring_close(NULL);
    verso_ring_shutdown(NULL);
    assert_fails(verso_ring_reserve(NULL, 1, &data, NULL), -EINVAL);
    assert_fails(verso_ring_reserve(ring, 1, NULL, NULL), -EINVAL);
    assert_fails(verso_ring_peek(NULL, 1, &data, NULL), -EINVAL);
    assert_fails(verso_ring_peek(ring, 1, NULL, NULL), -EINVAL);
    assert_fails(verso_ring_commit(NULL, 0), -EINVAL);
    assert_fails(verso_ring_consume(NULL, 0), -EINVAL);
    assert_fails(verso_ring_write(NULL, "x", 1), -EINVAL);
    assert_fails(verso_ring_write(ring, NULL, 1), -EINVAL);
    assert_fails(verso_ring_read(NULL, &info, 1, &bytes), -EINVAL);
    assert_fails(verso_ring_read(ring, NULL, 1, &bytes), -EINVAL);
    assert_fails(verso_ring_read(ring, &info, 1, NULL), -EINVAL);
    assert_fails(verso_ring_wait_room(NULL, 1, 0), -EINVAL);
    assert_fails(verso_ring_wait_data(NULL, 1, 0), -EINVAL);
    assert_fails(verso_ring_record_reserve(NULL, 1, &data), -EINVAL);
    assert_fails(verso_ring_record_reserve(ring, 1, NULL), -EINVAL);
    assert_fails(verso_ring_record_commit(NULL, 1), -EINVAL);
    assert_fails(verso_ring_record_peek(NULL, &data, &bytes), -EINVAL);
    assert_fails(verso_ring_record_peek(ring, NULL, &bytes), -EINVAL);
    assert_fails(verso_ring_record_peek(ring, &data, NULL), -EINVAL);
    assert_fails(verso_ring_record_consume(NULL), -EINVAL);
    assert_fails(verso_ring_info(NULL, &info), -EINVAL);
    assert_fails(verso_ring_info(ring, NULL), -EINVAL);
    info.struct_bytes = 0;
    assert_fails(verso_ring_info(ring, &info), VERSO_E_OPTIONS);
    verso_ring_close(ring);
}

/* ---- A child of fork() ---- */

#define EXPECT(condition)    \
    do {                     \
        if (!(condition))    \
            return __LINE__; \
    } while (0)

/* Every call is answered, none touches what is not there; close gives back the one page that is. */
static int use_in_child(void *arg)
{
    struct verso_ring_info info = VERSO_RING_INFO_INIT;
    struct verso_ring *ring = arg;
    char text[512];
    size_t bytes;
    void *data;

    EXPECT(verso_ring_reserve(ring, 1, &data, &bytes) == VERSO_E_RANGE);
    EXPECT(verso_error_message(text, sizeof(text)) > 0 && strstr(text, "fork"));
    EXPECT(verso_ring_peek(ring, 1, &data, NULL) == VERSO_E_RANGE);
    EXPECT(verso_ring_commit(ring, 0) == 0 && verso_ring_commit(ring, 1) == VERSO_E_RANGE);
    EXPECT(verso_ring_consume(ring, 0) == 0 && verso_ring_consume(ring, 1) == VERSO_E_RANGE);
    EXPECT(verso_ring_write(ring, "x", 1) == VERSO_E_RANGE);
    EXPECT(verso_ring_read(ring, text, 1, &bytes) == VERSO_E_RANGE);
    EXPECT(verso_ring_wait_data(ring, 1, -1) == VERSO_E_RANGE);
    EXPECT(verso_ring_wait_room(ring, 1, -1) == VERSO_E_RANGE);
    EXPECT(verso_ring_record_reserve(ring, 1, &data) == VERSO_E_RANGE);
    EXPECT(verso_ring_record_commit(ring, 0) == VERSO_E_RANGE);
    EXPECT(verso_ring_record_peek(ring, &data, &bytes) == VERSO_E_RANGE);
    EXPECT(verso_ring_record_consume(ring) == VERSO_E_RANGE);
    EXPECT(verso_ring_capacity_bytes(ring) == 0);
    EXPECT(verso_ring_info(ring, &info) == 0 && info.capacity_bytes == 0 && info.used_bytes == 0);
    verso_ring_shutdown(ring);
    verso_ring_close(ring);
    return 0;
}

static void test_a_child_has_no_ring(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    void *data;
    int status;

    (void)state;
    assert_ok(verso_ring_reserve(ring, 5, &data, NULL));
    memcpy(data, "parent", 5);
    status = support_child(use_in_child, ring);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status))
        print_error("in the child, line %d (modulo 256)\n", WEXITSTATUS(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_ok(verso_ring_commit(ring, 5)); /* the parent's is as it was */
    assert_ok(verso_ring_peek(ring, 5, &data, NULL));
    assert_memory_equal(data, "paren", 5);
    assert_false(info_of(ring).is_shut_down);
    verso_ring_close(ring);
}

static int touch_data(void *arg)
{
    *(volatile unsigned char *)arg = 1;
    return 0;
}

/* Both halves are gone: a stray store in the child can't reach the parent. */
static void test_a_child_has_no_data(void **state)
{
    struct verso_ring *ring = opened_ring(2 * verso_page_bytes(), 0);
    unsigned char *const places[] = { ring->data, ring->data + verso_ring_capacity_bytes(ring) };

    (void)state;
    if (support_is_tsan())
        skip_because("ThreadSanitizer takes the signal for itself");
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        int status = support_child(touch_data, places[i]);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSEGV);
    }
    verso_ring_close(ring);
}

/* ---- Two producers ---- */

static void *produce(void *arg)
{
    for (int i = 0; i < 100; i++)
        if (verso_ring_write(arg, "12345678", 8) < 0)
            break;
    return NULL;
}

static int two_producers(void *arg)
{
    struct verso_ring *ring;
    pthread_t other;

    (void)arg;
    EXPECT(freopen("/dev/null", "w", stderr)); /* the report */
    EXPECT(verso_ring_open(1, NULL, &ring) == 0);
    EXPECT(pthread_create(&other, NULL, produce, ring) == 0);
    (void)produce(ring);
    (void)pthread_join(other, NULL);
    verso_ring_close(ring);
    return 0;
}

/* Nothing tells of them in time; but this does, as ring.h says, which is why a side's own fields are plain. */
static void test_two_producers_are_reported(void **state)
{
    const int reported = 66;
    int status;

    (void)state;
    if (!support_is_tsan())
        skip_because("needs ThreadSanitizer");
    status = support_child(two_producers, NULL);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), reported);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_more_than_held),      cmocka_unit_test(test_a_failure_keeps_what_is_held),
        cmocka_unit_test(test_no_arguments),        cmocka_unit_test(test_a_child_has_no_ring),
        cmocka_unit_test(test_a_child_has_no_data), cmocka_unit_test(test_two_producers_are_reported),
    };

    return run_test_list(list);
}
