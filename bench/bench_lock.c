/* SPDX-License-Identifier: MIT */
/*
 * bench_lock - locks that outlive their owners beside glibc's, which live in the same shared memory.
 *
 * The peer that counts is the robust process-shared mutex: it survives its owner, too. The plain ones don't. POSIX has
 * no reader-writer lock that does. Contended: two processes, or threads, that each take the lock, change two words in
 * one cache line, let go, and do as much outside; on one processor they take turns by the scheduler, on two by the
 * lock.
 */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <verso.h>

#define ALONE 100000
#define TOGETHER 100000
#define DEATHS 20

/* Each lock in lines of its own. */
struct stage {
    struct verso_mutex mutex __attribute__((aligned(64)));
    struct verso_rwlock rwlock __attribute__((aligned(64)));
    struct verso_semaphore semaphore __attribute__((aligned(64)));
    pthread_mutex_t robust __attribute__((aligned(64)));
    pthread_mutex_t plain __attribute__((aligned(64)));
    pthread_rwlock_t peer_rwlock __attribute__((aligned(64)));
    sem_t peer_semaphore __attribute__((aligned(64)));
    uint64_t words[2] __attribute__((aligned(64)));
    uint64_t told_ns; /* when a survivor had the lock of the dead */
};

static struct verso_share *share;
static struct stage *stage;

static void stage_make(void)
{
    pthread_mutexattr_t attributes;
    pthread_rwlockattr_t rwlock;

    bench_check(verso_share_create_anonymous(sizeof(*stage), NULL, &share));
    stage = verso_share_data(share);
    bench_must(pthread_mutexattr_init(&attributes));
    bench_must(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED));
    bench_must(pthread_mutex_init(&stage->plain, &attributes));
    bench_must(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
    bench_must(pthread_mutex_init(&stage->robust, &attributes));
    bench_must(pthread_rwlockattr_init(&rwlock));
    bench_must(pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED));
    bench_must(pthread_rwlock_init(&stage->peer_rwlock, &rwlock));
    if (sem_init(&stage->peer_semaphore, 1, 0) < 0)
        bench_die("sem_init");
}

/* ---- Nobody in the way ---- */

#define ALONE_SIDE(name, lock, unlock)                         \
    static uint64_t name(void *arg)                            \
    {                                                          \
        uint64_t done = 0;                                     \
                                                               \
        (void)arg;                                             \
        for (int i = 0; i < ALONE; i++)                        \
            done += (uint64_t)((lock) == 0) + ((unlock) == 0); \
        return done;                                           \
    }

ALONE_SIDE(mutex_verso, verso_mutex_lock(&stage->mutex, -1), verso_mutex_unlock(&stage->mutex))
ALONE_SIDE(mutex_robust, pthread_mutex_lock(&stage->robust), pthread_mutex_unlock(&stage->robust))
ALONE_SIDE(mutex_plain, pthread_mutex_lock(&stage->plain), pthread_mutex_unlock(&stage->plain))
ALONE_SIDE(read_verso, verso_rwlock_read(&stage->rwlock, -1), verso_rwlock_unlock(&stage->rwlock))
ALONE_SIDE(read_peer, pthread_rwlock_rdlock(&stage->peer_rwlock), pthread_rwlock_unlock(&stage->peer_rwlock))
ALONE_SIDE(write_verso, verso_rwlock_write(&stage->rwlock, -1), verso_rwlock_unlock(&stage->rwlock))
ALONE_SIDE(write_peer, pthread_rwlock_wrlock(&stage->peer_rwlock), pthread_rwlock_unlock(&stage->peer_rwlock))
ALONE_SIDE(unit_verso, verso_semaphore_post(&stage->semaphore, 1), verso_semaphore_wait(&stage->semaphore, -1))
ALONE_SIDE(unit_peer, sem_post(&stage->peer_semaphore), sem_wait(&stage->peer_semaphore))

static void alone(void)
{
    bench_compare_ns("mutex, alone", "robust pthread mutex", ALONE, mutex_verso, mutex_robust, NULL);
    bench_compare_ns("mutex, alone", "plain pthread mutex", ALONE, mutex_verso, mutex_plain, NULL);
    bench_compare_ns("read, alone", "plain pthread rwlock", ALONE, read_verso, read_peer, NULL);
    bench_compare_ns("write, alone", "plain pthread rwlock", ALONE, write_verso, write_peer, NULL);
    bench_compare_ns("post and wait, alone", "sem_t", ALONE, unit_verso, unit_peer, NULL);
}

/* ---- Two that want it ---- */

struct together {
    bool in_threads;
    bool on_one; /* processor */
    uint64_t (*turns)(void);
};

static void stay_on(unsigned processor)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        bench_die("sched_setaffinity");
}

static inline void change(void)
{
    for (int i = 0; i < 2; i++)
        __atomic_store_n(&stage->words[i], __atomic_load_n(&stage->words[i], __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
}

/* As much outside, of one's own. */
static inline void elsewhere(void)
{
    static _Thread_local volatile uint64_t own[2];

    own[0]++;
    own[1]++;
}

#define TURNS_SIDE(name, lock, unlock)       \
    static uint64_t name(void)               \
    {                                        \
        for (int i = 0; i < TOGETHER; i++) { \
            if ((lock) != 0)                 \
                return 0;                    \
            change();                        \
            if ((unlock) != 0)               \
                return 0;                    \
            elsewhere();                     \
        }                                    \
        return TOGETHER;                     \
    }

TURNS_SIDE(turns_verso, verso_mutex_lock(&stage->mutex, -1), verso_mutex_unlock(&stage->mutex))
TURNS_SIDE(turns_robust, pthread_mutex_lock(&stage->robust), pthread_mutex_unlock(&stage->robust))
TURNS_SIDE(turns_plain, pthread_mutex_lock(&stage->plain), pthread_mutex_unlock(&stage->plain))

static void *turns_in_thread(void *arg)
{
    const struct together *together = arg;

    stay_on(together->on_one ? 0 : 1);
    return together->turns() == TOGETHER ? arg : NULL;
}

static bool other_in_thread(struct together *together)
{
    pthread_t other;
    void *answer;
    bool is_right;

    bench_must(pthread_create(&other, NULL, turns_in_thread, together));
    is_right = together->turns() == TOGETHER;
    bench_must(pthread_join(other, &answer));
    return is_right && answer;
}

static bool other_in_process(struct together *together)
{
    pid_t other = fork();
    bool is_right;
    int status;

    if (other < 0)
        bench_die("fork");
    if (other == 0)
        _exit(turns_in_thread(together) ? 0 : 1);
    is_right = together->turns() == TOGETHER;
    if (waitpid(other, &status, 0) < 0)
        bench_die("waitpid");
    return is_right && status == 0;
}

/* What both have counted: the answer. */
static uint64_t run_together(struct together *together)
{
    cpu_set_t before;
    bool is_right;

    if (sched_getaffinity(0, sizeof(before), &before) < 0)
        bench_die("sched_getaffinity");
    stage->words[0] = 0;
    stay_on(0);
    is_right = together->in_threads ? other_in_thread(together) : other_in_process(together);
    if (sched_setaffinity(0, sizeof(before), &before) < 0)
        bench_die("sched_setaffinity");
    return is_right ? stage->words[0] : 0;
}

#define TOGETHER_SIDE(name, turns_of)                             \
    static uint64_t name(void *arg)                               \
    {                                                             \
        struct together together = *(const struct together *)arg; \
                                                                  \
        together.turns = turns_of;                                \
        return run_together(&together);                           \
    }

TOGETHER_SIDE(together_verso, turns_verso)
TOGETHER_SIDE(together_robust, turns_robust)
TOGETHER_SIDE(together_plain, turns_plain)

static void contended(void)
{
    static const struct {
        const char *name;
        struct together together;
    } cases[] = {
        { "mutex, two processes, two CPUs", { false, false, NULL } },
        { "mutex, two processes, one CPU", { false, true, NULL } },
        { "mutex, two threads, two CPUs", { true, false, NULL } },
        { "mutex, two threads, one CPU", { true, true, NULL } },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct together together = cases[i].together;

        if (!together.on_one && sysconf(_SC_NPROCESSORS_ONLN) < 2) {
            bench_note("%s: left out, there is one", cases[i].name);
            continue;
        }
        bench_compare_ns(cases[i].name, "robust pthread mutex", 2 * TOGETHER, together_verso, together_robust,
                         &together);
        bench_compare_ns(cases[i].name, "plain pthread mutex", 2 * TOGETHER, together_verso, together_plain, &together);
    }
}

/* ---- Death ---- */

static uint64_t now_ns(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        bench_die("clock_gettime");
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

static int take_verso(void)
{
    return verso_mutex_lock(&stage->mutex, -1);
}

static int take_robust(void)
{
    return -pthread_mutex_lock(&stage->robust);
}

static void give_verso(void)
{
    bench_check(verso_mutex_consistent(&stage->mutex));
    bench_check(verso_mutex_unlock(&stage->mutex));
}

static void give_robust(void)
{
    bench_must(pthread_mutex_consistent(&stage->robust));
    bench_must(pthread_mutex_unlock(&stage->robust));
}

struct death {
    int (*take)(void);
    void (*give)(void);
    int told;
};

static void *survive(void *arg)
{
    const struct death *death = arg;
    int r = death->take();

    __atomic_store_n(&stage->told_ns, now_ns(), __ATOMIC_RELEASE);
    if (r == death->told)
        death->give();
    return r == death->told ? arg : NULL;
}

/* From kill(2) to a sleeper that has the lock: ns, of one death. */
static double one_death(struct death *death)
{
    uint64_t start;
    pthread_t survivor;
    void *answer;
    pid_t child;
    int ready[2];
    char byte;

    if (pipe(ready) < 0)
        bench_die("pipe");
    child = fork();
    if (child < 0)
        bench_die("fork");
    if (child == 0) {
        if (death->take() == 0 && write(ready[1], "", 1) == 1)
            for (;;)
                (void)pause();
        _exit(1);
    }
    (void)close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        bench_die("the lock was not to be had");
    (void)close(ready[0]);
    bench_must(pthread_create(&survivor, NULL, survive, death));
    (void)usleep(5000); /* asleep by now, and no longer in its first millisecond */
    start = now_ns();
    if (kill(child, SIGKILL) < 0)
        bench_die("kill");
    bench_must(pthread_join(survivor, &answer));
    if (!answer || waitpid(child, NULL, 0) < 0)
        bench_die("a survivor was not told");
    return (double)(stage->told_ns - start);
}

static int by_size(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return (difference > 0) - (difference < 0);
}

static void deaths(void)
{
    struct death verso = { take_verso, give_verso, VERSO_E_OWNER_DIED };
    struct death robust = { take_robust, give_robust, -EOWNERDEAD };
    double ns[2][DEATHS];

    if (!bench_wanted("kill(2) to the next owner"))
        return;
    for (int i = 0; i < DEATHS; i++) {
        ns[0][i] = one_death(&verso);
        ns[1][i] = one_death(&robust);
    }
    qsort(ns[0], DEATHS, sizeof(ns[0][0]), by_size);
    qsort(ns[1], DEATHS, sizeof(ns[1][0]), by_size);
    bench_row("kill(2) to the next owner, median", "robust pthread mutex", "ns", ns[0][DEATHS / 2], ns[1][DEATHS / 2],
              true, 0);
    bench_row("kill(2) to the next owner, longest", "robust pthread mutex", "ns", ns[0][DEATHS - 1], ns[1][DEATHS - 1],
              true, 0);
}

int main(int count, char **arguments)
{
    bench_start(count, arguments, "lock");
    stage_make();
    alone();
    contended();
    deaths();
    verso_share_close(share);
    return bench_finish();
}
