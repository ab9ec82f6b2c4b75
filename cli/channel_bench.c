/* SPDX-License-Identifier: MIT */
/*
 * channel_bench - how fast a channel is here: this process and a child of it, and beside that the least there can be.
 *
 * One way the child sends as fast as it goes, and each word that arrives is read. There and back the child answers what
 * it is sent, and each trip is timed, for a mean would say nothing about who waits. The bounds are measured in the same
 * run: copying without a channel, and a number that two processes pass through one cache line.
 */
#include "channel_bench.h"
#include "command.h"
#include "output.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MANY 64
#define DRAIN_MS 5
#define LOOKS_OF_ONE_CHECK 4096

/* ---- Two processes ---- */

uint64_t bench_now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static bool is_over(const struct bench *bench)
{
    return atomic_load_explicit(&bench->control->stop, memory_order_relaxed) || interrupted();
}

/* Waits that ask again and again must end when the other process does. */
static bool is_other_gone(const struct bench *bench)
{
    return bench->child ? waitpid(bench->child, NULL, WNOHANG) != 0 : getppid() != bench->parent;
}

/* Runs @role in a child. Its messages are its own; 0, or the trouble that is told. */
static int begin(struct bench *bench, int (*role)(struct bench *bench))
{
    atomic_store(&bench->control->stop, false);
    atomic_store(&bench->control->there, 0);
    atomic_store(&bench->control->back, 0);
    bench->parent = getpid();
    (void)fflush(stdout); /* or both would print what is in it */
    bench->child = fork();
    if (bench->child == 0)
        _exit(role(bench));
    return bench->child < 0 ? trouble("fork: %s", strerror(errno)) : EXIT_YES;
}

static int end(struct bench *bench, int answer)
{
    int status = 0;

    atomic_store(&bench->control->stop, true);
    while (waitpid(bench->child, &status, 0) < 0 && errno == EINTR)
        ;
    bench->child = 0;
    return answer;
}

/* ---- One way ---- */

static int send_until_over(struct bench *bench, struct verso_channel_writer *writer)
{
    struct verso_channel_part parts[MANY];
    size_t sent;
    int r = 0;

    for (int i = 0; i < MANY; i++)
        parts[i] = (struct verso_channel_part){ bench->buffer, bench->bytes };
    while (!is_over(bench) && (r >= 0 || r == -ETIMEDOUT))
        r = bench->is_many ? verso_channel_send_many(writer, parts, MANY, CHANNEL_SLICE_MS, &sent)
                           : verso_channel_send(writer, bench->buffer, bench->bytes, CHANNEL_SLICE_MS);
    return r;
}

static int sender(struct bench *bench)
{
    struct verso_channel_writer *writer;
    int r = verso_channel_writer_open(bench->forth, NULL, &writer);

    if (r == 0) {
        r = send_until_over(bench, writer);
        verso_channel_writer_close(writer);
    }
    return r < 0 && r != -ETIMEDOUT ? EXIT_TROUBLE : EXIT_YES;
}

/* So that content is moved as well, not only headers. */
static uint64_t look_at(const struct verso_channel_message *message)
{
    const uint64_t *words = message->data; /* aligned by contract */
    uint64_t sum = 0;

    for (size_t i = 0; i < message->bytes / sizeof(*words); i++)
        sum += words[i];
    return sum;
}

static int receive_some(struct bench *bench, struct verso_channel_reader *reader, uint64_t *out_sum, size_t *out_count)
{
    struct verso_channel_message messages[MANY];
    int r;

    *out_count = 1;
    r = bench->is_many ? verso_channel_receive_many(reader, CHANNEL_SLICE_MS, messages, MANY, out_count)
                       : verso_channel_receive(reader, CHANNEL_SLICE_MS, messages);
    if (r < 0)
        *out_count = 0;
    for (size_t i = 0; i < *out_count; i++)
        *out_sum += look_at(&messages[i]);
    return r == -ETIMEDOUT ? 0 : r;
}

static int count_messages(struct bench *bench, struct verso_channel_reader *reader, struct bench_rate *out_rate)
{
    uint64_t start = 0, now = 0, count = 0, looked = 0, sum = 0;
    size_t some;
    int r;

    do {
        r = receive_some(bench, reader, &sum, &some);
        if (r < 0)
            return trouble_error();
        if (interrupted())
            return trouble("interrupted");
        if (some == 0 && is_other_gone(bench))
            return trouble("the other process has died");
        if (start == 0 && some > 0)
            start = bench_now_ns();
        else
            count += some;
        if (some == 0 || count - looked >= MANY) {
            looked = count;
            now = bench_now_ns();
        }
    } while (start == 0 || now < start + bench->part_ns);
    atomic_store(&bench->control->sum, sum); /* or the compiler would see that nobody needs it */
    out_rate->messages = (double)count / ((double)(now - start) / 1e9);
    out_rate->gigabytes = out_rate->messages * (double)bench->bytes / 1e9;
    return EXIT_YES;
}

/* The sender may wait for room: the ring is emptied until it has left. */
static void drain(struct bench *bench, struct verso_channel_reader *reader)
{
    struct verso_channel_message message;
    int r;

    atomic_store(&bench->control->stop, true);
    do
        r = verso_channel_receive(reader, DRAIN_MS, &message);
    while (r == 0 || (r == -ETIMEDOUT && !is_other_gone(bench)));
}

int bench_one_way(struct bench *bench, bool is_many, struct bench_rate *out_rate)
{
    struct verso_channel_reader *reader;
    int answer;

    bench->is_many = is_many;
    if (verso_channel_reader_open(bench->forth, NULL, &reader) < 0)
        return trouble_error();
    answer = begin(bench, sender);
    if (answer == EXIT_YES) {
        answer = count_messages(bench, reader, out_rate);
        drain(bench, reader);
        answer = end(bench, answer);
    }
    verso_channel_reader_close(reader);
    return answer;
}

/* What one process copies alone, from one place to the next as a ring has them. */
int bench_copying(struct bench *bench, struct bench_rate *out_rate)
{
    uint64_t start, now, count = 0;
    size_t room = (size_t)bench->capacity_bytes, at = 0;
    char *ring = allocate(NULL, room + bench->bytes + 1, 1);

    memset(ring, 1, room + bench->bytes + 1);
    start = now = bench_now_ns();
    while (now - start < bench->part_ns && !interrupted()) {
        for (int i = 0; i < MANY; i++) {
            memcpy(ring + at, bench->buffer, bench->bytes);
            __asm__ volatile("" ::: "memory"); /* each of them */
            at += (bench->bytes | 7) + 1;
            at = at < room ? at : 0;
        }
        count += MANY;
        now = bench_now_ns();
    }
    free(ring);
    out_rate->messages = (double)count / ((double)(now - start) / 1e9);
    out_rate->gigabytes = out_rate->messages * (double)bench->bytes / 1e9;
    return interrupted() ? trouble("interrupted") : EXIT_YES;
}

/* ---- There and back ---- */

static struct verso_channel_end end_options(const struct bench *bench)
{
    struct verso_channel_end options = VERSO_CHANNEL_END_INIT;

    if (bench->is_spinning)
        options.look_ns = VERSO_CHANNEL_NEVER_SLEEP;
    return options;
}

static int open_ends(struct bench *bench, struct verso_channel *in, struct verso_channel *out)
{
    struct verso_channel_end options = end_options(bench);
    int r = verso_channel_reader_open(in, &options, &bench->reader);

    if (r < 0)
        return r;
    r = verso_channel_writer_open(out, &options, &bench->writer);
    if (r < 0)
        verso_channel_reader_close(bench->reader);
    return r;
}

static void close_ends(struct bench *bench)
{
    verso_channel_writer_close(bench->writer);
    verso_channel_reader_close(bench->reader);
}

/* Answers from where the message lies. */
static int echo(struct bench *bench)
{
    struct verso_channel_message message;
    int r = open_ends(bench, bench->forth, bench->back);

    if (r < 0)
        return EXIT_TROUBLE;
    atomic_store(&bench->control->there, 1);
    do {
        r = verso_channel_receive(bench->reader, CHANNEL_SLICE_MS, &message);
        if (r == 0)
            r = verso_channel_send(bench->writer, message.data, message.bytes, -1);
    } while ((r == 0 || r == -ETIMEDOUT) && !is_over(bench));
    close_ends(bench);
    return EXIT_YES;
}

/* One trip; the answer is waited for as long as somebody is there to give it. */
static int trip(struct bench *bench)
{
    struct verso_channel_message message;
    int r = verso_channel_send(bench->writer, bench->buffer, bench->bytes, -1);

    if (r < 0)
        return trouble_error();
    do {
        r = verso_channel_receive(bench->reader, CHANNEL_SLICE_MS, &message);
        if (interrupted())
            return trouble("interrupted");
        if (r == -ETIMEDOUT && is_other_gone(bench))
            return trouble("the other process has died");
    } while (r == -ETIMEDOUT);
    return r < 0 ? trouble_error() : EXIT_YES;
}

static int time_trips(struct bench *bench, int (*one)(struct bench *bench), struct bench_times *out_times)
{
    uint64_t start = bench_now_ns(), before = start, now = start;
    size_t count = 0;
    int answer = EXIT_YES;

    while (answer == EXIT_YES && now - start < bench->part_ns && count < BENCH_TRIPS_MOST) {
        answer = one(bench);
        now = bench_now_ns();
        bench->trips_ns[count++] = now - before > UINT32_MAX ? UINT32_MAX : (uint32_t)(now - before);
        before = now;
    }
    if (answer == EXIT_YES)
        bench_times_of(bench->trips_ns, count, out_times);
    return answer;
}

static int wait_for_child(struct bench *bench)
{
    while (atomic_load(&bench->control->there) == 0) {
        if (interrupted())
            return trouble("interrupted");
        if (is_other_gone(bench))
            return trouble("the other process has died");
        (void)sched_yield();
    }
    return EXIT_YES;
}

int bench_there_and_back(struct bench *bench, bool is_spinning, struct bench_times *out_times)
{
    int answer;

    bench->is_spinning = is_spinning;
    answer = begin(bench, echo);
    if (answer != EXIT_YES)
        return answer;
    if (open_ends(bench, bench->back, bench->forth) < 0)
        return end(bench, trouble_error());
    answer = wait_for_child(bench);
    if (answer == EXIT_YES)
        answer = time_trips(bench, trip, out_times);
    answer = end(bench, answer);
    close_ends(bench);
    return answer;
}

/* ---- The same by bare cache lines ---- */

/* Until it says @wanted; false when there is nobody to do so, or it is over. */
static bool look_until(const struct bench *bench, const _Atomic uint64_t *word, uint64_t wanted)
{
    for (unsigned looks = 1; atomic_load_explicit(word, memory_order_acquire) != wanted; looks++) {
        if (looks % LOOKS_OF_ONE_CHECK != 0)
            continue;
        if (is_over(bench) || is_other_gone(bench))
            return false;
        (void)sched_yield(); /* the other process may stand in line for this processor */
    }
    return true;
}

static int echo_word(struct bench *bench)
{
    for (uint64_t number = 1; look_until(bench, &bench->control->there, number); number++)
        atomic_store_explicit(&bench->control->back, number, memory_order_release);
    return EXIT_YES;
}

static int trip_of_word(struct bench *bench)
{
    uint64_t number = atomic_load_explicit(&bench->control->there, memory_order_relaxed) + 1;

    atomic_store_explicit(&bench->control->there, number, memory_order_release);
    if (look_until(bench, &bench->control->back, number))
        return EXIT_YES;
    return interrupted() ? trouble("interrupted") : trouble("the other process has died");
}

int bench_cache_line(struct bench *bench, struct bench_times *out_times)
{
    int answer = begin(bench, echo_word);

    return answer == EXIT_YES ? end(bench, time_trips(bench, trip_of_word, out_times)) : answer;
}
