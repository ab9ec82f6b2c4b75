/* SPDX-License-Identifier: MIT */
/* seats - whose they are, how they come free, and that nobody else's robust mutexes suffer from them. */
#include "regions.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>

static const struct verso__share_seat *seat_in(struct verso_share *share)
{
    const struct verso__share_seat *seat = NULL;

    assert_int_equal(verso__share_seat_of(verso_share_data(share), &seat), 0);
    return seat;
}

static void test_one_for_each_thread(void **state)
{
    struct verso_share *share = made(support_path("s"), 10000);
    const struct verso__share_seat *seat = seat_in(share), *again;

    (void)state;
    assert_int_equal(seat->number, 0);
    assert_int_equal(seat->generation, 1);
    assert_ptr_equal(seat->share, share);
    again = seat_in(share);
    assert_ptr_equal(again, seat);
    assert_int_equal(verso__share_seat_of((char *)verso_share_data(share) + 9999, &again), 0);
    assert_ptr_equal(again, seat);
    assert_false(verso__share_seat_is_marked(seat));
    assert_false(verso__share_seat_is_dead(seat));
    verso_share_close(share);
}

static void test_only_in_content(void **state)
{
    struct verso_share *share = made(support_path("s"), 10);
    const struct verso__share_seat *seat = NULL;
    int here;

    (void)state;
    assert_int_equal(verso__share_seat_of(&here, &seat), VERSO_E_RANGE);
    assert_int_equal(verso__share_seat_of(NULL, &seat), VERSO_E_RANGE);
    assert_int_equal(verso__share_seat_of((char *)verso_share_data(share) - 1, &seat), VERSO_E_RANGE);
    assert_int_equal(verso__share_seat_of((char *)verso_share_data(share) + 10, &seat), VERSO_E_RANGE);
    assert_null(seat);
    verso_share_close(share);
}

/* More regions in turn than the thread remembers at once. */
static void test_many_regions(void **state)
{
    struct verso_share *shares[VERSO__SHARE_PLACES + 3];
    size_t count = sizeof(shares) / sizeof(shares[0]);

    (void)state;
    for (size_t i = 0; i < count; i++)
        assert_ok(verso_share_create_anonymous(10, NULL, &shares[i]));
    for (int round = 0; round < 5; round++)
        for (size_t i = 0; i < count; i++) {
            const struct verso__share_seat *seat = seat_in(shares[(i * 3) % count]);

            assert_ptr_equal(seat->share, shares[(i * 3) % count]);
            assert_int_equal(seat->generation, 1);
        }
    /* Closing one leaves the others alone, and what is opened in its place is not taken for it. */
    verso_share_close(shares[1]);
    assert_ok(verso_share_create_anonymous(10, NULL, &shares[1]));
    for (size_t i = 0; i < count; i++)
        assert_ptr_equal(seat_in(shares[i])->share, shares[i]);
    for (size_t i = 0; i < count; i++)
        verso_share_close(shares[i]);
}

struct guest {
    struct verso_share *share;
    struct verso__share_seat seat;
    pthread_barrier_t *sits, *goes;
};

static void *sit(void *arg)
{
    struct guest *guest = arg;
    const struct verso__share_seat *seat;

    if (verso__share_seat_of(verso_share_data(guest->share), &seat) != 0)
        return arg;
    guest->seat = *seat;
    if (guest->sits) {
        (void)pthread_barrier_wait(guest->sits);
        (void)pthread_barrier_wait(guest->goes);
    }
    return NULL;
}

static void join(pthread_t thread)
{
    void *failed;

    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
}

static void test_a_thread_that_ends_stands_up(void **state)
{
    struct verso_share *share = made(support_path("s"), 10);
    struct guest guest = { .share = share };
    size_t mappings;
    pthread_t thread;

    (void)state;
    (void)seat_in(share);
    assert_int_equal(pthread_create(&thread, NULL, sit, &guest), 0);
    join(thread);
    assert_int_equal(guest.seat.number, 1);
    assert_true(verso__share_seat_is_marked(&guest.seat));
    assert_true(verso__share_seat_is_dead(&guest.seat));
    mappings = support_mapping_count();
    for (uint32_t i = 2; i < 20; i++) {
        struct verso__share_seat before = guest.seat;

        assert_int_equal(pthread_create(&thread, NULL, sit, &guest), 0);
        join(thread);
        assert_int_equal(guest.seat.number, 1);
        assert_int_equal(guest.seat.generation, i);
        assert_true(verso__share_seat_is_dead(&before));
    }
    assert_int_equal(support_mapping_count(), mappings);
    verso_share_close(share);
}

/* Threads that sit in a region while another closes it: they end without harm, and nothing stays. */
static void test_closed_under_others(void **state)
{
    struct verso_share *share = made(support_path("s"), 10), *looker = attached(support_path("s"));
    pthread_barrier_t sits, goes;
    struct guest guests[3];
    pthread_t threads[3];
    size_t mappings;

    (void)state;
    assert_int_equal(pthread_barrier_init(&sits, NULL, 4) + pthread_barrier_init(&goes, NULL, 4), 0);
    for (int i = 0; i < 3; i++) {
        guests[i] = (struct guest){ .share = share, .sits = &sits, .goes = &goes };
        assert_int_equal(pthread_create(&threads[i], NULL, sit, &guests[i]), 0);
    }
    (void)pthread_barrier_wait(&sits);
    for (int i = 0; i < 3; i++) {
        guests[i].seat.share = looker;
        assert_false(verso__share_seat_is_dead(&guests[i].seat));
    }
    verso_share_close(share);
    for (int i = 0; i < 3; i++)
        assert_true(verso__share_seat_is_marked(&guests[i].seat));
    (void)pthread_barrier_wait(&goes);
    for (int i = 0; i < 3; i++)
        join(threads[i]);
    verso_share_close(looker);
    mappings = support_mapping_count();
    share = made(support_path("s"), 10);
    (void)seat_in(share);
    verso_share_close(share);
    assert_int_equal(support_mapping_count(), mappings);
    assert_int_equal(pthread_barrier_destroy(&sits) + pthread_barrier_destroy(&goes), 0);
}

static void test_all_taken(void **state)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *first, *second, *third, *fourth;
    const struct verso__share_seat *seat;

    (void)state;
    options.seat_count = 2;
    options.member_count = 3;
    assert_ok(verso_share_create_anonymous(10, &options, &first));
    assert_ok(verso_share_attach_descriptor(verso_share_descriptor(first), NULL, &second));
    assert_ok(verso_share_attach_descriptor(verso_share_descriptor(first), NULL, &third));
    assert_fails_in(verso_share_attach_descriptor(verso_share_descriptor(first), NULL, &fourth), -EUSERS, "lock");
    (void)seat_in(first);
    (void)seat_in(second);
    assert_int_equal(verso__share_seat_of(verso_share_data(third), &seat), -EUSERS);
    verso_share_close(first);
    assert_int_equal(seat_in(third)->number, 0);
    assert_int_equal(seat_in(third)->generation, 2);
    verso_share_close(second);
    verso_share_close(third);
}

/* Any numbers at all, as they may stand in shared memory: dead, and no harm done. */
static void test_rubbish(void **state)
{
    const uint32_t numbers[] = { 0, 1, 255, 256, 65535, INT32_MAX, UINT32_MAX };
    struct verso_share *share = made(support_path("s"), 10);
    uint32_t number, generation;

    (void)state;
    (void)seat_in(share);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        for (size_t j = 0; j < sizeof(numbers) / sizeof(numbers[0]); j++) {
            struct verso__share_seat seat = { share, numbers[i], numbers[j] };

            if (numbers[i] == 0 && numbers[j] == 1)
                continue;
            assert_true(verso__share_seat_is_marked(&seat));
            assert_true(verso__share_seat_is_dead(&seat));
            assert_int_equal(verso__share_seat_member(&seat, &number, &generation), -ESRCH);
            assert_true(verso__share_member_is_dead(share, numbers[i], numbers[j]));
        }
    /* And the chair itself may hold rubbish. */
    atomic_store(&verso__share_chair(share, 0)->member, 70000);
    assert_true(verso__share_seat_is_dead(&(struct verso__share_seat){ share, 0, 1 }));
    atomic_store(&verso__share_chair(share, 0)->member, 1);
    atomic_store(&verso__share_header(share)->seats_made, UINT32_MAX);
    assert_true(verso__share_seat_is_dead(&(struct verso__share_seat){ share, 256, 0 }));
    verso_share_close(share);
}

/* Somebody scribbles over the life words; their threads end, close and go on all the same. */
static void test_scribbled_words(void **state)
{
    const uint32_t words[] = { 0, 1, FUTEX_WAITERS, FUTEX_OWNER_DIED, UINT32_MAX };
    struct verso_share *share = made(support_path("s"), 10);
    struct guest guest = { .share = share };
    pthread_t thread;

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        pthread_barrier_t sits, goes;

        assert_int_equal(pthread_barrier_init(&sits, NULL, 2) + pthread_barrier_init(&goes, NULL, 2), 0);
        guest = (struct guest){ .share = share, .sits = &sits, .goes = &goes };
        assert_int_equal(pthread_create(&thread, NULL, sit, &guest), 0);
        (void)pthread_barrier_wait(&sits);
        atomic_store(verso__share_life(share, guest.seat.number), words[i]);
        (void)pthread_barrier_wait(&goes);
        join(thread);
        assert_true(verso__share_seat_is_dead(&guest.seat));
        assert_int_equal(pthread_barrier_destroy(&sits) + pthread_barrier_destroy(&goes), 0);
    }
    (void)seat_in(share);
    atomic_store(verso__share_life(share, seat_in(share)->number), 0x1234);
    verso_share_close(share);
}

/* ---- A robust mutex of the program's own, in a thread that has a seat ---- */

struct others {
    struct verso_share *share;
    pthread_mutex_t *mutex;
};

static void *hold_and_end(void *arg)
{
    struct others *others = arg;
    const struct verso__share_seat *seat;

    if (pthread_mutex_lock(others->mutex) != 0)
        return arg;
    return verso__share_seat_of(verso_share_data(others->share), &seat) == 0 ? NULL : arg;
}

static void test_others_robust_mutexes_work_on(void **state)
{
    struct verso_share *share = made(support_path("s"), 10);
    pthread_mutexattr_t attributes;
    pthread_mutex_t mutex;
    struct others others = { share, &mutex };
    pthread_t thread;

    (void)state;
    if (support_is_tsan())
        skip_because("ThreadSanitizer reports a thread that ends with a mutex locked");
    assert_int_equal(pthread_mutexattr_init(&attributes), 0);
    assert_int_equal(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST), 0);
    assert_int_equal(pthread_mutex_init(&mutex, &attributes), 0);
    assert_int_equal(pthread_create(&thread, NULL, hold_and_end, &others), 0);
    join(thread);
    assert_int_equal(pthread_mutex_lock(&mutex), EOWNERDEAD);
    assert_int_equal(pthread_mutex_consistent(&mutex), 0);
    (void)seat_in(share);
    assert_int_equal(pthread_mutex_unlock(&mutex), 0);
    verso_share_close(share);
    assert_int_equal(pthread_mutex_lock(&mutex), 0);
    assert_int_equal(pthread_mutex_unlock(&mutex), 0);
    assert_int_equal(pthread_mutex_destroy(&mutex), 0);
    assert_int_equal(pthread_mutexattr_destroy(&attributes), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_one_for_each_thread),
        cmocka_unit_test(test_only_in_content),
        cmocka_unit_test(test_many_regions),
        cmocka_unit_test(test_a_thread_that_ends_stands_up),
        cmocka_unit_test(test_closed_under_others),
        cmocka_unit_test(test_all_taken),
        cmocka_unit_test(test_rubbish),
        cmocka_unit_test(test_scribbled_words),
        cmocka_unit_test(test_others_robust_mutexes_work_on),
    };

    return run_test_list(list);
}
