/* SPDX-License-Identifier: MIT */
/* bench_pack - 10,000 small files as memory: one pack, against a map each, and against malloc and read each. */
#include "bench.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <verso.h>

#define FILES 10000
#define BYTES_MAX 8192

static const char *paths[FILES];

static uint64_t sum_of(const unsigned char *data, size_t bytes)
{
    uint64_t sum = bytes;

    for (size_t i = 0; i < bytes; i += 64)
        sum += data[i];
    return sum;
}

static uint64_t by_pack(void *arg)
{
    struct verso_pack_options options = VERSO_PACK_OPTIONS_INIT;
    struct verso_pack_entry entry;
    struct verso_pack *pack;
    uint64_t sum = 0;

    options.thread_count = *(unsigned *)arg;
    if (verso_pack_open(paths, FILES, &options, &pack) < 0)
        abort();
    for (size_t i = 0; i < FILES; i++)
        if (verso_pack_entry(pack, i, &entry) == 0 && entry.error == 0)
            sum += sum_of(entry.data, entry.bytes);
    verso_pack_close(pack);
    return sum;
}

static void *data_of[FILES];
static size_t bytes_of[FILES];

static int open_sized(size_t i)
{
    int fd = open(paths[i], O_RDONLY | O_CLOEXEC);
    struct stat status;

    if (fd < 0 || fstat(fd, &status) < 0)
        abort();
    bytes_of[i] = (size_t)status.st_size;
    return fd;
}

static uint64_t by_map_each(void *arg)
{
    uint64_t sum = 0;

    (void)arg;
    for (size_t i = 0; i < FILES; i++) {
        int fd = open_sized(i);

        data_of[i] = mmap(NULL, bytes_of[i], PROT_READ, MAP_PRIVATE, fd, 0);
        if (data_of[i] == MAP_FAILED)
            abort();
        close(fd);
    }
    for (size_t i = 0; i < FILES; i++)
        sum += sum_of(data_of[i], bytes_of[i]);
    for (size_t i = 0; i < FILES; i++)
        munmap(data_of[i], bytes_of[i]);
    return sum;
}

static uint64_t by_read_each(void *arg)
{
    uint64_t sum = 0;

    (void)arg;
    for (size_t i = 0; i < FILES; i++) {
        int fd = open_sized(i);

        data_of[i] = malloc(bytes_of[i]);
        if (!data_of[i] || read(fd, data_of[i], bytes_of[i]) != (ssize_t)bytes_of[i])
            abort();
        close(fd);
    }
    for (size_t i = 0; i < FILES; i++)
        sum += sum_of(data_of[i], bytes_of[i]);
    for (size_t i = 0; i < FILES; i++)
        free(data_of[i]);
    return sum;
}

int main(int count, char **arguments)
{
    unsigned one_thread = 1, two_threads = 2;
    struct bench_case one = { .unit = "ns", .operations = FILES, .verso = by_pack, .arg = &one_thread };
    char name[32];

    bench_start(count, arguments, "pack");
    for (size_t i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "file-%zu", i);
        paths[i] = bench_file(name, 1 + i * 37 % BYTES_MAX);
    }
    one.name = "10,000 files, 1 thread";
    one.peer = "mmap each";
    one.peer_side = by_map_each;
    bench_compare(&one);
    one.peer = "malloc+read each";
    one.peer_side = by_read_each;
    bench_compare(&one);
    one.name = "10,000 files, 2 threads";
    one.arg = &two_threads;
    bench_compare(&one);
    return bench_finish();
}
