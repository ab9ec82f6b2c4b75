/* SPDX-License-Identifier: MIT */
/*
 * progress - one line on a terminal's stderr for work that takes longer than a second: how much, how fast, how long
 * still.
 */
#include "command.h"
#include "output.h"

#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND_NS UINT64_C(1000000000)
#define PERIOD_NS (SECOND_NS / 5)

static atomic_bool line_shown; /* written with stderr locked; ThreadSanitizer knows nothing of flockfile() */

void progress_hide(void)
{
    flockfile(stderr);
    if (atomic_exchange(&line_shown, false))
        fputs("\r\033[K", stderr);
    funlockfile(stderr);
}

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

void progress_start(struct progress *progress, const char *what, uint64_t total, bool is_bytes)
{
    *progress = (struct progress){ .what = what, .total = total, .is_bytes = is_bytes };
    progress->start_ns = common.quiet || !isatty(STDERR_FILENO) ? 0 : now_ns();
}

static char *amount(const struct progress *progress, uint64_t value, char *text)
{
    return progress->is_bytes ? bytes_shown(value, text) : count_shown(value, text);
}

void progress_line(const char *line)
{
    int columns = terminal_columns(stderr) - 1; /* a full line would wrap, and one that wraps can't be cleared */

    flockfile(stderr);
    fprintf(stderr, "\r\033[K%.*s", columns, line);
    fflush(stderr);
    atomic_store(&line_shown, true);
    funlockfile(stderr);
}

static void show(const struct progress *progress, uint64_t done, uint64_t passed_ns)
{
    char done_text[32], rate_text[32], of[64] = "", left[48] = "", line[256];
    double rate = (double)done / ((double)passed_ns / (double)SECOND_NS);

    if (progress->total) {
        char total_text[32];

        (void)snprintf(of, sizeof(of), " of %s (%u %%)", amount(progress, progress->total, total_text),
                       (unsigned)(100.0 * (double)done / (double)progress->total));
    }
    if (progress->total > done && rate > 0) {
        uint64_t left_s = (uint64_t)((double)(progress->total - done) / rate) + 1;

        (void)snprintf(left, sizeof(left), ", %llu:%02llu left", (unsigned long long)(left_s / 60),
                       (unsigned long long)(left_s % 60));
    }
    (void)snprintf(line, sizeof(line), "%s: %s%s, %s/s%s", progress->what, amount(progress, done, done_text), of,
                   amount(progress, (uint64_t)rate, rate_text), left);
    progress_line(line);
}

void progress_step(struct progress *progress, uint64_t done)
{
    uint64_t now;

    if (progress->start_ns == 0)
        return;
    now = now_ns();
    if (now - progress->start_ns < SECOND_NS || now - progress->shown_ns < PERIOD_NS)
        return;
    progress->shown_ns = now;
    show(progress, done, now - progress->start_ns);
}

void progress_end(struct progress *progress)
{
    progress->start_ns = 0;
    progress_hide();
}
