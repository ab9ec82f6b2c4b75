/* SPDX-License-Identifier: MIT */
/*
 * copy_progress - how far it is, how fast, how long still, and what the kernel is doing meanwhile.
 *
 * How much there is to copy is found out by a thread of its own, and only when somebody watches: the copying does not
 * wait for it.
 */
#include "copy.h"
#include "output.h"
#include "walk.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)
#define PERIOD_NS (SECOND_NS / 5)
#define LINE_BYTES 256

static struct {
    bool watched;
    uint64_t start_ns;
    atomic_ullong shown_ns;
    atomic_ullong done_bytes;
    atomic_ullong found_bytes;
    atomic_bool total_known;
    bool measuring;
    pthread_t measurer;
    const struct text_list *names;
} state;

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

/* ---- How much there is ---- */

static void find_file(const struct walk_file *file, void *context)
{
    (void)context;
    atomic_fetch_add(&state.found_bytes, (uint64_t)file->status->st_size);
}

static void *measure(void *arg)
{
    const struct walk_options options = {
        .bytes_max = UINT64_MAX,
        .thread_count = 1,
        .silent = true,
        .count_links = !copy_request.archive,
        .one_file_system = copy_request.one_file_system,
    };
    const struct walk_names names = { .given = *state.names };
    struct walk_counts counts;

    walk_run(&options, &names, find_file, NULL, &counts);
    if (!interrupted())
        atomic_store(&state.total_known, true);
    return arg;
}

void copy_progress_start(const struct text_list *names)
{
    state.watched = !common.quiet && isatty(STDERR_FILENO);
    state.start_ns = now_ns();
    state.names = names;
    if (state.watched)
        state.measuring = pthread_create(&state.measurer, NULL, measure, NULL) == 0;
}

void copy_progress_end(void)
{
    if (state.measuring) {
        walk_stop();
        pthread_join(state.measurer, NULL);
    }
    progress_hide();
}

/* ---- The line ---- */

/* Joins @part, unless the terminal is too narrow for it. */
static void join(char *line, const char *part)
{
    const size_t length = strlen(line), part_length = strlen(part);
    size_t most = (size_t)terminal_columns(stderr) - 1;

    most = most < LINE_BYTES ? most : LINE_BYTES - 1;
    if (length + part_length <= most)
        memcpy(line + length, part, part_length + 1);
}

static void join_amount(char *line, const char *what, uint64_t done, uint64_t total)
{
    char part[96], done_text[16], total_text[16];

    (void)snprintf(part, sizeof(part), "%s %s", what, bytes_shown(done, done_text));
    join(line, part);
    if (total == 0 || done > total)
        return;
    (void)snprintf(part, sizeof(part), " of %s", bytes_shown(total, total_text));
    join(line, part);
    (void)snprintf(part, sizeof(part), " (%u %%)", (unsigned)(100.0 * (double)done / (double)total));
    join(line, part);
}

static void join_rate(char *line, uint64_t done, uint64_t total, uint64_t passed_ns)
{
    const double rate = (double)done / ((double)passed_ns / (double)SECOND_NS);
    char part[64], text[16];

    (void)snprintf(part, sizeof(part), ", %s/s", bytes_shown((uint64_t)rate, text));
    join(line, part);
    if (total > done && rate >= 1) {
        const uint64_t left_s = (uint64_t)((double)(total - done) / rate) + 1;

        (void)snprintf(part, sizeof(part), ", %llu:%02u left", (unsigned long long)(left_s / 60),
                       (unsigned)(left_s % 60));
        join(line, part);
    }
}

/* What waits in memory for the disk, and what is on the way there. */
static void join_kernel(char *line, const struct verso_copy_progress *progress)
{
    char part[64], text[16];

    if (progress->dirty_bytes == VERSO_OFFSET_NONE || progress->dirty_bytes + progress->writeback_bytes == 0)
        return;
    (void)snprintf(part, sizeof(part), "; dirty %s", bytes_shown(progress->dirty_bytes, text));
    join(line, part);
    if (progress->writeback_bytes) {
        (void)snprintf(part, sizeof(part), ", being written %s", bytes_shown(progress->writeback_bytes, text));
        join(line, part);
    }
}

static void show(const struct verso_copy_progress *progress, uint64_t passed_ns)
{
    static const char *const phases[] = { "comparing", "copying", "writing to the disk", "verifying" };
    const uint64_t done = atomic_load(&state.done_bytes);
    uint64_t total = atomic_load(&state.total_known) ? atomic_load(&state.found_bytes) : 0;
    char line[LINE_BYTES] = "";

    if (progress->phase == VERSO_COPY_COPYING) {
        join_amount(line, phases[VERSO_COPY_COPYING], done, total);
        join_rate(line, done, total, passed_ns);
    } else {
        join_amount(line, phases[progress->phase % 4], progress->done_bytes, progress->total_bytes);
    }
    join_kernel(line, progress);
    progress_line(line);
}

int copy_progress_step(const struct verso_copy_progress *progress, void *arg)
{
    struct copy_worker *worker = arg;

    if (progress->phase == VERSO_COPY_COPYING && progress->done_bytes > worker->counted_bytes) {
        atomic_fetch_add(&state.done_bytes, progress->done_bytes - worker->counted_bytes);
        worker->counted_bytes = progress->done_bytes;
    }
    if (state.watched) {
        const uint64_t now = now_ns();
        unsigned long long shown = atomic_load(&state.shown_ns);

        /* Whoever moves the time on shows the line; the others go on. */
        if (now - state.start_ns >= SECOND_NS && now - shown >= PERIOD_NS &&
            atomic_compare_exchange_strong(&state.shown_ns, &shown, now))
            show(progress, now - state.start_ns);
    }
    return interrupted();
}
