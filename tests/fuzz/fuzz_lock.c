/* SPDX-License-Identifier: MIT */
/*
 * lock - a peer scribbles over locks between any two calls, and whoever uses them gets an answer that is documented, no
 * crash, and no wait without an end.
 *
 * The input is read as steps of ten bytes: an operation, and where and what to scribble, eight bytes, before it. Nobody
 * else is there, so the only living name that scribbling can hit upon is our own.
 */
#include "must.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <verso/lock.h>
#include <verso/share.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

struct field {
    struct verso_mutex mutex;
    struct verso_once once;
    struct verso_event event;
    struct verso_semaphore semaphore;
    struct verso_rwlock rwlock;
};

#define STEP_BYTES 10

static bool is_lock_answer(int r)
{
    return r == 0 || r == VERSO_E_OWNER_DIED || r == -EBUSY || r == -ETIMEDOUT || r == -EDEADLK;
}

static bool is_owner_answer(int r)
{
    return r == 0 || r == -EPERM;
}

static void take(struct field *field, unsigned operation, int timeout_ms)
{
    int r;

    switch (operation) {
    case 0:
        must(is_lock_answer(verso_mutex_lock(&field->mutex, timeout_ms)));
        break;
    case 1:
        must(is_lock_answer(verso_rwlock_read(&field->rwlock, timeout_ms)));
        break;
    case 2:
        must(is_lock_answer(verso_rwlock_write(&field->rwlock, timeout_ms)));
        break;
    case 3:
        r = verso_once_begin(&field->once, timeout_ms);
        must(r >= 0 ? r <= VERSO_ONCE_DO_OVER : is_lock_answer(r));
        break;
    case 4:
        r = verso_event_wait(&field->event, timeout_ms);
        must(r == 0 || r == -EBUSY || r == -ETIMEDOUT);
        break;
    default:
        r = verso_semaphore_wait(&field->semaphore, timeout_ms);
        must(r == 0 || r == -EBUSY || r == -ETIMEDOUT);
    }
}

static void give(struct field *field, unsigned operation)
{
    int r;

    switch (operation) {
    case 0:
        must(is_owner_answer(verso_mutex_unlock(&field->mutex)));
        break;
    case 1:
        must(is_owner_answer(verso_rwlock_unlock(&field->rwlock)));
        break;
    case 2:
        must(is_owner_answer(verso_rwlock_consistent(&field->rwlock)));
        break;
    case 3:
        must(is_owner_answer(verso_once_end(&field->once, 1)));
        break;
    case 4:
        must(verso_event_set(&field->event) == 0 && verso_event_reset(&field->event) == 0);
        break;
    default:
        r = verso_semaphore_post(&field->semaphore, 1);
        must(r == 0 || r == -EOVERFLOW);
    }
}

static void step(struct field *field, const uint8_t *data)
{
    size_t at = data[1] * (size_t)8 % sizeof(*field);
    size_t bytes = sizeof(*field) - at < 8 ? sizeof(*field) - at : 8;

    if (data[0] & 0x80)
        memcpy((unsigned char *)field + at, data + 2, bytes);
    if (data[0] & 0x40)
        take(field, data[0] & 7, data[0] & 0x20 ? 1 : 0);
    else
        give(field, data[0] & 7);
}

/* When the scribbler is gone, every lock can be had again: it is free, ours already, or of the dead. */
static void recover(struct field *field)
{
    int r = verso_mutex_lock(&field->mutex, 0);

    must(r == 0 || r == VERSO_E_OWNER_DIED || r == -EDEADLK);
    must(verso_mutex_consistent(&field->mutex) == 0 && verso_mutex_unlock(&field->mutex) == 0);
    must(verso_mutex_lock(&field->mutex, 0) == 0 && verso_mutex_unlock(&field->mutex) == 0);
    while (verso_rwlock_unlock(&field->rwlock) == 0)
        ;
    r = verso_rwlock_write(&field->rwlock, 0);
    must(r == 0 || r == VERSO_E_OWNER_DIED);
    must(verso_rwlock_consistent(&field->rwlock) == 0 && verso_rwlock_unlock(&field->rwlock) == 0);
    must(verso_rwlock_read(&field->rwlock, 0) == 0 && verso_rwlock_unlock(&field->rwlock) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static struct verso_share *share;
    struct field *field;

    if (!share)
        must(verso_share_create_anonymous(sizeof(*field), NULL, &share) == 0);
    field = verso_share_data(share);
    memset((void *)field, 0, sizeof(*field));
    for (; bytes >= STEP_BYTES; data += STEP_BYTES, bytes -= STEP_BYTES)
        step(field, data);
    recover(field);
    return 0;
}
