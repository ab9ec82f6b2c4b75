/* SPDX-License-Identifier: MIT */
/*
 * bench_map - what verso's care costs, against the same system calls made by hand.
 *
 * Opening: a file in the page cache is opened, one byte of each page is looked at (or stored to), and it is closed.
 * Growing: a file becomes longer step by step and each step is filled; by hand with the allocation that verso makes.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <verso.h>

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)

struct work {
    const char *path;
    size_t page_bytes;
    int fd; /* for opening by descriptor */
};

static uint64_t look(const void *data, size_t bytes, size_t page_bytes)
{
    const volatile unsigned char *byte = data;
    uint64_t sum = bytes;

    for (size_t at = 0; at < bytes; at += page_bytes)
        sum += byte[at];
    return sum;
}

/* Stores what is there: the answer stays the same. */
static uint64_t store(void *data, size_t bytes, size_t page_bytes)
{
    volatile unsigned char *byte = data;
    uint64_t sum = bytes;

    for (size_t at = 0; at < bytes; at += page_bytes) {
        unsigned char there = byte[at];

        byte[at] = there;
        sum += there;
    }
    return sum;
}

/* ---- Opening ---------------------------------------------------------------------------------------------------- */

static uint64_t verso_read(void *arg)
{
    const struct work *work = arg;
    struct verso_map *map;
    uint64_t sum;

    bench_check(verso_map_open(work->path, NULL, &map));
    sum = look(verso_map_data(map), verso_map_bytes(map), work->page_bytes);
    verso_map_close(map);
    return sum;
}

static uint64_t raw_read(void *arg)
{
    const struct work *work = arg;
    int fd = open(work->path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    uint64_t sum;
    void *data;

    if (fd < 0 || fstat(fd, &status) < 0)
        bench_die("open");
    data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        bench_die("mmap");
    close(fd);
    sum = look(data, (size_t)status.st_size, work->page_bytes);
    munmap(data, (size_t)status.st_size);
    return sum;
}

static uint64_t verso_read_fd(void *arg)
{
    const struct work *work = arg;
    struct verso_map *map;
    uint64_t sum;

    bench_check(verso_map_open_fd(work->fd, NULL, &map));
    sum = look(verso_map_data(map), verso_map_bytes(map), work->page_bytes);
    verso_map_close(map);
    return sum;
}

static uint64_t raw_read_fd(void *arg)
{
    const struct work *work = arg;
    struct stat status;
    uint64_t sum;
    void *data;

    if (fstat(work->fd, &status) < 0)
        bench_die("fstat");
    data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, work->fd, 0);
    if (data == MAP_FAILED)
        bench_die("mmap");
    sum = look(data, (size_t)status.st_size, work->page_bytes);
    munmap(data, (size_t)status.st_size);
    return sum;
}

static uint64_t verso_write(void *arg)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    const struct work *work = arg;
    struct verso_map *map;
    uint64_t sum;

    options.flags = VERSO_MAP_WRITE;
    bench_check(verso_map_open(work->path, &options, &map));
    sum = store(verso_map_data(map), verso_map_bytes(map), work->page_bytes);
    verso_map_close(map);
    return sum;
}

static uint64_t raw_write(void *arg)
{
    const struct work *work = arg;
    int fd = open(work->path, O_RDWR | O_CLOEXEC);
    struct stat status;
    uint64_t sum;
    void *data;

    if (fd < 0 || fstat(fd, &status) < 0)
        bench_die("open");
    data = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (data == MAP_FAILED)
        bench_die("mmap");
    close(fd);
    sum = store(data, (size_t)status.st_size, work->page_bytes);
    munmap(data, (size_t)status.st_size);
    return sum;
}

static void compare_opening(const char *what, const char *peer, bench_function *ours, bench_function *theirs)
{
    static const struct {
        const char *name;
        size_t bytes;
    } sizes[] = { { "4 KiB", 4 * KIB }, { "64 KiB", 64 * KIB }, { "1 MiB", MIB }, { "16 MiB", 16 * MIB } };

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct work work = { .page_bytes = verso_page_bytes() };
        char name[64];

        (void)snprintf(name, sizeof(name), "%s %s", what, sizes[i].name);
        if (!bench_wanted(name))
            continue;
        work.path = bench_file(name, sizes[i].bytes);
        work.fd = open(work.path, O_RDWR | O_CLOEXEC);
        bench_compare(&(struct bench_case){
            .name = name,
            .peer = peer,
            .unit = "ns",
            .operations = 1,
            .verso = ours,
            .peer_side = theirs,
            .arg = &work,
        });
        close(work.fd);
    }
}

/* ---- What can't be mapped --------------------------------------------------------------------------------------- */

static uint64_t verso_proc(void *arg)
{
    struct verso_map *map;
    uint64_t bytes;

    bench_check(verso_map_open(arg, NULL, &map));
    bytes = verso_map_bytes(map) > 0;
    verso_map_close(map);
    return bytes;
}

static uint64_t raw_proc(void *arg)
{
    int fd = open(arg, O_RDONLY | O_CLOEXEC);
    size_t room = 64 * KIB, done = 0;
    char *data = malloc(room);
    ssize_t n;

    if (fd < 0 || !data)
        bench_die("open");
    while ((n = read(fd, data + done, room - done)) > 0) {
        done += (size_t)n;
        if (done == room) {
            char *larger = realloc(data, room *= 2);

            if (!larger)
                bench_die("realloc");
            data = larger;
        }
    }
    close(fd);
    free(data);
    return done > 0;
}

/* ---- Growing ---------------------------------------------------------------------------------------------------- */

#define STEP_BYTES (256 * KIB)
#define GROWN_BYTES (64 * MIB)

static void remove_grown(void *path)
{
    (void)unlink(path);
}

static uint64_t verso_grow(void *arg)
{
    struct verso_map_options options = VERSO_MAP_OPTIONS_INIT;
    struct verso_map *map;

    options.flags = VERSO_MAP_WRITE | VERSO_MAP_CREATE | VERSO_MAP_GROW;
    bench_check(verso_map_open(arg, &options, &map));
    for (size_t bytes = STEP_BYTES; bytes <= GROWN_BYTES; bytes += STEP_BYTES) {
        bench_check(verso_map_resize(map, bytes));
        memset((char *)verso_map_data(map) + bytes - STEP_BYTES, 7, STEP_BYTES);
    }
    verso_map_close(map);
    return GROWN_BYTES;
}

/* By hand: the same disk space, and mremap, which may move. */
static uint64_t raw_grow(void *arg)
{
    int fd = open(arg, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    char *data = NULL;

    if (fd < 0)
        bench_die("open");
    for (size_t bytes = STEP_BYTES; bytes <= GROWN_BYTES; bytes += STEP_BYTES) {
        size_t before = bytes - STEP_BYTES;

        errno = posix_fallocate(fd, (off_t)before, STEP_BYTES);
        if (errno)
            bench_die("posix_fallocate");
        data = before ? mremap(data, before, bytes, MREMAP_MAYMOVE)
                      : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (data == MAP_FAILED)
            bench_die("mmap");
        memset(data + before, 7, STEP_BYTES);
    }
    munmap(data, GROWN_BYTES);
    close(fd);
    return GROWN_BYTES;
}

static void compare_growing(void)
{
    char path[4096];

    if (!bench_wanted("grow"))
        return;
    (void)snprintf(path, sizeof(path), "%s/grown", bench_directory());
    bench_compare(&(struct bench_case){
        .name = "grow to 64 MiB in 256 KiB steps",
        .peer = "fallocate + mremap",
        .unit = "GB/s",
        .bytes = GROWN_BYTES,
        .verso = verso_grow,
        .peer_side = raw_grow,
        .arg = path,
        .before = remove_grown,
        .limit = bench_limit_copy(),
        .limit_name = "memory copy",
    });
    remove_grown(path);
}

int main(int count, char **arguments)
{
    bench_start(count, arguments, "map");
    compare_opening("open, touch, close", "open fstat mmap munmap close", verso_read, raw_read);
    compare_opening("by descriptor", "fstat mmap munmap", verso_read_fd, raw_read_fd);
    compare_opening("open to write, store", "the same, no care for holes", verso_write, raw_write);
    if (bench_wanted("read in /proc/self/maps"))
        bench_compare(&(struct bench_case){
            .name = "read in /proc/self/maps",
            .peer = "open read realloc close",
            .unit = "ns",
            .operations = 1,
            .verso = verso_proc,
            .peer_side = raw_proc,
            .arg = (void *)(uintptr_t) "/proc/self/maps",
        });
    compare_growing();
    return bench_finish();
}
