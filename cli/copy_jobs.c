/* SPDX-License-Identifier: MIT */
/*
 * copy_jobs - a queue of handfuls of files, which the walk fills and some threads empty.
 *
 * Files of one directory are handed on together: one by one, small ones would cost more waking up than copying. A
 * thread is started when there is a handful that nobody waits for, so few files start none.
 */
#include "copy.h"
#include "output.h"

#include <stdlib.h>
#include <string.h>

#define HANDFUL_FILES 32
#define HANDFUL_BYTES (UINT64_C(4) << 20)

/* Names come in pairs, source and target, each with its NUL. */
struct handful {
    struct copy_directory *directory;
    char *names;
    size_t names_bytes;
    size_t file_count;
    uint64_t file_bytes;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t more; /* there is a handful, or all is done */
    pthread_cond_t less; /* there is room, or nothing is in work */
    struct handful *ring;
    size_t room;
    size_t first;
    size_t count;
    size_t in_work;
    unsigned idle_count;
    bool ended;
    struct copy_worker *workers; /* the walk's first */
    unsigned worker_count;       /* that there may be, without the walk */
    unsigned started;
} jobs = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER, .less = PTHREAD_COND_INITIALIZER };

static struct handful gathered; /* by the walk */

void copy_jobs_start(unsigned job_count, size_t queue_length)
{
    jobs.room = queue_length;
    jobs.ring = allocate(NULL, queue_length, sizeof(*jobs.ring));
    jobs.worker_count = job_count > 1 ? job_count : 0;
    jobs.workers = allocate(NULL, jobs.worker_count + 1, sizeof(*jobs.workers));
    memset(jobs.workers, 0, (jobs.worker_count + 1) * sizeof(*jobs.workers));
}

struct copy_worker *copy_jobs_walker(void)
{
    return &jobs.workers[0];
}

/* ---- Work ---- */

static void work_on(struct copy_worker *worker, struct handful *handful)
{
    const char *at = handful->names;

    for (size_t i = 0; i < handful->file_count && !interrupted(); i++) {
        const char *source = at, *target = source + strlen(source) + 1;

        at = target + strlen(target) + 1;
        copy_regular(worker, handful->directory, source, target);
    }
    copy_directory_release(handful->directory);
    free(handful->names);
}

static void *run(void *arg)
{
    struct handful handful;

    pthread_mutex_lock(&jobs.lock);
    for (;;) {
        jobs.idle_count++;
        while (jobs.count == 0 && !jobs.ended)
            pthread_cond_wait(&jobs.more, &jobs.lock);
        jobs.idle_count--;
        if (jobs.count == 0)
            break;
        handful = jobs.ring[jobs.first];
        jobs.first = (jobs.first + 1) % jobs.room;
        jobs.count--;
        jobs.in_work++;
        pthread_cond_signal(&jobs.less);
        pthread_mutex_unlock(&jobs.lock);
        work_on(arg, &handful);
        pthread_mutex_lock(&jobs.lock);
        if (--jobs.in_work == 0)
            pthread_cond_signal(&jobs.less);
    }
    pthread_mutex_unlock(&jobs.lock);
    return NULL;
}

/* With the lock held. Where no thread can be had, the walk does the work itself. */
static void start_worker(void)
{
    struct copy_worker *worker = &jobs.workers[jobs.started + 1];

    if (jobs.idle_count > jobs.count || jobs.started == jobs.worker_count)
        return;
    if (pthread_create(&worker->thread, NULL, run, worker) == 0)
        jobs.started++;
    else
        jobs.worker_count = jobs.started;
}

/* ---- The walk's side ---- */

/* The last handful needs no thread, when there is none. */
static void pass_on(bool is_last)
{
    struct handful handful = gathered;

    if (handful.file_count == 0)
        return;
    gathered = (struct handful){ 0 };
    pthread_mutex_lock(&jobs.lock);
    if (!is_last)
        start_worker();
    if (jobs.started == 0) {
        pthread_mutex_unlock(&jobs.lock);
        work_on(&jobs.workers[0], &handful);
        return;
    }
    while (jobs.count == jobs.room)
        pthread_cond_wait(&jobs.less, &jobs.lock);
    jobs.ring[(jobs.first + jobs.count++) % jobs.room] = handful;
    pthread_cond_signal(&jobs.more);
    pthread_mutex_unlock(&jobs.lock);
}

void copy_jobs_flush(void)
{
    pass_on(false);
}

void copy_jobs_put(struct copy_directory *directory, const char *source, const char *target, uint64_t bytes)
{
    const size_t source_bytes = strlen(source) + 1, target_bytes = strlen(target) + 1;

    if (gathered.directory != directory)
        copy_jobs_flush();
    if (gathered.file_count == 0) {
        copy_directory_use(directory);
        gathered.directory = directory;
    }
    gathered.names = allocate(gathered.names, gathered.names_bytes + source_bytes + target_bytes, 1);
    memcpy(gathered.names + gathered.names_bytes, source, source_bytes);
    memcpy(gathered.names + gathered.names_bytes + source_bytes, target, target_bytes);
    gathered.names_bytes += source_bytes + target_bytes;
    gathered.file_bytes += bytes;
    if (++gathered.file_count == HANDFUL_FILES || gathered.file_bytes >= HANDFUL_BYTES)
        copy_jobs_flush();
}

void copy_jobs_drain(void)
{
    pass_on(true);
    pthread_mutex_lock(&jobs.lock);
    while (jobs.count || jobs.in_work)
        pthread_cond_wait(&jobs.less, &jobs.lock);
    pthread_mutex_unlock(&jobs.lock);
}

void copy_jobs_end(void)
{
    copy_jobs_drain();
    pthread_mutex_lock(&jobs.lock);
    jobs.ended = true;
    pthread_cond_broadcast(&jobs.more);
    pthread_mutex_unlock(&jobs.lock);
    for (unsigned i = 1; i <= jobs.started; i++)
        pthread_join(jobs.workers[i].thread, NULL);
    free(jobs.workers);
    free(jobs.ring);
}
