/* SPDX-License-Identifier: MIT */
/*
 * cache_hold - holding locks: the limit, the background, the pid file, the waiting.
 *
 * Locks belong to a process and are not inherited, so who goes into the background has to go before locking:
 *
 *     foreground --fork--> background: locks, prints, tells how it went, lets the terminal go, waits
 *          \--waits for that, ends with its exit code
 */
#include "cache.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static int ready_fd = -1;
static int pidfile_fd = -1;
static const char *pidfile_path;

void cache_hold_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_MEMLOCK, &limit);
    }
}

/* ---- The background ---- */

static int wait_for_background(int fd, pid_t child)
{
    unsigned char answer = EXIT_TROUBLE;
    ssize_t r;

    do
        r = read(fd, &answer, 1);
    while (r < 0 && errno == EINTR && !interrupted());
    close(fd);
    if (interrupted())
        kill(child, SIGTERM);
    return r == 1 ? answer : EXIT_TROUBLE;
}

int cache_hold_background(void)
{
    int ends[2];
    pid_t child;

    fflush(stdout);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return trouble("pipe: %s", strerror(errno));
    child = fork();
    if (child < 0)
        return trouble("fork: %s", strerror(errno));
    if (child > 0) {
        close(ends[1]);
        return wait_for_background(ends[0], child);
    }
    close(ends[0]);
    ready_fd = ends[1];
    (void)setsid(); /* fails only for a leader of a group, which a new child is not */
    return -1;
}

void cache_hold_ready(int exit_code, bool lets_go)
{
    unsigned char answer = (unsigned char)exit_code;
    int null;

    if (ready_fd < 0)
        return;
    fflush(stdout);
    if (ferror(stdout))
        answer = EXIT_TROUBLE;
    if (write(ready_fd, &answer, 1) < 0)
        answer = EXIT_TROUBLE; /* the foreground is gone: nobody left to tell */
    close(ready_fd);
    ready_fd = -1;
    null = lets_go ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
    if (null < 0)
        return;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        (void)dup2(null, fd);
    close(null);
}

/* ---- The pid file ---- */

/* Held by a lock and not by being there: one that was left by a process that died does no harm. */
bool cache_hold_pidfile(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0644);
    char *shown = name_shown(path);
    bool held = false;
    struct stat status;

    if (fd < 0)
        trouble("pid file %s: %s", shown, strerror(errno));
    else if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        trouble("pid file %s: not a regular file", shown);
    else if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        trouble("pid file %s: held by another process that is running", shown);
    else if (ftruncate(fd, 0) < 0 || dprintf(fd, "%ld\n", (long)getpid()) < 0)
        trouble("pid file %s: %s", shown, strerror(errno));
    else
        held = true;
    free(shown);
    if (held) {
        pidfile_fd = fd;
        pidfile_path = path;
    } else if (fd >= 0) {
        close(fd);
    }
    return held;
}

void cache_hold_pidfile_remove(void)
{
    if (pidfile_fd < 0)
        return;
    (void)unlink(pidfile_path); /* before the lock goes, so that it is not another's */
    close(pidfile_fd);
    pidfile_fd = -1;
}

/* ---- Waiting ---- */

/* The signals that end the waiting are blocked but while asleep, so that none comes between the look and the sleep. */
void cache_hold_wait(void)
{
    sigset_t ending, before;

    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    sigprocmask(SIG_BLOCK, &ending, &before);
    while (!interrupted())
        sigsuspend(&before);
    sigprocmask(SIG_SETMASK, &before, NULL);
}
