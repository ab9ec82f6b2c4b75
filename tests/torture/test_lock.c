/* SPDX-License-Identifier: MIT */
/* lock - taking, waiting for and giving back each kind of lock, with every call beneath failing in turn. */
#include "torture.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <verso/lock.h>
#include <verso/share.h>

/* One of each for us, and one that another thread has from beginning to end. */
struct field {
    struct verso_mutex mutex, kept_mutex;
    struct verso_rwlock rwlock, read_by_another, written_by_another;
    struct verso_once once, begun_by_another;
    struct verso_event event;
    struct verso_semaphore semaphore;
};

static struct verso_share *share;
static struct field *field;

/* What is waited for does not come: it takes the time, or a refusal, and leaves nothing. */
static void in_vain(int r, int wanted, unsigned failures_before)
{
    assert_true(r == wanted || (r < 0 && fake_failures() > failures_before));
    assert_int_equal(verso_error_last()->code, r);
}

static void take_what_is_free(struct field *at)
{
    attempt(verso_mutex_lock(&at->mutex, -1)) assert_true(torture_refusals() > 0);
    assert_fails(verso_mutex_lock(&at->mutex, -1), -EDEADLK);
    assert_ok(verso_mutex_unlock(&at->mutex));
    attempt(verso_rwlock_read(&at->rwlock, -1)) assert_true(torture_refusals() > 0);
    assert_ok(verso_rwlock_unlock(&at->rwlock));
    attempt(verso_rwlock_write(&at->rwlock, -1)) assert_true(torture_refusals() > 0);
    assert_ok(verso_rwlock_unlock(&at->rwlock));
    attempt(verso_once_begin(&at->once, -1)) assert_true(torture_refusals() > 0);
    assert_ok(verso_once_end(&at->once, 0));
    assert_ok(verso_semaphore_post(&at->semaphore, 1));
    attempt(verso_semaphore_wait(&at->semaphore, -1)) assert_true(torture_refusals() > 0);
}

/* A thread's first lock in a share is where it takes a seat. */
static void in_a_new_share(void)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;
    struct verso_share *own = UNTOUCHED;

    options.member_count = 2;
    options.seat_count = 2;
    attempt(verso_share_create_anonymous(sizeof(struct field), &options, &own)) assert_ptr_equal(own, UNTOUCHED);
    take_what_is_free(verso_share_data(own));
    verso_share_close(own);
}

static void wait_for_another(void)
{
    unsigned before = fake_failures();

    in_vain(verso_mutex_lock(&field->kept_mutex, 1), -ETIMEDOUT, before);
    in_vain(verso_rwlock_read(&field->written_by_another, 1), -ETIMEDOUT, before);
    in_vain(verso_rwlock_write(&field->written_by_another, 1), -ETIMEDOUT, before);
    in_vain(verso_rwlock_write(&field->read_by_another, 1), -ETIMEDOUT, before);
    in_vain(verso_once_begin(&field->begun_by_another, 1), -ETIMEDOUT, before);
    in_vain(verso_event_wait(&field->event, 1), -ETIMEDOUT, before);
    in_vain(verso_semaphore_wait(&field->semaphore, 1), -ETIMEDOUT, before);
    /* Nobody was left behind by who gave up: others still get in. */
    attempt(verso_rwlock_read(&field->read_by_another, -1)) assert_true(torture_refusals() > 0);
    assert_ok(verso_rwlock_unlock(&field->read_by_another));
    take_what_is_free(field);
}

static sem_t is_kept, is_over;

static void *keep(void *arg)
{
    (void)arg;
    assert_ok(verso_mutex_lock(&field->kept_mutex, -1));
    assert_ok(verso_rwlock_read(&field->read_by_another, -1));
    assert_ok(verso_rwlock_write(&field->written_by_another, -1));
    assert_int_equal(verso_once_begin(&field->begun_by_another, -1), VERSO_ONCE_DO);
    assert_int_equal(sem_post(&is_kept), 0);
    while (sem_wait(&is_over) < 0)
        ;
    assert_ok(verso_mutex_unlock(&field->kept_mutex));
    assert_ok(verso_rwlock_unlock(&field->read_by_another));
    assert_ok(verso_rwlock_unlock(&field->written_by_another));
    assert_ok(verso_once_end(&field->begun_by_another, 1));
    return NULL;
}

static void test_in_a_new_share(void **state)
{
    (void)state;
    torture(in_a_new_share);
}

static void test_wait_for_another(void **state)
{
    pthread_t keeper;

    (void)state;
    assert_ok(verso_share_create_anonymous(sizeof(*field), NULL, &share));
    field = verso_share_data(share);
    assert_int_equal(sem_init(&is_kept, 0, 0) + sem_init(&is_over, 0, 0), 0);
    assert_int_equal(pthread_create(&keeper, NULL, keep, NULL), 0);
    while (sem_wait(&is_kept) < 0)
        ;
    torture(wait_for_another);
    assert_int_equal(sem_post(&is_over), 0);
    assert_int_equal(pthread_join(keeper, NULL), 0);
    assert_int_equal(verso_once_begin(&field->begun_by_another, 0), VERSO_ONCE_DONE);
    verso_share_close(share);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        torture_test(test_in_a_new_share),
        torture_test(test_wait_for_another),
    };

    return run_test_list(list);
}
