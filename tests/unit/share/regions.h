/* SPDX-License-Identifier: MIT */
/* regions.h - what the tests of share have in common. */
#ifndef VERSO_TESTS_REGIONS_H
#define VERSO_TESTS_REGIONS_H

#include "support.h"

#include "share/region.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <verso/base.h>

/* Names lead into a directory of the test's own: call it first. */
static inline void names_here(void)
{
    assert_int_equal(setenv("VERSO_SHARE_DIRECTORY", support_path("names"), 1), 0);
}

static inline struct verso_share *made(const char *name, uint64_t bytes)
{
    struct verso_share *share;

    assert_ok(verso_share_create(name, bytes, NULL, &share));
    return share;
}

static inline struct verso_share *attached(const char *name)
{
    struct verso_share *share;

    assert_ok(verso_share_attach(name, NULL, &share));
    return share;
}

static inline unsigned members_of(struct verso_share *share)
{
    struct verso_share_info info = VERSO_SHARE_INFO_INIT;

    assert_ok(verso_share_info(share, &info));
    return info.members;
}

/* A text into a region's content. */
static inline void put(void *content, const char *text)
{
    memcpy(content, text, strlen(text) + 1);
}

/* The path that a name leads to. */
static inline const char *path_of(const char *name)
{
    static char path[PATH_MAX];
    struct verso__share_trouble trouble = { 0 };

    assert_int_equal(verso__share_path(name, true, path, &trouble), 0);
    return path;
}

static inline bool exists(const char *name)
{
    struct stat status;

    return lstat(path_of(name), &status) == 0;
}

/* A child that runs @function and then sleeps until it is killed; what it does is done when this returns. */
struct child {
    pid_t process;
};
static inline struct child child_that(void (*function)(void *arg), void *arg)
{
    struct child child;
    int ends[2];
    char byte;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    child.process = fork();
    assert_true(child.process >= 0);
    if (child.process == 0) {
        function(arg);
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

static inline void child_kill(struct child child)
{
    int status;

    assert_int_equal(kill(child.process, SIGKILL), 0);
    assert_int_equal(waitpid(child.process, &status, 0), child.process);
    assert_true(WIFSIGNALED(status));
}

/* How many files are in the directory of names, whatever they are called; makes each an hour old. */
static inline unsigned files_left(void)
{
    const struct timespec old[2] = { { .tv_sec = 1000000 }, { .tv_sec = 1000000 } };
    DIR *names = opendir(support_path("names"));
    struct dirent *entry;
    unsigned count = 0;

    assert_non_null(names);
    while ((entry = readdir(names)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            count++;
            assert_int_equal(utimensat(dirfd(names), entry->d_name, old, AT_SYMLINK_NOFOLLOW), 0);
        }
    assert_int_equal(closedir(names), 0);
    return count;
}

#endif
