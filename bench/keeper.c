/* SPDX-License-Identifier: MIT */
/* keeper - see keeper.h. What the two processes both know lies in a page that they share. */
#include "keeper.h"

#include "bench.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct kept {
    char directory[PATH_MAX];
    char group[PATH_MAX];
} * kept;

static pid_t bench_pid;

static const int ending_signals[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };
#define ENDING_COUNT (sizeof(ending_signals) / sizeof(ending_signals[0]))

char *keeper_directory(void)
{
    return kept->directory;
}

char *keeper_group(void)
{
    return kept->group;
}

/* Ctrl-C reaches both; what was sent to the keeper alone is passed on. */
static void pass_on(int number)
{
    int before = errno;

    (void)kill(bench_pid, number);
    errno = before;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)status;
    (void)kind;
    (void)where;
    if (remove(path) < 0)
        perror(path);
    return 0;
}

/* A group can't go while the kernel still takes leave of its last process. */
static void remove_group(void)
{
    const struct timespec moment = { 0, 10000000 };

    for (int i = 0; i < 100; i++) {
        if (rmdir(kept->group) == 0)
            return;
        (void)nanosleep(&moment, NULL);
    }
    perror(kept->group);
}

/* Waits for the bench and for all that it left behind; answers how the bench ended. */
static int wait_for_all(void)
{
    int status = 0, ended;
    pid_t pid;

    for (;;) {
        pid = wait(&ended);
        if (pid == bench_pid)
            status = ended;
        if (pid < 0 && errno != EINTR)
            return status;
    }
}

static _Noreturn void keep(void)
{
    int status = wait_for_all();

    if (*kept->group)
        remove_group();
    if (*kept->directory)
        (void)nftw(kept->directory, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    if (WIFEXITED(status))
        exit(WEXITSTATUS(status));
    (void)signal(WTERMSIG(status), SIG_DFL);
    (void)raise(WTERMSIG(status));
    exit(128 + WTERMSIG(status));
}

void keeper_start(void)
{
    struct sigaction action = { .sa_handler = pass_on };
    sigset_t ending, before;

    kept = mmap(NULL, sizeof(*kept), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (kept == MAP_FAILED)
        bench_die("mmap");
    /* Orphans become children of the keeper, so that it can wait for them. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        bench_die("prctl");
    (void)sigemptyset(&ending);
    for (size_t i = 0; i < ENDING_COUNT; i++)
        (void)sigaddset(&ending, ending_signals[i]);
    (void)sigprocmask(SIG_BLOCK, &ending, &before);
    bench_pid = fork();
    if (bench_pid < 0)
        bench_die("fork");
    for (size_t i = 0; bench_pid > 0 && i < ENDING_COUNT; i++)
        (void)sigaction(ending_signals[i], &action, NULL);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (bench_pid > 0)
        keep();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        bench_die("prctl");
}
