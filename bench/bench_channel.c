/* SPDX-License-Identifier: MIT */
/*
 * bench_channel - messages from process to process: how long there and back takes, and how many go through.
 *
 * There and back (ping-pong): one process sends, the other sends back, each trip is timed; what counts are percentiles,
 * since a mean says nothing about who waits. One way: one process, or several, sends as fast as it goes, the other
 * reads every message. Payloads are written and read on both sides, and their sum is the answer that is checked.
 *
 * Both are done asking again and again (each side on a processor of its own), and sleeping: on one processor, where it
 * costs two switches, and on two, where it costs waking the other one, which on a virtual machine is the hypervisor's
 * work. Beside each stands the least there can be, measured in the same run: what two processes get from bare cache
 * lines, or from a bare futex.
 */
#include "bench.h"
#include "links.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 5
#define KINDS_MOST 16
#define MESSAGE_BYTES_MOST 65536
#define WRITERS_MOST 2
#define SAMPLE_NS 60000000U
#define TRIPS_MOST 50000
#define SECONDS_MOST 120 /* of one sample: whoever hangs is ended */

bool link_is_crowded;

static uint64_t now_ns(void)
{
    struct timespec now;

    if (clock_gettime(CLOCK_MONOTONIC, &now) < 0)
        bench_die("clock_gettime");
    return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* What is measured: one of these for each row. */
struct job {
    struct link_plan plan;
    bool has_two; /* processors */
    unsigned writers;
    bool is_read_whole; /* one way: each word of what is received */
};

/* Of one sample. Smaller is better but of the rate. */
struct times {
    double p50, p99, p999, most; /* ns, there and back */
    double rate;                 /* millions of messages a second, one way */
};

/* ---- Two processes ------------------------------------------------------------------------------------------------*/

/* What they share beside the link. */
struct board {
    atomic_uint ready;
    atomic_uint go;
    _Atomic uint64_t sum; /* of what the senders sent */
    struct times times;   /* what came out */
    double took_ns;
};

static void run_on(unsigned processor)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    if (sched_setaffinity(0, sizeof(set), &set) < 0)
        bench_die("sched_setaffinity");
}

/* A message carries its number at both ends. */
static void stamp(unsigned char *message, size_t bytes, uint64_t number)
{
    memcpy(message, &number, sizeof(number));
    memcpy(message + bytes - sizeof(number), &number, sizeof(number));
}

static uint64_t read_stamp(const void *message, size_t bytes)
{
    uint64_t first, last;

    memcpy(&first, message, sizeof(first));
    memcpy(&last, (const unsigned char *)message + bytes - sizeof(last), sizeof(last));
    return first * 3 + last;
}

/* Eight sums, since one would wait for itself. */
static uint64_t read_whole(const void *data, size_t bytes)
{
    const uint64_t *words = data;
    uint64_t sums[8] = { 0 }, sum = 0;

    for (size_t i = 0; i + 8 <= bytes / sizeof(*words); i += 8)
        for (size_t k = 0; k < 8; k++)
            sums[k] += words[i + k];
    for (size_t k = 0; k < 8; k++)
        sum += sums[k];
    return sum;
}

static pid_t started(struct board *board, unsigned processor)
{
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid < 0)
        bench_die("fork");
    if (pid > 0)
        return pid;
    (void)alarm(SECONDS_MOST);
    run_on(processor);
    atomic_fetch_add(&board->ready, 1);
    return 0;
}

static void ended(const struct link_kind *kind, pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            bench_die("waitpid");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    (void)fprintf(stderr, "bench channel: %s: a process failed, status %#x\n", kind->name, (unsigned)status);
    exit(2);
}

/* ---- There and back -----------------------------------------------------------------------------------------------*/

_Alignas(64) static unsigned char message[MESSAGE_BYTES_MOST];
static double trips[TRIPS_MOST];

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Ends when what it sent last has been received: a link that is closed may drop what is still in it. */
static _Noreturn void leave(struct board *board)
{
    while (atomic_load(&board->go) != 2)
        (void)usleep(100);
    _exit(0);
}

static _Noreturn void echo(const struct link_kind *kind, void *link, struct board *board, size_t bytes)
{
    const void *received;

    do {
        received = kind->receive(link, 1, message, bytes);
        kind->send(link, 1, received, bytes);
    } while (read_stamp(received, bytes) != UINT64_MAX * 3 + UINT64_MAX);
    leave(board);
}

static double trip(const struct link_kind *kind, void *link, size_t bytes, uint64_t number)
{
    uint64_t start = now_ns();
    const void *received;

    stamp(message, bytes, number);
    kind->send(link, 0, message, bytes);
    received = kind->receive(link, 0, message, bytes);
    if (read_stamp(received, bytes) != number * 3 + number) {
        (void)fprintf(stderr, "bench channel: %s: another message came back\n", kind->name);
        exit(2);
    }
    return (double)(now_ns() - start);
}

static struct times trips_sorted(size_t count)
{
    qsort(trips, count, sizeof(trips[0]), compare_doubles);
    return (struct times){ .p50 = trips[count / 2],
                           .p99 = trips[count * 99 / 100],
                           .p999 = trips[count * 999 / 1000],
                           .most = trips[count - 1] };
}

static struct times there_and_back(const struct link_kind *kind, void *link, const struct job *job, struct board *board)
{
    size_t bytes = job->plan.message_bytes, count = 0;
    pid_t other = started(board, job->has_two ? 1 : 0);
    uint64_t end;

    if (other == 0) {
        kind->join(link, 1);
        echo(kind, link, board, bytes);
    }
    kind->join(link, 0);
    for (uint64_t i = 0; i < 200; i++)
        (void)trip(kind, link, bytes, i);
    end = now_ns() + SAMPLE_NS;
    while (count < TRIPS_MOST && (now_ns() < end || count < 1000)) {
        trips[count] = trip(kind, link, bytes, count);
        count++;
    }
    (void)trip(kind, link, bytes, UINT64_MAX);
    atomic_store(&board->go, 2);
    ended(kind, other);
    return trips_sorted(count);
}

/* ---- One way ------------------------------------------------------------------------------------------------------*/

static _Noreturn void pour(const struct link_kind *kind, void *link, const struct job *job, struct board *board,
                           uint64_t count)
{
    size_t bytes = job->plan.message_bytes;
    uint64_t sum = 0;

    while (!atomic_load(&board->go))
        (void)sched_yield();
    for (uint64_t i = 0; i < count; i++) {
        stamp(message, bytes, i);
        sum += job->is_read_whole ? 2 * i : read_stamp(message, bytes); /* the rest of it is zeros */
        kind->send(link, 0, message, bytes);
    }
    atomic_fetch_add(&board->sum, sum);
    leave(board);
}

static double poured(const struct link_kind *kind, void *link, const struct job *job, struct board *board,
                     uint64_t count)
{
    size_t bytes = job->plan.message_bytes;
    pid_t others[WRITERS_MOST];
    uint64_t start, sum = 0;

    for (unsigned i = 0; i < job->writers; i++) {
        others[i] = started(board, job->has_two ? 1 - i % 2 : 0);
        if (others[i] == 0) {
            kind->join(link, 0);
            pour(kind, link, job, board, count);
        }
    }
    kind->join(link, 1);
    while (atomic_load(&board->ready) < job->writers)
        (void)sched_yield();
    start = now_ns();
    atomic_store(&board->go, 1);
    for (uint64_t i = 0; i < count * job->writers; i++) {
        const void *received = kind->receive(link, 1, message, bytes);

        sum += job->is_read_whole ? read_whole(received, bytes) : read_stamp(received, bytes);
    }
    start = now_ns() - start;
    atomic_store(&board->go, 2);
    for (unsigned i = 0; i < job->writers; i++)
        ended(kind, others[i]);
    if (sum != atomic_load(&board->sum)) {
        (void)fprintf(stderr, "bench channel: %s: other messages came than were sent\n", kind->name);
        exit(2);
    }
    return (double)start;
}

/* ---- A sample -----------------------------------------------------------------------------------------------------*/

/* What measures is a process of its own, too: libraries that start threads can't be used again after a fork. */
static void measure_apart(const struct link_kind *kind, void *link, const struct job *job, struct board *board,
                          uint64_t count)
{
    pid_t pid;

    (void)fflush(NULL);
    pid = fork();
    if (pid < 0)
        bench_die("fork");
    if (pid > 0) {
        ended(kind, pid);
        return;
    }
    (void)alarm(SECONDS_MOST);
    link_is_crowded = job->writers + 1 > (job->has_two ? 2 : 1);
    run_on(0);
    if (job->plan.shape == LINK_BOTH_WAYS)
        board->times = there_and_back(kind, link, job, board);
    else
        board->took_ns = poured(kind, link, job, board, count);
    _exit(0);
}

/* With a link of its own. False: it can't be had, and *out_why says why. */
static bool sample(const struct link_kind *kind, const struct job *job, uint64_t *count, struct times *out_times,
                   const char **out_why)
{
    struct board *board;
    void *link = kind->make(&job->plan, out_why);

    if (!link)
        return false;
    board = link_shared(sizeof(*board));
    measure_apart(kind, link, job, board, *count);
    *out_times = board->times;
    if (job->plan.shape != LINK_BOTH_WAYS) {
        out_times->rate = (double)(*count * job->writers) / board->took_ns * 1e3;
        *count = (uint64_t)((double)*count * SAMPLE_NS / board->took_ns) + 1; /* for the next */
    }
    link_shared_free(board, sizeof(*board));
    kind->unmake(link);
    return true;
}

/* ---- Rows ---------------------------------------------------------------------------------------------------------*/

struct contestant {
    const struct link_kind *kind;
    const char *why; /* not NULL: it takes no part */
    uint64_t count;  /* messages for a sample one way */
    struct times times[ROUNDS];
};

static double median_of(const struct contestant *one, size_t offset)
{
    double values[ROUNDS];

    for (int i = 0; i < ROUNDS; i++)
        memcpy(&values[i], (const char *)&one->times[i] + offset, sizeof(double));
    qsort(values, ROUNDS, sizeof(values[0]), compare_doubles);
    return values[ROUNDS / 2];
}

/* One process that copies as much into as many places: memory that it has to itself. GB/s. */
static double limit_of_copies(const struct job *job)
{
    static double limit;
    size_t bytes = job->plan.message_bytes, copies = 0;
    unsigned char *memory;
    uint64_t start, took;

    if (limit > 0)
        return limit;
    memory = link_shared(bytes * LINK_SLOTS);
    memset(memory, 1, bytes * LINK_SLOTS);
    start = now_ns();
    do {
        memcpy(memory + copies++ % LINK_SLOTS * bytes, message, bytes);
        bench_use(memory);
        took = now_ns() - start;
    } while (took < SAMPLE_NS);
    link_shared_free(memory, bytes * LINK_SLOTS);
    limit = (double)copies * (double)bytes / (double)took;
    return limit;
}

static void print_rows(const char *name, const struct contestant *all, size_t count, const struct job *job)
{
    static const struct {
        const char *name;
        size_t offset;
    } columns[] = { { "p50", offsetof(struct times, p50) },
                    { "p99", offsetof(struct times, p99) },
                    { "p99.9", offsetof(struct times, p999) },
                    { "max", offsetof(struct times, most) } };
    char row[160];

    if (job->is_read_whole)
        bench_row(name, "memcpy, alone", "GB/s",
                  median_of(&all[0], offsetof(struct times, rate)) * (double)job->plan.message_bytes / 1e3,
                  limit_of_copies(job), false, 0);
    for (size_t i = 1; i < count; i++) {
        if (all[i].why) {
            bench_note("%s: without %s: %s", name, all[i].kind->name, all[i].why);
            continue;
        }
        if (job->is_read_whole) {
            double bytes = (double)job->plan.message_bytes / 1e3; /* of millions: thousandths of a GB */

            bench_row(name, all[i].kind->name, "GB/s", median_of(&all[0], offsetof(struct times, rate)) * bytes,
                      median_of(&all[i], offsetof(struct times, rate)) * bytes, false, 0);
            continue;
        }
        if (job->plan.shape != LINK_BOTH_WAYS) {
            bench_row(name, all[i].kind->name, "M/s", median_of(&all[0], offsetof(struct times, rate)),
                      median_of(&all[i], offsetof(struct times, rate)), false, 0);
            continue;
        }
        for (size_t k = 0; k < sizeof(columns) / sizeof(columns[0]); k++) {
            (void)snprintf(row, sizeof(row), "%s, %s", name, columns[k].name);
            bench_row(row, all[i].kind->name, "ns", median_of(&all[0], columns[k].offset),
                      median_of(&all[i], columns[k].offset), true, 0);
        }
    }
}

/* Who can do the job: ours first, then the least there can be, then the peers. */
static size_t contestants(struct contestant *out_all, const struct job *job)
{
    const struct link_kind *least = job->plan.wait == LINK_SPINS ? &link_line : &link_futex;
    size_t count = 0;

    if (job->is_read_whole) {
        out_all[count++] = (struct contestant){ .kind = &link_verso_in_place };
        out_all[count++] = (struct contestant){ .kind = &link_slots };
    }
    /* What comes back is sent from where it lies. One way it is copied out, or less would be done than by others. */
    if (job->plan.shape == LINK_BOTH_WAYS)
        out_all[count++] = (struct contestant){ .kind = &link_verso_in_place };
    else
        out_all[count++] = (struct contestant){ .kind = &link_verso };
    if (least == &link_line && least->shapes & job->plan.shape) /* the futex is among the peers */
        out_all[count++] = (struct contestant){ .kind = least };
    for (const struct link_kind *const *kind = link_kinds; *kind && count < KINDS_MOST; kind++)
        if ((*kind)->waits & job->plan.wait && (*kind)->shapes & job->plan.shape)
            out_all[count++] = (struct contestant){ .kind = *kind };
    return count;
}

static void measure(const char *name, const struct job *job)
{
    struct contestant all[KINDS_MOST];
    size_t count = contestants(all, job);
    struct times times;

    for (size_t i = 0; i < count; i++) {
        all[i].count = 1000;
        for (int warm = 0; warm < 2 && !all[i].why; warm++) /* learns how many fill a sample */
            (void)sample(all[i].kind, job, &all[i].count, &times, &all[i].why);
    }
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < count; i++)
            if (!all[i].why)
                (void)sample(all[i].kind, job, &all[i].count, &all[i].times[round], &all[i].why);
    print_rows(name, all, count, job);
}

/* ---- All of it ----------------------------------------------------------------------------------------------------*/

static const size_t sizes[] = { 8, 64, 256, 1024, 65536 };

/* A spinner on the processor of the one it waits for would measure the scheduler's time slice. */
static const struct {
    const char *name;
    enum link_wait wait;
    bool has_two;
} ways[] = { { "spinning, two CPUs", LINK_SPINS, true },
             { "sleeping, one CPU", LINK_SLEEPS, false },
             { "sleeping, two CPUs", LINK_SLEEPS, true } };

static const struct {
    const char *name;
    enum link_shape shape;
    unsigned writers;
} shapes[] = { { "there and back", LINK_BOTH_WAYS, 1 },
               { "one way", LINK_ONE_WAY, 1 },
               { "one way, two writers", LINK_MANY, 2 } };

static void measure_sizes(size_t shape, size_t way)
{
    char name[120];

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct job job = { .plan = { sizes[i], ways[way].wait, shapes[shape].shape },
                           .has_two = ways[way].has_two,
                           .writers = shapes[shape].writers };

        (void)snprintf(name, sizeof(name), "%zu B, %s, %s", sizes[i], shapes[shape].name, ways[way].name);
        if (bench_wanted(name))
            measure(name, &job);
    }
}

/* At the speed of memory: what is sent is written once, and read where it lies. */
static void measure_in_place(void)
{
    const struct job job = {
        .plan = { MESSAGE_BYTES_MOST, LINK_SPINS, LINK_ONE_WAY }, .has_two = true, .writers = 1, .is_read_whole = true
    };
    const char *name = "64 KiB, one way, every byte read, spinning, two CPUs";

    if (!bench_wanted(name))
        return;
    measure(name, &job);
}

int main(int count, char **arguments)
{
    bench_start(count, arguments, "channel");
    for (size_t shape = 0; shape < sizeof(shapes) / sizeof(shapes[0]); shape++)
        for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++)
            if (!ways[way].has_two || sysconf(_SC_NPROCESSORS_ONLN) > 1)
                measure_sizes(shape, way);
    if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
        measure_in_place();
    return bench_finish();
}
