/* SPDX-License-Identifier: MIT */
/*
 * rungs.h - what the tests of stability share: a file, those who attack it, and what a map of it promises.
 */
#ifndef VERSO_TESTS_RUNGS_H
#define VERSO_TESTS_RUNGS_H

#include "support.h"

#include "child.h"
#include "maps.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PAGES 16

static inline struct verso_map_options rung(enum verso_map_stability asked, unsigned flags)
{
    struct verso_map_options options = options_with(flags);

    options.stability = asked;
    return options;
}

static inline const char *pattern_file(void)
{
    return support_file("stable", PAGES * verso_page_bytes());
}

static inline struct verso_map *open_at(const char *path, enum verso_map_stability asked, unsigned flags)
{
    struct verso_map_options options = rung(asked, flags);
    struct verso_map *map;

    assert_ok(verso_map_open(path, &options, &map));
    return map;
}

static inline bool is_pattern(const struct verso_map *map)
{
    return support_matches(verso_map_data(map), info_of(map).offset_bytes, verso_map_bytes(map));
}

static inline void assert_rung(const struct verso_map *map, enum verso_map_stability got, const char *why)
{
    assert_int_equal(info_of(map).stability, got);
    if (*why)
        assert_non_null(strstr(info_of(map).stability_why, why));
    else
        assert_string_equal(info_of(map).stability_why, "");
}

static inline void assert_sealed(int fd)
{
    const int all = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;

    assert_int_equal(fcntl(fd, F_GET_SEALS) & all, all);
}

/* ---- Attacks: in another process, through an open file of its own ---------------------------------------------- */

static inline int overwrite(void *path)
{
    size_t page = verso_page_bytes();
    unsigned char *zeros = calloc(PAGES, page);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    child_assert(zeros && fd >= 0);
    child_assert(pwrite(fd, zeros, PAGES * page, 0) == (ssize_t)(PAGES * page));
    free(zeros);
    return close(fd);
}

static inline int store(void *path)
{
    size_t bytes = PAGES * verso_page_bytes();
    int fd = open(path, O_RDWR | O_CLOEXEC);
    void *data;

    child_assert(fd >= 0);
    data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    child_assert(data != MAP_FAILED);
    memset(data, 0, bytes);
    child_assert(munmap(data, bytes) == 0);
    return close(fd);
}

static inline int cut(void *path)
{
    return truncate(path, 1);
}

static inline int punch(void *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    int r;

    child_assert(fd >= 0);
    r = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)(PAGES * verso_page_bytes()));
    child_assert(r == 0 || errno == EOPNOTSUPP);
    return close(fd);
}

static int (*const attacks[])(void *path) = { overwrite, store, punch, cut };
#define ATTACKS (sizeof(attacks) / sizeof(attacks[0]))

static inline pid_t begin_attack(int (*attack)(void *path), const char *path)
{
    pid_t child;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(attack((void *)(uintptr_t)path));
    return child;
}

static inline void end_attack(pid_t child)
{
    int status = -1;

    while (waitpid(child, &status, 0) < 0)
        assert_int_equal(errno, EINTR);
    assert_int_equal(status, 0);
}

static inline void suffer(const char *path)
{
    for (size_t i = 0; i < ATTACKS; i++)
        end_attack(begin_attack(attacks[i], path));
}

/* ---- What this file system can do ------------------------------------------------------------------------------ */

static inline bool can_reflink(const char *path)
{
    const char *other = support_path("reflink-try");
    int from = open(path, O_RDONLY | O_CLOEXEC), to = open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool can;

    assert_true(from >= 0 && to >= 0);
    can = ioctl(to, FICLONE, from) == 0;
    assert_int_equal(close(from) | close(to) | unlink(other), 0);
    return can;
}

static inline bool can_lease(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool can = fcntl(fd, F_SETLEASE, F_RDLCK) == 0;

    assert_int_equal(close(fd), 0);
    return can;
}

#endif
