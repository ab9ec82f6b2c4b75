/* SPDX-License-Identifier: MIT */
/*
 * bench_window - reading a file once through a window, against mapping it whole and against read().
 *
 * Two questions: how fast, and how much memory. Memory is the peak of a child that does nothing else (VmHWM): a file 16
 * times the budget must stay within the budget and 8 MiB.
 */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso.h>

#define BUDGET_BYTES ((uint64_t)64 << 20)
#define FILE_BYTES (16 * BUDGET_BYTES)

static uint64_t sum(const void *data, size_t bytes)
{
    const uint64_t *word = data;
    uint64_t lanes[8] = { 0 };

    for (size_t i = 0; i + 8 <= bytes / 8; i += 8)
        for (size_t lane = 0; lane < 8; lane++)
            lanes[lane] += word[i + lane];
    return lanes[0] + lanes[1] + lanes[2] + lanes[3] + lanes[4] + lanes[5] + lanes[6] + lanes[7];
}

static uint64_t by_window(void *arg)
{
    struct verso_window_options options = VERSO_WINDOW_OPTIONS_INIT;
    struct verso_window *window;
    uint64_t total = 0;
    size_t bytes;
    void *data;

    options.budget_bytes = BUDGET_BYTES;
    if (verso_window_open(arg, &options, &window) < 0)
        abort();
    while (verso_window_next(window, &data, &bytes) == 0 && bytes > 0)
        total += sum(data, bytes);
    verso_window_close(window);
    return total;
}

static uint64_t by_whole_map(void *arg)
{
    int fd = open(arg, O_RDONLY | O_CLOEXEC);
    void *data = mmap(NULL, FILE_BYTES, PROT_READ, MAP_SHARED, fd, 0);
    uint64_t total;

    if (fd < 0 || data == MAP_FAILED)
        abort();
    close(fd);
    total = sum(data, FILE_BYTES);
    munmap(data, FILE_BYTES);
    return total;
}

static uint64_t by_read(void *arg)
{
    static _Alignas(64) unsigned char buffer[1 << 20];
    int fd = open(arg, O_RDONLY | O_CLOEXEC);
    uint64_t total = 0;
    ssize_t n;

    if (fd < 0)
        abort();
    while ((n = read(fd, buffer, sizeof(buffer))) > 0)
        total += sum(buffer, (size_t)n);
    close(fd);
    return total;
}

static double peak_kib(void)
{
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    double kib = -1;

    while (status && fgets(line, sizeof(line), status))
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtod(line + 6, NULL);
    if (status)
        fclose(status);
    return kib;
}

/* The peak of a child that runs @function. */
static double peak_of(bench_function *function, const char *path)
{
    int ends[2];
    double kib = -1;
    pid_t child;

    if (pipe(ends) < 0)
        abort();
    fflush(NULL);
    child = fork();
    if (child == 0) {
        bench_use((void *)(uintptr_t)function((void *)(uintptr_t)path));
        kib = peak_kib();
        _exit(write(ends[1], &kib, sizeof(kib)) == sizeof(kib) ? 0 : 1);
    }
    close(ends[1]);
    if (child < 0 || read(ends[0], &kib, sizeof(kib)) != sizeof(kib) || waitpid(child, NULL, 0) < 0)
        abort();
    close(ends[0]);
    return kib;
}

int main(int count, char **arguments)
{
    struct bench_case one = { .peer = "mmap whole",
                              .unit = "GB/s",
                              .bytes = (double)FILE_BYTES,
                              .verso = by_window,
                              .limit_name = "reading memory" };
    char *path;

    bench_start(count, arguments, "window");
    path = (char *)(uintptr_t)bench_file("large", FILE_BYTES);
    one.arg = path;
    one.limit = bench_limit_read();
    one.name = "sum 1 GiB warm";
    one.peer_side = by_whole_map;
    bench_compare(&one);
    one.peer = "read 1 MiB";
    one.peer_side = by_read;
    bench_compare(&one);
    if (bench_wanted("peak RSS")) {
        bench_note("peak RSS: the limit is the budget (64 MiB) and 8 MiB; a share of 100 %% or more is within it");
        bench_row("peak RSS, file of 16 budgets", "mmap whole", "KiB", peak_of(by_window, path),
                  peak_of(by_whole_map, path), true, (double)((BUDGET_BYTES >> 10) + 8192));
    }
    return bench_finish();
}
