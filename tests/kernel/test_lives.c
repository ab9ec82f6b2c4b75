/* SPDX-License-Identifier: MIT */
/* lives - what tells the living from the dead: robust words, locks of open files. src/share leans on all of it. */
#include "kernel_facts.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

/* A child that has run @prepare, and now waits for its end. */
static pid_t child_that(void (*prepare)(void *arg), void *arg)
{
    int ends[2];
    char byte;
    pid_t child;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prepare(arg);
        if (write(ends[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            (void)pause();
    }
    (void)close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    (void)close(ends[0]);
    return child;
}

static void kill_and_wait(pid_t child)
{
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* ---- The robust word at the end of a shared page: os/linux/life.c ---- */

static int memory_file(size_t pages)
{
    int fd = memfd_create("lives", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(pages * page_bytes())), 0);
    return fd;
}

static _Atomic uint32_t *word_in(unsigned char *page)
{
    return (_Atomic uint32_t *)(void *)(page + page_bytes() - 8);
}

/* A robust mutex across two pages: its first 8 bytes at the end of the shared one, its rest in private memory. */
static pthread_mutex_t *mutex_across(unsigned char *shared_page)
{
    unsigned char *span = mmap(NULL, 2 * page_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t attributes;
    pthread_mutex_t *mutex;

    /* A second mapping of the same pages. */
    if (span == MAP_FAILED || mremap(shared_page, 0, page_bytes(), MREMAP_MAYMOVE | MREMAP_FIXED, span) != span)
        return NULL;
    mutex = (pthread_mutex_t *)(void *)(span + page_bytes() - 8);
    if (pthread_mutexattr_init(&attributes) != 0 ||
        pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) != 0 ||
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) != 0 ||
        pthread_mutex_init(mutex, &attributes) != 0)
        return NULL;
    return mutex;
}

static void hold_robust(void *arg)
{
    pthread_mutex_t *mutex = mutex_across(arg);

    if (!mutex || pthread_mutex_lock(mutex) != 0)
        _exit(1);
    (void)atomic_fetch_or((_Atomic uint32_t *)(void *)mutex, FUTEX_WAITERS);
}

static void test_robust_word_across_pages(void **state)
{
    int fd = memory_file(1);
    unsigned char *page = mapped(fd, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED);

    (void)state;
    for (int i = 0; i < 20; i++) {
        pid_t child = child_that(hold_robust, page);

        assert_int_equal(atomic_load(word_in(page)), (uint32_t)child | FUTEX_WAITERS);
        kill_and_wait(child);
        assert_int_equal(atomic_load(word_in(page)), FUTEX_OWNER_DIED | FUTEX_WAITERS);
        atomic_store(word_in(page), 0);
    }
    assert_int_equal(munmap(page, page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

static void *hold_robust_and_end(void *arg)
{
    pthread_mutex_t *mutex = mutex_across(arg);

    return mutex && pthread_mutex_lock(mutex) == 0 ? NULL : arg;
}

/* Not only processes: a thread's end marks it, too. */
static void test_robust_word_of_a_thread(void **state)
{
    int fd = memory_file(1);
    unsigned char *page = mapped(fd, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED);
    pthread_t thread;
    void *failed;

    (void)state;
    if (support_is_tsan())
        skip_because("ThreadSanitizer reports a thread that ends with a mutex locked");
    assert_int_equal(pthread_create(&thread, NULL, hold_robust_and_end, page), 0);
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_true(atomic_load(word_in(page)) & FUTEX_OWNER_DIED);
    assert_int_equal(munmap(page, page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

/* The kernel marks only what still holds the thread's own id: nobody can make it write anything else there. */
static void test_robust_word_scribbled_over(void **state)
{
    int fd = memory_file(1);
    unsigned char *page = mapped(fd, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED);
    pid_t child = child_that(hold_robust, page);

    (void)state;
    atomic_store(word_in(page), 12345);
    kill_and_wait(child);
    assert_int_equal(atomic_load(word_in(page)), 12345);
    assert_int_equal(munmap(page, page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

/* After F_SEAL_FUTURE_WRITE no new writable mapping can be made, but an old one can be had a second time. */
static void test_second_mapping_of_what_is_sealed(void **state)
{
    int fd = memory_file(1);
    unsigned char *page = mapped(fd, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED), *again;

    (void)state;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0)
        skip_because("no F_SEAL_FUTURE_WRITE: %s", strerror(errno));
    assert_ptr_equal(mmap(NULL, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_int_equal(errno, EPERM);
    again = mremap(page, 0, page_bytes(), MREMAP_MAYMOVE);
    assert_ptr_not_equal(again, MAP_FAILED);
    again[5] = 'a';
    assert_int_equal(page[5], 'a');
    assert_int_equal(munmap(again, page_bytes()), 0);
    assert_int_equal(page[5], 'a');
    assert_int_equal(munmap(page, page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

/* ---- Sleeping at several words ---- */

static long wait_any(_Atomic uint32_t *first, uint32_t expected, const _Atomic uint32_t *second,
                     uint32_t second_expected)
{
    struct verso__futex_waitv entries[2] = {
        { .value = expected, .address = (uintptr_t)first, .flags = VERSO__FUTEX_32 },
        { .value = second_expected, .address = (uintptr_t)second, .flags = VERSO__FUTEX_32 },
    };
    struct timespec deadline;

    (void)clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += 60;
    return syscall(SYS_futex_waitv, entries, 2, 0, &deadline, CLOCK_MONOTONIC);
}

/* Also for who may only read the word: FUTEX_WAITERS was set by its holder. */
static void test_death_ends_a_sleep_at_two_words(void **state)
{
    int fd = memory_file(1);
    unsigned char *page = mapped(fd, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED);
    unsigned char *seen = mapped(fd, page_bytes(), PROT_READ, MAP_SHARED);
    _Atomic uint32_t other = 5;

    (void)state;
    if (wait_any(&other, 4, &other, 5) < 0 && errno != EAGAIN)
        skip_because("no futex_waitv: %s", strerror(errno));
    for (int i = 0; i < 20; i++) {
        pid_t child = child_that(hold_robust, page), killer;

        killer = fork();
        assert_true(killer >= 0);
        if (killer == 0) {
            (void)usleep(1000);
            _exit(kill(child, SIGKILL) == 0 ? 0 : 1);
        }
        /* 1: woken at the second. EAGAIN: the death came first. */
        assert_true(wait_any(&other, 5, word_in(seen), (uint32_t)child | FUTEX_WAITERS) == 1 || errno == EAGAIN);
        assert_true(atomic_load(word_in(seen)) & FUTEX_OWNER_DIED);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_int_equal(waitpid(killer, NULL, 0), killer);
        atomic_store(word_in(page), 0);
    }
    assert_int_equal(munmap(seen, page_bytes()), 0);
    assert_int_equal(munmap(page, page_bytes()), 0);
    assert_int_equal(close(fd), 0);
}

/* ---- Locks of open files: share/member.c ---- */

static const off_t place = (off_t)1 << 62;

static int lock_byte(int fd, off_t byte, short type)
{
    struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

    return fcntl(fd, F_OFD_SETLK, &lock);
}

static bool is_locked(int fd, off_t byte)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

    assert_int_equal(fcntl(fd, F_OFD_GETLK, &lock), 0);
    return lock.l_type != F_UNLCK;
}

static void open_and_lock(void *arg)
{
    int fd = open(arg, O_RDWR | O_CLOEXEC);

    if (fd < 0 || lock_byte(fd, place, F_WRLCK) < 0)
        _exit(1);
}

static void test_lock_goes_with_its_process(void **state)
{
    char path[PATH_MAX];
    int fd = file_of_pages("f", 1);
    pid_t child;

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", support_path("f"));
    for (int i = 0; i < 20; i++) {
        child = child_that(open_and_lock, path);
        assert_true(is_locked(fd, place)); /* far past the end of the file */
        assert_int_equal(lock_byte(fd, place, F_WRLCK), -1);
        assert_int_equal(errno, EAGAIN);
        assert_int_equal(lock_byte(fd, place + 1, F_WRLCK), 0);
        assert_int_equal(lock_byte(fd, place + 1, F_UNLCK), 0);
        kill_and_wait(child);
        assert_false(is_locked(fd, place));
    }
    assert_int_equal(close(fd), 0);
}

static void do_nothing(void *arg)
{
    (void)arg;
}

/* A child of fork() has the open file, and with it the lock, until it closes it or ends. */
static void test_lock_is_of_the_open_file(void **state)
{
    int fd = file_of_pages("f", 1), other = open(support_path("f"), O_RDWR | O_CLOEXEC), again;
    pid_t child;

    (void)state;
    assert_true(other >= 0);
    assert_int_equal(lock_byte(fd, place, F_WRLCK), 0);
    assert_int_equal(lock_byte(fd, place, F_WRLCK), 0); /* its own locks don't exclude it, */
    assert_false(is_locked(fd, place));                 /* nor is it told of them */
    assert_int_equal(lock_byte(other, place, F_WRLCK), -1);
    again = dup(fd);
    assert_int_equal(close(again), 0); /* unlike a lock of POSIX's: closing any descriptor drops nothing */
    assert_true(is_locked(other, place));
    child = child_that(do_nothing, NULL);
    assert_int_equal(close(fd), 0);
    assert_true(is_locked(other, place));
    kill_and_wait(child);
    assert_false(is_locked(other, place));
    assert_int_equal(close(other), 0);
}

/* What is opened through /proc/self/fd is an open file of its own; also of a file of memory. */
static void test_reopened_is_another(void **state)
{
    int fd = memory_file(1), other;
    char path[64];

    (void)state;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    other = open(path, O_RDWR | O_CLOEXEC);
    assert_true(other >= 0);
    assert_int_equal(lock_byte(fd, place, F_WRLCK), 0);
    assert_true(is_locked(other, place));
    assert_int_equal(close(fd), 0);
    assert_false(is_locked(other, place));
    assert_int_equal(close(other), 0);
}

/* A reader may hold a shared lock, and ask for any. */
static void test_lock_of_a_reader(void **state)
{
    int fd = file_of_pages("f", 1), reader = open(support_path("f"), O_RDONLY | O_CLOEXEC);

    (void)state;
    assert_true(reader >= 0);
    assert_int_equal(lock_byte(reader, place, F_WRLCK), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(lock_byte(reader, place, F_RDLCK), 0);
    assert_true(is_locked(fd, place));
    assert_int_equal(lock_byte(fd, place, F_RDLCK), 0);
    assert_int_equal(lock_byte(reader, place, F_UNLCK), 0);
    assert_true(is_locked(reader, place));
    assert_int_equal(close(fd), 0);
    assert_int_equal(close(reader), 0);
}

/* ---- Which of both comes first ---- */

struct holder {
    unsigned char *page;
    const char *path;
};

static void hold_both(void *arg)
{
    struct holder *holder = arg;

    open_and_lock((void *)(uintptr_t)holder->path);
    hold_robust(holder->page);
}

/*
 * A process lets go of its memory, and marks its words, before it closes its files: when the word is marked the lock
 * may still stand for a moment, and when the lock is gone the word is marked. Whoever has been told by the lock alone
 * needs not look at the word; whoever has been told by the word must not take the lock for granted.
 */
static void test_word_before_lock(void **state)
{
    int fd = memory_file(1), file = file_of_pages("f", 1);
    unsigned char *page = mapped(fd, page_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED);
    char path[PATH_MAX];
    struct holder holder = { page, path };

    (void)state;
    (void)snprintf(path, sizeof(path), "%s", support_path("f"));
    for (int i = 0; i < 50; i++) {
        pid_t child = child_that(hold_both, &holder);

        assert_int_equal(kill(child, SIGKILL), 0);
        while (is_locked(file, place))
            ;
        assert_true(atomic_load(word_in(page)) & FUTEX_OWNER_DIED);
        assert_int_equal(waitpid(child, NULL, 0), child);
        atomic_store(word_in(page), 0);
    }
    assert_int_equal(munmap(page, page_bytes()), 0);
    assert_int_equal(close(fd) + close(file), 0);
}

/* ---- Files without a name: share/make.c ---- */

static void test_a_name_comes_last(void **state)
{
    char self[64], path[PATH_MAX];
    int fd = open(support_directory(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), other;

    (void)state;
    if (fd < 0)
        skip_because("no O_TMPFILE on this file system: %s", strerror(errno));
    (void)snprintf(path, sizeof(path), "%s", support_path("named"));
    assert_int_equal(write(fd, "whole", 5), 5);
    (void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    assert_int_equal(linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW), 0);
    assert_int_equal(linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW), -1);
    assert_int_equal(errno, EEXIST);
    other = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(other >= 0);
    assert_int_equal(read(other, self, sizeof(self)), 5);
    assert_int_equal(close(fd) + close(other), 0);
}

int main(void)
{
    const struct CMUnitTest list[] = {
        cmocka_unit_test(test_robust_word_across_pages),
        cmocka_unit_test(test_robust_word_of_a_thread),
        cmocka_unit_test(test_robust_word_scribbled_over),
        cmocka_unit_test(test_second_mapping_of_what_is_sealed),
        cmocka_unit_test(test_death_ends_a_sleep_at_two_words),
        cmocka_unit_test(test_lock_goes_with_its_process),
        cmocka_unit_test(test_lock_is_of_the_open_file),
        cmocka_unit_test(test_reopened_is_another),
        cmocka_unit_test(test_lock_of_a_reader),
        cmocka_unit_test(test_word_before_lock),
        cmocka_unit_test(test_a_name_comes_last),
    };

    return run_test_list(list);
}
