/* SPDX-License-Identifier: MIT */
/* channel_bench.h - the measurements of `verso channel bench`, and what they answer. */
#ifndef VERSO_CLI_CHANNEL_BENCH_H
#define VERSO_CLI_CHANNEL_BENCH_H

#include "channel.h"

#include <stdatomic.h>
#include <sys/types.h>

#define BENCH_TRIPS_MOST ((size_t)1 << 22)

/* What the two processes share beside the channels; a line of memory for each that is written often. */
struct bench_control {
    _Alignas(128) _Atomic uint64_t there;
    _Alignas(128) _Atomic uint64_t back;
    _Alignas(128) atomic_bool stop;
    _Atomic uint64_t sum;
};

struct bench {
    struct verso_channel *forth, *back;
    struct bench_control *control;
    uint64_t capacity_bytes;
    size_t bytes;       /* of a message */
    char *buffer;       /* so many */
    uint64_t part_ns;   /* how long each measurement takes */
    uint32_t *trips_ns; /* BENCH_TRIPS_MOST */
    pid_t parent, child;
    /* Of the measurement that is made. */
    bool is_many, is_spinning;
    struct verso_channel_reader *reader;
    struct verso_channel_writer *writer;
};

struct bench_rate {
    double messages; /* a second */
    double gigabytes;
};

struct bench_times {
    size_t trips;
    double p50_ns, p99_ns, p999_ns, most_ns;
};

uint64_t bench_now_ns(void);

/* Sorts @trips_ns. */
void bench_times_of(uint32_t *trips_ns, size_t count, struct bench_times *out_times);

/* Each answers an enum exit_code, what failed is told. */
int bench_one_way(struct bench *bench, bool is_many, struct bench_rate *out_rate);
int bench_copying(struct bench *bench, struct bench_rate *out_rate);
int bench_there_and_back(struct bench *bench, bool is_spinning, struct bench_times *out_times);
int bench_cache_line(struct bench *bench, struct bench_times *out_times);

#endif
