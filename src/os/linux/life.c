/* SPDX-License-Identifier: MIT */
/*
 * life - how others learn that a thread or a process has ended.
 *
 * A robust mutex that a thread holds is marked by the kernel when the thread ends, and that is a death notice for
 * anybody who can see its word. But the rest of a pthread_mutex_t holds pointers (glibc's list of robust mutexes), and
 * in shared memory a hostile process could make glibc write through them. So the mutex lies across two pages:
 *
 *      addresses   |... the shared page of a seat ... word|rest of the mutex, in private memory ...|
 *                                                      8 bytes
 *
 * The list of robust mutexes stays glibc's (no set_robust_list here), so other people's robust mutexes go on working.
 * That the word comes first in a mutex is not promised by POSIX; whether it did is looked at after locking.
 */
#include "os/linux/kernel.h"
#include "os/linux/proc.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(VERSO__OS_LIFE_OVER == FUTEX_OWNER_DIED, "what the kernel puts there");

/* ---- Which process ---- */

uint64_t verso__os_life_namespace(void)
{
    struct stat status;

    return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

/* Start times are told by the clock of who asks; only the first namespace of time has one that all share. */
static bool has_common_clock(void)
{
    struct stat status;

    if (stat("/proc/self/ns/time", &status) < 0)
        return errno == ENOENT; /* before Linux 5.6 there is no other */
    return status.st_ino == VERSO__TIME_NAMESPACE_FIRST;
}

/* In a new namespace of ids /proc may still be that of the old one, where our ids are other people's. */
static bool has_own_proc(void)
{
    struct verso__proc_lines lines = { 0 };
    bool is_own = false;
    size_t bytes;
    char *line;

    if (verso__proc_open(0, "status", &lines.fd) < 0)
        return false;
    while (verso__proc_lines_next(&lines, &line, &bytes) > 0)
        if (strncmp(line, "NSpid:\t", 7) == 0) { /* our ids, from the namespace of /proc down to our own */
            is_own = strchr(line + 7, '\t') == NULL;
            break;
        }
    verso__proc_lines_end(&lines);
    verso__os_close(lines.fd);
    return is_own;
}

void verso__os_life_mark(struct verso__os_life_mark *out_mark)
{
    struct verso__os_process_info info;
    struct verso__os_life_mark mark = { .process = (uint32_t)getpid(), .namespace = verso__os_life_namespace() };

    if (verso__os_process_info(0, &info) == 0) {
        mark.start_ticks = has_common_clock() ? info.start_ticks : 0;
        memcpy(mark.command, info.command, strnlen(info.command, sizeof(mark.command) - 1));
    }
    *out_mark = mark;
}

uint64_t verso__os_life_thread_ticks(void)
{
    struct verso__os_process_info info;
    int fd, r = verso__os_open("/proc/thread-self/stat", VERSO__OS_OPEN_READ, 0, &fd);

    if (r < 0)
        return 0;
    r = verso__proc_read_stat(fd, &info);
    verso__os_close(fd);
    return r == 0 && has_common_clock() ? info.start_ticks : 0;
}

/* What is left of a first thread while others of its process go on is in state 'Z', too. */
static bool has_other_threads(pid_t id)
{
    int fd, r = verso__proc_open_other_thread(id, "stat", &fd);

    if (r < 0)
        return r != -ESRCH;
    verso__os_close(fd);
    return true;
}

/* /proc may be mounted so that it hides others' processes: there, what can't be seen need not be gone. */
bool verso__os_is_gone(uint32_t id, uint64_t start_ticks)
{
    struct verso__os_process_info info;

    if (id == 0 || id > INT_MAX)
        return false;
    if (kill((pid_t)id, 0) < 0 && errno == ESRCH)
        return true;
    if (start_ticks == 0 || verso__os_process_info((pid_t)id, &info) < 0)
        return false;
    if (info.start_ticks == start_ticks && ((info.state != 'Z' && info.state != 'X') || has_other_threads((pid_t)id)))
        return false;
    return has_common_clock() && has_own_proc();
}

/* ---- Life words ---- */

static pthread_mutex_t *mutex_of(void *life)
{
    return (pthread_mutex_t *)life;
}

static _Atomic uint32_t *word_of(void *life)
{
    return (_Atomic uint32_t *)life;
}

static char *span_of(void *life)
{
    return (char *)life + VERSO__OS_LIFE_BYTES - verso__os_page_bytes();
}

static int make_mutex(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    int r = pthread_mutexattr_init(&attributes);

    if (r == 0)
        r = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    if (r == 0)
        r = pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    if (r == 0)
        r = pthread_mutex_init(mutex, &attributes);
    (void)pthread_mutexattr_destroy(&attributes);
    return -r;
}

/* Tries, because what somebody scribbles into the word meanwhile could make waiting endless. */
static int hold(void *life)
{
    int r = pthread_mutex_trylock(mutex_of(life));

    if (r == EOWNERDEAD)
        r = pthread_mutex_consistent(mutex_of(life));
    if (r != 0)
        return -r;
    if ((atomic_load(word_of(life)) & FUTEX_TID_MASK) != (uint32_t)gettid()) {
        (void)pthread_mutex_unlock(mutex_of(life));
        return -EOPNOTSUPP;
    }
    /* Whoever sleeps there could not set this itself, if it may only read. */
    (void)atomic_fetch_or(word_of(life), FUTEX_WAITERS);
    return 0;
}

static int map_life(void *page, char *span, size_t page_bytes)
{
    void *rest;
    int r = verso__os_map_again(page, page_bytes, span);

    if (r < 0)
        return r;
    return verso__os_map(span + page_bytes, page_bytes, VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE,
                         VERSO__OS_MAP_OVER, -1, 0, &rest);
}

int verso__os_life_begin(void *page, void **out_life)
{
    size_t page_bytes = verso__os_page_bytes();
    void *span, *life;
    int r = verso__os_reserve(2 * page_bytes, page_bytes, &span);

    if (r < 0)
        return r;
    life = (char *)span + page_bytes - VERSO__OS_LIFE_BYTES;
    r = map_life(page, span, page_bytes);
    if (r == 0)
        r = make_mutex(mutex_of(life));
    if (r == 0)
        r = hold(life);
    if (r < 0) {
        (void)verso__os_unmap(span, 2 * page_bytes);
        return r;
    }
    *out_life = life;
    return 0;
}

/* Should the word be another than ours, unlocking would refuse, and the mutex stay in the thread's list. */
static int let_go(void *life)
{
    if ((atomic_load(word_of(life)) & FUTEX_TID_MASK) != (uint32_t)gettid())
        atomic_store(word_of(life), (uint32_t)gettid() | FUTEX_WAITERS);
    return pthread_mutex_unlock(mutex_of(life)) == 0 ? 0 : -EBUSY;
}

int verso__os_life_end(void *life)
{
    int r = let_go(life);

    if (r < 0)
        return r;
    verso__os_futex_wake(word_of(life), INT_MAX, VERSO__OS_FUTEX_SHARED);
    (void)pthread_mutex_destroy(mutex_of(life));
    verso__os_life_forget(life);
    return 0;
}

int verso__os_life_detach(void *life)
{
    uint32_t word = atomic_load(word_of(life));
    void *page;
    int r = verso__os_map(span_of(life), verso__os_page_bytes(), VERSO__OS_ACCESS_READ | VERSO__OS_ACCESS_WRITE,
                          VERSO__OS_MAP_OVER, -1, 0, &page);

    if (r == 0)
        atomic_store(word_of(life), word);
    return r;
}

void verso__os_life_forget(void *life)
{
    (void)verso__os_unmap(span_of(life), 2 * verso__os_page_bytes());
}
