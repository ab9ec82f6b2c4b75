/* SPDX-License-Identifier: MIT */
/* machine - see machine.h. */
#include "machine.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define THREADS_MAX 64
#define DEPTH 8
#define READ_BYTES ((size_t)1 << 20)
#define LINE_BYTES 32 /* of one step of the counting loop */

/* Vectors of the compiler's own, so that each processor gets its widest without a line of assembly. */
#if defined(__x86_64__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
#else
#define FOR_EACH_PROCESSOR
#endif

typedef signed char vector __attribute__((vector_size(LINE_BYTES), aligned(LINE_BYTES)));

/* @data aligned to a page. Each of the four sums takes 124 steps, which its lanes can hold; matches count downwards. */
#define STEPS ((size_t)4 * 124)

FOR_EACH_PROCESSOR
static uint64_t count_newlines(const void *data, size_t bytes)
{
    const vector *line = data, newline = (vector){ 0 } + '\n';
    size_t left = bytes / LINE_BYTES;
    uint64_t count = 0;

    while (left > 0) {
        size_t steps = left < STEPS ? left : STEPS;
        vector sums[4] = { { 0 } };

        for (size_t i = 0; i + 4 <= steps; i += 4)
            for (size_t lane = 0; lane < 4; lane++)
                sums[lane] += (vector)(line[i + lane] == newline);
        for (size_t i = steps / 4 * 4; i < steps; i++)
            sums[0] += (vector)(line[i] == newline);
        for (size_t lane = 0; lane < 4; lane++)
            for (size_t i = 0; i < LINE_BYTES; i++)
                count += (uint64_t)(-sums[lane][i]);
        line += steps;
        left -= steps;
    }
    for (const char *rest = (const char *)line; rest < (const char *)data + bytes; rest++)
        count += *rest == '\n';
    return count;
}

unsigned machine_thread_count(void)
{
    cpu_set_t set;
    unsigned count = sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;

    return count < THREADS_MAX ? count : THREADS_MAX;
}

/* ---- Threads ---- */

/* What the threads of one pass share. */
struct pass {
    const char *data; /* in memory, or NULL: the file */
    int fd;
    size_t bytes;
    size_t step_bytes;
    atomic_size_t next; /* where the next step begins */
    _Atomic uint64_t count;
};

static uint64_t count_in_file(const struct pass *pass, size_t offset, void *buffer)
{
    ssize_t n = pread(pass->fd, buffer, pass->step_bytes, (off_t)offset);

    if (n < 0)
        bench_die("pread");
    return count_newlines(buffer, (size_t)n);
}

static void *work(void *arg)
{
    struct pass *pass = arg;
    void *buffer = pass->data ? NULL : aligned_alloc(4096, pass->step_bytes);
    uint64_t count = 0;
    size_t offset;

    if (!pass->data && !buffer)
        bench_die("memory");
    while ((offset = atomic_fetch_add(&pass->next, pass->step_bytes)) < pass->bytes) {
        size_t bytes = pass->bytes - offset < pass->step_bytes ? pass->bytes - offset : pass->step_bytes;

        count += pass->data ? count_newlines(pass->data + offset, bytes) : count_in_file(pass, offset, buffer);
    }
    atomic_fetch_add(&pass->count, count);
    free(buffer);
    return NULL;
}

static uint64_t pass_run(struct pass *pass, unsigned thread_count)
{
    pthread_t threads[THREADS_MAX];

    for (unsigned i = 0; i < thread_count; i++)
        if (pthread_create(&threads[i], NULL, work, pass) != 0)
            bench_die("pthread_create");
    for (unsigned i = 0; i < thread_count; i++)
        (void)pthread_join(threads[i], NULL);
    return pass->count;
}

/* ---- Memory ---- */

static double now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static double count_memory(size_t bytes)
{
    char *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    double best = 0;

    if (data == MAP_FAILED)
        bench_die("mmap");
    (void)madvise(data, bytes, MADV_HUGEPAGE);
    memset(data, '\n', bytes);
    for (int i = 0; i < 7; i++) {
        struct pass pass = { data, -1, bytes, (size_t)4 << 20, 0, 0 };
        double start = now_ns(), rate;

        if (pass_run(&pass, machine_thread_count()) != bytes)
            abort();
        rate = (double)bytes / (now_ns() - start);
        best = rate > best ? rate : best;
    }
    return best;
}

/* In a child, so that the bench itself stays small: what it forks would count its memory as their peak. */
double machine_count_memory(uint64_t bytes)
{
    double rate = 0;
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC) < 0)
        bench_die("pipe");
    child = fork();
    if (child == 0) {
        rate = count_memory((size_t)bytes);
        _exit(write(ends[1], &rate, sizeof(rate)) == sizeof(rate) ? 0 : 1);
    }
    close(ends[1]);
    if (child < 0 || read(ends[0], &rate, sizeof(rate)) != sizeof(rate) || waitpid(child, NULL, 0) < 0)
        bench_die("a child");
    close(ends[0]);
    return rate;
}

/* ---- Disk ---- */

static uint64_t count_file(const char *path, int flags, unsigned thread_count)
{
    struct pass pass = { NULL, open(path, O_RDONLY | O_CLOEXEC | flags), 0, READ_BYTES, 0, 0 };
    struct stat status;
    uint64_t count;

    if (pass.fd < 0 || fstat(pass.fd, &status) < 0)
        bench_die(path);
    pass.bytes = (size_t)status.st_size;
    count = pass_run(&pass, thread_count);
    close(pass.fd);
    return count;
}

uint64_t machine_count_direct(void *path)
{
    return count_file(path, O_DIRECT, DEPTH);
}

uint64_t machine_count_buffered(void *path)
{
    return count_file(path, 0, 1);
}

/* ---- The host ---- */

/* Bit 5 of a virtio balloon: the guest reports free pages. Answers -1 when no balloon is seen. */
static int reports_free_pages(void)
{
    char path[PATH_MAX], device[16], features[128];
    const char *folder = "/sys/bus/virtio/devices";
    DIR *devices = opendir(folder);
    const struct dirent *entry;
    int answer = -1;

    while (devices && (entry = readdir(devices))) {
        FILE *file;

        (void)snprintf(path, sizeof(path), "%s/%s/device", folder, entry->d_name);
        file = fopen(path, "re");
        if (!file || !fgets(device, sizeof(device), file))
            *device = '\0';
        if (file)
            (void)fclose(file);
        (void)snprintf(path, sizeof(path), "%s/%s/features", folder, entry->d_name);
        file = strtoul(device, NULL, 16) == 5 ? fopen(path, "re") : NULL;
        if (file && fgets(features, sizeof(features), file) && strlen(features) > 5)
            answer = features[5] == '1';
        if (file)
            (void)fclose(file);
    }
    if (devices)
        (void)closedir(devices);
    return answer;
}

void machine_note(void)
{
    int reports = reports_free_pages();

    if (reports < 0)
        bench_note("free page reporting: no virtio balloon is seen here");
    else
        bench_note("free page reporting (virtio balloon, feature bit 5): %s",
                   reports ? "on: memory used anew costs a fault of the host, so what allocates varies 2 to 5 times"
                           : "off");
}
