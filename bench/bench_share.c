/* SPDX-License-Identifier: MIT */
/*
 * bench_share - what knowing who lives costs, beside memory that is only mapped.
 *
 * The peers are what one writes by hand: a file in /dev/shm, opened as shm_open(3) opens it, and memfd_create(2). They
 * make the same promise about memory (fallocate: a full file system is an error, and no SIGBUS), and no other one:
 * their regions are seen half-made, check nothing, and nobody can tell whether anybody else is there. Where others
 * learn of a death, the peers are a pidfd and the end of a pipe; those know of processes, not of what they held.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <verso.h>

#define BYTES ((size_t)64 << 10)
#define TIMES 100
#define PIECES 64
#define GROWN (PIECES * BYTES)
#define DEATHS 20

static char *peer_path;

/* A word in, a word out: the answer. */
static uint64_t touch(void *data)
{
    volatile uint64_t *word = data;

    *word += 1;
    return *word;
}

/* ---- Making, and leaving ---- */

static uint64_t create_verso(void *arg)
{
    struct verso_share *share;
    uint64_t sum = 0;

    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        bench_check(verso_share_create("made", BYTES, NULL, &share));
        sum += touch(verso_share_data(share));
        verso_share_close(share);
    }
    return sum;
}

static uint64_t create_anonymous_verso(void *arg)
{
    struct verso_share *share;
    uint64_t sum = 0;

    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        bench_check(verso_share_create_anonymous(BYTES, NULL, &share));
        sum += touch(verso_share_data(share));
        verso_share_close(share);
    }
    return sum;
}

static void *mapped(int fd)
{
    void *data = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (data == MAP_FAILED)
        bench_die("mmap");
    return data;
}

static uint64_t use_and_close(int fd)
{
    void *data = mapped(fd);
    uint64_t answer = touch(data);

    if (munmap(data, BYTES) < 0 || close(fd) < 0)
        bench_die("close");
    return answer;
}

static uint64_t create_file(void *arg)
{
    uint64_t sum = 0;

    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        int fd = open(peer_path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

        if (fd < 0 || fallocate(fd, 0, 0, BYTES) < 0)
            bench_die(peer_path);
        sum += use_and_close(fd);
        if (unlink(peer_path) < 0)
            bench_die(peer_path);
    }
    return sum;
}

static uint64_t create_memfd(void *arg)
{
    uint64_t sum = 0;

    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        int fd = memfd_create("bench", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        if (fd < 0 || fallocate(fd, 0, 0, BYTES) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
            bench_die("memfd_create");
        sum += use_and_close(fd);
    }
    return sum;
}

static void making(void)
{
    bench_compare_ns("create and close, by name, 64 KiB", "shm_open", TIMES, create_verso, create_file, NULL);
    bench_compare_ns("create and close, without a name, 64 KiB", "memfd_create", TIMES, create_anonymous_verso,
                     create_memfd, NULL);
}

/* ---- Coming in, and leaving ---- */

static uint64_t attach_verso(void *arg)
{
    struct verso_share *share;
    uint64_t sum = 0;

    for (int i = 0; i < TIMES; i++) {
        bench_check(verso_share_attach(arg, NULL, &share));
        sum += *(volatile uint64_t *)verso_share_data(share) + verso_share_bytes(share);
        verso_share_close(share);
    }
    return sum;
}

static uint64_t attach_file(void *arg)
{
    uint64_t sum = 0;

    (void)arg;
    for (int i = 0; i < TIMES; i++) {
        int fd = open(peer_path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        struct stat status;
        void *data;

        if (fd < 0 || fstat(fd, &status) < 0)
            bench_die(peer_path);
        data = mapped(fd);
        sum += *(volatile uint64_t *)data + (uint64_t)status.st_size;
        if (munmap(data, BYTES) < 0 || close(fd) < 0)
            bench_die("close");
    }
    return sum;
}

static void attaching(void)
{
    static const char name[] = "there";
    struct verso_share *share;
    int fd = open(peer_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0 || fallocate(fd, 0, 0, BYTES) < 0)
        bench_die(peer_path);
    bench_check(verso_share_create(name, BYTES, NULL, &share));
    bench_compare_ns("attach and close, 64 KiB", "shm_open", TIMES, attach_verso, attach_file, (void *)(uintptr_t)name);
    verso_share_close(share);
    if (close(fd) < 0 || unlink(peer_path) < 0)
        bench_die(peer_path);
}

/* ---- Growing ---- */

static struct verso_share *growing;
static int growing_fd = -1;
static unsigned char *growing_data;
static size_t growing_bytes;

static void grow_end(void)
{
    verso_share_close(growing);
    growing = NULL;
    if (growing_fd >= 0 && (munmap(growing_data, growing_bytes) < 0 || close(growing_fd) < 0))
        bench_die("close");
    growing_fd = -1;
}

/* Both begin with one piece each time. */
static void grow_begin(void *arg)
{
    struct verso_share_options options = VERSO_SHARE_OPTIONS_INIT;

    (void)arg;
    grow_end();
    options.most_bytes = GROWN;
    bench_check(verso_share_create_anonymous(BYTES, &options, &growing));
    growing_fd = memfd_create("bench", MFD_CLOEXEC);
    if (growing_fd < 0 || fallocate(growing_fd, 0, 0, BYTES) < 0)
        bench_die("memfd_create");
    growing_data = mapped(growing_fd);
    growing_bytes = BYTES;
}

static uint64_t grow_verso(void *arg)
{
    uint64_t sum = 0;

    (void)arg;
    for (size_t bytes = 2 * BYTES; bytes <= GROWN; bytes += BYTES) {
        bench_check(verso_share_grow(growing, bytes));
        sum += touch((char *)verso_share_data(growing) + bytes - 8);
    }
    return sum;
}

/* Every member would have to do the second half of this, at the same time, and may find itself elsewhere. */
static uint64_t grow_memfd(void *arg)
{
    uint64_t sum = 0;

    (void)arg;
    for (size_t bytes = 2 * BYTES; bytes <= GROWN; bytes += BYTES) {
        void *data;

        if (fallocate(growing_fd, 0, (off_t)(bytes - BYTES), BYTES) < 0)
            bench_die("fallocate");
        data = mremap(growing_data, bytes - BYTES, bytes, MREMAP_MAYMOVE);
        if (data == MAP_FAILED)
            bench_die("mremap");
        growing_data = data;
        growing_bytes = bytes;
        sum += touch(growing_data + bytes - 8);
    }
    return sum;
}

static void grow(void)
{
    bench_compare(&(struct bench_case){ .name = "grow by 64 KiB, to 4 MiB",
                                        .peer = "fallocate, mremap",
                                        .unit = "ns",
                                        .operations = PIECES - 1,
                                        .before = grow_begin,
                                        .verso = grow_verso,
                                        .peer_side = grow_memfd });
    grow_end();
}

/* ---- Whose thread this is, in one of many regions ---- */

#define REGIONS_MOST 16
#define TURNS 10000

struct locks {
    struct verso_mutex mutex __attribute__((aligned(64)));
    pthread_mutex_t robust __attribute__((aligned(64)));
};

static struct verso_share *shares[REGIONS_MOST];
static struct locks *locks[REGIONS_MOST];

static void locks_make(void)
{
    pthread_mutexattr_t attributes;

    bench_must(pthread_mutexattr_init(&attributes));
    bench_must(pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED));
    bench_must(pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST));
    for (int i = 0; i < REGIONS_MOST; i++) {
        bench_check(verso_share_create_anonymous(sizeof(struct locks), NULL, &shares[i]));
        locks[i] = verso_share_data(shares[i]);
        bench_must(pthread_mutex_init(&locks[i]->robust, &attributes));
    }
}

static uint64_t turns_verso(void *arg)
{
    int regions = *(const int *)arg;
    uint64_t done = 0;

    for (int i = 0; i < TURNS; i++) {
        struct locks *here = locks[i % regions];

        done += (uint64_t)(verso_mutex_lock(&here->mutex, -1) == 0) + (verso_mutex_unlock(&here->mutex) == 0);
    }
    return done;
}

static uint64_t turns_robust(void *arg)
{
    int regions = *(const int *)arg;
    uint64_t done = 0;

    for (int i = 0; i < TURNS; i++) {
        struct locks *here = locks[i % regions];

        done += (uint64_t)(pthread_mutex_lock(&here->robust) == 0) + (pthread_mutex_unlock(&here->robust) == 0);
    }
    return done;
}

static void seats(void)
{
    static const struct {
        const char *name;
        int regions;
    } cases[] = {
        { "lock and unlock, in 1 region", 1 },
        { "lock and unlock, in 4 regions in turn", 4 },
        { "lock and unlock, in 16 regions in turn", REGIONS_MOST },
    };

    locks_make();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int regions = cases[i].regions;

        bench_compare_ns(cases[i].name, "robust pthread mutex", TURNS, turns_verso, turns_robust, &regions);
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

struct death {
    pid_t victim;
    int pipe_end;
    uint64_t killed_ns;
};

static void notice_by_lock(const struct death *death)
{
    (void)death;
    if (verso_mutex_lock(&locks[0]->mutex, -1) != VERSO_E_OWNER_DIED)
        bench_die("a survivor was not told");
}

static void notice_by_pidfd(const struct death *death)
{
    int fd = (int)syscall(SYS_pidfd_open, death->victim, 0);
    struct pollfd wanted = { fd, POLLIN, 0 };

    if (fd < 0 || poll(&wanted, 1, -1) != 1 || close(fd) < 0)
        bench_die("pidfd_open");
}

static void notice_by_pipe(const struct death *death)
{
    char byte;

    if (read(death->pipe_end, &byte, 1) != 0)
        bench_die("read");
}

static void *kill_soon(void *arg)
{
    struct death *death = arg;

    (void)usleep(5000); /* asleep by now, and no longer in its first millisecond */
    death->killed_ns = now_ns();
    return kill(death->victim, SIGKILL) < 0 ? NULL : arg;
}

/* From kill(2) to a sleeper that knows: ns, of one death. */
static double one_death(void (*notice)(const struct death *death))
{
    struct death death = { 0 };
    uint64_t noticed_ns;
    pthread_t killer;
    void *answer;
    int ends[2];
    char byte;

    if (pipe2(ends, O_CLOEXEC) < 0)
        bench_die("pipe");
    death.victim = fork();
    if (death.victim < 0)
        bench_die("fork");
    if (death.victim == 0) {
        if (verso_mutex_lock(&locks[0]->mutex, 0) == 0 && write(ends[1], "", 1) == 1)
            for (;;)
                (void)pause();
        _exit(1);
    }
    (void)close(ends[1]);
    death.pipe_end = ends[0];
    if (read(ends[0], &byte, 1) != 1)
        bench_die("the lock was not to be had");
    bench_must(pthread_create(&killer, NULL, kill_soon, &death));
    notice(&death);
    noticed_ns = now_ns();
    bench_must(pthread_join(killer, &answer));
    if (!answer || waitpid(death.victim, NULL, 0) < 0 || close(ends[0]) < 0)
        bench_die("waitpid");
    if (notice != notice_by_lock && verso_mutex_lock(&locks[0]->mutex, -1) != VERSO_E_OWNER_DIED)
        bench_die("a survivor was not told");
    bench_check(verso_mutex_consistent(&locks[0]->mutex));
    bench_check(verso_mutex_unlock(&locks[0]->mutex));
    return (double)(noticed_ns - death.killed_ns);
}

static int by_size(const void *a, const void *b)
{
    double difference = *(const double *)a - *(const double *)b;

    return (difference > 0) - (difference < 0);
}

static void deaths(void)
{
    static void (*const ways[])(const struct death *) = { notice_by_lock, notice_by_pidfd, notice_by_pipe };
    static const char *const names[] = { NULL, "pidfd, poll", "end of a pipe" };
    double ns[3][DEATHS];

    if (!bench_wanted("kill(2) to noticing it"))
        return;
    for (int i = 0; i < DEATHS; i++)
        for (int way = 0; way < 3; way++)
            ns[way][i] = one_death(ways[way]);
    for (int way = 0; way < 3; way++)
        qsort(ns[way], DEATHS, sizeof(ns[way][0]), by_size);
    for (int way = 1; way < 3; way++) {
        bench_row("kill(2) to noticing it, median", names[way], "ns", ns[0][DEATHS / 2], ns[way][DEATHS / 2], true, 0);
        bench_row("kill(2) to noticing it, longest", names[way], "ns", ns[0][DEATHS - 1], ns[way][DEATHS - 1], true, 0);
    }
}

int main(int count, char **arguments)
{
    char *names;

    /* Memory, for both sides; what is left of it when somebody presses Ctrl-C goes with the directory. */
    if (setenv("BENCH_DIRECTORY", "/dev/shm", 0) < 0)
        bench_die("setenv");
    bench_start(count, arguments, "share");
    names = bench_text("%s/names", bench_directory());
    if (setenv("VERSO_SHARE_DIRECTORY", names, 1) < 0)
        bench_die("setenv");
    free(names);
    peer_path = bench_text("%s/peer", bench_directory());
    making();
    attaching();
    grow();
    seats();
    deaths();
    for (int i = 0; i < REGIONS_MOST; i++)
        verso_share_close(shares[i]);
    free(peer_path);
    return bench_finish();
}
