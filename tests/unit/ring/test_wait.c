/* SPDX-License-Identifier: MIT */
/* wait - sleeping, being woken by just enough, time limits, signals, and the end. */
#include "rings.h"

#include "os/os.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static uint64_t thread_time_ns(void)
{
    struct timespec used;

    assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used), 0);
    return (uint64_t)used.tv_sec * 1000000000U + (uint64_t)used.tv_nsec;
}

static void test_what_is_there_needs_no_waiting(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    const size_t capacity = verso_ring_capacity_bytes(ring);

    (void)state;
    assert_ok(verso_ring_wait_room(ring, 0, -1));
    assert_ok(verso_ring_wait_room(ring, capacity, -1));
    put(ring, 0, 10);
    assert_ok(verso_ring_wait_data(ring, 0, -1));
    assert_ok(verso_ring_wait_data(ring, 10, 0));
    assert_fails(verso_ring_wait_data(ring, 11, 0), -ETIMEDOUT);
    assert_ok(verso_ring_wait_room(ring, capacity - 10, 0));
    assert_fails(verso_ring_wait_room(ring, capacity - 9, 0), -ETIMEDOUT);
    assert_true(info_of(ring).data_sleeps == 0 && info_of(ring).room_sleeps == 0);
    verso_ring_close(ring);
}

static void test_time_runs_out(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    uint64_t start = verso__os_clock_ns();

    (void)state;
    assert_fails_in(verso_ring_wait_data(ring, 1, 20), -ETIMEDOUT, "wait");
    assert_true(verso__os_clock_ns() - start >= 20000000U);
    assert_true(info_of(ring).data_sleeps > 0);
    put(ring, 0, verso_ring_capacity_bytes(ring));
    start = verso__os_clock_ns();
    assert_fails(verso_ring_wait_room(ring, 1, 20), -ETIMEDOUT);
    assert_true(verso__os_clock_ns() - start >= 20000000U);
    assert_true(info_of(ring).room_sleeps > 0);
    take(ring, 0, 1);
    assert_ok(verso_ring_wait_room(ring, 1, 20));
    verso_ring_close(ring);
}

/* Of 200 ms asleep hardly any is processor time; a fourth is far more than the look before the sleep can take. */
static void test_sleeping_uses_no_processor(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    uint64_t before = thread_time_ns();

    (void)state;
    assert_fails(verso_ring_wait_data(ring, 1, 200), -ETIMEDOUT);
    assert_true(thread_time_ns() - before < 50000000U);
    verso_ring_close(ring);
}

struct waiter {
    struct verso_ring *ring;
    bool for_room;
    size_t least;
    int answer;
    pthread_t thread;
};

static void *wait_in_thread(void *arg)
{
    struct waiter *waiter = arg;

    waiter->answer = waiter->for_room ? verso_ring_wait_room(waiter->ring, waiter->least, -1)
                                      : verso_ring_wait_data(waiter->ring, waiter->least, -1);
    return NULL;
}

static void waiter_start(struct waiter *waiter)
{
    waiter->answer = 1;
    assert_int_equal(pthread_create(&waiter->thread, NULL, wait_in_thread, waiter), 0);
}

/* Until @count sleeps have begun; the last may be about to. */
static void until_asleep(const struct waiter *waiter, uint64_t count)
{
    for (;;) {
        struct verso_ring_info info = info_of(waiter->ring);

        if ((waiter->for_room ? info.room_sleeps : info.data_sleeps) >= count)
            return;
        (void)usleep(200);
    }
}

/* A commit that is not enough wakes nobody; the one that makes it enough does. */
static void test_woken_when_it_is_enough(void **state)
{
    struct waiter waiter = { .ring = opened_ring(1, 0), .least = 100 };
    uint64_t sleeps;

    (void)state;
    waiter_start(&waiter);
    until_asleep(&waiter, 1);
    (void)usleep(2000); /* now surely in the kernel */
    sleeps = info_of(waiter.ring).data_sleeps;
    for (int i = 0; i < 99; i++)
        put(waiter.ring, (uint64_t)i, 1);
    (void)usleep(2000);
    assert_true(info_of(waiter.ring).data_sleeps == sleeps);
    put(waiter.ring, 99, 1);
    assert_int_equal(pthread_join(waiter.thread, NULL), 0);
    assert_int_equal(waiter.answer, 0);
    take(waiter.ring, 0, 100);
    verso_ring_close(waiter.ring);
}

static void test_room_wakes_too(void **state)
{
    struct waiter waiter = { .ring = opened_ring(1, 0), .for_room = true, .least = 50 };
    size_t capacity = verso_ring_capacity_bytes(waiter.ring);

    (void)state;
    put(waiter.ring, 0, capacity);
    waiter_start(&waiter);
    until_asleep(&waiter, 1);
    take(waiter.ring, 0, 30);
    take(waiter.ring, 30, 20);
    assert_int_equal(pthread_join(waiter.thread, NULL), 0);
    assert_int_equal(waiter.answer, 0);
    put(waiter.ring, capacity, 50);
    verso_ring_close(waiter.ring);
}

static void test_shutdown_wakes(void **state)
{
    (void)state;
    for (int for_room = 0; for_room < 2; for_room++) {
        struct waiter waiter = { .ring = opened_ring(1, 0), .for_room = for_room, .least = 5 };

        put(waiter.ring, 0, for_room ? verso_ring_capacity_bytes(waiter.ring) : 4);
        waiter_start(&waiter);
        until_asleep(&waiter, 1);
        verso_ring_shutdown(waiter.ring);
        assert_int_equal(pthread_join(waiter.thread, NULL), 0);
        assert_int_equal(waiter.answer, -EPIPE);
        verso_ring_close(waiter.ring);
    }
}

/* Every byte, then the end. */
static void test_after_shutdown_the_rest_can_be_read(void **state)
{
    struct verso_ring *ring = opened_ring(1, 0);
    unsigned char out[16];
    void *data = &ring;
    size_t bytes;

    (void)state;
    put(ring, 0, 10);
    assert_ok(verso_ring_reserve(ring, 3, &data, NULL));
    verso_ring_shutdown(ring);
    verso_ring_shutdown(ring);
    assert_int_equal(info_of(ring).is_shut_down, 1);
    assert_fails(verso_ring_reserve(ring, 1, &data, NULL), -EPIPE);
    assert_fails(verso_ring_write(ring, "x", 1), -EPIPE);
    assert_fails(verso_ring_wait_room(ring, 1, -1), -EPIPE);
    assert_ok(verso_ring_wait_data(ring, 10, -1));
    assert_fails(verso_ring_wait_data(ring, 11, -1), -EPIPE);
    take(ring, 0, 4);
    assert_fails(verso_ring_peek(ring, 7, &data, NULL), -EPIPE);
    assert_ok(verso_ring_read(ring, out, sizeof(out), &bytes));
    assert_int_equal(bytes, 6);
    assert_true(support_matches(out, 4, 6));
    assert_fails(verso_ring_read(ring, out, sizeof(out), &bytes), -EPIPE);
    assert_fails(verso_ring_peek(ring, 1, &data, &bytes), -EPIPE);
    assert_fails(verso_ring_wait_data(ring, 1, -1), -EPIPE);
    verso_ring_close(ring);
}

/* ---- Signals ---- */

static const char late_handlers[] =
    "ThreadSanitizer keeps a handler waiting as long as its thread sleeps in a call unknown to it";

static struct verso_ring *signalled;
static atomic_int signals;

static void count_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

static void shut_down_in_handler(int number)
{
    (void)number;
    verso_ring_shutdown(signalled);
}

static void handle(void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler }; /* without SA_RESTART */

    assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
}

static void test_signals_do_not_end_a_wait(void **state)
{
    struct waiter waiter = { .least = 1 };

    (void)state;
    if (support_is_tsan())
        skip_because("%s", late_handlers);
    waiter.ring = opened_ring(1, 0);
    atomic_store(&signals, 0);
    handle(count_signal);
    waiter_start(&waiter);
    until_asleep(&waiter, 1);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(pthread_kill(waiter.thread, SIGUSR1), 0);
        while (atomic_load(&signals) < i)
            (void)usleep(200);
    }
    put(waiter.ring, 0, 1);
    assert_int_equal(pthread_join(waiter.thread, NULL), 0);
    assert_int_equal(waiter.answer, 0);
    handle(SIG_DFL);
    verso_ring_close(waiter.ring);
}

static void test_a_handler_may_shut_down(void **state)
{
    struct waiter waiter = { .least = 1 };

    (void)state;
    if (support_is_tsan())
        skip_because("%s", late_handlers);
    signalled = waiter.ring = opened_ring(1, 0);
    handle(shut_down_in_handler);
    waiter_start(&waiter);
    until_asleep(&waiter, 1);
    assert_int_equal(pthread_kill(waiter.thread, SIGUSR1), 0); /* the sleeper wakes itself */
    assert_int_equal(pthread_join(waiter.thread, NULL), 0);
    assert_int_equal(waiter.answer, -EPIPE);
    handle(SIG_DFL);
    verso_ring_close(waiter.ring);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_what_is_there_needs_no_waiting),
        cmocka_unit_test(test_time_runs_out),
        cmocka_unit_test(test_sleeping_uses_no_processor),
        cmocka_unit_test(test_woken_when_it_is_enough),
        cmocka_unit_test(test_room_wakes_too),
        cmocka_unit_test(test_shutdown_wakes),
        cmocka_unit_test(test_after_shutdown_the_rest_can_be_read),
        cmocka_unit_test(test_signals_do_not_end_a_wait),
        cmocka_unit_test(test_a_handler_may_shut_down),
    };

    return run_test_list(list);
}
