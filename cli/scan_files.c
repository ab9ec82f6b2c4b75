/* SPDX-License-Identifier: MIT */
/*
 * scan_files - names to threads, answers to stdout in the order of the names.
 *
 * Threads take names by the handful, for a lock and a wake-up for each of ten thousand small files would cost more than
 * the files. Handfuls are numbered; the one whose turn it is prints. Whoever finishes early leaves what there is to
 * print behind, and whoever has the turn prints it in passing:
 *
 *     batches   [ 7: printing ][ 8: at work ][ 9: made ][ 10: at work ][ 11: not taken ]
 *
 * With few names there are no threads but those of the scan itself, and the turn is always ours.
 */
#include "scan_files.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BATCH_NAMES 32
#define AHEAD_MAX 64          /* batches made before their turn */
#define POOL_NAMES_MIN 16     /* fewer are done before threads have started */
#define LARGE_BYTES (8 << 20) /* worth all threads */
#define WATCH_MS 100

struct scan_batch {
    size_t number;
    size_t first; /* name */
    size_t count;
    size_t made;
    size_t shown;
    bool has_turn;
    struct scan_file *files;
};

/* A scan, and what the command keeps beside it. */
struct lane {
    struct verso_scan *scan;
    void *state;
    uint64_t seen_bytes; /* of the running file, already in run.passed_bytes */
};

static struct {
    const struct scan_job *job;
    const struct scan_names *names;
    size_t batch_names;
    size_t batch_count;
    bool pooled;
    struct lane large; /* of whoever has the turn */
    struct progress progress;
    atomic_ullong passed_bytes;
    atomic_bool stopped;
    atomic_bool troubled;
    uint64_t scanned_ns; /* by scans that say how long they took */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t moved; /* the turn */
    pthread_cond_t ended; /* a thread */
    size_t next;
    size_t turn;
    unsigned working;
    struct scan_batch *waiting[AHEAD_MAX]; /* made before their turn, by number */
} run = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct scan_request scan_request;

void scan_stop(void)
{
    atomic_store(&run.stopped, true);
}

bool scan_is_stopped(void)
{
    return atomic_load_explicit(&run.stopped, memory_order_relaxed) || interrupted();
}

/* ---- Turns ---- */

static void remark_change(const struct scan_file *file)
{
    char *shown = name_shown(file->name);

    note("%s: changed while it was read; the numbers are of the %llu bytes it had", shown,
         (unsigned long long)file->result.bytes);
    free(shown);
}

static void show(struct scan_file *file)
{
    scan_print_now(file);
    if (file->trouble && !scan_request.is_silent)
        (void)trouble("%s", file->trouble);
    if (file->has_trouble)
        atomic_store(&run.troubled, true);
    if (!file->is_skipped && run.job->show)
        run.job->show(file);
    if (file->is_open && file->result.changed)
        remark_change(file);
    if (file->is_open && scan_request.explain) {
        run.scanned_ns += file->result.duration_ns;
        scan_explain_file(file);
    }
    free(file->trouble);
    free(file->text.data);
    free(file->answer);
    if (ferror(stdout))
        scan_stop();
}

static void show_made(struct scan_batch *batch)
{
    while (batch->shown < batch->made)
        show(&batch->files[batch->shown++]);
}

bool scan_has_turn(const struct scan_file *file)
{
    return file->batch->has_turn;
}

void scan_take_turn(struct scan_file *file)
{
    struct scan_batch *batch = file->batch;

    if (!batch->has_turn) {
        pthread_mutex_lock(&run.lock);
        while (run.turn != batch->number)
            pthread_cond_wait(&run.moved, &run.lock);
        pthread_mutex_unlock(&run.lock);
        batch->has_turn = true;
    }
    show_made(batch);
}

static void batch_free(struct scan_batch *batch)
{
    free(batch->files);
    free(batch);
}

/* The batch is made. Prints it and all that waited for it, when it is its turn; else leaves it to who has that. */
static void batch_finish(struct scan_batch *batch)
{
    pthread_mutex_lock(&run.lock);
    run.waiting[batch->number % AHEAD_MAX] = batch;
    while ((batch = run.waiting[run.turn % AHEAD_MAX])) {
        run.waiting[run.turn % AHEAD_MAX] = NULL; /* or the next to finish would print it, too */
        pthread_mutex_unlock(&run.lock);
        batch->has_turn = true;
        show_made(batch);
        batch_free(batch);
        pthread_mutex_lock(&run.lock);
        run.turn++;
        pthread_cond_broadcast(&run.moved);
    }
    pthread_mutex_unlock(&run.lock);
}

/* ---- One file ---- */

/* From the thread that runs the scan; anything but 0 ends it. */
static int on_progress(const struct verso_scan_progress *progress, void *arg)
{
    struct lane *lane = arg;
    uint64_t done;

    done = atomic_fetch_add(&run.passed_bytes, progress->done_bytes - lane->seen_bytes);
    done += progress->done_bytes - lane->seen_bytes;
    lane->seen_bytes = progress->done_bytes;
    if (!run.pooled)
        progress_step(&run.progress, done);
    return scan_is_stopped();
}

static int lane_open(struct lane *lane, unsigned thread_count)
{
    struct verso_scan_options options = VERSO_SCAN_OPTIONS_INIT;
    int r;

    if (lane->scan)
        return 0;
    options.thread_count = thread_count;
    options.method = scan_request.method;
    options.cache = scan_request.cache;
    options.progress = on_progress;
    options.progress_arg = lane;
    lane->state = memset(allocate(NULL, 1, run.job->state_bytes), 0, run.job->state_bytes);
    r = verso_scan_open(&options, &lane->scan);
    return r < 0 ? r : run.job->prepare(lane->scan, lane->state);
}

static void lane_close(struct lane *lane)
{
    if (lane->state && run.job->clear)
        run.job->clear(lane->state);
    verso_scan_close(lane->scan);
    free(lane->state);
    *lane = (struct lane){ 0 };
}

static void complain_errno(struct scan_file *file, const char *step)
{
    char *shown = name_shown(file->name);

    scan_trouble(file, "%s: %s: %s", step, shown, strerrordesc_np(errno));
    free(shown);
}

/* Who had standard input before us, in a script, may have read the beginning of the file that it is. */
static uint64_t where_it_stands(int fd)
{
    off_t position = fd == STDIN_FILENO ? lseek(fd, 0, SEEK_CUR) : 0;

    return position > 0 ? (uint64_t)position : 0;
}

/* Answers a descriptor, or -1 when there is nothing to pass. */
static int file_open(struct scan_file *file)
{
    bool is_found = run.names->names[file->index].is_found;
    int how = O_RDONLY | O_CLOEXEC | O_NOCTTY | (is_found ? O_NOFOLLOW | O_NONBLOCK : 0);
    int fd = strcmp(file->name, "-") == 0 && !is_found ? STDIN_FILENO : open(file->name, how);

    if (fd < 0) {
        file->is_skipped = is_found && (errno == ELOOP || errno == ENOENT); /* a link now, or gone since */
        file->is_missing = errno == ENOENT && scan_request.ignores_missing;
        if (!file->is_skipped && !file->is_missing)
            complain_errno(file, "open");
        return -1;
    }
    if (fstat(fd, &file->status) < 0) {
        complain_errno(file, "fstat");
    } else if (is_found && !S_ISREG(file->status.st_mode)) {
        file->is_skipped = true;
    } else if (S_ISDIR(file->status.st_mode)) {
        errno = EISDIR;
        complain_errno(file, scan_request.recursive ? "read" : "read (--recursive goes into directories)");
    } else {
        file->is_open = true;
        file->start_bytes = S_ISREG(file->status.st_mode) ? where_it_stands(fd) : 0;
        return fd;
    }
    if (fd != STDIN_FILENO)
        close(fd);
    return -1;
}

int scan_run(struct verso_scan *scan, int fd, struct scan_file *file)
{
    bool is_all = file->start_bytes == 0;
    int r = is_all ? verso_scan_fd(scan, fd) : verso_scan_range(scan, fd, file->start_bytes, 0);

    if (verso_scan_result(scan, &file->result) < 0)
        scan_trouble_error(file, verso_error_last()->code);
    if (fd == STDIN_FILENO && S_ISREG(file->status.st_mode)) /* as reading leaves it */
        (void)lseek(fd, (off_t)(file->start_bytes + file->result.bytes), SEEK_SET);
    file->is_open = r == 0 || file->result.is_partial; /* else what is there is of the file before */
    return r;
}

static void finish(struct scan_file *file, struct lane *lane, int r)
{
    if (r < 0 && r != VERSO_E_CANCELLED && !interrupted())
        scan_trouble_error(file, r);
    if (!file->is_open)
        return;
    file->is_partial = file->result.is_partial;
    run.job->finish(lane->scan, file, lane->state);
    atomic_fetch_add(&run.passed_bytes, file->result.bytes - lane->seen_bytes);
}

static void pass_open(struct scan_file *file, int fd, struct lane *small)
{
    bool is_large = !S_ISREG(file->status.st_mode) || file->status.st_size >= LARGE_BYTES;
    struct lane *lane = run.pooled && !is_large ? small : &run.large;
    int r;

    if (run.pooled && is_large)
        scan_take_turn(file);
    if (scan_is_stopped()) { /* meanwhile */
        file->is_skipped = true;
        file->is_open = false;
        return;
    }
    r = lane_open(lane, lane == small ? 1 : (unsigned)scan_request.thread_count);
    if (r < 0) {
        scan_trouble_error(file, r);
        file->is_open = false;
        scan_stop();
        return;
    }
    lane->seen_bytes = 0;
    r = run.job->run ? run.job->run(lane->scan, fd, file, lane->state) : scan_run(lane->scan, fd, file);
    finish(file, lane, r);
}

static void pass(struct scan_file *file, struct lane *small)
{
    int fd = file_open(file);

    if (fd < 0)
        return;
    pass_open(file, fd, small);
    if (fd != STDIN_FILENO)
        close(fd);
}

/* ---- Batches ---- */

/* NULL when there are no more, or nothing is wanted any more. */
static struct scan_batch *batch_take(void)
{
    struct scan_batch *batch = NULL;

    pthread_mutex_lock(&run.lock);
    while (run.next < run.batch_count && run.next - run.turn >= AHEAD_MAX)
        pthread_cond_wait(&run.moved, &run.lock);
    if (run.next < run.batch_count && !scan_is_stopped()) {
        batch = memset(allocate(NULL, 1, sizeof(*batch)), 0, sizeof(*batch));
        batch->number = run.next++;
        batch->has_turn = batch->number == run.turn;
    }
    pthread_mutex_unlock(&run.lock);
    return batch;
}

static void batch_fill(struct scan_batch *batch)
{
    size_t left;

    batch->first = batch->number * run.batch_names;
    left = run.names->count - batch->first;
    batch->count = left < run.batch_names ? left : run.batch_names;
    batch->files = memset(allocate(NULL, batch->count, sizeof(*batch->files)), 0, batch->count * sizeof(*batch->files));
    for (size_t i = 0; i < batch->count; i++) {
        struct scan_file *file = &batch->files[i];

        file->index = batch->first + i;
        file->name = run.names->names[file->index].path;
        file->batch = batch;
        file->result = (struct verso_scan_result)VERSO_SCAN_RESULT_INIT;
        file->answer = memset(allocate(NULL, 1, run.job->answer_bytes), 0, run.job->answer_bytes);
    }
}

static void *work(void *arg)
{
    struct scan_batch *batch;
    struct lane small = { 0 };

    (void)arg;
    while ((batch = batch_take())) {
        batch_fill(batch);
        for (size_t i = 0; i < batch->count; i++) {
            if (scan_is_stopped())
                batch->files[i].is_skipped = true;
            else
                pass(&batch->files[i], &small);
            batch->made++;
            if (batch->has_turn)
                show_made(batch);
        }
        batch_finish(batch);
    }
    lane_close(&small);
    pthread_mutex_lock(&run.lock);
    run.working--;
    pthread_cond_signal(&run.ended);
    pthread_mutex_unlock(&run.lock);
    return NULL;
}

/* ---- All files ---- */

/* While threads work: the bar moves, and Ctrl-C gets to those that wait for a pipe. */
static void watch(const pthread_t *threads, unsigned count)
{
    struct timespec until;

    pthread_mutex_lock(&run.lock);
    while (run.working) {
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += WATCH_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        (void)pthread_cond_timedwait(&run.ended, &run.lock, &until);
        progress_step(&run.progress, atomic_load(&run.passed_bytes));
        for (unsigned i = 0; interrupted() && run.working && i < count; i++)
            pthread_kill(threads[i], SIGINT); /* its reads end, and see that */
    }
    pthread_mutex_unlock(&run.lock);
}

static void run_threads(unsigned count)
{
    pthread_t *threads = allocate(NULL, count, sizeof(*threads));
    unsigned started = 0;
    int error = 0;

    run.working = count;
    while (started < count && !error) {
        error = pthread_create(&threads[started], NULL, work, NULL);
        started += !error;
    }
    pthread_mutex_lock(&run.lock);
    run.working -= count - started;
    pthread_mutex_unlock(&run.lock);
    if (started == 0)
        exit(trouble("no thread could be started: %s", strerror(error)));
    watch(threads, started);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

/* For a bar with time left: how much there is. Only where somebody watches. */
static uint64_t measure(const struct scan_names *names)
{
    uint64_t total = 0;
    struct stat status;

    if (common.quiet || !isatty(STDERR_FILENO))
        return 0;
    for (size_t i = 0; i < names->count && !interrupted(); i++) {
        const char *path = names->names[i].path;

        if ((strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &status) : stat(path, &status)) < 0)
            continue;
        if (!S_ISREG(status.st_mode) || status.st_size == 0)
            return 0; /* nobody knows */
        total += (uint64_t)status.st_size;
    }
    return total;
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static unsigned threads_wanted(const struct scan_names *names)
{
    long processors;

    if (names->count < POOL_NAMES_MIN)
        return 1;
    processors = scan_request.thread_count ? (long)scan_request.thread_count : sysconf(_SC_NPROCESSORS_ONLN);
    return processors < 2 ? 1 : (unsigned)processors;
}

static int scan_files(const struct scan_job *job, const struct scan_names *names)
{
    unsigned threads = threads_wanted(names);
    uint64_t start_ns = now_ns();

    run.job = job;
    run.names = names;
    run.pooled = threads > 1;
    run.batch_names = names->count / threads / 4 < BATCH_NAMES ? names->count / threads / 4 : BATCH_NAMES;
    if (run.batch_names == 0)
        run.batch_names = 1;
    run.batch_count = (names->count + run.batch_names - 1) / run.batch_names;
    pthread_cond_init(&run.moved, NULL);
    pthread_cond_init(&run.ended, NULL);
    progress_start(&run.progress, "scanning", measure(names), true);
    if (run.pooled) {
        run_threads(threads);
    } else {
        run.working = 1;
        work(NULL);
    }
    lane_close(&run.large);
    progress_end(&run.progress);
    if (run.scanned_ns && !interrupted())
        scan_explain_limit(job, atomic_load(&run.passed_bytes), now_ns() - start_ns, threads);
    return interrupted() || atomic_load(&run.troubled) || names->troubled ? EXIT_TROUBLE : EXIT_YES;
}

int scan_command(const struct scan_job *job, struct scan_names *names)
{
    int answer;

    if (common.json)
        scan_json_begin(job->schema);
    answer = scan_files(job, names);
    if (common.json)
        scan_json_end(job->total_json ? "total" : NULL, job->total_json ? job->total_json() : NULL);
    else if (job->print_total)
        job->print_total(names);
    scan_names_clear(names);
    return interrupted() ? trouble("interrupted") : answer; /* behind what was still printed */
}
