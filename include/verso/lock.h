/* SPDX-License-Identifier: MIT */
/*
 * lock.h - locks that live in shared memory, and outlive whoever holds them.
 *
 * A mutex, a reader-writer lock, a once, an event and a semaphore. They are plain structs: put them into the content of
 * a share (verso/share.h), beside the data they guard. All zeros is ready, and a new share is all zeros, so nothing is
 * initialised, and nothing destroyed.
 *
 *     struct account { struct verso_mutex mutex; long from, to; } *account = verso_share_data(share);
 *
 *     r = verso_mutex_lock(&account->mutex, -1);
 *     if (r == VERSO_E_OWNER_DIED) {              who had it is dead, and may have been in the middle of it:
 *         account_repair(account);                the lock is ours, the data is ours to put right
 *         r = verso_mutex_consistent(&account->mutex);
 *     }
 *     if (r < 0)
 *         return r;
 *     account->from--, account->to++;
 *     verso_mutex_unlock(&account->mutex);
 *
 * Owners are threads, of any process that has the share open. One that ends in whatever way (kill -9 at any
 * instruction, a crash, a return without unlocking) is told of by the kernel; the next one in line then has the lock
 * and is told by VERSO_E_OWNER_DIED, and so is everybody after it until one says that the data is whole again. Where
 * nobody is in the way, no call here makes a system call.
 *
 * Caveats, most bitten first:
 *   - VERSO_E_OWNER_DIED is negative, and you *have* the lock: unlock it, whatever you do about the data.
 *   - Death is seen from outside within a millisecond as a rule, within 100 ms at worst: when those that the kernel
 *     woke died as well. Alive is who exists: a process that is stopped, or hangs in a loop, keeps its locks.
 *   - A child of fork() owns nothing that its parent owns, and is another owner from the first lock it takes.
 *   - A lock is not recursive, for readers as well: asking again is -EDEADLK. Two owners that wait for each other's
 *     lock are not seen, nor who waits for himself, having attached the share twice; give a time limit.
 *   - Only the owner may unlock. Events and semaphores have no owner: nobody is told when one dies who should have set
 *     or posted them. Where that matters take a mutex, a once, or a time limit.
 *   - A peer that scribbles over a lock can break it, and what it guards; it can't make these calls touch other memory.
 *
 * In all calls @timeout_ms says how long to wait at most: 0: not at all, and the answer is -EBUSY; negative: for ever.
 * They look for some 2 us, then sleep in the kernel. Signals don't end a wait; their handlers run.
 *
 * The layout of the structs is fixed, and described byte by byte in docs/internals/locks.md.
 */
#ifndef VERSO_LOCK_H
#define VERSO_LOCK_H

#include <verso/base.h>
#include <verso/error.h>

VERSO_BEGIN_DECLS

/* ---- Mutex: one at a time ---- */

struct verso_mutex {
    uint64_t word; /* the library's: who owns it, who waits, and whether the data is suspect */
};

/**
 * verso_mutex_lock()       - have it to yourself
 * verso_mutex_unlock()     - leave it to the next one
 * verso_mutex_consistent() - the owner says: the data is whole again
 *
 * VERSO_E_OWNER_DIED: an owner died, and since then nobody has called verso_mutex_consistent(). You have the lock. If
 * you unlock it without that call, or die, the next owner is told as well. Without a dead owner, consistent does
 * nothing.
 *
 * Who comes first is not who waited longest: whoever runs when it is free may take it.
 *
 * Errors:  lock: VERSO_E_OWNER_DIED (you have it, see above); -EBUSY, -ETIMEDOUT (another has it still); -EDEADLK (you
 *          have it already); unlock, consistent: -EPERM (you don't have it). All: VERSO_E_RANGE (it is not in the
 *          content of a share that this process has open); what verso/share.h says of a thread's first use of a share;
 *          -errno of futex, where seccomp forbids it.
 * Threads: any. What an owner stored before it unlocked, or died, the next one sees.
 * Source:  Drepper, "Futexes Are Tricky", 2011; futex(2); the kernel's robust futexes by
 *          pthread_mutexattr_setrobust(3); cost in `./dev bench lock`.
 */
VERSO_API VERSO_MUST_CHECK int verso_mutex_lock(struct verso_mutex *mutex, int timeout_ms);
VERSO_API int verso_mutex_unlock(struct verso_mutex *mutex);
VERSO_API int verso_mutex_consistent(struct verso_mutex *mutex);

/* ---- Reader-writer lock: many that look, or one that changes ---- */

/* So many threads can read at once. In a share with more seats (its option seat_count) those beyond read alone. */
#define VERSO_RWLOCK_READERS 256

/* At an address that is a multiple of 64, readers on different processors don't disturb each other. */
struct verso_rwlock {
    uint64_t word;        /* the library's: the writer's, as of a mutex */
    uint64_t lines;       /* bit n: some reader has used readers[16 n] to readers[16 n + 15] */
    uint64_t reserved[6]; /* 0 */
    uint32_t readers[VERSO_RWLOCK_READERS];
};

/**
 * verso_rwlock_read()       - nobody writes while you have it; others may read
 * verso_rwlock_write()      - have it to yourself
 * verso_rwlock_unlock()     - of either kind
 * verso_rwlock_consistent() - the writer says: the data is whole again
 *
 * Writers come first: as soon as one waits, no further reader gets in; readers may starve where somebody writes all the
 * time. A dead reader is not missed. A writer that dies with the lock leaves it suspect: until a writer calls
 * verso_rwlock_consistent(), everybody is told by VERSO_E_OWNER_DIED, readers too, who have the lock as well but can't
 * repair; a writer that dies while it waits does no harm.
 *
 * Errors:  read, write: VERSO_E_OWNER_DIED (you have it, see above); -EBUSY, -ETIMEDOUT (others have it still);
 *          -EDEADLK (you have it already, of either kind: there is no upgrade); unlock, consistent: -EPERM (you don't
 *          have it; consistent: not for writing). All: as verso_mutex_lock().
 * Threads: any.
 * Source:  as verso_mutex_lock(). POSIX has no such lock that survives its owner.
 */
VERSO_API VERSO_MUST_CHECK int verso_rwlock_read(struct verso_rwlock *rwlock, int timeout_ms);
VERSO_API VERSO_MUST_CHECK int verso_rwlock_write(struct verso_rwlock *rwlock, int timeout_ms);
VERSO_API int verso_rwlock_unlock(struct verso_rwlock *rwlock);
VERSO_API int verso_rwlock_consistent(struct verso_rwlock *rwlock);

/* ---- Once: the first one prepares, the others wait for it ---- */

struct verso_once {
    uint64_t word; /* the library's */
};

/* What verso_once_begin() answers, when it does not fail. */
enum verso_once_turn {
    VERSO_ONCE_DONE = 0,    /* it has been done */
    VERSO_ONCE_DO = 1,      /* do it, then verso_once_end() */
    VERSO_ONCE_DO_OVER = 2, /* the same; but somebody began, and died: what is there may be half made */
};

/**
 * verso_once_begin() - whether it has been done; if not, it is yours to do
 * verso_once_end()   - you have done it; or, with @is_done 0, you could not, and took back what you had begun
 *
 *     turn = verso_once_begin(&table->once, -1);
 *     if (turn > 0)
 *         verso_once_end(&table->once, table_make(table) == 0);
 *
 * While somebody does it, the others wait. When that one dies, the next does it. After it has been done, begin is one
 * load.
 *
 * Errors:  begin: -EBUSY, -ETIMEDOUT (somebody is still doing it); -EDEADLK (you are). end: -EPERM (you are not doing
 *          it). Both: as verso_mutex_lock().
 * Threads: any. What was stored before verso_once_end() is seen by whoever is told VERSO_ONCE_DONE.
 */
VERSO_API VERSO_MUST_CHECK int verso_once_begin(struct verso_once *once, int timeout_ms);
VERSO_API int verso_once_end(struct verso_once *once, int is_done);

/* ---- Event: it has happened, or not yet ---- */

struct verso_event {
    uint32_t word; /* the library's */
};

/**
 * verso_event_set()   - it has happened: everybody who waits goes on, and nobody waits until it is reset
 * verso_event_reset() - it has not happened
 * verso_event_wait()  - until it has
 *
 * Needs no share, only memory that is mapped shared and writable.
 *
 * Errors:  wait: -EBUSY, -ETIMEDOUT (it has not happened); -errno of futex, where seccomp forbids it. All:
 *          -EINVAL (NULL).
 * Threads: any; set is async-signal-safe. What was stored before set is seen by who waited.
 */
VERSO_API int verso_event_set(struct verso_event *event);
VERSO_API int verso_event_reset(struct verso_event *event);
VERSO_API VERSO_MUST_CHECK int verso_event_wait(struct verso_event *event, int timeout_ms);

/* ---- Semaphore: so many units, taken one by one ---- */

/* The most units there can be. */
#define VERSO_SEMAPHORE_MAX 0x7fffffffU

struct verso_semaphore {
    uint32_t units;
    uint32_t sleepers; /* the library's: who sleeps, or died asleep; then posting costs a system call, no more */
};

/**
 * verso_semaphore_post() - @count more units
 * verso_semaphore_wait() - take one, as soon as there is one
 *
 * Needs no share, only memory that is mapped shared and writable. A unit that somebody took who then died is gone.
 *
 * Errors:  post: -EOVERFLOW (that would be more than VERSO_SEMAPHORE_MAX; nothing was added). wait: -EBUSY, -ETIMEDOUT
 *          (there was none); -errno of futex, where seccomp forbids it. Both: -EINVAL (NULL).
 * Threads: any; post is async-signal-safe but for its errors. What was stored before post is seen by who takes
 *          the unit.
 */
VERSO_API int verso_semaphore_post(struct verso_semaphore *semaphore, uint32_t count);
VERSO_API VERSO_MUST_CHECK int verso_semaphore_wait(struct verso_semaphore *semaphore, int timeout_ms);

VERSO_END_DECLS

#endif
